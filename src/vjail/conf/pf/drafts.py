"""What is gathered while a pf.conf(5) is read: rulesets that grow, tables, options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vjail.conf.pf.rules import Action, PfOptions, Rule, Ruleset, Table
from vjail.conf.pf.tokens import Problem


@dataclass(slots=True)
class Draft:
    """A ruleset while it is read: its rules in order, and the path of its anchor."""

    path: str
    scrub: list[Rule] = field(default_factory=list)
    nat: list[Rule] = field(default_factory=list)
    rdr: list[Rule] = field(default_factory=list)
    binat: list[Rule] = field(default_factory=list)
    filter: list[Rule] = field(default_factory=list)

    def add(self, rules: Sequence[Rule]) -> None:
        """Append rules, each to the list it belongs in."""
        for rule in rules:
            self.list_for(rule.action).append(rule)

    def list_for(self, action: Action) -> list[Rule]:
        """The list a rule of that action stands in."""
        match action:
            case Action.SCRUB | Action.NO_SCRUB:
                return self.scrub
            case Action.NAT | Action.NO_NAT:
                return self.nat
            case Action.RDR | Action.NO_RDR:
                return self.rdr
            case Action.BINAT | Action.NO_BINAT:
                return self.binat
            case Action.PASS | Action.BLOCK:
                return self.filter

    def ruleset(self) -> Ruleset:
        """As it is now."""
        return Ruleset(*(tuple(each) for each in (self.scrub, self.nat, self.rdr, self.binat, self.filter)))


@dataclass(frozen=True, slots=True)
class DefinedTable:
    """A table of the file; without `initial` it keeps the entries it has."""

    table: Table
    initial: bool


@dataclass(slots=True)
class Parsed:
    """A file that was read: its own ruleset first, then its anchors in braces; `errors` counts what is wrong."""

    rulesets: dict[str, Draft]
    tables: list[DefinedTable] = field(default_factory=list)
    options: PfOptions = PfOptions()
    optimize: bool = True
    load_anchors: list[tuple[str, str]] = field(default_factory=list)
    """Anchors and the files they are loaded from afterwards."""
    errors: int = 0
    problems: list[Problem] = field(default_factory=list)
    """What was said of it."""
