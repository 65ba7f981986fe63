"""The orders in which a group's jails start and stop, and what goes wrong in which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, permutations

from vjail.check.examples import example_lines
from vjail.check.run.alike import form, is_alone
from vjail.check.run.groups import resources, share
from vjail.check.run.stage import Outcome, Remains, Stage, Standing, Unknown
from vjail.check.run.state import Flaw, look
from vjail.check.subject import JailSubject
from vjail.conf.jailconf import Jail

ALL = 3
"""Of so many jails every order is tried; of more, the file's, its reverse, and the two of each pair that shares."""
PAIRS = 64
"""Of pairs no more than so many are tried, and none that is like one in which nothing was wrong."""
LOOKED_AT = 512
"""Among so many."""


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


def run(stage: Stage, group: Sequence[JailSubject], standing: Standing) -> Seen:
    """Try the orders; what went wrong first in each."""
    seen = Seen([], [], set())
    jails = [each.jail for each in group]
    before = stage.remains()
    stays = {bridge for each in group for line in example_lines(each) for bridge in line.bridges}
    harmless: set[tuple[str, ...]] = set()
    pairs = 0
    for order, key in _orders(group, standing):
        if key in harmless:
            continue
        if key is not None:
            if pairs == PAIRS:
                break
            pairs += 1
        seen.tried += 1
        known = len(seen.trials) + len(seen.left)
        if not _one(stage.fork(), jails, order, before, stays, seen):
            break
        if key is not None and known == len(seen.trials) + len(seen.left):
            harmless.add(key)
    return seen


def _orders(
    group: Sequence[JailSubject], standing: Standing
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...] | None]]:
    """The orders to be tried, those of pairs with a key: pairs of one key behave alike."""
    names = tuple(each.name for each in group)
    if len(names) <= ALL:
        yield from ((order, None) for order in permutations(names))
        return
    yield names, None
    yield names[::-1], None
    for pair in islice(_pairs(group, standing), LOOKED_AT):
        order = tuple(each.name for each in pair)
        yield order, form(pair, standing) if all(map(is_alone, pair)) else order


def _pairs(group: Sequence[JailSubject], standing: Standing) -> Iterator[tuple[JailSubject, JailSubject]]:
    """The pairs that have to do with one another themselves: first among two of each kind, so that each kind is met."""
    known = {each.name for each in group}
    shared = {each.name: resources(each, known) for each in group}
    kinds = Counter[tuple[str, ...]]()
    samples: list[JailSubject] = []
    for jail in group:
        kind = form([jail], standing)
        kinds[kind] += 1
        if kinds[kind] <= 2:
            samples.append(jail)
    met: set[tuple[str, str]] = set()
    for one, other in chain(permutations(samples, 2), permutations(group, 2)):
        names = one.name, other.name
        if names not in met and share(shared[one.name], shared[other.name]):
            met.add(names)
            yield one, other


def _one(
    stage: Stage,
    jails: Sequence[Jail],
    order: tuple[str, ...],
    before: Remains,
    stays: Collection[str],
    seen: Seen,
) -> bool:
    """Start in an order, stop in the same order, start and stop the first once more. False: it cannot be known.

    `stays`: bridges that are made to stay.
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
    left = tuple(item for item in stage.remains().beyond(before) if item.rpartition(" ")[2] not in stays)
    if left and not stage.is_doubtful:
        seen.left.append(Left(order, left))
    first = order[0]
    outcome = stage.start(jails, first)
    seen.take(outcome)
    if not outcome.doubtful and outcome.failure(first) is not None:
        seen.trials.append(Trial(first, (), outcome, again=True))
    return True
