"""The rules over text: each a function from a host (or a whole lab) to findings, in a module for what it is about.

A rule knows FreeBSD's behaviour and no kernel. Its page is docs/checks/CODE.md; its examples stand in
tests/check/rules. What can only be told by running is check/run's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vjail.check.finding import Finding, Rule
from vjail.check.rules import interfaces, reading
from vjail.check.subject import HostSubject, Subject

HostRule = Callable[[HostSubject], Iterable[Finding]]
LabRule = Callable[[Subject], Iterable[Finding]]

HOST_RULES: tuple[HostRule, ...] = (*reading.RULES, *interfaces.RULES)
LAB_RULES: tuple[LabRule, ...] = ()

ALL: tuple[Rule, ...] = tuple(
    sorted(
        (rule for module in (reading, interfaces) for rule in vars(module).values() if isinstance(rule, Rule)),
        key=lambda rule: rule.code,
    )
)
"""Every kind of finding there is, by code."""
