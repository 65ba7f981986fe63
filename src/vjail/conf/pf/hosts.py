"""What a word of pf.conf(5) that names hosts stands for: an address, a network, an interface's addresses, a name.

What there is on the host is given as `Surroundings`. Source: host(), ifa_lookup() of sbin/pfctl/pfctl_parser.c, 13.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vjail.conf.pf.rules import Family, InterfaceAddress, NetAddress, Part, RuleAddress

_PARTS = {"network": Part.NETWORK, "broadcast": Part.BROADCAST, "peer": Part.PEER}
SELF = "self"


@dataclass(frozen=True, slots=True)
class HostAddress:
    """An address of an interface; `broadcast` and `peer` of IPv4 where it has one."""

    address: IPv4Address | IPv6Address
    prefixlen: int
    broadcast: IPv4Address | None = None
    peer: IPv4Address | None = None


@dataclass(frozen=True, slots=True)
class HostInterface:
    """An interface as far as pf cares."""

    name: str
    groups: tuple[str, ...] = ()
    addresses: tuple[HostAddress, ...] = ()
    loopback: bool = False
    broadcast: bool = True
    point_to_point: bool = False


class Unreadable(Exception):
    """A file that cannot be read; the text is FreeBSD's error."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The host a pf.conf is read on. `services` gives ports by name and `tcp` or `udp`, `protocols` numbers by name.

    `resolve` gives the addresses of a host's name, `read` a file's content or raises Unreadable.
    """

    interfaces: Sequence[HostInterface] = ()
    services: Mapping[tuple[str, str], int] = field(default_factory=dict)
    protocols: Mapping[str, int] = field(default_factory=dict)
    resolve: Callable[[str], Sequence[IPv4Address | IPv6Address]] = lambda name: ()
    read: Callable[[str], bytes] = lambda path: b""

    def members(self, name: str) -> Sequence[HostInterface]:
        """The interfaces in the group of that name; none where there is no such group."""
        return [each for each in self.interfaces if name in each.groups]

    def is_group(self, name: str) -> bool:
        """Whether interfaces are in a group of that name."""
        return bool(self.members(name))

    def port(self, name: str) -> int | None:
        """The port of a service."""
        return self.services.get((name, "tcp"), self.services.get((name, "udp")))


@dataclass(frozen=True, slots=True)
class Host:
    """One host, network, table … of a rule. `family` None is open; `zone` the interface of a link-local address."""

    address: RuleAddress
    family: Family | None = None
    negated: bool = False
    zone: str = ""


class NoHost(Exception):
    """A word that names no host; the text is what pfctl says of it first, if anything."""


def family_of(address: IPv4Address | IPv6Address | IPv4Network | IPv6Network) -> Family:
    """An address's family."""
    return Family(address.version)


def net(address: IPv4Address | IPv6Address, prefixlen: int | None = None) -> IPv4Network | IPv6Network:
    """The network of an address; without a length the address alone."""
    length = address.max_prefixlen if prefixlen is None else min(prefixlen, address.max_prefixlen)
    if isinstance(address, IPv4Address):
        return IPv4Network((address, length), strict=False)
    return IPv6Network((address, length), strict=False)


def hosts(word: str, around: Surroundings) -> list[Host]:
    """What a word stands for, at least one host. Raises NoHost."""
    name, slash, mask_text = word.rpartition("/")
    mask: int | None = None
    if slash:
        if not re.fullmatch(r"[0-9]+", mask_text) or int(mask_text) > 128:
            raise NoHost(f"invalid netmask '/{mask_text}'")
        mask = int(mask_text)
    else:
        name = word
    found = _inet(name, mask) or _inet6(name, mask)
    if found is not None:
        return [found]
    by_interface = _interface(name, mask, around)
    if by_interface is not None:
        if not by_interface:
            raise NoHost(f"no IP address found for {word}")
        return by_interface
    resolved = [Host(NetAddress(net(each, mask)), family_of(each)) for each in around.resolve(name)]
    if not resolved:
        raise NoHost(f"no IP address found for {word}")
    return resolved


def _inet(name: str, mask: int | None) -> Host | None:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+){0,3}", name) or (mask is None and name.count(".") != 3):
        return None
    octets = [int(part) for part in name.split(".")]
    if any(octet > 255 for octet in octets) or (mask is not None and mask > 32):
        return None
    address = IPv4Address(bytes(octets + [0] * (4 - len(octets))))
    return Host(NetAddress(net(address, mask)), Family.INET)


def _inet6(name: str, mask: int | None) -> Host | None:
    text, _, zone = name.partition("%")
    try:
        address = IPv6Address(text)
    except AddressValueError:
        return None
    return Host(NetAddress(net(address, mask)), Family.INET6, zone=zone)


def modifiers(word: str) -> tuple[str, Part, bool] | None:
    """An interface's name with its modifiers: name, part, whether `:0`. None where one is unknown, or two exclude."""
    name, *marks = word.split(":")
    parts = [_PARTS[mark] for mark in marks if mark in _PARTS]
    if len(set(parts)) > 1 or any(mark not in _PARTS and mark != "0" for mark in marks):
        return None
    return name, parts[0] if parts else Part.OWN, "0" in marks


def _interface(word: str, mask: int | None, around: Surroundings) -> list[Host] | None:
    """The addresses of an interface, a group's or all; None where the word is no interface's name."""
    read = modifiers(word)
    if read is None:
        return None
    name, part, first_only = read
    if part in (Part.NETWORK, Part.BROADCAST) and mask is not None:
        raise NoHost("network or broadcast lookup, but extra netmask given")
    known = any(each.name == name for each in around.interfaces) or around.is_group(name) or name == SELF
    if not known:
        return [] if ":" in word else None
    found = interface_hosts(InterfaceAddress(name, part, first_only), around)
    if mask is None:
        return found
    return [_masked(host, mask) for host in found]


def _masked(host: Host, mask: int) -> Host:
    assert isinstance(host.address, NetAddress)
    return replace(host, address=NetAddress(net(host.address.network.network_address, mask)))


def interface_hosts(wanted: InterfaceAddress, around: Surroundings) -> list[Host]:
    """What `(interface)` stands for now: of one interface, of all in a group, or with `self` of all there are."""
    if around.is_group(wanted.interface):
        chosen = around.members(wanted.interface)
    else:
        chosen = [each for each in around.interfaces if wanted.interface in (SELF, each.name)]
    return [host for interface in chosen for host in _of_one(interface, wanted)]


def _of_one(interface: HostInterface, wanted: InterfaceAddress) -> list[Host]:
    found: list[Host] = []
    seen: set[Family] = set()
    for held in interface.addresses:
        family = family_of(held.address)
        link_local = isinstance(held.address, IPv6Address) and held.address.is_link_local
        if wanted.part is Part.BROADCAST and (family is Family.INET6 or not interface.broadcast):
            continue
        if wanted.part is Part.PEER and not interface.point_to_point:
            continue
        if wanted.part is Part.NETWORK and link_local:
            continue
        if wanted.first_only and (family in seen or link_local):
            continue
        seen.add(family)
        address: IPv4Address | IPv6Address | None = held.address
        if wanted.part is Part.BROADCAST:
            address = held.broadcast
        elif wanted.part is Part.PEER:
            address = held.peer
        if address is None:
            continue
        length = held.prefixlen if wanted.part is Part.NETWORK else wanted.prefixlen
        zone = interface.name if link_local else ""
        found.append(Host(NetAddress(net(address, length)), family, zone=zone))
    return found
