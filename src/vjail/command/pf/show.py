"""pfctl -s: what is loaded and what there is, printed. Sources: pfctl.c, pfctl_parser.c, pf_print_state.c of 13.2."""

from __future__ import annotations

from vjail.command.pf.options import Options
from vjail.command.pf.surroundings import printed_names
from vjail.conf.pf.printer import Names, rule_text
from vjail.conf.pf.rules import Direction, Rule, Table, TableAddress
from vjail.conf.pf.words import LIMITS, TIMEOUTS
from vjail.kernel.pf import PacketFilter, PfEndpoint, PfState
from vjail.session import Session

_FILTER_COUNTERS = ("searches", "inserts", "removals")
_COUNTERS = (
    "match", "bad-offset", "fragment", "short", "normalize", "memory", "bad-timestamp", "congestion", "ip-option",
    "proto-cksum", "state-mismatch", "state-insert", "state-limit", "src-limit", "synproxy", "map-failed",
)  # fmt: skip


class Show:
    """Prints one thing after another; with `titles` each under its title (`-s all`)."""

    def __init__(self, session: Session, options: Options) -> None:
        self._session = session
        self._options = options
        self._names: Names = printed_names(session, numeric=options.numeric)
        self._filter: PacketFilter = session.system.packet_filter()
        self._titled = False
        self._titles = options.show == "all"

    def show(self, what: str) -> None:
        """Print what was asked for."""
        match what:
            case "rules":
                self._rules()
            case "nat":
                self._nat()
            case "states":
                self._states()
            case "info":
                self._info()
            case "Running":
                self._session.out("Enabled\n" if self._filter.enabled else "Disabled\n")
            case "Anchors":
                self._anchors()
            case "Tables":
                self._tables()
            case "labels":
                self._labels()
            case "timeouts":
                self._timeouts()
            case "memory":
                self._limits()
            case "Interfaces":
                self._interfaces()
            case "all":
                self._all()
            case _:
                # Queues, source nodes, fingerprints: there are none.
                pass

    def _all(self) -> None:
        self._nat()
        self._rules()
        self._states()
        self._info()
        self._labels()
        self._timeouts()
        self._limits()
        self._tables()

    def _title(self, text: str) -> None:
        if self._titles:
            self._session.out(f"{chr(10) if self._titled else ''}{text}\n")
            self._titled = True

    # --- rules ---

    def _rules(self) -> None:
        self._title("FILTER RULES:")
        self._ruleset(self._options.anchor, 0)

    def _ruleset(self, anchor: str, depth: int) -> None:
        ruleset = self._filter.ruleset(anchor)
        for number, rule in enumerate(ruleset.scrub):
            self._rule(rule, number, "")
        for number, rule in enumerate(ruleset.filter):
            margin = "" if self._options.verbose else "  " * depth
            inline = rule.anchor and (rule.called.rpartition("/")[2].startswith("_") or self._options.recursive)
            if not inline:
                self._rule(rule, number, margin)
                continue
            self._rule(rule, number, margin, " {")
            self._ruleset(rule.anchor, depth + 1)
            self._session.out(f"{margin}}}\n")

    def _nat(self) -> None:
        ruleset = self._filter.ruleset(self._options.anchor)
        lists = [rules for rules in (ruleset.nat, ruleset.rdr, ruleset.binat) if rules]
        if lists:
            self._title("TRANSLATION RULES:")
        for rules in lists:
            for number, rule in enumerate(rules):
                self._rule(rule, number, "")

    def _rule(self, rule: Rule, number: int, margin: str, behind: str = "") -> None:
        place = number if self._options.verbose > 1 else None
        self._session.out(f"{margin}{rule_text(rule, self._names, number=place)}{behind}\n")

    def _labels(self) -> None:
        # Rules are not counted.
        labelled = [rule for rule in self._filter.ruleset(self._options.anchor).filter if rule.label]
        if labelled:
            self._title("LABEL COUNTERS:")
        for rule in labelled:
            self._session.out(f"{rule.label} 0 0 0 0 0 0 0 0\n")

    def _anchors(self) -> None:
        above = f"{self._options.anchor}/" if self._options.anchor else ""
        paths = {path for path in self._filter.rulesets if path}
        known = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 2)}
        for path in sorted(known):
            below = path.removeprefix(above) if path.startswith(above) else ""
            deep = "/" in below
            hidden = below.startswith("_")
            if below and (self._options.verbose or not (deep or hidden)):
                self._session.out(f"  {path}\n")

    # --- tables, interfaces ---

    def _tables(self) -> None:
        chosen = [table for table in self._filter.tables if table.anchor == self._options.anchor]
        if chosen:
            self._title("TABLES:")
        for table in sorted(chosen, key=lambda each: each.name):
            self._session.out(f"{_flags(table, self._filter)}\t" if self._options.verbose else "")
            place = f"\t{table.anchor}" if table.anchor and self._options.verbose else ""
            self._session.out(f"{table.name}{place}\n")

    def _interfaces(self) -> None:
        names = {"all"}
        for interface in self._session.system.interfaces():
            names |= {interface.name, *interface.groups}
        for name in sorted(names):
            if self._options.interface in (None, name):
                skip = " (skip)" if self._options.verbose and name in self._filter.options.skip else ""
                self._session.out(f"{name}{skip}\n")

    # --- states ---

    def _states(self) -> None:
        states = self._session.system.packet_filter_states()
        if states:
            self._title("STATES:")
        for state in states:
            self._session.out(state_text(state, self._names))
            if self._options.verbose:
                self._session.out(f"   expires in {_clock(state.expires)}\n")

    # --- the rest ---

    def _info(self) -> None:
        self._title("INFO:")
        found = self._filter
        status = f"Status: {'Enabled' if found.enabled else 'Disabled'}"
        seconds = int(found.running_for) if found.running_for is not None else None
        if seconds is not None:
            status += f" for {seconds // 86400} days {_clock(seconds % 86400)}"
        self._session.out(f"{status:<44}{f'Debug: {found.options.debug.value}':>15}\n\n")
        if found.options.loginterface:
            self._session.out(f"Interface Stats for {found.options.loginterface:<16} {'IPv4':>5} {'IPv6':>16}\n\n")
        self._session.out(f"{'State Table':<27} {'Total':>14} {'Rate':>16}\n")
        states = len(self._session.system.packet_filter_states())
        self._session.out(f"  {'current entries':<25} {states:>14} {'':>14}\n")
        for name in _FILTER_COUNTERS:
            self._counter(name, seconds)
        self._session.out("Counters\n")
        for name in _COUNTERS:
            self._counter(name, seconds)

    def _counter(self, name: str, seconds: int | None) -> None:
        # Packets are not counted.
        rate = "" if seconds == 0 else f"{0:14.1f}/s"
        self._session.out(f"  {name:<25} {0:>14} {rate or ' ' * 14}\n")

    def _timeouts(self) -> None:
        self._title("TIMEOUTS:")
        for name, value in (TIMEOUTS | dict(self._filter.options.timeouts)).items():
            self._session.out(f"{name:<20} {value:>10}{' states' if name.startswith('adaptive') else 's'}\n")

    def _limits(self) -> None:
        self._title("LIMITS:")
        for name, value in (LIMITS | dict(self._filter.options.limits)).items():
            self._session.out(f"{name:<13} hard limit {value:>8}\n")


def state_text(state: PfState, names: Names) -> str:
    """A state's line as pfctl -s states prints it."""
    inside = state.direction is Direction.IN
    # The side that the host's own stack sees comes first for what came in, the wire's for what went out.
    if inside:
        first = _ends(state.destination, state.wire_destination)
        second = _ends(state.source, state.wire_source)
        levels = tuple(reversed(state.levels))
    else:
        first = _ends(state.wire_source, state.source)
        second = _ends(state.wire_destination, state.destination)
        levels = state.levels
    proto = names.protocol(state.proto) or str(state.proto)
    return f"all {proto} {first} {'<-' if inside else '->'} {second}       {levels[0]}:{levels[1]}\n"


def _ends(shown: PfEndpoint, other: PfEndpoint) -> str:
    return f"{_endpoint(shown)} ({_endpoint(other)})" if shown != other else _endpoint(shown)


def _endpoint(end: PfEndpoint) -> str:
    if not end.port:
        return str(end.address)
    return f"{end.address}:{end.port}" if end.address.version == 4 else f"{end.address}[{end.port}]"


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _flags(table: Table, found: PacketFilter) -> str:
    ruleset = found.ruleset(table.anchor)
    rules = (*ruleset.scrub, *ruleset.nat, *ruleset.rdr, *ruleset.binat, *ruleset.filter)
    sides = {peer.address for rule in rules for peer in (rule.source, rule.destination)}
    overloads = {rule.state_options.overload for rule in ruleset.filter}
    used = TableAddress(table.name) in sides or table.name in overloads
    letters = (
        ("c", table.const), ("p", table.persist), ("a", True), ("i", False), ("r", used), ("h", False),
        ("C", table.counters),
    )  # fmt: skip
    return "".join(letter if on else "-" for letter, on in letters)
