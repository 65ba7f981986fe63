"""What ping6 -v prints of an ICMPv6 message that is no echo reply: its meaning, and what packet it quotes.

Pure: bytes to text. Source of the texts and columns: FreeBSD sbin/ping/ping6.c (pr_icmph, pr_iph, pr_retip).
"""

from __future__ import annotations

from ipaddress import IPv6Address

from vjail.command.numeric import inet_ntop
from vjail.command.ping.packets import IPV6_HEADER, Icmp6, IPv6Header, Protocol

_UNREACHABLE = {
    0: "No Route to Destination",
    1: "Destination Administratively Unreachable",
    2: "Destination Unreachable Beyond Scope",
    3: "Destination Host Unreachable",
    4: "Destination Port Unreachable",
}
_EXCEEDED = {0: "Time to live exceeded", 1: "Frag reassembly time exceeded"}
_PROBLEM = {0: "Erroneous Header", 1: "Unknown Nextheader", 2: "Unrecognized Option"}
_UNQUOTED: dict[int, str] = {
    Icmp6.ECHO_REQUEST: "Echo Request",
    Icmp6.ECHO_REPLY: "Echo Reply",
    Icmp6.MEMBERSHIP_QUERY: "Listener Query",
    Icmp6.MEMBERSHIP_REPORT: "Listener Report",
    Icmp6.MEMBERSHIP_REDUCTION: "Listener Done",
    Icmp6.ROUTER_SOLICIT: "Router Solicitation",
    Icmp6.ROUTER_ADVERT: "Router Advertisement",
    Icmp6.NEIGHBOR_SOLICIT: "Neighbor Solicitation",
    Icmp6.NEIGHBOR_ADVERT: "Neighbor Advertisement",
}
_EXTENSIONS = {
    Protocol.HOPOPTS: "HBH ",
    Protocol.DSTOPTS: "DSTOPT ",
    Protocol.FRAGMENT: "FRAG ",
    Protocol.ROUTING: "RTHDR ",
    Protocol.AH: "AH ",
}


def report(message: bytes) -> str:
    """The lines for an ICMPv6 message of at least 8 bytes; those that quote nothing end without a line end."""
    kind, code, word = message[0], message[1], int.from_bytes(message[4:8])
    match kind:
        case Icmp6.DST_UNREACH:
            meaning = _UNREACHABLE.get(code, f"Destination Unreachable, Bad Code: {code}")
        case Icmp6.PACKET_TOO_BIG:
            meaning = f"Packet too big mtu = {word}"
        case Icmp6.TIME_EXCEEDED:
            meaning = _EXCEEDED.get(code, f"Time exceeded, Bad Code: {code}")
        case Icmp6.PARAM_PROB:
            meaning = f"Parameter problem: {_PROBLEM.get(code, f'Bad code({code})')} pointer = 0x{word:02x}"
        case Icmp6.REDIRECT if len(message) >= 40:
            target, destination = IPv6Address(message[8:24]), IPv6Address(message[24:40])
            return f"Redirect\nDestination: {inet_ntop(destination)} New Target: {inet_ntop(target)}"
        case _:
            return _UNQUOTED.get(kind, f"Bad ICMP type: {kind}")
    return f"{meaning}\n{_quoted(message[8:])}"


def _quoted(packet: bytes) -> str:
    """The quoted packet's header, and what is known of what follows it."""
    if len(packet) < IPV6_HEADER:
        return "IP6...\n"
    header = IPv6Header.decode(packet)
    text = (
        "Vr TC  Flow Plen Nxt Hlim\n"
        f" {header.version:x} {header.traffic_class:02x} {header.flow:05x} {header.payload:04x}"
        f"  {header.next_header:02x}   {header.hop_limit:02x}\n"
        f"{inet_ntop(header.source)}->{inet_ntop(header.destination)}\n"
    )
    return text + _upper(packet[IPV6_HEADER:], header.next_header)


def _upper(data: bytes, protocol: int) -> str:
    """The chain of extension headers and the protocol at its end."""
    text = ""
    while len(data) >= 8:
        match protocol:
            case Protocol.ICMPV6:
                return f"{text}ICMP6: type = {data[0]}, code = {data[1]}\n"
            case Protocol.ESP:
                return f"{text}ESP\n"
            case Protocol.TCP | Protocol.UDP:
                ports = f"from port {int.from_bytes(data[:2])}, to port {int.from_bytes(data[2:4])} (decimal)"
                return f"{text}{Protocol(protocol).name}: {ports}\n"
            case Protocol.FRAGMENT:
                length = 8
            case Protocol.AH:
                length = (data[1] + 2) * 4
            case Protocol.HOPOPTS | Protocol.DSTOPTS | Protocol.ROUTING:
                length = (data[1] + 1) * 8
            case _:
                return f"{text}Unknown Header({protocol})\n"
        text += _EXTENSIONS[Protocol(protocol)]
        protocol = data[0]
        data = data[length:]
    return f"{text}...\n"
