"""What a rule of pf(4) matches, and which address a pool gives: over the packets of the model.

Knows no order of rules. Source: FreeBSD 13.2 sys/netpfil/pf/{pf.c,pf_if.c,pf_lb.c,pf_table.c}.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from vjail.conf.pf.hosts import HostAddress
from vjail.conf.pf.rules import (
    Action,
    AnyAddress,
    Direction,
    InterfaceAddress,
    NetAddress,
    Part,
    Peer,
    Pool,
    PoolType,
    RangeAddress,
    Reach,
    Rule,
    RuleAddress,
    TableAddress,
    TableEntry,
    UnreachedAddress,
)
from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.model.devices import Device
from vjail.kernel.model.packets import IP, Icmp, Kind, Packet, Ports, Protocol

_SYN = 2
_TYPES = {
    4: {Kind.ECHO: (8, 0), Kind.REPLY: (0, 0), Kind.EXPIRED: (11, 0), Kind.TOO_BIG: (3, 4)},
    6: {
        Kind.ECHO: (128, 0),
        Kind.REPLY: (129, 0),
        Kind.EXPIRED: (3, 0),
        Kind.TOO_BIG: (2, 0),
        Kind.SOLICIT: (135, 0),
        Kind.ADVERT: (136, 0),
    },
}
_UNREACHABLE = {4: 3, 6: 1}

Network = IPv4Network | IPv6Network


class Matcher:
    """The conditions of one vnet's rules."""

    def __init__(self, setup: PfSetup) -> None:
        self.setup = setup
        self._tables = {(table.anchor, table.name): table.entries for table in setup.tables}

    def overload(self, anchor: str, name: str, address: IP) -> None:
        """Put an address into a table, unless there is an entry for just that one."""
        entries, network = self._tables.get((anchor, name), ()), ip_network(address)
        if all(entry.network != network for entry in entries):
            self._tables[anchor, name] = (*entries, TableEntry(network))

    def anchors(self, path: str) -> list[str]:
        """The anchors a rule stands for: one, or where its path ends in `*` all directly below, by name."""
        above, star, rest = path.rpartition("*")
        if not star or rest:
            return [path]
        return sorted(each for each in self.setup.rulesets if each.startswith(above) and "/" not in each[len(above) :])

    def matches(self, anchor: str, rule: Rule, device: Device, packet: Packet, outbound: bool) -> bool:
        """Whether all conditions of a rule hold."""
        if rule.direction is not None and (rule.direction is Direction.OUT) != outbound:
            return False
        if rule.interface and is_called(device, rule.interface) == rule.interface_not:
            return False
        if rule.family is not None and rule.family.value != packet.destination.version:
            return False
        if rule.proto is not None and rule.proto != packet.protocol:
            return False
        if rule.icmp is not None and not _is_type(packet, rule.icmp.type, rule.icmp.code):
            return False
        flags = rule.tcp_flags
        if flags is not None and packet.protocol is Protocol.TCP and flags.of & _SYN != flags.set:
            return False
        if rule.tagged and (rule.tagged == packet.tag) == rule.tagged_not:
            return False
        ports = packet.message if isinstance(packet.message, Ports) else Ports(0, 0)
        if rule.action in (Action.BINAT, Action.NO_BINAT) and not outbound:
            return self._is_binat_in(anchor, rule, packet)
        for peer, address, port in (
            (rule.source, packet.source, ports.source),
            (rule.destination, packet.destination, ports.destination),
        ):
            if isinstance(peer.address, UnreachedAddress):
                if not self._has_port(peer, port):
                    return False
                if (not outbound and _is_unreached(device, peer.address.reach, address)) == peer.negated:
                    return False
            elif not self._is_peer(anchor, peer, address, port):
                return False
        return True

    def _is_binat_in(self, anchor: str, rule: Rule, packet: Packet) -> bool:
        """Coming in, the outer address is the destination, and who sends is the rule's destination."""
        pool = rule.pool.addresses if rule.pool is not None else ()
        outer = pool or ((rule.source.address,) if rule.action is Action.NO_BINAT else ())
        return any(self._holds(anchor, each, packet.destination) for each in outer) and self._is_peer(
            anchor, rule.destination, packet.source, 0
        )

    @staticmethod
    def _has_port(peer: Peer, port: int) -> bool:
        return peer.ports is None or bool(port and peer.ports.fit(port))

    def _is_peer(self, anchor: str, peer: Peer, address: IP, port: int) -> bool:
        """Whether an address and a port (0: the packet has none) fit one side of a rule."""
        if not self._has_port(peer, port):
            return False
        if isinstance(peer.address, AnyAddress):
            return True
        return self._holds(anchor, peer.address, address) != peer.negated

    def _holds(self, anchor: str, what: RuleAddress, address: IP) -> bool:
        match what:
            case AnyAddress():
                return True
            case NetAddress(network):
                return address.version == network.version and address in network
            case RangeAddress(first, last):
                return address.version == first.version and int(first) <= int(address) <= int(last)
            case TableAddress(table):
                return self._in_table(anchor, table, address)
            case InterfaceAddress():
                return any(address.version == each.version and address in each for each in self._networks(what))
        raise AssertionError(what)

    def _in_table(self, anchor: str, name: str, address: IP) -> bool:
        entries = self._tables.get((anchor, name)) or self._tables.get(("", name), ())
        held = [each for each in entries if each.network.version == address.version and address in each.network]
        return bool(held) and not max(held, key=lambda each: each.network.prefixlen).negated

    def _networks(self, what: InterfaceAddress) -> Iterator[Network]:
        """What stands behind `(em0)` now."""
        for interface in self.setup.interfaces:
            if what.interface not in (interface.name, *interface.groups):
                continue
            addresses = [each for each in interface.addresses if not (what.first_only and each.address.is_link_local)]
            seen: set[int] = set()
            for held in addresses:
                if what.first_only and held.address.version in seen:
                    continue
                seen.add(held.address.version)
                network = _part(held, what)
                if network is not None:
                    yield network

    # --- pools ------------------------------------------------------------------------------------------------------

    def chosen(self, rule: Rule, pool: Pool, packet: Packet, from_: IP) -> IP | None:
        """The address a packet is given instead of `from_`; None: the pool has none of its family."""
        version = packet.destination.version
        networks = [each for what in pool.addresses for each in self._pool(what) if each.version == version]
        if not networks:
            return None
        network = networks[0]
        if network.num_addresses == 1:
            return network.network_address
        if rule.action is Action.BINAT or pool.type is PoolType.BITMASK:
            return _laid_over(network, from_)
        return network.network_address

    def _pool(self, what: RuleAddress) -> Iterator[Network]:
        match what:
            case NetAddress(network):
                yield network
            case RangeAddress(first, _):
                yield _host(first)
            case InterfaceAddress():
                yield from self._networks(what)
            case TableAddress(table):
                yield from (each.network for each in self._tables.get(("", table), ()) if not each.negated)

    def counterpart(self, rule: Rule, outer: IP) -> IP | None:
        """Which inner address of a binat rule belongs to an outer one."""
        if not isinstance(rule.source.address, NetAddress):
            return next(
                (each.network_address for each in self._pool(rule.source.address) if each.version == outer.version),
                None,
            )
        return _laid_over(rule.source.address.network, outer)


def is_called(device: Device, name: str) -> bool:
    """Whether a rule's interface is this one: by its name, or by a group it is in."""
    return name in (device.ifnet.name, "all") or name in device.ifnet.groups


def _is_unreached(device: Device, reach: Reach, address: IP) -> bool:
    """Whether no route leads to an address, or none by the interface that a packet came in by (pf_routable)."""
    if address.is_link_local and address.version == 6:
        return False
    found = device.net.fib.lookup(address, None)
    if reach is Reach.NO_ROUTE:
        return not found
    return not any(device.net.devices.get(route.out) is device for route in found)


def _is_type(packet: Packet, kind: int, code: int | None) -> bool:
    if not isinstance(packet.message, Icmp):
        return False
    version = packet.destination.version
    message = packet.message
    unreachable = message.kind is Kind.UNREACHABLE
    found = (_UNREACHABLE[version], message.code) if unreachable else _TYPES[version][message.kind]
    return found[0] == kind and code in (None, found[1])


def _part(held: HostAddress, what: InterfaceAddress) -> Network | None:
    match what.part:
        case Part.NETWORK:
            return _host(held.address).supernet(new_prefix=held.prefixlen)
        case Part.BROADCAST:
            return None if held.broadcast is None else _host(held.broadcast)
        case Part.PEER:
            return None if held.peer is None else _host(held.peer)
    network = _host(held.address)
    return network if what.prefixlen is None else network.supernet(new_prefix=what.prefixlen)


def _host(address: IPv4Address | IPv6Address) -> Network:
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


def _laid_over(network: Network, address: IP) -> IP:
    """The address in `network` with the host's bits of another."""
    host = int(address) & int(network.hostmask)
    return type(network.network_address)(int(network.network_address) | host)
