"""What travels: frames, and in them ARP, neighbour discovery and IP packets. Plain data.

As much of each as decides where it goes and whether it arrives. Lengths are in bytes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vjail.conf.pf.rules import Detour

IP = IPv4Address | IPv6Address

BROADCAST = b"\xff" * 6
_SOLICITED = int(IPv6Address("ff02::1:ff00:0"))
TTL = 64
"""The time to live, or hop limit, of what a host sends (net.inet.ip.ttl)."""


class Protocol(enum.IntEnum):
    """What an IP packet carries (netinet/in.h)."""

    ICMP = 1
    TCP = 6
    UDP = 17
    ICMP6 = 58


class Kind(enum.Enum):
    """The kinds of ICMP message that are told apart."""

    ECHO = "echo request"
    REPLY = "echo reply"
    UNREACHABLE = "unreachable"
    TOO_BIG = "too big"
    EXPIRED = "time exceeded"
    SOLICIT = "neighbour solicitation"
    ADVERT = "neighbour advertisement"


@dataclass(frozen=True, slots=True)
class Icmp:
    """An ICMP or ICMPv6 message; an error holds the packet it is `about`, a `TOO_BIG` the `mtu` that would do.

    `code` is the code of an `UNREACHABLE`, by the numbers of the packet's family.
    """

    kind: Kind
    ident: int = 0
    sequence: int = 0
    data: bytes = b""
    code: int = 0
    mtu: int = 0
    about: Packet | None = None


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a TCP segment or UDP datagram."""

    source: int
    destination: int


@dataclass(frozen=True, slots=True)
class Carried:
    """A frame in a UDP datagram of vxlan(4)."""

    vni: int
    port: int
    frame: Frame


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet of `size` bytes, header included; `pieces`: the size of its largest fragment, where it has any.

    `zone` is the ident of the interface whose link a link-local address is on, at the host where the packet is.
    """

    source: IP
    destination: IP
    message: Icmp | Ports | Carried
    protocol: Protocol
    size: int
    ttl: int = TTL
    dont_fragment: bool = False
    pieces: int = 0
    tag: str = ""
    """What pf's rules have tagged it with on its way through the host where it is."""
    detour: Detour | None = None
    """Where pf sends it, whatever the routes say, from the host where it is."""

    @property
    def length(self) -> int:
        """The bytes of it that must fit into a frame."""
        return self.pieces or self.size

    @property
    def is_error(self) -> bool:
        """Whether it tells of an error, about which no other may be told."""
        return isinstance(self.message, Icmp) and self.message.about is not None


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP request, or with `reply` an answer: addresses of the sender, and the one asked for."""

    sender: bytes
    address: IPv4Address
    target: IPv4Address
    reply: bool = False


@dataclass(frozen=True, slots=True)
class Discovery:
    """A neighbour solicitation, or with `advert` an advertisement: who sends it, and the address it is about."""

    sender: bytes
    address: IPv6Address
    target: IPv6Address
    advert: bool = False

    def packet(self) -> Packet:
        """The IP packet that it is, for who filters such."""
        destination = self.target if self.advert else IPv6Address(_SOLICITED | int(self.target) & 0xFFFFFF)
        message = Icmp(Kind.ADVERT if self.advert else Kind.SOLICIT)
        return Packet(self.address, destination, message, Protocol.ICMP6, 72)


@dataclass(frozen=True, slots=True)
class Hello:
    """A frame that says nothing, from somebody who wants to be known to bridges."""


Payload = Arp | Discovery | Packet | Hello


@dataclass(frozen=True, slots=True)
class Tag:
    """An 802.1Q (or 802.1ad) tag."""

    vlan: int
    proto: int


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame; the outermost of its `tags` stands first."""

    destination: bytes
    source: bytes
    payload: Payload
    tags: tuple[Tag, ...] = ()

    @property
    def is_group(self) -> bool:
        """Whether it is broadcast or multicast."""
        return bool(self.destination[0] & 1)

    @property
    def length(self) -> int:
        """The bytes of its payload, the tags not counted."""
        return self.payload.length if isinstance(self.payload, Packet) else 46


def group_address(address: IP) -> bytes:
    """The group MAC address that stands for a multicast IP address (RFC 1112, RFC 2464)."""
    octets = address.packed
    if address.version == 4:
        return b"\x01\x00\x5e" + bytes((octets[1] & 0x7F,)) + octets[2:]
    return b"\x33\x33" + octets[-4:]


def solicited(address: IPv6Address) -> bytes:
    """The group MAC address on which who has an address listens for solicitations (RFC 4291)."""
    return b"\x33\x33\xff" + address.packed[-3:]
