"""ndp(8): the neighbour cache of IPv6. Source: FreeBSD 13.2 usr.sbin/ndp/ndp.c; recorded in replay/routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

from vjail.command.getopt import BadOption, Getopt, Option
from vjail.command.names import EAI_NONAME, Family, name_of, resolve
from vjail.command.numeric import ether_aton, ether_ntoa, scoped
from vjail.command.privilege import apply_as_caller
from vjail.kernel.errno import KernelError
from vjail.kernel.observed import Neighbour, NeighbourState, RouteFlag
from vjail.kernel.operations import AddNeighbour, DeleteNeighbour
from vjail.session import Quit, Session, run_named

_USAGE = """\
usage: ndp [-nt] hostname
       ndp [-nt] -a | -c | -p | -r | -H | -P | -R
       ndp [-nt] -A wait
       ndp [-nt] -d hostname
       ndp [-nt] -f filename
       ndp [-nt] -i interface [flags...]
       ndp [-nt] -I [interface|delete]
       ndp [-nt] -s nodename etheraddr [temp] [proxy]
"""
_ADDRESS, _LLADDR, _INTERFACE = 36, 17, 6
_HEADER = f"{'Neighbor':{_ADDRESS}} {'Linklayer Address':{_LLADDR}} {'Netif':>{_INTERFACE}} {'Expire':9} 1s 5s\n"
"""13.2 prints the formats of its last two headings, `%1s %5s`, without their per cent signs."""
_STATES = {
    NeighbourState.PERMANENT: "R",
    NeighbourState.REACHABLE: "R",
    NeighbourState.INCOMPLETE: "I",
    NeighbourState.EXPIRED: "S",
}


class _Usage(Exception):
    """Print the usage, on standard output, and leave with 1."""


@dataclass(slots=True)
class _Options:
    """The options. `action` is the letter of what is to be done, `` to look an entry up."""

    action: str = ""
    argument: str = ""
    numeric: bool = False


def ndp(session: Session) -> int:
    """The command."""
    return run_named(session, _main)


def _main(session: Session) -> int:
    try:
        options, words = _options(session)
        return _act(session, options, words)
    except _Usage:
        session.out(_USAGE)
        return 1


def _options(session: Session) -> tuple[_Options, Sequence[str]]:
    options = _Options()
    parser = Getopt(session.argv[1:], "acd:ns")
    for each in parser:
        match each:
            case BadOption(text):
                session.err(f"ndp: {text}\n")
                raise _Usage
            case Option("n"):
                options.numeric = True
            case Option(letter, argument):
                if options.action:
                    raise _Usage
                options.action, options.argument = letter, argument or ""
    return options, parser.operands


def _act(session: Session, options: _Options, words: Sequence[str]) -> int:
    match options.action:
        case "a" if not words:
            return _show_all(session, options)
        case "c" if not words:
            return _clear(session)
        case "d" if not words:
            return _delete(session, options, options.argument)
        case "s" if 2 <= len(words) <= 4:
            return _set(session, words)
        case "" if len(words) == 1:
            return _show_one(session, options, words[0])
        case _:
            raise _Usage


# --- showing ---


def _entries(session: Session) -> list[Neighbour]:
    return [entry for entry in session.system.neighbours() if entry.address.version == 6]


def _show_all(session: Session, options: _Options) -> int:
    session.out(_HEADER)
    for entry in _entries(session):
        session.out(_line(session, options, entry))
    return 0


def _show_one(session: Session, options: _Options, host: str) -> int:
    address, zone = _address(session, host, 0)
    found = [entry for entry in _entries(session) if entry.address == address and zone in (None, entry.interface)]
    session.out(_HEADER)
    for entry in found:
        session.out(_line(session, options, entry))
    if not found:
        session.out(f"{host} ({_name(session, options, address, zone)}) -- no entry\n")
    return 0 if found else 1


def _line(session: Session, options: _Options, entry: Neighbour) -> str:
    """One entry; a column that is too narrow takes its need from those after it."""
    name = _name(session, options, entry.address, entry.interface)
    lladdr = "(incomplete)" if entry.lladdr is None else ether_ntoa(entry.lladdr)
    address_width = max(len(name), _ADDRESS)
    lladdr_width = max(_ADDRESS + _LLADDR - address_width, len(lladdr))
    width = max(_ADDRESS + _LLADDR + _INTERFACE - address_width - lladdr_width, len(entry.interface))
    return (
        f"{name:{address_width}} {lladdr:{lladdr_width}} {entry.interface:>{width}} "
        f"{_expiry(entry):9} {_STATES[entry.state]} \n"
    )


def _expiry(entry: Neighbour) -> str:
    if entry.state is NeighbourState.PERMANENT:
        return "permanent"
    return _duration(entry.expire) if entry.expire else "expired"


def _duration(seconds: int) -> str:
    """Seconds as sec2str prints them: `1d2h3m4s` without the leading parts that are zero."""
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"))
    text = ""
    for number, unit in parts:
        if text or number:
            text += f"{number}{unit}"
    return f"{text}{seconds % 60}s"


def _name(session: Session, options: _Options, address: object, zone: str | None) -> str:
    if not isinstance(address, IPv6Address):
        return str(address)
    name = None if options.numeric else name_of(session.files, address)
    return name or scoped(address, zone)


# --- changing ---


def _set(session: Session, words: Sequence[str]) -> int:
    host, lladdr_text = words[0], words[1]
    address, zone = _address(session, host, 1)
    lladdr = ether_aton(lladdr_text)
    if lladdr is None:
        session.err(f"ndp: invalid Ethernet address '{lladdr_text}'\n")
        return 1
    if not _is_on_link(session, address, zone):
        session.out(f"cannot intuit interface index and type for {host}\n")
        return 1
    try:
        apply_as_caller(session, AddNeighbour(address, lladdr, zone))
    except KernelError as error:
        raise Quit(f"writing to routing socket: {error.errno.text}") from None
    return 0


def _delete(session: Session, options: _Options, host: str) -> int:
    address, zone = _address(session, host, 0)
    if not _is_on_link(session, address, zone):
        session.out(f"cannot locate {host}\n")
        return 0
    try:
        apply_as_caller(session, DeleteNeighbour(address, zone))
    except KernelError as error:
        raise Quit(f"writing to routing socket: {error.errno.text}") from None
    session.out(f"{host} ({_name(session, options, address, zone)}) deleted\n")
    return 0


def _clear(session: Session) -> int:
    """Every entry but those of own addresses."""
    own = {address.address for interface in session.system.interfaces() for address in interface.addresses}
    for entry in _entries(session):
        if entry.address not in own:
            _delete(session, _Options(numeric=True), scoped(entry.address, entry.interface))
    return 0


def _is_on_link(session: Session, address: IPv6Address, zone: str | None) -> bool:
    """Whether a connected network holds an address."""
    holding = [
        route for route in session.system.routes() if address in route.destination and route.zone in (None, zone)
    ]
    best = max(holding, key=lambda route: route.destination.prefixlen, default=None)
    return best is not None and not best.flags & (RouteFlag.GATEWAY | RouteFlag.BLACKHOLE | RouteFlag.REJECT)


def _address(session: Session, host: str, code: int) -> tuple[IPv6Address, str | None]:
    """The address of a host and its zone. Raises Quit, with `code` to leave with, where there is none."""
    for found in resolve(session.files, host, Family.INET6):
        if isinstance(found.address, IPv6Address):
            return found.address, found.zone
    raise Quit(f"{host}: {EAI_NONAME}", code)
