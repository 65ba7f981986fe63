"""What a devfs ruleset leaves visible, by the rules of a host's devfs.rules: sets, their includes, samples.

Source: devfs(8); spec host-files §3: includes are followed as deep as vfs.devfs.rule_depth says, which is 1: include
rules inside an included set are ignored; later rules override earlier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from vjail.conf.devfs_rules import (
    DEFAULT_SETS,
    DeviceClass,
    Header,
    Rule,
    RuleError,
    RuleLine,
    RulesFile,
    Visibility,
    parse_rule,
)
from vjail.conf.position import Span
from vjail.conf.sh import ShellSyntaxError
from vjail.conf.sh.plain import split

SAMPLES: tuple[tuple[str, DeviceClass | None], ...] = (
    ("ada0", DeviceClass.DISK), ("da0", DeviceClass.DISK), ("mem", DeviceClass.MEM), ("kmem", DeviceClass.MEM),
    ("bpf", None), ("io", None), ("pci", None), ("pf", None), ("klog", None), ("null", None),
)  # fmt: skip
"""Nodes of a usual host by which one sees what a set hides."""


_OTHER_COMMANDS = frozenset((each,) for each in ("apply", "applyset", "del", "delset", "show", "showsets"))
"""What else `devfs rule` takes."""


@dataclass(slots=True)
class Set:
    """A ruleset: its name, and its rules with the line each stands in (None for one of FreeBSD's own sets)."""

    name: str
    number: int
    rules: list[tuple[Rule, Span | None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that devfs(8) or rc does not take; reading the file stops there."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Sets:
    """The sets a host has, and the lines that stop the reading of its file."""

    by_number: Mapping[int, Set]
    faults: tuple[Fault, ...]
    depth: int
    """How many levels of includes are followed."""

    def visible(self, number: int, name: str, kind: DeviceClass | None) -> bool:
        """Whether a node shows in a devfs mounted with a set."""
        shown = True
        for rule, _ in self.effective(number):
            if _applies(rule, name, kind) and rule.visibility is not None:
                shown = rule.visibility is Visibility.UNHIDE
        return shown

    def effective(self, number: int) -> Iterator[tuple[Rule, Span | None]]:
        """The rules of a set with those it includes, in their order, each with its line or that of the include."""
        yield from self._effective(number, self.depth, None)

    def _effective(self, number: int, depth: int, through: Span | None) -> Iterator[tuple[Rule, Span | None]]:
        found = self.by_number.get(number)
        for rule, span in found.rules if found is not None else ():
            if rule.include is None:
                yield rule, through or span
            elif depth > 0:
                yield from self._effective(rule.include, depth - 1, through or span)

    def exposed(self, number: int) -> list[str]:
        """The sample nodes that show and that a jail has no business with."""
        return [name for name, kind in SAMPLES if name != "null" and self.visible(number, name, kind)]


def _applies(rule: Rule, name: str, kind: DeviceClass | None) -> bool:
    return (rule.path is None or fnmatchcase(name, rule.path)) and (not rule.types or kind in rule.types)


def read(file: RulesFile | None, depth: int = 1) -> Sets:
    """FreeBSD's own sets and those of a host's file; `depth`: the host's vfs.devfs.rule_depth."""
    sets: dict[int, Set] = {}
    variables: dict[str, str] = {}
    faults: list[Fault] = []
    for name, number, rules in DEFAULT_SETS:
        sets[number] = Set(name, number)
        variables[name] = str(number)
        sets[number].rules = [(parse_rule(split(rule, variables))[1], None) for rule in rules]
    current: Set | None = None
    for line in file.lines if file is not None else ():
        match line:
            case Header(name, number):
                current = sets[number] = Set(name, number)
                variables[name] = str(number)
            case RuleLine(text, span):
                fault = _add(text, current, variables, span)
                if fault is not None:
                    faults.append(fault)
                    break
            case bad:
                faults.append(Fault(bad.span, bad.complaint))
                break
    return Sets(sets, tuple(faults), depth)


def _add(text: str, current: Set | None, variables: Mapping[str, str], span: Span) -> Fault | None:
    try:
        words = split(text, variables)
    except ShellSyntaxError as error:
        return Fault(span, error.reason)
    if current is None:
        return Fault(span, "a rule before the first [NAME=NUMBER]")
    if words[:1] != ("add",):
        return None if words[:1] in _OTHER_COMMANDS else Fault(span, f"unknown command: {text.partition(' ')[0]}")
    try:
        current.rules.append((parse_rule(words[1:])[1], span))
    except RuleError as error:
        return Fault(span, str(error))
    return None
