"""A host with its jails as the keys of a lab file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address, ip_interface, ip_network

from vjail.command import rc_files
from vjail.conf import devfs_rules
from vjail.conf.pf.rules import Action, Family, InterfaceAddress, NetAddress, Part, Rule, Ruleset
from vjail.conf.position import Source
from vjail.conf.rcconf import RcConf
from vjail.importing import jails
from vjail.importing.jails import Note, at, named, texts
from vjail.importing.lines import is_covered
from vjail.importing.watch import Watched
from vjail.importing.wiring import Address, FoundJail, FoundNetwork, FoundPort, Interface, Wiring, addresses, wiring
from vjail.kernel.errno import KernelError
from vjail.kernel.model.host import ModelHost
from vjail.lab.compile.host import USUAL_DEVICES
from vjail.lab.file.description import JAIL_NAME, Host, Jail, Link, Network, Vlan
from vjail.lab.file.nodes import At
from vjail.lab.file.schema import Entry
from vjail.lab.file.topology import is_hidden
from vjail.lab.model import LabHostSpec

_MADE = re.compile(r"\A# Made by vjail from the lab file of .*\n")
"""The head of a file that was exported."""
_SAID = re.compile(
    r"hostname|(ipv6_)?(static_routes|route_\w+|gateway_enable|defaultrouter)|pf_enable|pf_rules|jail_enable|"
    r"autobridge_\w+|cloned_interfaces|vlans_\w+"
)
"""Variables of rc.conf that are said by the lab file's own keys."""
_PLAIN = re.compile(
    r"inet6?|alias|up|netmask|prefixlen|broadcast|addm|mtu|private|auto_linklocal|[0-9a-fA-Fx.:/]+|[a-z]+[0-9.]+"
)
"""Words of an ifconfig_IF that bring about what can be seen of an interface."""


@dataclass(slots=True)
class ImportedHost:
    """A host: its keys, the numbers of its epairs as a lock file has them, and what is lost."""

    host: Host
    numbers: dict[str, int] = field(default_factory=dict)


def host(
    machine: ModelHost,
    spec: LabHostSpec,
    watched: Watched,
    *,
    tree: str | None,
    listed: bool,
    note: Note,
    keep: Callable[[str], object],
) -> ImportedHost:
    """The keys of a host. `tree`: the folder that is laid over it; `listed`: its cards are on wires with names.

    `note` takes what is lost, `keep` what is there by lines of its own.
    """
    return _Host(machine, spec, watched, note, keep).read(tree, listed)


class _Host:
    def __init__(
        self, machine: ModelHost, spec: LabHostSpec, watched: Watched, note: Note, keep: Callable[[str], object]
    ) -> None:
        self._machine = machine
        self._spec = spec
        self._watched = watched
        self._note = note
        self._keep = keep
        self._wiring: Wiring = wiring(machine)
        for names in (self._wiring.covered, self._wiring.apart):
            names |= watched.called(names)
        self._numbers: dict[str, int] = {}
        self._own_rulesets: set[str] = set()
        self._gateways_of: dict[str, list[str]] = {}

    def read(self, tree: str | None, listed: bool) -> ImportedHost:
        found = self._wiring
        names = [name for name in self._watched.jails if self._is_told(name)]
        pf, nats, publics = self._packet_filter()
        jails_ = {name: self._jail(name) for name in names}
        networks = {
            each.name: self._network(each, nats.get(each.name), set(publics.values())) for each in found.networks
        }
        for name, public in publics.items():
            jails_[name] = replace(jails_[name], public=at(public))
        gone = {*publics.values(), *self._shared()}
        cards = {
            card: [each for each in own if str(each.ip) not in gone and not each.ip.is_link_local]
            for card, own in found.cards.items()
        }
        hostname, rc = self._rc_conf()
        made = Host(
            nics=named({nic: at(wire) for nic, wire in self._spec.nics.items()}) if listed else {},
            tree=at(tree) if tree is not None else None,
            userland=at(self._spec.userland) if self._spec.userland != "machine" else None,
            addresses=named({card: texts(own) for card, own in cards.items() if own}),
            gateway=texts(found.host.gateways),
            routes=named({str(net): at(str(way)) for net, way in found.host.routes}),
            forward=at(True) if found.host.forward and not nats and not self._forwards_one() else None,
            hostid=at(self._hostid()) if "hostid" in self._spec.files else None,
            rc=named({key: at(value) for key, value in rc.items()}),
            pf=at(pf) if pf is not None else None,
            devfs=self._devfs(),
            networks=named(networks),
            jails=named(jails_),
            links=tuple(self._links(names)),
        )
        if hostname is not None and hostname != self._spec.name:
            made = replace(made, rc={"hostname": Entry(at("hostname"), at(hostname)), **made.rc})
        return ImportedHost(made, self._numbers)

    def _is_told(self, name: str) -> bool:
        checked = self._watched.jails[name]
        if not re.fullmatch(JAIL_NAME, name):
            self._note(f"jail {name} cannot be called so in a lab file: it is left out", checked.jail.source)
            return False
        if name in self._watched.failures:
            text = f"jail {name} does not start, so its network is not known: {self._watched.failures[name]}"
            self._note(text, checked.jail.source)
        return True

    # --- networks -----------------------------------------------------------------------------------------------------

    def _network(self, found: FoundNetwork, nat: str | None, publics: Collection[str]) -> Network:
        if found.outside:
            self._note(f"{found.bridge}: a lab file has no words for its {' '.join(found.outside)}", None)
        numbered = found.bridge if found.bridge is not None and re.fullmatch(r"bridge\d{1,9}", found.bridge) else None
        given = [each for each in found.own if not each.ip.is_link_local and str(each.ip) not in publics]
        own = [self._in(found, each) for each in sorted(given, key=lambda each: each.version)]
        told = nat is not None and [each.ip for each in given] == [net[1] for net in found.subnets]
        return Network(
            subnet=tuple(at(net) for net in found.subnets),
            uplink=at(found.uplink) if found.uplink is not None else None,
            vlan=at(found.tag) if found.tag is not None else None,
            nat=at(nat) if nat is not None else None,
            host=() if told else texts(own),
            gateway=texts(self._gateways(found)) if nat is None else (),
            bridge=at(numbered) if numbered is not None else None,
            mtu=at(found.mtu) if found.mtu is not None else None,
            private=at(True) if found.private else None,
        )

    def _in(self, network: FoundNetwork, address: Interface) -> str:
        """An address as it is written in a network: a host part where that is short."""
        for net in network.subnets:
            if address.ip in net:
                offset = int(address.ip) - int(net.network_address)
                if net.version == 4 and net.prefixlen >= 24:
                    return f".{offset}"
                if net.version == 6 and offset < 1 << 32 and net.prefixlen <= 96:
                    return str(IPv6Address(offset))
                return str(address.ip)
        return str(address)

    def _gateways(self, network: FoundNetwork) -> list[str]:
        """The default routes that all who are in a network take through it."""
        if network.name in self._gateways_of:
            return self._gateways_of[network.name]
        found = self._gateways_of[network.name] = []
        for version in (4, 6):
            ways = set()
            for port in network.ports:
                if any(each.version == version for each in port.addresses):
                    own = self._way(port.jail, version)
                    ways.add(own if own is not None and any(own in net for net in network.subnets) else None)
            if len(ways) == 1 and (way := ways.pop()) is not None:
                found.append(self._in(network, ip_interface(way)) if version == 4 else str(way))
        return found

    def _way(self, jail: str, version: int) -> Address | None:
        return next((each for each in self._wiring.jails[jail].gateways if each.version == version), None)

    def _links(self, names: Collection[str]) -> Iterator[Link]:
        seen: dict[tuple[str, str], int] = {}
        for link in self._wiring.links:
            one, other = link.ends
            if one.jail not in names or other.jail not in names:
                continue
            pair = (min(one.jail, other.jail), max(one.jail, other.jail))
            seen[pair] = seen.get(pair, 0) + 1
            if one.unit is not None:
                key = f"{self._spec.name}/{'-'.join(pair)}" + (f"/{seen[pair]}" if seen[pair] > 1 else "")
                self._numbers[key] = one.unit
            yield at(named({end.jail: texts(end.addresses) for end in link.ends}))

    # --- jails --------------------------------------------------------------------------------------------------------

    def _jail(self, name: str) -> Jail:
        checked = self._watched.jails[name]
        stack = self._wiring.jails.get(name)
        made = jails.jail(
            name,
            checked,
            self._watched.lines[name],
            self._wiring.covered,
            self._wiring.apart,
            self._wiring.cards,
            self._devices(checked.jail.text("devfs_ruleset")),
            own_stack=stack is not None or name in self._watched.failures,
            failed=name in self._watched.failures,
            note=self._note,
        )
        if stack is None:
            return made
        networks: dict[str, tuple[At[str], ...]] = {}
        run = [each.value for each in made.run]
        for network in self._wiring.networks:
            for port in network.ports:
                if port.jail == name:
                    networks[network.name] = texts(self._mine(network, port, run))
                    if port.unit is not None:
                        self._numbers[f"{self._spec.name}/{name}/{network.name}"] = port.unit
        for network, port in self._wiring.further:
            if port.jail == name:
                self._keep(f"{name}: {port.interface} is a second interface in {network.name}: its lines stay")
        vlans = {
            each.name: Vlan(at(each.tag), at(each.parent), texts(each.addresses))
            for each in self._wiring.vlans
            if each.jail == name
        }
        return replace(
            made,
            nics=named({card: texts(own) for card, own in stack.cards.items()}),
            vlans=named(vlans),
            gateway=texts(self._own_ways(name, stack)),
            routes=named({str(net): at(str(way)) for net, way in stack.routes}),
            forward=at(True) if stack.forward else None,
            run=texts(run),
            networks=named(networks),
        )

    def _mine(self, network: FoundNetwork, port: FoundPort, run: list[str]) -> Iterator[str]:
        """A jail's addresses in a network; what is in none of its subnets is added by a command."""
        for each in port.addresses:
            if any(each.ip in net for net in network.subnets):
                yield self._in(network, each)
            elif not each.ip.is_link_local:  # the line that gives it stays
                kind = "inet" if each.version == 4 else "inet6"
                run.insert(0, f"ifconfig {port.interface} {kind} {each} alias")

    def _own_ways(self, name: str, stack: FoundJail) -> list[Address]:
        """Its default routes, where they do not follow from its first network's gateway."""
        ports = [(net, port) for net in self._wiring.networks for port in net.ports if port.jail == name]
        follow: dict[int, Address | None] = {}
        for network, port in ports:
            for written in self._gateways(network):
                version = 6 if ":" in written else 4
                if any(each.version == version for each in port.addresses):
                    follow.setdefault(version, self._way(name, version))
        if any(self._way(name, version) != follow.get(version) for version in (4, 6)):
            return list(stack.gateways)
        return []

    def _shared(self) -> Iterator[object]:
        """The addresses that jails put on the host's cards while they run."""
        for checked in self._watched.jails.values():
            yield from (each.address for each in checked.addresses)

    # --- devices ------------------------------------------------------------------------------------------------------

    def _devices(self, ruleset: str | None) -> tuple[str, ...] | None:
        """What a ruleset of devfs.rules shows besides the usual; None for a set that a lab file cannot say."""
        if ruleset in (None, "4"):
            return ()
        section = _sections(self._rules()).get(int(ruleset or "0") if (ruleset or "").isdecimal() else 0)
        if section is None:
            return None
        lines = [" ".join(line.split()) for line in section[1:]]
        wanted = [f"add include ${name}" for name in USUAL_DEVICES]
        shown = [re.fullmatch(r"add path (\S+) unhide", line) for line in lines[len(wanted) :]]
        if lines[: len(wanted)] == wanted and all(shown):
            return tuple(each[1].strip("'\"") for each in shown if each is not None)
        self._own_rulesets.add(ruleset or "")
        return None

    def _devfs(self) -> At[str] | None:
        """The sets that jails have as they are written, with those they include."""
        if not self._own_rulesets:
            return None
        return at("".join(f"{line}\n" for section in _sections(self._rules()).values() for line in section))

    def _rules(self) -> bytes:
        file = self._spec.files.get("devfs.rules")
        return file.content if file is not None else b""

    # --- pf -----------------------------------------------------------------------------------------------------------

    def _packet_filter(self) -> tuple[str | None, dict[str, str], dict[str, str]]:
        """pf.conf as it is; or where a lab file says all of it, networks' cards with nat, and public addresses."""
        try:
            filter_ = self._machine.kernel.view().packet_filter()
        except KernelError:
            return None, {}, {}
        if not filter_.enabled:
            return None, {}, {}
        told = self._told(filter_.ruleset("")) if not filter_.tables and set(filter_.options.skip) <= {"lo0"} else None
        if told is not None:
            return None, *told
        conf, _ = rc_files.load(self._machine.files_of(), "pf")
        try:
            text = self._machine.files_of().read(conf.get("pf_rules", "/etc/pf.conf")).decode()
        except KernelError:
            return None, {}, {}
        return _MADE.sub("", text), {}, {}

    def _told(self, rules: Ruleset) -> tuple[dict[str, str], dict[str, str]] | None:
        networks: dict[object, FoundNetwork] = {
            net: each for each in self._wiring.networks for net in each.subnets if is_hidden(net) and not each.uplink
        }
        nats: dict[str, str] = {}
        hidden: set[object] = set()
        for rule in rules.nat:
            source = rule.source.address
            if not isinstance(source, NetAddress) or source.network not in networks or not self._is_own_nat(rule):
                return None
            card = self._behind(rule.interface)
            if card is None or nats.setdefault(networks[source.network].name, card) != card:
                return None
            hidden.add(source.network)
        if any(each.name in nats and net not in hidden for net, each in networks.items()):
            return None
        routed = [each for each in networks.values() if each.name in nats]
        publics: dict[str, str] = {}
        for rule in rules.binat:
            jail = self._public(rule, routed, nats)
            if jail is None or jail[0] in publics:
                return None
            publics[jail[0]] = jail[1]
        passes = all(rule == Rule(Action.PASS, keep=rule.keep, tcp_flags=rule.tcp_flags) for rule in rules.filter)
        return (nats, publics) if nats and passes and not rules.rdr and not rules.scrub else None

    def _bridge_of_card(self, interface: str) -> FoundNetwork | None:
        """The network whose bridge has the host's address in its card's place."""
        for network in self._wiring.networks:
            if network.bridge == interface and network.uplink is not None and network.tag is None and network.own:
                return network if not self._wiring.cards.get(network.uplink) else None
        return None

    def _behind(self, interface: str) -> str | None:
        """The card that NAT on an interface is behind, as a lab file says it."""
        network = self._bridge_of_card(interface)
        if network is not None:
            return network.uplink
        return interface if interface in self._wiring.cards else None

    def _is_own_nat(self, rule: Rule) -> bool:
        """`nat on IF from NET to any ->` and IF's first address, as that is compiled, and nothing else.

        `(IF)` is that too where IF has no other.
        """
        pool = rule.pool
        if rule.action is not Action.NAT or pool is None or len(pool.addresses) != 1:
            return False
        only = Rule(Action.NAT, interface=rule.interface, family=rule.family, source=rule.source, pool=rule.pool)
        network = self._bridge_of_card(rule.interface)
        own = network.own if network is not None else self._wiring.cards.get(rule.interface, ())
        if rule.family is Family.INET6:
            first = next((each.ip for each in own if each.version == 6 and not each.is_link_local), None)
            return only == rule and first is not None and pool.addresses[0] == NetAddress(ip_network(first))
        outer = [InterfaceAddress(rule.interface, Part.OWN, first_only=True)]
        if sum(each.version == 4 for each in own) <= 1:
            outer.append(InterfaceAddress(rule.interface, Part.OWN))
        return only == rule and pool.addresses[0] in outer

    def _public(self, rule: Rule, routed: Collection[FoundNetwork], nats: Mapping[str, str]) -> tuple[str, str] | None:
        source, pool = rule.source.address, rule.pool
        if rule.action is not Action.BINAT or not isinstance(source, NetAddress) or pool is None:
            return None
        outer = pool.addresses[0] if len(pool.addresses) == 1 else None
        for network in routed:
            for port in network.ports:
                mine = any(each.ip == source.network.network_address for each in port.addresses)
                if mine and self._behind(rule.interface) == nats[network.name] and isinstance(outer, NetAddress):
                    return port.jail, str(outer.network.network_address)
        return None

    # --- rc.conf ------------------------------------------------------------------------------------------------------

    def _rc_conf(self) -> tuple[str | None, dict[str, str]]:
        """The host's name, and the variables that no other key says."""
        file = self._spec.files.get("rc.conf")
        own = rc_files.read(self._machine.files_of(), "/etc/rc.conf") if file is not None else None
        if own is None:
            return None, {}
        for problem in own.problems:
            self._note(f"{problem.reason}: it is left out", problem.span)
        conf, _ = rc_files.load(self._machine.files_of())
        given = dict.fromkeys(each.name for each in own.assignments)
        kept = {name: conf.get(name) for name in given if not self._is_said(name, conf.get(name))}
        kept |= self._link_local({name: conf.get(name) for name in given})
        if self._forwards_one():
            kept |= {name: conf.get(name) for name in given if name in ("gateway_enable", "ipv6_gateway_enable")}
        return (conf.get("hostname") or None), kept | self._cloned(conf.words("cloned_interfaces")) | self._vlans(conf)

    def _forwards_one(self) -> bool:
        """Whether the host forwards one family only and has addresses of both, so that `forward` would say too much."""
        on = {version for version, on in self._machine.net_of(0).forwarding.items() if on}
        here = self._machine.net_of(0).devices.values()
        families = {each.version for device in here for each in addresses(device.ifnet) if not each.ip.is_loopback}
        return bool(on) and not families <= on

    def _link_local(self, given: Mapping[str, str]) -> dict[str, str]:
        """The link-local addresses that rc.conf gives, numbered behind the aliases that the lab file makes."""
        own = {each.bridge: each.own for each in self._wiring.networks if each.bridge is not None}
        found: dict[str, str] = {}
        for name, held in {**own, **self._wiring.cards}.items():
            variable = f"ifconfig_{re.sub(r'[^A-Za-z0-9]', '_', name)}"
            wide = [each for each in held if not each.ip.is_link_local]
            number = sum(max(0, sum(each.version == version for each in wide) - 1) for version in (4, 6))
            for key, value in given.items():
                mine = re.fullmatch(rf"{variable}_(ipv6|alias\d+)", key)
                if mine and re.fullmatch(r"inet6 fe80:\S+( .*)?", value):
                    if key.endswith("_ipv6") and all(each.version == 4 for each in wide):
                        found[key] = value
                    else:
                        found[f"{variable}_alias{number}"] = value
                        number += 1
        return found

    def _is_said(self, name: str, value: str) -> bool:
        if _SAID.fullmatch(name):
            return True
        if name.startswith("create_args_"):
            return is_covered(name.removeprefix("create_args_"), self._wiring.covered)
        if re.fullmatch(r"ifconfig_\w+_name", name) and value in {each.bridge for each in self._wiring.networks}:
            return True
        found = re.fullmatch(r"ifconfig_(\w+?)(_ipv6|_alias(es|\d+))?", name)
        if found is None:
            return False
        ports = {port for each in self._wiring.laggs.values() for port in each}
        known = {*self._wiring.cards, *self._wiring.covered, *self._spec.nics} - ports
        if found[1] not in {re.sub(r"[^A-Za-z0-9]", "_", each) for each in known}:
            return False
        return all(_PLAIN.fullmatch(word) or is_covered(word, known) for word in value.split())

    def _cloned(self, names: Sequence[str]) -> dict[str, str]:
        """The cloned interfaces but for bridges of networks and what jails get."""
        covered = self._wiring.covered - set(self._wiring.laggs)
        others = [name for name in names if not is_covered(name, covered)]
        return {"cloned_interfaces": " ".join(others)} if others else {}

    def _vlans(self, conf: RcConf) -> dict[str, str]:
        """The VLANs of each card, where there are others than those of networks and what jails get."""
        found: dict[str, str] = {}
        for name in conf:
            card = name.removeprefix("vlans_")
            cards = (*self._wiring.cards, *self._wiring.laggs)
            words = conf.words(name) if card in cards and name != card else []
            others = [
                word
                for word in words
                if not is_covered(f"{card}.{word}" if word.isdecimal() else word, self._wiring.covered)
            ]
            if others:
                tags = (str(each.tag) for each in self._wiring.networks if each.uplink == card and each.tag is not None)
                found[name] = " ".join((*tags, *others))
        return found

    def _hostid(self) -> str:
        return self._spec.files["hostid"].content.decode().strip().lower()


def _sections(content: bytes) -> dict[int, list[str]]:
    """The sets of a devfs.rules by number, each with its head and its lines."""
    found: dict[int, list[str]] = {}
    number = None
    for line in devfs_rules.parse(Source("devfs.rules", content)).lines:
        if isinstance(line, devfs_rules.Header):
            number = line.number
            found[number] = [f"[{line.name}={line.number}]"]
        elif isinstance(line, devfs_rules.RuleLine) and number is not None:
            found[number].append(line.text)
    return found
