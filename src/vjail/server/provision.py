"""The files of a lab's hosts: each host's tree when it is made, and what its jails take for granted.

What is made is lab/userland's to say. This finds out which jails a host's files configure, and brings what is made into
the mount namespace of a host that runs already.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vjail.kernel.linux.files import RootedFiles
from vjail.kernel.linux.mounts import mount_points
from vjail.kernel.linux.spaces import HostSpace, LabSpace
from vjail.kernel.linux.syscalls import (
    AT_FDCWD,
    MNT_DETACH,
    OPEN_TREE_CLONE,
    move_mount,
    open_tree,
    umount,
)
from vjail.lab.configured import Configured, needed, uuid_of
from vjail.lab.model import Lab, LabHostSpec
from vjail.lab.stock import Userlands
from vjail.lab.userland import KernelMounter, Obstacle, Tree, needs


class Provisioner:
    """Makes the trees of a lab's hosts; `tree` is the folder that only the lab sees."""

    def __init__(self, tree: Path, lab: LabSpace) -> None:
        self._lab = lab
        self._userlands = Userlands(tree, rootless=lab.rootless)

    def make_host(self, lab: Lab, spec: LabHostSpec, root: Path) -> list[str]:
        """Make a host's tree in the new folder `root`; where in it something is mounted. UserlandError, OSError."""
        root.mkdir(mode=0o755)
        given = {f"/etc/{name}": file.content for name, file in spec.files.items()}
        hostid = None if "hostid" in spec.files else f"{uuid_of(lab, spec)}\n"
        files = str(spec.tree) if spec.tree is not None else None
        return (
            self._userlands.named(spec.userland, KernelMounter())
            .provide_host(str(root), files=files, given=given, hostid=hostid)
            .mounts
        )

    def make_bases(
        self, spec: LabHostSpec, root: Path, configured: Configured, running: HostSpace | None = None
    ) -> tuple[list[str], Sequence[Obstacle]]:
        """Make what jails need in a host's tree; where something is mounted, and what cannot be. As make_host."""
        mounter = KernelMounter() if running is None else _IntoHost(self._lab, running, str(root))
        with Tree(str(root)) as tree:
            # Nothing is made meanwhile, and jails have most of their mounts from the same places.
            plan = needs(needed(configured.jails), functools.cache(tree.kind))
        return self._userlands.named(spec.userland, mounter).provide(str(root), plan).mounts, plan.obstacles

    @staticmethod
    def discard(top: Path) -> None:
        """Remove what was made of a host that cannot be, with all that is mounted in it."""
        inside = [path for path, _ in mount_points(os.getpid()) if Path(path).is_relative_to(top)]
        for path in reversed(inside):
            umount(path, MNT_DETACH)
        shutil.rmtree(top, ignore_errors=True)


class _IntoHost(KernelMounter):
    """Makes mounts here and in the mount namespace of a host that is running, whose root is `root` here."""

    def __init__(self, lab: LabSpace, host: HostSpace, root: str) -> None:
        self._lab = lab
        self._host = host
        self._root = root

    def overlay(self, lower: Sequence[str], upper: str, work: str, target: str, *, userxattr: bool) -> None:
        """Mount an overlay."""
        super().overlay(lower, upper, work, target, userxattr=userxattr)
        self._bring(target)

    def bind(self, source: str, target: str, *, read_only: bool) -> None:
        """Mount a directory with all that is mounted in it a second time."""
        super().bind(source, target, read_only=read_only)
        self._bring(target)

    def _bring(self, target: str) -> None:
        fd = open_tree(AT_FDCWD, target, OPEN_TREE_CLONE)
        try:
            with self._lab.mounts(self._host.namespaces["mnt"]):
                move_mount(fd, target.removeprefix(self._root))
        finally:
            os.close(fd)


@contextmanager
def files_at(root: Path) -> Iterator[RootedFiles]:
    """The files of a host's tree, whether the host runs or not."""
    fd = os.open(root, os.O_PATH | os.O_CLOEXEC)
    try:
        yield RootedFiles(fd)
    finally:
        os.close(fd)
