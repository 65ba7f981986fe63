from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import cast

import pytest

from vjail.command.names import Family, Resolved
from vjail.command.ping.exchange import Pace
from vjail.command.ping.options import USAGE, Choice, Output, choose
from vjail.command.ping.options_inet import InetOptions, Sweep, inet_options
from vjail.command.ping.options_inet6 import Inet6Options, inet6_options
from vjail.session import Quit, Session


class Words:
    """As much of a Session as options are read from."""

    def __init__(self, line: str, uid: int = 0) -> None:
        self.argv = line.split()
        self.uid = uid
        self.errors = ""

    def err(self, text: str) -> None:
        self.errors += text


def session(line: str, uid: int = 0) -> Session:
    return cast(Session, Words(line, uid))


USUAL = InetOptions("h", Pace(), Output())
USUAL6 = Inet6Options("h", Pace(), Output())


@pytest.mark.parametrize(
    ("line", "choice"),
    [
        ("ping 10.0.0.1", Choice(Family.INET, "10.0.0.1")),
        ("ping ::1", Choice(Family.INET6, "::1")),
        ("ping fe80::1%em0", Choice(None, "fe80::1%em0")),
        ("ping host", Choice(None, "host")),
        ("ping 127.1", Choice(None, "127.1")),
        ("ping6 host", Choice(Family.INET6, "host")),
        ("ping -c 4 -6 host", Choice(Family.INET6, "host")),
        ("ping -t6 -4 host", Choice(Family.INET, "host")),
        ("ping -S 10.0.0.1 host", Choice(Family.INET, "host")),
        ("ping -S ::1 host", Choice(Family.INET6, "host")),
        ("ping -S name host", Choice(None, "host")),
        ("ping -% 10.0.0.1", Choice(Family.INET, "10.0.0.1")),
    ],
)
def test_choice_of_the_family(line: str, choice: Choice) -> None:
    assert choose(session(line)) == choice


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("ping -4 -6 host", "-4 and -6 cannot be used simultaneously"),
        ("ping6 -4 host", "-4 and -6 cannot be used simultaneously"),
        ("ping -S 10.0.0.1 -S ::1 host", "-4 and -6 cannot be used simultaneously"),
        ("ping6 10.0.0.1", "IPv6 requested but IPv4 target address provided"),
        ("ping -6 10.0.0.1", "IPv6 requested but IPv4 target address provided"),
        ("ping -4 ::1", "IPv4 requested but IPv6 target address provided"),
        ("ping", None),
        ("ping -c", None),
        ("ping -c 1", None),
    ],
)
def test_a_family_that_cannot_be(line: str, complaint: str | None) -> None:
    words = session(line)
    with pytest.raises(Quit) as caught:
        choose(words)
    assert (caught.value.text, caught.value.code) == (complaint, 1)
    assert cast(Words, words).errors == ("" if complaint else USAGE)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ping h", USUAL),
        ("ping -c 3 h", replace(USUAL, pace=Pace(count=3))),
        ("ping -c3 -i 2.5 -t 9 h", replace(USUAL, pace=Pace(count=3, interval=2.5, timeout=9.0))),
        ("ping -i .0625 h", replace(USUAL, pace=Pace(interval=0.062))),
        ("ping -t 0x10 h", replace(USUAL, pace=Pace(timeout=16.0))),
        ("ping -t 010x h", replace(USUAL, pace=Pace(timeout=8.0))),
        ("ping -W 250.9 h", replace(USUAL, pace=Pace(wait=0.25), waittime=250)),
        ("ping -l 5 -o -A h", replace(USUAL, pace=Pace(preload=5, once=True, missed=True))),
        ("ping -f h", replace(USUAL, pace=Pace(flood=True), output=Output(dots="."))),
        ("ping -.xy -f h", replace(USUAL, pace=Pace(flood=True), output=Output(dots="xy"))),
        ("ping -. h", replace(USUAL, output=Output(dots="."))),
        ("ping -aqQv h", replace(USUAL, output=Output(quiet=True, quiet_errors=True, verbose=True, bell=True))),
        ("ping -H h", replace(USUAL, output=Output(names=True))),
        ("ping -Hn h", USUAL),
        ("ping -4d h", USUAL),
        ("ping -s 0 -m 3 -D h", replace(USUAL, size=0, ttl=3, dont_fragment=True)),
        ("ping -S a -p cafe h", replace(USUAL, source="a", pattern=b"\xca\xfe")),
        ("ping -p 1 h", replace(USUAL, pattern=b"\x01")),
        ("ping -p 123 h", replace(USUAL, pattern=b"\x12\x03")),
        (
            "ping -I 127.1 -T 0 h",
            replace(USUAL, multicast_interface=IPv4Address("127.0.0.1"), multicast_ttl=0),
        ),
        ("ping -G 100 h", replace(USUAL, sweep=Sweep(100, 0, 1))),
        ("ping -g 10 -h 30 -G 100 h", replace(USUAL, sweep=Sweep(100, 10, 30))),
    ],
)
def test_inet(line: str, expected: InetOptions) -> None:
    assert inet_options(session(line)) == expected


@pytest.mark.parametrize(
    ("line", "complaint", "code"),
    [
        ("ping -c 0 h", "invalid count of packets to transmit: `0'", 64),
        ("ping -c 1x h", "invalid count of packets to transmit: `1x'", 64),
        ("ping -i x h", "invalid timing interval: `x'", 64),
        ("ping -i 2147484 h", "invalid timing interval: `2147484'", 64),
        ("ping -W x h", "invalid timing interval: `x'", 64),
        ("ping -l -1 h", "invalid preload value: `-1'", 64),
        ("ping -m 256 h", "invalid TTL: `256'", 64),
        ("ping -T 256 h", "invalid multicast TTL: `256'", 64),
        ("ping -I em0 h", "invalid multicast interface: `em0'", 64),
        ("ping -s -1 h", "invalid packet size: `-1'", 64),
        ("ping -s 65508 h", "packet size too large: 65508 > 65507", 64),
        ("ping -t 0 h", "invalid timeout: `0'", 64),
        ("ping -t x h", "invalid timeout: `x'", 64),
        ("ping -t -1 h", "invalid timeout: `-1'", 64),
        ("ping -t -2 h", "invalid timeout: `-2' > 3600", 64),
        ("ping -t 3601 h", "invalid timeout: `3601' > 3600", 64),
        ("ping -p xy h", "patterns must be specified as hex digits", 64),
        ("ping -f -i 1 h", "-f and -i: incompatible options", 64),
        ("ping -g 1 h", "Maximum sweep size must be specified", 64),
        ("ping -g 9 -G 8 h", "Maximum packet size must be no less than the minimum packet size", 64),
        ("ping -G 65500 h", "Invalid sweep maximum", 64),
        ("ping -G 8 -s 57 h", "Packet size and ping sweep are mutually exclusive", 64),
        ("ping -R h", "record route not available in this implementation", 69),
        ("ping -r h", "-r: Operation not supported", 69),
        ("ping -z 1 h", "-z: Operation not supported", 69),
    ],
)
def test_inet_refused(line: str, complaint: str, code: int) -> None:
    with pytest.raises(Quit) as caught:
        inet_options(session(line))
    assert (caught.value.text, caught.value.code) == (complaint, code)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("ping -f h", "-f flag: Operation not permitted"),
        ("ping -l 1 h", "-l flag: Operation not permitted"),
        ("ping -i 0.5 h", "-i interval too short: Operation not permitted"),
        ("ping -s 57 h", "packet size too large: 57 > 56: Operation not permitted"),
        ("ping -G 57 h", "packet size too large: 57 > 56: Operation not permitted"),
    ],
)
def test_inet_refused_to_users(line: str, complaint: str) -> None:
    with pytest.raises(Quit) as caught:
        inet_options(session(line, uid=1001))
    assert (caught.value.text, caught.value.code) == (complaint, 77)
    inet_options(session(line))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("ping -% h", "ping: illegal option -- %\n"),
        ("ping6 -Q h", "ping6: illegal option -- Q\n"),
        ("ping -c", "ping: option requires an argument -- c\n"),
        ("ping h -c 1", ""),
        ("ping6 -c 1", ""),
    ],
)
def test_usage(line: str, complaint: str) -> None:
    words = session(line)
    with pytest.raises(Quit) as caught:
        (inet6_options if line.startswith("ping6") else inet_options)(words)
    assert (caught.value.text, caught.value.code) == (None, 1)
    assert cast(Words, words).errors == complaint + USAGE


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ping6 h", USUAL6),
        ("ping6 -6nu h", USUAL6),
        ("ping6 -c 3 -i .25 -t 9 h", replace(USUAL6, pace=Pace(count=3, interval=0.25, timeout=9.0))),
        ("ping6 -W 250 h", replace(USUAL6, pace=Pace(wait=0.25), waittime=250)),
        ("ping6 -s 100 -b 9000 h", replace(USUAL6, size=100, socket_buffer=9000)),
        ("ping6 -m 1 h", replace(USUAL6, hop_limit=1)),
        ("ping6 -m -1 h", USUAL6),
        ("ping6 -I em0 -D h", replace(USUAL6, interface="em0", dont_fragment=True)),
        ("ping6 -S fe80::1%em0 h", replace(USUAL6, source=Resolved(IPv6Address("fe80::1"), "em0", "fe80::1%em0"))),
        ("ping6 -f h", replace(USUAL6, pace=Pace(flood=True), output=Output(dots="."))),
        ("ping6 -p ff h", replace(USUAL6, pattern=b"\xff")),
        ("ping6 -l 3 h", replace(USUAL6, pace=Pace(preload=3))),
    ],
)
def test_inet6(line: str, expected: Inet6Options) -> None:
    assert inet6_options(session(line)) == expected


@pytest.mark.parametrize(
    ("line", "complaint", "code"),
    [
        ("ping6 -c 0 h", "illegal number of packets -- 0", 1),
        ("ping6 -b x h", "invalid socket buffer size", 1),
        ("ping6 -i x h", "illegal timing interval x", 1),
        ("ping6 -i -1 h", "illegal timing interval -1", 1),
        ("ping6 -l x h", "illegal preload value -- x", 1),
        ("ping6 -m x h", "illegal hoplimit x", 1),
        ("ping6 -m 256 h", "illegal hoplimit -- 256", 1),
        ("ping6 -p x h", "patterns must be specified as hex digits", 1),
        ("ping6 -S h h", "invalid source address: Name does not resolve", 1),
        ("ping6 -S 10.0.0.1 h", "invalid source address: Name does not resolve", 1),
        ("ping6 -s 0 h", "illegal datalen value -- 0", 1),
        ("ping6 -s 131025 h", "datalen value too large, maximum is 131024", 1),
        ("ping6 -s -5 h", "datalen value too large, maximum is 131024", 1),
        ("ping6 -W x h", "invalid timing interval: `x'", 64),
        ("ping6 -f -i 1 h", "-f and -i incompatible options", 1),
        ("ping6 -N h", "-N: Operation not supported", 69),
        ("ping6 hop h", "intermediate hops: Operation not supported", 69),
    ],
)
def test_inet6_refused(line: str, complaint: str, code: int) -> None:
    with pytest.raises(Quit) as caught:
        inet6_options(session(line))
    assert (caught.value.text, caught.value.code) == (complaint, code)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("ping6 -f h", "Must be superuser to flood ping"),
        ("ping6 -l 1 h", "Must be superuser to preload"),
        ("ping6 -i .5 h", "Operation not permitted: only root may use interval < 1s"),
    ],
)
def test_inet6_refused_to_users(line: str, complaint: str) -> None:
    with pytest.raises(Quit) as caught:
        inet6_options(session(line, uid=1001))
    assert (caught.value.text, caught.value.code) == (complaint, 1)
    inet6_options(session(line))


def test_a_tiny_interval_is_raised() -> None:
    words = session("ping6 -i 0 h")
    assert inet6_options(words).pace.interval == 0.000001
    assert cast(Words, words).errors == "ping6: too small interval, raised to .000001\n"
