"""Limits of the states that a rule makes (conf/pf/rules.py, StateOptions) as nftables rules.

    chain             what
    limitN            before rule N makes a state: `max`, `max-src-nodes`, `max-src-states`; who gets past it is counted
    established_WAY   a handshake is done: which rule counts it
    established_WAYN  `max-src-conn`, `max-src-conn-rate` of rule N
    exceeded_WAYN     a connection too many: its state ends, `overload`, `flush`; the server is woken (exceeded.py)

`ct count` takes a connection only while it begins, in newer kernels. So all are counted from their first packet on, and
`max-src-conn` is compared when a handshake is done. An element of a set that counts goes when it counts nothing more:
the size of such a set is `max-src-nodes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vjail.conf.pf.rules import Direction, Family, Rule
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.pf.names import (
    BACKWARD,
    FORWARD,
    MADE,
    MOST_MADE,
    Names,
    family_word,
    hexadecimal,
    set_text,
)

LOG_GROUP = 0x7066
"""Where packets are logged that did exceed a limit, so that the server hears of it; nobody else logs there."""
_ALL = 0xFFFFFFFF
_MOST_SOURCES = 10_000
"""Sources that a rule counts at most (limit src-nodes of pf.conf(5))."""
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_BITS = {Direction.IN: FORWARD, Direction.OUT: BACKWARD}

Chain = tuple[str, list[str]]


@dataclass(frozen=True, slots=True)
class Overloading:
    """A set of addresses that got into a table by `overload`."""

    set: str
    family: Family
    anchor: str
    table: str


@dataclass(frozen=True, slots=True)
class Flushing:
    """A set of sources whose states have to go: all of them, or those that rule `made` made.

    `direction` is that of the connection that was one too many.
    """

    set: str
    family: Family
    direction: Direction
    made: int
    everywhere: bool


@dataclass(slots=True)
class Limited:
    """A rule with limits; `made` is its number in connections' marks, 0 where it limits no connections."""

    number: int
    anchor: str
    rule: Rule
    made: int
    ways: set[Direction] = field(default_factory=set)
    """The directions of states that it makes."""


@dataclass(slots=True)
class Limits:
    """The rules with limits that were met while rules are compiled. A rule that is looked at twice is counted once."""

    names: Names
    _by_place: dict[tuple[str, int], Limited] = field(default_factory=dict)

    def meet(self, anchor: str, place: int, rule: Rule, way: Direction) -> int:
        """The number of a rule, which is at a place of an anchor and looks at packets this way; 0: it has no limits.

        Raises KernelError where too many rules limit connections.
        """
        options = rule.state_options
        if not options.limits_states and not options.limits_connections:
            return 0
        limited = self._by_place.get((anchor, place))
        if limited is None:
            made = 0
            if options.limits_connections:
                made = 1 + sum(each.made > 0 for each in self._by_place.values())
                if made > MOST_MADE:
                    raise KernelError(
                        Errno.EBUSY, f"more than {MOST_MADE} rules with max-src-conn or max-src-conn-rate"
                    )
            limited = Limited(len(self._by_place) + 1, anchor, rule, made)
            self._by_place[anchor, place] = limited
        limited.ways.add(way)
        return limited.number

    def made(self, number: int) -> int:
        """The number in connections' marks of the rule with this number."""
        return next(each.made for each in self._by_place.values() if each.number == number)

    def counting(self, way: Direction) -> list[Limited]:
        """The rules that limit connections which begin this way."""
        return [each for each in self._by_place.values() if each.made and way in each.ways]

    # --- what is written ---

    def sets(self) -> Iterator[str]:
        """All sets."""
        for family in Family:
            for stem in self.names.overloads.values():
                yield set_text(f"{stem}_{family.value}", family, f"size {_MOST_SOURCES}", "flags dynamic")
            for each in self._by_place.values():
                yield from _sets(each, family)

    def overloading(self) -> Iterator[Overloading]:
        """The sets of those who got into tables."""
        for (anchor, name), stem in self.names.overloads.items():
            for family in Family:
                yield Overloading(f"{stem}_{family.value}", family, anchor, name)

    def flushing(self) -> Iterator[Flushing]:
        """The sets of those whose states go."""
        for each in self._by_place.values():
            options = each.rule.state_options
            for way in Direction if options.flush and each.made else ():
                if way in each.ways:
                    for family in Family:
                        everywhere = options.flush == "flush global"
                        yield Flushing(_flush_set(each, way, family), family, way, each.made, everywhere)

    def chains(self) -> Iterator[Chain]:
        """All chains."""
        for each in self._by_place.values():
            yield from _entry(each)
        for way in Direction:
            counting = self.counting(way)
            for each in counting:
                yield f"exceeded_{way.value}{each.number}", list(self._exceeded(each, way))
                yield f"established_{way.value}{each.number}", list(_established(each, way))
            if counting:
                made = MADE[_BITS[way]]
                chosen = ", ".join(
                    f"{hexadecimal(each.made << made.shift)} : goto established_{way.value}{each.number}"
                    for each in counting
                )
                yield f"established_{way.value}", [f"ct mark & {hexadecimal(made.mask)} vmap {{ {chosen} }}"]

    def done(self, way: Direction) -> list[str]:
        """What counts the connections whose handshake is done by this packet of a state."""
        if not self.counting(way):
            return []
        made = MADE[_BITS[way]]
        fresh = f"ct mark & {hexadecimal(made.bit | made.counted)} == {hexadecimal(made.bit)}"
        return [f"ct direction original ct status assured {fresh} jump established_{way.value}"]

    def _exceeded(self, limited: Limited, way: Direction) -> Iterator[str]:
        options = limited.rule.state_options
        yield f"ct mark set ct mark & {hexadecimal(_ALL ^ _BITS[way])}"
        for family in Family:
            if options.overload:
                stem = self.names.overloads[limited.anchor, options.overload]
                yield f"add @{stem}_{family.value} {{ {_began(way, family)} }}"
            if options.flush:
                yield f"add @{_flush_set(limited, way, family)} {{ {_began(way, family)} }}"
        yield f"log group {LOG_GROUP} queue-threshold 1"
        yield "drop"


def _flush_set(limited: Limited, way: Direction, family: Family) -> str:
    return f"flush{limited.number}_{way.value}_{family.value}"


def _sets(limited: Limited, family: Family) -> Iterator[str]:
    options, name = limited.rule.state_options, f"{limited.number}_{family.value}"
    size = f"size {options.max_src_nodes or _MOST_SOURCES}"
    if options.max_src_nodes or options.max_src_states:
        yield set_text(f"sources{name}", family, size, "flags dynamic")
    if options.max_src_conn:
        yield set_text(f"connections{name}", family, f"size {_MOST_SOURCES}", "flags dynamic")
    if options.max_src_conn_rate[0]:
        yield set_text(f"rates{name}", family, f"size {_MOST_SOURCES}", "flags dynamic,timeout")
    for way in sorted(limited.ways, key=lambda each: each.value) if options.flush else ():
        yield set_text(_flush_set(limited, way, family), family, f"size {_MOST_SOURCES}", "flags dynamic")


def _entry(limited: Limited) -> Iterator[Chain]:
    """What a packet must get past before it makes a state. It is dropped otherwise, and nobody is told, as in pf."""
    options, number = limited.rule.state_options, limited.number
    written: list[str] = []
    past = f"goto connect{number}" if options.max_src_conn else "return"
    if options.max:
        written.append(f"ct count over {options.max} drop")
    if options.max_src_nodes or options.max_src_states:
        most = options.max_src_states or _ALL
        # No match is a source too many, or a state.
        written += [
            f"add @sources{number}_{family.value} {{ {_sent_by(family)} ct count {most} }} {past}" for family in Family
        ]
        written.append("drop")
    else:
        written.append(past)
    if options.max_src_conn:
        counts = [f"{_sent_by(family)} ct count over {options.max_src_conn}" for family in Family]
        sets = [f"@connections{number}_{family.value}" for family in Family]
        yield (
            f"connect{number}",
            [f"meta l4proto 6 add {name} {{ {count} }}" for name, count in zip(sets, counts, strict=True)],
        )
    yield f"limit{number}", written


def _established(limited: Limited, way: Direction) -> Iterator[str]:
    options, name = limited.rule.state_options, f"exceeded_{way.value}{limited.number}"
    yield f"ct mark set ct mark | {hexadecimal(MADE[_BITS[way]].counted)}"
    limit, seconds = options.max_src_conn_rate
    for family in Family:
        began, which = _began(way, family), f"{limited.number}_{family.value}"
        if options.max_src_conn:
            yield f"add @connections{which} {{ {began} ct count over {options.max_src_conn} }} goto {name}"
        if limit:
            rate = rate_text(limit, seconds)
            yield f"update @rates{which} {{ {began} timeout {seconds}s limit rate over {rate} }} goto {name}"


def _sent_by(family: Family) -> str:
    return f"{family_word(family)} saddr"


def _began(way: Direction, family: Family) -> str:
    """Who began a connection, by the address that the rule saw: what goes out may have been translated."""
    direction, side = ("original", "saddr") if way is Direction.IN else ("reply", "daddr")
    return f"ct {direction} {family_word(family)} {side}"


def rate_text(limit: int, seconds: int) -> str:
    """So many in so many seconds, as many at once, as nft(8) reads it; rounded where no unit holds it exactly."""
    unit = next((name for name, length in _UNITS.items() if limit * length % seconds == 0), "week")
    return f"{max(1, limit * _UNITS[unit] // seconds)}/{unit} burst {limit} packets"
