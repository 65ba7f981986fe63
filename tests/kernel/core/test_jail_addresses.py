"""What a jail's addresses mean: FreeBSD's rules in a table, and source addresses beside a plain search."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjail.kernel.core.fib import Fib
from vjail.kernel.core.jail_addresses import Way, local, owns, remote, source_for, ways
from vjail.kernel.core.prison_record import AddressRule
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Inet, Inet6, RouteFlag
from vjail.kernel.operations import RouteSpec

LO, EM0, EM1 = 1, 2, 3


def rule(*addresses: str, saddrsel: bool = True) -> AddressRule:
    return AddressRule(True, True, tuple(ip_address(each) for each in addresses), saddrsel)


FREE = AddressRule()
ONE, TWO, ONE6, NONE = rule("10.0.0.5"), rule("10.0.0.5", "10.1.0.5"), rule("fd00::5"), rule()
WITH_LOOPBACK = rule("10.0.0.5", "127.0.0.1")


@pytest.mark.parametrize(
    ("given_rule", "asked", "answer"),
    [
        (ONE, "0.0.0.0", "10.0.0.5"),
        (TWO, "0.0.0.0", "0.0.0.0"),
        (ONE, "127.0.0.1", "10.0.0.5"),
        (TWO, "127.0.0.1", "10.0.0.5"),
        (WITH_LOOPBACK, "127.0.0.1", "127.0.0.1"),
        (TWO, "10.1.0.5", "10.1.0.5"),
        (ONE, "10.1.0.5", Errno.EADDRNOTAVAIL),
        (ONE, "127.0.0.2", Errno.EADDRNOTAVAIL),
        (ONE, "224.0.0.1", Errno.EADDRNOTAVAIL),
        (NONE, "0.0.0.0", Errno.EAFNOSUPPORT),
        (FREE, "10.9.9.9", "10.9.9.9"),
        (FREE, "127.0.0.1", "127.0.0.1"),
        (ONE6, "::", "fd00::5"),
        (ONE6, "::1", "fd00::5"),
    ],
)
def test_what_a_socket_is_bound_to(given_rule: AddressRule, asked: str, answer: str | Errno) -> None:
    if isinstance(answer, Errno):
        with pytest.raises(KernelError) as error:
            local(given_rule, ip_address(asked))
        assert error.value.errno is answer
    else:
        assert local(given_rule, ip_address(asked)) == ip_address(answer)


def test_a_socket_of_both_families_stays_a_wildcard() -> None:
    assert local(ONE6, ip_address("::"), both_families=True) == ip_address("::")


@pytest.mark.parametrize(
    ("given_rule", "asked", "answer"),
    [
        (ONE, "127.0.0.1", "10.0.0.5"),
        (ONE, "0.0.0.0", "10.0.0.5"),
        (ONE, "10.9.9.9", "10.9.9.9"),
        (WITH_LOOPBACK, "127.0.0.1", "127.0.0.1"),
        (FREE, "127.0.0.1", "127.0.0.1"),
        (ONE6, "::1", "fd00::5"),
        (ONE6, "::", "fd00::5"),
    ],
)
def test_where_a_jail_gets_to(given_rule: AddressRule, asked: str, answer: str) -> None:
    assert remote(given_rule, ip_address(asked)) == ip_address(answer)


def test_a_jail_without_addresses_gets_nowhere() -> None:
    with pytest.raises(KernelError) as error:
        remote(NONE, ip_address("10.0.0.1"))
    assert error.value.errno is Errno.EAFNOSUPPORT


def test_what_is_a_jails_own() -> None:
    assert owns(ONE, ip_address("10.0.0.5"))
    assert not owns(ONE, ip_address("10.0.0.6"))
    assert not owns(NONE, ip_address("127.0.0.1"))
    assert owns(FREE, ip_address("10.0.0.6"))


# --- source addresses -------------------------------------------------------------------------------------------------


def table() -> Fib:
    """em0 with the host's 10.0.0.1 and the jail's 10.0.0.5, em1 with the jail's 10.1.0.5 alone, a default by em1."""
    fib = Fib(lambda ident: ident)
    for ident in (LO, EM0, EM1):
        fib.attach(ident, loopback=ident == LO)
        fib.set_up(ident, True)
    mask = IPv4Address("255.255.255.0")
    fib.add_address(LO, Inet(IPv4Address("127.0.0.1"), IPv4Address("255.0.0.0")))
    fib.add_address(EM0, Inet(IPv4Address("10.0.0.1"), mask))
    fib.add_address(EM0, Inet(IPv4Address("10.0.0.5"), mask))
    fib.add_address(EM1, Inet(IPv4Address("10.1.0.5"), mask))
    fib.add_address(EM0, Inet6(IPv6Address("fd00::1"), 64))
    fib.add_address(EM0, Inet6(IPv6Address("fd00::5"), 64))
    fib.add_address(EM0, Inet6(IPv6Address("fd00:0:0:8000::5"), 64))
    fib.add_address(EM1, Inet6(IPv6Address("fd01::5"), 64))
    fib.add_static(EM1, RouteSpec(ip_network("0.0.0.0/0"), IPv4Address("10.1.0.9"), None, RouteFlag.STATIC))
    fib.add_static(EM0, RouteSpec(ip_network("::/0"), IPv6Address("fd00::9"), None, RouteFlag.STATIC))
    return fib


def chosen(given_rule: AddressRule, to: str) -> str | None:
    fib, destination = table(), ip_address(to)
    found = ways(given_rule, destination.version, fib.entries(), fib.addresses_on)
    source = source_for(found, destination)
    return None if source is None else str(source)


@pytest.mark.parametrize(
    ("given_rule", "to", "source"),
    [
        (ONE, "10.1.0.7", "10.0.0.5"),
        (TWO, "10.0.0.7", "10.0.0.5"),
        (TWO, "10.1.0.7", "10.1.0.5"),
        (TWO, "8.8.8.8", "10.1.0.5"),
        (TWO, "10.0.0.1", "10.0.0.5"),
        (TWO, "10.1.0.5", "10.1.0.5"),
        (TWO, "127.0.0.1", "10.0.0.5"),
        (rule("10.0.0.5", "10.1.0.5", saddrsel=False), "10.1.0.7", "10.0.0.5"),
        (NONE, "10.0.0.7", None),
        (FREE, "10.0.0.7", None),
        (rule("fd00::5", "fd01::5"), "fd01::9", "fd01::5"),
        (rule("fd00::5", "fd01::5"), "2001:db8::1", "fd00::5"),
        (rule("fd00::5", "fd00:0:0:8000::5"), "fd00:0:0:9000::1", "fd00:0:0:8000::5"),
        (rule("fd00::5", "fd00:0:0:8000::5"), "fd00:0:0:1000::1", "fd00::5"),
    ],
)
def test_what_a_jail_sends_from(given_rule: AddressRule, to: str, source: str | None) -> None:
    assert chosen(given_rule, to) == source


@given(st.lists(st.sampled_from(["fd00::5", "fd00:0:0:8000::5", "fd01::5"]), min_size=2, max_size=3, unique=True),
       st.sampled_from([0, 1]), st.integers(0, 2**64 - 1))  # fmt: skip
def test_ipv6_takes_the_address_most_like_the_destination(addresses: list[str], net: int, low: int) -> None:
    """Beside a search over all candidates: those of the interface the route leads to, else all."""
    destination = IPv6Address((0xFD00 + net << 112) | low << 48)
    interface = {0: ["fd00::5", "fd00:0:0:8000::5"], 1: ["fd00::5", "fd00:0:0:8000::5"]}
    on_link = IPv6Network("fd01::/64")
    here = [a for a in addresses if a in (["fd01::5"] if destination in on_link else interface[net])] or addresses

    def alike(address: str) -> int:
        return 128 - (int(IPv6Address(address)) ^ int(destination)).bit_length()

    best = max(alike(each) for each in here)
    found = chosen(rule(*addresses), str(destination))
    assert found is not None
    assert alike(found) == best


def test_ways_are_few() -> None:
    """What a shorter prefix says as well is left out."""
    fib = table()
    assert ways(TWO, 4, fib.entries(), fib.addresses_on) == (
        Way(IPv4Network("127.0.0.1/32"), IPv4Address("10.0.0.5")),
        Way(IPv4Network("10.0.0.0/24"), IPv4Address("10.0.0.5")),
        Way(IPv4Network("0.0.0.0/0"), IPv4Address("10.1.0.5")),
    )
