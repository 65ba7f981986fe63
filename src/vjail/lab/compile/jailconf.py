"""jail.conf of a host: one block a jail.

How shared interfaces are made and unmade in any order follows two configurations that were seen to work on a FreeBSD
13.2 (bridges and epairs with all jails at once, links between two jails); see docs/lab-file.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Interface

from vjail.conf.jailconf import format_name, format_text
from vjail.lab.file.topology import Card, Interface, LinkEnd, PlacedHost, PlacedJail, Port, VlanPort

_QUIET = ">/dev/null 2>&1"
SHARED = ("bin", "lib", "libexec", "sbin", "usr")
"""The directories of a base that its jails share."""

_LISTS = ("mount", "vnet.interface", "depend", "ip4.addr", "ip6.addr", "command")
"""Parameters whose values add up, as those of exec.* do; of others the last counts."""

Statement = tuple[str, tuple[str, ...]]
"""A parameter and its values; none: only its name."""


def jail_conf(host: PlacedHost, header: str, rulesets: dict[str, int]) -> str:
    """The file. `rulesets`: the number of the devfs ruleset of each jail that has its own."""
    blocks = [_block(jail.name, list(_statements(host, jail, rulesets.get(jail.name)))) for jail in host.jails]
    return "\n".join((header, *blocks))


def _block(name: str, statements: Sequence[Statement]) -> str:
    lines = [f"{format_name(name)} {{"]
    seen: set[str] = set()
    last = {parameter: number for number, (parameter, _) in enumerate(statements)}
    for number, (parameter, values) in enumerate(statements):
        if last[parameter] != number and parameter not in _LISTS and not parameter.startswith("exec."):
            continue
        if not values:
            lines.append(f"\t{parameter};")
            continue
        for value in values:
            operator = "+=" if parameter in seen else "="
            seen.add(parameter)
            lines.append(f"\t{parameter} {operator} {format_text(value)};")
    return "\n".join((*lines, "}", ""))


def _statements(host: PlacedHost, jail: PlacedJail, ruleset: int | None) -> Iterator[Statement]:
    yield "path", (jail.path,)
    yield "host.hostname", (jail.hostname,)
    if jail.shared:
        for version in (4, 6):
            own = [f"{card.name}|{each}" for card in jail.shared for each in card.addresses if each.version == version]
            if own:
                yield f"ip{version}.addr", tuple(own)
    elif jail.vnet:
        yield "vnet", ()
    yield "persist", ()
    yield "exec.clean", ()
    mounts = list(_mounts(jail))
    if mounts:
        yield "mount", tuple(mounts)
    yield "mount.devfs", ()
    yield "devfs_ruleset", (str(ruleset if ruleset is not None else 4),)
    for permission in jail.allow:
        yield f"allow.{permission}", ()
    setup = list(_setup(host, jail))
    alone = jail.user is None or jail.user == "root" or not setup
    if jail.user is not None and alone:
        yield "exec.jail_user", (jail.user,)
    if jail.depend:
        yield "depend", jail.depend
    yield from jail.parameters.items()
    if jail.interfaces:
        yield "vnet.interface", tuple(each.name for each in jail.interfaces)
    prestart = [line for port in jail.ports for line in _join(host, jail, port)]
    prestart += [line for end in jail.links for line in _make_link(end)]
    prestart += [line for vlan in jail.vlans for line in _make_vlan(vlan)]
    if prestart:
        yield "exec.prestart", tuple(prestart)
    start = (*setup, *jail.run) if alone else setup
    if start:
        yield "exec.start", tuple(start)
    if jail.run and not alone:
        # exec.jail_user would be the user of all that exec.start does, and addresses are root's to give.
        as_user = f"jexec -U {jail.user} {jail.name} /bin/sh -c"
        yield "exec.poststart", tuple(f"{as_user} {_shell(line)}" for line in jail.run)
    if jail.boot:
        yield "exec.stop", ("/bin/sh /etc/rc.shutdown jail",)
    poststop = [line for port in jail.ports for line in _leave(host, port)]
    poststop += [_unmake_link(end) for end in jail.links]
    poststop += [f"ifconfig {vlan.name} destroy" for vlan in jail.vlans]
    if poststop:
        yield "exec.poststop", tuple(poststop)


# --- mounts -----------------------------------------------------------------------------------------------------------


def _mounts(jail: PlacedJail) -> Iterator[str]:
    if jail.base is not None:
        for directory in SHARED:
            yield f"{jail.base}/{directory} {jail.path}/{directory} nullfs ro 0 0"
    for line in jail.mounts:
        words = line.split()
        if len(words) > 3:
            yield line
            continue
        options = words[2] if len(words) == 3 else "rw"
        yield f"{words[0]} {jail.path}/{words[1].lstrip('/')} nullfs {options} 0 0"


# --- networks ---------------------------------------------------------------------------------------------------------


def _join(host: PlacedHost, jail: PlacedJail, port: Port) -> Iterator[str]:
    """Make the bridge, if it is the jails' to make, and the epair, and put its outer end in."""
    bridge = host.bridge(port.network)
    if not bridge.standing:
        # The third is for who finds that another jail was making it at the same time.
        yield (
            f"ifconfig {bridge.name} {_QUIET} || ifconfig {bridge.name} create up {_QUIET} || "
            f"ifconfig {bridge.name} >/dev/null"
        )
    outer = port.host_end
    yield f"ifconfig {outer} {_QUIET} || ifconfig epair{port.unit} create >/dev/null"
    mtu = f" mtu {bridge.mtu}" if bridge.mtu is not None else ""
    private = f" private {outer}" if bridge.private else ""
    label = f"{jail.name} {port.network}"
    yield (
        f'ifconfig {outer} ether {_mac(port.outer)}{mtu} up; ifconfig {outer} description "{label}"; '
        f"ifconfig {bridge.name} | grep -q 'member: {outer} ' || ifconfig {bridge.name} addm {outer}{private}"
    )


def _leave(host: PlacedHost, port: Port) -> Iterator[str]:
    """Take the outer end out and the epair away; the last jail takes a bridge of the jails' own away."""
    bridge = host.bridge(port.network)
    yield f"ifconfig {bridge.name} deletem {port.host_end}; ifconfig {port.host_end} destroy"
    if not bridge.standing:
        yield (
            f"ifconfig {bridge.name} 2>/dev/null | grep -q 'member: ' || "
            f"ifconfig {bridge.name} destroy 2>/dev/null || true"
        )


def _make_link(end: LinkEnd) -> Iterator[str]:
    yield (
        f"ifconfig {end.name} {_QUIET} || ifconfig epair{end.unit} create {_QUIET} || ifconfig {end.name} >/dev/null"
    )


def _unmake_link(end: LinkEnd) -> str:
    """Whoever stops last, and so sees both ends, destroys them."""
    return f"if ifconfig {end.other} {_QUIET}; then ifconfig {end.name} destroy; fi"


def _make_vlan(vlan: VlanPort) -> Iterator[str]:
    of_parent = f"vlan {vlan.tag} vlandev {vlan.parent}"
    if vlan.name == f"{vlan.parent}.{vlan.tag}":
        create = f"ifconfig {vlan.name} create"
    elif re.fullmatch(r"vlan\d+", vlan.name):
        create = f"ifconfig {vlan.name} create {of_parent}"
    else:
        create = f"ifconfig vlan create {of_parent} name {vlan.name} >/dev/null"
    yield f"ifconfig {vlan.parent} up; ifconfig {vlan.name} {_QUIET} || {create}"


# --- in the jail ------------------------------------------------------------------------------------------------------


def _setup(host: PlacedHost, jail: PlacedJail) -> Iterator[str]:
    """What makes the jail ready for the programs that are run in it: root's work."""
    if jail.vnet:
        yield "ifconfig lo0 inet 127.0.0.1/8 up"
    for port in jail.ports:
        bridge = host.bridge(port.network)
        mtu = f" mtu {bridge.mtu}" if bridge.mtu is not None else ""
        yield f"ifconfig {port.name} ether {_mac(port.inner)}{mtu} up"
        yield from _addresses(port.name, port.addresses)
    for end in jail.links:
        yield f"ifconfig {end.name} ether {_mac(end.lladdr)} up"
        yield from _addresses(end.name, end.addresses)
    others: list[VlanPort | Card] = [*jail.vlans, *jail.cards]
    for each in others:
        yield f"ifconfig {each.name} up"
        yield from _addresses(each.name, each.addresses)
    for gateway in jail.gateways:
        yield f"route add -inet{'6' if gateway.version == 6 else ''} default {gateway}"
    for network, gateway in jail.routes:
        yield f"route add -inet{'6' if network.version == 6 else ''} {network} {gateway}"
    for variable, value in jail.rc.items():
        yield f"sysrc -q {variable}={_shell(rc_value(value))} >/dev/null"
    if jail.boot:
        yield "/bin/sh /etc/rc"
    if jail.forward:
        # Behind rc, which switches it off unless gateway_enable says otherwise.
        yield "sysctl net.inet.ip.forwarding=1 net.inet6.ip6.forwarding=1 >/dev/null"


def _addresses(interface: str, addresses: Sequence[Interface]) -> Iterator[str]:
    first = True
    for address in addresses:
        if isinstance(address, IPv4Interface):
            yield f"ifconfig {interface} inet {address}{'' if first else ' alias'}"
            first = False
        else:
            yield f"ifconfig {interface} inet6 {address}"


def rc_value(text: str) -> str:
    """A value as it stands between the double quotes of rc.conf; what sh(1) puts in there it may name."""
    return re.sub(r'(?<!\\)"', r"\"", text)


def _mac(lladdr: bytes) -> str:
    return lladdr.hex(":")


def _shell(text: str) -> str:
    """A word of sh(1)."""
    return "'" + text.replace("'", "'\\''") + "'"
