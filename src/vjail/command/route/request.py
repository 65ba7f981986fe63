"""What the words after `route add` and its like mean: destination, mask, gateway, flags.

Source: FreeBSD 13.2 sbin/route/route.c (newroute, getaddr, prefixlen), keywords. IPv6 must be asked for by `-inet6` or
`-6`. An IPv4 destination loses its `/length` where it is printed, an IPv6 one does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vjail.command.names import EAI_NONAME, Family, inet_aton, resolve
from vjail.command.numeric import atoi, strtoul
from vjail.kernel.observed import RouteFlag
from vjail.kernel.operations import RouteSpec
from vjail.kernel.system import System
from vjail.session import Lacking, Quit, Session

EX_USAGE = 64
EX_DATAERR = 65
EX_NOHOST = 68
EX_OSERR = 71
EX_NOPERM = 77

_FAMILIES = {"4": 4, "inet": 4, "6": 6, "inet6": 6}
_LENGTHS = {4: 32, 6: 128}
_RAISED = {
    "reject": RouteFlag.REJECT,
    "blackhole": RouteFlag.BLACKHOLE,
    "proto1": RouteFlag.PROTO1,
    "proto2": RouteFlag.PROTO2,
    "static": RouteFlag.STATIC,
}
_METRICS = ("hopcount", "expire", "recvpipe", "sendpipe", "ssthresh", "rtt", "rttvar")
_WITHOUT_EFFECT = ("lock", "lockrest", "proxy", "xresolve", "sticky", "nostick", "cloning", "llinfo")


class Usage(Exception):
    """Print `text`, if there is any, and the usage, and leave with EX_USAGE."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, and as what it was typed."""

    spec: RouteSpec
    host: bool
    typed_destination: str
    typed_gateway: str
    zone: str | None
    """The zone of the destination."""


@dataclass(slots=True)
class _Words:
    """What has been gathered so far. `netmask` and `length` are the two ways to say a mask."""

    session: Session
    system: System
    version: int | None
    destination: IPv4Address | IPv6Address | None = None
    zone: str | None = None
    netmask: IPv4Address | IPv6Address | None = None
    length: int | None = None
    gateway: IPv4Address | IPv6Address | None = None
    gateway_zone: str | None = None
    interface: str | None = None
    is_host: bool = False
    force_net: bool = False
    force_host: bool = False
    by_interface: bool = False
    """`-interface`: the gateway is an interface."""
    flags: RouteFlag = RouteFlag.STATIC
    mtu: int = 0
    weight: int = 0
    typed_destination: str = ""
    typed_gateway: str = ""
    rest: list[str] = field(default_factory=list)


def family_word(word: str) -> int:
    """The family `flush` is limited to. Raises Usage for anything else."""
    version = _FAMILIES.get(word.removeprefix("-"))
    if not word.startswith("-") or version is None:
        raise Usage(f"bad keyword: {word}")
    return version


def parse(session: Session, system: System, version: int | None, words: Sequence[str]) -> Request:
    """Read the words after the command; `version` is the family known so far. Raises Usage, Quit."""
    gathered = _Words(session, system, version, rest=list(words))
    while gathered.rest:
        word = gathered.rest.pop(0)
        if word.startswith("-"):
            _modifier(gathered, word[1:])
        elif not gathered.typed_destination:
            _set_destination(gathered, word)
        elif gathered.gateway is None and gathered.interface is None:
            _set_gateway(gathered, word)
        else:
            gathered.netmask, _ = _address(gathered, word)
            gathered.force_net = True
    return _request(gathered)


def _request(words: _Words) -> Request:
    if words.destination is None:
        raise Usage("destination parameter required")
    host = (words.is_host or words.force_host) and not words.force_net
    length = _length(words)
    destination = _network(words.destination, length)
    flags = words.flags | RouteFlag.HOST if host else words.flags
    interface = words.interface or words.gateway_zone or (words.zone if words.gateway is None else None)
    spec = RouteSpec(destination, words.gateway, interface, flags, words.mtu, words.weight)
    return Request(spec, host, words.typed_destination, words.typed_gateway, words.zone)


def _length(words: _Words) -> int:
    """The prefix length: that of the mask, or that of a host where there is none."""
    largest = _LENGTHS[words.version or 4]
    if words.force_host and words.version == 6:
        return largest
    if words.length is not None:
        return words.length
    if words.netmask is None:
        return largest
    return f"{int(words.netmask):0{largest}b}".find("0") if int(words.netmask) != (1 << largest) - 1 else largest


def _network(address: IPv4Address | IPv6Address, length: int) -> IPv4Network | IPv6Network:
    if isinstance(address, IPv4Address):
        return IPv4Network((address, length), strict=False)
    return IPv6Network((address, length), strict=False)


# --- modifiers ---


def _modifier(words: _Words, keyword: str) -> None:
    match keyword:
        case _ if keyword in _FAMILIES:
            words.version = _FAMILIES[keyword]
        case "interface" | "iface":
            words.by_interface = True
        case "nostatic":
            words.flags &= ~RouteFlag.STATIC
        case "host":
            words.force_host = True
        case "net":
            words.force_net = True
        case _ if keyword in _RAISED:
            words.flags |= _RAISED[keyword]
        case _ if keyword in _WITHOUT_EFFECT:
            pass
        case _ if keyword in (
            "fib",
            "ifa",
            "ifp",
            "genmask",
            "gateway",
            "dst",
            "netmask",
            "prefixlen",
            "mtu",
            "weight",
        ):
            _with_argument(words, keyword, _next(words))
        case _ if keyword in _METRICS:
            _number(_next(words))
        case _:
            raise Usage(f"bad keyword: {keyword}")


def _with_argument(words: _Words, keyword: str, argument: str) -> None:
    match keyword:
        case "fib":
            if any(strtoul(part) != 0 for part in argument.split(",")):
                raise Lacking(f"invalid fib number: {argument}", EX_USAGE)  # net.fibs is 1 here
        case "ifp":
            words.interface = argument
        case "gateway":
            _set_gateway(words, argument)
        case "dst":
            _set_destination(words, argument)
        case "netmask":
            words.netmask, _ = _address(words, argument)
            words.force_net = True
        case "prefixlen":
            words.length = _prefix_length(words, argument)
            words.is_host = words.length == _LENGTHS[words.version or 4]
            words.force_net = not words.is_host
        case "mtu":
            words.mtu = _number(argument)
        case "weight":
            words.weight = _number(argument)
        case _:
            _address(words, argument)


def _next(words: _Words) -> str:
    if not words.rest:
        raise Usage
    return words.rest.pop(0)


def _number(text: str) -> int:
    number = strtoul(text)
    if number is None:
        raise Quit(f"{text}: Invalid argument", EX_USAGE)
    return number


def _prefix_length(words: _Words, text: str) -> int:
    length = atoi(text)
    if not 0 <= length <= _LENGTHS[words.version or 4]:
        raise Quit(f"{text}: invalid prefixlen", EX_USAGE)
    return length


# --- addresses ---


def _set_destination(words: _Words, text: str) -> None:
    """The destination: `default`, an address, or with a length a network."""
    words.version = words.version or 4
    words.typed_destination = text
    if text == "default":
        words.destination = IPv4Address(0) if words.version == 4 else IPv6Address(0)
        words.length, words.is_host = 0, False
        return
    address, slash, length = text.partition("/")
    words.destination, words.zone = _address(words, address)
    words.is_host = not slash
    if words.version == 4 and slash:
        words.typed_destination = address
        words.length = atoi(length)
        if not 0 <= words.length <= 32:
            raise Quit(f"bad mask length: {length}", EX_NOHOST)
    elif slash:
        words.length = _prefix_length(words, length)
        words.is_host = words.length == 128
    elif words.version == 6 and int(words.destination) == 0:
        words.length, words.is_host = 0, False


def _set_gateway(words: _Words, text: str) -> None:
    """The gateway: an address, or after `-interface` an interface."""
    words.version = words.version or 4
    words.typed_gateway = text
    if words.by_interface:
        if words.system.interface(text) is None:
            raise Quit(f"interface '{text}' does not exist", EX_DATAERR)
        words.interface = text
    elif text == "default":
        words.gateway = IPv4Address(0) if words.version == 4 else IPv6Address(0)
    else:
        words.gateway, words.gateway_zone = _address(words, text)


def _address(words: _Words, text: str) -> tuple[IPv4Address | IPv6Address, str | None]:
    """An address of the family asked for. Raises Quit where there is none."""
    if words.version == 6:
        found = resolve(words.session.files, text, Family.INET6)
        if not found:
            raise Quit(f"{text}: {EAI_NONAME}", EX_OSERR)
        return found[0].address, found[0].zone
    address = inet_aton(text)
    if address is not None:
        return address, None
    known = resolve(words.session.files, text, Family.INET)
    if not known:
        raise Quit(f"bad address: {text}", EX_NOHOST)
    return known[0].address, None
