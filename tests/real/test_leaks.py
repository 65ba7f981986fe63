"""What a lab costs does not grow with what was done in it. That twenty of them leave nothing, test_kill.py shows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from lives import install, outcome, server, vjail
from sandbox import Sandbox

pytestmark = pytest.mark.real


def descriptors(pid: int) -> int:
    """How many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    """How many threads a process has."""
    return len(os.listdir(f"/proc/{pid}/task"))


def memory(pid: int) -> int:
    """What a process has in memory, in kB."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def test_execs_starts_and_stops_leave_nothing_in_the_server(box: Sandbox, summary: Callable[[str], None]) -> None:
    lab = install(box, "steps")
    assert box.vjail("up", lab).code == 0
    pid = server(box)
    state = Path(f"/proc/{box.pid}/root") / ("run/vjail" if box.uid == 0 else f"tmp/vjail-{box.uid}")

    def database() -> int:
        return sum(path.stat().st_size for path in state.glob("*/state.db"))

    def execs(number: int) -> None:
        """Half of them processes, half of them commands of the server's, ten at a time."""
        for _ in range(number // 10):
            words = [("true",), ("ifconfig", "-a")] * 5
            for each in [vjail(box, "exec", "-p", lab, "web", *line) for line in words]:
                assert outcome(each)[0] == 0

    def restarts(number: int) -> None:
        """As rc.d/jail does it, typed on the host."""
        done = box.shell(f"n=0; while [ $((n += 1)) -le {number} ]; do service jail onerestart web; done", lab)
        assert done.code == 0, done
        assert done.out.count("Starting jails: web") == number

    execs(20)
    restarts(5)
    warm = box.census()
    before = (descriptors(pid), threads(pid), len(warm.mounts), len(warm.namespaces), len(warm.processes))
    rss, size = memory(pid), database()
    share = 1 if box.uid == os.geteuid() else 5  # where both users have their turn
    execs(100 // share)
    restarts(50 // share)
    now = box.census()
    assert (descriptors(pid), threads(pid), len(now.mounts), len(now.namespaces), len(now.processes)) == before
    grown = memory(pid) - rss
    # What lies about until the next round of Python's garbage collector is no leak.
    assert grown < 3000, f"{grown} kB more"
    assert database() <= size + (64 << 10)
    done = f"{100 // share} exec and {50 // share} restarts of a jail"
    summary(f"after {done} the server has {rss + grown} kB in memory, {grown} kB more")
    down = box.vjail("down", lab)
    assert down.code == 0, down
