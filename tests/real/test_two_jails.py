"""Row A1, the main job: two jails on one epair, from the printed jail.conf."""

from __future__ import annotations

import re

import pytest
from sandbox import Sandbox

pytestmark = pytest.mark.real

LAB = "A1-two-jails"
PING = r"""PING 10\.0\.0\.2 \(10\.0\.0\.2\): 56 data bytes
(64 bytes from 10\.0\.0\.2: icmp_seq=[0-3] ttl=64 time=\d+\.\d{3} ms
){4}
--- 10\.0\.0\.2 ping statistics ---
4 packets transmitted, 4 packets received, 0\.0% packet loss
round-trip min/avg/max/stddev = [0-9./]+ ms
"""


def test_up_ping_down(box: Sandbox, printed_a1: bytes) -> None:
    assert (box.folder / LAB / "jail.conf").read_bytes() == printed_a1
    before = sorted(path.name for path in (box.folder / LAB).iterdir())
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    ping = box.vjail("exec", "-p", LAB, "jail_01", "ping", "-c", "4", "-i", "0.2", "10.0.0.2")
    assert re.fullmatch(PING, ping.out), ping
    assert (ping.code, ping.err) == (0, "")
    down = box.vjail("down", LAB)
    assert down.code == 0, down
    assert sorted(path.name for path in (box.folder / LAB).iterdir()) == before, "nothing is written beside the files"


def ping(box: Sandbox, jail: str, address: str) -> None:
    done = box.vjail("exec", "-p", LAB, jail, "ping", "-c", "2", "-i", "0.1", address)
    assert "2 packets transmitted, 2 packets received, 0.0% packet loss" in done.out, done


@pytest.mark.parametrize("typed", [False, True], ids=["by rc.conf", "typed"])
@pytest.mark.parametrize("first", ["jail_01", "jail_02"])
def test_any_order_where_the_host_makes_the_epair(box: Sandbox, first: str, typed: bool) -> None:
    """Row A2: started in either order, each restarted while the other runs, stopped in either order."""
    if typed:
        (box.folder / LAB / "rc.conf").unlink()
    assert box.vjail("up", "--no-jails", LAB).code == 0
    if typed:
        assert box.shell("ifconfig epair1 create", LAB).out == "epair1a\n"
    second = {"jail_01": "jail_02", "jail_02": "jail_01"}[first]
    for jail in (first, second):
        started = box.vjail("start", "-p", LAB, jail)
        assert started.code == 0, started
    ping(box, "jail_01", "10.0.0.2")
    for jail in (first, second):
        assert box.vjail("stop", "-p", LAB, jail).code == 0
        home = box.shell("ifconfig -l", LAB).out.split()
        assert {"jail_01": "epair1a", "jail_02": "epair1b"}[jail] in home, "its half came home"
        assert box.vjail("start", "-p", LAB, jail).code == 0
        ping(box, "jail_02", "10.0.0.1")
    assert box.vjail("stop", "-p", LAB, second, first).code == 0
    left = box.shell("jls jid; ifconfig -l", LAB).out.split()
    assert sorted(left) == ["epair1a", "epair1b", "lo0", "vtnet0"]
    assert box.vjail("down", LAB).code == 0


def test_without_the_epair_it_fails_as_freebsd_does_and_says_the_mend(box: Sandbox) -> None:
    (box.folder / LAB / "rc.conf").unlink()
    up = box.vjail("up", LAB)
    assert up.code == 1
    line = up.err.splitlines()[0]
    assert line.startswith(f"vjail: {LAB}/jail.conf:"), up
    assert "interface epair1a does not exist" in line, up
    assert 'cloned_interfaces="epair1"' in line, up
