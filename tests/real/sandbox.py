"""A sandbox for tests on this kernel: PID, mount, network, UTS and IPC namespaces of its own, and a census of it.

What a test starts runs inside. At the end the census must be what it was at the beginning: the same processes, network
interfaces, mounts, namespaces, sockets and files. Without root the sandbox has a user namespace too.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

NOBODY = 65534
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WATCHED = ("/run", "/tmp", "/var/tmp", "/dev/shm")
_KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")

_INIT = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
program = sys.argv[1]
kept = os.open(program, os.O_PATH)
for place in sys.argv[2:]:
    if os.path.isdir(place) and libc.mount(b"sandbox", place.encode(), b"tmpfs", 0, b"mode=1777"):
        sys.exit(f"no tmpfs on {place}: {os.strerror(ctypes.get_errno())}")
os.makedirs(program, exist_ok=True)
if libc.mount(f"/proc/self/fd/{kept}".encode(), program.encode(), None, 4096, None):
    sys.exit(f"{program}: {os.strerror(ctypes.get_errno())}")
print("ready", flush=True)
while True:
    try:
        os.wait()
    except ChildProcessError:
        signal.sigtimedwait({signal.SIGCHLD}, 0.2)
"""
"""PID 1 of a sandbox: reaps whatever is left to it."""


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit code (negative: the signal), what it wrote."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit {self.code}\n{self.out}{self.err}"


@dataclass(frozen=True)
class Census:
    """What there is in a sandbox."""

    processes: tuple[str, ...]
    links: tuple[str, ...]
    mounts: tuple[str, ...]
    namespaces: frozenset[str]
    sockets: tuple[str, ...]
    files: tuple[str, ...]
    groups: tuple[str, ...]
    """Control groups (v2); all that is run in a sandbox begins in one of its own."""


@dataclass
class Sandbox:
    """A sandbox that is there; `program` is the copy of vjail it runs, `uid` who runs it."""

    init: subprocess.Popen[str]
    program: Path
    uid: int
    group: Path | None = None
    before: Census | None = None
    _fd: dict[str, int] = field(default_factory=dict)

    # --- running -----------------------------------------------------------------------------------------------------

    def command(self, *words: str) -> list[str]:
        """A command line that runs `words` inside, as the sandbox's user."""
        line = ["nsenter", "-t", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid"]
        if os.geteuid() != 0:
            line += ["--user", "--preserve-credentials"]
        elif self.uid != 0:
            words = ("setpriv", "--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups", *words)
        if self.group is not None:
            line = ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(self.group), *line]
        return [*line, f"--wd={self.folder}", "--", *words]

    @property
    def pid(self) -> int:
        """The number of its PID 1, as this process sees it."""
        return int(Path(f"/proc/{self.init.pid}/task/{self.init.pid}/children").read_text().split()[0])

    @property
    def folder(self) -> Path:
        """Where labs of a test lie: a copy of `examples/`, this user's own."""
        return self.program / "work"

    @property
    def environ(self) -> dict[str, str]:
        """A short environment, the same for everybody."""
        return {"PATH": PATH, "HOME": str(self.folder), "PYTHONPATH": str(self.program / "src"), "LANG": "C.UTF-8"}

    def run(
        self,
        *words: str,
        input: str | None = None,
        timeout: float = 120,
        environ: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a command inside to its end."""
        done = subprocess.run(
            self.command(*words),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
            env={**self.environ, **(environ or {})},
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command inside; kill it with `kill`."""
        return subprocess.Popen(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ,
        )

    @staticmethod
    def kill(started: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
        """Send a signal to a command that `start` gave, and wait for its end."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split():
                os.kill(int(child), number)
        started.communicate(timeout=30)

    def vjail(self, *words: str, input: str | None = None, timeout: float = 60) -> Result:
        """Run vjail inside, in `folder`."""
        return self.run(interpreter(), "-m", "vjail", *words, input=input, timeout=timeout)

    def shell(self, line: str, lab: str = ".", *, timeout: float = 60) -> Result:
        """Type a line into `vjail shell` on the lab's only host."""
        return self.vjail("shell", "-p", lab, "-c", line, timeout=timeout)

    # --- looking -----------------------------------------------------------------------------------------------------

    def census(self) -> Census:
        """What there is now."""
        root = Path(f"/proc/{self.pid}/root")
        files = sorted(
            str(path.relative_to(root))
            for place in _WATCHED
            for path in (root / place.lstrip("/")).rglob("*")
            if not path.is_relative_to(root / str(self.program).lstrip("/"))
        )
        lines = Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()
        unix = Path(f"/proc/{self.pid}/net/unix").read_text().splitlines()[1:]
        devices = Path(f"/proc/{self.pid}/net/dev").read_text().splitlines()[2:]
        return Census(
            processes=tuple(self._processes()),
            links=tuple(sorted(line.split(":")[0].strip() for line in devices)),
            mounts=tuple(sorted(" ".join(line.split()[3:]) for line in lines)),
            namespaces=frozenset(self._namespaces()),
            sockets=tuple(sorted(line.split()[7] for line in unix if len(line.split()) > 7)),
            files=tuple(files),
            groups=tuple(sorted(str(path) for path in self.group.rglob("*") if path.is_dir())) if self.group else (),
        )

    def find(self, *words: str) -> list[int]:
        """The processes inside whose command line has all these words, as this process numbers them."""
        return sorted(pid for pid in self._members() if set(words) <= set(_words(pid)))

    def running(self, *words: str) -> list[int]:
        """The processes inside whose command line is just this, as this process numbers them."""
        return [pid for pid in self.find(*words) if _words(pid) == words]

    def server(self, lab: str) -> int:
        """The server of a lab, one of several."""
        (found,) = (pid for pid in self.find("vjail.server") if any(f"/{lab}-" in word for word in _words(pid)))
        return found

    def _members(self) -> Iterator[int]:
        """The processes inside, as this process numbers them: those whose PID namespace is the sandbox's or below."""
        depth = len(_numbers(self.pid))
        mine = os.stat(f"/proc/{self.pid}/ns/pid").st_ino
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != self.pid:
                try:
                    if len(_numbers(int(name))) >= depth and self._descends(int(name), mine):
                        yield int(name)
                except (FileNotFoundError, ProcessLookupError):
                    continue

    def _descends(self, pid: int, namespace: int) -> bool:
        """Whether a process is in the PID namespace or in one below it: an ancestor of it is the sandbox's PID 1."""
        while pid > 1:
            if pid == self.pid:
                return True
            # Of whom this user may not know it, an ancestor tells.
            with contextlib.suppress(PermissionError):
                if os.stat(f"/proc/{pid}/ns/pid").st_ino == namespace:
                    return True
            pid = _parent(pid)
        return False

    def _processes(self) -> Iterator[str]:
        for pid in self._members():
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                yield f"{state} {words or Path(f'/proc/{pid}/comm').read_text().strip()}"
            except (FileNotFoundError, ProcessLookupError):
                continue

    def _namespaces(self) -> Iterator[str]:
        for pid in (self.pid, *self._members()):
            for kind in _KINDS:
                with contextlib.suppress(OSError):
                    yield os.readlink(f"/proc/{pid}/ns/{kind}")

    def assert_clean(self, patience: float = 20) -> None:
        """Nothing may be there that was not there before. What ends by itself is given a moment, in seconds."""
        assert self.before is not None
        deadline = time.monotonic() + patience
        while (now := self.census()) != self.before and time.monotonic() < deadline:
            time.sleep(0.05)
        for name in Census.__dataclass_fields__:
            was, found = getattr(self.before, name), getattr(now, name)
            left, gone = sorted(set(found) - set(was)), sorted(set(was) - set(found))
            assert sorted(found) == sorted(was), f"{name}: left {left[:20]}, gone {gone[:20]}"


def _remove(group: Path, patience: float = 20) -> None:
    """Remove a control group; its last processes are given a moment, in seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return group.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _numbers(pid: int) -> list[str]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return line.split()[1:]
    return []


def _words(pid: int) -> tuple[str, ...]:
    """A process's command line, empty where it has gone."""
    try:
        return tuple(Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1])
    except (FileNotFoundError, ProcessLookupError):
        return ()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _control_group() -> Path | None:
    """A control group for a sandbox, where there are any (version 2) that this process may make."""
    for root in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (root / "cgroup.procs").exists() and os.geteuid() == 0:
            group = root / f"vjail-test.{os.getpid()}.{time.monotonic_ns()}"
            with contextlib.suppress(OSError):
                group.mkdir()
                return group
    return None


def interpreter() -> str:
    """A Python that any user may run: the machine's own, unless it is too old."""
    for candidate in ("/usr/bin/python3", "/usr/local/bin/python3"):
        with contextlib.suppress(OSError):
            done = subprocess.run([candidate, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False)
            if done.returncode == 0:
                return candidate
    return sys.executable


@contextlib.contextmanager
def sandbox(program: Path, uid: int) -> Iterator[Sandbox]:
    """A sandbox in which user `uid` runs the copy of vjail in `program`; it must be clean at the end."""
    line = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--net", "--uts", "--ipc", "--mount-proc"]
    if os.geteuid() != 0:
        line += ["--user", "--map-current-user", "--keep-caps"]
    init = subprocess.Popen(
        [*line, sys.executable, "-c", _INIT, str(program), *_WATCHED], stdout=subprocess.PIPE, text=True
    )
    group = _control_group()
    try:
        assert init.stdout is not None
        ready = select.select([init.stdout], [], [], 20)[0] and init.stdout.readline()
        assert ready == "ready\n", "the sandbox did not start"
        made = Sandbox(init, program, uid, group)
        made.before = made.census()
        yield made
        made.assert_clean()
    finally:
        init.kill()
        init.wait()
        if group is not None:
            for place in sorted([group, *(path for path in group.rglob("*") if path.is_dir())], reverse=True):
                _remove(place)
