"""Making and destroying interfaces: names, units, indexes, groups, who may destroy what."""

from __future__ import annotations

import pytest
from network_bench import Bench

from vjail.kernel.errno import Errno
from vjail.kernel.observed import Iff, Kind
from vjail.kernel.operations import (
    CreateInterface,
    DestroyInterface,
    ReclaimInterface,
    RenameInterface,
    VlanParameters,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("name", "errno"),
    [
        ("nosuch", Errno.EINVAL),
        ("nosuch0", Errno.EINVAL),
        ("epairfoo", Errno.EINVAL),
        ("epair01", Errno.EINVAL),
        ("epair5a", Errno.EINVAL),
        ("epair32768", Errno.ENOSPC),
        ("epair99999999", Errno.ENOSPC),
        ("bridge007", Errno.EINVAL),
        ("lo0", Errno.EEXIST),
        ("nosuch0.5", Errno.EINVAL),
        ("vtnet1.4095", Errno.EINVAL),
        ("lo0.5", Errno.EPROTONOSUPPORT),
    ],
)
def test_names_that_cannot_be_made(bench: Bench, name: str, errno: Errno) -> None:
    before = bench.names()
    assert bench.refusal(CreateInterface(name)) is errno
    assert bench.names() == before


def test_the_last_unit_can_be_made(bench: Bench) -> None:
    assert bench.create("epair32767") == "epair32767a"


def test_units_are_the_lowest_free_ones(bench: Bench) -> None:
    assert [bench.create("epair") for _ in range(3)] == ["epair0a", "epair1a", "epair2a"]
    bench.apply(DestroyInterface("epair1b"))
    assert bench.create("epair") == "epair1a"
    assert bench.create("bridge") == "bridge0"
    assert bench.create("lo") == "lo1"


def test_a_unit_stays_taken_while_either_end_lives_wherever_and_whatever_its_name(bench: Bench) -> None:
    bench.create("epair1")
    bench.network.add_vnet(1)
    bench.apply(RenameInterface("epair1a", "uplink"))
    bench.lend("epair1b", 1)
    assert bench.refusal(CreateInterface("epair1")) is Errno.EEXIST
    bench.apply(DestroyInterface("uplink"))
    assert bench.create("epair1") == "epair1a"


def test_an_interface_that_has_taken_a_units_name_is_passed_over(bench: Bench) -> None:
    bench.create("epair5")
    bench.apply(RenameInterface("epair5a", "bridge0"))
    assert bench.refusal(CreateInterface("bridge0")) is Errno.EEXIST
    assert bench.create("bridge") == "bridge1"


def test_an_epair_whose_other_name_is_taken_is_not_made(bench: Bench) -> None:
    bench.create("bridge3")
    bench.apply(RenameInterface("bridge3", "epair2b"))
    assert bench.refusal(CreateInterface("epair2")) is Errno.EEXIST
    bench.apply(RenameInterface("epair2b", "lan"))
    assert bench.create("epair2") == "epair2a"


def test_indexes_are_the_lowest_free_ones_of_the_vnet(bench: Bench) -> None:
    bench.create("epair0")
    assert [bench.seen(name).index for name in ("vtnet0", "vtnet1", "lo0", "epair0a", "epair0b")] == [1, 2, 3, 4, 5]
    bench.network.add_vnet(1)
    bench.lend("vtnet1", 1)
    assert bench.seen("vtnet1", 1).index == 2
    assert bench.create("bridge") == "bridge0"
    assert bench.seen("bridge0").index == 2
    assert bench.names() == ["vtnet0", "lo0", "epair0a", "epair0b", "bridge0"]


def test_an_epairs_b_end_is_first_in_the_group(bench: Bench) -> None:
    bench.create("epair1")
    bench.create("epair0")
    assert bench.group("epair") == ["epair1b", "epair1a", "epair0b", "epair0a"]
    assert bench.group("all") == ["vtnet0", "vtnet1", "lo0", "epair1a", "epair1b", "epair0a", "epair0b"]
    assert bench.group("nosuch") == []


@pytest.mark.parametrize(("name", "errno"), [("vtnet1", Errno.EINVAL), ("lo0", Errno.EINVAL), ("no0", Errno.ENXIO)])
def test_what_cannot_be_destroyed(bench: Bench, name: str, errno: Errno) -> None:
    assert bench.refusal(DestroyInterface(name)) is errno


def test_a_jail_cannot_destroy_what_was_made_outside(bench: Bench) -> None:
    bench.network.add_vnet(1)
    bench.create("epair1")
    bench.lend("epair1b", 1)
    assert bench.refusal(DestroyInterface("epair1b"), 1) is Errno.ENXIO
    assert bench.names(1) == ["lo0", "epair1b"]
    bench.apply(DestroyInterface("epair1a"))
    assert bench.names(1) == ["lo0"]


def test_the_host_cannot_destroy_what_a_jail_made_and_it_took(bench: Bench) -> None:
    bench.network.add_vnet(1)
    bench.create("epair7", 1)
    bench.apply(ReclaimInterface("epair7b", 1))
    assert bench.refusal(DestroyInterface("epair7b")) is Errno.ENXIO


def test_lo1_can_be_destroyed(bench: Bench) -> None:
    bench.create("lo1")
    bench.apply(DestroyInterface("lo1"))
    assert bench.names() == ["vtnet0", "vtnet1", "lo0"]


def test_vlans_named_after_parent_and_tag_take_no_unit(bench: Bench) -> None:
    assert bench.create("vtnet1.300") == "vtnet1.300"
    assert bench.create("vlan") == "vlan0"
    vlan = bench.seen("vtnet1.300").vlan
    assert vlan is not None
    assert (vlan.tag, vlan.parent) == (300, "vtnet1")


def test_a_vlan_that_cannot_be_bound_is_not_made(bench: Bench) -> None:
    bench.apply(CreateInterface("vlan1", VlanParameters(5, "vtnet1")))
    before = bench.names()
    for parameters, errno in (
        (VlanParameters(5, "vtnet1"), Errno.EEXIST),
        (VlanParameters(6, "nosuch0"), Errno.ENXIO),
        (VlanParameters(0, "vtnet1"), Errno.EINVAL),
        (VlanParameters(6, "lo0"), Errno.EPROTONOSUPPORT),
    ):
        assert bench.refusal(CreateInterface("vlan2", parameters)) is errno
    assert bench.names() == before
    bench.apply(CreateInterface("vlan2", VlanParameters(5, "vtnet1", 0x88A8)))


def test_what_new_interfaces_are_like(bench: Bench) -> None:
    bench.create("tap0")
    tap = bench.seen("tap0")
    assert (tap.kind, int(tap.flags), tap.status, tap.options) == (Kind.TAP, 0x8802, "no carrier", 0x80000)
    assert Iff.KNOWSEPOCH in bench.seen("vtnet0").flags
    bench.create("epair0")
    assert int(bench.seen("epair0b").flags) == 0x8862


def test_the_cloners(bench: Bench) -> None:
    from vjail.kernel.core.part import Caller

    assert bench.network.cloners(Caller(0, 0)) == [
        "vlan",
        "lagg",
        "bridge",
        "pflog",
        "tap",
        "tun",
        "epair",
        "vxlan",
        "lo",
    ]
