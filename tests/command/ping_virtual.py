"""A session for ping in virtual time, and networks for it to ping in."""

import asyncio
import heapq
import itertools
import math
import shlex
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import cast

from vjail.command.ping import ping, ping6
from vjail.command.ping.packets import EchoMessage, Icmp, Icmp6
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Iff, Inet, Interface, Kind
from vjail.session import Echo, EchoOptions, EchoPacket, Quit, Session

PID = 0x1_2345
IDENT = 0x2345
START = 1000.0

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Request:
    """A request that went out: its `number` counts from 0 without end."""

    number: int
    when: float
    destination: Address
    packet: bytes
    zone: str | None

    @property
    def message(self) -> EchoMessage:
        return EchoMessage.decode(self.packet)


@dataclass(frozen=True)
class Reply:
    """A message that comes back `after` milliseconds; from where the request went unless told otherwise."""

    after: float
    message: bytes
    source: Address | None = None
    ttl: int = 64
    zone: str | None = None


Network = Callable[[Request], Iterable[Reply]]


def echoed(request: Request, data: bytes | None = None) -> bytes:
    """The reply to a request, with other data if given."""
    message = request.message
    kind = Icmp.ECHOREPLY if message.kind == Icmp.ECHO else Icmp6.ECHO_REPLY
    return EchoMessage(kind, message.ident, message.sequence, message.data if data is None else data).encode()


def after(*milliseconds: float | None) -> Network:
    """Each request is answered after the next of these times, None never; the last counts for all that follow."""

    def network(request: Request) -> Iterator[Reply]:
        time = milliseconds[min(request.number, len(milliseconds) - 1)]
        if time is not None:
            yield Reply(time, echoed(request))

    return network


SILENT = after(None)


def refusing(errno: Errno) -> Network:
    def network(request: Request) -> Iterable[Reply]:
        raise KernelError(errno)

    return network


class VirtualSession:
    """As much of a Session as ping needs, and its Echo; time passes only while something is waited for."""

    def __init__(
        self,
        argv: Sequence[str],
        network: Network,
        *,
        uid: int = 0,
        hosts: str = "",
        signals: Sequence[tuple[float, int]] = (),
        source: str | Errno = "10.0.0.1",
        socket: Errno | None = None,
        interfaces: Sequence[Interface] = (),
    ) -> None:
        self.argv = argv
        self.uid = uid
        self.pid = PID
        self.files = self
        self.system = self
        self.clock = START
        self.output = ""
        self.errors = ""
        self.requests: list[Request] = []
        self.lives: list[int] = []
        """The time to live of each whole packet that was sent, and the last of them."""
        self.whole = b""
        self.opened: list[tuple[int, EchoOptions]] = []
        self.closed = 0
        self._network = network
        self._hosts = hosts
        self._signals = [(START + when, number) for when, number in signals]
        self._waiting: asyncio.Future[int] | None = None
        self._source = source
        self._socket = socket
        self._interfaces = interfaces
        self._arrivals: list[tuple[float, int, EchoPacket]] = []
        self._order = itertools.count()

    def out(self, text: str) -> None:
        self.output += text

    def err(self, text: str) -> None:
        self.errors += text

    def monotonic(self) -> float:
        return self.clock

    async def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def read(self, path: str) -> bytes:
        assert path == "/etc/hosts"
        return self._hosts.encode()

    def interfaces(self) -> Sequence[Interface]:
        return self._interfaces

    def has_interface(self, name: str) -> bool:
        return self.interface(name) is not None

    def interface(self, name: str) -> Interface | None:
        return next((each for each in self._interfaces if each.name == name), None)

    def signals(self) -> Awaitable[int]:
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def echo(self, family: int, options: EchoOptions) -> Echo:
        if self._socket is not None:
            raise KernelError(self._socket)
        self.opened.append((family, options))
        return self

    def close(self) -> None:
        self.closed += 1

    def source_for(self, destination: Address, *, zone: str | None = None) -> Address:
        if isinstance(self._source, Errno):
            raise KernelError(self._source)
        address = ip_address(self._source)
        if address.version != destination.version:
            raise KernelError(Errno.ENETUNREACH)
        return address

    def send(self, destination: Address, packet: bytes, *, zone: str | None = None) -> None:
        request = Request(len(self.requests), self.clock, destination, packet, zone)
        self.requests.append(request)
        for reply in self._network(request):
            arrival = self.clock + reply.after / 1000
            packed = EchoPacket(reply.source or destination, reply.zone, reply.ttl, reply.message, arrival)
            heapq.heappush(self._arrivals, (arrival, next(self._order), packed))

    def send_packet(self, destination: Address, packet: bytes, *, zone: str | None = None) -> None:
        head = 20 if packet[0] >> 4 == 4 else 40
        self.lives.append(packet[8] if head == 20 else packet[7])
        self.whole = packet
        self.send(destination, packet[head:], zone=zone)

    async def receive(self, timeout: float) -> EchoPacket | None:
        limit = self.clock + timeout
        arrival = self._arrivals[0][0] if self._arrivals else math.inf
        if self._signals and self._signals[0][0] <= min(arrival, limit):
            when, number = self._signals.pop(0)
            self.clock = max(self.clock, when)
            assert self._waiting is not None
            self._waiting.set_result(number)
            await asyncio.Event().wait()
        if arrival <= limit:
            self.clock = max(self.clock, arrival)
            return heapq.heappop(self._arrivals)[2]
        assert limit < math.inf
        self.clock = limit
        return None


@dataclass
class Outcome:
    code: int
    out: str
    err: str
    seconds: float
    requests: list[Request] = field(repr=False)
    opened: list[tuple[int, EchoOptions]] = field(repr=False)


def run(line: str, network: Network = SILENT, **given: object) -> Outcome:
    """What a command line does; `given` as for VirtualSession."""
    argv = shlex.split(line)
    session = VirtualSession(argv, network, **given)  # type: ignore[arg-type]
    command = ping6 if argv[0] == "ping6" else ping

    async def answered() -> int:
        try:
            return await command(cast(Session, session))
        except Quit as leave:
            if leave.text is not None:
                session.err(f"{argv[0]}: {leave.text}\n")
            return leave.code

    code = asyncio.run(answered())
    assert session.closed == len(session.opened)
    return Outcome(code, session.output, session.errors, session.clock - START, session.requests, session.opened)


def lines(outcome: Outcome) -> list[str]:
    """The lines between the heading and the statistics."""
    return outcome.out.split("\n\n---")[0].split("\n")[1:]


def epair(*addresses: str) -> Interface:
    netmask = IPv4Address("255.255.255.0")
    return Interface(
        "epair0b", 2, Kind.EPAIR, Iff.UP, 1500, addresses=tuple(Inet(IPv4Address(each), netmask) for each in addresses)
    )
