"""Traffic filters in rtnetlink's terms: eBPF programs and others that see what comes in at a link, or what it sends.

A link's filters hang on its clsact qdisc, which all who have one there share: each has a priority of its own, and a
program that has nothing to say of a frame leaves it to the next (`CONTINUE`). Sources: linux/pkt_sched.h, pkt_cls.h.
"""

from __future__ import annotations

import enum
import errno
import socket as sockets
import struct
from collections.abc import Sequence

from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.netlink import NetlinkError, Request, Socket

_TCMSG = struct.Struct("=BxxxiIII")
_TCA_KIND, _TCA_OPTIONS, _TCA_BPF_FD, _TCA_BPF_NAME, _TCA_BPF_FLAGS = 1, 2, 6, 7, 8
_DIRECT_ACTION = 1
_CLSACT, _CLSACT_HANDLE = 0xFFFF_FFF1, 0xFFFF_0000
_HANDLE = 1
_ANY_PROTOCOL = sockets.htons(0x0003)
_GONE = (errno.ENOENT, errno.ENODEV, errno.EINVAL)
"""What the kernel says of a filter, a link, a qdisc that is not there."""

CONTINUE = -1
"""What a program returns to leave a frame to the filters behind it (TC_ACT_UNSPEC)."""


class Side(enum.IntEnum):
    """Where a filter sees frames: the filter's parent."""

    INGRESS = 0xFFFF_FFF2
    EGRESS = 0xFFFF_FFF3


class Priority(enum.IntEnum):
    """Whose filter it is, and in which order they see a frame."""

    MIRROR = 0x0001
    """The first of those that copy to span ports, one for each, all below VLAN."""
    VLAN = 0x4000


def attach(socket: Socket, index: int, side: Side, priority: Priority, program: int, name: str) -> None:
    """Let the program behind a descriptor decide on frames of a link, in place of the one that did. NetlinkError."""
    options = (
        nl.u32(_TCA_BPF_FD, program),
        nl.text(_TCA_BPF_NAME, name),
        nl.u32(_TCA_BPF_FLAGS, _DIRECT_ACTION),
    )
    add_filter(socket, index, side, priority, "bpf", options, handle=_HANDLE)


def add_filter(
    socket: Socket, index: int, side: Side, priority: int, kind: str, options: Sequence[bytes], *, handle: int = 0
) -> None:
    """Add a filter of any kind; with a `handle` in place of the one that has it. Raises NetlinkError."""
    qdisc = _TCMSG.pack(0, index, _CLSACT_HANDLE, _CLSACT, 0) + nl.text(_TCA_KIND, "clsact")
    body = _TCMSG.pack(0, index, handle, side, priority << 16 | _ANY_PROTOCOL) + nl.text(_TCA_KIND, kind)
    body += nl.nested(_TCA_OPTIONS, *options)
    socket.request(Request(nl.RTM_NEWQDISC, qdisc, nl.NLM_F_CREATE | nl.NLM_F_EXCL, tolerate=(errno.EEXIST,)))
    socket.request(Request(nl.RTM_NEWTFILTER, body, nl.NLM_F_CREATE))


def detach(socket: Socket, index: int, side: Side, priority: int) -> None:
    """Take a filter away, and the qdisc with the last one; nothing where there is none. Raises NetlinkError."""
    body = _TCMSG.pack(0, index, 0, side, priority << 16 | _ANY_PROTOCOL)
    socket.request(Request(nl.RTM_DELTFILTER, body, tolerate=_GONE))
    if not any(_has_filter(socket, index, each) for each in Side):
        qdisc = _TCMSG.pack(0, index, _CLSACT_HANDLE, _CLSACT, 0)
        socket.request(Request(nl.RTM_DELQDISC, qdisc, tolerate=_GONE))


def _has_filter(socket: Socket, index: int, side: Side) -> bool:
    try:
        return bool(socket.dump(nl.RTM_GETTFILTER, _TCMSG.pack(0, index, 0, side, 0)))
    except NetlinkError as error:
        if error.errno in _GONE:
            return False
        raise
