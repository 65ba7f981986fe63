"""The course and the output of an IPv4 ping, beyond what was recorded."""

import asyncio
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import cast

import pytest
from ping_virtual import IDENT, START, Reply, Request, VirtualSession, after, echoed, epair, lines, run

from vjail.command.ping import ping
from vjail.command.ping.packets import EchoMessage, Icmp, checksum
from vjail.kernel.errno import Errno, KernelError
from vjail.session import EchoOptions, Session


def test_a_request_goes_out_every_second_and_the_last_reply_ends_it() -> None:
    outcome = run("ping -c 3 10.0.0.2", after(2, 3, 4))
    assert [request.when - START for request in outcome.requests] == [0, 1, 2]
    assert outcome.seconds == pytest.approx(2.004)


def test_what_goes_out() -> None:
    (request,) = run("ping -c 1 10.0.0.2", after(1)).requests
    assert request.destination == IPv4Address("10.0.0.2")
    assert checksum(request.packet) == 0
    message = request.message
    assert (message.kind, message.code, message.ident, message.sequence) == (Icmp.ECHO, 0, IDENT, 0)
    assert message.data == (1000).to_bytes(4) + bytes(4) + bytes(range(8, 56))


def test_without_replies_it_waits_ten_seconds_after_the_last_interval() -> None:
    assert run("ping -c 2 10.0.0.2").seconds == 12.0
    assert run("ping -c 2 -W 500 10.0.0.2").seconds == 2.5
    assert run("ping -c 2 -t 4 10.0.0.2").seconds == 4.0
    assert run("ping -c 1 -t 1 10.0.0.2").seconds == 1.0


def test_after_some_replies_it_waits_two_round_trips_and_at_least_a_second() -> None:
    assert run("ping -c 2 10.0.0.2", after(2, None)).seconds == 3.0
    assert run("ping -c 4 10.0.0.2", after(2500, None)).seconds == 4.0 + 5.0


def test_the_timeout_ends_it_before_the_request_due_then() -> None:
    outcome = run("ping -t 3 10.0.0.2", after(1))
    assert len(outcome.requests) == 3
    assert outcome.code == 0


def test_once_ends_it_with_the_first_reply() -> None:
    outcome = run("ping -o 10.0.0.2", after(None, None, 5))
    assert [request.number for request in outcome.requests] == [0, 1, 2]
    assert "3 packets transmitted, 1 packets received, 66.7% packet loss\n" in outcome.out


def test_preload() -> None:
    outcome = run("ping -c 5 -l 3 10.0.0.2", after(2))
    assert [request.when - START for request in outcome.requests] == [0, 0, 0, 1, 2]
    assert len(run("ping -c 2 -l 3 10.0.0.2", after(2)).requests) == 2


def test_flood() -> None:
    outcome = run("ping -f -c 4 10.0.0.2", after(1, None, 1, 1))
    assert [round(request.when - START, 6) for request in outcome.requests] == [0, 0.001, 0.011, 0.012]
    assert outcome.out == (
        "PING 10.0.0.2 (10.0.0.2): 56 data bytes\n"
        ".\b..\b.\b\n"
        "--- 10.0.0.2 ping statistics ---\n"
        "4 packets transmitted, 3 packets received, 25.0% packet loss\n"
        "round-trip min/avg/max/stddev = 1.000/1.000/1.000/0.000 ms\n"
    )


def test_flood_holds_off_without_buffers() -> None:
    refused = iter([False, True, False])

    def network(request: Request) -> Iterator[Reply]:
        if next(refused):
            raise KernelError(Errno.ENOBUFS)
        yield Reply(1, echoed(request))

    outcome = run("ping -f -c 2 10.0.0.2", network)
    assert [round(request.when - START, 6) for request in outcome.requests] == [0, 0.001, 0.031]
    assert (outcome.code, outcome.err) == (0, "")
    assert "2 packets transmitted, 2 packets received" in outcome.out


def test_dots() -> None:
    outcome = run("ping -.+- -c 3 10.0.0.2", after(1, None, 1))
    assert outcome.out.split("\n")[1] == "+\b-+\b"


def test_interrupt() -> None:
    outcome = run("ping 10.0.0.2", after(1), signals=[(2.5, 2)])
    assert (outcome.code, outcome.seconds) == (0, 2.5)
    assert outcome.out.endswith(
        "icmp_seq=2 ttl=64 time=1.000 ms\n\n"
        "--- 10.0.0.2 ping statistics ---\n"
        "3 packets transmitted, 3 packets received, 0.0% packet loss\n"
        "round-trip min/avg/max/stddev = 1.000/1.000/1.000/0.000 ms\n"
    )


def test_information_is_given_on_standard_error_and_it_goes_on() -> None:
    outcome = run("ping -c 3 10.0.0.2", after(3, None, 2), signals=[(1.5, 29), (1.6, 29)])
    assert outcome.err == "\r1/2 packets received (50.0%) 3.000 min / 3.000 avg / 3.000 max\n" * 2
    assert [request.when - START for request in outcome.requests] == [0, 1, 2]


@pytest.mark.parametrize("signal", [1, 15])
def test_other_signals_end_it_without_statistics(signal: int) -> None:
    outcome = run("ping 10.0.0.2", after(1), signals=[(0.5, signal)])
    assert outcome.code == 128 + signal
    assert "statistics" not in outcome.out


def test_the_bell_rings_when_more_than_ever_are_missing() -> None:
    assert run("ping -A -c 3 10.0.0.2").out.count("\a") == 2
    assert run("ping -A -c 4 10.0.0.2", after(None, 1, None, 1)).out.count("\a") == 2
    assert run("ping -A -c 3 10.0.0.2", after(1)).out.count("\a") == 0


def test_a_signal_loses_no_reply() -> None:
    outcome = run("ping -c 1 10.0.0.2", after(500), signals=[(0.25, 29)])
    assert "1 packets transmitted, 1 packets received" in outcome.out


def test_the_time_to_live_is_the_replys() -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(0.1234, echoed(request), ttl=61)

    assert lines(run("ping -c 1 10.0.0.2", network)) == ["64 bytes from 10.0.0.2: icmp_seq=0 ttl=61 time=0.123 ms"]


def test_duplicates_and_late_replies() -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1500 if request.number == 0 else 2, echoed(request))
        if request.number == 1:
            yield Reply(4, echoed(request))

    outcome = run("ping -c 3 10.0.0.2", network)
    assert lines(outcome) == [
        "64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=2.000 ms",
        "64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=4.000 ms (DUP!)",
        "64 bytes from 10.0.0.2: icmp_seq=0 ttl=64 time=1500.000 ms",
        "64 bytes from 10.0.0.2: icmp_seq=2 ttl=64 time=2.000 ms",
    ]
    assert "3 packets transmitted, 3 packets received, +1 duplicates, 0.0% packet loss\n" in outcome.out


def test_replies_after_the_time_to_wait_are_counted_but_not_shown() -> None:
    outcome = run("ping -c 2 -W 100 10.0.0.2", after(150, 50))
    assert lines(outcome) == ["64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=50.000 ms"]
    assert "2 packets transmitted, 2 packets received, 0.0% packet loss, 1 packets out of wait time\n" in outcome.out


def test_replies_to_others_are_not_ours() -> None:
    def network(request: Request) -> Iterator[Reply]:
        yield Reply(1, EchoMessage(Icmp.ECHOREPLY, IDENT ^ 1, 0, request.message.data).encode())
        yield Reply(1, b"\0\0")

    assert run("ping -c 1 -t 2 10.0.0.2", network).code == 2


def test_quiet() -> None:
    outcome = run("ping -q -c 2 10.0.0.2", after(1))
    assert outcome.out == (
        "PING 10.0.0.2 (10.0.0.2): 56 data bytes\n\n"
        "--- 10.0.0.2 ping statistics ---\n"
        "2 packets transmitted, 2 packets received, 0.0% packet loss\n"
        "round-trip min/avg/max/stddev = 1.000/1.000/1.000/0.000 ms\n"
    )


@pytest.mark.parametrize(
    ("size", "line"),
    [
        (0, "8 bytes from 10.0.0.2: icmp_seq=0 ttl=64"),
        (8, "16 bytes from 10.0.0.2: icmp_seq=0 ttl=64"),
        (15, "23 bytes from 10.0.0.2: icmp_seq=0 ttl=64"),
        (16, "24 bytes from 10.0.0.2: icmp_seq=0 ttl=64 time=1.000 ms"),
        (1472, "1480 bytes from 10.0.0.2: icmp_seq=0 ttl=64 time=1.000 ms"),
    ],
)
def test_sizes(size: int, line: str) -> None:
    outcome = run(f"ping -c 2 -s {size} 10.0.0.2", after(1))
    assert outcome.out.startswith(f"PING 10.0.0.2 (10.0.0.2): {size} data bytes\n{line}\n")
    assert ("round-trip" in outcome.out) == ("time=" in line)
    assert len(outcome.requests[0].packet) == 8 + size


def test_pattern() -> None:
    outcome = run("ping -c 1 -p c0ffe -s 20 10.0.0.2", after(1))
    assert outcome.out.startswith("PATTERN: 0xc0ff0e\nPING 10.0.0.2 (10.0.0.2): 20 data bytes\n28 bytes from")
    assert outcome.requests[0].message.data[8:] == bytes.fromhex("c0ff0e" * 4)
    assert "PATTERN" not in run("ping -q -c 1 -p c0ffe 10.0.0.2", after(1)).out


def test_sweep() -> None:
    outcome = run("ping -g 10 -G 30 -h 10 -c 2 10.0.0.2", after(1))
    assert outcome.out.startswith("PING 10.0.0.2 (10.0.0.2): (10 ... 30) data bytes\n")
    assert [len(request.message.data) for request in outcome.requests] == [10, 10, 20, 20, 30, 30]
    assert outcome.requests[-1].message.data[8:] == bytes([*range(10), *range(10), 0, 0])
    assert "6 packets transmitted, 6 packets received" in outcome.out


def test_wrong_data_and_length() -> None:
    def network(request: Request) -> Iterator[Reply]:
        data = request.message.data
        yield Reply(1, echoed(request, data[:10] + b"\xff" + data[11:]))

    (shown, *dumped) = lines(run("ping -c 1 -s 26 10.0.0.2", network))
    assert shown == "34 bytes from 10.0.0.2: icmp_seq=0 ttl=64 time=1.000 ms"
    assert dumped == [
        "wrong data byte #10 should be 0xa but was 0xff",
        "cp: 0  0  3 e8  0  0  0  0 ",
        "\t 8  9 ff  b  c  d  e  f 10 11 12 13 14 15 16 17 ",
        "\t18 19 ",
        "dp: 0  0  3 e8  0  0  0  0 ",
        "\t 8  9  a  b  c  d  e  f 10 11 12 13 14 15 16 17 ",
        "\t18 19 ",
    ]

    def shorter(request: Request) -> Iterator[Reply]:
        yield Reply(1, echoed(request, request.message.data[:-4]))

    assert lines(run("ping -c 1 10.0.0.2", shorter)) == [
        "60 bytes from 10.0.0.2: icmp_seq=0 ttl=64 time=1.000 ms",
        "wrong total length 80 instead of 84",
    ]


def test_bell_and_names() -> None:
    outcome = run("ping -a -H -c 1 web", after(1), hosts="10.0.0.2 web.example web\n")
    assert outcome.out.startswith("PING web.example (10.0.0.2): 56 data bytes\n")
    assert lines(outcome) == ["\a64 bytes from web.example (10.0.0.2): icmp_seq=0 ttl=64 time=1.000 ms"]
    assert "--- web.example ping statistics ---" in outcome.out


def test_the_target_is_shown_as_typed() -> None:
    assert run("ping -c 1 10.2", after(1)).out.startswith(
        "PING 10.2 (10.0.0.2): 56 data bytes\n64 bytes from 10.0.0.2:"
    )


HOSTS = "::1 localhost\n127.0.0.1 localhost\nfe80::2%epair0b link\n"


@pytest.mark.parametrize(
    ("line", "source", "heading"),
    [
        ("ping -c 1 localhost", "::1", "PING6(56=40+8+8 bytes) ::1 --> ::1"),
        ("ping -c 1 localhost", "127.0.0.1", "PING localhost (127.0.0.1): 56 data bytes"),
        ("ping -4 -c 1 localhost", "::1", "PING localhost (127.0.0.1): 56 data bytes"),
        ("ping -6 -c 1 localhost", "::1", "PING6(56=40+8+8 bytes) ::1 --> ::1"),
        ("ping -c 1 link", "fe80::1", "PING6(56=40+8+8 bytes) fe80::1%epair0b --> fe80::2%epair0b"),
        ("ping -S 127.0.0.1 -c 1 localhost", "::1", "PING localhost (127.0.0.1) from 127.0.0.1: 56 data bytes"),
    ],
)
def test_family_of_a_name(line: str, source: str, heading: str) -> None:
    outcome = run(line, after(1), hosts=HOSTS, source=source, interfaces=[epair()])
    assert outcome.out.split("\n")[0] == heading


@pytest.mark.parametrize(
    ("line", "family", "options"),
    [
        ("ping 10.0.0.2", 4, EchoOptions()),
        ("ping -S 10.0.0.1 -m 3 -D 10.0.0.2", 4, EchoOptions(IPv4Address("10.0.0.1"), 3, True)),
        ("ping -m 3 224.0.0.1", 4, EchoOptions()),
        ("ping -T 3 -I 10.0.0.1 224.0.0.1", 4, EchoOptions(ttl=3, interface="epair0b")),
        ("ping6 2001:db8::2", 6, EchoOptions()),
        ("ping6 -S 2001:db8::1 -m 3 -D 2001:db8::2", 6, EchoOptions(IPv6Address("2001:db8::1"), 3, True)),
        ("ping6 -I epair0b ff02::1", 6, EchoOptions(ttl=64, interface="epair0b")),
    ],
)
def test_socket_options(line: str, family: int, options: EchoOptions) -> None:
    source = "fe80::1" if family == 6 else "10.0.0.1"
    outcome = run(line, source=source, interfaces=[epair("10.0.0.1")], signals=[(0.5, 2)])
    assert outcome.opened == [(family, options)]


def test_many_pings_share_one_loop_and_one_thread() -> None:
    async def all_of_them() -> list[int]:
        sessions = [VirtualSession(["ping", "-c", "3", "10.0.0.2"], after(1)) for _ in range(300)]
        return await asyncio.gather(*(ping(cast(Session, session)) for session in sessions))

    assert asyncio.run(all_of_them()) == [0] * 300
