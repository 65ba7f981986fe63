"""The table of mounted file systems of one host: what may be mounted where, what is busy, who sees what.

FreeBSD has one table for the host and all its jails, and a file system covers a *vnode*, not a path: what is mounted
below a nullfs's source is not seen through it, and a nullfs may cover its own source. So every path is looked up
through the table to a `Vnode`. Sources: sys/kern/vfs_mount.c, sys/fs/nullfs/null_vfsops.c, sys/kern/kern_jail.c
(enforce_statfs), jail(8), observed/g_nullfs.txt, g0_nullfs_stacking_until_hang.txt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from vjail.kernel.core.journal import Journal
from vjail.kernel.core.mount_driver import MountDriver, MountKind, MountRequest
from vjail.kernel.core.mount_options import MountFlag, MountOptions, parse_options, words_of
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.record import from_record, to_record
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Mounted
from vjail.kernel.operations import Mount, Operation, Unmount

ROOT = 0
"""The ident of the root file system, which nothing here mounts."""

_RECORD = "mount"
_FNV_START, _FNV_PRIME = 33554467, 0x01000193
_LOCAL_KINDS = {MountKind.TMPFS, MountKind.PROCFS, MountKind.LINPROCFS, MountKind.LINSYSFS}
_KINDS = {kind.value: kind for kind in MountKind}


class JailRules(Protocol):
    """What the mount table must know of jails; every path is a host's path."""

    def permits(self, jid: int, what: str) -> bool:
        """Whether the jail has the permission `what` (`allow.mount`, `allow.mount.tmpfs`)."""
        ...

    def enforce_statfs(self, jid: int) -> int:
        """The jail's enforce_statfs: 0 it sees every mount, 1 those below its root, 2 its root's only."""
        ...

    def devfs_ruleset(self, jid: int) -> int:
        """The jail's devfs_ruleset, 0 for none."""
        ...

    def root(self, jid: int) -> str:
        """The jail's path; `/` for the host."""
        ...

    def roots_in(self, path: str) -> Iterable[str]:
        """The paths of jails, dying ones included, that are `path` or lie below it."""
        ...

    def is_descendant(self, jid: int, ancestor: int) -> bool:
        """Whether jail `jid` is below `ancestor`; every jail is below the host."""
        ...


class FileSystem(Protocol):
    """Who is told of every mount of one kind (devfs, to fill it)."""

    def mounted(self, ident: int, ruleset: int) -> None:
        """A mount was made. Raises KernelError: then it is undone."""
        ...

    def unmounted(self, ident: int) -> None:
        """It is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Vnode:
    """A file as the kernel knows it: the mount it belongs to and its path below that mount's root (`` or `/a/b`)."""

    mount: int
    path: str


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A mounted file system: `source` and `target` as mount(8) shows them, `covered` the vnode it hides, `lower` the
    one a nullfs shows in its place, `flags` those given for it alone, `jid` who mounted it, `serial` its fsid's."""

    ident: int
    kind: MountKind | None
    source: str
    target: str
    covered: Vnode | None
    lower: Vnode | None
    flags: MountFlag
    jid: int
    serial: int
    boot: bool = False

    @property
    def fstype(self) -> str:
        """Its name in fstab(5)."""
        return self.kind.value if self.kind else "ufs"

    @property
    def fsid(self) -> str:
        """The fsid as `mount -v` prints it (vfs_getnewfsid); empty for the root, whose id is its disk's."""
        if self.kind is None:
            return ""
        number = _type_number(self.fstype)
        return f"{self.serial & 0xFF:02x}ff{self.serial >> 8 & 0xFF:02x}{number:02x}{number:02x}000000"


class Mounts:
    """The mount table of one host."""

    def __init__(
        self,
        driver: MountDriver,
        journal: Journal,
        jails: JailRules,
        *,
        available: Callable[[str], bool],
        root_source: str = "/dev/vtbd0p2",
    ) -> None:
        """`available` says whether the kernel has a file system of that name, compiled in or as a module."""
        self._driver = driver
        self._journal = journal
        self._jails = jails
        self._available = available
        self._file_systems: dict[MountKind, FileSystem] = {}
        flags = MountFlag.LOCAL | MountFlag.NOATIME
        root = MountPoint(ROOT, None, root_source, "/", None, None, flags, 0, 0, True)
        self._table: dict[int, MountPoint] = {ROOT: root}
        self._covering: dict[Vnode, int] = {}
        self._on: dict[str, list[int]] = {"/": [ROOT]}
        self._by_source: dict[str, list[int]] = {root_source: [ROOT]}
        self._by_fsid: dict[str, list[int]] = {}
        self._shown: dict[int, Mounted] = {ROOT: self._as_shown(root)}
        self._holders: Counter[int] = Counter()
        self._next = 1
        self._serial = 0
        for _, record in journal.records(_RECORD):
            self._insert(from_record(MountPoint, record))

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """Mount and Unmount."""
        return {Mount: self._mount, Unmount: self._unmount}

    def register(self, kind: MountKind, file_system: FileSystem) -> None:
        """Tell `file_system` of every mount of this kind from now on."""
        self._file_systems[kind] = file_system

    def boot(self) -> None:
        """Mount the devfs on /dev that the kernel itself mounts before anything runs."""
        if not any(mount.boot and mount.target == "/dev" for mount in self._table.values()):
            self._make(MountKind.DEVFS, "devfs", "/dev", MountOptions(), Caller(0, 0), boot=True)

    def mounts(self, caller: Caller) -> Sequence[Mounted]:
        """What getfsstat(2) shows the caller, in the order of mounting."""
        if caller.jid == 0:
            return list(self._shown.values())
        seen = self._seen_by(caller.jid)
        return [
            replace(self._shown[mount.ident], target=target)
            for mount in self._table.values()
            if (target := seen(mount)) is not None
        ]

    def mounted(self, caller: Caller, name: str) -> Mounted | None:
        """The newest of `mounts` that has `name` as its fsid; if none has, as its target; if none has, its source."""
        if caller.jid == 0:
            idents = self._by_fsid.get(name) or self._on.get(name) or self._by_source.get(name)
            return self._shown[idents[-1]] if idents else None
        shown = self.mounts(caller)[::-1]
        keys = ("fsid", "target", "source")
        return next((each for key in keys for each in shown if getattr(each, key) == name), None)

    def points(self) -> Sequence[MountPoint]:
        """Every mounted file system but the root, in the order of mounting."""
        return [mount for mount in self._table.values() if mount.kind is not None]

    def devfs_at(self, caller: Caller, path: str) -> int:
        """The ident of the devfs that `path` lies in. Raises KernelError(ENOENT, ENOTTY)."""
        place = self.lookup(self._driver.realpath(self._jails.root(caller.jid), path))
        if self._table[place.mount].kind is not MountKind.DEVFS:
            raise KernelError(Errno.ENOTTY)
        return place.mount

    def lookup(self, path: str) -> Vnode:
        """The vnode a host's path without links leads to, through everything that is mounted."""
        place = self._uncovered(Vnode(ROOT, ""))
        for name in path.split("/"):
            if name:
                place = self.step(place, name)
        return place

    def step(self, place: Vnode, name: str) -> Vnode:
        """The vnode called `name` in the directory `place`, or the root of what is mounted on it."""
        return self._uncovered(Vnode(place.mount, f"{place.path}/{name}"))

    def origin(self, place: Vnode) -> Vnode:
        """The vnode that really holds the file: below a nullfs what it shows, and so on."""
        while (lower := self._shown_through(place)) is not None:
            place = lower
        return place

    def is_read_only(self, place: Vnode) -> bool:
        """Whether the file system of a vnode, or one that it shows, is mounted read-only."""
        return MountFlag.READ_ONLY in self._visible_flags(self._table[place.mount])

    # --- mounting ----------------------------------------------------------------------------------------------------

    def _mount(self, caller: Caller, operation: Mount) -> None:
        self._check_permission(caller.jid, operation.fstype)
        kind = _KINDS.get(operation.fstype)
        if kind is None or not self._available(operation.fstype):
            raise KernelError(Errno.ENODEV)
        options = parse_options(kind, operation.options)
        if options.update:
            raise KernelError(Errno.EOPNOTSUPP)
        target = self._driver.realpath(self._jails.root(caller.jid), operation.target)
        self._make(kind, operation.source, target, options, caller)

    def _check_permission(self, jid: int, fstype: str) -> None:
        """A jail needs allow.mount, the file system's own permission, and enforce_statfs below 2."""
        if jid and not (
            self._jails.permits(jid, "allow.mount")
            and self._jails.enforce_statfs(jid) < 2
            and self._jails.permits(jid, f"allow.mount.{fstype}")
        ):
            raise KernelError(Errno.EPERM)

    def _make(
        self, kind: MountKind, source: str, target: str, options: MountOptions, caller: Caller, *, boot: bool = False
    ) -> None:
        covered = self.lookup(target)
        directory = self._driver.is_directory(target)
        lower: Vnode | None = None
        if kind in (MountKind.NULLFS, MountKind.UNIONFS):
            source = self._driver.realpath(self._jails.root(caller.jid), source)
            lower = self._lower(kind, source, covered, directory)
        elif not directory:
            raise KernelError(Errno.ENOTDIR)
        ruleset = self._ruleset(caller.jid, options) if kind is MountKind.DEVFS else 0
        shown = _shown_source(kind, source, options)
        mount = MountPoint(
            self._next, kind, shown, target, covered, lower, options.flags, caller.jid, self._serial, boot
        )
        self._driver.mount(self._request(mount, kind, source, options))
        file_system = self._file_systems.get(kind)
        if file_system is not None:
            try:
                file_system.mounted(mount.ident, ruleset)
            except KernelError:
                self._driver.unmount(mount.ident, force=True)
                raise
        self._insert(mount)
        self._journal.put(_RECORD, str(mount.ident), to_record(mount))

    def _request(self, mount: MountPoint, kind: MountKind, source: str, options: MountOptions) -> MountRequest:
        flags = self._visible_flags(mount)
        return MountRequest(
            mount.ident,
            kind,
            source,
            mount.target,
            read_only=MountFlag.READ_ONLY in flags,
            noexec=MountFlag.NOEXEC in flags,
            nosuid=MountFlag.NOSUID in flags,
            nosymfollow=MountFlag.NOSYMFOLLOW in flags,
            tmpfs=options.tmpfs,
            below=options.below,
            jid=mount.jid,
        )

    def _lower(self, kind: MountKind, source: str, covered: Vnode, directory: bool) -> Vnode:
        """What a nullfs shows. EDEADLK where the same vnode is what the covered nullfs shows already."""
        lower = self.lookup(source)
        if self._driver.is_directory(source) is not directory:
            raise KernelError(Errno.EINVAL)
        if kind is MountKind.NULLFS and self._shown_through(covered) == lower:
            raise KernelError(Errno.EDEADLK)
        return lower

    def _shown_through(self, place: Vnode) -> Vnode | None:
        """The vnode below a nullfs's vnode; None for a vnode of another file system."""
        mount = self._table[place.mount]
        if mount.kind is not MountKind.NULLFS or mount.lower is None:
            return None
        return Vnode(mount.lower.mount, mount.lower.path + place.path)

    def _ruleset(self, jid: int, options: MountOptions) -> int:
        """The ruleset of a new devfs: in a jail the jail's own, and naming another is refused."""
        if jid == 0:
            return options.ruleset or 0
        own = self._jails.devfs_ruleset(jid)
        if options.ruleset and options.ruleset != own:
            raise KernelError(Errno.EPERM)
        return own

    def _insert(self, mount: MountPoint) -> None:
        self._table[mount.ident] = mount
        shown = self._shown[mount.ident] = self._as_shown(mount)
        for index, key in self._indexes(shown):
            index.setdefault(key, []).append(mount.ident)
        if mount.covered is not None:
            self._covering[mount.covered] = mount.ident
        for place in (mount.covered, mount.lower):
            if place is not None:
                self._holders[place.mount] += 1
        self._next = max(self._next, mount.ident + 1)
        self._serial = max(self._serial, mount.serial + 1)

    def _take_out(self, mount: MountPoint) -> None:
        del self._table[mount.ident]
        for index, key in self._indexes(self._shown.pop(mount.ident)):
            index[key].remove(mount.ident)
            if not index[key]:
                del index[key]
        if mount.covered is not None:
            del self._covering[mount.covered]
        for place in (mount.covered, mount.lower):
            if place is not None:
                self._holders[place.mount] -= 1

    # --- unmounting --------------------------------------------------------------------------------------------------

    def _unmount(self, caller: Caller, operation: Unmount) -> None:
        mount = self._newest_on(self._global_path(caller.jid, operation.target))
        if mount is None or mount.ident == ROOT:
            raise KernelError(Errno.EINVAL)
        if caller.jid:
            self._check_permission(caller.jid, mount.fstype)
            if mount.jid != caller.jid and not self._jails.is_descendant(mount.jid, caller.jid):
                raise KernelError(Errno.EPERM)
        if mount.boot or self._in_use(mount):
            raise KernelError(Errno.EBUSY)
        self._driver.unmount(mount.ident, force=operation.force)
        self._take_out(mount)
        self._journal.drop(_RECORD, str(mount.ident))
        if mount.kind in self._file_systems:
            self._file_systems[mount.kind].unmounted(mount.ident)

    def _newest_on(self, target: str) -> MountPoint | None:
        idents = self._on.get(target)
        return self._table[idents[-1]] if idents else None

    def _global_path(self, jid: int, path: str) -> str:
        """The host's path of a mount point; one that cannot be looked up is taken by its words."""
        root = self._jails.root(jid)
        try:
            return self._driver.realpath(root, path)
        except KernelError:
            return _joined(root, path)

    def _in_use(self, mount: MountPoint) -> bool:
        """Whether another mount lies on it or shows it, or a jail has its root there."""
        if self._holders[mount.ident]:
            return True
        return any(self.lookup(root).mount == mount.ident for root in self._jails.roots_in(mount.target))

    # --- looking -----------------------------------------------------------------------------------------------------

    def _uncovered(self, place: Vnode) -> Vnode:
        """The root of whatever is mounted on a vnode, or the vnode itself."""
        while (ident := self._covering.get(place)) is not None:
            place = Vnode(ident, "")
        return place

    def _as_shown(self, mount: MountPoint) -> Mounted:
        """What the host sees of a mount; it does not change for as long as the mount is there."""
        options = words_of(self._visible_flags(mount))
        return Mounted(mount.fstype, mount.source, mount.target, options, mount.fsid)

    def _indexes(self, shown: Mounted) -> Sequence[tuple[dict[str, list[int]], str]]:
        """Where a mount is found, and as what."""
        return (self._on, shown.target), (self._by_source, shown.source), (self._by_fsid, shown.fsid)

    def _visible_flags(self, mount: MountPoint) -> MountFlag:
        """What mount(8) shows: a nullfs has what lies below it besides its own."""
        flags = mount.flags
        if mount.kind in _LOCAL_KINDS:
            return flags | MountFlag.LOCAL
        below = mount.covered if mount.kind is MountKind.UNIONFS else mount.lower
        return flags | self._visible_flags(self._table[below.mount]) if below is not None else flags

    def _seen_by(self, jid: int) -> Callable[[MountPoint], str | None]:
        """Where a jail sees a mount, None where it does not (prison_enforce_statfs)."""
        rule = self._jails.enforce_statfs(jid) if jid else 0
        root = self._jails.root(jid)
        root_mount = self.lookup(root).mount

        def seen(mount: MountPoint) -> str | None:
            if rule == 0:
                return mount.target
            if mount.ident == root_mount or mount.target == root:
                return "/" if rule == 1 or mount.ident == root_mount else None
            if rule == 2:
                return None
            if root == "/":
                return mount.target
            return mount.target[len(root) :] if mount.target.startswith(f"{root}/") else None

        return seen


def _type_number(name: str) -> int:
    """vfc_typenum: the low byte of the 32-bit FNV-1 hash of a file system's name."""
    value = _FNV_START
    for byte in name.encode():
        value = (value * _FNV_PRIME & 0xFFFFFFFF) ^ byte
    return value & 0xFF


def _shown_source(kind: MountKind, source: str, options: MountOptions) -> str:
    """What mount(8) shows before `on`: most file systems put their own name there, whatever was given."""
    if kind is MountKind.NULLFS:
        return source
    if kind is MountKind.UNIONFS:
        return f"<{'below' if options.below else 'above'}>:{source}"
    own_name: str = kind.value
    return own_name


def _joined(root: str, path: str) -> str:
    """`path` inside `root`, with the slashes that mean nothing taken out."""
    return "/" + "/".join(part for part in f"{root}/{path}".split("/") if part)
