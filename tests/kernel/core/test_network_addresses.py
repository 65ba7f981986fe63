"""Addresses: order, replacement, UP and what comes by itself, and how long IPv6 ones are tentative."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from network_bench import Bench, addresses, parsed

from vjail.kernel.core.driver import Seen
from vjail.kernel.errno import Errno
from vjail.kernel.observed import Iff, Inet, Inet6, Inet6Flag, Nd6
from vjail.kernel.operations import AddAddress, BindVlan, RemoveAddress, SetNd6

LINK_LOCAL = "fe80::27:1eff:fe03:60a/64"
"""Of epair1a, the first interface made after boot."""


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.clock.now = 1000.2
    bench.create("pflog0")
    bench.create("epair1")
    return bench


def shown(bench: Bench, name: str = "epair1a", after: float = 0.0) -> list[str]:
    bench.clock.now += after
    return addresses(bench.seen(name))


# --- IPv4 ---


def test_an_address_brings_the_interface_up(bench: Bench) -> None:
    bench.address("epair1a", "10.0.0.1/24")
    assert Iff.UP in bench.seen("epair1a").flags


def test_the_same_address_is_replaced_and_goes_to_the_end(bench: Bench) -> None:
    for text in ("10.0.0.1/24", "10.0.0.2/24", "10.0.0.1/32"):
        bench.address("epair1a", text)
    assert shown(bench) == ["10.0.0.2/24", "10.0.0.1/32"]


@pytest.mark.parametrize(
    ("text", "broadcast"),
    [
        ("10.0.0.1/24", "10.0.0.255"),
        ("10.0.0.1/8", "10.255.255.255"),
        ("10.0.0.1/31", "255.255.255.255"),
        ("10.0.0.3/32", "10.0.0.3"),
    ],
)
def test_the_broadcast_address_is_the_subnets(bench: Bench, text: str, broadcast: str) -> None:
    bench.address("epair1a", text)
    (address,) = bench.seen("epair1a").addresses
    assert isinstance(address, Inet)
    assert str(address.broadcast) == broadcast


def test_loopbacks_have_none(bench: Bench) -> None:
    bench.address("lo0", "127.0.0.1/8")
    address = bench.seen("lo0").addresses[0]
    assert isinstance(address, Inet)
    assert address.broadcast is None


def test_what_is_not_there_cannot_be_removed(bench: Bench) -> None:
    assert bench.refusal(RemoveAddress("epair1a", parsed("10.0.0.1/24").address)) is Errno.EADDRNOTAVAIL


def test_pflog_takes_none(bench: Bench) -> None:
    assert bench.refusal(AddAddress("pflog0", parsed("10.0.0.1/24"))) is Errno.EAFNOSUPPORT
    assert bench.refusal(SetNd6("pflog0", set=Nd6.NO_DAD)) is Errno.EPFNOSUPPORT


# --- what comes by itself ---


def test_lo0_gets_its_addresses_when_it_comes_up_and_127_0_0_1_only_when_set(bench: Bench) -> None:
    bench.up("lo0")
    assert shown(bench, "lo0") == ["::1/128", "fe80::1/64"]
    assert Iff.RUNNING in bench.seen("lo0").flags


def test_a_second_loopback_gets_a_link_local_address_only(bench: Bench) -> None:
    bench.create("lo1")
    bench.up("lo0")
    bench.address("lo1", "127.0.1.1/32")
    assert shown(bench, "lo1") == ["127.0.1.1/32", "fe80::1/64"]


def test_ipv4_and_up_leave_ipv6_disabled(bench: Bench) -> None:
    bench.up("epair1a")
    bench.address("epair1a", "10.0.0.1/24")
    assert shown(bench) == ["10.0.0.1/24"]
    assert Nd6.IFDISABLED in bench.seen("epair1a").nd6


def test_an_ipv6_address_enables_ipv6_and_a_link_local_one_follows(bench: Bench) -> None:
    bench.address("epair1a", "2001:db8::1/64")
    assert Nd6.IFDISABLED not in bench.seen("epair1a").nd6
    assert shown(bench) == ["2001:db8::1/64", f"{LINK_LOCAL}?"]


def test_enabling_ipv6_on_an_interface_that_is_up_brings_the_link_local_address(bench: Bench) -> None:
    bench.up("epair1a")
    bench.apply(SetNd6("epair1a", clear=Nd6.IFDISABLED))
    assert shown(bench) == [f"{LINK_LOCAL}?"]


def test_one_that_is_down_gets_it_when_it_comes_up(bench: Bench) -> None:
    bench.apply(SetNd6("epair1a", clear=Nd6.IFDISABLED))
    assert shown(bench) == []
    bench.up("epair1a")
    assert shown(bench) == [f"{LINK_LOCAL}?"]


def test_bridges_get_none(bench: Bench) -> None:
    bench.create("bridge0")
    bench.address("bridge0", "2001:db8::1/64")
    assert shown(bench, "bridge0") == ["2001:db8::1/64"]


def test_without_auto_linklocal_none_comes_and_setting_it_brings_one(bench: Bench) -> None:
    bench.apply(SetNd6("epair1a", clear=Nd6.AUTO_LINKLOCAL))
    bench.address("epair1a", "2001:db8::1/64")
    assert shown(bench) == ["2001:db8::1/64"]
    bench.apply(SetNd6("epair1a", set=Nd6.AUTO_LINKLOCAL))
    assert shown(bench) == ["2001:db8::1/64", f"{LINK_LOCAL}?"]


def test_a_link_local_address_of_ones_own_is_enough(bench: Bench) -> None:
    bench.address("epair1a", "fe80::5/64")
    assert shown(bench) == ["fe80::5/64"]


# --- tentative addresses ---


def test_an_address_that_ends_ifdisabled_is_not_tentative_a_later_one_is_for_a_second(bench: Bench) -> None:
    bench.address("epair1a", "2001:db8::1/64")
    bench.address("epair1a", "2001:db8::2/64")
    assert shown(bench) == ["2001:db8::1/64", f"{LINK_LOCAL}?", "2001:db8::2/64?"]
    assert shown(bench, after=1.1) == ["2001:db8::1/64", f"{LINK_LOCAL}?", "2001:db8::2/64"]
    assert shown(bench, after=0.9) == ["2001:db8::1/64", LINK_LOCAL, "2001:db8::2/64"]


def test_no_dad_and_anycast_are_never_tentative(bench: Bench) -> None:
    bench.address("epair1a", "2001:db8::1/64")
    bench.apply(AddAddress("epair1a", Inet6(IPv6Address("2001:db8::9"), 64, Inet6Flag.ANYCAST)))
    assert "2001:db8::9/64" in shown(bench)
    bench.apply(SetNd6("epair1a", set=Nd6.NO_DAD))
    bench.address("epair1a", "2001:db8::a/64")
    assert "2001:db8::a/64" in shown(bench)


def test_ifdisabled_makes_all_tentative_at_once_and_ending_it_tries_them(bench: Bench) -> None:
    bench.address("epair1a", "2001:db8::1/64")
    bench.clock.now += 3
    bench.apply(SetNd6("epair1a", set=Nd6.IFDISABLED))
    assert shown(bench) == ["2001:db8::1/64?", f"{LINK_LOCAL}?"]
    assert shown(bench, after=10) == ["2001:db8::1/64?", f"{LINK_LOCAL}?"]
    bench.apply(SetNd6("epair1a", clear=Nd6.IFDISABLED))
    assert shown(bench) == ["2001:db8::1/64?", f"{LINK_LOCAL}?"]
    assert shown(bench, after=2) == ["2001:db8::1/64", LINK_LOCAL]


def test_down_they_become_tentative_at_the_next_tick_and_are_tried_when_up(bench: Bench) -> None:
    bench.address("epair1a", "2001:db8::1/64")
    bench.clock.now += 3
    bench.down("epair1a")
    assert shown(bench, after=0.5) == ["2001:db8::1/64", LINK_LOCAL]
    assert shown(bench, after=0.5) == ["2001:db8::1/64?", f"{LINK_LOCAL}?"]
    bench.up("epair1a")
    assert shown(bench, after=1.4) == ["2001:db8::1/64?", f"{LINK_LOCAL}?"]
    assert shown(bench, after=0.2) == ["2001:db8::1/64", LINK_LOCAL]


def test_a_vlan_that_loses_its_parent_does_not_run_and_its_addresses_become_tentative(bench: Bench) -> None:
    """As in replay/vlan: what was being tried is finished, and is tentative again at the tick after."""
    bench.create("vlan1")
    bench.apply(BindVlan("vlan1", 5, "vtnet1"))
    bench.address("vlan1", "2001:db8::1/64")
    bench.network.add_vnet(1)
    bench.lend("vtnet1", 1)
    seen = shown(bench, "vlan1", after=1.6)
    assert [text.endswith("?") for text in seen] == [True, False]
    assert [text.endswith("?") for text in shown(bench, "vlan1", after=1)] == [True, True]


# --- lifetimes, other programs ---


def test_lifetimes_run_down(bench: Bench) -> None:
    bench.apply(AddAddress("epair1a", Inet6(IPv6Address("2001:db8::1"), 64, pltime=10, vltime=100)))
    bench.clock.now += 30
    address = bench.seen("epair1a").addresses[0]
    assert isinstance(address, Inet6)
    assert (address.pltime, address.vltime) == (0, 70)
    assert Inet6Flag.DEPRECATED in address.flags
    bench.clock.now += 71
    assert shown(bench) == [LINK_LOCAL]
    assert not bench.driver.nets[0].fib.lookup(IPv6Address("2001:db8::1"))


def test_that_the_machine_ended_a_lifetime_first_is_no_error(bench: Bench) -> None:
    bench.apply(AddAddress("epair1a", Inet6(IPv6Address("2001:db8::1"), 64, pltime=10, vltime=100)))
    device = next(each for each in bench.driver.nets[0].devices.values() if each.ifnet.name == "epair1a")
    del device.addresses[0]
    bench.clock.now += 101
    bench.apply(RemoveAddress("epair1a", IPv6Address("fe80::27:1eff:fe03:60a")))
    assert shown(bench) == []


def test_what_another_program_changes_is_taken_over(bench: Bench) -> None:
    for text in ("10.0.0.1/24", "10.0.0.2/24", "10.0.0.3/24"):
        bench.address("epair1a", text)
    device = next(each for each in bench.driver.nets[0].devices.values() if each.ifnet.name == "epair1a")
    del device.addresses[0]
    device.addresses.insert(0, parsed("192.0.2.1/24"))
    device.mtu, device.up = 1400, False
    seen = bench.seen("epair1a")
    assert addresses(seen) == ["10.0.0.2/24", "10.0.0.3/24", "192.0.2.1/24"]
    assert (seen.mtu, Iff.UP in seen.flags) == (1400, False)
    assert device.seen() == Seen(False, 1400, seen.lladdr, tuple(device.addresses))


def test_an_address_another_program_set_can_be_removed(bench: Bench) -> None:
    device = next(each for each in bench.driver.nets[0].devices.values() if each.ifnet.name == "epair1a")
    foreign = parsed("192.0.2.1/24")
    device.addresses.append(foreign)
    bench.driver.nets[0].fib.add_address(device.ifnet.ident, foreign)
    bench.apply(RemoveAddress("epair1a", foreign.address))
    assert shown(bench) == []
