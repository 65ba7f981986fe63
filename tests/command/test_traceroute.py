"""traceroute(8) and traceroute6(8) over routers made up here. Source: FreeBSD 13.2 usr.sbin/traceroute/traceroute.c."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest
from ping_virtual import Reply, Request, VirtualSession, refusing

from vjail.command.ping.packets import checksum
from vjail.command.traceroute import traceroute, traceroute6
from vjail.kernel.errno import Errno
from vjail.session import Quit

Verdict = Callable[[int], tuple[int, int]]
"""The type and code with which the last router answers, by the number of the probe."""


class Way:
    """Routers on a way; the last one answers by `end`."""

    def __init__(self, *routers: str | None, end: Verdict = lambda number: (3, 3)) -> None:
        self._routers = routers
        self._end = end
        self.session: VirtualSession | None = None

    def __call__(self, request: Request) -> Iterator[Reply]:
        assert self.session is not None
        life = self.session.lives[-1]
        router = self._routers[min(life, len(self._routers)) - 1]
        six = ip_address(self._routers[-1] or "").version == 6
        last = life >= len(self._routers)
        kind, code = self._end(request.number) if last else (3, 0) if six else (11, 0)
        if router is not None:
            message = bytes((kind, code, 0, 0, 0, 0, 0, 0)) + self.session.whole
            yield Reply(1.5, message, source=ip_address(router), ttl=64)


def trace(words: str, way: Way, **more: object) -> tuple[VirtualSession, int]:
    session = VirtualSession(words.split(), way, **more)  # type: ignore[arg-type]
    way.session = session
    command = traceroute6 if words.startswith("traceroute6") else traceroute
    return session, asyncio.run(command(session))  # type: ignore[arg-type]


def test_each_router_on_the_way_answers_three_times() -> None:
    session, code = trace("traceroute 10.3.0.2", Way("10.1.0.2", "10.2.0.2", "10.3.0.2"), hosts="10.2.0.2 middle\n")
    assert code == 0
    assert session.errors == "traceroute to 10.3.0.2 (10.3.0.2), 64 hops max, 40 byte packets\n"
    assert session.output == (
        " 1  10.1.0.2 (10.1.0.2)  1.500 ms  1.500 ms  1.500 ms\n"
        " 2  middle (10.2.0.2)  1.500 ms  1.500 ms  1.500 ms\n"
        " 3  10.3.0.2 (10.3.0.2)  1.500 ms  1.500 ms  1.500 ms\n"
    )
    assert session.lives == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert session.closed == 1


def test_a_probe_is_a_udp_packet_with_right_checksums_to_a_port_of_its_own() -> None:
    session, _ = trace("traceroute -n -q 1 -p 5000 -t 16 -F 10.3.0.2 60", Way("10.3.0.2"))
    packet = session.whole
    assert (len(packet), packet[1], packet[6] >> 6, packet[9]) == (60, 16, 1, 17)
    assert int.from_bytes(packet[22:24], "big") == 5001
    pseudo = packet[12:20] + bytes((0, 17)) + packet[24:26]
    assert checksum(pseudo + packet[20:]) == 0


@pytest.mark.parametrize(
    ("words", "way", "shown"),
    [
        ("-n -w 1", Way(None, "10.3.0.2"), " 1  * * *\n 2  10.3.0.2  1.500 ms  1.500 ms  1.500 ms\n"),
        ("-n -m 1 -q 2", Way("10.1.0.2", "10.3.0.2"), " 1  10.1.0.2  1.500 ms  1.500 ms\n"),
        ("-n -f 2", Way("10.1.0.2", "10.3.0.2"), " 2  10.3.0.2  1.500 ms  1.500 ms  1.500 ms\n"),
        ("-n", Way("10.1.0.2", end=lambda _: (3, 1)), " 1  10.1.0.2  1.500 ms !H  1.500 ms !H  1.500 ms !H\n"),
        ("-n", Way("10.1.0.2", end=lambda _: (3, 13)), " 1  10.1.0.2  1.500 ms !X  1.500 ms !X  1.500 ms !X\n"),
        ("-n -q 1 -e", Way("10.3.0.2", end=lambda _: (3, 2)), " 1  10.3.0.2  1.500 ms !P\n"),
        ("-n -q 1 -I", Way("10.1.0.2", "10.3.0.2"), " 1  10.1.0.2  1.500 ms\n 2  10.3.0.2  1.500 ms\n"),
        ("-n -w 1 -q 1 -S -m 1", Way(None, "10.3.0.2"), " 1  * (100% loss)\n"),
    ],
)
def test_what_is_printed(words: str, way: Way, shown: str) -> None:
    assert trace(f"traceroute {words} 10.3.0.2", way)[0].output == shown


def test_ipv6() -> None:
    way = Way("2001:db8:1::2", "2001:db8:2::2", end=lambda _: (1, 4))
    session, _ = trace("traceroute6 -n -q 1 2001:db8:2::2", way, source="2001:db8:1::1")
    assert session.errors == (
        "traceroute6 to 2001:db8:2::2 (2001:db8:2::2) from 2001:db8:1::1, 64 hops max, 28 byte packets\n"
    )
    assert session.output == " 1  2001:db8:1::2  1.500 ms\n 2  2001:db8:2::2  1.500 ms\n"
    whole = session.whole
    assert checksum(whole[8:40] + whole[4:6].rjust(4, b"\0") + bytes((0, 0, 0, 17)) + whole[40:]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nosuch", "unknown host nosuch"),
        ("-m 0 10.0.0.2", "max ttl must be > 0"),
        ("-m x 10.0.0.2", '"x" bad value for max ttl'),
        ("-f 9 -m 8 10.0.0.2", "first ttl (9) may not be greater than max ttl (8)"),
        ("-A server 10.0.0.2", "-A means nothing in a lab"),
        ("-s 10.9.9.9 10.0.0.2", "bind: Can't assign requested address"),
    ],
)
def test_refusals(words: str, said: str) -> None:
    with pytest.raises(Quit, match=re.escape(said)):
        trace(f"traceroute {words}", Way("10.0.0.2"))


def test_no_way_to_the_target() -> None:
    with pytest.raises(Quit, match="findsaddr: failed to connect to peer"):
        trace("traceroute 10.3.0.2", Way("10.3.0.2"), source=Errno.EHOSTUNREACH)


def test_a_refusal_to_send_is_told_and_the_search_goes_on() -> None:
    session = VirtualSession(
        ["traceroute", "-n", "-q", "1", "-m", "1", "-w", "1", "10.3.0.2"], refusing(Errno.ENETDOWN)
    )
    assert asyncio.run(traceroute(session)) == 0  # type: ignore[arg-type]
    assert session.errors.endswith("traceroute: sendto: Network is down\n")
    assert session.output == " 1 traceroute: wrote 10.3.0.2 40 chars, ret=-1\n *\n"
