"""pf(4) as a process sees it: what is loaded, and the states; and an interface as pf.conf(5) sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from vjail.conf.pf.hosts import HostAddress, HostInterface
from vjail.conf.pf.rules import Direction, PfOptions, Ruleset, Table
from vjail.kernel.observed import Address, Iff, Inet, Inet6, Interface


@dataclass(frozen=True, slots=True)
class PacketFilter:
    """The pf of one vnet. `running_for` is seconds since it was switched on or off, None where it never was."""

    enabled: bool = False
    running_for: float | None = None
    options: PfOptions = PfOptions()
    rulesets: Mapping[str, Ruleset] = field(default_factory=dict)
    """By the paths of their anchors; the main one's is empty."""
    tables: tuple[Table, ...] = ()

    def ruleset(self, anchor: str) -> Ruleset:
        """The rules of an anchor; none where there is no such anchor."""
        return self.rulesets.get(anchor, Ruleset())


@dataclass(frozen=True, slots=True)
class PfEndpoint:
    """One end of a flow, with its port, or for ICMP its id."""

    address: IPv4Address | IPv6Address
    port: int = 0


@dataclass(frozen=True, slots=True)
class PfState:
    """A state: the flow as it was where its first packet was looked at.

    `source` is who began, `destination` whom it spoke to, as they are on the side of this host's own stack;
    `wire_source`, `wire_destination` the same on the side of the wire: they differ where an address is translated.
    `age` and `expires` are seconds; `levels` of the two ends as pfctl prints them, the source's first.
    """

    direction: Direction
    proto: int
    source: PfEndpoint
    destination: PfEndpoint
    wire_source: PfEndpoint
    wire_destination: PfEndpoint
    levels: tuple[str, str] = ("", "")
    expires: int = 0


def host_interface(interface: Interface) -> HostInterface:
    """An interface as pfctl's parser looks at it."""
    return HostInterface(
        interface.name,
        interface.groups,
        host_addresses(interface.addresses),
        loopback=Iff.LOOPBACK in interface.flags,
        broadcast=Iff.BROADCAST in interface.flags,
        point_to_point=Iff.POINTOPOINT in interface.flags,
    )


def host_addresses(addresses: tuple[Address, ...]) -> tuple[HostAddress, ...]:
    """Addresses as pfctl's parser looks at them."""
    return tuple(map(_host_address, addresses))


def _host_address(held: Address) -> HostAddress:
    match held:
        case Inet(address, netmask, broadcast, destination):
            return HostAddress(address, int(netmask).bit_count(), broadcast, destination)
        case Inet6(address, prefixlen):
            return HostAddress(address, prefixlen)


def anchors_meant(rulesets: Mapping[str, Ruleset], anchor: str) -> list[str]:
    """The anchors that a rule stands for, by its `anchor`: that one, or with `*` those directly below, by name."""
    if not anchor.endswith("*"):
        return [anchor] if anchor in rulesets else []
    above = anchor.rstrip("*").rstrip("/")
    prefix = f"{above}/" if above else ""
    return sorted(
        path for path in rulesets if path and path.startswith(prefix) and "/" not in path.removeprefix(prefix)
    )
