"""Epairs made late, moved late and removed in groups: what waits until somebody could tell the difference.

Making a veth pair costs Linux half a millisecond; moving one of its ends to another vnet, or removing it, 15 to 30,
waiting until all CPUs have let go of the device (rcu_barrier). So

- a pair is made when both halves are up, or when somebody looks: by then a jail's half is where it belongs, and the
  device is made there;
- a half that goes home from a vnet's end stays down where it is, out of sight, until somebody looks, or the pair goes;
- pairs that go are put down at once, and removed together, which costs as much as one alone.

Nobody sees a difference: `settle` is called before a process starts or goes on in the lab and before anything here asks
the kernel for what it cannot know itself. What waits when the server dies the next one makes good (Making.adopt): to it
an interface without its device is one to be made, a device without an interface one to be removed.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux import links
from vjail.kernel.linux.inet import Inets
from vjail.kernel.linux.netlink import Request, Socket
from vjail.kernel.linux.ports import Port, Ports, as_freebsd, tolerant
from vjail.kernel.linux.settings import Settings
from vjail.kernel.observed import Iff

Attach = Callable[[IfNet, IfNet], None]
_GOING = 0x766A
"""The group of devices that are to be removed."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Away:
    """A device that is still in a vnet its interface has left: the vnet's socket, our own, and the device's index."""

    socket: Socket
    index: int


class Epairs:
    """The epairs of all vnets whose devices are not, or not yet, what their interfaces are."""

    def __init__(self, ports: Ports, inets: Inets, settings: Settings, attach: Attach) -> None:
        """`attach` lets a bridge have a member's frames."""
        self._ports = ports
        self._inets = inets
        self._settings = settings
        self._attach = attach
        self._unmade: dict[int, None] = {}
        """The first halves of pairs that have no devices."""
        self._away: dict[int, _Away] = {}
        """Halves whose devices are elsewhere."""
        self._going: dict[int, list[int]] = {}
        """The indexes of devices that are to be removed, by vnet."""

    def create(self, interfaces: Sequence[IfNet]) -> None:
        """A new pair, whose devices are made later."""
        for each in interfaces:
            self._ports.enter(Port(each, each.vnet, 0), each.vnet)
        self._unmade[interfaces[0].ident] = None

    def leave_behind(self, port: Port, socket: Socket) -> None:
        """A half that has a device leaves a vnet that ends, `socket`'s; the device stays there for the time being."""
        socket.request(links.set_flags(port.index, 0, links.IFF_UP | links.IFF_PROMISC))
        self._away[port.ifnet.ident] = _Away(socket.again(), port.index)
        port.index = 0

    def destroy(self, ports: Sequence[Port]) -> None:
        """A pair goes, whose halves have left their vnets."""
        if self._unmade.pop(ports[0].ifnet.ident, 0) is None:
            return
        for port in ports:
            away = self._away.pop(port.ifnet.ident, None)
            if away is not None:
                # Nothing holds the vnet any more, and with that the kernel removes the device, and so the pair.
                away.socket.close()
        there = sorted((port for port in ports if port.index), key=lambda port: port.vnet)
        for port in there:
            socket = self._ports.vnets[port.vnet].socket
            socket.request(tolerant(links.set_flags(port.index, 0, links.IFF_UP), errno.ENODEV))
        if there:
            self._going.setdefault(there[0].vnet, []).append(there[0].index)

    def came_up(self, ifnet: IfNet) -> None:
        """An interface came up: from the moment on that both halves of a pair are, packets can tell whether it is."""
        port, other = self._ports[ifnet.ident], self._ports.find(ifnet.peer)
        if other is None or (port.index and other.index) or not (port.up and other.up):
            return
        with as_freebsd():
            self._realise(*((port, other) if port.ifnet.ident in self._unmade else (other, port)))

    def settle(self) -> None:
        """Let everything be as its interface is."""
        self.bury()
        idents = [*self._unmade, *self._away]
        for ident in idents:
            port = self._ports.find(ident)
            if port is None or port.index:
                continue
            other = self._ports.find(port.ifnet.peer)
            try:
                if other is not None:
                    self._realise(port, other)
            except (OSError, KernelError) as error:
                _log.warning("%s: cannot be made: %s", port.ifnet.name, error)
                self._unmade.pop(ident, None)

    def bury(self) -> None:
        """Remove what is to be removed."""
        going, self._going = self._going, {}
        for vnet, indexes in going.items():
            if vnet not in self._ports.vnets:
                continue  # they have gone with it
            socket = self._ports.vnets[vnet].socket
            socket.request(*(tolerant(links.set_group(index, _GOING), errno.ENODEV) for index in indexes))
            socket.request(tolerant(links.delete_group(_GOING), errno.ENODEV))

    def make_again(self, port: Port, other: Port) -> None:
        """Let a pair that should be there, and is not or only in part, be made as if it were new."""
        for each in (port, other):
            if each.index:
                socket = self._ports.vnets[each.vnet].socket
                socket.request(tolerant(links.delete(each.index), errno.ENODEV))
                each.index = 0
        self._unmade[port.ifnet.ident] = None

    # --- making it so ---

    def _realise(self, first: Port, second: Port) -> None:
        """Make a pair, or bring its devices to where they belong, and give them what their interfaces have."""
        self.bury()
        changed = [port for port in (first, second) if not port.index]
        if first.ifnet.ident in self._unmade:
            self._make(first, second)
            del self._unmade[first.ifnet.ident]
        else:
            for port in changed:
                self._fetch(port)
        for port in changed:
            self._furnish(port)
        for port in changed:
            if port.up:
                self._settings.set_flag_up(port.ifnet, True)
        self._ports.let_pass(first.ifnet)

    def _make(self, first: Port, second: Port) -> None:
        vnets = self._ports.vnets
        namespace = vnets[second.vnet].namespace if second.vnet != first.vnet else None
        a, b = ((port.ifnet.name, _usable(port.ifnet)) for port in (first, second))
        request = links.new_veth(a, b, first.ifnet.mtu, namespaces=(None, namespace))
        vnets[first.vnet].socket.request(request)
        for port in (first, second):
            port.index = self._ports.look_up(port.vnet, port.ifnet.name)
            if _usable(port.ifnet) != port.ifnet.lladdr:
                port.lladdr = port.ifnet.lladdr
        if second.ifnet.mtu != first.ifnet.mtu:
            vnets[second.vnet].socket.request(links.set_mtu(second.index, second.ifnet.mtu))

    def _fetch(self, port: Port) -> None:
        away = self._away.pop(port.ifnet.ident)
        try:
            away.socket.request(links.move(away.index, self._ports.vnets[port.vnet].namespace, port.ifnet.name))
        finally:
            away.socket.close()
        port.index = self._ports.look_up(port.vnet, port.ifnet.name)

    def _furnish(self, port: Port) -> None:
        """Give a new device all but UP."""
        ifnet, requests = port.ifnet, list[Request]()
        for flag, bit in ((Iff.NOARP, links.IFF_NOARP), (Iff.PPROMISC, links.IFF_PROMISC)):
            if flag in ifnet.flags:
                requests.append(links.set_flags(port.index, bit, bit))
        if ifnet.description is not None:
            requests.append(links.set_alias(port.index, ifnet.description))
        self._ports.vnets[port.vnet].socket.request(*requests)
        addresses, port.addresses = port.addresses, []
        if port.inet6_enabled:
            self._inets.set_inet6(ifnet, True)
        for address in addresses:
            self._inets.put(port, address)
        bridge = self._ports.find(ifnet.member.bridge) if ifnet.member is not None else None
        if bridge is not None and bridge.ifnet.up:
            self._attach(bridge.ifnet, ifnet)


def _usable(ifnet: IfNet) -> bytes:
    """An address that Linux gives a device: FreeBSD takes any six bytes, Linux no group's."""
    for address in (ifnet.lladdr, ifnet.hwaddr):
        if address is not None and not address[0] & 1:
            return address
    raise KernelError(Errno.EADDRNOTAVAIL)
