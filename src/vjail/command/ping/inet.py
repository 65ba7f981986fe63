"""An IPv4 ping: from its options to its exit code. Source: FreeBSD sbin/ping/ping.c as of early 2023."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import cast

from vjail.command.names import HOST_NOT_FOUND, Address, Family, name_of, resolve
from vjail.command.ping.data import Data, dump
from vjail.command.ping.exchange import BACKSPACE, BELL, Exchange, Sent
from vjail.command.ping.options import EX_NOHOST, EX_OSERR, EX_USAGE
from vjail.command.ping.options_inet import InetOptions, inet_options
from vjail.command.ping.packets import ECHO_HEADER, IPV4_HEADER, STAMP, EchoMessage, Icmp, IPv4Header, Protocol
from vjail.command.ping.report_inet import QUOTED_MINIMUM, report
from vjail.command.ping.sequence import Sequence
from vjail.command.ping.statistics import Statistics
from vjail.kernel.errno import Errno, KernelError
from vjail.session import Echo, EchoOptions, EchoPacket, Quit, Session

WINDOW = 8 * 128
"""Sequence numbers that duplicates are looked for among."""

SMALLEST_TIMED_REPLY = 16
"""Bytes of data below which a reply's time is not looked at: ping.c asks for room for a whole struct timespec."""


async def inet(session: Session) -> int:
    """ping of an IPv4 host. Raises Quit."""
    options = inet_options(session)
    if options.pattern is not None and not options.output.quiet:
        session.out(f"PATTERN: 0x{options.pattern.hex()}\n")
    source = None if options.source is None else _resolve(session, options.source)
    target = _resolve(session, options.target)
    _check_target(target, options)
    echo = _open(session, options, target, source)
    try:
        session.out(_heading(options, target, source))
        statistics = Statistics(timed=options.size >= STAMP)
        peer = InetPeer(session, echo, options, target.address, statistics)
        # In a sweep -c counts the requests of each size.
        pace = options.pace if options.sweep is None else replace(options.pace, count=None)
        signal = await Exchange(session, echo, peer, pace, statistics).run()
    finally:
        echo.close()
    if signal is not None:
        return 128 + signal
    session.out(statistics.summary_inet(target.name))
    return 0 if statistics.received else 2


@dataclass(frozen=True, slots=True)
class Host:
    """An IPv4 host as typed and found: `name` is its text where that was numeric, else its first name."""

    name: str
    address: IPv4Address


def _resolve(session: Session, text: str) -> Host:
    for found in resolve(session.files, text, Family.INET):
        return Host(found.canonical, cast(IPv4Address, found.address))
    raise Quit(f"cannot resolve {text}: {HOST_NOT_FOUND}", EX_NOHOST)


def _check_target(target: Host, options: InetOptions) -> None:
    multicast = target.address.is_multicast
    if options.pace.flood and multicast:
        raise Quit("-f flag cannot be used with multicast destination", EX_USAGE)
    if not multicast and (options.multicast_interface is not None or options.multicast_ttl is not None):
        raise Quit("-I, -L, -T flags cannot be used with unicast destination", EX_USAGE)


def _open(session: Session, options: InetOptions, target: Host, source: Host | None) -> Echo:
    socket_options = EchoOptions(
        source=None if source is None else source.address,
        ttl=options.multicast_ttl if target.address.is_multicast else options.ttl,
        dont_fragment=options.dont_fragment,
        interface=_interface(session, options.multicast_interface),
    )
    try:
        return session.echo(4, socket_options)
    except KernelError as error:
        if error.errno is Errno.EADDRNOTAVAIL:
            raise Quit(f"bind: {error.errno.text}") from None
        raise Quit(f"ssend socket: {error.errno.text}", EX_OSERR) from None


def _interface(session: Session, address: IPv4Address | None) -> str | None:
    """The interface that has the address -I names."""
    if address is None:
        return None
    for interface in session.system.interfaces():
        if any(each.address == address for each in interface.addresses):
            return interface.name
    raise Quit(f"setsockopt IP_MULTICAST_IF: {Errno.EADDRNOTAVAIL.text}", EX_OSERR)


def _heading(options: InetOptions, target: Host, source: Host | None) -> str:
    origin = "" if source is None else f" from {source.name}"
    sweep = options.sweep
    sizes = f"{options.size}" if sweep is None else f"({sweep.smallest} ... {sweep.largest})"
    return f"PING {target.name} ({target.address}){origin}: {sizes} data bytes\n"


class InetPeer:
    """What goes out and what comes in of an IPv4 ping."""

    def __init__(
        self, session: Session, echo: Echo, options: InetOptions, target: IPv4Address, statistics: Statistics
    ) -> None:
        self._session = session
        self._echo = echo
        self._options = options
        self._output = options.output
        self._target = target
        self._statistics = statistics
        self._ident = session.pid & 0xFFFF
        self._sequence = Sequence(WINDOW)
        self._data = _data(options)
        self._sent_of_size = 0

    def transmit(self) -> Sent:
        """Send the next request and count it."""
        number = self._statistics.transmitted
        now = self._session.monotonic()
        if self._statistics.timed:
            self._data.timed(now)
        self._sequence.sent(number, now)
        message = EchoMessage(Icmp.ECHO, self._ident, number & 0xFFFF, bytes(self._data))
        try:
            self._echo.send(self._target, message.encode())
        except KernelError as error:
            if self._options.pace.flood and error.errno is Errno.ENOBUFS:
                return Sent.NO_BUFFERS
            self._session.err(f"{self._session.argv[0]}: sendto: {error.errno.text}\n")
        self._statistics.transmitted += 1
        self._sent_of_size += 1
        if self._output.dots is not None and not self._output.quiet:
            self._session.out(self._output.dots[number % len(self._output.dots)])
        return Sent.DONE

    def advance(self) -> bool:
        """Go on to the next size of a sweep where enough were sent of this; False after the last."""
        sweep = self._options.sweep
        if sweep is None or self._sent_of_size < (self._options.pace.count or 1):
            return True
        if self._data.size + sweep.step > sweep.largest:
            return False
        self._data.grow(sweep.step)
        self._sent_of_size = 0
        return True

    def receive(self, packet: EchoPacket) -> None:
        """Count and print a reply; print an error that answers a request of ours."""
        if len(packet.message) < ECHO_HEADER:
            return
        message = EchoMessage.decode(packet.message)
        if message.kind != Icmp.ECHOREPLY:
            self._other(packet)
        elif message.ident == self._ident:
            self._reply(packet, message)

    def status(self) -> None:
        """Print how things stand."""
        self._session.err(self._statistics.status())

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
        line = f"{len(packet.message)} bytes from {self._name(packet.source)}: icmp_seq={reply.sequence}"
        line += f" ttl={packet.ttl}"
        if round_trip is not None:
            line += f" time={round_trip:.3f} ms"
        if repeated:
            line += " (DUP!)"
        # The bell is written at once, the line when it is complete.
        bell = BELL if self._output.bell else ""
        self._session.out(f"{bell}{line}{self._wrong(reply)}\n")

    def _round_trip(self, packet: EchoPacket, reply: EchoMessage) -> float | None:
        """Milliseconds from the request to this reply."""
        if self._statistics.timed and len(reply.data) < SMALLEST_TIMED_REPLY:
            self._statistics.timed = False
        if not self._statistics.timed:
            return None
        return self._sequence.round_trip(reply, packet.when)

    def _wrong(self, reply: EchoMessage) -> str:
        """What is wrong with a reply's length and data; nothing where it is as sent."""
        text = ""
        expected, received = self._data.size, len(reply.data)
        if received != expected:
            headers = IPV4_HEADER + ECHO_HEADER
            text = f"\nwrong total length {headers + received} instead of {headers + expected}"
        wrong = self._data.compare(reply.data, skip=STAMP if self._statistics.timed else 0)
        if wrong is not None:
            text += f"\n{wrong}{dump('cp', reply.data[:expected])}{dump('dp', bytes(self._data))}"
        return text

    def _other(self, packet: EchoPacket) -> None:
        """A message that is no echo reply: shown where it answers a request of ours, to root with -v always."""
        quoted = packet.message[ECHO_HEADER:]
        short = _too_short(quoted)
        if short is not None:
            if self._output.verbose:
                self._session.err(f"{self._session.argv[0]}: {short} from {packet.source}\n")
        elif (self._output.verbose and self._session.uid == 0) or (
            not self._output.quiet_errors and self._is_ours(quoted)
        ):
            line = f"{len(packet.message)} bytes from {self._name(packet.source)}: {report(packet.message)}"
            self._session.out(line + ("" if self._output.dots is not None else "\n"))

    def _is_ours(self, quoted: bytes) -> bool:
        header = IPv4Header.decode(quoted)
        if header.destination != self._target or header.protocol != Protocol.ICMP:
            return False
        request = EchoMessage.decode(quoted[header.length :])
        return request.kind == Icmp.ECHO and request.ident == self._ident

    def _name(self, address: Address) -> str:
        name = name_of(self._session.files, address) if self._output.names else None
        return str(address) if name is None else f"{name} ({address})"


def _data(options: InetOptions) -> Data:
    sweep, pattern = options.sweep, options.pattern
    if pattern is not None:
        size, room = (options.size, options.size) if sweep is None else (sweep.smallest, sweep.largest)
        return Data.patterned(size, pattern, room)
    if sweep is not None:
        return Data(sweep.smallest, bytes(STAMP + sweep.largest))
    return Data.numbered(options.size)


def _too_short(quoted: bytes) -> str | None:
    """What is said of a quoted packet too short to be looked at, None where it is long enough."""
    if len(quoted) < QUOTED_MINIMUM:
        return f"quoted data too short ({len(quoted)} bytes)"
    length = IPv4Header.decode(quoted).length
    if length < IPV4_HEADER:
        return f"inner IHL too short ({length} bytes)"
    if len(quoted) < length + QUOTED_MINIMUM - IPV4_HEADER:
        return f"inner packet too short ({len(quoted)} bytes)"
    return None
