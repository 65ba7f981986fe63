"""The namespaces a lab host and its jails are made of: making, pinning, joining.

A host's are held by its PID 1. A jail's mount, network, IPC and UTS namespaces, and for a vnet jail the user namespace
that owns them, are pinned as files in the lab's mount namespace, so that an idle jail needs no process; its process
namespace lives from its first process to its last. Programs run here are described in hands.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vjail.kernel.linux.hands import Hands
from vjail.kernel.linux.program import Fd, Program, Register
from vjail.kernel.linux.syscalls import (
    AT_EMPTY_PATH,
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
    OPEN_TREE_CLOEXEC,
    OPEN_TREE_CLONE,
    PR_SET_DUMPABLE,
    PR_SET_NAME,
    is_ready,
    mount,
    mount_attributes,
    setns,
    umount,
)

_PATIENCE = 5.0
"""Seconds the kernel has to end the processes of a host."""
_QUIET = MS_NOSUID | MS_NODEV | MS_NOEXEC
_QUIET_ATTRIBUTES = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC

_READ_ONLY = mount_attributes(MOUNT_ATTR_RDONLY)
_OF_THE_MACHINE = (
    "kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "sched_debug",
    "slabinfo", "sysrq-trigger", "timer_list", "vmallocinfo",
)  # fmt: skip
"""What procfs says of the kernel and of everybody on the machine, which no jail is to know."""

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
    """A jail's namespaces: its own by kind, those it is in besides, and its root folder."""

    namespaces: dict[str, int]
    root: int
    host_owned: frozenset[str]
    """Kinds that belong to the host's user namespace and so are joined before the jail's own."""
    shared: Mapping[str, int]
    """Those of the jails above that it is in, by kind. Not its own to close.

    Its network where it has no vnet, and with the network of a jail the user namespace that owns it: whoever is root in
    the lab's, with however few capabilities, is by being its owner almighty in every namespace made from there.
    """
    init: Init | None = None
    procfs: bool = False
    """Whether a procfs is mounted at its /proc, for which its own processes must be shown there."""
    others: dict[int, int] = field(default_factory=dict)
    """Processes put into it from outside: pid in the lab → pidfd."""
    entering: int = 0
    """How many are just being put into it."""

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
    _open_network_settings(program)
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


def host_inits() -> Iterator[int]:
    """The PID 1s of lab hosts, as the lab numbers processes: those whose process namespace is just below the lab's."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                status = Path(f"/proc/{name}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            # Of a process that is just ending the kernel says less.
            numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
            if len(numbers) == 2 and numbers[1] == "1":
                yield int(name)


def end_host(init: int) -> None:
    """Kill a host's PID 1, and with it every process on the host; returns when none is left."""
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(init)
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            is_ready(pidfd, _PATIENCE)
        finally:
            os.close(pidfd)


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
    template: int,
    tree: int,
    vnet: bool,
    own_hostname: bool,
    share_ipc: bool,
    shared: Mapping[str, int],
) -> JailSpace:
    """Make a jail's namespaces around the detached mount `tree`, pinned in `folder`.

    `own_hostname`: its root may set its host name. `shared`: descriptors of what it has from its parent where it has
    no namespace of its own ("net", "ipc", "user").
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
            program.call("setns", Fd(shared[kind]), KINDS[kind])
        elif vnet and ours:
            late |= KINDS[kind]
        else:
            early |= KINDS[kind]
    if early:
        program.call("unshare", early)
    if vnet:
        own |= {"user", "net"}
        # A copy of the mount namespace in another user namespace: the kernel locks what is mounted in it.
        program.call("unshare", CLONE_NEWUSER)
        program.report(1)
        program.wait()
        program.call("unshare", late)
    program.report(0)
    program.wait()
    program.exit(0)
    folder.mkdir(parents=True)

    def at_report(value: int, pid: int) -> None:
        if value == 1:
            Path(f"/proc/{pid}/uid_map").write_text(lab.uid_map)
            Path(f"/proc/{pid}/gid_map").write_text(lab.gid_map)
        if value == 0:
            for kind in own:
                pin = folder / kind
                pin.touch()
                mount(f"/proc/{pid}/ns/{kind}", str(pin), None, MS_BIND)

    lab.hands.run(program, at_report=at_report)
    return open_jail(lab, folder, host_owns_name=vnet and not own_hostname, shared=shared)


def open_jail(lab: LabSpace, folder: Path, *, host_owns_name: bool, shared: Mapping[str, int]) -> JailSpace:
    """A jail's namespaces, from where they are pinned; `shared` as for make_jail."""
    namespaces = {pin.name: _open(str(pin)) for pin in folder.iterdir()}
    with lab.mounts(namespaces["mnt"]):
        root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    not_its_own = {kind: fd for kind, fd in shared.items() if kind not in namespaces}
    return JailSpace(namespaces, root, frozenset({"uts"}) if host_owns_name else frozenset(), not_its_own)


def drop_jail(folder: Path, space: JailSpace) -> None:
    """Unpin a jail's namespaces; the kernel takes them down once nothing is in them."""
    kinds = list(space.namespaces)
    space.close()
    for kind in kinds:
        umount(str(folder / kind), MNT_DETACH)
        (folder / kind).unlink()
    folder.rmdir()


def clear_pins(folder: Path) -> None:
    """Remove a jail's folder in whatever state it is; what is pinned there goes."""
    for pin in folder.iterdir():
        if os.path.ismount(pin):
            umount(str(pin), MNT_DETACH)
        pin.unlink()
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
        _mount_jails_procfs(program, space)
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
    _mount_jails_procfs(program, space)
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


def join_jail(program: Program, space: JailSpace, init: Init, *, outside: int | None) -> None:
    """Steps that put a process into a jail: what is shared first, then what the jail's own user namespace owns."""
    # Until it is the program it will run, it holds what no one inside may see: ptrace(2) is refused.
    program.call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
    if outside is not None:
        program.call("setns", Fd(outside), CLONE_NEWUSER)
    program.call("setns", Fd(init.namespace), CLONE_NEWPID)
    for kind in ("net", "ipc"):
        if kind in space.shared:
            program.call("setns", Fd(space.shared[kind]), KINDS[kind])
    _join(program, space, ("net", "uts", "ipc", "mnt"))
    if "user" in space.shared:
        program.call("setns", Fd(space.shared["user"]), CLONE_NEWUSER)


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
    """A detached procfs of the process namespace the process is in, in register 1."""
    program.call("fsopen", "proc", FSOPEN_CLOEXEC, to=0)
    program.call("fsconfig", Register(0), FSCONFIG_CMD_CREATE, None, None, 0)
    program.call("fsmount", Register(0), FSMOUNT_CLOEXEC, _QUIET_ATTRIBUTES | MOUNT_ATTR_RDONLY, to=1)


def _mount_procfs(program: Program) -> None:
    program.call("umount2", "/proc", MNT_DETACH, may_fail=True)
    program.call("move_mount", Register(1), "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH)


def _mount_jails_procfs(program: Program, space: JailSpace) -> None:
    """Mount it in a jail: without what tells of the whole machine, its network's settings writable if they are its."""
    _mount_procfs(program)
    if "net" in space.namespaces:
        _open_network_settings(program)
    program.call("fsopen", "tmpfs", FSOPEN_CLOEXEC, to=2)
    program.call("fsconfig", Register(2), FSCONFIG_CMD_CREATE, None, None, 0)
    program.call("fsmount", Register(2), FSMOUNT_CLOEXEC, _QUIET_ATTRIBUTES, to=3)
    program.call("openat", Register(3), "nothing", os.O_CREAT | os.O_CLOEXEC, 0o444)
    for name in _OF_THE_MACHINE:
        # Which of them there are depends on the kernel; the descriptor of a mount cannot be moved twice.
        program.call("open_tree", Register(3), "nothing", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, to=4)
        program.call("mount_setattr", Register(4), "", AT_EMPTY_PATH, _READ_ONLY, len(_READ_ONLY))
        program.call("move_mount", Register(4), "", AT_FDCWD, f"/proc/{name}", MOVE_MOUNT_F_EMPTY_PATH, may_fail=True)


def _open_network_settings(program: Program) -> None:
    """Let what is the vnet's own in the procfs just mounted be written."""
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
