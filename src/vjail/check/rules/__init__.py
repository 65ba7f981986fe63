"""The rules over text: each a function from a host (or a whole lab) to findings, in a module for what it is about.

A rule knows FreeBSD's behaviour and no kernel. Its page is docs/checks/CODE.md; its examples stand in
tests/check/rules. What can only be told by running is check/run's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vjail.check import script
from vjail.check.finding import Finding, Rule
from vjail.check.rules import addresses, devices, hosts, interfaces, life, mounts, parameters, reading, routes
from vjail.check.run import boot, explain, packet_filter, state
from vjail.check.subject import HostSubject, Subject

HostRule = Callable[[HostSubject], Iterable[Finding]]
LabRule = Callable[[Subject], Iterable[Finding]]

_MODULES = (reading, parameters, interfaces, addresses, routes, devices, mounts, life)
_OTHERS = (hosts, boot, explain, packet_filter, state, script)

HOST_RULES: tuple[HostRule, ...] = (*(rule for module in _MODULES for rule in module.RULES), *hosts.HOST_RULES)
LAB_RULES: tuple[LabRule, ...] = hosts.LAB_RULES

ALL: tuple[Rule, ...] = tuple(
    sorted(
        (rule for module in (*_MODULES, *_OTHERS) for rule in vars(module).values() if isinstance(rule, Rule)),
        key=lambda rule: rule.code,
    )
)
"""Every kind of finding there is, by code."""
