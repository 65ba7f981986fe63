"""Processes that somebody else started, found by their number."""

from __future__ import annotations

import asyncio
import signal
import subprocess

from vjail.server.session import LabProcess
from vjail.session import Exit


def test_one_that_has_gone_meanwhile_is_none() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert LabProcess.of(process.pid, 0) is None


def test_one_without_a_number_where_it_is_asked_for_is_none() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert LabProcess.of(process.pid, 40) is None
        process.kill()


def test_one_that_is_there_can_be_ended_and_waited_for() -> None:
    async def main(pid: int) -> Exit:
        found = LabProcess.of(pid, 0)
        assert found is not None
        found.kill(signal.SIGTERM)
        return await asyncio.wait_for(found.wait(), 30)

    with subprocess.Popen(["sleep", "60"]) as process:
        assert asyncio.run(main(process.pid)) == Exit(0)
    assert process.returncode == -signal.SIGTERM
