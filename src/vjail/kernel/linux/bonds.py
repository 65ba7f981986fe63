"""lagg(4) on Linux: bonds, and their ports. Sources: linux/if_link.h (IFLA_BOND_*), the kernel's bonding.rst.

A bond looks at the carriers of its ports ten times a second; FreeBSD is told of them.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.linux import links
from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.netlink import NetlinkError, Request, Socket
from vjail.kernel.linux.ports import Port, Ports, as_freebsd, tolerant
from vjail.kernel.observed import LaggProtocol

_MODE, _ACTIVE, _MIIMON, _PRIMARY = 1, 2, 3, 11
_MODES = {
    LaggProtocol.ROUNDROBIN: 0,
    LaggProtocol.FAILOVER: 1,
    LaggProtocol.LOADBALANCE: 2,
    LaggProtocol.BROADCAST: 3,
    LaggProtocol.LACP: 4,
    LaggProtocol.NONE: 1,
}
_LOOKS_EVERY = 100
"""Milliseconds."""


class Laggs:
    """The laggs of all vnets."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def add(self, lagg: IfNet, port: IfNet) -> None:
        """Let a lagg use a port. Raises KernelError."""
        with as_freebsd():
            self._enslave(lagg, self._ports[port.ident])

    def delete(self, lagg: IfNet, port: IfNet) -> None:
        """The opposite of add."""
        here = self._ports[port.ident]
        if here.index:
            with as_freebsd():
                self._release(here)

    def set_protocol(self, lagg: IfNet, ports: Sequence[IfNet]) -> None:
        """Use the ports by another protocol: a bond changes its mode while it is down and has none."""
        bond = self._ports[lagg.ident]
        socket = self._ports.vnets[bond.vnet].socket
        held = [self._ports[port.ident] for port in ports]
        with as_freebsd():
            for port in held:
                self._release(port)
            socket.request(links.set_flags(bond.index, 0, links.IFF_UP))
            mode = _MODES[lagg.lagg.protocol] if lagg.lagg is not None else 1
            socket.request(_change(bond.index, nl.u8(_MODE, mode)), _change(bond.index, nl.u32(_MIIMON, _LOOKS_EVERY)))
            for port in held:
                self._enslave(lagg, port)
            if bond.up:
                socket.request(links.set_flags(bond.index, links.IFF_UP, links.IFF_UP))

    def _enslave(self, lagg: IfNet, port: Port) -> None:
        """A bond takes only what is down, and sets it up."""
        bond = self._ports[lagg.ident]
        state = lagg.lagg
        if not port.index or not bond.index or state is None or state.protocol is LaggProtocol.NONE:
            return
        socket = self._ports.vnets[bond.vnet].socket
        socket.request(links.set_flags(port.index, 0, links.IFF_UP))
        socket.request(links.set_master(port.index, bond.index))
        socket.request(links.set_flags(port.index, links.IFF_UP if port.up else 0, links.IFF_UP))
        if state.protocol is LaggProtocol.FAILOVER and state.ports[0] == port.ifnet.ident:
            socket.request(_change(bond.index, nl.u32(_PRIMARY, port.index)))

    def _release(self, port: Port) -> None:
        socket = self._ports.vnets[port.vnet].socket
        socket.request(tolerant(links.set_master(port.index, 0), errno.ENODEV))
        socket.request(links.set_flags(port.index, links.IFF_UP if port.up else 0, links.IFF_UP))


def new_bond(name: str, protocol: LaggProtocol) -> Request:
    """A bond without ports."""
    data = nl.nested(links.IFLA_INFO_DATA, nl.u8(_MODE, _MODES[protocol]), nl.u32(_MIIMON, _LOOKS_EVERY))
    information = nl.nested(links.IFLA_LINKINFO, nl.text(links.IFLA_INFO_KIND, "bond"), data)
    body = links.info() + nl.text(links.IFLA_IFNAME, name) + information
    return Request(nl.RTM_NEWLINK, body, nl.NLM_F_CREATE | nl.NLM_F_EXCL)


def _change(index: int, setting: bytes) -> Request:
    data = nl.nested(links.IFLA_INFO_DATA, setting)
    return Request(
        nl.RTM_NEWLINK, links.info(index) + nl.nested(links.IFLA_LINKINFO, nl.text(links.IFLA_INFO_KIND, "bond"), data)
    )


def is_known(socket: Socket, kind: str) -> bool:
    """Whether this kernel knows a kind of links. Nothing is made: no link of any kind has an address of one byte."""
    information = nl.nested(links.IFLA_LINKINFO, nl.text(links.IFLA_INFO_KIND, kind))
    body = links.info() + nl.attribute(links.IFLA_ADDRESS, b"\2") + information
    try:
        socket.request(Request(nl.RTM_NEWLINK, body, nl.NLM_F_CREATE | nl.NLM_F_EXCL))
    except NetlinkError as error:
        return error.errno != errno.EOPNOTSUPP
    return True
