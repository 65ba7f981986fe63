"""How far a jail is in its list of phases, and which value of which phase is next, forwards or back.

Pure: moves a Work, runs nothing. Source: next_command() in FreeBSD 13.2 usr.sbin/jail/command.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vjail.conf.jailconf import Family
from vjail.conf.position import Span
from vjail.jail.order import Item, Op, Work
from vjail.jail.phases import Direction, Phase, Step, Undo


@dataclass(frozen=True, slots=True)
class Stand:
    """A value of a phase that is to be carried out, or (`down`) undone; `origins`: where in the file it comes from."""

    phase: Phase
    item: Item
    down: bool
    origins: tuple[Span, ...]


def begin(work: Work, phases: Sequence[Phase]) -> None:
    """Stand before the first phase of a list."""
    work.phases, work.at, work.items, work.item = phases, -1, (), None


def advance(work: Work) -> Stand | None:
    """Go to the next value to carry out, or, after a failed start, back to the last one to undo; None at the end."""
    assert work.phases is not None
    stopping = Op.STOP in work.op
    undoing = work.failed and not stopping
    while True:
        if work.item is None:
            work.at += -1 if undoing else 1
            if not 0 <= work.at < len(work.phases):
                return None
            work.items = _items(work, work.phases[work.at].step)
        phase = work.phases[work.at]
        backwards = undoing or (stopping and phase.direction is Direction.REVERSED)
        if work.item is None:
            work.item = (len(work.items) - 1 if backwards else 0) if work.items else None
        else:
            work.item += -1 if backwards else 1
            if not 0 <= work.item < len(work.items):
                work.item = None
        if work.item is None or not work.items[work.item].text or (undoing and phase.undo is Undo.NOTHING):
            continue
        item = work.items[work.item]
        return Stand(phase, item, stopping or undoing, _origins(work, phase.step, item))


def _items(work: Work, step: Step) -> Sequence[Item]:
    """The values of a phase; for a phase that is done once, an item without meaning."""
    assert work.checked is not None
    pseudo = work.checked.pseudo
    once = [Item(step.value, 0)]
    match step:
        case Step.IP4 | Step.IP6:
            family = Family.INET if step is Step.IP4 else Family.INET6
            addresses = enumerate(work.checked.addresses)
            return [Item(each.address or step.value, place) for place, each in addresses if each.family is family]
        case Step.FSTAB:
            return [Item(line, place) for place, line in enumerate(work.checked.fstab)]
        case Step.DEVFS:
            return once if pseudo.mount_devfs else ()
        case Step.FDESCFS:
            return once if pseudo.mount_fdescfs else ()
        case Step.PROCFS:
            return once if pseudo.mount_procfs else ()
        case Step.CREATE | Step.REMOVE | Step.TERMINATE:
            return once
        case Step.COMMAND if work.name is None and pseudo.command:
            return once  # all the words of a command line are one command
    return [Item(text, place) for place, text in enumerate(work.jail.texts(step.value))]


def _origins(work: Work, step: Step, item: Item) -> tuple[Span, ...]:
    assert work.checked is not None
    if step in (Step.IP4, Step.IP6):
        return work.checked.addresses[item.index].origins
    parameter = work.jail.parameter(step.value)
    if parameter is None:
        return (work.jail.source,)
    if step is Step.FSTAB or item.index >= len(parameter.values):
        return (parameter.span,)
    return parameter.values[item.index].origins
