"""Row C5: stacks are independent of each other, cost little, and are not in each other's way."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from sandbox import Sandbox, interpreter

pytestmark = pytest.mark.real

TOP = Path(__file__).parent.parent.parent
FOLDER = "C5-independent-stacks"
PAIRS = range(1, 9)
_LISTEN = """
import socket
listening = socket.create_server(("10.0.0.1", 7000))
print("ready", flush=True)
connection, (peer, _) = listening.accept()
connection.sendall(f"{socket.gethostname()} to {peer}".encode())
"""
_ASK = """
import socket
print(socket.create_connection(("10.0.0.1", 7000), 10).recv(100).decode())
"""
_CHANGE = """
route add 172.16.0.0/12 10.0.0.2 && arp -s 10.0.0.77 02:00:00:00:00:77 && ifconfig epair1a mtu 1400 &&
sysctl net.inet.ip.forwarding=1
"""
_MOST_OF_A_VNET = 512
"""kB of kernel memory for a vnet with its epair; on Linux 6.18 it was 200."""
_MOST_OF_A_SERVER = 256
"""kB that the lab's server grows by with each jail; it was 50."""


def test_stacks_know_nothing_of_each_other(box: Sandbox) -> None:
    up = box.vjail("up", FOLDER, timeout=120)
    assert up.code == 0, up

    def within(jail: str, *words: str) -> str:
        done = box.vjail("exec", "-p", FOLDER, jail, *words)
        assert done.code == 0, done
        return done.out

    # One port at one address, eight times at once; each of the others reaches its own.
    listening = [box.start(interpreter(), "-m", "vjail", *_exec(f"a{n}", _LISTEN)) for n in PAIRS]
    for each in listening:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    asked = [within(f"b{n}", "/usr/bin/python3", "-c", _ASK) for n in PAIRS]
    assert asked == [f"a{n} to 10.0.0.2\n" for n in PAIRS]
    for each in listening:
        each.communicate(timeout=20)

    within("a1", "sh", "-c", _CHANGE)
    for jail in ("a1", "b1", "a2", "b8"):
        own = jail == "a1"
        seen = within(jail, "sh", "-c", "netstat -rn; arp -an; ifconfig; sysctl net.inet.ip.forwarding")
        for changed in ("172.16.0.0/12", "10.0.0.77", "mtu 1400", "forwarding: 1"):
            assert (changed in seen) is own, f"{jail}: {changed}\n{seen}"
    assert box.vjail("down", FOLDER).code == 0


def _exec(jail: str, program: str) -> tuple[str, ...]:
    return ("exec", "-p", FOLDER, jail, "/usr/bin/python3", "-c", program)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="memory control groups are root's")
def test_a_stack_costs_little_and_takes_nothing_from_the_others() -> None:
    sys.path.insert(0, str(TOP / "tools"))
    try:
        from bench import vnet
    finally:
        sys.path.pop(0)
    weights: dict[Any, Any] = {row.get("what"): row for row in vnet.memory(20, 1).data}
    assert 20 < weights["a vnet with its epair"]["group_kb"] < _MOST_OF_A_VNET
    assert weights["server"]["resident_kb"] < _MOST_OF_A_SERVER
    (rates,) = vnet.traffic(1, 1).data
    ((alone,), (together,)) = rates["alone"], rates["together"]  # type: ignore[misc]
    # Eight pairs get through together about what one gets alone: the processors are shared, and no lock is waited for.
    assert sum(together) > alone / 3
    assert min(together) > sum(together) / 8 / 8
