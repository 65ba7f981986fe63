"""Talking to a native agent: one SOCK_SEQPACKET connection, one message a letter and its body (native/agent.c).

The other end carries out programs, writes what it is told, and says what became of them. A `Conversation` is used from
the server's event loop only; sending never blocks, what the socket does not take waits in order.
"""

from __future__ import annotations

import array
import asyncio
import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vjail.kernel.linux.program import Program

_ROOM = 1 << 18
_LARGEST = 192 << 10
_CHUNK = 32 << 10
INTERACTIVE, DETACHED, FORKS = 1, 2, 4


class ProgramError(Exception):
    """A program's step failed: `step` is its name, `code` Linux's errno."""

    def __init__(self, step: str, code: int) -> None:
        super().__init__(f"{step}: {os.strerror(code)}")
        self.step = step
        self.code = code


class ConversationClosed(Exception):
    """The agent has gone."""


@dataclass(slots=True)
class Child:
    """A program that an agent runs. `pid` is as the agent numbers processes, `pidfd` of the process it became."""

    identity: int
    names: Sequence[str]
    started: asyncio.Future[None]
    ended: asyncio.Future[int]
    pid: int = 0
    pidfd: int = -1
    reports: deque[tuple[int, int, int]] = field(default_factory=deque)
    waiter: asyncio.Future[tuple[int, int, int]] | None = None

    async def reported(self) -> tuple[int, int, int]:
        """The next report: step, value, pid. Raises ProgramError where the program failed instead."""
        if self.reports:
            return self.reports.popleft()
        if self.started.done():
            self.started.result()
        self.waiter = asyncio.get_running_loop().create_future()
        return await self.waiter

    def close(self) -> None:
        """Give the pidfd back."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


class Conversation:
    """One connection with an agent."""

    def __init__(self, connection: socket.socket, *, on_message: Callable[[bytes, bytes], None] | None = None) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._on_message = on_message
        self._children: dict[int, Child] = {}
        self._next = 1
        self._queue: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._drained: asyncio.Future[None] | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._socket.fileno(), self._readable)

    # --- sending -----------------------------------------------------------------------------------------------------

    def write(self, fd: int, data: bytes) -> None:
        """Write to the agent's standard output (1) or error (2)."""
        for at in range(0, len(data), _CHUNK):
            self._send(b"O" + bytes((fd,)) + data[at : at + _CHUNK])

    def ask_input(self) -> None:
        """Ask for a piece of the agent's standard input; it comes as message `I`, empty at its end."""
        self._send(b"R")

    def exit(self, code: int, signal: int = 0) -> None:
        """Tell the agent to end so."""
        self._send(b"E" + struct.pack("=II", code & 0xFF, signal))

    def spawn(self, program: Program, *, flags: int = 0) -> Child:
        """Run a program. `started` is done when it has become its executable or ended, `ended` with its wait status."""
        child = Child(self._next, tuple(program.names), self._loop.create_future(), self._loop.create_future())
        self._next += 1
        self._children[child.identity] = child
        # Nobody need look at every outcome.
        for future in (child.started, child.ended):
            future.add_done_callback(lambda f: f.cancelled() or f.exception())
        body = b"S" + struct.pack("=II", child.identity, flags) + program.encode()
        if self.closed.done():
            self._fail(child, ConversationClosed())
        elif len(body) > _LARGEST:
            # More words and environment than a message takes; execve(2) has a limit of its own.
            self._fail(child, ProgramError("execve", errno.E2BIG))
            del self._children[child.identity]
        else:
            self._send(body, tuple(program.descriptors))
        return child

    def proceed(self, child: Child) -> None:
        """Let a program that waits go on."""
        self._send(b"W" + struct.pack("=I", child.identity))

    def kill(self, child: Child, signal: int) -> None:
        """Send a program's process a signal."""
        self._send(b"K" + struct.pack("=II", child.identity, signal))

    async def drain(self) -> None:
        """Wait until what was sent has been taken."""
        while self._queue and not self.closed.done():
            if self._drained is None:
                self._drained = self._loop.create_future()
            await self._drained

    def _send(self, body: bytes, descriptors: tuple[int, ...] = ()) -> None:
        if self.closed.done():
            return
        if self._queue:
            self._queue.append((body, tuple(os.dup(fd) for fd in descriptors)))
            return
        try:
            self._send_now(body, descriptors)
        except BlockingIOError:
            self._queue.append((body, tuple(os.dup(fd) for fd in descriptors)))
            self._loop.add_writer(self._socket.fileno(), self._writable)
        except OSError:
            self.close()

    def _send_now(self, body: bytes, descriptors: tuple[int, ...]) -> None:
        ancillary = []
        if descriptors:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self._socket.sendmsg([body], ancillary, socket.MSG_NOSIGNAL)

    def _writable(self) -> None:
        while self._queue:
            body, descriptors = self._queue[0]
            try:
                self._send_now(body, descriptors)
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            self._queue.popleft()
            for fd in descriptors:
                os.close(fd)
        self._loop.remove_writer(self._socket.fileno())
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    # --- receiving ---------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        # Several messages a turn, but not so many that others starve.
        for _ in range(64):
            try:
                data, ancillary, _, _ = self._socket.recvmsg(_ROOM, socket.CMSG_SPACE(4 * 8), socket.MSG_CMSG_CLOEXEC)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data, ancillary = b"", []
            if not data:
                self.close()
                return
            descriptors = _descriptors(ancillary)
            try:
                self._take(data[:1], data[1:], descriptors)
            except (struct.error, IndexError):
                # Whoever runs inside a jail may speak in the agent's place, and say anything.
                self.close()
            if self.closed.done():
                return

    def _take(self, letter: bytes, body: bytes, descriptors: list[int]) -> None:
        match letter:
            case b"N":
                identity, step, value, pid = struct.unpack("=IIQi", body)
                child = self._children.get(identity)
                if child is not None:
                    child.pid = pid
                    if child.waiter is not None and not child.waiter.done():
                        child.waiter.set_result((step, value, pid))
                    elif len(child.reports) < len(child.names):
                        child.reports.append((step, value, pid))
            case b"P":
                child = self._children.get(struct.unpack("=I", body)[0])
                if child is not None:
                    child.pidfd = descriptors.pop(0) if descriptors else -1
                    if not child.started.done():
                        child.started.set_result(None)
            case b"F":
                identity, step, code = struct.unpack("=III", body)
                child = self._children.pop(identity, None)
                if child is not None:
                    self._fail(child, ProgramError(child.names[step] if step < len(child.names) else "?", code))
            case b"X":
                identity, status = struct.unpack("=Ii", body)
                child = self._children.pop(identity, None)
                if child is not None and not child.ended.done():
                    child.ended.set_result(status)
            case _:
                if self._on_message is not None:
                    self._on_message(letter, body)
        for fd in descriptors:
            os.close(fd)

    @staticmethod
    def _fail(child: Child, error: Exception) -> None:
        for future in (child.waiter, child.started, child.ended):
            if future is not None and not future.done():
                future.set_exception(error)

    def close(self) -> None:
        """End the conversation; every child still under way fails with ConversationClosed."""
        if self.closed.done():
            return
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self.closed.set_result(None)
        for _, descriptors in self._queue:
            for fd in descriptors:
                os.close(fd)
        self._queue.clear()
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None
        for child in self._children.values():
            self._fail(child, ConversationClosed())
        self._children.clear()


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)
