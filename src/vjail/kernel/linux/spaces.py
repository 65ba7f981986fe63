"""The namespaces a lab host and its jails are made of: making, pinning, joining.

A host's are held by its PID 1. A jail's mount, network, IPC and UTS namespaces, and for a vnet jail the user namespace
that owns them, are pinned as files in the lab's mount namespace, so that an idle jail needs no process; its process
namespace lives from its first process to its last. Programs run here are described in hands.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vjail.kernel.linux.hands import Hands
from vjail.kernel.linux.program import Fd, Program, Register
from vjail.kernel.linux.syscalls import (
    AT_FDCWD,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    FSCONFIG_CMD_CREATE,
    FSMOUNT_CLOEXEC,
    FSOPEN_CLOEXEC,
    MNT_DETACH,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MOVE_MOUNT_F_EMPTY_PATH,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REC,
    MS_REMOUNT,
    OPEN_TREE_CLONE,
    PR_SET_DUMPABLE,
    PR_SET_NAME,
    mount,
    setns,
    umount,
)

_QUIET = MS_NOSUID | MS_NODEV | MS_NOEXEC
_QUIET_ATTRIBUTES = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC

KINDS = {
    "user": CLONE_NEWUSER,
    "mnt": CLONE_NEWNS,
    "net": CLONE_NEWNET,
    "uts": CLONE_NEWUTS,
    "ipc": CLONE_NEWIPC,
    "pid": CLONE_NEWPID,
}
"""The kinds of namespace by their name in /proc/PID/ns."""


@dataclass(slots=True)
class LabSpace:
    """Where the lab's server is at home: its namespaces, the anchor's hands, the ids of the lab's user namespace."""

    hands: Hands
    mnt: int
    net: int
    user: int
    uid_map: str
    gid_map: str
    rootless: bool
    """Whether the lab has a user namespace of its own, which a process from outside must join first."""

    @classmethod
    def here(cls, hands: Hands, *, rootless: bool) -> LabSpace:
        """Of the process that calls."""
        mnt, net, user = (_open(f"/proc/self/ns/{kind}") for kind in ("mnt", "net", "user"))
        return cls(hands, mnt, net, user, _identity("uid"), _identity("gid"), rootless)

    @property
    def outside(self) -> int | None:
        """The user namespace that a process from outside the lab has to join, None where it need not."""
        return self.user if self.rootless else None

    @property
    def ids(self) -> int:
        """How many user ids the lab has."""
        return sum(int(line.split()[2]) for line in self.uid_map.splitlines())

    @contextmanager
    def mounts(self, fd: int) -> Iterator[None]:
        """Be in another mount namespace for a while: root and working directory are its; import nothing meanwhile."""
        setns(fd, CLONE_NEWNS)
        try:
            yield
        finally:
            setns(self.mnt, CLONE_NEWNS)

    @contextmanager
    def network(self, fd: int) -> Iterator[None]:
        """Be in another network namespace for a while."""
        setns(fd, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(self.net, CLONE_NEWNET)


def inode(fd: int) -> int:
    """What a namespace is known by: the inode number of its file."""
    return os.fstat(fd).st_ino


@dataclass(slots=True)
class HostSpace:
    """A lab host's namespaces: descriptors by kind, its root folder, its PID 1 (as the lab numbers processes)."""

    namespaces: dict[str, int]
    root: int
    init: int

    def close(self) -> None:
        """Let go of them."""
        for fd in (*self.namespaces.values(), self.root):
            os.close(fd)


@dataclass(slots=True)
class Init:
    """The PID 1 of a jail: its number in the lab, a descriptor of it and one of its process namespace."""

    pid: int
    pidfd: int
    namespace: int

    def close(self) -> None:
        """Let go of it."""
        os.close(self.pidfd)
        os.close(self.namespace)


@dataclass(slots=True)
class JailSpace:
    """A jail's namespaces: its own by kind (those it shares with its host are not in it), and its root folder."""

    namespaces: dict[str, int]
    root: int
    host_owned: frozenset[str]
    """Kinds that belong to the host's user namespace and so are joined before the jail's own."""
    init: Init | None = None
    procfs: bool = False
    """Whether a procfs is mounted at its /proc, for which its own processes must be shown there."""
    others: dict[int, int] = field(default_factory=dict)
    """Processes put into it from outside: pid in the lab → pidfd."""

    def close(self) -> None:
        """Let go of them."""
        for fd in (*self.namespaces.values(), self.root, *self.others.values()):
            os.close(fd)
        if self.init is not None:
            self.init.close()


def make_host(lab: LabSpace, tree: Path, hostname: str) -> HostSpace:
    """Make a lab host whose root is the folder `tree` of the lab, and its PID 1."""
    program = Program()
    root = str(tree)
    program.call("unshare", CLONE_NEWPID)
    fork = program.fork()
    program.call("unshare", CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)
    program.call("sethostname", hostname, len(os.fsencode(hostname)))
    # Before the change of root: without power over the machine a procfs is given only to who sees one already.
    _new_procfs(program)
    program.call("mount", root, root, None, MS_BIND | MS_REC, None)
    _pivot(program, root)
    # Whatever is global in /proc is not the lab's to change; its own network's settings are.
    _mount_procfs(program)
    program.call("prctl", PR_SET_NAME, "init", 0, 0, 0)
    program.report()
    program.wait()
    program.init(ends_when_empty=False)
    program.parent_goes_on(fork)
    program.exit(0)
    spaces: list[HostSpace] = []
    os.close(lab.hands.start(program, at_report=lambda _, pid: spaces.append(open_host(pid)), forks=True))
    return spaces[0]


def open_host(init: int) -> HostSpace:
    """A host's namespaces, from its PID 1."""
    namespaces = {kind: _open(f"/proc/{init}/ns/{kind}") for kind in KINDS if kind != "user"}
    return HostSpace(namespaces, os.open(f"/proc/{init}/root", os.O_PATH | os.O_CLOEXEC), init)


def make_template(lab: LabSpace, pin: Path) -> None:
    """Make the almost empty mount namespace that every jail's is a copy of, pinned at `pin`."""
    program = Program()
    program.call("unshare", CLONE_NEWNS)
    program.call("mount", "vjail", "/proc", "tmpfs", _QUIET, "mode=755,size=4k")
    program.call("mkdirat", AT_FDCWD, "/proc/root", 0o755)
    _pivot(program, "/proc")
    program.report()
    program.wait()
    program.exit(0)
    pin.touch()
    lab.hands.run(program, at_report=lambda _, pid: mount(f"/proc/{pid}/ns/mnt", str(pin), None, MS_BIND))


def make_jail(
    lab: LabSpace,
    folder: Path,
    *,
    host: HostSpace,
    template: int,
    tree: int,
    vnet: bool,
    own_hostname: bool,
    share_ipc: bool,
) -> JailSpace:
    """Make a jail's namespaces around the detached mount `tree`, pinned in `folder`.

    `own_hostname`: its root may set its host name.
    """
    own = {"mnt", "uts"} | (set() if share_ipc else {"ipc"})
    program = Program()
    program.call("setns", Fd(template), CLONE_NEWNS)
    program.call("unshare", CLONE_NEWNS)
    program.call("move_mount", Fd(tree), "", AT_FDCWD, "/root", MOVE_MOUNT_F_EMPTY_PATH)
    _pivot(program, "/root")
    late = CLONE_NEWNS | CLONE_NEWNET
    early = 0
    for kind, ours in (("uts", own_hostname), ("ipc", True)):
        if kind not in own:
            program.call("setns", Fd(host.namespaces[kind]), KINDS[kind])
        elif vnet and ours:
            late |= KINDS[kind]
        else:
            early |= KINDS[kind]
    if early:
        program.call("unshare", early)
    program.report(0)
    program.wait()
    if vnet:
        own |= {"user", "net"}
        # A copy of the mount namespace in another user namespace: the kernel locks what is mounted in it.
        program.call("unshare", CLONE_NEWUSER)
        program.report(1)
        program.wait()
        program.call("unshare", late)
        program.report(2)
        program.wait()
    program.exit(0)
    folder.mkdir(parents=True)
    last = 2 if vnet else 0

    def at_report(value: int, pid: int) -> None:
        if value == 1:
            Path(f"/proc/{pid}/uid_map").write_text(lab.uid_map)
            Path(f"/proc/{pid}/gid_map").write_text(lab.gid_map)
        if value == last:
            for kind in own:
                pin = folder / kind
                pin.touch()
                mount(f"/proc/{pid}/ns/{kind}", str(pin), None, MS_BIND)

    lab.hands.run(program, at_report=at_report)
    return open_jail(lab, folder, host_owns_name=vnet and not own_hostname)


def open_jail(lab: LabSpace, folder: Path, *, host_owns_name: bool) -> JailSpace:
    """A jail's namespaces, from where they are pinned."""
    namespaces = {pin.name: _open(str(pin)) for pin in folder.iterdir()}
    with lab.mounts(namespaces["mnt"]):
        root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    return JailSpace(namespaces, root, frozenset({"uts"}) if host_owns_name else frozenset())


def drop_jail(folder: Path, space: JailSpace) -> None:
    """Unpin a jail's namespaces; the kernel takes them down once nothing is in them."""
    kinds = list(space.namespaces)
    space.close()
    for kind in kinds:
        umount(str(folder / kind), MNT_DETACH)
        (folder / kind).unlink()
    folder.rmdir()


def make_init(lab: LabSpace, host: HostSpace, space: JailSpace) -> Init:
    """Start the PID 1 of a jail, and with it a process namespace below the host's."""
    program = Program()
    program.call("setns", Fd(host.namespaces["pid"]), CLONE_NEWPID)
    first = program.fork()
    program.call("unshare", CLONE_NEWPID)
    second = program.fork()
    if space.procfs:
        _new_procfs(program)
    _join(program, space, ("mnt",))
    if space.procfs:
        _mount_procfs(program)
    # Nobody inside may look into it, though the ids are the same: it was not started in the jail's user namespace.
    program.call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
    program.call("prctl", PR_SET_NAME, "init", 0, 0, 0)
    program.report()
    program.wait()
    program.init(ends_when_empty=True)
    program.parent_goes_on(second)
    program.exit(0)
    program.parent_goes_on(first)
    program.exit(0)
    found: list[tuple[int, int]] = []
    pidfd = lab.hands.start(
        program, at_report=lambda _, pid: found.append((pid, _open(f"/proc/{pid}/ns/pid"))), forks=True
    )
    return Init(found[0][0], pidfd, found[0][1])


def show_procfs(lab: LabSpace, space: JailSpace) -> None:
    """Mount the jail's own procfs at its /proc, over what its host has put there."""
    if space.init is None:
        return
    program = Program()
    program.call("setns", Fd(space.init.namespace), CLONE_NEWPID)
    fork = program.fork()
    _new_procfs(program)
    _join(program, space, ("mnt",))
    _mount_procfs(program)
    program.report()
    program.exit(0)
    program.parent_goes_on(fork)
    program.exit(0)
    lab.hands.run(program, forks=True)


def join_host(program: Program, host: HostSpace, *, outside: int | None) -> None:
    """Steps that put a process into a host. `outside`: it comes from outside the lab, whose user namespace this is."""
    if outside is not None:
        program.call("setns", Fd(outside), CLONE_NEWUSER)
    for kind in ("net", "uts", "ipc", "pid", "mnt"):
        program.call("setns", Fd(host.namespaces[kind]), KINDS[kind])


def join_jail(program: Program, host: HostSpace, space: JailSpace, init: Init, *, outside: int | None) -> None:
    """Steps that put a process into a jail: what is the host's first, then what the jail's own user namespace owns."""
    if outside is not None:
        program.call("setns", Fd(outside), CLONE_NEWUSER)
    program.call("setns", Fd(init.namespace), CLONE_NEWPID)
    for kind in ("net", "ipc"):
        if kind not in space.namespaces:
            program.call("setns", Fd(host.namespaces[kind]), KINDS[kind])
    _join(program, space, ("net", "uts", "ipc", "mnt"))


def _join(program: Program, space: JailSpace, kinds: tuple[str, ...]) -> None:
    own = [kind for kind in kinds if kind in space.namespaces]
    user = space.namespaces.get("user")
    for kind in own:
        if user is not None and kind in space.host_owned:
            program.call("setns", Fd(space.namespaces[kind]), KINDS[kind])
    if user is not None:
        program.call("setns", Fd(user), CLONE_NEWUSER)
    for kind in own:
        if user is None or kind not in space.host_owned:
            program.call("setns", Fd(space.namespaces[kind]), KINDS[kind])


def _new_procfs(program: Program) -> None:
    """A detached procfs of the process namespace the process is in, in register 1; 2: its part a vnet may write."""
    program.call("fsopen", "proc", FSOPEN_CLOEXEC, to=0)
    program.call("fsconfig", Register(0), FSCONFIG_CMD_CREATE, None, None, 0)
    program.call("fsmount", Register(0), FSMOUNT_CLOEXEC, _QUIET_ATTRIBUTES | MOUNT_ATTR_RDONLY, to=1)


def _mount_procfs(program: Program) -> None:
    program.call("umount2", "/proc", MNT_DETACH, may_fail=True)
    program.call("move_mount", Register(1), "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH)
    program.call("open_tree", AT_FDCWD, "/proc/sys/net", OPEN_TREE_CLONE, to=2)
    program.call("move_mount", Register(2), "", AT_FDCWD, "/proc/sys/net", MOVE_MOUNT_F_EMPTY_PATH)
    program.call("mount", None, "/proc/sys/net", None, MS_REMOUNT | MS_BIND | _QUIET, None)


def _pivot(program: Program, root: str) -> None:
    program.call("chdir", root)
    program.call("pivot_root", ".", ".")
    program.call("umount2", ".", MNT_DETACH)
    program.call("chdir", "/")


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _identity(kind: str) -> str:
    rows = [line.split() for line in Path(f"/proc/self/{kind}_map").read_text().splitlines()]
    return "".join(f"{inside} {inside} {count}\n" for inside, _, count in rows)
