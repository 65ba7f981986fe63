"""How the jails of a host in memory are joined: its interfaces as a lab file's networks, links, cards and VLANs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_interface

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.model.host import ModelHost
from vjail.kernel.observed import Inet, Kind, MemberFlag, Route, RouteFlag

Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_ETHERNET = 1500
_CARDS = (Kind.NIC, Kind.LAGG)
"""What a lab file's networks and VLANs take for a card."""


@dataclass(slots=True)
class FoundNetwork:
    """A bridge of the host, or an epair between the host and one jail, which is like a bridge of two.

    `own` are the host's addresses in it. `bridge`: the bridge's name, None where there is none.
    """

    name: str
    bridge: str | None
    uplink: str | None = None
    tag: int | None = None
    own: tuple[Interface, ...] = ()
    mtu: int | None = None
    private: bool = False
    ports: list[FoundPort] = field(default_factory=list)
    subnets: tuple[Network, ...] = ()
    outside: tuple[str, ...] = ()
    """Members that a lab file has no words for."""


@dataclass(slots=True)
class FoundPort:
    """A jail's end of an epair. `unit`: the epair's number, where a is the outer end and b the jail's."""

    jail: str
    interface: str
    addresses: tuple[Interface, ...]
    unit: int | None


@dataclass(slots=True)
class FoundLink:
    """An epair between two jails: the end a first."""

    ends: tuple[FoundPort, FoundPort]


@dataclass(slots=True)
class FoundVlan:
    """A VLAN of a host's card that is in a jail."""

    jail: str
    name: str
    tag: int
    parent: str
    addresses: tuple[Interface, ...]


@dataclass(slots=True)
class FoundJail:
    """A jail's own stack: cards in it, default routes, other routes, and whether it forwards."""

    cards: dict[str, tuple[Interface, ...]] = field(default_factory=dict)
    gateways: tuple[Address, ...] = ()
    routes: tuple[tuple[Network, Address], ...] = ()
    forward: bool = False


@dataclass(slots=True)
class Wiring:
    """All of a host. `covered`: the interfaces, of host and jails, that are told here and need no lines any more."""

    networks: list[FoundNetwork] = field(default_factory=list)
    links: list[FoundLink] = field(default_factory=list)
    vlans: list[FoundVlan] = field(default_factory=list)
    jails: dict[str, FoundJail] = field(default_factory=dict)
    cards: dict[str, tuple[Interface, ...]] = field(default_factory=dict)
    """The host's cards that stay with it."""
    laggs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The host's laggs, which rc.conf makes, and their ports."""
    host: FoundJail = field(default_factory=FoundJail)
    covered: set[str] = field(default_factory=set)
    further: list[tuple[FoundNetwork, FoundPort]] = field(default_factory=list)
    """What a jail has besides its first interface in a bridge: its own lines make it."""
    apart: set[str] = field(default_factory=set)
    """The names of these epairs and of their ends."""


def wiring(host: ModelHost) -> Wiring:
    """What the host's interfaces come to now."""
    return _Reader(host).read()


class _Reader:
    def __init__(self, host: ModelHost) -> None:
        self._host = host
        self._interfaces = {ident: device.ifnet for ident, device in host.driver.devices.items()}
        self._jails = {
            prison.vnet: prison.name for prison in host.prisons.prisons() if prison.own_vnet and not prison.dying
        }
        self._found = Wiring()
        self._bridges: dict[int, FoundNetwork] = {}
        self._lowest: dict[tuple[int, int], int] = {}
        """The lowest number of the epairs by which a stack is in a bridge."""

    def read(self) -> Wiring:
        here = sorted(self._interfaces.values(), key=lambda each: (each.vnet, each.attached))
        for ifnet in here:
            if ifnet.vnet == 0 and ifnet.kind is Kind.BRIDGE:
                self._bridge(ifnet)
        for vnet, name in self._jails.items():
            self._found.jails[name] = self._stack(vnet)
        for ifnet in here:
            if ifnet.vnet in self._jails:
                self._of_jail(ifnet, self._jails[ifnet.vnet])
            elif ifnet.vnet == 0 and ifnet.kind is Kind.NIC:
                self._found.cards[ifnet.name] = addresses(ifnet)
            elif ifnet.vnet == 0 and ifnet.lagg is not None:
                self._found.laggs[ifnet.name] = tuple(self._interfaces[port].name for port in ifnet.lagg.ports)
        self._found.host = self._stack(0)
        for network in self._found.networks:
            network.subnets = tuple(_subnets(network))
        self._name()
        return self._found

    # --- the host -----------------------------------------------------------------------------------------------------

    def _bridge(self, ifnet: IfNet) -> None:
        assert ifnet.bridge is not None
        members = [self._interfaces[ident] for ident in ifnet.bridge.members]
        found = FoundNetwork("", ifnet.name, own=addresses(ifnet), mtu=_mtu(ifnet))
        outside: list[str] = []
        inner = []
        for member in members:
            parent = self._parent(member)
            if found.uplink is None and member.kind in _CARDS:
                found.uplink = member.name
                self._found.covered.add(member.name)
            elif found.uplink is None and parent is not None and parent.kind in _CARDS and member.vlan is not None:
                found.uplink, found.tag = parent.name, member.vlan.tag
                self._found.covered |= {member.name, parent.name}
            elif member.kind is Kind.EPAIR and self._peer(member).vnet in self._jails:
                inner.append(ifnet.bridge.members[member.ident].flags)
                key, unit = (ifnet.ident, self._peer(member).vnet), member.unit or 0
                self._lowest[key] = min(unit, self._lowest.get(key, unit))
            else:
                outside.append(member.name)
        found.outside = tuple(outside)
        found.private = bool(inner) and all(MemberFlag.PRIVATE in flags for flags in inner)
        self._bridges[ifnet.ident] = found
        self._found.networks.append(found)
        self._found.covered |= {ifnet.name, ifnet.made_as}

    def _stack(self, vnet: int) -> FoundJail:
        net = self._host.driver.nets.get(vnet)
        view = self._host.kernel.view(vnet)
        found = FoundJail()
        ways = [(route.destination, way) for route in view.routes() if (way := _way(route)) is not None]
        found.gateways = tuple(way for network, way in ways if network.prefixlen == 0)
        found.routes = tuple((network, way) for network, way in ways if network.prefixlen)
        found.forward = net is not None and any(net.forwarding.values())
        return found

    # --- jails --------------------------------------------------------------------------------------------------------

    def _of_jail(self, ifnet: IfNet, jail: str) -> None:
        found = self._found
        if ifnet.kind is Kind.NIC:
            found.jails[jail].cards[ifnet.name] = addresses(ifnet)
        elif ifnet.kind is Kind.VLAN and (parent := self._parent(ifnet)) is not None and parent.vnet == 0:
            assert ifnet.vlan is not None
            found.vlans.append(FoundVlan(jail, ifnet.name, ifnet.vlan.tag, parent.name, addresses(ifnet)))
            found.covered.add(parent.name)
        elif ifnet.kind is Kind.EPAIR:
            peer = self._peer(ifnet)
            if peer.vnet == ifnet.vnet:
                return
            port = FoundPort(jail, ifnet.name, addresses(ifnet), _unit(ifnet, "b"))
            if peer.vnet in self._jails:
                self._link(ifnet, port, peer)
            elif peer.member is not None and self._is_further(ifnet, peer.member.bridge):
                found.further.append((self._bridges[peer.member.bridge], port))
                found.apart |= {ifnet.name, ifnet.made_as, peer.name, peer.made_as, ifnet.made_as[:-1]}
                return
            else:
                self._port(port, peer)
                found.covered |= {peer.name, peer.made_as}
        else:
            return
        found.covered |= {ifnet.name, ifnet.made_as}

    def _is_further(self, ifnet: IfNet, bridge: int) -> bool:
        """Whether its jail has an epair of a lower number in the same bridge."""
        return (ifnet.unit or 0) > self._lowest[bridge, ifnet.vnet]

    def _link(self, ifnet: IfNet, port: FoundPort, peer: IfNet) -> None:
        """Once for both ends: at the end a, which a link's first jail has."""
        if ifnet.made_as.endswith("a"):
            number = _unit(ifnet, "a")
            other = FoundPort(self._jails[peer.vnet], peer.name, addresses(peer), number)
            port.unit = number
            self._found.links.append(FoundLink((port, other)))

    def _port(self, port: FoundPort, outer: IfNet) -> None:
        if outer.member is not None:
            self._bridges[outer.member.bridge].ports.append(port)
            return
        network = FoundNetwork("", None, own=addresses(outer), mtu=_mtu(outer), ports=[port])
        self._found.networks.append(network)

    def _peer(self, ifnet: IfNet) -> IfNet:
        assert ifnet.peer is not None
        return self._interfaces[ifnet.peer]

    def _parent(self, ifnet: IfNet) -> IfNet | None:
        if ifnet.vlan is None or ifnet.vlan.parent is None:
            return None
        return self._interfaces[ifnet.vlan.parent]

    # --- names --------------------------------------------------------------------------------------------------------

    def _name(self) -> None:
        """Call each network by what it is."""
        taken: set[str] = set()
        for network in self._found.networks:
            by_jib = network.bridge == f"{network.uplink}bridge"
            if network.bridge is not None and not network.bridge.startswith("bridge") and not by_jib:
                wanted = network.bridge
            elif network.bridge is None:
                wanted = f"to-{network.ports[0].jail}"
            else:
                wanted = "lan" if network.uplink is not None else "inside"
            name = next(each for each in (wanted, *(f"{wanted}{n}" for n in range(2, 10_000))) if each not in taken)
            taken.add(name)
            network.name = name


# --- addresses --------------------------------------------------------------------------------------------------------


def addresses(ifnet: IfNet) -> tuple[Interface, ...]:
    """The addresses that somebody gave an interface."""
    return tuple(_given(ifnet))


def _given(ifnet: IfNet) -> Iterator[Interface]:
    for held in ifnet.addresses:
        address = held.address
        if isinstance(address, Inet):
            with_mask = _interface(f"{address.address}/{address.netmask}")
            if with_mask is not None and address.destination is None:
                yield with_mask
        elif not _is_automatic(address.address):
            yield IPv6Interface((address.address, address.prefixlen))


def _interface(text: str) -> Interface | None:
    try:
        return ip_interface(text)
    except ValueError:
        return None  # a mask with holes


def _is_automatic(address: IPv6Address) -> bool:
    """Whether it is a link-local one that follows from a link-layer address, or a loopback's."""
    return address.is_link_local and (address.packed[11:13] == b"\xff\xfe" or int(address) & (1 << 64) - 1 == 1)


def _subnets(network: FoundNetwork) -> Iterator[Network]:
    """One of each family: that of most of its addresses."""
    everybody = [*network.own, *(each for port in network.ports for each in port.addresses)]
    for version in (4, 6):
        mine = [each.network for each in everybody if each.version == version and not each.ip.is_link_local]
        wide = [each for each in mine if each.prefixlen < each.max_prefixlen] or mine
        if wide:
            yield max(dict.fromkeys(wide), key=wide.count)


def _mtu(ifnet: IfNet) -> int | None:
    return ifnet.mtu if ifnet.mtu != _ETHERNET else None


def _unit(ifnet: IfNet, end: str) -> int | None:
    """An epair's number, where this is that end of it and still has its first name."""
    return ifnet.unit if ifnet.name == ifnet.made_as and ifnet.made_as.endswith(end) else None


# --- routes -----------------------------------------------------------------------------------------------------------


def _way(route: Route) -> Address | None:
    """The neighbour that a static route leads to by an address that is the same wherever it is written."""
    away = route.flags & (RouteFlag.BLACKHOLE | RouteFlag.REJECT)
    if RouteFlag.STATIC not in route.flags or away or not isinstance(route.gateway, IPv4Address | IPv6Address):
        return None
    return None if route.gateway.is_link_local or route.gateway.is_loopback else route.gateway
