"""`vjail ls` of labs made by hand: every kind of joint and state, and the same as data."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from vjail.kernel.conditions import Conditions
from vjail.kernel.observed import (
    Bridge,
    Iff,
    Inet,
    Inet6,
    Interface,
    Kind,
    Member,
    MemberFlag,
    Vlan,
)
from vjail.view.text import as_text
from vjail.view.topology import HostView, JailView, LabView, Stack, as_json

MASK = IPv4Address("255.255.255.0")
LO0 = Interface(
    "lo0",
    1,
    Kind.LOOPBACK,
    Iff.UP | Iff.LOOPBACK,
    16384,
    addresses=(
        Inet6(IPv6Address("::1"), 128),
        Inet6(IPv6Address("fe80::1"), 64),
        Inet(IPv4Address("127.0.0.1"), IPv4Address("255.0.0.0")),
    ),
    drivername="lo0",
)
PFLOG = Interface("pflog0", 9, Kind.PFLOG, Iff(0), 33160, drivername="pflog0")
MAC = bytes.fromhex("021122334455")


def epair(name: str, unit: str, *addresses: Inet | Inet6, up: bool = True) -> Interface:
    return Interface(
        name,
        2,
        Kind.EPAIR,
        Iff.UP if up else Iff(0),
        1500,
        lladdr=MAC,
        groups=("epair",),
        addresses=addresses,
        drivername=unit,
    )


def inet(text: str) -> Inet:
    return Inet(IPv4Address(text), MASK)


def jail(jid: int, name: str, *interfaces: Interface, state: str = "active", processes: int = 2) -> JailView:
    return JailView(jid, name, f"/jails/{name}", f"{name}.example", state, processes, Stack((LO0, *interfaces)))


LINK_LOCAL = Inet6(IPv6Address("fe80::11:22ff:fe33:4455"), 64)
"""What EUI-64 makes of MAC."""
VTNET0 = Interface(
    "vtnet0", 1, Kind.NIC, Iff.UP, 1500, lladdr=MAC, addresses=(inet("192.168.7.1"), LINK_LOCAL), drivername="vtnet0"
)
BRIDGE = Interface(
    "bridge0",
    3,
    Kind.BRIDGE,
    Iff.UP,
    1500,
    lladdr=MAC,
    bridge=Bridge(tuple(Member(name, MemberFlag.LEARNING, 1) for name in ("epair1a", "vtnet0"))),
    drivername="bridge0",
)
VLAN = Interface("vlan100", 4, Kind.VLAN, Iff(0), 1500, lladdr=MAC, vlan=Vlan(100, "vtnet0", 0), drivername="vlan100")

A = HostView(
    "a",
    "13",
    Stack((VTNET0, LO0, PFLOG, BRIDGE, VLAN, epair("epair1a", "epair1"), epair("home", "epair3", up=False))),
    (
        jail(1, "web", epair("epair1b", "epair1", inet("10.1.0.2"), Inet6(IPv6Address("2001:db8::2"), 64))),
        jail(2, "left", epair("epair2a", "epair2", inet("10.2.0.1")), processes=1),
        jail(3, "right", epair("epair2b", "epair2", inet("10.2.0.2")), state="idle", processes=0),
        JailView(4, "shared", "/", "shared", "active", 12, None, None, ("127.0.0.2", "::2")),
        JailView(5, "left.all", "/x", "", "idle", 0, None, "left", None),
        JailView(6, "none", "/none", "", "idle", 0, None, None, ()),
        JailView(7, "gone", "/gone", "", "dying", 0, None),
        JailView(0, "off", "/jails/off", "off", "stopped", 0, None),
    ),
    {"vtnet0": "w0"},
)
B = HostView("b", "15", Stack((replace(VTNET0, addresses=()), LO0)), (), {"vtnet0": "w0"})
LAB = LabView("two", "/labs/two", (A, B))

TEXT = """\
a  FreeBSD 13
├─ vtnet0      up    192.168.7.1/24  wire w0 ⇄ b vtnet0, in bridge0
├─ bridge0     up    -               bridges epair1a, vtnet0
├─ vlan100     down  -               vlan 100 on vtnet0
├─ epair1a     up    -               ⇄ web epair1b, in bridge0
├─ home        down  -
├─ web       jid 1  vnet                   2 processes   /jails/web
│  └─ epair1b  up    10.1.0.2/24     ⇄ a epair1a
│                    2001:db8::2/64
├─ left      jid 2  vnet                   1 process     /jails/left
│  └─ epair2a  up    10.2.0.1/24     ⇄ right epair2b
├─ right     jid 3  vnet                   idle          /jails/right
│  └─ epair2b  up    10.2.0.2/24     ⇄ left epair2a
├─ shared    jid 4  127.0.0.2 ::2          12 processes  /
├─ left.all  jid 5  all addresses of left  idle          /x
├─ none      jid 6  no address             idle          /none
├─ gone      jid 7  -                      dying         /gone
└─ off       -      -                      stopped       /jails/off
b  FreeBSD 15
└─ vtnet0  up  -  wire w0 ⇄ a vtnet0
"""


def test_a_lab_for_people() -> None:
    assert as_text(LAB) == TEXT
    assert max(len(line) for line in TEXT.splitlines()) <= 80


def test_what_frames_meet_on_a_wire() -> None:
    lab = replace(LAB, cut={"w0"}, conditions={"w0": Conditions(20_000_000, 5_000, 10_000_000)})
    assert "wire w0 (cut, 20 ms, 0.5 % loss, 10 Mbit/s) ⇄ a vtnet0\n" in as_text(lab)
    wires = as_json(lab)["wires"]
    assert isinstance(wires, dict)
    found = {name: wires["w0"][name] for name in ("cut", "delay", "loss", "rate")}
    assert found == {"cut": True, "delay": 20_000_000, "loss": 5_000, "rate": 10_000_000}


def test_everything_of_a_host() -> None:
    assert as_text(LabView("one", "/one", (B,)), everything=True) == (
        "b  FreeBSD 15\n"
        "├─ vtnet0  up  02:11:22:33:44:55  mtu 1500   -               wire w0\n"
        "└─ lo0     up  -                  mtu 16384  ::1/128\n"
        "                                             fe80::1%lo0/64\n"
        "                                             127.0.0.1/8\n"
    )


def test_lo0_is_shown_for_what_only_it_has() -> None:
    more = replace(LO0, addresses=(*LO0.addresses, inet("127.0.1.1")))
    host = replace(B, stack=Stack((more,)), nics={})
    assert as_text(LabView("one", "/one", (host,))) == "b  FreeBSD 15\n└─ lo0  up  127.0.1.1/24\n"


@pytest.mark.parametrize(
    ("count", "shown"), [(3, "bridges e0a, e1a, e2a"), (4, "bridges 4 interfaces"), (0, "bridges nothing")]
)
def test_many_members_are_counted(count: int, shown: str) -> None:
    members = tuple(Member(f"e{unit}a", MemberFlag.LEARNING, unit) for unit in range(count))
    host = replace(B, stack=Stack((replace(BRIDGE, bridge=Bridge(members)),)), nics={})
    assert as_text(LabView("one", "/one", (host,))) == f"b  FreeBSD 15\n└─ bridge0  up  -  {shown}\n"


def test_a_lab_as_data() -> None:
    data = as_json(LAB)
    assert set(data) == {"lab", "path", "hosts", "wires"}
    plugs = [{"host": "a", "nic": "vtnet0", "cut": False}, {"host": "b", "nic": "vtnet0", "cut": False}]
    assert data["wires"] == {"w0": {"cut": False, "nic": None, "delay": 0, "loss": 0, "rate": 0, "plugs": plugs}}
    hosts = data["hosts"]
    assert isinstance(hosts, list)
    a = hosts[0]
    assert set(a) == {"host", "freebsd", "interfaces", "jails"}
    by_name = {each["name"]: each for each in a["interfaces"]}
    assert by_name["vtnet0"] == {
        "name": "vtnet0",
        "kind": "nic",
        "up": True,
        "mac": "02:11:22:33:44:55",
        "mtu": 1500,
        "addresses": ["192.168.7.1/24", "fe80::11:22ff:fe33:4455%vtnet0/64"],
        "groups": [],
        "bridge": "bridge0",
        "wire": "w0",
    }
    assert by_name["epair1a"]["peer"] == {"jail": "web", "name": "epair1b"}
    assert by_name["home"]["peer"] is None
    assert by_name["vlan100"]["vlan"] == {"tag": 100, "parent": "vtnet0"}
    assert by_name["bridge0"]["members"] == ["epair1a", "vtnet0"]
    jails = {each["name"]: each for each in a["jails"]}
    assert jails["web"]["interfaces"][1]["peer"] == {"jail": None, "name": "epair1a"}
    assert jails["shared"] == {
        "jid": 4,
        "name": "shared",
        "path": "/",
        "hostname": "shared",
        "state": "active",
        "processes": 12,
        "vnet": False,
        "shares": None,
        "addresses": ["127.0.0.2", "::2"],
    }
    assert (jails["left.all"]["shares"], jails["left.all"]["addresses"]) == ("left", None)
    assert (jails["off"]["jid"], jails["off"]["state"]) == (None, "stopped")
    assert "addresses" not in jails["off"]
