"""From what is seen of a lab (view/topology.py) to a picture of boxes and nets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_interface

from vjail.kernel.conditions import Conditions
from vjail.kernel.observed import Iff, Inet6, Interface, Kind
from vjail.view.picture.model import Box, BoxKind, End, HostPicture, Net, NetKind, Picture, Port
from vjail.view.topology import HostView, JailView, LabView, address, is_nic

_LOWER = (Kind.NIC, Kind.LAGG, Kind.VXLAN, Kind.TAP, Kind.TUN, Kind.GIF, Kind.GRE, Kind.VLAN)
"""What stands below the bridges: the ways out of a host."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What is known of a host besides its interfaces: the subnets and the name of each bridge's network, by bridge;
    what pf translates, as words by interface; whether it forwards packets."""

    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    translates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    forwards: bool = False


def gather(lab: LabView, marks: Mapping[str, Marks]) -> Picture:
    """The picture of a lab. `marks` by host."""
    hosts = [_Host(host, marks.get(host.name, Marks())) for host in lab.hosts]
    used = {
        (host.view.name, plug): (card.key, number)
        for host in hosts
        for card in host.cards.values()
        for number, plug in enumerate(card.plugs)
    }
    wires = [_wire(lab, wire, nics, used) for wire, nics in lab.wires().items()]
    return Picture(lab.name, tuple(host.picture() for host in hosts), tuple(wire for wire in wires if wire.ends))


def _wire(
    lab: LabView, wire: str, nics: list[tuple[str, str]], plugs: Mapping[tuple[str, str], tuple[str, int]]
) -> Net:
    notes = [f"this machine's {lab.uplinks[wire]}"] if wire in lab.uplinks else []
    notes += lab.conditions.get(wire, Conditions()).words()
    cut = wire in lab.cut
    notes += ["cut"] if cut else []
    ends = [
        End(*plugs[host, nic], "unplugged" if f"{host}:{nic}" in lab.cut else "")
        for host, nic in nics
        if (host, nic) in plugs
    ]
    return Net(f"wire/{wire}", NetKind.WIRE, wire, tuple(notes), tuple(ends), cut=cut)


@dataclass(slots=True)
class _Draft:
    """A box that still gets ports."""

    key: str
    kind: BoxKind
    title: str
    notes: list[str] = field(default_factory=list)
    ports: list[Port] = field(default_factory=list)
    plugs: list[str] = field(default_factory=list)

    def port(self, name: str = "", *lines: str) -> int:
        self.ports.append(Port(name, lines))
        return len(self.ports) - 1

    def box(self) -> Box:
        return Box(self.key, self.kind, self.title, (*self.notes,), (*self.ports,), (*self.plugs,))


class _Host:
    """One host on its way into the picture."""

    def __init__(self, view: HostView, marks: Marks) -> None:
        self.view = view
        self.marks = marks
        self.own = {each.name: each for each in view.stack.interfaces}
        self.boxes: dict[str, _Draft] = {}
        self.cards: dict[str, _Draft] = {}
        """By the name the driver gave, or that of a device."""
        self.nets: list[Net] = []
        self.ends: dict[str, list[End]] = {}
        """Of each bridge."""
        self.halves: dict[str, list[tuple[str, Interface]]] = {}
        """Of each epair: in which jail (empty: the host), and the interface."""
        self.member_of = {
            member.name: bridge.name
            for bridge in self.own.values()
            if bridge.bridge is not None
            for member in bridge.bridge.members
        }
        for jail in view.jails:
            self._jail(jail)
        self._own_interfaces()
        for halves in self.halves.values():
            self._epair(halves)
        self._routing()
        for bridge in self.own.values():
            if bridge.kind is Kind.BRIDGE:
                self._bridge(bridge)

    # --- jails ---

    def _jail(self, jail: JailView) -> None:
        kind = BoxKind.JAIL if jail.stack else BoxKind.SHARED if jail.jid else BoxKind.STOPPED
        box = self.boxes[jail.name] = _Draft(f"{self.view.name}/{jail.name}", kind, jail.name)
        if jail.name.isdigit() and jail.hostname:
            box.notes.append(jail.hostname)  # a jail that was given no name is called by its number
        if jail.stack is None:
            box.notes += ["not running"] if not jail.jid else _shared(jail)
            return
        for interface in jail.stack.interfaces:
            if interface.kind is Kind.BRIDGE and interface.bridge is not None:
                members = " ".join(sorted(member.name for member in interface.bridge.members))
                box.notes.append(f"{interface.name}: {members or 'no members'}")
                box.notes += addresses(interface)
            elif interface.kind is Kind.EPAIR:
                self.halves.setdefault(interface.drivername, []).append((jail.name, interface))
            elif is_nic(interface, self.view.nics):
                card = self._card(interface.drivername)
                self._link(box, interface, card, f"in {jail.name}")
            elif interface.kind is Kind.VLAN:
                self._jails_vlan(box, interface)
            elif interface.kind is not Kind.PFLOG and (interface.kind is not Kind.LOOPBACK or addresses(interface)):
                box.port(interface.name, *_kind_note(interface), *addresses(interface))

    def _jails_vlan(self, box: _Draft, interface: Interface) -> None:
        """A vlan of a jail; of one that was made on the host the parent is a card there."""
        vlan = interface.vlan
        if vlan is None or vlan.parent is None:
            box.port(interface.name, "vlan, not bound", *addresses(interface))
            return
        if vlan.parent in self.own and vlan.visible is False:
            self._link(box, interface, self._lower(vlan.parent), "", vlan.tag)
        else:
            box.port(interface.name, f"vlan {vlan.tag} on {vlan.parent}", *addresses(interface))

    def _link(self, box: _Draft, interface: Interface, card: _Draft, note: str, tag: int | None = None) -> None:
        lines = [f"vlan {tag}"] if tag is not None else []
        upper = End(box.key, box.port(interface.name, *lines, *addresses(interface)), tag=tag)
        lower = End(card.key, card.port(f"vlan {tag}" if tag is not None else note), tag=tag)
        self._add(NetKind.LINK, f"{box.key}/{interface.name}", (upper, lower), tag)

    def _add(self, kind: NetKind, key: str, ends: tuple[End, ...], tag: int | None = None) -> None:
        self.nets.append(Net(key, kind, "", (), ends, tag))

    # --- what is the host's own ---

    def _card(self, name: str) -> _Draft:
        """The box of a card, a way out of the host."""
        if name not in self.cards:
            found = self.cards[name] = _Draft(f"{self.view.name}/{name}", BoxKind.CARD, name)
            if name in self.view.nics:
                found.plugs.append(name)
        return self.cards[name]

    def _lower(self, name: str) -> _Draft:
        """The box of an interface of the host that stands below the bridges."""
        interface = self.own[name]
        card = self._card(interface.drivername if is_nic(interface, self.view.nics) else name)
        card.title = name
        return card

    def _own_interfaces(self) -> None:
        laggs = {port.name for each in self.own.values() if each.lagg is not None for port in each.lagg.ports}
        for interface in self.own.values():
            name, bridge = interface.name, self.member_of.get(interface.name)
            if interface.kind is Kind.EPAIR:
                self.halves.setdefault(interface.drivername, []).append(("", interface))
            elif interface.kind is Kind.VLAN and interface.vlan is not None and interface.vlan.parent in self.own:
                self._own_vlan(interface, bridge)
            elif interface.kind in _LOWER:
                shown = addresses(interface)
                wired = interface.drivername in self.view.nics and self._is_wired(interface.drivername)
                if not (bridge or shown or wired or name in laggs or interface.kind is not Kind.NIC):
                    continue
                card = self._lower(name)
                card.notes = [*_kind_note(interface), *shown, *card.notes]
                if Iff.UP not in interface.flags:
                    card.notes.append("down")
                if bridge is not None:
                    self._join(bridge, End(card.key, card.port()))
            elif interface.kind is Kind.LOOPBACK and addresses(interface):
                self._host_box().port(name, *addresses(interface))

        for lagg in self.own.values():
            if lagg.lagg is not None:
                self._gather_ports(self._lower(lagg.name), [port.name for port in lagg.lagg.ports])

    def _gather_ports(self, lagg: _Draft, ports: list[str]) -> None:
        """The cards that are a lagg's ports, and nothing else, are within its box."""
        for name in ports:
            card = self.cards.get(self.own[name].drivername)
            if card is not None and card is not lagg and not card.ports and not card.notes:
                lagg.plugs += card.plugs
                del self.cards[self.own[name].drivername]

    def _is_wired(self, nic: str) -> bool:
        return sum(wire == self.view.nics[nic] for wire in self.view.nics.values()) > 1 or Iff.UP in self.own[nic].flags

    def _own_vlan(self, interface: Interface, bridge: str | None) -> None:
        assert interface.vlan is not None
        assert interface.vlan.parent is not None
        card, tag = self._lower(interface.vlan.parent), interface.vlan.tag
        if bridge is not None:
            self._join(bridge, End(card.key, card.port(interface.name, f"vlan {tag}"), tag=tag))
        else:
            card.notes.append(" ".join((f"{interface.name} (vlan {tag})", *addresses(interface))))

    def _host_box(self) -> _Draft:
        """The host's own stack, as a box among the jails."""
        title = f"{self.view.name} itself"
        return self.boxes.setdefault("", _Draft(f"{self.view.name}/", BoxKind.HOST, title))

    def _join(self, bridge: str, end: End) -> None:
        self.ends.setdefault(bridge, []).append(end)

    def _epair(self, halves: list[tuple[str, Interface]]) -> None:
        ends = [(where, each, "" if where else self.member_of.get(each.name, "")) for where, each in halves]
        bridged = [(each, bridge) for _, each, bridge in ends if bridge]
        if len(bridged) == 2:
            unit = halves[0][1].drivername
            box = self.boxes[f"epair {unit}"] = _Draft(f"{self.view.name}/epair/{unit}", BoxKind.PATCH, unit)
            for each, bridge in bridged:
                self._join(bridge, End(box.key, box.port(each.name)))
            return
        open_ends = []
        for where, each, bridge in ends:
            if not bridge:
                box = self.boxes[where] if where else self._host_box()
                down = () if Iff.UP in each.flags else ("down",)
                open_ends.append(End(box.key, box.port(each.name, *addresses(each), *down)))
        if bridged and open_ends:
            each, bridge = bridged[0]
            state = "" if Iff.UP in each.flags else " (down)"
            end = open_ends[0]
            self._join(bridge, End(end.box, end.port, f"{each.name}{state}"))
        elif bridged:
            box = self.boxes[bridged[0][0].name] = _Draft(
                f"{self.view.name}/{bridged[0][0].name}", BoxKind.PATCH, bridged[0][0].name
            )
            self._join(bridged[0][1], End(box.key, box.port()))
        elif len(open_ends) == 2:
            self._add(NetKind.LINK, f"{open_ends[0].box}/{halves[0][1].drivername}", (*open_ends,))

    def _routing(self) -> None:
        """A host that forwards joins what it has addresses on: its bridges with its cards."""
        if not self.marks.forwards:
            return
        cards = [(name, card) for name, card in self.cards.items() if name in self.own and addresses(self.own[name])]
        cards += [
            (name, self._lower(name))
            for name in self.marks.translates
            if name in self.own and self.own[name].kind in _LOWER and not addresses(self.own[name])
        ]
        for bridge in self.own.values():
            if bridge.kind is Kind.BRIDGE and addresses(bridge):
                for name, card in cards:
                    if name not in self.member_of:
                        self._join(bridge.name, End(card.key, card.port(self._way(name)), routed=True))
        if "" in self.boxes:
            for name, card in cards:
                own = self.boxes[""]
                if name not in self.member_of:
                    ends = (End(own.key, own.port()), End(card.key, card.port(self._way(name)), routed=True))
                    self._add(NetKind.LINK, f"{own.key}/{name}", ends)
        for name, card in cards:
            card.notes += self.marks.translates.get(name, ())

    def _way(self, card: str) -> str:
        """How packets go through a card of a host that forwards."""
        return "NAT" if self.marks.translates.get(card) else "routed"

    def _bridge(self, interface: Interface) -> None:
        own = addresses(interface)
        shown = {str(ip_interface(each).network) for each in own}  # an address with its length says the subnet too
        notes = (*(note for note in self.marks.networks.get(interface.name, ()) if note not in shown), *own)
        down = () if Iff.UP in interface.flags else ("down",)
        ends = tuple(self.ends.get(interface.name, ()))
        tags = {end.tag for end in ends if end.tag is not None}
        tag = tags.pop() if len(tags) == 1 else None
        self.nets.append(
            Net(f"{self.view.name}/{interface.name}", NetKind.BRIDGE, interface.name, (*notes, *down), ends, tag)
        )

    def picture(self) -> HostPicture:
        """The host as it is drawn."""
        notes = (f"FreeBSD {self.view.release}", *(("routes",) if self.marks.forwards else ()))
        boxes = tuple(box.box() for box in self.boxes.values())
        cards = tuple(card.box() for card in self.cards.values())
        return HostPicture(self.view.name, notes, boxes, cards, tuple(self.nets))


def _shared(jail: JailView) -> Iterator[str]:
    yield f"on the stack of {jail.shares or 'the host'}"
    if jail.addresses is None:
        yield "all its addresses"
    else:
        yield from jail.addresses or ("no address",)


def addresses(interface: Interface) -> tuple[str, ...]:
    """The addresses that somebody gave an interface: no link-local ones, none that every loopback has."""
    shown = [each for each in interface.addresses if not (isinstance(each, Inet6) and _is_own(each.address))]
    texts = sorted((address(each, interface.name) for each in shown), key=lambda text: ":" in text)
    return tuple(text for text in texts if text != "127.0.0.1/8")


def _is_own(one: IPv6Address) -> bool:
    return one.is_link_local or one.is_loopback


def _kind_note(interface: Interface) -> Iterator[str]:
    if interface.lagg is not None:
        ports = " ".join(port.name for port in interface.lagg.ports)
        yield f"{interface.lagg.protocol.value}: {ports}"
    elif interface.vxlan is not None and interface.vxlan.vni is not None:
        yield f"vni {interface.vxlan.vni}"
        if interface.vxlan.remote is not None:
            yield f"to {interface.vxlan.remote}"
    elif interface.kind is Kind.VLAN:
        yield "vlan, not bound"
