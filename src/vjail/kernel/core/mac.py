"""The link-layer addresses FreeBSD gives epairs, bridges and taps: from hostid, hostuuid, names and a counter.

Pure arithmetic. Sources: FreeBSD 13.2 sys/net/if_epair.c, sys/net/if_ethersubr.c (ether_gen_addr),
sys/net/if_bridge.c, sys/libkern/jenkins_hash.c, on amd64, where char is signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from vjail.release import Release

_WORD = 0xFFFFFFFF
_FREEBSD = bytes.fromhex("589cfc")
"""The FreeBSD Foundation's block, of which generated addresses are taken."""

EPAIR_BY_NAME = "net.link.epair.ether_gen_addr"
"""The sysctl by which, from release 15 on, epairs get their addresses from their names."""

NO_UUID = "00000000-0000-0000-0000-000000000000"
"""A jail's host.hostuuid unless it was given one."""

Randomness = Callable[[int], bytes]
"""That many random bytes, as os.urandom gives them."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What addresses are made from: kern.hostid and kern.hostuuid of the jail that makes them, and its name."""

    hostid: int
    hostuuid: str
    jail: str
    """`0` for the host itself."""


def jenkins_hash32(words: tuple[int, int, int]) -> int:
    """Jenkins' lookup3 hash of three 32-bit words with seed 0. Source: sys/libkern/jenkins_hash.c."""
    a = b = c = 0xDEADBEEF + 12 & _WORD
    a, b, c = a + words[0] & _WORD, b + words[1] & _WORD, c + words[2] & _WORD
    c = (c ^ b) - _rotated(b, 14) & _WORD
    a = (a ^ c) - _rotated(c, 11) & _WORD
    b = (b ^ a) - _rotated(a, 25) & _WORD
    c = (c ^ b) - _rotated(b, 16) & _WORD
    a = (a ^ c) - _rotated(c, 4) & _WORD
    b = (b ^ a) - _rotated(a, 14) & _WORD
    return (c ^ b) - _rotated(b, 24) & _WORD


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> 32 - bits) & _WORD


def epair(
    release: Release, identity: Identity, counter: int, names: tuple[str, str], random: Randomness, *, by_name: bool
) -> list[bytes]:
    """The addresses of an epair's a and b end; `counter` counts the epairs made since the system came up.

    `by_name`: each end's is `generated` from its name, as release 15 does unless EPAIR_BY_NAME is 0.
    """
    if by_name:
        return [generated(release, identity, name, random) for name in names]
    if identity.hostid == 0:
        varying = random(4)
    else:
        words = (counter, identity.hostid & _WORD, identity.hostid >> 32 & _WORD)
        varying = jenkins_hash32(words).to_bytes(4, "little")
    return [b"\x02" + varying + end for end in (b"\x0a", b"\x0b")]


def bridge(release: Release, identity: Identity, name: str, unit: int, random: Randomness) -> bytes:
    """The address of a bridge; in release 12 from the hostid and the unit, else as `generated`."""
    if release >= Release.V13:
        return generated(release, identity, name, random)
    if identity.hostid == 0:
        return arbitrary(random)
    return b"\x02" + (identity.hostid & _WORD).to_bytes(4, "big") + bytes((unit & 0xFF,))


def generated(release: Release, identity: Identity, name: str, random: Randomness) -> bytes:
    """The address ether_gen_addr(9) makes for an interface called `name`.

    Up to release 14 the digest's bytes are signed when they are put together: any of the lower two that is above 0x7f
    sets every bit above itself.
    """
    if identity.hostuuid == NO_UUID:
        return arbitrary(random)
    digest = hashlib.sha1(f"{identity.hostuuid}-{name}-{identity.jail}".encode(), usedforsecurity=False).digest()
    if release >= Release.V15:
        return _FREEBSD + bytes((0x10, digest[0], digest[1]))
    high, middle, low = (byte - 0x100 if byte > 0x7F else byte for byte in digest[:3])
    return _FREEBSD + ((high << 16 | middle << 8 | low) & 0x10FFFF).to_bytes(3, "big")


def arbitrary(random: Randomness) -> bytes:
    """A random address, unicast and locally administered."""
    octets = random(6)
    return bytes((octets[0] & 0xFE | 0x02,)) + octets[1:]


def nic_address(lab: str, host: str, nic: str) -> bytes:
    """The address of a lab host's NIC, the same each time the lab is brought up."""
    digest = hashlib.sha256(f"{lab}\0{host}\0{nic}".encode()).digest()
    return bytes((digest[0] & 0xFC | 0x02, *digest[1:6]))


def interface_identifier(lladdr: bytes) -> int:
    """The lower 64 bits of an IPv6 address made from an Ethernet address (modified EUI-64, RFC 4291)."""
    return int.from_bytes(bytes((lladdr[0] ^ 0x02,)) + lladdr[1:3] + b"\xff\xfe" + lladdr[3:], "big")
