"""pfctl -f: a pf.conf read, printed where that is wished, and given to the kernel as one change.

Source: pfctl_rules(), pfctl_load_ruleset(), pfctl_load_anchors() of sbin/pfctl/pfctl.c, 13.2.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from vjail.command.pf.options import Options
from vjail.command.pf.surroundings import printed_names, surroundings
from vjail.conf.pf.drafts import DefinedTable, Draft, Parsed
from vjail.conf.pf.hosts import Surroundings, Unreadable
from vjail.conf.pf.optimize import Optimizer
from vjail.conf.pf.parse import parse
from vjail.conf.pf.printer import Names, address_text, rule_text
from vjail.conf.pf.rules import AnchorRules, NetAddress, PfOptions, Rule, Ruleset, Section, Table
from vjail.conf.position import Source
from vjail.kernel.errno import KernelError
from vjail.kernel.operations import LoadPf
from vjail.session import Session

_STDIN = "-"


@dataclass(slots=True)
class _Load:
    """What is gathered for the kernel, from the file and those it loads anchors from."""

    rulesets: list[AnchorRules] = field(default_factory=list)
    tables: list[DefinedTable] = field(default_factory=list)
    options: PfOptions = PfOptions()


async def load(session: Session, options: Options, path: str) -> int:
    """Load a file for the anchor that was named, or for the main ruleset; the exit code."""
    around = surroundings(session)
    gathered = _Load()
    given = await session.read_input() if path == _STDIN else None
    if not _Loader(session, options, around, gathered).file(path, options.anchor, given):
        return 1
    if options.no_action:
        return 0
    tables = tuple(each.table for each in gathered.tables)
    kept = tuple((each.table.anchor, each.table.name) for each in gathered.tables if not each.initial)
    kernel_options = gathered.options
    if options.merge:
        kernel_options = session.system.packet_filter().options
    operation = LoadPf(tuple(gathered.rulesets), tables, kept, kernel_options, options.sections)
    try:
        session.system.apply(operation)
    except KernelError as error:
        session.err(f"pfctl: {error.message or f'DIOCXCOMMIT: {error.errno.text}'}\n")
        return 1
    return 0


class _Loader:
    def __init__(self, session: Session, options: Options, around: Surroundings, gathered: _Load) -> None:
        self._session = session
        self._options = options
        self._around = around
        self._gathered = gathered
        self._names: Names = printed_names(session, numeric=options.numeric)
        identity = zlib.crc32(f"{session.system.jid} {session.time()}".encode())
        self._optimizer = Optimizer(around.is_group, None if options.no_action else identity)

    def file(self, path: str, anchor: str, given: bytes | None = None) -> bool:
        """Read a file and what it loads; False where something was wrong, which was said."""
        try:
            data = self._around.read(path) if given is None else given
        except Unreadable as error:
            self._session.err(f"pfctl: {path}: {error}\npfctl: cannot open the main config file!: {error}\n")
            return self._refused()
        parsed = parse(
            Source("stdin" if given is not None else path, data),
            self._around,
            out=self._say,
            err=lambda text: self._session.err(f"{text}\n"),
            anchor=anchor,
            macros=self._options.macros,
            options=Section.OPTIONS in self._options.sections,
        )
        if parsed.errors:
            return self._refused()
        self._take(parsed, anchor)
        return all(self._anchor(name, file) for name, file in parsed.load_anchors) if not anchor else True

    def _anchor(self, name: str, path: str) -> bool:
        if self._options.verbose:
            self._session.err(f"\nLoading anchor {name} from {path}\n")
        if self.file(path, name):
            return True
        if not self._options.no_action:
            self._session.err("pfctl: load anchors\n")
        return False

    def _refused(self) -> bool:
        if not self._options.no_action:
            self._session.err("pfctl: Syntax error in config file: pf rules not loaded\n")
        return False

    def _take(self, parsed: Parsed, anchor: str) -> None:
        optimize = parsed.optimize if self._options.optimize is None else self._options.optimize != "none"
        before = len(self._optimizer.tables)
        optimized: dict[str, list[Rule]] = {}
        for path, draft in parsed.rulesets.items():
            optimized[path] = self._optimizer.optimize(draft.filter, path) if optimize else draft.filter
        made = self._optimizer.tables[before:]
        for table in made:
            self._say(f"{_table_text(table)}\n")
        self._show(parsed.rulesets, optimized, anchor)
        for path, draft in parsed.rulesets.items():
            ruleset = draft.ruleset()
            ruleset = Ruleset(ruleset.scrub, ruleset.nat, ruleset.rdr, ruleset.binat, tuple(optimized[path]))
            self._gathered.rulesets.append(AnchorRules(path, ruleset))
        self._gathered.tables += [*parsed.tables, *(DefinedTable(table, initial=True) for table in made)]
        if not anchor:
            self._gathered.options = parsed.options

    # --- what -v prints ---

    def _say(self, text: str) -> None:
        if self._options.verbose:
            self._session.out(text)

    def _show(self, drafts: dict[str, Draft], optimized: dict[str, list[Rule]], anchor: str) -> None:
        if not self._options.verbose:
            return
        draft = drafts[anchor]
        sections = self._options.sections
        if Section.FILTER in sections:
            self._rules(draft.scrub, drafts, optimized, 0)
        if Section.TRANSLATION in sections:
            for rules in (draft.nat, draft.rdr, draft.binat):
                self._rules(rules, drafts, optimized, 0)
        if Section.FILTER in sections:
            self._rules(optimized[anchor], drafts, optimized, 0)

    def _rules(self, rules: list[Rule], drafts: dict[str, Draft], optimized: dict[str, list[Rule]], depth: int) -> None:
        for number, rule in enumerate(rules):
            detailed = self._options.verbose > 1
            called = rule.called
            if rule.anchor and rule.anchor not in drafts:
                # pfctl keeps what stands behind the last slash, with it.
                called = called[max(called.rfind("/"), 0) :]
            text = rule_text(rule, self._names, called=called, number=number if detailed else None)
            self._session.out(f"{'' if detailed else '  ' * depth}{text}")
            inside = optimized.get(rule.anchor, []) if rule.anchor else []
            if not inside:
                self._session.out("\n")
                continue
            self._session.out(" {\n")
            self._rules(inside, drafts, optimized, depth + 1)
            self._session.out(f"{'  ' * depth}}}\n")


def _table_text(table: Table) -> str:
    entries = " ".join(address_text(NetAddress(entry.network), None) for entry in table.entries)
    return f"table <{table.name}> const {{ {entries} }}"
