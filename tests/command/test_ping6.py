"""IPv6: ping6, and ping of an IPv6 address."""

from collections.abc import Iterator
from ipaddress import IPv6Address

import pytest
from ping_virtual import IDENT, Reply, Request, after, echoed, epair, lines, refusing, run

from vjail.command.ping.packets import EchoMessage, Icmp6
from vjail.kernel.errno import Errno

ZERO = bytes(4)


def test_ping6() -> None:
    outcome = run("ping6 -c 2 2001:db8::2", after(0.25, 0.75), source="2001:db8::1")
    assert outcome.out == (
        "PING6(56=40+8+8 bytes) 2001:db8::1 --> 2001:db8::2\n"
        "16 bytes from 2001:db8::2, icmp_seq=0 hlim=64 time=0.250 ms\n"
        "16 bytes from 2001:db8::2, icmp_seq=1 hlim=64 time=0.750 ms\n"
        "\n"
        "--- 2001:db8::2 ping6 statistics ---\n"
        "2 packets transmitted, 2 packets received, 0.0% packet loss\n"
        "round-trip min/avg/max/std-dev = 0.250/0.500/0.750/0.250 ms\n"
    )
    assert (outcome.code, outcome.err) == (0, "")
    message = outcome.requests[1].message
    assert (message.kind, message.ident, message.sequence) == (Icmp6.ECHO_REQUEST, IDENT, 1)
    assert outcome.requests[1].packet[2:4] == b"\0\0"


def test_ping_of_an_ipv6_address_is_ping6() -> None:
    outcome = run("ping -c 1 -t 1 2001:db8::2", source="2001:db8::1")
    assert outcome.out == (
        "PING6(56=40+8+8 bytes) 2001:db8::1 --> 2001:db8::2\n\n"
        "--- 2001:db8::2 ping6 statistics ---\n"
        "1 packets transmitted, 0 packets received, 100.0% packet loss\n"
    )
    assert outcome.code == 2


def test_link_local() -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, echoed(request), zone="epair0b")

    outcome = run("ping6 -c 1 fe80::2%epair0b", network, source="fe80::1", interfaces=[epair()])
    assert outcome.out.split("\n")[:2] == [
        "PING6(56=40+8+8 bytes) fe80::1%epair0b --> fe80::2%epair0b",
        "16 bytes from fe80::2%epair0b, icmp_seq=0 hlim=64 time=1.000 ms",
    ]
    assert "--- fe80::2%epair0b ping6 statistics ---" in outcome.out
    assert (outcome.requests[0].destination, outcome.requests[0].zone) == (IPv6Address("fe80::2"), "epair0b")
    by_interface = run("ping6 -c 1 -I epair0b fe80::2", network, source="fe80::1", interfaces=[epair()])
    assert by_interface.out.startswith("PING6(56=40+8+8 bytes) fe80::1%epair0b --> fe80::2\n")
    assert by_interface.requests[0].zone == "epair0b"


def test_all_nodes() -> None:
    def network(request: Request) -> Iterator[Reply]:
        for host in (1, 2):
            yield Reply(host, echoed(request), IPv6Address(f"fe80::{host}"), zone="epair0b")

    outcome = run("ping6 -c 1 ff02::1%epair0b", network, source="fe80::1", interfaces=[epair()])
    assert outcome.out.startswith("PING6(56=40+8+8 bytes) fe80::1%epair0b --> ff02::1%epair0b\n16 bytes from fe80::1%")
    outcome = run("ping6 -c 2 ff02::1%epair0b", network, source="fe80::1", interfaces=[epair()])
    assert lines(outcome)[1] == "16 bytes from fe80::2%epair0b, icmp_seq=0 hlim=64 time=2.000 ms(DUP!)"


def test_ping6_errors_of_sending() -> None:
    outcome = run("ping6 -c 2 -t 3 2001:db8::2", refusing(Errno.EHOSTUNREACH), source="2001:db8::1")
    assert lines(outcome) == ["ping6: wrote 2001:db8::2 16 chars, ret=-1"] * 2
    assert outcome.err == "ping6: sendmsg: No route to host\n" * 2
    assert outcome.code == 71


def test_ping6_sizes() -> None:
    outcome = run("ping6 -c 1 -s 1452 ::1", after(1), source="::1")
    assert outcome.out.startswith(
        "PING6(1500=40+8+1452 bytes) ::1 --> ::1\n1460 bytes from ::1, icmp_seq=0 hlim=64 time=1.000 ms\n"
    )
    outcome = run("ping6 -c 1 -s 4 ::1", after(1), source="::1")
    assert lines(outcome) == ["12 bytes from ::1, icmp_seq=0 hlim=64"]
    outcome = run("ping6 -c 1 -s 9000 ::1", after(1), source="::1")
    assert outcome.err == "ping6: you need -b to increase socket buffer size\n"


def test_ping6_wrong_data() -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, echoed(request, request.message.data[:9] + b"\0"))

    assert lines(run("ping6 -c 1 -s 10 ::1", network, source="::1"))[1] == (
        "wrong data byte #9 should be 0x9 but was 0x0"
    )


def test_ping6_information_is_the_statistics() -> None:
    outcome = run("ping6 -c 2 ::1", after(1), source="::1", signals=[(0.5, 29)])
    assert outcome.out.count("--- ::1 ping6 statistics ---") == 2
    assert outcome.err == ""


def quoting6(kind: int, code: int, rest: bytes, upper: bytes, next_header: int = 58) -> bytes:
    header = b"\x60\x01\x23\x45" + len(upper).to_bytes(2) + bytes([next_header, 63])
    header += IPv6Address("2001:db8::1").packed + IPv6Address("2001:db8::2").packed
    return bytes([kind, code, 0, 0]) + rest + header + upper


REQUEST6 = bytes([128, 0]) + bytes(14)


@pytest.mark.parametrize(
    ("kind", "code", "rest", "text"),
    [
        (1, 0, ZERO, "No Route to Destination"),
        (1, 1, ZERO, "Destination Administratively Unreachable"),
        (1, 2, ZERO, "Destination Unreachable Beyond Scope"),
        (1, 3, ZERO, "Destination Host Unreachable"),
        (1, 4, ZERO, "Destination Port Unreachable"),
        (1, 5, ZERO, "Destination Unreachable, Bad Code: 5"),
        (2, 0, b"\0\0\x05\0", "Packet too big mtu = 1280"),
        (3, 0, ZERO, "Time to live exceeded"),
        (3, 1, ZERO, "Frag reassembly time exceeded"),
        (3, 2, ZERO, "Time exceeded, Bad Code: 2"),
        (4, 0, b"\0\0\0\x06", "Parameter problem: Erroneous Header pointer = 0x06"),
        (4, 1, b"\0\0\0\x06", "Parameter problem: Unknown Nextheader pointer = 0x06"),
        (4, 2, b"\0\0\0\x28", "Parameter problem: Unrecognized Option pointer = 0x28"),
        (4, 3, ZERO, "Parameter problem: Bad code(3) pointer = 0x00"),
    ],
)
def test_ping6_errors(kind: int, code: int, rest: bytes, text: str) -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, quoting6(kind, code, rest, REQUEST6), IPv6Address("2001:db8::fe"))

    outcome = run("ping6 -v -c 1 -t 2 2001:db8::2", network, source="2001:db8::1")
    assert lines(outcome) == [
        f"64 bytes from 2001:db8::fe: {text}",
        "Vr TC  Flow Plen Nxt Hlim",
        " 6 00 12345 0010  3a   3f",
        "2001:db8::1->2001:db8::2",
        "ICMP6: type = 128, code = 0",
        "",
    ]
    assert lines(run("ping6 -c 1 -t 2 2001:db8::2", network, source="2001:db8::1")) == []


@pytest.mark.parametrize(
    ("next_header", "upper", "text"),
    [
        (17, bytes([4, 210, 0, 53]) + bytes(4), "UDP: from port 1234, to port 53 (decimal)"),
        (6, bytes([4, 210, 0, 22]) + bytes(4), "TCP: from port 1234, to port 22 (decimal)"),
        (0, bytes([58, 0]) + bytes(6) + REQUEST6, "HBH ICMP6: type = 128, code = 0"),
        (44, bytes([58, 0]) + bytes(6) + REQUEST6, "FRAG ICMP6: type = 128, code = 0"),
        (43, bytes([60, 1]) + bytes(14) + bytes([50, 0]) + bytes(6) + bytes(8), "RTHDR DSTOPT ESP"),
        (51, bytes([59, 1]) + bytes(10) + bytes(8), "AH Unknown Header(59)"),
        (58, bytes(4), "..."),
        (0, bytes([58, 9]) + bytes(6), "HBH ..."),
    ],
)
def test_ping6_errors_about_others(next_header: int, upper: bytes, text: str) -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, quoting6(1, 0, ZERO, upper, next_header))

    assert lines(run("ping6 -v -c 1 -t 2 2001:db8::2", network, source="2001:db8::1"))[4] == text


def test_ping6_other_messages() -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, request.packet)
        redirect = IPv6Address("fe80::9").packed + IPv6Address("2001:db8::7").packed
        yield Reply(2, bytes([137, 0]) + bytes(6) + redirect)
        yield Reply(3, bytes([200, 0]) + bytes(6))
        yield Reply(4, bytes([1, 0]) + bytes(6) + bytes(39))
        yield Reply(5, echoed(request))

    assert lines(run("ping6 -v -c 1 ::1", network, source="::1")) == [
        "16 bytes from ::1: Echo Request",
        "40 bytes from ::1: Redirect",
        "Destination: 2001:db8::7 New Target: fe80::9",
        "8 bytes from ::1: Bad ICMP type: 200",
        "47 bytes from ::1: No Route to Destination",
        "IP6...",
        "",
        "16 bytes from ::1, icmp_seq=0 hlim=64 dst=::1 time=5.000 ms",
    ]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (130, "Listener Query"),
        (131, "Listener Report"),
        (132, "Listener Done"),
        (133, "Router Solicitation"),
        (134, "Router Advertisement"),
        (135, "Neighbor Solicitation"),
        (136, "Neighbor Advertisement"),
        (137, "Bad ICMP type: 137"),
    ],
)
def test_ping6_messages_of_the_link(kind: int, text: str) -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, bytes([kind]) + bytes(23))

    assert lines(run("ping6 -v -c 1 -t 2 ::1", network, source="::1")) == [f"24 bytes from ::1: {text}"]


def test_ping6_output_options() -> None:
    outcome = run("ping6 -a -H -c 1 web", after(1), hosts="2001:db8::2 web.example web\n", source="2001:db8::1")
    assert outcome.out.startswith(
        "PING6(56=40+8+8 bytes) 2001:db8::1 --> web.example\n"
        "\a16 bytes from web.example, icmp_seq=0 hlim=64 time=1.000 ms\n"
    )
    assert "--- web.example ping6 statistics ---" in outcome.out
    outcome = run("ping6 -q -p beef -s 12 -c 1 ::1", after(1), source="::1")
    assert lines(outcome) == []
    assert outcome.requests[0].message.data[8:] == bytes.fromhex("beefbeef")
    assert run("ping6 -p beef -c 1 ::1", after(1), source="::1").out.startswith("PATTERN: 0xbeef\nPING6(")
    assert ".\b.\b.\b\n--- ::1 ping6" in run("ping6 -f -c 3 ::1", after(1), source="::1").out
    assert "1 packets out of wait time" in run("ping6 -W 100 -c 2 ::1", after(200, 1), source="::1").out


def test_ping6_of_a_bound_source_asks_for_none() -> None:
    outcome = run("ping6 -S 2001:db8::1 -c 1 2001:db8::2", after(1), source=Errno.ENETUNREACH)
    assert outcome.out.startswith("PING6(56=40+8+8 bytes) 2001:db8::1 --> 2001:db8::2\n16 bytes from")
    outcome = run("ping6 -S fe80::1%epair0b -c 1 fe80::2", after(1), interfaces=[epair()])
    assert outcome.out.startswith("PING6(56=40+8+8 bytes) fe80::1%epair0b --> fe80::2%epair0b\n")


def test_ping6_ended_by_a_signal() -> None:
    outcome = run("ping6 ::1", after(1), source="::1", signals=[(0.5, 15)])
    assert outcome.code == 143
    assert "statistics" not in outcome.out


def test_ping6_replies_to_others_are_not_ours() -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, EchoMessage(Icmp6.ECHO_REPLY, IDENT ^ 1, 0, bytes(8)).encode())
        yield Reply(2, b"\x81\0")

    assert run("ping6 -c 1 -t 2 ::1", network, source="::1").code == 2
