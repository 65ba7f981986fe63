"""A lab's anchor: the process whose life is the lab's. Started, found and ended from outside, by a command of vjail's.

The anchor (native/agent.c) is PID 1 of the lab's own process namespace, alone in its user (without root), network and
mount namespace at first. Everything of the lab is a process below it, or pinned in its mount namespace; when it is
killed the kernel takes all of that away, whatever state it was in. It records nothing; `anchor` in the lab's run-time
folder says which process it is.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import NamedTuple

from vjail.kernel.linux.syscalls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    MACHINE,
    MACHINES,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    is_ready,
    mount,
    pidfd_open,
    setns,
    unshare,
)

TREE = "tree"
"""Where in the run-time folder the lab's own files are mounted, seen only inside the lab."""

_NAMESPACES = (
    ("user", CLONE_NEWUSER),
    ("pid", CLONE_NEWPID),
    ("net", CLONE_NEWNET),
    ("ipc", CLONE_NEWIPC),
    ("uts", CLONE_NEWUTS),
    ("mnt", CLONE_NEWNS),
)
_KERNELS = {"user": "user", "pid": "process", "net": "network", "ipc": "IPC", "uts": "UTS", "mnt": "mount"}
"""What the namespaces are called where the kernel has them or not."""
_CAP_SYS_ADMIN = 21
_PAUSE = 0.2
"""Seconds after which what does not end by itself is looked at."""
_MAP, _ROOT = "map", "root"
"""What the child says when it wants its ids mapped, or needs none."""


class Unable(Exception):
    """This machine, or this user on it, cannot hold a lab; the text says what is missing and what to do."""


class Anchor(NamedTuple):
    """A lab's anchor by its process number and its start time (clock ticks after boot), as this process sees them.

    No dataclass, as `Runtime` is none: every command needs both before anything else, and dataclasses take their time.
    """

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether that very process is there."""
        return start_time(self.pid) == self.started


def start_time(pid: int) -> int:
    """A process's start in clock ticks after boot, 0 where there is none of that number (or it is dead)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def agent_binary() -> Path:
    """The native agent for this machine. Raises Unable where there is none."""
    path = Path(__file__).parent / "native" / f"agent-{MACHINE}"
    if MACHINE not in MACHINES or not path.exists():
        raise Unable(f"vjail's native half is not built for {MACHINE}; native/build.sh makes it where a compiler is")
    return path


def privileged() -> bool:
    """Whether this process is root with power over this machine's namespaces."""
    if os.geteuid() != 0:
        return False
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_ADMIN & 1)
    return False


def find(folder: Path) -> Anchor | None:
    """The anchor of the lab whose run-time folder this is, None where it is not there or not alive."""
    try:
        pid, started = (folder / "anchor").read_text().split()
        anchor = Anchor(int(pid), int(started))
    except (OSError, ValueError):
        return None
    return anchor if anchor.alive() else None


def start(folder: Path) -> Anchor:
    """Start an anchor for the lab of this run-time folder, and write down which it is. Raises Unable."""
    agent = agent_binary()
    if lacking := _lacking():
        raise Unable(lacking)
    (folder / TREE).mkdir(exist_ok=True)
    told, tell = os.pipe()
    waits, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(told)
        os.close(go)
        _become_anchor(folder, agent, tell, waits)
    os.close(tell)
    os.close(waits)
    report = os.fdopen(told, "r")
    try:
        answer = report.readline().strip()
        if answer == _MAP:
            _map_ids(child)
            os.write(go, b"m")
        if answer in (_MAP, _ROOT):
            answer = report.readline().strip()
        problem = report.readline().strip() if not answer.startswith("pid ") else ""
        os.waitpid(child, 0)
        if not answer.startswith("pid "):
            raise Unable(_explain(answer, problem))
        pid = int(answer.split()[1])
        anchor = Anchor(pid, start_time(pid))
        # Written before it may go on: an anchor nobody knows of ends with the pipe.
        temporary = folder / "anchor.new"
        temporary.write_text(f"{anchor.pid} {anchor.started}\n")
        temporary.rename(folder / "anchor")
        os.write(go, b"g")
        # The pipe is closed by the anchor's becoming the agent, or brings what went wrong.
        step, _, problem = report.read().partition("\n")
        if step:
            raise Unable(_explain(step, problem.strip()))
    finally:
        report.close()
        os.close(go)
    return anchor


def end(folder: Path) -> None:
    """Kill the lab's anchor and with it all there is of the lab; returns when no process of it is left."""
    anchor = find(folder)
    if anchor is not None:
        try:
            pidfd = pidfd_open(anchor.pid)
        except ProcessLookupError:
            return
        try:
            if anchor.alive():
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                while not is_ready(pidfd, _PAUSE):
                    wake_agents()
        finally:
            os.close(pidfd)


def wake_agents() -> None:
    """Let agents go on that are stopped (a suspended `vjail exec`) while what they ran has been killed.

    Until they have heard of it, their jail's PID 1, and the lab's, cannot end.
    """
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and _state(name) == "T" and _is_agent(name):
                children = Path(f"/proc/{name}/task/{name}/children").read_text().split()
                if any(_state(child) == "Z" for child in children):
                    os.kill(int(name), signal.SIGCONT)


def _state(pid: str) -> str:
    """The letter of a process's state."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]


def _is_agent(pid: str) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"vjail-agent\0")


def enter(anchor: Anchor) -> None:
    """Join the anchor's namespaces (children: its process namespace). PermissionError: not one's own."""
    own = {name: os.stat(f"/proc/self/ns/{name}").st_ino for name, _ in _NAMESPACES}
    opened = [
        (name, os.open(f"/proc/{anchor.pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind) for name, kind in _NAMESPACES
    ]
    for name, fd, kind in opened:
        if os.fstat(fd).st_ino != own[name]:
            setns(fd, kind)
        os.close(fd)


def _become_anchor(folder: Path, agent: Path, tell: int, waits: int) -> None:
    """In the child: make the namespaces, then in PID 1 of the new process namespace become the agent. Never returns."""
    try:
        step = "namespaces"
        if not privileged():
            step = "user namespace"
            unshare(CLONE_NEWUSER)
            os.write(tell, f"{_MAP}\n".encode())
            if os.read(waits, 1) != b"m":
                os._exit(1)
        else:
            os.write(tell, f"{_ROOT}\n".encode())
        step = "namespaces"
        # A mount namespace can be pinned only in one whose number is smaller, and since Linux 6.18 these grow on each
        # CPU by themselves: the anchor, whose programs make all of them, stays on one.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
        first = os.fork()
        if first:
            os.write(tell, f"pid {first}\n".encode())
            os._exit(0)
        if os.read(waits, 1) != b"g":
            os._exit(1)
        os.setsid()
        step = "root directory"
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        step = "process list"
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        step = "tree"
        tree = folder / TREE
        mount("vjail", str(tree), "tmpfs", MS_NOSUID, "mode=755")
        binary = tree / "vjail-agent"
        binary.write_bytes(agent.read_bytes())
        binary.chmod(0o755)
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        # Whatever this process was given is not for the lab to hold; `tell` is closed by the execve.
        os.closerange(3, tell)
        os.closerange(tell + 1, 1 << 16)
        os.execve(binary, ["vjail-agent", "anchor"], {})
    except OSError as error:
        try:
            os.write(tell, f"{step}\n{error.strerror}\n".encode())
        finally:
            os._exit(1)
    finally:
        os._exit(1)


def _map_ids(child: int) -> None:
    """Give the child's user namespace its ids: subordinate ones where this user has some, else its own as root."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        # Root without power over the machine (a container): what it has, as it is.
        for name in ("uid", "gid"):
            Path(f"/proc/{child}/{name}_map").write_text(_identity(Path(f"/proc/self/{name}_map").read_text()))
        return
    import shutil  # for users with subordinate ids, as subprocess

    ranges = {"uid": _subordinate("/etc/subuid"), "gid": _subordinate("/etc/subgid")}
    tools = {name: shutil.which(f"new{name}map") for name in ranges}
    if all(ranges.values()) and all(tools.values()):
        import subprocess

        outcome = [
            subprocess.run(
                [tools[name] or "", str(child), "0", str(own), "1", "1", str(first), str(count)],
                capture_output=True,
                check=False,
            )
            for name, own, (first, count) in (
                ("uid", uid, ranges["uid"] or (0, 0)),
                ("gid", gid, ranges["gid"] or (0, 0)),
            )
        ]
        if all(done.returncode == 0 for done in outcome):
            return
    Path(f"/proc/{child}/setgroups").write_text("deny")
    Path(f"/proc/{child}/uid_map").write_text(f"0 {uid} 1")
    Path(f"/proc/{child}/gid_map").write_text(f"0 {gid} 1")


def _identity(table: str) -> str:
    rows = [line.split() for line in table.splitlines()]
    return "".join(f"{inside} {inside} {count}\n" for inside, _, count in rows)


def _subordinate(path: str) -> tuple[int, int] | None:
    """The first range of ids that /etc/subuid or subgid gives this user."""
    import pwd

    try:
        names = {str(os.geteuid()), pwd.getpwuid(os.geteuid()).pw_name}
    except KeyError:
        names = {str(os.geteuid())}
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        user, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if user in names and first.isdigit() and count.isdigit():
            return int(first), int(count)
    return None


def _lacking() -> str:
    """Which namespaces this machine cannot make, because its kernel has none or none may be made; or nothing."""
    for name, called in _KERNELS.items():
        if not Path(f"/proc/self/ns/{name}").exists():
            jails = "; they are what VIMAGE's vnets are made of" if name == "net" else ""
            return f"this machine's kernel has no {called} namespaces{jails}"
        limit = f"max_{name}_namespaces"
        with contextlib.suppress(OSError):
            if Path(f"/proc/sys/user/{limit}").read_text().strip() == "0":
                return f"this machine allows no {called} namespaces; allow some: sysctl user.{limit}=1000"
    return ""


_SWITCHES = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0", "AppArmor restricts user namespaces (as Ubuntu has it)"),
    ("kernel.unprivileged_userns_clone", "0", "1", "user namespaces are root's only (as some Debians have it)"),
)
"""Settings by which a machine keeps users from namespaces: name, the value that does, the other, what it means."""


def _restriction() -> str:
    """How this machine keeps users from making namespaces, and the mend; empty where no setting says so."""
    for name, keeping, other, meaning in _SWITCHES:
        with contextlib.suppress(OSError):
            if Path("/proc/sys", *name.split(".")).read_text().strip() == keeping:
                return f"{meaning}; run vjail as root, or allow it: sysctl {name}={other}"
    return ""


def _explain(step: str, problem: str) -> str:
    restriction = "" if privileged() else _restriction()
    if restriction and step in ("user namespace", "namespaces"):
        return f"this user may not make a {step.removesuffix('s')} ({problem}): {restriction}"
    if step == "user namespace":
        return f"this user may not make a user namespace ({problem}); run vjail as root, or as a user who may"
    if step == "root directory":
        return (
            "here / is no file system of its own but a directory of one (a chroot), where no lab can be made; run "
            "vjail on the machine itself or in a container"
        )
    return f"this machine does not let vjail make the lab's {step or 'namespaces'} ({problem or 'no answer'})"
