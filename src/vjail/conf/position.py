"""Places in a file: a `Source` (name and bytes), a `Span` of it, and the picture of a place that a message shows.

Knows nothing of any file format. Offsets count bytes, as FreeBSD's parsers do; lines and columns count from 1, columns
in characters. Text is decoded as UTF-8 with `surrogateescape`, so that every byte survives.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Protocol

_TAB = 8
_CONTINUATIONS = 3
"""Bytes that a character in UTF-8 may have besides its first."""

_NEWLINE = re.compile(rb"\n")


def decode(data: bytes) -> str:
    """Bytes of a file as text; bytes that are no UTF-8 become lone surrogates, which `encode` turns back."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes of a text; the inverse of `decode`. Never fails: other surrogates are encoded as they are."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return b"".join(_encode_character(character) for character in text)


def _encode_character(character: str) -> bytes:
    escaped = "\udc80" <= character <= "\udcff"
    return character.encode("utf-8", "surrogateescape" if escaped else "surrogatepass")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file: line and column from 1, the column in characters; offset in bytes from 0."""

    line: int
    column: int
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A file's bytes under the name that messages call it by. Equal only to itself."""

    name: str
    data: bytes = field(repr=False)
    _line_starts: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = (0, *(match.end() for match in _NEWLINE.finditer(self.data)))
        object.__setattr__(self, "_line_starts", starts)

    @classmethod
    def of_text(cls, name: str, text: str) -> Source:
        """A source with the bytes of `text`."""
        return cls(name, encode(text))

    def line_number(self, offset: int) -> int:
        """The line, from 1, that the byte at `offset` stands in; a newline belongs to the line it ends."""
        return bisect_right(self._line_starts, offset)

    def position(self, offset: int) -> Position:
        """Line and column of a byte offset; the end of the file is a place too."""
        line = self.line_number(offset)
        return Position(line, len(decode(self.data[self._line_starts[line - 1] : offset])) + 1, offset)

    def line_span(self, number: int) -> Span:
        """The line with that number, without its newline."""
        start = self._line_starts[number - 1]
        end = self._line_starts[number] - 1 if number < len(self._line_starts) else len(self.data)
        return Span(self, start, end)

    @property
    def line_count(self) -> int:
        """How many lines there are; a file that ends in a newline has an empty last one."""
        return len(self._line_starts)


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes `start` to `end` (not included) of a source; where both are equal, the place between two bytes."""

    source: Source
    start: int
    end: int

    def __str__(self) -> str:
        """`FILE:LINE:COLUMN` of the first byte, as compilers and editors write it."""
        position = self.position
        return f"{self.source.name}:{position.line}:{position.column}"

    @property
    def span(self) -> Span:
        """Itself, so that a span is Located as the parts of a file are."""
        return self

    @property
    def text(self) -> str:
        """What stands there."""
        return decode(self.source.data[self.start : self.end])

    @property
    def position(self) -> Position:
        """Where it begins."""
        return self.source.position(self.start)

    @property
    def end_position(self) -> Position:
        """The place after its last byte."""
        return self.source.position(self.end)

    def to(self, other: Span) -> Span:
        """From the beginning of this span to the end of a later one of the same source."""
        return Span(self.source, self.start, other.end)

    @property
    def after(self) -> Span:
        """The empty place right behind it, where something is missing."""
        return Span(self.source, self.end, self.end)


class Located(Protocol):
    """A part of a file that knows where it stands."""

    @property
    def span(self) -> Span:
        """Where it stands."""


def excerpt(span: Span, width: int = 100) -> str:
    """The line a span begins in and, below it, carets under the span: two lines without a final newline.

    Tabs are shown as blanks, other control characters by their signs, what cannot be shown as `�`. Of a line longer
    than `width` columns a part around the span is shown, with `…` where it was cut; a span over several lines is marked
    to the end of its first.
    """
    data = span.source.data
    line = span.source.line_span(span.position.line)
    start, stop = _whole_characters(data, span.start, min(span.end, line.end))
    before = _cells(decode(data[line.start : start]), 0)
    marked = _cells(decode(data[start:stop]), len(before))
    behind = _cells(decode(data[stop : line.end]), len(before) + len(marked))
    cells = before + marked + behind
    mark_from, mark_to = len(before), len(before) + max(len(marked), 1)

    first = 0
    if len(cells) > width:
        first = max(0, min(mark_from - width // 3, len(cells) - width))
        mark_to = min(mark_to, first + width)
    shown = cells[first : first + width]
    if first > 0:
        shown[0] = "…"
    if first + width < len(cells):
        shown[-1] = "…"
    carets = " " * (mark_from - first) + "^" * max(mark_to - mark_from, 1)
    return f"{''.join(shown).rstrip()}\n{carets}"


def _whole_characters(data: bytes, start: int, end: int) -> tuple[int, int]:
    """The range, widened to the characters it has a part of."""
    if start < end:
        for _ in range(_CONTINUATIONS):
            if start > 0 and _is_continuation(data[start]):
                start -= 1
            if end < len(data) and _is_continuation(data[end]):
                end += 1
    return start, end


def _is_continuation(byte: int) -> bool:
    """Whether a byte is not the first of a character in UTF-8."""
    return 0x80 <= byte < 0xC0


def _cells(text: str, column: int) -> list[str]:
    """The text as one item for each terminal column; a wide character is followed by an empty item."""
    cells: list[str] = []
    for character in text:
        if character == "\t":
            cells.extend(" " * (_TAB - (column + len(cells)) % _TAB))
        elif unicodedata.combining(character) and cells:
            cells[-1] += character
        elif character.isprintable():
            cells.append(character)
            if unicodedata.east_asian_width(character) in "WF":
                cells.append("")
        else:
            cells.append(chr(0x2400 + ord(character)) if character < " " else "�")
    return cells
