"""What the addresses of a jail without a vnet mean: which it may use, what stands for what, which it sends from.

Pure. Sources: FreeBSD 13.2 sys/netinet/in_jail.c, sys/netinet6/in6_jail.c (prison_local_ip4, prison_remote_ip4,
prison_check_ip4 …), sys/netinet/in_pcb.c (in_pcbladdr), sys/netinet6/in6_src.c (in6_selectsrc).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Protocol

from vjail.kernel.core.prison_record import AddressRule, IpAddress
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import RouteFlag

Net = IPv4Network | IPv6Network

LOOPBACKS = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
"""What in a jail stands for its first address, unless it has it."""


@dataclass(frozen=True, slots=True)
class Way:
    """The source address of what goes to a network, unless a longer prefix holds the destination too."""

    to: Net
    source: IpAddress


def owns(rule: AddressRule, address: IpAddress) -> bool:
    """Whether a jail may use an address as its own."""
    return not rule.restricted or address in rule.addresses


def local(rule: AddressRule, address: IpAddress, *, both_families: bool = False) -> IpAddress:
    """The address a socket of a jail gets that asks to be bound to `address`.

    `both_families`: an IPv6 socket that is to receive IPv4 too, which stays a wildcard. Raises KernelError:
    EADDRNOTAVAIL, EAFNOSUPPORT where the jail has no address of that family.
    """
    if not rule.restricted:
        return address
    if not rule.addresses:
        raise KernelError(Errno.EAFNOSUPPORT)
    if address.is_unspecified:
        return rule.addresses[0] if len(rule.addresses) == 1 and not both_families else address
    if address in rule.addresses:
        return address
    if address in LOOPBACKS:
        return rule.addresses[0]
    raise KernelError(Errno.EADDRNOTAVAIL)


def remote(rule: AddressRule, address: IpAddress) -> IpAddress:
    """Where a jail gets to that asks for `address`. Raises KernelError(EAFNOSUPPORT)."""
    if not rule.restricted:
        return address
    if not rule.addresses:
        raise KernelError(Errno.EAFNOSUPPORT)
    own_machine = address.is_unspecified or address in LOOPBACKS
    return rule.addresses[0] if own_machine and address not in rule.addresses else address


# --- which address it sends from --------------------------------------------------------------------------------------


class RouteLike(Protocol):
    """What is asked of a route (core/fib.py, Entry)."""

    @property
    def destination(self) -> Net: ...  # noqa: D102
    @property
    def flags(self) -> RouteFlag: ...  # noqa: D102
    @property
    def out(self) -> int: ...  # noqa: D102
    @property
    def link(self) -> int: ...  # noqa: D102
    @property
    def source(self) -> tuple[int, IpAddress] | None: ...  # noqa: D102
    @property
    def zone(self) -> int | None: ...  # noqa: D102


def ways(
    rule: AddressRule,
    version: int,
    routes: Iterable[RouteLike],
    addresses_on: Callable[[int], Sequence[IpAddress]],
) -> tuple[Way, ...]:
    """The source addresses of a jail that may use only some, longest prefix first; empty where it has none.

    `addresses_on` tells the addresses of an interface in the order they came.

    IPv4: the address the route belongs to, if it is the jail's and the route does not end on this machine; else the
    jail's first on the interface it leads to; else the jail's first. IPv6: of the jail's on that interface, else of
    all, the one with most bits in common. Without `saddrsel` always the first. Of several routes to a destination the
    first counts.
    """
    if not rule.restricted or not rule.addresses:
        return ()
    whole: Net = IPv4Network("0.0.0.0/0") if version == 4 else IPv6Network("::/0")
    otherwise = Way(whole, rule.addresses[0])
    if not rule.saddrsel or len(rule.addresses) == 1:
        return (otherwise,)
    first: dict[Net, RouteLike] = {}
    for route in routes:
        if route.destination.version == version and route.zone is None:
            first.setdefault(route.destination, route)
    found: dict[Net, Way] = {whole: otherwise}
    for net, route in first.items():
        here = [address for address in addresses_on(route.link) if address in rule.addresses]
        for way in _by_interface(rule, route, here) if version == 4 else _by_likeness(rule, net, here):
            if not _belongs_to_another(way.to, net, first):
                found[way.to] = way
    return tuple(_without_needless(sorted(found.values(), key=lambda way: (-way.to.prefixlen, way.to.network_address))))


def source_for(ways: Iterable[Way], destination: IpAddress) -> IpAddress | None:
    """The source address towards a destination; None where nothing says."""
    return next((way.source for way in ways if destination in way.to), None)


def _by_interface(rule: AddressRule, route: RouteLike, here: Sequence[IpAddress]) -> Iterator[Way]:
    if route.source is not None and route.source[1] in rule.addresses and route.out == route.link:
        yield Way(route.destination, route.source[1])
    else:
        yield Way(route.destination, here[0] if here else rule.addresses[0])


def _by_likeness(rule: AddressRule, net: Net, here: Sequence[IpAddress]) -> Iterator[Way]:
    """The best candidate for the net as a whole, and for the parts of it that are more like another."""
    candidates = here or rule.addresses
    yield Way(net, max(candidates, key=lambda each: min(_alike(each, net.network_address), net.prefixlen)))
    for each in candidates:
        for other in candidates:
            length = _alike(each, other) + 1
            if length > net.prefixlen and each in net and each != other:
                yield Way(IPv6Network((int(each), length), strict=False), each)


def _belongs_to_another(part: Net, net: Net, routes: Iterable[Net]) -> bool:
    """Whether a part of a route's destination is another's, longer route's."""
    return part != net and any(
        other.prefixlen > net.prefixlen and other.prefixlen <= part.prefixlen and part.network_address in other
        for other in routes
    )


def _without_needless(ways: Sequence[Way]) -> Iterator[Way]:
    """Leave out what the next shorter prefix says as well; the longest come first."""
    for place, way in enumerate(ways):
        wider = (each for each in ways[place + 1 :] if way.to.network_address in each.to)
        if (next_wider := next(wider, None)) is None or next_wider.source != way.source:
            yield way


def _alike(one: IpAddress, other: IpAddress) -> int:
    """How many leading bits two addresses of a family have in common."""
    return one.max_prefixlen - (int(one) ^ int(other)).bit_length()
