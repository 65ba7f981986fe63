"""MAC addresses of epairs and bridges: with the recorded hostid, those of the recordings, and what Linux has."""

from __future__ import annotations

import re

import pytest
from kernelview import KernelView
from sandbox import Sandbox
from typist import machine, typing

from recordings import EXPLORATIONS, HOSTID, Recording
from transcripts import read

pytestmark = pytest.mark.real

MAC = """\
mkdir -p /usr/local/bin; cat > /usr/local/bin/mac <<'X'
#!/bin/sh
for each; do echo "$each $(ifconfig "$each" | sed -n 's/.*ether //p')"; done
X
chmod 755 /usr/local/bin/mac"""
"""A command of that machine's."""
# That kernel has pf in it, and a jail.conf makes jail -r tell what it does.
BEFORE = (MAC, "ifconfig pflog0 create", ": > /etc/jail.conf")
ADDRESS = re.compile(r"\S+ (?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b")
"""An address, with the word before it."""
RANDOM = (12, 13)
"""Lines of e_mac.txt that show addresses made in a jail, which are random."""
RECORDED = [each for each in EXPLORATIONS if re.search(r"/(e1|e7|e_mac)", each.path)]


def without_tap(text: str) -> str:
    """A command line or an answer without the tap(4) that a lab host cannot make."""
    return re.sub(r"^tap0 .*\n|; ifconfig tap0 \w+| tap0\b", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("recording", RECORDED, ids=lambda each: each.path)
def test_addresses_are_those_recorded(box: Sandbox, recording: Recording) -> None:
    machine(box, "mac", hostid=HOSTID)
    used = "; ".join(["ifconfig epair9 create; ifconfig epair9a destroy"] * (recording.counter - 4))
    compared = 0
    with typing(box, "mac") as typist:
        for line in (*BEFORE, used):
            assert typist.type(line).code == 0
        for recorded in read(recording.path):
            result = typist.type(without_tap(recorded.command))
            if "epair" in recorded.command and not (recording.path.endswith("e_mac.txt") and recorded.number in RANDOM):
                addresses = ADDRESS.findall(without_tap(recorded.stdout))
                assert ADDRESS.findall(result.out) == addresses, recorded.command
                compared += len(addresses)
    assert compared >= 6


def test_linux_has_the_addresses_that_ifconfig_shows(box: Sandbox) -> None:
    machine(box, "mac", hostid=HOSTID)
    with typing(box, "mac") as typist:
        for line in (
            *BEFORE,
            "sleep 7482.1 >/dev/null 2>&1 &",
            "ifconfig epair1 create; ifconfig epair2 create; ifconfig bridge0 create; ifconfig bridge1 create",
            "jail -c name=m vnet path=/ persist; jexec m sleep 7482.2 >/dev/null 2>&1 &",
            "ifconfig epair1b vnet m; ifconfig epair2a vnet m; ifconfig epair2a -vnet m",
        ):
            assert typist.type(line).code == 0
        shown = typist.type("mac epair1a epair2a epair2b bridge0 bridge1; jexec m mac epair1b").out.splitlines()
        there = {
            (each["ifname"], each["address"]) for token in ("7482.1", "7482.2") for each in KernelView(token).ip("link")
        }
    recorded = next(line for line in read("observed/e1_boot1.txt") if "create" in line.command).stdout.splitlines()
    made = {tuple(line.split()) for line in recorded if re.fullmatch(r"\S+ [0-9a-f:]{17}", line)}
    assert {tuple(line.split()) for line in shown} == made
    assert made <= there
