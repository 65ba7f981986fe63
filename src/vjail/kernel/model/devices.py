"""The state of a host's network stacks as packets meet it: devices, what bridges and hosts have learnt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Protocol

from vjail.kernel.core.driver import Seen, Tree
from vjail.kernel.core.fib import Fib
from vjail.kernel.core.ifnet import BridgeState, Held, IfNet, Membership
from vjail.kernel.model.packets import IP, Packet
from vjail.kernel.model.trace import Mark
from vjail.kernel.model.wire import Wire
from vjail.kernel.observed import Address, Iff, Inet6, Inet6Flag, MemberFlag, Nd6

if TYPE_CHECKING:
    from vjail.kernel.model.network import MemoryDriver

_RUNNING = Iff.UP | Iff.RUNNING

Station = tuple[bytes, int]
"""What a bridge learns: a MAC address and the vlan it is on, 1 where frames carry no tag."""


@dataclass(slots=True)
class Learnt:
    """Behind which member of a bridge a station is; `expires` is None for an entry set by hand."""

    member: int
    expires: float | None
    sticky: bool = False


@dataclass(slots=True, eq=False)
class Device:
    """An interface as the machine would have it; `ifnet` is the core's own record."""

    ifnet: IfNet
    driver: MemoryDriver
    up: bool
    mtu: int
    lladdr: bytes | None
    addresses: list[Address] = field(default_factory=list)
    description: str = ""
    master: int | None = None
    """The ident of the bridge that has its frames, now that it is up."""
    wire: Wire | None = None
    """The wire a NIC is on."""
    stations: dict[Station, Learnt] = field(default_factory=dict)
    """What a bridge has learnt."""
    remotes: dict[bytes, IP] = field(default_factory=dict)
    """Behind which address a vxlan has learnt a MAC address to be."""
    members: dict[bytes, int] | None = None
    """The members of a bridge that is up, by MAC address; None: to be found anew."""
    tree: Tree | None = None
    """What spanning tree had come to when a bridge last looked; None: no member takes part."""

    def seen(self) -> Seen:
        """What the core may ask."""
        return Seen(self.up, self.mtu, self.lladdr, tuple(self.addresses))

    @property
    def runs(self) -> bool:
        """UP and RUNNING."""
        return _RUNNING in self.ifnet.flags

    @property
    def mac(self) -> bytes:
        """Its link-layer address, zero where it has none."""
        return self.ifnet.lladdr or bytes(6)

    @property
    def net(self) -> Net:
        """The stack it is in."""
        return self.driver.nets[self.ifnet.vnet]

    def other(self, ident: int) -> Device:
        """Another device of the same host."""
        return self.driver.devices[ident]

    def bridge(self) -> tuple[Device, BridgeState, Membership] | None:
        """The bridge it is a member of, span ports not counted."""
        membership = self.ifnet.member
        if membership is None or MemberFlag.SPAN in membership.flags:
            return None
        bridge = self.other(membership.bridge)
        return bridge, bridge.ifnet.bridge or BridgeState(), membership

    @property
    def in_dead_bridge(self) -> bool:
        """Whether it is a member of a bridge that is down."""
        return self.master is None and self.bridge() is not None

    def member_called(self, mac: bytes) -> Device | None:
        """The member of this bridge that has a MAC address, the newest of several; span ports do not count."""
        if self.members is None:
            state = self.ifnet.bridge or BridgeState()
            members = (item[0] for item in state.members.items() if MemberFlag.SPAN not in item[1].flags)
            self.members = {self.other(ident).mac: ident for ident in members}
        ident = self.members.get(mac)
        return None if ident is None else self.other(ident)

    def holds(self, address: IP, now: float) -> bool | None:
        """Whether it has an address; None where it has and may not use it yet."""
        for held in self.ifnet.addresses:
            if held.address.address == address:
                return None if is_tentative(held, self.ifnet, now) else True
        return False


def is_tentative(held: Held, ifnet: IfNet, now: float) -> bool:
    """Whether an IPv6 address may not be used: its uniqueness is not yet made sure of, or IPv6 is disabled."""
    if not isinstance(held.address, Inet6):
        return False
    if Nd6.IFDISABLED in ifnet.nd6:
        return True
    return Inet6Flag.TENTATIVE in held.address.flags and (held.dad is None or held.dad > now)


@dataclass(slots=True)
class Entry:
    """What is known of a neighbour: `lladdr` None while it is asked for, `expires` None for good.

    `asked` requests went out, the last in second `second`; `waiting` are packets that wait, with their ways so far.
    """

    lladdr: bytes | None
    expires: float | None = None
    asked: int = 0
    second: int = -1
    waiting: list[tuple[Packet, Mark]] = field(default_factory=list)


class Filter(Protocol):
    """A packet filter of a stack (pf): what becomes of a packet that comes in by, or goes out of, an interface."""

    def __call__(self, device: Device, packet: Packet, *, outbound: bool) -> Packet | None:
        """The packet, translated perhaps; None: it is blocked."""
        ...


@dataclass(slots=True, eq=False)
class Net:
    """A network stack: its interfaces by ident, its table, its neighbours."""

    number: int
    driver: MemoryDriver
    fib: Fib
    devices: dict[int, Device] = field(default_factory=dict)
    neighbours: dict[tuple[int, IP], Entry] = field(default_factory=dict)
    forwarding: dict[int, bool] = field(default_factory=lambda: {4: False, 6: False})
    filter: Filter | None = None

    def holding(self, address: IPv4Address | IPv6Address) -> Iterator[Device]:
        """The devices that have an address."""
        return (
            device
            for device in self.devices.values()
            if any(held.address.address == address for held in device.ifnet.addresses)
        )
