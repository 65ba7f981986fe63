"""Queueing disciplines in rtnetlink's terms: what delays, loses and limits the frames that a link sends.

Sources: linux/pkt_sched.h, net/sched/sch_netem.c, sch_htb.c, sch_fifo.c.
"""

from __future__ import annotations

import errno
import struct

from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.netlink import Request

_TCMSG = struct.Struct("=BxxxiIII")
_KIND, _OPTIONS = 1, 2
_ROOT = 0xFFFF_FFFF
_FIRST, _LEAF = 0x1_0000, 0x2_0000
"""Handles of the qdisc at a link's root, and of the queue below its only class."""
_TICK = 64
"""Nanoseconds in what the kernel counts time in here (PSCHED_SHIFT)."""
_WHOLE = (1 << 32) - 1
_MILLION = 1_000_000

_NETEM = struct.Struct("=IIIIII")
_NETEM_RATE, _NETEM_RATE64, _NETEM_LATENCY64 = 6, 8, 10
_HTB_PARMS, _HTB_INIT, _HTB_RATE64, _HTB_CEIL64 = 1, 2, 6, 7
_RATESPEC = struct.Struct("=BBHhHI")
_ETHERNET = 1
_QUANTUM = 100_000
"""Bytes; more than any frame, so that classes that wait take turns frame by frame."""
HEAVIEST = 0xFFFF
"""What a frame can be made to weigh at least, in bytes; none weighs more."""


def netem(link: int, *, delay: int, loss: int, rate: int, limit: int) -> Request:
    """Let netem be a link's root qdisc, or change the one there: ns, frames of a million, bytes a second, frames."""
    head = _NETEM.pack(min(delay // _TICK, _WHOLE), limit, loss * _WHOLE // _MILLION, 0, 0, 0)
    options = (
        nl.attribute(_NETEM_LATENCY64, struct.pack("=q", delay)),
        nl.attribute(_NETEM_RATE, struct.pack("=IiIi", min(rate, _WHOLE), 0, 0, 0)),
        *([nl.attribute(_NETEM_RATE64, struct.pack("=Q", rate))] if rate >= _WHOLE else []),
    )
    body = _head(link, _ROOT, _FIRST) + nl.text(_KIND, "netem") + nl.attribute(_OPTIONS, head + b"".join(options))
    return Request(nl.RTM_NEWQDISC, body, nl.NLM_F_CREATE | nl.NLM_F_REPLACE)


def htb(link: int) -> Request:
    """Let htb be a link's root qdisc, with class 1 for whatever is given no other; no error where it is so."""
    options = nl.nested(_OPTIONS, nl.attribute(_HTB_INIT, struct.pack("=IIIII", 3, 10, 1, 0, 0)))
    body = _head(link, _ROOT, _FIRST) + nl.text(_KIND, "htb") + options
    return Request(nl.RTM_NEWQDISC, body, nl.NLM_F_CREATE | nl.NLM_F_EXCL, tolerate=(errno.EEXIST,))


def htb_class(link: int, number: int, *, rate: int, burst: int = 0, lightest: int = 0) -> Request:
    """A class of htb, or a change to it: bytes a second, and for how many ns it may be ahead of them.

    `lightest`: what a frame weighs at least, in bytes.
    """
    spec = _RATESPEC.pack(0, _ETHERNET, 0, 0, lightest, min(rate, _WHOLE))
    parameters = spec + spec + struct.pack("=IIIII", burst // _TICK, burst // _TICK, _QUANTUM, 0, 0)
    large = [nl.attribute(kind, struct.pack("=Q", rate)) for kind in (_HTB_RATE64, _HTB_CEIL64) if rate >= _WHOLE]
    options = nl.nested(_OPTIONS, nl.attribute(_HTB_PARMS, parameters), *large)
    body = _head(link, _FIRST, _FIRST | number) + nl.text(_KIND, "htb") + options
    return Request(nl.RTM_NEWTCLASS, body, nl.NLM_F_CREATE)


def queue(link: int, limit: int) -> Request:
    """The queue of class 1 of a link's htb holds so many bytes."""
    options = nl.attribute(_OPTIONS, struct.pack("=I", limit))
    body = _head(link, _FIRST | 1, _LEAF) + nl.text(_KIND, "bfifo") + options
    return Request(nl.RTM_NEWQDISC, body, nl.NLM_F_CREATE | nl.NLM_F_REPLACE)


def priority(number: int) -> int:
    """What a frame's priority is to be, for it to go through a class of its link's htb."""
    return _FIRST | number


def remove(link: int) -> Request:
    """Let a link have no qdisc but the kernel's own; no error where it has none."""
    return Request(nl.RTM_DELQDISC, _head(link, _ROOT, 0), tolerate=(errno.ENOENT, errno.EINVAL, errno.ENODEV))


def _head(link: int, parent: int, handle: int) -> bytes:
    return _TCMSG.pack(0, link, handle, parent, 0)
