"""Wires cut and mended while a lab runs: what ifconfig shows, what programs see, what passes, what is taken over."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import cache
from pathlib import Path

import pytest
from lives import kill, outcome, until, vjail
from sandbox import Result, Sandbox
from side_by_side import Work, side_by_side
from talk import Talk, share
from typed import make

pytestmark = pytest.mark.real

FILES = {
    "vjail.yml": """\
wires: {w0: {}, w1: {}}
hosts:
  a: {files: a, nics: {em0: w0}}
  b: {files: b, nics: {vtnet0: w0, vtnet1: w1}}
  c: {files: c, nics: {em1: w0}}
""",
    "a/rc.conf": 'ifconfig_em0="inet 192.168.7.1/24"\nifconfig_em0_ipv6="inet6 2001:db8:7::1/64"\nvlans_em0="100"\n',
    "b/rc.conf": """\
cloned_interfaces="bridge0"
ifconfig_vtnet0="inet 192.168.7.2/24"
ifconfig_vtnet0_ipv6="inet6 2001:db8:7::2/64"
ifconfig_bridge0="inet 10.7.0.2/24 addm vtnet0 up"
ifconfig_vtnet1_name="spare"
""",
    "c/rc.conf": "",
    "c/jail.conf": """\
inner {
	path = /;
	vnet;
	vnet.interface = em1;
	exec.start = "ifconfig em1 inet 192.168.7.3/24";
	exec.start += "ifconfig em1 inet6 2001:db8:7::3/64";
	persist;
}
""",
}


def _at(box: Sandbox, lab: str, host: str, line: str) -> str:
    done = box.vjail("shell", "-p", lab, host, "-c", line)
    return done.out + done.err


def _answers(box: Sandbox, lab: str, address: str) -> bool:
    """Whether an echo request from host a is answered within a second."""
    return "1 packets received" in _at(box, lab, "a", f"ping -c 1 -t 1 {address}")


def _links(box: Sandbox, lab: str) -> dict[str, tuple[str, str]]:
    """Medium and status of each card, wherever it is, as ifconfig shows them."""
    found = {}
    for host, line in (
        ("a", "ifconfig em0"),
        ("b", "ifconfig vtnet0; ifconfig spare"),
        ("c", "jexec inner ifconfig em1"),
    ):
        name = ""
        for text in _at(box, lab, host, line).splitlines():
            key, _, value = text.strip().partition(": ")
            if not text.startswith("\t"):
                name, medium = f"{host}:{key}", ""
                assert "UP" not in value.split("<")[1].split(",") or "RUNNING" in value, text
            elif key == "media":
                medium = value
            elif key == "status":
                found[name] = medium, value
    return found


_TEN = "Ethernet autoselect (10Gbase-T <full-duplex>)"
_ON = (_TEN, "active")
_EM, _VTNET = ("Ethernet autoselect", "no carrier"), ("Ethernet autoselect (none)", "no carrier")
_WHOLE = {"a:em0": _ON, "b:vtnet0": _ON, "b:spare": _ON, "c:em1": _ON}
_CUT = {"a:em0": _EM, "b:vtnet0": _VTNET, "b:spare": _ON, "c:em1": _EM}


def cut_and_mended(box: Sandbox, lab: str) -> None:
    make(box, FILES, lab)
    up = box.vjail("up", lab)
    assert up.code == 0, up
    assert _links(box, lab) == _WHOLE
    assert all(_answers(box, lab, each) for each in ("192.168.7.2", "192.168.7.3", "2001:db8:7::3"))
    watching = vjail(box, "exec", "-p", lab, "inner", "ip", "-o", "monitor", "link")
    until(lambda: bool(box.running("ip", "-o", "monitor", "link")))

    assert box.vjail("cut", "-p", lab, "w0") == Result(0, "", "w0: cut\n")
    assert box.vjail("cut", "-p", lab, "w0") == Result(0, "", "w0: cut already\n")
    assert _links(box, lab) == _CUT
    assert "status: no carrier" in _at(box, lab, "a", "ifconfig em0.100"), "a vlan has its parent's link"
    assert "state DORMANT" in _at(box, lab, "b", "ip -o link show vtnet0"), "programs see it of a bridge's member"
    assert not _answers(box, lab, "192.168.7.2")
    listed = box.vjail("ls", lab).out
    assert "wire w0 (cut) ⇄ b vtnet0, c em1" in listed, listed
    assert "wire w1\n" in listed, listed

    kill(box.server(lab))
    assert box.vjail("ls", lab).out == listed, "another server says the same"
    assert _links(box, lab) == _CUT
    assert box.vjail("mend", "-p", lab, "w0") == Result(0, "", "w0: mended\n")
    assert _links(box, lab) == _WHOLE
    assert "state UP" in _at(box, lab, "b", "ip -o link show vtnet0")
    assert all(_answers(box, lab, each) for each in ("192.168.7.2", "2001:db8:7::2", "192.168.7.3", "2001:db8:7::3"))

    (monitor,) = box.running("ip", "-o", "monitor", "link")
    kill(monitor, 15)
    _, seen, _ = outcome(watching)
    assert "NO-CARRIER" in seen, seen
    assert "NO-CARRIER" not in seen.splitlines()[-1], seen
    assert box.vjail("down", lab).code == 0


def one_plug_pulled(box: Sandbox, lab: str) -> None:
    make(box, FILES, lab)
    up = box.vjail("up", lab)
    assert up.code == 0, up
    assert box.vjail("cut", "-p", lab, "c:em1", "b:vtnet1") == Result(0, "", "c:em1: cut\nb:vtnet1: cut\n")
    assert _links(box, lab) == _WHOLE | {"c:em1": _EM, "b:spare": _VTNET}
    assert _answers(box, lab, "192.168.7.2")
    assert not _answers(box, lab, "192.168.7.3")
    assert box.vjail("cut", "-p", lab, "w0").code == 0
    assert box.vjail("mend", "-p", lab, "w0") == Result(0, "", "w0: mended; still cut: c:em1\n")
    assert _answers(box, lab, "192.168.7.2")
    data = json.loads(box.vjail("ls", "--json", lab).out)
    assert data["wires"]["w0"] == {
        "cut": False,
        "nic": None,
        "delay": 0,
        "loss": 0,
        "rate": 0,
        "plugs": [
            {"host": "a", "nic": "em0", "cut": False},
            {"host": "b", "nic": "vtnet0", "cut": False},
            {"host": "c", "nic": "em1", "cut": True},
        ],
    }
    (inner,) = data["hosts"][2]["jails"]
    assert [(each["wire"], each["status"]) for each in inner["interfaces"] if "wire" in each] == [("w0", "no carrier")]
    assert "unplugged" in box.vjail("ls", lab).out

    # The card comes home without carrier, and has it again there.
    assert box.vjail("stop", "-p", lab, "inner").code == 0
    assert "status: no carrier" in _at(box, lab, "c", "ifconfig em1")
    assert box.vjail("mend", "-p", lab, "c:em1", "b:vtnet1").code == 0
    assert "status: active" in _at(box, lab, "c", "ifconfig em1 inet 192.168.7.4/24; ifconfig em1")
    assert _answers(box, lab, "192.168.7.4")

    wrong = box.vjail("mend", "-p", lab, "w", "c:em2")
    assert wrong == Result(
        1,
        "",
        "vjail: no wire or plug is called w; did you mean w1?\n"
        "vjail: no wire or plug is called c:em2; did you mean c:em1?\n",
    )
    assert box.vjail("down", lab).code == 0


def a_wire_that_begins_cut(box: Sandbox, lab: str) -> None:
    """It is cut as the lab comes up; once mended it stays so, when the lab is brought up again too."""
    make(box, _MEMBERS | {"vjail.yml": _MEMBERS["vjail.yml"].replace("w0: {}", "w0: {cut: true}")}, lab)
    up = box.vjail("up", lab)
    assert up.code == 0, up
    assert "wire w0 (cut)" in box.vjail("ls", lab).out
    assert "status: no carrier" in _at(box, lab, "a", "ifconfig em0")
    assert not _answers(box, lab, "10.0.0.2")
    assert box.vjail("mend", "-p", lab, "w0") == Result(0, "", "w0: mended\n")
    assert _answers(box, lab, "10.0.0.2")
    up = box.vjail("up", lab)
    assert up.code == 0, up
    assert _answers(box, lab, "10.0.0.2")
    assert box.vjail("down", lab).code == 0


# --- members of bridges with addresses --------------------------------------------------------------------------------

_MEMBERS = {
    "vjail.yml": "wires: {w0: {}}\nhosts:\n  a: {files: a, nics: {em0: w0}}\n  b: {files: b, nics: {em0: w0}}\n",
    "a/rc.conf": 'ifconfig_em0="inet 10.0.0.1/24"\nifconfig_em0_ipv6="inet6 2001:db8::1/64"\n',
    "b/rc.conf": """\
cloned_interfaces="bridge0 epair1"
ifconfig_em0="inet 10.0.0.2/24"
ifconfig_em0_ipv6="inet6 2001:db8::2/64"
ifconfig_epair1a="up"
ifconfig_bridge0="addm em0 addm epair1a up"
""",
    "b/jail.conf": """\
in {
	path = /;
	vnet;
	vnet.interface = epair1b;
	exec.start = "ifconfig epair1b inet 10.0.0.3/24";
	exec.start += "ifconfig epair1b inet6 2001:db8::3/64";
	persist;
}
""",
}


def a_member_of_a_bridge_keeps_its_addresses(box: Sandbox, lab: str) -> None:
    """Whoever is behind the bridge, on either side, reaches a member's own address, and it them; routes and all."""
    make(box, _MEMBERS, lab)
    up = box.vjail("up", lab)
    assert up.code == 0, up

    def reached() -> list[bool]:
        talks = [
            Talk(place, address)
            for place, own in (("a", 1), ("b", 2), ("b:in", 3))
            for host in {1, 2, 3} - {own}
            for address in (f"10.0.0.{host}", f"2001:db8::{host}")
        ]
        found = share(box, lab, talks, count=2, seconds=3)
        return [found[talk] == 1 for talk in talks]

    assert reached() == [True] * 12
    typed = _at(box, lab, "b", "route add 198.51.100.0/24 10.0.0.1; arp -s 10.0.0.77 02:00:00:00:00:77; netstat -rn")
    before = _at(box, lab, "b", "ifconfig em0; netstat -rn; arp -an | grep 77")
    kill(box.server(lab))
    assert _at(box, lab, "b", "ifconfig em0; netstat -rn; arp -an | grep 77") == before, typed
    assert reached() == [True] * 12
    # It may be called otherwise, have another MAC, another MTU, go down and come up, and leave the bridge.
    changed = _at(
        box,
        lab,
        "b",
        "ifconfig em0 name lan && ifconfig lan ether 02:00:00:00:00:99 && ifconfig lan inet 10.0.0.22/24 alias",
    )
    assert changed == "lan\n"
    assert _answers(box, lab, "10.0.0.22")
    assert "02:00:00:00:00:99" in _at(box, lab, "a", "arp -an")
    _at(box, lab, "b", "ifconfig lan down")
    assert not _answers(box, lab, "10.0.0.3")
    _at(box, lab, "b", "ifconfig lan up; jexec in ndp -c")
    _at(box, lab, "a", "ndp -c")
    assert reached() == [True] * 12
    left = _at(
        box,
        lab,
        "b",
        "arp -s 10.0.0.77 02:00:00:00:00:77; ifconfig bridge0 deletem lan; ifconfig lan; netstat -rn -f inet; arp -an",
    )
    assert "\tinet 10.0.0.22 netmask" in left, left
    assert "198.51.100.0/24" in left, left
    assert "02:00:00:00:00:77" in left, left
    assert _answers(box, lab, "10.0.0.2")
    assert not _answers(box, lab, "10.0.0.3")
    assert "." not in {word[:1] for word in _at(box, lab, "b", "ls /proc/sys/net/ipv4/conf").split()}, (
        "no device is left"
    )
    assert box.vjail("down", lab).code == 0


# --- what a wire carries ----------------------------------------------------------------------------------------------

_HEAR = """
import select, socket, struct, sys, time
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
heard.setsockopt(263, 8, 1)  # PACKET_AUXDATA: the tag that the kernel takes out
heard.bind(("vtnet0", 3))
print("ready", flush=True)
while select.select([heard], [], [], 20)[0]:
    frame, notes, _, place = heard.recvmsg(65536, 64)
    status, _, _, _, _, tag, kind = struct.unpack("=IIIHHHH", notes[0][2][:20])
    if status & 0x10:
        frame = frame[:12] + struct.pack("!HH", kind, tag) + frame[12:]
    if frame.endswith(b"the end"):
        break
    if frame[6:12] == bytes(range(2, 14, 2)):
        print(frame[:6].hex(":"), frame[12:20].hex(), len(frame), flush=True)
"""
_SAY = """
import socket, time
said = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
said.bind(("em0", 3))
def say(to, head, length):
    said.send(bytes.fromhex(to) + bytes(range(2, 14, 2)) + bytes.fromhex(head) + bytes(length))
for last in range(16):
    say(f"0180c200000{last:x}", "88b5", 46)
for head, length in (("88b5", PAYLOAD), ("81000064" "88b5", PAYLOAD), ("88a800c8" "81000064" "88b5", PAYLOAD - 8)):
    say("020000000099", head, length)
time.sleep(PAUSE)
said.send(bytes.fromhex("ffffffffffff") + bytes(6) + b"\\x88\\xb6" + bytes(60) + b"the end")
"""


def a_wire_carries_everything(box: Sandbox, lab: str, conditions: str = "", pause: float = 0) -> None:
    """Tags, one and two, frames as long as the NICs' MTU, and what bridges keep to themselves, but for pauses.

    `pause`: seconds before a frame that is sure to be the last.
    """
    hosts = "hosts: {a: {nics: {em0: w0}}, b: {nics: {vtnet0: w0}}}\n"
    make(box, {"vjail.yml": f"wires: {{w0: {{{conditions}}}}}\n{hosts}"}, lab)
    up = box.vjail("up", lab)
    assert up.code == 0, up
    for mtu in (1500, 9000):
        _at(box, lab, "a", f"ifconfig em0 mtu {mtu} up")
        _at(box, lab, "b", f"ifconfig vtnet0 mtu {mtu} up")
        hearing = vjail(box, "shell", "-p", lab, "b", "-c", f"python3 -c '{_HEAR}'")
        assert hearing.stdout is not None
        assert hearing.stdout.readline() == "ready\n"
        said = _at(box, lab, "a", f"python3 -c '{_SAY}'".replace("PAYLOAD", str(mtu)).replace("PAUSE", str(pause)))
        assert said == ""
        _, out, err = outcome(hearing)
        groups = [f"01:80:c2:00:00:{last:02x} 88b5000000000000 60" for last in range(16) if last != 1]
        sent = [
            *groups,
            f"02:00:00:00:00:99 88b5000000000000 {mtu + 14}",
            f"02:00:00:00:00:99 8100006488b50000 {mtu + 18}",
            f"02:00:00:00:00:99 88a800c881000064 {mtu + 14}",
        ]
        # What waits on its way may be overtaken.
        assert (sorted if pause else list)(out.splitlines()) == (sorted if pause else list)(sent), err
    assert box.vjail("down", lab).code == 0


def a_slow_wire_carries_everything(box: Sandbox, lab: str) -> None:
    a_wire_carries_everything(box, lab, "delay: 5ms, rate: 100Mbit", pause=1)


# --- all of them ------------------------------------------------------------------------------------------------------

_SHOWN: Mapping[str, Work] = {
    "cut": cut_and_mended,
    "plug": one_plug_pulled,
    "begins": a_wire_that_begins_cut,
    "members": a_member_of_a_bridge_keeps_its_addresses,
    "frames": a_wire_carries_everything,
    "slow": a_slow_wire_carries_everything,
}


@pytest.fixture(scope="module")
def shown(program: Path) -> Callable[[int], Mapping[str, Future[None]]]:
    """What became of each, for a user."""

    @cache
    def show(uid: int) -> Mapping[str, Future[None]]:
        return side_by_side(program, uid, _SHOWN, len(_SHOWN))

    return show


@pytest.mark.parametrize("lab", _SHOWN)
def test_wires(lab: str, uid: int, shown: Callable[[int], Mapping[str, Future[None]]]) -> None:
    shown(uid)[lab].result()
