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
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    ping = box.vjail("exec", "-p", LAB, "jail_01", "ping", "-c", "4", "-i", "0.2", "10.0.0.2")
    assert re.fullmatch(PING, ping.out), ping
    assert (ping.code, ping.err) == (0, "")
    down = box.vjail("down", LAB)
    assert down.code == 0, down
