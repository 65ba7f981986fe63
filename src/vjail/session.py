"""What a command is given: a `Session`, the process it would be on FreeBSD.

A command is a function from a Session to an exit code, plain where it never waits, a coroutine where it runs processes,
reads its input or sleeps. It raises `Quit` to leave early with a message in err(3)'s form.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from vjail.kernel.system import System


class Quit(Exception):
    """Leave the command: `text` goes to standard error as `NAME: text` (nothing where None), then exit `code`."""

    def __init__(self, text: str | None, code: int = 1) -> None:
        super().__init__(text or "")
        self.text = text
        self.code = code


class Lacking(Quit):
    """Leave the command: FreeBSD has what it asks for, vjail has not, and what FreeBSD would answer is not known."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: `code`, or the signal `signal` (then code is 128 + signal, as a shell says it)."""

    code: int
    signal: int = 0


@dataclass(frozen=True, slots=True)
class User:
    """Whom a process runs as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str


class Output(enum.Enum):
    """Where a process's output goes besides a file: to the session's own streams, or nowhere."""

    SESSION = "session"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Process:
    """A process to start.

    `jid` is the jail it starts in as seen by the kernel (0: the session's own place); `argv[0]` is looked up in the
    PATH of its environment inside that jail, unless it holds a slash. `environ` None inherits the session's. `cwd` is a
    directory in that jail; None: in a jail its root, otherwise the session's own. `output` may be a path in the
    session's own root: both streams are appended to that file. `detached` gives it a session of its own and nobody
    waits for it.
    """

    argv: tuple[str, ...]
    jid: int = 0
    environ: Mapping[str, str] | None = None
    cwd: str | None = None
    user: User | None = None
    output: Output | str = Output.SESSION
    detached: bool = False
    interactive: bool = False
    """It takes the session's place: the session's terminal, signals and input are its own."""


class StartError(Exception):
    """A process that could not be started: at `stage` (`exec`, `chdir`, `jail_attach`, …) with FreeBSD's error text."""

    def __init__(self, stage: str, text: str) -> None:
        super().__init__(f"{stage}: {text}")
        self.stage = stage
        self.text = text


class Running(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int:
        """Its number as FreeBSD's one process table would show it."""
        ...

    async def wait(self) -> Exit:
        """Wait for its end."""
        ...

    def kill(self, signal: int) -> None:
        """Send it a signal; no error where it is gone."""
        ...


class FileKind(enum.Enum):
    """What a path names."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"


class Files(Protocol):
    """The files a session's process can see: paths in its own root, relative ones from its working directory.

    All raise KernelError with FreeBSD's error.
    """

    def read(self, path: str) -> bytes:
        """A file's content."""
        ...

    def write(self, path: str, data: bytes, *, append: bool = False, mode: int = 0o644) -> None:
        """Replace or extend a file's content, making the file where it is missing."""
        ...

    def kind(self, path: str, *, follow: bool = True) -> FileKind | None:
        """What `path` names, None where nothing is there."""
        ...

    def mode(self, path: str) -> int:
        """Its permission bits and set-id bits."""
        ...

    def list(self, path: str) -> Sequence[str]:
        """The names in a directory, sorted."""
        ...

    def glob(self, pattern: str) -> Sequence[str]:
        """glob(3): the matching paths, sorted; none is no error."""
        ...

    def mkdir(self, path: str, mode: int = 0o755, *, parents: bool = False) -> None:
        """Make a directory; with `parents` as mkdir -p does."""
        ...

    def unlink(self, path: str) -> None:
        """Remove a file."""
        ...

    def symlink(self, text: str, path: str) -> None:
        """Make `path` a symbolic link that holds `text`; one that is there is replaced, anything else is EEXIST."""
        ...

    def readlink(self, path: str) -> str:
        """A symbolic link's text."""
        ...

    def realpath(self, path: str) -> str:
        """The path with every symbolic link followed."""
        ...


class Echo(Protocol):
    """A raw ICMP or ICMPv6 socket in the session's vnet, for ping(8) and traceroute(8).

    What FreeBSD's hands over arrives, and no more: of IPv4 no requests that the kernel answers itself (echo, timestamp,
    information, mask), and no error this host reports to itself, which FreeBSD says as an error of `send`
    (EHOSTDOWN for a neighbour that does not answer).
    """

    def send(self, destination: IPv4Address | IPv6Address, packet: bytes, *, zone: str | None = None) -> None:
        """Send one ICMP message (IPv4: checksum included; IPv6: filled in). Raises KernelError."""
        ...

    def send_packet(self, destination: IPv4Address | IPv6Address, packet: bytes, *, zone: str | None = None) -> None:
        """Send a whole packet, its IP header with it, as traceroute(8) does. Raises KernelError."""
        ...

    def source_for(
        self, destination: IPv4Address | IPv6Address, *, zone: str | None = None
    ) -> IPv4Address | IPv6Address:
        """The source address the kernel chooses towards `destination`. Raises KernelError where there is no way."""
        ...

    async def receive(self, timeout: float) -> EchoPacket | None:
        """The next message that arrives within `timeout` seconds, else None.

        Who waits may be cancelled; a message not handed over yet is then kept for the next call.
        """
        ...

    def close(self) -> None:
        """Give the socket back."""
        ...


@dataclass(frozen=True, slots=True)
class EchoPacket:
    """One ICMP message received: `message` from the ICMP header on, `when` as time.monotonic() tells it."""

    source: IPv4Address | IPv6Address
    zone: str | None
    ttl: int
    message: bytes
    when: float


@dataclass(frozen=True, slots=True)
class EchoOptions:
    """Socket options ping(8) sets; None leaves the kernel's default."""

    source: IPv4Address | IPv6Address | None = None
    ttl: int | None = None
    dont_fragment: bool = False
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One process as ps(1) shows it.

    `name` is the command name the kernel keeps (ki_comm), `command` its argument vector (empty for a kernel process),
    `tty` the device below /dev or None, `state` what the STAT column shows (`RJ`), `start` Unix time in seconds,
    `time` seconds of CPU, `rss` and `vsz` bytes.
    """

    pid: int
    ppid: int
    jid: int
    name: str
    command: tuple[str, ...]
    uid: int
    user: str
    tty: str | None
    state: str
    start: float
    time: float
    rss: int
    vsz: int


class Session(Protocol):
    """One running command: its words, its streams, its files, the kernel as it sees it, and what it may start."""

    @property
    def argv(self) -> Sequence[str]:
        """The words, the name it was called by first (without its directory)."""
        ...

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment it was called with."""
        ...

    @property
    def cwd(self) -> str:
        """The working directory in its own root."""
        ...

    @property
    def uid(self) -> int:
        """The caller's user id, inside its jail."""
        ...

    @property
    def pid(self) -> int:
        """The command's own number in FreeBSD's one process table."""
        ...

    @property
    def system(self) -> System:
        """The kernel."""
        ...

    @property
    def files(self) -> Files:
        """The files of its own root."""
        ...

    def isatty(self, fd: int) -> bool:
        """Whether its descriptor 0, 1 or 2 is a terminal."""
        ...

    def out(self, text: str) -> None:
        """Write to standard output."""
        ...

    def err(self, text: str) -> None:
        """Write to standard error."""
        ...

    async def read_input(self) -> bytes:
        """All of standard input."""
        ...

    async def start(self, process: Process) -> Running:
        """Start a process. Raises StartError."""
        ...

    async def call(
        self,
        argv: Sequence[str],
        *,
        jid: int = 0,
        environ: Mapping[str, str] | None = None,
        output: Output | str = Output.SESSION,
    ) -> int:
        """Run a command line of the base system in this process, without a fork; its exit code.

        `argv[0]` is the path or name of one of FreeBSD's commands that vjail answers. `jid`, `environ` and `output`
        are as in Process. Raises StartError where jail `jid` may not be entered (stage `jail_attach`).
        """
        ...

    def resolves(self, argv0: str, jid: int, environ: Mapping[str, str]) -> bool:
        """Whether `argv0`, looked up in jail `jid`'s root along the PATH of `environ`, is a command `call` can run."""
        ...

    def files_in(self, jid: int) -> Files:
        """The files as a process of jail `jid` sees them; whatever links lie there, they lead nowhere outside."""
        ...

    def running(self, jid: int) -> Sequence[Running]:
        """The processes whose jail is exactly `jid`, the newest first."""
        ...

    def echo(self, family: int, options: EchoOptions) -> Echo:
        """A raw ICMP (family 4) or ICMPv6 (6) socket. Raises KernelError(EPERM) where the jail may not have one."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; on a model no time passes."""
        ...

    def processes(self) -> Sequence[ProcessInfo]:
        """The processes the caller may see, its jail's and those of jails below, in any order."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that only goes forward."""
        ...

    def time(self) -> float:
        """Unix time in seconds."""
        ...

    def signals(self) -> Awaitable[int]:
        """The next signal the command is sent (SIGINT, SIGTERM, SIGHUP, SIGINFO), by FreeBSD's number (SIGINFO: 29)."""
        ...


Command = Callable[[Session], int] | Callable[[Session], Awaitable[int]]


def run_named(session: Session, command: Callable[[Session], int]) -> int:
    """Call a plain command; a Quit becomes its message and exit code. Raises Lacking."""
    try:
        return command(session)
    except Lacking:
        raise
    except Quit as leave:
        if leave.text is not None:
            session.err(f"{session.argv[0]}: {leave.text}\n")
        return leave.code
