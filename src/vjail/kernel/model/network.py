"""A NetworkDriver in memory: it keeps what a machine's network stacks would hold, and carries no packets.

It refuses nothing the rules of the core allow, but for an address whose network a static route has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from vjail.kernel.core.driver import Seen, Tree
from vjail.kernel.core.fib import Entry, Fib, as_route
from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Address, Kind, Neighbour, NeighbourState, Route
from vjail.kernel.operations import RouteSpec


@dataclass(slots=True)
class Device:
    """An interface as the machine would have it."""

    ifnet: IfNet
    up: bool
    mtu: int
    lladdr: bytes | None
    addresses: list[Address] = field(default_factory=list)
    arp: bool = True
    promiscuous: bool = False
    inet6: bool = False
    description: str = ""
    master: int | None = None
    """The ident of the bridge that has its frames."""
    parent: int | None = None
    """The ident of the interface a vlan is bound to."""
    statics: dict[bytes, int] = field(default_factory=dict)
    """A bridge's static addresses and the ident of the member each is behind."""

    def seen(self) -> Seen:
        """What the core may ask."""
        return Seen(self.up, self.mtu, self.lladdr, tuple(self.addresses))


@dataclass(slots=True)
class Net:
    """A network stack: its interfaces by ident, its table, its permanent neighbours."""

    fib: Fib
    devices: dict[int, Device] = field(default_factory=dict)
    neighbours: dict[tuple[int, IPv4Address | IPv6Address], bytes] = field(default_factory=dict)
    forwarding: dict[int, bool] = field(default_factory=lambda: {4: False, 6: False})


class MemoryDriver:
    """Keeps everything the core asks for."""

    def __init__(self) -> None:
        self.nets: dict[int, Net] = {}
        self._devices: dict[int, Device] = {}

    # --- interfaces ---

    def create(self, interfaces: Sequence[IfNet]) -> None:
        """Make an interface, or both halves of an epair."""
        for ifnet in interfaces:
            device = Device(ifnet, up=False, mtu=ifnet.mtu, lladdr=ifnet.lladdr, inet6=ifnet.kind is Kind.LOOPBACK)
            self._devices[ifnet.ident] = device
            self._enter(device, ifnet.vnet)

    def adopt(self, interfaces: Sequence[IfNet]) -> None:
        """Know interfaces again that are still in memory."""
        for ifnet in interfaces:
            self._devices[ifnet.ident].ifnet = ifnet

    def destroy(self, interfaces: Sequence[IfNet]) -> None:
        """Remove an interface, or both halves of an epair; a vnet whose last one goes is forgotten."""
        for ifnet in interfaces:
            self._leave(self._devices[ifnet.ident])
            del self._devices[ifnet.ident]

    def rename(self, ifnet: IfNet, name: str) -> None:
        """Names are the core's."""

    def set_up(self, ifnet: IfNet, up: bool) -> None:
        """Set or clear UP."""
        self._devices[ifnet.ident].up = up
        self._net(ifnet).fib.set_up(ifnet.ident, up)

    def set_mtu(self, ifnet: IfNet, mtu: int) -> None:
        """Set the MTU."""
        self._devices[ifnet.ident].mtu = mtu

    def set_lladdr(self, ifnet: IfNet, lladdr: bytes) -> None:
        """Set the link-layer address."""
        self._devices[ifnet.ident].lladdr = lladdr

    def set_arp(self, ifnet: IfNet, arp: bool) -> None:
        """Note whether it speaks ARP."""
        self._devices[ifnet.ident].arp = arp

    def set_promiscuous(self, ifnet: IfNet, promiscuous: bool) -> None:
        """Note whether a user asked for promiscuous mode."""
        self._devices[ifnet.ident].promiscuous = promiscuous

    def set_description(self, ifnet: IfNet, text: str) -> None:
        """Note the description."""
        self._devices[ifnet.ident].description = text

    def set_inet6(self, ifnet: IfNet, enabled: bool) -> None:
        """Note whether IPv6 runs on it."""
        self._devices[ifnet.ident].inet6 = enabled

    def move(self, ifnet: IfNet, vnet: int, name: str) -> None:
        """Move it: down, without addresses, IPv6 off."""
        device = self._devices[ifnet.ident]
        self._leave(device)
        device.up, device.inet6 = False, ifnet.kind is Kind.LOOPBACK
        device.addresses.clear()
        self._enter(device, vnet)

    def add_address(self, ifnet: IfNet, address: Address) -> None:
        """Add or replace an address. Raises KernelError(EEXIST): a static route has its network."""
        self._net(ifnet).fib.add_address(ifnet.ident, address)
        addresses = self._devices[ifnet.ident].addresses
        addresses[:] = [known for known in addresses if known.address != address.address]
        addresses.append(address)

    def remove_address(self, ifnet: IfNet, address: Address) -> None:
        """Remove an address. Raises KernelError(EADDRNOTAVAIL)."""
        if all(known.address != address.address for known in self._devices[ifnet.ident].addresses):
            raise KernelError(Errno.EADDRNOTAVAIL)
        self._net(ifnet).fib.remove_address(ifnet.ident, address.address)
        addresses = self._devices[ifnet.ident].addresses
        addresses[:] = [known for known in addresses if known.address != address.address]

    def seen(self, vnet: int) -> Mapping[int, Seen]:
        """What there is in a vnet."""
        return {ident: device.seen() for ident, device in self.nets[vnet].devices.items()}

    def see(self, ifnet: IfNet) -> Seen | None:
        """What there is of one interface."""
        device = self._devices.get(ifnet.ident)
        return None if device is None else device.seen()

    def _enter(self, device: Device, vnet: int) -> None:
        if vnet not in self.nets:
            self.nets[vnet] = Net(Fib(self._index_of))
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
        return self._devices[ident].ifnet.index

    def _net(self, ifnet: IfNet) -> Net:
        return self.nets[ifnet.vnet]

    # --- bridges and vlans ---

    def attach(self, bridge: IfNet, member: IfNet) -> None:
        """Let the bridge have the member's frames."""
        self._devices[member.ident].master = bridge.ident

    def detach(self, bridge: IfNet, member: IfNet) -> None:
        """The opposite of attach."""
        self._devices[member.ident].master = None

    def configure_member(self, bridge: IfNet, member: IfNet) -> None:
        """The core's record holds all that matters here."""

    def configure_bridge(self, bridge: IfNet) -> None:
        """The core's record holds all that matters here."""

    def spanning_tree(self, bridge: IfNet) -> Tree | None:
        """Without packets there is no tree; each bridge is its own root."""
        return None

    def bridge_addresses(self, bridge: IfNet) -> Sequence[tuple[bytes, int, int, bool]]:
        """The static addresses; without packets nothing is learnt."""
        return [(lladdr, ident, 0, True) for lladdr, ident in self._devices[bridge.ident].statics.items()]

    def bridge_flush(self, bridge: IfNet, everything: bool) -> None:
        """Forget learnt addresses, or all."""
        if everything:
            self._devices[bridge.ident].statics.clear()

    def bridge_static(self, bridge: IfNet, member: IfNet, lladdr: bytes) -> None:
        """Add a static address."""
        self._devices[bridge.ident].statics[lladdr] = member.ident

    def bridge_forget(self, bridge: IfNet, lladdr: bytes) -> bool:
        """Delete an address; False where there is none."""
        return self._devices[bridge.ident].statics.pop(lladdr, None) is not None

    def bind_vlan(self, vlan: IfNet, parent: IfNet) -> None:
        """Note what the vlan is bound to."""
        self._devices[vlan.ident].parent = parent.ident

    def unbind_vlan(self, vlan: IfNet) -> None:
        """The opposite of bind_vlan."""
        self._devices[vlan.ident].parent = None

    def lacks(self, kind: Kind) -> str:
        """Memory can hold all the core has rules for."""
        return ""

    def bind_vxlan(self, vxlan: IfNet) -> None:
        """The core's record holds all that matters here."""

    def unbind_vxlan(self, vxlan: IfNet) -> None:
        """The core's record holds all that matters here."""

    def flush_vxlan(self, vxlan: IfNet) -> None:
        """Without packets nothing is learnt."""

    # --- routes ---

    def routes(self, vnet: int) -> Sequence[Route]:
        """The table in the order in which netstat(1) shows it."""
        return [self._route(entry) for entry in self.nets[vnet].fib.entries()]

    def _route(self, entry: Entry) -> Route:
        return as_route(entry, lambda ident: self._devices[ident].ifnet)

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
        """The permanent entries; without packets nothing is learnt."""
        return [
            Neighbour(address, lladdr, self._devices[ident].ifnet.name, NeighbourState.PERMANENT)
            for (ident, address), lladdr in self.nets[vnet].neighbours.items()
        ]

    def add_neighbour(self, vnet: int, ifnet: IfNet, address: IPv4Address | IPv6Address, lladdr: bytes) -> None:
        """Add a permanent entry."""
        self.nets[vnet].neighbours[ifnet.ident, address] = lladdr

    def delete_neighbour(self, vnet: int, ifnet: IfNet, address: IPv4Address | IPv6Address) -> None:
        """Delete an entry."""
        del self.nets[vnet].neighbours[ifnet.ident, address]

    def get_forwarding(self, vnet: int, family: int) -> bool:
        """Whether the vnet forwards packets of family 4 or 6."""
        return self.nets[vnet].forwarding[family]

    def set_forwarding(self, vnet: int, family: int, on: bool) -> None:
        """Forward packets of family 4 or 6, or not."""
        self.nets[vnet].forwarding[family] = on
