"""What `vjail up` would do, as a value: worked out on the model, from the lab's files and from what runs already.

`plan` brings the lab as it runs up in memory, and then does what lab/changes.py says, while every command is noted.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vjail.command import rc_files
from vjail.command.jail.world import World
from vjail.command.rc import rc
from vjail.command.rc.subr import ENVIRONMENT
from vjail.command.sh import NotModelled
from vjail.conf.jailconf import Checked, check_types
from vjail.conf.jailconf import load as load_jail_conf
from vjail.jail.events import Action, Event, State
from vjail.kernel.core.mac import nic_address
from vjail.kernel.model.files import Node
from vjail.lab.changes import (
    Fate,
    Files,
    HostChange,
    JailChange,
    RunningHost,
    as_in_force,
    changed_rulesets,
    files_after,
    files_wait,
    host_change,
    jail_changes,
)
from vjail.lab.configured import JAIL_CONF, Configured, by_name, configured, hostid_of, made_otherwise, made_with
from vjail.lab.model import HostFile, Lab, LabHostSpec, WireSettings
from vjail.lab.rewiring import CardChange, WireChange, card_changes, cards_after, wire_changes
from vjail.rehearsal.lab import Rehearsal
from vjail.rehearsal.noting import Noting
from vjail.rehearsal.rewritten import Side, with_network
from vjail.rehearsal.up import provide, start_jails
from vjail.release import Release
from vjail.session import FileKind

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """A command, the phase that it belongs to, and the place that it comes from."""

    phase: str
    command: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class JailPlan:
    """What becomes of a jail, with the commands in order; `failure`: what the model says goes wrong then."""

    change: JailChange
    steps: tuple[Step, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What is done on a host. `state`: new, up (it runs already) or gone (it is no longer in the lab).

    `boot` are the commands of its /etc/rc beyond those of every host.
    """

    name: str
    state: str
    boot: tuple[Step, ...] = ()
    change: HostChange = field(default_factory=HostChange)
    jails: tuple[JailPlan, ...] = ()
    cards: tuple[CardChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it. `wires`: what becomes of those of a lab that is up, where `not_live` is what needs it to be down.

    `unknown`: why the commands are not known, where the model cannot know them.
    """

    lab: str
    hosts: tuple[HostPlan, ...]
    unknown: str = ""
    wires: tuple[WireChange, ...] = ()
    not_live: tuple[str, ...] = ()

    def as_text(self) -> str:
        """For people."""
        lines = [f"not while the lab is up: {text}" for text in self.not_live]
        lines += [each.told() for each in self.wires]
        lines += [line for host in self.hosts for line in _host_lines(host)]
        if self.unknown:
            lines.append(f"commands are not told: not modelled: {self.unknown}")
        return "".join(f"{line}\n" for line in lines)

    def as_json(self) -> Json:
        """For programs."""
        return {
            "lab": self.lab,
            "wires": [_wire_json(each) for each in self.wires],
            "hosts": [_host_json(host) for host in self.hosts],
            "not_live": list(self.not_live),
            "unknown": self.unknown or None,
        }


# --- working it out -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Host:
    """A host while the plan is made."""

    spec: LabHostSpec
    state: str
    running: RunningHost
    found: Configured
    changes: tuple[JailChange, ...]
    change: HostChange
    files: Files
    """What it has in /etc in the end."""
    cards: tuple[CardChange, ...] = ()
    boot: tuple[Step, ...] = ()


def plan(
    lab: Lab,
    running: Mapping[str, RunningHost],
    jails: Sequence[str] = (),
    *,
    no_jails: bool = False,
    wires: Mapping[str, WireSettings] | None = None,
    release: Release | None = None,
) -> Plan:
    """What `vjail up` would do: with all jails, those named (JAIL or HOST:JAIL), or none.

    Of a lab that is up, `wires` is what its file said of each wire, `release` that of its hosts (None: the same).
    """
    not_live: tuple[str, ...] = ()
    if release is not None and release is not lab.release:
        not_live = (f"freebsd: {release} -> {lab.release}",)
        lab = replace(lab, release=release)
    there = replace(lab, hosts={name: _as_it_runs(lab, name, running[name]) for name in running})
    hosts = [_host(lab, spec, running.get(name), jails, no_jails) for name, spec in lab.hosts.items()]
    hosts += [_gone(there, name, running[name]) for name in running if name not in lab.hosts]
    noted = {host.spec.name: Noting() for host in hosts}
    unknown = ""
    try:
        _rehearse(lab, there, hosts, noted)
    except NotModelled as error:
        unknown = str(error)
    changed = wire_changes(wires or {}, lab.settings()) if running else ()
    return Plan(lab.name, tuple(_result(host, noted[host.spec.name]) for host in hosts), unknown, changed, not_live)


def _as_it_runs(lab: Lab, name: str, host: RunningHost) -> LabHostSpec:
    spec = lab.hosts.get(name) or LabHostSpec(name, {})
    return replace(
        spec,
        nics=host.cards,
        files={each: HostFile(Path(f"{name}:/etc/{each}"), content) for each, content in host.files.items()},
    )


def _host(lab: Lab, spec: LabHostSpec, running: RunningHost | None, jails: Sequence[str], no_jails: bool) -> _Host:
    new = _files(lab, spec)
    content: Files = {name: file.content for name, file in spec.files.items()}
    found = configured(new, lab.release)
    names = by_name(found)
    conf, _ = rc_files.load(new, "jail")
    wanted: Collection[str] = conf.words("jail_list") or list(names)
    if jails:
        wanted = [name for name in names if name in jails or f"{spec.name}:{name}" in jails]
    if no_jails:
        wanted = ()
    if running is None:
        changes = jail_changes({}, names, wanted, lab.release)
        return _Host(spec, "new", RunningHost({}, ()), found, changes, HostChange(), content)
    all_jails = not jails and not no_jails
    changing = (running.files, running.laid, content, hostid_of(lab, spec))
    content, waits = files_after(*changing, all_jails=all_jails), files_wait(*changing, all_jails=all_jails)
    changes = jail_changes(
        _old(lab, spec, running),
        names,
        wanted,
        lab.release,
        changed_rulesets(running.files, content),
        hostid=running.files.get("hostid") != content.get("hostid"),
    )
    if not all_jails:
        changes = tuple(each for each in changes if each.name in wanted or each.fate is Fate.UNCHANGED)
    cards = card_changes(running.cards, spec.nics, {} if all_jails else running.held)
    made = made_otherwise(running.made, made_with(spec))
    old = as_in_force(running.files, running.in_force)
    change = host_change(old, content, cards, made, waits)
    sides = (
        Side.of(old, running.cards, lab.name, spec.name),
        Side.of(content, cards_after(running.cards, cards), lab.name, spec.name),
    )
    change = with_network(change, sides, lab.release, running.held)
    return _Host(spec, "up", running, found, changes, change, content, cards)


def _gone(there: Lab, name: str, running: RunningHost) -> _Host:
    spec = there.hosts[name]
    changes = jail_changes(_old(there, spec, running), {}, (), there.release)
    return _Host(spec, "gone", running, Configured((), ()), changes, HostChange(), {})


def _files(lab: Lab, spec: LabHostSpec) -> Any:
    one = Rehearsal.of(replace(lab, hosts={spec.name: spec}))
    return one.hosts[spec.name].files_of()


def _old(lab: Lab, spec: LabHostSpec, running: RunningHost) -> dict[str, Checked]:
    """What each of the jails that run was started with."""
    was = replace(
        spec, files={name: HostFile(Path(f"{spec.name}:/etc/{name}"), text) for name, text in running.files.items()}
    )
    files = _files(lab, was)
    found = by_name(configured(files, lab.release))
    for name, content in running.older.items():
        files.write(_OLDER, content)
        for jail in load_jail_conf(_OLDER, lab.release, World(files)).jails:
            if (jail.text("name") or jail.block) == name:
                found[name] = check_types(jail, lab.release, world=World(files))
    return {name: found[name] for name in running.jails if name in found}


_OLDER = "/var/run/jail.older.conf"


def _rehearse(lab: Lab, there: Lab, hosts: Sequence[_Host], noted: Mapping[str, Noting]) -> None:
    """Do it all in memory."""
    made = Rehearsal.of(replace(lab, hosts={**lab.hosts, **there.hosts}))
    for host in hosts:
        name = host.spec.name
        machine = made.hosts[name]
        found = provide(machine)
        steps = _boot(made, name)
        if host.state == "new":
            usual = {step.command for step in _boot(Rehearsal.of(replace(lab, hosts={name: _bare(host.spec)})), name)}
            host.boot = tuple(step for step in steps if step.command not in usual)
            continue
        older = {jail: content for jail, content in host.running.older.items() if jail in host.running.jails}
        present = [each for each in host.running.jails if each not in older and each in by_name(found)]
        if present:
            start_jails(made, name, found, names=present)
        for jail, content in older.items():
            machine.files.put(_OLDER, Node(FileKind.FILE, content))
            made.type(name, ("/usr/sbin/jail", "-f", _OLDER, "-c", jail), environ=ENVIRONMENT)
    for host in hosts:
        name, events = host.spec.name, noted[host.spec.name]
        machine = made.hosts[name]
        for change in reversed(host.changes):
            if change.fate.stops:
                own = JAIL_CONF
                if change.name in host.running.older:
                    machine.files.put(_OLDER, Node(FileKind.FILE, host.running.older[change.name]))
                    own = _OLDER
                words = ("/usr/sbin/jail", "-f", own, "-r", change.name)
                events.came_of(made.type(name, words, environ=ENVIRONMENT, events=events))
        if host.state == "gone":
            continue
        if host.cards:
            cards = cards_after(host.running.cards, host.cards)
            made.rewire(name, {nic: nic_address(lab.name, name, nic) for nic in cards}, cards)
        for path, content in host.files.items():
            machine.files.put(f"/etc/{path}", Node(FileKind.FILE, content))
        found = provide(machine)
        for action in host.change.actions:
            made.type(name, action.command, environ=ENVIRONMENT)
        starts = [change.name for change in host.changes if change.fate.starts]
        if starts:
            events.came_of(start_jails(made, name, found, events, starts))


def _boot(made: Rehearsal, name: str) -> list[Step]:
    """Run a host's /etc/rc, but for its jails; the commands."""
    steps: list[Step] = []

    def note(words: Sequence[str], jid: int) -> None:
        if not words[0].startswith("/etc/"):
            steps.append(Step("rc", shlex.join(words)))

    made.interfere = note
    made.carry_out(name, ("rc", "autoboot"), lambda session: rc(session, without=("jail",)), ENVIRONMENT)
    made.interfere = None
    return steps


def _bare(spec: LabHostSpec) -> LabHostSpec:
    """The host without files of its own: what every boot does is nothing to tell."""
    return LabHostSpec(spec.name, spec.nics)


def _result(host: _Host, noted: Noting) -> HostPlan:
    jails: list[JailPlan] = []
    for change in host.changes:
        events = noted.events.get(change.name, [])
        steps = [step for event in events if (step := _step(host, event)) is not None]
        if change.fate is Fate.LIVE:
            steps = [Step("jail -m", f"jail -f {JAIL_CONF} -m {change.name}")]
        jails.append(JailPlan(change, tuple(steps), noted.failure(change.name)))
    return HostPlan(host.spec.name, host.state, host.boot, host.change, tuple(jails), host.cards)


def _step(host: _Host, event: Event) -> Step | None:
    if event.phase is None or event.state is not State.STARTED or event.action is Action.UNDO:
        return None
    text = event.text.removeprefix("/bin/sh -c ") or event.phase.does
    place = ""
    if event.origins:
        name, line = event.origins[0].source.name, event.origins[0].position.line
        file = host.spec.files.get(name.removeprefix("/etc/"))
        # What stops was started with a file that only the host has any more.
        own = file is None or event.action is Action.STOP
        path = f"{host.spec.name}:{name}" if own or file is None else os.path.relpath(file.origin)
        place = f"{path}:{line}"
    return Step(event.phase.step.value, text, place)


# --- saying it ----------------------------------------------------------------------------------------------------


def _host_lines(host: HostPlan) -> Iterator[str]:
    yield f"host {host.name}: {host.state}"
    for step in host.boot:
        yield f"    {step.command}"
    for card in host.cards:
        yield f"    {card.told()}"
    for action in host.change.actions:
        yield f"    {shlex.join(action.command)}  ({action.reason})"
    for text in host.change.waits:
        yield f"    not now: {text}"
    for text in host.change.not_live:
        yield f"    not while the lab is up: {text}"
    unchanged = [each.change.name for each in host.jails if each.change.fate is Fate.UNCHANGED]
    for jail in host.jails:
        if jail.change.fate is Fate.UNCHANGED:
            continue
        yield f"  {jail.change.name}: {jail.change.fate.value}"
        for reason in jail.change.reasons() if host.state != "new" else ():
            yield f"      because {reason}"
        for step in jail.steps:
            yield f"    {step.phase:15} {step.command}" + (f"  ({step.place})" if step.place else "")
        if jail.failure:
            yield f"    fails: {jail.failure}"
    if unchanged:
        yield f"  unchanged: {' '.join(unchanged)}"


def _wire_json(change: WireChange) -> Json:
    state = "new" if change.old is None else "gone" if change.new is None else "changed"
    differences = [{"key": key, "old": old, "new": new} for key, old, new in change.differences()]
    return {"wire": change.wire, "state": state, "differences": differences}


def _host_json(host: HostPlan) -> Json:
    return {
        "host": host.name,
        "state": host.state,
        "boot": [step.command for step in host.boot],
        "cards": [
            {"card": each.card, "old": each.old, "new": each.new, "waits": each.waits or None} for each in host.cards
        ],
        "actions": [{"command": list(each.command), "reason": each.reason} for each in host.change.actions],
        "not_live": list(host.change.not_live),
        "waits": list(host.change.waits),
        "jails": [
            {
                "name": jail.change.name,
                "fate": jail.change.fate.value,
                "reasons": jail.change.reasons(),
                "differences": [
                    {"parameter": each.parameter, "old": each.old, "new": each.new, "asks": each.asks.value}
                    for each in jail.change.differences
                ],
                "steps": [
                    {"phase": each.phase, "command": each.command, "place": each.place or None} for each in jail.steps
                ],
                "failure": jail.failure or None,
            }
            for jail in host.jails
        ],
    }
