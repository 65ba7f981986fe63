"""A host's network becomes what another rc.conf says, while the host is up: the commands that bring it there.

Both are booted in memory, without jails. What differs between the two networks then, commands change: addresses, MTUs,
members of bridges, routes, … They are tried on the first, and count only where it becomes as the second is. What cannot
be had so, as an interface's own parameters that are given when it is made, stays for a new start of the lab.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface

from vjail.command.rc.subr import ENVIRONMENT
from vjail.command.sh import NotModelled
from vjail.kernel.core.mac import nic_address
from vjail.kernel.model.files import Node
from vjail.kernel.model.host import ModelHost
from vjail.kernel.observed import (
    Iff,
    Inet,
    Inet6,
    Interface,
    Kind,
    LaggPortFlag,
    LinkGateway,
    Member,
    Nd6,
    Route,
    RouteFlag,
)
from vjail.lab.changes import Files, HostAction, HostChange, VariableChange, is_of, says_yes
from vjail.rehearsal.lab import Rehearsal
from vjail.rehearsal.up import boot
from vjail.release import Release
from vjail.session import FileKind

_HOST = "host"
_ROUTES = ""
"""Stands for the routes where names of interfaces stand for interfaces."""


@dataclass(frozen=True, slots=True)
class Side:
    """A host before or after: its files in /etc, and the MAC addresses of its cards by their names."""

    files: Files
    cards: Mapping[str, bytes]

    @classmethod
    def of(cls, files: Files, cards: Iterable[str], lab: str, host: str) -> Side:
        """Of a host of a lab."""
        return cls(files, {card: nic_address(lab, host, card) for card in cards})


def with_network(
    change: HostChange, sides: tuple[Side, Side], release: Release, held: Collection[str] = ()
) -> HostChange:
    """The same with what is done about those variables of rc.conf that say something of the network.

    `sides`: before and after. `held`: cards that are in a jail, and are left as they are.
    """
    said = [each for each in change.variables if _is_about_network(each)]
    if not said:
        return change
    try:
        actions, left = _worked_out(change, said, sides, release, held)
    except NotModelled:
        return change
    if actions and says_yes(sides[1].files, "pf_enable") and not any("pf" in each.command for each in change.actions):
        # Rules that name interfaces were loaded with the addresses that those had.
        actions += (HostAction(("service", "pf", "reload"), "addresses differ"),)
    stay = [each for each in said if _touches(each, left)]
    if not stay and not left <= set(held):
        stay = said
    remaining = tuple(each for each in change.variables if each not in said or each in stay)
    return replace(change, actions=(*change.actions, *actions), variables=remaining)


_NETWORK = re.compile(
    r"(ifconfig|vlans|create_args|ipv4_addrs|ipv6_prefix|autobridge|route|ipv6_route)_.+|cloned_interfaces|"
    r"(ipv6_)?(static_routes|defaultrouter|network_interfaces|activate_all_interfaces)"
)
_ROUTE = re.compile(r"(ipv6_)?(route_.+|static_routes|defaultrouter)")
_OF_ALL = re.compile(r"ifconfig_DEFAULT|autobridge_interfaces|(ipv6_)?(network_interfaces|activate_all_interfaces)")
_ASKS_OTHERS = re.compile(r"\b(NO)?(SYNC)?DHCP\b|\bWPA\b|\baccept_rtadv\b", re.IGNORECASE)
"""What others give is not known here."""


def _is_about_network(change: VariableChange) -> bool:
    return _NETWORK.fullmatch(change.name) is not None and _ASKS_OTHERS.search(f"{change.old} {change.new}") is None


def _touches(change: VariableChange, left: Collection[str]) -> bool:
    """Whether a variable says something of what is left as it is."""
    if _ROUTE.fullmatch(change.name):
        return _ROUTES in left
    interfaces = {name for name in left if name != _ROUTES}
    if change.name == "cloned_interfaces" or change.name.startswith("vlans_"):
        listed = {*(change.old or "").split(), *(change.new or "").split()}
        return any(name in listed or name.rpartition(".")[2] in listed for name in interfaces)
    return any(is_of(change.name, name) or _OF_ALL.fullmatch(change.name) for name in interfaces)


# --- both networks ----------------------------------------------------------------------------------------------------


def _booted(side: Side, release: Release) -> Rehearsal:
    made = Rehearsal(release)
    host = made.add_host(_HOST, side.cards, _wires(side))
    _lay(host, side.files)
    boot(made, _HOST)
    made.settle()
    return made


def _wires(side: Side) -> dict[str, str]:
    """Each card is on a wire: that a boot brings about the same whoever else is on it."""
    return {card: card for card in side.cards}


def _lay(host: ModelHost, files: Files) -> None:
    for name, content in files.items():
        host.files.put(f"/etc/{name}", Node(FileKind.FILE, content))


@dataclass(frozen=True, slots=True)
class _Network:
    """What is compared of a host's network: interfaces by name, the routes that somebody gave."""

    interfaces: Mapping[str, Interface]
    routes: frozenset[Route]

    @classmethod
    def of(cls, lab: Rehearsal) -> _Network:
        """As it is now."""
        view = lab.hosts[_HOST].kernel.view()
        given = (route for route in view.routes() if RouteFlag.STATIC in route.flags)
        return cls(
            {each.name: _plain(each) for each in view.interfaces()},
            frozenset(replace(route, nhop=0) for route in given if RouteFlag.PINNED not in route.flags),
        )

    def without(self, left: Collection[str]) -> _Network:
        """It without these interfaces and what leads by them; and without routes where _ROUTES is left."""
        return _Network(
            {name: interface for name, interface in self.interfaces.items() if name not in left},
            frozenset(route for route in self.routes if _ROUTES not in left and route.interface not in left),
        )

    def routes_by(self, interfaces: Collection[str]) -> set[Route]:
        """The routes that lead by one of these."""
        return {route for route in self.routes if route.interface in interfaces}

    def differences(self, other: _Network) -> set[str]:
        """The interfaces that are not the same in both, and whether the routes are."""
        names = {*self.interfaces, *other.interfaces}
        found = {name for name in names if self.interfaces.get(name) != other.interfaces.get(name)}
        return found | ({_ROUTES} if self.routes != other.routes else set())


_GIVEN = ~(Iff.RUNNING | Iff.OACTIVE | Iff.PROMISC | Iff.ALLMULTI)
"""Flags that do not follow from others' doings."""


def _plain(interface: Interface) -> Interface:
    """It without what differs from boot to boot, or follows from what it is joined with."""
    bridge, lagg = interface.bridge, interface.lagg
    if bridge is not None:
        members = (Member(each.name, each.flags, 0, each.ifmaxaddr, each.priority) for each in bridge.members)
        bridge = replace(
            bridge,
            members=tuple(sorted(members, key=lambda member: member.name)),
            bridge_id=b"",
            root_id=b"",
            root_priority=0,
            root_cost=0,
            root_port=0,
        )
    if lagg is not None:
        lagg = replace(lagg, ports=tuple(replace(port, flags=LaggPortFlag(0)) for port in lagg.ports))
    return replace(
        interface,
        index=0,
        flags=interface.flags & _GIVEN,
        lladdr=interface.lladdr if interface.kind is Kind.NIC else None,
        hwaddr=None,
        media=None,
        status=None,
        addresses=tuple(sorted(interface.addresses, key=repr)),
        bridge=bridge,
        lagg=lagg,
    )


# --- from one to the other --------------------------------------------------------------------------------------------

Command = tuple[str, ...]
Step = Callable[[_Network, _Network], Iterator[tuple[str, Command]]]
"""What brings the first nearer to the second: the interface that it is done to, or _ROUTES, and the command."""


def _routes_go(now: _Network, then: _Network) -> Iterator[tuple[str, Command]]:
    for route in sorted(now.routes - then.routes, key=repr):
        yield _ROUTES, ("route", "delete", *_words(route))


def _routes_come(now: _Network, then: _Network) -> Iterator[tuple[str, Command]]:
    for route in sorted(then.routes - now.routes, key=repr):
        yield _ROUTES, ("route", "add", *_words(route))


def _words(route: Route) -> Command:
    version, length = route.destination.version, route.destination.prefixlen
    zone = f"%{route.zone}" if route.zone else ""
    destination = ("default",) if not length else ("-net", str(route.destination))
    if length == route.destination.max_prefixlen:
        destination = ("-host", str(route.destination.network_address))
    gateway = ("-iface", route.interface) if isinstance(route.gateway, LinkGateway) else (f"{route.gateway}{zone}",)
    away = [f"-{flag.name}".lower() for flag in (RouteFlag.REJECT, RouteFlag.BLACKHOLE) if flag in route.flags]
    return ("-inet" if version == 4 else "-inet6", *destination, *gateway, *away)


def _interfaces_go(now: _Network, then: _Network) -> Iterator[tuple[str, Command]]:
    for name, interface in now.interfaces.items():
        # The other half of an epair goes with the first.
        if name not in then.interfaces and interface.kind is not Kind.NIC and not _is_second_half(interface):
            yield name, ("ifconfig", name, "destroy")


def _is_second_half(interface: Interface) -> bool:
    return interface.kind is Kind.EPAIR and interface.drivername.endswith("b")


def _vlans_come(now: _Network, then: _Network) -> Iterator[tuple[str, Command]]:
    for name, interface in then.interfaces.items():
        vlan = interface.vlan
        if name not in now.interfaces and vlan is not None and vlan.parent is not None:
            says_all = name == f"{vlan.parent}.{vlan.tag}"
            words = () if says_all else ("vlan", str(vlan.tag), "vlandev", vlan.parent)
            yield name, ("ifconfig", name, "create", *words)


def _addresses_go(now: _Network, then: _Network) -> Iterator[tuple[str, Command]]:
    for name, old, new in _both(now, then):
        kept = {each.address for each in new.addresses}
        for each in old.addresses:
            if each.address not in kept:
                family = "inet" if isinstance(each, Inet) else "inet6"
                yield name, ("ifconfig", name, family, _scoped(each, name), "-alias")


def _settings(now: _Network, then: _Network) -> Iterator[tuple[str, Command]]:
    for name, old, new in _both(now, then):
        words: list[str] = []
        if old.mtu != new.mtu:
            words += ["mtu", str(new.mtu)]
        for member in _members(old) - _members(new):
            words += ["deletem", member]
        for member in _members(new) - _members(old):
            words += ["addm", member]
        if (old.flags ^ new.flags) & Iff.UP:
            words.append("up" if Iff.UP in new.flags else "down")
        if words:
            yield name, ("ifconfig", name, *words)
        flags = [f"{'' if flag in new.nd6 else '-'}{word}" for flag, word in _ND6.items() if flag in old.nd6 ^ new.nd6]
        if flags:
            yield name, ("ifconfig", name, "inet6", *flags)


_ND6 = {Nd6.IFDISABLED: "ifdisabled", Nd6.AUTO_LINKLOCAL: "auto_linklocal"}


def _members(interface: Interface) -> set[str]:
    return {member.name for member in interface.bridge.members} if interface.bridge is not None else set()


def _addresses_come(now: _Network, then: _Network) -> Iterator[tuple[str, Command]]:
    for name, old, new in _both(now, then):
        for each in new.addresses:
            if each in old.addresses:
                continue
            if isinstance(each, Inet):
                yield name, ("ifconfig", name, "inet", f"{each.address}/{_length(each)}", "alias")
            elif not each.address.is_link_local:
                yield name, ("ifconfig", name, "inet6", f"{each.address}/{each.prefixlen}", "alias")


def _length(address: Inet) -> int:
    return IPv4Interface(f"{address.address}/{address.netmask}").network.prefixlen


def _scoped(address: Inet | Inet6, interface: str) -> str:
    return f"{address.address}%{interface}" if address.address.is_link_local else str(address.address)


def _both(now: _Network, then: _Network) -> Iterator[tuple[str, Interface, Interface]]:
    for name, interface in now.interfaces.items():
        if name in then.interfaces:
            yield name, interface, then.interfaces[name]


# Routes by addresses that go are taken away by name before, and what an address takes with it is put back last.
_STEPS: Sequence[Step] = (
    _routes_go,
    _interfaces_go,
    _vlans_come,
    _addresses_go,
    _settings,
    _addresses_come,
    _routes_come,
)


def _worked_out(
    change: HostChange,
    said: Sequence[VariableChange],
    sides: tuple[Side, Side],
    release: Release,
    held: Collection[str],
) -> tuple[tuple[HostAction, ...], set[str]]:
    """What is done, and the interfaces (or _ROUTES) that are left as they are, as it does not suffice for them."""
    old, new = sides
    start, then = _booted(old, release), _Network.of(_booted(new, release))
    start.rewire(_HOST, new.cards, _wires(new))
    _lay(start.hosts[_HOST], new.files)
    for action in change.actions:
        start.type(_HOST, action.command, environ=ENVIRONMENT)
    before, first = start.snapshot(), _Network.of(start)
    left = {*held, *_renamed(said)}
    while True:
        lab, actions, goal = before.copy(), list[HostAction](), then.without(left)
        for step in _STEPS:
            for name, command in list(step(_Network.of(lab).without(left), goal)):
                if lab.type(_HOST, command, environ=ENVIRONMENT).code == 0:
                    actions.append(HostAction(command, _reason(name, command, said)))
        lab.settle()
        more = _Network.of(lab).without(left).differences(goal)
        if not more:
            break
        left |= more
    if first.routes_by(left) != then.routes_by(left):
        left.add(_ROUTES)
    return tuple(actions), left


def _renamed(said: Sequence[VariableChange]) -> Iterator[str]:
    """Interfaces that a boot calls otherwise than before, by each of their names."""
    for each in said:
        if each.name.startswith("ifconfig_") and each.name.endswith("_name"):
            names = (each.name.removeprefix("ifconfig_").removesuffix("_name"), each.old, each.new)
            yield from (name for name in names if name)


def _reason(name: str, command: Command, said: Sequence[VariableChange]) -> str:
    """Why a command is run for an interface, or for the routes: the variables, of its family if there are such."""
    about = [each for each in said if (_ROUTE.fullmatch(each.name) if name == _ROUTES else is_of(each.name, name))]
    family = next((word.removeprefix("-") for word in command if word.removeprefix("-") in ("inet", "inet6")), None)
    names = [each.name for each in about if family in _families(each)] or [each.name for each in about]
    if not names:
        return "its way differs" if name == _ROUTES else f"rc.conf says otherwise of {name}"
    return f"{', '.join(names)} {'differs' if len(names) == 1 else 'differ'}"


def _families(change: VariableChange) -> set[str]:
    if _ROUTE.fullmatch(change.name):
        return {"inet6" if change.name.startswith("ipv6_") else "inet"}
    return {"inet", "inet6"} & {*(change.old or "").split(), *(change.new or "").split()}
