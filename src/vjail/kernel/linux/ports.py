"""The interfaces of a host's vnets on Linux: the device of each, what Linux forgets of it, each vnet's routing table.

FreeBSD and Linux differ in what an interface keeps while it is down, in IPv6 and in names; where Linux forgets what
FreeBSD keeps, it is remembered here and given back. All parts of the network driver work on one `Ports`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any

from vjail.kernel.core.fib import Entry, Fib
from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.core.journal import Journal
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux import links
from vjail.kernel.linux.netlink import NetlinkError, Request, Socket
from vjail.kernel.linux.routes import RouteTable, adopt, recorded, static
from vjail.kernel.linux.vnets import VnetSpaces
from vjail.kernel.observed import Address, Inet6, Kind

_ROUTES = "routes"
FAR_END = "~"
"""How the name of a device begins that is nobody's interface: a vlan's far end, with the vlan's ident."""


@dataclass(slots=True)
class Port:
    """What the driver keeps of an interface: its device's index in its vnet (0: none), and what Linux forgets."""

    ifnet: IfNet
    vnet: int
    index: int
    station: int = 0
    """The device that has its addresses while it is in a bridge (stations.py), 0 where that is its own."""
    plug: int = 0
    """The station's other end, in the bridge."""
    up: bool = False
    inet6_enabled: bool = False
    inet6: dict[IPv6Address, Inet6] = field(default_factory=dict)
    lladdr: bytes | None = None
    """An address the device would not take, shown all the same."""
    addresses: list[Address] = field(default_factory=list)
    """Of an interface without a device."""

    @property
    def speaker(self) -> int:
        """The index of the device that has its name and its addresses."""
        return self.station or self.index

    @property
    def devices(self) -> tuple[int, ...]:
        """The indexes of all its devices."""
        return tuple(index for index in (self.index, self.station, self.plug) if index)


class Ports:
    """The ports of all vnets, by the interface's ident."""

    def __init__(self, vnets: VnetSpaces, journal: Journal) -> None:
        self.vnets = vnets
        self._journal = journal
        self._recorded: dict[int, list[Entry]] = {}
        """The static routes of each vnet as they are in the journal: the kernel has only those that can be now."""
        self._ports: dict[int, Port] = {}
        self._in_vnet: dict[int, dict[int, Port]] = {}
        self._tables: dict[int, RouteTable] = {}

    def __getitem__(self, ident: int) -> Port:
        return self._ports[ident]

    def __iter__(self) -> Iterator[Port]:
        return iter(self._ports.values())

    def find(self, ident: int | None) -> Port | None:
        """The port of an interface that may be gone."""
        return None if ident is None else self._ports.get(ident)

    def of(self, vnet: int) -> Mapping[int, Port]:
        """The ports of a vnet, by ident; none where there is no such vnet."""
        return self._in_vnet.get(vnet, {})

    def vnets_in_use(self) -> list[int]:
        """The numbers of the vnets that have an interface."""
        return list(self._in_vnet)

    # --- coming and going ---

    def enter(self, port: Port, vnet: int) -> None:
        """Let a port be one of a vnet's."""
        ident = port.ifnet.ident
        port.vnet = vnet
        self._ports[ident] = port
        self._in_vnet.setdefault(vnet, {})[ident] = port
        if vnet not in self._tables:
            fib = Fib(lambda other: self._ports[other].ifnet.index)
            self._tables[vnet] = RouteTable(self.vnets[vnet].socket, fib)
        self._tables[vnet].fib.attach(ident, loopback=port.ifnet.kind is Kind.LOOPBACK)

    def leave(self, ident: int) -> Port:
        """Take a port out of its vnet, with the routes that go with it."""
        port = self._ports[ident]
        self._tables[port.vnet].fib.detach(ident)
        del self._in_vnet[port.vnet][ident], self._ports[ident]
        self._record_routes(port.vnet)
        if not self._in_vnet[port.vnet]:
            del self._in_vnet[port.vnet], self._tables[port.vnet]
        return port

    # --- the machine beneath ---

    def socket(self, ifnet: IfNet) -> Socket:
        """The netlink socket of the vnet an interface is in, or will be made in."""
        port = self._ports.get(ifnet.ident)
        return self.vnets[port.vnet if port else ifnet.vnet].socket

    def request(self, ifnet: IfNet, request: Callable[[int], Request]) -> None:
        """Ask something of an interface's device, where it has one. Raises KernelError."""
        port = self._ports[ifnet.ident]
        if port.index:
            with as_freebsd():
                self.vnets[port.vnet].socket.request(request(port.index))

    def request_of_speaker(self, ifnet: IfNet, request: Callable[[int], Request]) -> None:
        """The same of the device that has an interface's addresses."""
        port = self._ports[ifnet.ident]
        if port.index:
            with as_freebsd():
                self.vnets[port.vnet].socket.request(request(port.speaker))

    def look_up(self, vnet: int, name: str) -> int:
        """The index of the device of that name. Raises NetlinkError."""
        return links.read_link(self.vnets[vnet].socket.get(*links.get_link(name))).index

    def let_pass(self, ifnet: IfNet) -> None:
        """Let frames pass an interface, its other end and their bridges as soon as it is up, as on FreeBSD.

        Linux lets a device know of its carrier in a while, within a second; asked for the device, at once.
        """
        if not self._ports[ifnet.ident].index:
            return
        ends = [self._ports[ident] for ident in (ifnet.ident, ifnet.peer) if ident in self._ports]
        bridges = [self._ports[end.ifnet.member.bridge] for end in ends if end.ifnet.member is not None]
        for port in (*ends, *bridges):
            if port.index:
                with contextlib.suppress(NetlinkError):
                    socket = self.vnets[port.vnet].socket
                    message = socket.get(*links.get_link_at(port.index))
                    if port.ifnet.kind is Kind.NIC and (other := links.get_other_end(message)) is not None:
                        socket.get(*other)

    # --- routing tables ---

    def table(self, vnet: int) -> RouteTable:
        """The routing table of a vnet that has an interface."""
        return self._tables[vnet]

    def fib(self, port: Port) -> Fib:
        """FreeBSD's table of the vnet a port is in."""
        return self._tables[port.vnet].fib

    def put_routes_in_force(self, vnet: int) -> None:
        """Give the kernel the static routes it lacks, and write them down. Raises NetlinkError."""
        ports = self._in_vnet[vnet]
        self._tables[vnet].put_in_force(
            lambda ident: ports[ident].speaker if ident in ports else 0, lambda ident: ports[ident].up
        )
        self._record_routes(vnet)

    def adopt_routes(self) -> None:
        """Take the static routes of all vnets out of the journal."""
        for key, record in self._journal.records(_ROUTES):
            found: Any = record["static"]
            adopt(self._tables[int(key)].fib, found)
            self._recorded[int(key)] = static(self._tables[int(key)].fib)
            self.put_routes_in_force(int(key))

    def _record_routes(self, vnet: int) -> None:
        routes = static(self._tables[vnet].fib)
        if routes == self._recorded.get(vnet, []):
            return
        if routes:
            self._recorded[vnet] = routes
            self._journal.put(_ROUTES, str(vnet), {"static": [recorded(entry) for entry in routes]})
        else:
            del self._recorded[vnet]
            self._journal.drop(_ROUTES, str(vnet))


@contextmanager
def as_freebsd() -> Iterator[None]:
    """An error of this machine's becomes FreeBSD's."""
    try:
        yield
    except OSError as error:
        raise KernelError(Errno.of_host(error.errno)) from error


def tolerant(request: Request, *codes: int) -> Request:
    """The same request, to which these errnos are as good as success."""
    return Request(request.kind, request.body, request.flags, codes)
