"""Where a running lab is found: a folder for each in the machine's run-time directory.

The folder holds `lock` (who changes whether the lab exists), `anchor` (which process the lab's life is), `lab` (the
path it was brought up from), `control` (the server's socket), `server.log`, and `state.db`. It vanishes with the lab.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import select
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vjail.kernel.linux import anchor
from vjail.kernel.linux.anchor import Unable

CONTROL, LOG, STATE = "control", "server.log", "state.db"
_START_SECONDS = 20.0


class NotUp(Exception):
    """The lab is not up."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The run-time folder of the lab that was, or would be, brought up from `origin`."""

    folder: Path
    origin: Path

    @classmethod
    def of(cls, origin: Path) -> Runtime:
        """Of the lab at this path (a lab file, a jail.conf, a folder)."""
        resolved = origin.resolve()
        name = (resolved.parent if resolved.is_file() else resolved).name or "root"
        digest = hashlib.sha256(os.fsencode(resolved)).hexdigest()[:8]
        return cls(root() / f"{name[:40]}-{digest}", resolved)

    @property
    def tree(self) -> Path:
        """The lab's own files, seen inside it only."""
        return self.folder / anchor.TREE

    def is_up(self) -> bool:
        """Whether the lab is there."""
        return anchor.find(self.folder) is not None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from bringing the lab up or taking it away meanwhile."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def begin(self) -> None:
        """Bring the lab's anchor and server into being. Raises Unable. Call it locked."""
        if not self.is_up():
            self._clear()
            (self.folder / "lab").write_text(f"{self.origin}\n")
            anchor.start(self.folder)
        self.ensure_server()

    def end(self) -> None:
        """End all there is of the lab and remove the folder. Call it locked."""
        anchor.end(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def _clear(self) -> None:
        for entry in self.folder.iterdir():
            if entry.name == "lock":
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def connect(self) -> socket.socket:
        """A connection with the lab's server, which is started if it has gone. Raises NotUp, Unable."""
        if not self.is_up():
            raise NotUp
        try:
            return self._connect()
        except OSError:
            with self.locked():
                if not self.is_up():
                    raise NotUp from None
                self.ensure_server()
        return self._connect()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            # The path may be longer than a socket's address holds.
            with _folder(self.folder):
                connection.connect(CONTROL)
        except OSError:
            connection.close()
            raise
        return connection

    def ensure_server(self) -> None:
        """Start the lab's server where none answers. Raises Unable."""
        try:
            self._connect().close()
            return
        except OSError:
            pass
        found = anchor.find(self.folder)
        assert found is not None
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(told)
            _become_server(self.folder, found, tell)
        os.close(tell)
        try:
            os.waitpid(child, 0)
            ready = select.select([told], [], [], _START_SECONDS)[0] and os.read(told, 64) == b"ready"
        finally:
            os.close(told)
        if not ready:
            raise Unable(f"the lab's server did not start: {_last_line(self.folder / LOG)} ({self.folder / LOG})")


def root() -> Path:
    """The folder of all labs of this user."""
    if os.geteuid() == 0:
        return Path("/run/vjail")
    own = os.environ.get("XDG_RUNTIME_DIR")
    if own and os.access(own, os.W_OK):
        return Path(own) / "vjail"
    return Path(f"/tmp/vjail-{os.geteuid()}")


def _become_server(folder: Path, found: anchor.Anchor, tell: int) -> None:
    """In the child: join the lab, and in a child of it become the server. Never returns."""
    try:
        own_user = os.stat("/proc/self/ns/user").st_ino
        rootless = os.stat(f"/proc/{found.pid}/ns/user").st_ino != own_user
        log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open("/dev/null", os.O_RDONLY)
        anchor.enter(found)
        # The server's parent is to be the anchor: whoever else reaped it could keep a dead lab waiting.
        inside = os.fork()
        if inside:
            os.waitpid(inside, 0)
            os._exit(0)
        if os.fork():
            os._exit(0)
        os.setsid()
        for source, target in ((null, 0), (log, 1), (log, 2), (tell, 3)):
            os.dup2(source, target)
        os.closerange(4, 1 << 16)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        environ = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "LANG", "LC_ALL") if key in os.environ}
        words = [sys.executable, "-m", "vjail.server", str(folder), *(["--rootless"] if rootless else [])]
        os.chdir("/")
        os.execve(sys.executable, words, environ)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(2, f"vjail: cannot start the lab's server: {error}\n".encode())
    finally:
        os._exit(1)


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "no answer"


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.chdir(path)
        yield
    finally:
        os.fchdir(before)
        os.close(before)
