"""Why a jail did not start that waits for others (`depend`): jail(8) says little of it, of a loop nothing at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from vjail.conf.jailconf import Jail, JailValue
from vjail.conf.position import Span


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, and the place in the file where the dependency is named."""

    text: str
    origin: Span


def reason(name: str, jails: Sequence[Jail], failed: Collection[str]) -> Reason | None:
    """What keeps the jail called `name` from starting, of these `jails`; None where no dependency does.

    `failed` are the jails that did not start for a reason of their own.
    """
    by_name = {jail.block or "": jail for jail in jails}
    below: list[str] = []
    for waiting, value in _upwards(name, by_name, below):
        needed = value.text
        if needed not in by_name:
            text = f"depends on {needed}, which is no jail; there are: {', '.join(by_name)}"
            return Reason(f"{_shown(name, waiting)} {text}", value.span)
        if needed in below:
            loop = [*below[below.index(needed) :], needed]
            who = "it waits" if name in loop else f"it waits for {needed}, which waits"
            return Reason(f"{who} for itself ({' -> '.join(loop)}); one `depend` of these has to go", value.span)
        if needed in failed:
            return Reason(f"{_shown(name, waiting)} depends on {needed}, which did not start", value.span)
    return None


def _upwards(name: str, jails: dict[str, Jail], below: list[str]) -> Iterator[tuple[str, JailValue]]:
    """Each dependency that the jail has, its own first; `below` are those that lead to the one who waits."""
    below.append(name)
    parameter = jails[name].parameter("depend") if name in jails else None
    values = parameter.values if parameter is not None else ()
    for value in values:
        yield name, value
    for value in values:
        if value.text not in below:
            yield from _upwards(value.text, jails, below)
    below.pop()


def _shown(name: str, waiting: str) -> str:
    return "it" if waiting == name else f"it waits for {waiting}, which"
