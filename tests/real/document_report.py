"""docs/documents.md: the documents' lines, with the answers of the documents, of FreeBSD 13.2 and of vjail."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from document_session import Answered

from documented import DOCUMENTS, Answer, NotTyped, Session

_HEAD = """\
<!-- Written by a test; to write it anew: VJAIL_WRITE_DOCUMENTS=1 pytest tests/real/test_documents.py -->
# The documents' command lines

Every command line that documents 1 (Jail + VIMAGE), 2 (jail), 3 (use of VIMAGE jails) and 5 (VIMAGE on 8.0) print for
rows A1–A3, B1–B4, B6, C1–C3, E1 and E2, typed into `vjail shell` on the lab of a folder under
[examples](../examples/README.md). The answers of FreeBSD 13.2 are those of a recorded machine where it was given the
very line; where not, the last column says what they are known by: a recorded line that it is like (under
tests/data/freebsd-13.2), or a manual page. What differs from one run to the next stands as `MAC`, `TIME`, `JID` and the
like, and so it is compared. `–` is no answer and exit 0. Lines without a number are not the documents': they prepare
something, or show what became of it; `↳` are typed into the shell that the line above started.

Row A2 has no command lines; its example, [A2-any-order](../examples/A2-any-order), is the answer to its question.
"""
_SHORT = 60


def report(results: Sequence[tuple[Session, Sequence[Answered]]], left_out: Iterable[NotTyped]) -> str:
    """The whole document."""
    lines = [_HEAD]
    total = [each for _, answers in results for each in answers]
    printed = [each for each in total if each.line.document is not None]
    agreeing = sum(each.agrees for each in printed)
    lines.append(
        f"{agreeing} of {len(printed)} lines of the documents and {sum(each.agrees for each in total) - agreeing} of "
        f"{len(total) - len(printed)} of ours give what FreeBSD 13.2 gives; the others say why not.\n"
    )
    for session, answers in results:
        lines += _section(session, answers)
    lines.append("## Not typed\n\n| document | lines | what | why |\n| --- | --- | --- | --- |")
    lines += [f"| {DOCUMENTS[each.document]} | {each.at} | {_code(each.line)} | {each.why} |" for each in left_out]
    return "\n".join(lines) + "\n"


def settled(text: str) -> str:
    """The document without what depends on the machine it was written on."""
    text = re.sub(r"\b(?:/bin/)?(?:ba|da)?sh: (?:line )?\d+: ", "sh: ", text)
    return re.sub(r"^lib64\n", "", text, flags=re.MULTILINE)


def _section(session: Session, answers: Sequence[Answered]) -> Iterator[str]:
    up = " ".join(["vjail up", *session.up])
    yield f"## {session.lab}\n\n`cd examples/{session.lab}; {up}`\n"
    yield "| row | document:line | typed | the document says | FreeBSD 13.2 | vjail | |"
    yield "| --- " * 7 + "|"
    notes: list[str] = []
    for each in answers:
        yield _row(each, notes)
    yield ""
    yield from notes


def _row(each: Answered, notes: list[str]) -> str:
    """A line of the table; what is too long for it goes to `notes`."""
    line = each.line
    freebsd, ours = (_text(answer.compared(line.typed)) for answer in (line.freebsd, each.ours))
    texts = (line.printed, freebsd, ours)
    number = f"({len(notes) + 1})"
    printed, theirs, mine = (_cell(text) or number for text in texts)
    typed = _code(line.typed)
    if "\n" in line.typed:
        typed = f"{_code(line.typed.splitlines()[0])} … {number}"
    if number in (printed, theirs, mine) or "\n" in line.typed:
        notes.append(_note(number, each, *texts))
    if line.typed != line.line:
        typed += f"<br>printed: {_code(line.line)}"
    cells = (
        line.row,
        f"{DOCUMENTS[line.document].partition('-')[0]}:{line.at}" if line.document is not None else "",
        ("↳ " if each.depth else "") + typed,
        printed if line.printed else "",
        theirs,
        "the same" if each.agrees else mine,
        "; ".join(filter(None, (_verdict(each), line.note, "" if line.recorded else _by(line.source)))),
    )
    return f"| {' | '.join(cells)} |"


def _by(source: str) -> str:
    return f"13.2 by {source}".replace("|", "\\|")


def _verdict(each: Answered) -> str:
    return "agrees" if each.agrees else f"**differs**: {each.line.differs}"


def _note(number: str, each: Answered, printed: str, freebsd: str, ours: str) -> str:
    """The texts of a line in full."""
    typed = each.line.typed
    parts = [f"{number}\n{_block(typed)}" if "\n" in typed else f"{number} `{typed}`"]
    if printed:
        parts.append(f"The document:\n{_block(printed)}")
    if not each.agrees:
        parts += [f"FreeBSD 13.2:\n{_block(freebsd)}", f"vjail:\n{_block(ours)}"]
    elif freebsd:
        parts.append(f"FreeBSD 13.2 and vjail:\n{_block(ours)}")
    return "\n\n".join(parts) + "\n"


def _text(answer: Answer) -> str:
    ended = f"[exit {answer.code}]\n" if answer.code else ""
    return answer.out + answer.err + ended


def _cell(text: str) -> str:
    """An answer of a line or two, as it fits into a table; otherwise nothing."""
    lines = text.splitlines()
    if not lines:
        return "–"
    if len(lines) > 2 or any(len(line) > _SHORT for line in lines):
        return ""
    return "<br>".join(_code(line) for line in lines)


def _code(text: str) -> str:
    """Text as code within a table."""
    return f"`{text}`".replace("|", "\\|")


def _block(text: str) -> str:
    return f"```\n{text.rstrip(chr(10))}\n```"
