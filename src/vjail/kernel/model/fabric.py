"""Everything packets move over in a lab: `Fabric.echo` sends an echo request and tells what became of it.

Sending is over when nothing moves any more: no time passes. The same state and the same question give the same answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from vjail.kernel.core.driver import Clock
from vjail.kernel.errno import Errno
from vjail.kernel.model.devices import Device, Net
from vjail.kernel.model.ether import Ether
from vjail.kernel.model.inet import InetLayer
from vjail.kernel.model.packets import BROADCAST, IP, TTL, Frame, Hello, Icmp, Kind, Packet, Protocol
from vjail.kernel.model.trace import ORDINARY, Hop, Loss, Mark, Step, hops
from vjail.release import Release

_HEADERS = {4: 28, 6: 48}
"""Bytes of an IP header and an ICMP echo header."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that came back to the sender: where it came from, by which interface, with what time to live."""

    source: IP
    interface: str
    ttl: int
    message: Icmp


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an echo request.

    `hops` is the way to the answer and back, or to the place where it was lost; `loss` is that place's reason, None
    where it was answered. `error` is what the sender's own kernel said, `arrived` what came back.
    """

    answered: bool
    hops: tuple[Hop, ...]
    loss: Loss | None = None
    error: Errno | None = None
    arrived: tuple[Arrival, ...] = ()

    @property
    def place(self) -> Hop | None:
        """Where it was lost."""
        return self.hops[-1] if self.loss is not None and self.hops else None


class Fabric:
    """The network of a lab: the stacks of its hosts, and the rules by which packets move."""

    def __init__(self, clock: Clock, release: Release) -> None:
        self._clock = clock
        self._losses: list[Mark] = []
        self._sent = 0
        self._arrived: list[tuple[Device, Packet, Mark]] = []
        self.ether = Ether(clock, release, self._losses.append)
        self.inet = InetLayer(clock, self.ether, self._note_arrival)
        self.nets: Callable[[], Iterable[Net]] = tuple
        """All stacks there are."""
        self.jail_of: Callable[[Device], tuple[str, str]] = lambda device: (device.driver.host, "")
        """Host and jail of a device, for people."""

    def _note_arrival(self, device: Device, packet: Packet, mark: Mark) -> None:
        self._arrived.append((device, packet, mark))

    def echo(
        self,
        net: Net,
        destination: IP,
        *,
        source: IP | None = None,
        zone: int | None = None,
        ttl: int | None = None,
        data: bytes = bytes(56),
        ident: int = 0,
        sequence: int | None = None,
        dont_fragment: bool = False,
        amid_others: bool = False,
        patient: bool = False,
    ) -> Outcome:
        """Send an echo request from a stack.

        `zone` is the ident of a link-local address's interface. `amid_others`: stations that share their MAC address
        with another keep talking meanwhile, so that every bridge knows them where they spoke last; where two hosts
        have one hostid this decides whether anything arrives (row D5). `patient`: a neighbour that has not answered is
        asked again, however little time has passed.
        """
        self._begin()
        if patient:
            self.inet.ask_anew()
        if sequence is None:
            self._sent += 1
            sequence = self._sent
        if amid_others:
            self._let_doubles_talk()
            # What is not known yet is asked for, and by the time of the request itself the others have spoken again.
            self._send(net, destination, source, zone, ttl, data, ident, sequence, dont_fragment)
            self._begin()
            self._let_doubles_talk(net, *self._holders(destination))
            self.inet.ask_anew()
        error = self._send(net, destination, source, zone, ttl, data, ident, sequence, dont_fragment)
        outcome = self._outcome(net, destination, ident, sequence, error)
        self._begin()
        return outcome

    def _begin(self) -> None:
        self._losses.clear()
        self._arrived.clear()
        self.inet.asking.clear()

    def _send(
        self,
        net: Net,
        destination: IP,
        source: IP | None,
        zone: int | None,
        ttl: int | None,
        data: bytes,
        ident: int,
        sequence: int,
        dont_fragment: bool,
    ) -> Errno | None:
        route, error = self.inet.route(net, destination, zone)
        if source is None:
            if route is None:
                self.ether.lost(next(iter(net.devices.values())), None, Loss.NO_ROUTE, str(destination))
                return error
            source = self.inet.source(net, route, destination)
        if source is None and error is None:
            assert route is not None
            self.ether.lost(net.devices[route.out], None, Loss.NO_SOURCE)
            return Errno.EADDRNOTAVAIL
        protocol = Protocol.ICMP if destination.version == 4 else Protocol.ICMP6
        nobody = type(destination)(0)
        message = Icmp(Kind.ECHO, ident, sequence, data)
        size = len(data) + _HEADERS[destination.version]
        packet = Packet(source or nobody, destination, message, protocol, size, ttl or TTL, dont_fragment)
        error = self.inet.send(net, packet, None, zone)
        self.ether.run()
        return error

    def _outcome(self, net: Net, destination: IP, ident: int, sequence: int, error: Errno | None) -> Outcome:
        arrived = [(device, packet, mark) for device, packet, mark in self._arrived if device.net is net]
        told = tuple(
            Arrival(packet.source, device.ifnet.name, packet.ttl, packet.message)
            for device, packet, _ in arrived
            if isinstance(packet.message, Icmp)
        )
        for _, packet, mark in arrived:
            message = packet.message
            if isinstance(message, Icmp) and _answers(message, ident, sequence):
                return Outcome(True, hops(mark, self.jail_of), None, error, told)
        lost = self._worst(net, destination)
        if lost is None:
            return Outcome(False, (), None, error, told)
        return Outcome(False, hops(lost, self.jail_of), lost.loss, error, told)

    def _worst(self, net: Net, destination: IP) -> Mark | None:
        """The loss that counts, of all that befell a packet and its copies.

        Where copies of a question were lost for a reason of their own, the nearest to who has the address counts, then
        the one that came farthest; where none was, nobody has the address.
        """
        holders = self._holders(destination)
        special = [mark for mark in self._losses if mark.loss not in ORDINARY]

        def weight(mark: Mark) -> tuple[bool, int]:
            place = mark.device
            peer = place.other(place.ifnet.peer) if place.ifnet.peer in place.driver.devices else place
            return place.net in holders or peer.net in holders, mark.length()

        if special:
            return max(special, key=weight)
        for device, entry, address in self.inet.asking:
            if entry.lladdr is None and entry.waiting:
                before = Mark(Step.ASKED, device, str(address), entry.waiting[-1][1])
                return Mark(Step.LOST, device, str(address), before, Loss.UNANSWERED)
        farthest = max(self._losses, key=Mark.length, default=None)
        return None if farthest is None else _before_flood(farthest)

    def _holders(self, address: IP) -> list[Net]:
        """The stacks that have an address."""
        return [net for net in self.nets() if any(True for _ in net.holding(address))]

    def _let_doubles_talk(self, *but: Net) -> None:
        for device in self.doubles():
            if device.net not in but and device.runs:
                mark = Mark(Step.SENT, device)
                self.ether.output(device, Frame(BROADCAST, device.mac, Hello()), mark)
        self.ether.run()
        self._begin()

    def doubles(self) -> list[Device]:
        """The interfaces with an IP address whose MAC address another such interface has too."""
        speaking = [device for device in self._devices() if device.ifnet.addresses and device.ifnet.lladdr]
        counts = Counter(device.mac for device in speaking)
        return [device for device in speaking if counts[device.mac] > 1]

    def _devices(self) -> Iterator[Device]:
        return (device for net in self.nets() for device in net.devices.values())


def _arrival(device: Device, packet: Packet) -> Arrival:
    message = packet.message
    assert isinstance(message, Icmp)
    return Arrival(packet.source, device.ifnet.name, packet.ttl, message)


def _before_flood(lost: Mark) -> Mark:
    """Where copies of one frame reached only who it is not for: lost where it was copied."""
    mark = lost.before
    while lost.loss is Loss.FOREIGN_FRAME and mark is not None:
        if mark.step is Step.FLOODED:
            return Mark(Step.LOST, mark.device, lost.detail, mark.before, Loss.NOBODY)
        mark = mark.before
    return lost


def _answers(message: Icmp, ident: int, sequence: int) -> bool:
    return message.kind is Kind.REPLY and (message.ident, message.sequence) == (ident, sequence)
