"""The ways that `route-to` and `reply-to` name: routing tables for packets with a number in their mark (names.py).

Source: linux/fib_rules.h, linux/rtnetlink.h.
"""

from __future__ import annotations

import errno
import socket as sockets
import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

from vjail.conf.pf.rules import Detour
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux import links
from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.netlink import NetlinkError, Request, Socket
from vjail.kernel.linux.pf.names import OTHERS

_NEW_RULE, _DELETE_RULE = 32, 33
_RULE_PRIORITY, _RULE_MARK, _RULE_TABLE, _RULE_MASK = 6, 10, 15, 16
_TO_TABLE = 1
_ROUTE_OUT, _ROUTE_GATEWAY, _ROUTE_TABLE = 4, 5, 15
_STATIC, _UNIVERSE, _UNICAST, _ONLINK = 4, 0, 1, 4
_FIRST = 0x7066_0000
"""Added to a way's number it is the number of its table."""
_PRIORITY = 20_000
_NO_WAY = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL)
"""The interface is down, or knows no address of the family: what would go there goes by the other routes."""


def follow(socket: Socket, before: Mapping[Detour, int], wanted: Mapping[Detour, int]) -> None:
    """Let there be these ways instead of those, as far as their interfaces are up. Raises KernelError."""
    for way, number in before.items():
        if wanted.get(way) != number:
            _remove(socket, way, number)
    if not wanted:
        return
    devices = {link.name: link.index for link in map(links.read_link, socket.dump(*links.dump_links()))}
    for way, number in wanted.items():
        _add(socket, way, number, devices.get(way.interface))


def _add(socket: Socket, way: Detour, number: int, device: int | None) -> None:
    family = _family(way.gateway)
    rule = _rule(family, number)
    try:
        socket.request(Request(_NEW_RULE, rule, nl.NLM_F_CREATE | nl.NLM_F_EXCL, tolerate=(errno.EEXIST,)))
    except NetlinkError as error:
        lacking = "this machine's kernel has no rules for routes (CONFIG_IP_MULTIPLE_TABLES; for route-to, reply-to)"
        raise KernelError(Errno.EOPNOTSUPP, lacking) from error
    if device is None:
        return
    body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, _STATIC, _UNIVERSE, _UNICAST, _ONLINK)
    body += nl.attribute(_ROUTE_GATEWAY, way.gateway.packed) + nl.u32(_ROUTE_OUT, device)
    body += nl.u32(_ROUTE_TABLE, _FIRST + number)
    socket.request(Request(nl.RTM_NEWROUTE, body, nl.NLM_F_CREATE | nl.NLM_F_REPLACE, tolerate=_NO_WAY))


def _remove(socket: Socket, way: Detour, number: int) -> None:
    family = _family(way.gateway)
    socket.request(Request(_DELETE_RULE, _rule(family, number), tolerate=(errno.ENOENT,)))
    body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, _UNIVERSE, _UNICAST, 0)
    body += nl.u32(_ROUTE_TABLE, _FIRST + number)
    socket.request(Request(nl.RTM_DELROUTE, body, tolerate=(errno.ESRCH,)))


def _rule(family: int, number: int) -> bytes:
    body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, _TO_TABLE, 0)
    body += nl.u32(_RULE_PRIORITY, _PRIORITY + number) + nl.u32(_RULE_TABLE, _FIRST + number)
    return body + nl.u32(_RULE_MARK, number) + nl.u32(_RULE_MASK, OTHERS)


def _family(address: IPv4Address | IPv6Address) -> int:
    return sockets.AF_INET if address.version == 4 else sockets.AF_INET6
