"""What vjail's netlink put into the kernel, read back by iproute2 and by pyroute2 in the vnet's own namespace."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from kernelview import KernelView, attribute
from sandbox import Sandbox
from typist import machine, typing

pytestmark = pytest.mark.real

LAB = "netlink"
HERE, THERE = "7481.1", "7481.2"
"""What a process in each vnet sleeps, by which it is found."""

TYPED = (
    f"sleep {HERE} >/dev/null 2>&1 &",
    "ifconfig epair1 create; ifconfig epair2 create",
    "ifconfig epair1a inet 10.0.0.1/24; ifconfig epair1a inet 10.0.0.3/32 alias",
    "ifconfig epair1a inet 10.9.0.1 10.9.0.2 netmask 255.255.255.255 alias",
    "ifconfig epair1a inet6 2001:db8::1/64",
    "ifconfig epair1a mtu 1400; ifconfig epair1a ether 02:00:00:00:00:11; ifconfig epair1a -arp",
    'ifconfig epair1a description "uplink of r"; ifconfig epair2b description x; ifconfig epair2b -description',
    "ifconfig bridge0 create; ifconfig bridge0 up addm epair2a",
    "ifconfig bridge0 private epair2a -learn epair2a ifpriority epair2a 64 ifpathcost epair2a 100",
    "ifconfig bridge0 proto stp priority 4096 timeout 60 fwddelay 5 maxage 10",
    "ifconfig bridge0 static epair2a 02:00:00:00:00:01",
    "jail -c name=r vnet path=/ persist",
    "ifconfig epair1b vnet r",
    f"jexec r sleep {THERE} >/dev/null 2>&1 &",
    "jexec r ifconfig epair1b name uplink0; jexec r ifconfig uplink0 inet 10.0.0.2/24",
    "jexec r ifconfig uplink0 inet6 2001:db8::2/64",
    "jexec r ifconfig lo0 127.0.0.1/8",
    "jexec r route add default 10.0.0.1",
    "jexec r route add default 10.0.0.254",
    "jexec r route add -net 172.22.0.0/16 127.0.0.1 -blackhole",
    "jexec r route add -net 172.23.0.0/16 127.0.0.1 -reject",
    "jexec r route add -host 172.18.0.1 10.0.0.9",
    "jexec r route add -net 172.20.0.0/16 -interface uplink0",
    "jexec r route add -net 172.21.0.0/16 10.0.0.9; jexec r route delete -net 172.21.0.0/16",
    "jexec r route add -inet6 default 2001:db8::fe",
    "jexec r route add -6 2001:db8:9::/48 2001:db8::9",
    "jexec r route add -6 2001:db8:a::/48 ::1 -blackhole",
    "jexec r route add -6 2001:db8:b::/48 ::1 -reject",
    # FreeBSD takes a gateway that is the host itself; Linux does not, and has no such route.
    "jexec r route add -6 2001:db8:c::/48 2001:db8::2",
    "jexec r arp -s 10.0.0.77 02:00:00:00:00:77",
    "jexec r arp -s 10.0.0.78 02:00:00:00:00:78; jexec r arp -d 10.0.0.78",
    "jexec r ndp -s 2001:db8::77 02:00:00:00:00:79",
)


@dataclass(frozen=True)
class Link:
    """A link, as far as the lines typed are about it."""

    kind: str
    mtu: int
    lladdr: str
    flags: frozenset[str] = frozenset()
    description: str | None = None
    master: str | None = None


Address = tuple[str, int, str | None, str | None]
"""An address, its prefix length, broadcast address, peer."""
Route = tuple[str, str, str | None, str | None]
"""Kind, destination, gateway, interface."""
Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Vnet:
    """What is in a vnet: links by name, the addresses of each, the static routes, the permanent neighbours.

    `bridges`: priority, ageing, forward delay, maximum age in hundredths of a second; `ports`: priority, cost,
    learning, flooding, isolated; `entries`: the static ones of forwarding tables.
    """

    links: dict[str, Link]
    addresses: dict[str, set[Address]]
    routes: set[Route]
    neighbours: set[tuple[str, str, str]]
    bridges: dict[str, Numbers]
    ports: dict[str, Numbers]
    entries: set[tuple[str, str]]


_FLAGS = {"UP": 0x1, "NOARP": 0x80}


def by_iproute2(kernel: KernelView) -> Vnet:
    """A vnet as `ip` and `bridge` show it."""
    links = kernel.ip("link")
    data = {each["ifname"]: each.get("linkinfo", {}) for each in links}
    bridges = {name: each["info_data"] for name, each in data.items() if each.get("info_kind") == "bridge"}
    ports = {name: each["info_slave_data"] for name, each in data.items() if "info_slave_data" in each}
    static = [*kernel.ip("route", "show", "proto", "static"), *kernel.ip("-6", "route", "show", "proto", "static")]
    return Vnet(
        links={
            each["ifname"]: Link(
                data[each["ifname"]].get("info_kind", ""),
                each["mtu"],
                each["address"],
                frozenset(each["flags"]) & _FLAGS.keys(),
                each.get("ifalias"),
                each.get("master"),
            )
            for each in links
        },
        addresses={
            each["ifname"]: {
                (one["local"], one["prefixlen"], one.get("broadcast"), one.get("address")) for one in each["addr_info"]
            }
            for each in kernel.ip("addr")
        },
        routes={
            (each["type"], each["dst"], hop.get("gateway"), hop.get("dev"))
            for each in static
            for hop in each.get("nexthops", [each])
        },
        neighbours={
            (each["dst"], each["lladdr"], each["dev"]) for each in kernel.ip("neigh", "show", "nud", "permanent")
        },
        bridges={
            name: (each["priority"], each["ageing_time"], each["forward_delay"], each["max_age"])
            for name, each in bridges.items()
        },
        ports={
            name: (each["priority"], each["cost"], each["learning"], each["flood"], each["isolated"])
            for name, each in ports.items()
        },
        entries={(each["mac"], each["ifname"]) for each in kernel.bridge("fdb") if each["state"] == "static"},
    )


def by_pyroute2(kernel: KernelView) -> Vnet:
    """A vnet as pyroute2 reads it."""
    found = kernel.pyroute2()
    names = {each["index"]: attribute(each, "IFLA_IFNAME") for each in found["links"]}
    kinds = {
        names[each["index"]]: (
            attribute(each, "IFLA_LINKINFO", "IFLA_INFO_KIND"),
            attribute(each, "IFLA_LINKINFO", "IFLA_INFO_DATA"),
            attribute(each, "IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA"),
        )
        for each in found["links"]
    }
    return Vnet(
        links={
            names[each["index"]]: Link(
                kinds[names[each["index"]]][0] or "",
                attribute(each, "IFLA_MTU"),
                attribute(each, "IFLA_ADDRESS"),
                frozenset(name for name, bit in _FLAGS.items() if each["flags"] & bit),
                attribute(each, "IFLA_IFALIAS"),
                names.get(attribute(each, "IFLA_MASTER")),
            )
            for each in found["links"]
        },
        addresses={
            name: {_address(each) for each in found["addresses"] if names[each["index"]] == name}
            for name in names.values()
        },
        routes={
            (_TYPES[each["type"]], _destination(each), attribute(hop, "RTA_GATEWAY"), names.get(_out(hop)))
            for each in found["routes"]
            if each["proto"] == _STATIC
            for hop in attribute(each, "RTA_MULTIPATH") or [each]
        },
        neighbours={
            (attribute(each, "NDA_DST"), attribute(each, "NDA_LLADDR"), names[each["ifindex"]])
            for each in found["neighbours"]
            if each["state"] == _PERMANENT
        },
        bridges={
            name: tuple(attribute(data, f"IFLA_BR_{key}") for key in _BRIDGE)
            for name, (kind, data, _) in kinds.items()
            if kind == "bridge"
        },
        ports={
            name: tuple(attribute(data, f"IFLA_BRPORT_{key}") for key in _PORT)
            for name, (_, _, data) in kinds.items()
            if data is not None
        },
        entries={
            (attribute(each, "NDA_LLADDR"), names[each["ifindex"]])
            for each in found["forwarding"]
            if each["state"] == _NOARP
        },
    )


_TYPES = {1: "unicast", 6: "blackhole", 7: "unreachable"}
_STATIC, _PERMANENT, _NOARP = 4, 0x80, 0x40
_BRIDGE = ("PRIORITY", "AGEING_TIME", "FORWARD_DELAY", "MAX_AGE")
_PORT = ("PRIORITY", "COST", "LEARNING", "UNICAST_FLOOD", "ISOLATED")


def _address(message: dict[str, Any]) -> Address:
    address = attribute(message, "IFA_ADDRESS")
    local = attribute(message, "IFA_LOCAL") or address
    peer = address if address != local else None
    return local, message["prefixlen"], attribute(message, "IFA_BROADCAST"), peer


def _destination(message: dict[str, Any]) -> str:
    length = message["dst_len"]
    whole = length == (32 if message["family"] == socket.AF_INET else 128)
    return f"{attribute(message, 'RTA_DST')}{'' if whole else f'/{length}'}" if length else "default"


def _out(hop: dict[str, Any]) -> int:
    return int(attribute(hop, "RTA_OIF") or hop.get("oif", 0))


def link_local(lladdr: str) -> str:
    """The link-local address made of a MAC."""
    octets = bytearray.fromhex(lladdr.replace(":", ""))
    octets[0] ^= 2
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex("fe80" + "00" * 6) + octets[:3] + b"\xff\xfe" + octets[3:])


@pytest.mark.parametrize("read", [by_iproute2, by_pyroute2])
def test_the_kernel_has_what_was_typed(box: Sandbox, read: Callable[[KernelView], Vnet]) -> None:
    machine(box, LAB)
    with typing(box, LAB) as typist:
        for line in TYPED:
            done = typist.type(line)
            assert done.code == 0, (line, done)

        def ether(interface: str) -> str:
            return typist.type(f"{interface} | grep -E 'ether|hwaddr' | tail -1").out.split()[1]

        near, far, bridge = ether("ifconfig epair1a"), ether("jexec r ifconfig uplink0"), ether("ifconfig bridge0")
        member, other = ether("ifconfig epair2a"), ether("ifconfig epair2b")
        here, there = read(KernelView(HERE)), read(KernelView(THERE))
    host = {name: each for name, each in here.links.items() if name.startswith(("epair", "bridge"))}
    assert host == {
        "epair1a": Link("veth", 1400, "02:00:00:00:00:11", frozenset(("UP", "NOARP")), "uplink of r"),
        "epair2a": Link("veth", 1500, member, master="bridge0"),
        "epair2b": Link("veth", 1500, other),
        "bridge0": Link("bridge", 1500, bridge, frozenset(("UP",))),
    }
    assert here.addresses["epair1a"] == {
        ("10.0.0.1", 24, "10.0.0.255", None),
        ("10.0.0.3", 32, "10.0.0.3", None),
        ("10.9.0.1", 32, "10.9.0.2", None),
        ("2001:db8::1", 64, None, None),
        (link_local(near), 64, None, None),
    }
    assert here.bridges == {"bridge0": (4096, 6000, 500, 1000)}
    assert here.ports == {"epair2a": (16, 100, False, True, True)}
    assert here.entries == {("02:00:00:00:00:01", "epair2a")}
    assert there.links == {
        "lo0": Link("", 16384, "00:00:00:00:00:00", frozenset(("UP",))),
        "uplink0": Link("veth", 1500, far, frozenset(("UP",))),
    }
    assert there.addresses == {
        "lo0": {("127.0.0.1", 8, None, None), ("::1", 128, None, None), ("fe80::1", 64, None, None)},
        "uplink0": {
            ("10.0.0.2", 24, "10.0.0.255", None),
            ("2001:db8::2", 64, None, None),
            (link_local(far), 64, None, None),
        },
    }
    assert there.routes == {
        ("unicast", "default", "10.0.0.1", "uplink0"),
        ("unicast", "default", "10.0.0.254", "uplink0"),
        ("blackhole", "172.22.0.0/16", None, None),
        ("unreachable", "172.23.0.0/16", None, None),
        ("unicast", "172.18.0.1", "10.0.0.9", "uplink0"),
        ("unicast", "172.20.0.0/16", None, "uplink0"),
        ("unicast", "default", "2001:db8::fe", "uplink0"),
        ("unicast", "2001:db8:9::/48", "2001:db8::9", "uplink0"),
        ("blackhole", "2001:db8:a::/48", None, "lo0"),
        ("unreachable", "2001:db8:b::/48", None, "lo0"),
    }
    assert there.neighbours == {
        ("10.0.0.77", "02:00:00:00:00:77", "uplink0"),
        ("2001:db8::77", "02:00:00:00:00:79", "uplink0"),
    }
