"""`Noting`: what happened to the jails of a host in memory, and why one did not start."""

from __future__ import annotations

from dataclasses import dataclass, field

from vjail.jail.events import Action, Event, State
from vjail.jail.explain import explained, mend
from vjail.rehearsal.lab import Result


@dataclass(slots=True)
class Noting:
    """An `Events` that keeps them, jail by jail, and what the commands printed that they came of."""

    events: dict[str, list[Event]] = field(default_factory=dict)
    said: str = ""

    def tell(self, event: Event) -> None:
        """Be told."""
        self.events.setdefault(event.jail or "", []).append(event)

    def came_of(self, result: Result) -> None:
        """Keep what was printed meanwhile."""
        self.said += result.both

    def failure(self, jail: str) -> str:
        """Why a jail did not do what it was to, with what to do about it; empty where it did."""
        for event in self.events.get(jail, []):
            if event.state is State.FAILED and event.action is not Action.UNDO and event.text:
                text = explained(event, self.said)
                return "; ".join(part for part in (text.removeprefix(f"{jail}: "), mend(text, ())) if part)
        return ""
