"""bridge(4): membership, MTU rules of each release, spans, numbers of members, when frames are handed over."""

from __future__ import annotations

import pytest
from network_bench import Bench, addresses, parsed

from vjail.kernel.errno import Errno
from vjail.kernel.observed import Bridge, Iff, MemberFlag
from vjail.kernel.operations import (
    AddAddress,
    BridgeAdd,
    BridgeDelete,
    BridgeFlush,
    BridgeForget,
    BridgeMemberFlags,
    BridgeParameter,
    BridgeStatic,
    DestroyInterface,
    MemberParameter,
    RenameInterface,
    SetBridgeParameter,
    SetLinkAddress,
    SetMemberParameter,
    SetMtu,
)
from vjail.release import Release


def made(release: Release = Release.V13) -> Bench:
    bench = Bench(release=release)
    for name in ("epair0", "epair1", "bridge0", "bridge1"):
        bench.create(name)
    return bench


@pytest.fixture
def bench() -> Bench:
    return made()


def state(bench: Bench, name: str = "bridge0") -> Bridge:
    bridge = bench.seen(name).bridge
    assert bridge is not None
    return bridge


def members(bench: Bench, name: str = "bridge0") -> list[str]:
    return [member.name for member in state(bench, name).members]


def master_of(bench: Bench, name: str) -> str | None:
    """Which bridge the machine lets have an interface's frames."""
    devices = bench.driver.nets[0].devices
    device = next(device for device in devices.values() if device.ifnet.name == name)
    return None if device.master is None else devices[device.master].ifnet.name


@pytest.mark.parametrize(
    ("operation", "errno"),
    [
        (BridgeAdd("bridge0", "nosuch0"), Errno.ENOENT),
        (BridgeAdd("bridge0", "bridge1"), Errno.EINVAL),
        (BridgeAdd("bridge0", "bridge0"), Errno.EINVAL),
        (BridgeAdd("bridge0", "lo0"), Errno.EINVAL),
        (BridgeAdd("bridge0", "epair0a"), Errno.EEXIST),
        (BridgeAdd("bridge1", "epair0a"), Errno.EBUSY),
        (BridgeAdd("bridge0", "epair0b"), Errno.EBUSY),
        (BridgeAdd("bridge0", "epair0a", span=True), Errno.EBUSY),
        (BridgeAdd("bridge0", "nosuch0", span=True), Errno.ENOENT),
        (BridgeAdd("bridge0", "lo0", span=True), Errno.EINVAL),
        (BridgeAdd("epair1a", "epair1b"), Errno.EINVAL),
        (BridgeAdd("bridge9", "epair1b"), Errno.ENXIO),
        (BridgeDelete("bridge0", "epair1a"), Errno.ENOENT),
        (BridgeDelete("bridge0", "nosuch0"), Errno.ENOENT),
        (BridgeDelete("bridge0", "epair0b"), Errno.ENOENT),
        (BridgeDelete("bridge0", "epair0a", span=True), Errno.ENOENT),
        (BridgeMemberFlags("bridge0", "epair1a", set=MemberFlag.PRIVATE), Errno.ENOENT),
        (BridgeMemberFlags("bridge0", "epair0b", set=MemberFlag.PRIVATE), Errno.ENOENT),
        (SetMemberParameter("bridge0", "epair1a", MemberParameter.PRIORITY, 0), Errno.ENOENT),
        (SetMemberParameter("bridge0", "epair0a", MemberParameter.PRIORITY, 241), Errno.EINVAL),
        (SetMemberParameter("bridge0", "epair0a", MemberParameter.PATH_COST, 200_000_001), Errno.EINVAL),
        (BridgeStatic("bridge0", "epair1a", bytes(6)), Errno.ENOENT),
        (BridgeForget("bridge0", bytes(6)), Errno.ENOENT),
    ],
    ids=str,
)
def test_what_is_refused(bench: Bench, operation: BridgeAdd, errno: Errno) -> None:
    """epair0a is a member, epair0b a span port of bridge0."""
    bench.apply(BridgeAdd("bridge0", "epair0a"))
    bench.apply(BridgeAdd("bridge0", "epair0b", span=True))
    before = state(bench), bench.seen("epair1a")
    assert bench.refusal(operation) is errno
    assert (state(bench), bench.seen("epair1a")) == before


def test_members_stand_newest_first_and_spans_after_them(bench: Bench) -> None:
    bench.apply(BridgeAdd("bridge0", "epair1b", span=True))
    for name in ("epair0a", "vtnet1", "epair1a"):
        bench.apply(BridgeAdd("bridge0", name))
    assert members(bench) == ["epair1a", "vtnet1", "epair0a", "epair1b"]
    bench.apply(RenameInterface("vtnet1", "wan"))
    assert members(bench) == ["epair1a", "wan", "epair0a", "epair1b"]
    bench.apply(DestroyInterface("epair0b"))
    assert members(bench) == ["epair1a", "wan", "epair1b"]


def test_members_are_promiscuous_and_spans_are_not(bench: Bench) -> None:
    bench.apply(BridgeAdd("bridge0", "epair0a"))
    bench.apply(BridgeAdd("bridge0", "epair1a", span=True))
    assert Iff.PROMISC in bench.seen("epair0a").flags
    assert Iff.PROMISC not in bench.seen("epair1a").flags
    bench.apply(DestroyInterface("bridge0"))
    assert Iff.PROMISC not in bench.seen("epair0a").flags


def test_the_first_member_sets_the_mtu(bench: Bench) -> None:
    bench.apply(SetMtu("epair0a", 1400))
    bench.apply(BridgeAdd("bridge0", "epair0a"))
    assert bench.seen("bridge0").mtu == 1400
    assert bench.refusal(BridgeAdd("bridge0", "epair1a")) is Errno.EINVAL
    bench.apply(BridgeDelete("bridge0", "epair0a"))
    assert bench.seen("bridge0").mtu == 1400
    bench.apply(BridgeAdd("bridge0", "epair1a"))
    assert bench.seen("bridge0").mtu == 1500


def test_release_15_gives_a_member_the_bridges_mtu() -> None:
    bench = made(Release.V15)
    bench.apply(BridgeAdd("bridge0", "epair0a"))
    bench.apply(SetMtu("epair1a", 9000))
    bench.apply(BridgeAdd("bridge0", "epair1a"))
    assert bench.seen("epair1a").mtu == 1500
    bench.apply(SetMtu("bridge0", 1400))
    assert [bench.seen(name).mtu for name in ("bridge0", "epair0a", "epair1a")] == [1400, 1400, 1400]


@pytest.mark.parametrize(("release", "refused"), [(Release.V13, None), (Release.V15, Errno.EOPNOTSUPP)])
def test_a_members_mtu_is_the_bridges_to_set_from_15_on(release: Release, refused: Errno | None) -> None:
    """sys/net/if.c, SIOCSIFMTU; spec ifconfig §8: not checked in 13."""
    bench = made(release)
    bench.apply(BridgeAdd("bridge0", "epair0a"))
    bench.apply(BridgeAdd("bridge0", "epair0b", span=True))
    assert bench.refusal(SetMtu("epair0a", 1400)) is refused
    assert bench.refusal(SetMtu("epair0b", 1400)) is None


def test_a_vlan_on_a_bridge_joins_none() -> None:
    """Spec ifconfig §4: an SVI of release 15 cannot join a bridge."""
    bench = made(Release.V15)
    bench.create("bridge0.5")
    bench.create("vtnet0.5")
    for bridge in ("bridge0", "bridge1"):
        assert bench.refusal(BridgeAdd(bridge, "bridge0.5")) is Errno.EINVAL
    bench.apply(BridgeAdd("bridge0", "vtnet0.5"))


def test_release_15_refuses_addresses_of_members_where_a_sysctl_says_so() -> None:
    """Spec ifconfig §5; bridge(4) of 15: both ways round, and of either family."""
    bench = made(Release.V15)
    bench.apply(BridgeAdd("bridge0", "epair0a"))
    bench.address("epair0a", "10.0.0.1/24")
    bench.apply(BridgeAdd("bridge0", "vtnet1", span=True))
    bench.settings["net.link.bridge.member_ifaddrs"] = "0"
    assert bench.refusal(AddAddress("epair0a", parsed("10.0.0.2/24"))) is Errno.EINVAL
    assert bench.refusal(AddAddress("epair0a", parsed("fd00::2/64"))) is Errno.EINVAL
    assert bench.refusal(AddAddress("vtnet1", parsed("10.0.1.2/24"))) is None
    bench.apply(BridgeDelete("bridge0", "epair0a"))
    assert bench.refusal(BridgeAdd("bridge0", "epair0a")) is Errno.EINVAL
    bench.address("epair1a", "fd00::1/64")
    assert bench.refusal(BridgeAdd("bridge0", "epair1a")) is Errno.EINVAL
    assert members(bench) == ["vtnet1"]
    bench.apply(BridgeAdd("bridge0", "epair1b"))


def test_a_sysctl_lets_link_local_scopes_overlap() -> None:
    """bridge(4), net.link.bridge.allow_llz_overlap."""
    for setting, kept in (("0", []), ("1", ["fe80::2/64"])):
        bench = made(Release.V13)
        bench.settings["net.link.bridge.allow_llz_overlap"] = setting
        bench.address("bridge0", "fe80::1/64")
        bench.address("epair0a", "fe80::2/64")
        bench.apply(BridgeAdd("bridge0", "epair0a"))
        assert addresses(bench.seen("epair0a")) == kept


def test_a_sysctl_lets_a_bridge_have_its_first_members_address(bench: Bench) -> None:
    """bridge(4), net.link.bridge.inherit_mac; if_bridge.c: the next is the newest member's, the last its own."""
    born = bench.macs()
    bench.apply(BridgeAdd("bridge0", "epair0a"))
    bench.settings["net.link.bridge.inherit_mac"] = "1"
    bench.apply(BridgeAdd("bridge0", "vtnet1"))
    assert bench.macs()["bridge0"] == born["bridge0"]
    for name in ("epair0b", "epair1a", "epair1b"):
        bench.apply(BridgeAdd("bridge1", name))
    assert bench.macs()["bridge1"] == born["epair0b"]
    bench.restart()
    bench.apply(BridgeDelete("bridge1", "epair0b"))
    assert bench.macs()["bridge1"] == born["epair1b"]
    bench.apply(DestroyInterface("epair1a"))
    assert bench.macs()["bridge1"] == born["bridge1"]
    bench.apply(SetLinkAddress("bridge1", bytes.fromhex("020000000001")))
    bench.apply(BridgeAdd("bridge1", "epair0b"))
    assert bench.macs()["bridge1"] == "02:00:00:00:00:01"


def test_a_bridges_mtu_is_its_members(bench: Bench) -> None:
    assert bench.refusal(SetMtu("bridge0", 575)) is Errno.EINVAL
    bench.apply(SetMtu("bridge0", 9000))
    bench.apply(BridgeAdd("bridge0", "epair0a"))
    assert bench.refusal(SetMtu("bridge0", 1400)) is Errno.EINVAL
    bench.apply(SetMtu("epair0a", 1400))
    bench.apply(SetMtu("bridge0", 1400))
    assert bench.seen("bridge0").mtu == 1400


def test_frames_are_handed_over_only_while_the_bridge_is_up(bench: Bench) -> None:
    bench.apply(BridgeAdd("bridge0", "epair0a"))
    assert master_of(bench, "epair0a") is None
    bench.up("bridge0")
    assert master_of(bench, "epair0a") == "bridge0"
    bench.apply(BridgeAdd("bridge0", "epair1a"))
    assert master_of(bench, "epair1a") == "bridge0"
    bench.down("bridge0")
    assert (master_of(bench, "epair0a"), master_of(bench, "epair1a")) == (None, None)
    bench.address("bridge0", "10.0.0.254/24")
    assert master_of(bench, "epair0a") == "bridge0"
    bench.apply(BridgeDelete("bridge0", "epair0a"))
    assert master_of(bench, "epair0a") is None


def test_ids_and_root_appear_as_spanning_tree_is_set_up(bench: Bench) -> None:
    assert state(bench).root_priority == 0
    bench.apply(SetBridgeParameter("bridge0", BridgeParameter.PRIORITY, 5000))
    assert (state(bench).priority, state(bench).root_priority) == (4096, 4096)
    for name in ("vtnet1", "epair0a"):
        bench.apply(BridgeAdd("bridge0", name))
    bench.apply(BridgeMemberFlags("bridge0", "vtnet1", set=MemberFlag.STP))
    assert state(bench).bridge_id == state(bench).root_id == bench.seen("epair0a").lladdr
    bench.apply(BridgeMemberFlags("bridge0", "vtnet1", clear=MemberFlag.STP))
    assert state(bench).bridge_id == bytes(6)


def test_only_ethernet_takes_part_in_spanning_tree(bench: Bench) -> None:
    bench.create("vtnet1.5")
    bench.apply(BridgeAdd("bridge0", "vtnet1.5"))
    assert bench.refusal(BridgeMemberFlags("bridge0", "vtnet1.5", set=MemberFlag.STP)) is Errno.EINVAL


def test_a_port_that_is_up_on_a_bridge_that_is_up_forwards(bench: Bench) -> None:
    bench.apply(BridgeAdd("bridge0", "epair0a"))
    bench.apply(BridgeMemberFlags("bridge0", "epair0a", set=MemberFlag.STP))
    bench.up("bridge0")
    (member,) = state(bench).members
    assert (member.role, member.state) == ("disabled", "discarding")
    bench.up("epair0a")
    (member,) = state(bench).members
    assert (member.role, member.state) == ("designated", "forwarding")


@pytest.mark.parametrize(
    ("parameter", "value", "errno"),
    [
        (BridgeParameter.HELLOTIME, 1, Errno.EPERM),
        (BridgeParameter.FWDDELAY, 3, Errno.EINVAL),
        (BridgeParameter.FWDDELAY, 31, Errno.EINVAL),
        (BridgeParameter.MAXAGE, 5, Errno.EINVAL),
        (BridgeParameter.HOLDCNT, 0, Errno.EINVAL),
        (BridgeParameter.HOLDCNT, 11, Errno.EINVAL),
        (BridgeParameter.PRIORITY, 61441, Errno.EINVAL),
        (BridgeParameter.PROTO, 1, Errno.EINVAL),
    ],
)
def test_numbers_out_of_range(bench: Bench, parameter: BridgeParameter, value: int, errno: Errno) -> None:
    assert bench.refusal(SetBridgeParameter("bridge0", parameter, value)) is errno


def test_hello_time_can_be_set_in_the_old_protocol(bench: Bench) -> None:
    bench.apply(SetBridgeParameter("bridge0", BridgeParameter.PROTO, 0))
    bench.apply(SetBridgeParameter("bridge0", BridgeParameter.HELLOTIME, 1))
    assert (state(bench).proto, state(bench).hellotime) == ("stp", 1)
    bench.apply(SetBridgeParameter("bridge0", BridgeParameter.PROTO, 2))
    assert (state(bench).proto, state(bench).hellotime) == ("rstp", 2)


def test_a_path_cost_of_zero_is_the_calculated_one(bench: Bench) -> None:
    bench.create("tap0")
    for name, cost in (("epair0a", 2000), ("tap0", 55)):
        bench.apply(BridgeAdd("bridge0", name))
        assert state(bench).members[0].path_cost == cost
        bench.apply(SetMemberParameter("bridge0", name, MemberParameter.PATH_COST, 7))
        assert MemberFlag.ADMCOST in state(bench).members[0].flags
        bench.apply(SetMemberParameter("bridge0", name, MemberParameter.PATH_COST, 0))
        assert state(bench).members[0].path_cost == cost
        assert MemberFlag.ADMCOST not in state(bench).members[0].flags


def test_a_link_local_address_on_the_bridge_takes_the_members_away(bench: Bench) -> None:
    bench.address("epair0a", "fd00::1/64")
    bench.address("epair1a", "10.0.0.1/24")
    bench.apply(BridgeAdd("bridge0", "epair0a"))
    assert len(addresses(bench.seen("epair0a"))) == 2
    bench.address("bridge0", "fe80::1/64")
    bench.apply(BridgeAdd("bridge0", "epair1a"))
    assert addresses(bench.seen("epair0a")) == []
    assert addresses(bench.seen("epair1a")) == ["10.0.0.1/24"]


def test_the_forwarding_table(bench: Bench) -> None:
    from vjail.kernel.core.part import Caller

    bench.apply(BridgeAdd("bridge0", "epair0a"))
    bench.apply(BridgeStatic("bridge0", "epair0a", b"\2\0\0\0\0\1"))
    (entry,) = bench.network.bridge_addresses(Caller(0, 0), "bridge0")
    assert (entry.member, entry.vlan, entry.expire, entry.static) == ("epair0a", 1, 0, True)
    bench.apply(BridgeFlush("bridge0"))
    assert len(bench.network.bridge_addresses(Caller(0, 0), "bridge0")) == 1
    bench.apply(BridgeFlush("bridge0", all=True))
    assert bench.network.bridge_addresses(Caller(0, 0), "bridge0") == []
