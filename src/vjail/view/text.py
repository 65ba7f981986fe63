"""A running lab as `vjail ls` prints it: a tree of hosts, jails and interfaces, for 80 columns and for reading.

Left out unless everything is asked for: what every stack has (lo0 with its usual addresses, the link-local address that
an interface makes of its MAC), MAC addresses, and what FreeBSD itself made (pflog0).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

from vjail.kernel.conditions import Conditions
from vjail.kernel.observed import Address, Iff, Inet, Inet6, Interface, Kind
from vjail.view.topology import HostView, JailView, Joints, LabView, Stack, address, is_nic, mac

_WIDEST = 24
"""Columns for a column of the table; what is longer pushes the rest of its line to the right."""
_USUAL = frozenset({"127.0.0.1/8", "::1/128", "fe80::1%lo0/64"})
_LISTED = 3
"""Of more than so many things only the number is told."""


@dataclass(frozen=True, slots=True)
class _Row:
    """An interface: its cells, the addresses one below the other."""

    name: str
    cells: tuple[str, ...]
    addresses: tuple[str, ...]
    joined: str


def as_text(lab: LabView, *, everything: bool = False) -> str:
    """The lab for a terminal; `everything`: nothing is left out."""
    return "".join(f"{line}\n" for host in lab.hosts for line in _host(lab, host, everything))


def _host(lab: LabView, host: HostView, everything: bool) -> Iterator[str]:
    rows = _Rows(lab, host, everything)
    own = rows.of(None, host.stack)
    inner = {jail.name: rows.of(jail.name, jail.stack) for jail in host.jails if jail.stack is not None}
    table = _Table(own, [*inner.values()])
    yield f"{host.name}  FreeBSD {host.release}"
    yield from table.lines(own, "", last=not host.jails)
    heads = _aligned([_head(jail) for jail in host.jails])
    for place, (jail, head) in enumerate(zip(host.jails, heads, strict=True)):
        last = place == len(host.jails) - 1
        yield f"{'└─' if last else '├─'} {head}"
        yield from table.lines(inner.get(jail.name, ()), "   " if last else "│  ", last=True)


def _head(jail: JailView) -> tuple[str, ...]:
    """A jail's own line."""
    if not jail.jid:
        return jail.name, "-", "-", "stopped", jail.path
    return jail.name, f"jid {jail.jid}", _network(jail), _state(jail), jail.path


def _network(jail: JailView) -> str:
    if jail.state == "dying":
        return "-"
    if jail.stack is not None:
        return "vnet"
    whose = f"of {jail.shares}" if jail.shares else "of the host"
    if jail.addresses is None:
        return f"all addresses {whose}"
    return " ".join(jail.addresses) or "no address"


def _state(jail: JailView) -> str:
    if jail.state != "active":
        return jail.state
    return "1 process" if jail.processes == 1 else f"{jail.processes} processes"


# --- interfaces -------------------------------------------------------------------------------------------------------


class _Rows:
    """Makes the rows of a host's stacks."""

    def __init__(self, lab: LabView, host: HostView, everything: bool) -> None:
        self._wires = lab.wires()
        self._cut = lab.cut
        self._uplinks = lab.uplinks
        self._conditions = lab.conditions
        self._host = host
        self._joints = Joints(host)
        self._everything = everything

    def of(self, where: str | None, stack: Stack) -> tuple[_Row, ...]:
        """The rows of the stack of a jail (None: the host)."""
        return tuple(self._row(where, each) for each in stack.interfaces if self._everything or _is_telling(each))

    def _row(self, where: str | None, interface: Interface) -> _Row:
        cells = ["up" if Iff.UP in interface.flags else "down"]
        if self._everything:
            cells += [mac(interface.lladdr) or "-", f"mtu {interface.mtu}"]
        addresses = [
            address(each, interface.name)
            for each in interface.addresses
            if self._everything or not (_is_automatic(each, interface) or _is_usual(each, interface))
        ]
        return _Row(interface.name, tuple(cells), tuple(addresses) or ("-",), ", ".join(self._joined(where, interface)))

    def _joined(self, where: str | None, interface: Interface) -> Iterator[str]:
        """What an interface is joined to, in words."""
        if interface.bridge is not None:
            members = [member.name for member in interface.bridge.members]
            yield f"bridges {_listed(members, 'interfaces')}" if members else "bridges nothing"
        peer = self._joints.peer(where, interface) if interface.kind is Kind.EPAIR else None
        if peer is not None:
            yield f"⇄ {peer[0] or self._host.name} {peer[1]}"
        if interface.vlan is not None and interface.vlan.parent:
            yield f"vlan {interface.vlan.tag} on {interface.vlan.parent}"
        if is_nic(interface, self._host.nics):
            yield self._plugged(interface.drivername)
        bridge = self._joints.bridge(where, interface)
        if bridge is not None:
            yield f"in {bridge}"

    def _plugged(self, nic: str) -> str:
        """The wire a card is on and what else is there; of what is cut, that it is."""
        wire = self._host.nics[nic]
        if f"{self._host.name}:{nic}" in self._cut:
            return f"wire {wire}, unplugged"
        others = [f"{host} {other}" for host, other in self._wires[wire] if (host, other) != (self._host.name, nic)]
        others += [f"this machine's {self._uplinks[wire]}"] if wire in self._uplinks else []
        joined = f" ⇄ {_listed(others, 'others')}" if others else ""
        said = [*(["cut"] if wire in self._cut else []), *self._conditions.get(wire, Conditions()).words()]
        noted = f" ({', '.join(said)})" if said else ""
        return f"wire {wire}{noted}{joined}"


def _listed(names: Sequence[str], what: str) -> str:
    return ", ".join(names) if len(names) <= _LISTED else f"{len(names)} {what}"


def _is_telling(interface: Interface) -> bool:
    """Whether an interface is other than in every stack."""
    if interface.kind is Kind.LOOPBACK and interface.name == "lo0":
        return not all(_is_usual(each, interface) for each in interface.addresses)
    return interface.kind is not Kind.PFLOG


def _is_usual(held: Address, interface: Interface) -> bool:
    """Whether an address is one that every lo0 has."""
    return interface.name == "lo0" and address(held, interface.name) in _USUAL


def _is_automatic(held: Address, interface: Interface) -> bool:
    """Whether an address is the link-local one that IPv6 makes of the interface's MAC (EUI-64)."""
    if isinstance(held, Inet) or interface.lladdr is None or len(interface.lladdr) != 6:
        return False
    assert isinstance(held, Inet6)
    first, *rest = interface.lladdr
    identifier = bytes((first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]))
    return held.address == IPv6Address(b"\xfe\x80" + bytes(6) + identifier)


# --- the table --------------------------------------------------------------------------------------------------------


class _Table:
    """The interfaces of a host and of its jails in the same columns, however deep they stand in the tree."""

    def __init__(self, own: Sequence[_Row], inner: Sequence[Sequence[_Row]]) -> None:
        levels = [(3, own), *((6, rows) for rows in inner)]
        rows = [row for _, level in levels for row in level]
        self._name = max((indent + len(row.name) for indent, level in levels for row in level), default=0)
        count = len(rows[0].cells) if rows else 0
        self._cells = [max(len(row.cells[at]) for row in rows) for at in range(count)]
        self._address = _width(text for row in rows for text in row.addresses)

    def lines(self, rows: Sequence[_Row], before: str, *, last: bool) -> Iterator[str]:
        """Some rows behind the lines of a tree. `last`: nothing follows them at their level."""
        for place, row in enumerate(rows):
            ends = last and place == len(rows) - 1
            name = f"{before}{'└─' if ends else '├─'} {row.name}".ljust(self._name)
            cells = "".join(f"  {cell.ljust(width)}" for cell, width in zip(row.cells, self._cells, strict=True))
            first, *more = row.addresses
            yield f"{name}{cells}  {first.ljust(self._address)}  {row.joined}".rstrip()
            below = f"{before}{' ' if ends else '│'}".ljust(len(name) + len(cells))
            for text in more:
                yield f"{below}  {text}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of cells as lines in columns."""
    widths = [_width(cells) for cells in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _width(texts: Iterator[str] | Sequence[str]) -> int:
    return max((len(text) for text in texts if len(text) <= _WIDEST), default=0)
