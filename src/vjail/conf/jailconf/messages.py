"""What is said about a configuration: FreeBSD's own words, where they apply, and what to do about it.

`Message.text` is what jail(8) prints behind `jail: `. The few kinds of message that jail(8) does not have are named by
`Kind.is_ours`; of these only TOO_LARGE, which no real configuration comes near, changes a result.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from vjail.conf.position import Span, excerpt


class Kind(enum.Enum):
    """Which message it is; the value is a name for machines."""

    SYNTAX_ERROR = "syntax-error"
    UNEXPECTED_EOF = "unexpected-eof"
    NESTED_TOO_DEEP = "nested-too-deep"
    UNTERMINATED_COMMENT = "unterminated-comment"
    UNTERMINATED_STRING = "unterminated-string"
    UNTERMINATED_VARIABLE = "unterminated-variable"
    FILE_UNREADABLE = "file-unreadable"
    GLOB_FAILED = "glob-failed"
    INCLUDE_DEPTH = "include-depth"
    INCLUDE_VARIABLE = "include-variable"

    VARIABLE_NAMED_AS_PARAMETER = "variable-named-as-parameter"
    PARAMETER_REDEFINED = "parameter-redefined"
    VARIABLE_NOT_FOUND = "variable-not-found"
    VARIABLE_LOOP = "variable-loop"
    ARRAY_INLINE = "array-inline"

    UNKNOWN_PARAMETER = "unknown-parameter"
    NOT_BOOLEAN = "not-boolean"
    NOT_INTEGER = "not-integer"
    NOT_JAILSYS = "not-jailsys"
    NOT_ADDRESS = "not-address"
    HOSTNAME_LOOKUP = "hostname-lookup"
    FSTAB_UNREADABLE = "fstab-unreadable"

    REST_IGNORED = "rest-ignored"
    LIST_INSERTED = "list-inserted"
    TOO_LARGE = "too-large"

    @property
    def is_ours(self) -> bool:
        """Whether jail(8) has no such message."""
        return self in _OURS


_OURS = frozenset({Kind.REST_IGNORED, Kind.LIST_INSERTED, Kind.TOO_LARGE})


@dataclass(frozen=True, slots=True)
class Hint:
    """What to do about a message; `span` is where, if that is another place than the message's."""

    text: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said: `text` without `jail: `, `span` where it was noticed (in the file; None where there is none)."""

    kind: Kind
    text: str
    span: Span | None
    hint: Hint | None = None

    @property
    def line(self) -> str:
        """The line jail(8) writes to standard error."""
        return f"jail: {self.text}"

    @property
    def cause(self) -> Span | None:
        """The place to look at first: where the hint points, otherwise where it was noticed."""
        if self.hint is not None and self.hint.span is not None:
            return self.hint.span
        return self.span

    def picture(self) -> str:
        """The source line of the cause with carets below it; empty where there is no place."""
        return excerpt(self.cause) if self.cause is not None else ""
