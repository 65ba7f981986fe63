"""Where a running lab is found: a folder for each in the machine's run-time directory.

The folder holds `lock` (who changes whether the lab exists), `alone` (who brings it up or down), `anchor` (which
process the lab's life is), `lab` (the path it was brought up from), `loan` (which NICs of the machine it has, if any),
`control` (the server's socket), `server.log`, and `state.db`; and `cgroup`, where its jails have control groups
(kernel/linux/groups.py). It vanishes with the lab.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vjail.kernel.linux import anchor, groups
from vjail.kernel.linux.anchor import Unable
from vjail.lab import loan

CONTROL, LOG, STATE = "control", "server.log", "state.db"
READY, WAITS = 3, 4
"""The descriptors by which a server says that it is ready, and is told whose it is."""
_LOCK, _ALONE = "lock", "alone"
_PAUSE = 0.02
"""Seconds between two looks whether somebody else is done."""
_START_SECONDS = 60.0


class NotUp(Exception):
    """The lab is not up."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The run-time folder of the lab that was, or would be, brought up from `origin`."""

    folder: Path
    origin: Path

    @classmethod
    def of(cls, origin: Path) -> Runtime:
        """Of the lab at this path: a lab file, a jail.conf, a folder. The file a folder stands for is the folder."""
        resolved = origin.resolve()
        usual = "vjail.yml" if (resolved.parent / "vjail.yml").exists() else "jail.conf"
        if resolved.name == usual and not resolved.is_dir():
            resolved = resolved.parent
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
        """Keep others from making or ending the lab's anchor and server meanwhile; it takes moments."""
        with self._holding(_LOCK, None):
            yield

    @contextmanager
    def alone(self, wait: Callable[[], object]) -> Iterator[None]:
        """Be the only one who brings the lab up or down. `wait` is called now and then while another does."""
        with self._holding(_ALONE, wait):
            yield

    @contextmanager
    def _holding(self, name: str, wait: Callable[[], object] | None) -> Iterator[None]:
        while (lock := self._open(name)) is None:
            pass
        try:
            if wait is None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            while wait is not None and not _taken(lock):
                wait()
                time.sleep(_PAUSE)
            if self._is(name, lock):
                yield
                return
        finally:
            os.close(lock)
        with self._holding(name, wait):
            yield

    def _open(self, name: str) -> int | None:
        """A lock file in the folder, which is made; None where somebody is just ending the lab."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return None

    def _is(self, name: str, lock: int) -> bool:
        """Whether an open file is the one of that name still: the folder may have gone with a lab's end, and come."""
        try:
            return os.path.samestat(os.stat(self.folder / name), os.fstat(lock))
        except FileNotFoundError:
            return False

    def begin(self) -> None:
        """Bring the lab's anchor and server into being. Raises Unable. Call it locked."""
        if self.is_up():
            self.ensure_server()
            return
        with loan.returned(self.folder):
            self._clear()
        (self.folder / "lab").write_text(f"{self.origin}\n")
        server = _Server.begin(self.folder)
        try:
            anchor.start(self.folder)
        except BaseException:
            server.give_up()
            raise
        self._join(server)

    def end(self) -> None:
        """End all there is of the lab and remove the folder. Call it locked."""
        with loan.returned(self.folder):
            anchor.end(self.folder)
        groups.remove_recorded(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def _clear(self) -> None:
        groups.remove_recorded(self.folder)
        for entry in self.folder.iterdir():
            if entry.name in (_LOCK, _ALONE):
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
        self._join(_Server.begin(self.folder))

    def _join(self, server: _Server) -> None:
        found = anchor.find(self.folder)
        assert found is not None
        ready = server.join(found)
        if not ready:
            raise Unable(f"the lab's server did not start: {_last_line(self.folder / LOG)} ({self.folder / LOG})")


def root() -> Path:
    """The folder of all labs of this user. Raises PermissionError where somebody else has taken its place."""
    if os.geteuid() == 0:
        return Path("/run/vjail")
    own = os.environ.get("XDG_RUNTIME_DIR")
    if own and os.access(own, os.W_OK):
        return Path(own) / "vjail"
    place = Path(f"/tmp/vjail-{os.geteuid()}")
    # Anybody may make a folder of that name there.
    with contextlib.suppress(FileNotFoundError):
        if place.lstat().st_uid != os.geteuid():
            raise PermissionError(
                errno.EPERM, "belongs to another user; set XDG_RUNTIME_DIR to a folder of yours", str(place)
            )
    return place


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Server:
    """A server that has been begun: the process, where it is told which anchor it belongs to, where it says `ready`.

    Loading its modules takes longer than making the anchor, so it is begun first and waits.
    """

    process: int
    tell: int
    told: int

    @classmethod
    def begin(cls, folder: Path) -> _Server:
        """Begin one; it ends with `tell` unless it has joined a lab by then."""
        told, ready = os.pipe()
        waits, tell = os.pipe()
        process = os.fork()
        if process == 0:
            _become_server(folder, waits, ready)
        os.close(ready)
        os.close(waits)
        return cls(process, tell, told)

    def join(self, found: anchor.Anchor) -> bool:
        """Let it be the server of the lab with this anchor; whether it is ready to serve."""
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended; its log says why
                os.write(self.tell, str(found.pid).encode())
            os.close(self.tell)
            os.waitpid(self.process, 0)
            return bool(select.select([self.told], [], [], _START_SECONDS)[0]) and os.read(self.told, 64) == b"ready"
        finally:
            os.close(self.told)

    def give_up(self) -> None:
        """Let it end."""
        os.close(self.tell)
        os.close(self.told)
        os.waitpid(self.process, 0)


def _become_server(folder: Path, waits: int, ready: int) -> None:
    """In the child: become a server that waits to be told whose. Never returns."""
    try:
        log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        # Neither may be where the other is to be.
        waits, ready = (fcntl.fcntl(fd, fcntl.F_DUPFD, 16) for fd in (waits, ready))
        os.dup2(waits, WAITS)
        os.dup2(ready, READY)
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


def join_lab() -> bool:
    """In a server: wait to be told which lab it is for, and be inside; True where the lab has a user namespace.

    The process that returns is another one: whoever begins a server need not wait longer, and its parent is to be the
    anchor, as whoever else had to reap it could keep a dead lab waiting. Where nobody wants the server it ends.
    """
    told = os.read(WAITS, 64)
    if not told:
        os._exit(0)
    os.close(WAITS)
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
