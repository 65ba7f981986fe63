"""IP: what a stack sends, takes and forwards, how it finds its neighbours, and which errors it tells.

FreeBSD 13.2's rules: sys/netinet/{ip_input.c,ip_output.c,ip_icmp.c,if_ether.c}, sys/netinet6/{ip6_input.c,ip6_output.c,
in6_src.c,nd6.c,nd6_nbr.c}; errors as recorded in replay/routes, vnet, documents-E2, observed/b1_two_jails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from vjail.conf.pf.rules import Detour
from vjail.kernel.core.driver import Clock
from vjail.kernel.core.fib import NOWHERE
from vjail.kernel.core.fib import Entry as Route
from vjail.kernel.errno import Errno
from vjail.kernel.model.devices import Device, Entry, Net, is_tentative
from vjail.kernel.model.ether import Ether
from vjail.kernel.model.packets import (
    BROADCAST,
    IP,
    Arp,
    Carried,
    Discovery,
    Frame,
    Icmp,
    Kind,
    Packet,
    Protocol,
    group_address,
    solicited,
)
from vjail.kernel.model.trace import Loss, Mark, Step
from vjail.kernel.observed import Iff, Inet, Inet6, Inet6Flag, Nd6, RouteFlag, Vxlan
from vjail.kernel.observed import Kind as DeviceKind

_KEPT = 1200.0
"""Seconds for which a neighbour is known (net.link.ether.inet.max_age)."""
_DOWN = 20.0
"""Seconds for which one that does not answer is remembered (net.link.ether.inet.wait)."""
_TRIES = 5
"""Requests before a neighbour counts as down (net.link.ether.inet.maxtries)."""
_HELD = 16
"""Packets that wait for a neighbour at most; the oldest goes (net.link.ether.inet.maxhold)."""
_ERROR_SIZE = {4: 56, 6: 96}
"""Bytes of an ICMP error that quotes the header of what it is about."""
_VXLAN_HEADERS = {4: 50, 6: 70}
"""Bytes around a frame's payload: its own header, VXLAN's, UDP's, and IP's."""
_EVERYONE = IPv4Address("255.255.255.255")

Arrived = Callable[[Device, Packet, Mark], None]
"""Takes an echo reply or an error that arrived for a stack."""


class InetLayer:
    """The IP layer of all stacks of a lab."""

    def __init__(self, clock: Clock, ether: Ether, arrived: Arrived) -> None:
        self._clock = clock
        self._ether = ether
        self._arrived = arrived
        self.asking: list[tuple[Device, Entry, IP]] = []
        """The neighbours that have been asked for, and not answered so far."""
        self._unanswered: list[Entry] = []
        ether.deliver = self._deliver
        ether.carry = self._carry

    def ask_anew(self) -> None:
        """Forget what waits for neighbours, and that they have been asked: as if time had passed."""
        for entry in self._unanswered:
            entry.waiting.clear()
            entry.asked = 0
        self._unanswered.clear()

    # --- out --------------------------------------------------------------------------------------------------------

    def route(self, net: Net, destination: IP, zone: int | None) -> tuple[Route | None, Errno | None]:
        """The route that a packet of this host's takes, and ip_output's error where it leads nowhere."""
        found = net.fib.lookup(destination, zone)
        if not found:
            return None, Errno.ENETUNREACH
        chosen = found[0]
        if chosen.flags & NOWHERE:
            return chosen, Errno.ENETUNREACH
        return chosen, None

    def source(self, net: Net, route: Route, destination: IP) -> IP | None:
        """The address a host sends from: of IPv4 the route's, of IPv6 the one nearest to the destination."""
        now = self._clock.monotonic()
        if destination.version == 4:
            if _is_own(route):
                return destination
            return None if route.source is None else route.source[1]
        if _is_own(route):
            return destination
        link = net.devices[route.link]
        chosen = _nearest(link, destination, now)
        if chosen is None and not destination.is_link_local:
            others = (_nearest(device, destination, now) for device in net.devices.values() if device is not link)
            chosen = next((each for each in others if each is not None), None)
        return chosen

    def send(self, net: Net, packet: Packet, mark: Mark | None, zone: int | None = None) -> Errno | None:
        """ip_output of a packet of this host's own; what it says to the sender."""
        route, error = self.route(net, packet.destination, zone)
        if route is None:
            self._ether.lost(_any(net), mark, Loss.NO_ROUTE, str(packet.destination))
            return error
        out = net.devices[route.out]
        if error is not None:
            loss = Loss.REJECT if RouteFlag.REJECT in route.flags else Loss.BLACKHOLE
            self._ether.lost(out, mark, loss, str(route.destination))
            return error
        if _is_own(route):
            if not out.ifnet.up:
                self._ether.lost(out, mark, Loss.LOOPBACK_DOWN)
                return Errno.EHOSTUNREACH
            mark = Mark(Step.SENT, out, f"to {packet.destination}", mark)
            filtered = self._filter(net, out, packet, mark, outbound=True)
            if filtered is None:
                return Errno.EACCES
            self._accept(out, *filtered)
            return None
        return self._leave(net, route, packet, mark, Step.SENT)

    def _leave(self, net: Net, route: Route, packet: Packet, mark: Mark | None, step: Step) -> Errno | None:
        """Out of the interface a route names, to the gateway or the destination itself."""
        via = route.gateway if RouteFlag.GATEWAY in route.flags and route.gateway is not None else None
        return self._out(net, net.devices[route.out], via, packet, mark, step, route.mtu)

    def _turn(self, net: Net, detour: Detour, packet: Packet, mark: Mark | None, step: Step) -> Errno | None:
        """pf_route: out of the interface that a rule names, to its gateway; without the interface nowhere."""
        packet = replace(packet, detour=None)
        out = next((each for each in net.devices.values() if each.ifnet.name == detour.interface), None)
        if out is None:
            self._ether.lost(_any(net), mark, Loss.FILTERED)
            return Errno.EHOSTUNREACH
        return self._out(net, out, detour.gateway, packet, mark, step)

    def _out(
        self, net: Net, out: Device, via: IP | None, packet: Packet, mark: Mark | None, step: Step, route_mtu: int = 0
    ) -> Errno | None:
        """Out of an interface, through the filter, to a gateway or the destination itself."""
        detail = f"to {packet.destination}" + (f" via {via}" if via is not None else "")
        mark = Mark(step, out, detail, mark)
        filtered = self._filter(net, out, packet, mark, outbound=True)
        if filtered is None:
            return Errno.EACCES
        packet, mark = filtered
        detour = packet.detour
        if detour is not None and (detour.interface, detour.gateway) != (out.ifnet.name, via):
            return self._turn(net, detour, packet, mark, step)
        packet = replace(packet, detour=None)
        if not out.runs:
            self._ether.lost(out, mark, _why_down(out))
            return Errno.ENETDOWN
        if packet.destination.version == 6 and Nd6.IFDISABLED in out.ifnet.nd6:
            self._ether.lost(out, mark, Loss.DISABLED)
            return Errno.ENETDOWN
        mtu = min(out.ifnet.mtu, route_mtu) if route_mtu else out.ifnet.mtu
        if packet.length > mtu:
            if packet.dont_fragment or (packet.destination.version == 6 and step is Step.FORWARDED):
                self._ether.lost(out, mark, Loss.TOO_BIG, f"{packet.length} > {mtu}")
                return Errno.EMSGSIZE
            packet = replace(packet, pieces=mtu)
        if out.ifnet.kind is DeviceKind.LOOPBACK:
            self._accept(out, packet, mark)
            return None
        return self._resolve(net, out, packet, via or packet.destination, mark, gateway=via is not None)

    def _filter(
        self, net: Net, device: Device, packet: Packet, mark: Mark, *, outbound: bool
    ) -> tuple[Packet, Mark] | None:
        if net.filter is None:
            return packet, mark
        passed = net.filter(device, packet, outbound=outbound)
        if passed is None:
            self._ether.lost(device, mark, Loss.FILTERED)
            return None
        if (passed.source, passed.destination) != (packet.source, packet.destination):
            mark = Mark(Step.TRANSLATED, device, f"{passed.source} to {passed.destination}", mark)
        return passed, mark

    # --- neighbours -------------------------------------------------------------------------------------------------

    def _resolve(
        self, net: Net, device: Device, packet: Packet, towards: IP, mark: Mark, *, gateway: bool
    ) -> Errno | None:
        """arpresolve, nd6_resolve: to the neighbour's MAC address, asking for it where it is not known."""
        if _is_broadcast(device, towards):
            return self._ether.output(device, Frame(BROADCAST, device.mac, packet), mark)
        if towards.is_multicast:
            return self._ether.output(device, Frame(group_address(towards), device.mac, packet), mark)
        now = self._clock.monotonic()
        key = device.ifnet.ident, towards
        entry = net.neighbours.get(key)
        if entry is not None and entry.expires is not None and entry.expires <= now:
            del net.neighbours[key]
            entry = None
        if entry is not None and entry.lladdr is not None:
            return self._ether.output(device, Frame(entry.lladdr, device.mac, packet), mark)
        if towards.version == 4 and device.ifnet.flags & (Iff.NOARP | Iff.STATICARP):
            self._ether.lost(device, mark, Loss.NO_ARP)
            return Errno.EINVAL
        if entry is None:
            entry = net.neighbours[key] = Entry(None)
        error = None if entry.asked < _TRIES else Errno.EHOSTUNREACH if gateway else Errno.EHOSTDOWN
        entry.waiting = [*entry.waiting[1 - _HELD :], (packet, mark)]
        if entry.asked == 0 or entry.second != int(now):
            entry.asked, entry.second, entry.expires = entry.asked + 1, int(now), now + _DOWN
            self._ask(device, towards, mark)
        self.asking.append((device, entry, towards))
        self._unanswered.append(entry)
        return error

    def _ask(self, device: Device, address: IP, mark: Mark) -> None:
        """arprequest, nd6_ns_output."""
        mark = Mark(Step.ASKED, device, str(address), mark)
        if isinstance(address, IPv4Address):
            own = [held.address for held in device.ifnet.addresses if isinstance(held.address, Inet)]
            # Where none is on its network (a host route onto the interface), the last address asks.
            sender = next((each.address for each in own if _same_net(each, address)), own[-1].address if own else None)
            if sender is None:
                self._ether.lost(device, mark, Loss.NO_SOURCE)
                return
            frame = Frame(BROADCAST, device.mac, Arp(device.mac, sender, address))
        else:
            chosen = _nearest(device, address, self._clock.monotonic())
            source = chosen if isinstance(chosen, IPv6Address) else IPv6Address(0)
            question = Discovery(device.mac, source, address)
            if self._filter(device.net, device, question.packet(), mark, outbound=True) is None:
                return
            frame = Frame(solicited(address), device.mac, question)
        self._ether.output(device, frame, mark)

    def _deliver(self, device: Device, frame: Frame, mark: Mark) -> None:
        """What arrived on an interface for its host."""
        payload = frame.payload
        match payload:
            case Arp():
                self._arp_input(device, payload, mark)
            case Discovery():
                self._nd_input(device, payload, mark)
            case Packet():
                self._accept(device, replace(payload, tag="") if payload.tag else payload, mark)
            case _:
                pass

    def _arp_input(self, device: Device, arp: Arp, mark: Mark) -> None:
        """in_arpinput: members of one bridge answer for each other's addresses, with their own MAC address."""
        if Iff.NOARP in device.ifnet.flags:
            self._ether.lost(device, mark, Loss.NO_ARP)
            return
        alike = _of_same_bridge(device)
        mine = any(_has(each, arp.target) for each in alike)
        if arp.sender == device.mac:
            self._ether.lost(device, mark, Loss.OWN_ARP if mine else Loss.NOT_ASKED, arp.sender.hex(":"))
            return
        if not mine and not any(_has(each, arp.address) for each in alike):
            self._learn_neighbour(device, arp.address, arp.sender, create=False)
            self._not_asked(device, arp.target, mark)
            return
        if Iff.STATICARP not in device.ifnet.flags:
            self._learn_neighbour(device, arp.address, arp.sender, create=mine)
        if not arp.reply and mine:
            answer = Arp(device.mac, arp.target, arp.address, reply=True)
            mark = Mark(Step.ANSWERED, device, f"{arp.target} is at {device.mac.hex(':')}", mark)
            self._ether.output(device, Frame(arp.sender, device.mac, answer), mark)

    def _nd_input(self, device: Device, message: Discovery, mark: Mark) -> None:
        """nd6_ns_input, nd6_na_input."""
        if Nd6.IFDISABLED in device.ifnet.nd6:
            self._ether.lost(device, mark, Loss.DISABLED)
            return
        if self._filter(device.net, device, message.packet(), mark, outbound=False) is None:
            return
        if message.advert:
            self._learn_neighbour(device, message.target, message.sender, create=False)
            return
        match device.holds(message.target, self._clock.monotonic()):
            case None:
                self._ether.lost(device, mark, Loss.TENTATIVE, str(message.target))
            case False:
                self._not_asked(device, message.target, mark)
            case True:
                self._learn_neighbour(device, message.address, message.sender, create=True)
                answer = Discovery(device.mac, message.address, message.target, advert=True)
                if self._filter(device.net, device, answer.packet(), mark, outbound=True) is None:
                    return
                mark = Mark(Step.ANSWERED, device, f"{message.target} is at {device.mac.hex(':')}", mark)
                self._ether.output(device, Frame(message.sender, device.mac, answer), mark)

    def _not_asked(self, device: Device, target: IP, mark: Mark) -> None:
        self._ether.lost(device, mark, Loss.BRIDGE_DOWN if device.in_dead_bridge else Loss.NOT_ASKED, str(target))

    def _learn_neighbour(self, device: Device, address: IP, lladdr: bytes, *, create: bool) -> None:
        net = device.net
        key = device.ifnet.ident, address
        entry = net.neighbours.get(key)
        if entry is None:
            if not create or int(address) == 0:
                return
            entry = net.neighbours[key] = Entry(None)
        elif entry.lladdr is not None and entry.expires is None:
            return
        entry.lladdr, entry.expires, entry.asked = lladdr, self._clock.monotonic() + _KEPT, 0
        waiting, entry.waiting = entry.waiting, []
        for packet, mark in waiting:
            self._ether.output(device, Frame(lladdr, device.mac, packet), mark)

    # --- in ---------------------------------------------------------------------------------------------------------

    def _accept(self, device: Device, packet: Packet, mark: Mark) -> None:
        """ip_input: for this host, whichever interface has the address, or to be forwarded."""
        net = device.net
        if packet.destination.version == 6 and Nd6.IFDISABLED in device.ifnet.nd6:
            self._ether.lost(device, mark, Loss.DISABLED)
            return
        if net.filter is not None:
            filtered = self._filter(net, device, packet, mark, outbound=False)
            if filtered is None:
                return
            packet, mark = filtered
            if packet.detour is not None:
                self._turn(net, packet.detour, packet, mark, Step.FORWARDED)
                return
        own = self._is_ours(net, device, packet.destination)
        if own is None:
            self._ether.lost(device, mark, Loss.TENTATIVE, str(packet.destination))
        elif own:
            self._take(net, device, packet, mark)
        else:
            self._forward(net, device, packet, mark)

    def _is_ours(self, net: Net, device: Device, address: IP) -> bool | None:
        now = self._clock.monotonic()
        if address.version == 6 and address.is_link_local and device.ifnet.kind is not DeviceKind.LOOPBACK:
            return device.holds(address, now)
        found = [each.holds(address, now) for each in net.holding(address)]
        if found:
            return True if any(each is True for each in found) else None
        return any(_is_broadcast(each, address) for each in net.devices.values()) or address.is_multicast

    def _take(self, net: Net, device: Device, packet: Packet, mark: Mark) -> None:
        mark = Mark(Step.DELIVERED, device, str(packet.destination), mark)
        message = packet.message
        if isinstance(message, Carried):
            self._uncover(net, packet, message, mark)
            return
        if not isinstance(message, Icmp) or message.kind is not Kind.ECHO:
            self._arrived(device, packet, mark)
            return
        if packet.destination.is_multicast or _is_broadcast(device, packet.destination):
            # net.inet.icmp.bmcastecho is 0.
            return
        reply = replace(
            packet,
            source=packet.destination,
            destination=packet.source,
            message=replace(message, kind=Kind.REPLY),
            ttl=64,
            pieces=0,
        )
        zone = device.ifnet.ident if packet.source.version == 6 and packet.source.is_link_local else None
        self.send(net, reply, mark, zone)

    # --- vxlan ------------------------------------------------------------------------------------------------------

    def _carry(self, device: Device, frame: Frame, mark: Mark) -> None:
        """vxlan_transmit: to where the destination was learnt to be, or to the remote address that was set."""
        state = device.ifnet.vxlan
        settings = Vxlan() if state is None else state.settings
        if settings.remote is None or settings.vni is None or settings.remote.is_multicast:
            self._ether.lost(device, mark, Loss.NO_REMOTE)
            return
        known = device.remotes.get(frame.destination)
        remote = settings.remote if known is None else known
        net = device.driver.nets[device.ifnet.home]
        route, _ = self.route(net, remote, None)
        source = settings.local or (None if route is None else self.source(net, route, remote))
        if source is None:
            self._ether.lost(device, mark, Loss.NO_ROUTE, str(remote))
            return
        size = frame.length + _VXLAN_HEADERS[remote.version]
        carried = Carried(settings.vni, settings.remote_port, frame)
        self.send(net, Packet(source, remote, carried, Protocol.UDP, size, settings.ttl), mark)

    def _uncover(self, net: Net, packet: Packet, carried: Carried, mark: Mark) -> None:
        """vxlan_rcv_udp_packet: to the vxlan of this number, which learns who sent it."""
        for device in net.driver.devices.values():
            state = device.ifnet.vxlan
            if state is None or device.ifnet.home != net.number or not device.runs:
                continue
            settings = state.settings
            if (settings.vni, settings.local_port) != (carried.vni, carried.port):
                continue
            if settings.local not in (None, packet.destination):
                continue
            if settings.learn and not carried.frame.source[0] & 1 and len(device.remotes) < settings.maxaddr:
                device.remotes[carried.frame.source] = packet.source
            self._ether.arrive(device, carried.frame, mark)
            return
        self._ether.lost(mark.device, mark, Loss.NO_VXLAN, str(carried.vni))

    # --- forwarding -------------------------------------------------------------------------------------------------

    def _forward(self, net: Net, device: Device, packet: Packet, mark: Mark) -> None:
        """ip_forward, ip6_forward."""
        version = packet.destination.version
        if not net.forwarding[version] or device.ifnet.kind is DeviceKind.LOOPBACK:
            self._ether.lost(device, mark, Loss.NOT_FORWARDING, str(packet.destination))
            return
        if version == 6 and (packet.source.is_link_local or packet.destination.is_link_local):
            self._ether.lost(device, mark, Loss.SCOPE)
            return
        if packet.ttl <= 1:
            self._ether.lost(device, mark, Loss.TTL)
            self._tell(net, device, packet, Icmp(Kind.EXPIRED), mark)
            return
        packet = replace(packet, ttl=packet.ttl - 1)
        found = net.fib.lookup(packet.destination)
        if not found or found[0].flags & NOWHERE:
            self._forward_nowhere(net, device, packet, found[0] if found else None, mark)
            return
        error = self._leave(net, found[0], packet, mark, Step.FORWARDED)
        match error:
            case Errno.EMSGSIZE:
                mtu = net.devices[found[0].out].ifnet.mtu
                code = 4 if version == 4 else 0
                self._tell(net, device, packet, Icmp(Kind.TOO_BIG, code=code, mtu=mtu), mark)
            case Errno.ENETDOWN | Errno.EHOSTDOWN | Errno.EHOSTUNREACH:
                self._tell(net, device, packet, Icmp(Kind.UNREACHABLE, code=1 if version == 4 else 3), mark)

    def _forward_nowhere(self, net: Net, device: Device, packet: Packet, route: Route | None, mark: Mark) -> None:
        """No route, or one that ends here: a blackhole is silent, the others are told of."""
        if route is None:
            self._ether.lost(device, mark, Loss.NO_ROUTE, str(packet.destination))
        elif RouteFlag.BLACKHOLE in route.flags:
            self._ether.lost(device, mark, Loss.BLACKHOLE, str(route.destination))
            return
        else:
            self._ether.lost(device, mark, Loss.REJECT, str(route.destination))
        code = 1 if packet.destination.version == 4 else 0
        self._tell(net, device, packet, Icmp(Kind.UNREACHABLE, code=code), mark)

    def _tell(self, net: Net, device: Device, about: Packet, message: Icmp, mark: Mark) -> None:
        """icmp_error: to who sent the packet, from the interface it came in by."""
        if about.is_error or about.source.is_unspecified:
            return
        version = about.destination.version
        now = self._clock.monotonic()
        sources = [
            held.address.address
            for held in device.ifnet.addresses
            if held.address.address.version == version and not is_tentative(held, device.ifnet, now)
        ]
        fitting = [each for each in sources if not each.is_link_local] or sources
        if not fitting:
            return
        protocol = Protocol.ICMP if version == 4 else Protocol.ICMP6
        told = replace(message, about=about)
        error = Packet(fitting[0], about.source, told, protocol, min(_ERROR_SIZE[version], 1280))
        self.send(net, error, mark)


def _any(net: Net) -> Device:
    """A device to name where none was chosen."""
    return next(iter(net.devices.values()))


def _is_own(route: Route) -> bool:
    return RouteFlag.HOST in route.flags and RouteFlag.PINNED in route.flags


def _has(device: Device, address: IP) -> bool:
    return any(held.address.address == address for held in device.ifnet.addresses)


def _of_same_bridge(device: Device) -> list[Device]:
    """The device, and where it is a member of a bridge the other members."""
    membership = device.bridge()
    if membership is None:
        return [device]
    return [device.other(ident) for ident in membership[1].members]


def _is_broadcast(device: Device, address: IP) -> bool:
    if not isinstance(address, IPv4Address):
        return False
    if address == _EVERYONE:
        return True
    own = [held.address for held in device.ifnet.addresses if isinstance(held.address, Inet)]
    # An address with the mask of a host is its own broadcast address, and an own address before that (ip_input).
    return any(each.broadcast == address for each in own) and all(each.address != address for each in own)


def _same_net(address: Inet, other: IPv4Address) -> bool:
    mask = int(address.netmask)
    return int(address.address) & mask == int(other) & mask


def _nearest(device: Device, destination: IP, now: float) -> IP | None:
    """in6_selectsrc among an interface's addresses: the same scope first, then not deprecated, then the longest match.

    An address of a wider scope serves where none of the same is there, one of a narrower does not.
    """
    best: tuple[tuple[bool, bool, int], IPv6Address] | None = None
    local = destination.is_link_local or (destination.is_multicast and destination.packed[1] & 15 == 2)
    for held in device.ifnet.addresses:
        address = held.address
        if not isinstance(address, Inet6) or is_tentative(held, device.ifnet, now):
            continue
        if address.address.is_link_local and not local:
            continue
        if address.address.is_loopback:
            continue
        alike = 128 - (int(address.address) ^ int(destination)).bit_length()
        rank = (address.address.is_link_local == local, Inet6Flag.DEPRECATED not in address.flags, alike)
        if best is None or rank > best[0]:
            best = rank, address.address
    return None if best is None else best[1]


def _why_down(device: Device) -> Loss:
    if device.ifnet.up and device.ifnet.kind is DeviceKind.VLAN:
        return Loss.UNBOUND
    return Loss.DOWN
