"""What check says: a rule's finding at a place, with its reason and its mend."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from vjail.conf.position import Span


class Severity(enum.Enum):
    """How bad it is, the worst first."""

    ERROR = "error"
    """It fails, or does not do what it says."""
    WARNING = "warning"
    """It works, but not always, or not as somebody would expect who reads it."""
    NOTE = "note"
    """It does no harm, and does not do what it seems to be there for."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


class Concern(enum.Enum):
    """What a finding is about."""

    WORKING = "working"
    SECURITY = "security"


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of finding: its code (VJ and a number, the name of its page in docs/checks), and what it is in a line."""

    code: str
    severity: Severity
    title: str
    concern: Concern = Concern.WORKING
    fatal: bool = False
    """The jail does not start because of it, whatever else is said of it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the bytes of a span by a text."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: `text` says what, `why` what happens on FreeBSD, `mend` what to do.

    `edits` are there where the mend is certain. `related` are other places with what they have to do with it. `jails`
    are those it concerns; a place that several jails share is told once.
    """

    rule: Rule
    span: Span | None
    text: str
    why: str
    mend: str
    edits: tuple[Edit, ...] = ()
    related: tuple[tuple[Span, str], ...] = ()
    jails: tuple[str, ...] = ()
    host: str = field(default="")

    @property
    def place(self) -> str:
        """`FILE:LINE:COLUMN`, empty where there is none."""
        return "" if self.span is None else str(self.span)
