"""States: entries of a vnet's connection tracking whose mark says that they are some (names.py), by ctnetlink.

Source: linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_tcp.h.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vjail.conf.pf.rules import Direction
from vjail.conf.pf.words import TCP, UDP
from vjail.kernel.linux.netlink import Request, Socket, attribute, attributes, u32
from vjail.kernel.linux.pf.names import BACKWARD, FORWARD, MADE
from vjail.kernel.pf import PfEndpoint, PfState

NETLINK_NETFILTER = 12
_CHANGE, _GET, _DELETE = 1 << 8, 1 << 8 | 1, 1 << 8 | 2
_TUPLE_ORIG, _TUPLE_REPLY, _STATUS, _PROTOINFO, _TIMEOUT, _MARK, _MARK_MASK = 1, 2, 3, 4, 7, 8, 21
_NESTED = 0x8000
_SEEN_REPLY, _ASSURED = 0x2, 0x4
_ENOENT = 2

_TCP_LEVELS = (
    ("CLOSED", "CLOSED"),
    ("SYN_SENT", "CLOSED"),
    ("SYN_SENT", "ESTABLISHED"),
    ("ESTABLISHED", "ESTABLISHED"),
    ("FIN_WAIT_2", "ESTABLISHED"),
    ("FIN_WAIT_2", "ESTABLISHED"),
    ("FIN_WAIT_2", "FIN_WAIT_2"),
    ("FIN_WAIT_2", "FIN_WAIT_2"),
    ("TIME_WAIT", "TIME_WAIT"),
)
"""How pf calls what both ends of a TCP connection have come to, by conntrack's number for it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry: what to name it by, its mark, and the states it stands for."""

    family: int
    key: bytes
    mark: int
    states: tuple[PfState, ...]

    @property
    def made(self) -> Mapping[Direction, int]:
        """Which rule that limits connections made its states, by their directions; 0: none that does."""
        return {
            direction: (self.mark & MADE[bit].mask) >> MADE[bit].shift
            for direction, bit in ((Direction.IN, FORWARD), (Direction.OUT, BACKWARD))
        }


def entries(socket: Socket) -> list[Entry]:
    """The entries that are states."""
    found = [_read(message.body) for message in socket.dump(_GET, struct.pack("=BBH", 0, 0, 0))]
    return [entry for entry in found if entry.states]


def delete(socket: Socket, wanted: Sequence[Entry]) -> None:
    """Forget entries; one that has gone by itself is no error."""
    requests = [
        Request(
            _DELETE,
            struct.pack("=BBH", entry.family, 0, 0) + attribute(_TUPLE_ORIG | _NESTED, entry.key),
            tolerate=(_ENOENT,),
        )
        for entry in wanted
    ]
    if requests:
        socket.request(*requests)


def forget_rules(socket: Socket) -> None:
    """Forget which rules made the states there are: they are other rules now."""
    mask = sum(made.mask | made.counted for made in MADE.values())
    changes = [
        Request(
            _CHANGE,
            struct.pack("=BBH", entry.family, 0, 0)
            + attribute(_TUPLE_ORIG | _NESTED, entry.key)
            + attribute(_MARK, struct.pack(">I", 0))
            + attribute(_MARK_MASK, struct.pack(">I", mask)),
            tolerate=(_ENOENT,),
        )
        for entry in entries(socket)
        if entry.mark & mask
    ]
    if changes:
        socket.request(*changes)


def forget_stateless(socket: Socket) -> None:
    """Forget the entries that are no states: pf would look at their next packet as at a new one."""
    none = struct.unpack("=I", struct.pack(">I", 0))[0]
    mask = struct.unpack("=I", struct.pack(">I", FORWARD | BACKWARD))[0]
    body = struct.pack("=BBH", 0, 0, 0) + u32(_MARK, none) + u32(_MARK_MASK, mask)
    socket.request(Request(_DELETE, body, tolerate=(_ENOENT,)))


def between(
    entry: Entry, source: IPv4Network | IPv6Network | None, destination: IPv4Network | IPv6Network | None
) -> bool:
    """Whether a state's ends are in these networks."""
    return any(
        (source is None or state.source.address in source)
        and (destination is None or state.destination.address in destination)
        for state in entry.states
    )


def _read(body: bytes) -> Entry:
    found = attributes(body, 4)
    mark = _number(found.get(_MARK, b""))
    original, reply = found[_TUPLE_ORIG], found[_TUPLE_REPLY]
    proto, source, destination = _ends(original)
    _, answering, answered = _ends(reply)
    levels = _levels(proto, found)
    expires = _number(found.get(_TIMEOUT, b""))
    states: list[PfState] = []
    if mark & FORWARD:
        # It came in: translated is whom it was sent to.
        states.append(PfState(Direction.IN, proto, source, answering, source, destination, levels, expires))
    if mark & BACKWARD:
        # It went out: translated is who sent it.
        states.append(PfState(Direction.OUT, proto, source, answering, answered, answering, levels, expires))
    return Entry(body[0], original, mark, tuple(states))


def _ends(data: bytes) -> tuple[int, PfEndpoint, PfEndpoint]:
    """The protocol, the source and the destination of a tuple."""
    parts = attributes(data)
    ip, rest = attributes(parts[1]), attributes(parts[2])
    proto = rest[1][0]
    addresses: list[IPv4Address | IPv6Address] = []
    for four, six in ((1, 3), (2, 4)):
        addresses.append(IPv4Address(ip[four][:4]) if four in ip else IPv6Address(ip[six][:16]))
    identity = rest.get(4, rest.get(7, b"\0\0"))
    ports = [struct.unpack(">H", rest.get(number, identity)[:2])[0] for number in (2, 3)]
    return proto, PfEndpoint(addresses[0], ports[0]), PfEndpoint(addresses[1], ports[1])


def _levels(proto: int, found: dict[int, bytes]) -> tuple[str, str]:
    status = _number(found.get(_STATUS, b""))
    if proto == TCP:
        info = attributes(attributes(found.get(_PROTOINFO, b"")).get(1, b""))
        number = info.get(1, b"\0")[0]
        return _TCP_LEVELS[number] if number < len(_TCP_LEVELS) else ("CLOSED", "CLOSED")
    if proto != UDP:
        return "0", "0"
    if status & _ASSURED:
        return "MULTIPLE", "MULTIPLE"
    return ("MULTIPLE", "SINGLE") if status & _SEEN_REPLY else ("SINGLE", "NO_TRAFFIC")


def _number(data: bytes) -> int:
    return int.from_bytes(data[:4], "big")
