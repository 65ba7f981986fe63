"""netstat(1), as far as it shows routing tables: `-r` with `-n`, `-W`, `-f inet|inet6` and `--libxo json`.

Sockets and counters are not known here: other modes are refused. Source: FreeBSD 13.2 usr.bin/netstat/{main.c,route.c};
spec host-files §6; recorded in replay/routes, observed/d_routes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vjail.command.getopt import BadOption, Getopt, Option
from vjail.command.jail_option import inside
from vjail.command.libxo import Style, parse_arguments
from vjail.command.names import name_of
from vjail.command.numeric import scoped
from vjail.kernel.observed import Gateway, LinkGateway, Route, RouteFlag
from vjail.kernel.system import System
from vjail.release import Release
from vjail.session import Quit, Session, run_named

_USAGE = """\
usage: netstat [-46AaCcLnRSTWx] [-f protocol_family | -p protocol]
               [-M core] [-N system]
       netstat -i | -I interface [-46abdhnW] [-f address_family]
               [-M core] [-N system]
       netstat -w wait [-I interface] [-46d] [-M core] [-N system]
               [-q howmany]
       netstat -s [-46sz] [-f protocol_family | -p protocol]
               [-M core] [-N system]
       netstat -i | -I interface -s [-46s]
               [-f protocol_family | -p protocol] [-M core] [-N system]
       netstat -m [-M core] [-N system]
       netstat -B [-z] [-I interface]
       netstat -r [-46AnW] [-F fibnum] [-f address_family]
               [-M core] [-N system]
       netstat -rs [-s] [-M core] [-N system]
       netstat -g [-46W] [-f address_family] [-M core] [-N system]
       netstat -gs [-46s] [-f address_family] [-M core] [-N system]
       netstat -Q
"""
_FAMILIES = {"inet": 4, "inet6": 6}
_TITLES = {4: "Internet", 6: "Internet6"}

_FLAGS = (
    (RouteFlag.UP, "U", "up"), (RouteFlag.GATEWAY, "G", "gateway"), (RouteFlag.HOST, "H", "host"),
    (RouteFlag.REJECT, "R", "reject"), (RouteFlag.DYNAMIC, "D", "dynamic"), (RouteFlag.MODIFIED, "M", "modified"),
    (RouteFlag.STATIC, "S", "static"), (RouteFlag.PROTO1, "1", "proto1"), (RouteFlag.PROTO2, "2", "proto2"),
    (RouteFlag.PROTO3, "3", "proto3"), (RouteFlag.BLACKHOLE, "B", "blackhole"),
)  # fmt: skip


@dataclass(slots=True)
class _Options:
    """What is to be shown, and how."""

    system: System
    routes: bool = False
    numeric: bool = False
    wide: bool = False
    version: int | None = None
    json: bool = False


@dataclass(frozen=True, slots=True)
class _Widths:
    """The columns of a family's table, in characters."""

    destination: int
    gateway: int
    interface: int
    flags: int = 6
    number: int = 6
    expire: int = 6


def netstat(session: Session) -> int:
    """The command."""
    return run_named(session, _main)


def _main(session: Session) -> int:
    options = _options(session)
    if options is None:
        session.err(_USAGE)
        return 1
    if not options.routes:
        raise Quit("sockets and counters are not known here; routing tables are (-r)")
    routes = [route for route in options.system.routes() if options.version in (None, route.destination.version)]
    session.out(_json(session, options, routes) if options.json else _text(session, options, routes))
    return 0


def _options(session: Session) -> _Options | None:
    """The options, None where one is unknown. Raises Quit."""
    encoding, words = parse_arguments(session.argv[1:])
    options = _Options(session.system, json=encoding.style is Style.JSON)
    letters = "46AaBbCcdF:f:ghI:iLlM:mN:nPp:Qq:RrSTsuWw:xz"
    parser = Getopt(words, letters + ("j:" if session.system.release >= Release.V15 else ""))
    for each in parser:
        match each:
            case BadOption(text):
                session.err(f"netstat: {text}\n")
                return None
            case Option("r"):
                options.routes = True
            case Option("n"):
                options.numeric = True
            case Option("W"):
                options.wide = True
            case Option("4" | "6" as version):
                options.version = int(version)
            case Option("f", family):
                if family not in _FAMILIES:
                    raise Quit(f"{family}: unknown address family")
                options.version = _FAMILIES[family]
            case Option("F", fib) if fib != "0":
                raise Quit(f"{fib}: invalid fib", 64)
            case Option("j", jail):
                options.system = inside(session.system, jail or "")
            case _:
                pass
    return options


# --- text ---


def _text(session: Session, options: _Options, routes: Sequence[Route]) -> str:
    lines = ["Routing tables"]
    for version in (4, 6):
        table = [route for route in routes if route.destination.version == version]
        if table:
            lines += ["", f"{_TITLES[version]}:", *_table(session, options, table)]
    return "".join(f"{line}\n" for line in lines)


def _table(session: Session, options: _Options, routes: Sequence[Route]) -> Iterator[str]:
    widths = _widths(options, routes[0].destination.version)
    numbers = f"{'Nhop#':>{widths.number}} {'Mtu':>{widths.number}} " if options.wide else ""
    yield (
        f"{'Destination':{widths.destination}} {'Gateway':{widths.gateway}} {'Flags':{widths.flags}} "
        f"{numbers}{'Netif':>{widths.interface}} {'Expire':>{widths.expire}}"
    )
    for route in routes:
        yield _row(session, options, widths, route)


def _widths(options: _Options, version: int) -> _Widths:
    if version == 4:
        return _Widths(18, 18, 10 if options.wide else 8)
    return _Widths(33 if options.numeric else 18, 29 if options.numeric else 18, 8)


def _row(session: Session, options: _Options, widths: _Widths, route: Route) -> str:
    """One route. A column that is too narrow takes its need from the next."""
    destination = _destination(session, options, route)
    gateway = _gateway(session, options, route)
    if not (options.wide or options.numeric):
        destination, gateway = destination[: widths.destination], gateway[: widths.gateway]
    over = max(0, len(destination) - widths.destination)
    room = widths.gateway - over
    over = max(0, len(gateway) - room)
    flags = f"{_letters(route):{max(0, widths.flags - over)}}"
    name = route.interface if options.wide else route.interface[: widths.interface]
    numbers = f"{route.nhop:>{widths.number}} {_mtu(options, route):>{widths.number}} " if options.wide else ""
    return f"{destination:{widths.destination}} {gateway:{max(0, room)}} {flags} {numbers}{name:>{widths.interface}}"


def _mtu(options: _Options, route: Route) -> int:
    interface = options.system.interface(route.interface) if not route.mtu else None
    return interface.mtu if interface else route.mtu


def _destination(session: Session, options: _Options, route: Route) -> str:
    net = route.destination
    if RouteFlag.HOST in route.flags:
        return _host(session, options, net.network_address, route.zone)
    if net.prefixlen == 0:
        return "default"
    return f"{scoped(net.network_address, route.zone)}/{net.prefixlen}"


def _gateway(session: Session, options: _Options, route: Route) -> str:
    gateway: Gateway = route.gateway
    if isinstance(gateway, LinkGateway):
        return f"link#{gateway.index}"
    return _host(session, options, gateway, route.zone)


def _host(session: Session, options: _Options, address: IPv4Address | IPv6Address, zone: str | None) -> str:
    """An address, without `-n` by its name where /etc/hosts has one."""
    name = None if options.numeric else name_of(session.files, address)
    return name or scoped(address, zone)


def _letters(route: Route) -> str:
    return "".join(letter for flag, letter, _ in _FLAGS if flag in route.flags)


# --- JSON ---


def _json(session: Session, options: _Options, routes: Sequence[Route]) -> str:
    families = []
    for version in (4, 6):
        table = [route for route in routes if route.destination.version == version]
        if table:
            entries = ", ".join(_json_entry(session, options, route) for route in table)
            families.append(f'{{"address-family":"{_TITLES[version]}", "rt-entry": [{entries}]}}')
    tables = f'{{"route-table": {{"rt-family": [{", ".join(families)}]}}}}'
    return f'{{"statistics": {{"route-information": {tables}}}}}\n'


def _json_entry(session: Session, options: _Options, route: Route) -> str:
    pretty = ",".join(f'"{word}"' for flag, _, word in _FLAGS if flag in route.flags)
    wide = f'"nhop":{route.nhop},"mtu":{_mtu(options, route)},' if options.wide else ""
    return (
        f'{{"destination":"{_destination(session, options, route)}","gateway":"{_gateway(session, options, route)}",'
        f'"flags":"{_letters(route)}", "flags_pretty": [{pretty}],"weight":{route.weight},{wide}'
        f'"interface-name":"{route.interface}"}}'
    )
