"""What the core asks of the machine beneath: make, move and set what its rules have already allowed.

An interface is named to a driver by its `IfNet`, whose `ident` never changes and is never used twice; a vnet by a
number (0 is the host's own). A driver raises KernelError where the machine refuses; the core then changes nothing.
What FreeBSD does and the machine beneath cannot is the driver's to imitate; what FreeBSD forbids never reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Protocol

from vjail.kernel.observed import Address, Kind, Neighbour, Route
from vjail.kernel.operations import RouteSpec

if TYPE_CHECKING:
    from vjail.kernel.core.ifnet import IfNet


@dataclass(frozen=True, slots=True)
class Seen:
    """What the machine beneath knows of an interface now; another program may have changed it."""

    up: bool
    mtu: int
    lladdr: bytes | None
    addresses: tuple[Address, ...]
    carrier: bool = False
    """Whether a program holds a tap or tun open; of no meaning for other kinds."""


@dataclass(frozen=True, slots=True)
class Port:
    """What a bridge's spanning tree has made of a member: FreeBSD's words for its role and state."""

    role: str
    state: str


@dataclass(frozen=True, slots=True)
class Tree:
    """Spanning tree as a bridge sees it. `root_port` is a member's ident, None where the bridge itself is the root."""

    root: bytes
    """The link-layer address in the root's id."""
    root_priority: int
    root_cost: int
    root_port: int | None
    ports: Mapping[int, Port]
    """By the members' idents."""


class NetworkDriver(Protocol):
    """Carries out what the network's rules decided."""

    def lacks(self, kind: Kind) -> str:
        """Why interfaces of a kind cannot be made on the machine beneath; empty where they can."""
        ...

    def create(self, interfaces: Sequence[IfNet]) -> None:
        """Make an interface, or both halves of an epair, in `interfaces[0].vnet`, down, with their lladdr and mtu.

        IPv6 is off but on loopbacks. A NIC and a vnet's lo0 are there already: they are found under their name.
        """
        ...

    def adopt(self, interfaces: Sequence[IfNet]) -> None:
        """Know again, under their idents, interfaces that `create` made in another process, wherever they are."""
        ...

    def destroy(self, interfaces: Sequence[IfNet]) -> None:
        """Remove an interface, or both halves of an epair, wherever they are; a vnet's lo0, as the vnet's last."""
        ...

    def rename(self, ifnet: IfNet, name: str) -> None:
        """Give it another name; `ifnet.name` is still the old one."""
        ...

    def set_up(self, ifnet: IfNet, up: bool) -> None:
        """Set or clear UP."""
        ...

    def set_mtu(self, ifnet: IfNet, mtu: int) -> None:
        """Set the MTU, bytes."""
        ...

    def set_lladdr(self, ifnet: IfNet, lladdr: bytes) -> None:
        """Set the link-layer address."""
        ...

    def set_arp(self, ifnet: IfNet, arp: bool) -> None:
        """Whether it answers and asks ARP (clear of NOARP)."""
        ...

    def set_promiscuous(self, ifnet: IfNet, promiscuous: bool) -> None:
        """Whether a user asked for promiscuous mode (PPROMISC)."""
        ...

    def set_carrier(self, ifnet: IfNet, carrier: bool) -> None:
        """The wire of a NIC, or of a vlan's parent, was cut or mended; what the wire itself does not do is left."""
        ...

    def set_description(self, ifnet: IfNet, text: str) -> None:
        """Note the description, empty for none."""
        ...

    def set_inet6(self, ifnet: IfNet, enabled: bool) -> None:
        """Whether IPv6 runs on it at all (clear of IFDISABLED); off, its IPv6 addresses stay but are not used."""
        ...

    def move(self, ifnet: IfNet, vnet: int, name: str, *, ending: bool = False) -> None:
        """Move it from `ifnet.vnet` to `vnet`, down, without addresses and with IPv6 off, under `name`.

        `ending`: the vnet that it leaves ends; nobody is in it any more.
        """
        ...

    def add_address(self, ifnet: IfNet, address: Address) -> None:
        """Add an address, or replace the same one."""
        ...

    def remove_address(self, ifnet: IfNet, address: Address) -> None:
        """Remove an address."""
        ...

    def seen(self, vnet: int) -> Mapping[int, Seen]:
        """What there is in a vnet, by `ident`."""
        ...

    def see(self, ifnet: IfNet) -> Seen | None:
        """What there is of one interface, None where it is gone; takes no longer where the vnet has many others."""
        ...

    def attach(self, bridge: IfNet, member: IfNet) -> None:
        """Let the bridge have the member's frames, by its flags and numbers; called only while the bridge is up.

        A member with SPAN in its flags (`bridge.bridge.members[member.ident]`) gets a copy of every frame instead.
        """
        ...

    def detach(self, bridge: IfNet, member: IfNet) -> None:
        """The opposite of attach."""
        ...

    def configure_member(self, bridge: IfNet, member: IfNet) -> None:
        """Put changed flags and numbers of an attached member (`bridge.bridge.members[member.ident]`) into effect."""
        ...

    def configure_bridge(self, bridge: IfNet) -> None:
        """Put the bridge's own numbers into effect."""
        ...

    def spanning_tree(self, bridge: IfNet) -> Tree | None:
        """What spanning tree has come to on a bridge with members that take part; None where none is run."""
        ...

    def bridge_addresses(self, bridge: IfNet) -> Sequence[tuple[bytes, int, int, bool]]:
        """The forwarding table: lladdr, the member's ident, seconds left, static."""
        ...

    def bridge_flush(self, bridge: IfNet, everything: bool) -> None:
        """Forget learnt addresses, or all."""
        ...

    def bridge_static(self, bridge: IfNet, member: IfNet, lladdr: bytes) -> None:
        """Add a static address."""
        ...

    def bridge_forget(self, bridge: IfNet, lladdr: bytes) -> bool:
        """Delete an address; False where there is none."""
        ...

    def bind_vlan(self, vlan: IfNet, parent: IfNet) -> None:
        """Tag what `vlan` sends with `vlan.vlan` (tag, proto, pcp) and give it what arrives on `parent` so tagged."""
        ...

    def unbind_vlan(self, vlan: IfNet) -> None:
        """The opposite of bind_vlan."""
        ...

    def bind_vxlan(self, vxlan: IfNet) -> None:
        """Carry frames as `vxlan.vxlan` says, which is complete, in the place of what it said before."""
        ...

    def unbind_vxlan(self, vxlan: IfNet) -> None:
        """Carry none."""
        ...

    def flush_vxlan(self, vxlan: IfNet) -> None:
        """Forget which remote address is behind which link-layer address."""
        ...

    def add_lagg_port(self, lagg: IfNet, port: IfNet) -> None:
        """Let a lagg use a port, which takes its link-layer address (`lagg.lagg` has it already)."""
        ...

    def delete_lagg_port(self, lagg: IfNet, port: IfNet) -> None:
        """The opposite of add_lagg_port; `lagg.lagg` has it still."""
        ...

    def set_lagg_protocol(self, lagg: IfNet, ports: Sequence[IfNet]) -> None:
        """Use the ports by the protocol that `lagg.lagg` has now."""
        ...

    def routes(self, vnet: int) -> Sequence[Route]:
        """The table, own addresses' host routes included, with FreeBSD's flags and indexes."""
        ...

    def add_route(self, vnet: int, route: RouteSpec) -> None:
        """Add a route the rules allow; beside a gateway `route.interface` is the interface it is reached by."""
        ...

    def delete_route(self, vnet: int, route: Route) -> None:
        """Delete one of `routes(vnet)`."""
        ...

    def neighbours(self, vnet: int) -> Sequence[Neighbour]:
        """The ARP and ND entries, own addresses not included."""
        ...

    def add_neighbour(self, vnet: int, ifnet: IfNet, address: IPv4Address | IPv6Address, lladdr: bytes) -> None:
        """Add a permanent entry."""
        ...

    def delete_neighbour(self, vnet: int, ifnet: IfNet, address: IPv4Address | IPv6Address) -> None:
        """Delete an entry."""
        ...

    def get_forwarding(self, vnet: int, family: int) -> bool:
        """Whether the vnet forwards packets of family 4 or 6."""
        ...

    def set_forwarding(self, vnet: int, family: int, on: bool) -> None:
        """Forward packets of family 4 or 6, or not."""
        ...


class Clock(Protocol):
    """Time, for addresses that are tentative a while and entries that expire."""

    def monotonic(self) -> float:
        """Seconds on a clock that only goes forward."""
        ...
