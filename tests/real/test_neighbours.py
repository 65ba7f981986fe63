"""Neighbours that do not answer yet, and those that never do: ping(8) on this kernel's ARP."""

from __future__ import annotations

import pytest
from sandbox import Sandbox
from typist import machine, typing

pytestmark = pytest.mark.real

TWO_HOSTS = """\
wires: {w0: {}}
hosts:
  left: {files: left, userland: minimal, nics: {vtnet0: w0}}
  right: {files: right, userland: minimal, nics: {vtnet0: w0}}
"""


def test_a_neighbour_that_never_answers_is_down_after_five_requests(box: Sandbox) -> None:
    machine(box, "silent")
    with typing(box, "silent") as typist:
        ping = typist.type("ping -c 6 -t 6 10.0.2.77 >/tmp/near 2>&1 & ping -c 6 -t 6 192.0.2.1; wait; cat /tmp/near")
        assert ping.err == "ping: sendto: No route to host\n", "of a gateway that does not answer"
        assert "ping: sendto: Host is down\n" in ping.out
        assert ping.out.count("6 packets transmitted, 0 packets received, 100.0% packet loss") == 2


def test_what_asked_in_vain_before_does_not_keep_a_ping_from_arriving(box: Sandbox) -> None:
    """Each ping goes out while the one before it has left a neighbour that is asked for in vain."""
    machine(box, "bridge")
    with typing(box, "bridge") as typist:
        for line in (
            "jail -c name=r vnet path=/ persist; ifconfig epair1 create; ifconfig epair1b vnet r",
            "ifconfig bridge0 create; ifconfig bridge0 inet 10.1.0.1/24; ifconfig bridge0 addm epair1a",
            "jexec r ifconfig epair1b inet 10.1.0.2/24",
        ):
            assert typist.type(line).code == 0
        for _ in range(5):
            assert typist.type("arp -d -a; jexec r arp -d -a; jexec r ping -c 1 -t 1 10.1.0.1").code == 2
            assert typist.type("ifconfig epair1a up; jexec r ping -c 1 -t 1 10.1.0.1; ifconfig epair1a down").code == 0
            assert "1 packets received" in typist.type("ifconfig epair1a up; jexec r ping -c 1 -t 1 10.1.0.1").out
            typist.type("ifconfig epair1a down")


def test_a_card_that_comes_up_reaches_its_wire_at_once(box: Sandbox) -> None:
    folder = box.folder / "hosts"
    for number, host in enumerate(("left", "right"), 1):
        (folder / host).mkdir(parents=True)
        (folder / host / "rc.conf").write_text(f'ifconfig_vtnet0="inet 10.5.0.{number}/24"\n')
    (folder / "vjail.yml").write_text(TWO_HOSTS)
    assert box.vjail("up", "hosts").code == 0
    line = (
        "for i in 1 2 3 4 5 6 7 8 9 10; do ifconfig vtnet0 down; ifconfig vtnet0 inet 10.5.0.1/24 up; "
        "ping -c 1 -t 1 10.5.0.2 | grep loss; done"
    )
    pings = box.vjail("shell", "-p", "hosts", "left", "-c", line)
    assert pings.out == "1 packets transmitted, 1 packets received, 0.0% packet loss\n" * 10
    assert box.vjail("down", "hosts").code == 0
