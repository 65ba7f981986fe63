"""Options of states in pf.conf(5): what stands in parentheses behind `keep state`.

Sources: state_opt_item and pfrule of sbin/pfctl/parse.y, 13.2.
"""

from __future__ import annotations

from dataclasses import replace

from vjail.conf.pf.fields import LONGEST_TABLE_NAME
from vjail.conf.pf.lexer import Kind
from vjail.conf.pf.rules import StateOptions
from vjail.conf.pf.tokens import Tokens
from vjail.conf.pf.words import TIMEOUTS

_MOST = 0xFFFFFFFF
_FASTEST = _MOST // 1000


class StateGrammar:
    """Reads the options of one rule's states."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def read(self) -> StateOptions:
        """The options up to the closing parenthesis; the opening one was taken."""
        tokens = self.tokens
        options, seen = StateOptions(), set[str]()
        while True:
            options = self._one(options, seen)
            if tokens.accept(")"):
                break
            tokens.accept(",")
        return self._completed(options, "max" in seen)

    def _one(self, options: StateOptions, seen: set[str]) -> StateOptions:
        tokens = self.tokens
        if tokens.at_kind(Kind.STRING):
            return self._timeout(options, seen)
        word = tokens.expect(
            "max", "no-sync", "max-src-states", "max-src-conn", "max-src-conn-rate", "overload", "max-src-nodes",
            "source-track", "if-bound", "floating", "sloppy",
        )  # fmt: skip
        if word in seen or (word in ("if-bound", "floating") and seen & {"if-bound", "floating"}):
            tokens.fail(_REPEATED.get(word, f"state option '{word}' multiple definitions"))
        seen.add(word)
        match word:
            case "no-sync":
                return replace(options, no_sync=True)
            case "sloppy":
                return replace(options, sloppy=True)
            case "floating":
                return options
            case "if-bound":
                tokens.unsupported("the state option if-bound")
            case "source-track":
                return replace(options, track=tokens.accept("rule", "global") or "global")
            case "overload":
                return self._overload(options)
            case "max-src-conn-rate":
                return self._rate(options)
            case "max":
                return replace(options, max=self._positive())
        number = self._positive()
        if not number:
            tokens.fail(f"'{word}' must be > 0")
        match word:
            case "max-src-states":
                return replace(options, max_src_states=number)
            case "max-src-conn":
                return replace(options, max_src_conn=number)
            case _:
                return replace(options, max_src_nodes=number)

    def _positive(self) -> int:
        number = self.tokens.number()
        if not 0 <= number <= _MOST:
            self.tokens.fail("only positive values permitted")
        return number

    def _rate(self, options: StateOptions) -> StateOptions:
        limit = self._positive()
        self.tokens.expect("/")
        seconds = self._positive()
        if not limit or not seconds:
            self.tokens.fail("'max-src-conn-rate' values must be > 0")
        if limit > _FASTEST:
            self.tokens.fail(f"'max-src-conn-rate' maximum rate must be < {_FASTEST}")
        return replace(options, max_src_conn_rate=(limit, seconds))

    def _overload(self, options: StateOptions) -> StateOptions:
        tokens = self.tokens
        tokens.expect("<")
        name = tokens.string()
        tokens.expect(">")
        if len(name) > LONGEST_TABLE_NAME:
            tokens.fail(f"table name '{name}' too long")
        flush = ""
        if tokens.accept("flush"):
            flush = "flush global" if tokens.accept("global") else "flush"
        return replace(options, overload=name, flush=flush)

    def _timeout(self, options: StateOptions, seen: set[str]) -> StateOptions:
        tokens = self.tokens
        name = tokens.string()
        seconds = self._positive()
        if name not in TIMEOUTS:
            tokens.fail(f"illegal timeout name {name}")
        if "." not in name:
            tokens.fail(f"illegal state timeout {name}")
        if name in seen:
            tokens.fail(f"state timeout {name} multiple definitions")
        seen.add(name)
        return replace(options, timeouts=(*options.timeouts, (name, seconds)))

    def _completed(self, options: StateOptions, limited: bool) -> StateOptions:
        """What follows from options: timeouts that shrink as states come near `max`, and whose sources are tracked."""
        timeouts = dict(options.timeouts)
        if limited and options.max and not timeouts.keys() & {"adaptive.start", "adaptive.end"}:
            timeouts |= {"adaptive.start": options.max // 10 * 6, "adaptive.end": options.max // 10 * 12}
        by_rule = options.max_src_nodes or options.max_src_conn or options.max_src_conn_rate[0]
        for name, given in (
            ("max-src-nodes", options.max_src_nodes),
            ("max-src-conn", options.max_src_conn),
            ("max-src-conn-rate", options.max_src_conn_rate[0]),
        ):
            if options.track == "global" and given:
                self.tokens.fail(f"'{name}' is incompatible with 'source-track global'")
        track = options.track or ("rule" if by_rule else "global" if options.max_src_states else "")
        if track and timeouts.get("src.track", 0) < options.max_src_conn_rate[1]:
            timeouts["src.track"] = options.max_src_conn_rate[1]
        # The kernel's order, not that of pfctl -s timeouts.
        names = sorted(TIMEOUTS, key=lambda name: name == "tcp.tsdiff")
        ordered = tuple((name, timeouts[name]) for name in names if name in timeouts)
        return replace(options, track=track, timeouts=ordered)


_REPEATED = {
    "no-sync": "state option 'sync' multiple definitions",
    "overload": "multiple 'overload' table definitions",
    "if-bound": "state locking option: multiple definitions",
    "floating": "state locking option: multiple definitions",
    "sloppy": "state sloppy option: multiple definitions",
}
