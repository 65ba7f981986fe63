"""What can be seen of a kernel: interfaces, addresses, routes, neighbours, jails, mounts, as plain frozen data.

Names and units are FreeBSD's (ifconfig(8), netstat(1), jls(8)); a MAC address is six bytes. Sources of the flag values:
FreeBSD 13.2 sys/net/if.h, sys/netinet6/nd6.h, sys/net/if_bridgevar.h, sys/net/route.h.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


class Kind(enum.Enum):
    """What an interface is; the value is the name of the cloner, or for `NIC` none."""

    NIC = "nic"
    LOOPBACK = "lo"
    EPAIR = "epair"
    BRIDGE = "bridge"
    VLAN = "vlan"
    TAP = "tap"
    TUN = "tun"
    VXLAN = "vxlan"
    LAGG = "lagg"
    GIF = "gif"
    GRE = "gre"
    PFLOG = "pflog"


class Iff(enum.IntFlag):
    """Interface flags (IFF_*)."""

    UP = 0x1
    BROADCAST = 0x2
    DEBUG = 0x4
    LOOPBACK = 0x8
    POINTOPOINT = 0x10
    KNOWSEPOCH = 0x20
    RUNNING = 0x40
    NOARP = 0x80
    PROMISC = 0x100
    ALLMULTI = 0x200
    OACTIVE = 0x400
    SIMPLEX = 0x800
    LINK0 = 0x1000
    LINK1 = 0x2000
    LINK2 = 0x4000
    MULTICAST = 0x8000
    PPROMISC = 0x20000
    MONITOR = 0x40000
    STATICARP = 0x80000


class Nd6(enum.IntFlag):
    """IPv6 neighbour discovery flags of an interface (ND6_IFF_*)."""

    PERFORMNUD = 0x1
    ACCEPT_RTADV = 0x2
    PREFER_SOURCE = 0x4
    IFDISABLED = 0x8
    DONT_SET_IFROUTE = 0x10
    AUTO_LINKLOCAL = 0x20
    NO_RADR = 0x40
    NO_PREFER_IFACE = 0x80
    NO_DAD = 0x100
    IPV6_ONLY = 0x200
    IPV6_ONLY_MANUAL = 0x400
    DEFAULTIF = 0x8000


class MemberFlag(enum.IntFlag):
    """Flags of a bridge member (IFBIF_*)."""

    LEARNING = 0x1
    DISCOVER = 0x2
    STP = 0x4
    SPAN = 0x8
    STICKY = 0x10
    EDGE = 0x20
    AUTOEDGE = 0x40
    PTP = 0x80
    AUTOPTP = 0x100
    ADMEDGE = 0x200
    ADMCOST = 0x400
    PRIVATE = 0x800


@dataclass(frozen=True, slots=True)
class Inet:
    """An IPv4 address of an interface: any `netmask`, `destination` the peer of a point-to-point link."""

    address: IPv4Address
    netmask: IPv4Address
    broadcast: IPv4Address | None = None
    destination: IPv4Address | None = None


class Inet6Flag(enum.IntFlag):
    """Flags of an IPv6 address (IN6_IFF_*)."""

    ANYCAST = 0x1
    TENTATIVE = 0x2
    DUPLICATED = 0x4
    DETACHED = 0x8
    DEPRECATED = 0x10
    AUTOCONF = 0x40
    TEMPORARY = 0x80
    PREFER_SOURCE = 0x100


@dataclass(frozen=True, slots=True)
class Inet6:
    """An IPv6 address of an interface; lifetimes in seconds, None = for ever."""

    address: IPv6Address
    prefixlen: int
    flags: Inet6Flag = Inet6Flag(0)
    pltime: int | None = None
    vltime: int | None = None


Address = Inet | Inet6


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a bridge, as ifconfig(8) shows it.

    `proto`, `role` and `state` are spanning tree's, shown where `flags` has STP.
    """

    name: str
    flags: MemberFlag
    port: int
    ifmaxaddr: int = 0
    priority: int = 128
    path_cost: int = 2000
    proto: str = "rstp"
    role: str = "disabled"
    state: str = "discarding"


@dataclass(frozen=True, slots=True)
class Bridge:
    """The state of a bridge(4): `members` newest first, times in seconds, the two ids zero without STP."""

    members: tuple[Member, ...] = ()
    priority: int = 32768
    hellotime: int = 2
    fwddelay: int = 15
    maxage: int = 20
    holdcnt: int = 6
    proto: str = "rstp"
    maxaddr: int = 2000
    timeout: int = 1200
    bridge_id: bytes = bytes(6)
    root_id: bytes = bytes(6)
    root_priority: int = 0
    root_cost: int = 0
    root_port: int = 0


@dataclass(frozen=True, slots=True)
class BridgeAddress:
    """An entry of a bridge's forwarding table; `expire` in seconds."""

    lladdr: bytes
    vlan: int
    member: str
    expire: int
    static: bool = False
    sticky: bool = False


@dataclass(frozen=True, slots=True)
class Vlan:
    """The configuration of a vlan(4); `parent` is None where it is not bound, `tag` and `proto` are then 0.

    `visible` is False away from the vnet the vlan was made in: the kernel tells nothing of its binding there.
    """

    tag: int = 0
    parent: str | None = None
    proto: int = 0
    pcp: int = 0
    visible: bool = True


@dataclass(frozen=True, slots=True)
class Vxlan:
    """The configuration of a vxlan(4): `vni` None until it was given one; `timeout` in seconds.

    `local` None is any address. `device` is the interface its multicast group is joined on, empty for the route's.
    """

    vni: int | None = None
    local: IPv4Address | IPv6Address | None = None
    remote: IPv4Address | IPv6Address | None = None
    local_port: int = 4789
    remote_port: int = 4789
    first_port: int = 10000
    """Source ports are taken from this one on."""
    last_port: int = 65535
    device: str = ""
    ttl: int = 64
    learn: bool = True
    maxaddr: int = 2000
    timeout: int = 1200


class LaggProtocol(enum.Enum):
    """How a lagg(4) uses its ports; the value is ifconfig(8)'s word."""

    FAILOVER = "failover"
    LOADBALANCE = "loadbalance"
    LACP = "lacp"
    ROUNDROBIN = "roundrobin"
    BROADCAST = "broadcast"
    NONE = "none"


class LaggPortFlag(enum.IntFlag):
    """Flags of a lagg's port (LAGG_PORT_*)."""

    MASTER = 0x1
    STACK = 0x2
    ACTIVE = 0x4
    COLLECTING = 0x8
    DISTRIBUTING = 0x10


@dataclass(frozen=True, slots=True)
class LaggPort:
    """One port of a lagg."""

    name: str
    flags: LaggPortFlag


@dataclass(frozen=True, slots=True)
class Lagg:
    """The state of a lagg(4)."""

    protocol: LaggProtocol = LaggProtocol.FAILOVER
    ports: tuple[LaggPort, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface as a process in one vnet sees it."""

    name: str
    index: int
    kind: Kind
    flags: Iff
    mtu: int
    metric: int = 0
    lladdr: bytes | None = None
    hwaddr: bytes | None = None
    """The address it was made with, where that is not `lladdr`."""
    description: str | None = None
    options: int = 0
    """Enabled capabilities (IFCAP_*)."""
    capabilities: int = 0
    """Those it has (IFCAP_*)."""
    groups: tuple[str, ...] = ()
    """Without `all`."""
    addresses: tuple[Address, ...] = ()
    """In the order in which they were added."""
    nd6: Nd6 = Nd6(0)
    media: str | None = None
    """The text after `media: `."""
    status: str | None = None
    fib: int = 0
    bridge: Bridge | None = None
    vlan: Vlan | None = None
    vxlan: Vxlan | None = None
    lagg: Lagg | None = None
    drivername: str = ""
    """The name it was made with: the driver's or cloner's, and its unit."""


class RouteFlag(enum.IntFlag):
    """Flags of a route (RTF_*)."""

    UP = 0x1
    GATEWAY = 0x2
    HOST = 0x4
    REJECT = 0x8
    DYNAMIC = 0x10
    MODIFIED = 0x20
    DONE = 0x40
    STATIC = 0x800
    BLACKHOLE = 0x1000
    PROTO2 = 0x4000
    PROTO1 = 0x8000
    PROTO3 = 0x40000
    PINNED = 0x100000


@dataclass(frozen=True, slots=True)
class LinkGateway:
    """A gateway that is an interface (`link#2`)."""

    index: int


Gateway = IPv4Address | IPv6Address | LinkGateway


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a vnet's table. `zone` is the interface of a link-local destination or gateway (`fe80::%em0/64`).

    `mtu` 0 is that of the interface; `nhop` numbers the next hop within a family, 0 where the driver does not know.
    """

    destination: IPv4Network | IPv6Network
    gateway: Gateway
    flags: RouteFlag
    interface: str
    mtu: int = 0
    weight: int = 1
    zone: str | None = None
    nhop: int = 0


class NeighbourState(enum.Enum):
    """What is known of a neighbour's link-layer address."""

    REACHABLE = "reachable"
    INCOMPLETE = "incomplete"
    PERMANENT = "permanent"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An entry of the ARP or ND table; `expire` in seconds, None = never."""

    address: IPv4Address | IPv6Address
    lladdr: bytes | None
    interface: str
    state: NeighbourState
    expire: int | None = None


@dataclass(frozen=True, slots=True)
class Jail:
    """A jail as jail_get(2) tells it. `parameters` holds every kernel parameter, by its positive spelling.

    Values: bool, int, str, or a tuple of address texts for ip4.addr and ip6.addr; jailsys parameters are the texts
    `new`, `inherit`, `disable`.
    """

    jid: int
    name: str
    path: str
    dying: bool
    parent: int
    parameters: Mapping[str, bool | int | str | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mounted:
    """A mounted file system: `source` on `target`; `options` in mount(8)'s words (`read-only`, `noatime`, …).

    `fsid` is the 16 digits that `mount -v` prints, empty where there is none.
    """

    fstype: str
    source: str
    target: str
    options: tuple[str, ...] = ()
    fsid: str = ""


class OidType(enum.Enum):
    """The type of a sysctl; the value is what sysctl(8) calls it."""

    NODE = "node"
    INT = "integer"
    UINT = "unsigned integer"
    LONG = "long integer"
    ULONG = "unsigned long"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class Oid:
    """What is known of a sysctl besides its value. A `tunable` that is not writable is set in loader.conf(5)."""

    name: str
    type: OidType
    writable: bool
    tunable: bool
    description: str


@dataclass(frozen=True, slots=True)
class KernelFile:
    """A file of the kernel's, as kldstat(8) shows it; `address` and `size` in bytes, `modules` by id and name."""

    id: int
    name: str
    refs: int
    address: int
    size: int
    path: str
    modules: tuple[tuple[int, str], ...]
