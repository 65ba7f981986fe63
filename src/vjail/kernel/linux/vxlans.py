"""vxlan(4) on Linux: the devices of vxlans that are set to something.

Linux lets little of a vxlan be changed, so a changed one is made anew. It speaks through the vnet it is in, as
FreeBSD's does. Sources: linux/if_link.h (IFLA_VXLAN_*).
"""

from __future__ import annotations

import errno
import struct

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.linux import links
from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.inet import Inets
from vjail.kernel.linux.netlink import Request
from vjail.kernel.linux.ports import Ports, as_freebsd, tolerant
from vjail.kernel.linux.settings import Settings
from vjail.kernel.observed import Vxlan

_ID, _GROUP, _LINK, _LOCAL, _TTL, _LEARNING, _AGEING, _LIMIT, _PORT_RANGE, _PORT, _GROUP6, _LOCAL6 = (
    1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17,
)  # fmt: skip
_EVERY_ADDRESS = bytes(6)
"""The link-layer address of the entry that says where frames for unknown addresses go."""


class Vxlans:
    """The vxlans of all vnets. One that lacks something it needs has no device."""

    def __init__(self, ports: Ports, inets: Inets, settings: Settings) -> None:
        self._ports = ports
        self._inets = inets
        self._settings = settings

    def bind(self, vxlan: IfNet) -> None:
        """Make the device anew, with all that the interface has. Raises KernelError."""
        port, state = self._ports[vxlan.ident], vxlan.vxlan
        self.unbind(vxlan)
        if state is None:
            return
        settings = state.settings
        device = 0
        if settings.device:
            device = next((p.index for p in self._ports.of(port.vnet).values() if p.ifnet.name == settings.device), 0)
            if not device:
                return
        socket = self._ports.vnets[port.vnet].socket
        with as_freebsd():
            socket.request(_new_vxlan(vxlan.name, vxlan.lladdr or bytes(6), vxlan.mtu, settings, device))
            port.index = self._ports.look_up(port.vnet, vxlan.name)
            if settings.remote is not None and _has_ports_apart(settings):
                socket.request(links.add_remote(port.index, settings.remote, settings.remote_port))
            self._inets.set_inet6(vxlan, port.inet6_enabled)
            for held in vxlan.addresses:
                self._inets.put(port, held.address)
        if port.up:
            self._settings.set_up(vxlan, True)

    def unbind(self, vxlan: IfNet) -> None:
        """Remove the device."""
        port = self._ports[vxlan.ident]
        if port.index:
            with as_freebsd():
                self._ports.vnets[port.vnet].socket.request(tolerant(links.delete(port.index), errno.ENODEV))
            port.index, port.lladdr = 0, None
            port.addresses = [held.address for held in vxlan.addresses]
            port.inet6.clear()

    def flush(self, vxlan: IfNet) -> None:
        """Forget which remote address is behind which link-layer address."""
        port = self._ports[vxlan.ident]
        if not port.index:
            return
        socket = self._ports.vnets[port.vnet].socket
        with as_freebsd():
            entries = map(links.read_entry, socket.dump(*links.dump_device_forwarding(port.index)))
            socket.request(
                *(
                    tolerant(links.delete_device_forwarding(port.index, entry.lladdr), errno.ENOENT)
                    for entry in entries
                    if entry.index == port.index and entry.lladdr not in (None, _EVERY_ADDRESS)
                )
            )


def _has_ports_apart(settings: Vxlan) -> bool:
    """Whether it is reached by another port than it sends to: what Linux learnt it would send to the wrong one."""
    return settings.remote_port != settings.local_port and not (settings.remote and settings.remote.is_multicast)


def _new_vxlan(name: str, address: bytes, mtu: int, settings: Vxlan, device: int) -> Request:
    """A vxlan as it is set; `device` is the index of the link its group is joined on, 0 for any."""
    remote, local = settings.remote, settings.local
    data = [
        nl.u32(_ID, settings.vni or 0),
        nl.u8(_TTL, settings.ttl),
        nl.u8(_LEARNING, settings.learn and not _has_ports_apart(settings)),
        nl.u32(_AGEING, settings.timeout),
        nl.u32(_LIMIT, settings.maxaddr),
        nl.attribute(_PORT, struct.pack(">H", settings.local_port)),
        nl.attribute(_PORT_RANGE, struct.pack(">HH", settings.first_port, settings.last_port)),
    ]
    if remote is not None and not _has_ports_apart(settings):
        data.append(nl.attribute(_GROUP if remote.version == 4 else _GROUP6, remote.packed))
    if local is not None and int(local):
        data.append(nl.attribute(_LOCAL if local.version == 4 else _LOCAL6, local.packed))
    if device:
        data.append(nl.u32(_LINK, device))
    kind = nl.text(links.IFLA_INFO_KIND, "vxlan"), nl.nested(links.IFLA_INFO_DATA, *data)
    body = links.info() + nl.text(links.IFLA_IFNAME, name) + nl.attribute(links.IFLA_ADDRESS, address)
    body += nl.u32(links.IFLA_MTU, mtu) + nl.nested(links.IFLA_LINKINFO, *kind)
    return Request(nl.RTM_NEWLINK, body, nl.NLM_F_CREATE | nl.NLM_F_EXCL)
