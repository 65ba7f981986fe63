"""Bringing a lab up: its hosts' trees and namespaces, their boot, their jails; what is wrong is told by its place."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from vjail.command import rc_files
from vjail.command.rc import rc
from vjail.command.rc.subr import ENVIRONMENT
from vjail.conf.jailconf import Message
from vjail.conf.position import Span
from vjail.jail.effects import reports
from vjail.jail.explain import explained, plain
from vjail.kernel.core.host import View
from vjail.kernel.errno import KernelError
from vjail.kernel.linux.conversation import ProgramError
from vjail.kernel.linux.netlink import NetlinkError
from vjail.kernel.operations import RemoveJail, Unmount
from vjail.lab.configured import Configured, by_name, configured, hostid_of
from vjail.lab.folder import load
from vjail.lab.model import Lab, LabError, LabHostSpec
from vjail.lab.rewiring import WireChange, wire_changes
from vjail.lab.userland import UserlandError
from vjail.release import Release
from vjail.server.host import LabHost
from vjail.server.provision import files_at
from vjail.server.renew import CONSOLE, Before, carry_out, end_host, put_back, refresh, renewal
from vjail.server.request import Request
from vjail.server.session import AgentSession, Streams
from vjail.server.waiting import reason
from vjail.server.watcher import Watcher, advice, placed

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a lab is to be up; `shown` is its path as the user wrote it.

    `jails` are names (HOST:JAIL or JAIL); without any, and not `no_jails`, every jail is meant. `release` None: the
    one its hosts have, or the lab file's.
    """

    path: Path
    shown: str
    jails: tuple[str, ...] = ()
    no_jails: bool = False
    release: Release | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A host that is there; `fresh`: it has not booted yet; `before`: it runs, and got other files than it had."""

    host: LabHost
    spec: LabHostSpec
    found: Configured
    fresh: bool
    before: Before | None = None


class Up:
    """One `vjail up`."""

    def __init__(self, request: Request, wanted: Wanted) -> None:
        self._request = request
        self._lab = request.lab
        self._wanted = wanted
        self._progress = request.progress
        self._failed = False

    async def run(self) -> int:
        """Do it; the exit code."""
        began = time.monotonic()
        try:
            lab = load(self._wanted.path)
        except LabError as error:
            for problem in error.problems:
                self._problem(str(problem))
            return 1
        lab = replace(lab, release=self._release(lab))
        if self._failed:
            return 1
        self._look_again(lab)
        wires = wire_changes(self._lab.wiring.said, lab.settings())
        self._rewire([each for each in wires if each.old is None])
        if self._failed:
            return 1
        hosts = [prepared for spec in lab.hosts.values() if (prepared := self._prepare(lab, spec)) is not None]
        fresh = [prepared for prepared in hosts if prepared.fresh]
        if self._failed or not self._are_known(hosts):
            # Hosts that are there have booted, also where others cannot be: they may stay.
            await self._boot_fresh(fresh)
            return 1
        # Who goes is gone before anybody comes who may have its addresses.
        await self._end_hosts(lab)
        self._rewire([each for each in wires if each.old is not None and each.new is not None])
        await self._boot_fresh(fresh)
        restarts = await _side_by_side(self._renew(prepared) for prepared in hosts)
        self._rewire([each for each in wires if each.new is None])
        await _side_by_side(itertools.starmap(self._start, zip(hosts, restarts, strict=True)))
        for prepared in hosts:
            self._warn_of_vlans(prepared.host)
        if self._failed:
            return 1
        jails = sum(1 for prepared in hosts for _ in prepared.host.prisons.prisons())
        took = time.monotonic() - began
        self._progress.line(f"{lab.name} is up: {_many(len(hosts), 'host')}, {_many(jails, 'jail')} ({took:.1f} s)")
        return 0

    @property
    def _down(self) -> str:
        """What the user types to take the lab down."""
        return "vjail down" + ("" if self._wanted.shown == "." else f" {self._wanted.shown}")

    def _look_again(self, lab: Lab) -> None:
        """Say what of the wires' conditions this machine's kernel cannot do."""
        try:
            for line in self._lab.wiring.look_again(lab.conditions):
                self._progress.line(line)
        except OSError as error:
            self._problem(f"{self._wanted.shown}: delay, loss or rate of the wires: {error.strerror}")

    def _rewire(self, changes: Iterable[WireChange]) -> None:
        """Let wires be as the lab file says; those of a lab that comes up are nothing to tell."""
        for each in changes:
            if self._lab.hosts:
                self._progress.line(each.told())
            try:
                self._lab.wiring.apply(each.wire, each.new)
            except OSError as error:
                self._problem(f"{each.told()}: {error.strerror}")

    # --- hosts -------------------------------------------------------------------------------------------------------

    def _release(self, lab: Lab) -> Release:
        """The release of the hosts; they keep it for as long as they are there."""
        wanted = self._wanted.release
        for host in self._lab.hosts.values():
            if wanted is not None and wanted is not host.release:
                self._problem(f"{self._wanted.shown}: the lab is up as FreeBSD {host.release}; `{self._down}` first")
            elif wanted is None and lab.release is not host.release:
                text = f"freebsd: {host.release} -> {lab.release}"
                self._progress.line(f"not while the lab is up: {text}; `{self._down}` first")
            return host.release
        return lab.release if wanted is None else wanted

    def _prepare(self, lab: Lab, spec: LabHostSpec) -> Prepared | None:
        """Make a host, or bring the files of one that is there up to date; None where something is wrong."""
        prepared = self._prepared(lab, spec)
        if spec.name not in self._lab.hosts:
            self._lab.provisioner.discard(self._lab.root_of(spec.name).parent)
        return prepared

    def _prepared(self, lab: Lab, spec: LabHostSpec) -> Prepared | None:
        there = self._lab
        host = there.hosts.get(spec.name)
        fresh = host is None
        before: Before | None = None
        root = there.root_of(spec.name)
        self._progress.step(f"host {spec.name}")
        try:
            mounts: list[str] = []
            if host is None:
                root.parent.mkdir(parents=True)
                mounts += there.provisioner.make_host(lab, spec, root)
            else:
                before = refresh(there, host, spec, hostid_of(lab, spec), all_jails=self._all_jails)
            with files_at(root) as files:
                found = configured(files, lab.release)
            if not self._is_well_formed(spec, found):
                if host is not None and before is not None:
                    put_back(there, host, before)
                return None
            more, obstacles = there.provisioner.make_bases(spec, root, found, host.space if host else None)
            for obstacle in obstacles:
                jail = next(each.jail for each in found.jails if (each.jail.block or "") == obstacle.jail)
                self._problem(f"{self._place(spec, jail.source)}{obstacle.jail}: {obstacle.path} {obstacle.text}")
            if obstacles:
                if host is not None and before is not None:
                    put_back(there, host, before)
                return None
            if host is None:
                host = there.make_host(lab, spec, [*mounts, *more])
                there.note_laid(spec.name, spec.files)
            else:
                there.note(host, more)
        except (UserlandError, OSError, NetlinkError, ProgramError) as error:
            _log.info("host %s", spec.name, exc_info=True)
            self._problem(f"{spec.name}: {error}")
            return None
        return Prepared(host, spec, found, fresh, before)

    def _is_well_formed(self, spec: LabHostSpec, found: Configured) -> bool:
        """Say what is wrong with the text of a host's jail.conf."""
        messages = [m for each in found.files for m in each.messages if not m.kind.is_ours]
        messages += [message for checked in found.jails for message in checked.messages]
        for message in dict.fromkeys(messages):
            self._message(spec, message)
        return not messages

    def _message(self, spec: LabHostSpec, message: Message) -> None:
        text, place = message.text, ""
        if message.cause is not None:
            text = re.sub(rf"^{re.escape(message.cause.source.name)}( line \d+)?: ", "", text)
            place = self._place(spec, message.cause)
        hint = message.hint.text if message.hint is not None else advice(text, ())
        self._problem(f"{place}{text}" + (f"; {hint}" if hint else ""))

    async def _boot_fresh(self, hosts: Sequence[Prepared]) -> None:
        """Boot hosts; those that have not booted when this is interrupted are taken away."""
        waiting = {prepared.host.name: prepared.host for prepared in hosts}

        async def boot(prepared: Prepared) -> None:
            await self._boot(prepared)
            self._lab.note(waiting.pop(prepared.host.name), ())

        try:
            await _side_by_side(boot(prepared) for prepared in hosts)
        finally:
            for host in waiting.values():
                self._lab.drop_host(host)

    async def _boot(self, prepared: Prepared) -> None:
        """Run /etc/rc, but for its jails, which have a part of their own."""
        host = prepared.host
        self._progress.step(f"{host.name}: /etc/rc")
        heard: list[str] = []
        with self._console(host, lambda fd, text: heard.append(text) if fd == 2 else None) as streams:
            await rc(AgentSession(host, self._request.caller("rc", "autoboot"), streams), without=("jail",))
        for line in "".join(heard).splitlines():
            found = re.fullmatch(r"/etc/rc: WARNING: (/etc/\S+):(\d+:\d+: .*)", line)
            if found is not None:
                self._progress.line(f"vjail: {self._path(prepared.spec, found[1])}:{found[2]}")
            else:
                self._progress.line(f"{host.name}: {line}")

    @contextlib.contextmanager
    def _console(self, host: LabHost, heard: Callable[[int, str], None]) -> Iterator[Streams]:
        """Streams that end in the host's console log; `heard` is told what is written."""
        files = host.files()
        files.mkdir(os.path.dirname(CONSOLE), parents=True)
        fd = files.open_append(CONSOLE)
        try:
            yield self._request.streams.to_file(fd, heard)
        finally:
            os.close(fd)

    # --- jails -------------------------------------------------------------------------------------------------------

    def _are_known(self, hosts: Sequence[Prepared]) -> bool:
        """Whether every jail that was asked for is one of some host's."""
        known = {f"{each.spec.name}:{name}" for each in hosts for name in _names(each.found)}
        for name in self._wanted.jails:
            if name not in known and not any(full.endswith(f":{name}") for full in known):
                there = ", ".join(sorted(full.partition(":")[2] for full in known)) or "none"
                self._problem(f"{self._wanted.shown}: no jail is called {name}; there are: {there}")
        return not self._failed

    @property
    def _all_jails(self) -> bool:
        return not self._wanted.jails and not self._wanted.no_jails

    def _chosen(self, prepared: Prepared) -> list[str]:
        """The names of a host's jails that are to start, in the order written."""
        if self._wanted.no_jails:
            return []
        names = _names(prepared.found)
        if self._wanted.jails:
            return [n for n in names if n in self._wanted.jails or f"{prepared.spec.name}:{n}" in self._wanted.jails]
        conf, _ = rc_files.load(prepared.host.files(), "jail")
        return conf.words("jail_list") or names

    async def _start(self, prepared: Prepared, restarts: Sequence[str]) -> None:
        """Start a host's jails as rc.d/jail does; `restarts`: those that were stopped for it."""
        host = prepared.host
        view = host.kernel.view()
        chosen = list(dict.fromkeys((*self._chosen(prepared), *restarts)))
        running = {jail.name for jail in view.jails()}
        missing = [name for name in chosen if name not in running]
        if not missing:
            return
        # Without names they are started by one jail(8), in the order that it finds.
        everything = not running and not self._wanted.jails
        names = () if everything else missing
        said: list[str] = []
        watcher = Watcher(
            self._progress,
            len(missing),
            host.name if len(self._lab.hosts) > 1 else "",
            note=lambda jail, starting: self._lab.note_starting(host.name, jail, starting),
        )
        with self._console(host, lambda fd, text: said.append(text)) as streams:
            session = AgentSession(host, self._request.caller("up"), streams, watcher)
            try:
                await session.call(("/etc/rc.d/jail", "onestart", *names), environ=ENVIRONMENT)
            except BaseException:
                await self._take_back(prepared, list(watcher.under_way))
                raise
        self._report(prepared, watcher, "".join(said), missing)

    async def _renew(self, prepared: Prepared) -> list[str]:
        """Change what differs of a host that was up already; the jails that are to start again."""
        host = prepared.host
        await self._take_back(prepared, self._lab.half_started(host.name))
        if prepared.before is None:
            return []
        chosen, new = self._chosen(prepared), by_name(prepared.found)
        only = None if self._all_jails else chosen
        found = await renewal(self._lab, host, prepared.before, new, chosen, only)
        where = f"{host.name}: " if len(self._lab.hosts) > 1 else ""
        for line in found.told():
            self._progress.line(f"{where}{line}")
        stops = sum(each.fate.stops for each in found.jails)
        watcher = Watcher(self._progress, stops, host.name if where else "")
        with self._console(host, lambda _, __: None) as streams:
            session = AgentSession(host, self._request.caller("up"), streams, watcher)
            for problem in await carry_out(self._lab, found, new, session):
                self._problem(problem)
        return found.restarts

    async def _end_hosts(self, lab: Lab) -> None:
        """Take hosts away that the lab does not have any more."""
        for host in [host for name, host in self._lab.hosts.items() if name not in lab.hosts]:
            self._progress.line(f"{host.name}: stop: it is no host of the lab any more")
            with self._console(host, lambda _, __: None) as streams:
                await end_host(self._lab, host, AgentSession(host, self._request.caller("up"), streams))

    async def _take_back(self, prepared: Prepared, jails: Sequence[str]) -> None:
        """Remove jails that had begun to start when that was interrupted, with what was mounted for them."""
        host = prepared.host
        paths = {checked.jail.block: checked.jail.text("path") for checked in prepared.found.jails}
        with self._console(host, lambda _, __: None) as streams:
            session = AgentSession(host, self._request.caller("up"), streams)
            for name in jails:
                with contextlib.suppress(Exception):
                    await session.call(("/usr/sbin/jail", "-q", "-r", name), environ=ENVIRONMENT)
                # A jail whose stop commands fail stays, also where nobody is left to run them.
                _remove(host.kernel.view(), name, paths.get(name))
                self._progress.line(f"{name}: had begun to start; taken back")
                self._lab.note_starting(host.name, name, False)

    def _report(self, prepared: Prepared, watcher: Watcher, said: str, missing: Sequence[str]) -> None:
        """Say what failed, and what has no effect here."""
        host, spec = prepared.host, prepared.spec
        view = host.kernel.view()
        interfaces = [interface.name for interface in view.interfaces()]
        failures = watcher.failures
        for event in failures:
            text = explained(event, said)
            hint = advice(text, interfaces, fresh=prepared.fresh)
            self._problem(self._place(spec, *event.origins) + text + (f"; {hint}" if hint else ""))
        running = {jail.name for jail in view.jails()}
        quiet = [name for name in missing if name not in running and all(e.jail != name for e in failures)]
        for name in quiet:
            if name in watcher.done:
                self._progress.line(
                    f"{name}: started, and gone again: without `persist` a jail ends with its last process"
                )
            elif why := reason(name, [each.jail for each in prepared.found.jails], [e.jail or "" for e in failures]):
                self._problem(f"{self._place(spec, why.origin)}{name}: not started: {why.text}")
            elif failures or name in watcher.forgotten:
                self._problem(f"{name}: not started, because of another jail")
            else:
                self._problem(f"{name}: not started: {plain(said) or 'no reason was given'}")
        noted: dict[str, list[str]] = {}
        for jail in view.jails():
            if jail.name in watcher.done:
                for line in reports(jail.parameters):
                    noted.setdefault(line, []).append(jail.name)
        for line, names in noted.items():
            self._progress.line(f"{', '.join(names)}: no effect here: {line}")
        self._warn_of_addresses(host, watcher.done)
        self._warn_of_rulesets(prepared, watcher.done)

    def _warn_of_addresses(self, host: LabHost, started: Collection[str]) -> None:
        """Jails that may use some addresses only, and that nothing keeps to them here (row B5)."""
        where = f"{host.name}:" if len(self._lab.hosts) > 1 else ""
        free = [each for each in host.kernel.view().jails() if each.name in started and host.is_not_held(each.jid)]
        if free:
            names = ", ".join(f"{where}{jail.name}" for jail in free)
            self._progress.line(f"{names}: addresses are not enforced: {host.held_jails.problem}")

    def _warn_of_vlans(self, host: LabHost) -> None:
        """Vlans that send nothing, as this machine can make none."""
        vlans = host.network_driver.vlans
        if silent := vlans.silent():
            self._progress.line(f"{host.name}: {', '.join(silent)}: nothing is sent: {vlans.problem}")

    def _warn_of_rulesets(self, prepared: Prepared, started: Collection[str]) -> None:
        """A ruleset that does not exist is no error on FreeBSD, and hides nothing (row C1)."""
        view = prepared.host.kernel.view()
        for checked in prepared.found.jails:
            ruleset, name = checked.jail.parameter("devfs_ruleset"), checked.jail.block
            text = checked.jail.text("devfs_ruleset") or ""
            if ruleset is None or name not in started or not checked.pseudo.mount_devfs or not text.isdecimal():
                continue
            if int(text) and not view.devfs_rules(int(text)):
                self._progress.line(
                    f"{self._place(prepared.spec, ruleset.span)}{name}: devfs ruleset {text} is defined nowhere, so "
                    f"every device shows in /dev; define it in devfs.rules: [NAME={text}]"
                )

    # --- saying it ---------------------------------------------------------------------------------------------------

    def _problem(self, text: str) -> None:
        self._failed = True
        self._progress.line(f"vjail: {text}")

    def _place(self, spec: LabHostSpec, *origins: Span) -> str:
        """Where something stands, in the file of the lab's folder that it came from."""
        return placed(origins, lambda name: self._path(spec, name))

    def _path(self, spec: LabHostSpec, name: str) -> str:
        """Where a file of a host came from, as the user writes it; HOST:PATH where it is the host's own."""
        file = spec.files.get(name.removeprefix("/etc/"))
        if file is not None:
            origin = file.origin
        elif spec.tree is not None and (spec.tree / name.lstrip("/")).exists():
            origin = spec.tree / name.lstrip("/")
        else:
            return f"{spec.name}:{name}"
        return str(origin) if self._wanted.shown.startswith("/") else os.path.relpath(origin, self._request.cwd)


async def _side_by_side(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all at the same time, as machines do; where one fails or this is interrupted, all have ended."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _remove(view: View, name: str, path: str | None) -> None:
    """Remove a jail without its configuration, and what is mounted below its path."""
    with contextlib.suppress(KernelError):
        view.apply(RemoveJail(view.jail(name).jid))
    for mounted in reversed(view.mounts()):
        if path is not None and f"{mounted.target}/".startswith(f"{path.rstrip('/')}/"):
            with contextlib.suppress(KernelError):
                view.apply(Unmount(mounted.target, force=True))


def _names(found: Configured) -> list[str]:
    """What the jails of a host are called."""
    return [checked.jail.text("name") or checked.jail.block or "" for checked in found.jails]


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
