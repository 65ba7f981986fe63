"""What a move between vnets keeps and loses, and what becomes of a vnet's interfaces when it ends."""

from __future__ import annotations

import pytest
from network_bench import Bench, addresses

from vjail.kernel.core.network import Returned
from vjail.kernel.core.part import Caller
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Iff, Nd6
from vjail.kernel.operations import (
    BindVlan,
    BridgeAdd,
    CreateInterface,
    JoinGroup,
    LendInterface,
    ReclaimInterface,
    RenameInterface,
    SetDescription,
    SetFlags,
    SetLinkAddress,
    SetMtu,
    SetNd6,
)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    for jid in (1, 2):
        bench.network.add_vnet(jid)
    bench.create("epair1")
    return bench


def test_what_is_kept(bench: Bench) -> None:
    bench.apply(SetMtu("epair1b", 9000))
    bench.apply(SetDescription("epair1b", "uplink"))
    bench.apply(SetLinkAddress("epair1b", b"\x02\0\0\0\0\x11"))
    before = bench.seen("epair1b")
    bench.lend("epair1b", 1)
    after = bench.seen("epair1b", 1)
    for name in ("name", "mtu", "description", "lladdr", "hwaddr", "media", "status", "options"):
        assert getattr(after, name) == getattr(before, name)


def test_what_is_lost(bench: Bench) -> None:
    bench.address("epair1b", "10.0.0.1/24")
    bench.address("epair1b", "fd00::1/64")
    bench.apply(SetNd6("epair1b", set=Nd6.NO_DAD))
    bench.apply(JoinGroup("epair1b", "lab"))
    bench.lend("epair1b", 1)
    after = bench.seen("epair1b", 1)
    assert addresses(after) == []
    assert Iff.UP not in after.flags
    assert int(after.nd6) == 0x29
    assert after.groups == ("epair",)
    assert bench.routes() == []


def test_the_cloners_group_comes_along_out_of_home_only(bench: Bench) -> None:
    bench.lend("epair1b", 1)
    assert bench.group("epair", 1) == ["epair1b"]
    bench.apply(ReclaimInterface("epair1b", 1))
    assert bench.seen("epair1b").groups == ()
    assert bench.group("epair") == ["epair1a"]
    bench.lend("epair1b", 2)
    assert bench.seen("epair1b", 2).groups == ("epair",)


def test_a_member_leaves_its_bridge_and_stays_promiscuous(bench: Bench) -> None:
    bench.create("bridge0")
    bench.apply(BridgeAdd("bridge0", "epair1b"))
    bench.lend("epair1b", 1)
    bridge = bench.seen("bridge0").bridge
    assert bridge is not None
    assert bridge.members == ()
    assert Iff.PROMISC in bench.seen("epair1b", 1).flags


def test_a_bridge_loses_its_members(bench: Bench) -> None:
    bench.create("bridge0")
    bench.apply(BridgeAdd("bridge0", "epair1b"))
    bench.lend("bridge0", 1)
    bridge = bench.seen("bridge0", 1).bridge
    assert bridge is not None
    assert bridge.members == ()
    assert Iff.PROMISC not in bench.seen("epair1b").flags


def test_a_bridge_that_was_up_works_again_after_the_move(bench: Bench) -> None:
    bench.create("bridge0")
    bench.up("bridge0")
    bench.lend("bridge0", 1)
    bench.lend("epair1b", 1)
    bench.apply(BridgeAdd("bridge0", "epair1b"), 1)
    device = next(device for device in bench.driver.nets[1].devices.values() if device.ifnet.name == "epair1b")
    assert device.master is None
    bench.up("bridge0", 1)
    assert device.master is not None


def test_vlans_on_a_parent_that_moves_stay_bound_to_nothing(bench: Bench) -> None:
    bench.create("vlan5")
    bench.apply(BindVlan("vlan5", 5, "epair1b"))
    bench.lend("epair1b", 1)
    vlan = bench.seen("vlan5")
    assert vlan.vlan is not None
    assert (vlan.vlan.parent, vlan.vlan.tag) == (None, 0)
    assert Iff.RUNNING not in vlan.flags
    assert vlan.media is None


def test_a_vlan_that_moves_stays_bound_but_tells_nobody(bench: Bench) -> None:
    bench.create("vlan5")
    bench.apply(BindVlan("vlan5", 5, "vtnet1"))
    bench.lend("vlan5", 1)
    vlan = bench.seen("vlan5", 1)
    assert vlan.vlan is not None
    assert (vlan.vlan.parent, vlan.vlan.visible) == ("vtnet1", False)
    assert Iff.RUNNING in vlan.flags
    assert vlan.status == "active"


@pytest.mark.parametrize(
    ("operation", "vnet", "errno"),
    [
        (LendInterface("nosuch0", 1), 0, Errno.ENXIO),
        (LendInterface("epair1a", 9), 0, Errno.ENXIO),
        (LendInterface("epair1a", 0), 0, Errno.EEXIST),
        (LendInterface("lo0", 1), 0, Errno.EEXIST),
        (ReclaimInterface("nosuch0", 1), 0, Errno.ENXIO),
        (ReclaimInterface("lo0", 1), 0, Errno.EEXIST),
    ],
)
def test_moves_that_are_refused(bench: Bench, operation: LendInterface, vnet: int, errno: Errno) -> None:
    assert bench.refusal(operation, vnet) is errno


def test_a_name_that_is_taken_there_is_refused(bench: Bench) -> None:
    bench.create("epair1", 1)
    assert bench.refusal(LendInterface("epair1a", 1)) is Errno.EEXIST
    assert bench.refusal(ReclaimInterface("epair1a", 1)) is Errno.EEXIST
    assert "epair1a" in bench.names()


# --- the end of a vnet ---


def test_lent_interfaces_go_home_in_the_order_in_which_they_came(bench: Bench) -> None:
    bench.lend("vtnet1", 1)
    bench.lend("epair1b", 1)
    bench.address("vtnet1", "10.5.5.5/24", 1)
    ended = bench.network.remove_vnet(1)
    assert ended.returned == (Returned(0, "vtnet1", "vtnet1"), Returned(0, "epair1b", "epair1b"))
    assert bench.names() == ["vtnet0", "lo0", "epair1a", "vtnet1", "epair1b"]
    vtnet1 = bench.seen("vtnet1")
    assert int(vtnet1.flags) == 0x8862
    assert addresses(vtnet1) == []


def test_they_go_home_under_the_name_they_have(bench: Bench) -> None:
    bench.lend("epair1b", 1)
    bench.apply(RenameInterface("epair1b", "eth0"), 1)
    assert bench.network.remove_vnet(1).returned == (Returned(0, "eth0", "eth0"),)
    assert bench.names()[-1] == "eth0"


def test_what_was_made_inside_is_destroyed_wherever_it_is(bench: Bench) -> None:
    bench.create("epair7", 1)
    bench.create("bridge0", 1)
    bench.create("lo3", 1)
    bench.apply(ReclaimInterface("epair7b", 1))
    assert "epair7b" in bench.names()
    ended = bench.network.remove_vnet(1)
    assert set(ended.destroyed) == {"epair7a", "epair7b", "bridge0", "lo3", "lo0"}
    assert bench.names() == ["vtnet0", "vtnet1", "lo0", "epair1a", "epair1b"]
    assert 1 not in bench.driver.nets


def test_a_vlan_made_inside_on_a_lent_parent_does_not_outlive_the_jail(bench: Bench) -> None:
    bench.lend("epair1b", 1)
    bench.create("vlan5", 1)
    bench.apply(BindVlan("vlan5", 5, "epair1b"), 1)
    bench.network.remove_vnet(1)
    assert "vlan5" not in bench.names()
    bench.create("vlan5")
    bench.apply(BindVlan("vlan5", 5, "epair1b"))


def test_a_nested_vnet_gives_back_to_where_an_interface_was_made(bench: Bench) -> None:
    """observed/i9 i12: what the host lent to m.k is the host's again, not m's."""
    bench.lend("epair1b", 2)
    bench.create("epair9", 1)
    bench.lend("epair9a", 2, 1)
    bench.network.remove_vnet(2)
    assert bench.names(1) == ["lo0", "epair9b", "epair9a"]
    assert bench.names()[-1] == "epair1b"


def test_a_name_that_is_taken_at_home_gives_way_to_the_first_one(bench: Bench) -> None:
    """observed/i_destroy i8: FreeBSD has two of one name then, and panics; here one gets its own name back."""
    bench.lend("epair1b", 1)
    bench.apply(RenameInterface("epair1b", "zz0"), 1)
    bench.create("epair2")
    bench.apply(RenameInterface("epair2a", "zz0"))
    assert bench.network.remove_vnet(1).returned == (Returned(0, "zz0", "epair1b"),)


def test_where_that_is_taken_too_it_gets_a_new_one(bench: Bench) -> None:
    bench.lend("epair1b", 1)
    bench.apply(CreateInterface("epair2"))
    bench.apply(RenameInterface("epair2a", "epair1b"))
    assert bench.network.remove_vnet(1).returned == (Returned(0, "epair1b", "epair1b_0"),)


def test_a_flag_a_user_set_stays(bench: Bench) -> None:
    bench.apply(SetFlags("epair1b", set=Iff.PPROMISC | Iff.LINK0))
    bench.lend("epair1b", 1)
    assert Iff.PPROMISC | Iff.PROMISC | Iff.LINK0 in bench.seen("epair1b", 1).flags


def test_only_who_owns_the_network_changes_it(bench: Bench) -> None:
    """A jail on its parent's stack looks; jail 7 is one on the host's, jail 8 one on jail 1's."""
    handlers = bench.network.handlers()
    for caller in (Caller(7, 0), Caller(8, 1)):
        for operation in (SetFlags("lo0", set=Iff.UP), CreateInterface("epair"), LendInterface("lo0", 1)):
            with pytest.raises(KernelError, match="Operation not permitted"):
                handlers[type(operation)](caller, operation)
    assert [each.name for each in bench.network.interfaces(Caller(8, 1))] == ["lo0"]
