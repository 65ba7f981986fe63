"""A running lab as data (`vjail ls --json`) and as text: hosts, their jails, interfaces and what each is joined to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vjail.kernel.observed import Address, Iff, Inet, Inet6, Interface, Kind

_HIDDEN = (Kind.PFLOG,)


@dataclass(frozen=True, slots=True)
class Stack:
    """A network stack: the host's own or a vnet jail's, with its interfaces."""

    interfaces: Sequence[Interface]


@dataclass(frozen=True, slots=True)
class JailView:
    """A jail: `stack` None where it uses its parent's. `state` is `active`, `idle` (no process) or `dying`."""

    jid: int
    name: str
    path: str
    hostname: str
    state: str
    processes: int
    stack: Stack | None


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


# --- JSON -------------------------------------------------------------------------------------------------------------


def as_json(lab: LabView) -> dict[str, object]:
    """Plain data for `--json`; MACs and addresses are texts, addresses with their prefix length."""
    return {"lab": lab.name, "path": lab.origin, "hosts": [_host(host) for host in lab.hosts]}


def _host(host: HostView) -> dict[str, object]:
    peers = _Peers(host)
    return {
        "host": host.name,
        "freebsd": host.release,
        "interfaces": [_interface(each, host.nics, peers) for each in host.stack.interfaces],
        "jails": [
            {
                "jid": jail.jid,
                "name": jail.name,
                "path": jail.path,
                "hostname": jail.hostname,
                "state": jail.state,
                "processes": jail.processes,
                "vnet": jail.stack is not None,
                "interfaces": [_interface(each, {}, peers) for each in jail.stack.interfaces] if jail.stack else None,
            }
            for jail in host.jails
        ],
    }


def _interface(interface: Interface, nics: Mapping[str, str], peers: _Peers) -> dict[str, object]:
    found: dict[str, object] = {
        "name": interface.name,
        "kind": interface.kind.value,
        "up": Iff.UP in interface.flags,
        "mac": _mac(interface.lladdr),
        "mtu": interface.mtu,
        "addresses": [_address(each, interface.name) for each in interface.addresses],
        "groups": list(interface.groups),
    }
    if interface.bridge is not None:
        found["members"] = [member.name for member in interface.bridge.members]
    if interface.vlan is not None:
        found["vlan"] = {"tag": interface.vlan.tag, "parent": interface.vlan.parent}
    if interface.kind is Kind.EPAIR:
        where, name = peers.of(interface)
        found["peer"] = {"jail": where, "name": name} if name else None
    if interface.name in nics:
        found["wire"] = nics[interface.name]
    return found


def _mac(address: bytes | None) -> str | None:
    return address.hex(":") if address is not None else None


def _address(address: Address, name: str) -> str:
    match address:
        case Inet():
            return f"{address.address}/{int(address.netmask).bit_count()}"
        case Inet6():
            zone = f"%{name}" if address.address.is_link_local else ""
            return f"{address.address}{zone}/{address.prefixlen}"


class _Peers:
    """The other half of each epair of a host, wherever it is and whatever it is called."""

    def __init__(self, host: HostView) -> None:
        self._half: dict[str, tuple[str | None, str]] = {}
        for where, stack in _stacks(host):
            for interface in stack.interfaces:
                if interface.kind is Kind.EPAIR:
                    self._half[_born(interface)] = (where, interface.name)

    def of(self, interface: Interface) -> tuple[str | None, str]:
        """The jail (None: the host) and the name of an epair's other half; an empty name where there is none."""
        name = _born(interface)
        return self._half.get(name[:-1] + ("b" if name.endswith("a") else "a"), (None, ""))


def _born(interface: Interface) -> str:
    """The name an interface was made with."""
    return interface.drivername or interface.name


def _stacks(host: HostView) -> Iterator[tuple[str | None, Stack]]:
    yield None, host.stack
    for jail in host.jails:
        if jail.stack is not None:
            yield jail.name, jail.stack


# --- text -------------------------------------------------------------------------------------------------------------


def as_text(lab: LabView) -> str:
    """The lab for a terminal: every stack with its interfaces, their state, addresses, and what they are joined to."""
    lines: list[str] = []
    for host in lab.hosts:
        peers = _Peers(host)
        lines.append(f"{host.name}  FreeBSD {host.release}  vnet0")
        rows = [_row(each, host, host.nics, peers) for each in host.stack.interfaces if each.kind not in _HIDDEN]
        lines += _tree(rows, "", last=not host.jails)
        for place, jail in enumerate(host.jails):
            last = place == len(host.jails) - 1
            own = "a vnet of its own" if jail.stack is not None else "its host's network"
            lines.append(f"{'└─' if last else '├─'} {jail.name}  jid {jail.jid}  {own}  {jail.path}  {_state(jail)}")
            if jail.stack is not None:
                inner = [_row(each, host, {}, peers) for each in jail.stack.interfaces]
                lines += _tree(inner, "   " if last else "│  ", last=True)
    return "".join(f"{line}\n" for line in lines)


def _state(jail: JailView) -> str:
    if jail.state != "active":
        return jail.state
    return "1 process" if jail.processes == 1 else f"{jail.processes} processes"


def _row(interface: Interface, host: HostView, nics: Mapping[str, str], peers: _Peers) -> tuple[str, ...]:
    addresses = " ".join(_address(each, interface.name) for each in interface.addresses) or "-"
    up = "up" if Iff.UP in interface.flags else "down"
    return interface.name, up, _mac(interface.lladdr) or "-", addresses, _joined(interface, host, nics, peers)


def _joined(interface: Interface, host: HostView, nics: Mapping[str, str], peers: _Peers) -> str:
    """What an interface is joined to, in words."""
    if interface.bridge is not None:
        return "joins " + ", ".join(m.name for m in interface.bridge.members) if interface.bridge.members else ""
    if interface.kind is Kind.EPAIR:
        where, name = peers.of(interface)
        return f"⇄ {where or host.name} {name}" if name else ""
    if interface.vlan is not None and interface.vlan.parent:
        return f"tag {interface.vlan.tag} on {interface.vlan.parent}"
    return f"wire {nics[interface.name]}" if interface.name in nics else ""


def _tree(rows: Sequence[tuple[str, ...]], before: str, *, last: bool) -> list[str]:
    """Rows in columns behind the lines of a tree. `last`: nothing follows them at their level."""
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(5)]
    lines = []
    for place, row in enumerate(rows):
        branch = "└─" if last and place == len(rows) - 1 else "├─"
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"{before}{branch} {cells}".rstrip())
    return lines
