"""Work in a child of the server: what it returns, its faults, its end where nobody waits any more."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from vjail.server.aside import ChildFault, aside


def _twice(text: str) -> tuple[int, str]:
    return os.getpid(), text * 2


def test_the_answer_comes_from_another_process_and_others_go_on() -> None:
    async def main() -> None:
        beside = asyncio.create_task(asyncio.sleep(0, "beside"))
        pid, text = await aside(partial(_twice, "ab" * 100_000))
        assert pid != os.getpid()
        assert text == "ab" * 200_000
        assert beside.done()
        assert threading.active_count() == before

    before = threading.active_count()
    asyncio.run(main())


def _fails() -> None:
    raise ValueError("that is it")


def _dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_faults_of_the_child_are_told() -> None:
    with pytest.raises(ChildFault, match="ValueError: that is it"):
        asyncio.run(aside(_fails))
    with pytest.raises(ChildFault, match="killed"):
        asyncio.run(aside(_dies))


def _waits(place: Path) -> None:
    place.write_text(str(os.getpid()))
    time.sleep(100)


def test_who_waits_no_more_has_it_killed(tmp_path: Path) -> None:
    place = tmp_path / "pid"

    async def main() -> None:
        task = asyncio.create_task(aside(partial(_waits, place)))
        while not (place.exists() and place.read_text()):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    with pytest.raises(ProcessLookupError):
        os.kill(int(place.read_text()), 0)
