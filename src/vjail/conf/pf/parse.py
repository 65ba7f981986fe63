"""pf.conf(5): the file as rulesets, tables and options, said as pfctl(8) says it.

What pfctl prints while it reads (`-v`) goes to `out`, its messages to `err`. Source: sbin/pfctl/parse.y of 13.2.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from vjail.conf.pf.drafts import Draft, Parsed
from vjail.conf.pf.expand import Lists
from vjail.conf.pf.fields import Fields
from vjail.conf.pf.filter_grammar import FilterGrammar, decided
from vjail.conf.pf.hosts import Surroundings, Unreadable
from vjail.conf.pf.lexer import Kind
from vjail.conf.pf.parts import FromTo
from vjail.conf.pf.rules import (
    Action,
    Answer,
    Debug,
    PortOp,
    Rule,
)
from vjail.conf.pf.table_grammar import TableGrammar
from vjail.conf.pf.tokens import Fault, Recover, Tokens
from vjail.conf.pf.translation_grammar import TranslationGrammar
from vjail.conf.pf.words import LIMITS, OPTIMIZATIONS, TIMEOUTS
from vjail.conf.position import Source

_ORDER = "Rules must be in order: options, normalization, queueing, translation, filtering"
_RESERVED = "anchor names beginning with '_' are reserved for internal use"


class _Order(enum.IntEnum):
    NONE = 0
    OPTION = 1
    SCRUB = 2
    QUEUE = 3
    NAT = 4
    FILTER = 5


def parse(
    source: Source,
    around: Surroundings,
    *,
    out: Callable[[str], None],
    err: Callable[[str], None],
    anchor: str = "",
    macros: Sequence[tuple[str, str]] = (),
    options: bool = True,
) -> Parsed:
    """Read a file for the ruleset of `anchor`. `macros` are those of `-D`; without `options` `set` does nothing."""
    return _Parser(source, around, out, err, anchor, macros, options).run()


class _Parser:
    def __init__(
        self,
        source: Source,
        around: Surroundings,
        out: Callable[[str], None],
        err: Callable[[str], None],
        anchor: str,
        macros: Sequence[tuple[str, str]],
        options: bool,
    ) -> None:
        self.tokens = Tokens(source, err)
        self.fields = Fields(self.tokens, around)
        self.filter = FilterGrammar(self.tokens, self.fields, around)
        self.translation = TranslationGrammar(self.tokens, self.fields, self.filter.expand)
        self.tables = TableGrammar(self.tokens, self.fields, around, out)
        self.around = around
        self.out = out
        self.current = Draft(anchor)
        self.parsed = Parsed({anchor: self.current})
        self.require_order = True
        self.order = _Order.NONE
        self.braces = 0
        self.fixed = dict(macros)
        self.with_options = options
        self.tokens.lexer.macros.update(macros)

    def run(self) -> Parsed:
        while True:
            try:
                if self.tokens.at_kind(Kind.END):
                    break
                self.tokens.begin()
                self._statement()
                self.tokens.end_of_line()
            except Recover:
                self.current = self.parsed.rulesets[next(iter(self.parsed.rulesets))]
                if not self.tokens.skip_line():
                    break
        self.parsed.errors = self.tokens.errors
        self.parsed.problems = self.tokens.problems
        return self.parsed

    def _statement(self) -> None:
        tokens = self.tokens
        if tokens.at_kind(Kind.NEWLINE):
            return
        if tokens.at_kind(Kind.STRING):
            self._macro()
            return
        if not tokens.at_kind(Kind.KEYWORD):
            tokens.syntax_error()
        match tokens.peek.text:
            case "set":
                tokens.take()
                self._set()
            case "table":
                tokens.take()
                self.parsed.tables.append(self.tables.table(self.current.path))
            case "include":
                tokens.take()
                self._include()
            case "load":
                tokens.take()
                self._load()
            case "altq" | "queue" | "match" as word:
                tokens.unsupported(word)
            case _:
                self._rule()

    def _rule(self) -> None:
        """A rule, where anchors in braces may stand too; the order is looked at when it was read."""
        tokens = self.tokens
        word = tokens.peek.text
        if word == "no":
            # What is negated stands behind it.
            self._negated()
            return
        match word:
            case "nat" | "rdr" | "binat":
                self._add(self.translation.rules(no=False), _Order.NAT)
            case "scrub":
                self._add(self.filter.scrub(no=False), _Order.SCRUB)
            case "pass" | "block":
                self._add(self.filter.filter(), _Order.FILTER)
            case "antispoof":
                self._add(self.filter.antispoof(), _Order.FILTER)
            case "anchor":
                self._anchor()
            case "nat-anchor" | "rdr-anchor" | "binat-anchor":
                self._translation_anchor()
            case _:
                tokens.syntax_error()

    def _negated(self) -> None:
        self.tokens.take()
        if self.tokens.at("nat", "rdr", "binat"):
            self._add(self.translation.rules(no=True), _Order.NAT)
        elif self.tokens.at("scrub"):
            self._add(self.filter.scrub(no=True), _Order.SCRUB)
        else:
            self.tokens.syntax_error()

    def _add(self, rules: list[Rule], order: _Order) -> None:
        self.check_order(order)
        self.current.add(rules)

    def check_order(self, order: _Order) -> None:
        """Complain where a section stands behind a later one."""
        if self.require_order and self.order > order:
            self.tokens.fail(_ORDER)
        self.order = order

    # --- macros, options, files ---

    def _macro(self) -> None:
        tokens = self.tokens
        name = tokens.take().text
        tokens.expect("=")
        words: list[str] = []
        while tokens.at_kind(Kind.STRING, Kind.NUMBER):
            token = tokens.take()
            words.append(str(int(token.text)) if token.kind is Kind.NUMBER else token.text)
        if not words:
            tokens.syntax_error()
        value = " ".join(words)
        self.out(f'{name} = "{value}"\n')
        if name not in self.fixed:
            tokens.lexer.macros[name] = value

    def _set(self) -> None:
        tokens = self.tokens
        word = tokens.peek.text if tokens.at_kind(Kind.KEYWORD) else tokens.syntax_error()
        tokens.take()
        match word:
            case "block-policy":
                policy = tokens.expect("drop", "return")
                self.out(f"set block-policy {policy}\n")
                self.check_order(_Order.OPTION)
                self.filter.block_policy = Answer(policy)
            case "require-order":
                self.require_order = self._yes_or_no()
                self.out(f"set require-order {'yes' if self.require_order else 'no'}\n")
            case "ruleset-optimization":
                self._optimization()
            case "skip":
                self._skip()
            case "debug":
                self._debug()
            case "loginterface":
                name = tokens.take().text if tokens.at("all") else tokens.string()
                self.check_order(_Order.OPTION)
                self._option(f"set loginterface {name}\n", loginterface="" if name == "none" else name)
            case "optimization":
                name = tokens.string()
                self.check_order(_Order.OPTION)
                if name.lower() not in OPTIMIZATIONS:
                    tokens.err("pfctl: invalid state timeouts optimization")
                    tokens.fail(f"unknown optimization {name}")
                self._option(f"set optimization {name}\n", timeouts=self._timeouts(OPTIMIZATIONS[name.lower()]))
            case "timeout":
                self._each(self._timeout)
            case "limit":
                self._each(self._limit)
            case "fail-policy":
                # What a packet is answered that finds no room for a state; there always is.
                policy = tokens.expect("drop", "return")
                self.out(f"set fail-policy {policy}\n")
                self.check_order(_Order.OPTION)
            case "state-policy":
                if tokens.expect("floating", "if-bound") == "if-bound":
                    tokens.unsupported("set state-policy if-bound")
                self.out("set state-policy floating\n")
            case _:
                tokens.unsupported(f"set {word}")

    def _each(self, item: Callable[[], None]) -> None:
        """One setting, or several in braces."""
        tokens = self.tokens
        if not tokens.accept("{"):
            item()
            return
        tokens.newlines()
        item()
        tokens.newlines()
        while not tokens.accept("}"):
            tokens.accept(",")
            item()
            tokens.newlines()

    def _timeout(self) -> None:
        tokens = self.tokens
        name = tokens.accept("interval") or tokens.string()
        seconds = self._setting()
        if name not in TIMEOUTS:
            tokens.fail(f"unknown timeout {name}")
        self._option(f"set timeout {name} {seconds}\n", timeouts=self._timeouts({name: seconds}))

    def _limit(self) -> None:
        tokens = self.tokens
        name = tokens.string()
        number = self._setting()
        if name not in LIMITS:
            tokens.err("pfctl: Bad pool name.")
            tokens.fail(f"unable to set limit {name} {number}")
        limits = {**dict(self.parsed.options.limits), name: number}
        self._option(f"set limit {name} {number}\n", limits=tuple(limits.items()))

    def _setting(self) -> int:
        number = self.tokens.number()
        self.check_order(_Order.OPTION)
        if not 0 <= number <= 0xFFFFFFFF:
            self.tokens.fail("only positive values permitted")
        return number

    def _timeouts(self, changed: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
        return tuple({**dict(self.parsed.options.timeouts), **changed}.items())

    def _option(self, said: str, **changed: str | Debug | tuple[str, ...] | tuple[tuple[str, int], ...]) -> None:
        if self.with_options:
            self.out(said)
            self.parsed.options = replace(self.parsed.options, **changed)  # type: ignore[arg-type]

    def _yes_or_no(self) -> bool:
        tokens = self.tokens
        if tokens.accept("no"):
            return False
        word = tokens.string()
        if word != "yes":
            tokens.fail(f"invalid value '{word}', expected 'yes' or 'no'")
        return True

    def _optimization(self) -> None:
        word = self.tokens.strings()
        if word not in ("none", "basic", "profile"):
            self.tokens.fail(f"unknown ruleset-optimization {word}")
        if word == "profile":
            self.tokens.unsupported("set ruleset-optimization profile")
        self.parsed.optimize = word == "basic"

    def _skip(self) -> None:
        tokens = self.tokens
        chosen = self.fields.interfaces()
        if chosen is None or [(each.name, each.negated) for each in chosen] == [("none", False)]:
            self.out("set skip on none\n")
            self.parsed.options = replace(self.parsed.options, skip=())
            return
        self.out(f"set skip on {{ {' '.join(each.name for each in chosen)} }}\n")
        if any(each.negated for each in chosen):
            tokens.complain("skip on ! <interface> is not supported")
            tokens.fail("error setting skip interface(s)")
        if self.with_options:
            names = dict.fromkeys((*self.parsed.options.skip, *(each.name for each in chosen)))
            self.parsed.options = replace(self.parsed.options, skip=tuple(names))

    def _debug(self) -> None:
        tokens = self.tokens
        word = tokens.string()
        self.check_order(_Order.OPTION)
        levels = {level.name.lower(): level for level in Debug}
        if word not in levels:
            tokens.err(f'pfctl: unknown debug level "{word}"')
            tokens.fail(f"error setting debuglevel {word}")
        self._option(f"set debug {word}\n", debug=levels[word])

    def _include(self) -> None:
        tokens = self.tokens
        name = tokens.string()
        if not tokens.at_kind(Kind.NEWLINE):
            tokens.syntax_error()
        try:
            source = Source(name, self.around.read(name))
        except Unreadable as error:
            tokens.err(f"pfctl: {name}: {error}")
            tokens.fail(f"failed to include file {name}", Fault.ELSEWHERE)
        tokens.lexer.include(source)

    def _load(self) -> None:
        tokens = self.tokens
        tokens.expect("anchor")
        name = tokens.strings()
        tokens.expect("from")
        path = f"{self.current.path}/{name}" if self.current.path else name
        self.parsed.load_anchors.append((path, tokens.strings()))

    # --- anchors ---

    def _anchor(self) -> None:
        tokens, fields = self.tokens, self.fields
        tokens.take()
        name = tokens.take().text if tokens.at_kind(Kind.STRING) else ""
        rule = Rule(Action.PASS, fields.direction(), quick=tokens.accept("quick") is not None)
        interfaces = fields.interfaces()
        family = fields.family()
        protocols = fields.protocols()
        sides = fields.from_to()
        fields.reached(sides.source.hosts, sides.destination.hosts)
        options = self.filter.filter_options()
        inline: Draft | None = None
        if tokens.at("{"):
            inline = self._braces(name)
        self.check_order(_Order.FILTER)
        if inline is None and not name:
            tokens.fail("anchors without explicit rules must specify a name")
        if name.startswith("_") or "/_" in name:
            tokens.fail(_RESERVED)
        self.filter.check_flags(options, protocols)
        if options.keep is not None:
            tokens.fail("cannot specify state handling on anchors")
        path, called = (inline.path, inline.path.rpartition("/")[2]) if inline else self._resolve(name)
        rule = replace(
            self.filter.with_options(rule, options),
            family=decided(decided(family, sides.source.hosts), sides.destination.hosts),
            tcp_flags=options.flags,
            anchor=path,
            called=called,
        )
        self.current.add(self.filter.expand(rule, Lists(interfaces, protocols, options.icmp, sides)))

    def _braces(self, name: str) -> Draft:
        """The rules of an anchor in braces, in a ruleset of their own."""
        tokens = self.tokens
        tokens.take()
        if not tokens.at_kind(Kind.NEWLINE):
            tokens.syntax_error()
        self.braces += 1
        outer = self.current
        path = self._resolve(name or f"_{self.braces}")[0]
        if path in self.parsed.rulesets:
            tokens.fail(f"inline anchor '{name}' already exists")
        self.current = Draft(path)
        self.parsed.rulesets[path] = self.current
        while not tokens.at("}"):
            if tokens.at("pass", "block", "anchor"):
                self._rule()
            tokens.end_of_line()
        tokens.take()
        made, self.current = self.current, outer
        return made

    def _translation_anchor(self) -> None:
        tokens, fields = self.tokens, self.fields
        word = tokens.take().text
        path, called = self._resolve(tokens.strings())
        interfaces = fields.interfaces()
        family = fields.family()
        protocols = fields.protocols()
        sides = fields.from_to()
        fields.rtable()
        self.check_order(_Order.NAT)
        action = Action(word.removesuffix("-anchor"))
        if action is Action.RDR:
            self._check_rdr_anchor(sides)
        if action is Action.BINAT and sides != FromTo():
            tokens.fail("fromto parameter not supported in binat-anchor")
        family = decided(decided(family, sides.source.hosts), sides.destination.hosts)
        rule = Rule(action, family=family, anchor=path, called=called)
        self.current.add(self.filter.expand(rule, Lists(interfaces, protocols, None, sides)))

    def _check_rdr_anchor(self, sides: FromTo) -> None:
        if sides.source.ports is not None:
            self.tokens.fail("source port parameter not supported in rdr-anchor")
        ports = sides.destination.ports
        if ports is not None and len(ports) > 1:
            self.tokens.fail("destination port list expansion not supported in rdr-anchor")
        if ports is not None and ports[0].op is not PortOp.EQ:
            self.tokens.fail("destination port operators not supported in rdr-anchor")

    def _resolve(self, name: str) -> tuple[str, str]:
        """An anchor's path from the main ruleset, and how it is printed in the ruleset that is read."""
        if name.startswith("/"):
            return name.strip("/"), name
        return (f"{self.current.path}/{name}" if self.current.path else name), name
