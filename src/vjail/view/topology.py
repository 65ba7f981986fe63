"""A running lab as data: hosts, their jails, interfaces and what each is joined to; and as JSON for `vjail ls --json`.

What `vjail ls` prints for people is text.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from vjail.kernel.conditions import Conditions
from vjail.kernel.observed import Address, Iff, Inet, Inet6, Interface, Kind


@dataclass(frozen=True, slots=True)
class Stack:
    """A network stack: the host's own or a vnet jail's, with its interfaces."""

    interfaces: Sequence[Interface]


@dataclass(frozen=True, slots=True)
class JailView:
    """A jail. `state` is `active`, `idle` (no process), `dying`, or `stopped`: configured, not there, and of jid 0.

    `stack` is None where it has no vnet of its own; it then uses that of the jail `shares` (None: the host's), of which
    only `addresses` are its own, or all of them where that is None.
    """

    jid: int
    name: str
    path: str
    hostname: str
    state: str
    processes: int
    stack: Stack | None
    shares: str | None = None
    addresses: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class HostView:
    """A host: `nics` are its cards by name with the wire each is on."""

    name: str
    release: str
    stack: Stack
    jails: Sequence[JailView]
    nics: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LabView:
    """A lab."""

    name: str
    origin: str
    hosts: Sequence[HostView]
    cut: Set[str] = frozenset()
    """The wires that are cut, and as HOST:NIC the plugs that are pulled."""
    uplinks: Mapping[str, str] = field(default_factory=dict)
    """The NICs of this machine by the wire they are on."""
    conditions: Mapping[str, Conditions] = field(default_factory=dict)
    """What frames meet on those wires that do more than carry them."""

    def wires(self) -> dict[str, list[tuple[str, str]]]:
        """The NICs on each wire, as pairs of a host's and a card's name."""
        found: dict[str, list[tuple[str, str]]] = {}
        for host in self.hosts:
            for nic, wire in host.nics.items():
                found.setdefault(wire, []).append((host.name, nic))
        return found


class Joints:
    """What the interfaces of one host are joined to: epairs' other halves, wherever they are, and bridges."""

    def __init__(self, host: HostView) -> None:
        self._halves: dict[str, list[tuple[str | None, str]]] = {}
        self._bridge: dict[tuple[str | None, str], str] = {}
        for where, stack in stacks(host):
            for interface in stack.interfaces:
                if interface.kind is Kind.EPAIR:
                    # Both halves have the unit of their cloner, whatever they are called by now.
                    self._halves.setdefault(interface.drivername, []).append((where, interface.name))
                if interface.bridge is not None:
                    for member in interface.bridge.members:
                        self._bridge[where, member.name] = interface.name

    def peer(self, where: str | None, interface: Interface) -> tuple[str | None, str] | None:
        """The jail (None: the host) and the name of an epair's other half."""
        own = (where, interface.name)
        return next((half for half in self._halves.get(interface.drivername, ()) if half != own), None)

    def bridge(self, where: str | None, interface: Interface) -> str | None:
        """The bridge an interface is a member of."""
        return self._bridge.get((where, interface.name))


def stacks(host: HostView) -> Iterator[tuple[str | None, Stack]]:
    """The stacks of a host, its own first: the name of the jail that has it (None: the host)."""
    yield None, host.stack
    for jail in host.jails:
        if jail.stack is not None:
            yield jail.name, jail.stack


def address(address: Address, interface: str) -> str:
    """An address as ifconfig writes it, with its prefix length."""
    match address:
        case Inet():
            return f"{address.address}/{int(address.netmask).bit_count()}"
        case Inet6():
            zone = f"%{interface}" if address.address.is_link_local else ""
            return f"{address.address}{zone}/{address.prefixlen}"


def as_json(lab: LabView) -> dict[str, object]:
    """Plain data for `--json`; MACs and addresses are texts, addresses with their prefix length."""
    return {
        "lab": lab.name,
        "path": lab.origin,
        "hosts": [_host(host) for host in lab.hosts],
        "wires": {
            wire: {
                "cut": wire in lab.cut,
                "nic": lab.uplinks.get(wire),
                **lab.conditions.get(wire, Conditions()).as_record(),
                "plugs": [{"host": host, "nic": nic, "cut": f"{host}:{nic}" in lab.cut} for host, nic in nics],
            }
            for wire, nics in sorted(lab.wires().items())
        },
    }


def _host(host: HostView) -> dict[str, object]:
    joints = Joints(host)
    return {
        "host": host.name,
        "freebsd": host.release,
        "interfaces": [_interface(None, each, host.nics, joints) for each in host.stack.interfaces],
        "jails": [_jail(jail, host.nics, joints) for jail in host.jails],
    }


def _jail(jail: JailView, nics: Mapping[str, str], joints: Joints) -> dict[str, object]:
    found: dict[str, object] = {
        "jid": jail.jid or None,
        "name": jail.name,
        "path": jail.path,
        "hostname": jail.hostname,
        "state": jail.state,
        "processes": jail.processes,
        "vnet": jail.stack is not None,
    }
    if jail.stack is not None:
        found["interfaces"] = [_interface(jail.name, each, nics, joints) for each in jail.stack.interfaces]
    elif jail.jid:
        found["shares"] = jail.shares
        found["addresses"] = None if jail.addresses is None else list(jail.addresses)
    return found


def _interface(where: str | None, interface: Interface, nics: Mapping[str, str], joints: Joints) -> dict[str, object]:
    found: dict[str, object] = {
        "name": interface.name,
        "kind": interface.kind.value,
        "up": Iff.UP in interface.flags,
        "mac": mac(interface.lladdr),
        "mtu": interface.mtu,
        "addresses": [address(each, interface.name) for each in interface.addresses],
        "groups": list(interface.groups),
        "bridge": joints.bridge(where, interface),
    }
    if interface.bridge is not None:
        found["members"] = [member.name for member in interface.bridge.members]
    if interface.vlan is not None:
        found["vlan"] = {"tag": interface.vlan.tag, "parent": interface.vlan.parent}
    if interface.kind is Kind.EPAIR:
        peer = joints.peer(where, interface)
        found["peer"] = {"jail": peer[0], "name": peer[1]} if peer is not None else None
    if interface.status is not None:
        found["status"] = interface.status
    if is_nic(interface, nics):
        found["wire"] = nics[interface.drivername]
    return found


def is_nic(interface: Interface, nics: Mapping[str, str]) -> bool:
    """Whether an interface is one of a host's cards, whatever it is called by now and wherever it is."""
    return interface.kind is Kind.NIC and interface.drivername in nics


def mac(address: bytes | None) -> str | None:
    """A MAC address as ifconfig writes it."""
    return address.hex(":") if address is not None else None
