"""A host for tests of commands: files in memory, the real core with a driver that only remembers, recorded calls."""

from __future__ import annotations

import asyncio
import fnmatch
import inspect
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vjail.kernel.core.devfs import Devfs
from vjail.kernel.core.devnodes import DeviceNode
from vjail.kernel.core.journal import Journal, NoJournal
from vjail.kernel.core.modules import KernelImage, Modules
from vjail.kernel.core.mount_driver import MountRequest
from vjail.kernel.core.mounts import Mounts
from vjail.kernel.core.part import Caller
from vjail.kernel.core.sysctl import Hardware, Sysctls
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Interface, Jail
from vjail.kernel.operations import Operation
from vjail.release import Release
from vjail.session import FileKind, Lacking, Output, Process, ProcessInfo

DATA = Path(__file__).parent.parent / "data" / "freebsd-13.2"


# --- files -----------------------------------------------------------------------------------------------------------


@dataclass
class Node:
    kind: FileKind
    data: bytes = b""
    mode: int = 0o644
    link: str = ""


class VirtualFiles:
    """A tree in memory; nothing in it knows of mounts."""

    def __init__(self, files: Mapping[str, str | bytes] | None = None, directories: Iterable[str] = ()) -> None:
        self.nodes: dict[str, Node] = {"/": Node(FileKind.DIRECTORY, mode=0o755)}
        for path in directories:
            self.mkdir(path, parents=True)
        for path, text in (files or {}).items():
            self.put(path, text)

    def put(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        self.mkdir(posixpath.dirname(path), parents=True)
        self.nodes[path] = Node(FileKind.FILE, text.encode() if isinstance(text, str) else text, mode)

    def text(self, path: str) -> str:
        return self.read(path).decode()

    def realpath(self, path: str) -> str:
        done = ""
        pending = [part for part in path.split("/") if part]
        hops = 0
        while pending:
            part = pending.pop(0)
            if part == ".":
                continue
            if part == "..":
                done = posixpath.dirname(done).rstrip("/")
                continue
            node = self.nodes.get(f"{done}/{part}")
            if node is None:
                raise KernelError(Errno.ENOENT)
            if node.kind is FileKind.LINK:
                hops += 1
                if hops > 32:
                    raise KernelError(Errno.ELOOP)
                pending = [piece for piece in node.link.split("/") if piece] + pending
                done = "" if node.link.startswith("/") else done
                continue
            if pending and node.kind is not FileKind.DIRECTORY:
                raise KernelError(Errno.ENOTDIR)
            done = f"{done}/{part}"
        return done or "/"

    def _node(self, path: str) -> Node:
        return self.nodes[self.realpath(path)]

    def read(self, path: str) -> bytes:
        node = self._node(path)
        if node.kind is not FileKind.FILE:
            raise KernelError(Errno.EISDIR)
        return node.data

    def write(self, path: str, data: bytes, *, append: bool = False, mode: int = 0o644) -> None:
        try:
            real = self.realpath(path)
        except KernelError:
            real = posixpath.join(self.realpath(posixpath.dirname(path)), posixpath.basename(path))
        old = self.nodes.get(real)
        if old is not None:
            self.nodes[real] = Node(FileKind.FILE, old.data + data if append else data, old.mode)
        else:
            self.nodes[real] = Node(FileKind.FILE, data, mode)

    def kind(self, path: str, *, follow: bool = True) -> FileKind | None:
        if not follow and path in self.nodes:
            return self.nodes[path].kind
        try:
            return self._node(path).kind
        except KernelError:
            return None

    def mode(self, path: str) -> int:
        return self._node(path).mode

    def list(self, path: str) -> Sequence[str]:
        real = self.realpath(path)
        return sorted(
            posixpath.basename(name) for name in self.nodes if name != "/" and posixpath.dirname(name) == real
        )

    def glob(self, pattern: str) -> Sequence[str]:
        return sorted(name for name in self.nodes if fnmatch.fnmatchcase(name, pattern))

    def mkdir(self, path: str, mode: int = 0o755, *, parents: bool = False) -> None:
        if parents:
            reached = ""
            for part in path.split("/"):
                if part:
                    reached = f"{reached}/{part}"
                    self.nodes.setdefault(reached, Node(FileKind.DIRECTORY, mode=mode))
        elif path in self.nodes:
            raise KernelError(Errno.EEXIST)
        else:
            self.nodes[path] = Node(FileKind.DIRECTORY, mode=mode)

    def unlink(self, path: str) -> None:
        if self.nodes.pop(path, None) is None:
            raise KernelError(Errno.ENOENT)

    def symlink(self, text: str, path: str) -> None:
        self.nodes[path] = Node(FileKind.LINK, link=text)

    def readlink(self, path: str) -> str:
        return self.nodes[path].link


# --- the kernel ------------------------------------------------------------------------------------------------------


class MountMemory:
    """A MountDriver that remembers: what is mounted, what each devfs holds; `busy` idents refuse to go."""

    def __init__(self, files: VirtualFiles) -> None:
        self._files = files
        self.requests: dict[int, MountRequest] = {}
        self.nodes: dict[int, list[DeviceNode]] = {}
        self.busy: set[int] = set()

    def realpath(self, root: str, path: str) -> str:
        return self._files.realpath(path if root == "/" else f"{root}/{path}")

    def is_directory(self, path: str) -> bool:
        kind = self._files.kind(path)
        if kind is None:
            raise KernelError(Errno.ENOENT)
        return kind is FileKind.DIRECTORY

    def mount(self, request: MountRequest) -> None:
        self.requests[request.ident] = request

    def unmount(self, ident: int, *, force: bool) -> None:
        if ident in self.busy and not force:
            raise KernelError(Errno.EBUSY)
        del self.requests[ident]
        self.nodes.pop(ident, None)

    def populate(self, ident: int, nodes: Sequence[DeviceNode]) -> None:
        self.nodes[ident] = list(nodes)

    def on(self, target: str) -> int:
        """The newest mount on a path."""
        return [ident for ident, request in self.requests.items() if request.target == target][-1]


@dataclass
class FakeJail:
    jid: int
    name: str
    path: str
    parameters: dict[str, bool | int | str] = field(default_factory=dict)
    vnet: int = 0


class FakeJails:
    """What the core asks of jails; jid 0 is the host."""

    def __init__(self) -> None:
        identity: dict[str, bool | int | str] = {
            "host.hostname": "fbsd.local",
            "host.domainname": "",
            "host.hostuuid": "eb9dd9a8-ccc5-405b-8660-f2b71735a53e",
            "host.hostid": 1302439602,
            "securelevel": -1,
        }
        self.jails = {0: FakeJail(0, "0", "/", identity)}

    def add(self, jid: int, name: str, path: str, **parameters: bool | int | str) -> FakeJail:
        own = {
            "host.hostname": "",
            "host.domainname": "",
            "host.hostuuid": "00000000-0000-0000-0000-000000000000",
            "host.hostid": 0,
            "securelevel": -1,
            "enforce_statfs": 2,
            "devfs_ruleset": 0,
            "vnet": "inherit",
            **{key.replace("__", "."): value for key, value in parameters.items()},
        }
        jail = FakeJail(jid, name, path, own, jid if own["vnet"] == "new" else 0)
        self.jails[jid] = jail
        return jail

    def permits(self, jid: int, what: str) -> bool:
        return bool(self.jails[jid].parameters.get(what, False))

    def enforce_statfs(self, jid: int) -> int:
        return int(self.jails[jid].parameters["enforce_statfs"])

    def devfs_ruleset(self, jid: int) -> int:
        return int(self.jails[jid].parameters["devfs_ruleset"])

    def root(self, jid: int) -> str:
        return self.jails[jid].path

    def roots_in(self, path: str) -> Iterable[str]:
        return [jail.path for jid, jail in self.jails.items() if jid and f"{jail.path}/".startswith(f"{path}/")]

    def is_descendant(self, jid: int, ancestor: int) -> bool:
        return ancestor == 0 and jid != 0

    def get(self, jid: int, parameter: str) -> bool | int | str:
        return self.jails[jid].parameters.get(parameter, False)

    def set(self, jid: int, parameter: str, value: int | str) -> None:
        self.jails[jid].parameters[parameter] = value


class FakeNetwork:
    def __init__(self) -> None:
        self.forwarding: dict[tuple[int, int], bool] = {}

    def get_forwarding(self, vnet: int, family: int) -> bool:
        return self.forwarding.get((vnet, family), False)

    def set_forwarding(self, vnet: int, family: int, on: bool) -> None:
        self.forwarding[vnet, family] = on


class Machine:
    """One host: files, jails, and the parts of the core these tests are about."""

    def __init__(
        self,
        files: VirtualFiles | None = None,
        *,
        image: KernelImage | None = None,
        release: Release = Release.V13,
        journal: Journal | None = None,
    ) -> None:
        self.release = release
        self.files = files or VirtualFiles(directories=["/dev", "/etc", "/tmp"])
        self.jails = FakeJails()
        self.network = FakeNetwork()
        self.driver = MountMemory(self.files)
        journal = journal or NoJournal()
        self.modules = Modules(image or KernelImage(), journal)
        self.mounts = Mounts(self.driver, journal, self.jails, available=self.modules.available)
        self.devfs = Devfs(self.mounts, self.driver, journal)
        hardware = Hardware(2, 2130997248, "QEMU TCG CPU version 2.5+")
        self.sysctls = Sysctls(
            self.modules.image, hardware, journal, jails=self.jails, network=self.network, devfs=self.devfs
        )
        self.interfaces: dict[int, dict[str, Interface]] = {}
        self._handlers: dict[type[Any], Callable[[Caller, Any], object]] = {}
        for part in (self.mounts, self.devfs, self.sysctls, self.modules):
            self._handlers.update(part.handlers())
        self.mounts.boot()

    def system(self, jid: int = 0) -> FakeSystem:
        return FakeSystem(self, Caller(jid, self.jails.jails[jid].vnet))

    def apply(self, caller: Caller, operation: Operation[Any]) -> Any:
        return self._handlers[type(operation)](caller, operation)


class FakeSystem:
    """System as far as the commands under test use it."""

    def __init__(self, machine: Machine, caller: Caller) -> None:
        self._machine = machine
        self._caller = caller
        self.release = machine.release

    @property
    def jid(self) -> int:
        return self._caller.jid

    def apply(self, operation: Operation[Any]) -> Any:
        return self._machine.apply(self._caller, operation)

    def interfaces(self) -> Sequence[Interface]:
        return list(self._machine.interfaces.get(self._caller.vnet, {}).values())

    def has_interface(self, name: str) -> bool:
        return self.interface(name) is not None

    def interface(self, name: str) -> Interface | None:
        return self._machine.interfaces.get(self._caller.vnet, {}).get(name)

    def routes(self) -> Sequence[Any]:
        return []

    def mounts(self) -> Sequence[Any]:
        return self._machine.mounts.mounts(self._caller)

    def mounted(self, name: str) -> Any:
        return self._machine.mounts.mounted(self._caller, name)

    def devfs_rulesets(self) -> Sequence[int]:
        return self._machine.devfs.rulesets(self._caller)

    def devfs_rules(self, ruleset: int) -> Sequence[tuple[int, str]]:
        return self._machine.devfs.rules(self._caller, ruleset)

    def devfs_ruleset_of(self, mount: str) -> int:
        return self._machine.devfs.ruleset_of(self._caller, mount)

    def sysctl(self, name: str) -> Sequence[tuple[str, str]]:
        return self._machine.sysctls.values(self._caller, name)

    def oid(self, name: str) -> Any:
        return self._machine.sysctls.oid(self._caller, name)

    def kernel_files(self) -> Sequence[Any]:
        return self._machine.modules.files(self._caller)

    def modules(self) -> Sequence[str]:
        return self._machine.modules.loaded(self._caller)

    def kenv(self) -> Mapping[str, str]:
        return self._machine.modules.kenv(self._caller)

    def jail(self, key: int | str, *, dying: bool = False) -> Jail:
        for jail in self._machine.jails.jails.values():
            if jail.jid and key in (jail.jid, jail.name):
                return Jail(jail.jid, jail.name, jail.path, False, 0)
        raise KernelError(Errno.ENOENT, f'jail "{key}" not found')


# --- the session -----------------------------------------------------------------------------------------------------


class FakeRunning:
    def __init__(self, session: FakeSession, pid: int, code: int = 0) -> None:
        self._session = session
        self._code = code
        self.pid = pid

    async def wait(self) -> Any:
        from vjail.session import Exit

        return Exit(self._code)

    def kill(self, signal: int) -> None:
        self._session.killed.append((self.pid, signal))


class FakeSession:
    """A Session that records: `calls` of base commands, `started` processes, what was printed.

    `commands` answers calls by the command's last path component with real vjail commands; others succeed silently
    or as `results` says.
    """

    def __init__(
        self,
        machine: Machine,
        argv: Sequence[str],
        *,
        jid: int = 0,
        uid: int = 0,
        commands: Mapping[str, Callable[[Any], Any]] | None = None,
        environ: Mapping[str, str] | None = None,
        input: bytes = b"",
    ) -> None:
        self.machine = machine
        self.argv = list(argv)
        self.uid = uid
        self.cwd = "/"
        self.environ = dict(environ or {})
        self.system = machine.system(jid)
        self.files = machine.files
        self.output = ""
        self.errors = ""
        self.both = ""
        self.calls: list[tuple[str, ...]] = []
        self.started: list[Process] = []
        self.killed: list[tuple[int, int]] = []
        self.slept: list[float] = []
        self.process_list: list[ProcessInfo] = []
        self.results: dict[tuple[str, ...], int] = {}
        self.effects: list[Callable[[tuple[str, ...]], None]] = []
        self.commands = dict(commands or {})
        self.now = 1795336361.0
        self._input = input

    def out(self, text: str) -> None:
        self.output += text
        self.both += text

    def err(self, text: str) -> None:
        self.errors += text
        self.both += text

    def isatty(self, fd: int) -> bool:
        return False

    async def read_input(self) -> bytes:
        return self._input

    async def start(self, process: Process) -> FakeRunning:
        self.started.append(process)
        return FakeRunning(self, 5000 + len(self.started), self.results.get(process.argv, 0))

    def running(self, jid: int) -> Sequence[FakeRunning]:
        return [FakeRunning(self, process.pid) for process in self.process_list if process.jid == jid]

    def processes(self) -> Sequence[ProcessInfo]:
        return self.process_list

    def resolves(self, argv0: str, jid: int, environ: Mapping[str, str]) -> bool:
        return False

    async def call(
        self,
        argv: Sequence[str],
        *,
        jid: int = 0,
        environ: Mapping[str, str] | None = None,
        output: Output = Output.SESSION,
    ) -> int:
        words = tuple(argv)
        self.calls.append(words)
        for effect in self.effects:
            effect(words)
        name = posixpath.basename(words[0])
        if name not in self.commands:
            return self.results.get(words, 0)
        inner = FakeSession(self.machine, [name, *words[1:]], jid=jid or self.system.jid, commands=self.commands)
        code = await run(self.commands[name], inner)
        if output is Output.SESSION:
            self.out(inner.output)
            self.err(inner.errors)
        return code

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def monotonic(self) -> float:
        return 0.0

    def time(self) -> float:
        return self.now


async def run(command: Callable[[Any], Any], session: FakeSession) -> int:
    try:
        result = command(session)
        return int(await result if inspect.isawaitable(result) else result)
    except Lacking as leave:
        session.err(f"{session.argv[0]}: {leave.text}\n" if leave.text else "")
        return leave.code


def run_now(command: Callable[[Any], Any], session: FakeSession) -> int:
    return asyncio.run(run(command, session))


# --- recordings ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One recorded command line; or a heading, or a file that was shown."""

    command: str = ""
    out: str = ""
    err: str = ""
    code: int = 0
    heading: str = ""
    file: str = ""
    content: str = ""


def recording(path: str) -> list[Step]:
    """The steps of a recording below tests/data/freebsd-13.2."""
    steps: list[Step] = []
    lines = (DATA / path).read_text().splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        shown = re.fullmatch(r"--- (/\S+) ---", line)
        if shown:
            end = lines.index(f"--- end of {shown.group(1)} ---", at)
            steps.append(Step(file=shown.group(1), content="".join(f"{each}\n" for each in lines[at:end])))
            at = end + 1
        elif line.startswith("=== "):
            steps.append(Step(heading=line.strip("= ")))
        elif line.startswith("# "):
            out = err = ""
            while at < len(lines) and not (ended := re.fullmatch(r"\[exit (\d+)\]", lines[at])):
                if lines[at].startswith("2> "):
                    err += f"{lines[at][3:]}\n"
                else:
                    out += f"{lines[at]}\n"
                at += 1
            if at == len(lines):
                break
            assert ended
            steps.append(Step(line[2:], out, err, int(ended.group(1))))
            at += 1
    return steps
