"""Work in a child process: the server goes on answering, and stays one thread.

With a second thread it could enter no mount namespace any more (setns(2): a thread shares its root and working
directory), and what only such work loads would stay in its memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import traceback
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


class ChildFault(Exception):
    """What the child did not expect, as its traceback; or that it was killed."""


async def aside(work: Callable[[], T]) -> T:
    """What `work` returns, worked out in a child; both are data that pickle(3) takes. Raises ChildFault."""
    import pickle  # a server seldom needs it

    reading, writing = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _work(work, writing)
    os.close(writing)
    try:
        said = await _all_of(reading)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.close(reading)
        os.waitpid(child, 0)
    if not said:
        raise ChildFault("it was killed")
    done, result = pickle.loads(said)
    if not done:
        raise ChildFault(result)
    found: T = result
    return found


def _work(work: Callable[[], object], writing: int) -> NoReturn:
    """What the child does: nothing of the server's that it has with it, its signals and journal, is touched."""
    import pickle

    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        try:
            answer: tuple[bool, Any] = (True, work())
        except Exception:
            answer = (False, traceback.format_exc())
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
    finally:
        os._exit(0)


async def _all_of(reading: int) -> bytes:
    """Everything that comes until the other end is closed."""
    os.set_blocking(reading, False)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    said = bytearray()

    def read() -> None:
        with contextlib.suppress(BlockingIOError):
            part = os.read(reading, 1 << 16)
            said.extend(part)
            if not part and not ended.done():
                ended.set_result(None)

    loop.add_reader(reading, read)
    try:
        await ended
    finally:
        loop.remove_reader(reading)
    return bytes(said)
