"""The certain mends, made in the files' bytes: comments and layout stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vjail.check.finding import Edit, Finding
from vjail.conf.position import encode


def mended(findings: Iterable[Finding]) -> tuple[Mapping[str, bytes], tuple[Finding, ...]]:
    """Each file that changes, by its name, with its new bytes; and the findings that were mended.

    A finding is mended whole or not at all. Of two that would change the same bytes the first wins; the other is found
    again, or is no more, when the files are read anew. The same edit asked for twice is one.
    """
    taken: dict[str, list[Edit]] = {}
    done: list[Finding] = []
    for finding in findings:
        if finding.edits and all(_fits(edit, taken.get(edit.span.source.name, [])) for edit in finding.edits):
            done.append(finding)
            for edit in finding.edits:
                known = taken.setdefault(edit.span.source.name, [])
                if not _stands(edit, known):
                    known.append(edit)
    return {name: _applied(edits) for name, edits in taken.items()}, tuple(done)


def _fits(edit: Edit, known: list[Edit]) -> bool:
    return _stands(edit, known) or all(
        edit.span.end <= other.span.start or other.span.end <= edit.span.start for other in known
    )


def _stands(edit: Edit, known: list[Edit]) -> bool:
    return any((o.span.start, o.span.end, o.text) == (edit.span.start, edit.span.end, edit.text) for o in known)


def _applied(edits: list[Edit]) -> bytes:
    data = edits[0].span.source.data
    for edit in sorted(edits, key=lambda each: each.span.start, reverse=True):
        data = data[: edit.span.start] + encode(edit.text) + data[edit.span.end :]
    return data
