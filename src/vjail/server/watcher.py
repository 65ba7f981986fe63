"""What happens to jails while they start and stop, for who watches: progress, and failures with place and mend."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vjail.conf.position import Span
from vjail.jail.events import Action, Event, State
from vjail.jail.explain import mend
from vjail.progress import Progress

_PAST = {Action.START: "started", Action.STOP: "stopped", Action.MODIFY: "changed", Action.UNDO: "taken back"}


@dataclass(slots=True)
class Watcher:
    """An `Events` (jail/events.py). `host` is told with a jail's name where the lab has several, else empty."""

    progress: Progress
    total: int
    host: str = ""
    failures: list[Event] = field(default_factory=list)
    """What failed, in the order in which it did, one event a jail."""
    under_way: dict[str, None] = field(default_factory=dict)
    """The jails that have begun and not ended."""
    done: dict[str, None] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    """The jails that jail(8) lost sight of."""
    note: Callable[[str, bool], object] = lambda _, __: None
    """Is told of each jail when it begins to be under way, and when that is over."""

    def tell(self, event: Event) -> None:
        """Be told."""
        name = event.jail or "?"
        shown = f"{self.host}:{name}" if self.host else name
        if name in self.done and event.state is State.FAILED:
            # It was started, or stopped, for the sake of another one; rc.d/jail's asking once more changes nothing.
            self._is_over(name)
            return
        if event.state is State.FAILED and event.action is not Action.UNDO:
            if all(failed.jail != event.jail for failed in self.failures):
                self.failures.append(event)
        elif event.phase is not None and event.state is State.STARTED:
            self.progress.step(": ".join(part for part in (shown, event.phase.step.value, event.text) if part))
        if event.phase is not None:
            return
        if event.state is State.STARTED:
            self.under_way[name] = None
            self.note(name, True)
            return
        self._is_over(name)
        if event.state is State.FINISHED and event.action is not Action.UNDO:
            self.done[name] = None
            self.progress.done(f"{shown}: {_PAST[event.action]}", len(self.done), self.total)
        elif event.state is State.FORGOTTEN:
            self.forgotten.append(name)

    def _is_over(self, name: str) -> None:
        if name in self.under_way:
            del self.under_way[name]
            self.note(name, False)


def advice(text: str, interfaces: Sequence[str], *, fresh: bool = True) -> str:
    """What to do about a failure in a lab; empty where nothing sensible can be said. `fresh`: it ends the lab."""
    keep = "`vjail up --keep` leaves what came up, to try it there"
    return mend(text, interfaces) or (keep if fresh and re.search(r"exec\.[a-z]+: .*failed", text) else "")


def placed(origins: Sequence[Span], path_of: Callable[[str], str]) -> str:
    """`FILE:LINE:COLUMN: ` of the first place, empty where there is none; `path_of`: a file's path as users know it."""
    if not origins:
        return ""
    position = origins[0].position
    return f"{path_of(origins[0].source.name)}:{position.line}:{position.column}: "
