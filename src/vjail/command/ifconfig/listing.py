"""What ifconfig(8) prints of interfaces, in the forms of 13 (ioctl) and of 15 (netlink).

Source: FreeBSD 13.2 sbin/ifconfig/{ifconfig.c,af_link.c,af_inet.c,af_inet6.c,af_nd6.c,ifbridge.c,ifvlan.c,ifgroup.c};
spec §11; recorded in replay/* and observed/a_ifconfig.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from vjail.command.numeric import ether_ntoa, scoped, with_bits
from vjail.kernel.observed import (
    Bridge,
    BridgeAddress,
    Iff,
    Inet,
    Inet6,
    Inet6Flag,
    Interface,
    Kind,
    Member,
    MemberFlag,
    Vxlan,
)
from vjail.release import Release

_FLAGS = (
    (0x1, "UP"), (0x2, "BROADCAST"), (0x4, "DEBUG"), (0x8, "LOOPBACK"), (0x10, "POINTOPOINT"), (0x40, "RUNNING"),
    (0x80, "NOARP"), (0x100, "PROMISC"), (0x200, "ALLMULTI"), (0x400, "OACTIVE"), (0x800, "SIMPLEX"), (0x1000, "LINK0"),
    (0x2000, "LINK1"), (0x4000, "LINK2"), (0x8000, "MULTICAST"), (0x20000, "PPROMISC"), (0x40000, "MONITOR"),
    (0x80000, "STATICARP"),
)  # fmt: skip
_LOWER_UP = 0x1000000
_NETLINK_FLAGS = (*_FLAGS[:5], (0x20, "NEEDSEPOCH"), *_FLAGS[5:], (_LOWER_UP, "LOWER_UP"))

_OPTIONS = (
    (0x1, "RXCSUM"), (0x2, "TXCSUM"), (0x4, "NETCONS"), (0x8, "VLAN_MTU"), (0x10, "VLAN_HWTAGGING"),
    (0x20, "JUMBO_MTU"), (0x40, "POLLING"), (0x80, "VLAN_HWCSUM"), (0x100, "TSO4"), (0x200, "TSO6"), (0x400, "LRO"),
    (0x800, "WOL_UCAST"), (0x1000, "WOL_MCAST"), (0x2000, "WOL_MAGIC"), (0x4000, "TOE4"), (0x8000, "TOE6"),
    (0x10000, "VLAN_HWFILTER"), (0x40000, "VLAN_HWTSO"), (0x80000, "LINKSTATE"), (0x100000, "NETMAP"),
    (0x200000, "RXCSUM_IPV6"), (0x400000, "TXCSUM_IPV6"), (0x1000000, "TXRTLMT"), (0x2000000, "HWRXTSTMP"),
    (0x4000000, "MEXTPG"), (0x8000000, "TXTLS4"), (0x10000000, "TXTLS6"), (0x20000000, "VXLAN_HWCSUM"),
    (0x40000000, "VXLAN_HWTSO"), (0x80000000, "TXTLS_RTLMT"),
)  # fmt: skip

_ND6 = (
    (0x1, "PERFORMNUD"), (0x2, "ACCEPT_RTADV"), (0x4, "PREFER_SOURCE"), (0x8, "IFDISABLED"), (0x10, "DONT_SET_IFROUTE"),
    (0x20, "AUTO_LINKLOCAL"), (0x40, "NO_RADR"), (0x80, "NO_PREFER_IFACE"), (0x100, "NO_DAD"), (0x8000, "DEFAULTIF"),
)  # fmt: skip

_MEMBER = (
    (0x1, "LEARNING"), (0x2, "DISCOVER"), (0x4, "STP"), (0x8, "SPAN"), (0x10, "STICKY"), (0x800, "PRIVATE"),
    (0x20, "EDGE"), (0x40, "AUTOEDGE"), (0x80, "PTP"), (0x100, "AUTOPTP"),
)  # fmt: skip

_ADDRESS_FLAGS = (
    (Inet6Flag.ANYCAST, "anycast"), (Inet6Flag.TENTATIVE, "tentative"), (Inet6Flag.DUPLICATED, "duplicated"),
    (Inet6Flag.DETACHED, "detached"), (Inet6Flag.DEPRECATED, "deprecated"), (Inet6Flag.AUTOCONF, "autoconf"),
    (Inet6Flag.TEMPORARY, "temporary"), (Inet6Flag.PREFER_SOURCE, "prefer_source"),
)  # fmt: skip

_LAGG_PORT = ((0x1, "MASTER"), (0x2, "STACK"), (0x4, "ACTIVE"), (0x8, "COLLECTING"), (0x10, "DISTRIBUTING"))

_BRIDGE_ADDRESS = ((0x1, "STATIC"), (0x2, "STICKY"))

_PROTOCOLS = {0x8100: "802.1q", 0x88A8: "802.1ad"}

LINK_FAMILIES = ("link", "ether", "lladdr")
FAMILIES = (*LINK_FAMILIES, "inet", "inet6")

ETHERNET = frozenset((Kind.NIC, Kind.EPAIR, Kind.TAP, Kind.VLAN, Kind.BRIDGE, Kind.VXLAN, Kind.LAGG))
"""The kinds whose link-layer addresses are Ethernet's."""


@dataclass(frozen=True, slots=True)
class Style:
    """How to print: the `-f` formats by category, `-L`, `-m`, `-D`, `-v`, and whose ifconfig it is."""

    release: Release
    ether: str = ""
    inet: str = ""
    inet6: str = ""
    lifetimes: bool = False
    capabilities: bool = False
    drivername: bool = False
    verbose: bool = False

    def formatted(self, category: str, form: str) -> Style:
        """With the form asked for by `-f CATEGORY:FORM`; unknown categories change nothing."""
        match category:
            case "ether":
                return replace(self, ether=form)
            case "inet":
                return replace(self, inet=form)
            case "inet6":
                return replace(self, inet6=form)
            case _:
                return self

    @property
    def netlink(self) -> bool:
        """Whether ifconfig asks by netlink(4), which tells the link's state and the families in another order."""
        return self.release >= Release.V14


def show(interface: Interface, style: Style, family: str | None = None) -> str:
    """One interface, or only what belongs to an address family."""
    return "".join(f"{line}\n" for line in _lines(interface, style, family))


def _lines(interface: Interface, style: Style, family: str | None) -> Iterator[str]:
    flags = _flags(interface, style)
    yield f"{interface.name}: {flags} metric {interface.metric} mtu {interface.mtu}"
    if interface.description:
        yield f"\tdescription: {interface.description}"
    if interface.options:
        yield f"\t{with_bits('options', interface.options, _OPTIONS)}"
    elif style.netlink:
        yield "\toptions=0"
    if style.capabilities and interface.capabilities:
        yield f"\t{with_bits('capabilities', interface.capabilities, _OPTIONS)}"
    if family is None or family in LINK_FAMILIES:
        yield from _link(interface, style)
    for wanted in _families(interface, style):
        if family in (None, wanted):
            yield from _addresses(interface, style, wanted)
    if family is None:
        yield from _others(interface, style)
    if family in (None, "inet6") and interface.nd6:
        yield f"\t{with_bits('nd6 options', interface.nd6, _ND6)}"
    if style.drivername:
        yield f"\tdrivername: {interface.drivername}"


def _flags(interface: Interface, style: Style) -> str:
    if not style.netlink:
        return with_bits("flags", interface.flags, _FLAGS)
    flags = int(interface.flags) | (_LOWER_UP if _is_lower_up(interface) else 0)
    return with_bits("flags", flags, _NETLINK_FLAGS) if flags else "flags=0"


def _is_lower_up(interface: Interface) -> bool:
    """Whether its link is up, as netlink tells: by the medium's status, else by running."""
    if interface.status is not None:
        return interface.status == "active"
    return Iff.RUNNING in interface.flags and Iff.UP in interface.flags


def _link(interface: Interface, style: Style) -> Iterator[str]:
    for word, lladdr in (("ether", interface.lladdr), ("hwaddr", interface.hwaddr)):
        if lladdr is not None:
            text = ether_ntoa(lladdr)
            yield f"\t{word} {text.replace(':', '-') if style.ether == 'dash' else text}"


def _families(interface: Interface, style: Style) -> list[str]:
    """The address families in the order in which they are shown: as they first appear, by netlink inet first."""
    found = list(dict.fromkeys("inet" if isinstance(each, Inet) else "inet6" for each in interface.addresses))
    return sorted(found) if style.netlink else found


def _addresses(interface: Interface, style: Style, family: str) -> Iterator[str]:
    for address in interface.addresses:
        match address:
            case Inet() if family == "inet":
                yield f"\tinet {_inet(interface, address, style)}"
            case Inet6() if family == "inet6":
                yield f"\tinet6 {_inet6(interface, address, style)}"
            case _:
                pass


def _inet(interface: Interface, address: Inet, style: Style) -> str:
    peer = f" --> {address.destination or '0.0.0.0'}" if Iff.POINTOPOINT in interface.flags else ""
    mask = int(address.netmask)
    match style.inet:
        case "cidr":
            trailing = (mask & -mask).bit_length() - 1 if mask else 32
            netmask = f"/{32 - trailing}"
        case "dotted":
            netmask = f" netmask {address.netmask}"
        case _:
            netmask = f" netmask 0x{mask:x}"
    broadcast = f" broadcast {address.broadcast}" if address.broadcast and Iff.BROADCAST in interface.flags else ""
    return f"{address.address}{peer}{netmask}{broadcast}"


def _inet6(interface: Interface, address: Inet6, style: Style) -> str:
    length = f"/{address.prefixlen}" if style.inet6 == "cidr" else f" prefixlen {address.prefixlen}"
    flags = "".join(f" {word}" for flag, word in _ADDRESS_FLAGS if flag in address.flags)
    scope = f" scopeid 0x{interface.index:x}" if address.address.is_link_local else ""
    return f"{scoped(address.address, interface.name)}{length}{flags}{scope}{_lifetimes(address, style)}"


def _lifetimes(address: Inet6, style: Style) -> str:
    """What `-L` adds to an address with a lifetime; one without end is `infty`."""
    if not style.lifetimes or (address.pltime is None and address.vltime is None):
        return ""
    pltime, vltime = ("infty" if time is None else str(time) for time in (address.pltime, address.vltime))
    return f" pltime {pltime} vltime {vltime}"


def _others(interface: Interface, style: Style) -> Iterator[str]:
    """What is no address: bridge, groups, vlan, fib, medium."""
    if interface.bridge is not None:
        yield from _bridge(interface.bridge, style)
    if interface.lagg is not None:
        yield f"\tlaggproto {interface.lagg.protocol.value} lagghash l2,l3,l4"
        for port in interface.lagg.ports:
            yield f"\tlaggport: {port.name} {with_bits('flags', port.flags, _LAGG_PORT)}"
    if interface.groups:
        yield f"\tgroups: {' '.join(interface.groups)}"
    if interface.vxlan is not None and interface.vxlan.vni is not None:
        yield from _vxlan(interface.vxlan, style)
    if interface.vlan is not None and interface.vlan.visible:
        vlan = interface.vlan
        proto = _PROTOCOLS.get(vlan.proto, f"0x{vlan.proto:04x}")
        yield (f"\tvlan: {vlan.tag} vlanproto: {proto} vlanpcp: {vlan.pcp} parent interface: {vlan.parent or '<none>'}")
    if interface.fib:
        yield f"\tfib: {interface.fib}"
    if interface.media is not None:
        yield f"\tmedia: {interface.media}"
    if interface.status is not None:
        yield f"\tstatus: {interface.status}"


def _vxlan(vxlan: Vxlan, style: Style) -> Iterator[str]:
    remote = vxlan.remote
    six = remote is not None and remote.version == 6
    local = "" if vxlan.local is None else _endpoint(vxlan.local, six, vxlan.local_port)
    far = "" if remote is None else _endpoint(remote, six, vxlan.remote_port)
    side = "group" if remote is not None and remote.is_multicast else "remote"
    yield f"\tvxlan vni {vxlan.vni} local {local or _nowhere(six)} {side} {far or _nowhere(six)}"
    if style.verbose:
        learning = "" if vxlan.learn else "no"
        yield f"\t\tconfig: {learning}learning portrange {vxlan.first_port}-{vxlan.last_port} ttl {vxlan.ttl}"


def _endpoint(address: IPv4Address | IPv6Address, bracketed: bool, port: int) -> str:
    return f"[{address}]:{port}" if bracketed else f"{address}:{port}"


def _nowhere(bracketed: bool) -> str:
    """An address that was not given, which getnameinfo(3) has no text for."""
    return "[]:" if bracketed else ":"


def _bridge(bridge: Bridge, style: Style) -> Iterator[str]:
    yield (
        f"\tid {ether_ntoa(bridge.bridge_id)} priority {bridge.priority} "
        f"hellotime {bridge.hellotime} fwddelay {bridge.fwddelay}"
    )
    yield (
        f"\tmaxage {bridge.maxage} holdcnt {bridge.holdcnt} proto {bridge.proto} "
        f"maxaddr {bridge.maxaddr} timeout {bridge.timeout}"
    )
    yield (
        f"\troot id {ether_ntoa(bridge.root_id)} priority {bridge.root_priority} "
        f"ifcost {bridge.root_cost} port {bridge.root_port}"
    )
    if style.release >= Release.V15:
        yield "\tbridge flags=0<>"
    for member in bridge.members:
        yield from _member(member, style)


def _member(member: Member, style: Style) -> Iterator[str]:
    indent = "\t        "
    yield f"\tmember: {member.name} {with_bits('flags', member.flags, _MEMBER)}"
    limit = f"ifmaxaddr {member.ifmaxaddr} " if member.ifmaxaddr or style.release < Release.V15 else ""
    numbers = f"{limit}port {member.port} priority {member.priority} path cost {member.path_cost}"
    if MemberFlag.STP in member.flags:
        yield f"{indent}{numbers} proto {member.proto}"
        numbers = f"role {member.role} state {member.state}"
    yield f"{indent}{numbers}{' vlan protocol 802.1q' if style.release >= Release.V15 else ''}"


def show_bridge_address(entry: BridgeAddress) -> str:
    """One line of a bridge's forwarding table."""
    flags = with_bits("flags", (1 if entry.static else 0) | (2 if entry.sticky else 0), _BRIDGE_ADDRESS)
    return f"{ether_ntoa(entry.lladdr)} Vlan{entry.vlan} {entry.member} {entry.expire} {flags}\n"


def has_family(interface: Interface, family: str) -> bool:
    """Whether `ifconfig -l FAMILY` names the interface."""
    match family:
        case "ether":
            return interface.kind in ETHERNET and interface.lladdr is not None
        case "inet":
            return any(isinstance(each, Inet) for each in interface.addresses)
        case "inet6":
            return any(isinstance(each, Inet6) for each in interface.addresses)
        case _:
            return True
