"""One connection of an agent's, from its first words to the exit code it is told.

First come the working directory, the words and the environment (native/agent.c); then the command runs as a task of
its own, until it ends, its agent goes, or a signal ends it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from vjail.fault import fault
from vjail.kernel.linux.conversation import Conversation
from vjail.server.session import Signals, Streams

_MOST = 8 << 20
"""Bytes of words and environment that are listened to; more than a Linux process can be given."""
_WAITING = 8
"""Pieces of input that may wait: an agent sends one for each that it is asked for."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Opening:
    """What an agent says of itself first: nothing of it is to be trusted."""

    cwd: str = "/"
    terminals: int = 0
    argv: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)


class Connection:
    """A connection, in which `serve` is called once the opening is complete; its result is the agent's exit code."""

    def __init__(
        self,
        connection: socket.socket,
        serve: Callable[[Opening, Streams], Awaitable[int]],
        ended: Callable[[], object],
    ) -> None:
        self._serve = serve
        self._ended = ended
        self._opening = Opening()
        self._argv, self._environ = bytearray(), bytearray()
        self._task: asyncio.Task[None] | None = None
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self._signals = Signals()
        self._ended_by = 0
        self._begun = self._cancelled = False
        self._conversation = Conversation(connection, on_message=self._message)
        self._conversation.closed.add_done_callback(lambda _: self._gone())

    def _message(self, letter: bytes, body: bytes) -> None:
        if letter == b"I":
            if self._input.qsize() < _WAITING:
                self._input.put_nowait(body)
            else:
                self._conversation.close()
        elif letter == b"S":
            self._signal(struct.unpack("=I", body[:4])[0])
        elif self._task is None:
            self._hear(letter, body)

    def _hear(self, letter: bytes, body: bytes) -> None:
        if len(self._argv) + len(self._environ) + len(body) > _MOST:
            self._conversation.close()
            return
        match letter:
            case b"C" if body:
                self._opening.terminals = body[0]
                self._opening.cwd = _text(body[1:].rstrip(b"\0")) or "/"
            case b"A":
                self._argv += body
            case b"V":
                self._environ += body
            case b"G":
                self._opening.argv = tuple(_strings(self._argv))
                pairs = (entry.partition("=") for entry in _strings(self._environ))
                self._opening.environ = {key: value for key, _, value in pairs if key}
                if self._opening.argv:
                    self._task = asyncio.get_running_loop().create_task(self._run())
                else:
                    self._conversation.close()

    async def _run(self) -> None:
        streams = Streams(self._conversation, self._input, self._signals)
        code = 1
        self._begun = True
        try:
            if self._cancelled:
                raise asyncio.CancelledError
            code = await self._serve(self._opening, streams)
        except asyncio.CancelledError:
            code = 128 + self._ended_by
        except Exception as error:
            _log.exception("%s", " ".join(self._opening.argv))
            streams.write(2, f"{self._opening.argv[0]}: {fault(error)}; the lab's server.log has more\n")
        self._conversation.exit(code, self._ended_by)
        await self._conversation.drain()
        # The agent closes when it has written everything.

    def _signal(self, number: int) -> None:
        if self._signals.heeded:
            self._signals.arrived(number)
        elif not self._ended_by:
            self._ended_by = number
            self._cancel()

    def _gone(self) -> None:
        self._cancel()
        self._ended()

    def _cancel(self) -> None:
        # Once: what it does then is to put things right, and not to be stopped. A task that has not begun would end
        # without a word to the agent, which waits for one; it looks for itself when it begins.
        self._cancelled = True
        if self._task is not None and self._begun and not self._task.cancelling():
            self._task.cancel()


def _strings(data: bytes | bytearray) -> list[str]:
    return [_text(entry) for entry in bytes(data).split(b"\0")[:-1]]


def _text(data: bytes) -> str:
    return os.fsdecode(data)
