"""Three jails that route, one behind the other: what the host at the end sees of the way."""

from __future__ import annotations

import re

import pytest
from sandbox import Sandbox
from typist import machine, typing

pytestmark = pytest.mark.real

CHAIN = """\
for i in 1 2 3; do ifconfig epair$i create; jail -c name=r$i path=/ vnet persist; done
for i in 1 2 3; do jexec r$i ifconfig lo0 127.0.0.1/8; done
ifconfig epair1a 10.1.0.1/24; ifconfig epair1b vnet r1; ifconfig epair2a vnet r1; ifconfig epair2b vnet r2
ifconfig epair3a vnet r2; ifconfig epair3b vnet r3
jexec r1 ifconfig epair1b 10.1.0.2/24; jexec r1 ifconfig epair2a 10.2.0.1/24; jexec r2 ifconfig epair2b 10.2.0.2/24
jexec r2 ifconfig epair3a 10.3.0.1/24; jexec r3 ifconfig epair3b 10.3.0.2/24
ifconfig epair1a inet6 2001:db8:1::1/64; jexec r1 ifconfig epair1b inet6 2001:db8:1::2/64
jexec r1 ifconfig epair2a inet6 2001:db8:2::1/64; jexec r2 ifconfig epair2b inet6 2001:db8:2::2/64
jexec r2 ifconfig epair3a inet6 2001:db8:3::1/64; jexec r3 ifconfig epair3b inet6 2001:db8:3::2/64
for i in 1 2; do jexec r$i sysctl net.inet.ip.forwarding=1; jexec r$i sysctl net.inet6.ip6.forwarding=1; done
route add -net 10.0.0.0/8 10.1.0.2; jexec r1 route add -net 10.3.0.0/24 10.2.0.2
jexec r2 route add default 10.2.0.1; jexec r3 route add default 10.3.0.1
route add -6 2001:db8::/32 2001:db8:1::2; jexec r1 route add -6 2001:db8:3::/48 2001:db8:2::2
jexec r2 route add -6 default 2001:db8:2::1; jexec r3 route add -6 default 2001:db8:3::1
"""


def test_the_way_is_traced_and_ends_where_lives_end(box: Sandbox) -> None:
    machine(box, "chain")
    with typing(box, "chain") as typist:
        for line in CHAIN.splitlines():
            done = typist.type(line)
            assert (done.code, done.err) == (0, ""), (line, done)

        def shown(line: str) -> str:
            return re.sub(r"\d+\.\d{3} ms", "T", typist.type(line).out)

        way = shown("traceroute -n 10.3.0.2")
        assert way == " 1  10.1.0.2  T  T  T\n 2  10.2.0.2  T  T  T\n 3  10.3.0.2  T  T  T\n"
        assert shown("traceroute -n -I -q 1 10.3.0.2") == " 1  10.1.0.2  T\n 2  10.2.0.2  T\n 3  10.3.0.2  T\n"
        way = shown("traceroute6 -n -q 1 2001:db8:3::2")
        assert way == " 1  2001:db8:1::2  T\n 2  2001:db8:2::2  T\n 3  2001:db8:3::2  T\n"
        back = typist.type("jexec r3 traceroute -q 1 10.1.0.1")
        assert back.err == "traceroute to 10.1.0.1 (10.1.0.1), 64 hops max, 40 byte packets\n"
        assert back.out.count("\n") == 3
        for life, router in ((1, "10.1.0.2"), (2, "10.2.0.2")):
            expired = typist.type(f"ping -c 1 -t 1 -m {life} 10.3.0.2")
            assert (expired.code, f" bytes from {router}: Time to live exceeded\n" in expired.out) == (2, True), expired
        assert "1 packets received" in typist.type("ping -c 1 -m 3 10.3.0.2").out

        # A blackhole swallows, a reject says so to who is behind it, and to a sender of its own.
        typist.type("jexec r1 route add -net 10.4.0.0/24 127.0.0.1 -blackhole")
        typist.type("jexec r1 route add -net 10.5.0.0/24 127.0.0.1 -reject")
        assert "from" not in typist.type("ping -c 1 -t 1 10.4.0.1").out
        assert "92 bytes from 10.1.0.2: Destination Host Unreachable\n" in typist.type("ping -c 1 -t 1 10.5.0.1").out
        assert typist.type("jexec r1 ping -c 1 -t 1 10.4.0.1").err == "ping: sendto: Network is unreachable\n"
        assert shown("traceroute -n -w 1 10.5.0.1") == " 1  10.1.0.2  T !H  T !H  T !H\n"

        # With several ways to one destination a plain delete has to be told which.
        for gateway in ("10.2.0.2", "10.2.0.3"):
            assert typist.type(f"jexec r1 route add -net 10.6.0.0/24 {gateway}").code == 0
        assert typist.type("jexec r1 route delete -net 10.6.0.0/24").out == "delete net 10.6.0.0 fib 0: not in table\n"
        assert typist.type("jexec r1 route delete -net 10.6.0.0/24 10.2.0.3").code == 0
        assert typist.type("jexec r1 route change -net 10.6.0.0/24 10.1.0.1").code == 0
        assert "gateway: 10.1.0.1\n" in typist.type("jexec r1 route -n get 10.6.0.9").out
        # A router that would send a packet back where it came from tells the sender of the shorter way.
        typist.type("route add -host 10.1.0.77 10.1.0.2; jexec r1 arp -s 10.1.0.77 02:00:00:00:00:77")
        told = typist.type("ping -c 1 -t 1 10.6.0.9").out
        assert "92 bytes from 10.1.0.2: Redirect Host(New addr: 10.1.0.1)\n" in told, told
