"""The network driver on Linux: what the core's rules decided, with netlink (links.py) and /proc/sys/net.

FreeBSD and Linux differ in what an interface keeps while it is down, in IPv6 and in names; where Linux forgets what
FreeBSD keeps, the driver remembers it here and gives it back. An interface with nothing to carry (pflog, a vlan that is
bound to nothing) has no device.
"""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from vjail.kernel.core.driver import Seen
from vjail.kernel.core.fib import NOWHERE, Entry, Fib, as_route
from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.core.journal import Journal
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux import links
from vjail.kernel.linux.netlink import NetlinkError, Request, Socket
from vjail.kernel.linux.routes import RouteTable, adopt, kept, recorded, static
from vjail.kernel.linux.vnets import LOOPBACK, VnetSpaces
from vjail.kernel.observed import (
    Address,
    Inet,
    Inet6,
    Kind,
    MemberFlag,
    Neighbour,
    NeighbourState,
    Route,
    RouteFlag,
)
from vjail.kernel.operations import RouteSpec

_log = logging.getLogger(__name__)
_IPV6 = "/proc/sys/net/ipv6"
_ARP_EXPIRES = 1200
"""Seconds an ARP entry lasts (net.link.ether.inet.max_age)."""
_TICKS = 100
_ROUTES = "routes"
_MADE = ("veth", "bridge", "vlan")
"""The kinds of devices that are made here."""


@dataclass(slots=True)
class Port:
    """What the driver keeps of an interface: its device's index in its vnet (0: none), and what Linux forgets."""

    ifnet: IfNet
    vnet: int
    index: int
    up: bool = False
    inet6_enabled: bool = False
    inet6: dict[IPv6Address, Inet6] = field(default_factory=dict)
    lladdr: bytes | None = None
    """An address the device would not take, shown all the same."""
    addresses: list[Address] = field(default_factory=list)
    """Of an interface without a device."""


class LinuxNetwork:
    """A `NetworkDriver` (core/driver.py)."""

    def __init__(self, vnets: VnetSpaces, journal: Journal) -> None:
        self._vnets = vnets
        self._journal = journal
        self._recorded: dict[int, list[Entry]] = {}
        """The static routes of each vnet as they are in the journal: the kernel has only those that can be now."""
        self._ports: dict[int, Port] = {}
        self._in_vnet: dict[int, dict[int, Port]] = {}
        self._tables: dict[int, RouteTable] = {}

    def _enter(self, port: Port, vnet: int) -> None:
        ident = port.ifnet.ident
        port.vnet = vnet
        self._ports[ident] = port
        self._in_vnet.setdefault(vnet, {})[ident] = port
        if vnet not in self._tables:
            fib = Fib(lambda other: self._ports[other].ifnet.index)
            self._tables[vnet] = RouteTable(self._vnets[vnet].socket, fib)
        self._tables[vnet].fib.attach(ident, loopback=port.ifnet.kind is Kind.LOOPBACK)

    def _leave(self, ident: int) -> Port:
        port = self._ports[ident]
        self._tables[port.vnet].fib.detach(ident)
        del self._in_vnet[port.vnet][ident], self._ports[ident]
        self._record_routes(port.vnet)
        if not self._in_vnet[port.vnet]:
            del self._in_vnet[port.vnet], self._tables[port.vnet]
        return port

    def _record_routes(self, vnet: int) -> None:
        routes = static(self._tables[vnet].fib)
        if routes == self._recorded.get(vnet, []):
            return
        if routes:
            self._recorded[vnet] = routes
            self._journal.put(_ROUTES, str(vnet), {"static": [recorded(entry) for entry in routes]})
        else:
            del self._recorded[vnet]
            self._journal.drop(_ROUTES, str(vnet))

    def index_of(self, vnet: int, name: str) -> int:
        """The index of the device of that name in a vnet, 0 where it has none or is not there."""
        found = (port.index for port in self._in_vnet[vnet].values() if port.ifnet.name == name)
        return next(found, 0)

    def check_reachable(self, vnet: int, destination: IPv4Address | IPv6Address, zone: str | None) -> None:
        """Raise what FreeBSD's ip_output(9) says of a destination where Linux says something else, or nothing."""
        ports = self._in_vnet[vnet]
        ident = next((each for each, port in ports.items() if port.ifnet.name == zone), None)
        for entry in self._tables[vnet].fib.lookup(destination, ident)[:1]:
            if entry.flags & NOWHERE:
                raise KernelError(Errno.ENETUNREACH)
            port = ports.get(entry.link)
            own = RouteFlag.HOST in entry.flags and RouteFlag.PINNED in entry.flags
            if own and not ports[entry.out].up:
                raise KernelError(Errno.EHOSTUNREACH)
            if port is not None and not port.index and not own:
                raise KernelError(Errno.ENETDOWN)

    def is_through_gateway(self, vnet: int, destination: IPv4Address | IPv6Address) -> bool:
        """Whether the way to a destination leads through a gateway."""
        return any(RouteFlag.GATEWAY in entry.flags for entry in self._tables[vnet].fib.lookup(destination)[:1])

    # --- making and moving -------------------------------------------------------------------------------------------

    def create(self, interfaces: Sequence[IfNet]) -> None:
        """Make an interface, or both halves of an epair."""
        first = interfaces[0]
        with _freebsd():
            match first.kind:
                case Kind.EPAIR:
                    a, b = ((each.name, each.lladdr or bytes(6)) for each in interfaces)
                    self._socket(first).request(links.new_veth(a, b, first.mtu))
                case Kind.BRIDGE:
                    self._make_bridge(first, first.vnet, first.name)
                case Kind.LOOPBACK if first.name != LOOPBACK:
                    # Linux has one loopback to a namespace; a bridge without ports keeps addresses just as well.
                    self._make_bridge(first, first.vnet, first.name)
                case Kind.LOOPBACK:
                    self._socket(first).request(links.set_mtu(self._look_up(first.vnet, first.name), first.mtu))
                case Kind.NIC:
                    pass  # found under its name, as a vnet's lo0
                case Kind.PFLOG | Kind.VLAN:
                    self._enter(Port(first, first.vnet, 0), first.vnet)
                    return
                case _:
                    raise KernelError(Errno.EOPNOTSUPP)
        for each in interfaces:
            self._enter(Port(each, each.vnet, self._look_up(each.vnet, each.name)), each.vnet)
        if first.kind is Kind.LOOPBACK:
            self.set_inet6(first, True)

    def adopt(self, interfaces: Sequence[IfNet]) -> None:
        """Take over interfaces that another server made."""
        for each in interfaces:
            port = Port(each, each.vnet, 0, addresses=[held.address for held in each.addresses])
            with contextlib.suppress(NetlinkError):
                port.index = self._look_up(each.vnet, each.name)
            self._enter(port, each.vnet)
        self._put_right()
        for port in self._ports.values():
            self._adopt_address(port)
        for port in self._ports.values():
            fib = self._tables[port.vnet].fib
            port.up = port.ifnet.up
            fib.set_up(port.ifnet.ident, port.up)
            for held in port.ifnet.addresses:
                fib.add_address(port.ifnet.ident, held.address)
            port.inet6 = {a.address: a for a in (h.address for h in port.ifnet.addresses) if isinstance(a, Inet6)}
            if port.index:
                path = f"{_IPV6}/conf/{port.ifnet.name}/disable_ipv6"
                with contextlib.suppress(OSError):
                    port.inet6_enabled = self._vnets.read(port.vnet, path) == "0"
        for key, record in self._journal.records(_ROUTES):
            found: Any = record["static"]
            adopt(self._tables[int(key)].fib, found)
            self._recorded[int(key)] = static(self._tables[int(key)].fib)
            self._route(int(key))

    def _adopt_address(self, port: Port) -> None:
        """Find out whether a device has the address it should have, or would not take it."""
        if port.index and port.ifnet.lladdr is not None:
            device = links.read_link(self._vnets[port.vnet].socket.get(*links.get_link_at(port.index)))
            if device.address != port.ifnet.lladdr:
                port.lladdr = port.ifnet.lladdr

    def _put_right(self) -> None:
        """Undo what another server had done to devices, but not written down, when it died."""
        known = {(port.vnet, port.index) for port in self._ports.values()}
        strangers: dict[bytes, tuple[int, links.Link]] = {}
        for vnet in self._in_vnet:
            for link in map(links.read_link, self._vnets[vnet].socket.dump(*links.dump_links())):
                if link.kind in _MADE and (vnet, link.index) not in known:
                    strangers[link.address] = vnet, link
        for port in self._ports.values():
            found = strangers.pop(port.ifnet.lladdr or b"", None) if not port.index else None
            if found is None:
                continue
            vnet, link = found
            socket, name = self._vnets[vnet].socket, port.ifnet.name
            with contextlib.suppress(NetlinkError):
                if vnet == port.vnet:
                    socket.request(links.set_flags(link.index, 0, links.IFF_UP), links.rename(link.index, name))
                else:
                    socket.request(links.move(link.index, self._vnets[port.vnet].namespace, name))
                port.index = self._look_up(port.vnet, name)
        for vnet, link in strangers.values():
            with contextlib.suppress(NetlinkError):
                self._vnets[vnet].socket.request(_tolerant(links.delete(link.index), errno.ENODEV))

    def _make_bridge(self, ifnet: IfNet, vnet: int, name: str) -> None:
        socket = self._vnets[vnet].socket
        socket.request(links.new_bridge(name, ifnet.lladdr or b"\x02\0\0\0\0\1", _bridge_settings(ifnet)))
        # An MTU that was set is not changed by members that come and go.
        socket.request(links.set_mtu(self._look_up(vnet, name), ifnet.mtu))

    def destroy(self, interfaces: Sequence[IfNet]) -> None:
        """Remove an interface, or both halves of an epair, wherever they are."""
        ports = [self._leave(each.ident) for each in interfaces]
        first = ports[0]
        if first.index and first.ifnet.name != LOOPBACK:
            with _freebsd():
                self._vnets[first.vnet].socket.request(_tolerant(links.delete(first.index), errno.ENODEV))

    def rename(self, ifnet: IfNet, name: str) -> None:
        """Give it another name."""
        port = self._ports[ifnet.ident]
        if not port.index:
            return
        socket = self._vnets[port.vnet].socket
        with _freebsd():
            try:
                socket.request(links.rename(port.index, name))
            except NetlinkError as error:
                if error.errno != errno.EBUSY:
                    raise
                # Before Linux 6.2 only what is down can be renamed.
                with kept(socket, port.index):
                    socket.request(links.set_flags(port.index, 0, links.IFF_UP), links.rename(port.index, name))
                    socket.request(links.set_flags(port.index, links.IFF_UP, links.IFF_UP))

    def move(self, ifnet: IfNet, vnet: int, name: str) -> None:
        """Move it to `vnet`, down and without addresses."""
        source = self._vnets[self._ports[ifnet.ident].vnet].socket
        port = self._leave(ifnet.ident)
        port.inet6.clear()
        port.addresses.clear()
        port.up = port.inet6_enabled = False
        if port.index:
            with _freebsd():
                if ifnet.kind in (Kind.BRIDGE, Kind.LOOPBACK):
                    # Linux keeps a bridge where it was made.
                    self._make_bridge(ifnet, vnet, name)
                    source.request(links.delete(port.index))
                else:
                    # Promiscuous mode does not go with it; what the core then wants it says again.
                    source.request(
                        links.set_flags(port.index, 0, links.IFF_UP | links.IFF_PROMISC),
                        links.move(port.index, self._vnets[vnet].namespace, name),
                    )
                port.index = self._look_up(vnet, name)
        self._enter(port, vnet)

    # --- settings ----------------------------------------------------------------------------------------------------

    def set_up(self, ifnet: IfNet, up: bool) -> None:
        """Set or clear UP."""
        port = self._ports[ifnet.ident]
        if not port.index:
            port.up = up
            self._tables[port.vnet].fib.set_up(ifnet.ident, up)
            return
        socket = self._vnets[port.vnet].socket
        with _freebsd():
            socket.request(links.set_flags(port.index, links.IFF_UP if up else 0, links.IFF_UP))
            if up and ifnet.name == LOOPBACK and not _has(ifnet, IPv4Address("127.0.0.1")):
                # Linux gives its loopback 127.0.0.1/8; FreeBSD leaves that to rc.
                request = links.remove_inet(port.index, IPv4Address("127.0.0.1"), 8)
                socket.request(_tolerant(request, errno.EADDRNOTAVAIL))
            if up:
                self._restore_inet6(port)
            port.up = up
            self._tables[port.vnet].fib.set_up(ifnet.ident, up)
            if up:
                # What was lost with the device's going down comes back with it.
                self._route(port.vnet)
                self._let_pass(ifnet)

    def set_mtu(self, ifnet: IfNet, mtu: int) -> None:
        """Set the MTU, bytes."""
        self._request(ifnet, lambda index: links.set_mtu(index, mtu))

    def set_lladdr(self, ifnet: IfNet, lladdr: bytes) -> None:
        """Set the link-layer address."""
        port = self._ports[ifnet.ident]
        port.lladdr = None
        try:
            self._request(ifnet, lambda index: links.set_address(index, lladdr))
        except KernelError:
            # FreeBSD takes any six bytes, Linux no group address.
            port.lladdr = lladdr

    def set_arp(self, ifnet: IfNet, arp: bool) -> None:
        """Whether it answers and asks ARP."""
        flags = 0 if arp else links.IFF_NOARP
        self._request(ifnet, lambda index: links.set_flags(index, flags, links.IFF_NOARP))

    def set_promiscuous(self, ifnet: IfNet, promiscuous: bool) -> None:
        """Whether a user asked for promiscuous mode."""
        flags = links.IFF_PROMISC if promiscuous else 0
        self._request(ifnet, lambda index: links.set_flags(index, flags, links.IFF_PROMISC))

    def set_description(self, ifnet: IfNet, text: str) -> None:
        """Note the description, where `ip link` shows it."""
        self._request(ifnet, lambda index: links.set_alias(index, text))

    def set_inet6(self, ifnet: IfNet, enabled: bool) -> None:
        """Whether IPv6 runs on it at all."""
        port = self._ports[ifnet.ident]
        port.inet6_enabled = enabled
        if not port.index:
            return
        with _freebsd():
            path = f"{_IPV6}/conf/{ifnet.name}/disable_ipv6"
            self._vnets.write(port.vnet, {path: str(int(not enabled))})
            if enabled:
                self._restore_inet6(port)

    def _restore_inet6(self, port: Port) -> None:
        if port.inet6_enabled and port.inet6:
            requests = [links.add_inet6(port.index, each.address, each.prefixlen) for each in port.inet6.values()]
            self._vnets[port.vnet].socket.request(*requests)

    # --- addresses ---------------------------------------------------------------------------------------------------

    def add_address(self, ifnet: IfNet, address: Address) -> None:
        """Add an address, or replace the same one. Raises KernelError(EEXIST): a static route has its network."""
        port = self._ports[ifnet.ident]
        self._tables[port.vnet].fib.add_address(ifnet.ident, address)
        if not port.index:
            port.addresses = [a for a in port.addresses if a.address != address.address] + [address]
            return
        with _freebsd():
            self._put(port, address)

    def _put(self, port: Port, address: Address) -> None:
        match address:
            case Inet6():
                self._add_inet6(port, address)
            case Inet():
                self._add_inet(port, address)

    def _add_inet(self, port: Port, address: Inet) -> None:
        socket = self._vnets[port.vnet].socket
        stale = [
            _tolerant(
                links.remove_inet(port.index, other.address, other.prefixlen, peer=other.peer), errno.EADDRNOTAVAIL
            )
            for other in self._addresses(port.vnet, port.index)
            if other.address == address.address and isinstance(other.address, IPv4Address)
        ]
        socket.request(
            *stale,
            links.add_inet(
                port.index,
                address.address,
                _prefixlen(address.netmask),
                broadcast=address.broadcast,
                peer=address.destination,
            ),
        )

    def _add_inet6(self, port: Port, address: Inet6) -> None:
        before = port.inet6.get(address.address)
        port.inet6[address.address] = address
        if not port.inet6_enabled:
            return
        socket = self._vnets[port.vnet].socket
        if before is not None and before.prefixlen != address.prefixlen:
            gone = links.remove_inet6(port.index, before.address, before.prefixlen)
            socket.request(_tolerant(gone, errno.EADDRNOTAVAIL))
        socket.request(links.add_inet6(port.index, address.address, address.prefixlen))

    def remove_address(self, ifnet: IfNet, address: Address) -> None:
        """Remove an address, and the static routes that went with it."""
        port = self._ports[ifnet.ident]
        self._tables[port.vnet].fib.remove_address(ifnet.ident, address.address)
        if not port.index:
            port.addresses = [a for a in port.addresses if a.address != address.address]
            return
        socket = self._vnets[port.vnet].socket
        with _freebsd():
            match address:
                case Inet6():
                    port.inet6.pop(address.address, None)
                    request = links.remove_inet6(port.index, address.address, address.prefixlen)
                case Inet():
                    length = _prefixlen(address.netmask)
                    request = links.remove_inet(port.index, address.address, length, peer=address.destination)
            socket.request(_tolerant(request, errno.EADDRNOTAVAIL))
            self._route(port.vnet)

    def _addresses(self, vnet: int, index: int = 0) -> Iterator[links.LinkAddress]:
        for message in self._vnets[vnet].socket.dump(*links.dump_addresses(index)):
            found = links.read_address(message)
            if found is not None:
                yield found

    def seen(self, vnet: int) -> Mapping[int, Seen]:
        """What there is in a vnet, by `ident`."""
        socket = self._vnets[vnet].socket
        with _freebsd():
            devices = {link.index: link for link in map(links.read_link, socket.dump(*links.dump_links()))}
            found: dict[int, list[Address]] = {}
            for each in self._addresses(vnet):
                found.setdefault(each.index, []).append(_address(each))
        return {
            ident: seen
            for ident, port in self._in_vnet.get(vnet, {}).items()
            if (seen := _seen(port, devices.get(port.index), found.get(port.index, []))) is not None
        }

    def see(self, ifnet: IfNet) -> Seen | None:
        """What there is of one interface, None where it is gone."""
        port = self._ports[ifnet.ident]
        if not port.index:
            return _seen(port, None, [])
        try:
            device = links.read_link(self._vnets[port.vnet].socket.get(*links.get_link_at(port.index)))
        except NetlinkError:
            return None
        return _seen(port, device, [_address(each) for each in self._addresses(port.vnet, port.index)])

    # --- bridges -----------------------------------------------------------------------------------------------------

    def attach(self, bridge: IfNet, member: IfNet) -> None:
        """Let the bridge have the member's frames."""
        if self._is_span(bridge, member):
            return
        self._request(member, lambda index: links.set_master(index, self._ports[bridge.ident].index))
        self.configure_member(bridge, member)
        with _freebsd():
            self._let_pass(member)

    def detach(self, bridge: IfNet, member: IfNet) -> None:
        """The opposite of attach."""
        if not self._is_span(bridge, member):
            self._request(member, lambda index: _tolerant(links.set_master(index, 0), errno.ENODEV))

    @staticmethod
    def _is_span(bridge: IfNet, member: IfNet) -> bool:
        membership = member.member
        return membership is not None and MemberFlag.SPAN in membership.flags

    def configure_member(self, bridge: IfNet, member: IfNet) -> None:
        """Put the member's flags and numbers into effect while attached."""
        membership = member.member
        if membership is None or self._is_span(bridge, member):
            return
        settings = links.port_settings(
            learning=MemberFlag.LEARNING in membership.flags,
            discover=MemberFlag.DISCOVER in membership.flags,
            private=MemberFlag.PRIVATE in membership.flags,
            priority=membership.priority,
            cost=membership.path_cost,
        )
        self._request(member, lambda index: links.configure_port(index, settings))

    def configure_bridge(self, bridge: IfNet) -> None:
        """Put the bridge's own numbers into effect."""
        self._request(bridge, lambda index: links.configure_bridge(index, _bridge_settings(bridge)))

    def bridge_addresses(self, bridge: IfNet) -> Sequence[tuple[bytes, int, int, bool]]:
        """The forwarding table: lladdr, the member's ident, seconds left, static."""
        port = self._ports[bridge.ident]
        members = {self._ports[ident].index: ident for ident in bridge.bridge.members} if bridge.bridge else {}
        timeout = bridge.bridge.timeout if bridge.bridge else 0
        found = []
        with _freebsd():
            for message in self._vnets[port.vnet].socket.dump(*links.dump_forwarding(port.index)):
                entry = links.read_entry(message)
                # Permanent ones are the members' own addresses, which bridge(4) does not list.
                if entry.lladdr is None or entry.index not in members or entry.state & links.NUD_PERMANENT:
                    continue
                static = bool(entry.state & links.NUD_NOARP)
                left = 0 if static else max(timeout - entry.updated // _TICKS, 0)
                found.append((entry.lladdr, members[entry.index], left, static))
        return found

    def bridge_flush(self, bridge: IfNet, everything: bool) -> None:
        """Forget learnt addresses, or all."""
        requests = [
            _tolerant(links.delete_forwarding(self._ports[ident].index, lladdr), errno.ENOENT)
            for lladdr, ident, _, static in self.bridge_addresses(bridge)
            if everything or not static
        ]
        with _freebsd():
            self._socket(bridge).request(*requests)

    def bridge_static(self, bridge: IfNet, member: IfNet, lladdr: bytes) -> None:
        """Add a static address."""
        self._request(member, lambda index: links.add_forwarding(index, lladdr))

    def bridge_forget(self, bridge: IfNet, lladdr: bytes) -> bool:
        """Delete an address; False where there is none."""
        for known, ident, _, _ in self.bridge_addresses(bridge):
            if known == lladdr:
                with _freebsd():
                    self._socket(bridge).request(links.delete_forwarding(self._ports[ident].index, lladdr))
                return True
        return False

    # --- vlans -------------------------------------------------------------------------------------------------------

    def bind_vlan(self, vlan: IfNet, parent: IfNet) -> None:
        """Tag what `vlan` sends; where this kernel knows no vlans it stays without a device, and nothing is sent."""
        port, above = self._ports[vlan.ident], self._ports[parent.ident].index
        state = vlan.vlan
        self.unbind_vlan(vlan)
        if state is None or not above:
            return
        socket = self._vnets[port.vnet].socket
        try:
            socket.request(links.new_vlan(vlan.name, above, state.tag, state.proto, state.pcp))
        except NetlinkError as error:
            if error.errno == errno.EOPNOTSUPP:
                _log.warning("%s: this machine's kernel has no 8021q; nothing is sent", vlan.name)
                return
            raise KernelError(Errno.of_host(error.errno)) from error
        with _freebsd():
            port.index = self._look_up(port.vnet, vlan.name)
            self.set_inet6(vlan, port.inet6_enabled)
            for held in vlan.addresses:
                self._put(port, held.address)
        if port.up:
            self.set_up(vlan, True)

    def unbind_vlan(self, vlan: IfNet) -> None:
        """The opposite of bind_vlan."""
        port = self._ports[vlan.ident]
        if port.index:
            with _freebsd():
                self._vnets[port.vnet].socket.request(_tolerant(links.delete(port.index), errno.ENODEV))
            port.index, port.lladdr = 0, None
            port.addresses = [held.address for held in vlan.addresses]
            port.inet6.clear()

    # --- routes and neighbours ---------------------------------------------------------------------------------------

    def routes(self, vnet: int) -> Sequence[Route]:
        """The table in the order in which netstat(1) shows it."""
        device = {port.index: ident for ident, port in self._in_vnet[vnet].items() if port.index}
        with _freebsd():
            return [self._shown(entry) for entry in self._tables[vnet].entries(device)]

    def _shown(self, entry: Entry) -> Route:
        return as_route(entry, lambda ident: self._ports[ident].ifnet)

    def add_route(self, vnet: int, route: RouteSpec) -> None:
        """Add a route; the core has found the interface it leaves by."""
        fib = self._tables[vnet].fib
        ident = next(ident for ident, port in self._in_vnet[vnet].items() if port.ifnet.name == route.interface)
        fib.add_static(ident, route)
        with _freebsd():
            self._route(vnet)

    def delete_route(self, vnet: int, route: Route) -> None:
        """Delete one of `routes(vnet)`."""
        fib = self._tables[vnet].fib
        entry = next((entry for entry in fib.entries() if self._shown(entry) == route), None)
        if entry is None:
            raise KernelError(Errno.ESRCH)
        fib.delete(entry)
        with _freebsd():
            self._route(vnet)

    def _route(self, vnet: int) -> None:
        ports = self._in_vnet[vnet]
        up = frozenset(ident for ident, port in ports.items() if port.up)
        self._tables[vnet].put_in_force({ident: port.index for ident, port in ports.items()}, up)
        self._record_routes(vnet)

    def neighbours(self, vnet: int) -> Sequence[Neighbour]:
        """The ARP and ND entries, own addresses not included."""
        by_index = self._by_index(vnet)
        found = []
        with _freebsd():
            for message in self._vnets[vnet].socket.dump(*links.dump_neighbours()):
                entry = links.read_entry(message)
                ifnet = by_index.get(entry.index)
                if ifnet is None or entry.address is None or entry.state == links.NUD_NOARP:
                    continue
                if entry.address.is_multicast or ifnet.kind is Kind.LOOPBACK:
                    continue
                found.append(_neighbour(entry, entry.address, ifnet.name))
        return found

    def add_neighbour(self, vnet: int, ifnet: IfNet, address: IPv4Address | IPv6Address, lladdr: bytes) -> None:
        """Add a permanent entry."""
        self._request(ifnet, lambda index: links.add_neighbour(index, address, lladdr))

    def delete_neighbour(self, vnet: int, ifnet: IfNet, address: IPv4Address | IPv6Address) -> None:
        """Delete an entry."""
        self._request(ifnet, lambda index: links.delete_neighbour(index, address))

    def forget_unanswered(self, vnet: int) -> None:
        """Let neighbours that have not answered yet be asked for anew.

        FreeBSD asks with each packet; Linux drops what waits for an answer when it gives up asking.
        """
        socket = self._vnets[vnet].socket
        with _freebsd():
            entries = map(links.read_entry, socket.dump(*links.dump_neighbours()))
            socket.request(
                *(
                    _tolerant(links.delete_neighbour(entry.index, entry.address), errno.ENOENT)
                    for entry in entries
                    if entry.address is not None and entry.state & (links.NUD_INCOMPLETE | links.NUD_FAILED)
                )
            )

    def get_forwarding(self, vnet: int, family: int) -> bool:
        """Whether the vnet forwards packets of family 4 or 6."""
        with _freebsd():
            return self._vnets.read(vnet, _FORWARDING[family]) != "0"

    def set_forwarding(self, vnet: int, family: int, on: bool) -> None:
        """Forward packets of family 4 or 6, or not."""
        with _freebsd():
            self._vnets.write(vnet, {_FORWARDING[family]: str(int(on))})

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _let_pass(self, ifnet: IfNet) -> None:
        """Let frames pass an interface, its other end and their bridges as soon as it is up, as on FreeBSD.

        Linux lets a device know of its carrier in a while, within a second; asked for the device, at once.
        """
        ends = [self._ports[ident] for ident in (ifnet.ident, ifnet.peer) if ident in self._ports]
        bridges = [self._ports[end.ifnet.member.bridge] for end in ends if end.ifnet.member is not None]
        for port in (*ends, *bridges):
            if port.index:
                with contextlib.suppress(NetlinkError):
                    socket = self._vnets[port.vnet].socket
                    message = socket.get(*links.get_link_at(port.index))
                    if port.ifnet.kind is Kind.NIC and (other := links.get_other_end(message)) is not None:
                        socket.get(*other)

    def _socket(self, ifnet: IfNet) -> Socket:
        port = self._ports.get(ifnet.ident)
        return self._vnets[port.vnet if port else ifnet.vnet].socket

    def _request(self, ifnet: IfNet, request: Callable[[int], Request]) -> None:
        port = self._ports[ifnet.ident]
        if port.index:
            with _freebsd():
                self._vnets[port.vnet].socket.request(request(port.index))

    def _look_up(self, vnet: int, name: str) -> int:
        return links.read_link(self._vnets[vnet].socket.get(*links.get_link(name))).index

    def _by_index(self, vnet: int) -> dict[int, IfNet]:
        return {port.index: port.ifnet for port in self._in_vnet.get(vnet, {}).values() if port.index}


_FORWARDING = {4: "/proc/sys/net/ipv4/ip_forward", 6: f"{_IPV6}/conf/all/forwarding"}


@contextmanager
def _freebsd() -> Iterator[None]:
    """An error of this machine's becomes FreeBSD's."""
    try:
        yield
    except OSError as error:
        raise KernelError(Errno.of_host(error.errno)) from error


def _tolerant(request: Request, *codes: int) -> Request:
    return Request(request.kind, request.body, request.flags, codes)


def _bridge_settings(ifnet: IfNet) -> dict[int, bytes]:
    state = ifnet.bridge
    if state is None:
        return links.bridge_settings(ageing=1200, priority=32768, stp=False, fwddelay=15, hellotime=2, maxage=20)
    stp = any(MemberFlag.STP in member.flags for member in state.members.values())
    return links.bridge_settings(
        ageing=state.timeout,
        priority=state.priority,
        stp=stp,
        fwddelay=state.fwddelay,
        hellotime=state.hellotime,
        maxage=state.maxage,
    )


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
    return Seen(up, device.mtu, lladdr, tuple(addresses))


def _address(seen: links.LinkAddress) -> Address:
    if isinstance(seen.address, IPv6Address):
        return Inet6(seen.address, seen.prefixlen)
    mask = IPv4Address((0xFFFF_FFFF << (32 - seen.prefixlen)) & 0xFFFF_FFFF)
    return Inet(seen.address, mask, seen.broadcast, seen.peer)


def _has(ifnet: IfNet, address: IPv4Address) -> bool:
    return any(held.address.address == address for held in ifnet.addresses)


def _neighbour(entry: links.Entry, address: IPv4Address | IPv6Address, name: str) -> Neighbour:
    age = entry.updated // _TICKS
    if entry.state & links.NUD_PERMANENT:
        return Neighbour(address, entry.lladdr, name, NeighbourState.PERMANENT)
    if entry.lladdr is None:
        return Neighbour(address, None, name, NeighbourState.INCOMPLETE)
    return Neighbour(address, entry.lladdr, name, NeighbourState.REACHABLE, max(_ARP_EXPIRES - age, 0))
