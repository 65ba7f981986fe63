"""ping(8)'s raw socket on a model: what is sent has arrived, or is lost, at once; answers are there a moment later."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from ipaddress import IPv4Address, IPv6Address

from vjail.command.ping.packets import EchoMessage, Icmp6, Protocol, checksum
from vjail.command.ping.packets import Icmp as Icmp4
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.model.fabric import Arrival, Fabric
from vjail.kernel.model.host import ModelHost
from vjail.kernel.model.packets import IP, Icmp, Kind, Packet
from vjail.session import EchoOptions, EchoPacket

_ROUND_TRIP = 0.0001
"""Seconds an answer takes."""


class ModelEcho:
    """A raw ICMP or ICMPv6 socket of a jail. KernelError: EPERM where it may have none, EADDRNOTAVAIL."""

    def __init__(self, fabric: Fabric, host: ModelHost, jid: int, family: int, options: EchoOptions) -> None:
        if not host.may_open_raw(jid):
            raise KernelError(Errno.EPERM)
        self._fabric = fabric
        self._host = host
        self._net = host.net_of(jid)
        self._family = family
        self._options = options
        self._waiting: deque[EchoPacket] = deque()
        if options.source is not None and not any(True for _ in self._net.holding(options.source)):
            raise KernelError(Errno.EADDRNOTAVAIL)

    def send(self, destination: IP, packet: bytes, *, zone: str | None = None) -> None:
        """Send one ICMP message. Raises KernelError."""
        message = EchoMessage.decode(packet)
        outcome = self._fabric.echo(
            self._net,
            destination,
            source=self._options.source,
            zone=self._zone(zone),
            ttl=self._options.ttl,
            data=message.data,
            ident=message.ident,
            sequence=message.sequence,
            dont_fragment=self._options.dont_fragment,
        )
        now = self._host.clock.monotonic()
        for arrival in outcome.arrived:
            encoded = self._encoded(arrival)
            if encoded is not None:
                name = arrival.interface if arrival.source.version == 6 and arrival.source.is_link_local else None
                self._waiting.append(EchoPacket(arrival.source, name, arrival.ttl, encoded, now + _ROUND_TRIP))
        if outcome.error is not None:
            raise KernelError(outcome.error)

    def send_packet(self, destination: IP, packet: bytes, *, zone: str | None = None) -> None:
        """Other packets than pings are not carried."""
        raise KernelError(Errno.EOPNOTSUPP)

    def source_for(self, destination: IP, *, zone: str | None = None) -> IP:
        """The source address the kernel chooses towards `destination`. Raises KernelError where there is no way."""
        route, error = self._fabric.inet.route(self._net, destination, self._zone(zone))
        if route is None or error is not None:
            raise KernelError(error or Errno.ENETUNREACH)
        source = self._fabric.inet.source(self._net, route, destination)
        if source is None:
            raise KernelError(Errno.EADDRNOTAVAIL)
        return source

    async def receive(self, timeout: float) -> EchoPacket | None:
        """The next message that arrives within `timeout` seconds, else None."""
        if not self._waiting:
            await asyncio.sleep(max(timeout, 0))
            return None
        packet = self._waiting[0]
        await asyncio.sleep(max(packet.when - self._host.clock.monotonic(), 0))
        return self._waiting.popleft()

    def close(self) -> None:
        """Nothing to give back."""

    def _zone(self, zone: str | None) -> int | None:
        if zone is None:
            return None
        found = (device for device in self._net.devices.values() if device.ifnet.name == zone)
        device = next(found, None)
        if device is None:
            raise KernelError(Errno.ENXIO)
        return device.ifnet.ident

    def _encoded(self, arrival: Arrival) -> bytes | None:
        message = arrival.message
        if message.kind is Kind.REPLY:
            kind = Icmp4.ECHOREPLY if self._family == 4 else Icmp6.ECHO_REPLY
            return EchoMessage(kind, message.ident, message.sequence, message.data).encode()
        if message.about is None:
            return None
        return _error4(message, message.about) if self._family == 4 else _error6(message, message.about)


def _error4(message: Icmp, about: Packet) -> bytes:
    kind, code = {
        Kind.UNREACHABLE: (Icmp4.UNREACH, message.code),
        Kind.TOO_BIG: (Icmp4.UNREACH, 4),
        Kind.EXPIRED: (Icmp4.TIMXCEED, 0),
    }[message.kind]
    source, destination = IPv4Address(int(about.source)), IPv4Address(int(about.destination))
    flags = 0x4000 if about.dont_fragment else 0
    header = struct.pack("!BBHHHBBH", 0x45, 0, about.size, 0, flags, about.ttl, Protocol.ICMP, 0)
    quoted = header + source.packed + destination.packed + _echo_of(about, Icmp4.ECHO)
    body = struct.pack("!BBHHH", kind, code, 0, 0, message.mtu) + quoted
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def _error6(message: Icmp, about: Packet) -> bytes:
    kind, code = {
        Kind.UNREACHABLE: (Icmp6.DST_UNREACH, message.code),
        Kind.TOO_BIG: (Icmp6.PACKET_TOO_BIG, 0),
        Kind.EXPIRED: (Icmp6.TIME_EXCEEDED, 0),
    }[message.kind]
    source, destination = IPv6Address(int(about.source)), IPv6Address(int(about.destination))
    header = struct.pack("!IHBB", 6 << 28, about.size - 40, Protocol.ICMPV6, about.ttl)
    quoted = header + source.packed + destination.packed + _echo_of(about, Icmp6.ECHO_REQUEST)
    return struct.pack("!BBHI", kind, code, 0, message.mtu) + quoted


def _echo_of(about: Packet, kind: int) -> bytes:
    """The first eight bytes of an echo request."""
    message = about.message
    ident, sequence = (message.ident, message.sequence) if isinstance(message, Icmp) else (0, 0)
    return struct.pack("!BBHHH", kind, 0, 0, ident, sequence)
