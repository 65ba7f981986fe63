"""One command running for somebody: a `Session` (session.py) over a conversation with a native agent.

The agent is the process that was started as `ifconfig`, `jail`, … in the lab, or that `vjail` became outside it. What
the command writes, the agent writes; what it starts, the agent starts, so that terminals, process groups and signals
are those of whoever typed it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from signal import SIGKILL, pidfd_send_signal
from typing import TYPE_CHECKING

from vjail.command import registry
from vjail.command.jail import jail
from vjail.jail.events import Events
from vjail.kernel.core.host import View
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.conversation import (
    DETACHED,
    FORKS,
    INTERACTIVE,
    Child,
    Conversation,
    ConversationClosed,
    ProgramError,
)
from vjail.kernel.linux.enter import CHDIR, DEFAULT_PATH, EXEC, Execution
from vjail.kernel.linux.files import RootedFiles
from vjail.kernel.linux.program import Program
from vjail.kernel.linux.syscalls import pidfd_open
from vjail.server.processes import numbers
from vjail.session import (
    Echo,
    EchoOptions,
    Exit,
    Output,
    Process,
    ProcessInfo,
    Quit,
    Running,
    Session,
    StartError,
)

if TYPE_CHECKING:
    from vjail.server.host import LabHost

_JAIL = "/usr/sbin/jail"
_WAITING = 64
"""Signals that may wait until a command looks at them; the kernel keeps one of a kind."""
_IDENTITY = {"setgroups": "initgroups", "setresgid": "setgid", "setresuid": "setusercontext"}
"""What FreeBSD's jail(8) and jexec(8) do where a process here becomes another user."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who talks: the jail it is in (0: the host), whether it is outside the lab, its user, number and words.

    `at` is the jail its agent's process is in: with commands that jexec(8) carries out in a jail the caller's own.
    """

    jid: int
    at: int
    outside: bool
    uid: int
    gid: int
    pid: int
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: str
    terminals: int = 0


class Signals:
    """The signals that reach a command; while nobody asks for them they do what signals do: end it."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[int] = asyncio.Queue()
        self.heeded = False
        """Whether the command asks for its signals."""

    def arrived(self, signal: int) -> None:
        """One has arrived."""
        if self._arrived.qsize() < _WAITING:
            self._arrived.put_nowait(signal)

    def next(self) -> Awaitable[int]:
        """The next one."""
        self.heeded = True
        return self._arrived.get()


@dataclass(frozen=True, slots=True)
class Streams:
    """A command's streams, shared with the commands that it calls: those of its agent, or with `output` a file's.

    `heard` is told besides what is written: to which of the two streams, and the text.
    """

    conversation: Conversation
    input: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    signals: Signals = field(default_factory=Signals)
    output: int | None = None
    heard: Callable[[int, str], None] | None = None

    def to_file(self, output: int, heard: Callable[[int, str], None] | None = None) -> Streams:
        """The same, but that both outputs go to a file."""
        return replace(self, output=output, heard=heard)

    def write(self, fd: int, text: str) -> None:
        """Write to standard output (1) or error (2)."""
        data = text.encode(errors="surrogateescape")
        if self.output is None:
            self.conversation.write(fd, data)
        else:
            os.write(self.output, data)
        if self.heard is not None:
            self.heard(fd, text)


class AgentSession:
    """A command's process, as far as it is one."""

    def __init__(self, host: LabHost, caller: Caller, streams: Streams, events: Events | None = None) -> None:
        """`events` is told of what happens to jails on the way, whichever command it is that starts or stops them."""
        self._host = host
        self._caller = caller
        self._streams = streams
        self.events = events

    @property
    def argv(self) -> Sequence[str]:
        """The words, the name it was called by first (without its directory)."""
        return self._caller.argv

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment it was called with."""
        return self._caller.environ

    @property
    def cwd(self) -> str:
        """The working directory in its own root."""
        return self._caller.cwd

    @property
    def uid(self) -> int:
        """The caller's user id, inside its jail."""
        return self._caller.uid

    @property
    def pid(self) -> int:
        """The command's own process number."""
        return self._caller.pid

    @property
    def system(self) -> View:
        """The kernel."""
        return self._host.kernel.view(self._caller.jid, superuser=self.uid == 0)

    @property
    def files(self) -> RootedFiles:
        """The files of its own root."""
        return RootedFiles(self._host.root_of(self._caller.jid), self._caller.cwd, self._user)

    @property
    def _user(self) -> tuple[int, int]:
        return self._caller.uid, self._caller.gid

    def isatty(self, fd: int) -> bool:
        """Whether its descriptor 0, 1 or 2 is a terminal."""
        return bool(self._caller.terminals >> fd & 1)

    def out(self, text: str) -> None:
        """Write to standard output."""
        self._streams.write(1, text)

    def err(self, text: str) -> None:
        """Write to standard error."""
        self._streams.write(2, text)

    async def read_input(self) -> bytes:
        """All of standard input."""
        pieces: list[bytes] = []
        while True:
            self._streams.conversation.ask_input()
            piece = await self._streams.input.get()
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)

    async def start(self, process: Process) -> Running:
        """Start a process. Raises StartError."""
        try:
            child = await self._spawn(process)
        except ProgramError as error:
            raise _start_error(process, error) from None
        except KernelError as error:
            raise StartError("jail_attach", error.errno.text) from None
        except ConversationClosed:
            raise StartError("fork", Errno.ECHILD.text) from None
        return AgentProcess(self._streams.conversation, child, stands_for_caller=process.interactive)

    async def _spawn(self, process: Process) -> Child:
        self._host.settle()
        target = process.jid or self._caller.jid
        elsewhere = self._caller.outside or target != self._caller.at
        jail = self._host.jails.held(target) if elsewhere and target else nullcontext()
        with self._opened(process.output) as output, jail:
            execution = Execution(
                process.argv,
                self._caller.environ if process.environ is None else process.environ,
                cwd=process.cwd or (("/" if target != self._caller.jid else self._caller.cwd) if elsewhere else None),
                user=process.user,
                output=output,
                session=process.detached,
                interactive=process.interactive,
            )
            flags = (FORKS if elsewhere else 0) | (DETACHED if process.detached else 0)
            flags |= INTERACTIVE if process.interactive else 0
            child = self._streams.conversation.spawn(self._program(execution, target, elsewhere), flags=flags)
            await child.started
            if target and child.pidfd >= 0:
                self._host.jails.entered(target, os.dup(child.pidfd))
        return child

    @contextmanager
    def _opened(self, output: Output | str) -> Iterator[int | None]:
        """The descriptor that both streams go to; None: each to where this session's goes."""
        if output is Output.SESSION:
            yield self._streams.output
            return
        path = "/dev/null" if output is Output.NULL else output
        fd = self.files.open_append(path) if isinstance(output, str) else os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def _program(self, execution: Execution, target: int, elsewhere: bool) -> Program:
        if elsewhere and self._caller.at and not self._caller.outside:
            # A jail's process is given no way into another jail, not even one below it.
            raise KernelError(Errno.EPERM)
        return self._host.program(execution, target, elsewhere=elsewhere, outside=self._caller.outside)

    async def call(
        self,
        argv: Sequence[str],
        *,
        jid: int = 0,
        environ: Mapping[str, str] | None = None,
        output: Output | str = Output.SESSION,
    ) -> int:
        """Run a command line of the base system in this process, without a fork; its exit code."""
        path = registry.answering(argv[0])
        if path is None:
            raise KeyError(argv[0])
        target = jid or self._caller.jid
        if target != self._caller.jid:
            try:
                self._host.prisons.check_attach(self._host.kernel.view(self._caller.jid).caller, target, self.uid)
            except KernelError as error:
                raise StartError("jail_attach", error.errno.text) from None
        caller = replace(
            self._caller,
            jid=target,
            argv=(os.path.basename(argv[0]), *argv[1:]),
            environ=self._caller.environ if environ is None else environ,
            cwd=self._caller.cwd if target == self._caller.jid else "/",
        )
        with self._opened(output) as fd:
            # What a command says into a file of its own, only that file hears.
            elsewhere = output is not Output.SESSION and fd is not None
            streams = self._streams.to_file(fd) if elsewhere and fd is not None else self._streams
            return await run(AgentSession(self._host, caller, streams, self.events), path)

    def resolves(self, argv0: str, jid: int, environ: Mapping[str, str]) -> bool:
        """Whether a command's name, looked up in that jail's root and PATH, leads to one of vjail's own."""
        if registry.answering(argv0) is None:
            return False
        return self._host.is_client(jid or self._caller.jid, argv0, environ.get("PATH", DEFAULT_PATH))

    def files_in(self, jid: int) -> RootedFiles:
        """The files as a process of jail `jid` sees them."""
        return RootedFiles(self._host.root_of(jid or self._caller.jid), user=self._user)

    def running(self, jid: int) -> Sequence[Running]:
        """The processes whose jail is exactly `jid`, the newest first."""
        level = 2 if self._caller.jid else 1
        found = (LabProcess.of(pid, level) for pid in self._host.newest_first(jid))
        return [process for process in found if process is not None]

    def echo(self, family: int, options: EchoOptions) -> Echo:
        """A raw ICMP (family 4) or ICMPv6 (6) socket. Raises KernelError(EPERM) where the jail may not have one."""
        from vjail.server.echo import RawEcho  # only ping and traceroute need it

        return RawEcho(self._host, self._caller.jid, family, options)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        self._host.settle()
        await asyncio.sleep(seconds)

    def time(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that only goes forward."""
        return time.monotonic()

    def processes(self) -> Sequence[ProcessInfo]:
        """The processes the caller may see."""
        return self._host.processes(self._caller.jid)

    def signals(self) -> Awaitable[int]:
        """The next signal the command is sent."""
        return self._streams.signals.next()


class AgentProcess:
    """A process that the agent started."""

    def __init__(self, conversation: Conversation, child: Child, *, stands_for_caller: bool) -> None:
        """`stands_for_caller`: it is what the command that asked for it has become, as with jexec(8)."""
        self._conversation = conversation
        self._child = child
        self._stands_for_caller = stands_for_caller

    @property
    def pid(self) -> int:
        """Its number, as the agent's process namespace has it."""
        return self._child.pid

    async def wait(self) -> Exit:
        """Wait for its end."""
        try:
            status = await asyncio.shield(self._child.ended)
        except ConversationClosed:
            self._end()
            return Exit(1)
        except asyncio.CancelledError:
            self._end()
            raise
        finally:
            self._child.close()
        code = os.waitstatus_to_exitcode(status)
        return Exit(code) if code >= 0 else Exit(128 - code, -code)

    def _end(self) -> None:
        """Whoever asked for it has gone: kill it where both are one process on FreeBSD.

        What jail(8) has started goes on when jail(8) gives it up (exec.timeout) or ends.
        """
        if self._stands_for_caller and self._child.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                pidfd_send_signal(self._child.pidfd, SIGKILL)

    def kill(self, signal: int) -> None:
        """Send it a signal; no error where it is gone."""
        self._conversation.kill(self._child, signal)


class LabProcess:
    """A process of the lab that somebody else started."""

    def __init__(self, pidfd: int, shown: int) -> None:
        """`pidfd` is this object's to close, `shown` the number that who asks knows the process by."""
        self.pid = shown
        self._pidfd: int | None = pidfd

    @classmethod
    def of(cls, pid: int, level: int) -> LabProcess | None:
        """The process of that number in the lab, for who is `level` process namespaces below it; None: it has gone."""
        try:
            pidfd = pidfd_open(pid)
        except ProcessLookupError:
            return None
        known = numbers(pid)
        if len(known) <= level:
            os.close(pidfd)
            return None
        return cls(pidfd, known[level])

    async def wait(self) -> Exit:
        """Wait for its end; how it ended is not known."""
        if self._pidfd is not None:
            loop = asyncio.get_running_loop()
            ended = asyncio.Event()
            loop.add_reader(self._pidfd, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(self._pidfd)
                self._close()
        return Exit(0)

    def kill(self, signal: int) -> None:
        """Send it a signal; no error where it is gone."""
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                pidfd_send_signal(self._pidfd, signal)

    def _close(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def __del__(self) -> None:
        self._close()


async def run(session: AgentSession, path: str) -> int:
    """Run the command that answers at `path`; a Quit becomes its message and exit code."""
    function: Callable[[Session], object] = registry.load(path)
    if path == _JAIL and session.events is not None:
        function = partial(jail, events=session.events)
    try:
        outcome = function(session)
        if isinstance(outcome, Awaitable):
            outcome = await outcome
    except Quit as leave:
        if leave.text is not None:
            session.err(f"{session.argv[0]}: {leave.text}\n")
        return leave.code
    assert isinstance(outcome, int)
    return outcome


def _start_error(process: Process, error: ProgramError) -> StartError:
    stages = {EXEC: "exec", CHDIR: "chdir", **_IDENTITY}
    stage = stages.get(error.step, "jail_attach" if process.jid else error.step)
    return StartError(stage, Errno.of_host(error.code).text)
