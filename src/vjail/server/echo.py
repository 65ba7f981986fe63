"""Raw ICMP sockets for ping(8) and traceroute(8), opened in the caller's vnet from outside it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
import time
from collections import deque
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from vjail.kernel.core.jail_addresses import owns
from vjail.kernel.errno import Errno, KernelError
from vjail.session import EchoOptions, EchoPacket

if TYPE_CHECKING:
    from vjail.server.host import LabHost

_SO_TIMESTAMPNS = 35
_ICMP6_FILTER, _SOL_ICMPV6, _IPV6_RECVHOPLIMIT, _IPV6_HOPLIMIT = 1, 58, 51, 52
_IPV6_DONTFRAG, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO, _IP_PMTUDISC_DONT = 62, 10, 2, 0
_SOL_RAW, _ICMP_FILTER = 255, 1
_REQUESTS = 1 << 8 | 1 << 13 | 1 << 15 | 1 << 17
"""The types that a FreeBSD kernel answers itself and hands to nobody: echo, timestamp, information, mask requests."""
_UNREACHABLE, _HOST = 3, 1
_PATIENCE = 5.0
"""Seconds for which FreeBSD asks for a neighbour before `send` fails (net.link.ether.inet.maxtries)."""
_KEPT = 1024
"""Packets that wait for a ping that is slow to look at them."""


class RawEcho:
    """An `Echo` (session.py)."""

    def __init__(self, host: LabHost, jid: int, family: int, options: EchoOptions) -> None:
        if not host.may_open_raw(jid):
            raise KernelError(Errno.EPERM)
        rule = host.rule(jid, family)
        if rule.restricted and not rule.addresses:
            raise KernelError(Errno.EPROTONOSUPPORT)
        if options.source is not None and not owns(rule, options.source):
            raise KernelError(Errno.EADDRNOTAVAIL)
        self._host = host
        self._jid = jid
        self._family = family
        self._bound = options.source is not None
        self._waiting: deque[EchoPacket] = deque(maxlen=_KEPT)
        self._arrived = asyncio.Event()
        self._unanswered: dict[IPv4Address | IPv6Address, float] = {}
        """Destinations that have not answered, and since when they have been sent to."""
        self._asked: dict[IPv4Address | IPv6Address, float] = {}
        """Destinations whose neighbour does not answer, and when it was first asked for."""
        kind = (socket.AF_INET, socket.IPPROTO_ICMP) if family == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
        with host.network_of(jid):
            self._socket = socket.socket(kind[0], socket.SOCK_RAW, kind[1])
        self._socket.setblocking(False)
        try:
            self._configure(options)
        except OSError as error:
            self._socket.close()
            raise KernelError(Errno.of_host(error.errno)) from None
        # What arrives is timed by the kernel, so that other work of this process does not show in the result.
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._host.forget_unanswered(jid)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def _configure(self, options: EchoOptions) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if options.interface is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, options.interface.encode())
        if options.source is not None:
            self._socket.bind((str(options.source), 0))
        if self._family == 6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVHOPLIMIT, 1)
            if options.ttl is not None:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, options.ttl)
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, options.ttl)
            self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, int(options.dont_fragment))
            return
        self._socket.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", _REQUESTS))
        if options.ttl is not None:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, options.ttl)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, options.ttl)
        discover = _IP_PMTUDISC_DO if options.dont_fragment else _IP_PMTUDISC_DONT
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, discover)

    def send(self, destination: IPv4Address | IPv6Address, packet: bytes, *, zone: str | None = None) -> None:
        """Send one ICMP message. Raises KernelError."""
        self._host.check_reachable(self._jid, destination, zone)
        self._bind_towards(destination)
        address = self._address(destination, zone)
        now = time.monotonic()
        self._unanswered.setdefault(destination, now)
        try:
            self._socket.sendto(packet, address)
        except OSError as error:
            # An ICMP error for an earlier packet is not this one's.
            if error.errno not in (errno.EHOSTUNREACH, errno.ECONNREFUSED):
                raise KernelError(_send_error(error.errno)) from None
            with contextlib.suppress(OSError):
                self._socket.sendto(packet, address)
        if now - self._asked.get(destination, now) >= _PATIENCE:
            raise KernelError(self._host.neighbour_error(self._jid, destination))

    def send_packet(self, destination: IPv4Address | IPv6Address, packet: bytes, *, zone: str | None = None) -> None:
        """Send a whole packet, its IP header with it. Raises KernelError."""
        source = IPv4Address(packet[12:16]) if self._family == 4 else IPv6Address(packet[8:24])
        rule = self._host.rule(self._jid, self._family)
        if not owns(rule, source):
            raise KernelError(Errno.EADDRNOTAVAIL)
        if rule.restricted:
            self._bind_to(source)
        self._host.check_reachable(self._jid, destination, zone)
        family = socket.AF_INET if self._family == 4 else socket.AF_INET6
        with (
            self._host.network_of(self._jid),
            socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sending,
        ):
            try:
                sending.sendto(packet, self._address(destination, zone))
            except OSError as error:
                raise KernelError(_send_error(error.errno)) from None

    def _bind_towards(self, destination: IPv4Address | IPv6Address) -> None:
        """Let the socket of a jail that may use only some addresses have the one it sends from, as in_pcbladdr does."""
        source = None if self._bound else self._host.source_towards(self._jid, destination)
        if source is not None:
            self._bind_to(source)

    def _bind_to(self, source: IPv4Address | IPv6Address) -> None:
        """Give the socket an address, by which it hears only what is sent there; it keeps the first one."""
        if not self._bound:
            try:
                self._socket.bind((str(source), 0))
            except OSError as error:
                raise KernelError(Errno.of_host(error.errno)) from None
            self._bound = True

    def source_for(
        self, destination: IPv4Address | IPv6Address, *, zone: str | None = None
    ) -> IPv4Address | IPv6Address:
        """The source address the kernel chooses towards `destination`. Raises KernelError where there is no way."""
        self._host.check_reachable(self._jid, destination, zone)
        if (source := self._host.source_towards(self._jid, destination)) is not None:
            return source
        family = socket.AF_INET if self._family == 4 else socket.AF_INET6
        with self._host.network_of(self._jid), socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                address = self._address(destination, zone)
                probe.connect((address[0], 9, *address[2:]))
                return ip_address(probe.getsockname()[0].partition("%")[0])
            except OSError as error:
                raise KernelError(_send_error(error.errno)) from None

    async def receive(self, timeout: float) -> EchoPacket | None:
        """The next message that arrives within `timeout` seconds, else None."""
        if not self._waiting:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), max(timeout, 0))
        return self._waiting.popleft() if self._waiting else None

    def close(self) -> None:
        """Give the socket back."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _address(
        self, destination: IPv4Address | IPv6Address, zone: str | None
    ) -> tuple[str, int, int, int] | tuple[str, int]:
        if self._family == 4:
            return (str(destination), 0)
        return (str(destination), 0, 0, self._host.interface_index(self._jid, zone) if zone else 0)

    def _readable(self) -> None:
        while True:
            try:
                data, ancillary, _, source = self._socket.recvmsg(1 << 16, 256)
            except BlockingIOError:
                return
            except OSError:
                continue
            packet = self._packet(data, ancillary, source)
            if packet is not None:
                self._waiting.append(packet)
                self._arrived.set()

    def _packet(
        self, data: bytes, ancillary: list[tuple[int, int, bytes]], source: tuple[str, ...]
    ) -> EchoPacket | None:
        # In this order, as whoever is interrupted between the two may find a packet late, and never early.
        clock, when, ttl = time.time(), time.monotonic(), 0
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("=qq", value)
                when -= clock - (seconds + nanoseconds / 1e9)
            if level == socket.IPPROTO_IPV6 and kind == _IPV6_HOPLIMIT:
                ttl = struct.unpack("=i", value)[0]
        zone = None
        if self._family == 4:
            header = (data[0] & 15) * 4
            if len(data) < header + 8:
                return None
            ttl, data = data[8], data[header:]
            if self._is_own_complaint(source[0], data):
                destination = IPv4Address(data[24:28])
                self._asked.setdefault(destination, self._unanswered.get(destination, when))
                return None
            self._asked.pop(IPv4Address(source[0]), None)
            self._unanswered.pop(IPv4Address(source[0]), None)
        else:
            zone = source[0].partition("%")[2] or None
        return EchoPacket(ip_address(source[0].partition("%")[0]), zone, ttl, data, when)

    def _is_own_complaint(self, source: str, message: bytes) -> bool:
        """Whether this host tells itself that a neighbour does not answer."""
        return (
            message[:2] == bytes((_UNREACHABLE, _HOST))
            and len(message) >= 28
            and source == str(IPv4Address(message[20:24]))
        )


def _send_error(code: int | None) -> Errno:
    """What FreeBSD says where Linux refuses to send: a blackhole route is EINVAL there, what pf blocks EPERM."""
    return {errno.EINVAL: Errno.ENETUNREACH, errno.EPERM: Errno.EACCES}.get(code or 0, Errno.of_host(code))
