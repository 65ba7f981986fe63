"""What happens to jails while they start and stop, as data: for progress, and to point at the line of the file.

The runner tells every event to an `Events`; `Ignore` is for who does not care.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from vjail.conf.position import Span
from vjail.jail.phases import Phase


class State(enum.Enum):
    """How far a jail, or a phase of it, is."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    FORGOTTEN = "forgotten"
    """A jail still waits for others when jail(8) ends, which says nothing of it. See order.py."""


class Action(enum.Enum):
    """What is being done with a jail."""

    START = "start"
    STOP = "stop"
    MODIFY = "modify"
    UNDO = "undo"
    """A start that failed is taken back."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    `jail` is the block's name (None: given on a command line). `phase` None: the jail as a whole. `text` is the command
    line, or of a failure jail(8)'s words. `origins` are the places in the file it comes from, the value itself first.
    """

    jail: str | None
    action: Action
    phase: Phase | None
    state: State
    text: str = ""
    origins: tuple[Span, ...] = ()


class Events(Protocol):
    """Who wants to know."""

    def tell(self, event: Event) -> None:
        """Be told."""
        ...


class Ignore:
    """Does not want to know."""

    def tell(self, event: Event) -> None:
        """Forget it."""
