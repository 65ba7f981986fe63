"""Making, moving, renaming and removing the devices of interfaces, and taking over those another server made."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Sequence

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.linux import links
from vjail.kernel.linux.bonds import is_known
from vjail.kernel.linux.epairs import Epairs
from vjail.kernel.linux.inet import Inets
from vjail.kernel.linux.kinds import DEVICES, MADE, Device
from vjail.kernel.linux.netlink import NetlinkError
from vjail.kernel.linux.ports import FAR_END, Port, Ports, as_freebsd, tolerant
from vjail.kernel.linux.routes import kept
from vjail.kernel.linux.stations import Stations
from vjail.kernel.linux.tuntap import why_no_tuntap
from vjail.kernel.linux.vnets import LOOPBACK
from vjail.kernel.observed import Kind


class Making:
    """Devices coming, going and moving between vnets."""

    def __init__(self, ports: Ports, inets: Inets, stations: Stations, epairs: Epairs) -> None:
        self._ports = ports
        self._inets = inets
        self._stations = stations
        self._epairs = epairs
        self._lacking: dict[Kind, str] = {}

    def lacks(self, kind: Kind) -> str:
        """Why interfaces of a kind cannot be made here, empty where they can."""
        if kind not in self._lacking:
            match kind:
                case Kind.TAP | Kind.TUN:
                    self._lacking[kind] = why_no_tuntap()
                case Kind.VXLAN:
                    self._lacking[kind] = self._unknown("vxlan", "vxlan")
                case Kind.LAGG:
                    self._lacking[kind] = self._unknown("bond", "bonding")
                case _:
                    self._lacking[kind] = ""
        return self._lacking[kind]

    def _unknown(self, kind: str, called: str) -> str:
        """Whether this kernel knows no such devices: what it lacks, in words."""
        return "" if is_known(self._ports.vnets[0].socket, kind) else f"this machine's kernel has no {called}"

    def create(self, interfaces: Sequence[IfNet]) -> None:
        """Make an interface, or both halves of an epair."""
        first = interfaces[0]
        if first.kind is Kind.EPAIR:
            self._epairs.create(interfaces)
            return
        device = DEVICES[first.kind]
        has_device = device.found or device.make is not None
        with as_freebsd():
            self._epairs.bury()
            if device.make is not None:
                device.make(self._ports.vnets, first.vnet, interfaces, first.name)
            indexes = [self._ports.look_up(each.vnet, each.name) if has_device else 0 for each in interfaces]
        for each, index in zip(interfaces, indexes, strict=True):
            self._ports.enter(Port(each, each.vnet, index), each.vnet)
        if first.kind is Kind.LOOPBACK:
            self._inets.set_inet6(first, True)

    def destroy(self, interfaces: Sequence[IfNet]) -> None:
        """Remove an interface, or both halves of an epair, wherever they are."""
        ports = [self._ports.leave(each.ident) for each in interfaces]
        first = ports[0]
        if first.ifnet.kind is Kind.EPAIR:
            with as_freebsd():
                self._epairs.destroy(ports)
        elif first.index and first.ifnet.name != LOOPBACK:
            with as_freebsd():
                socket = self._ports.vnets[first.vnet].socket
                socket.request(tolerant(links.delete(first.index), errno.ENODEV))

    def rename(self, ifnet: IfNet, name: str) -> None:
        """Give it another name."""
        port = self._ports[ifnet.ident]
        if not port.index:
            return
        socket = self._ports.vnets[port.vnet].socket
        with as_freebsd():
            self._epairs.bury()
            try:
                socket.request(links.rename(port.speaker, name))
            except NetlinkError as error:
                if error.errno != errno.EBUSY:
                    raise
                # Before Linux 6.2 only what is down can be renamed.
                with kept(socket, port.speaker):
                    socket.request(links.set_flags(port.speaker, 0, links.IFF_UP), links.rename(port.speaker, name))
                    socket.request(links.set_flags(port.speaker, links.IFF_UP, links.IFF_UP))

    def move(self, ifnet: IfNet, vnet: int, name: str, *, ending: bool = False) -> None:
        """Move it to `vnet`, down and without addresses; `ending`: the vnet that it leaves ends."""
        source = self._ports.vnets[self._ports[ifnet.ident].vnet].socket
        port = self._ports.leave(ifnet.ident)
        port.inet6.clear()
        port.addresses.clear()
        port.up = port.inet6_enabled = False
        if port.index:
            with as_freebsd():
                device = DEVICES[ifnet.kind]
                if ending and ifnet.kind is Kind.EPAIR:
                    self._epairs.leave_behind(port, source)
                elif device.stays and device.make is not None:
                    device.make(self._ports.vnets, vnet, [ifnet], name)
                    source.request(links.delete(port.index))
                else:
                    self._epairs.bury()
                    # Promiscuous mode does not go with it; what the core then wants it says again.
                    source.request(
                        links.set_flags(port.index, 0, links.IFF_UP | links.IFF_PROMISC),
                        links.move(port.index, self._ports.vnets[vnet].namespace, name),
                    )
                if port.index:
                    port.index = self._ports.look_up(vnet, name)
        self._ports.enter(port, vnet)

    # --- taking over ---

    def adopt(self, interfaces: Sequence[IfNet]) -> None:
        """Take over interfaces that another server made."""
        for each in interfaces:
            port = Port(each, each.vnet, 0, addresses=[held.address for held in each.addresses])
            if _may_have_device(each):
                with contextlib.suppress(NetlinkError):
                    port.index = self._ports.look_up(each.vnet, each.name)
            self._ports.enter(port, each.vnet)
            if each.member is not None:
                self._stations.adopt(port)
        self._put_right()
        for port in self._ports:
            other = self._ports.find(port.ifnet.peer)
            # The first half's ident is the smaller one.
            if other is not None and port.ifnet.ident < other.ifnet.ident and not (port.index and other.index):
                self._epairs.make_again(port, other)
        for port in self._ports:
            self._adopt_address(port)
        for port in self._ports:
            self._inets.adopt(port)
        for port in self._ports:
            self._stations.put_right(port)
        self._ports.adopt_routes()
        self._epairs.settle()

    def _adopt_address(self, port: Port) -> None:
        """Find out whether a device has the address it should have, or would not take it."""
        if port.index and port.ifnet.lladdr is not None:
            socket = self._ports.vnets[port.vnet].socket
            device = links.read_link(socket.get(*links.get_link_at(port.speaker)))
            if device.address != port.ifnet.lladdr:
                port.lladdr = port.ifnet.lladdr

    def _put_right(self) -> None:
        """Undo what another server had done to devices, but not written down, when it died."""
        vnets = self._ports.vnets
        known = {(port.vnet, index) for port in self._ports for index in port.devices}
        strangers = [
            (vnet, link)
            for vnet in self._ports.vnets_in_use()
            for link in map(links.read_link, vnets[vnet].socket.dump(*links.dump_links()))
            if link.kind in MADE and (vnet, link.index) not in known and not self._is_far_end(link)
        ]
        for port in self._ports:
            alike = [each for each in strangers if each[1].address == port.ifnet.lladdr]
            if port.index or not alike or not _may_have_device(port.ifnet):
                continue
            # The vlans of one parent have one address.
            vnet, link = found = min(alike, key=lambda each: each[1].name != port.ifnet.name)
            strangers.remove(found)
            socket, name = vnets[vnet].socket, port.ifnet.name
            with contextlib.suppress(NetlinkError):
                if vnet == port.vnet:
                    socket.request(links.set_flags(link.index, 0, links.IFF_UP), links.rename(link.index, name))
                else:
                    socket.request(links.move(link.index, vnets[port.vnet].namespace, name))
                port.index = self._ports.look_up(port.vnet, name)
        for vnet, link in strangers:
            if link.kind == "tun":
                # It may be a program's own; one of ours is found again under its name when it is made again.
                continue
            with contextlib.suppress(NetlinkError):
                vnets[vnet].socket.request(tolerant(links.delete(link.index), errno.ENODEV))

    def _is_far_end(self, link: links.Link) -> bool:
        """Whether a device is the far end of a vlan that is bound."""
        ident = link.name.removeprefix(FAR_END)
        port = self._ports.find(int(ident)) if link.name.startswith(FAR_END) and ident.isdigit() else None
        return port is not None and _may_have_device(port.ifnet)


def _may_have_device(ifnet: IfNet) -> bool:
    """Whether there may be a device: not of a vlan that is bound to nothing, nor where there never is one."""
    return DEVICES[ifnet.kind] != Device() and (ifnet.vlan is None or ifnet.vlan.parent is not None)
