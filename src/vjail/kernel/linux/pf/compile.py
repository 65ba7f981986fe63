"""A PfSetup as the text of one nftables table.

    chain       hook                              what
    arrive      prerouting, before conntrack      nothing that another host wrote into the mark counts
    nat_in      prerouting, dstnat                rdr, binat
    in          prerouting, behind dstnat         states, else rules for `in`
    pass_on     forward                           states; what will not be translated: rules for `out`
    emit        output                            the same for what this host sends
    nat_out     postrouting, srcnat               binat, nat
    depart      postrouting, behind srcnat        rules for `out` for what was translated
    turn        prerouting, before nat_in         route-to, reply-to; turn_own in output

A packet is filtered on its way out before it is translated only where it will not be, since there it can be answered
with a reset or an ICMP error; in postrouting Linux cannot. Whether it will be is found by the conditions of the nat and
binat rules. Rules are tried in order, the last that matches is in the packet's mark at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from vjail.conf.pf.rules import Direction, Family, Rule, Ruleset, Turn
from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.pf.compiled import Compiled
from vjail.kernel.linux.pf.effects import answers, effect
from vjail.kernel.linux.pf.limits import Limits
from vjail.kernel.linux.pf.match import Matcher, line, lines
from vjail.kernel.linux.pf.names import (
    ANSWERED,
    BACKWARD,
    BACKWARD_TAG_SHIFT,
    FORWARD,
    FORWARD_TAG_SHIFT,
    MADE,
    MOST_RULES,
    OTHERS,
    PASSED,
    RULE_MASK,
    RULE_SHIFT,
    TAG_MASK,
    TAG_SHIFT,
    TRANSLATED,
    Names,
    hexadecimal,
    set_text,
)
from vjail.kernel.linux.pf.translation import Hit, Translation
from vjail.kernel.pf import anchors_meant

_ALL = 0xFFFFFFFF
_DF, _ALL_OFF = 0x4000, 0xFFFF
"""Of IPv4's flags and fragment offset: don't fragment, and all."""
_DEEPEST = 64
"""Anchors in anchors (PF_ANCHOR_STACKSIZE)."""


@dataclass(frozen=True, slots=True)
class _Side:
    """A place where a packet is looked at; its chains end in its name.

    `original` is the bit of the state that lets packets of a connection's original direction pass here, `reply` that
    for those in reply. `answers`: whether the sender of what is blocked here can be told.
    """

    name: str
    direction: Direction
    original: int
    reply: int
    status: str
    answers: bool = True


_IN = _Side("in", Direction.IN, FORWARD, BACKWARD, "dnat")
_OUT = _Side("out", Direction.OUT, BACKWARD, FORWARD, "snat")
_DEPART = _Side("depart", Direction.OUT, BACKWARD, FORWARD, "snat", answers=False)
_TAG_SHIFTS = {FORWARD: FORWARD_TAG_SHIFT, BACKWARD: BACKWARD_TAG_SHIFT}


@dataclass(slots=True)
class _Chains:
    """The chains of a table, each a name, its hook if any, and its rules."""

    written: list[str] = field(default_factory=list)

    def add(self, name: str, rules: Sequence[str], hook: str = "") -> None:
        body = "".join(f"\t\t{rule}\n" for rule in ((f"{hook}; policy accept;", *rules) if hook else rules))
        self.written.append(f"\tchain {name} {{\n{body}\t}}\n")


def compile_setup(setup: PfSetup) -> Compiled:
    """A setup as a table. Raises KernelError with a message."""
    return _Compiler(setup).compiled()


class _Compiler:
    def __init__(self, setup: PfSetup) -> None:
        self._setup = setup
        self._names = Names(setup)
        self._limits = Limits(self._names)
        self._chains = _Chains()
        self._rules = 0
        self._actions: dict[int, str] = {}
        self._anchors = 0

    def compiled(self) -> Compiled:
        translates = self._translation()
        for side in (_IN, _OUT, *((_DEPART,) if translates else ())):
            self._filter(side)
        for side in (_IN, _OUT):
            self._keep(side)
        for name, rules in self._limits.chains():
            self._chains.add(name, rules)
        self._hooks(translates)
        elements = self._names.elements()
        tables = [
            set_text(f"{stem}_{family.value}", family, "flags interval")
            for stem in self._names.used_tables.values()
            for family in Family
        ]
        return Compiled(
            "".join((*tables, *self._limits.sets(), *self._chains.written)),
            elements,
            any(self._limits.counting(way) for way in Direction),
            tuple(self._limits.overloading()),
            tuple(self._limits.flushing()),
            self._names.detours,
        )

    # --- hooks ---

    def _hooks(self, translates: bool) -> None:
        skip_in, skip_out = self._skip("iifname"), self._skip("oifname")
        clear = f"meta mark set meta mark & {hexadecimal(OTHERS)}"
        self._chains.add("arrive", ['iifname "lo0" return', clear], "type filter hook prerouting priority raw")
        answer = f"meta mark & {hexadecimal(ANSWERED)} != 0"
        self._chains.add(
            "in",
            [
                *skip_in,
                f'iifname "lo0" {answer} accept',
                'iifname "lo0" ' + clear,
                *self._states(_IN),
                f"meta mark & {hexadecimal(PASSED)} != 0 goto keep_in",
                "jump rules_in",
                "goto end_in",
            ],
            "type filter hook prerouting priority dstnat + 10",
        )
        deferred = f"meta mark & {hexadecimal(TRANSLATED)}"
        defer = [f"meta mark set meta mark & {hexadecimal(_ALL ^ TRANSLATED ^ RULE_MASK)}"]
        if translates:
            defer += [
                f"ct direction original ct status snat meta mark set meta mark | {hexadecimal(TRANSLATED)} accept",
                "ct state new jump will_binat",
                f"ct state new {deferred} == 0 jump will_nat",
                f"{deferred} != 0 accept",
            ]
        before = [*self._states(_OUT), *defer, "jump rules_out", "goto end_out"]
        self._chains.add("pass_on", [*skip_out, *before], "type filter hook forward priority filter")
        self._chains.add("emit", [*skip_out, f"{answer} accept", *before], "type filter hook output priority filter")
        if translates:
            self._chains.add(
                "depart",
                [
                    *skip_out,
                    f"{deferred} == 0 accept",
                    f"meta mark & {hexadecimal(PASSED)} != 0 goto keep_out",
                    "jump rules_depart",
                    "goto end_depart",
                ],
                "type filter hook postrouting priority srcnat + 10",
            )
        self._turn()
        self._scrub()

    def _turn(self) -> None:
        """What goes another way than the routes say is told so before these are asked."""
        state = f"ct mark & {hexadecimal(FORWARD)} != 0"
        told = {
            turn: [
                f"ct direction {'original' if turn is Turn.ROUTE_TO else 'reply'} {state} ct label {number} "
                f"{_turned(number)}"
                for way, number in self._names.detours.items()
                if way.turn is turn
            ]
            for turn in Turn
        }
        if self._names.detours:
            both = [*told[Turn.ROUTE_TO], *told[Turn.REPLY_TO]]
            self._chains.add("turn", both, "type filter hook prerouting priority mangle")
        if told[Turn.REPLY_TO]:
            self._chains.add("turn_own", told[Turn.REPLY_TO], "type route hook output priority mangle")

    def _skip(self, word: str) -> list[str]:
        skip = self._setup.options.skip
        return [f"{word} {self._names.interfaces(skip)} accept"] if skip else []

    def _states(self, side: _Side) -> list[str]:
        """States let pass, with the tags their packets are given."""
        found: list[str] = []
        for name, bit in (("original", side.original), ("reply", side.reply)):
            state = f"ct direction {name} ct mark & {hexadecimal(bit)} != 0"
            for number in self._names.tags.values():
                tag = hexadecimal((number << _TAG_SHIFTS[bit]) | bit)
                mask = hexadecimal((TAG_MASK >> TAG_SHIFT << _TAG_SHIFTS[bit]) | bit)
                found.append(
                    f"ct direction {name} ct mark & {mask} == {tag} meta mark set "
                    f"meta mark & {hexadecimal(_ALL ^ TAG_MASK)} | {hexadecimal(number << TAG_SHIFT)}"
                )
            if bit == side.original:
                found += self._limits.done(side.direction)
            note = f"meta mark set meta mark | {hexadecimal(ANSWERED)}" if side is _IN else ""
            found.append(line(state, note, "accept"))
        return found

    # --- filter ---

    def _filter(self, side: _Side) -> None:
        self._rules = 0
        self._actions = {}
        self._ruleset(side, f"rules_{side.name}", "", 0)
        self._ends(side)

    def _ruleset(self, side: _Side, chain: str, anchor: str, depth: int) -> None:
        """The chain of a ruleset's rules for one direction."""
        matcher = Matcher(self._names, side.direction, anchor)
        written: list[str] = []
        for place, rule in enumerate(self._setup.rulesets.get(anchor, Ruleset()).filter):
            if rule.direction in (None, side.direction):
                if rule.anchor:
                    written += self._anchor(side, rule, matcher, depth)
                else:
                    limit = self._limits.meet(anchor, place, rule, side.direction)
                    written += self._one(side, rule, matcher, limit)
        self._chains.add(chain, written)

    def _one(self, side: _Side, rule: Rule, matcher: Matcher, limit: int) -> list[str]:
        number = self._number(rule, limit)
        mask, bits = RULE_MASK, number << RULE_SHIFT
        if rule.tag:
            mask, bits = mask | TAG_MASK, bits | self._names.tag(rule.tag)
        statement = f"meta mark set meta mark & {hexadecimal(_ALL ^ mask)} | {hexadecimal(bits)}"
        return lines(matcher.alternatives(rule), line(statement, f"goto end_{side.name}" if rule.quick else ""))

    def _number(self, rule: Rule, limit: int) -> int:
        self._rules += 1
        if self._rules > MOST_RULES:
            raise KernelError(Errno.EBUSY, f"more than {MOST_RULES} rules in one direction")
        detour = self._names.detours[rule.detour] if rule.detour is not None else 0
        self._actions[self._rules] = effect(rule, limit, detour)
        return self._rules

    def _anchor(self, side: _Side, rule: Rule, matcher: Matcher, depth: int) -> list[str]:
        if depth >= _DEEPEST:
            return []
        tag = ""
        if rule.tag:
            kept, bits = hexadecimal(_ALL ^ TAG_MASK), hexadecimal(self._names.tag(rule.tag))
            tag = f"meta mark set meta mark & {kept} | {bits}"
        first = self._rules + 1
        self._anchors += 1
        call = f"anchor{self._anchors}_{side.name}"
        jumps: list[str] = []
        for number, path in enumerate(anchors_meant(self._setup.rulesets, rule.anchor)):
            self._ruleset(side, f"{call}_{number}", path, depth + 1)
            jumps.append(f"jump {call}_{number}")
        self._chains.add(call, [*([tag] if tag else []), *jumps])
        written = lines(matcher.alternatives(rule), f"jump {call}")
        if rule.quick and self._rules >= first:
            won = f"{hexadecimal(first << RULE_SHIFT)}-{hexadecimal(self._rules << RULE_SHIFT)}"
            written.append(f"meta mark & {hexadecimal(RULE_MASK)} {won} goto end_{side.name}")
        return written

    # --- what a rule does ---

    def _ends(self, side: _Side) -> None:
        """What becomes of a packet when all rules were tried."""
        end = f"end_{side.name}"
        for key in sorted(set(self._actions.values())):
            self._chains.add(f"{end}_{key}", self._end(side, key))
        verdicts = ", ".join(
            f"{hexadecimal(number << RULE_SHIFT)} : goto {end}_{key}" for number, key in self._actions.items()
        )
        chosen = [f"meta mark & {hexadecimal(RULE_MASK)} vmap {{ {verdicts} }}"] if verdicts else []
        self._chains.add(end, [*chosen, f"ct status {side.status} goto keep_{side.direction.value}", "accept"])

    def _end(self, side: _Side, key: str) -> list[str]:
        match key.split("_"):
            case ["pass", keep, options, *numbers]:
                word = side.direction.value
                refuse = [] if options == "any" else ["ip hdrlength > 5 drop", "exthdr rt exists drop"]
                if numbers:
                    limit, detour = map(int, numbers)
                    made = self._limits.made(limit) if limit else 0
                    before = [f"jump limit{limit}"] if limit else []
                    if detour:
                        before.append(f"ct label set {detour}")
                        before += [_turned(detour)] if self._names.turn(detour) is Turn.ROUTE_TO else []
                    return [*refuse, *before, f"goto keep_{word}{made or ''}"]
                if keep == "keep":
                    return [*refuse, f"goto keep_{word}"]
                return [*refuse, f"ct status {side.status} goto keep_{word}", "accept"]
            case _:
                return [*(answers(key) if side.answers else ()), "drop"]

    def _keep(self, side: _Side) -> None:
        """Make a state: its bit in the connection's mark, with the packet's tag, and which rule made it that counts."""
        counting = [each.made for each in self._limits.counting(side.direction)]
        for made in (0, *counting):
            self._chains.add(f"keep_{side.direction.value}{made or ''}", self._kept(side, made if counting else None))

    def _kept(self, side: _Side, made: int | None) -> list[str]:
        """`made` is the number of the rule in the mark, 0 of one that counts no connections. None: no rule does."""
        rules: list[str] = []
        for name, bit in (("original", side.original), ("reply", side.reply)):
            shift = _TAG_SHIFTS[bit]
            mask = (TAG_MASK >> TAG_SHIFT << shift) | bit
            for number in self._names.tags.values():
                tagged = f"meta mark & {hexadecimal(TAG_MASK)} == {hexadecimal(number << TAG_SHIFT)}"
                noted = f"ct mark set ct mark & {hexadecimal(_ALL ^ mask)} | {hexadecimal(number << shift)}"
                rules.append(f"ct direction {name} {tagged} {noted}")
            place = MADE[bit]
            forget = "" if made is None else f" & {hexadecimal(_ALL ^ place.mask ^ place.counted)}"
            number = made << place.shift if made and name == "original" else 0
            rules.append(f"ct direction {name} ct mark set ct mark{forget} | {hexadecimal(bit | number)}")
        if side is _IN:
            rules.append(f"meta mark set meta mark | {hexadecimal(ANSWERED)}")
        return [*rules, "accept"]

    # --- translation ---

    def _translation(self) -> bool:
        """The chains of nat, rdr and binat; whether anything is translated on its way out."""
        rulesets = self._setup.rulesets.values()
        incoming = any(ruleset.rdr or ruleset.binat for ruleset in rulesets)
        outgoing = any(ruleset.nat or ruleset.binat for ruleset in rulesets)
        if incoming:
            skip = self._skip("iifname")
            self._translating(_IN, "rdr", lambda each: each.rdr, Translation.incoming)
            self._translating(_IN, "binat_in", lambda each: each.binat, Translation.incoming_binat)
            hook = "type nat hook prerouting priority dstnat"
            self._chains.add("nat_in", [*skip, "jump rdr", "jump binat_in"], hook)
        if outgoing:
            skip = self._skip("oifname")
            self._translating(_OUT, "binat_out", lambda each: each.binat, Translation.outgoing, ahead="will_binat")
            self._translating(_OUT, "nat", lambda each: each.nat, Translation.outgoing, ahead="will_nat")
            hook = "type nat hook postrouting priority srcnat"
            self._chains.add("nat_out", [*skip, "jump binat_out", "jump nat"], hook)
        return outgoing

    def _translating(
        self,
        side: _Side,
        chain: str,
        rules: Callable[[Ruleset], Sequence[Rule]],
        hits: Callable[[Translation, Rule], list[Hit]],
        *,
        ahead: str = "",
        anchor: str = "",
        depth: int = 0,
    ) -> None:
        """The chain of a kind of translation, and with `ahead` the one that tells who will be translated.

        A rule that exempts ends the chain, and those it is called from, so that anchors are put in their place.
        """
        matcher = Matcher(self._names, side.direction, anchor)
        written = list(self._translated(matcher, side, rules, hits, anchor, depth))
        self._chains.add(chain, [line(hit.condition, hit.note, hit.translation or "return") for hit in written])
        if ahead:
            mark = f"meta mark set meta mark | {hexadecimal(TRANSLATED)} return"
            self._chains.add(ahead, [line(hit.condition, mark if hit.translation else "return") for hit in written])

    def _translated(
        self,
        matcher: Matcher,
        side: _Side,
        rules: Callable[[Ruleset], Sequence[Rule]],
        hits: Callable[[Translation, Rule], list[Hit]],
        anchor: str,
        depth: int,
    ) -> Iterator[Hit]:
        """The hits of a ruleset, those of its anchors where they stand, under their conditions."""
        translation = Translation(self._names, matcher, anchor)
        for rule in rules(self._setup.rulesets.get(anchor, Ruleset())):
            if not rule.anchor:
                yield from hits(translation, rule)
                continue
            if depth >= _DEEPEST:
                continue
            for path in anchors_meant(self._setup.rulesets, rule.anchor):
                inner = Matcher(self._names, side.direction, path)
                for hit in self._translated(inner, side, rules, hits, path, depth + 1):
                    for alternative in matcher.alternatives(rule):
                        yield Hit(line(alternative.text, hit.condition), hit.note, hit.translation)

    # --- scrub ---

    def _scrub(self) -> None:
        """scrub: conntrack has put fragments together; what is left is written into headers. The first match counts."""
        rules = [rule for rule in self._setup.rulesets.get("", Ruleset()).scrub if not rule.anchor]
        if not any(rule.no_df or rule.random_id or rule.min_ttl or rule.max_mss for rule in rules):
            return
        places = (
            (_IN, "iifname", "prerouting priority mangle"),
            (_OUT, "oifname", "postrouting priority srcnat + 20"),
        )
        for side, word, hook in places:
            matcher = Matcher(self._names, side.direction)
            name = f"scrub_{side.direction.value}"
            written: list[str] = []
            for number, rule in enumerate(rules):
                if rule.direction not in (None, side.direction):
                    continue
                chain = f"{name}{number}"
                self._chains.add(chain, _cleaned(rule))
                written += lines(matcher.alternatives(rule), f"goto {chain}")
            self._chains.add(name, [*self._skip(word), *written], f"type filter hook {hook}")


def _turned(number: int) -> str:
    """A packet is told the number of its way."""
    return f"meta mark set meta mark & {hexadecimal(_ALL ^ OTHERS)} | {hexadecimal(number)}"


def _cleaned(rule: Rule) -> list[str]:
    done: list[str] = []
    if rule.no_df:
        done.append(f"ip frag-off & {_DF} != 0 ip frag-off set ip frag-off & {_ALL_OFF ^ _DF}")
    if rule.random_id:
        done.append(f"ip frag-off & {_ALL_OFF ^ _DF} == 0 ip id set numgen random mod 65536")
    if rule.min_ttl:
        done += [f"ip ttl < {rule.min_ttl} ip ttl set {rule.min_ttl}"]
        done += [f"ip6 hoplimit < {rule.min_ttl} ip6 hoplimit set {rule.min_ttl}"]
    if rule.max_mss:
        size = f"tcp option maxseg size > {rule.max_mss} tcp option maxseg size set {rule.max_mss}"
        done.append(f"tcp flags & 0x02 == 0x02 {size}")
    return [*done, "accept"]
