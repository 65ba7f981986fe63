"""The mount driver on Linux: nullfs as a bind mount, devfs as a tmpfs with nodes, in the lab host's mount namespace.

A jail's mount namespace is a slave of its root's subtree on the host: that subtree is made a mount of its own there
(`subtree`), shared with the jails on it and with nobody else, so that what the host mounts below it later arrives in
them, and what other jails have never does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vjail.kernel.core.below import Below
from vjail.kernel.core.devnodes import DeviceNode
from vjail.kernel.core.mount_driver import MountKind, MountRequest
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.devices import DeviceMaker, populate, with_doors
from vjail.kernel.linux.files import RootedFiles
from vjail.kernel.linux.spaces import HostSpace, LabSpace
from vjail.kernel.linux.syscalls import (
    AT_FDCWD,
    AT_RECURSIVE,
    MNT_DETACH,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_PRIVATE,
    MS_SHARED,
    MS_SLAVE,
    OPEN_TREE_CLONE,
    mount_setattr,
    move_mount,
    new_filesystem,
    open_tree,
    openat2,
    umount,
)

_NOSYMFOLLOW = 0x200000
_QUIET = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC


@dataclass(slots=True)
class Made:
    """A mount that was made: where, what, and for a devfs its root folder and what is mounted inside."""

    kind: MountKind
    target: str
    folder: int = -1
    inside: list[str] = field(default_factory=list)


class LinuxMounts:
    """A `MountDriver` (core/mount_driver.py) for one host."""

    def __init__(
        self,
        lab: LabSpace,
        host: HostSpace,
        procfs_changed: Callable[[str, bool], None],
    ) -> None:
        """`procfs_changed` is told when a procfs is mounted on a path, or taken away from it."""
        self._lab = lab
        self._host = host
        self._procfs_changed = procfs_changed
        self.hidden: set[str] = set()
        """Where something is mounted that is one with what is around it as far as FreeBSD goes."""
        self._made: dict[int, Made] = {}
        self._places: Below[int] = Below()
        """The idents of what was made, by target."""
        self._subtrees: set[str] = set()
        self._shared: Below[str] = Below()
        """The same, by what they lie below."""
        self._maker = DeviceMaker(mknod=not lab.rootless, chown=lab.ids > 1)

    # --- paths -------------------------------------------------------------------------------------------------------

    def realpath(self, root: str, path: str) -> str:
        """The host's path of `path` seen with `root` as its /, links followed inside it."""
        with _freebsd():
            folder = openat2(self._host.root, root, os.O_PATH | os.O_DIRECTORY)
        try:
            inner = RootedFiles(folder).realpath(path)
        finally:
            os.close(folder)
        return inner if root == "/" else (root + inner).rstrip("/")

    def is_directory(self, path: str) -> bool:
        """Whether the host's `path` is a directory. Raises KernelError(ENOENT)."""
        with _freebsd():
            fd = openat2(self._host.root, path, os.O_PATH)
            try:
                return stat.S_ISDIR(os.fstat(fd).st_mode)
            finally:
                os.close(fd)

    # --- mounting ----------------------------------------------------------------------------------------------------

    def mount(self, request: MountRequest) -> None:
        """Mount; nullfs without what is mounted below its source. A devfs is empty until `populate`."""
        made = Made(request.kind, request.target)
        with _freebsd(), self._on_host():
            fd = self._new(request)
            try:
                move_mount(fd, request.target)
            finally:
                os.close(fd)
            if request.kind is MountKind.NULLFS:
                made.inside = self._bring_along(request)
            if request.kind is MountKind.DEVFS:
                made.folder = os.open(request.target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            elif request.kind is MountKind.FDESCFS:
                for number in range(3):
                    os.symlink(f"/proc/self/fd/{number}", f"{request.target}/{number}")
        self._made[request.ident] = made
        self._places.add(request.target, request.ident)
        if request.kind is MountKind.PROCFS:
            self._procfs_changed(request.target, True)

    def _bring_along(self, request: MountRequest) -> list[str]:
        """Mount what is one with a nullfs's source, but on Linux a mount of its own, in the copy as well."""
        brought = []
        for path in sorted(self.hidden):
            if not path.startswith(request.source.rstrip("/") + "/"):
                continue
            name = path.removeprefix(request.source).lstrip("/")
            fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE)
            try:
                read_only = MOUNT_ATTR_RDONLY if request.read_only else 0
                mount_setattr(fd, "", set=read_only, propagation=MS_PRIVATE)
                move_mount(fd, f"{request.target}/{name}")
            finally:
                os.close(fd)
            brought.append(name)
        return brought

    def _new(self, request: MountRequest) -> int:
        attributes = 0
        for wanted, attribute in (
            (request.read_only, MOUNT_ATTR_RDONLY),
            (request.noexec, MOUNT_ATTR_NOEXEC),
            (request.nosuid, MOUNT_ATTR_NOSUID),
            (request.nosymfollow, _NOSYMFOLLOW),
        ):
            attributes |= attribute if wanted else 0
        match request.kind:
            case MountKind.NULLFS:
                fd = open_tree(AT_FDCWD, request.source, OPEN_TREE_CLONE)
                # A copy goes its own way: what is mounted below the source later is not seen through a nullfs.
                mount_setattr(fd, "", set=attributes, propagation=MS_PRIVATE)
                return fd
            case MountKind.TMPFS:
                size = request.tmpfs
                options: dict[str, str | None] = {"mode": f"{0o755 if size.mode is None else size.mode:o}"}
                for key, value in (
                    ("size", size.size),
                    ("nr_inodes", size.inodes),
                    ("uid", size.uid),
                    ("gid", size.gid),
                ):
                    if value is not None:
                        options[key] = str(value)
                return new_filesystem("tmpfs", options, attributes)
            case MountKind.DEVFS:
                return new_filesystem("tmpfs", {"mode": "555", "size": "64k"}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
            case MountKind.FDESCFS:
                return new_filesystem("tmpfs", {"mode": "555", "size": "64k"}, _QUIET)
            case MountKind.PROCFS:
                # On Linux a procfs shows one process namespace. A jail's own is mounted over this inside it.
                return new_filesystem("tmpfs", {"mode": "555", "size": "4k"}, _QUIET | MOUNT_ATTR_RDONLY)
            case _:
                raise KernelError(Errno.EOPNOTSUPP)

    def unmount(self, ident: int, *, force: bool) -> None:
        """Unmount. Raises KernelError(EBUSY) where a process uses it, unless `force`."""
        made = self._made[ident]
        if made.kind is MountKind.PROCFS:
            self._procfs_changed(made.target, False)
        with _freebsd(), self._on_host():
            # The root folder is open here, which would count as use.
            if made.folder >= 0:
                os.close(made.folder)
                made.folder = -1
            inside = [(name, open_tree(AT_FDCWD, f"{made.target}/{name}", OPEN_TREE_CLONE)) for name in made.inside]
            for name in reversed(made.inside):
                umount(f"{made.target}/{name}", MNT_DETACH)
            # What jails had their roots on, and have no more, is a mount here and none on FreeBSD.
            for path in sorted(self._shared.below(made.target)):
                self._forget_subtree(path)
                with contextlib.suppress(OSError):
                    umount(path, MNT_DETACH)
            try:
                umount(made.target, MNT_DETACH if force else 0)
                self._forget_subtree(made.target)
            except OSError:
                for name, fd in inside:
                    move_mount(fd, f"{made.target}/{name}")
                if made.kind is MountKind.DEVFS:
                    made.folder = os.open(made.target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                raise
            finally:
                for _, fd in inside:
                    os.close(fd)
        del self._made[ident]
        self._places.discard(made.target, ident)

    def populate(self, ident: int, nodes: Sequence[DeviceNode]) -> None:
        """Let the devfs `ident` hold exactly these nodes."""
        made = self._made[ident]
        nodes = with_doors(nodes)
        sources = self._maker.sources(nodes)
        try:
            with _freebsd(), self._on_host():
                made.inside = populate(made.folder, nodes, self._maker, sources)
        finally:
            for fd in sources.values():
                os.close(fd)

    # --- a jail's root -----------------------------------------------------------------------------------------------

    def subtree(self, path: str) -> int:
        """A detached copy of what is mounted at and below the host's `path`, for a jail; the caller closes it."""
        with _freebsd(), self._on_host():
            self._share(path)
            copy = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | AT_RECURSIVE)
            mount_setattr(copy, "", recursive=True, propagation=MS_SLAVE)
            return copy

    def _share(self, path: str) -> None:
        """Let what is mounted below `path` from now on reach the jails there."""
        if path in self._subtrees:
            return
        if path == "/" or self._places.at(path):
            mount_setattr(AT_FDCWD, path, recursive=True, propagation=MS_SHARED)
            self._note_subtree(path)
            return
        inside = [self._made[ident] for ident in self._places.below(path)]
        if self._move_over(path, inside):
            self._note_subtree(path)
            return
        covered = [open_tree(AT_FDCWD, made.target, 0) for made in inside if made.kind is not MountKind.DEVFS]
        devices = [made for made in inside if made.folder >= 0]
        own = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | AT_RECURSIVE)
        # Where a jail has the host's root everything is shared already; this is to be a peer group of its own.
        mount_setattr(own, "", recursive=True, propagation=MS_PRIVATE)
        mount_setattr(own, "", recursive=True, propagation=MS_SHARED)
        move_mount(own, path)
        os.close(own)
        # What was mounted there before is now there twice; the old ones are out of sight and would only be in the way.
        for fd in (*covered, *(made.folder for made in devices)):
            _unmount_hidden(fd)
            os.close(fd)
        for made in devices:
            made.folder = os.open(made.target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._note_subtree(path)

    def _move_over(self, path: str, inside: Sequence[Made]) -> bool:
        """Make `path` a mount and move what is mounted below it onto that; False where that cannot be.

        A mount that is copied has to be unmounted where it was, which waits for all processors each time.
        """
        targets = {made.target for made in inside}
        above = {parent for parent in Path(path).parents if str(parent) in self._subtrees}
        hidden = any(each.startswith(f"{path}/") for each in self.hidden)
        if above or hidden or self._shared.below(path) or len(targets) != len(inside):
            # Nothing is moved out of what is shared; the others are more than what was made here, one on each place.
            return False
        highest = [target for target in targets if not any(target.startswith(f"{each}/") for each in targets)]
        with contextlib.ExitStack() as stack:
            moving = [(target, _held(stack, open_tree(AT_FDCWD, target, 0))) for target in highest]
            own = _held(stack, open_tree(AT_FDCWD, path, OPEN_TREE_CLONE))
            mount_setattr(own, "", propagation=MS_PRIVATE)
            move_mount(own, path)
            for target, fd in moving:
                move_mount(fd, target)
            mount_setattr(AT_FDCWD, path, recursive=True, propagation=MS_SHARED)
        return True

    def _note_subtree(self, path: str) -> None:
        self._subtrees.add(path)
        self._shared.add(path, path)

    def _forget_subtree(self, path: str) -> None:
        self._subtrees.discard(path)
        self._shared.discard(path, path)

    def adopt(self, mounts: Sequence[tuple[int, MountKind, str]], roots: Iterable[str]) -> None:
        """Take over what another server mounted, ident, kind and target of each; and the roots of its jails."""
        # Of several on one target the last is the one in sight.
        newest = {target: ident for ident, _, target in mounts}
        there = list(mount_points(self._host.init))
        known = newest | dict.fromkeys(self.hidden)
        for path in (*roots, *(path for path, shared in there if shared and path not in known)):
            self._note_subtree(path)
        with self._on_host():
            for ident, kind, target in mounts:
                made = self._made[ident] = Made(kind, target)
                self._places.add(target, ident)
                if kind is MountKind.DEVFS:
                    made.folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for path, _ in there:
            holder = max((t for t in newest if path.startswith(t + "/")), key=len, default=None)
            if holder is not None and path not in newest and path not in self._subtrees:
                self._made[newest[holder]].inside.append(path.removeprefix(holder + "/"))

    @contextmanager
    def _on_host(self) -> Iterator[None]:
        with self._lab.mounts(self._host.namespaces["mnt"]):
            yield


def mount_points(pid: int) -> Iterator[tuple[str, bool]]:
    """Where a process has something mounted, each with whether it is shared. Source: proc_pid_mountinfo(5)."""
    for line in Path(f"/proc/{pid}/mountinfo").read_text(errors="surrogateescape").splitlines():
        fields = line.split(" ")
        path = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4])
        yield path, any(field.startswith("shared:") for field in fields[6 : fields.index("-")])


def _held(stack: contextlib.ExitStack, fd: int) -> int:
    """A descriptor, closed with the stack."""
    stack.callback(os.close, fd)
    return fd


def _unmount_hidden(fd: int) -> None:
    """Unmount what no path leads to any more, by a descriptor of its root."""
    os.fchdir(fd)
    try:
        umount(".", MNT_DETACH)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.chdir("/")


@contextmanager
def _freebsd() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KernelError(Errno.of_host(error.errno)) from error
