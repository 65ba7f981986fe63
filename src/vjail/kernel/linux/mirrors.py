"""Span ports on Linux: every frame that arrives at a member is copied to them by tc's mirred.

The filters come before any other at the member's ingress, and let what they have copied go on to those. Sources:
linux/pkt_sched.h, pkt_cls.h, tc_act/tc_mirred.h.
"""

from __future__ import annotations

import errno
import socket
import struct

from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.netlink import NetlinkError, Request, Socket

_TCMSG = struct.Struct("=BxxxiIII")
_KIND, _OPTIONS = 1, 2
_CLSACT, _CLSACT_HANDLE, _INGRESS = 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2
_ETH_P_ALL = 3
_PRIORITIES = 0x1000
"""Those of mirrors are below this; the filters that come after have higher ones."""
_MATCHALL_ACT, _U32_SEL, _U32_ACT = 2, 5, 7
_MIRRED_PARMS, _EGRESS_MIRROR = 2, 2
_ACT_GOES_ON = -1
"""TC_ACT_UNSPEC: look at the next filter."""
_NO_SUCH = (errno.ENOENT, errno.EINVAL, errno.ENODEV)


def mirror(netlink: Socket, source: int, target: int) -> None:
    """Copy what arrives at the link `source` out of the link `target`. Raises NetlinkError."""
    stop_mirroring(netlink, source, target)
    qdisc = _TCMSG.pack(0, source, _CLSACT_HANDLE, _CLSACT, 0) + nl.text(_KIND, "clsact")
    netlink.request(Request(nl.RTM_NEWQDISC, qdisc, nl.NLM_F_CREATE | nl.NLM_F_EXCL, (errno.EEXIST,)))
    matchall = nl.nested(_OPTIONS, nl.nested(_MATCHALL_ACT, _mirred(target)))
    # One key that is always there: no bit of the first word is looked at.
    selector = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + bytes(16)
    u32 = nl.nested(_OPTIONS, nl.attribute(_U32_SEL, selector), nl.nested(_U32_ACT, _mirred(target)))
    try:
        netlink.request(_filter(source, target, "matchall", matchall))
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
        netlink.request(_filter(source, target, "u32", u32))


def stop_mirroring(netlink: Socket, source: int, target: int) -> None:
    """The opposite of mirror; there may have been none. Raises NetlinkError."""
    body = _TCMSG.pack(0, source, 0, _INGRESS, _order(target))
    netlink.request(Request(nl.RTM_DELTFILTER, body, 0, _NO_SUCH))


def _filter(source: int, target: int, kind: str, options: bytes) -> Request:
    body = _TCMSG.pack(0, source, 0, _INGRESS, _order(target)) + nl.text(_KIND, kind) + options
    return Request(nl.RTM_NEWTFILTER, body, nl.NLM_F_CREATE | nl.NLM_F_EXCL)


def _order(target: int) -> int:
    """A filter's priority, one for each target, and that it sees frames of every protocol."""
    return (1 + target % (_PRIORITIES - 1)) << 16 | socket.htons(_ETH_P_ALL)


def _mirred(target: int) -> bytes:
    """The first, and only, action of a filter."""
    parameters = struct.pack("=IIiiiiI", 0, 0, _ACT_GOES_ON, 0, 0, _EGRESS_MIRROR, target)
    options = nl.nested(_OPTIONS, nl.attribute(_MIRRED_PARMS, parameters))
    return nl.nested(1, nl.text(_KIND, "mirred"), options)
