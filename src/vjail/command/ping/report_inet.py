"""What ping prints of an ICMP message that is no echo reply: its meaning, and the header of the packet it quotes.

Pure: bytes to text. Source of the texts and columns: FreeBSD sbin/ping/ping.c (pr_icmph, pr_iph, pr_retip) as of
early 2023. One known difference: 13.2 takes the fragment field in the wrong byte order and so shows `Flg` and `off`
as 0 always; here they are shown as they are.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from vjail.command.ping.packets import Icmp, IPv4Header, Protocol

QUOTED_MINIMUM = 20 + 28
"""Bytes an error must quote to be looked at: an IPv4 header and FreeBSD's whole struct icmp, since 2022."""

_UNREACHABLE = {
    0: "Destination Net Unreachable",
    1: "Destination Host Unreachable",
    2: "Destination Protocol Unreachable",
    3: "Destination Port Unreachable",
    5: "Source Route Failed",
    13: "Communication prohibited by filter",
}
_REDIRECT = {
    0: "Redirect Network",
    1: "Redirect Host",
    2: "Redirect Type of Service and Network",
    3: "Redirect Type of Service and Host",
}
_EXCEEDED = {0: "Time to live exceeded", 1: "Frag reassembly time exceeded"}
_UNQUOTED: dict[int, str] = {
    Icmp.ECHOREPLY: "Echo Reply",
    Icmp.ECHO: "Echo Request",
    Icmp.ROUTERADVERT: "Router Advertisement",
    Icmp.ROUTERSOLICIT: "Router Solicitation",
    Icmp.TSTAMP: "Timestamp",
    Icmp.TSTAMPREPLY: "Timestamp Reply",
    Icmp.IREQ: "Information Request",
    Icmp.IREQREPLY: "Information Reply",
    Icmp.MASKREQ: "Address Mask Request",
    Icmp.MASKREPLY: "Address Mask Reply",
}


def report(message: bytes) -> str:
    """The lines for an ICMP message that quotes at least an IPv4 header and 4 bytes."""
    kind, code, quoted = message[0], message[1], message[8:]
    match kind:
        case Icmp.UNREACH if code == 4:
            meaning = f"frag needed and DF set (MTU {int.from_bytes(message[6:8])})"
        case Icmp.UNREACH:
            meaning = _UNREACHABLE.get(code, f"Dest Unreachable, Bad Code: {code}")
        case Icmp.SOURCEQUENCH:
            meaning = "Source Quench"
        case Icmp.REDIRECT:
            meaning = _REDIRECT.get(code, f"Redirect, Bad Code: {code}") + f"(New addr: {IPv4Address(message[4:8])})"
        case Icmp.TIMXCEED:
            meaning = _EXCEEDED.get(code, f"Time exceeded, Bad Code: {code}")
        case Icmp.PARAMPROB:
            meaning = f"Parameter problem: pointer = 0x{message[4]:02x}"
        case _:
            return _UNQUOTED.get(kind, f"Bad ICMP type: {kind}") + "\n"
    return f"{meaning}\n{_header(IPv4Header.decode(quoted))}{_ports(quoted)}"


def _header(header: IPv4Header) -> str:
    return (
        "Vr HL TOS  Len   ID Flg  off TTL Pro  cks      Src      Dst\n"
        f" {header.version:x}  {header.length // 4:x}  {header.tos:02x} {header.total:04x} {header.ident:04x}"
        f"   {header.flags:x} {header.offset:04x}  {header.ttl:02x}  {header.protocol:02x} {header.checksum:04x}"
        f" {header.source}  {header.destination} {header.options.hex()}\n"
    )


def _ports(quoted: bytes) -> str:
    header = IPv4Header.decode(quoted)
    if header.protocol not in (Protocol.TCP, Protocol.UDP):
        return ""
    ports = quoted[header.length : header.length + 4]
    name = Protocol(header.protocol).name
    return f"{name}: from port {int.from_bytes(ports[:2])}, to port {int.from_bytes(ports[2:])} (decimal)\n"
