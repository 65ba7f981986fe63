"""The syntax tree of one jail.conf: what stands in the file, in its order, each part with its span.

White space, comments and empty statements are not in the tree; they lie between the spans, so that who edits a file
replaces spans and leaves the rest alone. Trees are equal when they say the same, wherever it stands.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from vjail.conf.position import Source, Span, decode, encode


class Quote(enum.Enum):
    """How a quoted piece is quoted."""

    SINGLE = "'"
    DOUBLE = '"'


class Operator(enum.Enum):
    """What stands between a parameter's name and its values; the value is how it is written."""

    NONE = ""
    """Nothing, and no value follows."""
    SPACE = " "
    """Nothing but white space: `name value`, which means `name = value`."""
    ASSIGN = "="
    APPEND = "+="


@dataclass(frozen=True, slots=True)
class Text:
    """Characters that stand for themselves inside double quotes, escapes already undone."""

    text: str
    source: Source = field(compare=False, repr=False)
    start: int = field(compare=False, repr=False)
    end: int = field(compare=False, repr=False)

    @property
    def span(self) -> Span:
        """Where it stands."""
        return Span(self.source, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Word:
    """An unquoted run of characters, escapes already undone."""

    text: str
    source: Source = field(compare=False, repr=False)
    start: int = field(compare=False, repr=False)
    end: int = field(compare=False, repr=False)

    @property
    def span(self) -> Span:
        """Where it stands."""
        return Span(self.source, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Variable:
    """A reference to a variable or to another parameter; `braced` where written `${name}`."""

    name: str
    braced: bool
    source: Source = field(compare=False, repr=False)
    start: int = field(compare=False, repr=False)
    end: int = field(compare=False, repr=False)

    @property
    def span(self) -> Span:
        """Where it stands, with its `$`."""
        return Span(self.source, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Quoted:
    """A quoted string; single quotes hold no variables."""

    quote: Quote
    parts: tuple[Text | Variable, ...]
    source: Source = field(compare=False, repr=False)
    start: int = field(compare=False, repr=False)
    end: int = field(compare=False, repr=False)

    @property
    def span(self) -> Span:
        """Where it stands, quotes included."""
        return Span(self.source, self.start, self.end)


Piece: TypeAlias = Word | Quoted | Variable


@dataclass(frozen=True, slots=True)
class Value:
    """One element of a parameter's value list: adjacent pieces, which join into one string."""

    pieces: tuple[Piece, ...]

    @property
    def span(self) -> Span:
        """Where it stands: from its first piece to its last."""
        first = self.pieces[0]
        return Span(first.source, first.start, self.pieces[-1].end)

    def parts(self) -> Iterator[Text | Word | Variable]:
        """The pieces in order, with the quotes taken off."""
        for piece in self.pieces:
            if isinstance(piece, Quoted):
                yield from piece.parts
            else:
                yield piece

    @property
    def literal(self) -> str | None:
        """The text, if no variable is in it."""
        texts: list[str] = []
        for part in self.parts():
            if isinstance(part, Variable):
                return None
            texts.append(part.text)
        return join_texts(texts)


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a block, a parameter or (`variable`) of a variable being defined, quotes and `$` taken off."""

    text: str
    variable: bool
    source: Source = field(compare=False, repr=False)
    start: int = field(compare=False, repr=False)
    end: int = field(compare=False, repr=False)

    @property
    def span(self) -> Span:
        """Where it stands, with its quotes or `$`."""
        return Span(self.source, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Parameter:
    """`name;`, `name = value, …;`, `name += value, …;` or `name value, …;`.

    `operator_end` is the offset behind the operator (behind the name, where it has none), `semicolon` that of the
    semicolon.
    """

    name: Name
    operator: Operator
    values: tuple[Value, ...]
    operator_end: int = field(compare=False, repr=False)
    semicolon: int = field(compare=False, repr=False)

    @property
    def span(self) -> Span:
        """Where it stands, without its semicolon."""
        return self.name.span.to(self.values[-1].span) if self.values else self.name.span

    @property
    def operator_span(self) -> Span:
        """Where its operator stands; the empty place behind the name where it has none."""
        return Span(self.name.source, self.operator_end - len(self.operator.value.strip()), self.operator_end)

    @property
    def terminator(self) -> Span:
        """Where its semicolon stands."""
        return Span(self.name.source, self.semicolon, self.semicolon + 1)

    @property
    def is_include(self) -> bool:
        """Whether it has the form that reads another file, for a release that has `.include` (14.0)."""
        return self.operator is Operator.SPACE and not self.name.variable and self.name.text == ".include"


@dataclass(frozen=True, slots=True)
class Block:
    """`name { … }`: a jail, or parameters for all jails a wildcard name matches.

    `brace` is the offset of the opening brace, `end` that behind the closing one. A block that is not `closed` (a
    syntax error) ends with the file.
    """

    name: Name
    statements: tuple[Statement, ...]
    brace: int = field(compare=False, repr=False)
    end: int = field(compare=False, repr=False)
    closed: bool = field(default=True, compare=False, repr=False)

    @property
    def span(self) -> Span:
        """Where it stands, from its name to its closing brace."""
        return Span(self.name.source, self.name.start, self.end)

    @property
    def opening(self) -> Span:
        """Where its opening brace stands."""
        return Span(self.name.source, self.brace, self.brace + 1)

    @property
    def closing(self) -> Span:
        """Where its closing brace stands; the empty place at the end of the file where it has none."""
        return Span(self.name.source, self.end - 1 if self.closed else self.end, self.end)


Statement: TypeAlias = Parameter | Block


@dataclass(frozen=True, slots=True)
class File:
    """A whole file."""

    statements: tuple[Statement, ...]
    source: Source = field(compare=False, repr=False)
    comments: tuple[Span, ...] = field(compare=False, repr=False)


def join_texts(texts: list[str]) -> str:
    """Join decoded pieces; bytes of one UTF-8 character that came in several pieces become that character."""
    if len(texts) == 1:
        return texts[0]
    joined = "".join(texts)
    return joined if joined.isascii() else decode(encode(joined))
