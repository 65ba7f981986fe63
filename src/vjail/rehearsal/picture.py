"""From a lab's path to its picture: brought up in memory, looked at, drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from vjail.lab import folder
from vjail.lab.model import Lab
from vjail.rehearsal import looking
from vjail.rehearsal.lab import Rehearsal
from vjail.rehearsal.noting import Noting
from vjail.rehearsal.readable import check_readable
from vjail.rehearsal.up import up
from vjail.view.picture import Format, folded, gather, rendered
from vjail.view.picture.model import Picture

Missing = Callable[[Lab, Rehearsal], Iterable[str]]


def drawn(path: Path, form: Format, missing: Missing = lambda _, __: ()) -> tuple[str, list[str]]:
    """The picture of the lab at `path`, and what to say of it: which jails did not start, and what is not known.

    `missing` is called when the hosts have booted: it makes what their files lack, and tells of it.
    Raises LabError, NotModelled.
    """
    lab = folder.etc(path)
    rehearsal = Rehearsal.of(lab)
    check_readable(lab, rehearsal)
    rehearsal.doubts = []
    said: list[str] = []
    noted = {name: Noting() for name in lab.hosts}
    started = up(rehearsal, noted.__getitem__, lambda: said.extend(missing(lab, rehearsal)))
    for booted in started:
        noting = noted[booted.host]
        noting.came_of(booted.jails)
        said += [
            f"{booted.host}: {jail}: {failure}; it is drawn as not running"
            for jail in noting.events
            if (failure := noting.failure(jail))
        ]
    doubts = dict.fromkeys(doubt.what for doubt in rehearsal.doubts)
    said += [f"{what} is not known in memory: it is taken to succeed and to change no network" for what in doubts]
    return rendered(folded(picture(lab, rehearsal, path)), form), said


def picture(lab: Lab, rehearsal: Rehearsal, path: Path) -> Picture:
    """What a lab in memory looks like now."""
    return gather(looking.seen(lab, rehearsal), looking.marks(rehearsal, folder.topology(path)))
