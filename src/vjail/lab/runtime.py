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
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vjail.kernel.linux import anchor
from vjail.kernel.linux.anchor import Unable
from vjail.lab.server_process import LOG, ServerProcess

if TYPE_CHECKING:
    import socket

CONTROL, STATE = "control", "state.db"
_LOCK, _ALONE = "lock", "alone"
_PAUSE = 0.02
"""Seconds between two looks whether somebody else is done."""


class NotUp(Exception):
    """The lab is not up."""


class Runtime(NamedTuple):
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

    @contextmanager
    def early_server(self) -> Iterator[ServerProcess | None]:
        """A server for the lab where it is not up, begun before it is needed; it ends unless `begin` uses it."""
        if self.is_up():
            yield None
            return
        server = ServerProcess(self.folder)
        try:
            yield server
        finally:
            server.give_up()

    def begin(self, server: ServerProcess | None, meanwhile: Callable[[Path], object]) -> None:
        """Bring the lab's anchor into being, and its server, which may have begun. Raises Unable. Call it locked.

        `meanwhile` is what can be done while a server loads; it is told where the lab's tree is seen from outside.
        """
        if self.is_up():
            self.ensure_server()
            return
        with self._returned():
            self._clear()
        (self.folder / "lab").write_text(f"{self.origin}\n")
        started = anchor.start(self.folder)
        # A link on the way there would lead back to what is outside.
        meanwhile(Path(f"/proc/{started.pid}/root{self.tree.resolve()}"))
        self._join(server or ServerProcess(self.folder))

    def end(self) -> None:
        """End all there is of the lab and remove the folder. Call it locked."""
        with self._returned():
            anchor.end(self.folder)
        import shutil

        self._remove_groups()
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def _returned(self) -> AbstractContextManager[None]:
        """End a lab inside this: afterwards what it was lent is back."""
        if not (self.folder / "loan").exists():
            return nullcontext()
        from vjail.lab import loan  # few labs have one, and it takes a while to load

        return loan.returned(self.folder)

    def _remove_groups(self) -> None:
        """Remove the control groups of a lab that has ended."""
        if (self.folder / "cgroup").exists():
            from vjail.kernel.linux import groups  # likewise

            groups.remove_recorded(self.folder)

    def _clear(self) -> None:
        import shutil

        self._remove_groups()
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
        import socket

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
        self._join(ServerProcess(self.folder))

    def _join(self, server: ServerProcess) -> None:
        found = anchor.find(self.folder)
        assert found is not None
        if not server.join(found.pid):
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
