"""The commands that run for jails at this moment: how many there may be, who waits for which, and how they ended.

Source: next_proc(), finish_command() and term_procs() in FreeBSD 13.2 usr.sbin/jail/command.c.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from vjail.jail.course import Stand
from vjail.jail.order import Work
from vjail.jail.words import Line
from vjail.session import Exit, Running, Session


@dataclass(frozen=True, slots=True)
class Ended:
    """A jail's command has ended, or its time is over (`exit` None); `line` is None for what cannot fail."""

    work: Work
    stand: Stand
    line: Line | None
    exit: Exit | None


class Commands:
    """The running commands. `limit`: so many at once, None: any number."""

    def __init__(self, session: Session, limit: int | None) -> None:
        self._session = session
        self._free = limit
        self._waited_for = 0
        self._ended: deque[Ended] = deque()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        """What a command raised that nobody expects of one."""

    @property
    def is_full(self) -> bool:
        """Whether no further command may run now."""
        return self._free == 0

    def run(
        self, work: Work, stand: Stand, line: Line, running: Coroutine[Any, Any, Exit], timeout: float | None
    ) -> None:
        """Let a command run and note how it ends; after `timeout` seconds it is given up but goes on by itself."""
        if self._free is not None:
            self._free -= 1
        self._waited_for += 1
        self._keep(self._wait(work, stand, line, running, timeout))

    def wait_for(self, work: Work, stand: Stand, end: Coroutine[Any, Any, Exit], timeout: float | None = None) -> None:
        """Note when `end` has come, or `timeout` seconds are over; takes no command's place and cannot fail."""
        self._waited_for += 1
        self._keep(self._wait(work, stand, None, end, timeout))

    async def ended(self, *, at_once: bool) -> Ended | None:
        """The next command that has ended, in the order in which they ended.

        None: no command runs, or with `at_once` none has ended so far. What a command raised is raised.
        """
        while self._waited_for:
            if self._broken is not None:
                raise self._broken
            if at_once:
                await asyncio.sleep(0)
            if self._ended:
                ended = self._ended.popleft()
                self._waited_for -= 1
                if ended.line is not None and self._free is not None:
                    self._free += 1
                return ended
            if at_once:
                break
            self._wake.clear()
            await self._wake.wait()
        return None

    def _keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._is_over)

    def _is_over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._broken = self._broken or task.exception()
            self._wake.set()

    async def _wait(
        self, work: Work, stand: Stand, line: Line | None, running: Coroutine[Any, Any, Exit], timeout: float | None
    ) -> None:
        if timeout is None:
            ended: Exit | None = await running
        else:
            command = asyncio.create_task(running)
            alarm = asyncio.create_task(self._session.sleep(timeout))
            await asyncio.wait((command, alarm), return_when=asyncio.FIRST_COMPLETED)
            alarm.cancel()
            ended = command.result() if command.done() else None
        self._ended.append(Ended(work, stand, line, ended))
        self._wake.set()


async def gone(processes: Sequence[Running]) -> Exit:
    """The end of several processes."""
    await asyncio.gather(*(process.wait() for process in processes))
    return Exit(0)
