"""All findings about a subject: what each rule says, then what a run on the model shows, told once for each place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vjail.check.finding import Finding, Severity
from vjail.check.rules import HOST_RULES, LAB_RULES
from vjail.check.run import explore
from vjail.check.subject import Subject


def find(subject: Subject) -> list[Finding]:
    """Everything found, in the order of the places."""
    found: list[Finding] = []
    for host in subject.hosts:
        for host_rule in HOST_RULES:
            found += (replace(finding, host=host.name) for finding in host_rule(host))
    for lab_rule in LAB_RULES:
        found += lab_rule(subject)
    read = [finding for finding in found if finding.rule.severity is Severity.ERROR]
    found += (finding for finding in explore(subject) if not any(_covers(each, finding) for each in read))
    return sorted(joined(found), key=_order)


def _covers(known: Finding, finding: Finding) -> bool:
    """Whether what was seen to fail was found, with its reason, by reading."""
    if finding.rule.severity is Severity.NOTE:
        return False
    if known.rule.fatal and finding.jails and set(finding.jails) <= set(known.jails):
        return True
    one, other = known.span, finding.span
    if one is None or other is None or one.source.name != other.source.name:
        return False
    return one.start < other.end and other.start < one.end


def joined(findings: Iterable[Finding]) -> list[Finding]:
    """Findings that say the same of the same place become one, about all their jails."""
    first: dict[object, Finding] = {}
    for finding in findings:
        span = finding.span
        key = (finding.rule.code, finding.host, span and (id(span.source), span.start, span.end), finding.text)
        known = first.get(key)
        if known is None:
            first[key] = finding
        else:
            jails = tuple(dict.fromkeys((*known.jails, *finding.jails)))
            first[key] = replace(known, jails=jails)
    return list(first.values())


def _order(finding: Finding) -> tuple[str, int, int, str]:
    span = finding.span
    if span is None:
        return "", 0, finding.rule.severity.rank, finding.rule.code
    return span.source.name, span.start, finding.rule.severity.rank, finding.rule.code
