"""A host brought up in memory, jail by jail, and what each line of its jails ran there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vjail.command import rc_files
from vjail.command.rc.subr import ENVIRONMENT
from vjail.conf.jailconf import Checked
from vjail.conf.position import Span
from vjail.jail.events import Action, Event, State
from vjail.lab.configured import JAIL_CONF, Configured, by_name
from vjail.rehearsal.lab import Rehearsal
from vjail.rehearsal.up import boot, provide

Argv = tuple[str, ...]
Tell = Callable[[str, int, int], object]
"""Told what is done with a jail, and that it is the how manieth of how many."""
_SHELL = "/bin/sh -c "
BOOT = re.compile(r"(?:/bin/)?sh /etc/rc")
SHUTDOWN = re.compile(r"(?:/bin/)?sh /etc/rc\.shutdown(?: jail)?")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an exec.* parameter, and the commands that ran when it did; None where it never ran."""

    parameter: str
    text: str
    place: Span
    commands: tuple[Argv, ...] | None
    stays: bool = False
    """A lab file has no words for what it does."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A host with its jails up. `failures`: those that did not start, and what was said."""

    name: str
    jails: Mapping[str, Checked]
    lines: Mapping[str, tuple[Line, ...]]
    failures: Mapping[str, str]

    def called(self, names: Iterable[str]) -> set[str]:
        """The names that interfaces of these names had before, or had for a while."""
        found, new = set[str](), set(names)
        renamed = [
            {argv[1], argv[place + 1]}
            for lines in self.lines.values()
            for line in lines
            for argv in line.commands or ()
            if argv[0].rpartition("/")[2] == "ifconfig" and "name" in argv[2:-1]
            for place in (argv.index("name", 2),)
        ]
        while new:
            found |= new
            new = {name for pair in renamed if pair & found for name in pair} - found
        return found


@dataclass(slots=True)
class _Watch:
    """Notes commands by the jail, the parameter and the line that they are run for."""

    commands: dict[tuple[str, str, str], list[Argv]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    _now: list[Argv] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        """Be told."""
        jail = event.jail or ""
        if event.state is State.FAILED and event.text and event.action is Action.START:
            self.failures.setdefault(jail, event.text)
        if event.phase is not None and event.state is State.STARTED:
            key = (jail, event.phase.step.value, event.text.removeprefix(_SHELL))
            self._now = self.commands.setdefault(key, [])

    def rest(self) -> None:
        """What runs now runs for no line."""
        self._now = []

    def note(self, words: Sequence[str], jid: int) -> None:
        """A command runs; it is let run."""
        if (words[0].rpartition("/")[2], *words[1:2]) != ("sh", "-c"):
            self._now.append(tuple(words))
        if BOOT.fullmatch(" ".join(words)):
            self.rest()  # what rc runs is no business of the line's

    def note_at_end(self, words: Sequence[str], jid: int) -> int | None:
        """A command runs while a jail stops; what stops the jail's own services says nothing of networks."""
        self.note(words, jid)
        return 0 if jid and SHUTDOWN.fullmatch(" ".join(words)) else None


def watch(
    lab: Rehearsal, names: Iterable[str], tell: Tell, booted: Callable[[], object] = lambda: None
) -> dict[str, Watched]:
    """Boot these hosts and start each jail by itself, after those it depends on; then stop them, in a copy.

    `booted` is called between the boots and the jails. Raises NotModelled.
    """
    found = {name: provide(lab.hosts[name]) for name in names}
    for name in found:
        boot(lab, name)
    booted()
    watches = {name: _started(lab, name, found[name], tell) for name in found}
    lab.settle()
    copy = lab.fork()
    for name in found:
        _stop(copy, name, found[name], watches[name], tell)
    return {name: _watched(name, found[name], watches[name]) for name in found}


def _started(lab: Rehearsal, name: str, found: Configured, tell: Tell) -> _Watch:
    noting = _Watch()
    lab.interfere = noting.note
    jails = list(_order(by_name(found)))
    for number, jail in enumerate(jails, 1):
        tell(f"{jail}: started in memory", number, len(jails))
        if not _is_up(lab, name, jail):
            noting.rest()
            result = lab.type(name, _words(lab, name, found, jail, start=True), environ=ENVIRONMENT, events=noting)
            if not _is_up(lab, name, jail):
                noting.failures.setdefault(
                    jail, result.err.strip() or "it ends at once: it has no persist, and nothing runs"
                )
    lab.interfere = None
    return noting


def _words(lab: Rehearsal, name: str, found: Configured, jail: str, *, start: bool) -> tuple[str, ...]:
    """The command by which a jail is started or stopped alone, from the file from which rc.d/jail starts all.

    By its name rc.d/jail would take a file in jail.conf.d without what jail.conf says for all (from 14 on).
    """
    conf, _ = rc_files.load(lab.hosts[name].files_of(), "jail")
    whole = found.files[0] if found.files and not conf.words("jail_list") else None
    block = by_name(found)[jail].jail.block
    if whole is None or block is None or whole.files[0].source.name != JAIL_CONF or whole.jail(block) is None:
        return "/etc/rc.d/jail", "onestart" if start else "onestop", jail
    return "/usr/sbin/jail", "-f", JAIL_CONF, *(("-c", block) if start else ("-q", "-r", jail))


def _is_up(lab: Rehearsal, name: str, jail: str) -> bool:
    return any(each.name == jail for each in lab.hosts[name].prisons.prisons())


def _stop(lab: Rehearsal, name: str, found: Configured, noting: _Watch, tell: Tell) -> None:
    lab.interfere = noting.note_at_end
    failures = dict(noting.failures)
    jails = list(_order(by_name(found)))
    for number, jail in enumerate(reversed(jails), 1):
        tell(f"{jail}: stopped in memory", number, len(jails))
        if _is_up(lab, name, jail):
            noting.rest()
            lab.type(name, _words(lab, name, found, jail, start=False), environ=ENVIRONMENT, events=noting)
    noting.failures = failures
    lab.interfere = None


def _order(jails: Mapping[str, Checked]) -> Iterator[str]:
    """Each after those that it depends on."""
    seen: set[str] = set()

    def after(name: str) -> Iterator[str]:
        if name in seen or name not in jails:
            return
        seen.add(name)
        for other in jails[name].pseudo.depend:
            yield from after(other)
        yield name

    for name in jails:
        yield from after(name)


def _watched(name: str, found: Configured, noting: _Watch) -> Watched:
    jails = by_name(found)
    lines: dict[str, tuple[Line, ...]] = {}
    for jail, checked in jails.items():
        mine: list[Line] = []
        for parameter in checked.jail.parameters:
            if parameter.name.startswith("exec.") or parameter.name == "command":
                for value in filter(lambda value: value.text, parameter.values):
                    ran = noting.commands.get((checked.jail.block or jail, parameter.name, value.text))
                    mine.append(Line(parameter.name, value.text, value.span, None if ran is None else tuple(ran)))
        lines[jail] = tuple(mine)
    return Watched(name, jails, lines, noting.failures)
