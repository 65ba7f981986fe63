"""What pf(4) is given: rules, tables and options as plain frozen data, the same for every kernel.

How a kernel evaluates them (FreeBSD 13.2 sys/netpfil/pf/pf.c, pf_ioctl.c; pf.conf(5)):

- A packet is looked at where it comes in (direction IN, its interface the one it came by), and where it leaves (OUT).
  One that is routed is looked at twice; one that a host sends to itself leaves and comes in by lo0.
- An interface in `PfOptions.skip` (by name or group) is not looked at at all.
- First the states are searched. A state made for a packet with direction IN lets pass, with its translation, the later
  packets of that flow coming in and the answers to them going out, on any interface; one made OUT those going out and
  the answers coming in. An ICMP error goes the way of an answer to the packet it quotes.
- Without a state, translation: IN tries `rdr`, then `binat`; OUT tries `binat`, then `nat`. In each ruleset the first
  rule that matches wins; a `NO_…` rule that matches ends that ruleset without a translation, and the next is tried.
  `binat` coming in matches `destination` against the pool and `source` against the rule's destination.
- Then `filter`, with the translated addresses: the last rule that matches wins, but one with `quick` ends the search.
  No match is a pass. A translation rule with `translation_pass` takes the place of filtering.
- The `tag` of every rule that matches is put on the packet, also where a later rule wins; it stays on it on its way
  through the host, and is put on the packets of a state made then.
- A rule of an anchor (`anchor` set) matches by its own conditions, and then stands for the rules of the anchor's
  ruleset, or for those of all anchors directly below it, by name, where it ends in `*`. `quick` on it ends the search
  if any rule in there matched. A `quick` in there ends the whole search.
- A pass with `keep` makes a state, and so does every translated packet that is passed.
- `tcp_flags` are looked at in TCP only: a rule for all protocols with flags matches all UDP.
- With a `detour` what comes in by a state of the rule (ROUTE_TO), or goes out by it as an answer (REPLY_TO), leaves by
  that interface, to that gateway, looked at once more where it goes out. ROUTE_TO asks no routes, not even whether the
  packet is for this host or whether it forwards; before REPLY_TO they are asked, and what has no way by them is lost.
- Limits of a rule (StateOptions) count the states it made. A state above `max`, or of a source above `max_src_states`,
  or of one source more than `max_src_nodes`, is not made, and its packet is dropped. The source is the packet's as the
  rule sees it.
- A TCP connection counts for `max_src_conn` and `max_src_conn_rate` when its handshake is done, that is with the second
  packet of who began, until its state ends. One above ends at once: the packet is dropped, the state goes. With
  `overload` the source gets into that table of the rule's anchor; with `flush` its other states that the rule made go
  too, with `flush global` those that any made. Rules that are loaded are new ones, and count from nothing.
- The rate is a count that falls evenly to nothing within the seconds, by whole seconds: `5/30` allows five at once, and
  then one every six seconds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


class Family(enum.Enum):
    """An address family, by its version of IP."""

    INET = 4
    INET6 = 6


class Direction(enum.Enum):
    """Where a packet is looked at."""

    IN = "in"
    OUT = "out"


class Action(enum.Enum):
    """What a rule does."""

    PASS = "pass"
    BLOCK = "block"
    SCRUB = "scrub"
    NO_SCRUB = "no scrub"
    NAT = "nat"
    NO_NAT = "no nat"
    BINAT = "binat"
    NO_BINAT = "no binat"
    RDR = "rdr"
    NO_RDR = "no rdr"


class Answer(enum.Enum):
    """What the sender of a blocked packet hears: `RETURN` is a reset for TCP, an ICMP error for everything else."""

    DROP = "drop"
    RETURN = "return"
    RETURN_RST = "return-rst"
    RETURN_ICMP = "return-icmp"


class Keep(enum.Enum):
    """Whether and how a rule makes states."""

    NO = "no state"
    STATE = "keep state"
    MODULATE = "modulate state"


class Part(enum.Enum):
    """Which addresses of an interface are meant."""

    OWN = ""
    NETWORK = "network"
    BROADCAST = "broadcast"
    PEER = "peer"


@dataclass(frozen=True, slots=True)
class AnyAddress:
    """`any`."""


@dataclass(frozen=True, slots=True)
class NetAddress:
    """An address or a network."""

    network: IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class RangeAddress:
    """`first - last`, both included."""

    first: IPv4Address | IPv6Address
    last: IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """`(em0)`: what addresses the interface, or all of the group, has at the moment a packet comes.

    `first_only` is `:0` (no aliases, no link-local), `prefixlen` a mask given behind it.
    """

    interface: str
    part: Part = Part.OWN
    first_only: bool = False
    prefixlen: int | None = None


@dataclass(frozen=True, slots=True)
class TableAddress:
    """`<name>`: in the table of that name in the rule's own anchor, or else in the main ruleset."""

    table: str


class Reach(enum.Enum):
    """`no-route`: no route leads to the address. `urpf-failed`: none by the interface that the packet came in by."""

    NO_ROUTE = "no-route"
    URPF_FAILED = "urpf-failed"


@dataclass(frozen=True, slots=True)
class UnreachedAddress:
    """An address that the vnet's routes do not lead to. Nothing that goes out is one."""

    reach: Reach


RuleAddress = AnyAddress | NetAddress | RangeAddress | InterfaceAddress | TableAddress | UnreachedAddress


class PortOp(enum.Enum):
    """How a port is compared: `BETWEEN` excludes both ends, `OUTSIDE` is below the first or above the second."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    BETWEEN = "><"
    OUTSIDE = "<>"
    RANGE = ":"


@dataclass(frozen=True, slots=True)
class Ports:
    """A condition on a port; `second` only for the operators that take two."""

    op: PortOp
    first: int
    second: int = 0

    def fit(self, port: int) -> bool:
        """Whether a port fulfils the condition."""
        first, second = self.first, self.second
        match self.op:
            case PortOp.EQ:
                return port == first
            case PortOp.NE:
                return port != first
            case PortOp.LT:
                return port < first
            case PortOp.LE:
                return port <= first
            case PortOp.GT:
                return port > first
            case PortOp.GE:
                return port >= first
            case PortOp.BETWEEN:
                return first < port < second
            case PortOp.OUTSIDE:
                return port < first or port > second
            case PortOp.RANGE:
                return first <= port <= second


@dataclass(frozen=True, slots=True)
class Peer:
    """One side of a packet: `negated` turns the address's condition round, not the port's."""

    address: RuleAddress = AnyAddress()
    negated: bool = False
    ports: Ports | None = None


@dataclass(frozen=True, slots=True)
class TcpFlags:
    """`flags set/of`: of the flags in `of` exactly those in `set` are on. Bits as in TCP's header (F 1, S 2, …)."""

    set: int
    of: int


@dataclass(frozen=True, slots=True)
class Icmp:
    """An ICMP type, and a code (None: any)."""

    type: int
    code: int | None = None


class PoolType(enum.Enum):
    """How one of several addresses is chosen."""

    NONE = ""
    BITMASK = "bitmask"
    RANDOM = "random"
    SOURCE_HASH = "source-hash"
    ROUND_ROBIN = "round-robin"


NAT_PORTS = (50001, 65535)
"""The source ports nat takes where it is not told (PF_NAT_PROXY_PORT_LOW, HIGH)."""


@dataclass(frozen=True, slots=True)
class Pool:
    """What a packet is translated to. `ports` (0, 0): nat keeps the source port (`static-port`), rdr the destination's.

    Of rdr a second port makes a range, onto which the range in the rule is laid from its start.
    """

    addresses: tuple[RuleAddress, ...]
    type: PoolType = PoolType.NONE
    ports: tuple[int, int] = (0, 0)
    key: str = ""
    """The key of a source-hash as it is printed."""
    sticky: bool = False
    """Whether one source gets the same address each time (`sticky-address`)."""


@dataclass(frozen=True, slots=True)
class StateOptions:
    """What stands in parentheses behind `keep state`; 0 and empty is not given.

    `max_src_conn_rate` is connections and the seconds they are counted in; `flush` the words behind `overload`.
    `track` (`rule` or `global`) is shown only: 13 counts the sources of each rule apart, whatever it says. Kept and
    shown, without effect, are `no_sync`, `sloppy` and `timeouts`, which are in seconds, or in states.
    """

    max: int = 0
    no_sync: bool = False
    track: str = ""
    max_src_states: int = 0
    max_src_conn: int = 0
    max_src_conn_rate: tuple[int, int] = (0, 0)
    max_src_nodes: int = 0
    overload: str = ""
    flush: str = ""
    sloppy: bool = False
    timeouts: tuple[tuple[str, int], ...] = ()

    @property
    def limits_states(self) -> bool:
        """Whether a state may be refused, and the packet that would have made it with it."""
        return bool(self.max or self.max_src_nodes or self.max_src_states)

    @property
    def limits_connections(self) -> bool:
        """Whether a TCP connection may be ended when its handshake is done."""
        return bool(self.max_src_conn or self.max_src_conn_rate[0])


class Turn(enum.Enum):
    """Which packets of a state go another way: those of who began, or those that answer."""

    ROUTE_TO = "route-to"
    REPLY_TO = "reply-to"


@dataclass(frozen=True, slots=True)
class Detour:
    """The way of some packets: out of an interface, to a gateway, wherever the routes lead."""

    turn: Turn
    interface: str
    gateway: IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, with nothing left to expand. `interface` may be a group's name; `proto` None is every protocol."""

    action: Action
    direction: Direction | None = None
    quick: bool = False
    log: tuple[str, ...] | None = None
    """None without `log`; otherwise what stands in the parentheses behind it."""
    interface: str = ""
    interface_not: bool = False
    family: Family | None = None
    proto: int | None = None
    source: Peer = Peer()
    destination: Peer = Peer()
    tcp_flags: TcpFlags | None = None
    icmp: Icmp | None = None
    tos: int | None = None
    keep: Keep = Keep.NO
    state_options: StateOptions = StateOptions()
    detour: Detour | None = None
    """Only of a pass for what comes in, that keeps state."""
    probability: float | None = None
    """Of a match, above 0 to 1."""
    allow_opts: bool = False
    """Whether a pass lets through IPv4 options and IPv6 routing headers, which otherwise are dropped."""
    label: str = ""
    tag: str = ""
    tagged: str = ""
    tagged_not: bool = False
    answer: Answer = Answer.DROP
    return_icmp: int = 3
    """The code of an ICMP unreachable."""
    return_icmp6: int = 4
    """The code of an ICMPv6 unreachable."""
    translation_pass: bool = False
    pool: Pool | None = None
    no_df: bool = False
    random_id: bool = False
    min_ttl: int = 0
    max_mss: int = 0
    anchor: str = ""
    """The anchor it stands for, its path from the main ruleset without a leading `/`."""
    called: str = ""
    """The anchor as it is printed."""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The rules of the main ruleset or of an anchor."""

    scrub: tuple[Rule, ...] = ()
    nat: tuple[Rule, ...] = ()
    rdr: tuple[Rule, ...] = ()
    binat: tuple[Rule, ...] = ()
    filter: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class TableEntry:
    """An address or network in a table; of several that hold an address the longest decides, `negated` against it.

    `since` is when it came there, by the kernel's clock; it is no part of what it is.
    """

    network: IPv4Network | IPv6Network
    negated: bool = False
    since: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of addresses, of the main ruleset (`anchor` empty) or of an anchor."""

    anchor: str
    name: str
    entries: tuple[TableEntry, ...] = ()
    const: bool = False
    persist: bool = False
    counters: bool = False

    def holds(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether an address is in it."""
        found = [entry for entry in self.entries if address in entry.network]
        return bool(found) and not max(found, key=lambda entry: entry.network.prefixlen).negated


class Debug(enum.Enum):
    """How much pf says of itself; the value is the word pfctl -s info shows."""

    NONE = "None"
    URGENT = "Urgent"
    MISC = "Misc"
    LOUD = "Loud"


@dataclass(frozen=True, slots=True)
class PfOptions:
    """What `set` sets in the kernel."""

    skip: tuple[str, ...] = ()
    debug: Debug = Debug.URGENT
    loginterface: str = ""
    timeouts: tuple[tuple[str, int], ...] = ()
    """By name: those that were set; they are shown, and have no effect."""
    limits: tuple[tuple[str, int], ...] = ()
    """The same of `set limit`."""


class Section(enum.Flag):
    """What of a ruleset a load or a flush replaces."""

    TRANSLATION = 1
    FILTER = 2
    """With scrub."""
    TABLES = 4
    OPTIONS = 8
    ALL = 15


@dataclass(frozen=True, slots=True)
class AnchorRules:
    """A ruleset and the anchor it is for; empty: the main one."""

    anchor: str
    ruleset: Ruleset = field(default_factory=Ruleset)
