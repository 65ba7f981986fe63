"""From what a lab file says to what it comes to: groups and replicas laid out, names found, addresses given.

Everything that a lab file can get wrong beyond its form is found here, each with its place, also where the file is
wrong in form elsewhere. Nothing is said of what hangs on a piece that could not be read, or that is wrong itself.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, IPv6Interface, ip_address, ip_interface, ip_network

from vjail.conf.jailconf.parameters import lookup, suggest
from vjail.kernel.conditions import Conditions
from vjail.lab.file.addressing import Pool, Segment
from vjail.lab.file.byhand import made_by_hand
from vjail.lab.file.description import RESERVED, Expectation, Host, Jail, Link, Network, Wire
from vjail.lab.file.load import Loaded
from vjail.lab.file.lock import Lock
from vjail.lab.file.naming import Macs, Numbers, start
from vjail.lab.file.nodes import At, Place, Problems, nearest
from vjail.lab.file.overlaps import Attachment, check_overlaps
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

ONE_HOST = "fbsd"
ETHERNET = 1500
"""The MTU of what nobody gave another."""


Keys = tuple[str, ...]
"""The keys that lead to a piece of the file."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """A jail to be, one of its replicas: its keys with those of its groups, and which replica it is."""

    name: str
    jail: Jail
    place: Place
    origins: tuple[Keys, ...]
    """Where its keys are from: its own, its groups', the defaults."""
    whole: bool = True
    """Whether all its groups are there."""
    step: int = 0


@dataclass(slots=True)
class _Begun:
    """A host whose addresses are being given."""

    name: str
    host: Host
    copies: list[_Copy]
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
        self._file = loaded.file
        self._old = old
        self._new = Lock()
        self._problems = loaded.problems
        self._unread = loaded.unread
        self._unsure: set[tuple[str, str]] = set()
        """Hosts' jails that have addresses which are not known."""
        self._segments: defaultdict[tuple[str, int | None], Segment] = defaultdict(Segment)
        """Wires, and VLANs on them."""
        self._link_places: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
        """Where the ends of links stand that a host's jail has, in their order."""
        taken = list(made_by_hand(loaded.file, self._hosts()))
        numbers = {k: n for k, n in old.numbers.items() if not k.startswith("bridge ")}
        self._numbers = Numbers(start(name), numbers, {n for kind, n in taken if kind == "epair"})
        bridges = {k: n for k, n in old.numbers.items() if k.startswith("bridge ")}
        self._bridges = Numbers(start(name), bridges, {n for kind, n in taken if kind == "bridge"})
        self._macs = Macs(name)

    def run(self) -> tuple[Topology, Lock]:
        for group in self._file.groups.values():
            for each in group.value.group:
                self._say(each.place, "a group cannot be in another", "give its jails both: `group: [one, other]`")
        self._check_top()
        hosts = self._hosts()
        wires = {name: _wire(entry.value) for name, entry in self._file.wires.items()}
        prepared = [self._prepare(name, host) for name, host in hosts.items()]
        for begun in prepared:
            self._claim(begun)
        for begun in prepared:
            begun.bridges = self._bridges_of(begun)
        for begun in prepared:
            self._reserve(begun)
        placed = tuple(map(self._host, prepared))
        expectations = tuple(Expectation.of(line) for line in self._file.expect)
        self._check_expectations(expectations, placed)
        self._check_wires(hosts)
        release = self._file.freebsd.value if self._file.freebsd is not None else DEFAULT
        return Topology(self._name, release, placed, wires, expectations), self._new

    # --- hosts --------------------------------------------------------------------------------------------------------

    def _hosts(self) -> dict[str, Host]:
        file = self._file
        if not file.hosts:
            place = file.place
            return {ONE_HOST: Host(networks=file.networks, jails=file.jails, links=file.links, place=place)}
        return {name: entry.value for name, entry in file.hosts.items()}

    def _check_top(self) -> None:
        """In a lab with hosts, what belongs to a host is there."""
        file = self._file
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
                self._say(place, f"in a lab with hosts, {what} belong to one of them", hint)

    def _prepare(self, name: str, host: Host) -> _Begun:
        """A host's jails, its cards' addresses, and the pools of its networks."""
        if host.files is not None and (host.networks or host.jails or host.links):
            self._say(
                host.files.place,
                f"host {name} has its own files, and networks or jails besides",
                "either `files:`, or networks and jails here",
            )
        copies = list(self._copies(name, host))
        routers = {
            self._called(name, each.name)
            for each in copies
            if (each.jail.forward is not None and each.jail.forward.value) or self._lacks(each, "forward")
        }
        addresses = {nic: self._long(entry.value) for nic, entry in host.addresses.items()}
        pools = {network: self._pool(name, network, host, routers) for network in host.networks}
        return _Begun(name, host, copies, addresses, pools)

    def _called(self, host: str, jail: str) -> str:
        """A jail's name where several hosts have some."""
        return f"{host}:{jail}" if self._file.hosts else jail

    def _segment(self, host: Host, card: str, tag: int | None) -> Segment:
        """Who hears what goes out through a card, with a tag or without; where it is on no wire, nobody else does."""
        nic = host.nics.get(card)
        return self._segments[nic.value.value, tag] if nic is not None else Segment()

    def _claim(self, begun: _Begun) -> None:
        """The addresses that stand by themselves on wires: of the host's cards, of cards and VLANs in its jails."""
        host = begun.host
        claimed: list[tuple[str, str, int | None, Sequence[At[str]]]] = []
        claimed += [(f"host {begun.name}", nic, None, entry.value) for nic, entry in host.addresses.items()]
        for copy in begun.copies:
            who = self._called(begun.name, copy.name)
            claimed += [(who, nic, None, entry.value) for nic, entry in copy.jail.nics.items()]
            for vlan in (entry.value for entry in copy.jail.vlans.values()):
                if vlan.on is not None and vlan.tag is not None:
                    claimed.append((who, vlan.on.value, vlan.tag.value, vlan.address))
        for who, card, tag, written in claimed:
            for each in written:
                with contextlib.suppress(ValueError):
                    self._segment(host, card, tag).claim(who, each, ip_interface(each.value).ip, self._problems)

    def _bridges_of(self, begun: _Begun) -> tuple[Bridge, ...]:
        """The bridges of a host's networks."""
        name, host = begun.name, begun.host
        return tuple(
            replace(
                self._bridge(name, network, entry, begun.pools[network]),
                nat6=self._outer(name, host, entry.value, begun.addresses),
            )
            for network, entry in host.networks.items()
        )

    def _host(self, begun: _Begun) -> PlacedHost:
        name, host, copies = begun.name, begun.host, begun.copies
        bridges, pools, addresses = begun.bridges, begun.pools, begun.addresses
        by_name = {bridge.network: bridge for bridge in bridges}
        links = self._links(name, host, copies)
        jails = tuple(self._jail(name, each, by_name, pools, links.get(each.name, []), copies) for each in copies)
        nics = {nic: entry.value.value for nic, entry in host.nics.items()}
        self._check_cards(name, host, copies, nics, bool(self._file.hosts))
        around = [each.network for own in (*addresses.values(), *(b.host_addresses for b in bridges)) for each in own]
        here = self._keys(name)
        sure = not any(self._unread.at(*here, key) for key in ("addresses", "networks"))
        sure = sure and all(len(own) == len(host.addresses[nic].value) for nic, own in addresses.items())
        self._check_overlaps(name, host, bridges, addresses, copies, jails)
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

    def _copies(self, host: str, given: Host) -> Iterator[_Copy]:
        """The jails with the keys of their groups and the defaults, each replica by itself."""
        seen: dict[str, Place] = {}
        for name, entry in given.jails.items():
            jail = entry.value
            defaults = self._file.defaults
            origins: list[Keys] = [(*self._keys(host), "jails", name), ("defaults",)]
            whole = True
            for group in reversed(jail.group or (defaults.group if defaults is not None else ())):
                known = self._file.groups.get(group.value)
                origins.append(("groups", group.value))
                if known is not None:
                    jail = jail.over(known.value)
                    continue
                whole = False
                if not self._unread.may_have("groups", group.value):
                    hint = nearest(group.value, self._file.groups) or "define it under `groups:`"
                    self._say(group.place, f"there is no group {group.value!r}", hint)
            if defaults is not None:
                jail = jail.over(defaults)
            count = jail.replicas.value if jail.replicas is not None else None
            names = [name] if count is None else [f"{name}{number}" for number in range(1, count + 1)]
            for step, each in enumerate(names):
                if each in seen:
                    self._say(entry.name.place, f"jail {each} is there already", "another name")
                seen[each] = entry.name.place
                yield _Copy(each, jail, entry.name.place, tuple(origins), whole, step)

    def _keys(self, host: str) -> Keys:
        """The keys that lead to a host's networks, jails and links."""
        return ("hosts", host) if self._file.hosts else ()

    def _lacks(self, copy: _Copy, *keys: str) -> bool:
        """Whether what a jail has at these keys is not, or not wholly, known."""
        return not copy.whole or any(self._unread.at(*origin, *keys) for origin in copy.origins)

    def _may_be_jail(self, host: str, name: str) -> bool:
        """Whether a host may have a jail that seems not to be there."""
        jails = (*self._keys(host), "jails")
        if self._unread.may_have(*jails, name):
            return True
        several = name.rstrip("0123456789")
        replicas = ((*jails, several, "replicas"), ("defaults", "replicas"))
        return several != name and any(self._unread.at(*keys) for keys in replicas)

    # --- networks -----------------------------------------------------------------------------------------------------

    def _subnets(self, network: Network) -> list[Subnet]:
        found: list[Subnet] = []
        for each in network.subnet:
            if any(other.version == each.value.version for other in found):
                self._say(each.place, f"a second IPv{each.value.version} subnet", "one of each family at most")
            else:
                found.append(each.value)
        return found

    def _pool(self, host: str, name: str, given: Host, routers: Collection[str]) -> Pool:
        network = given.networks[name].value
        subnets = self._subnets(network)
        whole = len(subnets) == len(network.subnet) and not self._lacks_of_network(host, name, "subnet")
        segment = Segment()
        if network.uplink is not None and not self._lacks_of_network(host, name, "vlan"):
            segment = self._segment(
                given, network.uplink.value, network.vlan.value if network.vlan is not None else None
            )
        return Pool(f"{host}/{name}", subnets, self._problems, self._old, self._new, routers, segment, whole=whole)

    def _lacks_of_network(self, host: str, name: str, key: str) -> bool:
        """Whether what a network has at a key is not, or not wholly, known."""
        return self._unread.at(*self._keys(host), "networks", name, key)

    def _bridge(self, host: str, name: str, entry: Entry[Network], pool: Pool) -> Bridge:
        def lacks(key: str) -> bool:
            return self._lacks_of_network(host, name, key)

        network = entry.value
        if name in RESERVED:
            self._say(entry.name.place, f"a network cannot be called {name!r}: it is a key of jails", "another name")
        if network.vlan is not None and network.uplink is None and not lacks("uplink"):
            self._say(network.vlan.place, "a tag is of frames on an uplink", "give `uplink:` too")
        if network.nat is not None and network.uplink is not None:
            self._say(network.nat.place, "a network with an uplink is outside already", "either `nat:` or `uplink:`")
        subnets = self._subnets(network)
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
                self._say(place, "a network with nat needs addresses", "give `subnet:`")
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

    def _outer(
        self, name: str, host: Host, network: Network, addresses: Mapping[str, tuple[Interface, ...]]
    ) -> IPv6Address | None:
        """The address of its card that hides a network's local IPv6 addresses; told, where the file gives it none."""
        hidden = [each for each in network.subnet if each.value.version == 6 and is_hidden(each.value)]
        if network.nat is None or not hidden:
            return None
        nat = network.nat.value
        own = [*addresses.get(nat, ()), *_of_rc_conf(host, nat)]
        outer = next((each.ip for each in own if isinstance(each, IPv6Interface) and not each.is_link_local), None)
        unsure = any(self._unread.at(*self._keys(name), key) for key in ("addresses", "rc"))
        if outer is None and not unsure:
            subnet = hidden[0].value
            mend = f"addresses: {{{nat}: 2001:db8::2/64}}"
            mend = f"`{mend}` of the host" if self._file.hosts else f"`hosts: {{{name}: {{{mend}, …}}}}`"
            self._say(
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
                self._say(written.place, f"{address} is in none of {_listed(subnets)}", hint)
            return None
        return address

    def _router(self, written: At[str], subnets: Sequence[Subnet], *, sure: bool) -> Address | None:
        """An address, or a host part of the first of these networks. `sure`: these are all there are."""
        text = written.value
        if not text.startswith("."):
            try:
                address = ip_address(text)
            except ValueError:
                self._say(written.place, f"{text} is no address", "10.0.0.1, .1, fd00::1 or ::1")
                return None
            if not text.startswith("::") or any(address in subnet for subnet in subnets):
                return address
        version, part = (4, int(text[1:])) if text.startswith(".") else (6, int(ip_address(text)))
        subnet = next((each for each in subnets if each.version == version), None)
        if subnet is None or part >= subnet.num_addresses:
            if sure:
                self._say(written.place, f"{text} is in none of {_listed(subnets)}", "the whole address")
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
                        pool.take(self._called(begun.name, each.name), written, each.step)
                        pool._problems = loud

    # --- jails --------------------------------------------------------------------------------------------------------

    def _jail(
        self,
        host: str,
        copy: _Copy,
        bridges: Mapping[str, Bridge],
        pools: Mapping[str, Pool],
        links: list[LinkEnd],
        copies: Sequence[_Copy],
    ) -> PlacedJail:
        jail = copy.jail
        ports = tuple(self._ports(host, copy, bridges, pools))
        cards = tuple(Card(nic, self._long(entry.value)) for nic, entry in jail.nics.items())
        vlans = tuple(
            VlanPort(name, each.value.tag.value, each.value.on.value, self._long(each.value.address))
            for name, each in jail.vlans.items()
            if each.value.tag is not None and each.value.on is not None
        )
        shared = tuple(Card(nic, self._whole(entry.value)) for nic, entry in jail.shared.items())
        self._check_shared(copy, shared, bool(links))
        parts: list[Port | LinkEnd | Card | VlanPort] = [*ports, *links, *cards, *vlans]
        networks = [address.network for part in parts for address in part.addresses]
        own = {address.ip for part in parts for address in part.addresses}
        sure = self._knows_addresses(host, copy, parts)
        gateways: list[Address] = []
        for each in jail.gateway:
            gateway = self._gateway(each, networks, sure=sure)
            if gateway in own:
                self._say(each.place, f"{gateway} is {copy.name}'s own address", "the address of the next router")
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
                self._say(jail.gateway[-1].place, f"a second default route (IPv{version})", "one of each family")
        names = {each.name for each in copies}
        outer = copy.name.rpartition(".")[0]
        if outer and outer not in names and not self._may_be_jail(host, outer):
            others = [name for name in names if not name.startswith(f"{outer}.")]
            hint = nearest(outer, others) or "the name of a jail of this host before the dot"
            self._say(copy.place, f"there is no jail {outer!r} for {copy.name} to be in", hint)
        for depends in jail.depend:
            if depends.value not in names and not self._may_be_jail(host, depends.value):
                hint = nearest(depends.value, names) or "the name of a jail of this host"
                self._say(depends.place, f"there is no jail {depends.value!r}", hint)
        for permission in jail.allow:
            self._check_parameter(f"allow.{permission.value}", permission.place, "allow.")
        for name, entry in jail.parameters.items():
            self._check_parameter(name, entry.name.place)
        rc = {key: entry.value.value for key, entry in jail.rc.items()}
        rc |= {f"{service.value}_enable": "YES" for service in jail.services}
        public = next((each.ip for each in self._whole((jail.public,) if jail.public is not None else ())), None)
        may_be_nat = len(ports) < len(jail.networks) or any(
            bridges[port.network].nat or self._lacks_of_network(host, port.network, "nat") for port in ports
        )
        if public is not None and not may_be_nat and copy.whole:
            assert jail.public is not None
            self._say(jail.public.place, "a public address needs a network with nat", "give a network of it `nat:`")
        elif public is not None and sure and all(public.version != a.version for port in ports for a in port.addresses):
            assert jail.public is not None
            text = f"{copy.name} has no IPv{public.version} address that could be {public} outside"
            self._say(jail.public.place, text, "an address of the same family in the network with `nat:`")
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

    def _knows_addresses(self, host: str, copy: _Copy, parts: Sequence[Port | LinkEnd | Card | VlanPort]) -> bool:
        """Whether a jail has the addresses that the file gives it, all of them."""
        jail = copy.jail
        if (host, copy.name) in self._unsure or self._unread.at(*self._keys(host), "links"):
            return False
        if any(self._lacks(copy, key) for key in ("nics", "vlans", *jail.networks)):
            return False
        found = {part.name: len(part.addresses) for part in parts}
        cards = [(name, entry.value) for name, entry in jail.nics.items()]
        cards += [(name, entry.value.address) for name, entry in jail.vlans.items()]
        return all(found.get(name) == len(written) for name, written in cards)

    def _check_parameter(self, name: str, place: Place, before: str = "") -> None:
        """One that no release has; what a release lacks is said where its jail.conf is looked at.

        `before`: what of the name is not written.
        """
        if all(lookup(name, release) is None for release in Release):
            twice = name.startswith(f"{before}{before}") if before else False
            near = name.removeprefix(before) if twice else suggest(name, DEFAULT)
            hint = f"did you mean {near.removeprefix(before)!r}?" if near is not None else "see jail(8)"
            self._say(place, f"jail(8) has no parameter {name}", hint)

    def _check_shared(self, copy: _Copy, shared: Sequence[Card], linked: bool) -> None:
        """A jail on its host's stack has addresses there, and nothing that needs a stack of its own."""
        jail = copy.jail
        for card, entry in zip(shared, jail.shared.values(), strict=True):
            if not entry.value and not self._lacks(copy, "shared", card.name):
                self._say(entry.name.place, f"no address on {card.name}", f"{card.name}: 10.0.0.5/24")
        apart = jail.vnet is not None and not jail.vnet.value
        if jail.vnet is not None and jail.vnet.value and shared:
            self._say(
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
            self._say(place, f"{copy.name} shares its host's stack, and cannot have {more}", "either of the two")

    def _ports(
        self, host: str, copy: _Copy, bridges: Mapping[str, Bridge], pools: Mapping[str, Pool]
    ) -> Iterator[Port]:
        called = self._called(host, copy.name)
        for network, entry in copy.jail.networks.items():
            if network not in bridges:
                self._unsure.add((host, copy.name))
                if self._unread.may_have(*self._keys(host), "networks", network):
                    continue
                hint = nearest(network, (*bridges, *RESERVED)) or f"networks here: {', '.join(bridges)}"
                if not bridges:
                    hint = "define it under `networks:`"
                self._say(entry.name.place, f"{network!r} is no network, and no key of a jail", hint)
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

    def _links(self, host: str, given: Host, copies: Sequence[_Copy]) -> dict[str, list[LinkEnd]]:
        """Each jail's ends of links."""
        found: dict[str, list[LinkEnd]] = {}
        names = {each.name for each in copies}
        seen: dict[str, int] = {}
        for link in given.links:
            keys = (*self._keys(host), "links", link.place)
            if len(link.value) != 2 and not self._unread.at(*keys):
                self._say(link.place, "a link has two ends", "[jail_01: 10.0.0.1/24, jail_02: 10.0.0.2/24]")
                self._unread.add(*keys)  # the other end may be anybody's
            for name, entry in link.value.items():
                if name not in names and not self._may_be_jail(host, name):
                    self._say(entry.name.place, f"there is no jail {name!r}", nearest(name, names) or "a jail's name")
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
        addresses = {name: self._long(link[name].value) for name in (one, other)}
        known = not self._unread.at(*self._keys(host), "links", given.place)
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
                self._say(at.place, f"{address.ip} is {one}'s end already", "an address of its own")
        for texts, mine, others in ((written, own, theirs), (other_written, theirs, own)):
            networks = [each.network for each in others]
            for at, address in zip(texts, mine, strict=True):
                family = any(each.version == address.version for each in networks)
                if "/" in at.value and family and address.network not in networks:
                    text = f"{address} and the other end are not in one network"
                    self._say(at.place, text, "one subnet for both ends")

    # --- parts --------------------------------------------------------------------------------------------------------

    def _is_plain(self, written: At[str]) -> bool:
        if written.value == "auto" or written.value.startswith("."):
            self._say(written.place, f"{written.value} means something in a network only", "the whole address")
            return False
        return True

    def _whole(self, written: Sequence[At[str]]) -> tuple[Interface, ...]:
        """Addresses that stand by themselves, each with its length."""
        found: list[Interface] = []
        for each in written:
            if not self._is_plain(each):
                continue
            try:
                address = ip_interface(each.value)
            except ValueError:
                self._say(each.place, f"{each.value} is no address", "10.0.0.5/24 or fd00::5/64")
                continue
            found.append(address)
        return tuple(found)

    def _long(self, written: Sequence[At[str]]) -> tuple[Interface, ...]:
        """Addresses that stand by themselves, whose length nothing else tells."""
        found = self._whole(written)
        for each, address in zip(written, found, strict=False):
            if "/" not in each.value and len(found) == len(written):
                usual = 24 if address.version == 4 else 64
                self._say(each.place, f"{each.value} has no length", f"as {each.value}/{usual}")
        return found

    def _pf(self, host: Host) -> str | None:
        """A host's own pf.conf, where no network makes one."""
        if host.pf is None:
            return None
        for name, entry in host.networks.items():
            if entry.value.nat is not None:
                text = f"a pf.conf is given, and network {name} with nat makes one"
                self._say(
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
                self._say(entry.name.place, str(error), "network: gateway, as 10.1.0.0/16: 10.0.0.1")
                continue
            gateway = self._router(entry.value, around, sure=sure)
            if gateway is not None and gateway.version != network.version:
                text = f"{gateway} is IPv{gateway.version}, and {network} IPv{network.version}"
                self._say(entry.value.place, text, "a gateway of the same family")
            elif gateway is not None:
                found.append((network, gateway))
        return tuple(found)

    # --- what must fit ------------------------------------------------------------------------------------------------

    def _check_cards(
        self, host: str, given: Host, copies: Sequence[_Copy], nics: Mapping[str, str], listed: bool
    ) -> None:
        """Each card goes to one place only, and is there."""
        taken: dict[str, str] = {}
        for copy in copies:
            for nic, entry in copy.jail.nics.items():
                first = taken.setdefault(nic, f"jail {copy.name}")
                if first != f"jail {copy.name}":
                    self._say(entry.name.place, f"{nic} goes to {first} already", "a card can be in one jail only")
        users: list[tuple[At[str], str]] = []
        for name, each in given.networks.items():
            users += [(card, f"network {name}") for card in (each.value.uplink, each.value.nat) if card is not None]
        tags: dict[tuple[str, int], str] = {}
        named: dict[str, str] = {}
        for copy in copies:
            for name, vlan in copy.jail.vlans.items():
                if (first := named.setdefault(name, copy.name)) != copy.name:
                    self._say(vlan.name.place, f"{name} is {first}'s VLAN already", "a name of its own")
                if vlan.value.on is not None:
                    users.append((vlan.value.on, f"VLAN {name}"))
                if vlan.value.on is None or vlan.value.tag is None:
                    continue
                key = (vlan.value.on.value, vlan.value.tag.value)
                first = tags.setdefault(key, f"{copy.name}'s {name}")
                if first != f"{copy.name}'s {name}":
                    self._say(vlan.value.tag.place, f"tag {key[1]} on {key[0]} is {first} already", "a tag of its own")
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
                    self._say(public.place, f"{public.value} is {first}'s", "a public address of its own")
        for card, user in users:
            if card.value in taken:
                self._say(
                    card.place,
                    f"{card.value} goes to {taken[card.value]}, and {user} needs it on the host",
                    "another card",
                )
        cards = [
            *(card for card, _ in users),
            *(e.name for c in copies for e in c.jail.nics.values()),
            *(e.name for e in given.addresses.values()),
        ]
        cloned = given.rc["cloned_interfaces"].value.value.split() if "cloned_interfaces" in given.rc else []
        for card in cards if listed else ():
            may_be = self._unread.may_have(*self._keys(host), "nics", card.value)
            may_be = may_be or self._unread.at(*self._keys(host), "rc")
            if card.value not in nics and card.value not in cloned and not may_be:
                self._say(
                    card.place,
                    f"host {host} has no card {card.value}",
                    nearest(card.value, nics) or f"give it under `nics:`, as {card.value}: WIRE",
                )

    def _check_overlaps(
        self,
        name: str,
        host: Host,
        bridges: Sequence[Bridge],
        addresses: Mapping[str, tuple[Interface, ...]],
        copies: Sequence[_Copy],
        jails: Sequence[PlacedJail],
    ) -> None:
        """No two interfaces of a stack are in networks that overlap. A jail's replicas are in those of the first."""
        own = [Attachment(nic, host.addresses[nic].name.place, found) for nic, found in addresses.items()]
        own += [Attachment(b.network, host.networks[b.network].name.place, b.host_addresses) for b in bridges]
        check_overlaps(f"host {name}", own, self._problems)
        for copy, jail in zip(copies, jails, strict=True):
            if copy.step or not jail.vnet:
                continue
            given = copy.jail
            ends = zip(jail.links, self._link_places[name, copy.name], strict=True)
            own = [Attachment(p.network, given.networks[p.network].name.place, p.addresses) for p in jail.ports]
            own += [Attachment(f"a link with {end.peer}", place, end.addresses) for end, place in ends]
            own += [Attachment(card.name, given.nics[card.name].name.place, card.addresses) for card in jail.cards]
            own += [Attachment(vlan.name, given.vlans[vlan.name].name.place, vlan.addresses) for vlan in jail.vlans]
            check_overlaps(copy.name, own, self._problems)

    def _check_bridges(self, host: str, given: Host) -> None:
        """A bridge is one network's, and so is what of a card joins it."""
        bridges: dict[str, str] = {}
        uplinks: dict[tuple[str, int | None], str] = {}
        for name, each in given.networks.items():
            network = each.value
            if network.bridge is not None:
                first = bridges.setdefault(network.bridge.value, name)
                if first != name:
                    self._say(network.bridge.place, f"{network.bridge.value} is {first}'s bridge", "another number")
            if network.uplink is not None and not self._lacks_of_network(host, name, "vlan"):
                tag = network.vlan.value if network.vlan is not None else None
                first = uplinks.setdefault((network.uplink.value, tag), name)
                if first != name:
                    what = network.uplink.value if tag is None else f"VLAN {tag} of {network.uplink.value}"
                    text = f"{what} is the uplink of {first}, and can be in one bridge only"
                    self._say(network.uplink.place, text, "another card, or a `vlan:` of its own")

    def _check_mtus(self, host: str, given: Host) -> None:
        """A bridge's members have one MTU, and so has a card all of whose VLANs are in bridges (row E4)."""
        first: dict[str, tuple[str, int]] = {}
        for name, each in given.networks.items():
            network = each.value
            if network.uplink is not None and not self._lacks_of_network(host, name, "mtu"):
                mtu = network.mtu.value if network.mtu is not None else ETHERNET
                other, known = first.setdefault(network.uplink.value, (name, mtu))
                if known != mtu:
                    self._say(
                        network.uplink.place,
                        f"{network.uplink.value} would carry packets of {known} bytes for {other}, {mtu} for {name}",
                        "one `mtu:` for all networks of a card",
                    )

    def _check_wires(self, hosts: Mapping[str, Host]) -> None:
        for host in hosts.values():
            for entry in host.nics.values():
                wire = entry.value.value
                if wire not in self._file.wires and not self._unread.may_have("wires", wire):
                    hint = nearest(wire, self._file.wires) or "add it to `wires:`"
                    self._say(entry.value.place, f"there is no wire {wire!r}", hint)
        ids: dict[str, str] = {}
        for name, host in hosts.items():
            if host.hostid is not None and ids.setdefault(host.hostid.value.lower(), name) != name:
                text = f"{ids[host.hostid.value.lower()]} has this hostid: their bridges would have one MAC address"
                self._say(host.hostid.place, text, "another, or none: it is made from the host's name")

    def _check_expectations(self, expectations: Sequence[Expectation], hosts: Sequence[PlacedHost]) -> None:
        jails = [jail.name for host in hosts for jail in host.jails]
        names = set(jails)
        names |= {f"{host.name}:{jail.name}" for host in hosts for jail in host.jails}
        names |= {host.name for host in hosts}
        if any(host.own_files or self._unread.at(*self._keys(host.name), "files") for host in hosts):
            return  # their jails are in their own files
        for each in expectations:
            for name in (each.source, each.target):
                if name not in names and not _is_address(name) and not self._may_be_called(name, hosts):
                    hint = nearest(name, names) or "a jail, a host, HOST:JAIL or an address"
                    self._say(each.place, f"nobody is called {name!r}", hint)
                elif jails.count(name) > 1:
                    there = ", ".join(
                        f"{host.name}:{name}" for host in hosts if any(j.name == name for j in host.jails)
                    )
                    self._say(each.place, f"several hosts have a jail {name}", f"say which: {there}")

    def _may_be_called(self, name: str, hosts: Sequence[PlacedHost]) -> bool:
        """Whether there may be a host or a jail of a name that nobody seems to have."""
        host, _, jail = name.rpartition(":")
        if self._unread.may_have("hosts", host) if host else self._unread.may_lack("hosts"):
            return True
        return any(self._may_be_jail(each.name, jail) for each in hosts if host in ("", each.name))

    def _say(self, place: Place, text: str, hint: str = "") -> None:
        self._problems.say(place, text, hint)


def _of_rc_conf(host: Host, card: str) -> Iterator[Interface]:
    """The IPv6 addresses that a host's own variables of rc.conf give a card."""
    name = f"ifconfig_{card.replace('.', '_')}"
    for key, entry in host.rc.items():
        found = re.search(r"\binet6\s+([0-9a-fA-F:]+)", entry.value.value)
        if found is not None and (key == f"{name}_ipv6" or re.fullmatch(rf"{re.escape(name)}_alias\d+", key)):
            with contextlib.suppress(ValueError):
                yield IPv6Interface(found[1])


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _listed(subnets: Sequence[Subnet]) -> str:
    return ", ".join(map(str, subnets)) or "no network"


def _wire(wire: Wire) -> WireSettings:
    return WireSettings(
        wire.nic.value if wire.nic is not None else None,
        wire.cut is not None and wire.cut.value,
        Conditions(*(0 if each is None else each.value for each in (wire.delay, wire.loss, wire.rate))),
    )
