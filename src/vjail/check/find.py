"""All findings about a subject: what each rule says, then what a run on the model shows, told once for each place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from vjail.check.finding import Finding, Severity
from vjail.check.rules import HOST_RULES, LAB_RULES
from vjail.check.run import explore
from vjail.check.subject import HostSubject, Subject
from vjail.conf.position import Source, Span


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
    sources = {host.name: _sources(host) for host in subject.hosts}
    return sorted(joined(_placed(each, sources.get(each.host, {})) for each in found), key=_order)


def _sources(host: HostSubject) -> dict[str, Source]:
    """The files that `.include` names by their paths on the host, under the names they have on this machine."""
    names = {file.source.name for configuration in host.configurations for file in configuration.files}
    return {name: source for name in names if (source := host.reader.source(name)) is not None}


def _placed(finding: Finding, sources: Mapping[str, Source]) -> Finding:
    """The same, its places in files of this machine: those are what is shown and mended."""

    def here(span: Span) -> Span:
        source = sources.get(span.source.name)
        return span if source is None else replace(span, source=source)

    return replace(
        finding,
        span=None if finding.span is None else here(finding.span),
        edits=tuple(replace(edit, span=here(edit.span)) for edit in finding.edits),
        related=tuple((here(span), text) for span, text in finding.related),
    )


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
        key = (finding.rule.code, finding.host, span and (span.source.name, span.start, span.end), finding.text)
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
