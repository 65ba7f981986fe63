"""A lab that is up becomes what its files say now: what differs is changed, and nothing else.

What becomes of each jail says lab/changes.py, of cards and wires lab/rewiring.py. A jail is stopped with the jail.conf
that it was started with: where a host is given another one, the old one is kept on the host, and noted for the jails
that run, until each has come over.
"""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from vjail.command.jail.world import World
from vjail.command.rc.subr import ENVIRONMENT
from vjail.conf.jailconf import Checked, check_types
from vjail.conf.jailconf import load as load_jail_conf
from vjail.kernel.errno import KernelError
from vjail.kernel.observed import Inet6, Inet6Flag
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
from vjail.lab.configured import by_name, configured, made_otherwise, made_with
from vjail.lab.model import CONFIGURATION, LabHostSpec
from vjail.lab.rewiring import CardChange, card_changes, cards_after
from vjail.release import Release
from vjail.server.aside import aside
from vjail.server.host import LabHost
from vjail.server.lab import RunningLab
from vjail.session import Session

CONSOLE = "/var/log/console.log"
"""Where on a host is kept what its boot, and commands of `vjail up`, say."""


def files_of(host: LabHost) -> dict[str, bytes]:
    """The files of a running host that a lab may bring."""
    found: dict[str, bytes] = {}
    files = host.files()
    for name in CONFIGURATION:
        with contextlib.suppress(KernelError):
            if files.kind(f"/etc/{name}") is not None:
                found[name] = files.read(f"/etc/{name}")
    return found


def running(lab: RunningLab, host: LabHost) -> RunningHost:
    """What runs on a host, as data, for a plan."""
    files = host.files()
    older: dict[str, bytes] = {}
    for name, path in _started_with(lab, host).items():
        with contextlib.suppress(KernelError):
            older[name] = files.read(path)
    return RunningHost(
        files_of(host),
        tuple(jail.name for jail in host.kernel.view().jails()),
        older,
        dict(host.nics),
        held(host),
        tuple(lab.laid(host.name)),
        dict(host.made),
        lab.in_force(host.name),
    )


def held(host: LabHost) -> dict[str, str]:
    """The cards of a host that are in a jail, each with the jail's name."""
    names = {jail.jid: jail.name for jail in host.kernel.view().jails(dying=True)}
    return {card: names.get(vnet, "") for card, vnet in host.network.nics().items() if vnet}


def _started_with(lab: RunningLab, host: LabHost) -> dict[str, str]:
    """The jails that run with another jail.conf than that in /etc, each with where it is kept."""
    jids = {jail.name: jail.jid for jail in host.kernel.view().jails()}
    return {jail: path for jail, (path, jid) in lab.older(host.name).items() if jids.get(jail) == jid}


@dataclass(frozen=True, slots=True)
class Before:
    """How a host was before it got its new files: these, and what its jails were started with.

    `in_force`: variables of rc.conf that it goes by, whatever the file said. `cards`: what becomes of its cards.
    `made`: what it has otherwise than its lab says, as long as it is there. `waits`: what of its files is not changed
    now.
    """

    files: Files
    jails: Mapping[str, Checked]
    kept: Mapping[str, str]
    """Where the jail.conf of each is that is not stopped by that in /etc."""
    laid: Sequence[str]
    in_force: Mapping[str, str | None]
    cards: tuple[CardChange, ...]
    made: Sequence[str]
    waits: Sequence[str]


def refresh(
    lab: RunningLab, host: LabHost, spec: LabHostSpec, hostid: bytes, *, all_jails: bool = True
) -> Before | None:
    """Give a running host the files that have changed in the lab's folder since; how it was. None: nothing differs.

    `hostid`: what is in /etc/hostid where the lab brings none. Where not all jails are changed, a card that one has
    does not go, and the hostid stays.
    """
    before = files_of(host)
    given = {name: file.content for name, file in spec.files.items()}
    laid = lab.laid(host.name)
    wanted = files_after(before, laid, given, hostid, all_jails=all_jails)
    waits = files_wait(before, laid, given, hostid, all_jails=all_jails)
    removed = [name for name in before if name not in wanted]
    written = [name for name, content in wanted.items() if before.get(name) != content]
    kept = _started_with(lab, host)
    cards = card_changes(host.nics, spec.nics, {} if all_jails else held(host))
    made = made_otherwise(host.made, made_with(spec))
    in_force = lab.in_force(host.name)
    if not (removed or written or kept or in_force or cards or made or waits):
        return None
    files = host.files()
    jails = by_name(configured(files, host.release))
    for name, path in kept.items():
        for jail in load_jail_conf(path, host.release, World(files)).jails:
            if (jail.text("name") or jail.block) == name:
                jails[name] = check_types(jail, host.release, world=World(files))
    present = {jail.name: jail.jid for jail in host.kernel.view().jails()}
    jails = {name: checked for name, checked in jails.items() if name in present}
    if "jail.conf" in (*removed, *written) and "jail.conf" in before:
        path = f"/var/run/jail.{hashlib.sha256(before['jail.conf']).hexdigest()[:12]}.conf"
        files.mkdir("/var/run", parents=True)
        files.write(path, before["jail.conf"])
        for name in jails:
            if name not in kept:
                kept[name] = path
                lab.note_older(host.name, name, path, present[name])
    for name in written:
        files.write(f"/etc/{name}", wanted[name])
    for name in removed:
        files.unlink(f"/etc/{name}")
    # A hostid that waits is still one that the lab brought, or brought none of.
    own = {"hostid"} & set(laid) if waits else {"hostid"} & set(given)
    lab.note_laid(host.name, given.keys() - {"hostid"} | own)
    return Before(before, jails, kept, laid, in_force, cards, made, waits)


def put_back(lab: RunningLab, host: LabHost, before: Before) -> None:
    """Give a host the files back that it had."""
    files = host.files()
    lab.note_laid(host.name, before.laid)
    for name in CONFIGURATION:
        path = f"/etc/{name}"
        if name in before.files:
            files.write(path, before.files[name])
        elif files.kind(path) is not None:
            files.unlink(path)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What is to be changed on a host that runs."""

    host: LabHost
    before: Before
    change: HostChange
    jails: tuple[JailChange, ...]

    @property
    def restarts(self) -> list[str]:
        """The jails that are stopped and started again."""
        return [each.name for each in self.jails if each.fate.stops and each.fate.starts]

    def stop_line(self, name: str) -> tuple[str, ...]:
        """The command line that stops a jail with what it was started with."""
        path = self.before.kept.get(name)
        if path is None:
            return "/etc/rc.d/jail", "onestop", name
        return "/usr/sbin/jail", "-q", "-f", path, "-r", name

    def told(self) -> list[str]:
        """What is done and why, in lines."""
        lines = [card.told() for card in self.before.cards]
        lines += [f"{shlex.join(action.command)}: {action.reason}" for action in self.change.actions]
        lines += [f"not now: {text}" for text in self.change.waits]
        lines += [f"not while the lab is up: {text}; `vjail down` first" for text in self.change.not_live]
        for each in self.jails:
            if each.fate not in (Fate.UNCHANGED, Fate.START):
                lines.append(f"{each.name}: {each.fate.value}: {each.summary()}")
        return lines


async def renewal(
    lab: RunningLab,
    host: LabHost,
    before: Before,
    new: Mapping[str, Checked],
    chosen: Sequence[str],
    only: Sequence[str] | None,
) -> Renewal:
    """What is to be changed; `only`: of these jails alone."""
    now = files_of(host)
    hostid = before.files.get("hostid") != now.get("hostid")
    changes = jail_changes(before.jails, new, chosen, host.release, changed_rulesets(before.files, now), hostid=hostid)
    if only is not None:
        changes = tuple(each for each in changes if each.name in only or each.fate is Fate.UNCHANGED)
    old = as_in_force(before.files, before.in_force)
    change = host_change(old, now, before.cards, before.made, before.waits)
    if change.variables:
        cards = dict(host.nics), cards_after(host.nics, before.cards)
        there = (old, now), cards, (lab.name, host.name), host.release, held(host)
        change = await aside(partial(_with_network, change, *there))
    return Renewal(host, before, change, changes)


def _with_network(
    change: HostChange,
    files: tuple[Files, Files],
    cards: tuple[Mapping[str, str], Mapping[str, str]],
    names: tuple[str, str],
    release: Release,
    held: Collection[str],
) -> HostChange:
    # A whole kernel in memory, which a lab needs only here.
    from vjail.rehearsal.rewritten import Side, with_network

    before, after = (Side.of(each, there, *names) for each, there in zip(files, cards, strict=True))
    return with_network(change, (before, after), release, held)


async def carry_out(lab: RunningLab, found: Renewal, new: Mapping[str, Checked], session: Session) -> list[str]:
    """Do it, but for what starts; what went wrong.

    What stops stops first: cards that it has are home then, and nothing is joined by interfaces that are made anew.
    """
    host, wrong = found.host, []
    for each in reversed(found.jails):
        if each.fate.stops:
            await session.call(found.stop_line(each.name), environ=ENVIRONMENT)
            if any(jail.name == each.name for jail in host.kernel.view().jails()):
                wrong.append(f"{each.name}: does not stop, and runs on as it was")
    cards = cards_after(host.nics, found.before.cards)
    if cards != host.nics:
        try:
            lab.rewire(host, cards)
        except (OSError, KernelError) as error:
            wrong.append(f"{host.name}: its cards could not be changed: {error}; `vjail down` first")
    for action in found.change.actions:
        code = await session.call(action.command, environ=ENVIRONMENT)
        wrong += [f"{host.name}: {shlex.join(action.command)} failed; {CONSOLE} there says why"] if code else []
    if found.change.actions:
        await _all_usable(host, session)
    lab.note_in_force(host.name, {each.name: each.old for each in found.change.variables})
    for each in found.jails:
        if each.fate is Fate.LIVE:
            path = new[each.name].jail.source.source.name
            if await session.call(("/usr/sbin/jail", "-f", path, "-m", each.name), environ=ENVIRONMENT) != 0:
                wrong.append(f"{each.name}: jail -m failed; {CONSOLE} there says why")
                continue
        if not each.fate.stops:
            lab.forget_older(host.name, each.name)
    return wrong


async def _all_usable(host: LabHost, session: Session) -> None:
    """Wait, as a boot does, until no address is tentative any more, but not for ever: a card may have no carrier."""
    for _ in range(50):
        addresses = (each for interface in host.kernel.view().interfaces() for each in interface.addresses)
        if not any(isinstance(each, Inet6) and Inet6Flag.TENTATIVE in each.flags for each in addresses):
            return
        await session.sleep(0.1)


async def end_host(lab: RunningLab, host: LabHost, session: Session) -> None:
    """Stop a host's jails, and take it away."""
    names = [jail.name for jail in reversed(host.kernel.view().jails())]
    if names:
        await session.call(("/etc/rc.d/jail", "onestop", *names), environ=ENVIRONMENT)
    lab.drop_host(host)
