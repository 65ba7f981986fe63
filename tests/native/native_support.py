"""The native programs under test, and a small system for them to run in."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

import vjail.kernel.linux
from vjail.kernel.linux.syscalls import CLONE_NEWNS, CLONE_NEWUSER, MACHINE, unshare
from vjail.lab.userland import Natives, Source, Tree, Writer

NATIVE = Path(__file__).parent.parent.parent / "native"
SHIPPED = Path(vjail.kernel.linux.__file__).parent / "native"
OTHER = {"x86_64": "aarch64", "aarch64": "x86_64"}[MACHINE]


@dataclass(frozen=True)
class Programs:
    """Native programs: where they are, for which machine, and what runs them here (an emulator, or nothing)."""

    folder: Path
    machine: str
    emulator: str | None = None

    def path(self, name: str) -> Path:
        return self.folder / f"{name}-{self.machine}"

    def argv(self, name: str, *words: str) -> list[str]:
        return [*([self.emulator] if self.emulator else []), str(self.path(name)), *words]


def _compiler(machine: str) -> bool:
    return shutil.which(f"{machine}-linux-gnu-gcc") is not None


VARIETIES = {
    "shipped": None,
    "emulated": None if shutil.which(f"qemu-{OTHER}-static") else f"no qemu-{OTHER}-static for the other machine's",
    "rebuilt": None if _compiler(MACHINE) else "no compiler to rebuild with",
}
"""The programs there are to test, and why some cannot be here."""


def varieties() -> list[ParameterSet]:
    """As pytest's parameters."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(reason is not None, reason=str(reason)))
        for name, reason in VARIETIES.items()
    ]


def programs_of(variety: str, folder: Path) -> Programs:
    """Programs of one variety; they are built into `folder` where they have to be."""
    match variety:
        case "shipped":
            return Programs(SHIPPED, MACHINE)
        case "emulated":
            return Programs(SHIPPED, OTHER, shutil.which(f"qemu-{OTHER}-static"))
        case _:
            subprocess.run([NATIVE / "build.sh", folder], check=True, stderr=subprocess.DEVNULL)
            return Programs(folder, MACHINE)


@dataclass
class System:
    """A small root file system with the native daemons in it, to be run in with the rights of root there."""

    root: Path
    programs: Programs
    _daemons: list[int] = field(default_factory=list)

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)
        self.path(path).chmod(mode)

    def run(self, *argv: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
        """Run a command in the system."""
        return subprocess.run(
            argv,
            preexec_fn=_enter(self.root),
            env={"PATH": "/sbin:/bin:/usr/sbin:/usr/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def daemon(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Start a native daemon; it is ended with the test."""
        emulator = ["/emulator"] if self.programs.emulator else []
        done = self.run(*emulator, f"/usr/sbin/{name}", *words)
        if done.returncode == 0:
            self._daemons.append(self.pid(name))
        return done

    def pid(self, name: str) -> int:
        return int(self.path({"syslogd": "/var/run/syslog.pid", "cron": "/var/run/cron.pid"}[name]).read_text())

    def end(self, name: str, number: int = signal.SIGTERM) -> None:
        """Send a daemon a signal that ends it, and wait for that."""
        pid = self.pid(name)
        os.kill(pid, number)
        eventually(lambda: is_gone(pid))

    def close(self) -> None:
        for pid in self._daemons:
            if not is_gone(pid):
                os.kill(pid, signal.SIGKILL)

    def log(self) -> list[str]:
        try:
            return self.path("/var/log/messages").read_text().splitlines()
        except FileNotFoundError:
            return []


def is_gone(pid: int) -> bool:
    """Whether no such process runs; one that is dead and waited for by nobody is gone too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def eventually(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until it holds; fail where it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.01)


def _enter(root: Path) -> Callable[[], None]:
    def enter() -> None:
        if os.geteuid() != 0:
            uid, gid = os.getuid(), os.getgid()
            unshare(CLONE_NEWUSER | CLONE_NEWNS)
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                Path(f"/proc/self/{name}").write_text(text)
        os.chroot(root)
        os.chdir("/")
        os.umask(0o027)

    return enter


def system_at(root: Path, programs: Programs) -> System:
    """Make one."""
    root.mkdir()
    natives = Natives(*(str(programs.path(name)) for name in ("agent", "syslogd", "cron")))
    writer = Writer(Source.machine(), MACHINE, natives)
    with Tree(str(root)) as tree:
        writer.write(tree)
        writer.write_small_usr(tree)
    (root / "dev").chmod(0o755)
    (root / "dev/null").touch()
    (root / "dev/null").chmod(0o666)
    if programs.emulator:
        shutil.copy(programs.emulator, root / "emulator")
    return System(root, programs)
