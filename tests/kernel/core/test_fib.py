"""The routing table of the model: what addresses put in and take out, and which route a packet takes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjail.kernel.core.fib import Entry, Fib
from vjail.kernel.core.nexthops import NextHops
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Address, Inet, Inet6, RouteFlag

LO, EM0, EM1 = 1, 2, 3
"""Idents, and indexes, of the interfaces of the tables below."""
NAMES = {LO: "lo0", EM0: "em0", EM1: "em1"}
LETTERS = {
    RouteFlag.UP: "U",
    RouteFlag.GATEWAY: "G",
    RouteFlag.HOST: "H",
    RouteFlag.STATIC: "S",
    RouteFlag.REJECT: "R",
    RouteFlag.BLACKHOLE: "B",
}


def parsed(text: str) -> Address:
    if ":" in text:
        found = IPv6Interface(text)
        return Inet6(found.ip, found.network.prefixlen)
    found4 = IPv4Interface(text)
    return Inet(found4.ip, found4.netmask)


def table(*up: int) -> Fib:
    fib = Fib(lambda ident: ident)
    for ident in NAMES:
        fib.attach(ident, loopback=ident == LO)
    for ident in up:
        fib.set_up(ident, True)
    return fib


def shown(fib: Fib) -> list[str]:
    return [line(entry) for entry in fib.entries()]


def line(entry: Entry) -> str:
    flags = "".join(letter for flag, letter in LETTERS.items() if flag in entry.flags)
    zone = f"%{NAMES[entry.zone]}" if entry.zone is not None else ""
    return f"{entry.destination}{zone} {entry.gateway or f'link#{entry.link}'} {flags} {NAMES[entry.out]}"


def static(destination: str, gateway: str, out: int, source: str | None = None, weight: int = 1) -> Entry:
    flags = RouteFlag.UP | RouteFlag.GATEWAY | RouteFlag.STATIC
    owner = None if source is None else (out, ip_address(source))
    return Entry(ip_network(destination), flags, out, out, ip_address(gateway), owner, weight=weight)


@pytest.mark.parametrize(
    ("ident", "address", "routes"),
    [
        (EM0, "10.0.0.1/24", ["10.0.0.0/24 link#2 U em0", "10.0.0.1/32 link#2 UHS lo0"]),
        (EM0, "10.0.0.1/32", ["10.0.0.1/32 link#2 UH lo0"]),
        (LO, "127.0.0.1/8", ["127.0.0.1/32 link#1 UH lo0"]),
        (EM0, "fd00::1/64", ["fd00::/64 link#2 U em0", "fd00::1/128 link#2 UHS lo0"]),
        (EM0, "fd00::1/128", ["fd00::1/128 link#2 UHS lo0"]),
        (EM0, "fe80::1/64", ["fe80::/64%em0 link#2 U em0", "fe80::1/128%em0 link#2 UHS lo0"]),
        (LO, "::1/128", ["::1/128 link#1 UHS lo0"]),
    ],
)
def test_what_an_address_brings(ident: int, address: str, routes: list[str]) -> None:
    fib = table(LO, EM0)
    fib.add_address(ident, parsed(address))
    assert shown(fib) == routes
    fib.remove_address(ident, parsed(address).address)
    assert shown(fib) == []


def test_order_is_by_address_and_the_longest_prefix_first() -> None:
    fib = table(LO, EM0, EM1)
    for ident, address in ((EM1, "fe80::2/64"), (EM0, "fe80::3/64"), (EM0, "10.0.0.1/24"), (LO, "::1/128")):
        fib.add_address(ident, parsed(address))
    fib.add(static("0.0.0.0/0", "10.0.0.254", EM0))
    fib.add(static("10.0.0.0/8", "10.0.0.254", EM0))
    assert [text.split()[0] for text in shown(fib)] == [
        "0.0.0.0/0",
        "10.0.0.0/24",
        "10.0.0.0/8",
        "10.0.0.1/32",
        "::1/128",
        "fe80::/64%em0",
        "fe80::3/128%em0",
        "fe80::/64%em1",
        "fe80::2/128%em1",
    ]


def test_ipv4_networks_follow_up_and_ipv6_ones_stay() -> None:
    fib = table(LO)
    for address in ("10.0.0.1/24", "fd00::1/64"):
        fib.add_address(EM0, parsed(address))
    assert shown(fib) == ["10.0.0.1/32 link#2 UHS lo0", "fd00::/64 link#2 U em0", "fd00::1/128 link#2 UHS lo0"]
    fib.set_up(EM0, True)
    assert shown(fib)[0] == "10.0.0.0/24 link#2 U em0"
    fib.set_up(EM0, False)
    assert shown(fib)[0] == "10.0.0.1/32 link#2 UHS lo0"


def test_a_network_two_interfaces_lie_in_passes_from_one_to_the_other() -> None:
    fib = table(LO, EM0, EM1)
    fib.add_address(EM0, parsed("10.0.0.1/24"))
    fib.add_address(EM1, parsed("10.0.0.2/24"))
    assert shown(fib)[0] == "10.0.0.0/24 link#2 U em0"
    fib.set_up(EM0, False)
    assert shown(fib)[0] == "10.0.0.0/24 link#3 U em1"
    fib.set_up(EM0, True)
    assert shown(fib)[0] == "10.0.0.0/24 link#3 U em1"
    fib.remove_address(EM1, ip_address("10.0.0.2"))
    assert shown(fib) == ["10.0.0.0/24 link#2 U em0", "10.0.0.1/32 link#2 UHS lo0"]


def test_an_address_two_interfaces_have_is_answered_as_long_as_one_has_it() -> None:
    fib = table(LO, EM0, EM1)
    for ident in (EM0, EM1):
        fib.add_address(ident, parsed("fd00::1/128"))
    assert shown(fib) == ["fd00::1/128 link#2 UHS lo0"]
    fib.remove_address(EM0, ip_address("fd00::1"))
    assert shown(fib) == ["fd00::1/128 link#3 UHS lo0"]


def test_ipv4_static_routes_go_with_the_address_they_belong_to() -> None:
    fib = table(LO, EM0)
    fib.add_address(EM0, parsed("10.0.0.1/24"))
    fib.add_address(EM0, parsed("10.1.0.1/24"))
    fib.add(static("192.0.2.0/24", "10.0.0.9", EM0, "10.0.0.1"))
    fib.add(static("198.51.100.0/24", "10.1.0.9", EM0, "10.1.0.1"))
    fib.remove_address(EM0, ip_address("10.0.0.1"))
    assert [text.split()[0] for text in shown(fib)] == ["10.1.0.0/24", "10.1.0.1/32", "198.51.100.0/24"]
    fib.detach(EM0)
    assert shown(fib) == []


def test_a_network_a_static_route_has_cannot_be_connected() -> None:
    fib = table(LO, EM0, EM1)
    fib.add_address(EM0, parsed("10.0.0.1/24"))
    fib.add(static("10.9.0.0/24", "10.0.0.9", EM0))
    before = shown(fib)
    with pytest.raises(KernelError) as refused:
        fib.add_address(EM1, parsed("10.9.0.1/24"))
    assert refused.value.errno is Errno.EEXIST
    assert shown(fib) == before


def test_a_route_belongs_to_the_address_whose_network_its_gateway_is_in() -> None:
    fib = table(LO, EM0)
    for address in ("10.0.0.1/8", "10.1.0.1/24", "fd00::1/64"):
        fib.add_address(EM0, parsed(address))
    assert fib.source_on(EM0, ip_address("10.1.0.9")) == (EM0, ip_address("10.1.0.1"))
    assert fib.source_on(EM0, ip_address("10.2.0.9")) == (EM0, ip_address("10.0.0.1"))
    assert fib.source_on(EM0, ip_address("192.0.2.1")) == (EM0, ip_address("10.0.0.1"))
    assert fib.source_on(EM1, ip_address("192.0.2.1")) is None


def test_several_next_hops_stand_together_and_one_goes_at_a_time() -> None:
    fib = table(LO, EM0)
    fib.add_address(EM0, parsed("10.0.0.1/24"))
    for gateway in ("10.0.0.8", "10.0.0.9"):
        fib.add(static("0.0.0.0/0", gateway, EM0))
    assert [str(entry.gateway) for entry in fib.lookup(ip_address("192.0.2.1"))] == ["10.0.0.8", "10.0.0.9"]
    assert len({entry.nhop for entry in fib.entries()}) == len(fib.entries())
    fib.delete(fib.lookup(ip_address("192.0.2.1"))[0])
    assert [str(entry.gateway) for entry in fib.lookup(ip_address("192.0.2.1"))] == ["10.0.0.9"]


def test_link_local_destinations_are_looked_up_on_their_interface() -> None:
    fib = table(LO, EM0, EM1)
    for ident in (EM0, EM1):
        fib.add_address(ident, parsed("fe80::1/64"))
    assert [entry.out for entry in fib.lookup(ip_address("fe80::9"), EM1)] == [EM1]
    assert fib.lookup(ip_address("fe80::9"), LO) == []


_v4 = st.builds(
    lambda value, length: parsed(f"{IPv4Address(0x0A000000 + value)}/{length}"),
    st.integers(0, 0x3FF),
    st.sampled_from((8, 22, 23, 24, 25, 31, 32)),
)
_v6 = st.builds(
    lambda base, value, length: parsed(f"{IPv6Address(base + value)}/{length}"),
    st.sampled_from((0xFD00 << 112, 0xFE80 << 112)),
    st.integers(1, 6),
    st.sampled_from((64, 120, 126, 128)),
)
_step = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(sorted(NAMES)), st.one_of(_v4, _v6)),
    st.tuples(st.just("remove"), st.sampled_from(sorted(NAMES)), st.integers(0, 9)),
    st.tuples(st.just("up"), st.sampled_from(sorted(NAMES)), st.booleans()),
)


def perform(fib: Fib, steps: list[tuple[str, int, object]]) -> dict[int, dict[object, Address]]:
    """Do the steps, removing only what is there; what addresses are left by interface."""
    left: dict[int, dict[object, Address]] = {ident: {} for ident in NAMES}
    for word, ident, what in steps:
        match word, what:
            case "add", Inet() | Inet6():
                fib.add_address(ident, what)
                left[ident].pop(what.address, None)
                left[ident][what.address] = what
            case "remove", int() if left[ident]:
                address = list(left[ident])[what % len(left[ident])]
                fib.remove_address(ident, left[ident].pop(address).address)
            case "up", bool():
                fib.set_up(ident, what)
    return left


@given(st.lists(_step, max_size=30))
def test_nothing_is_left_when_all_addresses_are_gone(steps: list[tuple[str, int, object]]) -> None:
    fib = table()
    for ident, addresses in perform(fib, steps).items():
        for address in addresses.values():
            fib.remove_address(ident, address.address)
    assert shown(fib) == []
    fib.add_address(LO, parsed("127.0.0.1/8"))
    fib.set_up(LO, True)
    assert [entry.nhop for entry in fib.entries()] == [1]


@given(st.lists(_step, max_size=30))
def test_every_address_of_an_interface_that_is_up_can_be_reached(steps: list[tuple[str, int, object]]) -> None:
    fib = table()
    left = perform(fib, steps)
    for ident in NAMES:
        fib.set_up(ident, True)
    for ident, addresses in left.items():
        for address in addresses.values():
            found = fib.lookup(address.address, ident)
            assert len(found) == 1
            assert found[0].out == LO
            assert found[0].destination.prefixlen == found[0].destination.max_prefixlen


@given(st.lists(_step, max_size=20), st.integers(0, 0x4FF))
def test_lookup_is_the_longest_prefix_there_is(steps: list[tuple[str, int, object]], value: int) -> None:
    fib = table()
    perform(fib, steps)
    address = IPv4Address(0x0A000000 + value)
    holding = [entry for entry in fib.entries() if address in entry.destination]
    longest = max((entry.destination.prefixlen for entry in holding), default=None)
    assert fib.lookup(address) == [entry for entry in holding if entry.destination.prefixlen == longest]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=40))
def test_next_hops_share_a_number_while_used_and_take_the_lowest_free(steps: list[tuple[bool, int]]) -> None:
    hops, users = NextHops(), dict.fromkeys(range(6), 0)
    numbers: dict[int, int] = {}
    for take, hop in steps:
        if take:
            free = min(set(range(1, 8)) - {numbers[each] for each in users if users[each]})
            expected = numbers[hop] if users[hop] else free
            numbers[hop] = hops.take(hop)
            assert numbers[hop] == expected
            users[hop] += 1
        elif users[hop]:
            hops.give_back(hop)
            users[hop] -= 1


def test_an_address_that_is_not_there_goes_without_a_trace() -> None:
    fib = table(EM0)
    fib.add_address(EM0, parsed("10.0.0.1/24"))
    before = shown(fib)
    fib.remove_address(EM0, ip_address("10.0.0.9"))
    assert shown(fib) == before
