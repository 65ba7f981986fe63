"""What the core keeps of an interface (`IfNet`), and what each kind of interface is born with.

Plain records, written to the journal as they are; the rules that change them are in link.py, addresses.py, bridge.py,
vlan.py, clone.py and move.py. Sources of the initial values: FreeBSD 13.2's recorded listings and spec §3 to §10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from vjail.kernel.core.record import UNRECORDED
from vjail.kernel.observed import Address, Iff, Kind, LaggProtocol, MemberFlag, Nd6, Vxlan
from vjail.release import Release


@dataclass(slots=True)
class Held:
    """An address an interface has.

    `dad` is when its duplicate address detection will be over, None while none runs; `since` when it was set, for its
    lifetimes; both on the clock of the core, in seconds.
    """

    address: Address
    dad: float | None = None
    since: float = 0.0


@dataclass(slots=True)
class Membership:
    """A bridge's member, or with `SPAN` in `flags` one of its span ports, which gets a copy of every frame."""

    bridge: int
    """The bridge's ident."""
    since: int
    """Later members have higher numbers."""
    flags: MemberFlag = MemberFlag.LEARNING | MemberFlag.DISCOVER | MemberFlag.AUTOEDGE | MemberFlag.AUTOPTP
    ifmaxaddr: int = 0
    priority: int = 128
    path_cost: int = 2000


@dataclass(slots=True)
class BridgeState:
    """A bridge's own numbers (times in seconds), and its members by ident."""

    priority: int = 32768
    hellotime: int = 2
    fwddelay: int = 15
    maxage: int = 20
    holdcnt: int = 6
    proto: str = "rstp"
    maxaddr: int = 2000
    timeout: int = 1200
    bridge_id: bytes = bytes(6)
    """The address spanning tree took for the bridge's id; zero while no member takes part."""
    root_priority: int = 0
    """0 until spanning tree was first set up."""
    inherits: int | None = None
    """The member whose link-layer address the bridge has taken over."""
    members: dict[int, Membership] = field(default_factory=dict, metadata=UNRECORDED)
    spans: set[int] = field(default_factory=set, metadata=UNRECORDED)
    """The members that are span ports."""

    def enter(self, ident: int, membership: Membership) -> None:
        """Let an interface be a member."""
        self.members[ident] = membership
        if MemberFlag.SPAN in membership.flags:
            self.spans.add(ident)

    def leave(self, ident: int) -> Membership:
        """Let a member be none any more; what it was."""
        self.spans.discard(ident)
        return self.members.pop(ident)


@dataclass(slots=True)
class VlanState:
    """What a vlan is bound to: `parent` is an ident, None while it is bound to nothing."""

    tag: int = 0
    parent: int | None = None
    proto: int = 0
    pcp: int = 0
    promiscuous: bool = False
    """Whether the vlan has asked its parent for promiscuous mode."""


@dataclass(slots=True)
class VxlanState:
    """What a vxlan is set to."""

    settings: Vxlan = field(default_factory=Vxlan)
    mtu_is_given: bool = False
    """Whether a user chose the MTU; it no longer follows the address family then."""


@dataclass(slots=True)
class LaggState:
    """A lagg's protocol, and the idents of its ports; the first leads."""

    protocol: LaggProtocol = LaggProtocol.FAILOVER
    ports: list[int] = field(default_factory=list)


@dataclass(slots=True)
class IfNet:
    """An interface: `ident` never changes and is never used twice; `vnet` is where it is, `home` where it was made."""

    ident: int
    name: str
    kind: Kind
    vnet: int
    home: int
    index: int
    attached: int
    """Interfaces that came to a vnet later have higher numbers."""
    flags: Iff
    mtu: int
    nd6: Nd6
    lladdr: bytes | None = None
    hwaddr: bytes | None = None
    """The address it was made with."""
    made_as: str = ""
    """The name it was made with."""
    unit: int | None = None
    """Its cloner's unit, None where it has none."""
    peer: int | None = None
    """The ident of an epair's other end."""
    metric: int = 0
    fib: int = 0
    description: str | None = None
    options: int = 0
    """Enabled capabilities (IFCAP_*)."""
    capabilities: int = 0
    media: str | None = None
    status: str | None = None
    groups: dict[str, int] = field(default_factory=dict)
    """Groups but `all`; those that joined a group later have higher numbers."""
    addresses: list[Held] = field(default_factory=list)
    settled: float = 0.0
    """Until when the course of time has been taken into account for its addresses."""
    promisc: int = 0
    """How many besides its user want it promiscuous (if_pcount)."""
    bridge: BridgeState | None = None
    member: Membership | None = None
    vlan: VlanState | None = None
    vlans: set[int] = field(default_factory=set, metadata=UNRECORDED)
    """The idents of the vlans bound to it."""
    vxlan: VxlanState | None = None
    lagg: LaggState | None = None
    lagg_of: int | None = None
    """The ident of the lagg it is a port of."""

    @property
    def up(self) -> bool:
        """Whether it is marked UP."""
        return Iff.UP in self.flags

    @property
    def able(self) -> bool:
        """Whether IPv6 can speak on it: UP, running and not disabled."""
        return self.flags & (Iff.UP | Iff.RUNNING) == Iff.UP | Iff.RUNNING and Nd6.IFDISABLED not in self.nd6


VLAN_MTU = 0x8
VLAN_HWTAGGING = 0x10
LINKSTATE = 0x80000
JUMBO_MTU = 0x20
_LOOPBACK_OPTIONS = 0x680003
"""RXCSUM, TXCSUM, LINKSTATE, RXCSUM_IPV6, TXCSUM_IPV6."""

ETHERNET = frozenset((Kind.NIC, Kind.EPAIR, Kind.TAP, Kind.VXLAN, Kind.LAGG))
"""The kinds whose if_type is IFT_ETHER."""

BRIDGEABLE = ETHERNET | {Kind.VLAN}
"""The kinds a bridge takes as members."""

FIRST_LOOPBACK = "lo0"


@dataclass(frozen=True, slots=True)
class Traits:
    """What an interface of a kind is born with."""

    flags: Iff
    mtu: int
    nd6: Nd6
    options: int = 0
    media: str | None = None
    status: str | None = None


_ETHER = Iff.BROADCAST | Iff.SIMPLEX | Iff.MULTICAST
_ND6 = Nd6.PERFORMNUD | Nd6.IFDISABLED | Nd6.AUTO_LINKLOCAL

_TRAITS = {
    Kind.NIC: Traits(
        _ETHER, 1500, _ND6, VLAN_MTU | JUMBO_MTU | LINKSTATE, "Ethernet autoselect (10Gbase-T <full-duplex>)", "active"
    ),
    Kind.LOOPBACK: Traits(Iff.LOOPBACK | Iff.MULTICAST, 16384, Nd6.PERFORMNUD | Nd6.AUTO_LINKLOCAL, _LOOPBACK_OPTIONS),
    Kind.EPAIR: Traits(
        _ETHER | Iff.RUNNING, 1500, _ND6, VLAN_MTU, "Ethernet 10Gbase-T (10Gbase-T <full-duplex>)", "active"
    ),
    Kind.BRIDGE: Traits(_ETHER, 1500, Nd6.PERFORMNUD | Nd6.IFDISABLED),
    Kind.VLAN: Traits(Iff.BROADCAST | Iff.MULTICAST, 1500, _ND6),
    Kind.TAP: Traits(_ETHER, 1500, _ND6, LINKSTATE, "Ethernet autoselect", "no carrier"),
    Kind.TUN: Traits(Iff.POINTOPOINT | Iff.MULTICAST, 1500, _ND6, LINKSTATE),
    Kind.VXLAN: Traits(_ETHER, 1470, _ND6, LINKSTATE, "Ethernet autoselect (autoselect <full-duplex>)", "active"),
    Kind.LAGG: Traits(_ETHER, 1500, _ND6, 0, "Ethernet autoselect", "no carrier"),
    Kind.PFLOG: Traits(Iff(0), 33160, Nd6(0)),
}


def traits(kind: Kind, release: Release) -> Traits:
    """What an interface of `kind` is born with. Bit 5 of the flags, set by drivers in 13, means another thing later."""
    born = _TRAITS[kind]
    if release is Release.V13 and kind in (Kind.NIC, Kind.EPAIR):
        return replace(born, flags=born.flags | Iff.KNOWSEPOCH)
    if release >= Release.V15 and kind is Kind.BRIDGE:
        return replace(born, options=VLAN_HWTAGGING)
    return born


_INTEL = re.compile(r"(?:em|igb|igc|ix|ixl|ixv|iavf)\d+")


def link_of_nic(made_as: str, active: bool, release: Release) -> tuple[str, str]:
    """The medium and the status of a NIC with and without carrier, by the name its driver gave it.

    Without one Intel's drivers name no active medium, others name `none` (sys/net/iflib.c's clients, dev/mii/mii.c,
    dev/virtio/network/if_vtnet.c).
    """
    born = traits(Kind.NIC, release)
    if active:
        return born.media or "", born.status or ""
    return "Ethernet autoselect" + ("" if _INTEL.fullmatch(made_as) else " (none)"), "no carrier"


def first_path_cost(ifnet: IfNet) -> int:
    """The spanning tree cost of a new port: 2000 for 10 Gb/s, 55 where the speed is not known."""
    unknown = ifnet.kind in (Kind.TAP, Kind.VXLAN) or (ifnet.vlan is not None and ifnet.vlan.parent is None)
    return 55 if unknown else 2000
