"""The orders in which a group's jails start and stop, and what goes wrong in which."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, permutations

from vjail.check.examples import example_lines
from vjail.check.run.groups import resources, share
from vjail.check.run.stage import Outcome, Remains, Stage, Unknown
from vjail.check.run.state import Flaw, look
from vjail.check.subject import JailSubject
from vjail.conf.jailconf import Jail

ALL = 3
"""Of so many jails every order is tried; of more, the file's, its reverse, and the two of each pair that shares."""
PAIRS = 64
"""Of pairs no more than so many are tried, the first of the file."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing that was done and went wrong.

    `before`: the jails that ran when `jail` was started (or, `stopping`, stopped), in the order of their starts.
    """

    jail: str
    before: tuple[str, ...]
    outcome: Outcome
    stopping: bool = False
    again: bool = False
    """It had been started and stopped before."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is there after all jails of a trial have stopped again, and was not there before."""

    order: tuple[str, ...]
    items: tuple[str, ...]


@dataclass(slots=True)
class Seen:
    """What the orders of a group showed."""

    trials: list[Trial]
    left: list[Left]
    started: set[str]
    """The jails that started in some order."""
    tried: int = 0
    unknown: list[Unknown] = field(default_factory=list)
    """What is not modelled, met in any of the orders."""
    flaws: list[Flaw] = field(default_factory=list)
    """What is wrong when all of the group run."""
    broken_off: bool = False
    """An order could not be gone to its end."""

    def take(self, outcome: Outcome) -> None:
        """Keep what an outcome says of what is not known."""
        self.unknown += outcome.unknown
        self.broken_off = self.broken_off or outcome.broken_off


def run(stage: Stage, group: Sequence[JailSubject]) -> Seen:
    """Try the orders; what went wrong first in each."""
    seen = Seen([], [], set())
    jails = [each.jail for each in group]
    names = tuple(each.name for each in group)
    before = stage.remains()
    standing = {bridge for each in group for line in example_lines(each) for bridge in line.bridges}
    shared = [resources(each, set(names)) for each in group]
    for order in orders(names, lambda one, other: share(shared[names.index(one)], shared[names.index(other)])):
        seen.tried += 1
        if not _one(stage.fork(), jails, order, before, standing, seen):
            break
    return seen


def orders(names: Sequence[str], related: Callable[[str, str], bool]) -> Iterator[tuple[str, ...]]:
    """The orders that are tried; `related`: whether two jails have to do with one another themselves."""
    if len(names) <= ALL:
        yield from permutations(names)
        return
    yield tuple(names)
    yield tuple(reversed(names))
    yield from islice((pair for pair in permutations(names, 2) if related(*pair)), PAIRS)


def _one(
    stage: Stage,
    jails: Sequence[Jail],
    order: tuple[str, ...],
    before: Remains,
    standing: Collection[str],
    seen: Seen,
) -> bool:
    """Start in an order, stop in the same order, start and stop the first once more. False: it cannot be known.

    `standing`: bridges that are made to stay.
    """
    started: list[str] = []
    for name in order:
        if name in stage.running():
            continue  # another one depends on it
        outcome = stage.start(jails, name)
        seen.take(outcome)
        if outcome.broken_off:
            return False
        if outcome.failure() is not None:
            if not outcome.doubtful:
                seen.trials.append(Trial(name, tuple(started), outcome))
            return True
        started.append(name)
        seen.started.add(name)
    if started and not seen.flaws and len(order) == len(jails) and not stage.is_doubtful:
        seen.flaws += look(stage.lab, stage.host, stage.unseen())
    for place, name in enumerate(order):
        if name not in stage.running():
            continue  # it went with another one that it depends on, or had nothing to keep it
        outcome = stage.stop(jails, name)
        seen.take(outcome)
        if outcome.broken_off:
            return False
        if outcome.failure() is not None:
            if not outcome.doubtful:
                seen.trials.append(Trial(name, tuple(order[place:]), outcome, stopping=True))
            return True
    for name in reversed([each.block or "" for each in jails]):
        if name in stage.running():
            stage.stop(jails, name)  # another one depended on it
    stage.lab.settle()
    left = tuple(item for item in stage.remains().beyond(before) if item.rpartition(" ")[2] not in standing)
    if left and not stage.is_doubtful:
        seen.left.append(Left(order, left))
    first = order[0]
    outcome = stage.start(jails, first)
    seen.take(outcome)
    if not outcome.doubtful and outcome.failure(first) is not None:
        seen.trials.append(Trial(first, (), outcome, again=True))
    return True
