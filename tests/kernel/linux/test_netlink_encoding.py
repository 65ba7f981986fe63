"""rtnetlink against pyroute2: requests are its own byte for byte, what it builds is read here as it was meant.

One bit is left out: it marks attributes that hold attributes, and pyroute2 sets it for few.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from pyroute2.netlink import nlmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from vjail.kernel.linux import links, routes
from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.netlink import Message, Request
from vjail.kernel.linux.routes import KernelRoute

A, B, C = (bytes((2, 0, 0, 0, 0, number)) for number in (10, 11, 12))
MAC = {A: "02:00:00:00:00:0a", B: "02:00:00:00:00:0b", C: "02:00:00:00:00:0c"}
V4, V4_NET, V4_PEER = IPv4Address("192.0.2.1"), IPv4Network("192.0.2.0/25"), IPv4Address("192.0.2.9")
V6, V6_NET = IPv6Address("2001:db8::1"), IPv6Network("2001:db8:9::/48")
CREATE, REPLACE = nl.NLM_F_CREATE | nl.NLM_F_EXCL, nl.NLM_F_CREATE | nl.NLM_F_REPLACE
BRIDGE = links.bridge_settings(ageing=1200, priority=4096, stp=True, fwddelay=15, hellotime=2, maxage=20)
PORT = links.port_settings(learning=True, discover=False, private=True, priority=128, cost=2000)
HEADER: dict[type[nlmsg], int] = {ifinfmsg: 16, ifaddrmsg: 8, rtmsg: 12, ndmsg: 12}
"""Bytes of each family's header."""
_MARK = 0x8000
Attributes = list[tuple[str, Any]]


@dataclass(frozen=True)
class Case:
    """A request, and what it is to be: message class, type, flags, fields of the header, attributes."""

    name: str
    ours: Request
    message: type[nlmsg]
    kind: int
    flags: int = 0
    fields: dict[str, Any] = field(default_factory=dict)
    attributes: Attributes = field(default_factory=list)


def attrs(*pairs: tuple[str, Any]) -> dict[str, Attributes]:
    return {"attrs": list(pairs)}


def info(kind: str, *data: tuple[str, Any]) -> tuple[str, Any]:
    return "IFLA_LINKINFO", attrs(("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", attrs(*data)))


BRIDGE_DATA = (
    ("IFLA_BR_AGEING_TIME", 120000),
    ("IFLA_BR_PRIORITY", 4096),
    ("IFLA_BR_STP_STATE", 1),
    ("IFLA_BR_FORWARD_DELAY", 1500),
    ("IFLA_BR_HELLO_TIME", 200),
    ("IFLA_BR_MAX_AGE", 2000),
    ("IFLA_BR_MCAST_SNOOPING", 0),
    ("IFLA_BR_GROUP_FWD_MASK", 0xFFF8),
)
LINKS = [
    Case(
        "an epair in its two vnets",
        links.new_veth(("epair1a", A), ("epair1b", B), 1500, namespaces=(None, 7)),
        ifinfmsg,
        nl.RTM_NEWLINK,
        CREATE,
        {},
        [
            ("IFLA_IFNAME", "epair1a"),
            ("IFLA_ADDRESS", MAC[A]),
            ("IFLA_MTU", 1500),
            info(
                "veth",
                (
                    "VETH_INFO_PEER",
                    attrs(
                        ("IFLA_IFNAME", "epair1b"),
                        ("IFLA_ADDRESS", MAC[B]),
                        ("IFLA_MTU", 1500),
                        ("IFLA_NET_NS_FD", 7),
                    ),
                ),
            ),
        ],
    ),
    Case(
        "a bridge",
        links.new_bridge("bridge0", C, BRIDGE),
        ifinfmsg,
        nl.RTM_NEWLINK,
        CREATE,
        {},
        [("IFLA_IFNAME", "bridge0"), ("IFLA_ADDRESS", MAC[C]), info("bridge", *BRIDGE_DATA)],
    ),
    Case(
        "a bridge's numbers",
        links.configure_bridge(5, BRIDGE),
        ifinfmsg,
        nl.RTM_NEWLINK,
        0,
        {"index": 5},
        [info("bridge", *BRIDGE_DATA)],
    ),
    Case(
        "a bridge's member",
        links.configure_port(6, PORT),
        ifinfmsg,
        nl.RTM_SETLINK,
        0,
        {"family": 7, "index": 6},
        [
            (
                "IFLA_PROTINFO",
                attrs(
                    ("IFLA_BRPORT_LEARNING", 1),
                    ("IFLA_BRPORT_UNICAST_FLOOD", 0),
                    ("IFLA_BRPORT_ISOLATED", 1),
                    ("IFLA_BRPORT_PRIORITY", 32),
                    ("IFLA_BRPORT_LOCKED", 0),
                    ("IFLA_BRPORT_COST", 2000),
                ),
            )
        ],
    ),
    *(
        Case(
            f"a vlan, {proto:#x}, priority {pcp}",
            links.new_vlan("vlan100", 4, 100, proto, pcp),
            ifinfmsg,
            nl.RTM_NEWLINK,
            CREATE,
            {},
            [
                ("IFLA_IFNAME", "vlan100"),
                ("IFLA_LINK", 4),
                info(
                    "vlan",
                    ("IFLA_VLAN_ID", 100),
                    ("IFLA_VLAN_PROTOCOL", proto),
                    ("IFLA_VLAN_FLAGS", {"flags": 4, "mask": 4}),
                    (
                        "IFLA_VLAN_EGRESS_QOS",
                        attrs(*(("IFLA_VLAN_QOS_MAPPING", {"from": each, "to": pcp}) for each in range(16))),
                    ),
                ),
            ],
        )
        for proto, pcp in ((0x8100, 0), (0x88A8, 5))
    ),
    Case("destroy", links.delete(3), ifinfmsg, nl.RTM_DELLINK, 0, {"index": 3}),
    Case("down", links.set_flags(3, 0, 1), ifinfmsg, nl.RTM_NEWLINK, 0, {"index": 3, "flags": 0, "change": 1}),
    Case(
        "up, without ARP",
        links.set_flags(3, 0x81, 0x81),
        ifinfmsg,
        nl.RTM_NEWLINK,
        0,
        {"index": 3, "flags": 0x81, "change": 0x81},
    ),
    Case("name", links.rename(3, "uplink0"), ifinfmsg, nl.RTM_SETLINK, 0, {"index": 3}, [("IFLA_IFNAME", "uplink0")]),
    Case("mtu", links.set_mtu(3, 1400), ifinfmsg, nl.RTM_NEWLINK, 0, {"index": 3}, [("IFLA_MTU", 1400)]),
    Case("ether", links.set_address(3, B), ifinfmsg, nl.RTM_NEWLINK, 0, {"index": 3}, [("IFLA_ADDRESS", MAC[B])]),
    Case("addm", links.set_master(3, 5), ifinfmsg, nl.RTM_NEWLINK, 0, {"index": 3}, [("IFLA_MASTER", 5)]),
    Case(
        "vnet",
        links.move(3, 9, "epair1b"),
        ifinfmsg,
        nl.RTM_NEWLINK,
        0,
        {"index": 3},
        [("IFLA_NET_NS_FD", 9), ("IFLA_IFNAME", "epair1b")],
    ),
]


def inet(prefixlen: int, scope: int = 0) -> dict[str, Any]:
    return {"family": socket.AF_INET, "prefixlen": prefixlen, "flags": 0x80, "scope": scope, "index": 3}


ADDRESSES = [
    Case(
        "inet",
        links.add_inet(3, V4, 25, broadcast=IPv4Address("192.0.2.127")),
        ifaddrmsg,
        nl.RTM_NEWADDR,
        CREATE,
        inet(25),
        [("IFA_LOCAL", str(V4)), ("IFA_ADDRESS", str(V4)), ("IFA_BROADCAST", "192.0.2.127")],
    ),
    Case(
        "inet, to a peer",
        links.add_inet(3, V4, 32, peer=V4_PEER),
        ifaddrmsg,
        nl.RTM_NEWADDR,
        CREATE,
        inet(32),
        [("IFA_LOCAL", str(V4)), ("IFA_ADDRESS", str(V4_PEER))],
    ),
    Case(
        "inet of a loopback",
        links.add_inet(3, IPv4Address("127.0.0.1"), 8),
        ifaddrmsg,
        nl.RTM_NEWADDR,
        CREATE,
        inet(8, 254),
        [("IFA_LOCAL", "127.0.0.1"), ("IFA_ADDRESS", "127.0.0.1")],
    ),
    Case(
        "inet, deleted",
        links.remove_inet(3, V4, 25),
        ifaddrmsg,
        nl.RTM_DELADDR,
        0,
        inet(25),
        [("IFA_LOCAL", str(V4)), ("IFA_ADDRESS", str(V4))],
    ),
    Case(
        "inet6",
        links.add_inet6(3, V6, 64),
        ifaddrmsg,
        nl.RTM_NEWADDR,
        REPLACE,
        {"family": socket.AF_INET6, "prefixlen": 64, "index": 3},
        [("IFA_LOCAL", str(V6)), ("IFA_ADDRESS", str(V6)), ("IFA_FLAGS", 0x82)],
    ),
    Case(
        "inet6, deleted",
        links.remove_inet6(3, V6, 64),
        ifaddrmsg,
        nl.RTM_DELADDR,
        0,
        {"family": socket.AF_INET6, "prefixlen": 64, "index": 3},
        [("IFA_LOCAL", str(V6)), ("IFA_ADDRESS", str(V6))],
    ),
]

UNICAST, BLACKHOLE, UNREACHABLE, STATIC = 1, 6, 7, 4
V4_ROUTE = KernelRoute(V4_NET, V4_PEER, 3, UNICAST, STATIC, 0)
V4_BLACKHOLE = KernelRoute(IPv4Network("172.22.0.0/16"), None, 0, BLACKHOLE, STATIC, 0)
V4_LINK = KernelRoute(IPv4Network("172.20.0.0/16"), None, 3, UNICAST, STATIC, 0, 1400)
V6_ROUTE = KernelRoute(V6_NET, V6, 3, UNICAST, STATIC, 1024)
V6_REJECT = KernelRoute(IPv6Network("::/0"), None, 1, UNREACHABLE, STATIC, 1024)


def route(family: int, length: int, kind: int, scope: int = 0) -> dict[str, Any]:
    return {"family": family, "dst_len": length, "table": 254, "proto": STATIC, "scope": scope, "type": kind}


ROUTES = [
    Case(
        "a route",
        routes.add(V4_ROUTE),
        rtmsg,
        nl.RTM_NEWROUTE,
        nl.NLM_F_CREATE | nl.NLM_F_APPEND,
        route(socket.AF_INET, 25, UNICAST),
        [("RTA_DST", "192.0.2.0"), ("RTA_OIF", 3), ("RTA_GATEWAY", str(V4_PEER))],
    ),
    Case(
        "a route, deleted",
        routes.delete(V4_ROUTE),
        rtmsg,
        nl.RTM_DELROUTE,
        0,
        route(socket.AF_INET, 25, UNICAST),
        [("RTA_DST", "192.0.2.0"), ("RTA_OIF", 3), ("RTA_GATEWAY", str(V4_PEER))],
    ),
    Case(
        "-blackhole",
        routes.add(V4_BLACKHOLE),
        rtmsg,
        nl.RTM_NEWROUTE,
        nl.NLM_F_CREATE | nl.NLM_F_APPEND,
        route(socket.AF_INET, 16, BLACKHOLE),
        [("RTA_DST", "172.22.0.0")],
    ),
    Case(
        "-interface, with an MTU",
        routes.add(V4_LINK),
        rtmsg,
        nl.RTM_NEWROUTE,
        nl.NLM_F_CREATE | nl.NLM_F_APPEND,
        route(socket.AF_INET, 16, UNICAST, 253),
        [("RTA_DST", "172.20.0.0"), ("RTA_OIF", 3), ("RTA_METRICS", attrs(("RTAX_MTU", 1400)))],
    ),
    Case(
        "an IPv6 route",
        routes.add(V6_ROUTE),
        rtmsg,
        nl.RTM_NEWROUTE,
        nl.NLM_F_CREATE | nl.NLM_F_APPEND,
        route(socket.AF_INET6, 48, UNICAST),
        [("RTA_DST", "2001:db8:9::"), ("RTA_OIF", 3), ("RTA_GATEWAY", str(V6)), ("RTA_PRIORITY", 1024)],
    ),
    Case(
        "an IPv6 default, -reject",
        routes.add(V6_REJECT),
        rtmsg,
        nl.RTM_NEWROUTE,
        nl.NLM_F_CREATE | nl.NLM_F_APPEND,
        route(socket.AF_INET6, 0, UNREACHABLE),
        [("RTA_OIF", 1), ("RTA_PRIORITY", 1024)],
    ),
]

NEIGHBOURS = [
    Case(
        "arp -s",
        links.add_neighbour(3, V4, A),
        ndmsg,
        nl.RTM_NEWNEIGH,
        REPLACE,
        {"family": socket.AF_INET, "ifindex": 3, "state": 0x80},
        [("NDA_DST", str(V4)), ("NDA_LLADDR", MAC[A])],
    ),
    Case(
        "ndp -d",
        links.delete_neighbour(3, V6),
        ndmsg,
        nl.RTM_DELNEIGH,
        0,
        {"family": socket.AF_INET6, "ifindex": 3},
        [("NDA_DST", str(V6))],
    ),
    Case(
        "bridge0 static",
        links.add_forwarding(3, A),
        ndmsg,
        nl.RTM_NEWNEIGH,
        REPLACE,
        {"family": 7, "ifindex": 3, "state": 0x40, "flags": 4},
        [("NDA_LLADDR", MAC[A])],
    ),
    Case(
        "bridge0 deladdr",
        links.delete_forwarding(3, A),
        ndmsg,
        nl.RTM_DELNEIGH,
        0,
        {"family": 7, "ifindex": 3, "flags": 4},
        [("NDA_LLADDR", MAC[A])],
    ),
]


def theirs(message: type[nlmsg], fields: dict[str, Any], attributes: Attributes) -> bytes:
    """The body of a message as pyroute2 builds it."""
    built = message()
    built.update(fields)
    built["attrs"] = attributes
    built.encode()
    return bytes(built.data[16:])


def unmarked(body: bytes, header: int) -> bytes:
    """A body without the mark of attributes that hold attributes; `header`: bytes before the first."""
    done, at = body[:header], header
    while at < len(body):
        length, kind = struct.unpack_from("=HH", body, at)
        value = body[at + 4 : at + length]
        if kind & _MARK:
            # What a veth's other end is to be begins with a header.
            value = unmarked(value, HEADER[ifinfmsg] if value[:16] == bytes(16) else 0)
        done += struct.pack("=HH", length, kind & ~_MARK) + value + b"\0" * (-length % 4)
        at += (length + 3) & ~3
    return done


@pytest.mark.parametrize("case", [*LINKS, *ADDRESSES, *ROUTES, *NEIGHBOURS], ids=lambda case: case.name)
def test_a_request_is_what_pyroute2_builds(case: Case) -> None:
    body = unmarked(case.ours.body, HEADER[case.message])
    assert body.hex(" ", 4) == theirs(case.message, case.fields, case.attributes).hex(" ", 4)
    assert (case.ours.kind, case.ours.flags) == (case.kind, case.flags)


def test_a_description_is_read_by_pyroute2() -> None:
    # It ends the text with a zero byte, which the kernel does not ask for.
    body = links.set_alias(3, "uplink of jail_01").body
    message = ifinfmsg(struct.pack("=IHHII", 16 + len(body), nl.RTM_NEWLINK, 0, 1, 0) + body)
    message.decode()
    assert (message["index"], message.get_attr("IFLA_IFALIAS")) == (3, "uplink of jail_01")


# --- reading ----------------------------------------------------------------------------------------------------------


def reply(message: type[nlmsg], kind: int, fields: dict[str, Any], *attributes: tuple[str, Any]) -> Message:
    return Message(kind, theirs(message, fields, list(attributes)))


def test_a_link_is_read_as_pyroute2_wrote_it() -> None:
    message = reply(
        ifinfmsg,
        nl.RTM_NEWLINK,
        {"index": 5, "flags": 0x1043},
        ("IFLA_IFNAME", "epair1a"),
        ("IFLA_MTU", 1400),
        ("IFLA_MASTER", 9),
        ("IFLA_ADDRESS", MAC[A]),
        info("veth"),
    )
    assert links.read_link(message) == links.Link(5, "epair1a", 0x1043, 1400, A, "veth", 9)


def test_the_other_end_of_a_veth_is_asked_for_where_it_is() -> None:
    far = reply(
        ifinfmsg, nl.RTM_NEWLINK, {"index": 2}, ("IFLA_IFNAME", "vtnet0"), ("IFLA_LINK", 9), ("IFLA_LINK_NETNSID", 3)
    )
    assert links.get_other_end(far) == (
        nl.RTM_GETLINK,
        # IFLA_TARGET_NETNSID had this name at first.
        theirs(ifinfmsg, {"index": 9}, [("IFLA_IF_NETNSID", 3)]),
    )
    near = reply(ifinfmsg, nl.RTM_NEWLINK, {"index": 2}, ("IFLA_IFNAME", "epair1a"), ("IFLA_LINK", 9))
    assert links.get_other_end(near) is None


ADDRESS_REPLIES = [
    (
        {"family": socket.AF_INET, "prefixlen": 24, "index": 3},
        [("IFA_ADDRESS", "10.0.0.1"), ("IFA_LOCAL", "10.0.0.1"), ("IFA_BROADCAST", "10.0.0.255")],
        links.LinkAddress(3, IPv4Address("10.0.0.1"), 24, IPv4Address("10.0.0.255")),
    ),
    (
        {"family": socket.AF_INET, "prefixlen": 32, "index": 3},
        [("IFA_ADDRESS", "10.0.0.9"), ("IFA_LOCAL", "10.0.0.1")],
        links.LinkAddress(3, IPv4Address("10.0.0.1"), 32, None, IPv4Address("10.0.0.9")),
    ),
    (
        {"family": socket.AF_INET6, "prefixlen": 64, "index": 3},
        [("IFA_ADDRESS", "2001:db8::1")],
        links.LinkAddress(3, IPv6Address("2001:db8::1"), 64),
    ),
    ({"family": socket.AF_PACKET, "prefixlen": 0, "index": 3}, [], None),
]


@pytest.mark.parametrize(("fields", "attributes", "read"), ADDRESS_REPLIES)
def test_an_address_is_read_as_pyroute2_wrote_it(
    fields: dict[str, Any], attributes: Attributes, read: links.LinkAddress | None
) -> None:
    assert links.read_address(reply(ifaddrmsg, nl.RTM_NEWADDR, fields, *attributes)) == read


def test_a_neighbour_is_read_as_pyroute2_wrote_it() -> None:
    times = {"ndm_confirmed": 1, "ndm_used": 2, "ndm_updated": 300, "ndm_refcnt": 0}
    message = reply(
        ndmsg,
        nl.RTM_NEWNEIGH,
        {"family": socket.AF_INET, "ifindex": 3, "state": links.NUD_REACHABLE},
        ("NDA_DST", "10.0.0.9"),
        ("NDA_LLADDR", MAC[B]),
        ("NDA_CACHEINFO", times),
    )
    assert links.read_entry(message) == links.Entry(3, IPv4Address("10.0.0.9"), B, links.NUD_REACHABLE, 0, 300)


@pytest.mark.parametrize("built", [V4_ROUTE, V4_BLACKHOLE, V4_LINK, V6_ROUTE, V6_REJECT])
def test_a_route_is_read_as_pyroute2_wrote_it(built: KernelRoute) -> None:
    case = next(case for case in ROUTES if case.ours == routes.add(built))
    body = theirs(rtmsg, case.fields, case.attributes)
    assert list(routes.read_message(Message(nl.RTM_NEWROUTE, body))) == [built]


def test_each_way_of_a_route_of_several_is_read() -> None:
    hops = [
        {"hops": 0, "flags": 0, "oif": 3, "attrs": [("RTA_GATEWAY", each)]} for each in ("10.0.0.253", "10.0.0.254")
    ]
    body = theirs(rtmsg, route(socket.AF_INET, 0, UNICAST), [("RTA_MULTIPATH", hops)])
    found = list(routes.read_message(Message(nl.RTM_NEWROUTE, body)))
    assert [(str(each.gateway), each.index) for each in found] == [("10.0.0.253", 3), ("10.0.0.254", 3)]
