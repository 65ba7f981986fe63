"""vlan(4) on Linux: the devices of vlans that are bound to a parent."""

from __future__ import annotations

import errno
import logging

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux import links
from vjail.kernel.linux.inet import Inets
from vjail.kernel.linux.netlink import NetlinkError
from vjail.kernel.linux.ports import Ports, as_freebsd, tolerant
from vjail.kernel.linux.settings import Settings

_log = logging.getLogger(__name__)


class Vlans:
    """The vlans of all vnets. One that is bound to nothing has no device."""

    def __init__(self, ports: Ports, inets: Inets, settings: Settings) -> None:
        self._ports = ports
        self._inets = inets
        self._settings = settings

    def bind(self, vlan: IfNet, parent: IfNet) -> None:
        """Tag what `vlan` sends; where this kernel knows no vlans it stays without a device, and nothing is sent."""
        port, above = self._ports[vlan.ident], self._ports[parent.ident].index
        state = vlan.vlan
        self.unbind(vlan)
        if state is None or not above:
            return
        socket = self._ports.vnets[port.vnet].socket
        try:
            socket.request(links.new_vlan(vlan.name, above, state.tag, state.proto, state.pcp))
        except NetlinkError as error:
            if error.errno == errno.EOPNOTSUPP:
                _log.warning("%s: this machine's kernel has no 8021q; nothing is sent", vlan.name)
                return
            raise KernelError(Errno.of_host(error.errno)) from error
        with as_freebsd():
            port.index = self._ports.look_up(port.vnet, vlan.name)
            self._inets.set_inet6(vlan, port.inet6_enabled)
            for held in vlan.addresses:
                self._inets.put(port, held.address)
        if port.up:
            self._settings.set_up(vlan, True)

    def unbind(self, vlan: IfNet) -> None:
        """The opposite of bind."""
        port = self._ports[vlan.ident]
        if port.index:
            with as_freebsd():
                self._ports.vnets[port.vnet].socket.request(tolerant(links.delete(port.index), errno.ENODEV))
            port.index, port.lladdr = 0, None
            port.addresses = [held.address for held in vlan.addresses]
            port.inet6.clear()
