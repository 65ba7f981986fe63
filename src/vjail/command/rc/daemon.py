"""Scripts that start one program and stop it again: syslogd, cron.

Several jails may share one writable /var, and a pid file there then names whichever jail's daemon was started last. So
a pid from a file counts only if *this* jail has a process of that number that was started as this daemon; otherwise the
daemon is looked for among this jail's processes. Sources: rc.subr of 13.2 (check_pidfile, run_rc_command),
libexec/rc/rc.d/{syslogd,cron}.
"""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from vjail.command.rc.subr import ENVIRONMENT, Keyword, Prefix, Rc, Script
from vjail.kernel.errno import KernelError
from vjail.session import Process, ProcessInfo, StartError

_SIGHUP, _SIGTERM = 1, 15

Precmd = Callable[[Rc], Awaitable[list[str]]]
"""What is done before the start; returns further arguments."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """What rc knows of a daemon."""

    name: str
    description: str
    pidfile: str
    precmd: Precmd
    required_files: tuple[str, ...] = ()
    reloads: bool = False
    keywords: frozenset[Keyword] = frozenset()

    def command(self, rc: Rc) -> str:
        """The program: NAME_program, or /usr/sbin/NAME."""
        return rc.conf.get(f"{self.name}_program") or f"/usr/sbin/{self.name}"

    def find(self, rc: Rc) -> ProcessInfo | None:
        """The daemon's process in this jail, None where it does not run."""
        command = self.command(rc)
        base = posixpath.basename(command)
        first_words = {command, base, f"{base}:", f"({base})", f"[{base}]"}
        running = [
            process
            for process in rc.session.processes()
            if process.jid == rc.session.system.jid
            and process.uid == 0
            and (process.command[0] if process.command else f"[{process.name}]") in first_words
        ]
        noted = self._noted_pid(rc)
        chosen = [process for process in running if process.pid == noted]
        return next(iter(chosen or sorted(running, key=lambda process: process.start)), None)

    def _noted_pid(self, rc: Rc) -> int | None:
        try:
            words = rc.session.files.read(self.pidfile).decode(errors="replace").split()
        except KernelError:
            return None
        return int(words[0]) if words and words[0].isdecimal() else None

    # --- verbs -------------------------------------------------------------------------------------------------------

    async def start(self, rc: Rc, words: Sequence[str]) -> int:
        """Start it, unless it runs."""
        running = None if rc.prefix is Prefix.FAST else self.find(rc)
        if running is not None:
            if not rc.quiet:
                rc.session.err(f"{self.name} already running?  (pid={running.pid}).\n")
            return 1
        command = self.command(rc)
        if not rc.is_executable(command):
            rc.warn(f"run_rc_command: cannot run {command}")
            return 1
        missing = [path for path in self.required_files if not rc.is_readable(path)]
        if missing:
            rc.warn(f"{missing[0]} is not readable.")
            rc.warn(f"failed precmd routine for {self.name}")
            return 1
        arguments = await self.precmd(rc)
        rc.message(f"Starting {self.name}.\n")
        flags = rc.conf.words(f"{self.name}_flags")
        try:
            argv = (command, *flags, *arguments)
            await rc.session.start(Process(argv, environ=ENVIRONMENT, cwd="/", detached=True))
        except StartError as error:
            rc.session.err(f"{rc.program}: {command}: {error.text}\n")
            rc.warn(f"failed to start {self.name}")
            return 1
        return 0

    async def stop(self, rc: Rc, words: Sequence[str]) -> int:
        """Send it SIGTERM and wait for its end."""
        process = self.find(rc)
        if process is None:
            if rc.prefix is Prefix.FAST:
                return 0
            rc.session.err(f"{self.name} not running? (check {self.pidfile}).\n")
            return 1
        rc.out(f"Stopping {self.name}.\n")
        for running in rc.session.running(rc.session.system.jid):
            if running.pid == process.pid:
                running.kill(_SIGTERM)
                rc.out(f"Waiting for PIDS: {process.pid}")
                await running.wait()
                rc.out(".\n")
        return 0

    async def reload(self, rc: Rc, words: Sequence[str]) -> int:
        """Send it SIGHUP."""
        process = self.find(rc)
        if process is None:
            rc.session.err(f"{self.name} not running? (check {self.pidfile}).\n")
            return 1
        for running in rc.session.running(rc.session.system.jid):
            if running.pid == process.pid:
                running.kill(_SIGHUP)
        return 0

    async def status(self, rc: Rc, words: Sequence[str]) -> int:
        """Say whether it runs."""
        process = self.find(rc)
        rc.out(f"{self.name} is running as pid {process.pid}.\n" if process else f"{self.name} is not running.\n")
        return 0 if process else 1

    async def poll(self, rc: Rc, words: Sequence[str]) -> int:
        """Wait for its end."""
        process = self.find(rc)
        for running in rc.session.running(rc.session.system.jid) if process else ():
            if process is not None and running.pid == process.pid:
                rc.out(f"Waiting for PIDS: {process.pid}")
                await running.wait()
                rc.out(".\n")
        return 0

    def script(self) -> Script:
        """The script of rc.d."""
        verbs = {"start": self.start, "stop": self.stop}
        if self.reloads:
            verbs["reload"] = self.reload
        verbs |= {"status": self.status, "poll": self.poll}
        return Script(
            self.name,
            self.description,
            verbs,
            rcvar=f"{self.name}_enable",
            keywords=self.keywords,
            runs=self.find,
        )


async def _before_syslogd(rc: Rc) -> list[str]:
    """The host's /dev/log, and no stale socket."""
    files = rc.session.files
    try:
        if not rc.jailed and files.kind("/dev/log", follow=False) is None:
            files.symlink("/var/run/log", "/dev/log")
        if files.kind("/var/run/log", follow=False) is not None:
            files.unlink("/var/run/log")
    except KernelError as error:
        rc.session.err(f"{rc.program}: /dev/log: {error.errno.text}\n")
    return []


async def _before_cron(rc: Rc) -> list[str]:
    return ["-s"] if rc.yes("cron_dst") else []


SYSLOGD = Daemon(
    "syslogd",
    "System log daemon",
    "/var/run/syslog.pid",
    _before_syslogd,
    required_files=("/etc/syslog.conf",),
    reloads=True,
).script()
CRON = Daemon(
    "cron",
    "Daemon to execute scheduled commands",
    "/var/run/cron.pid",
    _before_cron,
    keywords=frozenset({Keyword.SHUTDOWN}),
).script()
