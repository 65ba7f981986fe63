"""Routes, neighbours and forwarding of vnets on Linux."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from vjail.kernel.core.fib import NOWHERE, Entry, as_route
from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.core.jail_addresses import Way, ways
from vjail.kernel.core.prison_record import AddressRule
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux import links
from vjail.kernel.linux.ports import Port, Ports, as_freebsd, tolerant
from vjail.kernel.observed import Kind, Neighbour, NeighbourState, Route, RouteFlag
from vjail.kernel.operations import RouteSpec

_FORWARDING = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}
_ARP_EXPIRES = 1200
"""Seconds an ARP entry lasts (net.link.ether.inet.max_age)."""
_TICKS = 100


class Routing:
    """How packets find their way in each vnet."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    # --- routes ---

    def routes(self, vnet: int) -> Sequence[Route]:
        """The table in the order in which netstat(1) shows it."""
        with as_freebsd():
            return [self._shown(entry) for entry in self._ports.table(vnet).entries(self._devices(vnet))]

    def _devices(self, vnet: int) -> dict[int, int]:
        """The ident of each device's interface."""
        return {port.speaker: ident for ident, port in self._ports.of(vnet).items() if port.index}

    def _shown(self, entry: Entry) -> Route:
        return as_route(entry, lambda ident: self._ports[ident].ifnet)

    def add_route(self, vnet: int, route: RouteSpec) -> None:
        """Add a route; the core has found the interface it leaves by."""
        fib = self._ports.table(vnet).fib
        ident = next(ident for ident, port in self._ports.of(vnet).items() if port.ifnet.name == route.interface)
        fib.add_static(ident, route)
        with as_freebsd():
            self._ports.put_routes_in_force(vnet)

    def delete_route(self, vnet: int, route: Route) -> None:
        """Delete one of `routes(vnet)`."""
        table = self._ports.table(vnet)
        entry = next((entry for entry in table.fib.entries() if self._shown(entry) == route), None)
        if entry is None:
            with as_freebsd():
                if table.delete_foreign(lambda each: self._shown(each) == route, self._devices(vnet)):
                    return
            raise KernelError(Errno.ESRCH)
        table.fib.delete(entry)
        with as_freebsd():
            self._ports.put_routes_in_force(vnet)

    def check_reachable(self, vnet: int, destination: IPv4Address | IPv6Address, zone: str | None) -> None:
        """Raise what FreeBSD's ip_output(9) says of a destination where Linux says something else, or nothing."""
        ports = self._ports.of(vnet)
        ident = next((each for each, port in ports.items() if port.ifnet.name == zone), None)
        for entry in self._ports.table(vnet).fib.lookup(destination, ident)[:1]:
            if entry.flags & NOWHERE:
                if any(not each.flags & NOWHERE for each in self._lookup(vnet, destination, ident)):
                    return
                raise KernelError(Errno.ENETUNREACH)
            port = ports.get(entry.link)
            own = RouteFlag.HOST in entry.flags and RouteFlag.PINNED in entry.flags
            if own and not ports[entry.out].up:
                raise KernelError(Errno.EHOSTUNREACH)
            if port is not None and not own and not self._can_send(port):
                raise KernelError(Errno.ENETDOWN)

    def _can_send(self, port: Port) -> bool:
        """Whether an interface has a device, and a vlan's parent is up."""
        state = port.ifnet.vlan
        above = self._ports.find(state.parent if state is not None else None)
        return bool(port.index) and (above is None or above.up)

    def is_through_gateway(self, vnet: int, destination: IPv4Address | IPv6Address) -> bool:
        """Whether the way to a destination leads through a gateway."""
        return any(RouteFlag.GATEWAY in entry.flags for entry in self._lookup(vnet, destination, None)[:1])

    def _lookup(self, vnet: int, destination: IPv4Address | IPv6Address, zone: int | None) -> list[Entry]:
        with as_freebsd():
            return self._ports.table(vnet).lookup(destination, zone, self._devices(vnet))

    def get_forwarding(self, vnet: int, family: int) -> bool:
        """Whether the vnet forwards packets of family 4 or 6."""
        with as_freebsd():
            return self._ports.vnets.read(vnet, _FORWARDING[family]) != "0"

    def set_forwarding(self, vnet: int, family: int, on: bool) -> None:
        """Forward packets of family 4 or 6, or not."""
        with as_freebsd():
            self._ports.vnets.write(vnet, {_FORWARDING[family]: str(int(on))})

    def ways(self, vnet: int, rule: AddressRule, version: int) -> Sequence[Way]:
        """The source addresses of a jail that shares a vnet, with this rule for family 4 or 6."""
        table = self._ports.table(vnet)
        with as_freebsd():
            entries = table.entries(self._devices(vnet)) if len(rule.addresses) > 1 else ()
        return ways(rule, version, entries, table.fib.addresses_on)

    # --- neighbours ---

    def neighbours(self, vnet: int) -> Sequence[Neighbour]:
        """The ARP and ND entries, own addresses not included."""
        by_index = {port.speaker: port.ifnet for port in self._ports.of(vnet).values() if port.index}
        found = []
        with as_freebsd():
            for message in self._ports.vnets[vnet].socket.dump(*links.dump_neighbours()):
                entry = links.read_entry(message)
                ifnet = by_index.get(entry.index)
                if ifnet is None or entry.address is None or entry.state == links.NUD_NOARP:
                    continue
                if entry.address.is_multicast or ifnet.kind is Kind.LOOPBACK:
                    continue
                found.append(_neighbour(entry, entry.address, ifnet.name))
        return found

    def add_neighbour(self, vnet: int, ifnet: IfNet, address: IPv4Address | IPv6Address, lladdr: bytes) -> None:
        """Add a permanent entry."""
        self._ports.request_of_speaker(ifnet, lambda index: links.add_neighbour(index, address, lladdr))

    def delete_neighbour(self, vnet: int, ifnet: IfNet, address: IPv4Address | IPv6Address) -> None:
        """Delete an entry."""
        self._ports.request_of_speaker(ifnet, lambda index: links.delete_neighbour(index, address))

    def forget_unanswered(self, vnet: int) -> None:
        """Let neighbours that have not answered yet be asked for anew.

        FreeBSD asks with each packet; Linux drops what waits for an answer when it gives up asking.
        """
        socket = self._ports.vnets[vnet].socket
        with as_freebsd():
            entries = map(links.read_entry, socket.dump(*links.dump_neighbours()))
            socket.request(
                *(
                    tolerant(links.delete_neighbour(entry.index, entry.address), errno.ENOENT)
                    for entry in entries
                    if entry.address is not None and entry.state & (links.NUD_INCOMPLETE | links.NUD_FAILED)
                )
            )


def _neighbour(entry: links.Entry, address: IPv4Address | IPv6Address, name: str) -> Neighbour:
    age = entry.updated // _TICKS
    if entry.state & links.NUD_PERMANENT:
        return Neighbour(address, entry.lladdr, name, NeighbourState.PERMANENT)
    if entry.lladdr is None:
        return Neighbour(address, None, name, NeighbourState.INCOMPLETE)
    return Neighbour(address, entry.lladdr, name, NeighbourState.REACHABLE, max(_ARP_EXPIRES - age, 0))
