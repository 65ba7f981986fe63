"""FreeBSD's routing table of one vnet: what addresses put into it, what goes when they or their interface go, lookup.

Pure bookkeeping over interfaces it is told of by ident; their names are whoever shows the table's concern.
Sources: FreeBSD 13.2 sys/netinet/in.c (the cases above ia_need_loopback_route, in_addprefix, in_scrubprefix,
in_ifnet_event), in_rmx.c (in_ifadownkill), sys/netinet6/nd6_rtr.c; recorded in replay/routes, observed/d_routes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.core.nexthops import NextHops
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Address, Gateway, Inet, Inet6, LinkGateway, Route, RouteFlag
from vjail.kernel.operations import RouteSpec

IP = IPv4Address | IPv6Address
Net = IPv4Network | IPv6Network
Source = tuple[int, IP]
"""An address of an interface, by ident."""
Place = tuple[int, int, int]
"""Where a destination stands: family, address with the scope embedded as the kernel has it, prefix length."""

_CONNECTED = RouteFlag.UP | RouteFlag.PINNED
_OWN = _CONNECTED | RouteFlag.HOST | RouteFlag.STATIC
NOWHERE = RouteFlag.BLACKHOLE | RouteFlag.REJECT
"""The flags of routes whose packets end here."""
_SCOPE_SHIFT = 96
"""KAME keeps the interface index of a link-local address in its second 16 bits."""


@dataclass(frozen=True, slots=True)
class Port:
    """What a table knows of an interface."""

    ident: int
    loopback: bool
    up: bool = False
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One route: by `gateway`, or straight onto `link`; out of interface `out`.

    `link` is the interface whose network it is, also where its packets leave by the loopback. `source` is the address
    a route belongs to. `zone` is the interface of a link-local destination or gateway.
    """

    destination: Net
    flags: RouteFlag
    out: int
    link: int
    gateway: IP | None = None
    source: Source | None = None
    zone: int | None = None
    mtu: int = 0
    weight: int = 1
    nhop: int = 0


class Fib:
    """The routing table of one vnet, both families. `index_of` tells the index of an interface in that vnet."""

    def __init__(self, index_of: Callable[[int], int]) -> None:
        self._index_of = index_of
        self._ports: dict[int, Port] = {}
        self._routes: dict[Place, list[Entry]] = {}
        self._through: dict[int, set[Place]] = {}
        """The places of the routes that leave by, or are a network of, an interface."""
        self._networks: dict[Place, dict[Source, None]] = {}
        """Which addresses lie in a connected network, the first to have come first."""
        self._hosts: dict[Place, dict[Source, None]] = {}
        """Which interfaces have an address."""
        self._lengths: dict[tuple[int, int], int] = {}
        """How many destinations there are of a family and prefix length."""
        self._nexthops = {4: NextHops(), 6: NextHops()}

    # --- what is asked of it ---

    def entries(self) -> list[Entry]:
        """All routes, IPv4's first, by address, at the same address those with the longest prefix first."""
        places = sorted(self._routes, key=lambda place: (place[0], place[1], -place[2]))
        return [entry for place in places for entry in self._routes[place]]

    def lookup(self, address: IP, zone: int | None = None) -> list[Entry]:
        """The routes of the longest prefix that holds an address (several: multipath); none: no way there.

        `zone` is the ident of a link-local address's interface.
        """
        value = _embedded(address, 0 if zone is None else self._index_of(zone))
        bits = address.max_prefixlen
        for version, length in sorted(self._lengths, key=lambda each: -each[1]):
            if version == address.version:
                found = self._routes.get((version, value >> bits - length << bits - length, length))
                if found:
                    return list(found)
        return []

    def source_on(self, ident: int, towards: IP) -> Source | None:
        """The address of an interface that a route towards `towards` belongs to: its network's, or the first."""
        addresses = [each for each in self._ports[ident].addresses if each.address.version == towards.version]
        fitting = [each for each in addresses if towards in _network(each)]
        chosen = max(fitting, key=lambda each: _network(each).prefixlen) if fitting else next(iter(addresses), None)
        return None if chosen is None else (ident, chosen.address)

    def addresses_on(self, ident: int) -> list[IP]:
        """The addresses of an interface in the order they came; none where it is not there."""
        port = self._ports.get(ident)
        return [] if port is None else [each.address for each in port.addresses]

    @property
    def loopback(self) -> int | None:
        """The ident of the interface by which the vnet speaks with itself."""
        return next((port.ident for port in self._ports.values() if port.loopback), None)

    # --- static routes ---

    def add_static(self, ident: int, route: RouteSpec) -> None:
        """Add a static route out of an interface."""
        towards = route.gateway or route.destination.network_address
        flags = route.flags | RouteFlag.UP
        if route.gateway is not None and not flags & NOWHERE:
            flags |= RouteFlag.GATEWAY
        scoped = towards.version == 6 and (towards.is_link_local or route.destination.is_link_local)
        zone = ident if scoped and not flags & NOWHERE else None
        source, weight = self.source_on(ident, towards), route.weight or 1
        self.add(Entry(route.destination, flags, ident, ident, route.gateway, source, zone, route.mtu, weight))

    def add(self, entry: Entry) -> None:
        """Add a route beside those there are."""
        place = self._place(entry.destination, entry.zone)
        routes = self._routes.setdefault(place, [])
        if not routes:
            kind = (place[0], place[2])
            self._lengths[kind] = self._lengths.get(kind, 0) + 1
        numbers = self._nexthops[place[0]]
        before = _group(routes)
        routes.append(replace(entry, nhop=numbers.take(_hop(entry))))
        if (after := _group(routes)) is not None:
            numbers.take(after)
        if before is not None:
            numbers.give_back(before)
        for ident in (entry.out, entry.link):
            self._through.setdefault(ident, set()).add(place)

    def delete(self, entry: Entry) -> None:
        """Delete one of `entries`."""
        place = self._place(entry.destination, entry.zone)
        routes, numbers = self._routes[place], self._nexthops[place[0]]
        if (before := _group(routes)) is not None:
            numbers.give_back(before)
        routes.remove(entry)
        if (after := _group(routes)) is not None:
            numbers.take(after)
        numbers.give_back(_hop(entry))
        if not routes:
            del self._routes[place]
            kind = (place[0], place[2])
            self._lengths[kind] -= 1
            if not self._lengths[kind]:
                del self._lengths[kind]
        for ident in (entry.out, entry.link):
            if not any(ident in (each.out, each.link) for each in routes):
                self._through[ident].discard(place)

    # --- what interfaces do ---

    def attach(self, ident: int, *, loopback: bool) -> None:
        """An interface has come, down and without addresses."""
        self._ports[ident] = Port(ident, loopback)

    def detach(self, ident: int) -> None:
        """An interface goes, and every route through it."""
        for address in self._ports[ident].addresses:
            self.remove_address(ident, address.address)
        self._delete_all(entry for entry in self._of(ident))
        self._through.pop(ident, None)
        del self._ports[ident]

    def set_up(self, ident: int, up: bool) -> None:
        """UP is set or cleared: IPv4's connected networks come and go with it; static routes and IPv6's stay."""
        port = self._ports[ident]
        if port.up == up:
            return
        self._ports[ident] = replace(port, up=up)
        for address in port.addresses:
            if isinstance(address, Inet):
                source = (ident, address.address)
                if up:
                    self._connect(source, address)
                else:
                    self._hand_over(source, address)

    def add_address(self, ident: int, address: Address) -> None:
        """An address, or the same with another prefix. Raises KernelError(EEXIST): a static route has its network."""
        port = self._ports[ident]
        net = _connected(port, address)
        if net and any(RouteFlag.PINNED not in each.flags for each in self._routes.get(self._place(net, ident), ())):
            raise KernelError(Errno.EEXIST)
        if any(known.address == address.address for known in port.addresses):
            self.remove_address(ident, address.address)
        self._ports[ident] = replace(port, addresses=(*self._ports[ident].addresses, address))
        source = (ident, address.address)
        if net:
            self._networks.setdefault(self._place(net, ident), {})[source] = None
            self._connect(source, address)
        if _needs_own(port, address):
            self._hosts.setdefault(self._place(_host(address.address), ident), {})[source] = None
            self._answer(source)

    def remove_address(self, ident: int, address: IP) -> None:
        """An address goes. Its network passes to another address that lies in it; IPv4's static routes go with it."""
        port = self._ports[ident]
        gone = next((known for known in port.addresses if known.address == address), None)
        if gone is None:
            return  # a server that died had written the address down, and not yet put it in the table
        self._ports[ident] = replace(port, addresses=tuple(each for each in port.addresses if each is not gone))
        source = (ident, address)
        net = _connected(port, gone)
        if net:
            _forget(self._networks, self._place(net, ident), source)
            self._hand_over(source, gone)
        if _needs_own(port, gone):
            place = self._place(_host(address), ident)
            _forget(self._hosts, place, source)
            self._delete_all(entry for entry in self._routes.get(place, ()) if entry.source == source)
            self._refill(place)
        if address.version == 4:
            self._delete_all(entry for entry in self._of(ident) if entry.source == source)

    def _connect(self, source: Source, address: Address) -> None:
        """Enter the network of an address, unless another has it or IPv4's interface is down."""
        port = self._ports[source[0]]
        net = _connected(port, address)
        if net is None or self._routes.get(self._place(net, port.ident)) or not (port.up or net.version == 6):
            return
        host = net.prefixlen == net.max_prefixlen
        flags = _CONNECTED | RouteFlag.HOST if host else _CONNECTED
        out = self.loopback if host and not port.loopback else port.ident
        zone = port.ident if _is_scoped(net) else None
        self.add(Entry(net, flags, port.ident if out is None else out, port.ident, None, source, zone))

    def _hand_over(self, source: Source, address: Address) -> None:
        """The network an address held passes to the next that can have it, or is gone."""
        net = _connected(self._ports[source[0]], address)
        if net is None:
            return
        place = self._place(net, source[0])
        held = [entry for entry in self._routes.get(place, ()) if entry.source == source]
        self._delete_all(held)
        if held:
            self._refill(place)

    def _refill(self, place: Place) -> None:
        """A destination is free again: it passes to the first who has a network or an address there, and may have it.

        A loopback's network is its address itself, which another interface may have too.
        """
        for other in self._networks.get(place, ()):
            heir = next(each for each in self._ports[other[0]].addresses if each.address == other[1])
            self._connect(other, heir)
        for other in self._hosts.get(place, ()):
            self._answer(other)

    def _answer(self, source: Source) -> None:
        """Enter the host route by which the vnet reaches an own address, unless it has one."""
        port = self._ports[source[0]]
        destination = _host(source[1])
        if self._routes.get(self._place(destination, port.ident)):
            return
        loopback = self.loopback
        out = port.ident if port.loopback or loopback is None else loopback
        zone = port.ident if _is_scoped(destination) else None
        self.add(Entry(destination, _OWN, out, port.ident, None, source, zone))

    # --- finding ---

    def _of(self, ident: int) -> list[Entry]:
        """The routes that leave by, or are a network of, an interface."""
        return [
            entry
            for place in sorted(self._through.get(ident, ()))
            for entry in self._routes[place]
            if ident in (entry.out, entry.link)
        ]

    def _delete_all(self, entries: Iterable[Entry]) -> None:
        for entry in list(entries):
            self.delete(entry)

    def _place(self, net: Net, zone: int | None) -> Place:
        scope = self._index_of(zone) if zone is not None and _is_scoped(net) else 0
        return net.version, _embedded(net.network_address, scope), net.prefixlen


def as_route(entry: Entry, interface: Callable[[int], IfNet]) -> Route:
    """A route as it is shown; `interface` gives an interface by ident."""
    gateway: Gateway = entry.gateway or LinkGateway(interface(entry.link).index)
    zone = None if entry.zone is None else interface(entry.zone).name
    name = interface(entry.out).name
    return Route(entry.destination, gateway, entry.flags, name, entry.mtu, entry.weight, zone, entry.nhop)


def _embedded(address: IP, scope: int) -> int:
    return int(address) | scope << _SCOPE_SHIFT if address.version == 6 and address.is_link_local else int(address)


def _is_scoped(net: Net) -> bool:
    return net.version == 6 and net.prefixlen > 10 and net.network_address.is_link_local


def _host(address: IP) -> Net:
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


def _network(address: Address) -> Net:
    """The network an address lies in; of a mask with holes the ones before the first count."""
    if isinstance(address, Inet6):
        return IPv6Network((address.address, address.prefixlen), strict=False)
    ones = f"{int(address.netmask):032b}".partition("0")[0]
    return IPv4Network((address.address, len(ones)), strict=False)


def _connected(port: Port, address: Address) -> Net | None:
    """The destination that becomes reachable by an address: its network, on loopbacks IPv4's address itself."""
    if isinstance(address, Inet):
        return _host(address.address) if port.loopback else _network(address)
    net = _network(address)
    return None if net.prefixlen == net.max_prefixlen else net


def _needs_own(port: Port, address: Address) -> bool:
    """Whether an address has a host route besides its network's."""
    if isinstance(address, Inet):
        return not port.loopback and _network(address).prefixlen < 32
    return True


def _forget(claims: dict[Place, dict[Source, None]], place: Place, source: Source) -> None:
    del claims[place][source]
    if not claims[place]:
        del claims[place]


def _hop(entry: Entry) -> Hashable:
    """What makes two next hops the same."""
    kind = entry.destination.prefixlen == 0
    return kind, entry.flags, entry.out, entry.link, entry.gateway, entry.source, entry.mtu


def _group(routes: list[Entry]) -> Hashable | None:
    """The group of next hops of a destination with several."""
    return ("group", *(entry.nhop for entry in routes)) if len(routes) > 1 else None
