"""Addresses and bits in the forms FreeBSD's C library and utilities print them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

Bits = Sequence[tuple[int, str]]
"""Masks and names, in the order in which the names are printed."""


def inet_ntop(address: IPv4Address | IPv6Address) -> str:
    """An address as inet_ntop(3) prints it: IPv6's with an IPv4 part where one is embedded (`::ffff:10.0.0.1`)."""
    if isinstance(address, IPv4Address):
        return str(address)
    value = int(address)
    low = str(IPv4Address(value & 0xFFFFFFFF))
    if value >> 32 == 0xFFFF:
        return f"::ffff:{low}"
    if value >> 32 == 0 and value > 1:
        return f"::{low}"
    return str(address)


def scoped(address: IPv4Address | IPv6Address, zone: str | None) -> str:
    """An address as getnameinfo(3) prints it: a link-local one with its interface (`fe80::1%em0`)."""
    text = inet_ntop(address)
    return (
        f"{text}%{zone}" if zone and address.version == 6 and (address.is_link_local or address.is_multicast) else text
    )


def ether_ntoa(lladdr: bytes) -> str:
    """A link-layer address as ether_ntoa(3) prints it."""
    return lladdr.hex(":")


def ether_aton(text: str) -> bytes | None:
    """Six hexadecimal numbers of one or two digits between colons as bytes; None for anything else."""
    parts = text.split(":")
    if len(parts) != 6 or not all(1 <= len(part) <= 2 and set(part) <= _HEXADECIMAL for part in parts):
        return None
    return bytes(int(part, 16) for part in parts)


_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")


def with_bits(name: str, value: int, bits: Bits) -> str:
    """A number with the names of its bits as printb prints it: `flags=3<UP,BROADCAST>`."""
    number = int(value)  # of a flag each & would make another flag
    return f"{name}={number:x}<{','.join(text for mask, text in bits if number & int(mask))}>"


def atoi(text: str) -> int:
    """What atoi(3) makes of a text: the number at its start, 0 where none is there."""
    digits = text.strip()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-") if digits[:1] in "+-" else digits
    end = next((place for place, character in enumerate(digits) if not "0" <= character <= "9"), len(digits))
    return sign * int(digits[:end]) if end else 0


def strtoul(text: str) -> int | None:
    """A whole text as strtoul(3) with base 0 reads it (`16`, `0x10`, `020`); None where something is left over."""
    stripped = text.strip()
    try:
        if stripped.lower().startswith("0x"):
            return int(stripped, 16)
        if len(stripped) > 1 and stripped.startswith("0"):
            return int(stripped, 8)
        return int(stripped, 10) if stripped.isdecimal() else None
    except ValueError:
        return None
