"""`Rehearsal`: the hosts and wires of a lab in memory."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from typing import Any

from vjail.command.sh import NotModelled, Streams
from vjail.jail.events import Events
from vjail.kernel.core.mac import nic_address
from vjail.kernel.core.network import Network, Nic
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.model import forking
from vjail.kernel.model.clock import ModelClock
from vjail.kernel.model.devices import Device, Net
from vjail.kernel.model.fabric import Fabric, Outcome
from vjail.kernel.model.files import Node
from vjail.kernel.model.host import ModelHost
from vjail.kernel.model.wire import Wire
from vjail.lab.configured import hostid_of
from vjail.lab.model import Lab, LabHostSpec
from vjail.rehearsal import tree
from vjail.rehearsal.loop import run
from vjail.rehearsal.programs import PROGRAMS, Program
from vjail.rehearsal.session import ModelSession, Place
from vjail.release import DEFAULT, Release
from vjail.session import FileKind

SHELL_WORDS = frozenset(("cd", "export", "set", "unset", "umask", "ulimit", "eval", "exec", ".", "alias"))
"""What is no program on any host."""
Interference = Callable[[Sequence[str], int], int | None]
"""Asked with the words of a command and its jail before it runs."""

TYPIST = {
    "PATH": "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/root/bin",
    "HOME": "/root",
    "USER": "root",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
}
"""The environment of who types at a host (login.conf(5))."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A program whose outcome is not known, and the jail it ran in (0: the host)."""

    what: str
    jid: int


@dataclass(slots=True)
class Result:
    """What a command line printed, each text with the number of its stream, and left with."""

    code: int = 0
    printed: list[tuple[int, str]] = field(default_factory=list)

    @property
    def out(self) -> str:
        """Standard output."""
        return "".join(text for stream, text in self.printed if stream == 1)

    @property
    def err(self) -> str:
        """Standard error."""
        return "".join(text for stream, text in self.printed if stream == 2)

    @property
    def both(self) -> str:
        """Both streams as a terminal shows them."""
        return "".join(text for _, text in self.printed)


class Rehearsal:
    """A lab in memory. `programs`: what programs do that are neither vjail's nor the shell's, by name or path."""

    def __init__(self, release: Release = DEFAULT, *, programs: Mapping[str, Program] | None = None) -> None:
        self.release = release
        self.clock = ModelClock()
        self.fabric = Fabric(self.clock, release)
        self.fabric.nets = self._nets
        self.fabric.jail_of = self._jail_of
        self.hosts: dict[str, ModelHost] = {}
        self.wires: dict[str, Wire] = {}
        self.programs = dict(programs or {})
        self.interfere: Interference | None = None
        """Makes commands fail on purpose: what a command exits with in place of running, None to let it run."""
        self.doubts: list[Doubt] | None = None
        """What was taken to succeed because nobody knows its outcome; None: then NotModelled is raised."""

    @classmethod
    def of(cls, lab: Lab, *, release: Release | None = None) -> Rehearsal:
        """The hosts of a lab with their files, not booted yet; `release` None: the lab's."""
        made = cls(release or lab.release)
        for wire in lab.wires:
            made.wires[wire] = Wire(wire)
        for spec in lab.hosts.values():
            made.add_host(spec.name, {nic: nic_address(lab.name, spec.name, nic) for nic in spec.nics}, spec.nics)
            made._lay_files(lab, spec)
        for wire in lab.cut:
            made._set_carrier(wire, True)
        return made

    def add_host(
        self, name: str, nics: Mapping[str, bytes], wires: Mapping[str, str] | None = None, *, pflog: bool = False
    ) -> ModelHost:
        """A host that has not booted: the MAC addresses of its NICs, and the wire each is on."""
        host = ModelHost(name, self.clock, self.release, tree.base(), nics=nics, pflog=pflog)
        self.hosts[name] = host
        for nic, wire in (wires or {}).items():
            self.wires.setdefault(wire, Wire(wire)).plug(host.nic(nic))
        return host

    def rewire(self, name: str, nics: Mapping[str, bytes], wires: Mapping[str, str]) -> None:
        """Let a host have other NICs than it has, or on other wires, as `add_host` is told."""
        host = self.hosts[name]
        for nic in host.network.nics():
            device = host.nic(nic)
            if device.wire is not None and device.wire.name != wires.get(nic):
                device.wire.unplug(device)
            if nic not in nics:
                host.kernel.change_nics(partial(Network.remove_nic, made_as=nic))
        there = host.network.nics()
        for nic, address in nics.items():
            if nic not in there:
                host.kernel.change_nics(partial(Network.add_nic, number=0, nic=Nic(nic, address)))
            if host.nic(nic).wire is None:
                wire = self.wires.setdefault(wires[nic], Wire(wires[nic]))
                wire.plug(host.nic(nic))
                host.network.set_carrier(nic, wire.reaches(host.nic(nic)))

    def _lay_files(self, lab: Lab, spec: LabHostSpec) -> None:
        host = self.hosts[spec.name]
        if "hostid" not in spec.files:
            host.files.put("/etc/hostid", Node(FileKind.FILE, hostid_of(lab, spec)))
        for name, file in spec.files.items():
            host.files.put(f"/etc/{name}", Node(FileKind.FILE, file.content))
        if spec.tree is not None:
            for path in sorted(spec.tree.rglob("*")):
                target = f"/{path.relative_to(spec.tree).as_posix()}"
                if path.is_symlink():
                    host.files.put(target, Node(FileKind.LINK, link=str(path.readlink())))
                elif path.is_file():
                    host.files.put(target, Node(FileKind.FILE, path.read_bytes(), path.stat().st_mode & 0o7777))
                elif host.files.node(target) is None:
                    host.files.put(target, Node(FileKind.DIRECTORY, mode=path.stat().st_mode & 0o7777))

    def program(self, path: str) -> Program | None:
        """What the program at `path` does, where the lab was told or it is one of programs.py's."""
        name = path.rpartition("/")[2]
        return self.programs.get(path) or self.programs.get(name) or PROGRAMS.get(name)

    def doubt(self, unknown: NotModelled, jid: int) -> int:
        """The exit code that is taken for granted of what is not known. Raises NotModelled where nobody keeps count."""
        if self.doubts is None:
            raise unknown
        self.doubts.append(Doubt(unknown.what, jid))
        return 0

    def may_have(self, program: str) -> bool:
        """Whether the real host may have a program that no tree holds here."""
        return self.doubts is not None and posixpath.basename(program) not in SHELL_WORDS

    def may_have_script(self, path: str) -> bool:
        """Whether the real host or jail may have a script that no tree holds here; the base system's are all known."""
        return self.doubts is not None and not path.startswith("/etc/rc")

    # --- commands ---------------------------------------------------------------------------------------------------

    def type(
        self,
        host: str,
        line: str | Sequence[str],
        *,
        jail: int | str = 0,
        uid: int = 0,
        environ: Mapping[str, str] | None = None,
        input: str = "",
        events: Events | None = None,
    ) -> Result:
        """Run a line as sh(1) would, or a command given by its words. Raises NotModelled."""
        argv = ("/bin/sh", "-c", line) if isinstance(line, str) else tuple(line)
        jid = jail if isinstance(jail, int) else self.hosts[host].kernel.view().jail(jail).jid
        return self.carry_out(host, argv, _executed, environ, jid=jid, uid=uid, input=input, events=events)

    def carry_out(
        self,
        host: str,
        argv: Sequence[str],
        command: Callable[[ModelSession], Coroutine[Any, Any, int]],
        environ: Mapping[str, str] | None = None,
        *,
        jid: int = 0,
        uid: int = 0,
        input: str = "",
        events: Events | None = None,
    ) -> Result:
        """Let a command run with a session of these words. Raises NotModelled."""
        result = Result()
        streams = Streams(
            lambda text: result.printed.append((1, text)), lambda text: result.printed.append((2, text)), input
        )
        place = Place(self, self.hosts[host], jid, uid, events)
        session = ModelSession(place, argv, TYPIST if environ is None else environ, "/", streams)
        result.code = run(self.clock, command(session), self._time_has_passed)
        return result

    async def sleep(self, seconds: float) -> None:
        """Let time pass; others run meanwhile."""
        await asyncio.sleep(max(seconds, 0))

    def settle(self, seconds: float = 3.0) -> None:
        """Let so much time pass that no address is tentative any more."""
        self.clock.advance(seconds)
        self._time_has_passed()

    def _time_has_passed(self) -> None:
        for host in self.hosts.values():
            host.jails.pass_time(self.clock.now)

    @staticmethod
    def never() -> Awaitable[int]:
        """What does not happen."""
        return asyncio.get_running_loop().create_future()

    # --- packets ----------------------------------------------------------------------------------------------------

    def echo(
        self, host: str, jail: int | str, destination: str, *, amid_others: bool = False, zone: str | None = None
    ) -> Outcome:
        """Send an echo request from a jail (0 or empty: the host itself), and tell what became of it."""
        machine = self.hosts[host]
        jid = machine.kernel.view().jail(jail).jid if jail else 0
        net = machine.net_of(jid)
        name, _, inner = destination.partition("%")
        scope = zone or inner or None
        ident = None
        if scope is not None:
            found = [device.ifnet.ident for device in net.devices.values() if device.ifnet.name == scope]
            if not found:
                raise KernelError(Errno.ENXIO)
            ident = found[0]
        return self.fabric.echo(net, ip_address(name), zone=ident, amid_others=amid_others, patient=True)

    def cut(self, word: str) -> None:
        """Cut a wire, or pull the plug HOST:NIC. Raises KeyError where there is none."""
        self._set_carrier(word, True)

    def mend(self, word: str) -> None:
        """The opposite of cut."""
        self._set_carrier(word, False)

    def _set_carrier(self, word: str, cut: bool) -> None:
        host, colon, nic = word.partition(":")
        if colon:
            device = self.hosts[host].nic(nic)
            assert device.wire is not None
            device.wire.pull(device, cut)
            touched = [device]
        else:
            wire = self.wires[word]
            wire.is_cut = cut
            touched = list(wire.ports())
        for device in touched:
            machine = self.hosts[device.driver.host]
            machine.network.set_carrier(device.ifnet.made_as, device.wire is not None and device.wire.reaches(device))

    def _nets(self) -> Iterator[Net]:
        return (net for host in self.hosts.values() for net in host.driver.nets.values())

    def _jail_of(self, device: Device) -> tuple[str, str]:
        host = self.hosts[device.driver.host]
        return host.name, host.jail_name(device.ifnet.vnet)

    # --- copies -----------------------------------------------------------------------------------------------------

    def snapshot(self) -> forking.Snapshot[Rehearsal]:
        """The lab as it is now, for as many copies as are wanted."""
        return forking.Snapshot(self)

    def fork(self) -> Rehearsal:
        """Another lab in the same state."""
        return self.snapshot().copy()


async def _executed(session: ModelSession) -> int:
    path = session.find(session.argv[0])
    if path is None:
        session.err(f"{session.argv[0]}: not found\n")
        return 127
    return await session.as_process(path)
