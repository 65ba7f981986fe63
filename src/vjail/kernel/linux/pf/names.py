"""What a compiled ruleset refers to: sets for tables, interfaces and their addresses, numbers for tags, bits of marks.

A packet's mark holds, while it goes through the host, which rule won so far, its tag, and three flags; a connection's
mark which states it has, with the tag of each, and of rules that limit connections which made it. The eight lowest bits
of a packet's mark are left alone, but where `route-to` or `reply-to` says how it goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    summarize_address_range,
)
from zlib import crc32

from vjail.conf.pf.hosts import Surroundings, family_of, interface_hosts
from vjail.conf.pf.rules import Detour, Family, InterfaceAddress, NetAddress, Table, TableEntry, Turn
from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.errno import Errno, KernelError

Network = IPv4Network | IPv6Network

RULE_SHIFT, RULE_MASK = 8, 0x000FFF00
TAG_SHIFT, TAG_MASK = 20, 0x0FF00000
ANSWERED = 0x10000000
"""What this host's stack answers to the packet goes out unseen: it came in by a state, or is being refused."""
TRANSLATED = 0x20000000
"""It will be translated on its way out, and is filtered behind that."""
PASSED = 0x40000000
"""A translation rule with `pass` let it through."""
OTHERS = 0x000000FF
"""What is left to others, but for the number of a way by route-to or reply-to."""
_MOST_DETOURS = 127
"""Labels that a connection has, without the first."""

FORWARD, BACKWARD = 0x1, 0x2
"""Bits of a connection's mark, one for each state it may have.

FORWARD: packets in its original direction come in, and those in reply go out. BACKWARD: those in the original direction
go out, and replies come in.
"""
FORWARD_TAG_SHIFT, BACKWARD_TAG_SHIFT = 8, 16


@dataclass(frozen=True, slots=True)
class Made:
    """Where a connection's mark says which rule that limits connections made the state with this bit.

    `counted`: its handshake is done. Without the state's bit: the state was ended, being one too many.
    """

    bit: int
    shift: int
    mask: int
    counted: int


MADE = {FORWARD: Made(FORWARD, 25, 0x7E000000, 0x80000000), BACKWARD: Made(BACKWARD, 2, 0x000000FC, 0x01000000)}
MOST_MADE = 63
"""Rules that limit connections and are told apart."""

MOST_RULES = RULE_MASK >> RULE_SHIFT
_MOST_TAGS = TAG_MASK >> TAG_SHIFT
_FULL = {Family.INET: 32, Family.INET6: 128}


def hexadecimal(number: int) -> str:
    """A mark or mask as nft(8) reads it."""
    return f"0x{number:08x}"


def family_word(family: Family) -> str:
    """`ip` or `ip6`."""
    return "ip" if family is Family.INET else "ip6"


@dataclass(slots=True)
class Names:
    """Everything that rules refer to, gathered while they are compiled."""

    setup: PfSetup
    tags: dict[str, int] = field(default_factory=dict)
    used_tables: dict[tuple[str, str], str] = field(default_factory=dict)
    """The stem of the sets of each table that a rule refers to, by anchor and name."""
    overloads: dict[tuple[str, str], str] = field(init=False)
    """The stem of the sets of those who got into a table by `overload` since it was loaded, by anchor and name."""
    detours: dict[Detour, int] = field(init=False)
    """The number of each way by route-to or reply-to: a label of connections, the lowest bits of a packet's mark."""
    _around: Surroundings = field(init=False)
    _tables: dict[tuple[str, str], Table] = field(init=False)

    def __post_init__(self) -> None:
        self._around = Surroundings(self.setup.interfaces)
        self._tables = {(table.anchor, table.name): table for table in self.setup.tables}
        wanted = (
            (path, rule.state_options.overload)
            for path, ruleset in self.setup.rulesets.items()
            for rule in ruleset.filter
            if rule.state_options.overload
        )
        self.detours = detours(self.setup)
        self.overloads = {key: f"over{number}" for number, key in enumerate(dict.fromkeys(wanted))}

    def interfaces(self, names: Iterable[str]) -> str:
        """Interfaces and groups as an nft expression."""
        found: dict[str, None] = {}
        for name in names:
            members = [each.name for each in self._around.members(name)]
            found.update(dict.fromkeys(members or [name]))
        quoted = [f'"{name}"' for name in found]
        return quoted[0] if len(quoted) == 1 else f"{{ {', '.join(quoted)} }}"

    def networks(self, address: InterfaceAddress, family: Family) -> list[Network]:
        """What `(interface)` stands for now, in one family."""
        hosts = [host for host in interface_hosts(address, self._around) if host.family is family]
        return [host.address.network for host in hosts if isinstance(host.address, NetAddress)]

    def tag(self, name: str) -> int:
        """The number of a tag, in its place in a packet's mark. Raises KernelError where there are too many."""
        number = self.tags.setdefault(name, len(self.tags) + 1)
        if number > _MOST_TAGS:
            raise KernelError(Errno.EBUSY, f"more than {_MOST_TAGS} tags")
        return number << TAG_SHIFT

    def table(self, anchor: str, name: str, family: Family) -> list[str]:
        """The sets that hold a table of an anchor, or else of the main ruleset; none where there is no such table."""
        key = next((key for key in ((anchor, name), ("", name)) if key in self._tables), None)
        if key is None:
            return []
        stems = [self.used_tables.setdefault(key, f"table{len(self.used_tables)}")]
        if key in self.overloads:
            stems.append(self.overloads[key])
        return [f"@{stem}_{family.value}" for stem in stems]

    def table_entries(self, anchor: str, name: str, family: Family) -> list[Network]:
        """The networks a table holds in one family, with what is negated taken out."""
        key = next((key for key in ((anchor, name), ("", name)) if key in self._tables), None)
        return flattened(self._tables[key].entries, family) if key is not None else []

    def turn(self, number: int) -> Turn:
        """Which packets go the way with this number."""
        return next(way.turn for way, each in self.detours.items() if each == number)

    def elements(self) -> dict[str, str]:
        """What the sets of the tables that were referred to hold, by their names; empty: nothing."""
        found: dict[str, str] = {}
        for key, stem in self.used_tables.items():
            for family in Family:
                networks = flattened(self._tables[key].entries, family)
                found[f"{stem}_{family.value}"] = elements_text(networks) if networks else ""
        return found


def detours(setup: PfSetup) -> dict[Detour, int]:
    """The ways by route-to and reply-to in a setup. Each has the same number in all, but for clashes: states keep it.

    Raises KernelError where there are too many.
    """
    rules = [rule for ruleset in setup.rulesets.values() for rule in ruleset.filter]
    wanted = sorted({rule.detour for rule in rules if rule.detour is not None}, key=str)
    if len(wanted) > _MOST_DETOURS:
        raise KernelError(Errno.EBUSY, f"more than {_MOST_DETOURS} ways for route-to and reply-to")
    found: dict[Detour, int] = {}
    for each in wanted:
        number = crc32(str(each).encode()) % _MOST_DETOURS
        while number + 1 in found.values():
            number = (number + 1) % _MOST_DETOURS
        found[each] = number + 1
    return found


def set_text(name: str, family: Family, *properties: str) -> str:
    """A set of addresses of a family."""
    kind = "ipv4_addr" if family is Family.INET else "ipv6_addr"
    written = "".join(f"\t\t{each}\n" for each in (f"type {kind}", *properties))
    return f"\tset {name} {{\n{written}\t}}\n"


def elements_text(networks: Sequence[Network]) -> str:
    """Networks that do not overlap, as the elements of a set."""
    return f"{{ {', '.join(network_text(network) for network in networks)} }}"


def network_text(network: Network) -> str:
    """A network as nft(8) reads it."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def united(networks: Iterable[Network]) -> list[Network]:
    """The same addresses in networks that do not overlap; all are of one family."""
    listed = list(networks)
    four = [each for each in listed if isinstance(each, IPv4Network)]
    six = [each for each in listed if isinstance(each, IPv6Network)]
    return [*collapse_addresses(four), *collapse_addresses(six)]


def flattened(entries: Sequence[TableEntry], family: Family) -> list[Network]:
    """The networks of a family whose addresses a table holds: of entries that hold one the longest decides."""
    wanted = [entry for entry in entries if family_of(entry.network) is family]
    left: list[Network] = []
    for entry in sorted(wanted, key=lambda each: each.network.prefixlen):
        if entry.negated:
            left = [part for network in left for part in _without(network, entry.network)]
        else:
            left.append(entry.network)
    return united(left)


def _without(network: Network, hole: Network) -> list[Network]:
    if isinstance(network, IPv4Network) and isinstance(hole, IPv4Network):
        if hole.supernet_of(network):
            return []
        return list(network.address_exclude(hole)) if network.supernet_of(hole) else [network]
    if isinstance(network, IPv6Network) and isinstance(hole, IPv6Network):
        if hole.supernet_of(network):
            return []
        return list(network.address_exclude(hole)) if network.supernet_of(hole) else [network]
    return [network]


def of_range(first: IPv4Address | IPv6Address, last: IPv4Address | IPv6Address) -> list[Network]:
    """A range of addresses as networks."""
    if isinstance(first, IPv4Address) and isinstance(last, IPv4Address):
        return list(summarize_address_range(first, last))
    if isinstance(first, IPv6Address) and isinstance(last, IPv6Address):
        return list(summarize_address_range(first, last))
    return []
