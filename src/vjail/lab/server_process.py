"""The process of a lab's server: begun by a command outside, told whose it is once the lab's anchor is there.

Loading the server's modules takes longer than all that has to be done before it is needed, so it is begun as early as
can be, and waits. It loads little itself for the same reason.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys
from pathlib import Path

LOG = "server.log"
"""The file in the lab's run-time folder that has what the server says."""
READY, WAITS = 3, 4
"""The descriptors by which a server says that it is ready, and is told whose it is."""
_START_SECONDS = 60.0


class ServerProcess:
    """A server that has been begun for the lab of a run-time folder, which need not be there yet."""

    def __init__(self, folder: Path) -> None:
        """Begin it; it ends with this process unless it has joined a lab by then."""
        self._folder = folder
        self._said = os.memfd_create("server")
        self._told, ready = os.pipe()
        waits, self._tell = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            _become_server(folder, self._said, waits, ready)
        os.close(ready)
        os.close(waits)

    def join(self, anchor: int) -> bool:
        """Let it be the server of the lab with this anchor (its process number); whether it is ready to serve."""
        with contextlib.suppress(BrokenPipeError):  # it has ended, and said why
            os.write(self._tell, str(anchor).encode())
        os.waitpid(self._process, 0)
        self._process = 0
        ready = bool(select.select([self._told], [], [], _START_SECONDS)[0]) and os.read(self._told, 64) == b"ready"
        if not ready and (said := os.pread(self._said, 1 << 16, 0)):
            with (self._folder / LOG).open("ab") as log:
                log.write(said)
        self.give_up()
        return ready

    def give_up(self) -> None:
        """Let it end where it has not joined a lab."""
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            self._process = 0
        for fd in (self._tell, self._told, self._said):
            if fd >= 0:
                os.close(fd)
        self._tell = self._told = self._said = -1


def _become_server(folder: Path, said: int, waits: int, ready: int) -> None:
    """In the child: become a server that waits to be told whose. Never returns."""
    try:
        null = os.open("/dev/null", os.O_RDONLY)
        # None of them may be where another is to be.
        null, said, waits, ready = (fcntl.fcntl(fd, fcntl.F_DUPFD, 16) for fd in (null, said, waits, ready))
        for source, target in ((null, 0), (said, 1), (said, 2), (waits, WAITS), (ready, READY)):
            os.dup2(source, target)
        os.closerange(max(WAITS, READY) + 1, 1 << 16)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        os.setsid()
        environ = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "LANG", "LC_ALL") if key in os.environ}
        os.chdir("/")
        os.execve(sys.executable, [sys.executable, "-m", "vjail.server", str(folder)], environ)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(2, f"vjail: cannot start the lab's server: {error}\n".encode())
    finally:
        os._exit(1)


def join_lab(folder: Path) -> bool:
    """In a server: wait to be told which lab it is for, and be inside; True where the lab has a user namespace.

    The process that returns is another one: whoever begins a server need not wait longer, and its parent is to be the
    anchor, as whoever else had to reap it could keep a dead lab waiting. Where nobody wants the server it ends.
    """
    from vjail.kernel.linux import anchor

    told = os.read(WAITS, 64)
    if not told:
        os._exit(0)
    os.close(WAITS)
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for target in (1, 2):
        os.dup2(log, target)
    os.close(log)
    pid = int(told)
    own_user = os.stat("/proc/self/ns/user").st_ino
    rootless = os.stat(f"/proc/{pid}/ns/user").st_ino != own_user
    anchor.enter(anchor.Anchor(pid, 0))
    inside = os.fork()
    if inside:
        os.waitpid(inside, 0)
        os._exit(0)
    if os.fork():
        os._exit(0)
    os.setsid()
    return rootless
