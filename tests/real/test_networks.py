"""The networks that the documents draw, each an example's folder brought up as it is and shown with packets.

All are up side by side in one sandbox, and most of the time each waits for its pings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import cache
from pathlib import Path

import pytest
from sandbox import Sandbox
from side_by_side import Work, side_by_side
from talk import Talk, at, share, share_at_once

pytestmark = pytest.mark.real

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
_AT_ONCE = 11
"""Labs that are up side by side."""


def _up(box: Sandbox, lab: str) -> None:
    up = box.vjail("up", lab)
    assert up.code == 0, up.err


def _down(box: Sandbox, lab: str) -> None:
    down = box.vjail("down", lab)
    assert down.code == 0, down


def _reaches(box: Sandbox, lab: str, place: str, *addresses: str) -> list[bool]:
    """Which addresses answer a place."""
    talks = [Talk(place, address) for address in addresses]
    shares = share(box, lab, talks, count=2, seconds=2)
    return [shares[talk] == 1 for talk in talks]


# --- A1, twice --------------------------------------------------------------------------------------------------------


def two_hosts(box: Sandbox, lab: str) -> None:
    """A1's folder on each of two hosts: the same names and addresses, and neither notices the other."""
    _up(box, lab)
    ether = {}
    for host in ("one", "two"):
        assert _reaches(box, lab, f"{host}:jail_01", "10.0.0.2") == [True]
        said = at(box, lab, host, "kenv -q smbios.system.uuid; sysctl -n kern.hostuuid; jexec jail_01 ifconfig epair1a")
        ether[host] = said.out.splitlines()[0], re.findall(r"ether (\S+)", said.out)
    assert ether["one"] != ether["two"]
    stop = box.vjail("stop", "-p", lab, "one:jail_01", "one:jail_02")
    assert stop.code == 0, stop
    assert _reaches(box, lab, "two:jail_02", "10.0.0.1") == [True]
    assert "epair1a" in at(box, lab, "one", "ifconfig -l").out.split()
    _down(box, lab)


# --- C2, C3 -----------------------------------------------------------------------------------------------------------


def nic_in_jail(box: Sandbox, lab: str) -> None:
    """C2: what comes over the wire reaches the jail and not its host; the NIC comes home when the jail goes."""
    _up(box, lab)
    assert _reaches(box, lab, "client", "192.168.2.5", "2001:db8:2::5") == [True, True]
    # The host has no way to the wire, and what is sent to its own addresses over it nobody takes.
    at(box, lab, "client", "route add -net 192.168.1.0/24 192.168.2.5; route add -inet6 2001:db8:1::/64 2001:db8:2::5")
    assert _reaches(box, lab, "client", "192.168.1.3", "2001:db8:1::3") == [False, False]
    assert _reaches(box, lab, "serverC", "192.168.2.9", "2001:db8:2::9") == [False, False]
    assert at(box, lab, "serverC", "ifconfig -l").out == "em0 lo0\n"
    assert box.vjail("stop", "-p", lab, "serverA").code == 0
    assert at(box, lab, "serverC", "ifconfig -l").out == "em0 lo0 em1\n"
    # At home it has neither the jail's addresses nor UP.
    home = at(box, lab, "serverC", "ifconfig em1").out
    assert "inet" not in home, home
    assert "UP" not in home.splitlines()[0], home
    assert _reaches(box, lab, "client", "192.168.2.5", "2001:db8:2::5") == [False, False]
    assert box.vjail("start", "-p", lab, "serverA").code == 0
    assert _reaches(box, lab, "client", "192.168.2.5", "2001:db8:2::5") == [True, True]
    _down(box, lab)


_C3 = ("192.168.2.3", "192.168.2.5", "2001:db8:2::3", "2001:db8:2::5")
"""The host's address on the bridge and the jail's, in both families."""


def bridge_by_hand(box: Sandbox, lab: str) -> None:
    """C3 as commands: another machine on the wire reaches the jail and the host."""
    _up(box, lab)
    typed = box.vjail("shell", "-p", lab, "serverC", input=(EXAMPLES / lab / "commands").read_text())
    assert [line for line in typed.err.splitlines() if line.startswith("ifconfig: ")] == [], typed
    assert _reaches(box, lab, "client", *_C3) == [True] * 4
    assert _reaches(box, lab, "serverC:serverA", "192.168.2.9", "2001:db8:2::9") == [True] * 2
    _down(box, lab)


def bridge_as_printed(box: Sandbox, lab: str) -> None:
    """C3's rc.conf as it is printed never brings em0 up."""
    _up(box, lab)
    flags = re.findall(r"^(\w+): flags=\w+<(\S*)>", at(box, lab, "serverC", "ifconfig -a").out, re.MULTILINE)
    assert [name for name, found in flags if "UP" not in found.split(",")] == ["em0"]
    assert _reaches(box, lab, "client", *_C3) == [False] * 4
    mended = at(box, lab, "serverC", "ifconfig em0 up")
    assert mended.code == 0, mended
    assert _reaches(box, lab, "client", *_C3) == [True, True, False, True], "the printed bridge0 has no IPv6"
    _down(box, lab)


def bridge_mended(box: Sandbox, lab: str) -> None:
    """C3's rc.conf with em0 brought up."""
    _up(box, lab)
    assert _reaches(box, lab, "client", *_C3) == [True] * 4
    _down(box, lab)


# --- D1 to D4 ---------------------------------------------------------------------------------------------------------


def two_bridges(box: Sandbox, lab: str) -> None:
    """D1: one jail on two networks in two families, link-local addresses as the document has them too."""
    _up(box, lab)
    there = (
        "10.1.105.103",
        "10.1.106.103",
        "2001:db8:105::103",
        "2001:db8:106::103",
        "fe80::1:101%em1",
        "fe80::2:101%em2",
    )
    assert _reaches(box, lab, "machines", *there) == [True] * 6
    routes = at(box, lab, "JL-1:mweb01-php", "netstat -rn").out
    assert re.search(r"^default +10\.1\.105\.1 +UGS", routes, re.MULTILINE), routes
    assert re.search(r"^default +2001:db8:105::1 +UGS", routes, re.MULTILINE), routes
    assert box.vjail("stop", "-p", lab, "mweb01-php").code == 0
    assert at(box, lab, "JL-1", "ifconfig -l").out.split() == ["xn1", "xn2", "lo0", "bridge1", "bridge2"]
    assert "epair" not in at(box, lab, "JL-1", "ifconfig bridge1; ifconfig bridge2").out
    _down(box, lab)


def interfaces_in_one_string(box: Sandbox, lab: str) -> None:
    """D2: both names are one name, which nothing has; the epairs that prestart made are left."""
    up = box.vjail("up", "--keep", lab)
    assert up.code == 1, up
    assert (
        f"{lab}/jail.conf:14:20: mweb01-php: vnet.interface: ifconfig: interface epair11b epair12b does not" in up.err
    )
    assert {"epair11a", "epair12b"} <= set(at(box, lab, "fbsd", "ifconfig -l").out.split())
    assert at(box, lab, "fbsd", "jls jid").out == ""
    _down(box, lab)


def blackhole_in_start(box: Sandbox, lab: str) -> None:
    """D3: a blackhole needs an address of lo0's, which /etc/rc sets only later; without the line it can be added."""
    up = box.vjail("up", lab)
    assert up.code == 1, up
    assert "exec.start: add net default: gateway ::1 fib 0: Operation not supported" in up.err, up
    conf = box.folder / lab / "jail.conf"
    lines = conf.read_text().splitlines(keepends=True)
    conf.write_text("".join(line for line in lines if "route add -inet6" not in line))
    _up(box, lab)
    later = box.vjail(
        "exec", "-p", lab, "mweb01-php", "route", "add", "-inet6", "default", "-gateway", "::1", "-blackhole"
    )
    assert (later.code, later.out) == (0, "add net default: gateway ::1\n"), later
    _down(box, lab)


def delete_for_deletem(box: Sandbox, lab: str) -> None:
    """D4: `delete` is of addresses: the stop fails there, and its rest is done, the epairs are destroyed."""
    _up(box, lab)
    stop = box.vjail("stop", "-p", lab, "mweb01-php")
    assert stop.code == 1, stop
    assert "exec.poststop: ifconfig bridge1 delete epair11a: failed; `delete` is of addresses; `deletem` " in stop.err
    typed = at(box, lab, "fbsd", "ifconfig bridge1 delete epair11a")
    assert (typed.code, typed.err) == (1, "ifconfig: epair11a: bad value\n"), typed
    assert at(box, lab, "fbsd", "ifconfig -l").out.split() == ["xn1", "xn2", "lo0", "bridge1", "bridge2"]
    _down(box, lab)


# --- D5 ---------------------------------------------------------------------------------------------------------------

_LAST = {"JL-1": "11", "JL-2": "12", "JL-1:j-1": "101", "JL-2:j-2": "102"}
_PAIRS = (("JL-1:j-1", "JL-2:j-2"), ("JL-1", "JL-2"), ("JL-1", "JL-2:j-2"), ("JL-2", "JL-1:j-1"))
_NETS = {4: "10.1.{}.{}", 6: "2001:db8:{}::{}"}
_BY_LINK = """\
ifconfig bridge1 link 02:00:00:00:01:02; ifconfig bridge2 link 02:00:00:00:02:02
ifconfig epair11a link 02:00:00:00:11:0a; ifconfig epair12a link 02:00:00:00:12:0a
jexec j-2 ifconfig epair11b link 02:00:00:00:11:0b; jexec j-2 ifconfig epair12b link 02:00:00:00:12:0b
"""
_FORGET = "arp -d -a; ndp -c; jexec {0} arp -d -a; jexec {0} ndp -c"
_ANEW = """\
service jail stop; service hostid reset
for n in 1 2; do ifconfig bridge$n destroy; ifconfig bridge$n create; ifconfig bridge$n addm xn$n up; done
service jail start
"""


def _table(box: Sandbox, lab: str) -> dict[int, str]:
    """The document's table, for each family: its eight lines in order, ○ where nothing is lost in either direction.

    All talk at the same time, as the machines of a network do; a line of the document is two here, one each way.
    """
    lines = [
        (family, Talk(a, _NETS[family].format(net, _LAST[b])), Talk(b, _NETS[family].format(net, _LAST[a])))
        for family in _NETS
        for a, b in _PAIRS
        for net in (105, 106)
    ]
    shares = share_at_once(box, lab, [talk for _, *both in lines for talk in both], seconds=3)
    table = dict.fromkeys(_NETS, "")
    for family, *both in lines:
        table[family] += "○" if all(shares[talk] == 1 for talk in both) else "✗"
    return table


def _learn_anew(box: Sandbox, lab: str) -> None:
    """Let all forget which MAC is whose and where, and the switches hear all of them once."""
    for host, jail in (("JL-1", "j-1"), ("JL-2", "j-2")):
        assert at(box, lab, host, _FORGET.format(jail)).code == 0
    share(box, lab, [Talk(a, f"10.1.{net}.{_LAST[b]}") for a, b in _PAIRS for net in (105, 106)], count=1, seconds=1)


def _ethers(box: Sandbox, lab: str, host: str) -> list[str]:
    """The MACs of a host's bridges and epairs, its jail's too."""
    said = at(box, lab, host, "for i in bridge1 bridge2 epair11a epair12a; do ifconfig $i; done; jexec 1 ifconfig -a")
    return re.findall(r"^\tether (\S+)", said.out, re.MULTILINE)


def one_hostid(box: Sandbox, lab: str) -> None:
    """D5: a cloned host makes the MACs of the one it is a clone of; they are told apart by a new hostid, or by hand."""
    _up(box, lab)
    assert _ethers(box, lab, "JL-1") == _ethers(box, lab, "JL-2")
    assert len(set(_ethers(box, lab, "JL-1"))) == 6
    printed = "✗✗○○✗✗✗✗"
    assert _table(box, lab) == {4: printed, 6: printed}
    assert at(box, lab, "JL-2", _BY_LINK).err == ""
    _learn_anew(box, lab)
    assert _table(box, lab) == {4: "○" * 8, 6: "○" * 8}
    anew = at(box, lab, "JL-2", _ANEW)
    assert not set(_ethers(box, lab, "JL-1")) & set(_ethers(box, lab, "JL-2")), anew
    _learn_anew(box, lab)
    assert _table(box, lab) == {4: "○" * 8, 6: "○" * 8}
    _down(box, lab)


# --- E4 ---------------------------------------------------------------------------------------------------------------


def bridge_and_mtu(box: Sandbox, lab: str) -> None:
    """E4: a member of another MTU is refused, be it an epair or a vlan."""
    _up(box, lab)
    typed = box.vjail("shell", "-p", lab, input=(EXAMPLES / lab / "commands").read_text())
    assert [line for line in typed.err.splitlines() if line.startswith("ifconfig: ")] == [
        "ifconfig: BRDGADD epair0a: Invalid argument",
        "ifconfig: ioctl SIOCSIFMTU (set mtu): Invalid argument",
        "ifconfig: BRDGADD vlan100: Invalid argument",
    ], typed
    assert re.findall(r"^\tmember: (\w+)", typed.out, re.MULTILINE) == ["epair0a", "vlan100", "em0"], typed
    _down(box, lab)


# --- all of them ------------------------------------------------------------------------------------------------------

_SHOWN: Mapping[str, Work] = {
    "A1-on-two-hosts": two_hosts,
    "C2-nic-in-jail": nic_in_jail,
    "C3-bridge-by-hand": bridge_by_hand,
    "C3-rc-conf-as-printed": bridge_as_printed,
    "C3-rc-conf-mended": bridge_mended,
    "D1-two-bridges": two_bridges,
    "D2-interfaces-in-one-string": interfaces_in_one_string,
    "D3-blackhole-in-start": blackhole_in_start,
    "D4-delete-for-deletem": delete_for_deletem,
    "D5-one-hostid": one_hostid,
    "E4-bridge-and-mtu": bridge_and_mtu,
}
_LONGEST_FIRST = sorted(_SHOWN, key=lambda lab: lab != "D5-one-hostid")


@pytest.fixture(scope="module")
def shown(program: Path) -> Callable[[int], Mapping[str, Future[None]]]:
    """What became of each example, for a user."""

    @cache
    def show(uid: int) -> Mapping[str, Future[None]]:
        return side_by_side(program, uid, {lab: _SHOWN[lab] for lab in _LONGEST_FIRST}, _AT_ONCE)

    return show


@pytest.mark.parametrize("lab", _SHOWN)
def test_network(lab: str, uid: int, shown: Callable[[int], Mapping[str, Future[None]]]) -> None:
    shown(uid)[lab].result()
