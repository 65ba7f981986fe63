"""From what a lab file says to what it comes to: names found, addresses and numbers given.

Everything that a lab file can get wrong beyond its form is found here and in fits.py, each with its place, also where
the file is wrong in form elsewhere. Nothing is said of what hangs on a piece that could not be read, or is wrong.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, IPv6Interface, ip_address, ip_interface, ip_network

from vjail.conf.jailconf.parameters import lookup, suggest
from vjail.conf.rcconf import variable_name
from vjail.kernel.conditions import Conditions
from vjail.lab.file.addressing import Pool, Segment
from vjail.lab.file.byhand import made_by_hand
from vjail.lab.file.description import RESERVED, Expectation, Host, Link, Network, Wire
from vjail.lab.file.fits import Fits
from vjail.lab.file.ground import Copy, Ground
from vjail.lab.file.load import Loaded
from vjail.lab.file.lock import Lock
from vjail.lab.file.naming import Macs, Numbers, start
from vjail.lab.file.nodes import At, Place, Problems, nearest
from vjail.lab.file.schema import Entry
from vjail.lab.file.topology import (
    Address,
    Bridge,
    Card,
    Interface,
    LinkEnd,
    PlacedHost,
    PlacedJail,
    Port,
    Topology,
    VlanPort,
    is_hidden,
)
from vjail.lab.file.topology import Network as Subnet
from vjail.lab.model import WireSettings
from vjail.release import DEFAULT, Release

_LEAST_OF_IPV6 = 1280
"""IPV6_MMTU: an interface whose MTU is smaller has no IPv6 (in6_ifattach.c)."""


@dataclass(slots=True)
class _Begun:
    """A host whose addresses are being given."""

    name: str
    host: Host
    copies: list[Copy]
    addresses: Mapping[str, tuple[Interface, ...]]
    """Its cards' own."""
    pools: Mapping[str, Pool]
    bridges: tuple[Bridge, ...] = ()


def resolve(name: str, loaded: Loaded, old: Lock) -> tuple[Topology, Lock]:
    """What a lab file comes to, and the lock that keeps it so. Its mistakes join those that were found loading it.

    Where there are any, what it comes to lacks what is wrong.
    """
    return _Resolver(name, loaded, old).run()


class _Resolver:
    def __init__(self, name: str, loaded: Loaded, old: Lock) -> None:
        self._name = name
        self._ground = Ground(loaded)
        self._fits = Fits(self._ground)
        self._old = old
        self._new = Lock()
        self._unsure: set[tuple[str, str]] = set()
        """Hosts' jails that have addresses which are not known."""
        self._segments: defaultdict[tuple[str, int | None], Segment] = defaultdict(Segment)
        """Wires, and VLANs on them."""
        self._link_places: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
        """Where the ends of links stand that a host's jail has, in their order."""
        taken = list(made_by_hand(self._ground.file, self._ground.hosts()))
        numbers = {k: n for k, n in old.numbers.items() if not k.startswith("bridge ")}
        self._numbers = Numbers(start(name), numbers, {n for kind, n in taken if kind == "epair"})
        bridges = {k: n for k, n in old.numbers.items() if k.startswith("bridge ")}
        self._bridges = Numbers(start(name), bridges, {n for kind, n in taken if kind == "bridge"})
        self._macs = Macs(name)

    def run(self) -> tuple[Topology, Lock]:
        for group in self._ground.file.groups.values():
            for each in group.value.group:
                self._ground.say(
                    each.place, "a group cannot be in another", "give its jails both: `group: [one, other]`"
                )
        self._fits.check_top()
        hosts = self._ground.hosts()
        wires = {name: _wire(entry.value) for name, entry in self._ground.file.wires.items()}
        prepared = [self._prepare(name, host) for name, host in hosts.items()]
        for begun in prepared:
            self._claim(begun)
        for begun in prepared:
            begun.bridges = self._bridges_of(begun)
        for begun in prepared:
            self._reserve(begun)
        placed = tuple(map(self._host, prepared))
        expectations = tuple(Expectation.of(line) for line in self._ground.file.expect)
        self._fits.check_expectations(expectations, placed)
        self._fits.check_wires(hosts)
        release = self._ground.file.freebsd.value if self._ground.file.freebsd is not None else DEFAULT
        return Topology(self._name, release, placed, wires, expectations), self._new

    # --- hosts --------------------------------------------------------------------------------------------------------

    def _prepare(self, name: str, host: Host) -> _Begun:
        """A host's jails, its cards' addresses, and the pools of its networks."""
        if host.files is not None and (host.networks or host.jails or host.links):
            self._ground.say(
                host.files.place,
                f"host {name} has its own files, and networks or jails besides",
                "either `files:`, or networks and jails here",
            )
        copies = list(self._ground.copies(name, host))
        routers = {
            self._ground.called(name, each.name)
            for each in copies
            if (each.jail.forward is not None and each.jail.forward.value) or self._ground.lacks(each, "forward")
        }
        addresses = {nic: self._ground.long(entry.value) for nic, entry in host.addresses.items()}
        pools = {network: self._pool(name, network, host, routers) for network in host.networks}
        return _Begun(name, host, copies, addresses, pools)

    def _segment(self, host: Host, card: str, tag: int | None) -> Segment:
        """Who hears what goes out through a card, with a tag or without; where it is on no wire, nobody else does."""
        nic = host.nics.get(card)
        return self._segments[nic.value.value, tag] if nic is not None else Segment()

    def _claim(self, begun: _Begun) -> None:
        """The addresses that stand by themselves on wires: of the host's cards, of its jails' cards, VLANs and NAT."""
        host = begun.host
        claimed: list[tuple[str, str, int | None, Sequence[At[str]]]] = []
        claimed += [(f"host {begun.name}", nic, None, entry.value) for nic, entry in host.addresses.items()]
        for copy in begun.copies:
            who = self._ground.called(begun.name, copy.name)
            claimed += [(who, nic, None, entry.value) for nic, entry in copy.jail.nics.items()]
            if copy.jail.public is not None:
                inside = (host.networks[name].value for name in copy.jail.networks if name in host.networks)
                outside = (network.nat.value for network in inside if network.nat is not None)
                claimed += [(who, nat, None, (copy.jail.public,)) for nat in outside]
            for vlan in (entry.value for entry in copy.jail.vlans.values()):
                if vlan.on is not None and vlan.tag is not None:
                    claimed.append((who, vlan.on.value, vlan.tag.value, vlan.address))
        for who, card, tag, written in claimed:
            for each in written:
                with contextlib.suppress(ValueError):
                    self._segment(host, card, tag).claim(who, each, ip_interface(each.value).ip, self._ground.problems)

    def _bridges_of(self, begun: _Begun) -> tuple[Bridge, ...]:
        """The bridges of a host's networks."""
        name, host = begun.name, begun.host
        bridges = [self._bridge(name, network, entry, begun.pools[network]) for network, entry in host.networks.items()]
        found: list[Bridge] = []
        for bridge in bridges:
            # A card's bridge has the host's address in the card's place, and what goes out leaves by it.
            around = next(
                (each for each in bridges if each.uplink_interface == bridge.nat and each.host_addresses), None
            )
            if bridge.nat is None or around is None or begun.addresses.get(bridge.nat):
                own = begun.addresses.get(bridge.nat or "", ())
                outer = bridge.nat
            else:
                own, outer = around.host_addresses, around.name
            nat6 = self._outer(name, host, host.networks[bridge.network].value, own)
            found.append(replace(bridge, outer=outer, nat6=nat6))
        return tuple(found)

    def _host(self, begun: _Begun) -> PlacedHost:
        name, host, copies = begun.name, begun.host, begun.copies
        bridges, pools, addresses = begun.bridges, begun.pools, begun.addresses
        by_name = {bridge.network: bridge for bridge in bridges}
        links = self._links(name, host, copies)
        jails = tuple(self._jail(name, each, by_name, pools, links.get(each.name, []), copies) for each in copies)
        nics = {nic: entry.value.value for nic, entry in host.nics.items()}
        self._fits.check_cards(name, host, copies, nics, bool(self._ground.file.hosts))
        around = [each.network for own in (*addresses.values(), *(b.host_addresses for b in bridges)) for each in own]
        here = self._ground.keys(name)
        sure = not any(self._ground.unread.at(*here, key) for key in ("addresses", "networks"))
        sure = sure and all(len(own) == len(host.addresses[nic].value) for nic, own in addresses.items())
        places = {copy.name: self._link_places[name, copy.name] for copy in copies}
        self._fits.check_overlaps(name, host, bridges, addresses, copies, jails, places)
        return PlacedHost(
            name,
            nics,
            bridges,
            jails,
            addresses,
            tuple(g for each in host.gateway if (g := self._router(each, around, sure=sure)) is not None),
            self._routes(host.routes, around, sure=sure),
            host.forward is not None and host.forward.value,
            host.hostid.value if host.hostid is not None else None,
            {key: entry.value.value for key, entry in host.rc.items()},
            self._pf(host),
            host.devfs.value if host.devfs is not None else None,
            host.files.value if host.files is not None else None,
            host.userland.value if host.userland is not None else "machine",
        )

    # --- networks -----------------------------------------------------------------------------------------------------

    def _subnets(self, network: Network) -> list[Subnet]:
        found: list[Subnet] = []
        for each in network.subnet:
            if any(other.version == each.value.version for other in found):
                self._ground.say(each.place, f"a second IPv{each.value.version} subnet", "one of each family at most")
            else:
                found.append(each.value)
        return found

    def _pool(self, host: str, name: str, given: Host, routers: Collection[str]) -> Pool:
        network = given.networks[name].value
        subnets = self._subnets(network)
        whole = len(subnets) == len(network.subnet) and not self._ground.lacks_of_network(host, name, "subnet")
        segment = Segment()
        if network.uplink is not None and not self._ground.lacks_of_network(host, name, "vlan"):
            segment = self._segment(
                given, network.uplink.value, network.vlan.value if network.vlan is not None else None
            )
        return Pool(
            f"{host}/{name}", subnets, self._ground.problems, self._old, self._new, routers, segment, whole=whole
        )

    def _bridge(self, host: str, name: str, entry: Entry[Network], pool: Pool) -> Bridge:
        def lacks(key: str) -> bool:
            return self._ground.lacks_of_network(host, name, key)

        network = entry.value
        if name in RESERVED:
            self._ground.say(
                entry.name.place, f"a network cannot be called {name!r}: it is a key of jails", "another name"
            )
        if network.vlan is not None and network.uplink is None and not lacks("uplink"):
            self._ground.say(network.vlan.place, "a tag is of frames on an uplink", "give `uplink:` too")
        if network.nat is not None and network.uplink is not None:
            self._ground.say(
                network.nat.place, "a network with an uplink is outside already", "either `nat:` or `uplink:`"
            )
        subnets = self._subnets(network)
        if (
            network.mtu is not None
            and network.mtu.value < _LEAST_OF_IPV6
            and any(each.version == 6 for each in subnets)
        ):
            text = f"IPv6 needs packets of {_LEAST_OF_IPV6} bytes"
            self._ground.say(network.mtu.place, text, f"`mtu:` of {_LEAST_OF_IPV6} at least, or no IPv6 subnet")
        gateways = tuple(
            address
            for each in network.gateway
            if (address := self._gateway(each, subnets, sure=pool.whole)) is not None
        )
        own: list[Interface] = []
        for each in network.host:
            if each.value == "auto":
                own += pool.auto(f"host {host}", f"{host}//{name}", each.place)
            elif (taken := pool.take(f"host {host}", each)) is not None:
                own.append(taken)
        known = not lacks("host") and not lacks("gateway") and len(gateways) == len(network.gateway)
        if network.nat is not None and not network.host and known:
            place = network.nat.place
            if not subnets and pool.whole:
                self._ground.say(place, "a network with nat needs addresses", "give `subnet:`")
            for subnet in subnets:
                wanted = next((g for g in gateways if g.version == subnet.version), subnet[1])
                taken = pool.take(f"host {host}", At(str(wanted), place))
                own += [taken] if taken is not None else []
        if network.nat is not None:
            gateways = gateways or tuple(each.ip for each in own)
        for address in gateways:
            if all(address != each.ip for each in own):
                pool.reserve_gateway(address)
        if network.bridge is not None:
            bridge = network.bridge.value
        else:
            key = f"bridge {host}/{name}"
            number = self._new.numbers[key] = self._bridges.of(key)
            bridge = f"bridge{number}"
        return Bridge(
            name,
            bridge,
            tuple(subnets),
            network.uplink.value if network.uplink is not None else None,
            network.vlan.value if network.vlan is not None else None,
            network.nat.value if network.nat is not None else None,
            tuple(own),
            gateways,
            network.mtu.value if network.mtu is not None else None,
            network.private is not None and network.private.value,
            network.domain.value if network.domain is not None else None,
        )

    def _outer(self, name: str, host: Host, network: Network, given: Sequence[Interface]) -> IPv6Address | None:
        """The address that hides a network's local IPv6 addresses; told, where the file gives its card none."""
        hidden = [each for each in network.subnet if each.value.version == 6 and is_hidden(each.value)]
        if network.nat is None or not hidden:
            return None
        nat = network.nat.value
        own = [*given, *_of_rc_conf(host, nat)]
        outer = next((each.ip for each in own if isinstance(each, IPv6Interface) and not each.is_link_local), None)
        unsure = any(self._ground.unread.at(*self._ground.keys(name), key) for key in ("addresses", "networks", "rc"))
        if outer is None and not unsure:
            subnet = hidden[0].value
            mend = f"addresses: {{{nat}: 2001:db8::2/64}}"
            mend = f"`{mend}` of the host" if self._ground.file.hosts else f"`hosts: {{{name}: {{{mend}, …}}}}`"
            self._ground.say(
                hidden[0].place,
                f"{subnet} cannot be hidden: the file gives {nat} no IPv6 address",
                f"{mend}; or put {subnet} into a network of its own, without `nat:`",
            )
        return outer

    def _gateway(self, written: At[str], subnets: Sequence[Subnet], *, sure: bool) -> Address | None:
        address = self._router(written, subnets, sure=sure)
        if address is not None and not any(address in subnet for subnet in subnets):
            if sure:
                hint = "a gateway must be in a network of whom it serves"
                self._ground.say(written.place, f"{address} is in none of {_listed(subnets)}", hint)
            return None
        return address

    def _router(self, written: At[str], subnets: Sequence[Subnet], *, sure: bool) -> Address | None:
        """An address, or a host part of the first of these networks. `sure`: these are all there are."""
        text = written.value
        if not text.startswith("."):
            try:
                address = ip_address(text)
            except ValueError:
                self._ground.say(written.place, f"{text} is no address", "10.0.0.1, .1, fd00::1 or ::1")
                return None
            if not text.startswith("::") or any(address in subnet for subnet in subnets):
                return address
        version, part = (4, int(text[1:])) if text.startswith(".") else (6, int(ip_address(text)))
        subnet = next((each for each in subnets if each.version == version), None)
        if subnet is None or part >= subnet.num_addresses:
            if sure:
                self._ground.say(written.place, f"{text} is in none of {_listed(subnets)}", "the whole address")
            return None
        return subnet[part]

    def _reserve(self, begun: _Begun) -> None:
        """What is written goes before `auto`; who is written wrongly is told when its jail is made."""
        quiet = Problems()
        for each in begun.copies:
            for network, entry in each.jail.networks.items():
                pool = begun.pools.get(network)
                for written in entry.value if pool is not None else ():
                    if written.value != "auto" and pool is not None:
                        loud, pool._problems = pool._problems, quiet
                        pool.take(self._ground.called(begun.name, each.name), written, each.step)
                        pool._problems = loud

    # --- jails --------------------------------------------------------------------------------------------------------

    def _jail(
        self,
        host: str,
        copy: Copy,
        bridges: Mapping[str, Bridge],
        pools: Mapping[str, Pool],
        links: list[LinkEnd],
        copies: Sequence[Copy],
    ) -> PlacedJail:
        jail = copy.jail
        ports = tuple(self._ports(host, copy, bridges, pools))
        cards = tuple(Card(nic, self._ground.long(entry.value)) for nic, entry in jail.nics.items())
        vlans = tuple(
            VlanPort(name, each.value.tag.value, each.value.on.value, self._ground.long(each.value.address))
            for name, each in jail.vlans.items()
            if each.value.tag is not None and each.value.on is not None
        )
        shared = tuple(Card(nic, self._ground.whole(entry.value)) for nic, entry in jail.shared.items())
        self._check_shared(copy, shared, bool(links))
        parts: list[Port | LinkEnd | Card | VlanPort] = [*ports, *links, *cards, *vlans]
        networks = [address.network for part in parts for address in part.addresses]
        own = {address.ip for part in parts for address in part.addresses}
        # One without a stack of its own is told that it cannot have these.
        own_stack = not jail.shared and (jail.vnet is None or jail.vnet.value)
        sure = own_stack and self._knows_addresses(host, copy, parts)
        gateways: list[Address] = []
        for each in jail.gateway:
            gateway = self._gateway(each, networks, sure=sure)
            if gateway in own:
                self._ground.say(
                    each.place, f"{gateway} is {copy.name}'s own address", "the address of the next router"
                )
            elif gateway is not None:
                gateways.append(gateway)
        if not jail.gateway:
            for port in ports:
                for address in bridges[port.network].gateways:
                    mine = any(address in each.network for each in port.addresses) and address not in own
                    if mine and all(address.version != other.version for other in gateways):
                        gateways.append(address)
        for version in (4, 6):
            if len([g for g in gateways if g.version == version]) > 1:
                self._ground.say(jail.gateway[-1].place, f"a second default route (IPv{version})", "one of each family")
        names = {each.name for each in copies}
        outer = copy.name.rpartition(".")[0]
        if outer and outer not in names and not self._ground.may_be_jail(host, outer):
            others = [name for name in names if not name.startswith(f"{outer}.")]
            hint = nearest(outer, others) or "the name of a jail of this host before the dot"
            self._ground.say(copy.place, f"there is no jail {outer!r} for {copy.name} to be in", hint)
        for depends in jail.depend:
            if depends.value not in names and not self._ground.may_be_jail(host, depends.value):
                hint = nearest(depends.value, names) or "the name of a jail of this host"
                self._ground.say(depends.place, f"there is no jail {depends.value!r}", hint)
        for permission in jail.allow:
            self._check_parameter(f"allow.{permission.value}", permission.place, "allow.")
        for name, entry in jail.parameters.items():
            self._check_parameter(name, entry.name.place)
        rc = {key: entry.value.value for key, entry in jail.rc.items()}
        rc |= {f"{service.value}_enable": "YES" for service in jail.services}
        public = next((each.ip for each in self._ground.whole((jail.public,) if jail.public is not None else ())), None)
        may_be_nat = len(ports) < len(jail.networks) or any(
            bridges[port.network].nat or self._ground.lacks_of_network(host, port.network, "nat") for port in ports
        )
        if public is not None and not may_be_nat and copy.whole:
            assert jail.public is not None
            self._ground.say(
                jail.public.place, "a public address needs a network with nat", "give a network of it `nat:`"
            )
        elif public is not None and sure and all(public.version != a.version for port in ports for a in port.addresses):
            assert jail.public is not None
            text = f"{copy.name} has no IPv{public.version} address that could be {public} outside"
            self._ground.say(jail.public.place, text, "an address of the same family in the network with `nat:`")
        return PlacedJail(
            copy.name,
            jail.path.value.replace("NAME", copy.name) if jail.path is not None else f"/jails/{copy.name}",
            jail.hostname.value if jail.hostname is not None else copy.name,
            copy.place,
            jail.base.value if jail.base is not None else None,
            ports,
            tuple(links),
            cards,
            vlans,
            not shared and (jail.vnet is None or jail.vnet.value),
            shared,
            tuple(gateways),
            self._routes(jail.routes, networks, sure=sure),
            jail.forward is not None and jail.forward.value,
            public,
            tuple(each.value for each in jail.mounts),
            tuple(each.value for each in jail.allow),
            tuple(each.value for each in jail.devices),
            tuple(each.value for each in jail.run),
            rc,
            bool(rc) or (jail.boot is not None and jail.boot.value),
            jail.user.value if jail.user is not None else None,
            tuple(each.value for each in jail.depend),
            {name: tuple(text.value for text in entry.value) for name, entry in jail.parameters.items()},
        )

    def _knows_addresses(self, host: str, copy: Copy, parts: Sequence[Port | LinkEnd | Card | VlanPort]) -> bool:
        """Whether a jail has the addresses that the file gives it, all of them."""
        jail = copy.jail
        if (host, copy.name) in self._unsure or self._ground.unread.at(*self._ground.keys(host), "links"):
            return False
        if any(self._ground.lacks(copy, key) for key in ("nics", "vlans", *jail.networks)):
            return False
        found = {part.name: len(part.addresses) for part in parts}
        cards = [(name, entry.value) for name, entry in jail.nics.items()]
        cards += [(name, entry.value.address) for name, entry in jail.vlans.items()]
        return all(found.get(name) == len(written) for name, written in cards)

    def _check_shared(self, copy: Copy, shared: Sequence[Card], linked: bool) -> None:
        """A jail on its host's stack has addresses there, and nothing that needs a stack of its own."""
        jail = copy.jail
        for card, entry in zip(shared, jail.shared.values(), strict=True):
            if not entry.value and not self._ground.lacks(copy, "shared", card.name):
                self._ground.say(entry.name.place, f"no address on {card.name}", f"{card.name}: 10.0.0.5/24")
        apart = jail.vnet is not None and not jail.vnet.value
        if jail.vnet is not None and jail.vnet.value and shared:
            self._ground.say(
                jail.vnet.place, f"{copy.name} has shared addresses, and so no stack of its own", "either of the two"
            )
        if not shared and not apart:
            return
        own: dict[str, object] = {
            "networks": jail.networks,
            "links": linked,
            "nics": jail.nics,
            "vlans": jail.vlans,
            "gateway": jail.gateway,
            "routes": jail.routes,
            "forward": jail.forward,
            "public": jail.public,
        }
        if more := ", ".join(name for name, value in own.items() if value):
            place = next((entry.name.place for entry in jail.shared.values()), copy.place)
            self._ground.say(place, f"{copy.name} shares its host's stack, and cannot have {more}", "either of the two")

    def _ports(self, host: str, copy: Copy, bridges: Mapping[str, Bridge], pools: Mapping[str, Pool]) -> Iterator[Port]:
        called = self._ground.called(host, copy.name)
        for network, entry in copy.jail.networks.items():
            if network not in bridges:
                self._unsure.add((host, copy.name))
                if self._ground.unread.may_have(*self._ground.keys(host), "networks", network):
                    continue
                hint = "define it under `networks:`"
                if bridges:
                    by_name = f"a jail is in one by its name (`{next(iter(bridges))}: auto`)"
                    known = f"networks here: {', '.join(bridges)}; {by_name}"
                    hint = nearest(network, (*bridges, *RESERVED)) or known
                self._ground.say(entry.name.place, f"{network!r} is no network, and no key of a jail", hint)
                continue
            addresses: list[Interface] = []
            for written in entry.value:
                if written.value == "auto":
                    taken = pools[network].auto(called, f"{host}/{copy.name}/{network}", written.place)
                else:
                    one = pools[network].take(called, written, copy.step)
                    taken = (one,) if one is not None else ()
                addresses += taken
                if not taken or not pools[network].whole:
                    self._unsure.add((host, copy.name))
            key = f"{host}/{copy.name}/{network}"
            unit = self._new.numbers[key] = self._numbers.of(key)
            outer, inner = self._macs.of(key, "a"), self._macs.of(key, "b")
            yield Port(network, bridges[network].name, unit, tuple(addresses), outer, inner)

    def _links(self, host: str, given: Host, copies: Sequence[Copy]) -> dict[str, list[LinkEnd]]:
        """Each jail's ends of links."""
        found: dict[str, list[LinkEnd]] = {}
        names = {each.name for each in copies}
        seen: dict[str, int] = {}
        for link in given.links:
            keys = (*self._ground.keys(host), "links", link.place)
            if len(link.value) != 2 and not self._ground.unread.at(*keys):
                self._ground.say(link.place, "a link has two ends", "[jail_01: 10.0.0.1/24, jail_02: 10.0.0.2/24]")
                self._ground.unread.add(*keys)  # the other end may be anybody's
            for name, entry in link.value.items():
                if name not in names and not self._ground.may_be_jail(host, name):
                    self._ground.say(
                        entry.name.place, f"there is no jail {name!r}", nearest(name, names) or "a jail's name"
                    )
            if len(link.value) == 2 and all(name in names for name in link.value):
                self._link(host, link, seen, found)
            else:
                self._unsure |= {(host, name) for name in link.value}
        return found

    def _link(self, host: str, given: Link, seen: dict[str, int], found: dict[str, list[LinkEnd]]) -> None:
        link = given.value
        one, other = sorted(link)
        seen[f"{one} {other}"] = number = seen.get(f"{one} {other}", 0) + 1
        key = f"{host}/{one}-{other}" + (f"/{number}" if number > 1 else "")
        unit = self._new.numbers[key] = self._numbers.of(key)
        addresses = {name: self._ground.long(link[name].value) for name in (one, other)}
        known = not self._ground.unread.at(*self._ground.keys(host), "links", given.place)
        if not known or any(len(addresses[name]) < len(link[name].value) for name in link):
            self._unsure |= {(host, one), (host, other)}
        elif addresses[one] and addresses[other]:
            self._check_ends(one, link[one].value, addresses[one], link[other].value, addresses[other])
        first_written = next(iter(link))
        for name, peer in ((one, other), (other, one)):
            mac = self._macs.of(key, name)
            end = LinkEnd(peer, unit, name == first_written, addresses[name], mac)
            found.setdefault(name, []).append(end)
            self._link_places[host, name].append(link[name].name.place)

    def _check_ends(
        self,
        one: str,
        written: Sequence[At[str]],
        own: Sequence[Interface],
        other_written: Sequence[At[str]],
        theirs: Sequence[Interface],
    ) -> None:
        """The ends of a link have addresses of their own, in networks that both are in."""
        for at, address in zip(other_written, theirs, strict=True):
            if any(address.ip == each.ip for each in own):
                self._ground.say(at.place, f"{address.ip} is {one}'s end already", "an address of its own")
        for texts, mine, others in ((written, own, theirs), (other_written, theirs, own)):
            networks = [each.network for each in others]
            for at, address in zip(texts, mine, strict=True):
                family = any(each.version == address.version for each in networks)
                if "/" in at.value and family and address.network not in networks:
                    text = f"{address} and the other end are not in one network"
                    self._ground.say(at.place, text, "one subnet for both ends")

    def _check_parameter(self, name: str, place: Place, before: str = "") -> None:
        """One that no release has; what a release lacks is said where its jail.conf is looked at.

        `before`: what of the name is not written.
        """
        if all(lookup(name, release) is None for release in Release):
            twice = name.startswith(f"{before}{before}") if before else False
            near = name.removeprefix(before) if twice else suggest(name, DEFAULT)
            hint = f"did you mean {near.removeprefix(before)!r}?" if near is not None else "see jail(8)"
            self._ground.say(place, f"jail(8) has no parameter {name}", hint)

    # --- parts --------------------------------------------------------------------------------------------------------

    def _pf(self, host: Host) -> str | None:
        """A host's own pf.conf, where no network makes one."""
        if host.pf is None:
            return None
        for name, entry in host.networks.items():
            if entry.value.nat is not None:
                text = f"a pf.conf is given, and network {name} with nat makes one"
                self._ground.say(
                    host.pf.place, text, "either of the two; with `pf:` give the network `host:` and write its nat"
                )
        return host.pf.value

    def _routes(
        self, routes: Mapping[str, Entry[At[str]]], around: Sequence[Subnet], *, sure: bool
    ) -> tuple[tuple[Subnet, Address], ...]:
        """Static routes; `around`: the networks whose host parts gateways may be, all of them where that is `sure`."""
        found: list[tuple[Subnet, Address]] = []
        for text, entry in routes.items():
            try:
                network = ip_network(text)
            except ValueError as error:
                self._ground.say(entry.name.place, str(error), "network: gateway, as 10.1.0.0/16: 10.0.0.1")
                continue
            gateway = self._router(entry.value, around, sure=sure)
            if gateway is not None and gateway.version != network.version:
                text = f"{gateway} is IPv{gateway.version}, and {network} IPv{network.version}"
                self._ground.say(entry.value.place, text, "a gateway of the same family")
            elif gateway is not None:
                found.append((network, gateway))
        return tuple(found)


def _of_rc_conf(host: Host, card: str) -> Iterator[Interface]:
    """The IPv6 addresses that a host's own variables of rc.conf give a card."""
    name = f"ifconfig_{variable_name(card)}"
    for key, entry in host.rc.items():
        found = re.search(r"\binet6\s+([0-9a-fA-F:]+)", entry.value.value)
        if found is not None and (key == f"{name}_ipv6" or re.fullmatch(rf"{re.escape(name)}_alias\d+", key)):
            with contextlib.suppress(ValueError):
                yield IPv6Interface(found[1])


def _listed(subnets: Sequence[Subnet]) -> str:
    return ", ".join(map(str, subnets)) or "no network"


def _wire(wire: Wire) -> WireSettings:
    return WireSettings(
        wire.nic.value if wire.nic is not None else None,
        wire.cut is not None and wire.cut.value,
        Conditions(*(0 if each is None else each.value for each in (wire.delay, wire.loss, wire.rate))),
    )
