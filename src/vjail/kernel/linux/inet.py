"""Addresses of interfaces on Linux, IPv6 on and off, and what there is to be seen of an interface."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address

from vjail.kernel.core.driver import Seen
from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.linux import links
from vjail.kernel.linux.netlink import NetlinkError
from vjail.kernel.linux.ports import Port, Ports, as_freebsd, tolerant
from vjail.kernel.observed import Address, Inet, Inet6, Kind, Nd6

_CONF6 = "/proc/sys/net/ipv6/conf"


class Inets:
    """The addresses of all interfaces."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def set_inet6(self, ifnet: IfNet, enabled: bool) -> None:
        """Whether IPv6 runs on it at all."""
        port = self._ports[ifnet.ident]
        port.inet6_enabled = enabled
        if not port.index:
            return
        with as_freebsd():
            self._ports.vnets.write(port.vnet, {f"{_CONF6}/{ifnet.name}/disable_ipv6": str(int(not enabled))})
            if enabled:
                self.restore_inet6(port)

    def restore_inet6(self, port: Port) -> None:
        """Give a device the IPv6 addresses that Linux drops of what is down. Raises NetlinkError."""
        if port.inet6_enabled and port.inet6:
            requests = [links.add_inet6(port.speaker, each.address, each.prefixlen) for each in port.inet6.values()]
            self._ports.vnets[port.vnet].socket.request(*requests)

    def adopt(self, port: Port) -> None:
        """Know again what another server set on an interface."""
        fib = self._ports.fib(port)
        port.up = port.ifnet.up
        fib.set_up(port.ifnet.ident, port.up)
        for held in port.ifnet.addresses:
            fib.add_address(port.ifnet.ident, held.address)
        port.inet6_enabled = Nd6.IFDISABLED not in port.ifnet.nd6
        port.inet6 = {a.address: a for a in (h.address for h in port.ifnet.addresses) if isinstance(a, Inet6)}
        if port.index:
            with contextlib.suppress(OSError):
                path = f"{_CONF6}/{port.ifnet.name}/disable_ipv6"
                port.inet6_enabled = self._ports.vnets.read(port.vnet, path) == "0"

    # --- addresses ---

    def add_address(self, ifnet: IfNet, address: Address) -> None:
        """Add an address, or replace the same one. Raises KernelError(EEXIST): a static route has its network."""
        port = self._ports[ifnet.ident]
        self._ports.fib(port).add_address(ifnet.ident, address)
        if not port.index:
            port.addresses = [a for a in port.addresses if a.address != address.address] + [address]
            return
        with as_freebsd():
            self.put(port, address)
        if isinstance(address, Inet) and port.up:
            self._announce(port)

    def _announce(self, port: Port) -> None:
        """Tell the neighbours of what is up already which addresses are here now, as FreeBSD's arp_ifinit does.

        Who had one elsewhere before knows it anew at once. Linux does it for what comes up, and for what is given a
        link-layer address, be it the one that it has (arp_notify). A packet socket's end would cost as much as a
        device's.
        """
        lladdr = port.ifnet.lladdr
        if lladdr is not None and port.lladdr is None:
            request = links.set_address(port.speaker, lladdr)
            with contextlib.suppress(NetlinkError):
                self._ports.vnets[port.vnet].socket.request(request)

    def put(self, port: Port, address: Address) -> None:
        """Give a device an address. Raises NetlinkError."""
        match address:
            case Inet6():
                self._put_inet6(port, address)
            case Inet():
                self._put_inet(port, address)

    def take_off(self, port: Port) -> None:
        """Take all addresses off a device, for another to have them. Raises NetlinkError."""
        requests = [
            links.remove_inet(each.index, each.address, each.prefixlen, peer=each.peer)
            for each in self._addresses(port.vnet, port.speaker)
            if isinstance(each.address, IPv4Address)
        ]
        self._ports.vnets[port.vnet].socket.request(*(tolerant(each, errno.EADDRNOTAVAIL) for each in requests))
        self._ports.vnets.write(port.vnet, {f"{_CONF6}/{port.ifnet.name}/disable_ipv6": "1"})

    def put_on(self, port: Port) -> None:
        """Give a device those addresses of its interface that it has not. Raises NetlinkError."""
        self.set_inet6(port.ifnet, port.inet6_enabled)
        there = {each.address for each in self._addresses(port.vnet, port.speaker)}
        for held in port.ifnet.addresses:
            if held.address.address not in there:
                self.put(port, held.address)

    def _put_inet(self, port: Port, address: Inet) -> None:
        socket = self._ports.vnets[port.vnet].socket
        stale = [
            tolerant(
                links.remove_inet(port.speaker, other.address, other.prefixlen, peer=other.peer), errno.EADDRNOTAVAIL
            )
            for other in self._addresses(port.vnet, port.speaker)
            if other.address == address.address and isinstance(other.address, IPv4Address)
        ]
        socket.request(
            *stale,
            links.add_inet(
                port.speaker,
                address.address,
                _prefixlen(address.netmask),
                broadcast=address.broadcast,
                peer=address.destination,
            ),
        )

    def _put_inet6(self, port: Port, address: Inet6) -> None:
        before = port.inet6.get(address.address)
        port.inet6[address.address] = address
        if not port.inet6_enabled:
            return
        socket = self._ports.vnets[port.vnet].socket
        if before is not None and before.prefixlen != address.prefixlen:
            gone = links.remove_inet6(port.speaker, before.address, before.prefixlen)
            socket.request(tolerant(gone, errno.EADDRNOTAVAIL))
        socket.request(links.add_inet6(port.speaker, address.address, address.prefixlen))

    def remove_address(self, ifnet: IfNet, address: Address) -> None:
        """Remove an address, and the static routes that went with it."""
        port = self._ports[ifnet.ident]
        self._ports.fib(port).remove_address(ifnet.ident, address.address)
        if not port.index:
            port.addresses = [a for a in port.addresses if a.address != address.address]
            return
        socket = self._ports.vnets[port.vnet].socket
        with as_freebsd():
            match address:
                case Inet6():
                    port.inet6.pop(address.address, None)
                    request = links.remove_inet6(port.speaker, address.address, address.prefixlen)
                case Inet():
                    length = _prefixlen(address.netmask)
                    request = links.remove_inet(port.speaker, address.address, length, peer=address.destination)
            socket.request(tolerant(request, errno.EADDRNOTAVAIL))
            self._ports.put_routes_in_force(port.vnet)

    def _addresses(self, vnet: int, index: int = 0) -> Iterator[links.LinkAddress]:
        for message in self._ports.vnets[vnet].socket.dump(*links.dump_addresses(index)):
            found = links.read_address(message)
            if found is not None:
                yield found

    # --- what there is ---

    def seen(self, vnet: int) -> Mapping[int, Seen]:
        """What there is in a vnet, by `ident`."""
        socket = self._ports.vnets[vnet].socket
        with as_freebsd():
            devices = {link.index: link for link in map(links.read_link, socket.dump(*links.dump_links()))}
            found: dict[int, list[Address]] = {}
            for each in self._addresses(vnet):
                found.setdefault(each.index, []).append(_address(each))
        return {
            ident: seen
            for ident, port in self._ports.of(vnet).items()
            if (seen := _seen(port, devices.get(port.speaker), found.get(port.speaker, []))) is not None
        }

    def see(self, ifnet: IfNet) -> Seen | None:
        """What there is of one interface, None where it is gone."""
        port = self._ports[ifnet.ident]
        if not port.index:
            return _seen(port, None, [])
        try:
            socket = self._ports.vnets[port.vnet].socket
            device = links.read_link(socket.get(*links.get_link_at(port.speaker)))
        except NetlinkError:
            return None
        return _seen(port, device, [_address(each) for each in self._addresses(port.vnet, port.speaker)])


def _prefixlen(netmask: IPv4Address) -> int:
    """The length of a mask's run of ones; Linux has no others."""
    bits = f"{int(netmask):032b}"
    return len(bits) - len(bits.lstrip("1"))


def _seen(port: Port, device: links.Link | None, addresses: list[Address]) -> Seen | None:
    if device is None:
        # Without a device nothing but the core knows of it.
        return None if port.index else Seen(port.up, port.ifnet.mtu, port.ifnet.lladdr, tuple(port.addresses))
    up = bool(device.flags & links.IFF_UP)
    if not (up and port.inet6_enabled):
        # Linux drops IPv6 addresses of what is down; FreeBSD does not, and they are given back at its up.
        addresses = [a for a in addresses if isinstance(a, Inet)] + list(port.inet6.values())
    lladdr = port.lladdr or (None if port.ifnet.lladdr is None else device.address)
    carrier = device.carrier and port.ifnet.kind in (Kind.TAP, Kind.TUN)
    return Seen(up, device.mtu, lladdr, tuple(addresses), carrier)


def _address(seen: links.LinkAddress) -> Address:
    if isinstance(seen.address, IPv6Address):
        return Inet6(seen.address, seen.prefixlen)
    mask = IPv4Address((0xFFFF_FFFF << (32 - seen.prefixlen)) & 0xFFFF_FFFF)
    return Inet(seen.address, mask, seen.broadcast, seen.peer)
