"""What is set on an interface of any kind: UP, MTU, link-layer address, ARP, promiscuous mode, description."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.errno import KernelError
from vjail.kernel.linux import links
from vjail.kernel.linux.inet import Inets
from vjail.kernel.linux.ports import Ports, as_freebsd, tolerant
from vjail.kernel.linux.vnets import LOOPBACK
from vjail.kernel.observed import Kind


class Settings:
    """Sets what all interfaces have."""

    def __init__(self, ports: Ports, inets: Inets) -> None:
        self._ports = ports
        self._inets = inets

    def set_up(self, ifnet: IfNet, up: bool) -> None:
        """Set or clear UP."""
        self.set_flag_up(ifnet, up)
        if up:
            with as_freebsd():
                self._ports.let_pass(ifnet)

    def set_flag_up(self, ifnet: IfNet, up: bool) -> None:
        """The same, but that frames may pass later only."""
        port = self._ports[ifnet.ident]
        if not port.index:
            port.up = up
            self._ports.fib(port).set_up(ifnet.ident, up)
            return
        socket = self._ports.vnets[port.vnet].socket
        with as_freebsd():
            flags = links.IFF_UP if up else 0
            socket.request(*(links.set_flags(index, flags, links.IFF_UP) for index in port.devices))
            if up and ifnet.name == LOOPBACK and not _has(ifnet, IPv4Address("127.0.0.1")):
                # Linux gives its loopback 127.0.0.1/8; FreeBSD leaves that to rc.
                request = links.remove_inet(port.index, IPv4Address("127.0.0.1"), 8)
                socket.request(tolerant(request, errno.EADDRNOTAVAIL))
            if up:
                self._inets.restore_inet6(port)
            port.up = up
            self._ports.fib(port).set_up(ifnet.ident, up)
            if up:
                # What was lost with the device's going down comes back with it.
                self._ports.put_routes_in_force(port.vnet)

    def set_mtu(self, ifnet: IfNet, mtu: int) -> None:
        """Set the MTU, bytes."""
        port = self._ports[ifnet.ident]
        with as_freebsd():
            self._ports.socket(ifnet).request(*(links.set_mtu(index, mtu) for index in port.devices))

    def set_lladdr(self, ifnet: IfNet, lladdr: bytes) -> None:
        """Set the link-layer address."""
        port = self._ports[ifnet.ident]
        port.lladdr = None
        try:
            self._ports.request_of_speaker(ifnet, lambda index: links.set_address(index, lladdr))
        except KernelError:
            # FreeBSD takes any six bytes, Linux no group address.
            port.lladdr = lladdr

    def set_arp(self, ifnet: IfNet, arp: bool) -> None:
        """Whether it answers and asks ARP."""
        flags = 0 if arp else links.IFF_NOARP
        self._ports.request_of_speaker(ifnet, lambda index: links.set_flags(index, flags, links.IFF_NOARP))

    def set_promiscuous(self, ifnet: IfNet, promiscuous: bool) -> None:
        """Whether a user asked for promiscuous mode."""
        flags = links.IFF_PROMISC if promiscuous else 0
        self._ports.request(ifnet, lambda index: links.set_flags(index, flags, links.IFF_PROMISC))

    def set_carrier(self, ifnet: IfNet, carrier: bool) -> None:
        """Let programs know of the carrier of what does not have it of the wire itself."""
        port = self._ports[ifnet.ident]
        if port.station or ifnet.kind is Kind.VLAN:
            self._ports.request_of_speaker(ifnet, lambda index: links.set_operational(index, carrier))

    def set_description(self, ifnet: IfNet, text: str) -> None:
        """Note the description, where `ip link` shows it."""
        self._ports.request_of_speaker(ifnet, lambda index: links.set_alias(index, text))


def _has(ifnet: IfNet, address: IPv4Address) -> bool:
    return any(held.address.address == address for held in ifnet.addresses)
