"""The jail driver on Linux: a jail as a set of namespaces around its root, and the processes in it.

An idle jail has no process. Its first one comes with a process namespace, whose PID 1 reaps and ends with the last
other (native/agent.c, serve_as_init); that end is how the server, which watches a descriptor of PID 1, learns that a
jail has become empty, and a jail without `persist` ends there. Processes that came from outside are no children of
that PID 1, so their ends are watched too and it is told to look.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from vjail.conf.jailconf import Jailsys
from vjail.kernel.core.prison_record import Prison
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux import spaces
from vjail.kernel.linux.confine import Allowed, Rights, rights
from vjail.kernel.linux.enter import JailPlace
from vjail.kernel.linux.held_jails import HeldJails
from vjail.kernel.linux.mounts import LinuxMounts
from vjail.kernel.linux.spaces import HostSpace, JailSpace, LabSpace
from vjail.kernel.linux.syscalls import CLONE_NEWUTS, is_ready, setns
from vjail.kernel.linux.vnets import VnetSpaces
from vjail.kernel.linux.watch import Watch

_PATIENCE = 5.0
"""Seconds the kernel has to end the processes of a jail that is removed."""


class LinuxJails:
    """A `JailDriver` (core/jail_driver.py) for one host."""

    def __init__(
        self,
        lab: LabSpace,
        host: HostSpace,
        folder: Path,
        template: int,
        mounts: LinuxMounts,
        vnets: VnetSpaces,
        held_jails: HeldJails,
        watch: Watch,
        *,
        root_of: Callable[[int], str],
        emptied: Callable[[int], None],
        prepare_root: Callable[[int], None],
    ) -> None:
        """`root_of`: a jail's root as the host names it. `emptied` is called when a jail's last process has gone.

        `prepare_root` adds what a root folder (by descriptor) lacks for this machine's programs to run in it.
        """
        self._lab = lab
        self._host = host
        self._folder = folder
        self._template = template
        self._mounts = mounts
        self._vnets = vnets
        self._held_jails = held_jails
        self._watch = watch
        self._root_of = root_of
        self._emptied = emptied
        self._prepare_root = prepare_root
        self._jails: dict[int, JailSpace] = {}
        self._rights: dict[int, Rights] = {}
        self._by_mounts: dict[int, int] = {}
        self._procfs = {_proc_of("/")}
        """Where a procfs is on the host: its own /proc always, as Linux's programs need it."""
        self._at_root: dict[str, set[int]] = {}
        """The jails by where their procfs would be."""

    # --- the driver's calls ------------------------------------------------------------------------------------------

    def make(self, prison: Prison, seen_from: int) -> str:
        """Make what `prison` lives in; returns its root as the host names it."""
        root = self._mounts.realpath(self._root_of(seen_from), prison.path)
        if not self._mounts.is_directory(root):
            raise KernelError(Errno.ENOTDIR)
        tree = self._mounts.subtree(root)
        try:
            space = spaces.make_jail(
                self._lab,
                self._folder / str(prison.jid),
                template=self._template,
                tree=tree,
                vnet=prison.own_vnet,
                own_hostname="set_hostname" in prison.allow,
                share_ipc=any(how is Jailsys.INHERIT for how in prison.sysv.values()),
                shared=self._shared(prison),
            )
        finally:
            os.close(tree)
        space.procfs = _proc_of(root) in self._procfs
        self._prepare_root(space.root)
        self._enter(prison, space, root)
        if prison.own_vnet:
            self._vnets.add(prison.vnet, space.namespaces["net"], fresh=True)
        try:
            self._held_jails.enter(prison)
            self.changed(prison)
        except KernelError:
            self.remove(prison.jid)
            raise
        return root

    def _shared(self, prison: Prison) -> dict[str, int]:
        """What a jail is in of those above it, by kind, where it has no namespace of its own."""
        above = self._jails.get(prison.parent)
        ipc = self._host.namespaces["ipc"]
        if above is not None:
            ipc = above.namespaces["ipc"] if "ipc" in above.namespaces else above.shared["ipc"]
        if prison.own_vnet or prison.vnet == 0:
            return {"net": self._host.namespaces["net"], "ipc": ipc}
        owner = self._jails[prison.vnet].namespaces
        return {"net": owner["net"], "ipc": ipc, "user": owner["user"]}

    def changed(self, prison: Prison) -> None:
        """Put the parameters of `prison`, which exists, into effect; of the host's (0), its name."""
        if prison.jid == 0:
            self._set_hostname(self._host.namespaces["uts"], prison.host.hostname)
            return
        self._held_jails.hold(prison)
        self._grant(prison)

    def _grant(self, prison: Prison) -> None:
        self._rights[prison.jid] = rights(
            Allowed(
                vnet=prison.own_vnet,
                **{name: name in prison.allow for name in _ALLOWED},
                **{kind.value: how is not Jailsys.DISABLE for kind, how in prison.sysv.items()},
            )
        )
        self._set_hostname(self._jails[prison.jid].namespaces["uts"], prison.host.hostname)

    @staticmethod
    def _set_hostname(uts: int, hostname: str) -> None:
        home = os.open("/proc/self/ns/uts", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(uts, CLONE_NEWUTS)
            socket.sethostname(hostname)
        finally:
            setns(home, CLONE_NEWUTS)
            os.close(home)

    def kill(self, jid: int) -> bool:
        """Send SIGKILL to every process of the jail; True once none is left."""
        init = self._jails[jid].init
        if init is None:
            return True
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(init.pidfd, signal.SIGKILL)
        gone = is_ready(init.pidfd, _PATIENCE)
        if gone:
            self._forget_init(self._jails[jid])
        return gone

    def remove(self, jid: int) -> None:
        """Take down what `make` made."""
        space = self._jails.pop(jid)
        for there in self._at_root.values():
            there.discard(jid)
        self._rights.pop(jid, None)
        del self._by_mounts[spaces.inode(space.namespaces["mnt"])]
        for pidfd in space.others.values():
            self._watch.remove(pidfd)
        if space.init is not None:
            self._watch.remove(space.init.pidfd)
        if "net" in space.namespaces:
            self._vnets.drop(jid)
        spaces.drop_jail(self._folder / str(jid), space)
        self._held_jails.remove(jid)

    def pids(self, jid: int) -> Sequence[int]:
        """The processes of the jail, as the lab numbers them."""
        space = self._jails[jid]
        if space.init is None:
            return ()
        found = list(space.others)
        waiting = [space.init.pid, *space.others]
        while waiting:
            children = _children(waiting.pop())
            found.extend(children)
            waiting.extend(children)
        return sorted(set(found))

    # --- processes ---------------------------------------------------------------------------------------------------

    @contextmanager
    def held(self, jid: int) -> Iterator[None]:
        """While a process is put into the jail its PID 1, which is started if there is none, does not end.

        Else it might find itself alone just before, and take the new one along in its end. Raises KernelError.
        """
        space = self._space(jid)
        while space.init is None or not _holds(space.init):
            if space.init is not None and not is_ready(space.init.pidfd):
                # It is ending, and waits for a process of the jail's whose parent is suspended.
                raise KernelError(Errno.EAGAIN)
            self.lost_init(jid)
            space = self._space(jid)
            if space.init is None:
                space.init = spaces.make_init(self._lab, self._host, space)
                self._watch.add(space.init.pidfd, lambda: self.lost_init(jid))
        space.entering += 1
        try:
            yield
        finally:
            space.entering -= 1
            self.look(jid)

    def _space(self, jid: int) -> JailSpace:
        """A jail's namespaces. Raises KernelError(EINVAL), jail_attach(2)'s, where it has just ended."""
        space = self._jails.get(jid)
        if space is None:
            raise KernelError(Errno.EINVAL)
        return space

    def place(self, jid: int) -> JailPlace:
        """Where to put a process that is to run in the jail, which is `held`."""
        space = self._jails[jid]
        assert space.init is not None
        return JailPlace(space, space.init, self._rights[jid], self._held_jails.door(jid))

    def entered(self, jid: int, pidfd: int) -> None:
        """A process was put into the jail; its descriptor is kept until its end."""
        space = self._jails.get(jid)
        if space is None:
            os.close(pidfd)
            return
        pid = pid_of(pidfd)
        if pid <= 0 or pid in space.others or self._jail_of(pid) != jid:
            # It has ended already, or who sent it, who may be anybody in the jail, has sent something else.
            self._when_reaped(jid, pidfd)
            return
        space.others[pid] = pidfd
        self._watch.add(pidfd, lambda: self._left(jid, pid))

    def _jail_of(self, pid: int) -> int | None:
        try:
            return self._by_mounts.get(os.stat(f"/proc/{pid}/ns/mnt").st_ino)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None

    def _left(self, jid: int, pid: int) -> None:
        space = self._jails[jid]
        pidfd = space.others.pop(pid)
        self._watch.remove(pidfd)
        self._when_reaped(jid, pidfd)

    def _when_reaped(self, jid: int, pidfd: int, patience: float = 0.001) -> None:
        """Have the jail looked at once its process behind `pidfd` has ended and its parent has taken note.

        Until then it counts among the processes of its namespace; its parent is outside and has no word for us.
        """
        if is_ready(pidfd) and pid_of(pidfd) > 0:
            self._watch.later(patience, lambda: self._when_reaped(jid, pidfd, min(2 * patience, 0.5)))
            return
        os.close(pidfd)
        self.look(jid)

    def look(self, jid: int) -> None:
        """Have the jail's PID 1 look whether it is alone."""
        space = self._jails.get(jid)
        if space is not None and space.init is not None and not space.entering:
            try:
                signal.pidfd_send_signal(space.init.pidfd, signal.SIGUSR1)
            except ProcessLookupError:
                self.lost_init(jid)

    def lost_init(self, jid: int) -> None:
        """The jail's PID 1 has ended, and with it every process of the jail."""
        space = self._jails.get(jid)
        if space is None or space.init is None or not is_ready(space.init.pidfd):
            return
        self._forget_init(space)
        self._emptied(jid)

    def _forget_init(self, space: JailSpace) -> None:
        if space.init is not None:
            self._watch.remove(space.init.pidfd)
            space.init.close()
            space.init = None

    # --- what others ask ---------------------------------------------------------------------------------------------

    def space(self, jid: int) -> JailSpace:
        """The namespaces of a jail."""
        return self._jails[jid]

    def of_mounts(self, inode: int) -> int | None:
        """The jail whose mount namespace has this inode number, None where there is none."""
        return self._by_mounts.get(inode)

    def procfs_changed(self, path: str, mounted: bool) -> None:
        """A procfs was mounted on the host's `path`, or taken away; a jail with its /proc there shows its own."""
        (self._procfs.add if mounted else self._procfs.discard)(path)
        self._procfs.add(_proc_of("/"))
        for jid in self._at_root.get(path, ()):
            space = self._jails[jid]
            space.procfs = mounted
            if mounted:
                spaces.show_procfs(self._lab, space)

    def adopt(self, prisons: Mapping[int, Prison], procfs: set[str]) -> None:
        """Take over jails that another server made; once there is a network again they are to be held (`changed`)."""
        self._procfs |= procfs
        for folder in self._folder.iterdir():
            if int(folder.name) not in prisons:
                # It was being made, or taken away, when that server died.
                spaces.clear_pins(folder)
        # What a jail shares with the one above it is known only once that is there.
        for jid, prison in sorted(prisons.items(), key=lambda item: item[1].name.count(".")):
            name_is_hosts = prison.own_vnet and "set_hostname" not in prison.allow
            space = spaces.open_jail(
                self._lab, self._folder / str(jid), host_owns_name=name_is_hosts, shared=self._shared(prison)
            )
            space.procfs = _proc_of(prison.path) in self._procfs
            self._enter(prison, space, prison.path)
            if prison.own_vnet:
                self._vnets.add(prison.vnet, space.namespaces["net"], fresh=False)
            self._held_jails.enter(prison)
            self._grant(prison)
        self._held_jails.clear()
        self._find_processes()

    def close(self) -> None:
        """Let go of all jails, which go on."""
        self._held_jails.close()
        for space in self._jails.values():
            for pidfd in space.others.values():
                self._watch.remove(pidfd)
            if space.init is not None:
                self._watch.remove(space.init.pidfd)
            space.close()

    def _find_processes(self) -> None:
        """Find the PID 1s of jails, and what was put into them, among the lab's processes."""
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            try:
                jid = self._by_mounts.get(os.stat(f"/proc/{pid}/ns/mnt").st_ino)
                numbers = _status(pid, "NSpid")
                if jid is None or len(numbers) < 3:
                    continue
                pidfd = os.pidfd_open(pid)
                if numbers[-1] == 1:
                    namespace = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
                    self._jails[jid].init = spaces.Init(pid, pidfd, namespace)
                    self._watch.add(pidfd, lambda jid=jid: self.lost_init(jid))  # type: ignore[misc]
                else:
                    self.entered(jid, pidfd)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        for jid in list(self._jails):
            # One that the other server held is let go.
            self.look(jid)

    def _enter(self, prison: Prison, space: JailSpace, root: str) -> None:
        self._jails[prison.jid] = space
        self._at_root.setdefault(_proc_of(root), set()).add(prison.jid)
        self._by_mounts[spaces.inode(space.namespaces["mnt"])] = prison.jid


_ALLOWED = ("raw_sockets", "reserved_ports", "set_hostname", "socket_af", "mlock", "read_msgbuf", "suser")


def _proc_of(root: str) -> str:
    """Where a root has its procfs."""
    return f"{root.rstrip('/')}/proc"


def _holds(init: spaces.Init) -> bool:
    """Have a jail's PID 1 not end; False where it is ending."""
    try:
        signal.pidfd_send_signal(init.pidfd, signal.SIGUSR2)
        # It has taken the signal when that is no longer pending and it sleeps again, which takes microseconds. One that
        # is ending runs until it is marked so, and signals to it are dropped.
        while not is_ready(init.pidfd):
            if not _pending(init.pid) >> signal.SIGUSR2 - 1 & 1 and _sleeps(init.pid):
                return True
            os.sched_yield()
    except (FileNotFoundError, ProcessLookupError):
        pass
    is_ready(init.pidfd, _PATIENCE)
    return False


def _pending(pid: int) -> int:
    """The signals that wait for a process, bit by bit."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("ShdPnd:"):
            return int(line.split()[1], 16)
    return 0


def _sleeps(pid: int) -> bool:
    """Whether a process waits for something, and is not ending."""
    state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return state == "S" and not int(fields[5]) & _PF_EXITING


_PF_EXITING = 0x4
"""A flag of a task, the ninth field of proc_pid_stat(5). Source: linux/sched.h."""


def pid_of(pidfd: int) -> int:
    """The number of the process behind a descriptor, as the lab numbers processes; -1 once it has been reaped."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return -1


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _status(pid: int, key: str) -> list[int]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return [int(word) for word in line.split()[1:]]
    return []
