"""Labs as they are seen, made for pictures: how many jails there are on how many bridges."""

from __future__ import annotations

from ipaddress import IPv4Address

from vjail.kernel.observed import Bridge, Iff, Inet, Interface, Kind, Member, MemberFlag, Vlan
from vjail.view.picture import Marks
from vjail.view.topology import HostView, JailView, LabView, Stack

MASK = IPv4Address("255.255.0.0")


def interface(name: str, kind: Kind, made_as: str, *addresses: str, vlan: Vlan | None = None) -> Interface:
    held = tuple(Inet(IPv4Address(each), MASK) for each in addresses)
    return Interface(name, 1, kind, Iff.UP, 1500, addresses=held, drivername=made_as, vlan=vlan)


def bridge(name: str, members: list[str], *addresses: str) -> Interface:
    held = tuple(Inet(IPv4Address(each), MASK) for each in addresses)
    found = Bridge(tuple(Member(member, MemberFlag.LEARNING, 1) for member in members))
    return Interface(name, 1, Kind.BRIDGE, Iff.UP, 1500, addresses=held, drivername=name, bridge=found)


def jail(number: int, name: str, *interfaces: Interface) -> JailView:
    return JailView(number, name, f"/jails/{name}", name, "active", 1, Stack(interfaces))


def host(name: str, count: int, bridges: int = 1, *, links: bool = True) -> HostView:
    """A host of `count` jails: each on one or two of the bridges, some linked, one with a VLAN; a card on a wire."""
    members: list[list[str]] = [[] for _ in range(bridges)]
    own: list[Interface] = [interface("em0", Kind.NIC, "em0", "192.0.2.1")]
    jails = []
    unit = 0
    for number in range(1, count + 1):
        inner = []
        for at in {number % bridges, 0}:
            members[at].append(f"epair{unit}a")
            own.append(interface(f"epair{unit}a", Kind.EPAIR, f"epair{unit}"))
            inner.append(
                interface(f"epair{unit}b", Kind.EPAIR, f"epair{unit}", f"10.{at & 255}.{number >> 8}.{number & 255}")
            )
            unit += 1
        if links and number % 4 in (1, 2) and number < 9:
            link = f"epair900{number // 4}"
            inner.append(interface(f"{link}{'ab'[number % 4 - 1]}", Kind.EPAIR, link))
        if number == 3:
            inner.append(interface("vlan7", Kind.VLAN, "vlan7", vlan=Vlan(7, "em0", visible=False)))
        jails.append(jail(number, f"node{number}" if number > 2 else ("web", "router")[number - 1], *inner))
    own += [bridge(f"bridge{at}", names, *(["10.0.255.254"] if not at else [])) for at, names in enumerate(members)]
    return HostView(name, "13", Stack(own), jails, {"em0": "lan"})


def lab(count: int, hosts: int = 1, bridges: int = 1) -> tuple[LabView, dict[str, Marks]]:
    """A lab of some hosts; the first hides its first bridge behind its card."""
    marks = {"host1": Marks({"bridge0": ("inside", "10.0.0.0/16")}, {"em0": ("NAT 10.0.0.0/16",)}, forwards=True)}
    return LabView("lab", "/lab", [host(f"host{n}", count, bridges) for n in range(1, hosts + 1)]), marks
