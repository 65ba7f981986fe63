"""Members of a bridge that have addresses of their own.

On FreeBSD a member stays an interface: it hears what comes to its address or to everybody, and what it sends goes the
bridge's ways. Linux gives a bridge's port nothing to hear. So while such a member is in a bridge, a device of its name
and address (its station, one end of a hidden veth pair) stands on the bridge as one more port and has the addresses;
the member's own device, hidden too, carries the frames. The names of the hidden ones are made of the interface's
number, so another server knows them again.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Mapping

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.linux import links
from vjail.kernel.linux.inet import Inets
from vjail.kernel.linux.netlink import NetlinkError, Socket
from vjail.kernel.linux.ports import Port, Ports, as_freebsd, tolerant
from vjail.kernel.linux.settings import Settings
from vjail.kernel.observed import Address, Iff, Nd6

HIDDEN = "."
"""What the names of devices begin with that are no interfaces."""
_OTHER = 0x08
"""Set in the address of a station's other end, so that it is not its member's."""


class Stations:
    """The stations of members that have addresses."""

    def __init__(self, ports: Ports, inets: Inets, settings: Settings) -> None:
        self._ports = ports
        self._inets = inets
        self._settings = settings

    def add_address(self, ifnet: IfNet, address: Address) -> None:
        """Add an address, or replace the same one. Raises KernelError(EEXIST): a static route has its network."""
        if ifnet.member is not None:
            with as_freebsd():
                self._make(self._ports[ifnet.ident])
        self._inets.add_address(ifnet, address)

    def set_lladdr(self, ifnet: IfNet, lladdr: bytes) -> None:
        """Set the link-layer address, of a member on both its devices."""
        self._settings.set_lladdr(ifnet, lladdr)
        port = self._ports[ifnet.ident]
        if port.station and port.lladdr is None:
            self._ports.request(ifnet, lambda index: links.set_address(index, lladdr))
            self._ports.request(ifnet, lambda _: links.add_forwarding(port.plug, lladdr))

    def provide(self, member: IfNet) -> None:
        """Give an interface a station where it needs one. Raises KernelError."""
        if member.member is not None and member.addresses:
            with as_freebsd():
                self._make(self._ports[member.ident])

    def remove(self, member: IfNet) -> None:
        """Let a member that leaves its bridge have its name and its addresses itself again. Raises KernelError."""
        port = self._ports[member.ident]
        if not port.station:
            return
        socket = self._socket(port)
        with as_freebsd():
            neighbours = _permanent(socket, port.station)
            socket.request(tolerant(links.delete(port.station), errno.ENODEV))
            port.station = port.plug = 0
            with contextlib.suppress(NetlinkError):  # a member whose other half was destroyed is gone
                self._rename(port, {port.index: member.name})
                self._give_back(port, neighbours)

    def _make(self, port: Port) -> None:
        member = port.ifnet.member
        bridge = self._ports.find(member.bridge) if member is not None else None
        socket = self._socket(port)
        if port.station or not port.index or bridge is None:
            return
        if links.read_link(socket.get(*links.get_link_at(port.index))).master != bridge.index:
            return
        ours, theirs, own = _names(port)
        lladdr = port.ifnet.lladdr or bytes(6)
        plug = bytes((lladdr[0] ^ _OTHER, *lladdr[1:]))
        socket.request(links.new_veth((ours, lladdr), (theirs, plug), port.ifnet.mtu))
        station, there = (self._ports.look_up(port.vnet, name) for name in (ours, theirs))
        neighbours = _permanent(socket, port.index)
        self._inets.take_off(port)
        try:
            self._rename(port, {port.index: own, station: port.ifnet.name})
        except NetlinkError:
            socket.request(links.delete(station))
            self._give_back(port, neighbours)
            raise
        port.station, port.plug = station, there
        noarp = links.IFF_NOARP if Iff.NOARP in port.ifnet.flags else 0
        socket.request(
            links.set_operational(port.station, port.ifnet.status != "no carrier"),
            links.set_master(port.plug, bridge.index),
            links.set_flags(port.plug, links.IFF_UP, links.IFF_UP),
            links.set_flags(port.station, noarp | (links.IFF_UP if port.up else 0), links.IFF_UP | links.IFF_NOARP),
            # What is for the member's address is the station's, not the bridge's own as of other ports' addresses.
            links.add_forwarding(port.plug, lladdr),
        )
        self._give_back(port, neighbours)

    # --- taking over ---

    def adopt(self, port: Port) -> None:
        """Know a station again that another server made; one that was half made is taken away. Raises NetlinkError."""
        ours, theirs, own = _names(port)
        try:
            index = self._ports.look_up(port.vnet, own)
        except NetlinkError:
            with contextlib.suppress(NetlinkError):
                self._socket(port).request(links.delete(self._ports.look_up(port.vnet, ours)))
            return
        port.index, port.station = index, port.index
        port.plug = self._ports.look_up(port.vnet, theirs)

    def put_right(self, port: Port) -> None:
        """Give a station what another server may not have come to give it. Raises NetlinkError."""
        if port.station:
            port.inet6_enabled = Nd6.IFDISABLED not in port.ifnet.nd6
            self._give_back(port, [])

    # --- how ---

    def _rename(self, port: Port, names: Mapping[int, str]) -> None:
        """Give devices other names, all in one send, which is carried out whole."""
        socket = self._socket(port)
        requests = [links.rename(index, name) for index, name in names.items()]
        try:
            socket.request(*requests)
        except NetlinkError as error:
            if error.errno != errno.EBUSY:
                raise
            # Before Linux 6.2 only what is down can be renamed.
            up = [links.set_flags(port.index, links.IFF_UP, links.IFF_UP)] if port.up else []
            socket.request(*(links.set_flags(index, 0, links.IFF_UP) for index in names), *requests, *up)

    def _give_back(self, port: Port, neighbours: list[links.Entry]) -> None:
        """Put the addresses on the device that speaks now, with what depends on them."""
        self._inets.put_on(port)
        self._socket(port).request(
            *(
                links.add_neighbour(port.speaker, entry.address, entry.lladdr)
                for entry in neighbours
                if entry.address is not None and entry.lladdr is not None
            )
        )
        self._ports.put_routes_in_force(port.vnet)

    def _socket(self, port: Port) -> Socket:
        return self._ports.vnets[port.vnet].socket


def _names(port: Port) -> tuple[str, str, str]:
    """The station while it is made, its end in the bridge, the member's own device."""
    ident = port.ifnet.ident
    return f"{HIDDEN}{ident}s", f"{HIDDEN}{ident}p", f"{HIDDEN}{ident}m"


def _permanent(socket: Socket, index: int) -> list[links.Entry]:
    entries = map(links.read_entry, socket.dump(*links.dump_neighbours()))
    return [entry for entry in entries if entry.index == index and entry.state & links.NUD_PERMANENT]
