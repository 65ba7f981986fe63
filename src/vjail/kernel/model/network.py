"""A NetworkDriver in memory: it keeps what a machine's network stacks would hold.

It refuses nothing the rules of the core allow, but for an address whose network a static route has. How packets move
over what is kept here: ether.py and inet.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from vjail.kernel.core.driver import Clock, Seen, Tree
from vjail.kernel.core.fib import Entry as FibEntry
from vjail.kernel.core.fib import Fib, as_route
from vjail.kernel.core.ifnet import BridgeState, IfNet
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.model import spanning
from vjail.kernel.model.devices import Device, Entry, Learnt, Net
from vjail.kernel.observed import Address, Kind, MemberFlag, Neighbour, NeighbourState, Route
from vjail.kernel.operations import RouteSpec

_UNTAGGED = 1
"""The vlan under which a bridge keeps the stations whose frames carry no tag."""


def _unset(vnet: int, name: str) -> str:
    """What a sysctl is where nobody can tell."""
    return "0"


class MemoryDriver:
    """Keeps everything the core asks for. `clock` tells when what was learnt is forgotten."""

    def __init__(self, clock: Clock, host: str = "") -> None:
        self.host = host
        self.clock = clock
        self.setting: Callable[[int, str], str] = _unset
        """The value of a sysctl of a vnet."""
        self.nets: dict[int, Net] = {}
        self.devices: dict[int, Device] = {}

    # --- interfaces ---

    def create(self, interfaces: Sequence[IfNet]) -> None:
        """Make an interface, or both halves of an epair."""
        for ifnet in interfaces:
            device = Device(ifnet, self, up=False, mtu=ifnet.mtu, lladdr=ifnet.lladdr)
            self.devices[ifnet.ident] = device
            self._enter(device, ifnet.vnet)

    def adopt(self, interfaces: Sequence[IfNet]) -> None:
        """Know interfaces again that are still in memory."""
        for ifnet in interfaces:
            self.devices[ifnet.ident].ifnet = ifnet

    def destroy(self, interfaces: Sequence[IfNet]) -> None:
        """Remove an interface, or both halves of an epair; a vnet whose last one goes is forgotten."""
        for ifnet in interfaces:
            self._leave(self.devices[ifnet.ident])
            del self.devices[ifnet.ident]

    def rename(self, ifnet: IfNet, name: str) -> None:
        """Names are the core's."""

    def set_up(self, ifnet: IfNet, up: bool) -> None:
        """Set or clear UP; a bridge that goes down forgets what it has learnt (bridge_stop)."""
        device = self.devices[ifnet.ident]
        device.up = up
        self._net(ifnet).fib.set_up(ifnet.ident, up)
        if not up:
            self.bridge_flush(ifnet, False)

    def set_mtu(self, ifnet: IfNet, mtu: int) -> None:
        """Set the MTU."""
        self.devices[ifnet.ident].mtu = mtu

    def set_lladdr(self, ifnet: IfNet, lladdr: bytes) -> None:
        """Set the link-layer address."""
        device = self.devices[ifnet.ident]
        device.lladdr = lladdr
        if device.master is not None:
            self.devices[device.master].members = None
        for ident in ifnet.lagg.ports if ifnet.lagg is not None else ():
            self.devices[ident].lladdr = lladdr

    def set_arp(self, ifnet: IfNet, arp: bool) -> None:
        """The flag is in the core's record."""

    def set_promiscuous(self, ifnet: IfNet, promiscuous: bool) -> None:
        """The flag is in the core's record."""

    def set_carrier(self, ifnet: IfNet, carrier: bool) -> None:
        """The wire of a NIC was cut or mended: the core knows."""

    def set_description(self, ifnet: IfNet, text: str) -> None:
        """Note the description."""
        self.devices[ifnet.ident].description = text

    def set_inet6(self, ifnet: IfNet, enabled: bool) -> None:
        """The flag is in the core's record."""

    def move(self, ifnet: IfNet, vnet: int, name: str, *, ending: bool = False) -> None:
        """Move it: down, without addresses."""
        device = self.devices[ifnet.ident]
        self._leave(device)
        device.up = False
        device.addresses.clear()
        device.stations.clear()
        self._enter(device, vnet)

    def add_address(self, ifnet: IfNet, address: Address) -> None:
        """Add or replace an address. Raises KernelError(EEXIST): a static route has its network."""
        self._net(ifnet).fib.add_address(ifnet.ident, address)
        addresses = self.devices[ifnet.ident].addresses
        addresses[:] = [known for known in addresses if known.address != address.address]
        addresses.append(address)

    def remove_address(self, ifnet: IfNet, address: Address) -> None:
        """Remove an address. Raises KernelError(EADDRNOTAVAIL)."""
        if all(known.address != address.address for known in self.devices[ifnet.ident].addresses):
            raise KernelError(Errno.EADDRNOTAVAIL)
        self._net(ifnet).fib.remove_address(ifnet.ident, address.address)
        addresses = self.devices[ifnet.ident].addresses
        addresses[:] = [known for known in addresses if known.address != address.address]

    def seen(self, vnet: int) -> Mapping[int, Seen]:
        """What there is in a vnet."""
        return {ident: device.seen() for ident, device in self.nets[vnet].devices.items()}

    def see(self, ifnet: IfNet) -> Seen | None:
        """What there is of one interface."""
        device = self.devices.get(ifnet.ident)
        return None if device is None else device.seen()

    def _enter(self, device: Device, vnet: int) -> None:
        if vnet not in self.nets:
            self.nets[vnet] = Net(vnet, self, Fib(self._index_of))
        net = self.nets[vnet]
        net.devices[device.ifnet.ident] = device
        net.fib.attach(device.ifnet.ident, loopback=device.ifnet.kind is Kind.LOOPBACK)

    def _leave(self, device: Device) -> None:
        ident, net = device.ifnet.ident, self._net(device.ifnet)
        net.fib.detach(ident)
        del net.devices[ident]
        for key in [key for key in net.neighbours if key[0] == ident]:
            del net.neighbours[key]
        if not net.devices:
            del self.nets[device.ifnet.vnet]

    def _index_of(self, ident: int) -> int:
        return self.devices[ident].ifnet.index

    def _net(self, ifnet: IfNet) -> Net:
        return self.nets[ifnet.vnet]

    # --- bridges and vlans: members and bindings are in the core's records ---

    def attach(self, bridge: IfNet, member: IfNet) -> None:
        """Let the bridge have the member's frames."""
        self.devices[member.ident].master = bridge.ident
        self.devices[bridge.ident].members = None

    def detach(self, bridge: IfNet, member: IfNet) -> None:
        """The opposite of attach; what was learnt behind the member is forgotten."""
        self.devices[member.ident].master = None
        self.devices[bridge.ident].members = None
        stations = self.devices[bridge.ident].stations
        for station in [station for station, learnt in stations.items() if learnt.member == member.ident]:
            del stations[station]

    def configure_member(self, bridge: IfNet, member: IfNet) -> None:
        """A member may take part in spanning tree now, or not any more; the rest the core's record says."""
        device, state = self.devices[bridge.ident], bridge.bridge or BridgeState()
        takes_part = any(MemberFlag.STP in membership.flags for membership in state.members.values())
        device.tree = (device.tree or spanning.tree(device)) if takes_part else None

    def configure_bridge(self, bridge: IfNet) -> None:
        """Nothing to do: the core's record says it."""

    def spanning_tree(self, bridge: IfNet) -> Tree | None:
        """What the protocol would have come to by now."""
        return spanning.tree(self.devices[bridge.ident])

    def bridge_addresses(self, bridge: IfNet) -> Sequence[tuple[bytes, int, int, bool]]:
        """What was learnt and not forgotten again, and what was set."""
        now = self.clock.monotonic()
        return [
            (lladdr, learnt.member, 0 if learnt.expires is None else int(learnt.expires - now), learnt.expires is None)
            for (lladdr, _), learnt in self.devices[bridge.ident].stations.items()
            if learnt.expires is None or learnt.expires > now
        ]

    def bridge_flush(self, bridge: IfNet, everything: bool) -> None:
        """Forget learnt addresses, or all."""
        stations = self.devices[bridge.ident].stations
        for station in [each for each, learnt in stations.items() if everything or learnt.expires is not None]:
            del stations[station]

    def bridge_static(self, bridge: IfNet, member: IfNet, lladdr: bytes) -> None:
        """Add a static address."""
        self.devices[bridge.ident].stations[lladdr, _UNTAGGED] = Learnt(member.ident, None)

    def bridge_forget(self, bridge: IfNet, lladdr: bytes) -> bool:
        """Delete an address; False where there is none."""
        stations = self.devices[bridge.ident].stations
        gone = [station for station in stations if station[0] == lladdr]
        for station in gone:
            del stations[station]
        return bool(gone)

    def bind_vlan(self, vlan: IfNet, parent: IfNet) -> None:
        """Nothing to do: the core's record says it."""

    def unbind_vlan(self, vlan: IfNet) -> None:
        """Nothing to do: the core's record says it."""

    def lacks(self, kind: Kind) -> str:
        """Memory can hold all the core has rules for."""
        return ""

    def bind_vxlan(self, vxlan: IfNet) -> None:
        """Nothing to do: the core's record says it."""

    def unbind_vxlan(self, vxlan: IfNet) -> None:
        """Nothing to do: the core's record says it."""

    def add_lagg_port(self, lagg: IfNet, port: IfNet) -> None:
        """A port has the lagg's link-layer address."""
        self.devices[port.ident].lladdr = lagg.lladdr

    def delete_lagg_port(self, lagg: IfNet, port: IfNet) -> None:
        """The core's record holds all that matters here."""

    def set_lagg_protocol(self, lagg: IfNet, ports: Sequence[IfNet]) -> None:
        """The core's record holds all that matters here."""

    def flush_vxlan(self, vxlan: IfNet) -> None:
        """Forget behind which addresses stations are."""
        self.devices[vxlan.ident].remotes.clear()

    # --- routes ---

    def routes(self, vnet: int) -> Sequence[Route]:
        """The table in the order in which netstat(1) shows it."""
        return [self._route(entry) for entry in self.nets[vnet].fib.entries()]

    def _route(self, entry: FibEntry) -> Route:
        return as_route(entry, lambda ident: self.devices[ident].ifnet)

    def add_route(self, vnet: int, route: RouteSpec) -> None:
        """Add a route; the core has found the interface it leaves by."""
        net = self.nets[vnet]
        ident = next(ident for ident, device in net.devices.items() if device.ifnet.name == route.interface)
        net.fib.add_static(ident, route)

    def delete_route(self, vnet: int, route: Route) -> None:
        """Delete one of `routes`."""
        fib = self.nets[vnet].fib
        entry = next((entry for entry in fib.entries() if self._route(entry) == route), None)
        if entry is None:
            raise KernelError(Errno.ESRCH)
        fib.delete(entry)

    # --- neighbours and forwarding ---

    def neighbours(self, vnet: int) -> Sequence[Neighbour]:
        """What was learnt and not forgotten again, and what was set."""
        now = self.clock.monotonic()
        found = []
        for (ident, address), entry in self.nets[vnet].neighbours.items():
            left = None if entry.expires is None else math.ceil(entry.expires - now)
            if entry.lladdr is None:
                state = NeighbourState.INCOMPLETE
            elif left is None:
                state = NeighbourState.PERMANENT
            else:
                state = NeighbourState.REACHABLE
            if left is None or left > 0:
                name = self.devices[ident].ifnet.name
                found.append(Neighbour(address, entry.lladdr, name, state, None if entry.lladdr is None else left))
        return found

    def add_neighbour(self, vnet: int, ifnet: IfNet, address: IPv4Address | IPv6Address, lladdr: bytes) -> None:
        """Add a permanent entry."""
        self.nets[vnet].neighbours[ifnet.ident, address] = Entry(lladdr)

    def delete_neighbour(self, vnet: int, ifnet: IfNet, address: IPv4Address | IPv6Address) -> None:
        """Delete an entry."""
        del self.nets[vnet].neighbours[ifnet.ident, address]

    def get_forwarding(self, vnet: int, family: int) -> bool:
        """Whether the vnet forwards packets of family 4 or 6."""
        return self.nets[vnet].forwarding[family]

    def set_forwarding(self, vnet: int, family: int, on: bool) -> None:
        """Forward packets of family 4 or 6, or not."""
        self.nets[vnet].forwarding[family] = on
