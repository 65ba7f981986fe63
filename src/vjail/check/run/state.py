"""What is wrong with a host's networks when everything has started: what is down, untagged, in a circle.

Nothing has failed to come to it, so nobody says it: these are the evenings lost with ping and tcpdump.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from vjail.check.finding import Rule, Severity
from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.observed import Iff, Kind, MemberFlag
from vjail.rehearsal import Rehearsal
from vjail.release import Release

BRIDGE_DOWN = Rule("VJ311", Severity.ERROR, "a bridge that nothing brings up")
MEMBER_DOWN = Rule("VJ312", Severity.ERROR, "a bridge's member that nothing brings up")
IDLE = Rule("VJ313", Severity.WARNING, "an interface in a jail that nothing brings up")
LOOPBACK_DOWN = Rule("VJ314", Severity.NOTE, "lo0 of a jail that nothing brings up")
CIRCLE = Rule("VJ315", Severity.ERROR, "bridges in a circle without spanning tree")
NEVER_TAGGED = Rule("VJ316", Severity.ERROR, "a vlan without a tag")

MEMBER_ADDRESS = Rule("VJ319", Severity.WARNING, "a bridge's member with an address of its own")
MEMBER_ADDRESS_WHY = (
    "FreeBSD 15 warns of it, and refuses it (Invalid argument) where net.link.bridge.member_ifaddrs is 0, as later "
    "releases will have it"
)


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with `interface`; `jail`: whose network stack it is in, empty for the host's."""

    rule: Rule
    interface: str
    jail: str
    text: str
    why: str
    mend: str


def look(lab: Rehearsal, host: str, unknown: Collection[str] = ()) -> Iterator[Flaw]:
    """What is wrong now. `unknown`: jails whose own rc.conf may do what is not seen here."""
    machine = lab.hosts[host]
    found = {
        device.ifnet.ident: (device.ifnet, machine.jail_name(device.ifnet.vnet))
        for net in machine.driver.nets.values()
        for device in net.devices.values()
    }
    for ifnet, jail in found.values():
        if jail in unknown:
            continue
        if ifnet.bridge is not None and ifnet.bridge.members:
            members = [found[ident][0] for ident in ifnet.bridge.members if ident in found]
            yield from _bridge(ifnet, jail, members)
            if lab.release >= Release.V15:
                yield from _addresses(ifnet, jail, members)
        elif ifnet.kind is Kind.VLAN and ifnet.vlan is not None and ifnet.vlan.parent is None:
            yield Flaw(
                NEVER_TAGGED,
                ifnet.name,
                jail,
                f"{ifnet.name} has no tag and no card beneath it",
                "a vlan(4) that is bound to nothing sends and hears nothing, whatever address it has",
                f"ifconfig {ifnet.name} vlan TAG vlandev CARD, before it goes into a jail",
            )
        elif jail and ifnet.kind is Kind.LOOPBACK and ifnet.name == "lo0" and not ifnet.flags & Iff.UP:
            yield Flaw(
                LOOPBACK_DOWN,
                ifnet.name,
                jail,
                f"lo0 of {jail} is never brought up",
                "a fresh network stack's lo0 is down: no 127.0.0.1, no ::1, and the jail does not reach its own "
                "addresses",
                "ifconfig lo0 inet 127.0.0.1/8 up, first in exec.start; /etc/rc in the jail does it too",
            )
        elif jail and ifnet.home != ifnet.vnet and ifnet.member is None and not ifnet.flags & Iff.UP:
            yield Flaw(
                IDLE,
                ifnet.name,
                jail,
                f"{ifnet.name} is lent to {jail}, and nothing there brings it up",
                "an interface comes down when it is lent, and loses its addresses",
                f"ifconfig {ifnet.name} inet ADDRESS/LENGTH up, in the jail",
            )
    yield from _circles(found)


def _bridge(bridge: IfNet, jail: str, members: list[IfNet]) -> Iterator[Flaw]:
    names = ", ".join(sorted(member.name for member in members))
    if not bridge.flags & Iff.UP:
        yield Flaw(
            BRIDGE_DOWN,
            bridge.name,
            jail,
            f"{bridge.name} is down: nothing crosses it between {names}"
            if len(members) > 1
            else f"{bridge.name} is down: nothing comes through it to {names}",
            "a bridge is made down, and addm does not bring it up",
            f"ifconfig {bridge.name} up",
        )
    for member in members:
        if not member.flags & Iff.UP:
            yield Flaw(
                MEMBER_DOWN,
                member.name,
                jail,
                f"{member.name} is a member of {bridge.name}, and down",
                "addm does not bring it up, nor does what is done to an epair's other end: no frame comes in or goes "
                "out by it",
                f"ifconfig {member.name} up",
            )


def _addresses(bridge: IfNet, jail: str, members: list[IfNet]) -> Iterator[Flaw]:
    for member in members:
        if any(not held.address.address.is_link_local for held in member.addresses):
            yield Flaw(
                MEMBER_ADDRESS,
                member.name,
                jail,
                f"{member.name} is a member of {bridge.name}, and has an address of its own",
                MEMBER_ADDRESS_WHY,
                f"give the address to {bridge.name}",
            )


def _circles(found: dict[int, tuple[IfNet, str]]) -> Iterator[Flaw]:
    """Bridges that epairs join twice, while neither end of the last one is in a spanning tree."""
    root = {ident: ident for ident in found}

    def top(ident: int) -> int:
        while root[ident] != ident:
            ident = root[ident]
        return ident

    for ident, (ifnet, jail) in sorted(found.items()):
        if ifnet.peer is None or ifnet.peer not in found:
            continue
        peer = found[ifnet.peer][0]
        if ident > peer.ident or ifnet.member is None or peer.member is None:
            continue
        one, other = top(ifnet.member.bridge), top(peer.member.bridge)
        if one != other:
            root[one] = other
        elif not (ifnet.member.flags | peer.member.flags) & MemberFlag.STP:
            bridge = found[ifnet.member.bridge][0]
            yield Flaw(
                CIRCLE,
                ifnet.name,
                jail,
                f"{ifnet.name} and {peer.name} close a circle of bridges, without spanning tree",
                "every broadcast goes round for ever, in both directions, and takes all there is of processor and wire",
                f"ifconfig {bridge.name} stp {ifnet.name} (of the other bridges too); or take the second way out",
            )
