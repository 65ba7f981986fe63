"""Addresses that jails and ifconfig lines are given."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

from vjail.check.finding import Edit, Finding, Rule, Severity
from vjail.check.ifconfig import Given, Ifconfig, of_jail
from vjail.check.segments import segments
from vjail.check.subject import HostSubject, JailSubject
from vjail.conf.position import Span
from vjail.conf.rcconf import variable_name
from vjail.jail.phases import Step
from vjail.release import Release

NO_MASK = Rule("VJ201", Severity.WARNING, "an address without a mask")
NO_MASK_15 = Rule("VJ202", Severity.ERROR, "an address without a mask, on FreeBSD 15")
MASKS_DISAGREE = Rule("VJ203", Severity.ERROR, "a prefix length and a netmask that disagree")
NOT_A_HOST = Rule("VJ204", Severity.WARNING, "a network's own or broadcast address given to an interface")
TWICE = Rule("VJ205", Severity.ERROR, "one address given to two jails of a network")
LINK_LOCAL = Rule("VJ206", Severity.WARNING, "a link-local address set by hand, to be reached by")
SHARED_TWICE = Rule("VJ207", Severity.ERROR, "one ip4.addr or ip6.addr in two jails", fatal=True)
NO_INTERFACE = Rule("VJ208", Severity.WARNING, "ip4.addr or ip6.addr without an interface to put it on")
HOST_PREFIX = Rule("VJ209", Severity.NOTE, "an IPv6 address without a prefix length")
ON_THE_HOST = Rule("VJ211", Severity.NOTE, "ip4.addr or ip6.addr that the host must have, whose rc.conf is not here")

ONE_MAC = Rule("VJ210", Severity.ERROR, "one MAC address set on two interfaces")
REPLACED = Rule("VJ726", Severity.WARNING, "an address that a later line takes the place of")

_STARTING = frozenset({Step.PREPARE, Step.PRESTART, Step.CREATED, Step.START, Step.COMMAND, Step.POSTSTART})
_CLASSES = ((128, 8), (192, 16), (256, 24))


def masks(host: HostSubject) -> Iterator[Finding]:
    """Masks that are missing, or that are given twice and differ."""
    for jail in host.jails:
        for line in of_jail(jail):
            given = line.given
            if given is None or given.alias < 0 or line.family not in ("inet", "inet6"):
                continue
            if line.family == "inet":
                yield from _inet_mask(jail, line, given)
            elif given.length is None and given.prefixlen is None and _inet6(given.address):
                yield Finding(
                    HOST_PREFIX,
                    line.span_of(given.place),
                    f"{given.text} has no prefix length; ifconfig takes 64",
                    "the interface gets a route to the whole /64",
                    f"{given.text}/64 (or the length that is meant)",
                    _written(line, given.place, f"{given.text}/64"),
                    jails=(jail.name,),
                )


def _inet_mask(jail: JailSubject, line: Ifconfig, given: Given) -> Iterator[Finding]:
    address = _inet(given.address)
    if address is None or (line.interface or "").startswith("lo"):
        return
    length = given.length
    mask = given.netmask.arguments[0] if given.netmask is not None and given.netmask.arguments else None
    if length is None and given.netmask is None:
        if len([each for each in line.call.words if each is not None and _inet(each)]) > 1:
            return  # the other end of a link, or a broadcast address: a mask follows from it
        classful = next(bits for bound, bits in _CLASSES if int(address) >> 24 < bound or bound == 256)
        refused = jail.release >= Release.V15
        yield Finding(
            NO_MASK_15 if refused else NO_MASK,
            line.span_of(given.place),
            f"{given.text} has no mask",
            "ifconfig refuses it: `setting interface address without mask is no longer supported`, and the start fails"
            if refused
            else f"ifconfig warns and takes the mask of the address's class, /{classful}; FreeBSD 15 refuses it",
            f"{given.text}/{classful} (or the length that is meant)",
            jails=(jail.name,),
        )
    elif length is not None and mask is not None and given.netmask is not None:
        bits = _bits(mask)
        if bits is not None and length.isdigit() and bits != int(length):
            yield Finding(
                MASKS_DISAGREE,
                line.span_of(given.netmask.place).to(line.span_of(given.netmask.place + 1)),
                f"{given.text} says /{length}, netmask {mask} says /{bits}; the later word wins",
                f"the interface gets /{bits}",
                "give one of them",
                jails=(jail.name,),
            )


def not_a_host(host: HostSubject) -> Iterator[Finding]:
    """Network and broadcast addresses."""
    for jail in host.jails:
        for line in of_jail(jail):
            given = line.given
            network = _network(given) if given is not None and given.alias >= 0 and line.family == "inet" else None
            if given is None or network is None or network.prefixlen >= 31:
                continue
            address = IPv4Address(given.address)
            what = (
                "the network's own address"
                if address == network.network_address
                else "the broadcast address"
                if address == network.broadcast_address
                else ""
            )
            if what:
                yield Finding(
                    NOT_A_HOST,
                    line.span_of(given.place),
                    f"{address} is {what} of {network}",
                    "FreeBSD sets it; neighbours do not answer to it, or all do",
                    f"an address between {network[1]} and {network[-2]}",
                    jails=(jail.name,),
                )


def replaced(host: HostSubject) -> Iterator[Finding]:
    """ifconfig without `alias` takes the interface's first IPv4 address away before it gives it the new one."""
    for jail in host.jails:
        held: dict[tuple[str | None, str], list[tuple[IPv4Address, Span | None]]] = {}
        for line in of_jail(jail):
            given = line.given
            address = _inet(given.address) if given is not None and line.family == "inet" else None
            if given is None or address is None or line.interface is None:
                continue
            if line.step not in _STARTING or not line.call.certain:
                continue
            here = held.setdefault((line.jail, line.interface), _of_rc_conf(host, line))
            if given.alias < 0:
                here[:] = [each for each in here if each[0] != address]
                continue
            first = here[0] if here and given.alias == 0 else None
            if first is not None and first[0] != address:
                del here[0]
                yield Finding(
                    REPLACED,
                    line.span_of(given.place),
                    f"{line.interface} has {first[0]}, which this takes away: there is no `alias` in the line",
                    "without `alias` ifconfig removes the interface's first IPv4 address, then adds the new one",
                    f"{given.text} alias; or leave the first one out",
                    related=() if first[1] is None else ((first[1], f"{first[0]} is given here"),),
                    jails=(jail.name,),
                )
            here[:] = [each for each in here if each[0] != address]
            here.append((address, line.span_of(given.place)))


def _of_rc_conf(host: HostSubject, line: Ifconfig) -> list[tuple[IPv4Address, Span | None]]:
    """The first address that the host's rc.conf gives an interface of the host."""
    if line.jail is not None or line.interface is None:
        return []
    name = f"ifconfig_{variable_name(line.interface)}"
    origin = host.rc.origin(name)
    found = [address for word in host.rc.words(name) if (address := _inet(word.partition("/")[0])) is not None]
    return [(found[0], None if origin is None else origin.value_span)] if found else []


def link_local(host: HostSubject) -> Iterator[Finding]:
    """D1's slip: fe80 addresses as those a service is reached by."""
    for jail in host.jails:
        for line in of_jail(jail):
            given = line.given
            address = _inet6(given.address) if given is not None and given.alias >= 0 else None
            if given is None or address is None or not address.is_link_local or line.family != "inet6":
                continue
            yield Finding(
                LINK_LOCAL,
                line.span_of(given.place),
                f"{given.text} is link-local: it means something only together with an interface",
                "peers must write it with a zone (fe80::1%em0), the DNS cannot hold it, no router passes it on, "
                "and each interface has one of its own already",
                "a unique local address, fd00::/8 with a random prefix, or a global one",
                jails=(jail.name,),
            )


def twice(host: HostSubject) -> Iterator[Finding]:
    """One address set in two jails of one network: separate networks may well have the same addresses."""
    network = segments(host)
    seen: dict[tuple[str, str], tuple[str, Span]] = {}
    for jail in host.jails:
        for line in of_jail(jail):
            given = line.given
            if given is None or given.alias < 0 or line.jail is None or line.interface is None:
                continue
            parsed = _inet(given.address) or _inet6(given.address)
            if parsed is None or parsed.is_loopback or parsed.is_link_local:
                continue
            key = network(line.interface), str(parsed)
            first = seen.setdefault(key, (line.jail, line.span_of(given.place)))
            if first[0] != line.jail:
                yield Finding(
                    TWICE,
                    line.span_of(given.place),
                    f"{parsed} is the address of jail {first[0]} too",
                    "they are in one network, where the neighbours learn now the one, now the other; connections break",
                    "an address of its own",
                    related=((first[1], f"given to {first[0]} here"),),
                    jails=(jail.name,),
                )


def shared(host: HostSubject) -> Iterator[Finding]:
    """Addresses of jails that share the host's stack."""
    seen: dict[str, tuple[JailSubject, Span, bool]] = {}
    own = _host_addresses(host)
    for jail in host.jails:
        if jail.is_vnet:
            continue
        for name in ("ip4.addr", "ip6.addr"):
            parameter = jail.jail.parameter(name)
            for value in parameter.values if parameter is not None else ():
                _, bar, rest = value.text.rpartition("|")
                address = rest.split()[0].partition("/")[0] if rest.split() else ""
                is_alias = bool(bar) or jail.checked.pseudo.interface is not None
                if address and not is_alias and address not in own:
                    yield Finding(
                        NO_INTERFACE if host.rc_files else ON_THE_HOST,
                        value.span,
                        f"{address} is put on no interface: neither `interface` nor `{name} = IF|ADDRESS` names one",
                        "jail(8) adds no alias; unless the host has the address already, nothing reaches the jail"
                        + ("" if host.rc_files else ", and its rc.conf is not here"),
                        f'interface = "em0"; or {name} = "em0|{value.text}";',
                        jails=(jail.name,),
                    )
                first, place, was_alias = seen.setdefault(address, (jail, value.span, is_alias))
                several = max(len(each.jail.texts(name)) for each in (first, jail)) > 1
                if address and first is not jail and (several or is_alias or was_alias):
                    yield Finding(
                        SHARED_TWICE,
                        value.span,
                        f"{address} is jail {first.name}'s too",
                        "the kernel refuses the second jail while the first runs (`IPv4 addresses clash` where one of "
                        "them has several), and its stop takes the alias away from the other",
                        "an address of its own",
                        related=((place, f"jail {first.name}"),),
                        jails=(first.name, jail.name),
                    )


def _host_addresses(host: HostSubject) -> set[str]:
    """The addresses that the host's rc.conf names, ranges taken apart, and those that lines of jails give it."""
    found = {"127.0.0.1", "::1"}
    for name in (*host.rc.matching("ifconfig_*"), *host.rc.matching("ipv4_addrs_*")):
        for word in host.rc.get(name).split():
            address = word.partition("/")[0]
            head, _, last = address.rpartition(".")
            first, dash, end = last.partition("-")
            if dash and first.isdigit() and end.isdigit():
                found |= {f"{head}.{number}" for number in range(int(first), min(int(end), 255) + 1)}
            found.add(address)
    for jail in host.jails:
        for line in of_jail(jail):
            if line.jail is None and line.given is not None and line.given.alias >= 0:
                found.add(line.given.address)
    return found


def one_mac(host: HostSubject) -> Iterator[Finding]:
    """`ifconfig X link ADDRESS` (ether, lladdr) with one address in two places."""
    seen: dict[str, tuple[str, str, Span]] = {}
    for jail in host.jails:
        for line in of_jail(jail):
            given = line.given
            if line.family not in ("link", "ether", "lladdr") or given is None or ":" not in given.text:
                continue
            address = ":".join(f"{part:0>2}" for part in given.text.lower().split(":"))
            span = line.span_of(given.place)
            known = seen.setdefault(address, (jail.name, line.interface or "", span))
            if known[:2] != (jail.name, line.interface or ""):
                yield Finding(
                    ONE_MAC,
                    span,
                    f"{address} is set on {known[1]} of jail {known[0]} too",
                    "bridges and switches learn it now here, now there: frames for one go to the other, and "
                    "connections hang",
                    "an address of its own (02:… is free for private use), or none: FreeBSD makes one",
                    related=((known[2], f"{known[1]} of {known[0]}"),),
                    jails=(jail.name,),
                )


def _written(line: Ifconfig, place: int, text: str) -> tuple[Edit, ...]:
    return (Edit(line.span_of(place), text),) if line.call.is_written(place) else ()


def _network(given: Given) -> IPv4Network | None:
    length: str | int | None = given.length
    if given.netmask is not None and given.netmask.arguments and given.netmask.arguments[0] is not None:
        length = _bits(given.netmask.arguments[0])
    if length is None or _inet(given.address) is None:
        return None
    try:
        return IPv4Network(f"{given.address}/{length}", strict=False)
    except ValueError:
        return None


def _bits(mask: str) -> int | None:
    """The length of a netmask, dotted or hexadecimal; None where it is none."""
    try:
        number = int(mask, 16) if mask.lower().startswith("0x") else int(IPv4Address(mask))
    except ValueError:
        return None
    bits = f"{number:032b}"
    return bits.count("1") if "01" not in bits and len(bits) == 32 else None


def _inet(text: str) -> IPv4Address | None:
    parsed = _parsed(text)
    return parsed if isinstance(parsed, IPv4Address) else None


def _inet6(text: str) -> IPv6Address | None:
    parsed = _parsed(text)
    return parsed if isinstance(parsed, IPv6Address) else None


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


RULES = (masks, not_a_host, replaced, link_local, twice, shared, one_mac)
