"""The files of a host or a jail, read and written from outside it: every path is walked inside its root.

A descriptor of the root leads there; openat2(RESOLVE_IN_ROOT) keeps every step of the walk inside, symbolic links and
`..` included, so that nothing a jail can write leads out of it.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, files_of, openat2
from vjail.session import FileKind

T = TypeVar("T")
_LINKS = 40
_KINDS = {stat.S_IFREG: FileKind.FILE, stat.S_IFDIR: FileKind.DIRECTORY, stat.S_IFLNK: FileKind.LINK}
_WITHOUT_LINKS = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS
_PIECE = 64 << 10
_LARGEST = 64 << 20


class RootedFiles:
    """`Files` below a root folder; relative paths start at `cwd`. `user`: whose rights hold, by user and group id."""

    def __init__(self, root: int, cwd: str = "/", user: tuple[int, int] = (0, 0)) -> None:
        self._root = root
        self._cwd = cwd
        self._user = user

    def read(self, path: str) -> bytes:
        """A file's content; of what is no plain file, and might go on for ever, the first piece."""
        # A pipe that nobody writes to would be waited for.
        with self._opened(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK) as fd:
            seen = os.fstat(fd)
            if not stat.S_ISREG(seen.st_mode):
                return _freebsd(lambda: os.read(fd, _PIECE))
            # What grows meanwhile, or like procfs's files tells no size, is read on.
            pieces = [_freebsd(lambda: os.read(fd, min(seen.st_size, _LARGEST) + 1))]
            size = len(pieces[0])
            while size <= _LARGEST and pieces[-1] and size != seen.st_size:
                pieces.append(_freebsd(lambda: os.read(fd, _PIECE)))
                size += len(pieces[-1])
        if size > _LARGEST:
            raise KernelError(Errno.EFBIG)
        return b"".join(pieces)

    def write(self, path: str, data: bytes, *, append: bool = False, mode: int = 0o644) -> None:
        """Replace or extend a file's content, making the file where it is missing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOCTTY | os.O_NONBLOCK | (os.O_APPEND if append else os.O_TRUNC)
        with self._opened(path, flags, mode) as fd, os.fdopen(os.dup(fd), "wb") as file:
            _freebsd(lambda: file.write(data))

    def open_append(self, path: str) -> int:
        """A descriptor that appends to a file, made where it is missing; the caller closes it."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK
        with self._opened(path, flags, 0o644) as fd:
            os.set_blocking(fd, True)
            return os.dup(fd)

    def kind(self, path: str, *, follow: bool = True) -> FileKind | None:
        """What `path` names, None where nothing is there."""
        try:
            mode = self._stat(path, follow=follow).st_mode
        except KernelError as error:
            if error.errno in (Errno.ENOENT, Errno.ENOTDIR):
                return None
            raise
        return _KINDS.get(stat.S_IFMT(mode), FileKind.OTHER)

    def mode(self, path: str) -> int:
        """Its permission bits and set-id bits."""
        return stat.S_IMODE(self._stat(path).st_mode)

    def list(self, path: str) -> Sequence[str]:
        """The names in a directory, sorted."""
        with self._opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
            return sorted(_freebsd(lambda: os.listdir(fd)))

    def glob(self, pattern: str) -> Sequence[str]:
        """glob(3): the matching paths, sorted; none is no error."""
        found = [""] if pattern.startswith("/") else ["."]
        absolute = pattern.startswith("/")
        for place, part in enumerate(p for p in pattern.split("/") if p):
            found = [
                f"{base}/{name}" if absolute or place else name for base in found for name in self._matching(base, part)
            ]
        return sorted(found)

    def mkdir(self, path: str, mode: int = 0o755, *, parents: bool = False) -> None:
        """Make a directory; with `parents` as mkdir -p does."""
        if parents and self.kind(path) is FileKind.DIRECTORY:
            return
        above, name = posixpath.split(self._absolute(path).rstrip("/"))
        if parents and above != "/":
            self.mkdir(above, mode, parents=True)
        with self._opened(above, os.O_PATH | os.O_DIRECTORY) as fd:
            self._do(lambda: os.mkdir(name, mode, dir_fd=fd))

    def unlink(self, path: str) -> None:
        """Remove a file."""
        above, name = posixpath.split(self._absolute(path))
        with self._opened(above, os.O_PATH | os.O_DIRECTORY) as fd:
            self._do(lambda: os.unlink(name, dir_fd=fd))

    def symlink(self, text: str, path: str) -> None:
        """Make `path` a symbolic link that holds `text`; one that is there is replaced, anything else is EEXIST."""
        above, name = posixpath.split(self._absolute(path))
        if self.kind(path, follow=False) is FileKind.LINK:
            self.unlink(path)
        with self._opened(above, os.O_PATH | os.O_DIRECTORY) as fd:
            self._do(lambda: os.symlink(text, name, dir_fd=fd))

    def readlink(self, path: str) -> str:
        """A symbolic link's text."""
        with self._opened(path, os.O_PATH | os.O_NOFOLLOW) as fd:
            return _freebsd(lambda: os.readlink("", dir_fd=fd))

    def realpath(self, path: str) -> str:
        """The path with every symbolic link followed."""
        parts = [p for p in reversed(self._absolute(path).split("/")) if p and p != "."]
        if ".." not in parts:
            # Most paths have no link in them, and then one system call tells.
            plain = "/" + "/".join(reversed(parts))
            with contextlib.suppress(KernelError):
                os.close(self._open(plain, os.O_PATH, resolve=_WITHOUT_LINKS))
                return plain
        real: list[str] = []
        links = 0
        while parts:
            part = parts.pop()
            if part == "..":
                del real[-1:]
                continue
            here = "/" + "/".join([*real, part])
            if self.kind(here, follow=False) is not FileKind.LINK:
                self._stat(here, follow=False)
                real.append(part)
                continue
            links += 1
            if links > _LINKS:
                raise KernelError(Errno.ELOOP)
            target = self.readlink(here)
            if target.startswith("/"):
                real.clear()
            parts.extend(p for p in reversed(target.split("/")) if p and p != ".")
        return "/" + "/".join(real)

    def _absolute(self, path: str) -> str:
        return posixpath.join(self._cwd, path)

    def _stat(self, path: str, *, follow: bool = True) -> os.stat_result:
        fd = self._open(path, os.O_PATH if follow else os.O_PATH | os.O_NOFOLLOW)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def _matching(self, base: str, part: str) -> Iterator[str]:
        if not any(c in part for c in "*?["):
            if self.kind(f"{base}/{part}", follow=False) is not None:
                yield part
            return
        try:
            names = self.list(base or "/")
        except KernelError:
            return
        for name in names:
            if fnmatch.fnmatchcase(name, part) and (not name.startswith(".") or part.startswith(".")):
                yield name

    @contextmanager
    def _opened(self, path: str, flags: int, mode: int = 0) -> Iterator[int]:
        fd = self._open(path, flags, mode)
        try:
            yield fd
        finally:
            os.close(fd)

    def _open(self, path: str, flags: int, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
        """A descriptor that the caller closes."""
        path = self._absolute(path)
        if self._user != (0, 0):
            return self._do(lambda: openat2(self._root, path, flags, mode=mode, resolve=resolve))
        try:
            return openat2(self._root, path, flags, mode=mode, resolve=resolve)
        except OSError as error:
            raise _as_freebsds(error) from None

    def _do(self, action: Callable[[], T]) -> T:
        if self._user == (0, 0):
            return _freebsd(action)
        with files_of(*self._user):
            return _freebsd(action)


def _freebsd(action: Callable[[], T]) -> T:
    """Do it; an error of this machine's becomes FreeBSD's."""
    try:
        return action()
    except OSError as error:
        raise _as_freebsds(error) from None


def _as_freebsds(error: OSError) -> KernelError:
    # Linux's O_NOFOLLOW and a missing write permission on a read-only file system read the same on both.
    return KernelError(Errno.of_host(errno.ENOENT if error.errno == errno.ENXIO else error.errno))
