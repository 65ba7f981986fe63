"""vlan(4): binding, what a vlan takes over from its parent, promiscuous mode through it."""

from __future__ import annotations

import pytest
from network_bench import Bench

from vjail.kernel.errno import Errno
from vjail.kernel.observed import Iff, Vlan
from vjail.kernel.operations import (
    BindVlan,
    BridgeAdd,
    DestroyInterface,
    SetLinkAddress,
    SetMtu,
    SetVlanPriority,
    UnbindVlan,
)
from vjail.release import Release


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    for name in ("vlan1", "vlan2", "epair0", "bridge0"):
        bench.create(name)
    return bench


def vlan_of(bench: Bench, name: str) -> Vlan:
    vlan = bench.seen(name).vlan
    assert vlan is not None
    return vlan


@pytest.mark.parametrize(
    ("operation", "errno"),
    [
        (BindVlan("vlan2", 100, "nosuch0"), Errno.ENOENT),
        (BindVlan("vlan2", 0, "vtnet1"), Errno.EINVAL),
        (BindVlan("vlan2", 4095, "vtnet1"), Errno.EINVAL),
        (BindVlan("vlan2", 100, "lo0"), Errno.EPROTONOSUPPORT),
        (BindVlan("vlan2", 100, "bridge0"), Errno.EPROTONOSUPPORT),
        (BindVlan("vlan2", 100, "vtnet1"), Errno.EEXIST),
        (BindVlan("vlan1", 100, "vtnet1"), Errno.EBUSY),
        (BindVlan("vlan1", 4096, "vtnet1"), Errno.EINVAL),
        (BindVlan("epair0a", 100, "vtnet1"), Errno.EINVAL),
        (SetVlanPriority("epair0a", 1), Errno.EINVAL),
    ],
    ids=str,
)
def test_what_is_refused(bench: Bench, operation: BindVlan, errno: Errno) -> None:
    """vlan1 is bound to vtnet1 with tag 100."""
    bench.apply(BindVlan("vlan1", 100, "vtnet1"))
    assert bench.refusal(operation) is errno


def test_release_15_lets_the_tag_change_and_takes_bridges() -> None:
    bench = Bench(release=Release.V15)
    for name in ("vlan1", "bridge0"):
        bench.create(name)
    bench.apply(BindVlan("vlan1", 100, "vtnet1"))
    bench.apply(BindVlan("vlan1", 101, "vtnet1"))
    assert vlan_of(bench, "vlan1").tag == 101
    assert bench.refusal(BindVlan("vlan1", 101, "vtnet0")) is Errno.EBUSY
    bench.apply(UnbindVlan("vlan1"))
    bench.apply(BindVlan("vlan1", 5, "bridge0"))


def test_a_tag_may_be_used_on_each_parent_and_by_each_protocol(bench: Bench) -> None:
    bench.apply(BindVlan("vlan1", 100, "vtnet1"))
    bench.apply(BindVlan("vlan2", 100, "vtnet1", 0x88A8))
    bench.create("vlan3")
    bench.apply(BindVlan("vlan3", 100, "epair0a"))


def test_a_vlan_takes_over_address_mtu_and_link_state(bench: Bench) -> None:
    bench.apply(SetMtu("epair0a", 9000))
    bench.apply(BindVlan("vlan1", 7, "epair0a"))
    vlan, parent = bench.seen("vlan1"), bench.seen("epair0a")
    assert (vlan.lladdr, vlan.mtu, vlan.media, vlan.status) == (parent.lladdr, 9000, parent.media, "active")
    assert vlan.flags == Iff.BROADCAST | Iff.MULTICAST | Iff.SIMPLEX | Iff.RUNNING
    bench.apply(SetLinkAddress("epair0a", b"\2\0\0\0\0\7"))
    assert bench.seen("vlan1").lladdr == b"\2\0\0\0\0\7"


def test_its_mtu_is_up_to_its_parents(bench: Bench) -> None:
    assert bench.refusal(SetMtu("vlan1", 1500)) is Errno.EINVAL
    bench.apply(BindVlan("vlan1", 7, "epair0a"))
    assert bench.refusal(SetMtu("vlan1", 1501)) is Errno.EINVAL
    bench.apply(SetMtu("vlan1", 1000))
    assert bench.seen("vlan1").mtu == 1000


def test_unbound_it_keeps_what_it_had_and_its_priority(bench: Bench) -> None:
    bench.apply(BindVlan("vlan1", 7, "vtnet1"))
    bench.apply(SetVlanPriority("vlan1", 5))
    bench.apply(UnbindVlan("vlan1"))
    assert vlan_of(bench, "vlan1") == Vlan(pcp=5)
    assert bench.seen("vlan1").lladdr == bench.seen("vtnet1").lladdr
    assert Iff.RUNNING not in bench.seen("vlan1").flags
    bench.apply(BindVlan("vlan1", 8, "vtnet1"))
    assert vlan_of(bench, "vlan1") == Vlan(8, "vtnet1", 0x8100, 0)


def test_a_parent_that_is_destroyed_leaves_it_bound_to_nothing(bench: Bench) -> None:
    bench.apply(BindVlan("vlan1", 7, "epair0a"))
    bench.apply(DestroyInterface("epair0b"))
    assert vlan_of(bench, "vlan1") == Vlan()
    assert "vlan1" in bench.names()


def test_a_bridged_vlan_makes_its_parent_promiscuous(bench: Bench) -> None:
    bench.apply(BindVlan("vlan1", 7, "vtnet1"))
    bench.apply(BridgeAdd("bridge0", "vlan1"))
    assert Iff.PROMISC in bench.seen("vtnet1").flags
    bench.apply(DestroyInterface("vlan1"))
    assert Iff.PROMISC not in bench.seen("vtnet1").flags


def test_away_from_home_nothing_can_be_asked_of_its_binding(bench: Bench) -> None:
    bench.network.add_vnet(1)
    bench.apply(BindVlan("vlan1", 7, "vtnet1"))
    bench.lend("vlan1", 1)
    for operation in (BindVlan("vlan1", 8, "lo0"), UnbindVlan("vlan1"), SetVlanPriority("vlan1", 1)):
        assert bench.refusal(operation, 1) is Errno.EPERM
