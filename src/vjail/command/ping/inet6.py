"""An IPv6 ping: from its options to its exit code. Source: FreeBSD sbin/ping/ping6.c as of early 2023."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import cast

from vjail.command.names import EAI_NONAME, Family, Resolved, name_of, resolve
from vjail.command.numeric import scoped
from vjail.command.ping.data import Data
from vjail.command.ping.exchange import BACKSPACE, BELL, Exchange, Sent
from vjail.command.ping.options import EX_OSERR
from vjail.command.ping.options_inet6 import Inet6Options, inet6_options
from vjail.command.ping.packets import ECHO_HEADER, IPV6_HEADER, STAMP, EchoMessage, Icmp6
from vjail.command.ping.report_inet6 import report
from vjail.command.ping.sequence import Sequence
from vjail.command.ping.statistics import Statistics
from vjail.kernel.errno import Errno, KernelError
from vjail.session import Echo, EchoOptions, EchoPacket, Quit, Session

WINDOW = 8 * 8192
"""Sequence numbers that duplicates are looked for among."""

MULTICAST_HOPS = 64


async def inet6(session: Session) -> int:
    """ping of an IPv6 host. Raises Quit."""
    options = inet6_options(session)
    if options.pattern is not None and not options.output.quiet:
        session.out(f"PATTERN: 0x{options.pattern.hex()}\n")
    target = _resolve(session, options)
    echo = _open(session, options, target.endpoint.address)
    try:
        source = _source(echo, options, target)
        if options.size > options.socket_buffer:
            session.err(f"{session.argv[0]}: you need -b to increase socket buffer size\n")
        name = _namer(session) if options.output.names else _numeric
        message = ECHO_HEADER + options.size
        session.out(f"PING6({IPV6_HEADER + message}=40+8+{options.size} bytes) ")
        session.out(f"{name(source)} --> {name(target.endpoint)}\n")
        statistics = Statistics(timed=options.size >= STAMP)
        peer = Inet6Peer(session, echo, options, Way(source, target, name), statistics)
        signal = await Exchange(session, echo, peer, options.pace, statistics).run()
    finally:
        echo.close()
    if signal is not None:
        return 128 + signal
    session.out(statistics.summary_inet6(target.name))
    if statistics.received:
        return 0
    return 2 if statistics.transmitted > statistics.failures else EX_OSERR


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and the interface it belongs to where it is scoped."""

    address: IPv6Address
    zone: str | None


Namer = Callable[[Endpoint], str]


@dataclass(frozen=True, slots=True)
class Host:
    """The host to ping.

    `name` is its text where that was numeric, else its first name; `endpoint` is shown with the zone it was given,
    `zone` is the one requests go to, which -I may name.
    """

    name: str
    endpoint: Endpoint
    zone: str | None


@dataclass(frozen=True, slots=True)
class Way:
    """From where to where, and how addresses are shown."""

    source: Endpoint
    target: Host
    name: Namer


def _of_a_link(address: IPv6Address) -> bool:
    """Whether an address means something on one link or interface only."""
    return address.is_link_local or (address.is_multicast and address.packed[1] & 0xF in (1, 2))


def _numeric(endpoint: Endpoint) -> str:
    return scoped(endpoint.address, endpoint.zone)


def _namer(session: Session) -> Namer:
    """-H: the name where /etc/hosts has one."""
    return lambda endpoint: name_of(session.files, endpoint.address) or _numeric(endpoint)


def _resolve(session: Session, options: Inet6Options) -> Host:
    for found in resolve(session.files, options.target, Family.INET6):
        if known_zone(session, found):
            address = cast(IPv6Address, found.address)
            zone = found.zone or (options.source.zone if options.source is not None and _of_a_link(address) else None)
            return Host(found.canonical, Endpoint(address, zone), zone or options.interface)
    raise Quit(EAI_NONAME)


def known_zone(session: Session, found: Resolved) -> bool:
    """Whether the interface of a scoped address exists; getaddrinfo(3) finds no address otherwise."""
    return found.zone is None or session.system.interface(found.zone) is not None


def _open(session: Session, options: Inet6Options, target: IPv6Address) -> Echo:
    if options.interface is not None and session.system.interface(options.interface) is None:
        raise Quit(f"{options.interface}: invalid interface name")
    hop_limit = options.hop_limit
    if hop_limit is None and target.is_multicast:
        hop_limit = MULTICAST_HOPS
    source = None if options.source is None else options.source.address
    try:
        return session.echo(6, EchoOptions(source, hop_limit, options.dont_fragment, options.interface))
    except KernelError as error:
        what = "bind" if error.errno is Errno.EADDRNOTAVAIL else "socket ssend"
        raise Quit(f"{what}: {error.errno.text}") from None


def _source(echo: Echo, options: Inet6Options, target: Host) -> Endpoint:
    """The source address, which a UDP socket is asked for where none was given."""
    if options.source is not None:
        return Endpoint(cast(IPv6Address, options.source.address), options.source.zone or target.zone)
    try:
        address = echo.source_for(target.endpoint.address, zone=target.zone)
        return Endpoint(cast(IPv6Address, address), target.zone)
    except KernelError as error:
        raise Quit(f"UDP connect: {error.errno.text}") from None


class Inet6Peer:
    """What goes out and what comes in of an IPv6 ping."""

    def __init__(self, session: Session, echo: Echo, options: Inet6Options, way: Way, statistics: Statistics) -> None:
        self._session = session
        self._echo = echo
        self._options = options
        self._output = options.output
        self._way = way
        self._statistics = statistics
        self._ident = session.pid & 0xFFFF
        self._sequence = Sequence(WINDOW)
        if options.pattern is None:
            self._data = Data.numbered(options.size)
        else:
            self._data = Data.patterned(options.size, options.pattern, options.size)

    def transmit(self) -> Sent:
        """Send the next request and count it."""
        number = self._statistics.transmitted
        self._statistics.transmitted += 1
        now = self._session.monotonic()
        if self._statistics.timed:
            self._data.timed(now)
        self._sequence.sent(number, now)
        message = EchoMessage(Icmp6.ECHO_REQUEST, self._ident, number & 0xFFFF, bytes(self._data)).encode_unsummed()
        try:
            self._echo.send(self._way.target.endpoint.address, message, zone=self._way.target.zone)
        except KernelError as error:
            self._statistics.failures += 1
            self._session.err(f"{self._session.argv[0]}: sendmsg: {error.errno.text}\n")
            self._session.out(f"ping6: wrote {self._way.target.name} {len(message)} chars, ret=-1\n")
        if self._output.dots is not None and not self._output.quiet:
            self._session.out(self._output.dots[number % len(self._output.dots)])
        return Sent.DONE

    def advance(self) -> bool:
        """There is always a next request."""
        return True

    def receive(self, packet: EchoPacket) -> None:
        """Count and print a reply; with -v print whatever else arrives."""
        if len(packet.message) < ECHO_HEADER:
            return
        message = EchoMessage.decode(packet.message)
        if message.kind == Icmp6.ECHO_REPLY and message.ident == self._ident:
            self._reply(packet, message)
        elif self._output.verbose:
            line = f"{len(packet.message)} bytes from {self._from(packet)}: {report(packet.message)}"
            self._session.out(line + ("" if self._output.dots is not None else "\n"))

    def status(self) -> None:
        """Print how things stand: the last lines, already now."""
        self._session.out(self._statistics.summary_inet6(self._way.target.name))

    def _reply(self, packet: EchoPacket, reply: EchoMessage) -> None:
        round_trip = self._round_trip(packet, reply)
        repeated = self._sequence.answered(reply.sequence)
        self._statistics.reply(round_trip, repeated=repeated)
        if self._output.quiet:
            return
        if self._options.waittime is not None and (round_trip or 0.0) > self._options.waittime:
            self._statistics.late += 1
            return
        if self._output.dots is not None:
            self._session.out(BACKSPACE)
            return
        line = f"{len(packet.message)} bytes from {self._from(packet)}, icmp_seq={reply.sequence} hlim={packet.ttl}"
        if self._output.verbose:
            line += f" dst={self._way.name(self._way.source)}"
        if round_trip is not None:
            line += f" time={round_trip:.3f} ms"
        if repeated:
            line += "(DUP!)"
        wrong = self._data.compare(reply.data, skip=STAMP)
        if wrong is not None:
            line += f"\n{wrong}"
        # The bell is written at once, the line when it is complete.
        self._session.out(f"{BELL if self._output.bell else ''}{line}\n")

    def _round_trip(self, packet: EchoPacket, reply: EchoMessage) -> float | None:
        """Milliseconds from the request to this reply."""
        if not self._statistics.timed:
            return None
        return self._sequence.round_trip(reply, packet.when)

    def _from(self, packet: EchoPacket) -> str:
        return self._way.name(Endpoint(cast(IPv6Address, packet.source), packet.zone))
