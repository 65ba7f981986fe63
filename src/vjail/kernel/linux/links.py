"""Links and their addresses in rtnetlink's terms: requests to make and change them, and what dumps say.

Indexes are Linux's, of one network namespace. Sources: linux/if_link.h, if_addr.h, veth.h, if_bridge.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.netlink import Message, Request

IFF_UP, IFF_NOARP, IFF_PROMISC = 0x1, 0x80, 0x100
NAME_ROOM = 15
"""Characters in an interface's name, on Linux as on FreeBSD."""

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, _IFLA_LINK, _IFLA_MASTER, IFLA_PROTINFO = 1, 3, 4, 5, 10, 12
IFLA_LINKINFO, _IFLA_IFALIAS, _IFLA_AF_SPEC, _IFLA_NET_NS_FD, _IFLA_EXT_MASK = 18, 20, 26, 28, 29
_IFLA_TXQLEN, _IFLA_OPERSTATE, _IFLA_LINKMODE, _IFLA_GROUP, _IFLA_CARRIER = 13, 16, 17, 27, 33
_IF_OPER_DORMANT, _IF_OPER_UP = 5, 6
_IFLA_LINK_NETNSID, _IFLA_TARGET_NETNSID, _IFLA_NEW_IFINDEX = 37, 46, 49
IFLA_INFO_KIND, IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFLA_INET6_ADDR_GEN_MODE, _AF_INET6, _AF_INET, AF_BRIDGE = 8, 10, 2, 7
_IFLA_VLAN_ID, _IFLA_VLAN_FLAGS, _IFLA_VLAN_EGRESS_QOS, _IFLA_VLAN_PROTOCOL, _IFLA_VLAN_QOS_MAPPING = 1, 2, 3, 5, 1
_VLAN_FLAG_LOOSE_BINDING = 0x4
_PRIORITIES = range(16)
"""Those a socket or an IP header gives a packet, TC_PRIO_MAX and all."""
_RTEXT_FILTER_SKIP_STATS = 8
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBi")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD, _IFA_F_PERMANENT = 0x02, 0x80
_SCOPE_GLOBAL, _SCOPE_LINK, _SCOPE_HOST = 0, 253, 254


@dataclass(frozen=True, slots=True)
class Link:
    """A link as the kernel describes it. `master` is the index of the bridge it is in, 0 for none."""

    index: int
    name: str
    flags: int
    mtu: int
    address: bytes
    kind: str
    master: int
    carrier: bool = True


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """An address of a link."""

    index: int
    address: IPv4Address | IPv6Address
    prefixlen: int
    broadcast: IPv4Address | None = None
    peer: IPv4Address | None = None


def info(index: int = 0, flags: int = 0, change: int = 0, family: int = 0) -> bytes:
    """The head of a message about a link (struct ifinfomsg)."""
    return _IFINFO.pack(family, 0, index, flags, change)


def _veth_end(name: str, address: bytes, mtu: int, namespace: int | None) -> bytes:
    parts = [nl.text(IFLA_IFNAME, name), nl.attribute(IFLA_ADDRESS, address), nl.u32(IFLA_MTU, mtu)]
    if namespace is not None:
        parts.append(nl.u32(_IFLA_NET_NS_FD, namespace))
    return b"".join(parts)


def new_veth(
    a: tuple[str, bytes], b: tuple[str, bytes], mtu: int, *, namespaces: tuple[int | None, int | None] = (None, None)
) -> Request:
    """A veth pair: name and MAC of each end, and a descriptor of the namespace it is made in (None: the socket's)."""
    peer = nl.nested(_VETH_INFO_PEER, info() + _veth_end(*b, mtu, namespaces[1]))
    information = nl.nested(IFLA_LINKINFO, nl.text(IFLA_INFO_KIND, "veth"), nl.nested(IFLA_INFO_DATA, peer))
    body = info() + _veth_end(*a, mtu, namespaces[0]) + information
    return Request(nl.RTM_NEWLINK, body, nl.NLM_F_CREATE | nl.NLM_F_EXCL)


def new_bridge(name: str, address: bytes, settings: dict[int, bytes]) -> Request:
    """A bridge with its MAC and numbers (`bridge_setting`s)."""
    information = nl.nested(
        IFLA_LINKINFO, nl.text(IFLA_INFO_KIND, "bridge"), nl.nested(IFLA_INFO_DATA, *settings.values())
    )
    body = info() + nl.text(IFLA_IFNAME, name) + nl.attribute(IFLA_ADDRESS, address) + information
    return Request(nl.RTM_NEWLINK, body, nl.NLM_F_CREATE | nl.NLM_F_EXCL)


def new_vlan(name: str, parent: int, tag: int, proto: int, pcp: int) -> Request:
    """A vlan on the link with index `parent`: tag 1…4094, EtherType (0x8100, 0x88a8), priority 0…7 of what it sends.

    It may be up while its parent is down, as FreeBSD's may.
    """
    information = _vlan_information(
        nl.u16(_IFLA_VLAN_ID, tag),
        nl.attribute(_IFLA_VLAN_PROTOCOL, struct.pack(">H", proto)),
        nl.attribute(_IFLA_VLAN_FLAGS, struct.pack("=II", _VLAN_FLAG_LOOSE_BINDING, _VLAN_FLAG_LOOSE_BINDING)),
        _vlan_priority(pcp),
    )
    body = info() + nl.text(IFLA_IFNAME, name) + nl.u32(_IFLA_LINK, parent) + information
    return Request(nl.RTM_NEWLINK, body, nl.NLM_F_CREATE | nl.NLM_F_EXCL)


def set_vlan_priority(index: int, pcp: int) -> Request:
    """Change the priority of what a vlan sends."""
    return Request(nl.RTM_NEWLINK, info(index) + _vlan_information(_vlan_priority(pcp)))


def _vlan_information(*data: bytes) -> bytes:
    return nl.nested(IFLA_LINKINFO, nl.text(IFLA_INFO_KIND, "vlan"), nl.nested(IFLA_INFO_DATA, *data))


def _vlan_priority(pcp: int) -> bytes:
    priorities = (nl.attribute(_IFLA_VLAN_QOS_MAPPING, struct.pack("=II", each, pcp)) for each in _PRIORITIES)
    return nl.nested(_IFLA_VLAN_EGRESS_QOS, *priorities)


def configure_bridge(index: int, settings: dict[int, bytes]) -> Request:
    """Change a bridge's numbers."""
    information = nl.nested(
        IFLA_LINKINFO, nl.text(IFLA_INFO_KIND, "bridge"), nl.nested(IFLA_INFO_DATA, *settings.values())
    )
    return Request(nl.RTM_NEWLINK, info(index) + information)


def configure_port(index: int, settings: dict[int, bytes]) -> Request:
    """Change the settings of a link as a bridge's port."""
    body = info(index, family=AF_BRIDGE) + nl.nested(IFLA_PROTINFO, *settings.values())
    return Request(nl.RTM_SETLINK, body)


def delete(index: int) -> Request:
    """Remove a link."""
    return Request(nl.RTM_DELLINK, info(index))


def set_group(index: int, group: int) -> Request:
    """Put a link into a group."""
    return Request(nl.RTM_NEWLINK, info(index) + nl.u32(_IFLA_GROUP, group))


def delete_group(group: int) -> Request:
    """Remove all links of a group, which takes Linux no longer than one. ENODEV where there is none."""
    return Request(nl.RTM_DELLINK, info() + nl.u32(_IFLA_GROUP, group))


def set_flags(index: int, flags: int, change: int) -> Request:
    """Set the flags `flags` of those in `change`."""
    return Request(nl.RTM_NEWLINK, info(index, flags, change))


def rename(index: int, name: str) -> Request:
    """Give a link another name."""
    return Request(nl.RTM_SETLINK, info(index) + nl.text(IFLA_IFNAME, name))


def set_mtu(index: int, mtu: int) -> Request:
    """Set the MTU."""
    return Request(nl.RTM_NEWLINK, info(index) + nl.u32(IFLA_MTU, mtu))


def set_queue_length(index: int, frames: int) -> Request:
    """How many frames may wait in a queue of a link, where its qdisc says nothing else."""
    return Request(nl.RTM_NEWLINK, info(index) + nl.u32(_IFLA_TXQLEN, frames))


def set_address(index: int, address: bytes) -> Request:
    """Set the MAC."""
    return Request(nl.RTM_NEWLINK, info(index) + nl.attribute(IFLA_ADDRESS, address))


def set_operational(index: int, operational: bool) -> Request:
    """Let programs see a link as running or not; frames pass all the same (RFC 2863: dormant)."""
    state = _IF_OPER_UP if operational else _IF_OPER_DORMANT
    mode = nl.u8(_IFLA_LINKMODE, int(not operational))
    return Request(nl.RTM_SETLINK, info(index) + nl.u8(_IFLA_OPERSTATE, state) + mode)


def set_alias(index: int, text: str) -> Request:
    """Set the text `ip link` shows as alias, cut where it is too long for Linux."""
    return Request(nl.RTM_NEWLINK, info(index) + nl.attribute(_IFLA_IFALIAS, text.encode()[:255]))


def set_master(index: int, master: int) -> Request:
    """Put a link into a bridge, or with 0 take it out."""
    return Request(nl.RTM_NEWLINK, info(index) + nl.u32(_IFLA_MASTER, master))


def move(index: int, namespace: int, name: str) -> Request:
    """Move a link into the network namespace behind a descriptor, under `name`."""
    body = info(index) + nl.u32(_IFLA_NET_NS_FD, namespace) + nl.text(IFLA_IFNAME, name)
    return Request(nl.RTM_NEWLINK, body)


def dump_links() -> tuple[int, bytes]:
    """What to dump for all links."""
    return nl.RTM_GETLINK, info() + nl.u32(_IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)


def get_link(name: str) -> tuple[int, bytes]:
    """What to ask for one link."""
    body = info() + nl.text(IFLA_IFNAME, name) + nl.u32(_IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
    return nl.RTM_GETLINK, body


def get_link_at(index: int) -> tuple[int, bytes]:
    """What to ask for the link with that index."""
    return nl.RTM_GETLINK, info(index) + nl.u32(_IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)


def get_other_end(message: Message) -> tuple[int, bytes] | None:
    """What to ask for the other end of a veth that a message is about, None where that is in the same namespace."""
    found = nl.attributes(message.body, _IFINFO.size)
    if _IFLA_LINK_NETNSID not in found or _IFLA_LINK not in found:
        return None
    index = struct.unpack("=I", found[_IFLA_LINK])[0]
    return nl.RTM_GETLINK, info(index) + nl.attribute(_IFLA_TARGET_NETNSID, found[_IFLA_LINK_NETNSID])


def read_link(message: Message) -> Link:
    """A link from a message."""
    _, _, index, flags, _ = _IFINFO.unpack_from(message.body)
    found = nl.attributes(message.body, _IFINFO.size)
    kind = ""
    if IFLA_LINKINFO in found:
        kind = nl.string(nl.attributes(found[IFLA_LINKINFO]).get(IFLA_INFO_KIND, b""))
    return Link(
        index,
        nl.string(found[IFLA_IFNAME]),
        flags,
        struct.unpack("=I", found[IFLA_MTU])[0],
        found.get(IFLA_ADDRESS, b""),
        kind,
        struct.unpack("=I", found[_IFLA_MASTER])[0] if _IFLA_MASTER in found else 0,
        found.get(_IFLA_CARRIER) != b"\0",
    )


def read_alias(message: Message) -> str:
    """What a link was given by `set_alias`."""
    return nl.string(nl.attributes(message.body, _IFINFO.size).get(_IFLA_IFALIAS, b""))


# --- addresses -------------------------------------------------------------------------------------------------------


def add_inet(
    index: int,
    address: IPv4Address,
    prefixlen: int,
    *,
    broadcast: IPv4Address | None = None,
    peer: IPv4Address | None = None,
) -> Request:
    """Add an IPv4 address; with `peer` it is a point-to-point one."""
    body = _inet(index, address, prefixlen, peer)
    if broadcast is not None and peer is None:
        body += nl.attribute(_IFA_BROADCAST, broadcast.packed)
    return Request(nl.RTM_NEWADDR, body, nl.NLM_F_CREATE | nl.NLM_F_EXCL)


def remove_inet(index: int, address: IPv4Address, prefixlen: int, *, peer: IPv4Address | None = None) -> Request:
    """Remove an IPv4 address."""
    return Request(nl.RTM_DELADDR, _inet(index, address, prefixlen, peer))


def _inet(index: int, address: IPv4Address, prefixlen: int, peer: IPv4Address | None) -> bytes:
    scope = _SCOPE_HOST if address.is_loopback else _SCOPE_GLOBAL
    header = _IFADDR.pack(_AF_INET, prefixlen, _IFA_F_PERMANENT, scope, index)
    return header + nl.attribute(_IFA_LOCAL, address.packed) + nl.attribute(_IFA_ADDRESS, (peer or address).packed)


def add_inet6(index: int, address: IPv6Address, prefixlen: int) -> Request:
    """Add an IPv6 address, usable at once: vjail says what is tentative, no packet is lost to it."""
    body = _inet6(index, address, prefixlen) + nl.u32(_IFA_FLAGS, _IFA_F_PERMANENT | _IFA_F_NODAD)
    return Request(nl.RTM_NEWADDR, body, nl.NLM_F_CREATE | nl.NLM_F_REPLACE)


def remove_inet6(index: int, address: IPv6Address, prefixlen: int) -> Request:
    """Remove an IPv6 address."""
    return Request(nl.RTM_DELADDR, _inet6(index, address, prefixlen))


def _inet6(index: int, address: IPv6Address, prefixlen: int) -> bytes:
    header = _IFADDR.pack(_AF_INET6, prefixlen, 0, _SCOPE_GLOBAL, index)
    return header + nl.attribute(_IFA_LOCAL, address.packed) + nl.attribute(_IFA_ADDRESS, address.packed)


def dump_addresses(index: int = 0) -> tuple[int, bytes]:
    """What to dump for all addresses, or those of one link."""
    return nl.RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, index)


def read_address(message: Message) -> LinkAddress | None:
    """An address from a message; None for a family other than IPv4 and IPv6."""
    family, prefixlen, _, _, index = _IFADDR.unpack_from(message.body)
    found = nl.attributes(message.body, _IFADDR.size)
    if family == _AF_INET6:
        return LinkAddress(index, IPv6Address(found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]), prefixlen)
    if family != _AF_INET:
        return None
    local = IPv4Address(found.get(_IFA_LOCAL) or found[_IFA_ADDRESS])
    peer = IPv4Address(found[_IFA_ADDRESS])
    broadcast = IPv4Address(found[_IFA_BROADCAST]) if _IFA_BROADCAST in found else None
    return LinkAddress(index, local, prefixlen, broadcast, peer if peer != local else None)


# --- bridges and their ports -----------------------------------------------------------------------------------------

_IFLA_BR_AGEING_TIME, _IFLA_BR_STP_STATE, _IFLA_BR_PRIORITY = 4, 5, 6
_IFLA_BR_GROUP_FWD_MASK, _IFLA_BR_MCAST_SNOOPING, _IFLA_BR_FDB_MAX_LEARNED = 9, 23, 49
_IFLA_BR_FORWARD_DELAY, _IFLA_BR_HELLO_TIME, _IFLA_BR_MAX_AGE = 1, 2, 3
_IFLA_BRPORT_PRIORITY, _IFLA_BRPORT_COST = 2, 3
_IFLA_BRPORT_LEARNING, _IFLA_BRPORT_UNICAST_FLOOD = 8, 9
_IFLA_BRPORT_GROUP_FWD_MASK, _IFLA_BRPORT_ISOLATED, _IFLA_BRPORT_LOCKED = 31, 33, 39
_FORWARDED_GROUPS = 0xFFF8
"""01:80:c2:00:00:0x as bridge(4) forwards them; Linux never forwards the first three."""


def bridge_settings(
    *, ageing: int, priority: int, stp: bool, fwddelay: int, hellotime: int, maxage: int, maxaddr: int | None = None
) -> dict[int, bytes]:
    """A bridge's numbers; times in seconds. `maxaddr`: how many addresses it learns, before Linux 6.8 any number."""
    limit = {} if maxaddr is None else {_IFLA_BR_FDB_MAX_LEARNED: nl.u32(_IFLA_BR_FDB_MAX_LEARNED, maxaddr)}
    return limit | {
        _IFLA_BR_AGEING_TIME: nl.u32(_IFLA_BR_AGEING_TIME, ageing * 100),
        _IFLA_BR_PRIORITY: nl.u16(_IFLA_BR_PRIORITY, priority),
        _IFLA_BR_STP_STATE: nl.u32(_IFLA_BR_STP_STATE, int(stp)),
        _IFLA_BR_FORWARD_DELAY: nl.u32(_IFLA_BR_FORWARD_DELAY, fwddelay * 100),
        _IFLA_BR_HELLO_TIME: nl.u32(_IFLA_BR_HELLO_TIME, hellotime * 100),
        _IFLA_BR_MAX_AGE: nl.u32(_IFLA_BR_MAX_AGE, maxage * 100),
        _IFLA_BR_MCAST_SNOOPING: nl.u8(_IFLA_BR_MCAST_SNOOPING, 0),
        _IFLA_BR_GROUP_FWD_MASK: nl.u16(_IFLA_BR_GROUP_FWD_MASK, _FORWARDED_GROUPS),
    }


def port_settings(
    *, learning: bool, discover: bool, private: bool, priority: int, cost: int, locked: bool = False
) -> dict[int, bytes]:
    """A member's flags and numbers; priority in 0…255 as FreeBSD has it. `locked`: only known sources may send."""
    return {
        _IFLA_BRPORT_LEARNING: nl.u8(_IFLA_BRPORT_LEARNING, learning),
        _IFLA_BRPORT_UNICAST_FLOOD: nl.u8(_IFLA_BRPORT_UNICAST_FLOOD, discover),
        _IFLA_BRPORT_ISOLATED: nl.u8(_IFLA_BRPORT_ISOLATED, private),
        _IFLA_BRPORT_PRIORITY: nl.u16(_IFLA_BRPORT_PRIORITY, priority >> 2),
        _IFLA_BRPORT_LOCKED: nl.u8(_IFLA_BRPORT_LOCKED, locked),
        _IFLA_BRPORT_COST: nl.u32(_IFLA_BRPORT_COST, max(1, min(cost, 65535))),
    }


def segment_port() -> dict[int, bytes]:
    """A port's settings where the bridge is a mere segment: it forwards all of 01:80:c2:00:00:0x that Linux can.

    That is all but :01, with which a NIC asks its neighbour to pause, and which no NIC passes on.
    """
    return {_IFLA_BRPORT_GROUP_FWD_MASK: nl.u16(_IFLA_BRPORT_GROUP_FWD_MASK, 0xFFFD)}


def lock_port(index: int, locked: bool) -> Request:
    """Let only known sources send through a bridge's port, or any."""
    return configure_port(index, {_IFLA_BRPORT_LOCKED: nl.u8(_IFLA_BRPORT_LOCKED, locked)})


# --- forwarding tables -----------------------------------------------------------------------------------------------

_NDMSG = struct.Struct("=BxxxiHBB")
_NDA_DST, _NDA_LLADDR, _NDA_CACHEINFO, _NDA_PORT, _NDA_MASTER = 1, 2, 3, 6, 9
NUD_INCOMPLETE, NUD_REACHABLE, NUD_STALE = 0x01, 0x02, 0x04
NUD_FAILED, NUD_NOARP, NUD_PERMANENT = 0x20, 0x40, 0x80
_NTF_SELF, _NTF_MASTER, NTF_STICKY = 0x02, 0x04, 0x40


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a neighbour or forwarding table. `used` and `updated`: hundredths of a second ago (clock ticks)."""

    index: int
    address: IPv4Address | IPv6Address | None
    lladdr: bytes | None
    state: int
    flags: int
    updated: int


def dump_forwarding(bridge: int) -> tuple[int, bytes]:
    """What to dump for the forwarding table of the bridge with that index."""
    return nl.RTM_GETNEIGH, _NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0) + nl.u32(_NDA_MASTER, bridge)


def dump_device_forwarding(index: int) -> tuple[int, bytes]:
    """What to dump for the forwarding table that a link, a vxlan, has itself."""
    return nl.RTM_GETNEIGH, _NDMSG.pack(AF_BRIDGE, index, 0, 0, 0)


def delete_device_forwarding(index: int, lladdr: bytes) -> Request:
    """Delete an entry of the forwarding table that a link has itself."""
    body = _NDMSG.pack(AF_BRIDGE, index, 0, _NTF_SELF, 0) + nl.attribute(_NDA_LLADDR, lladdr)
    return Request(nl.RTM_DELNEIGH, body)


def add_remote(index: int, address: IPv4Address | IPv6Address, port: int) -> Request:
    """Where a vxlan sends what is for no address it knows."""
    body = _NDMSG.pack(AF_BRIDGE, index, NUD_PERMANENT | NUD_NOARP, _NTF_SELF, 0) + nl.attribute(_NDA_LLADDR, bytes(6))
    body += nl.attribute(_NDA_DST, address.packed) + nl.attribute(_NDA_PORT, struct.pack(">H", port))
    return Request(nl.RTM_NEWNEIGH, body, nl.NLM_F_CREATE | nl.NLM_F_APPEND)


def dump_neighbours() -> tuple[int, bytes]:
    """What to dump for the ARP and ND tables."""
    return nl.RTM_GETNEIGH, _NDMSG.pack(0, 0, 0, 0, 0)


def read_entry(message: Message) -> Entry:
    """An entry from a message."""
    family, index, state, flags, _ = _NDMSG.unpack_from(message.body)
    found = nl.attributes(message.body, _NDMSG.size)
    address: IPv4Address | IPv6Address | None = None
    if _NDA_DST in found and family == _AF_INET:
        address = IPv4Address(found[_NDA_DST])
    elif _NDA_DST in found and family == _AF_INET6:
        address = IPv6Address(found[_NDA_DST])
    updated = struct.unpack_from("=III", found[_NDA_CACHEINFO])[2] if _NDA_CACHEINFO in found else 0
    return Entry(index, address, found.get(_NDA_LLADDR), state, flags, updated)


def add_forwarding(index: int, lladdr: bytes, *, sticky: bool = False) -> Request:
    """A static entry of the bridge that the link is in; a sticky one no other port takes over."""
    flags = _NTF_MASTER | (NTF_STICKY if sticky else 0)
    body = _NDMSG.pack(AF_BRIDGE, index, NUD_NOARP, flags, 0) + nl.attribute(_NDA_LLADDR, lladdr)
    return Request(nl.RTM_NEWNEIGH, body, nl.NLM_F_CREATE | nl.NLM_F_REPLACE)


def delete_forwarding(index: int, lladdr: bytes) -> Request:
    """Delete an entry of the bridge that the link is in."""
    body = _NDMSG.pack(AF_BRIDGE, index, 0, _NTF_MASTER, 0) + nl.attribute(_NDA_LLADDR, lladdr)
    return Request(nl.RTM_DELNEIGH, body)


def add_neighbour(index: int, address: IPv4Address | IPv6Address, lladdr: bytes) -> Request:
    """A permanent ARP or ND entry."""
    family = _AF_INET if address.version == 4 else _AF_INET6
    body = _NDMSG.pack(family, index, NUD_PERMANENT, 0, 0)
    body += nl.attribute(_NDA_DST, address.packed) + nl.attribute(_NDA_LLADDR, lladdr)
    return Request(nl.RTM_NEWNEIGH, body, nl.NLM_F_CREATE | nl.NLM_F_REPLACE)


def delete_neighbour(index: int, address: IPv4Address | IPv6Address) -> Request:
    """Delete an ARP or ND entry."""
    family = _AF_INET if address.version == 4 else _AF_INET6
    body = _NDMSG.pack(family, index, 0, 0, 0) + nl.attribute(_NDA_DST, address.packed)
    return Request(nl.RTM_DELNEIGH, body)
