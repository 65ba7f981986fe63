"""What an IPv4 ping says of errors: of the network, of sending, and before the first request."""

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any, cast

import pytest
from ping_virtual import Reply, Request, lines, refusing, run

from vjail.kernel.errno import Errno


def quoting(kind: int, code: int, rest: bytes, request: Request, *, flags: int = 0, options: bytes = b"") -> bytes:
    """An ICMP error about `request`, which it quotes whole."""
    header = bytes([0x45 + len(options) // 4, 0]) + (20 + len(options) + len(request.packet)).to_bytes(2) + b"\0\1"
    header += (flags << 13).to_bytes(2) + bytes([64, 1]) + b"\xb6\xa4"
    header += IPv4Address("192.0.2.1").packed + cast(IPv4Address, request.destination).packed + options
    return bytes([kind, code, 0, 0]) + rest + header + request.packet


HEADING = "Vr HL TOS  Len   ID Flg  off TTL Pro  cks      Src      Dst"
QUOTED = " 4  5  00 0054 0001   0 0000  40  01 b6a4 192.0.2.1  10.0.0.2 "
ZERO = bytes(4)


@pytest.mark.parametrize(
    ("kind", "code", "rest", "text"),
    [
        (3, 0, ZERO, "Destination Net Unreachable"),
        (3, 1, ZERO, "Destination Host Unreachable"),
        (3, 2, ZERO, "Destination Protocol Unreachable"),
        (3, 3, ZERO, "Destination Port Unreachable"),
        (3, 4, b"\0\0\x05\x14", "frag needed and DF set (MTU 1300)"),
        (3, 5, ZERO, "Source Route Failed"),
        (3, 9, ZERO, "Dest Unreachable, Bad Code: 9"),
        (3, 13, ZERO, "Communication prohibited by filter"),
        (4, 0, ZERO, "Source Quench"),
        (5, 0, b"\x0a\0\0\x09", "Redirect Network(New addr: 10.0.0.9)"),
        (5, 1, b"\x0a\0\0\x09", "Redirect Host(New addr: 10.0.0.9)"),
        (5, 2, b"\x0a\0\0\x09", "Redirect Type of Service and Network(New addr: 10.0.0.9)"),
        (5, 3, b"\x0a\0\0\x09", "Redirect Type of Service and Host(New addr: 10.0.0.9)"),
        (5, 4, b"\x0a\0\0\x09", "Redirect, Bad Code: 4(New addr: 10.0.0.9)"),
        (11, 0, ZERO, "Time to live exceeded"),
        (11, 1, ZERO, "Frag reassembly time exceeded"),
        (11, 2, ZERO, "Time exceeded, Bad Code: 2"),
        (12, 0, b"\x14\0\0\0", "Parameter problem: pointer = 0x14"),
    ],
)
def test_errors(kind: int, code: int, rest: bytes, text: str) -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, quoting(kind, code, rest, request), IPv4Address("10.0.0.254"))

    outcome = run("ping -q -c 1 -t 2 10.0.0.2", network)
    assert outcome.out == (
        "PING 10.0.0.2 (10.0.0.2): 56 data bytes\n"
        f"92 bytes from 10.0.0.254: {text}\n{HEADING}\n{QUOTED}\n\n\n"
        "--- 10.0.0.2 ping statistics ---\n"
        "1 packets transmitted, 0 packets received, 100.0% packet loss\n"
    )
    assert outcome.code == 2
    assert "Vr HL" not in run("ping -Q -c 1 -t 2 10.0.0.2", network).out


def test_an_error_about_a_packet_with_options_shows_them() -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, quoting(3, 1, ZERO, request, flags=2, options=b"\1" * 8))

    assert lines(run("ping -c 1 -t 2 10.0.0.2", network)) == [
        "100 bytes from 10.0.0.2: Destination Host Unreachable",
        HEADING,
        " 4  7  00 005c 0001   2 0000  40  01 b6a4 192.0.2.1  10.0.0.2 0101010101010101",
        "",
    ]


def test_errors_about_others_are_shown_to_root_with_v_only() -> None:
    def network(request: Request) -> Iterator[Reply]:
        other = Request(0, 0.0, IPv4Address("10.0.0.3"), request.packet, None)
        yield Reply(1, quoting(3, 1, ZERO, other))
        yield Reply(2, quoting(3, 1, ZERO, request)[:40])
        yield Reply(3, bytes([9, 0]) + bytes(60))

    assert lines(run("ping -c 1 -t 2 10.0.0.2", network)) == []
    verbose = run("ping -v -c 1 -t 2 10.0.0.2", network)
    assert [line for line in lines(verbose) if "bytes from" in line] == [
        "92 bytes from 10.0.0.2: Destination Host Unreachable"
    ]
    assert verbose.err == (
        "ping: quoted data too short (32 bytes) from 10.0.0.2\nping: inner IHL too short (0 bytes) from 10.0.0.2\n"
    )
    assert lines(run("ping -v -c 1 -t 2 10.0.0.2", network, uid=1001)) == []


@pytest.mark.parametrize(("quoted", "shown"), [(8, False), (27, False), (28, True)])
def test_an_error_must_quote_28_bytes_of_the_request(quoted: int, shown: bool) -> None:
    """FreeBSD's own routers quote 8 (net.inet.icmp.quotelen): since 2022 ping does not show their errors."""

    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, quoting(11, 0, ZERO, request)[: 8 + 20 + quoted])

    assert ("Time to live exceeded" in run("ping -c 1 -t 2 10.0.0.2", network).out) is shown


def test_an_error_that_quotes_too_little_after_options() -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, quoting(3, 1, ZERO, request, options=b"\1" * 40)[: 8 + 60 + 27])

    outcome = run("ping -v -c 1 -t 2 10.0.0.2", network)
    assert outcome.err == "ping: inner packet too short (87 bytes) from 10.0.0.2\n"


@pytest.mark.parametrize(
    ("kind", "text"), [(9, "Router Advertisement"), (18, "Address Mask Reply"), (77, "Bad ICMP type: 77")]
)
def test_messages_that_quote_nothing(kind: int, text: str) -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, bytes([kind]) + quoting(0, 0, ZERO, request)[1:])

    assert lines(run("ping -v -c 1 -t 2 10.0.0.2", network)) == [f"92 bytes from 10.0.0.2: {text}", ""]


def test_an_error_shows_the_ports_of_what_others_sent() -> None:
    def network(request: Request) -> Iterator[Reply]:
        message = bytearray(quoting(3, 3, ZERO, request))
        message[8 + 9] = 17
        message[28:32] = bytes([0x04, 0xD2, 0x00, 0x35])
        yield Reply(1, bytes(message))

    assert lines(run("ping -v -c 1 -t 2 10.0.0.2", network))[3] == "UDP: from port 1234, to port 53 (decimal)"


@pytest.mark.parametrize("errno", [Errno.EHOSTDOWN, Errno.EHOSTUNREACH, Errno.EACCES, Errno.EMSGSIZE])
def test_errors_of_sending(errno: Errno) -> None:
    outcome = run("ping -c 2 -t 3 10.0.0.2", refusing(errno))
    assert outcome.err == f"ping: sendto: {errno.text}\n" * 2
    assert outcome.out.endswith(
        "\n\n--- 10.0.0.2 ping statistics ---\n2 packets transmitted, 0 packets received, 100.0% packet loss\n"
    )
    assert outcome.code == 2


NO_ADDRESS = Errno.EADDRNOTAVAIL


@pytest.mark.parametrize(
    ("line", "given", "err", "code"),
    [
        ("ping nowhere", {}, "ping: Unknown host", 1),
        ("ping -4 nowhere", {}, "ping: cannot resolve nowhere: Unknown host", 68),
        ("ping -6 nowhere", {}, "ping: Name does not resolve", 1),
        ("ping6 nowhere", {}, "ping6: Name does not resolve", 1),
        ("ping -S nowhere 10.0.0.2", {}, "ping: cannot resolve nowhere: Unknown host", 68),
        ("ping fe80::1%em9", {}, "ping: Unknown host", 1),
        ("ping6 fe80::1%em9", {}, "ping6: Name does not resolve", 1),
        ("ping -S 10.9.9.9 10.0.0.2", {"socket": NO_ADDRESS}, "ping: bind: Can't assign requested address", 1),
        ("ping6 -S 2001:db8::9 ::1", {"socket": NO_ADDRESS}, "ping6: bind: Can't assign requested address", 1),
        ("ping 10.0.0.2", {"socket": Errno.EPERM}, "ping: ssend socket: Operation not permitted", 71),
        (
            "ping localhost",
            {"socket": Errno.EPERM, "hosts": "::1 localhost\n127.0.0.1 localhost\n"},
            "ping: socket ssend: Operation not permitted",
            1,
        ),
        ("ping6 ::1", {"socket": Errno.EPERM}, "ping6: socket ssend: Operation not permitted", 1),
        ("ping 2001:db8::2", {"source": Errno.EHOSTUNREACH}, "ping: UDP connect: No route to host", 1),
        ("ping6 -I em9 ::1", {}, "ping6: em9: invalid interface name", 1),
        ("ping -f 224.0.0.1", {}, "ping: -f flag cannot be used with multicast destination", 64),
        ("ping -T 3 10.0.0.2", {}, "ping: -I, -L, -T flags cannot be used with unicast destination", 64),
        ("ping -I 10.0.0.9 224.0.0.1", {}, "ping: setsockopt IP_MULTICAST_IF: Can't assign requested address", 71),
    ],
)
def test_before_the_first_request(line: str, given: dict[str, Any], err: str, code: int) -> None:
    outcome = run(line, **given)
    assert (outcome.out, outcome.err, outcome.code) == ("", f"{err}\n", code)
