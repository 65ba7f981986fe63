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
    try:
        if files.realpath(path) == path:
            return None
    except KernelError:
        pass  # which component it is, and why, is found out below
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


def check_mounted(system: System, files: Files, parameter: str, path: str, fstype: str) -> str | None:
    """What is wrong with unmounting a file system of that type from `path`, None where nothing is."""
    try:
        if files.kind(path) is None:
            return f"{parameter}: {path}: {Errno.ENOENT.text}"
        target = files.realpath(path)
    except KernelError as error:
        return f"{parameter}: {path}: {error.errno.text}"
    mounted = system.mounted(target)
    if mounted is None or mounted.target != target:
        return f"{parameter}: {path}: not a mount point"
    return None if mounted.fstype == fstype else f"{parameter}: {path}: not a {fstype} mount"
