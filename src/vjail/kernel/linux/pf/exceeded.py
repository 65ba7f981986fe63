"""What remains to be done when a source exceeded a rule's limits, which the kernel does not do by itself (limits.py).

The kernel has ended the connection that was one too many, and put its source where it is blocked; here its entry in the
connection tracking goes, the states go that `flush` means, and it is told who is in which table. Nothing is lost while
nobody looks: it stays in sets. Sources: linux/netfilter/nf_tables.h, nfnetlink_log.h.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from vjail.kernel.core.pf_driver import Overload
from vjail.kernel.linux import nftables
from vjail.kernel.linux.netlink import Request, Socket, attribute, attributes, each_attribute, nested, text, u8
from vjail.kernel.linux.pf import conntrack
from vjail.kernel.linux.pf.compiled import TABLE, Compiled
from vjail.kernel.linux.pf.conntrack import Entry
from vjail.kernel.linux.pf.limits import LOG_GROUP, Flushing
from vjail.kernel.linux.pf.names import MADE
from vjail.kernel.pf import PfState

_GET_ELEMENTS, _DELETE_ELEMENTS = 10 << 8 | 13, 10 << 8 | 14
_INET = struct.pack("=BBH", 1, 0, 0)
_TABLE, _SET, _ELEMENTS, _ELEMENT, _KEY, _VALUE = 1, 2, 3, 1, 1, 1
_LOG_CONFIGURE = 4 << 8 | 1
_COMMAND, _BIND = 1, 1

Held = dict[str, list[bytes]]
"""What sets hold: the bytes of addresses, by the names of the sets."""


def listen(socket: Socket) -> None:
    """Let a socket hear when a limit is exceeded in its vnet. Raises NetlinkError: somebody else hears it."""
    head = struct.pack(">BBH", 0, 0, LOG_GROUP)
    socket.request(Request(_LOG_CONFIGURE, head + u8(_COMMAND, _BIND)))


def end_states(socket: Socket, compiled: Compiled) -> None:
    """End the connections that were one too many, and the states that are to be flushed with them."""
    flushing = [(each, _held(socket, each.set)) for each in compiled.flushing]
    conntrack.forget_stateless(socket)
    gone = [entry for entry in conntrack.entries(socket) if _was_ended(entry) or _is_flushed(entry, flushing)]
    conntrack.delete(socket, gone)
    let_go(socket, {each.set: held for each, held in flushing})


def overloads(socket: Socket, compiled: Compiled) -> tuple[list[Overload], Held]:
    """Who got into which table, and the sets that hold them for now."""
    held = {each.set: _held(socket, each.set) for each in compiled.overloading}
    found = [
        Overload(each.anchor, each.table, _address(key)) for each in compiled.overloading for key in held[each.set]
    ]
    return found, held


def let_go(socket: Socket, held: Held) -> None:
    """Take elements out of their sets."""
    for name, keys in held.items():
        if keys:
            elements = [nested(_ELEMENT, nested(_KEY, attribute(_VALUE, key))) for key in keys]
            body = _INET + text(_TABLE, TABLE) + text(_SET, name) + nested(_ELEMENTS, *elements)
            socket.transact(nftables.BEGIN, [Request(_DELETE_ELEMENTS, body)], nftables.END)


def _held(socket: Socket, name: str) -> list[bytes]:
    found: list[bytes] = []
    for message in socket.dump(_GET_ELEMENTS, _INET + text(_TABLE, TABLE) + text(_SET, name)):
        elements = attributes(message.body, 4).get(_ELEMENTS, b"")
        for _, element in each_attribute(elements):
            found.append(attributes(attributes(element)[_KEY])[_VALUE])
    return found


def _address(key: bytes) -> IPv4Address | IPv6Address:
    return IPv4Address(key) if len(key) == 4 else IPv6Address(key)


def _was_ended(entry: Entry) -> bool:
    return any(entry.mark & (made.bit | made.counted) == made.counted for made in MADE.values())


def _is_flushed(entry: Entry, flushing: Sequence[tuple[Flushing, list[bytes]]]) -> bool:
    return any(
        _far_end(state, each).packed in held and (each.everywhere or entry.made[state.direction] == each.made)
        for state in entry.states
        for each, held in flushing
        if held
    )


def _far_end(state: PfState, flushing: Flushing) -> IPv4Address | IPv6Address:
    """The end of a state that is compared, as in pf: the one in the place where the ended state had its source."""
    same = state.direction is flushing.direction
    return (state.wire_source if same else state.wire_destination).address
