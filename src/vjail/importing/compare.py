"""Two labs in memory, side by side: what a lab file that was imported does otherwise than what it was made of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vjail.importing.watch import Tell
from vjail.importing.wiring import Interface, addresses
from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.errno import KernelError
from vjail.kernel.model.host import ModelHost
from vjail.kernel.observed import LinkGateway, Route, RouteFlag
from vjail.rehearsal.lab import Rehearsal

_PINGS = 400
_OWN = frozenset(
    (
        *("jid", "dying", "parent", "cpuset.id", "host.hostid", "host.hostuuid", "ip4.addr", "ip6.addr"),
        *("persist", "devfs_ruleset", "children.cur"),
    )
)
"""Parameters that each run makes anew, that every jail of a lab file has alike, or that are looked at otherwise."""

_NAMELESS = ("host.hostname", "")
"""What a jail is called that was given no name; a lab file calls it as the jail."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs, in words; how many pings were sent in both, and the interfaces with another name."""

    differences: tuple[str, ...]
    pings: int
    renamed: tuple[str, ...]


def compare(was: Rehearsal, now: Rehearsal, tell: Tell) -> Compared:
    """Look at every host and jail of both. `tell` is told of the pings."""
    differences: list[str] = []
    renamed: list[str] = []
    for name, host in was.hosts.items():
        other = now.hosts[name]
        for place, jail in _places(host):
            there = dict(_places(other)).get(place)
            who = f"{name}:{place}" if place and len(was.hosts) > 1 else place or name
            if there is None:
                differences.append(f"{who} does not run")
                continue
            before, after = _seen(host, jail), _seen(other, there)
            differences += [
                _told(who, what, before.get(what), after.get(what))
                for what in dict.fromkeys((*before, *after))
                if before.get(what) != after.get(what) and (what, before.get(what)) != _NAMELESS
            ]
            for address, interface in _names(host, jail).items():
                new = _names(other, there).get(address)
                if place and new is not None and new != interface:
                    renamed.append(f"{interface} of {who} is {new}")
    pings = 0
    for said, same in _echoes(was, now, tell):
        pings += 1
        if not same:
            differences.append(said)
    return Compared(tuple(differences), pings, tuple(renamed))


def _told(who: str, what: str, before: str | None, after: str | None) -> str:
    if before is None:
        return f"{who}: {what}: not there before, now {after}"
    return f"{who}: {what}: {before} before" + (f", now {after}" if after is not None else ", not any more")


def _places(host: ModelHost) -> Iterator[tuple[str, int]]:
    yield "", 0
    yield from ((prison.name, prison.jid) for prison in host.prisons.prisons() if not prison.dying)


def _seen(host: ModelHost, jid: int) -> Mapping[str, str]:
    """All that must be the same, in words."""
    view = host.kernel.view(jid)
    prison = host.prisons.prison(jid) if jid else None
    found: dict[str, str] = {}
    if not jid or (prison is not None and prison.own_vnet):
        for device in host.net_of(jid).devices.values():
            for each in _outer(device.ifnet):
                found[f"address {each.ip}"] = f"mtu {device.ifnet.mtu}, {'up' if device.ifnet.up else 'down'}"
        for route in view.routes():
            if RouteFlag.STATIC in route.flags and not _is_own(route.destination.network_address):
                found[f"route to {route.destination}"] = _route(route)
        versions = {each.version for device in host.net_of(jid).devices.values() for each in _outer(device.ifnet)}
        for version, on in host.net_of(jid).forwarding.items():
            if version in versions:  # else there is nothing to forward
                found[f"forwarding of IPv{version}"] = "on" if on else "off"
    if prison is not None:
        jail = host.kernel.view().jail(jid)
        found |= {key: str(value) for key, value in jail.parameters.items() if key not in _OWN}
        found["path"] = jail.path
        with contextlib.suppress(KernelError):
            found["devices"] = " ".join(sorted(host.files_of(jid).list("/dev")))
        for mounted in host.kernel.view().mounts():
            if mounted.target.startswith(f"{jail.path.rstrip('/')}/"):
                found[f"mount {mounted.target}"] = " ".join((mounted.fstype, mounted.source, *mounted.options))
    return found


def _route(route: Route) -> str:
    if isinstance(route.gateway, LinkGateway):
        return route.interface
    away = [flag.name or "" for flag in (RouteFlag.REJECT, RouteFlag.BLACKHOLE) if flag in route.flags]
    return " ".join((str(route.gateway), *away)).lower()


def _names(host: ModelHost, jid: int) -> dict[str, str]:
    prison = host.prisons.prison(jid) if jid else None
    if jid and (prison is None or not prison.own_vnet):
        return {}
    return {
        str(each.ip): device.ifnet.name for device in host.net_of(jid).devices.values() for each in _outer(device.ifnet)
    }


def _outer(ifnet: IfNet) -> list[Interface]:
    """The addresses of an interface by which others could reach it."""
    return [each for each in addresses(ifnet) if not each.ip.is_loopback]


def _is_own(address: IPv4Address | IPv6Address) -> bool:
    """Whether every stack has such a one of its own."""
    return address.is_link_local or address.is_loopback


def _echoes(was: Rehearsal, now: Rehearsal, tell: Tell) -> Iterator[tuple[str, bool]]:
    """Everybody's pings to everybody's addresses, or as many of them, evenly taken; whether both answer alike."""
    places = [(name, place) for name, host in was.hosts.items() for place, _ in _places(host)]
    targets = [
        (name, place, address)
        for name, host in was.hosts.items()
        for place, jid in _places(host)
        for address in _names(host, jid)
    ]
    asked = [(source, target) for source in places for target in targets if source != target[:2]]
    chosen = asked[:: max(1, len(asked) // _PINGS)]
    for number, ((name, place), (_, _, address)) in enumerate(chosen, 1):
        tell(f"{place or name} pings {address} in both", number, len(chosen))
        before, after = _answered(was, name, place, address), _answered(now, name, place, address)
        who = place or name
        yield f"{who} reaches {address}" + (" no more" if before else ", and did not before"), before == after


def _answered(lab: Rehearsal, host: str, place: str, address: str) -> bool:
    try:
        return lab.echo(host, place, address).loss is None
    except (KernelError, LookupError):
        return False
