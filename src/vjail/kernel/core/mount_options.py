"""The options of nmount(2): words in, flags and a file system's own values out; flags back as mount(8) prints them.

Sources: mount(8), nmount(2), sys/mount.h, mount_nullfs(8), devfs(5), tmpfs(5), observed/g_nullfs.txt.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vjail.kernel.core.mount_driver import MountKind, TmpfsSize
from vjail.kernel.errno import Errno, KernelError


class MountFlag(enum.IntFlag):
    """What holds for a mounted file system, in the order in which mount(8) prints it."""

    ASYNC = enum.auto()
    LOCAL = enum.auto()
    NOATIME = enum.auto()
    NOEXEC = enum.auto()
    NOSUID = enum.auto()
    NOSYMFOLLOW = enum.auto()
    READ_ONLY = enum.auto()
    SYNC = enum.auto()
    UNION = enum.auto()


_WORDS = {
    MountFlag.ASYNC: "asynchronous",
    MountFlag.LOCAL: "local",
    MountFlag.NOATIME: "noatime",
    MountFlag.NOEXEC: "noexec",
    MountFlag.NOSUID: "nosuid",
    MountFlag.NOSYMFOLLOW: "nosymfollow",
    MountFlag.READ_ONLY: "read-only",
    MountFlag.SYNC: "synchronous",
    MountFlag.UNION: "union",
}

_FLAGS = {
    "async": MountFlag.ASYNC,
    "noatime": MountFlag.NOATIME,
    "noexec": MountFlag.NOEXEC,
    "nosuid": MountFlag.NOSUID,
    "nosymfollow": MountFlag.NOSYMFOLLOW,
    "ro": MountFlag.READ_ONLY,
    "rdonly": MountFlag.READ_ONLY,
    "sync": MountFlag.SYNC,
    "union": MountFlag.UNION,
}
_CLEARS = {
    "noasync": MountFlag.ASYNC,
    "nosync": MountFlag.SYNC,
    "nounion": MountFlag.UNION,
    "noro": MountFlag.READ_ONLY,
    "rw": MountFlag.READ_ONLY,
    "atime": MountFlag.NOATIME,
    "exec": MountFlag.NOEXEC,
    "suid": MountFlag.NOSUID,
    "symfollow": MountFlag.NOSYMFOLLOW,
}

_OWN = {
    MountKind.NULLFS: {"cache", "nocache"},
    MountKind.DEVFS: {"ruleset"},
    MountKind.FDESCFS: {"linrdlnk", "rdlnk", "nodup"},
    MountKind.TMPFS: {"size", "maxfilesize", "inodes", "uid", "gid", "mode", "nonc", "nomtime"},
    MountKind.UNIONFS: {"below", "copymode", "whiteout", "udir", "ufile", "gid", "uid"},
}
"""A file system's own options; one that is not named here takes any."""

_SIZE = re.compile(r"([0-9]+)([bkmgtp]?)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MountOptions:
    """What the words say: flags, and the values of the file system's own options."""

    flags: MountFlag = MountFlag(0)
    update: bool = False
    ruleset: int | None = None
    tmpfs: TmpfsSize = TmpfsSize()
    below: bool = False


def parse_options(kind: MountKind, words: Sequence[str]) -> MountOptions:
    """Read `ro`, `ruleset=4`, … Raises KernelError(EINVAL) with the kernel's text for what `kind` does not know."""
    flags = MountFlag(0)
    own: dict[str, str] = {}
    update = False
    for word in words:
        name, _, value = word.partition("=")
        if name in _FLAGS:
            flags |= _FLAGS[name]
        elif name in _CLEARS:
            flags &= ~_CLEARS[name]
        elif name == "update":
            update = True
        elif kind not in _OWN or name in _OWN[kind]:
            own[name] = value
        elif name not in ("force", "noforce"):
            raise KernelError(Errno.EINVAL, f"mount option <{name}> is unknown")
    tmpfs = _tmpfs(own) if kind is MountKind.TMPFS else TmpfsSize()
    return MountOptions(flags, update, _ruleset(own), tmpfs, "below" in own)


def words_of(flags: MountFlag) -> tuple[str, ...]:
    """The flags in mount(8)'s words and order."""
    return tuple(word for flag, word in _WORDS.items() if flag in flags)


def _ruleset(own: Mapping[str, str]) -> int | None:
    """As sscanf(3)'s %d reads it."""
    if "ruleset" not in own:
        return None
    number = re.match(r"\s*([+-]?[0-9]+)", own["ruleset"])
    if number is None or not 0 <= int(number.group(1)) <= 0xFFFF:
        raise KernelError(Errno.EINVAL, "invalid ruleset specification")
    return int(number.group(1))


def _tmpfs(own: Mapping[str, str]) -> TmpfsSize:
    return TmpfsSize(
        size=_number(own, "size"),
        inodes=_number(own, "inodes"),
        mode=_octal(own, "mode"),
        uid=_number(own, "uid"),
        gid=_number(own, "gid"),
    )


def _number(own: Mapping[str, str], name: str) -> int | None:
    if name not in own:
        return None
    found = _SIZE.match(own[name])
    if found is None:
        raise KernelError(Errno.EINVAL)
    return int(found.group(1)) << 10 * "bkmgtp".index(found.group(2).lower() or "b")


def _octal(own: Mapping[str, str], name: str) -> int | None:
    if name not in own:
        return None
    if not re.fullmatch(r"[0-7]{1,5}", own[name]):
        raise KernelError(Errno.EINVAL)
    return int(own[name], 8)
