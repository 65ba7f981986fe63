"""What pfctl(8) does to the rules of a filter ruleset before it loads them (`set ruleset-optimization basic`).

Neighbours of like effect are a block; in it a rule that another one covers goes, six or more rules that differ in one
address only become one rule with a table, and rules are put beside those they have most in common with. Nothing of that
changes which packets pass. Source: sbin/pfctl/pfctl_optimize.c of 13.2, whose order is followed exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from vjail.conf.pf.rules import (
    AnyAddress,
    InterfaceAddress,
    NetAddress,
    Peer,
    Rule,
    RuleAddress,
    Table,
    TableAddress,
    TableEntry,
    UnreachedAddress,
)

_THRESHOLD = 6
"""Rules from which on a table is made."""
_PREFIX = "__automatic_"


@dataclass(slots=True)
class Optimizer:
    """Optimizes the rulesets of one load. `identity` is in the names of tables it makes; None: nothing is loaded."""

    is_group: Callable[[str], bool]
    identity: int | None = None
    tables: list[Table] = field(default_factory=list)
    _counted: int = 0

    def optimize(self, rules: Sequence[Rule], anchor: str = "") -> list[Rule]:
        """The rules of a filter ruleset, in the order in which they are loaded."""
        return [rule for block in self._blocks(rules) for rule in self._block(block, anchor)]

    def _blocks(self, rules: Sequence[Rule]) -> list[list[Rule]]:
        blocks: list[list[Rule]] = []
        for rule in rules:
            if blocks and self._belongs(blocks[-1][0], rule):
                blocks[-1].append(rule)
            else:
                blocks.append([rule])
        return blocks

    def _belongs(self, first: Rule, rule: Rule) -> bool:
        if rule.label or rule.probability is not None or rule.anchor:
            return False
        grouped = self.is_group(rule.interface) or self.is_group(first.interface)
        if grouped and rule.interface != first.interface:
            return False
        return _effect(first) == _effect(rule)

    def _block(self, rules: list[Rule], anchor: str) -> list[Rule]:
        if len(rules) == 1:
            return rules
        return _reorder(self._combined(_without_covered(rules), anchor))

    # --- tables ---

    def _combined(self, rules: list[Rule], anchor: str) -> list[Rule]:
        left = [_Entry(rule) for rule in rules]
        for one in list(left):
            if one not in left:
                continue
            for other in left[left.index(one) + 1 :]:
                self._combine(left, one, other)
        made: list[Rule] = []
        for entry in left:
            gathered = entry.gathered
            if gathered is None or len(gathered.addresses) < _THRESHOLD:
                made.append(entry.rule)
            elif not gathered.made:
                gathered.made = True
                made.append(self._with_table(entry.rule, gathered, anchor))
        return made

    def _combine(self, left: list[_Entry], one: _Entry, other: _Entry) -> None:
        same_source, same_destination = (
            _address(one.rule, side) == _address(other.rule, side) for side in ("source", "destination")
        )
        if same_source == same_destination:
            return
        side = "destination" if same_source else "source"
        if other.gathered is not None or (one.gathered is not None and one.gathered.side != side):
            return
        if not _combinable(one.rule, other.rule, side):
            return
        if one.gathered is None:
            one.gathered = _Gathered(side, self._counted, [_peer(one.rule, side)])
            self._counted += 1
        one.gathered.addresses.append(_peer(other.rule, side))
        other.gathered = one.gathered
        if len(one.gathered.addresses) >= _THRESHOLD:
            left.remove(other)

    def _with_table(self, rule: Rule, gathered: _Gathered, anchor: str) -> Rule:
        name = f"{_PREFIX}{gathered.number}"
        if self.identity is not None:
            name = f"{_PREFIX}{self.identity:x}_{len(self.tables)}"
        networks = [peer.address.network for peer in gathered.addresses if isinstance(peer.address, NetAddress)]
        self.tables.append(Table(anchor, name, tuple(TableEntry(network) for network in networks), const=True))
        peer = replace(_peer(rule, gathered.side), address=TableAddress(name))
        return replace(rule, source=peer) if gathered.side == "source" else replace(rule, destination=peer)


@dataclass(slots=True)
class _Gathered:
    """Rules on their way into one table: the side they differ in, and that side of each."""

    side: str
    number: int
    addresses: list[Peer]
    made: bool = False


@dataclass(slots=True, eq=False)
class _Entry:
    rule: Rule
    gathered: _Gathered | None = None


def _effect(rule: Rule) -> Rule:
    """What must be the same in all rules of a block."""
    return replace(
        rule,
        direction=None,
        interface="",
        interface_not=False,
        family=None,
        proto=None,
        source=Peer(),
        destination=Peer(),
        tcp_flags=None,
        icmp=None,
        tos=None,
        tagged="",
        tagged_not=False,
        return_icmp=0,
        return_icmp6=0,
    )


def _peer(rule: Rule, side: str) -> Peer:
    return rule.source if side == "source" else rule.destination


def _address(rule: Rule, side: str) -> tuple[bool, RuleAddress]:
    peer = _peer(rule, side)
    return peer.negated, peer.address


def _combinable(one: Rule, other: Rule, side: str) -> bool:
    a, b = _peer(one, side), _peer(other, side)
    if not isinstance(a.address, NetAddress) or not isinstance(b.address, NetAddress):
        return False
    bare = [replace(each, source=_bare(each.source), destination=_bare(each.destination)) for each in (one, other)]
    return bare[0] == bare[1]


def _bare(peer: Peer) -> Peer:
    return replace(peer, address=AnyAddress())


# --- rules that others cover ---


def _without_covered(rules: list[Rule]) -> list[Rule]:
    left = list(rules)
    for one in rules:
        if not any(each is one for each in left):
            continue
        for other in left[_place(left, one) + 1 :]:
            if _covers(one, other):
                del left[_place(left, other)]
            elif _covers(other, one):
                del left[_place(left, one)]
                break
    return left


def _place(rules: list[Rule], rule: Rule) -> int:
    return next(place for place, each in enumerate(rules) if each is rule)


def _covers(wide: Rule, narrow: Rule) -> bool:
    """Whether a rule matches all that another one matches, as far as pfctl sees it."""
    flags = narrow.tcp_flags
    if wide.tcp_flags is None and wide.proto in (None, narrow.proto):
        flags = None
    widened = replace(
        narrow,
        interface=narrow.interface if wide.interface else "",
        direction=narrow.direction if wide.direction else None,
        proto=narrow.proto if wide.proto is not None else None,
        tcp_flags=flags,
        source=_widened(wide, narrow, wide.source, narrow.source),
        destination=_widened(wide, narrow, wide.destination, narrow.destination),
        family=narrow.family if wide.family is not None else None,
    )
    return _plain(widened) == _plain(wide)


def _widened(wide: Rule, narrow: Rule, by: Peer, peer: Peer) -> Peer:
    ports = peer.ports if by.ports is not None else None
    address = peer.address
    if not by.negated and not peer.negated and is_any(by.address):
        address = AnyAddress()
    elif (
        isinstance(by.address, NetAddress)
        and isinstance(address, NetAddress)
        and by.negated == peer.negated
        and wide.family is narrow.family
        and by.address.network.prefixlen < address.network.prefixlen
        and by.address.network == address.network.supernet(new_prefix=by.address.network.prefixlen)
    ):
        address = by.address
    return Peer(address, peer.negated, ports)


def _plain(rule: Rule) -> Rule:
    source, destination = (
        replace(peer, address=AnyAddress()) if is_any(peer.address) else peer
        for peer in (rule.source, rule.destination)
    )
    return replace(rule, source=source, destination=destination)


def is_any(address: RuleAddress) -> bool:
    """Whether an address is every address of its family."""
    return isinstance(address, AnyAddress) or (isinstance(address, NetAddress) and not address.network.prefixlen)


# --- the order ---


def _same_address(a: Peer, b: Peer) -> bool:
    if a.negated != b.negated or type(a.address) is not type(b.address):
        return False
    match a.address:
        case NetAddress(network):
            return a.address == b.address and int(network.network_address) != 0
        case InterfaceAddress() | TableAddress() | UnreachedAddress():
            return a.address == b.address
        case _:
            return False


def _same_ports(a: Peer, b: Peer) -> bool:
    return a.ports is not None and a.ports == b.ports


_ALIKE: tuple[Callable[[Rule, Rule], bool], ...] = (
    lambda a, b: bool(a.interface) and (a.interface, a.interface_not) == (b.interface, b.interface_not),
    lambda a, b: a.direction is not None and a.direction is b.direction,
    lambda a, b: a.family is not None and a.family is b.family,
    lambda a, b: a.proto is not None and a.proto == b.proto,
    lambda a, b: _same_address(a.source, b.source),
    lambda a, b: _same_ports(a.source, b.source),
    lambda a, b: _same_address(a.destination, b.destination),
    lambda a, b: _same_ports(a.destination, b.destination),
)
"""What two rules may have in common, in the order of the kernel's skip steps."""


@dataclass(slots=True, eq=False)
class _Group:
    """Rules that have one thing in common; `count` is what they are worth, which is not always how many."""

    rules: list[int]
    count: int


def _reorder(rules: list[Rule]) -> list[Rule]:
    """Rules of a block beside those they have most in common with. Works with places in `rules`."""
    return [rules[place] for place in _ordered(rules, list(range(len(rules))))]


def _ordered(rules: list[Rule], places: list[int]) -> list[int]:
    lists = [_groups(rules, places, alike) for alike in _ALIKE]
    largest = 0
    for groups in lists:
        first = groups[0]
        if first.count in (len(places), 1):
            first.count = 0
        largest = max(largest, first.count)
    if not largest:
        return places
    left, before, own = list(places), [], []
    while left:
        chosen, most = -1, 1
        for number, groups in enumerate(lists):
            if groups and groups[0].count > most:
                chosen, most = number, groups[0].count
        if chosen < 0:
            own += left
            break
        group = lists[chosen].pop(0)
        for place in group.rules:
            left.remove(place)
            for groups in lists:
                _remove(groups, place)
        if group.count > 2:
            before += _ordered(rules, group.rules)
        else:
            own += group.rules
    return before + own


def _groups(rules: list[Rule], places: list[int], alike: Callable[[Rule, Rule], bool]) -> list[_Group]:
    """Rules that are alike, the largest group first."""
    groups: list[_Group] = []
    for place in places:
        group = next((each for each in groups if alike(rules[place], rules[each.rules[0]])), None)
        if group is None:
            group = _Group([], 0)
            groups.append(group)
        group.rules.append(place)
        group.count += 1
        at = groups.index(group)
        while at and groups[at - 1].count < group.count:
            groups[at - 1], groups[at] = groups[at], groups[at - 1]
            at -= 1
    return groups


def _remove(groups: list[_Group], place: int) -> None:
    if not groups or groups[0].count <= 1:
        return
    group = next((each for each in groups if place in each.rules), None)
    if group is None:
        return
    group.rules.remove(place)
    group.count -= 1
    at = groups.index(group)
    while at + 1 < len(groups) and groups[at + 1].count > group.count:
        groups[at], groups[at + 1] = groups[at + 1], groups[at]
        at += 1
