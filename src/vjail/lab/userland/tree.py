"""A directory tree being put together: files made, copied and linked, never outside it.

Every path is absolute *in the tree*: links in it, absolute ones too, are followed as a process whose root it is would
follow them (openat2 with RESOLVE_IN_ROOT), so nothing a user or an image put there leads out of it. Names that exist
are kept, except by `replace` and `lay`. Modes are exact, whatever the umask. Not for two threads at once.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import posixpath
import shutil
import stat
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import IO

from vjail.kernel.linux.syscalls import openat2
from vjail.lab.userland.errors import UserlandError

_OPEN_AT_ONCE = 200
"""Directories kept open; well below the usual limit of 1024 descriptors."""
_CHUNK = 1 << 30
_BLOCK = 1 << 20


class Kind(enum.Enum):
    """What a path names, links followed."""

    DIRECTORY = "directory"
    OTHER = "other"


class Tree:
    """The tree below the directory `top` of this machine. A context manager; directories are kept open meanwhile.

    With `at`, `top` is that directory of the tree (`/usr`) and holds all of the tree that there is.
    """

    def __init__(self, top: str, *, at: str = "/") -> None:
        self.top = top
        self._at = at.rstrip("/")
        self._open: dict[str, int] = {}
        self._root = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Tree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget()
        os.close(self._root)

    def forget(self) -> None:
        """Close the directories held open: to be called when something was mounted on one of them."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    # --- looking ------------------------------------------------------------------------------------------------------

    def kind(self, path: str) -> Kind | None:
        """What `path` names; None where nothing is there."""
        try:
            fd = openat2(self._root, self._inside(path), os.O_PATH)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise UserlandError(path, os.strerror(error.errno or 0)) from error
        try:
            return Kind.DIRECTORY if stat.S_ISDIR(os.fstat(fd).st_mode) else Kind.OTHER
        finally:
            os.close(fd)

    def contains(self, path: str) -> bool:
        """Whether anything has the name `path`, a link to nowhere included."""
        try:
            os.close(openat2(self._root, self._inside(path), os.O_PATH | os.O_NOFOLLOW))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return False
            raise UserlandError(path, os.strerror(error.errno or 0)) from error
        return True

    def is_directory(self, path: str) -> bool:
        """Whether `path` itself is a directory, and no link to one."""
        try:
            os.close(openat2(self._root, self._inside(path), os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW))
        except OSError:
            return False
        return True

    def names(self, path: str) -> list[str]:
        """The names in a directory; none where there is none."""
        return os.listdir(self.directory(path)) if self.kind(path) is Kind.DIRECTORY else []

    def read(self, path: str) -> bytes:
        """The content of a file of the tree. Raises OSError."""
        with open(openat2(self._root, self._inside(path), os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            return file.read()

    # --- making -------------------------------------------------------------------------------------------------------

    def directory(self, path: str) -> int:
        """A descriptor of the directory `path`, made with its parents (mode 755) where missing.

        It is this object's, valid until the next call. Raises UserlandError where something else is in the way.
        """
        path = posixpath.normpath(path)
        held = self._open.get(path)
        if held is not None:
            return held
        if len(self._open) >= _OPEN_AT_ONCE:
            self.forget()
        try:
            fd = self._opened(path)
        except FileNotFoundError:
            parent, name = posixpath.split(path)
            above = self.directory(parent)
            try:
                os.mkdir(name, 0o755, dir_fd=above)
                os.chmod(name, 0o755, dir_fd=above)
                fd = self._opened(path)
            except FileExistsError as error:
                raise UserlandError(path, "a symbolic link to nowhere is there") from error
            except OSError as error:
                raise _in_the_way(path, error) from error
        except OSError as error:
            raise _in_the_way(path, error) from error
        self._open[path] = fd
        return fd

    def _opened(self, path: str) -> int:
        return openat2(self._root, self._inside(path), os.O_RDONLY | os.O_DIRECTORY)

    def _inside(self, path: str) -> str:
        inside = path.removeprefix(self._at)
        if inside == path and self._at:
            raise ValueError(f"{path} is not below {self._at}")
        return inside.lstrip("/")

    def real(self, path: str) -> str:
        """This machine's path of the directory `path`, made where missing, without a link in it."""
        return os.readlink(f"/proc/self/fd/{self.directory(path)}")

    def make(self, path: str, mode: int = 0o755) -> bool:
        """Make a directory with its parents; False where it exists, which keeps its mode."""
        parent, name = posixpath.split(posixpath.normpath(path))
        above = self._open.get(parent)
        if above is not None:
            # Most are made one after the other in the same one.
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, mode, dir_fd=above)
                os.chmod(name, mode, dir_fd=above)
                return True
        if self.kind(path) is Kind.DIRECTORY:
            return False
        os.fchmod(self.directory(path), mode)
        return True

    def put(self, path: str, data: bytes, mode: int = 0o644) -> bool:
        """Make a file; False where something has that name already."""
        fd = self._create(path, mode)
        if fd is None:
            return False
        with open(fd, "wb") as file:
            file.write(data)
        return True

    def copy(self, path: str, source: str, mode: int) -> bool:
        """Make a file with the content of `source`, a path of this machine; False where something has that name.

        Raises OSError where the source cannot be read.
        """
        with open(source, "rb", buffering=0) as original:
            fd = self._create(path, mode)
            if fd is None:
                return False
            try:
                while os.sendfile(fd, original.fileno(), None, _CHUNK):
                    pass
            finally:
                os.close(fd)
        return True

    def link(self, path: str, text: str) -> bool:
        """Make a symbolic link that says `text`; False where something has that name already."""
        parent, name = posixpath.split(posixpath.normpath(path))
        try:
            os.symlink(text, name, dir_fd=self.directory(parent))
        except FileExistsError:
            return False
        except OSError as error:
            raise _in_the_way(path, error) from error
        return True

    def same(self, path: str, existing: str) -> bool:
        """Make `path` another name of the file `existing` of the tree; False where something has that name already."""
        above, first = posixpath.split(posixpath.normpath(existing))
        parent, name = posixpath.split(posixpath.normpath(path))
        source = os.dup(self.directory(above))
        try:
            os.link(first, name, src_dir_fd=source, dst_dir_fd=self.directory(parent), follow_symlinks=False)
        except FileExistsError:
            return False
        except OSError as error:
            raise _in_the_way(path, error) from error
        finally:
            os.close(source)
        return True

    def write(self, path: str, content: IO[bytes], mode: int) -> None:
        """Make a file with what can be read from `content`, in place of a file there may be."""
        self.remove(path)
        fd = self._create(path, mode)
        assert fd is not None
        with open(fd, "wb") as file:
            shutil.copyfileobj(content, file, _BLOCK)

    def fifo(self, path: str, mode: int) -> None:
        """Make a named pipe."""
        parent, name = posixpath.split(posixpath.normpath(path))
        os.mkfifo(name, mode, dir_fd=self.directory(parent))

    def own(self, path: str, uid: int, gid: int) -> None:
        """Set the owner of what has the name `path`."""
        parent, name = posixpath.split(posixpath.normpath(path))
        os.chown(name, uid, gid, dir_fd=self.directory(parent), follow_symlinks=False)

    def set_time(self, path: str, seconds: float) -> None:
        """Set when a file was last changed."""
        parent, name = posixpath.split(posixpath.normpath(path))
        os.utime(name, (seconds, seconds), dir_fd=self.directory(parent), follow_symlinks=False)

    def remove(self, path: str) -> bool:
        """Remove a file or link; False where there is none. Raises UserlandError where it is a directory."""
        parent, name = posixpath.split(posixpath.normpath(path))
        try:
            os.unlink(name, dir_fd=self.directory(parent))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _in_the_way(path, error) from error
        return True

    def remove_all(self, path: str) -> None:
        """Remove whatever has the name `path`, a directory with all that is in it."""
        if not self.is_directory(path):
            if self.contains(path):
                self.remove(path)
            return
        parent, name = posixpath.split(posixpath.normpath(path))
        fd = os.dup(self.directory(parent))
        try:
            self.forget()
            shutil.rmtree(name, dir_fd=fd)
        finally:
            os.close(fd)

    def replace(self, path: str, source: str, mode: int) -> bool:
        """Make a file like `source` whatever is there; whether something was."""
        there = self.remove(path)
        self.copy(path, source, mode)
        return there

    def _create(self, path: str, mode: int) -> int | None:
        parent, name = posixpath.split(posixpath.normpath(path))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, mode, dir_fd=self.directory(parent))
        except FileExistsError:
            return None
        except OSError as error:
            raise _in_the_way(path, error) from error
        os.fchmod(fd, mode)
        return fd

    # --- whole directories of this machine ----------------------------------------------------------------------------

    def lay(self, source: str, *, at: str = "/") -> None:
        """Lay the directory `source` of this machine over the tree at `at`: its files and links replace what is there.

        Directories merge and take the source's modes; owners stay this process's; sockets, pipes and devices are left
        out. Raises OSError where the source cannot be read, UserlandError where a directory meets a file.
        """
        for entry in _entries(source):
            path = posixpath.join(at, entry.name)
            if entry.is_symlink():
                self.remove(path)
                self.link(path, os.readlink(entry.path))
            elif entry.is_dir():
                os.fchmod(self.directory(path), _mode(entry) & 0o1777)
                self.lay(entry.path, at=path)
            elif entry.is_file():
                self.replace(path, entry.path, _mode(entry) & 0o777)

    def fill(self, source: str, *, at: str, without: Collection[str] = ()) -> None:
        """As `lay`, but what is there stays, and what not everyone may read is left out."""
        for entry in _entries(source):
            path = posixpath.join(at, entry.name)
            if entry.name in without:
                continue
            if entry.is_symlink():
                self.link(path, os.readlink(entry.path))
            elif entry.is_dir() and _mode(entry) & 0o005 == 0o005:
                self.make(path, _mode(entry) & 0o1777)
                self.fill(entry.path, at=path)
            elif entry.is_file() and _mode(entry) & 0o004:
                self.copy(path, entry.path, _mode(entry) & 0o777)

    def grow(self, source: str, *, without: Collection[str] = ()) -> None:
        """Make all that is in the directory `source` of this machine, with its modes; what is there stays.

        Names of `source` itself that are in `without` are left out. Files that have several names there are one file
        here as well. Raises as `lay`.
        """
        self._grow([entry for entry in _entries(source) if entry.name not in without], "/", {})

    def _grow(self, entries: Sequence[os.DirEntry[str]], at: str, first: dict[int, str]) -> None:
        for entry in entries:
            path = posixpath.join(at, entry.name)
            if entry.is_symlink():
                self.link(path, os.readlink(entry.path))
            elif entry.is_dir():
                self.make(path, _mode(entry))
                self._grow(_entries(entry.path), path, first)
            elif entry.stat().st_nlink == 1:
                self.copy(path, entry.path, _mode(entry))
            elif entry.inode() in first:
                self.same(path, first[entry.inode()])
            elif self.copy(path, entry.path, _mode(entry)):
                first[entry.inode()] = path


def _entries(directory: str) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _mode(entry: os.DirEntry[str]) -> int:
    return stat.S_IMODE(entry.stat().st_mode)


def _in_the_way(path: str, error: OSError) -> UserlandError:
    match error.errno:
        case errno.EISDIR:
            return UserlandError(path, "a directory is there where a file should be")
        case errno.ENOTDIR:
            return UserlandError(path, "a file is there where a directory should be")
        case errno.ELOOP:
            return UserlandError(path, "the symbolic links there go in circles")
        case _:
            return UserlandError(path, os.strerror(error.errno or 0))
