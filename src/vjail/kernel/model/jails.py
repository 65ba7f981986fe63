"""A JailDriver in memory: a jail is its root and the processes that are noted as being in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vjail.kernel.core.prison_record import Prison
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.model.files import HostFiles
from vjail.session import FileKind

_FIRST_PID = 1000


@dataclass(slots=True, eq=False)
class Resident:
    """A process that stays: a daemon, or a command under way. `ends` is when it ends by itself, None: never."""

    pid: int
    jid: int
    argv: tuple[str, ...]
    started: float
    ends: float | None = None
    uid: int = 0
    killed: int = 0
    """The signal that has ended it."""
    code: int | None = None
    """Its exit code, once it has ended."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return bool(self.killed) or self.code is not None


class MemoryJails:
    """The jails and processes of a host in memory."""

    def __init__(self, files: HostFiles, root_of: Callable[[int], str]) -> None:
        self._files = files
        self._root_of = root_of
        self._next = _FIRST_PID
        self.processes: dict[int, Resident] = {}
        self.ended: Callable[[int], object] = lambda jid: None
        """Told of a jail whose process has ended."""

    # --- the driver -------------------------------------------------------------------------------------------------

    def make(self, prison: Prison, seen_from: int) -> str:
        """Find the root asked for. KernelError: ENOENT, ENOTDIR."""
        real = self._files.realpath(self._root_of(seen_from), prison.path)
        node = self._files.node(real)
        if node is None or node.kind is not FileKind.DIRECTORY:
            raise KernelError(Errno.ENOTDIR)
        return real

    def changed(self, prison: Prison) -> None:
        """Nothing to do."""

    def kill(self, jid: int) -> bool:
        """Kill every process of exactly this jail; nothing holds it then."""
        for process in self.of(jid):
            self._end(process, signal=9)
        return True

    def remove(self, jid: int) -> None:
        """Nothing to do."""

    def pids(self, jid: int) -> Sequence[int]:
        """The processes of exactly this jail."""
        return [process.pid for process in self.of(jid)]

    # --- processes --------------------------------------------------------------------------------------------------

    def of(self, jid: int) -> list[Resident]:
        """The processes of exactly this jail (0: the host), the newest first."""
        return [process for process in reversed(self.processes.values()) if process.jid == jid]

    def next_pid(self) -> int:
        """A process number never given before."""
        self._next += 1
        return self._next

    def begin(self, argv: tuple[str, ...], jid: int, started: float, uid: int, ends: float | None) -> Resident:
        """Note a process."""
        process = Resident(self.next_pid(), jid, argv, started, ends, uid)
        self.processes[process.pid] = process
        return process

    def exit(self, process: Resident, code: int = 0) -> None:
        """It has ended by itself."""
        if not process.is_over:
            process.code = code
            self._forget(process)

    def signal(self, process: Resident, number: int) -> None:
        """Send it a signal; every one but 0, SIGHUP of a daemon and what is ignored by default ends it."""
        if not process.is_over and number not in (0, 1, 20, 28, 29):
            self._end(process, signal=number)
            self.ended(process.jid)

    def pass_time(self, now: float) -> None:
        """End what has come to its end by now."""
        for process in [each for each in self.processes.values() if each.ends is not None and each.ends <= now]:
            self.exit(process)

    def _end(self, process: Resident, *, signal: int) -> None:
        process.killed = signal
        self.processes.pop(process.pid, None)

    def _forget(self, process: Resident) -> None:
        self.processes.pop(process.pid, None)
        self.ended(process.jid)
