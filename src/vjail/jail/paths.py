"""Whether a path that a jail's parameters name may be mounted on, unmounted or written to.

Below the jail's root no component may be a symbolic link, because who is in the jail could have made it. Sources:
check_path() in FreeBSD 13.2 usr.sbin/jail/command.c, create_jail() in jail.c.
"""

from __future__ import annotations

from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.system import System
from vjail.session import FileKind, Files


def check_root(files: Files, path: str, *, named: bool) -> str | None:
    """What is wrong with a jail's root, None where nothing is; only that of a jail with a block must be absolute."""
    if named and not path.startswith("/"):
        return f"path {path}: not an absolute pathname"
    try:
        kind = files.kind(path)
    except KernelError as error:
        return f"path {path}: {error.errno.text}"
    if kind is None:
        return f"path {path}: {_missing(files, path).text}"
    return None if kind is FileKind.DIRECTORY else f"path {path}: {Errno.ENOTDIR.text}"


def _missing(files: Files, path: str) -> Errno:
    """Why nothing is there: ENOTDIR where a component above is no directory."""
    parent = path.rstrip("/").rpartition("/")[0]
    while parent:
        try:
            kind = files.kind(parent)
        except KernelError as error:
            return error.errno
        if kind is not None:
            return Errno.ENOENT if kind is FileKind.DIRECTORY else Errno.ENOTDIR
        parent = parent.rpartition("/")[0]
    return Errno.ENOENT


def check_below(files: Files, root: str | None, parameter: str, path: str, *, may_be_new: bool = False) -> str | None:
    """What is wrong with a path that `parameter` names, None where nothing is. `may_be_new`: a file to be made."""
    if not path.startswith("/"):
        return f"{parameter}: {path}: not an absolute pathname"
    root = root or ""
    if not path.startswith(root) or path[len(root) : len(root) + 1] != "/":
        return None
    end = len(root)
    while end < len(path):
        end = path.find("/", end + 1)
        end = len(path) if end < 0 else end
        part = path[:end]
        try:
            kind = files.kind(part, follow=False)
        except KernelError as error:
            return f"{parameter}: {part}: {error.errno.text}"
        if kind is None:
            return None if may_be_new and part == path else f"{parameter}: {part}: {Errno.ENOENT.text}"
        if kind is FileKind.LINK:
            return f"{parameter}: {part} is a symbolic link"
    return None


class MountPoints:
    """Which file systems are mounted where, asked of the kernel as seldom as possible.

    The table of a host with many jails is long: it is read once, and again only where something is not in it.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._types: dict[str, list[str]] | None = None

    def check(self, files: Files, parameter: str, path: str, fstype: str) -> str | None:
        """What is wrong with unmounting a file system of that type from `path`, None where nothing is."""
        try:
            if files.kind(path) is None:
                return f"{parameter}: {path}: {Errno.ENOENT.text}"
            target = files.realpath(path)
        except KernelError as error:
            return f"{parameter}: {path}: {error.errno.text}"
        types = self._at(target, fstype)
        if not types:
            return f"{parameter}: {path}: not a mount point"
        return None if types[-1] == fstype else f"{parameter}: {path}: not a {fstype} mount"

    def _at(self, target: str, fstype: str) -> list[str]:
        if self._types is not None:
            types = self._types.get(target)
            if types and types[-1] == fstype:
                return types
        self._types = {}
        for mounted in self._system.mounts():
            self._types.setdefault(mounted.target, []).append(mounted.fstype)
        return self._types.get(target, [])
