"""A host made of the core's network and the memory driver, with the little of jails that network commands need.

`Lab` is the host: NICs vtnet0 and vtnet1, lo0 and pflog0 as on the recorded machine. `type_command` runs one command.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from vjail.command.arp import arp
from vjail.command.ifconfig import ifconfig
from vjail.command.ndp import ndp
from vjail.command.netstat import netstat
from vjail.command.route import route
from vjail.kernel.core.journal import NoJournal
from vjail.kernel.core.mac import NO_UUID, Identity
from vjail.kernel.core.network import Network, Nic
from vjail.kernel.core.part import Caller
from vjail.kernel.core.sysctl_table import table
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.model.network import MemoryDriver
from vjail.kernel.observed import Jail
from vjail.kernel.operations import CreateInterface, LoadModule, Operation
from vjail.release import DEFAULT, Release
from vjail.session import Quit, Session

COMMANDS: Mapping[str, Callable[[Session], int]] = {
    "ifconfig": ifconfig,
    "route": route,
    "netstat": netstat,
    "arp": arp,
    "ndp": ndp,
}

HOSTS = b"::1 localhost localhost.my.domain\n127.0.0.1 localhost localhost.my.domain\n"


@dataclass
class Clock:
    """A clock that stands still until it is set forward."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Prison:
    """A jail as far as the network cares."""

    jid: int
    name: str
    parent: int
    vnet: int
    hostid: int = 0
    hostuuid: str = NO_UUID


@dataclass
class Lab:
    """The host. A vnet has the number of its jail."""

    release: Release = DEFAULT
    hostid: int = 1302439602
    hostuuid: str = "eb9dd9a8-ccc5-405b-8660-f2b71735a53e"
    clock: Clock = field(default_factory=Clock)
    prisons: dict[int, Prison] = field(default_factory=dict)
    jids: int = 0
    pf: bool = True
    """Whether pf, and with it pflog0 in every vnet, is in the kernel."""
    nics: tuple[str, str] = ("52:54:00:12:34:66", "52:54:00:12:34:67")
    """The addresses of vtnet0 and vtnet1."""

    def __post_init__(self) -> None:
        octets = iter(range(1, 1 << 30))
        self.driver = MemoryDriver(self.clock)
        self.network = Network(
            self.driver,
            self.clock,
            NoJournal(),
            release=self.release,
            random=lambda size: next(octets).to_bytes(size, "big"),
            identity_of=self._identity_of,
            vnet_of=self._vnet_of,
            setting_of=lambda vnet, name: {entry.name: entry.default or "" for entry in table(self.release)}[name],
            nodes=self,
            nics=[Nic(f"vtnet{unit}", bytes.fromhex(text.replace(":", ""))) for unit, text in enumerate(self.nics)],
        )
        self.handlers = self.network.handlers()
        self._add_pflog(0)

    def interface_came(self, name: str) -> None:
        """There is no /dev."""

    def interface_went(self, name: str) -> None:
        """There is no /dev."""

    def _add_pflog(self, vnet: int) -> None:
        if self.pf:
            self.handlers[CreateInterface](Caller(vnet, vnet), CreateInterface("pflog0"))

    def _identity_of(self, vnet: int) -> Identity:
        for prison in self.prisons.values():
            if prison.vnet == vnet and vnet:
                return Identity(prison.hostid, prison.hostuuid, prison.name)
        return Identity(self.hostid, self.hostuuid, "0")

    def _vnet_of(self, jid: int, caller: Caller) -> int:
        if jid not in self.prisons or not self.is_below(jid, caller.jid):
            raise KernelError(Errno.ENXIO)
        return self.prisons[jid].vnet

    def is_below(self, jid: int, ancestor: int) -> bool:
        while jid in self.prisons:
            jid = self.prisons[jid].parent
            if jid == ancestor:
                return True
        return False

    def full_name(self, jid: int, seen_from: int) -> str:
        names = []
        while jid != seen_from:
            names.append(self.prisons[jid].name)
            jid = self.prisons[jid].parent
        return ".".join(reversed(names))

    def create_jail(self, caller: int, name: str | None, *, vnet: bool) -> int:
        self.jids += 1
        number = self.prisons[caller].vnet if caller else 0
        if vnet:
            number = self.jids
            self.network.add_vnet(number)
            self._add_pflog(number)
        self.prisons[self.jids] = Prison(self.jids, name or str(self.jids), caller, number)
        return self.jids

    def remove_jail(self, jid: int) -> None:
        for child in [each.jid for each in self.prisons.values() if each.parent == jid]:
            self.remove_jail(child)
        prison = self.prisons[jid]
        own = prison.vnet and all(each is prison or each.vnet != prison.vnet for each in self.prisons.values())
        if own:
            self.network.remove_vnet(prison.vnet)
        del self.prisons[jid]


@dataclass(frozen=True)
class Kernel:
    """The lab as a process of jail `jid` sees it: the part of a `System` these commands use."""

    lab: Lab
    jid: int = 0

    @property
    def release(self) -> Release:
        return self.lab.release

    @property
    def _caller(self) -> Caller:
        return Caller(self.jid, self.lab.prisons[self.jid].vnet if self.jid else 0)

    def apply(self, operation: Operation[Any]) -> Any:
        if isinstance(operation, LoadModule):
            raise KernelError(Errno.ENOENT)
        return self.lab.handlers[type(operation)](self._caller, operation)

    def inside(self, jid: int) -> Kernel:
        return Kernel(self.lab, jid)

    def jails(self, *, dying: bool = False) -> Sequence[Jail]:
        return [
            Jail(jid, self.lab.full_name(jid, self.jid), "/", False, each.parent)
            for jid, each in self.lab.prisons.items()
            if self.lab.is_below(jid, self.jid)
        ]

    def jail(self, key: int | str, *, dying: bool = False) -> Jail:
        for each in self.jails():
            if key in (each.jid, each.name):
                return each
        called = f"jail {key}" if isinstance(key, int) else f'jail "{key}"'
        raise KernelError(Errno.ENOENT, f"{called} not found")

    def __getattr__(self, name: str) -> Any:
        query = getattr(self.lab.network, name)
        return lambda *arguments: query(self._caller, *arguments)


class HostsOnly:
    """Files of which only /etc/hosts is there."""

    def read(self, path: str) -> bytes:
        if path == "/etc/hosts":
            return HOSTS
        raise KernelError(Errno.ENOENT)


@dataclass
class Typed:
    """A Session: one command being typed, and what it prints."""

    argv: Sequence[str]
    system: Kernel
    environ: Mapping[str, str] = field(default_factory=dict)
    uid: int = 0
    files: HostsOnly = field(default_factory=HostsOnly)
    printed: list[tuple[int, str]] = field(default_factory=list)

    def out(self, text: str) -> None:
        self.printed.append((1, text))

    def err(self, text: str) -> None:
        self.printed.append((2, text))


@dataclass(frozen=True)
class Result:
    """What a command line printed, each text with the number of its stream, and left with."""

    printed: tuple[tuple[int, str], ...] = ()
    code: int = 0

    @property
    def stdout(self) -> str:
        return "".join(text for stream, text in self.printed if stream == 1)

    @property
    def stderr(self) -> str:
        return "".join(text for stream, text in self.printed if stream == 2)

    @property
    def both(self) -> str:
        """Both streams as a terminal shows them."""
        return "".join(text for _, text in self.printed)

    def then(self, other: Result) -> Result:
        """This, and what came after it."""
        return Result(self.printed + other.printed, other.code)


def said(text: str, code: int = 0) -> Result:
    """Something on standard output."""
    return Result(((1, text),) if text else (), code)


def type_command(
    lab: Lab, line: str | Sequence[str], *, jid: int = 0, uid: int = 0, environ: Mapping[str, str] | None = None
) -> Result:
    """Run one of the commands under test."""
    argv = shlex.split(line) if isinstance(line, str) else list(line)
    session = Typed(argv, Kernel(lab, jid), environ or {}, uid)
    try:
        code = COMMANDS[argv[0]](cast(Session, session))
    except Quit as leave:
        session.err(f"{argv[0]}: {leave.text}\n")
        code = leave.code
    return Result(tuple(session.printed), code)
