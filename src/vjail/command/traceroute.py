"""traceroute(8), traceroute6(8): the routers on the way to a host, found by packets that are given ever longer lives.

Probes are UDP, with `-I` ICMP. Options that ask for what a lab has not (AS numbers, source routes, other protocols)
are refused. Sources: FreeBSD 13.2 usr.sbin/traceroute/traceroute.c, usr.sbin/traceroute6/traceroute6.c.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vjail.command.getopt import BadOption, Getopt, Option
from vjail.command.names import Family, name_of, resolve
from vjail.command.numeric import scoped
from vjail.command.ping.exchange import Waiting
from vjail.command.ping.packets import (
    ECHO_HEADER,
    IPV4_HEADER,
    IPV6_HEADER,
    EchoMessage,
    Icmp,
    Icmp6,
    IPv4Header,
    IPv6Header,
    Protocol,
    checksum,
)
from vjail.kernel.errno import KernelError
from vjail.session import Echo, EchoOptions, EchoPacket, Quit, Session

_USAGE = """\
Usage: traceroute [-adDeEFInrSvx] [-f first_ttl] [-g gateway] [-i iface]
\t[-m max_ttl] [-p port] [-P proto] [-q nprobes] [-s src_addr]
\t[-t tos] [-w waittime] [-A as_server] [-z pausemsecs] host [packetlen]
"""
_USAGE6 = """\
usage: traceroute6 [-adIlnNrSTUv] [-A as_server] [-f firsthop] [-g gateway]
       [-m hoplimit] [-p port] [-q probes] [-s src] [-w waittime] target
       [datalen]
"""
_EX_USAGE, _EX_OSERR = 64, 71
_PORT = 32768 + 666
_HOPS = 64
"""net.inet.ip.ttl and net.inet6.ip6.hlim."""
_LONGEST = 32768
_UDP_HEADER = 8
_CODES = {0: "!N", 1: "!H", 4: "!F-0", 5: "!S", 6: "!U", 7: "!W", 8: "!I", 9: "!A", 10: "!Z", 11: "!Q", 12: "!T",
          13: "!X", 14: "!V", 15: "!C"}  # fmt: skip
"""What is printed for a destination that is unreachable, by ICMP's code. Port (3) and protocol (2) mean arrival."""
_CODES6 = {0: "!N", 1: "!P", 2: "!S", 3: "!A"}


@dataclass(slots=True)
class _Options:
    """What the words said; times in seconds."""

    first: int = 1
    hops: int = _HOPS
    probes: int = 3
    port: int = _PORT
    wait: int = 5
    pause: float = 0.0
    tos: int = 0
    numeric: bool = False
    icmp: bool = False
    fixed: bool = False
    whole: bool = False
    """Don't fragment."""
    losses: bool = False
    source: str | None = None


@dataclass(frozen=True, slots=True)
class _Path:
    """Between whom packets go: `length` in bytes, of the whole packet in IPv4, of UDP's part in IPv6."""

    name: str
    source: IPv4Address | IPv6Address
    target: IPv4Address | IPv6Address
    zone: str | None
    length: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an ICMP message says of a probe: `mark` stands behind its time, `over` ends the search."""

    mark: str = ""
    arrived: bool = False
    unreachable: bool = False


async def traceroute(session: Session) -> int:
    """traceroute(8). Raises Quit."""
    options, operands = _parse(session, "aA:eEdDFInrSvxf:g:i:M:m:P:p:q:s:t:w:z:", _USAGE)
    return await _trace(session, Family.INET, options, operands, _USAGE)


async def traceroute6(session: Session) -> int:
    """traceroute6(8). Raises Quit."""
    options, operands = _parse(session, "aA:df:g:Ilm:nNp:q:rs:STt:Uvw:", _USAGE6)
    return await _trace(session, Family.INET6, options, operands, _USAGE6)


# --- options ---


def _parse(session: Session, letters: str, usage: str) -> tuple[_Options, list[str]]:
    options, parser = _Options(), Getopt(session.argv[1:], letters)
    for each in parser:
        match each:
            case BadOption():
                session.err(usage)
                raise Quit(None)
            case Option(letter, argument):
                _set(options, letter, argument or "")
    if options.first > options.hops:
        raise Quit(f"first ttl ({options.first}) may not be greater than max ttl ({options.hops})", _EX_USAGE)
    return options, list(parser.operands)


def _set(options: _Options, letter: str, argument: str) -> None:
    match letter:
        case "n":
            options.numeric = True
        case "I":
            options.icmp = True
        case "U" | "l" | "v" | "x":
            pass
        case "P" if argument.lower() in ("udp", "icmp"):
            options.icmp = argument.lower() == "icmp"
        case "e":
            options.fixed = True
        case "F":
            options.whole = True
        case "S":
            options.losses = True
        case "f" | "M":
            options.first = _number(argument, "first ttl", 1, 255)
        case "m":
            options.hops = _number(argument, "max ttl", 1, 255)
        case "q":
            options.probes = _number(argument, "nprobes", 1, None)
        case "p":
            options.port = _number(argument, "port", 1, 0xFFFF)
        case "w":
            options.wait = _number(argument, "wait time", 1, 86400)
        case "z":
            options.pause = _number(argument, "pause msecs", 0, 3_600_000) / 1000
        case "t":
            options.tos = _number(argument, "tos", 0, 255)
        case "s":
            options.source = argument
        case _:
            raise Quit(f"-{letter} means nothing in a lab", _EX_USAGE)


def _number(text: str, what: str, least: int, most: int | None) -> int:
    if not text.isdecimal():
        raise Quit(f'"{text}" bad value for {what}', _EX_USAGE)
    number = int(text)
    if number < least:
        raise Quit(f"{what} must be {f'>= {least}' if least == 0 else f'> {least - 1}'}", _EX_USAGE)
    if most is not None and number > most:
        raise Quit(f"{what} must be <= {most}", _EX_USAGE)
    return number


# --- the course ---


async def _trace(session: Session, family: Family, options: _Options, operands: list[str], usage: str) -> int:
    if len(operands) not in (1, 2):
        session.err(usage)
        raise Quit(None)
    found = resolve(session.files, operands[0], family)
    if not found:
        raise Quit(f"unknown host {operands[0]}")
    echo = _open(session, family)
    try:
        path = _path(session, echo, family, options, operands, found[0].address, found[0].zone)
        origin = f" from {path.source}" if options.source is not None or family is Family.INET6 else ""
        command = session.argv[0].rpartition("/")[2]
        session.err(
            f"{command} to {found[0].canonical} ({scoped(path.target, path.zone)}){origin}, "
            f"{options.hops} hops max, {path.length} byte packets\n"
        )
        return await _Search(session, echo, options, path).run()
    finally:
        echo.close()


def _open(session: Session, family: Family) -> Echo:
    try:
        return session.echo(family.value, EchoOptions())
    except KernelError as error:
        raise Quit(f"icmp socket: {error.errno.text}", _EX_OSERR) from None


def _path(
    session: Session,
    echo: Echo,
    family: Family,
    options: _Options,
    operands: list[str],
    target: IPv4Address | IPv6Address,
    zone: str | None,
) -> _Path:
    source: IPv4Address | IPv6Address
    if options.source is not None:
        own = resolve(session.files, options.source, family)
        if not own:
            raise Quit(f"unknown host {options.source}")
        source = own[0].address
        if not any(each.address == source for ifnet in session.system.interfaces() for each in ifnet.addresses):
            raise Quit("bind: Can't assign requested address", _EX_OSERR)
    else:
        try:
            source = echo.source_for(target, zone=zone)
        except KernelError as error:
            if family is Family.INET6:
                raise Quit(f"connect: {error.errno.text}") from None
            raise Quit("findsaddr: failed to connect to peer for src addr selection.", _EX_OSERR) from None
    least = IPV4_HEADER + _UDP_HEADER if family is Family.INET else _UDP_HEADER
    length = _number(operands[1], "packet length", least, _LONGEST) if len(operands) > 1 else 0
    return _Path(operands[0], source, target, zone, length or (40 if family is Family.INET else 28))


class _Search:
    """The search under way."""

    def __init__(self, session: Session, echo: Echo, options: _Options, path: _Path) -> None:
        self._session = session
        self._echo = echo
        self._options = options
        self._path = path
        self._ident = session.pid & 0xFFFF | 0x8000
        self._sequence = 0

    async def run(self) -> int:
        """Search until the target answers or the longest life is used up."""
        waiting = Waiting(self._session, self._echo)
        try:
            for ttl in range(self._options.first, self._options.hops + 1):
                self._session.out(f"{ttl:2} ")
                over = await self._hop(waiting, ttl)
                self._session.out("\n")
                if over:
                    break
        except _Interrupted as interrupted:
            return 128 + interrupted.number
        finally:
            waiting.close()
        return 0

    async def _hop(self, waiting: Waiting, ttl: int) -> bool:
        """All probes of one life; whether the search is over."""
        arrived, unreachable, lost, last = False, 0, 0, ""
        for number in range(self._options.probes):
            if number and self._options.pause:
                await self._session.sleep(self._options.pause)
            self._sequence += 1
            sent = self._session.monotonic()
            self._send(ttl)
            packet, answer = await self._reply(waiting, sent)
            if packet is None:
                lost += 1
                self._session.out(" *")
                continue
            who = self._named(packet)
            if who != last:
                self._session.out(f"\n   {who}" if last else who)
                last = who
            self._session.out(f"  {(packet.when - sent) * 1000:.3f} ms{answer.mark}")
            arrived = arrived or answer.arrived
            unreachable += answer.unreachable
        if self._options.losses:
            self._session.out(f" ({100 * lost // self._options.probes}% loss)")
        return arrived or 0 < unreachable >= self._options.probes - 1

    def _named(self, packet: EchoPacket) -> str:
        text = scoped(packet.source, packet.zone if packet.source.is_link_local else None)
        if self._options.numeric:
            return f" {text}"
        return f" {name_of(self._session.files, packet.source) or text} ({text})"

    async def _reply(self, waiting: Waiting, sent: float) -> tuple[EchoPacket | None, _Answer]:
        """What answers the last probe, in time."""
        ends = sent + self._options.wait
        while (left := ends - self._session.monotonic()) > 0:
            event = await waiting.next(left)
            if isinstance(event, int):
                raise _Interrupted(event)
            answer = self._answer(event) if event is not None else None
            if event is not None and answer is not None:
                return event, answer
        return None, _Answer()

    # --- packets ---

    def _send(self, ttl: int) -> None:
        packet = self._packet(ttl)
        try:
            self._echo.send_packet(self._path.target, packet, zone=self._path.zone)
        except KernelError as error:
            name = self._session.argv[0].rpartition("/")[2]
            self._session.err(f"{name}: sendto: {error.errno.text}\n")
            self._session.out(f"{name}: wrote {self._path.name} {len(packet)} chars, ret=-1\n")

    def _packet(self, ttl: int) -> bytes:
        path, options = self._path, self._options
        length = path.length - IPV4_HEADER if path.target.version == 4 else path.length
        inner = self._inner(length)
        if path.target.version == 6:
            protocol = Protocol.ICMPV6 if options.icmp else Protocol.UDP
            head = struct.pack("!IHBB", 6 << 28 | options.tos << 20, length, protocol, ttl)
            return head + path.source.packed + path.target.packed + inner
        protocol = Protocol.ICMP if options.icmp else Protocol.UDP
        number, flags = self._ident + self._sequence & 0xFFFF, 0x4000 if options.whole else 0
        head = struct.pack("!BBHHHBBH", 0x45, options.tos, path.length, number, flags, ttl, protocol, 0)
        return head + path.source.packed + path.target.packed + inner

    def _inner(self, length: int) -> bytes:
        """The probe without its IP header; its checksum covers the addresses where the protocol's does."""
        path, sequence = self._path, self._sequence
        if self._options.icmp and path.target.version == 4:
            return EchoMessage(Icmp.ECHO, self._ident, sequence & 0xFFFF, bytes(length - ECHO_HEADER)).encode()
        if self._options.icmp:
            message = EchoMessage(Icmp6.ECHO_REQUEST, self._ident, sequence & 0xFFFF, bytes(length - ECHO_HEADER))
            return self._summed(message.encode_unsummed(), Protocol.ICMPV6, 2)
        ports = self._ports()
        return self._summed(struct.pack("!HHHH", *ports, length, 0) + bytes(length - _UDP_HEADER), Protocol.UDP, 6)

    def _ports(self) -> tuple[int, int]:
        """A probe's own port and the one it goes to; one of them counts the probes."""
        fixed = self._options.fixed
        own, other = self._ident + fixed * self._sequence, self._options.port + (not fixed) * self._sequence
        return own & 0xFFFF, other & 0xFFFF

    def _summed(self, segment: bytes, protocol: int, at: int) -> bytes:
        pseudo = self._path.source.packed + self._path.target.packed + struct.pack("!IxxxB", len(segment), protocol)
        total = checksum(pseudo + segment) or 0xFFFF
        return segment[:at] + struct.pack("!H", total) + segment[at + 2 :]

    # --- answers ---

    def _answer(self, packet: EchoPacket) -> _Answer | None:
        """What a message says of the last probe; None where it is about something else."""
        kind, code = packet.message[0], packet.message[1]
        reply = Icmp.ECHOREPLY if self._path.target.version == 4 else Icmp6.ECHO_REPLY
        low = " !" if packet.ttl <= 1 else ""
        if kind == reply and self._options.icmp:
            echo = EchoMessage.decode(packet.message)
            own = (echo.ident, echo.sequence) == (self._ident, self._sequence & 0xFFFF)
            return _Answer(low, arrived=True) if own else None
        if not self._is_about_probe(packet.message[ECHO_HEADER:]):
            return None
        return self._verdict(kind, code, low)

    def _verdict(self, kind: int, code: int, low: str) -> _Answer | None:
        if self._path.target.version == 6:
            match kind, code:
                case Icmp6.TIME_EXCEEDED, 0:
                    return _Answer()
                case Icmp6.DST_UNREACH, 4:
                    return _Answer(low, arrived=True)
                case Icmp6.DST_UNREACH, _:
                    return _unreachable(_CODES6, code)
            return None
        match kind, code:
            case Icmp.TIMXCEED, 0:
                return _Answer()
            case Icmp.UNREACH, 3:
                return _Answer(low, arrived=True)
            case Icmp.UNREACH, 2:
                return _Answer(" !P", arrived=True)
            case Icmp.UNREACH, _:
                return _unreachable(_CODES, code)
        return None

    def _is_about_probe(self, quoted: bytes) -> bool:
        """Whether an error quotes the last probe."""
        if self._path.target.version == 4:
            if len(quoted) < IPV4_HEADER + 8:
                return False
            header = IPv4Header.decode(quoted)
            protocol, inner, to = header.protocol, quoted[header.length :], header.destination == self._path.target
        else:
            if len(quoted) < IPV6_HEADER + 8:
                return False
            header6 = IPv6Header.decode(quoted)
            protocol, inner = header6.next_header, quoted[IPV6_HEADER:]
            to = header6.destination == self._path.target
        if len(inner) < 8 or not to:
            return False
        if self._options.icmp:
            echo = EchoMessage.decode(inner)
            return protocol in (Protocol.ICMP, Protocol.ICMPV6) and (echo.ident, echo.sequence) == (
                self._ident,
                self._sequence & 0xFFFF,
            )
        return protocol == Protocol.UDP and struct.unpack_from("!HH", inner) == self._ports()


class _Interrupted(Exception):
    """A signal has come; traceroute catches none."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _unreachable(codes: Mapping[int, str], code: int) -> _Answer:
    return _Answer(f" {codes.get(code, f'!<{code}>')}", unreachable=True)
