"""802.1Q with frames, on a lab of two hosts that a trunk joins; the same tests for vlans of 8021q and of eBPF.

Where the tests run with neither, which is without root on a kernel without 8021q, the server's log says so, and that is
what is tested then.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lives import kill, server
from sandbox import NOBODY, Result, Sandbox, sandbox
from typist import Typist

pytestmark = pytest.mark.real

LAB = "trunk"
_LAB_FILE = """\
wires: {w0: {}, w1: {}}
hosts:
  a: {files: a, nics: {em0: w0, em1: w1}}
  b: {files: b, nics: {em0: w0}}
"""
_RC_CONF = """\
ifconfig_em0="up"
vlans_em0="100 blue"
create_args_blue="vlan 200 vlanpcp 3"
ifconfig_em0_100="inet 192.168.100.{number}/24"
ifconfig_em0_100_ipv6="inet6 2001:db8:100::{number}/64"
ifconfig_blue="inet 192.168.200.{number}/24"
"""
_CANNOT = "nothing is sent: no 8021q in this kernel, and no eBPF filter: Operation not permitted"
_PATIENCE = 300
"""Seconds; an emulated machine is slow."""
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Trunk:
    """The lab, brought up; `sends` tells whether this machine has a way to make vlans for this user."""

    box: Sandbox
    lines: Mapping[str, Typist]
    sends: bool
    said: str
    """What `vjail up` said."""

    def on(self, host: str, line: str) -> Result:
        """Type a line on a host, the last of whose commands must go well."""
        done = self.lines[host].type(line)
        assert done.code == 0, f"{line}: {done}"
        return done

    def watch(self, host: str, interface: str, line: str) -> list[dict[str, Any]]:
        """The frames that pass an interface of a host while a line is carried out there."""
        quoted = line.replace("'", "'\\''")
        return _frames(self.on(host, f"python3 /root/onwire.py watch {interface} sh -c '{quoted}'").out)

    def pings(self, host: str, address: str, jail: str = "") -> bool:
        """Whether two pings are both answered."""
        said = self.lines[host].type(f"{'jexec ' + jail if jail else ''} ping -c 2 -i 0.1 -t 10 {address}").out
        return "2 packets transmitted, 2 packets received" in said

    def is_cut_off(self, host: str, address: str) -> bool:
        """Whether pings are sent and none is answered within a second."""
        said = self.lines[host].type(f"ping -c 2 -i 0.1 -t 1 {address}").out
        return "2 packets transmitted, 0 packets received" in said


def _frames(said: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in said.splitlines()]


@pytest.fixture(
    scope="module", params=[pytest.param(0, id="root", marks=pytest.mark.root), pytest.param(NOBODY, id="user")]
)
def made(request: pytest.FixtureRequest, program: Path) -> Iterator[Trunk]:
    """The lab for one user; each test leaves it as it was."""
    if request.param == 0 and os.geteuid() != 0:
        pytest.skip("needs root")
    uid = request.param if os.geteuid() == 0 else os.geteuid()
    work = program / "work"
    for number, host in enumerate("ab", 1):
        root = work / LAB / host / "files" / "root"
        root.mkdir(parents=True)
        shutil.copy(_HERE / "onwire.py", root)
        (work / LAB / host / "rc.conf").write_text(_RC_CONF.format(number=number))
    (work / LAB / "vjail.yml").write_text(_LAB_FILE)
    try:
        for path in (work, *work.rglob("*")):
            os.chown(path, uid, uid)
        with sandbox(program, uid) as box:
            up = box.vjail("up", LAB, timeout=_PATIENCE)
            assert up.code == 0, up
            log = box.run("sh", "-c", "cat $(find /run /tmp -name server.log)").out
            lines = {host: Typist(box, LAB, host) for host in "ab"}
            yield Trunk(box, lines, f"em0.100: {_CANNOT}\n" not in log, up.err)
            for line in lines.values():
                line.close()
            down = box.vjail("down", LAB, timeout=_PATIENCE)
            assert down.code == 0, down
    finally:
        shutil.rmtree(work)


@pytest.fixture
def trunk(made: Trunk) -> Trunk:
    """The lab, where vlans carry something; root always has a way."""
    if not made.sends:
        assert made.box.uid != 0
        pytest.skip("needs 8021q in the kernel, or root")
    return made


def test_without_a_way_up_and_the_log_say_so_and_nothing_is_sent(made: Trunk) -> None:
    told = [f"{host}: blue, em0.100: {_CANNOT}" for host in "ab"]
    assert [line for line in made.said.splitlines() if "nothing is sent" in line] == ([] if made.sends else told)
    if made.sends:
        pytest.skip("there is a way")
    said = made.lines["a"].type("ping -c 1 -t 1 192.168.100.2")
    assert said.err == "ping: sendto: Network is down\n", said
    shown = made.on("a", "ifconfig em0.100").out
    assert "\tinet 192.168.100.1 netmask 0xffffff00" in shown
    assert "\tvlan: 100 vlanproto: 802.1q vlanpcp: 0 parent interface: em0\n" in shown


def test_8021q_is_used_where_the_kernel_has_it(trunk: Trunk) -> None:
    trial = "ip link add link em1 name trial type vlan id 5 && ip link delete trial"
    has_8021q = trunk.lines["a"].type(trial).code == 0
    shown = trunk.on("a", "ip -d link show dev em0.100").out
    assert (" vlan protocol 802.1Q id 100 " in shown) is has_8021q
    assert (" veth " in shown) is not has_8021q


def test_rc_conf_makes_vlans_and_their_frames_carry_the_tags(trunk: Trunk) -> None:
    frames = trunk.watch(
        "a", "em0", "for a in 192.168.100.2 2001:db8:100::2 192.168.200.2; do ping -c 2 -i 0.1 $a; done"
    )
    packets = [each for each in frames if each.get("protocol") in (1, 58)]
    for source, target, tag in (
        ("192.168.100.1", "192.168.100.2", [0x8100, 100, 0]),
        ("2001:db8:100::1", "2001:db8:100::2", [0x8100, 100, 0]),
        ("192.168.200.1", "192.168.200.2", [0x8100, 200, 3]),
    ):
        asked = [each for each in packets if (each["source"], each["target"]) == (source, target)]
        answered = [each for each in packets if (each["source"], each["target"]) == (target, source)]
        assert len(asked) >= 2
        assert len(answered) >= 2
        assert all(each["out"] and each["tags"] == [tag] for each in asked), asked
        assert all(not each["out"] and each["tags"] == [tag] for each in answered), answered
    assert [each for each in frames if not each["tags"]] == [], "nothing passes untagged"
    assert all(each["right"] for each in packets)


def test_different_vlans_do_not_meet(trunk: Trunk) -> None:
    """VLAN 200 on one host and VLAN 100 on the other in one network; the same VLAN on both is the control."""
    trunk.on("a", "ifconfig vlan9 create vlan 300 vlandev em0 inet 10.9.0.1/24; ifconfig vlan9 inet6 2001:db8:9::1/64")
    for tag, meets in ((301, Trunk.is_cut_off), (300, Trunk.pings)):
        make = f"ifconfig vlan9 create vlan {tag} vlandev em0 inet 10.9.0.2/24"
        trunk.on("b", f"{make}; ifconfig vlan9 inet6 2001:db8:9::2/64")
        assert meets(trunk, "a", "10.9.0.2")
        assert meets(trunk, "a", "2001:db8:9::2")
        trunk.on("b", "ifconfig vlan9 destroy")
    trunk.on("a", "ifconfig vlan9 destroy")


def test_priority_and_802_1ad_and_a_vlan_on_a_vlan(trunk: Trunk) -> None:
    for number, host in enumerate("ab", 1):
        made = f"""
            ifconfig vlan10 create vlan 10 vlandev em0 vlanproto 802.1ad vlanpcp 5 up
            ifconfig vlan20 create vlan 20 vlandev vlan10 inet 10.20.0.{number}/24
        """
        trunk.on(host, made)
    assert " mtu 1496\n" in trunk.on("a", "ifconfig vlan20").out
    ping = "ping -c 2 -i 0.1 -s 1468 10.20.0.2"
    frames = [each for each in trunk.watch("a", "em0", ping) if each.get("protocol") == 1]
    assert len(frames) == 4
    assert all(each["tags"][1:] == [[0x8100, 20, 0]] for each in frames), frames
    assert all(each["tags"][0] == [0x88A8, 10, 5] for each in frames), frames
    assert {each["length"] for each in frames} == {14 + 4 + 4 + 20 + 8 + 1468}
    trunk.on("a", "ifconfig vlan20 vlanpcp 7; ifconfig vlan10 vlanpcp 2")
    frames = [each for each in trunk.watch("a", "em0", ping) if each.get("protocol") == 1 and each["out"]]
    assert [each["tags"] for each in frames] == [[[0x88A8, 10, 2], [0x8100, 20, 7]]] * 2
    for host in "ab":
        trunk.on(host, "ifconfig vlan10 -vlandev; ifconfig vlan10 vlan 11 vlandev em0")
    assert trunk.pings("a", "10.20.0.2"), "a vlan on a vlan works again when that does"
    for host in "ab":
        trunk.on(host, "ifconfig vlan10 destroy; ifconfig vlan20 destroy")


def test_tcp_at_an_mtu_of_1500_in_frames_a_wire_can_carry(trunk: Trunk) -> None:
    """64 kB each way over IPv4 and IPv6: no frame is longer than a tagged one may be, every checksum is right."""
    for address in ("192.168.100.2", "2001:db8:100::2"):
        trunk.on("b", "python3 /root/onwire.py serve 7777 &")
        frames = trunk.watch("a", "em0", f"python3 /root/onwire.py call {address} 7777 65536")
        segments = [each for each in frames if each.get("protocol") == 6]
        assert {each["out"] for each in segments} == {True, False}
        assert all(each["tags"] == [[0x8100, 100, 0]] for each in segments)
        assert max(each["length"] for each in segments) == 1518
        wrong = [each for each in segments if not each["right"]]
        assert wrong == []


def test_a_vlan_in_a_jail_and_back(trunk: Trunk) -> None:
    trunk.on("a", "jail -c name=j vnet path=/ persist; ifconfig em0.100 vnet j")
    frames = trunk.watch(
        "a", "em0", "jexec j ifconfig em0.100 192.168.100.7/24; jexec j ping -c 2 -i 0.1 192.168.100.2"
    )
    packets = [each for each in frames if each.get("protocol") == 1]
    assert [(each["tags"], each["right"]) for each in packets] == [([[0x8100, 100, 0]], True)] * 4
    trunk.on("a", "jail -r j")
    assert "parent interface: em0" in trunk.on("a", "ifconfig em0.100").out
    back = "ifconfig em0.100 inet 192.168.100.1/24; ifconfig em0.100 inet6 2001:db8:100::1/64"
    trunk.on("a", back)
    assert trunk.pings("a", "192.168.100.2")
    assert trunk.pings("a", "2001:db8:100::2")


def test_a_parent_that_is_down_moves_or_goes(trunk: Trunk) -> None:
    assert trunk.pings("a", "192.168.100.2")
    down = trunk.lines["a"].type("ifconfig em0 down; ping -c 1 -t 1 192.168.100.2")
    assert down.err == "ping: sendto: Network is down\n", down
    assert "<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST>" in trunk.on("a", "ifconfig em0.100").out
    trunk.on("a", "ifconfig em0 up")
    assert trunk.pings("a", "192.168.100.2")

    trunk.on("a", "jail -c name=j vnet path=/ persist; ifconfig em1.5 create inet 10.5.0.1/24; ifconfig em1 vnet j")
    shown = trunk.on("a", "ifconfig em1.5").out
    assert "vlan: 0 vlanproto: 0x0000 vlanpcp: 0 parent interface: <none>" in shown
    assert "inet 10.5.0.1 " in shown
    trunk.on("a", "jail -r j; ifconfig em1.5 destroy; ifconfig epair0 create; ifconfig epair0a.5 create")
    trunk.on("a", "ifconfig epair0a destroy")
    assert "parent interface: <none>" in trunk.on("a", "ifconfig epair0a.5").out
    trunk.on("a", "ifconfig epair0a.5 destroy")


def test_a_vlan_as_a_member_of_a_bridge(trunk: Trunk) -> None:
    """A jail behind an epair and a bridge is in the VLAN, with an address and a MAC of its own."""
    make = """
        ifconfig bridge0 create up; ifconfig vlan7 create vlan 7 vlandev em0 up; ifconfig epair0 create
        ifconfig epair0a up; ifconfig bridge0 addm vlan7 addm epair0a
        jail -c name=j vnet path=/ persist; ifconfig epair0b vnet j; jexec j ifconfig epair0b 10.7.0.1/24
        jexec j ifconfig epair0b inet6 2001:db8:7::1/64
    """
    trunk.on("a", make)
    trunk.on("b", "ifconfig vlan7 create vlan 7 vlandev em0 inet 10.7.0.2/24; ifconfig vlan7 inet6 2001:db8:7::2/64")
    mac = re.search(r"ether (\S+)", trunk.on("a", "jexec j ifconfig epair0b").out)
    assert mac is not None
    frames = trunk.watch("a", "em0", "jexec j ping -c 2 -i 0.1 10.7.0.2; jexec j ping -c 2 -i 0.1 2001:db8:7::2")
    sent = [each for each in frames if each["out"]]
    assert {each["from"] for each in sent} == {mac[1]}
    assert all(each["tags"] == [[0x8100, 7, 0]] for each in frames)
    assert sum(each.get("protocol") == 1 and not each["out"] for each in frames) == 2
    trunk.on("a", "ifconfig vlan7 vlanpcp 1")
    assert trunk.pings("a", "10.7.0.2", jail="j")
    trunk.on("a", "jail -r j; ifconfig bridge0 destroy; ifconfig vlan7 destroy; ifconfig epair0a destroy")
    trunk.on("b", "ifconfig vlan7 destroy")


def test_a_parent_in_a_bridge(trunk: Trunk) -> None:
    """Tagged frames for others are the bridge's, those for the parent the vlan's, those for a group go to both."""
    trunk.on("a", "ifconfig bridge0 create up; ifconfig epair0 create; ifconfig epair0a up; ifconfig epair0b up")
    own = re.search(r"ether (\S+)", trunk.on("a", "ifconfig em0").out)
    assert own is not None
    for before in (True, False):
        join = "ifconfig bridge0 addm em0 addm epair0a"
        vlan = "ifconfig em0.8 create inet 10.8.0.1/24"
        trunk.on("a", f"{vlan}; {join}" if before else f"{join}; {vlan}")
        targets = (own[1], "02:00:00:00:00:77", "ff:ff:ff:ff:ff:ff")
        frames = (f"{each.replace(':', '')}0200000000998100000888b5" + "00" * 46 for each in targets)
        watch = "python3 /root/onwire.py watch em0.8,epair0b sh -c ': >/tmp/ready; cat /tmp/sent'"
        trunk.on("a", f"mkfifo /tmp/ready /tmp/sent /tmp/over; ({watch} >/tmp/frames; : >/tmp/over) & cat /tmp/ready")
        trunk.on("b", f"python3 /root/onwire.py send em0 {' '.join(frames)}")
        watched = _frames(
            trunk.on("a", ": >/tmp/sent; cat /tmp/over /tmp/frames; rm /tmp/ready /tmp/sent /tmp/over").out
        )
        ours = [each for each in watched if each["type"] == 0x88B5]
        seen = [[(each["to"], each["tags"]) for each in ours if each["on"] == name] for name in ("em0.8", "epair0b")]
        assert seen[0] == [(own[1], []), ("ff:ff:ff:ff:ff:ff", [])]
        assert seen[1] == [(each, [[0x8100, 8, 0]]) for each in ("02:00:00:00:00:77", "ff:ff:ff:ff:ff:ff")]
        trunk.on("b", "ifconfig em0.8 create inet 10.8.0.2/24")
        assert trunk.pings("a", "10.8.0.2")
        trunk.on("b", "ifconfig em0.8 destroy")
        trunk.on("a", "ifconfig bridge0 deletem em0 deletem epair0a; ifconfig em0.8 destroy")
    trunk.on("a", "ifconfig bridge0 destroy; ifconfig epair0a destroy")


def test_another_server_takes_vlans_over(trunk: Trunk) -> None:
    trunk.on("a", "jail -c name=j vnet path=/ persist; ifconfig em0.5 create; ifconfig em0.5 vnet j")
    trunk.on("a", "jexec j ifconfig em0.5 10.5.0.1/24")
    trunk.on("b", "ifconfig em0.5 create inet 10.5.0.2/24")
    kill(server(trunk.box))
    assert trunk.box.vjail("ls", LAB, timeout=_PATIENCE).code == 0
    assert trunk.pings("a", "10.5.0.2", jail="j")
    assert trunk.pings("a", "192.168.100.2")
    trunk.on("a", "ifconfig em0.100 vlanpcp 6; ifconfig em0.6 create inet 10.6.0.1/24")
    trunk.on("b", "ifconfig em0.6 create inet 10.6.0.2/24")
    frames = trunk.watch("a", "em0", "ping -c 2 -i 0.1 192.168.100.2; ping -c 2 -i 0.1 10.6.0.2")
    tags = [each["tags"] for each in frames if each.get("protocol") == 1 and each["out"]]
    assert tags == [[[0x8100, 100, 6]]] * 2 + [[[0x8100, 6, 0]]] * 2
    trunk.on("a", "jail -r j; ifconfig em0.5 destroy; ifconfig em0.6 destroy; ifconfig em0.100 vlanpcp 0")
    trunk.on("b", "ifconfig em0.5 destroy; ifconfig em0.6 destroy")
    assert trunk.pings("a", "192.168.100.2")


def test_nothing_is_left_of_vlans_that_are_gone(trunk: Trunk) -> None:
    def devices() -> str:
        return trunk.on("a", "cut -d: -f1 /proc/net/dev; tc qdisc show dev em1; tc filter show dev em1 ingress").out

    before = devices()
    trunk.on("a", "ifconfig em1.5 create up; ifconfig em1.6 create up; ifconfig em1.5 destroy")
    assert devices() != before
    trunk.on("a", "ifconfig em1.6 -vlandev; ifconfig em1.6 destroy")
    assert devices() == before


def test_mtus_of_vlans_and_of_bridges_with_vlans(trunk: Trunk) -> None:
    """Row E4: a vlan is no longer than its parent lets it, and a bridge takes members of one MTU only."""
    typed = """
        ifconfig em1.5 create; ifconfig em1.5 mtu 1501; ifconfig em1.5 mtu 1496; ifconfig bridge0 create
        ifconfig epair0 create; ifconfig bridge0 addm epair0a; ifconfig bridge0 addm em1.5; true
    """
    said = trunk.on("a", typed)
    refused = "ifconfig: ioctl SIOCSIFMTU (set mtu): Invalid argument\nifconfig: BRDGADD em1.5: Invalid argument\n"
    assert said.err == refused
    trunk.on("a", "ifconfig em1.5 mtu 1500; ifconfig bridge0 addm em1.5")
    assert "member: em1.5 " in trunk.on("a", "ifconfig bridge0").out
    trunk.on("a", "ifconfig bridge0 destroy; ifconfig em1.5 destroy; ifconfig epair0a destroy")
