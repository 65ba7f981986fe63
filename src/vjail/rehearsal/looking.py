"""What a lab in memory looks like: the data that a running one is shown by, and what pictures say besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vjail.conf.pf.rules import Action, NetAddress, PortOp, Rule, RuleAddress
from vjail.kernel.core.prison_record import AddressRule
from vjail.kernel.errno import KernelError
from vjail.kernel.model.host import ModelHost
from vjail.lab.configured import configured
from vjail.lab.file.topology import Topology
from vjail.lab.model import Lab
from vjail.rehearsal.lab import Rehearsal
from vjail.view.picture import Marks
from vjail.view.topology import HostView, JailView, LabView, Stack

_FORWARDING = ("net.inet.ip.forwarding", "net.inet6.ip6.forwarding")


def seen(lab: Lab, up: Rehearsal) -> LabView:
    """The lab as it is now in memory: those jails that are there, and those that are configured and not there."""
    hosts = [_host(host, lab.hosts[name].nics) for name, host in up.hosts.items()]
    return LabView(lab.name, str(lab.origin), hosts, lab.cut, lab.uplinks, lab.conditions)


def _host(host: ModelHost, nics: Mapping[str, str]) -> HostView:
    prisons = list(host.prisons.prisons())
    owners = {prison.vnet: prison.name for prison in prisons if prison.own_vnet}
    jails = [
        JailView(
            prison.jid,
            prison.name,
            prison.path,
            prison.host.hostname,
            "dying" if prison.dying else "active",
            0,
            Stack(host.kernel.view(prison.jid).interfaces()) if prison.own_vnet and not prison.dying else None,
            shares=None if prison.own_vnet else owners.get(prison.vnet),
            addresses=_addresses(prison.ip4, prison.ip6),
        )
        for prison in prisons
    ]
    there = {prison.name for prison in prisons}
    for checked in configured(host.files_of(), host.release).jails:
        name = checked.jail.text("name") or checked.jail.block or ""
        if name not in there:
            jails.append(JailView(0, name, checked.jail.text("path") or "/", "", "stopped", 0, None))
    return HostView(host.name, str(host.release), Stack(host.kernel.view().interfaces()), jails, nics)


def _addresses(*rules: AddressRule) -> tuple[str, ...] | None:
    if not any(rule.restricted for rule in rules):
        return None
    return tuple(str(address) for rule in rules for address in rule.addresses)


def marks(up: Rehearsal, topology: Topology | None = None) -> dict[str, Marks]:
    """What each host does besides, by name; with a lab file's topology also what its networks are called."""
    networks: dict[str, dict[str, tuple[str, ...]]] = {}
    for placed in topology.hosts if topology is not None else ():
        networks[placed.name] = {bridge.name: (bridge.network, *map(str, bridge.subnets)) for bridge in placed.bridges}
    return {
        name: Marks(networks.get(name, {}), _translations(host), _forwards(host)) for name, host in up.hosts.items()
    }


def _forwards(host: ModelHost) -> bool:
    view = host.kernel.view()
    return any(value == "1" for name in _FORWARDING for _, value in view.sysctl(name))


def _translations(host: ModelHost) -> dict[str, tuple[str, ...]]:
    """What pf translates at each interface, in words."""
    try:
        filter_ = host.kernel.view().packet_filter()
    except KernelError:
        return {}
    found: dict[str, dict[str, None]] = {}
    rules = filter_.ruleset("") if filter_.enabled else None
    for word, each in (("NAT", rules.nat), ("binat", rules.binat), ("rdr", rules.rdr)) if rules is not None else ():
        for text, rule in _told(word, each):
            found.setdefault(rule.interface, {})[text] = None
    return {interface: (*texts,) for interface, texts in found.items() if interface}


def _told(word: str, rules: Sequence[Rule]) -> Iterator[tuple[str, Rule]]:
    for rule in rules:
        if rule.action is Action.RDR and rule.pool is not None:
            ports = rule.destination.ports
            outer = f" {ports.first}" if ports is not None and ports.op is PortOp.EQ else ""
            first, _ = rule.pool.ports
            inner = _plain(rule.pool.addresses[0])
            if first:
                inner = f"[{inner}]:{first}" if ":" in inner else f"{inner}:{first}"
            yield f"{word}{outer} → {inner}", rule
        else:
            yield f"{word} {_plain(rule.source.address)}".rstrip(), rule


def _plain(written: RuleAddress) -> str:
    """An address or a network of a rule; empty for what has none of its own."""
    if not isinstance(written, NetAddress):
        return ""
    net = written.network
    return str(net.network_address if net.prefixlen == net.max_prefixlen else net)
