"""A lab of hosts with files of their own, imported."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from vjail.check.run.granted import grant_all
from vjail.conf.position import Span
from vjail.importing import hosts
from vjail.importing.compare import Compared, compare
from vjail.importing.jails import at, named
from vjail.importing.watch import Tell, watch
from vjail.jail.events import Action, Event, State
from vjail.lab import folder
from vjail.lab.file import lock
from vjail.lab.file.description import Host, Jail, LabFile, Wire
from vjail.lab.file.write import write
from vjail.lab.model import Lab, LabError, Problem, WireSettings
from vjail.rehearsal.lab import Rehearsal
from vjail.rehearsal.readable import check_readable
from vjail.rehearsal.up import up
from vjail.release import DEFAULT, Release


@dataclass(frozen=True, slots=True)
class Imported:
    """A lab file's text, the lock that keeps the numbers of interfaces, and both compared in memory.

    `lost`: what a lab file does not say, each with its place. `kept`: what it has no words for, so that the lines that
    make it stay. `unknown`: programs whose outcome is not known.
    """

    text: str
    lock: lock.Lock
    lost: tuple[str, ...]
    kept: tuple[str, ...]
    unknown: tuple[str, ...]
    compared: Compared


def import_lab(
    path: Path, beside: Path, release: Release | None = None, tell: Tell = lambda _, __, ___: None
) -> Imported:
    """The lab at `path`, whose hosts bring their own files, as a lab file that will stand in the folder `beside`.

    `release`: that of the hosts, None: what the lab says. `tell` is told what is done with each jail.
    Raises LabError (also for a lab file of networks and jails, and for what a lab file does not allow), NotModelled.
    """
    lab = folder.etc(path)
    lab = lab if release is None else replace(lab, release=release)
    _check(path)
    was = Rehearsal.of(lab)
    check_readable(lab, was)
    was.doubts = []
    notes: list[str] = []
    stays: list[str] = []
    watched = watch(was, lab.hosts, tell, lambda: stays.extend(grant_all(lab, was)))
    found: dict[str, Host] = {}
    numbers: dict[str, int] = {}
    trees: dict[str, Path] = {}
    listed = folder.find(path).suffix in (".yml", ".yaml")
    for name, spec in lab.hosts.items():
        origins = {f"/etc/{each}": file.origin for each, file in spec.files.items()}

        def note(text: str, span: Span | None, origins: Mapping[str, Path] = origins) -> None:
            notes.append(f"{_place(span, origins)}: {text}" if span is not None else text)

        if "jail.conf" in spec.files and not watched[name].jails:
            of_later = was.release < Release.V14 and b".include" in spec.files["jail.conf"].content
            hint = f"; FreeBSD {was.release.value} has no .include there (--freebsd 14)" if of_later else ""
            notes.append(f"{os.path.relpath(origins['/etc/jail.conf'])}: there is no jail in it{hint}")
        if spec.tree is not None:
            trees[name] = spec.tree
        tree = os.path.relpath(spec.tree, beside) if spec.tree is not None else None
        made = hosts.host(was.hosts[name], spec, watched[name], tree=tree, listed=listed, note=note, keep=stays.append)
        found[name] = made.host
        numbers |= made.numbers
    _tell_apart(found, notes)
    unknown = tuple(dict.fromkeys(doubt.what for doubt in was.doubts))
    file = _file(lab, found, listed)
    kept = lock.Lock(numbers=numbers)
    try:
        now = _brought_up(lab, _with_trees(file, trees), kept, tell)
    except LabError as error:
        # The file is nowhere, so its lines are of no use.
        made_of = f"{path}, as a lab file"
        raise LabError(*(Problem(made_of, each.text, hint=each.hint) for each in error.problems)) from None
    compared = compare(was, now, tell)
    lost = tuple(dict.fromkeys(notes))
    comment = "\n".join((f"Made by `vjail import {path}`.", *stays, *(f"Not taken over: {text}" for text in lost)))
    return Imported(write(file, comment), kept, lost, tuple(stays), unknown, compared)


def _check(path: Path) -> None:
    """Raise LabError for a lab file that holds jails itself."""
    topology = folder.topology(path)
    for host in topology.hosts if topology is not None else ():
        if host.own_files is None and (host.jails or host.bridges):
            hint = "import is of a jail.conf, its folder, or a lab file whose hosts have `files:`"
            raise LabError(Problem(str(folder.find(path)), f"host {host.name} is in the lab file already", hint=hint))


def _tell_apart(found: dict[str, Host], notes: list[str]) -> None:
    """A hostid that another host has is left out: a lab has each once (row D5)."""
    seen: dict[str, str] = {}
    for name, host in found.items():
        if host.hostid is not None and (first := seen.setdefault(host.hostid.value, name)) != name:
            notes.append(f"host {name} has the hostid of {first}, and so its MACs: it gets one of its own")
            found[name] = replace(host, hostid=None)


def _place(span: Span, origins: Mapping[str, Path]) -> str:
    name = span.source.name
    return f"{os.path.relpath(origins[name]) if name in origins else name}:{span.position.line}"


def _file(lab: Lab, found: Mapping[str, Host], listed: bool) -> LabFile:
    release = at(lab.release) if lab.release is not DEFAULT else None
    defaults, hosts_ = _common(found)
    only = next(iter(hosts_.values()))
    own = Host(networks=only.networks, jails=only.jails, links=only.links, place=only.place)
    if not listed and only == own and only.jails:
        return LabFile(freebsd=release, defaults=defaults, networks=own.networks, jails=own.jails, links=own.links)
    if not listed:
        spec = next(iter(lab.hosts.values()))
        nics = named({nic: at(nic) for nic in spec.nics})
        wires = named({nic: Wire() for nic in spec.nics})
        return LabFile(
            freebsd=release, defaults=defaults, wires=wires, hosts=named({spec.name: replace(only, nics=nics)})
        )
    wires = named({wire: _wire(settings) for wire, settings in lab.settings().items()})
    return LabFile(freebsd=release, defaults=defaults, wires=wires, hosts=named(hosts_))


def _wire(settings: WireSettings) -> Wire:
    conditions = settings.conditions
    return Wire(
        nic=at(settings.nic) if settings.nic is not None else None,
        delay=at(conditions.delay) if conditions.delay else None,
        loss=at(conditions.loss) if conditions.loss else None,
        rate=at(conditions.rate) if conditions.rate else None,
        cut=at(True) if settings.cut else None,
    )


def _common(found: Mapping[str, Host]) -> tuple[Jail | None, dict[str, Host]]:
    """What all jails have in common, and the hosts without it."""
    everybody = [entry.value for host in found.values() for entry in host.jails.values()]
    if len(everybody) < 2:
        return None, dict(found)
    same = {each.name: _same([getattr(jail, each.name) for jail in everybody]) for each in fields(Jail)}
    common = {name: value for name, value in same.items() if value not in (None, (), {})}
    if not common:
        return None, dict(found)

    def bare(jail: Jail) -> Jail:
        return replace(jail, **{name: _without(getattr(jail, name), value) for name, value in common.items()})

    without = {
        name: replace(host, jails=named({jail: bare(entry.value) for jail, entry in host.jails.items()}))
        for name, host in found.items()
    }
    return Jail(**common), without


def _same(values: Sequence[Any]) -> Any:
    """What all values of a key have in common: themselves where they are one, of mappings the entries."""
    first = values[0]
    if isinstance(first, Mapping):
        return {name: each for name, each in first.items() if all(other.get(name) == each for other in values)}
    return first if all(other == first for other in values) else None


def _without(value: Any, common: Any) -> Any:
    """What is left of a value."""
    if isinstance(value, Mapping):
        return {name: each for name, each in value.items() if name not in common}
    return () if isinstance(value, tuple) else None


def _with_trees(file: LabFile, trees: Mapping[str, Path]) -> LabFile:
    """The file as it is read somewhere else: with the whole paths of trees."""
    made = {
        name: replace(entry.value, tree=at(str(trees[name].resolve()))) if name in trees else entry.value
        for name, entry in file.hosts.items()
    }
    return replace(file, hosts=named(made))


@dataclass(slots=True)
class _Counter:
    """An `Events` that tells of each jail that has started."""

    total: int
    to: Tell
    number: int = 0

    def tell(self, event: Event) -> None:
        """Be told."""
        if event.phase is None and event.action is Action.START and event.state is State.FINISHED:
            self.number += 1
            self.to(f"{event.jail}: started in memory from the lab file", self.number, self.total)


def _brought_up(lab: Lab, file: LabFile, kept: lock.Lock, tell: Tell) -> Rehearsal:
    """The lab file, brought up in memory. Raises LabError for what a lab file does not allow, as an address twice."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / lab.name / folder.LAB_FILE
        place.parent.mkdir()
        place.write_text(write(file))
        lock.write(place, kept)
        now = Rehearsal.of(folder.load(place))
    now.doubts = []
    total = len(file.jails) + sum(len(each.value.jails) for each in file.hosts.values())
    counter = _Counter(total, tell)
    up(now, lambda _: counter)
    return now
