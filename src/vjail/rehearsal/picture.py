"""From a lab's path to its picture: brought up in memory, looked at, drawn."""

from __future__ import annotations

from pathlib import Path

from vjail.lab import folder
from vjail.lab.model import Lab
from vjail.rehearsal import looking
from vjail.rehearsal.lab import Rehearsal
from vjail.rehearsal.readable import check_readable
from vjail.rehearsal.up import up
from vjail.view.picture import Format, folded, gather, rendered
from vjail.view.picture.model import Picture


def drawn(path: Path, form: Format) -> tuple[str, list[str]]:
    """The picture of the lab at `path`, and what was said of jails that did not start. Raises LabError, NotModelled."""
    lab = folder.etc(path)
    rehearsal = Rehearsal.of(lab)
    check_readable(lab, rehearsal)
    rehearsal.doubts = []
    said = [
        f"{booted.host}: {line}; it is drawn as not running"
        for booted in up(rehearsal)
        for line in booted.jails.both.splitlines()
        if line.startswith("jail: ")
    ]
    doubts = dict.fromkeys(doubt.what for doubt in rehearsal.doubts)
    said += [f"{what} is not known in memory: it is taken to succeed and to change no network" for what in doubts]
    return rendered(folded(picture(lab, rehearsal, path)), form), said


def picture(lab: Lab, rehearsal: Rehearsal, path: Path) -> Picture:
    """What a lab in memory looks like now."""
    return gather(looking.seen(lab, rehearsal), looking.marks(rehearsal, folder.topology(path)))
