"""All files of one host, by name, and the head that each begins with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface

from vjail.conf.rcconf import variable_name
from vjail.lab.compile.jailconf import jail_conf, rc_value
from vjail.lab.file.topology import Bridge, Interface, PlacedHost, PlacedJail, Topology, is_hidden

_RULESET_BASE = 100
USUAL_DEVICES = ("devfsrules_hide_all", "devfsrules_unhide_basic", "devfsrules_unhide_login")
"""FreeBSD's sets that a jail's own set of devices includes."""


def compile_host(topology: Topology, host: PlacedHost) -> Mapping[str, str]:
    """The files that a host needs in /etc: rc.conf always, the others where there is something in them."""
    header = f"# Made by vjail from the lab file of {topology.name}, for host {host.name}: change that, not this.\n"
    files: dict[str, str] = {"rc.conf": header + "".join(f"{line}\n" for line in _rc_conf(host))}
    rulesets = _rulesets(host)
    if host.jails:
        files["jail.conf"] = jail_conf(host, header, {name: number for name, (number, _) in rulesets.items()})
    if rulesets or host.devfs is not None:
        files["devfs.rules"] = header + "".join(_devfs_rules(rulesets)) + _ended(host.devfs or "")
    pf = "".join(f"{line}\n" for line in _pf_conf(host)) + _ended(host.pf or "")
    if pf:
        files["pf.conf"] = header + pf
    names = list(_hosts(host))
    if names:
        files["hosts"] = header + "::1\tlocalhost\n127.0.0.1\tlocalhost\n" + "".join(f"{line}\n" for line in names)
    if host.hostid is not None:
        files["hostid"] = f"{host.hostid}\n"
    return files


# --- rc.conf ----------------------------------------------------------------------------------------------------------


def _rc_conf(host: PlacedHost) -> Iterator[str]:
    standing = [bridge for bridge in host.bridges if bridge.standing]
    lines: dict[str, str] = {"hostname": host.name}
    if standing:
        lines["cloned_interfaces"] = " ".join(bridge.name for bridge in standing)
    mtus = {bridge.uplink: bridge.mtu for bridge in standing if bridge.uplink is not None and bridge.mtu is not None}
    mtu = {card: f"mtu {number} up" for card, number in mtus.items()}
    for nic, addresses in host.addresses.items():
        lines |= _interface(nic, addresses, mtu.get(nic, "up"))
    for bridge in standing:
        lines |= _bridge(bridge)
    for bridge in standing:
        for card in (bridge.uplink, bridge.nat):
            if card is not None:
                lines.setdefault(f"ifconfig_{variable_name(card)}", mtu.get(card, "up"))
        if bridge.outer is not None:
            publics = [jail.public for jail in host.jails if jail.public is not None and _is_in(jail, bridge)]
            alias = f"ifconfig_{variable_name(bridge.outer)}_alias"
            aliases = sum(name.startswith(alias) for name in lines)
            for number, public in enumerate(publics, aliases):
                family, length = ("inet", 32) if public.version == 4 else ("inet6", 128)
                lines[f"{alias}{number}"] = f"{family} {public}/{length}"
        if bridge.uplink is not None and bridge.tag is not None:
            vlans = f"vlans_{variable_name(bridge.uplink)}"
            lines[vlans] = f"{lines.get(vlans, '')} {bridge.tag}".strip()
            lines[f"ifconfig_{variable_name(bridge.uplink)}_{bridge.tag}"] = "up"
    for gateway in host.gateways:
        lines["defaultrouter" if gateway.version == 4 else "ipv6_defaultrouter"] = str(gateway)
    for version, prefix in ((4, ""), (6, "ipv6_")):
        routes = [(net, way) for net, way in host.routes if net.version == version]
        if routes:
            lines[f"{prefix}static_routes"] = " ".join(f"r{number}" for number, _ in enumerate(routes, 1))
            for number, (network, gateway) in enumerate(routes, 1):
                lines[f"{prefix}route_r{number}"] = f"{network} {gateway}"
    if host.forward or any(bridge.nat for bridge in host.bridges):
        lines["gateway_enable"] = "YES"
        routed = [subnet for bridge in host.bridges if bridge.nat for subnet in bridge.subnets]
        if host.forward or any(subnet.version == 6 for subnet in routed):
            lines["ipv6_gateway_enable"] = "YES"
    if host.pf is not None or any(bridge.nat for bridge in host.bridges):
        lines["pf_enable"] = "YES"
    if host.jails:
        lines["jail_enable"] = "YES"
    own = lines.get("cloned_interfaces", "").split()
    lines |= {name: rc_value(value) for name, value in host.rc.items()}
    if own and "cloned_interfaces" in host.rc:
        lines["cloned_interfaces"] = " ".join(dict.fromkeys((*host.rc["cloned_interfaces"].split(), *own)))
    for name, value in lines.items():
        yield f'{name}="{value}"'


def _interface(name: str, addresses: tuple[Interface, ...], rest: str) -> dict[str, str]:
    """rc.conf's lines for an interface's addresses."""
    lines: dict[str, str] = {}
    variable = f"ifconfig_{variable_name(name)}"
    inet = [each for each in addresses if isinstance(each, IPv4Interface)]
    inet6 = [each for each in addresses if not isinstance(each, IPv4Interface)]
    first = f"inet {inet[0]} {rest}" if inet else rest
    lines[variable] = first.strip()
    if inet6:
        lines[f"{variable}_ipv6"] = f"inet6 {inet6[0]}"
    for number, address in enumerate((*inet[1:], *inet6[1:])):
        lines[f"{variable}_alias{number}"] = f"inet{'6' if address.version == 6 else ''} {address}"
    return lines


def _bridge(bridge: Bridge) -> dict[str, str]:
    uplink = bridge.uplink_interface
    rest = "up"
    if bridge.mtu is not None and uplink is None:
        rest = f"mtu {bridge.mtu} up"
    if uplink is not None:
        rest = f"addm {uplink} up"
    lines = _interface(bridge.name, bridge.host_addresses, rest)
    inet6 = f"ifconfig_{bridge.name}_ipv6"
    if inet6 in lines:
        # A bridge makes no link-local address by itself (if_bridge(4)), and a router needs one.
        lines[inet6] += " auto_linklocal"
    return lines


def _is_in(jail: PlacedJail, bridge: Bridge) -> bool:
    return any(port.network == bridge.network for port in jail.ports)


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"


# --- the others -------------------------------------------------------------------------------------------------------


def _rulesets(host: PlacedHost) -> dict[str, tuple[int, tuple[str, ...]]]:
    """The ruleset of each jail that sees more than usual: its number and what it shows; equal ones are one."""
    numbers: dict[tuple[str, ...], int] = {}
    found: dict[str, tuple[int, tuple[str, ...]]] = {}
    for jail in host.jails:
        if jail.devices:
            number = numbers.setdefault(jail.devices, _RULESET_BASE + len(numbers))
            found[jail.name] = number, jail.devices
    return found


def _devfs_rules(rulesets: Mapping[str, tuple[int, tuple[str, ...]]]) -> Iterator[str]:
    for number, devices in dict.fromkeys(rulesets.values()):
        yield f"[devfsrules_lab_{number}={number}]\n"
        for name in USUAL_DEVICES:
            yield f"add include ${name}\n"
        for device in devices:
            yield f"add path '{device}' unhide\n"


def _pf_conf(host: PlacedHost) -> Iterator[str]:
    routed = [bridge for bridge in host.bridges if bridge.nat is not None]
    if not routed:
        return
    yield "set skip on lo0"
    for bridge in routed:
        for jail in host.jails:
            port = next((each for each in jail.ports if each.network == bridge.network), None)
            if jail.public is None or port is None:
                continue
            inner = next((each.ip for each in port.addresses if each.version == jail.public.version), None)
            if inner is not None:
                family = "inet" if inner.version == 4 else "inet6"
                yield f"binat on {bridge.outer} {family} from {inner} to any -> {jail.public}"
    for bridge in routed:
        for subnet in filter(is_hidden, bridge.subnets):
            if subnet.version == 4:
                # Without `:0` also as the public addresses of jails, which are the card's aliases.
                yield f"nat on {bridge.outer} inet from {subnet} to any -> ({bridge.outer}:0)"
            else:
                # Not (IF), nor (IF:0): these have the card's link-local address too (pfi_instance_add in pf_if.c).
                yield f"nat on {bridge.outer} inet6 from {subnet} to any -> {bridge.nat6}"
    yield "pass"


def _hosts(host: PlacedHost) -> Iterator[str]:
    for jail in host.jails:
        domains = {port.network: host.bridge(port.network).domain for port in jail.ports}
        for port in jail.ports:
            domain = domains[port.network]
            names = f"{jail.name}.{domain}\t{jail.name}" if domain else jail.name
            for address in port.addresses:
                yield f"{address.ip}\t{names}"
        for each in jail.interfaces[len(jail.ports) :]:
            for address in each.addresses:
                yield f"{address.ip}\t{jail.name}"
