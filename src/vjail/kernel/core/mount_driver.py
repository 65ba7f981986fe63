"""What the core's mount table asks of the machine beneath: look paths up, mount, unmount, fill a /dev.

All paths are those of the lab host, absolute, with every symbolic link followed, whatever jail asked. A driver raises
KernelError where the machine refuses; the core then changes nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vjail.kernel.core.devnodes import DeviceNode


class MountKind(enum.Enum):
    """A file system that can be mounted; the value is its name in fstab(5)."""

    NULLFS = "nullfs"
    DEVFS = "devfs"
    FDESCFS = "fdescfs"
    PROCFS = "procfs"
    LINPROCFS = "linprocfs"
    LINSYSFS = "linsysfs"
    TMPFS = "tmpfs"
    UNIONFS = "unionfs"


@dataclass(frozen=True, slots=True)
class TmpfsSize:
    """tmpfs(5)'s own options; None leaves the default. `size` in bytes, `mode` permission bits of its root."""

    size: int | None = None
    inodes: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True, slots=True)
class MountRequest:
    """One mount to make. `ident` names it from then on and is never used twice.

    `source` is a path for nullfs and unionfs, else the word that was given. `read_only` says what holds in effect: a
    nullfs of something read-only is read-only. `below`: the source of a unionfs lies under the target. `jid` is the
    jail that asked, 0 the host: what is mounted by a jail is seen by it and by the host.
    """

    ident: int
    kind: MountKind
    source: str
    target: str
    read_only: bool = False
    noexec: bool = False
    nosuid: bool = False
    nosymfollow: bool = False
    tmpfs: TmpfsSize = TmpfsSize()
    below: bool = False
    jid: int = 0


class MountDriver(Protocol):
    """Carries out what the mount table's rules decided."""

    def realpath(self, root: str, path: str) -> str:
        """The host's path of `path` seen with `root` as its /, links followed inside it. ENOENT, ENOTDIR, ELOOP."""
        ...

    def is_directory(self, path: str) -> bool:
        """Whether the host's `path` is a directory. Raises KernelError(ENOENT)."""
        ...

    def mount(self, request: MountRequest) -> None:
        """Mount; nullfs without what is mounted below its source. A devfs is empty until `populate`."""
        ...

    def unmount(self, ident: int, *, force: bool) -> None:
        """Unmount. Raises KernelError(EBUSY) where a process uses it, unless `force`."""
        ...

    def populate(self, ident: int, nodes: Sequence[DeviceNode]) -> None:
        """Let the devfs `ident` hold exactly these nodes; called again when rules were applied to it."""
        ...
