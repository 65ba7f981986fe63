"""What happens to jails while they start and stop, for who watches: progress, and failures with place and mend."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vjail.conf.position import Span
from vjail.jail.events import Action, Event, State
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
    done: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    """The jails that jail(8) lost sight of."""
    note: Callable[[Sequence[str]], object] = lambda _: None
    """Is told which jails are under way whenever that changes."""

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
            self.note(list(self.under_way))
            return
        self._is_over(name)
        if event.state is State.FINISHED and event.action is not Action.UNDO:
            self.done.append(name)
            self.progress.done(f"{shown}: {_PAST[event.action]}", len(self.done), self.total)
        elif event.state is State.FORGOTTEN:
            self.forgotten.append(name)

    def _is_over(self, name: str) -> None:
        if name in self.under_way:
            del self.under_way[name]
            self.note(list(self.under_way))


def explained(event: Event, said: str) -> str:
    """A failure in one line: what the command that failed said last, where jail(8) only says that it failed."""
    lines = _JAILS.sub("", said).splitlines()
    name = f"{event.jail}: " if event.jail else ""
    mark = f"jail: {name}{event.text}"
    own = next((lines[at - 1] for at, line in enumerate(lines) if at and line == mark), "")
    own = own.removeprefix(f" {event.jail}")  # rc.d/jail names those that it stops in a line that goes on
    if own.startswith(f"jail: {name}exec "):
        own = own.removeprefix(f"jail: {name}exec ")
    text = event.text
    if own and not own.startswith(("jail: ", f"{event.jail}: ", " cannot start jail")):
        text = f"{own} ({event.text})"
    phase = f"{event.phase.step.value}: " if event.phase is not None else ""
    return f"{name}{phase}{text}"


def plain(said: str) -> str:
    """What was said, in one line."""
    return " ".join(_JAILS.sub("", said).split()).removesuffix(" .")


_JAILS = re.compile(r"^(Starting|Stopping) jails:")


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
    (r"path (\S+): not an absolute pathname", r"begin it with /"),
    (r"mount\.fstab: (/\S+): ", r"it is a file of the host's: put it in `files/`"),
    (r"timed out", r"raise exec.timeout, or let the command end"),
    (r"exec\.(?:prepare|prestart|created|poststart): .*(\S+): No such file", r"the host has no command \1"),
    (r"(\S+): No such file or directory", r"is \1 in the jail's base?"),
    (r"exec\.[a-z]+: .*failed", r"`vjail up --keep` leaves what came up, to try it there"),
)


def placed(origins: Sequence[Span], path_of: Callable[[str], str]) -> str:
    """`FILE:LINE:COLUMN: ` of the first place, empty where there is none; `path_of`: a file's path as users know it."""
    if not origins:
        return ""
    position = origins[0].position
    return f"{path_of(origins[0].source.name)}:{position.line}:{position.column}: "
