"""A Network on the memory driver, with a clock that is set forward by hand and a journal in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any

from vjail.kernel.core.mac import NO_UUID, Identity
from vjail.kernel.core.network import Network, Nic
from vjail.kernel.core.part import Caller
from vjail.kernel.core.sysctl_table import table
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.model.network import MemoryDriver
from vjail.kernel.observed import Iff, Inet, Inet6, Interface
from vjail.kernel.operations import AddAddress, CreateInterface, LendInterface, Operation, SetFlags
from vjail.release import DEFAULT, Release

HOST = Identity(1302439602, "eb9dd9a8-ccc5-405b-8660-f2b71735a53e", "0")
"""The recorded machine's."""


@dataclass
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class MemoryJournal:
    """Keeps what json makes of the records."""

    kinds: dict[str, dict[str, str]] = field(default_factory=dict)
    written: int = 0

    def put(self, kind: str, key: str, record: dict[str, object]) -> None:
        self.kinds.setdefault(kind, {})[key] = json.dumps(record)
        self.written += 1

    def drop(self, kind: str, key: str) -> None:
        self.kinds.get(kind, {}).pop(key, None)

    def records(self, kind: str) -> Iterator[tuple[str, dict[str, object]]]:
        for key, text in self.kinds.get(kind, {}).items():
            yield key, json.loads(text)


@dataclass
class Nodes:
    """The interfaces that have a node in /dev."""

    names: list[str]

    def interface_came(self, name: str) -> None:
        self.names.append(name)

    def interface_went(self, name: str) -> None:
        self.names.remove(name)


@dataclass
class Bench:
    """The network of a host; jail `jid` has vnet `jid`, if that was added."""

    release: Release = DEFAULT
    nics: tuple[str, ...] = ("vtnet0", "vtnet1")
    identities: dict[int, Identity] = field(default_factory=lambda: {0: HOST})
    clock: Clock = field(default_factory=Clock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    driver: MemoryDriver = field(init=False)
    nodes: Nodes = field(default_factory=lambda: Nodes([]))
    drawn: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    """The sysctls that are not as they are at start, the same in every vnet."""

    def __post_init__(self) -> None:
        self.driver = MemoryDriver(self.clock)
        nics = [Nic(name, bytes((0x52, 0x54, 0, 0, 0, number))) for number, name in enumerate(self.nics)]
        self.network = Network(self.driver, self.clock, self.journal, nics=nics, **self._surroundings())
        self._handlers = self.network.handlers()

    def _surroundings(self) -> Any:
        return {
            "release": self.release,
            "random": self._random,
            "identity_of": lambda vnet: self.identities.get(vnet, Identity(0, NO_UUID, str(vnet))),
            "vnet_of": self._vnet_of,
            "setting_of": self._setting,
            "nodes": self.nodes,
        }

    def restart(self) -> None:
        """Another process takes over from the journal."""
        self.network = Network.restore(self.driver, self.clock, self.journal, **self._surroundings())
        self._handlers = self.network.handlers()

    def _setting(self, vnet: int, name: str) -> str:
        born = {entry.name: entry.default or "" for entry in table(self.release)}
        return self.settings.get(name, born[name])

    def _random(self, size: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(size, "big")

    def _vnet_of(self, jid: int, caller: Caller) -> int:
        if jid not in self.driver.nets:
            raise KernelError(Errno.ENXIO)
        return jid

    def apply(self, operation: Operation[Any], vnet: int = 0) -> Any:
        return self._handlers[type(operation)](Caller(vnet, vnet), operation)

    def refusal(self, operation: Operation[Any], vnet: int = 0) -> Errno | None:
        """The error an operation fails with, None where it does not."""
        try:
            self.apply(operation, vnet)
        except KernelError as error:
            return error.errno
        return None

    # --- shorthands ---

    def create(self, name: str, vnet: int = 0) -> str:
        return str(self.apply(CreateInterface(name), vnet))

    def up(self, name: str, vnet: int = 0) -> None:
        self.apply(SetFlags(name, set=Iff.UP), vnet)

    def down(self, name: str, vnet: int = 0) -> None:
        self.apply(SetFlags(name, clear=Iff.UP), vnet)

    def lend(self, name: str, jid: int, vnet: int = 0) -> None:
        self.apply(LendInterface(name, jid), vnet)

    def address(self, name: str, text: str, vnet: int = 0) -> None:
        self.apply(AddAddress(name, parsed(text)), vnet)

    def seen(self, name: str, vnet: int = 0) -> Interface:
        interface = self.network.interface(Caller(vnet, vnet), name)
        assert interface is not None
        return interface

    def names(self, vnet: int = 0) -> list[str]:
        return [interface.name for interface in self.network.interfaces(Caller(vnet, vnet))]

    def group(self, name: str, vnet: int = 0) -> list[str]:
        return list(self.network.group(Caller(vnet, vnet), name))

    def routes(self, vnet: int = 0) -> list[str]:
        """The table as texts: destination, gateway or link, flags' letters, interface."""
        found = []
        for route in self.network.routes(Caller(vnet, vnet)):
            gateway = route.gateway if isinstance(route.gateway, IPv4Address | IPv6Address) else "link"
            zone = f"%{route.zone}" if route.zone else ""
            found.append(f"{route.destination}{zone} {gateway} {route.interface}")
        return found

    def macs(self, vnet: int = 0) -> dict[str, str]:
        interfaces = self.network.interfaces(Caller(vnet, vnet))
        return {each.name: each.lladdr.hex(":") for each in interfaces if each.lladdr is not None}


def parsed(text: str) -> Inet | Inet6:
    """An address from `10.0.0.1/24` or `fd00::1/64`."""
    if ":" in text:
        found = IPv6Interface(text)
        return Inet6(found.ip, found.network.prefixlen)
    found4 = IPv4Interface(text)
    return Inet(found4.ip, found4.netmask)


def addresses(interface: Interface) -> list[str]:
    """An interface's addresses as texts, the tentative ones with a question mark."""
    found = []
    for each in interface.addresses:
        if isinstance(each, Inet6):
            mark = "?" if each.flags & 2 else ""
            found.append(f"{each.address}/{each.prefixlen}{mark}")
        else:
            found.append(f"{each.address}/{IPv4Interface((each.address, str(each.netmask))).network.prefixlen}")
    return found
