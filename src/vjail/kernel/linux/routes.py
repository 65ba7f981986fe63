"""Routes on Linux: FreeBSD's table of a vnet kept beside the kernel's, the static routes in both.

What addresses put into a table and what goes with them follows FreeBSD's rules (fib.py), which are not Linux's: there a
static route outlives its address, and does not survive its interface being down. So the table is kept, and after each
change the kernel is given the static routes it lacks and relieved of those it should not have. Routes that others put
into the kernel (a routing daemon) are shown too, and go only when they are deleted by name, as on FreeBSD, where they
are in the same table. Sources: linux/rtnetlink.h.
"""

from __future__ import annotations

import errno
import socket as sockets
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from vjail.kernel.core.fib import NOWHERE, Entry, Fib
from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.netlink import Request, Socket
from vjail.kernel.observed import RouteFlag

_RTMSG = struct.Struct("=BBBBBBBBI")
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_METRICS, _RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA = (
    1, 4, 5, 6, 8, 9, 15, 18,
)  # fmt: skip
_RTAX_MTU = 2
_MAIN, _OURS, _KERNEL_MADE = 254, 4, (1, 2)
"""Table main; protocol static, which vjail's routes carry; redirects and what the kernel makes itself."""
_UNICAST, _BLACKHOLE, _UNREACHABLE = 1, 6, 7
_UNIVERSE, _LINK = 0, 253
_METRIC6 = 1
"""Before any daemon's. IPv4's have none, which is as much."""
_USELESS = (errno.EINVAL, errno.ENETUNREACH, errno.EHOSTUNREACH)
"""What Linux says of a gateway that is one of its own addresses or that no interface leads to; FreeBSD takes both."""
Net = IPv4Network | IPv6Network
IP = IPv4Address | IPv6Address

_LOOPBACK: Mapping[int, IP] = {4: IPv4Address("127.0.0.1"), 6: IPv6Address("::1")}
"""The gateway that FreeBSD's routes to nowhere have."""


@dataclass(frozen=True, slots=True)
class KernelRoute:
    """A route as the kernel has it; `index` is the device's, 0 for none."""

    destination: Net
    gateway: IP | None
    index: int
    kind: int
    protocol: int
    metric: int
    mtu: int = 0


def read(socket: Socket) -> list[KernelRoute]:
    """The kernel's main table of both families, without what it made itself."""
    found: list[KernelRoute] = []
    for family in (sockets.AF_INET, sockets.AF_INET6):
        body = _RTMSG.pack(family, 0, 0, 0, _MAIN, 0, 0, 0, 0)
        try:
            messages = socket.dump(nl.RTM_GETROUTE, body)
        except nl.NetlinkError as error:
            if error.errno == errno.EOPNOTSUPP:  # a kernel without IPv6
                continue
            raise
        for message in messages:
            found.extend(read_message(message))
    return found


def read_message(message: nl.Message) -> Iterator[KernelRoute]:
    """The routes in a message, one for each way to the destination; none where it is not the main table's."""
    body = message.body
    family, length, _, _, table, protocol, _, kind, flags = _RTMSG.unpack_from(body)
    found = nl.attributes(body, _RTMSG.size)
    if _RTA_TABLE in found:
        table = struct.unpack("=I", found[_RTA_TABLE])[0]
    if table != _MAIN or protocol in _KERNEL_MADE or kind not in (_UNICAST, _BLACKHOLE, _UNREACHABLE) or flags & 0x200:
        return
    six = family == sockets.AF_INET6
    network = found.get(_RTA_DST, bytes(16 if six else 4))
    destination: Net = IPv6Network((network, length)) if six else IPv4Network((network, length))
    metric = struct.unpack("=I", found[_RTA_PRIORITY])[0] if _RTA_PRIORITY in found else 0
    metrics = nl.attributes(found[_RTA_METRICS]) if _RTA_METRICS in found else {}
    mtu = struct.unpack("=I", metrics[_RTAX_MTU])[0] if _RTAX_MTU in metrics else 0
    for gateway, index in _hops(found):
        yield KernelRoute(destination, gateway, index, kind, protocol, metric, mtu)


def _hops(found: dict[int, bytes]) -> Iterator[tuple[IP | None, int]]:
    if _RTA_MULTIPATH not in found:
        index = struct.unpack("=i", found[_RTA_OIF])[0] if _RTA_OIF in found else 0
        yield _gateway(found), index
        return
    data, at = found[_RTA_MULTIPATH], 0
    while at + 8 <= len(data):
        size, _, _, index = struct.unpack_from("=HBBi", data, at)
        yield _gateway(nl.attributes(data[at + 8 : at + size])), index
        at += (size + 3) & ~3


def _gateway(found: dict[int, bytes]) -> IP | None:
    """A gateway of the destination's family, or of the other (RFC 8950), which struct rtvia names first."""
    data = found[_RTA_VIA][2:] if _RTA_VIA in found else found.get(_RTA_GATEWAY)
    if data is None:
        return None
    return IPv4Address(data) if len(data) == 4 else IPv6Address(data)


def add(route: KernelRoute) -> Request:
    """Add a route beside those there are; one that Linux has no use for (_USELESS) is left out."""
    return Request(nl.RTM_NEWROUTE, _body(route), nl.NLM_F_CREATE | nl.NLM_F_APPEND, (errno.EEXIST, *_USELESS))


def delete(route: KernelRoute) -> Request:
    """Delete just this route."""
    return Request(nl.RTM_DELROUTE, _body(route), 0, (errno.ESRCH,))


def _body(route: KernelRoute) -> bytes:
    six = route.destination.version == 6
    scope = _LINK if route.gateway is None and route.kind == _UNICAST and not six else _UNIVERSE
    family = sockets.AF_INET6 if six else sockets.AF_INET
    body = _RTMSG.pack(family, route.destination.prefixlen, 0, 0, _MAIN, route.protocol, scope, route.kind, 0)
    if route.destination.prefixlen:
        body += nl.attribute(_RTA_DST, route.destination.network_address.packed)
    if route.kind == _UNICAST or six:
        body += nl.u32(_RTA_OIF, route.index)
    if route.gateway is not None and route.gateway.version == route.destination.version:
        body += nl.attribute(_RTA_GATEWAY, route.gateway.packed)
    elif route.gateway is not None:
        other = sockets.AF_INET if six else sockets.AF_INET6
        body += nl.attribute(_RTA_VIA, struct.pack("=H", other) + route.gateway.packed)
    if route.metric:
        body += nl.u32(_RTA_PRIORITY, route.metric)
    if route.mtu:
        body += nl.nested(_RTA_METRICS, nl.u32(_RTAX_MTU, route.mtu))
    return body


class RouteTable:
    """FreeBSD's table of one vnet, and its static routes in the kernel."""

    def __init__(self, socket: Socket, fib: Fib) -> None:
        self.fib = fib
        self._socket = socket
        self._may_have_ours = True
        """Whether the kernel may have static routes of this table's; another server may have left some."""

    def entries(self, device: Mapping[int, int]) -> Sequence[Entry]:
        """The table with what others have put into the kernel. `device`: the ident of each device's interface."""
        foreign = [entry for _, entry in self._foreign(device)]
        entries = self.fib.entries()
        return sorted([*entries, *foreign], key=_order) if foreign else entries

    def lookup(self, address: IP, zone: int | None, device: Mapping[int, int]) -> list[Entry]:
        """As `Fib.lookup`, with what others have put into the kernel."""
        known = self.fib.lookup(address, zone)
        longest = known[0].destination.prefixlen if known else -1
        found = [entry for _, entry in self._foreign(device) if address in entry.destination]
        longest = max([longest, *(entry.destination.prefixlen for entry in found)])
        return [entry for entry in (*known, *found) if entry.destination.prefixlen == longest]

    def delete_foreign(self, unwanted: Callable[[Entry], bool], device: Mapping[int, int]) -> bool:
        """Delete the first route of others that is unwanted; False where none is."""
        foreign = self._foreign(device)
        gone = next((route for route, entry in foreign if unwanted(entry)), None)
        if gone is None:
            return False
        # Of IPv4 one message deletes all ways to the destination, by the first of them.
        ways = [route for route, _ in foreign if _is_way(route, gone)] if gone.destination.version == 4 else [gone]
        self._socket.request(delete(ways[0]), *(add(way) for way in ways if way != gone))
        return True

    def _foreign(self, device: Mapping[int, int]) -> list[tuple[KernelRoute, Entry]]:
        return [
            (route, entry)
            for route in read(self._socket)
            if route.protocol != _OURS and (entry := _foreign(route, device, self.fib)) is not None
        ]

    def put_in_force(self, device: Callable[[int], int], is_up: Callable[[int], bool]) -> None:
        """Make the kernel's static routes those of the table that can be now.

        `device`: the index of an ident's device, 0 where it has none; `is_up`: whether an ident is up.
        """
        loopback = (device(self.fib.loopback) if self.fib.loopback else 0) or 1
        wanted = {
            _kernel_route(entry, device(entry.out), loopback): None
            for entry in static(self.fib)
            if device(entry.out) and (is_up(entry.out) or entry.flags & NOWHERE)
        }
        if not wanted and not self._may_have_ours:
            return
        present = dict.fromkeys(route for route in read(self._socket) if route.protocol == _OURS)
        gone = [delete(route) for route in present if route not in wanted]
        missing = [add(route) for route in wanted if route not in present]
        self._may_have_ours = True
        self._socket.request(*gone, *missing)
        self._may_have_ours = bool(wanted)


@contextmanager
def kept(socket: Socket, index: int) -> Iterator[None]:
    """Give a device back, afterwards, the routes it has lost meanwhile."""
    before = [route for route in read(socket) if route.index == index]
    yield
    socket.request(*(add(route) for route in before))


def static(fib: Fib) -> list[Entry]:
    """The static routes of a table."""
    return [e for e in fib.entries() if RouteFlag.STATIC in e.flags and RouteFlag.PINNED not in e.flags]


def recorded(entry: Entry) -> dict[str, object]:
    """A static route as json can hold it. What else an entry says follows from its table."""
    return {
        "destination": str(entry.destination),
        "gateway": None if entry.gateway is None else str(entry.gateway),
        "flags": int(entry.flags),
        "out": entry.out,
        "zone": entry.zone,
        "mtu": entry.mtu,
        "weight": entry.weight,
    }


def adopt(fib: Fib, records: Sequence[Mapping[str, Any]]) -> None:
    """Enter the static routes that another server recorded; its interfaces and their addresses are there."""
    for record in records:
        destination = ip_network(record["destination"])
        gateway = None if record["gateway"] is None else ip_address(record["gateway"])
        out = record["out"]
        source = fib.source_on(out, gateway or destination.network_address)
        flags, zone = RouteFlag(record["flags"]), record["zone"]
        fib.add(Entry(destination, flags, out, out, gateway, source, zone, record["mtu"], record["weight"]))


def _kernel_route(entry: Entry, out: int, loopback: int) -> KernelRoute:
    """The route of an entry that leaves by the device `out`; `loopback` is the device of the loopback interface."""
    kind = _UNICAST
    if RouteFlag.BLACKHOLE in entry.flags:
        kind = _BLACKHOLE
    elif RouteFlag.REJECT in entry.flags:
        kind = _UNREACHABLE
    six = entry.destination.version == 6
    gateway = entry.gateway if kind == _UNICAST else None
    # Linux hangs IPv4's routes to nowhere on no device, IPv6's on the loopback.
    device = out if kind == _UNICAST else (loopback if six else 0)
    return KernelRoute(entry.destination, gateway, device, kind, _OURS, _METRIC6 if six else 0, entry.mtu)


def _is_way(route: KernelRoute, other: KernelRoute) -> bool:
    return (route.destination, route.protocol, route.metric) == (other.destination, other.protocol, other.metric)


def _foreign(route: KernelRoute, device: Mapping[int, int], fib: Fib) -> Entry | None:
    nowhere = {_BLACKHOLE: RouteFlag.BLACKHOLE, _UNREACHABLE: RouteFlag.REJECT}.get(route.kind, RouteFlag(0))
    out = device.get(route.index, fib.loopback if nowhere else None)
    if out is None:
        return None
    flags = RouteFlag.UP | RouteFlag.PROTO1 | nowhere
    if route.gateway is not None:
        flags |= RouteFlag.GATEWAY
    if route.destination.prefixlen == route.destination.max_prefixlen:
        flags |= RouteFlag.HOST
    gateway = _LOOPBACK[route.destination.version] if nowhere else route.gateway
    scoped = gateway is not None and gateway.version == 6 and gateway.is_link_local
    return Entry(route.destination, flags, out, out, gateway, None, out if scoped else None, route.mtu)


def _order(entry: Entry) -> tuple[int, int, int]:
    return entry.destination.version, int(entry.destination.network_address), -entry.destination.prefixlen
