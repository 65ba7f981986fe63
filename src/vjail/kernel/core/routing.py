"""Which routes may be added, changed and deleted, and which neighbours; the table itself is the driver's.

Sources: FreeBSD 13.2 sys/net/{rtsock.c,route.c,route/route_ctl.c,route/nhop_ctl.c}; spec host-files §5; recorded in
replay/routes, observed/d_routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.stack import Stack
from vjail.kernel.core.vnet import Vnet
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Inet6, Kind, Neighbour, NeighbourState, Route, RouteFlag
from vjail.kernel.operations import (
    AddNeighbour,
    AddRoute,
    ChangeRoute,
    DeleteNeighbour,
    DeleteRoute,
    Operation,
    RouteSpec,
)
from vjail.release import Release

_NOWHERE = RouteFlag.BLACKHOLE | RouteFlag.REJECT
_LOOPBACK_GATEWAYS: Mapping[int, IPv4Address | IPv6Address] = {4: IPv4Address("127.0.0.1"), 6: IPv6Address("::1")}
_BUCKETS = 32
"""Lists of an lltable; entries are shown list by list."""


class Routing:
    """Carries out what the routing socket is asked."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """The operations on routes and neighbours."""
        return {
            AddRoute: self._add,
            DeleteRoute: self._delete,
            ChangeRoute: self._change,
            AddNeighbour: self._add_neighbour,
            DeleteNeighbour: self._delete_neighbour,
        }

    # --- routes ---

    def _add(self, caller: Caller, operation: AddRoute) -> None:
        vnet = self._stack.vnet(caller)
        table = self._stack.driver.routes(vnet.number)
        route = self._resolved(vnet, _normal(operation.route), table)
        for present in same_destination(table, route):
            if not self._beside(route, present):
                raise KernelError(Errno.EEXIST)
        self._stack.driver.add_route(vnet.number, route)

    def _beside(self, route: RouteSpec, present: Route) -> bool:
        """Whether a second route to a destination may stand beside the first: multipath, from 13 on, via gateways."""
        if self._stack.release < Release.V13 or not _via_gateway(route) or RouteFlag.GATEWAY not in present.flags:
            return False
        return (route.gateway, route.interface) != (present.gateway, present.interface)

    def _delete(self, caller: Caller, operation: DeleteRoute) -> None:
        vnet = self._stack.vnet(caller)
        table = self._stack.driver.routes(vnet.number)
        self._stack.driver.delete_route(vnet.number, _one(table, _normal(operation.route)))

    def _change(self, caller: Caller, operation: ChangeRoute) -> None:
        """The one route there is takes the new gateway; of several the one that has it is changed."""
        vnet = self._stack.vnet(caller)
        table = self._stack.driver.routes(vnet.number)
        wanted = _normal(operation.route)
        several = same_destination(table, wanted)
        present = several[0] if len(several) == 1 else _one(table, wanted)
        changed = self._resolved(vnet, wanted, [route for route in table if route is not present])
        if (changed.gateway, changed.interface) == (present.gateway, present.interface) and not changed.mtu:
            return
        self._stack.driver.delete_route(vnet.number, present)
        self._stack.driver.add_route(vnet.number, changed)

    def _resolved(self, vnet: Vnet, route: RouteSpec, table: Sequence[Route]) -> RouteSpec:
        """The route with the interface it leaves by. Raises KernelError: EOPNOTSUPP, ENETUNREACH, ENXIO."""
        version = route.destination.version
        if route.flags & _NOWHERE:
            if vnet.loopback is None or not _has_address(vnet.loopback, version):
                raise KernelError(Errno.EOPNOTSUPP if self._stack.release >= Release.V13 else Errno.ENETUNREACH)
            return replace(route, gateway=_LOOPBACK_GATEWAYS[version], interface=vnet.loopback.name)
        if route.interface is not None and vnet.find(route.interface) is None:
            raise KernelError(Errno.ENXIO)
        if route.gateway is None:
            if route.interface is None:
                raise KernelError(Errno.EINVAL)
            return route
        towards = route.interface or self._towards(vnet, route.gateway, table)
        if towards is None or not self._is_on_link(vnet, route.gateway, towards, table):
            raise KernelError(Errno.ENETUNREACH)
        return replace(route, interface=towards)

    def _is_on_link(self, vnet: Vnet, gateway: IPv4Address | IPv6Address, name: str, table: Sequence[Route]) -> bool:
        """Whether a gateway is reached by that interface without the default route's help."""
        if gateway.version == 6 and gateway.is_link_local:
            ifnet = vnet.find(name)
            return ifnet is not None and ifnet.up and _has_link_local(ifnet)
        return self._towards(vnet, gateway, table) == name

    @staticmethod
    def _towards(vnet: Vnet, address: IPv4Address | IPv6Address, table: Sequence[Route]) -> str | None:
        """The interface by which the table reaches an address, the default route aside; None also where it is down."""
        found = [
            route
            for route in table
            if route.destination.version == address.version
            and route.destination.prefixlen > 0
            and route.zone is None
            and not route.flags & _NOWHERE
            and address in route.destination
        ]
        if not found:
            return None
        best = max(found, key=lambda route: route.destination.prefixlen)
        own = best.flags & (RouteFlag.HOST | RouteFlag.PINNED) == RouteFlag.HOST | RouteFlag.PINNED
        ifnet = _holder(vnet, address) if own else vnet.find(best.interface)
        return ifnet.name if ifnet is not None and ifnet.up else None

    def routes(self, vnet: Vnet) -> list[Route]:
        """The table, with numbers for its next hops where the driver gives none."""
        numbers: dict[object, int] = {}
        found = []
        for route in self._stack.driver.routes(vnet.number):
            if route.nhop == 0:
                key = (route.destination.version, route.gateway, route.interface, route.flags, route.mtu)
                route = replace(route, nhop=numbers.setdefault(key, len(numbers) + 1))
            found.append(route)
        return found

    # --- neighbours ---

    def _add_neighbour(self, caller: Caller, operation: AddNeighbour) -> None:
        vnet = self._stack.vnet(caller)
        table = self._stack.driver.routes(vnet.number)
        name = operation.interface or self._towards(vnet, operation.address, table)
        ifnet = vnet.find(name) if name else None
        if ifnet is None or len(operation.lladdr) != 6 or ifnet.lladdr is None:
            raise KernelError(Errno.EINVAL)
        if not self._is_on_link(vnet, operation.address, ifnet.name, table):
            raise KernelError(Errno.EINVAL)
        if _owns(ifnet, operation.address):
            raise KernelError(Errno.EPERM)
        self._stack.driver.add_neighbour(vnet.number, ifnet, operation.address, operation.lladdr)

    def _delete_neighbour(self, caller: Caller, operation: DeleteNeighbour) -> None:
        vnet = self._stack.vnet(caller)
        for neighbour in self.neighbours(vnet):
            ifnet = vnet.find(neighbour.interface)
            if operation.interface not in (None, neighbour.interface):
                continue
            if neighbour.address == operation.address and ifnet is not None:
                if _owns(ifnet, neighbour.address):
                    raise KernelError(Errno.EPERM)
                self._stack.driver.delete_neighbour(vnet.number, ifnet, neighbour.address)
                return
        raise KernelError(Errno.ENOENT)

    def neighbours(self, vnet: Vnet) -> list[Neighbour]:
        """The ARP and ND tables in the kernel's order: the newest interface's first, and by hash list there."""
        own = [
            Neighbour(held.address.address, ifnet.lladdr, ifnet.name, NeighbourState.PERMANENT)
            for ifnet in vnet.interfaces()
            if ifnet.kind is not Kind.LOOPBACK and ifnet.lladdr is not None
            for held in ifnet.addresses
        ]
        attached = {ifnet.name: -ifnet.attached for ifnet in vnet.interfaces()}
        every = [*reversed([*own, *self._stack.driver.neighbours(vnet.number)])]
        return sorted(
            (each for each in every if each.interface in attached),
            key=lambda each: (each.address.version, attached[each.interface], _bucket(each.address)),
        )


def same_destination(table: Sequence[Route], route: RouteSpec) -> list[Route]:
    """The routes of a table to exactly the destination of `route`, a link-local one on the same interface."""
    found = [present for present in table if present.destination == route.destination]
    if not _is_scoped(route.destination):
        return found
    return [present for present in found if present.zone in (route.interface, None)]


def _is_scoped(destination: IPv4Network | IPv6Network) -> bool:
    return destination.version == 6 and destination.prefixlen >= 10 and destination.network_address.is_link_local


def _normal(route: RouteSpec) -> RouteSpec:
    """What the kernel makes of a request: a destination without a shorter mask is a host, a gateway needs no flag."""
    flags = route.flags & ~RouteFlag.HOST
    if route.destination.prefixlen == route.destination.max_prefixlen:
        flags |= RouteFlag.HOST
    return replace(route, flags=flags)


def _via_gateway(route: RouteSpec) -> bool:
    return route.gateway is not None and not route.flags & _NOWHERE


def _one(table: Sequence[Route], wanted: RouteSpec) -> Route:
    """The one route meant. Raises KernelError(ESRCH): none, or several and no gateway, or another gateway."""
    found = same_destination(table, wanted)
    if wanted.gateway is not None and not wanted.flags & _NOWHERE:
        found = [route for route in found if route.gateway == wanted.gateway]
        if wanted.gateway.is_link_local and wanted.interface is not None:
            found = [route for route in found if route.interface == wanted.interface]
    elif wanted.gateway is None and wanted.interface is not None:
        found = [route for route in found if route.interface == wanted.interface]
    if len(found) != 1:
        raise KernelError(Errno.ESRCH)
    return found[0]


def _holder(vnet: Vnet, address: IPv4Address | IPv6Address) -> IfNet | None:
    """The interface that has an address as its own."""
    held = (ifnet for ifnet in vnet.interfaces() for each in ifnet.addresses if each.address.address == address)
    return next(held, None)


def _owns(ifnet: IfNet, address: IPv4Address | IPv6Address) -> bool:
    return any(held.address.address == address for held in ifnet.addresses)


def _has_address(ifnet: IfNet, version: int) -> bool:
    return any(held.address.address.version == version for held in ifnet.addresses)


def _has_link_local(ifnet: IfNet) -> bool:
    return any(isinstance(held.address, Inet6) and held.address.address.is_link_local for held in ifnet.addresses)


def _bucket(address: IPv4Address | IPv6Address) -> int:
    """The hash list of an address: its last four bytes, exclusive or (in.c, in6.c: IN_LLTBL_HASH)."""
    low = address.packed[-4:]
    return (low[0] ^ low[1] ^ low[2] ^ low[3]) % _BUCKETS
