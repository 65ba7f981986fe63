"""One command running for somebody: a `Session` (command/base.py) over a conversation with a native agent.

The agent is the process that was started as `ifconfig`, `jail`, … in the lab, or that `vjail` became outside it. What
the command writes, the agent writes; what it starts, the agent starts, so that terminals, process groups and signals
are those of whoever typed it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vjail.command import registry
from vjail.command.base import Echo, EchoOptions, Exit, Output, Process, ProcessInfo, Quit, Running, StartError
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
from vjail.kernel.linux.enter import CHDIR, EXEC, Execution
from vjail.kernel.linux.files import RootedFiles
from vjail.kernel.linux.program import Program
from vjail.server.echo import RawEcho

if TYPE_CHECKING:
    from vjail.server.host import LabHost


@dataclass(frozen=True, slots=True)
class Caller:
    """Who talks: the jail it is in (0: the host), whether it is outside the lab, its user, number and words."""

    jid: int
    outside: bool
    uid: int
    pid: int
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: str
    terminals: int = 0


@dataclass(slots=True)
class Streams:
    """A conversation as a command's streams, shared by the commands that it calls."""

    conversation: Conversation
    input: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    signals: asyncio.Queue[int] = field(default_factory=asyncio.Queue)


class AgentSession:
    """A command's process, as far as it is one."""

    def __init__(self, host: LabHost, caller: Caller, streams: Streams) -> None:
        self._host = host
        self._caller = caller
        self._streams = streams

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
        return self._host.kernel.view(self._caller.jid)

    @property
    def files(self) -> RootedFiles:
        """The files of its own root."""
        return RootedFiles(self._host.root_of(self._caller.jid), self._caller.cwd)

    def isatty(self, fd: int) -> bool:
        """Whether its descriptor 0, 1 or 2 is a terminal."""
        return bool(self._caller.terminals >> fd & 1)

    def out(self, text: str) -> None:
        """Write to standard output."""
        self._streams.conversation.write(1, text.encode(errors="surrogateescape"))

    def err(self, text: str) -> None:
        """Write to standard error."""
        self._streams.conversation.write(2, text.encode(errors="surrogateescape"))

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
            # The last other process of a jail may end just when one goes in, and its process namespace with it.
            if not (process.jid and error.step == "fork" and error.code == 12):
                raise _start_error(process, error) from None
            self._host.jails.lost_init(process.jid)
            try:
                child = await self._spawn(process)
            except ProgramError as again:
                raise _start_error(process, again) from None
        except KernelError as error:
            raise StartError("jail_attach", error.errno.text) from None
        return AgentProcess(self._streams.conversation, child)

    async def _spawn(self, process: Process) -> Child:
        target = process.jid or self._caller.jid
        output: int | None = None
        if isinstance(process.output, str):
            output = self.files.open_append(process.output)
        elif process.output is Output.NULL:
            output = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        elsewhere = self._caller.outside or target != self._caller.jid
        execution = Execution(
            process.argv,
            self._caller.environ if process.environ is None else process.environ,
            cwd=process.cwd or (("/" if target != self._caller.jid else self._caller.cwd) if elsewhere else None),
            user=process.user,
            output=output,
            session=process.detached,
        )
        flags = (FORKS if elsewhere else 0) | (DETACHED if process.detached else 0)
        flags |= INTERACTIVE if process.interactive else 0
        try:
            program = self._program(execution, target, elsewhere)
            child = self._streams.conversation.spawn(program, flags=flags)
            await child.started
        finally:
            if output is not None:
                os.close(output)
        if target and child.pidfd >= 0:
            self._host.jails.entered(target, os.dup(child.pidfd))
        return child

    def _program(self, execution: Execution, target: int, elsewhere: bool) -> Program:
        if elsewhere and self._caller.jid and not self._caller.outside:
            # A jail's process is given no way into another jail, not even one below it.
            raise KernelError(Errno.EPERM)
        return self._host.program(execution, target, elsewhere=elsewhere, outside=self._caller.outside)

    async def call(self, argv: Sequence[str], *, jid: int = 0, environ: Mapping[str, str] | None = None) -> int:
        """Run a command line of the base system in this process, without a fork; its exit code."""
        path = argv[0] if argv[0] in registry.PATHS else registry.by_name(os.path.basename(argv[0]))
        if path is None:
            raise KeyError(argv[0])
        target = jid or self._caller.jid
        caller = Caller(
            jid=target,
            outside=self._caller.outside,
            uid=self._caller.uid,
            pid=self._caller.pid,
            argv=(os.path.basename(argv[0]), *argv[1:]),
            environ=self._caller.environ if environ is None else environ,
            cwd=self._caller.cwd if target == self._caller.jid else "/",
            terminals=self._caller.terminals,
        )
        return await run(AgentSession(self._host, caller, self._streams), path)

    def resolves(self, argv0: str, jid: int = 0, environ: Mapping[str, str] | None = None) -> bool:
        """Whether a command's name, looked up in that jail's root and PATH, leads to one of vjail's own."""
        target = jid or self._caller.jid
        path = (self._caller.environ if environ is None else environ).get("PATH", "/usr/bin:/bin")
        return self._host.is_client(target, argv0, path)

    def echo(self, family: int, options: EchoOptions) -> Echo:
        """A raw ICMP (family 4) or ICMPv6 (6) socket. Raises KernelError(EPERM) where the jail may not have one."""
        return RawEcho(self._host, self._caller.jid, family, options)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def monotonic(self) -> float:
        """Seconds on a clock that only goes forward."""
        return time.monotonic()

    def processes(self) -> Sequence[ProcessInfo]:
        """The processes the caller may see."""
        return self._host.processes(self._caller.jid)

    def signals(self) -> Awaitable[int]:
        """The next signal the command is sent."""
        return self._streams.signals.get()


class AgentProcess:
    """A process that the agent started."""

    def __init__(self, conversation: Conversation, child: Child) -> None:
        self._conversation = conversation
        self._child = child

    @property
    def pid(self) -> int:
        """Its number, as the agent's process namespace has it."""
        return self._child.pid

    async def wait(self) -> Exit:
        """Wait for its end."""
        try:
            status = await asyncio.shield(self._child.ended)
        except ConversationClosed:
            return Exit(1)
        finally:
            self._child.close()
        code = os.waitstatus_to_exitcode(status)
        return Exit(code) if code >= 0 else Exit(128 - code, -code)

    def kill(self, signal: int) -> None:
        """Send it a signal; no error where it is gone."""
        self._conversation.kill(self._child, signal)


async def run(session: AgentSession, path: str) -> int:
    """Run the command that answers at `path`; a Quit becomes its message and exit code."""
    function: Callable[[AgentSession], object] = registry.load(path)
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
    stage = {EXEC: "exec", CHDIR: "chdir"}.get(error.step, "jail_attach" if process.jid else error.step)
    return StartError(stage, Errno.of_host(error.code).text)
