"""What a lab file comes to: hosts with bridges, jails with interfaces, each with names, addresses and MACs, as data.

The step between what is written (description.py) and the files that are made of it (compile/); pictures are drawn from
it too. Nothing in it is left to be found out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from vjail.lab.file.description import Expectation
from vjail.lab.file.nodes import Place
from vjail.lab.model import WireSettings
from vjail.release import Release

Interface = IPv4Interface | IPv6Interface
"""An address with the length of its network."""
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


_LOCAL = IPv6Network("fc00::/7")


def is_hidden(subnet: Network) -> bool:
    """Whether NAT hides a subnet: IPv4, and local IPv6 (RFC 4193). Global IPv6 is routed as it is."""
    return isinstance(subnet, IPv4Network) or subnet.subnet_of(_LOCAL)


@dataclass(frozen=True, slots=True)
class Port:
    """A jail's end of an epair whose other end is in a network's bridge. `unit`: the epair's; a is the host's end."""

    network: str
    bridge: str
    unit: int
    addresses: tuple[Interface, ...]
    outer: bytes
    inner: bytes
    """The MACs of the ends a and b."""

    @property
    def host_end(self) -> str:
        """The end in the bridge."""
        return f"epair{self.unit}a"

    @property
    def name(self) -> str:
        """The end in the jail."""
        return f"epair{self.unit}b"


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """A jail's end of an epair that leads to another jail. `first`: it is the end a."""

    peer: str
    unit: int
    first: bool
    addresses: tuple[Interface, ...]
    lladdr: bytes

    @property
    def name(self) -> str:
        """The end in this jail."""
        return f"epair{self.unit}{'a' if self.first else 'b'}"

    @property
    def other(self) -> str:
        """The end in the other."""
        return f"epair{self.unit}{'b' if self.first else 'a'}"


@dataclass(frozen=True, slots=True)
class Card:
    """A card of the host that moves into a jail."""

    name: str
    addresses: tuple[Interface, ...]


@dataclass(frozen=True, slots=True)
class VlanPort:
    """A VLAN of a host's card that moves into a jail."""

    name: str
    tag: int
    parent: str
    addresses: tuple[Interface, ...]


@dataclass(frozen=True, slots=True)
class Bridge:
    """A network on its host. `standing`: rc.conf makes it, as the host or a card is in it; else the jails do."""

    network: str
    name: str
    subnets: tuple[Network, ...]
    uplink: str | None = None
    tag: int | None = None
    nat: str | None = None
    host_addresses: tuple[Interface, ...] = ()
    gateways: tuple[Address, ...] = ()
    mtu: int | None = None
    private: bool = False
    domain: str | None = None
    outer: str | None = None
    """The interface whose address hides the network: the card `nat`, or the bridge that it is in."""
    nat6: IPv6Address | None = None
    """Its address that local IPv6 addresses are hidden behind."""

    @property
    def standing(self) -> bool:
        """Whether it is there before any jail."""
        return self.uplink is not None or self.nat is not None or bool(self.host_addresses)

    @property
    def uplink_interface(self) -> str | None:
        """What joins the bridge towards the outside: the card, or its VLAN."""
        if self.uplink is None or self.tag is None:
            return self.uplink
        return f"{self.uplink}.{self.tag}"


@dataclass(frozen=True, slots=True)
class PlacedJail:
    """A jail with all that it has."""

    name: str
    path: str
    hostname: str
    place: Place = field(compare=False)
    base: str | None = None
    ports: tuple[Port, ...] = ()
    links: tuple[LinkEnd, ...] = ()
    cards: tuple[Card, ...] = ()
    vlans: tuple[VlanPort, ...] = ()
    vnet: bool = True
    shared: tuple[Card, ...] = ()
    """Cards of the host with this jail's addresses on them, of one without a stack of its own."""
    gateways: tuple[Address, ...] = ()
    routes: tuple[tuple[Network, Address], ...] = ()
    forward: bool = False
    public: Address | None = None
    mounts: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    rc: Mapping[str, str] = field(default_factory=dict)
    boot: bool = False
    """Its /etc/rc is run."""
    user: str | None = None
    depend: tuple[str, ...] = ()
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def interfaces(self) -> tuple[Port | LinkEnd | VlanPort | Card, ...]:
        """All interfaces that are handed to it; none where it shares its host's stack."""
        return (*self.ports, *self.links, *self.vlans, *self.cards)

    @property
    def addresses(self) -> tuple[Interface, ...]:
        """All its addresses."""
        return tuple(address for each in (*self.interfaces, *self.shared) for address in each.addresses)


@dataclass(frozen=True, slots=True)
class PlacedHost:
    """A host with its bridges and jails. `own_files`: the folder of a host that brings its own."""

    name: str
    nics: Mapping[str, str]
    bridges: tuple[Bridge, ...] = ()
    jails: tuple[PlacedJail, ...] = ()
    addresses: Mapping[str, tuple[Interface, ...]] = field(default_factory=dict)
    gateways: tuple[Address, ...] = ()
    routes: tuple[tuple[Network, Address], ...] = ()
    forward: bool = False
    hostid: str | None = None
    rc: Mapping[str, str] = field(default_factory=dict)
    pf: str | None = None
    devfs: str | None = None
    own_files: str | None = None
    userland: str = "machine"

    def bridge(self, network: str) -> Bridge:
        """The bridge of a network. Raises KeyError."""
        for bridge in self.bridges:
            if bridge.network == network:
                return bridge
        raise KeyError(network)


@dataclass(frozen=True, slots=True)
class Topology:
    """The whole lab."""

    name: str
    release: Release
    hosts: tuple[PlacedHost, ...]
    wires: Mapping[str, WireSettings]
    expectations: tuple[Expectation, ...] = ()
