"""ICMP and ICMPv6 echo messages, and the headers an ICMP error quotes, as bytes and as data.

Knows the formats of RFC 791, 792, 1071, 4443 and 8200 and nothing of sockets or output.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

ECHO_HEADER = 8
"""Bytes of an echo message before its data."""

STAMP = 8
"""Bytes of data that hold the time of sending: seconds and nanoseconds, 32 bits each (ping.c's tv32)."""

IPV4_HEADER = 20
IPV6_HEADER = 40


class Icmp(enum.IntEnum):
    """ICMP types ping(8) has a text for (netinet/ip_icmp.h)."""

    ECHOREPLY = 0
    UNREACH = 3
    SOURCEQUENCH = 4
    REDIRECT = 5
    ECHO = 8
    ROUTERADVERT = 9
    ROUTERSOLICIT = 10
    TIMXCEED = 11
    PARAMPROB = 12
    TSTAMP = 13
    TSTAMPREPLY = 14
    IREQ = 15
    IREQREPLY = 16
    MASKREQ = 17
    MASKREPLY = 18


class Icmp6(enum.IntEnum):
    """ICMPv6 types ping6 has a text for (netinet/icmp6.h)."""

    DST_UNREACH = 1
    PACKET_TOO_BIG = 2
    TIME_EXCEEDED = 3
    PARAM_PROB = 4
    ECHO_REQUEST = 128
    ECHO_REPLY = 129
    MEMBERSHIP_QUERY = 130
    MEMBERSHIP_REPORT = 131
    MEMBERSHIP_REDUCTION = 132
    ROUTER_SOLICIT = 133
    ROUTER_ADVERT = 134
    NEIGHBOR_SOLICIT = 135
    NEIGHBOR_ADVERT = 136
    REDIRECT = 137


class Protocol(enum.IntEnum):
    """Protocols and IPv6 extension headers named in a quoted packet (netinet/in.h)."""

    HOPOPTS = 0
    ICMP = 1
    TCP = 6
    UDP = 17
    ROUTING = 43
    FRAGMENT = 44
    ESP = 50
    AH = 51
    ICMPV6 = 58
    DSTOPTS = 60


def checksum(data: bytes) -> int:
    """The Internet checksum of `data` (RFC 1071), 16 bits; 0 over a message that holds its own right checksum."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def stamp(when: float) -> bytes:
    """The first 8 bytes of data: `when` in seconds on a clock of one's own."""
    seconds = int(when)
    return struct.pack("!II", seconds & 0xFFFFFFFF, int((when - seconds) * 1_000_000_000))


def unstamp(data: bytes) -> float:
    """The time in seconds that `stamp` put into the first 8 bytes of `data`, to the nanosecond."""
    seconds, nanoseconds = struct.unpack_from("!II", data)
    return float(seconds + nanoseconds / 1_000_000_000)


@dataclass(frozen=True, slots=True)
class EchoMessage:
    """An echo request or reply; `kind` is the ICMP or ICMPv6 type, `ident` and `sequence` have 16 bits."""

    kind: int
    ident: int
    sequence: int
    data: bytes
    code: int = 0

    def encode(self) -> bytes:
        """The message with its checksum, for IPv4."""
        unsummed = self.encode_unsummed()
        return unsummed[:2] + struct.pack("!H", checksum(unsummed)) + unsummed[4:]

    def encode_unsummed(self) -> bytes:
        """The message with the checksum left 0: for IPv6, where the kernel knows the addresses it covers."""
        return struct.pack("!BBHHH", self.kind, self.code, 0, self.ident, self.sequence) + self.data

    @classmethod
    def decode(cls, message: bytes) -> EchoMessage:
        """The message in `message`, at least 8 bytes; its checksum is not looked at."""
        kind, code, _, ident, sequence = struct.unpack_from("!BBHHH", message)
        return cls(kind, ident, sequence, message[ECHO_HEADER:], code)


@dataclass(frozen=True, slots=True)
class IPv4Header:
    """An IPv4 header; `length` is its own in bytes, `flags` its three bits, `offset` in units of 8 bytes."""

    version: int
    length: int
    tos: int
    total: int
    ident: int
    flags: int
    offset: int
    ttl: int
    protocol: int
    checksum: int
    source: IPv4Address
    destination: IPv4Address
    options: bytes

    @classmethod
    def decode(cls, packet: bytes) -> IPv4Header:
        """The header at the start of `packet`, at least 20 bytes."""
        first, tos, total, ident, offset, ttl, protocol, summed, source, destination = struct.unpack_from(
            "!BBHHHBBHII", packet
        )
        length = (first & 0xF) * 4
        return cls(
            version=first >> 4,
            length=length,
            tos=tos,
            total=total,
            ident=ident,
            flags=offset >> 13,
            offset=offset & 0x1FFF,
            ttl=ttl,
            protocol=protocol,
            checksum=summed,
            source=IPv4Address(source),
            destination=IPv4Address(destination),
            options=packet[IPV4_HEADER:length],
        )


@dataclass(frozen=True, slots=True)
class IPv6Header:
    """An IPv6 header; `payload` is the length of what follows it."""

    version: int
    traffic_class: int
    flow: int
    payload: int
    next_header: int
    hop_limit: int
    source: IPv6Address
    destination: IPv6Address

    @classmethod
    def decode(cls, packet: bytes) -> IPv6Header:
        """The header at the start of `packet`, at least 40 bytes."""
        first, payload, next_header, hop_limit, source, destination = struct.unpack_from("!IHBB16s16s", packet)
        return cls(
            version=first >> 28,
            traffic_class=first >> 20 & 0xFF,
            flow=first & 0xFFFFF,
            payload=payload,
            next_header=next_header,
            hop_limit=hop_limit,
            source=IPv6Address(source),
            destination=IPv6Address(destination),
        )
