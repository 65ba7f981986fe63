"""Span ports on Linux: every frame that arrives at a member is copied to them by tc's mirred.

The filters come before any other at the member's ingress, and let what they have copied go on to those. Sources:
linux/pkt_cls.h, tc_act/tc_mirred.h.
"""

from __future__ import annotations

import errno
import struct

from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux import tc
from vjail.kernel.linux.netlink import NetlinkError, Socket

_ACT_KIND, _ACT_OPTIONS = 1, 2
_MATCHALL_ACT, _U32_SEL, _U32_ACT = 2, 5, 7
_MIRRED_PARMS, _EGRESS_MIRROR = 2, 2


def mirror(socket: Socket, source: int, target: int) -> None:
    """Copy what arrives at the link `source` out of the link `target`. Raises NetlinkError."""
    stop_mirroring(socket, source, target)
    place = (socket, source, tc.Side.INGRESS, _priority(target))
    try:
        tc.add_filter(*place, "matchall", [nl.nested(_MATCHALL_ACT, _mirred(target))])
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
        # One key that is always there: no bit of the first word is looked at.
        selector = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + bytes(16)
        tc.add_filter(*place, "u32", [nl.attribute(_U32_SEL, selector), nl.nested(_U32_ACT, _mirred(target))])


def stop_mirroring(socket: Socket, source: int, target: int) -> None:
    """The opposite of mirror; there may have been none. Raises NetlinkError."""
    tc.detach(socket, source, tc.Side.INGRESS, _priority(target))


def _priority(target: int) -> int:
    return tc.Priority.MIRROR + target % (tc.Priority.VLAN - tc.Priority.MIRROR)


def _mirred(target: int) -> bytes:
    """The first, and only, action of a filter."""
    parameters = struct.pack("=IIiiiiI", 0, 0, tc.CONTINUE, 0, 0, _EGRESS_MIRROR, target)
    options = nl.nested(_ACT_OPTIONS, nl.attribute(_MIRRED_PARMS, parameters))
    return nl.nested(1, nl.text(_ACT_KIND, "mirred"), options)
