"""What jail(8) says, on which stream, and when: notes to standard output, warnings to standard error.

Source: jail_note(), jail_warnx(), jail_quoted_warnx() in FreeBSD 13.2 usr.sbin/jail/jail.c.
"""

from __future__ import annotations

from enum import IntEnum

from vjail.jail.order import Work
from vjail.session import Session


class Verbosity(IntEnum):
    """How much is said: -q (and -i), nothing, -v."""

    QUIET = -1
    NORMAL = 0
    VERBOSE = 1


class Voice:
    """The voice of one jail(8)."""

    def __init__(self, session: Session, verbosity: Verbosity) -> None:
        self._session = session
        self.verbosity = verbosity

    @property
    def is_quiet(self) -> bool:
        """Whether -q or -i was given."""
        return self.verbosity is Verbosity.QUIET

    @property
    def is_verbose(self) -> bool:
        """Whether -v was given."""
        return self.verbosity is Verbosity.VERBOSE

    def warn(self, work: Work | None, text: str) -> None:
        """A warning, behind the name of its jail."""
        self._session.err(f"jail: {_named(work, text)}\n")

    def warn_quoted(self, work: Work, text: str, nameless: str = "") -> None:
        """A warning about what a jail, by whatever name it has, is or is not; `nameless` where it has none."""
        name = work.name or work.jail.text("jid") or work.jail.text("name")
        self._session.err(f"jail: {nameless}\n" if name is None else f'jail: "{name}" {text}\n')

    def line(self, text: str) -> None:
        """A line to standard error that is complete already."""
        self._session.err(f"{text}\n")

    def note(self, work: Work, text: str) -> None:
        """A note, behind the name of its jail."""
        self._session.out(f"{_named(work, text)}\n")

    def detail(self, work: Work, text: str) -> None:
        """A note for who asked for details."""
        if self.is_verbose:
            self.note(work, text)

    def news(self, work: Work, text: str) -> None:
        """A note that a jail is there or changed: of a jail without a name only for who asked for details."""
        if self.is_verbose or (not self.is_quiet and work.name is not None):
            self.note(work, text)

    def plain(self, text: str) -> None:
        """A line to standard output, without a name."""
        self._session.out(f"{text}\n")


def _named(work: Work | None, text: str) -> str:
    return text if work is None or work.name is None else f"{work.name}: {text}"
