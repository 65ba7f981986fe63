"""What happens to jails while they start and stop, for who watches: progress, and failures with place and mend."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vjail.conf.position import Span
from vjail.jail.events import Action, Event, State
from vjail.server.progress import Progress

_PAST = {Action.START: "started", Action.STOP: "stopped", Action.MODIFY: "changed", Action.UNDO: "taken back"}


@dataclass(slots=True)
class Watcher:
    """An `Events` (jail/events.py)."""

    progress: Progress
    total: int
    failures: list[Event] = field(default_factory=list)
    """What failed, in the order in which it did, one event a jail."""
    under_way: dict[str, None] = field(default_factory=dict)
    """The jails that have begun and not ended."""
    done: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    """The jails that jail(8) lost sight of."""

    def tell(self, event: Event) -> None:
        """Be told."""
        name = event.jail or "?"
        if event.state is State.FAILED and event.action is not Action.UNDO:
            if all(failed.jail != event.jail for failed in self.failures):
                self.failures.append(event)
        elif event.phase is not None and event.state is State.STARTED:
            self.progress.step(": ".join(part for part in (name, event.phase.step.value, event.text) if part))
        if event.phase is not None:
            return
        if event.state is State.STARTED:
            self.under_way[name] = None
            return
        self.under_way.pop(name, None)
        if event.state is State.FINISHED and event.action is not Action.UNDO:
            self.done.append(name)
            self.progress.done(f"{name}: {_PAST[event.action]}", len(self.done), self.total)
        elif event.state is State.FORGOTTEN:
            self.forgotten.append(name)


def explained(event: Event, said: str) -> str:
    """A failure in one line: what the command that failed said last, where jail(8) only says that it failed."""
    lines = said.splitlines()
    name = f"{event.jail}: " if event.jail else ""
    mark = f"jail: {name}{event.text}"
    own = next((lines[at - 1] for at, line in enumerate(lines) if at and line == mark), "")
    text = event.text
    if own and not own.startswith(("jail: ", f"{event.jail}: ", " cannot start jail")):
        text = f"{own} ({event.text})"
    phase = f"{event.phase.step.value}: " if event.phase is not None else ""
    return f"{name}{phase}{text}"


def mend(text: str, interfaces: Sequence[str]) -> str:
    """What to do about a failure, empty where nothing sensible can be said. `interfaces`: those the host has."""
    found = re.search(r"interface (\S+) does not exist", text)
    if found:
        name = found[1]
        half = re.fullmatch(r"(epair[0-9]+)[ab]", name)
        if half:
            return f'nothing in the lab makes it; cloned_interfaces="{half[1]}" in rc.conf does'
        if re.fullmatch(r"(bridge|vlan|lo|tap)[0-9]+", name):
            return f'nothing in the lab makes it; cloned_interfaces="{name}" in rc.conf does'
        return f"the host has {', '.join(interfaces)}"
    for pattern, advice in _MENDS:
        found = re.search(pattern, text)
        if found:
            return found.expand(advice)
    return ""


_MENDS = (
    (r"jail \"?([^\" ]+)\"? already exists", r"`vjail stop \1` first"),
    (r"(?:path |mount[^:]*: )(/\S+): No such file or directory", r"make \1 on the host, or put it in `files/`"),
    (r"(/\S+): not a directory|(/\S+): Not a directory", r"it must be a directory"),
    (r"timed out", r"raise exec.timeout, or let the command end"),
    (r"(\S+): No such file or directory", r"is \1 in the jail's base?"),
)


def placed(origins: Sequence[Span], path_of: Callable[[str], str]) -> str:
    """`FILE:LINE:COLUMN: ` of the first place, empty where there is none; `path_of`: a file's path as users know it."""
    if not origins:
        return ""
    position = origins[0].position
    return f"{path_of(origins[0].source.name)}:{position.line}:{position.column}: "
