"""A host in memory for the tests of jails: the real table of jails, and around it just enough of everything else.

Time is virtual: `run` drives a loop whose clock jumps to the next timer when nothing else can happen. Programs are a
toy shell (jail_shell.py); ifconfig, mount and umount know only what the recordings of jails need.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import jail_shell
from jail_files import FakeFiles

from vjail.command.jail import jail
from vjail.command.jexec import jexec
from vjail.command.jls import jls
from vjail.command.rc_jail import rc_jail
from vjail.conf.rcconf import RcConf
from vjail.kernel.core.journal import Journal
from vjail.kernel.core.part import Caller
from vjail.kernel.core.prison import Prisons
from vjail.kernel.core.prison_record import Prison
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Jail, Mounted
from vjail.kernel.operations import Operation
from vjail.release import Release
from vjail.session import Exit, Output, Process, ProcessInfo, Running, StartError

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when nothing is left to do, and then at once."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        self._now = 0.0
        select = self._selector.select  # type: ignore[attr-defined]

        def skip(timeout: float | None = None) -> Any:
            ready = select(0)
            if not ready and timeout:
                self._now += timeout
            return ready

        self._selector.select = skip  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


class FakeProcess:
    """A started program."""

    def __init__(
        self, pid: int, jid: int, body: Coroutine[Any, Any, Exit], gone: Callable[[FakeProcess], None]
    ) -> None:
        self.pid = pid
        self.jid = jid
        self.signals: list[int] = []
        self.stubborn = False
        self._task = asyncio.ensure_future(self._run(body))
        self._gone = gone

    async def _run(self, body: Coroutine[Any, Any, Exit]) -> Exit:
        try:
            return await body
        except asyncio.CancelledError:
            return Exit(128 + self.signals[-1], self.signals[-1])
        finally:
            self._gone(self)

    async def wait(self) -> Exit:
        return await asyncio.shield(self._task)

    def kill(self, signal: int) -> None:
        self.signals.append(signal)
        if signal == 9 or not self.stubborn:
            self._task.cancel()


@dataclass
class FakeDriver:
    """What a jail lives in: nothing but its processes. `calls` records every call; `fails` makes one fail."""

    host: FakeHost
    calls: list[tuple[object, ...]] = field(default_factory=list)
    fails: dict[str, KernelError] = field(default_factory=dict)
    holding: set[int] = field(default_factory=set)
    """Jails that stay dying when they are killed."""

    def _call(self, *call: object) -> None:
        self.calls.append(call)
        error = self.fails.get(str(call[0]))
        if error is not None:
            raise error

    def make(self, prison: Prison, seen_from: int) -> str:
        self._call("make", prison.jid, prison.path, seen_from)
        above = self.host.prisons.prison(seen_from)
        assert above is not None
        return (above.path.rstrip("/") + prison.path).rstrip("/") or "/"

    def changed(self, prison: Prison) -> None:
        self._call("changed", prison.jid)

    def kill(self, jid: int) -> bool:
        self._call("kill", jid)
        for process in self.host.processes:
            if process.jid == jid:
                process.kill(9)
        return jid not in self.holding

    def remove(self, jid: int) -> None:
        self._call("remove", jid)

    def pids(self, jid: int) -> Sequence[int]:
        return [process.pid for process in self.host.processes if process.jid == jid]


class FakeNetwork:
    """Names of interfaces by vnet, and where each is at home."""

    def __init__(self) -> None:
        self.vnets: dict[int, list[str]] = {0: ["vtnet0", "vtnet1", "lo0", "pflog0"]}
        self.homes: dict[str, int] = {}

    def add(self, number: int) -> None:
        self.vnets[number] = ["lo0", "pflog0"]

    def remove(self, number: int) -> None:
        for name in self.vnets.pop(number):
            home = self.homes.get(name)
            if home is not None and home != number and home in self.vnets:
                self.vnets[home].append(name)

    def where(self, name: str) -> int | None:
        return next((number for number, names in self.vnets.items() if name in names), None)


class FakeHost:
    """One host."""

    def __init__(self, release: Release = Release.V13, journal: Journal | None = None) -> None:
        self.release = release
        self.files = FakeFiles()
        self.network = FakeNetwork()
        self.driver = FakeDriver(self)
        self.processes: list[FakeProcess] = []
        self.sysctls: dict[str, str] = {}
        self.rc_conf = dict(RC_CONF)
        self.next_pid = 5000
        self.prisons = Prisons(
            release,
            self.driver,
            add_vnet=self.network.add,
            remove_vnet=self.network.remove,
            osrelease="13.2-RELEASE",
            osreldate=1302001,
            journal=journal,
        )
        for path in (
            "/bin",
            "/sbin",
            "/lib",
            "/libexec",
            "/usr",
            "/dev",
            "/proc",
            "/root",
            "/tmp",
            "/var/run",
            "/var/log",
        ):
            self.files.add(path)
        self.files.add(
            "/etc/passwd", "root:*:0:0:Charlie &:/root:/bin/csh\noperator:*:2:5:System &:/:/usr/sbin/nologin\n"
        )
        self.files.add("/etc/group", "wheel:*:0:root\noperator:*:5:root\n")
        self.files.mounts += [
            Mounted("ufs", "/dev/vtbd0p2", "/", ("local", "noatime")),
            Mounted("devfs", "devfs", "/dev"),
        ]

    def system(self, jid: int = 0) -> FakeSystem:
        """The kernel seen from a jail."""
        return FakeSystem(self, jid)

    def start(self, jid: int, body: Coroutine[Any, Any, Exit]) -> FakeProcess:
        """Start a program in a jail."""
        self.next_pid += 1
        process = FakeProcess(self.next_pid, jid, body, self._gone)
        self.processes.insert(0, process)
        return process

    def _gone(self, process: FakeProcess) -> None:
        self.processes.remove(process)
        if process.jid and not any(other.jid == process.jid for other in self.processes):
            self.prisons.last_process(process.jid)


class FakeSystem:
    """The kernel as a process in one jail sees it."""

    def __init__(self, host: FakeHost, jid: int) -> None:
        self.host = host
        self.jid = jid
        self.release = host.release

    @property
    def caller(self) -> Caller:
        return Caller(self.jid, self.host.prisons.vnet_of(self.jid))

    def apply(self, operation: Operation[T]) -> T:
        result: T = self.host.prisons.handlers()[type(operation)](self.caller, operation)  # type: ignore[assignment]
        return result

    def inside(self, jid: int) -> FakeSystem:
        return FakeSystem(self.host, jid)

    def jails(self, *, dying: bool = False) -> Sequence[Jail]:
        return self.host.prisons.jails(self.caller, dying=dying)

    def jail(self, key: int | str, *, dying: bool = False) -> Jail:
        return self.host.prisons.jail(self.caller, key, dying=dying)

    def jail_parameters(self) -> Sequence[str]:
        return self.host.prisons.parameters()

    def mounts(self) -> Sequence[Mounted]:
        return self.host.files.mounts

    def mounted(self, name: str) -> Mounted | None:
        found = [each for each in self.host.files.mounts if name in (each.target, each.source)]
        return found[-1] if found else None

    def sysctl(self, name: str) -> Sequence[tuple[str, str]]:
        if name not in self.host.sysctls:
            raise KernelError(Errno.ENOENT)
        return [(name, self.host.sysctls[name])]


class Screen:
    """Everything written, each stream by itself and both as a terminal shows them."""

    def __init__(self) -> None:
        self.stdout = ""
        self.stderr = ""
        self.merged = ""

    def out(self, text: str) -> None:
        self.stdout += text
        self.merged += text

    def err(self, text: str) -> None:
        self.stderr += text
        self.merged += text


RC_CONF = {
    "jail_enable": "NO",
    "jail_conf": "/etc/jail.conf",
    "jail_list": "",
    "jail_parallel_start": "NO",
    "jail_reverse_stop": "NO",
    "jail_confwarn": "YES",
    "rc_startmsgs": "YES",
}
"""What /etc/defaults/rc.conf says of jails."""

OWN = {"ifconfig", "jail", "jexec", "jls", "mount", "service", "umount"}
"""The commands that count as vjail's own."""


class FakeSession:
    """A command's session on a FakeHost. `log` records what was called and started, in order."""

    def __init__(
        self,
        host: FakeHost,
        argv: Sequence[str],
        *,
        jid: int = 0,
        environ: Mapping[str, str] | None = None,
        screen: Screen | None = None,
        uid: int = 0,
        log: list[Process] | None = None,
    ) -> None:
        self.host = host
        self.argv = tuple(argv)
        self.jid = jid
        self.environ = dict(
            environ if environ is not None else {"PATH": "/sbin:/bin:/usr/sbin:/usr/bin", "HOME": "/root"}
        )
        self.screen = screen or Screen()
        self.uid = uid
        self.cwd = "/"
        self.pid = 4999
        self.log = log if log is not None else []
        self.input = b""

    @property
    def system(self) -> Any:
        return self.host.system(self.jid)

    @property
    def files(self) -> Any:
        return self.files_in(0)

    def files_in(self, jid: int) -> Any:
        prison = self.host.prisons.prison(jid or self.jid)
        assert prison is not None
        return self.host.files.inside(prison.path)

    def isatty(self, fd: int) -> bool:
        return False

    def out(self, text: str) -> None:
        self.screen.out(text)

    def err(self, text: str) -> None:
        self.screen.err(text)

    async def read_input(self) -> bytes:
        return self.input

    def _enter(self, jid: int) -> int:
        if jid:
            try:
                self.host.prisons.check_attach(self.system.caller, jid, self.uid)
            except KernelError as error:
                raise StartError("jail_attach", error.errno.text) from None
        return jid or self.jid

    def _child(self, process: Process) -> FakeSession:
        screen = self.screen
        if isinstance(process.output, str):
            screen = _FileScreen(self.files, process.output)
        elif process.output is Output.NULL:
            screen = Screen()
        environ = self.environ if process.environ is None else process.environ
        jid = self._enter(process.jid)
        uid = self.uid if process.user is None else process.user.uid
        argv = (process.argv[0].rpartition("/")[2], *process.argv[1:])
        return FakeSession(self.host, argv, jid=jid, environ=environ, screen=screen, uid=uid, log=self.log)

    async def start(self, process: Process) -> Running:
        self.log.append(process)
        child = self._child(process)
        body = jail_shell.program(child, process.argv)
        if body is None:
            raise StartError("exec", Errno.ENOENT.text)
        return self.host.start(child.jid, body)

    async def call(
        self,
        argv: Sequence[str],
        *,
        jid: int = 0,
        environ: Mapping[str, str] | None = None,
        output: Output | str = Output.SESSION,
    ) -> int:
        process = Process(tuple(argv), jid=jid, environ=environ, output=output)
        self.log.append(process)
        child = self._child(process)
        match child.argv[0]:
            case "jail":
                return await jail(child)
            case "jexec":
                return await jexec(child)
            case "jls":
                return jls(child)
            case "service":
                return await _service_jail(child, child.argv[2], child.argv[3:])
        return jail_shell.builtin(child)

    def resolves(self, argv0: str, jid: int, environ: Mapping[str, str]) -> bool:
        return argv0.rpartition("/")[2] in OWN

    def running(self, jid: int) -> Sequence[Running]:
        return [process for process in self.host.processes if process.jid == jid]

    def echo(self, family: int, options: Any) -> Any:
        raise KernelError(Errno.EPERM)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def processes(self) -> Sequence[ProcessInfo]:
        return ()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def signals(self) -> Awaitable[int]:
        return asyncio.get_running_loop().create_future()


async def _service_jail(session: FakeSession, verb: str, names: Sequence[str]) -> int:
    """service(8) with rc.d/jail: as much of rc.subr as the recordings need."""
    conf = RcConf(session.host.rc_conf, {})
    if verb.startswith("one"):
        return await rc_jail(session, conf, [verb.removeprefix("one"), *names])
    if conf.get("jail_enable") == "YES":
        return await rc_jail(session, conf, [verb, *names])
    hint = f"Set jail_enable to YES in /etc/rc.conf or use 'one{verb}' instead of '{verb}'."
    session.out(f"Cannot '{verb}' jail. {hint}\n")
    return 0


class _FileScreen(Screen):
    """Output that goes to a file."""

    def __init__(self, files: FakeFiles, path: str) -> None:
        super().__init__()
        self._files = files
        self._path = path

    def out(self, text: str) -> None:
        self._files.write(self._path, text.encode(), append=True)

    err = out


@dataclass
class Result:
    """How a command went."""

    code: int
    stdout: str
    stderr: str
    merged: str
    log: list[Process]


def command(host: FakeHost, line: str | Sequence[str], **keywords: Any) -> Result:
    """Type a line (for the toy shell), or run a command given by its words, and wait for the end."""
    session = FakeSession(host, ("sh",), **keywords)

    async def typed() -> int:
        if isinstance(line, str):
            return (await jail_shell.shell(session, line)).code
        if line[0] in OWN:
            return await session.call(line)
        return (await (await session.start(Process(tuple(line)))).wait()).code

    code = run(typed())
    return Result(code, session.screen.stdout, session.screen.stderr, session.screen.merged, session.log)
