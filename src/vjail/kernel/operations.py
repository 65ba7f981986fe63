"""Operations: each is one change to a host, as plain data, in the words of FreeBSD's own interfaces.

An operation is given to `System.apply`, which carries it out in the vnet and jail of that system or raises
`KernelError`; its type parameter is what a successful one returns. Names of interfaces are those seen from there.
Sources: ioctls of sys/net/if.h, if_bridgevar.h, if_vlan_var.h; rtsock(4); jail(2); nmount(2); devfs(5).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Generic, TypeVar

from vjail.conf.pf.rules import AnchorRules, Debug, PfOptions, Section, Table, TableEntry
from vjail.kernel.observed import Address, Iff, LaggProtocol, MemberFlag, Nd6, RouteFlag

R = TypeVar("R")


class Operation(Generic[R]):
    """One change to a host; `R` is what `System.apply` returns for it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class VlanParameters:
    """What a vlan is bound to at its creation."""

    tag: int
    parent: str
    proto: int = 0x8100


@dataclass(frozen=True, slots=True)
class VxlanSettings:
    """What of a vxlan is to be changed; None leaves it as it is. The fields are those of `observed.Vxlan`."""

    vni: int | None = None
    local: IPv4Address | IPv6Address | None = None
    remote: IPv4Address | IPv6Address | None = None
    local_port: int | None = None
    remote_port: int | None = None
    first_port: int | None = None
    last_port: int | None = None
    device: str | None = None
    ttl: int | None = None
    learn: bool | None = None
    maxaddr: int | None = None
    timeout: int | None = None


# --- interfaces ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateInterface(Operation[str]):
    """SIOCIFCREATE2: `name` is a cloner (`epair`) or a name (`epair1`, `em0.100`); returns the name made (`epair1a`).

    EINVAL: no such cloner or a name it does not take. EEXIST: taken. ENOSPC: no such unit. ENXIO: no such vlan parent.
    EOPNOTSUPP: FreeBSD makes such interfaces, the machine beneath cannot.
    """

    name: str
    vlan: VlanParameters | None = None
    vxlan: VxlanSettings | None = None


@dataclass(frozen=True, slots=True)
class DestroyInterface(Operation[None]):
    """SIOCIFDESTROY: both halves of an epair go. EINVAL: not a cloned one. ENXIO: not made in this vnet."""

    name: str


@dataclass(frozen=True, slots=True)
class RenameInterface(Operation[None]):
    """SIOCSIFNAME."""

    name: str
    new: str


@dataclass(frozen=True, slots=True)
class SetFlags(Operation[None]):
    """SIOCSIFFLAGS: `set` and `clear` of UP, DEBUG, NOARP, LINK0…2, MONITOR, STATICARP, PPROMISC."""

    name: str
    set: Iff = Iff(0)
    clear: Iff = Iff(0)


@dataclass(frozen=True, slots=True)
class SetMtu(Operation[None]):
    """SIOCSIFMTU."""

    name: str
    mtu: int


@dataclass(frozen=True, slots=True)
class SetMetric(Operation[None]):
    """SIOCSIFMETRIC."""

    name: str
    metric: int


@dataclass(frozen=True, slots=True)
class SetFib(Operation[None]):
    """SIOCSIFFIB."""

    name: str
    fib: int


@dataclass(frozen=True, slots=True)
class SetOptions(Operation[None]):
    """SIOCSIFCAP: enable and disable capabilities (IFCAP_*); those the interface does not have stay off."""

    name: str
    set: int = 0
    clear: int = 0


@dataclass(frozen=True, slots=True)
class SetLinkAddress(Operation[None]):
    """SIOCSIFLLADDR."""

    name: str
    lladdr: bytes


@dataclass(frozen=True, slots=True)
class SetDescription(Operation[None]):
    """SIOCSIFDESCR; an empty text clears it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class JoinGroup(Operation[None]):
    """SIOCAIFGROUP."""

    name: str
    group: str


@dataclass(frozen=True, slots=True)
class LeaveGroup(Operation[None]):
    """SIOCDIFGROUP."""

    name: str
    group: str


@dataclass(frozen=True, slots=True)
class LendInterface(Operation[None]):
    """SIOCSIFVNET: move `name` from this vnet into that of jail `jid`."""

    name: str
    jid: int


@dataclass(frozen=True, slots=True)
class ReclaimInterface(Operation[None]):
    """SIOCSIFRVNET: move `name` out of the vnet of jail `jid` into this one."""

    name: str
    jid: int


@dataclass(frozen=True, slots=True)
class AddAddress(Operation[None]):
    """SIOCAIFADDR, SIOCAIFADDR_IN6: adds, or replaces the same address in place. Sets UP."""

    name: str
    address: Address


@dataclass(frozen=True, slots=True)
class RemoveAddress(Operation[None]):
    """SIOCDIFADDR, SIOCDIFADDR_IN6. EADDRNOTAVAIL: not there."""

    name: str
    address: IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class SetNd6(Operation[None]):
    """SIOCSIFINFO_IN6: neighbour discovery flags of an interface."""

    name: str
    set: Nd6 = Nd6(0)
    clear: Nd6 = Nd6(0)


# --- bridge(4) -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BridgeAdd(Operation[None]):
    """BRDGADD, or BRDGADDS where `span`."""

    bridge: str
    member: str
    span: bool = False


@dataclass(frozen=True, slots=True)
class BridgeDelete(Operation[None]):
    """BRDGDEL, or BRDGDELS where `span`."""

    bridge: str
    member: str
    span: bool = False


@dataclass(frozen=True, slots=True)
class BridgeMemberFlags(Operation[None]):
    """BRDGSIFFLGS. ENOENT: not a member."""

    bridge: str
    member: str
    set: MemberFlag = MemberFlag(0)
    clear: MemberFlag = MemberFlag(0)


class BridgeParameter(enum.Enum):
    """A number a bridge can be given, by its ioctl's name."""

    MAXADDR = "BRDGSCACHE"
    TIMEOUT = "BRDGSTO"
    PRIORITY = "BRDGSPRI"
    HELLOTIME = "BRDGSHT"
    FWDDELAY = "BRDGSFD"
    MAXAGE = "BRDGSMA"
    HOLDCNT = "BRDGSTXHC"
    PROTO = "BRDGSPROTO"


@dataclass(frozen=True, slots=True)
class SetBridgeParameter(Operation[None]):
    """One of the BRDGS… ioctls; PROTO takes 0 for stp, 2 for rstp."""

    bridge: str
    parameter: BridgeParameter
    value: int


class MemberParameter(enum.Enum):
    """A number a bridge member can be given, by its ioctl's name."""

    PRIORITY = "BRDGSIFPRIO"
    PATH_COST = "BRDGSIFCOST"
    MAXADDR = "BRDGSIFAMAX"


@dataclass(frozen=True, slots=True)
class SetMemberParameter(Operation[None]):
    """One of the BRDGSIF… ioctls."""

    bridge: str
    member: str
    parameter: MemberParameter
    value: int


@dataclass(frozen=True, slots=True)
class BridgeFlush(Operation[None]):
    """BRDGFLUSH: forget learnt addresses, with `all` static ones too."""

    bridge: str
    all: bool = False


@dataclass(frozen=True, slots=True)
class BridgeStatic(Operation[None]):
    """BRDGSADDR: a static entry for `lladdr` at `member`."""

    bridge: str
    member: str
    lladdr: bytes


@dataclass(frozen=True, slots=True)
class BridgeForget(Operation[None]):
    """BRDGDADDR: delete the entry of `lladdr`. ENOENT: there is none."""

    bridge: str
    lladdr: bytes


# --- vlan(4) ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BindVlan(Operation[None]):
    """SIOCSETVLAN with a parent. EBUSY: bound already (13). EEXIST: tag in use on the parent. EINVAL: tag."""

    name: str
    tag: int
    parent: str
    proto: int = 0x8100


@dataclass(frozen=True, slots=True)
class UnbindVlan(Operation[None]):
    """SIOCSETVLAN without a parent (`-vlandev`)."""

    name: str


@dataclass(frozen=True, slots=True)
class SetVlanPriority(Operation[None]):
    """SIOCSVLANPCP."""

    name: str
    pcp: int


# --- vxlan(4) --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigureVxlan(Operation[None]):
    """One of the VXLAN_CMD_SET_… commands. EINVAL: it is no vxlan, or a bad value. EBUSY: not while it runs."""

    name: str
    settings: VxlanSettings


@dataclass(frozen=True, slots=True)
class FlushVxlan(Operation[None]):
    """VXLAN_CMD_FLUSH: forget learnt addresses, with `all` static ones too."""

    name: str
    all: bool = False


# --- lagg(4) ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LaggAdd(Operation[None]):
    """SIOCSLAGGPORT. EINVAL: no such interface, or another MTU. EEXIST: a port of it. EBUSY: of another one."""

    lagg: str
    port: str


@dataclass(frozen=True, slots=True)
class LaggDelete(Operation[None]):
    """SIOCSLAGGDELPORT. EINVAL: no such interface. ENOENT: no port of it."""

    lagg: str
    port: str


@dataclass(frozen=True, slots=True)
class SetLaggProtocol(Operation[None]):
    """SIOCSLAGG."""

    lagg: str
    protocol: LaggProtocol


# --- routes and neighbours -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """What route(8) writes to the routing socket; None = not given."""

    destination: IPv4Network | IPv6Network
    gateway: IPv4Address | IPv6Address | None = None
    interface: str | None = None
    """An interface as the gateway (`-interface`), or the zone of a link-local gateway."""
    flags: RouteFlag = RouteFlag(0)
    """Of STATIC, BLACKHOLE, REJECT, PROTO1, PROTO2, HOST."""
    mtu: int = 0
    weight: int = 0


@dataclass(frozen=True, slots=True)
class AddRoute(Operation[None]):
    """RTM_ADD. EEXIST, ENETUNREACH (gateway not on-link), EOPNOTSUPP (blackhole or reject without an lo0 address)."""

    route: RouteSpec


@dataclass(frozen=True, slots=True)
class DeleteRoute(Operation[None]):
    """RTM_DELETE; a gateway selects among several. ESRCH: none, or several and no gateway given."""

    route: RouteSpec


@dataclass(frozen=True, slots=True)
class ChangeRoute(Operation[None]):
    """RTM_CHANGE. ESRCH: none."""

    route: RouteSpec


@dataclass(frozen=True, slots=True)
class AddNeighbour(Operation[None]):
    """A permanent entry (`arp -s`, `ndp -s`). EINVAL: no connected net holds it. EPERM: it is an own address."""

    address: IPv4Address | IPv6Address
    lladdr: bytes
    interface: str | None = None
    """The zone of a link-local address."""


@dataclass(frozen=True, slots=True)
class DeleteNeighbour(Operation[None]):
    """Delete an entry (`arp -d`, `ndp -d`). ENOENT: none. EPERM: an own address's."""

    address: IPv4Address | IPv6Address
    interface: str | None = None
    """The zone of a link-local address."""


# --- pf(4) -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EnablePf(Operation[None]):
    """DIOCSTART, or with `on` False DIOCSTOP. EEXIST: it is on. ENOENT: it is off."""

    on: bool = True


@dataclass(frozen=True, slots=True)
class LoadPf(Operation[None]):
    """DIOCXBEGIN to DIOCXCOMMIT: what of these anchors `sections` names is replaced, all of it or nothing.

    Of the tables in `kept` (anchor, name) the entries that are there stay. With OPTIONS `options` replace those there
    are. Raises KernelError with a message where the machine beneath cannot carry the rules out.
    """

    rulesets: tuple[AnchorRules, ...]
    tables: tuple[Table, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    options: PfOptions = PfOptions()
    sections: Section = Section.ALL


@dataclass(frozen=True, slots=True)
class FlushPf(Operation[int]):
    """Empty the rules, translation rules or tables of an anchor, or reset the options; how many tables went.

    Of TABLES all that lie in the anchor go (DIOCRCLRTABLES).
    """

    anchor: str
    sections: Section


@dataclass(frozen=True, slots=True)
class SetPfDebug(Operation[None]):
    """DIOCSETDEBUG."""

    level: Debug


@dataclass(frozen=True, slots=True)
class KillPfStates(Operation[int]):
    """DIOCCLRSTATES, DIOCKILLSTATES: states between these networks (None: any) go; how many did."""

    source: IPv4Network | IPv6Network | None = None
    destination: IPv4Network | IPv6Network | None = None


class TableChange(enum.Enum):
    """What is done to a table, by its ioctl's name."""

    ADD = "DIOCRADDADDRS"
    DELETE = "DIOCRDELADDRS"
    REPLACE = "DIOCRSETADDRS"
    FLUSH = "DIOCRCLRADDRS"
    KILL = "DIOCRDELTABLES"


@dataclass(frozen=True, slots=True)
class TableResult:
    """What a change of a table did: whether the table was made, how many entries were added and deleted."""

    created: bool = False
    added: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class ChangePfTable(Operation[TableResult]):
    """Change a table. ADD and REPLACE make it where it is missing. ESRCH: there is none. EPERM: it is const."""

    anchor: str
    name: str
    change: TableChange
    entries: tuple[TableEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpirePfTable(Operation[TableResult]):
    """Delete the entries that have been in a table for more than so many seconds. ESRCH, EPERM as for ChangePfTable."""

    anchor: str
    name: str
    seconds: int


# --- jails -----------------------------------------------------------------------------------------------------------

ParameterText = str | None
"""A kernel parameter's value as text, None where it was given without one."""


@dataclass(frozen=True, slots=True)
class CreateJail(Operation[int]):
    """jail_set(2) with JAIL_CREATE: parameters in the given order, spelt as given (`nopersist`); returns the jid."""

    parameters: tuple[tuple[str, ParameterText], ...]


@dataclass(frozen=True, slots=True)
class UpdateJail(Operation[None]):
    """jail_set(2) with JAIL_UPDATE."""

    jid: int
    parameters: tuple[tuple[str, ParameterText], ...]


@dataclass(frozen=True, slots=True)
class RemoveJail(Operation[None]):
    """jail_remove(2): kills what is left in it, its children first; interfaces go home."""

    jid: int


# --- files -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mount(Operation[None]):
    """nmount(2): `options` as mount(8) gives them (`ro`, `ruleset=4`), `source` and `target` absolute."""

    fstype: str
    source: str
    target: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unmount(Operation[None]):
    """unmount(2). EINVAL: nothing is mounted there. EBUSY."""

    target: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class AddDevfsRule(Operation[int]):
    """DEVFSIO_RADD: `words` is a rule of devfs(8) (`path bpf* unhide`); `number` None takes the next; returns it."""

    ruleset: int
    words: tuple[str, ...]
    number: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteDevfsRule(Operation[None]):
    """DEVFSIO_RDEL, or with `number` None DEVFSIO_SDEL-like removal of the whole set (`devfs rule delset`)."""

    ruleset: int
    number: int | None = None


@dataclass(frozen=True, slots=True)
class ApplyDevfsRule(Operation[None]):
    """DEVFSIO_RAPPLY, DEVFSIO_SAPPLY: one rule, or with `words` None a whole set, onto the devfs mounted at `mount`."""

    mount: str
    ruleset: int = 0
    words: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SetDevfsRuleset(Operation[None]):
    """DEVFSIO_SUSE: which set the devfs mounted at `mount` uses from now on."""

    mount: str
    ruleset: int


# --- the rest of a host ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetSysctl(Operation[None]):
    """sysctl(3) with a new value, as text. ENOENT: no such name. EPERM. EINVAL."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class LoadModule(Operation[None]):
    """kldload(2). EEXIST: loaded or compiled in. ENOENT: no such module."""

    name: str


@dataclass(frozen=True, slots=True)
class UnloadModule(Operation[None]):
    """kldunload(2)."""

    name: str


def texts(parameters: Mapping[str, ParameterText]) -> tuple[tuple[str, ParameterText], ...]:
    """A mapping as the ordered pairs that CreateJail and UpdateJail take."""
    return tuple(parameters.items())
