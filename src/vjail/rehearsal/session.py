"""One command on a host in memory: a `Session` (session.py) whose processes are those the model knows.

What starts: vjail's own commands at FreeBSD's paths, sh(1) and the small programs it knows (command/sh), daemons, which
stay until they are killed, and what the lab was given as `programs`. A command runs to its end before whoever started
it goes on; only what sleeps lets others run meanwhile. Anything else raises NotModelled.
"""

from __future__ import annotations

import inspect
import posixpath
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from vjail.command import registry
from vjail.command.jail import jail
from vjail.command.sh import NotModelled, Shell, Streams
from vjail.command.sh.tools import TOOLS
from vjail.jail.events import Events
from vjail.kernel.core.host import View
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.model.files import SessionFiles
from vjail.kernel.model.host import ModelHost
from vjail.kernel.model.jails import Resident
from vjail.rehearsal.echo import ModelEcho
from vjail.rehearsal.programs import PROGRAMS, seconds
from vjail.rehearsal.tree import COMMAND, DAEMONS
from vjail.session import (
    Echo,
    EchoOptions,
    Exit,
    FileKind,
    Lacking,
    Output,
    Process,
    ProcessInfo,
    Quit,
    Running,
    Session,
    StartError,
)

if TYPE_CHECKING:
    from vjail.rehearsal.lab import Rehearsal

_DEFAULT_PATH = "/usr/bin:/bin"
"""Where execvp(3) looks without PATH (_PATH_DEFPATH)."""
_JAIL = "/usr/sbin/jail"
_SLEEP = "sleep"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command runs: on which host, in which jail (0: the host itself), as whom."""

    lab: Rehearsal
    host: ModelHost
    jid: int = 0
    uid: int = 0
    events: Events | None = None


@dataclass(slots=True)
class ModelSession:
    """A command's process."""

    place: Place
    argv: Sequence[str]
    environ: Mapping[str, str]
    cwd: str
    streams: Streams
    pid: int = 0
    echoes: list[ModelEcho] = field(default_factory=list)

    @property
    def uid(self) -> int:
        """The caller's user id."""
        return self.place.uid

    @property
    def system(self) -> View:
        """The kernel."""
        return self.place.host.kernel.view(self.place.jid, superuser=self.uid == 0)

    @property
    def files(self) -> SessionFiles:
        """The files of its own root."""
        return self.place.host.files_of(self.place.jid, self.cwd)

    def files_in(self, jid: int) -> SessionFiles:
        """The files as a process of jail `jid` sees them."""
        return self.place.host.files_of(jid or self.place.jid)

    def isatty(self, fd: int) -> bool:
        """Nobody sits at a terminal."""
        return False

    def out(self, text: str) -> None:
        """Write to standard output."""
        self.streams.out(text)

    def err(self, text: str) -> None:
        """Write to standard error."""
        self.streams.err(text)

    async def read_input(self) -> bytes:
        """All of standard input."""
        text, self.streams.input = self.streams.input, ""
        return text.encode(errors="surrogateescape")

    # --- starting others --------------------------------------------------------------------------------------------

    async def start(self, process: Process) -> Running:
        """Start a process. Raises StartError, NotModelled."""
        child = self._child(process)
        path = child.find(process.argv[0])
        host, place = self.place.host, child.place
        if path is None:
            if not self.place.lab.may_have(process.argv[0]):
                raise StartError("exec", Errno.ENOENT.text)
            path = process.argv[0]
        now = host.clock.monotonic()
        note = partial(host.jails.begin, process.argv, place.jid, now, place.uid)
        if path in DAEMONS:
            return ModelProcess(self.place, note(None))
        if process.detached and posixpath.basename(path) == _SLEEP:
            return ModelProcess(self.place, note(now + seconds(process.argv)))
        stopped = self._stopped(process.argv, child)
        code = await child.as_process(path) if stopped is None else stopped
        return ModelProcess(self.place, Resident(child.pid, place.jid, process.argv, now, code=code))

    def _child(self, process: Process) -> ModelSession:
        jid = self._enter(process.jid)
        uid = self.uid if process.user is None else process.user.uid
        return ModelSession(
            replace(self.place, jid=jid, uid=uid),
            process.argv,
            self.environ if process.environ is None else process.environ,
            process.cwd or (self.cwd if jid == self.place.jid else "/"),
            self._streams(process.output),
        )

    def _enter(self, jid: int) -> int:
        if jid and jid != self.place.jid:
            try:
                self.place.host.prisons.check_attach(self.system.caller, jid, self.uid)
            except KernelError as error:
                raise StartError("jail_attach", error.errno.text) from None
        return jid or self.place.jid

    def _streams(self, output: Output | str) -> Streams:
        if output is Output.SESSION:
            return self.streams
        if output is Output.NULL:
            return Streams(_nowhere, _nowhere, self.streams.input)
        append = partial(_append, self.files, str(output))
        return Streams(append, append, self.streams.input)

    def find(self, name: str) -> str | None:
        """The path of the program called `name`, looked up along PATH in its own root; None: there is none."""
        candidates = [name] if "/" in name else _along(self.environ.get("PATH", _DEFAULT_PATH), name)
        for candidate in candidates:
            try:
                if self.files.kind(candidate) is FileKind.FILE and self.files.mode(candidate) & 0o111:
                    return posixpath.normpath(posixpath.join(self.cwd, candidate))
            except KernelError:
                continue
        if posixpath.basename(name) in PROGRAMS and self.place.lab.may_have(name):
            return candidates[0]
        return None

    async def execute_shell(self, script: str) -> int:
        """Be a shell that runs a script. Raises NotModelled."""
        shell = Shell(World(self), self.environ, cwd=self.cwd, pid=self.pid or None)
        return await shell.run(script, self.streams)

    async def execute(self, path: str) -> int:
        """Be the program at `path`. Raises NotModelled."""
        name = posixpath.basename(path)
        given = self.place.lab.program(path)
        if given is not None:
            self.argv = (name, *self.argv[1:])
            return await self._outcome(given)
        if self._is_command(path):
            answering = registry.answering(path) or registry.answering(name)
            assert answering is not None
            self.argv = (name, *self.argv[1:])
            return await self._answer(answering)
        if name == "sh" and (script_path := _lacking_script(self)) is not None:
            raise NotModelled(f"the script {script_path}")
        if name == "sh" or name in TOOLS:
            shell = Shell(World(self), self.environ, cwd=self.cwd, pid=self.pid or None)
            return await shell.call((path, *self.argv[1:]), self.streams, function=False)
        try:
            script = self.files.read(path)
        except KernelError:
            script = b""
        if script.startswith(b"#!/bin/sh"):
            shell = Shell(
                World(self), self.environ, cwd=self.cwd, name=path, positional=self.argv[1:], pid=self.pid or None
            )
            return await shell.run(script.decode(errors="surrogateescape"), self.streams)
        raise NotModelled(f"the program {path}")

    def stay(self, argv: tuple[str, ...]) -> None:
        """Leave a process in the jail (on the host) that stays until it is killed."""
        host = self.place.host
        host.jails.begin(argv, self.place.jid, host.clock.monotonic(), self.place.uid, None)

    async def as_process(self, path: str) -> int:
        """Be the program at `path`, as a process of its own. Raises NotModelled."""
        host = self.place.host
        resident = host.jails.begin(tuple(self.argv), self.place.jid, host.clock.monotonic(), self.place.uid, None)
        self.pid = resident.pid
        try:
            code = await self.execute(path)
        except NotModelled as unknown:
            code = self.place.lab.doubt(unknown, self.place.jid)
            if self.place.jid:
                self.stay(tuple(self.argv))  # it may be a daemon
        finally:
            host.jails.exit(resident)
        return 128 + resident.killed if resident.killed else code

    def _is_command(self, path: str) -> bool:
        try:
            return self.files.read(path) == COMMAND
        except KernelError:
            return False

    async def _answer(self, path: str) -> int:
        function: Callable[[Session], object] = registry.load(path)
        if path == _JAIL and self.place.events is not None:
            function = partial(jail, events=self.place.events)
        self.pid = self.pid or self.place.host.jails.next_pid()
        return await self._outcome(function)

    async def _outcome(self, function: Callable[[ModelSession], object]) -> int:
        """What a command exits with; one that vjail lacks is a doubt where the lab keeps count of them."""
        try:
            outcome = function(self)
            if inspect.isawaitable(outcome):
                outcome = await outcome
        except Quit as leave:
            if isinstance(leave, Lacking) and self.place.lab.doubts is not None:
                return self.place.lab.doubt(NotModelled(" ".join(self.argv)), self.place.jid)
            if leave.text is not None:
                self.err(f"{self.argv[0]}: {leave.text}\n")
            return leave.code
        assert isinstance(outcome, int)
        return outcome

    async def call(
        self,
        argv: Sequence[str],
        *,
        jid: int = 0,
        environ: Mapping[str, str] | None = None,
        output: Output | str = Output.SESSION,
    ) -> int:
        """Run a command line of the base system in this process; its exit code."""
        path = registry.answering(argv[0])
        if path is None:
            raise KeyError(argv[0])
        child = self._child(Process(tuple(argv), jid=jid, environ=environ, output=output))
        if (stopped := self._stopped(argv, child)) is not None:
            return stopped
        child.argv = (posixpath.basename(argv[0]), *argv[1:])
        return await (child.execute(path) if path in self.place.lab.programs else child._answer(path))

    def _stopped(self, argv: Sequence[str], child: ModelSession) -> int | None:
        """What a command that is made to fail on purpose exits with."""
        interfere = self.place.lab.interfere
        return None if interfere is None else interfere(argv, child.place.jid)

    def resolves(self, argv0: str, jid: int, environ: Mapping[str, str]) -> bool:
        """Whether a command's name, looked up in that jail's root and PATH, leads to one of vjail's own."""
        if registry.answering(argv0) is None:
            return False
        there = replace(self.place, jid=jid or self.place.jid)
        session = ModelSession(there, (argv0,), environ, "/", self.streams)
        path = session.find(argv0)
        return path is not None and session._is_command(path)

    # --- processes, time, packets -----------------------------------------------------------------------------------

    def running(self, jid: int) -> Sequence[Running]:
        """The processes whose jail is exactly `jid`, the newest first."""
        return [ModelProcess(self.place, resident) for resident in self.place.host.jails.of(jid)]

    def reachable(self) -> Sequence[Running]:
        """The processes the caller may send signals to."""
        return [ModelProcess(self.place, each) for each in self._seen()]

    def _seen(self) -> list[Resident]:
        """The processes of its own jail and of those below; on the host all."""
        own, host = self.place.jid, self.place.host
        there = host.jails.processes.values()
        if own == 0:
            return list(there)
        below = {each.jid for each in there} if host.prisons.children(own) else set()
        jids = {own, *(jid for jid in below if host.prisons.is_descendant(jid, own))}
        return [each for each in there if each.jid in jids]

    def processes(self) -> Sequence[ProcessInfo]:
        """The processes the caller may see."""
        host = self.place.host
        since = host.clock.time() - host.clock.monotonic()
        return [
            ProcessInfo(
                each.pid,
                1,
                each.jid,
                posixpath.basename(each.argv[0]),
                each.argv,
                each.uid,
                "root" if each.uid == 0 else str(each.uid),
                None,
                "SJ" if each.jid else "S",
                since + each.started,
                0.0,
                4 << 20,
                16 << 20,
            )
            for each in self._seen()
        ]

    def echo(self, family: int, options: EchoOptions) -> Echo:
        """A raw ICMP (family 4) or ICMPv6 (6) socket. Raises KernelError(EPERM) where the jail may not have one."""
        return ModelEcho(self.place.lab.fabric, self.place.host, self.place.jid, family, options)

    async def sleep(self, seconds: float) -> None:
        """Wait: the lab's time passes."""
        await self.place.lab.sleep(seconds)

    def monotonic(self) -> float:
        """Seconds on the lab's clock."""
        return self.place.host.clock.monotonic()

    def time(self) -> float:
        """Unix time in seconds."""
        return self.place.host.clock.time()

    def signals(self) -> Awaitable[int]:
        """Nobody sends any."""
        return self.place.lab.never()


class ModelProcess:
    """A process that was started: over already, or one that stays."""

    def __init__(self, place: Place, resident: Resident) -> None:
        self._place = place
        self._resident = resident

    @property
    def pid(self) -> int:
        """Its number."""
        return self._resident.pid

    async def wait(self) -> Exit:
        """Wait for its end. Raises NotModelled where it has none."""
        resident = self._resident
        if not resident.is_over and resident.ends is not None:
            await self._place.lab.sleep(resident.ends - self._place.host.clock.monotonic())
        if not resident.is_over:
            raise NotModelled(f"the end of {' '.join(resident.argv)}")
        if resident.killed:
            return Exit(128 + resident.killed, resident.killed)
        return Exit(resident.code or 0)

    def kill(self, signal: int) -> None:
        """Send it a signal."""
        self._place.host.jails.signal(self._resident, signal)


class World:
    """What a shell sees: the programs of the session's host."""

    def __init__(self, session: ModelSession) -> None:
        self._session = session

    @property
    def files(self) -> SessionFiles:
        """The files of the shell's root."""
        return self._session.files_in(0)

    async def run(self, argv: Sequence[str], environ: Mapping[str, str], cwd: str, streams: Streams) -> int | None:
        """Run a program to its end; None: the shell knows it itself, or there is none."""
        session = ModelSession(self._session.place, argv, environ, cwd, streams)
        name = posixpath.basename(argv[0])
        path = session.find(argv[0])
        if path is None:
            if name in TOOLS or not session.place.lab.may_have(argv[0]):
                return None
            path = argv[0]
        if path in DAEMONS:
            await session.start(Process(tuple(argv), environ=environ, cwd=cwd, detached=True))
            return 0
        if (stopped := session._stopped(argv, session)) is not None:
            return stopped
        if session.place.lab.program(path) is None and (name == "sh" or name in TOOLS):
            if name == "sh" and (script := _lacking_script(session)) is not None:
                return session.place.lab.doubt(NotModelled(f"the script {script}"), session.place.jid)
            return None
        return await session.as_process(path)


def _lacking_script(session: ModelSession) -> str | None:
    """The script that sh(1) is told to run, where it is not here and the real host may have it."""
    for word in session.argv[1:]:
        if not word.startswith("-"):
            lacks = session.files.kind(word) is None and session.place.lab.may_have_script(word)
            return word if lacks else None
        if "c" in word:
            break
    return None


def _along(path: str, name: str) -> list[str]:
    return [f"{folder or '.'}/{name}" for folder in path.split(":")]


def _append(files: SessionFiles, path: str, text: str) -> None:
    files.write(path, text.encode(errors="surrogateescape"), append=True)


def _nowhere(text: str) -> None:
    """Keep nothing."""
