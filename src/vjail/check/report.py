"""Findings for people, programs and code-scanning services: text, JSON, SARIF 2.1.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from vjail import __version__
from vjail.check.finding import Finding, Severity
from vjail.conf.position import Span, excerpt

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_FEW = 4
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def line(finding: Finding) -> str:
    """`FILE:LINE:COLUMN: severity CODE: text`."""
    place = finding.place or finding.host or "lab"
    return f"{place}: {finding.rule.severity.value} {finding.rule.code}: {finding.text}"


def text(finding: Finding) -> str:
    """A finding with the line it is about, why it is one, and the mend."""
    lines = [line(finding)]
    if finding.span is not None:
        lines += [f"    {each}" for each in excerpt(finding.span).splitlines()]
    if len(finding.jails) > 1:
        few = ", ".join(finding.jails[:_FEW])
        more = len(finding.jails) - _FEW
        lines.append(f"    in {few}{f' and {more} more' if more > 0 else ''}")
    lines += [f"    why: {finding.why}", f"    mend: {finding.mend}"]
    lines += [f"    {span}: {what}" for span, what in finding.related]
    return "\n".join(lines) + "\n"


def summary(findings: Sequence[Finding]) -> str:
    """How many there are of each severity, in one line."""
    counts = [(sum(each.rule.severity is kind for each in findings), kind.value) for kind in Severity]
    told = [f"{count} {name}{'s' if count != 1 else ''}" for count, name in counts if count]
    return ", ".join(told) if told else "nothing found"


def as_json(findings: Sequence[Finding]) -> list[Mapping[str, object]]:
    """Findings as JSON: places with line and column from 1, edits with the bytes they replace."""
    return [
        {
            "code": finding.rule.code,
            "severity": finding.rule.severity.value,
            "concern": finding.rule.concern.value,
            "title": finding.rule.title,
            "text": finding.text,
            "why": finding.why,
            "mend": finding.mend,
            "host": finding.host,
            "jails": list(finding.jails),
            "place": _place(finding.span),
            "related": [{"place": _place(span), "text": what} for span, what in finding.related],
            "edits": [
                {"place": _place(edit.span), "start": edit.span.start, "end": edit.span.end, "text": edit.text}
                for edit in finding.edits
            ],
        }
        for finding in findings
    ]


def _place(span: Span | None) -> Mapping[str, object] | None:
    if span is None:
        return None
    start, end = span.position, span.end_position
    return {
        "file": span.source.name,
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
    }


def as_sarif(findings: Sequence[Finding]) -> Mapping[str, object]:
    """Findings as a SARIF log, which GitHub and editors show beside the code."""
    rules = {finding.rule.code: finding.rule for finding in findings}
    order = sorted(rules)
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "vjail",
                        "version": __version__,
                        "rules": [
                            {
                                "id": code,
                                "shortDescription": {"text": rules[code].title},
                                "defaultConfiguration": {"level": _LEVELS[rules[code].severity]},
                                "properties": {"tags": [rules[code].concern.value]},
                            }
                            for code in order
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, order.index(finding.rule.code)) for finding in findings],
            }
        ],
    }


def _result(finding: Finding, index: int) -> Mapping[str, object]:
    result: dict[str, object] = {
        "ruleId": finding.rule.code,
        "ruleIndex": index,
        "level": _LEVELS[finding.rule.severity],
        "message": {"text": f"{finding.text}. {finding.why}. Mend: {finding.mend}"},
        "locations": [] if finding.span is None else [{"physicalLocation": _physical(finding.span)}],
    }
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, "physicalLocation": _physical(span), "message": {"text": what}}
            for number, (span, what) in enumerate(finding.related)
        ]
    if finding.edits:
        result["fixes"] = [
            {
                "description": {"text": finding.mend},
                "artifactChanges": [
                    {
                        "artifactLocation": _artifact(edit.span),
                        "replacements": [{"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}}],
                    }
                    for edit in finding.edits
                ],
            }
        ]
    return result


def _physical(span: Span) -> Mapping[str, object]:
    return {"artifactLocation": _artifact(span), "region": _region(span)}


def _artifact(span: Span) -> Mapping[str, object]:
    return {"uri": PurePath(span.source.name).as_posix()}


def _region(span: Span) -> Mapping[str, int]:
    start, end = span.position, span.end_position
    return {
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
        "byteOffset": span.start,
        "byteLength": span.end - span.start,
    }
