"""route(8): `request` reads what the words ask for; this file asks the kernel and says what came of it.

Source: FreeBSD 13.2 sbin/route/route.c; spec host-files §5; recorded in replay/routes, observed/d_routes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vjail.command.getopt import BadOption, Getopt, Option
from vjail.command.jail_option import inside
from vjail.command.names import name_of
from vjail.command.numeric import scoped
from vjail.command.route.request import EX_NOPERM, EX_USAGE, Request, Usage, family_word, parse
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import LinkGateway, Route, RouteFlag
from vjail.kernel.operations import AddRoute, ChangeRoute, DeleteRoute, RouteSpec
from vjail.kernel.system import System
from vjail.release import Release
from vjail.session import Quit, Session, run_named

_USAGE = "usage: route [-46dnqtv] command [[modifiers] args]"
_USAGE_15 = "usage: route [-j jail] [-46dnqtv] command [[modifiers] args]"

_REASONS = {
    Errno.ESRCH: "not in table",
    Errno.EBUSY: "entry in use",
    Errno.ENOBUFS: "not enough memory",
    Errno.EADDRINUSE: "gateway uses the same route",
    Errno.EEXIST: "route already in table",
}

_FLAGS = (
    (RouteFlag.UP, "UP"), (RouteFlag.GATEWAY, "GATEWAY"), (RouteFlag.HOST, "HOST"), (RouteFlag.REJECT, "REJECT"),
    (RouteFlag.DYNAMIC, "DYNAMIC"), (RouteFlag.MODIFIED, "MODIFIED"), (RouteFlag.DONE, "DONE"),
    (RouteFlag.STATIC, "STATIC"), (RouteFlag.BLACKHOLE, "BLACKHOLE"), (RouteFlag.PROTO2, "PROTO2"),
    (RouteFlag.PROTO1, "PROTO1"), (RouteFlag.PROTO3, "PROTO3"), (RouteFlag.PINNED, "PINNED"),
)  # fmt: skip


@dataclass(slots=True)
class _Options:
    """The options before the command."""

    system: System
    version: int | None = None
    """4 or 6 where the family was given."""
    numeric: bool = False
    quiet: bool = False
    dry: bool = False
    """`-t` or `-d`: the kernel is not asked."""


def route(session: Session) -> int:
    """The command."""
    return run_named(session, _main)


def _main(session: Session) -> int:
    try:
        options, words = _options(session)
        command, *rest = words or [""]
        match command:
            case "add" | "change" | "delete" | "del":
                return _modify(session, options, command, parse(session, options.system, options.version, rest))
            case "get" | "show":
                return _get(session, options, parse(session, options.system, options.version, rest))
            case "flush":
                return _flush(session, options, rest)
            case _:
                raise Usage(f"bad keyword: {command}" if command else "")
    except Usage as usage:
        if usage.text:
            session.err(f"route: {usage.text}\n")
        raise Quit(_USAGE_15 if session.system.release >= Release.V15 else _USAGE, EX_USAGE) from None


def _options(session: Session) -> tuple[_Options, Sequence[str]]:
    options = _Options(session.system)
    parser = Getopt(session.argv[1:], "46nqdtv" + ("j:" if session.system.release >= Release.V15 else ""))
    for each in parser:
        match each:
            case BadOption(text):
                session.err(f"route: {text}\n")
                raise Usage
            case Option("4" | "6" as version):
                options.version = int(version)
            case Option("n"):
                options.numeric = True
            case Option("q"):
                options.quiet = True
            case Option("d" | "t"):
                options.dry = True
            case Option("j", jail):
                options.system = inside(session.system, jail or "")
            case _:
                pass
    return options, parser.operands


# --- add, change, delete ---


def _modify(session: Session, options: _Options, command: str, request: Request) -> int:
    """Ask the kernel; the line on standard output names destination and gateway as they were typed."""
    if session.uid != 0 and not options.dry:
        raise Quit("must be root to alter routing table", EX_NOPERM)
    what = f"{command} {'host' if request.host else 'net'} {request.typed_destination}"
    if request.typed_gateway:
        what += f": gateway {request.typed_gateway}"
    try:
        if not options.dry:
            _apply(options.system, command, request.spec)
    except KernelError as error:
        _explain(session, error)
        if not options.quiet:
            session.out(f"{what} fib 0: {_REASONS.get(error.errno, error.errno.text)}\n")
        return 1
    if not options.quiet:
        session.out(f"{what}\n")
    return 0


def _apply(system: System, command: str, spec: RouteSpec) -> None:
    match command:
        case "add":
            system.apply(AddRoute(spec))
        case "change":
            system.apply(ChangeRoute(spec))
        case _:
            system.apply(DeleteRoute(spec))


def _explain(session: Session, error: KernelError) -> None:
    """What writing to the routing socket says on standard error. Raises Quit where it ends the command."""
    match error.errno:
        case Errno.EPERM:
            raise Quit(f"writing to routing socket: {error.errno.text}")
        case Errno.ESRCH:
            session.err("route: route has not been found\n")
        case Errno.EEXIST:
            pass
        case _:
            session.err(f"route: writing to routing socket: {error.errno.text}\n")


# --- get ---


def _get(session: Session, options: _Options, request: Request) -> int:
    destination = request.spec.destination
    found = _best(options.system.routes(), destination.network_address, request.zone)
    if not found:
        session.err("route: route has not been found\n")
        return 1
    route = found[0]
    session.out("".join(f"{line}\n" for line in _described(session, options, request, route, len(found))))
    return 0


def _best(routes: Sequence[Route], address: IPv4Address | IPv6Address, zone: str | None) -> list[Route]:
    """The routes of the longest prefix that holds an address."""
    holding = [
        route
        for route in routes
        if route.destination.version == address.version
        and address in route.destination
        and (not route.destination.is_link_local or route.zone in (None, zone))
    ]
    longest = max((route.destination.prefixlen for route in holding), default=0)
    return [route for route in holding if route.destination.prefixlen == longest]


def _described(session: Session, options: _Options, request: Request, route: Route, several: int) -> list[str]:
    name = _Namer(session, options.numeric)
    destination = route.destination
    lines = [
        f"   route to: {name.host(request.spec.destination.network_address, request.zone)}",
        f"destination: {name.host(destination.network_address, route.zone)}",
    ]
    if RouteFlag.HOST not in route.flags:
        lines.append(f"       mask: {name.host(destination.netmask)}")
    if RouteFlag.GATEWAY in route.flags and not isinstance(route.gateway, LinkGateway):
        lines.append(f"    gateway: {name.host(route.gateway, route.zone)}")
    interface = options.system.interface(route.interface)
    mtu = route.mtu or (interface.mtu if interface else 0)
    flags = ",".join(text for flag, text in _FLAGS if flag in route.flags | RouteFlag.DONE)
    weight = 0 if several > 1 else route.weight
    return [
        *lines,
        "        fib: 0",
        f"  interface: {route.interface}",
        f"      flags: <{flags}>",
        " recvpipe  sendpipe  ssthresh  rtt,msec    mtu        weight    expire",
        f"{0:8}  {0:8}  {0:8}  {0:8}  {mtu:8}  {weight:8}  {0:8} ",
    ]


@dataclass(frozen=True, slots=True)
class _Namer:
    """How addresses are printed: as numbers, or by name where /etc/hosts has one."""

    session: Session
    numeric: bool

    def host(self, address: IPv4Address | IPv6Address, zone: str | None = None) -> str:
        """An address; without `-n` zero is `default`."""
        if not self.numeric and int(address) == 0:
            return "default"
        name = None if self.numeric else name_of(self.session.files, address)
        return name or scoped(address, zone)

    def net(self, destination: IPv4Network | IPv6Network, zone: str | None) -> str:
        """A network without its length; of IPv4 without the octets that are zero at its end."""
        address = destination.network_address
        if isinstance(address, IPv6Address):
            return scoped(address, zone)
        octets = list(address.packed)
        while len(octets) > 1 and octets[-1] == 0:
            octets.pop()
        return "default" if int(address) == 0 else ".".join(str(octet) for octet in octets)


# --- flush ---


def _flush(session: Session, options: _Options, words: Sequence[str]) -> int:
    """Delete every route with a gateway."""
    if session.uid != 0 and not options.dry:
        raise Quit("must be root to alter routing table", EX_NOPERM)
    version = options.version
    for word in words:
        version = family_word(word)
    name = _Namer(session, options.numeric)
    for route in options.system.routes():
        if RouteFlag.GATEWAY not in route.flags or version not in (None, route.destination.version):
            continue
        if isinstance(route.gateway, LinkGateway) or options.dry:
            continue
        try:
            options.system.apply(DeleteRoute(RouteSpec(route.destination, route.gateway, route.interface, route.flags)))
        except KernelError as error:
            if error.errno is Errno.EPERM:
                raise Quit(f"write to routing socket: {error.errno.text}") from None
            session.err(f"route: write to routing socket: {error.errno.text}\n")
            continue
        if not options.quiet:
            host = RouteFlag.HOST in route.flags
            address = route.destination.network_address
            destination = name.host(address, route.zone) if host else name.net(route.destination, route.zone)
            session.out(f"{destination[:20]:20} {name.host(route.gateway, route.zone)[:20]:20} -fib 0   done\n")
    return 0
