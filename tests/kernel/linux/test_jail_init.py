"""PID 1 of a jail is kept from ending while a process is put in; one that is ending is told from one that heard it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vjail.kernel.linux.jails import _holds
from vjail.kernel.linux.spaces import Init

_PID_1 = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
print("here", flush=True)
while True:
    signal.sigwait({signal.SIGUSR2})
"""
_OURS = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
_THEIRS = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]


def _child(pid: int) -> int:
    """The one child of a process, once there is one."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for _ in range(2000):
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.005)
    raise AssertionError("it has no child")


@contextmanager
def _namespace() -> Iterator[Init]:
    line = ["unshare", *_OURS, "--pid", "--fork", "--kill-child", sys.executable, "-c", _PID_1]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as outer:
        assert outer.stdout is not None
        assert outer.stdout.readline() == "here\n"
        pid = _child(outer.pid)
        init = Init(pid, os.pidfd_open(pid), os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY))
        try:
            yield init
        finally:
            init.close()
            outer.kill()


def test_one_that_hears_it_is_held() -> None:
    with _namespace() as init:
        for _ in range(200):
            assert _holds(init)


def test_one_that_is_ending_is_not() -> None:
    """It ends when all of its namespace have been taken note of; until then signals to it vanish without a trace."""
    with _namespace() as init:
        line = ["nsenter", "--target", str(init.pid), *_THEIRS, "--pid", "sleep", "1000"]
        with subprocess.Popen(line) as parent:
            _child(parent.pid)
            # It takes no note of its child's end, once it has stopped: until then it may still wake and do so.
            os.kill(parent.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, parent.pid, os.WSTOPPED)
            signal.pidfd_send_signal(init.pidfd, signal.SIGKILL)
            ends = threading.Timer(0.3, os.kill, (parent.pid, signal.SIGCONT))
            began = time.monotonic()
            ends.start()
            try:
                assert not _holds(init)
                assert time.monotonic() - began >= 0.25
            finally:
                ends.join()
                os.kill(parent.pid, signal.SIGCONT)
