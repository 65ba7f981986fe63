"""The host that pfctl(8) runs on, as pf.conf(5) is read on it: interfaces, /etc/services, /etc/hosts, files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from vjail.command import names
from vjail.conf.pf.hosts import Surroundings, Unreadable
from vjail.conf.pf.printer import Names
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.pf import host_interface
from vjail.session import FileKind, Files, Session

_SERVICES = {
    ("ftp", "tcp"): 21, ("ssh", "tcp"): 22, ("telnet", "tcp"): 23, ("smtp", "tcp"): 25, ("domain", "tcp"): 53,
    ("domain", "udp"): 53, ("bootps", "udp"): 67, ("bootpc", "udp"): 68, ("tftp", "udp"): 69, ("http", "tcp"): 80,
    ("pop3", "tcp"): 110, ("ntp", "udp"): 123, ("imap", "tcp"): 143, ("snmp", "udp"): 161, ("bgp", "tcp"): 179,
    ("https", "tcp"): 443, ("syslog", "udp"): 514, ("http-alt", "tcp"): 8080,
}  # fmt: skip
"""What is known where a base has no /etc/services."""
_PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipencap": 4, "tcp": 6, "udp": 17, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51,
    "ipv6-icmp": 58, "icmp6": 58, "ospf": 89, "carp": 112, "pfsync": 240,
}  # fmt: skip


def surroundings(session: Session) -> Surroundings:
    """What there is around a session."""
    return Surroundings(
        [host_interface(interface) for interface in session.system.interfaces()],
        _services(session.files),
        _protocols(session.files),
        partial(_addresses, session.files),
        partial(_content, session.files),
    )


def printed_names(session: Session, *, numeric: bool) -> Names:
    """The names of ports and protocols as pfctl prints them."""
    protocols: dict[int, str] = {}
    for name, number in _protocols(session.files).items():
        protocols.setdefault(number, name)
    services: dict[tuple[int, str], str] = {}
    for (name, proto), port in _services(session.files).items():
        services.setdefault((port, proto), name)
    return Names(protocols.get, lambda port, proto: services.get((port, proto)), numeric=numeric)


def _addresses(files: Files, name: str) -> list[IPv4Address | IPv6Address]:
    return [found.address for found in names.resolve(files, name)]


def _content(files: Files, path: str) -> bytes:
    try:
        if files.kind(path) is FileKind.DIRECTORY:
            raise KernelError(Errno.EISDIR)
        return files.read(path)
    except KernelError as error:
        raise Unreadable(error.errno.text) from None


def _services(files: Files) -> Mapping[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for words in _lines(files, "/etc/services"):
        port, slash, proto = words[1].partition("/")
        if slash and port.isdigit():
            for name in (words[0], *words[2:]):
                found.setdefault((name, proto), int(port))
    return found or _SERVICES


def _protocols(files: Files) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for words in _lines(files, "/etc/protocols"):
        if words[1].isdigit():
            for name in (words[0], *words[2:]):
                found.setdefault(name, int(words[1]))
    # FreeBSD's file names it so, not every machine's.
    return {**found, "icmp6": 58} if found else _PROTOCOLS


def _lines(files: Files, path: str) -> list[list[str]]:
    try:
        text = files.read(path).decode(errors="replace")
    except KernelError:
        return []
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [words for words in lines if len(words) > 1]
