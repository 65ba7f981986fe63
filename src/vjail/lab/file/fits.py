"""What must fit together in a lab file: cards, VLANs, bridges, MTUs, networks of a stack, wires, who is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from vjail.lab.file.description import Expectation, Host
from vjail.lab.file.ground import Copy, Ground
from vjail.lab.file.nodes import At, Place, nearest
from vjail.lab.file.overlaps import Attachment, check_overlaps
from vjail.lab.file.topology import Bridge, Interface, PlacedHost, PlacedJail

ETHERNET = 1500
"""The MTU of what nobody gave another."""


class Fits:
    """Tells what of a lab file does not fit."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def check_top(self) -> None:
        """In a lab with hosts, what belongs to a host is there."""
        file = self._ground.file
        first = next(iter(file.hosts), None)
        if first is None:
            return
        places = {
            "networks": [entry.name.place for entry in file.networks.values()],
            "jails": [entry.name.place for entry in file.jails.values()],
            "links": [link.place for link in file.links],
        }
        for what, found in places.items():
            for place in found:
                hint = f"put it under `hosts: {first}: {what}:`"
                self._ground.say(place, f"in a lab with hosts, {what} belong to one of them", hint)

    def check_cards(
        self, host: str, given: Host, copies: Sequence[Copy], nics: Mapping[str, str], listed: bool
    ) -> None:
        """Each card goes to one place only, and is there."""
        taken: dict[str, str] = {}
        for copy in copies:
            for nic, entry in copy.jail.nics.items():
                first = taken.setdefault(nic, f"jail {copy.name}")
                if first != f"jail {copy.name}":
                    self._ground.say(
                        entry.name.place, f"{nic} goes to {first} already", "a card can be in one jail only"
                    )
        users: list[tuple[At[str], str]] = []
        for name, each in given.networks.items():
            users += [(card, f"network {name}") for card in (each.value.uplink, each.value.nat) if card is not None]
        tags: dict[tuple[str, int], str] = {}
        named: dict[str, str] = {}
        for copy in copies:
            for name, vlan in copy.jail.vlans.items():
                if (first := named.setdefault(name, copy.name)) != copy.name:
                    self._ground.say(vlan.name.place, f"{name} is {first}'s VLAN already", "a name of its own")
                if vlan.value.on is not None:
                    users.append((vlan.value.on, f"VLAN {name}"))
                if vlan.value.on is None or vlan.value.tag is None:
                    continue
                key = (vlan.value.on.value, vlan.value.tag.value)
                first = tags.setdefault(key, f"{copy.name}'s {name}")
                if first != f"{copy.name}'s {name}":
                    self._ground.say(
                        vlan.value.tag.place, f"tag {key[1]} on {key[0]} is {first} already", "a tag of its own"
                    )
        for copy in copies:
            users += [(e.name, f"jail {copy.name}") for e in copy.jail.shared.values()]
        self._check_mtus(host, given)
        self._check_bridges(host, given)
        publics: dict[str, str] = {}
        for copy in copies:
            public = copy.jail.public
            if public is not None:
                first = publics.setdefault(public.value.partition("/")[0], copy.name)
                if first != copy.name:
                    self._ground.say(public.place, f"{public.value} is {first}'s", "a public address of its own")
        for card, user in users:
            if card.value in taken:
                self._ground.say(
                    card.place,
                    f"{card.value} goes to {taken[card.value]}, and {user} needs it on the host",
                    "another card",
                )
        cards = [
            *(card for card, _ in users),
            *(e.name for c in copies for e in c.jail.nics.values()),
            *(e.name for e in given.addresses.values()),
        ]
        made = given.rc["cloned_interfaces"].value.value.split() if "cloned_interfaces" in given.rc else []
        networks = [entry.value for entry in given.networks.values()]
        made += [f"{n.uplink.value}.{n.vlan.value}" for n in networks if n.uplink is not None and n.vlan is not None]
        for card in cards if listed else ():
            may_be = self._ground.unread.may_have(*self._ground.keys(host), "nics", card.value)
            makers = ("rc", "networks") if "." in card.value else ("rc",)
            may_be = may_be or any(self._ground.unread.at(*self._ground.keys(host), key) for key in makers)
            if card.value not in nics and card.value not in made and not may_be:
                self._ground.say(
                    card.place,
                    f"host {host} has no card {card.value}",
                    nearest(card.value, nics) or f"give it under `nics:`, as {card.value}: WIRE",
                )

    def check_overlaps(
        self,
        name: str,
        host: Host,
        bridges: Sequence[Bridge],
        addresses: Mapping[str, tuple[Interface, ...]],
        copies: Sequence[Copy],
        jails: Sequence[PlacedJail],
        link_places: Mapping[str, Sequence[Place]],
    ) -> None:
        """No two interfaces of a stack are in networks that overlap. A jail's replicas are in those of the first.

        `link_places`: where the ends of links stand that each jail has.
        """
        own = [Attachment(nic, host.addresses[nic].name.place, found) for nic, found in addresses.items()]
        own += [Attachment(b.network, host.networks[b.network].name.place, b.host_addresses) for b in bridges]
        check_overlaps(f"host {name}", own, self._ground.problems)
        for copy, jail in zip(copies, jails, strict=True):
            if copy.step or not jail.vnet:
                continue
            given = copy.jail
            ends = zip(jail.links, link_places[copy.name], strict=True)
            own = [Attachment(p.network, given.networks[p.network].name.place, p.addresses) for p in jail.ports]
            own += [Attachment(f"a link with {end.peer}", place, end.addresses) for end, place in ends]
            own += [Attachment(card.name, given.nics[card.name].name.place, card.addresses) for card in jail.cards]
            own += [Attachment(vlan.name, given.vlans[vlan.name].name.place, vlan.addresses) for vlan in jail.vlans]
            check_overlaps(copy.name, own, self._ground.problems)

    def _check_bridges(self, host: str, given: Host) -> None:
        """A bridge is one network's, and so is what of a card joins it."""
        bridges: dict[str, str] = {}
        uplinks: dict[tuple[str, int | None], str] = {}
        for name, each in given.networks.items():
            network = each.value
            if network.bridge is not None:
                first = bridges.setdefault(network.bridge.value, name)
                if first != name:
                    self._ground.say(
                        network.bridge.place, f"{network.bridge.value} is {first}'s bridge", "another number"
                    )
            if network.uplink is not None and not self._ground.lacks_of_network(host, name, "vlan"):
                tag = network.vlan.value if network.vlan is not None else None
                first = uplinks.setdefault((network.uplink.value, tag), name)
                if first != name:
                    what = network.uplink.value if tag is None else f"VLAN {tag} of {network.uplink.value}"
                    text = f"{what} is the uplink of {first}, and can be in one bridge only"
                    self._ground.say(network.uplink.place, text, "another card, or a `vlan:` of its own")

    def _check_mtus(self, host: str, given: Host) -> None:
        """A bridge's members have one MTU, and so has a card all of whose VLANs are in bridges (row E4)."""
        first: dict[str, tuple[str, int]] = {}
        for name, each in given.networks.items():
            network = each.value
            if network.uplink is not None and not self._ground.lacks_of_network(host, name, "mtu"):
                mtu = network.mtu.value if network.mtu is not None else ETHERNET
                other, known = first.setdefault(network.uplink.value, (name, mtu))
                if known != mtu:
                    self._ground.say(
                        network.uplink.place,
                        f"{network.uplink.value} would carry packets of {known} bytes for {other}, {mtu} for {name}",
                        "one `mtu:` for all networks of a card",
                    )

    def check_wires(self, hosts: Mapping[str, Host]) -> None:
        """Each wire that a card is on is there, and no two hosts have one hostid (row D5)."""
        for host in hosts.values():
            for entry in host.nics.values():
                wire = entry.value.value
                if wire not in self._ground.file.wires and not self._ground.unread.may_have("wires", wire):
                    hint = nearest(wire, self._ground.file.wires) or "add it to `wires:`"
                    self._ground.say(entry.value.place, f"there is no wire {wire!r}", hint)
        ids: dict[str, str] = {}
        for name, host in hosts.items():
            if host.hostid is not None and ids.setdefault(host.hostid.value.lower(), name) != name:
                text = f"{ids[host.hostid.value.lower()]} has this hostid: their bridges would have one MAC address"
                self._ground.say(host.hostid.place, text, "another, or none: it is made from the host's name")

    def check_expectations(self, expectations: Sequence[Expectation], hosts: Sequence[PlacedHost]) -> None:
        """Who is expected to reach somebody, or is to be reached, is there, and is one."""
        jails = [jail.name for host in hosts for jail in host.jails]
        names = set(jails)
        names |= {f"{host.name}:{jail.name}" for host in hosts for jail in host.jails}
        names |= {host.name for host in hosts}
        if any(host.own_files or self._ground.unread.at(*self._ground.keys(host.name), "files") for host in hosts):
            return  # their jails are in their own files
        for each in expectations:
            for name in (each.source, each.target):
                if name not in names and not _is_address(name) and not self._may_be_called(name, hosts):
                    hint = nearest(name, names) or "a jail, a host, HOST:JAIL or an address"
                    self._ground.say(each.place, f"nobody is called {name!r}", hint)
                elif jails.count(name) > 1:
                    there = ", ".join(
                        f"{host.name}:{name}" for host in hosts if any(j.name == name for j in host.jails)
                    )
                    self._ground.say(each.place, f"several hosts have a jail {name}", f"say which: {there}")

    def _may_be_called(self, name: str, hosts: Sequence[PlacedHost]) -> bool:
        """Whether there may be a host or a jail of a name that nobody seems to have."""
        host, _, jail = name.rpartition(":")
        if self._ground.unread.may_have("hosts", host) if host else self._ground.unread.may_lack("hosts"):
            return True
        return any(self._ground.may_be_jail(each.name, jail) for each in hosts if host in ("", each.name))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
