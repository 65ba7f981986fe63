"""Host names and addresses: numeric texts as inet_aton(3) and getaddrinfo(3) read them, and the caller's /etc/hosts.

No DNS: a lab has no name server, and a name not in /etc/hosts does not resolve.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from vjail.kernel.errno import KernelError
from vjail.session import Files

Address = IPv4Address | IPv6Address

HOSTS = "/etc/hosts"

HOST_NOT_FOUND = "Unknown host"
"""What hstrerror(3) says of a name that gethostbyname2(3) does not find."""

EAI_NONAME = "Name does not resolve"
"""What gai_strerror(3) says of a name that getaddrinfo(3) does not find."""


class Family(enum.Enum):
    """Which addresses are wanted; the value is the version of IP."""

    INET = 4
    INET6 = 6


@dataclass(frozen=True, slots=True)
class Resolved:
    """An address found for a name.

    `zone` is the interface of a scoped IPv6 address (`fe80::1%em0`), `canonical` the first name of the line in
    /etc/hosts, or the text itself where that was numeric.
    """

    address: Address
    zone: str | None
    canonical: str

    @property
    def family(self) -> Family:
        """The address's family."""
        return Family(self.address.version)


def inet_aton(text: str) -> IPv4Address | None:
    """An IPv4 address of one to four parts, each decimal, octal (`010`) or hexadecimal (`0x0a`); None where it is none.

    The last part fills the bytes that are left: `127.1` is 127.0.0.1. Source: inet_aton(3).
    """
    parts = text.split(".")
    if len(parts) > 4:
        return None
    numbers = [_part(part) for part in parts]
    if None in numbers:
        return None
    *high, low = [number for number in numbers if number is not None]
    if any(number > 0xFF for number in high) or low >= 1 << 8 * (4 - len(high)):
        return None
    return IPv4Address(low | sum(number << 24 - 8 * index for index, number in enumerate(high)))


def _part(text: str) -> int | None:
    if re.fullmatch(r"0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    if re.fullmatch(r"0[0-7]*", text):
        return int(text, 8)
    return int(text) if re.fullmatch(r"[1-9][0-9]*", text) else None


def inet_pton(text: str) -> Address | None:
    """An address in the plain form of its family, without a zone; None where it is none. Source: inet_pton(3)."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", text):
        try:
            return IPv4Address(text)
        except AddressValueError:
            return None
    try:
        return None if "%" in text else IPv6Address(text)
    except AddressValueError:
        return None


def numeric(text: str) -> Resolved | None:
    """What getaddrinfo(3) makes of a numeric host: an IPv4 address, or an IPv6 address with or without a zone."""
    address4 = inet_aton(text)
    if address4 is not None:
        return Resolved(address4, None, text)
    plain, percent, zone = text.partition("%")
    address = inet_pton(plain)
    if not isinstance(address, IPv6Address) or bool(percent) != bool(zone):
        return None
    return Resolved(address, zone or None, text)


def resolve(files: Files, name: str, family: Family | None = None) -> Sequence[Resolved]:
    """The addresses of `name`, of one family or of both, in the order of /etc/hosts; none where it does not resolve."""
    known = numeric(name)
    found: Iterator[Resolved] = iter((known,)) if known else _by_name(files, name)
    return [each for each in found if family is None or each.family is family]


def _by_name(files: Files, name: str) -> Iterator[Resolved]:
    wanted = name.removesuffix(".").lower()
    for line in _hosts(files):
        if wanted in (alias.lower() for alias in line.names):
            yield Resolved(line.address, line.zone, line.names[0])


def name_of(files: Files, address: Address) -> str | None:
    """The name /etc/hosts gives an address, None where it gives none."""
    return next((line.names[0] for line in _hosts(files) if line.address == address), None)


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of /etc/hosts."""

    address: Address
    zone: str | None
    names: tuple[str, ...]


def _hosts(files: Files) -> Iterator[_Line]:
    """The lines of /etc/hosts that name an address; none where there is no such file. Source: hosts(5)."""
    try:
        text = files.read(HOSTS).decode(errors="replace")
    except KernelError:
        return
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) < 2:
            continue
        host = numeric(words[0])
        if host is not None:
            yield _Line(host.address, host.zone, tuple(words[1:]))
