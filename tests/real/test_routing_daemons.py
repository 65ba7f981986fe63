"""Row E3: routing daemons in jails, on two hosts; a wire is cut, routes converge, packets go the other way round."""

from __future__ import annotations

import re
import shutil
import time

import pytest
from sandbox import PATH, Sandbox

pytestmark = pytest.mark.real

LAB = "E3-routing-daemons"
_DIRECT, _ROUND = 60, 58
"""TTL with which h2's answers reach h1: by ce2, r3, r1, ce1; by ce2, r3, r4, r2, r1, ce1."""
_PATIENCE = 10.0
"""Seconds in which routes must have converged."""
_START = 45.0
"""Seconds until all daemons know all routes. BIRD tells of a link again five seconds after it has told of another."""

_UNTIL = r"""
for ping in 'ping -t 1 -c 1 192.0.2.33' 'ping6 -t 1 -c 1 2001:db8:2::1'; do
	until jexec h1 $ping | grep -E '(ttl|hlim)={ttl} '; do sleep 0.1; done
done
"""


def converges(box: Sandbox, ttl: int, interface: str, patience: float) -> None:
    """In time h2's answers reach h1 by the way with that TTL, and r1 sends by that interface, in both families."""
    deadline = time.monotonic() + patience
    done = box.vjail("shell", "-p", LAB, "west", "-c", _UNTIL.replace("{ttl}", str(ttl)), timeout=patience + 5)
    assert [line.split("icmp_seq")[0] for line in done.out.splitlines()] == [
        "64 bytes from 192.0.2.33: ",
        "16 bytes from 2001:db8:2::1, ",
    ], done
    while (found := routes(box, "r1")) != both("UG1", interface) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == both("UG1", interface)
    assert time.monotonic() < deadline


def inside(box: Sandbox, router: str, line: str) -> str:
    """What a line says that is typed in a router."""
    done = box.vjail("exec", "-p", LAB, router, "sh", "-c", line)
    assert (done.code, done.err) == (0, ""), done
    return done.out


def routes(box: Sandbox, router: str) -> dict[str, tuple[str, str]]:
    """Flags and interface of the routes to the far customer, as netstat(1) shows them."""
    lines = [line.split() for line in inside(box, router, "netstat -rn").splitlines()]
    far = {"192.0.2.32/28", "2001:db8:2::/64"}
    return {fields[0]: (fields[2], fields[3]) for fields in lines if fields and fields[0] in far}


def both(flags: str, interface: str) -> dict[str, tuple[str, str]]:
    return {"192.0.2.32/28": (flags, interface), "2001:db8:2::/64": (flags, interface)}


def test_a_wire_is_cut_and_packets_go_round(box: Sandbox) -> None:
    if shutil.which("bird", path=PATH) is None:
        pytest.skip("needs bird2, which make test installs as root")
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    if box.uid == 0:
        # Another user needs ids: one that gives up root, and still may do what a router must.
        inside(box, "r1", "sysrc bird_runas=bird; service bird restart >/dev/null 2>&1")
        assert re.search(r"^bird +\d+ /usr/sbin/bird ", inside(box, "r1", "ps -axo user,pid,command"), re.MULTILINE)
    converges(box, _DIRECT, "em0", _START)
    assert inside(box, "r1", "service bird status").startswith("bird is running as pid ")
    assert routes(box, "ce1") == both("UG1", "epair1a")
    # What vjail does to the table itself leaves the daemon's routes alone.
    inside(box, "r1", "route -q add 10.99.0.0/16 10.0.12.2; route -q delete 10.99.0.0/16")
    assert routes(box, "r1") == both("UG1", "em0")
    cut = box.vjail("cut", "-p", LAB, "north")
    assert cut.code == 0, cut
    converges(box, _ROUND, "epair2a", _PATIENCE)
    mended = box.vjail("mend", "-p", LAB, "north")
    assert mended.code == 0, mended
    converges(box, _DIRECT, "em0", _PATIENCE)
    down = box.vjail("down", LAB)
    assert down.code == 0, down
