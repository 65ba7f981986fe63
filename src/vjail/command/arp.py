"""arp(8): the ARP table. Source: FreeBSD 13.2 usr.sbin/arp/arp.c; recorded in replay/routes, observed/b1_two_jails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from vjail.command.getopt import BadOption, Getopt, Option
from vjail.command.names import HOST_NOT_FOUND, Family, inet_aton, name_of, resolve
from vjail.command.numeric import ether_aton, ether_ntoa
from vjail.command.privilege import apply_as_caller
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Gateway, Kind, LinkGateway, Neighbour, NeighbourState, Route
from vjail.kernel.operations import AddNeighbour, DeleteNeighbour
from vjail.session import Quit, Session, run_named

_USAGE = """\
usage: arp [-n] [-i interface] hostname
       arp [-n] [-i interface] -a
       arp -d hostname [pub]
       arp -d [-i interface] -a
       arp -s hostname ether_addr [temp] [reject | blackhole] [pub [only]]
       arp -S hostname ether_addr [temp] [reject | blackhole] [pub [only]]
       arp -f filename
"""
_TYPES = {
    Kind.NIC: "ethernet",
    Kind.EPAIR: "ethernet",
    Kind.TAP: "ethernet",
    Kind.VLAN: "vlan",
    Kind.BRIDGE: "bridge",
}
_MODIFIERS = ("temp", "pub", "only", "blackhole", "reject")


class _Usage(Exception):
    """Print the usage and leave with 1."""


@dataclass(slots=True)
class _Options:
    """The options. `action` is the letter of what is to be done, `` to look an entry up."""

    action: str = ""
    all: bool = False
    numeric: bool = False
    interface: str | None = None


def arp(session: Session) -> int:
    """The command."""
    return run_named(session, _main)


def _main(session: Session) -> int:
    try:
        options, words = _options(session)
        _check_interface(session, options)
        return _act(session, options, words)
    except _Usage:
        session.err(_USAGE)
        return 1


def _options(session: Session) -> tuple[_Options, Sequence[str]]:
    options = _Options()
    parser = Getopt(session.argv[1:], "andfsSi:")
    for each in parser:
        match each:
            case BadOption(text):
                session.err(f"arp: {text}\n")
                raise _Usage
            case Option("a"):
                options.all = True
            case Option("n"):
                options.numeric = True
            case Option("i", name):
                options.interface = name
            case Option(letter):
                if options.action:
                    raise _Usage
                options.action = letter
    return options, parser.operands


def _check_interface(session: Session, options: _Options) -> None:
    if options.interface is None:
        return
    if options.action and not (options.action == "d" and options.all):
        raise Quit("-i not applicable to this operation")
    if session.system.interface(options.interface) is None:
        raise Quit(f"interface {options.interface} does not exist")


def _act(session: Session, options: _Options, words: Sequence[str]) -> int:
    match options.action:
        case "s" | "S":
            if not 2 <= len(words) <= 6:
                raise _Usage
            if options.action == "S":
                _delete(session, words[0])
            return _set(session, words)
        case "f":
            if len(words) != 1:
                raise _Usage
            return _set_from_file(session, words[0])
    if len(words) != (0 if options.all else 1):
        raise _Usage
    if options.action == "d":
        return _delete_all(session, options) if options.all else _delete(session, words[0])
    return _show_all(session, options) if options.all else _show_one(session, options, words[0])


# --- showing ---


def _entries(session: Session, options: _Options) -> list[Neighbour]:
    return [
        entry
        for entry in session.system.neighbours()
        if entry.address.version == 4 and options.interface in (None, entry.interface)
    ]


def _show_all(session: Session, options: _Options) -> int:
    for entry in _entries(session, options):
        session.out(_line(session, options, entry))
    return 0


def _show_one(session: Session, options: _Options, host: str) -> int:
    address = _address(session, host)
    if address is None:
        return 1
    found = [entry for entry in _entries(session, options) if entry.address == address]
    for entry in found:
        session.out(_line(session, options, entry))
    if not found:
        where = f" on {options.interface}" if options.interface else ""
        session.out(f"{host} ({address}) -- no entry{where}\n")
    return 0 if found else 1


def _line(session: Session, options: _Options, entry: Neighbour) -> str:
    name = None if options.numeric else name_of(session.files, entry.address)
    lladdr = "(incomplete)" if entry.lladdr is None else ether_ntoa(entry.lladdr)
    interface = session.system.interface(entry.interface)
    kind = f" [{_TYPES[interface.kind]}]" if interface and interface.kind in _TYPES else ""
    return f"{name or '?'} ({entry.address}) at {lladdr} on {entry.interface} {_expiry(entry)}{kind}\n"


def _expiry(entry: Neighbour) -> str:
    if entry.state is NeighbourState.PERMANENT:
        return "permanent"
    return f"expires in {entry.expire} seconds" if entry.expire else "expired"


# --- changing ---


def _set(session: Session, words: Sequence[str]) -> int:
    host, lladdr_text, *modifiers = words
    address = _address(session, host)
    if address is None:
        return 1
    for modifier in modifiers:
        if modifier not in _MODIFIERS:
            session.err(f"arp: Invalid parameter '{modifier}'\n")
            raise _Usage
    lladdr = ether_aton(lladdr_text)
    if lladdr is None:
        session.err(f"arp: invalid Ethernet address '{lladdr_text}'\n")
        return 1
    if not _has_interface(session, host, address, "cannot intuit interface index and type for"):
        return 1
    return _write(session, lambda: apply_as_caller(session, AddNeighbour(address, lladdr)))


def _set_from_file(session: Session, path: str) -> int:
    try:
        text = session.files.read(path).decode(errors="replace")
    except KernelError as error:
        raise Quit(f"cannot open {path}: {error.errno.text}") from None
    failed = False
    for line in text.splitlines():
        words = line.partition("#")[0].split()[:5]
        if len(words) == 1:
            session.err(f"arp: bad line: {line}\n\n")
        failed |= len(words) == 1 or (len(words) > 1 and _set(session, words) != 0)
    return 1 if failed else 0


def _delete(session: Session, host: str) -> int:
    address = _address(session, host)
    if address is None or not _has_interface(session, host, address, "delete: cannot locate"):
        return 1
    code = _write(session, lambda: apply_as_caller(session, DeleteNeighbour(address)))
    if code == 0:
        session.out(f"{host} ({address}) deleted\n")
    return code


def _delete_all(session: Session, options: _Options) -> int:
    """Every entry but those of own addresses."""
    own = {address.address for interface in session.system.interfaces() for address in interface.addresses}
    for entry in _entries(session, options):
        if entry.address not in own:
            _delete(session, str(entry.address))
    return 0


def _write(session: Session, write: Callable[[], None]) -> int:
    """Write to the routing socket; a refusal is told on standard error."""
    try:
        write()
    except KernelError as error:
        session.err(f"arp: writing to routing socket: {error.errno.text}\n")
        return 1
    return 0


def _has_interface(session: Session, host: str, address: IPv4Address, otherwise: str) -> bool:
    """Whether a connected network holds an address, as RTM_GET tells; if not, why is told on standard error."""
    route = _route_to(session.system.routes(), address)
    if route is None:
        session.err(f"arp: writing to routing socket: {Errno.ESRCH.text}\narp: {host}: {Errno.ESRCH.text}\n")
        return False
    if not _is_ethernet(session, route.gateway):
        session.err(f"arp: {otherwise} {host}\n")
        return False
    return True


def _is_ethernet(session: Session, gateway: Gateway) -> bool:
    """Whether a gateway is an interface of a type that has ARP."""
    if not isinstance(gateway, LinkGateway):
        return False
    kinds = {interface.index: interface.kind for interface in session.system.interfaces()}
    return kinds.get(gateway.index) in _TYPES


def _route_to(routes: Sequence[Route], address: IPv4Address) -> Route | None:
    holding = [route for route in routes if route.destination.version == 4 and address in route.destination]
    return max(holding, key=lambda route: route.destination.prefixlen, default=None)


def _address(session: Session, host: str) -> IPv4Address | None:
    """The address of a host; None where there is none, which is told on standard error."""
    address = inet_aton(host)
    if address is not None:
        return address
    for found in resolve(session.files, host, Family.INET):
        if isinstance(found.address, IPv4Address):
            return found.address
    session.err(f"arp: {host}: {HOST_NOT_FOUND}\n")
    return None
