"""Taking over from the journal: whatever was done, the network read back is equal and goes on in the same way."""

from __future__ import annotations

import copy
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from network_bench import Bench, parsed

from vjail.kernel.core.part import Caller
from vjail.kernel.errno import KernelError
from vjail.kernel.observed import Iff, LaggProtocol, MemberFlag, Nd6, RouteFlag
from vjail.kernel.operations import (
    AddAddress,
    AddRoute,
    BindVlan,
    BridgeAdd,
    BridgeDelete,
    BridgeMemberFlags,
    BridgeParameter,
    ConfigureVxlan,
    CreateInterface,
    DestroyInterface,
    JoinGroup,
    LaggAdd,
    LaggDelete,
    LeaveGroup,
    LendInterface,
    MemberParameter,
    Operation,
    ReclaimInterface,
    RemoveAddress,
    RenameInterface,
    RouteSpec,
    SetBridgeParameter,
    SetDescription,
    SetFlags,
    SetLaggProtocol,
    SetLinkAddress,
    SetMemberParameter,
    SetMtu,
    SetNd6,
    SetVlanPriority,
    UnbindVlan,
    VlanParameters,
    VxlanSettings,
)

VNETS = (0, 1, 2)
NAMES = ("vtnet1", "epair0a", "epair0b", "epair1a", "bridge0", "bridge1", "vlan0", "vlan1", "lo0", "eth0")

_name = st.sampled_from(NAMES)
_address = st.sampled_from(("10.0.0.1/24", "10.0.0.2/24", "10.1.0.1/32", "fd00::1/64", "fe80::7/64"))
_remote = st.sampled_from(("192.0.2.1", "2001:db8::1")).map(ip_address)
_flag = st.sampled_from((Iff.UP, Iff.PPROMISC, Iff.NOARP))
_operation: st.SearchStrategy[Operation[Any]] = st.one_of(
    st.builds(
        CreateInterface,
        st.sampled_from(
            ("epair", "epair1", "bridge", "vlan", "vlan1", "lo", "tap", "tun", "vxlan", "lagg", "vtnet1.5")
        ),
    ),
    st.builds(CreateInterface, st.just("vlan"), st.builds(VlanParameters, st.integers(0, 6), _name)),
    st.builds(DestroyInterface, _name),
    st.builds(RenameInterface, _name, _name),
    st.builds(SetFlags, _name, set=_flag),
    st.builds(SetFlags, _name, clear=_flag),
    st.builds(SetMtu, _name, st.sampled_from((60, 1400, 1500))),
    st.builds(SetDescription, _name, st.sampled_from(("", "text"))),
    st.builds(SetLinkAddress, _name, st.just(b"\2\0\0\0\0\x42")),
    st.builds(JoinGroup, _name, st.sampled_from(("lab", "wan"))),
    st.builds(LeaveGroup, _name, st.sampled_from(("lab", "epair"))),
    st.builds(LendInterface, _name, st.sampled_from(VNETS)),
    st.builds(ReclaimInterface, _name, st.sampled_from(VNETS)),
    st.builds(AddAddress, _name, _address.map(parsed)),
    st.builds(RemoveAddress, _name, _address.map(lambda text: parsed(text).address)),
    st.builds(SetNd6, _name, set=st.sampled_from((Nd6.IFDISABLED, Nd6.NO_DAD))),
    st.builds(SetNd6, _name, clear=st.sampled_from((Nd6.IFDISABLED, Nd6.AUTO_LINKLOCAL))),
    st.builds(BridgeAdd, _name, _name, st.booleans()),
    st.builds(BridgeDelete, _name, _name, st.booleans()),
    st.builds(BridgeMemberFlags, _name, _name, set=st.sampled_from((MemberFlag.STP, MemberFlag.EDGE))),
    st.builds(SetBridgeParameter, _name, st.just(BridgeParameter.PRIORITY), st.just(4096)),
    st.builds(SetMemberParameter, _name, _name, st.just(MemberParameter.PATH_COST), st.just(7)),
    st.builds(BindVlan, _name, st.integers(4, 6), _name),
    st.builds(UnbindVlan, _name),
    st.builds(LaggAdd, st.just("lagg0"), _name),
    st.builds(LaggDelete, st.just("lagg0"), _name),
    st.builds(SetLaggProtocol, st.just("lagg0"), st.sampled_from(LaggProtocol)),
    st.builds(ConfigureVxlan, st.just("vxlan0"), st.builds(VxlanSettings, st.integers(1, 2), remote=_remote)),
    st.builds(SetVlanPriority, _name, st.integers(0, 7)),
    st.builds(
        AddRoute,
        st.just(RouteSpec(ip_network("192.0.2.0/24"), ip_address("10.0.0.9"), flags=RouteFlag.STATIC)),
    ),
)
_step = st.tuples(st.sampled_from(VNETS), _operation, st.sampled_from((0.0, 0.3, 1.0)))
_steps = st.lists(_step, max_size=25)


def prepared() -> Bench:
    bench = Bench()
    for jid in VNETS[1:]:
        bench.network.add_vnet(jid)
    for name in ("epair", "bridge", "vlan"):
        bench.create(name)
    return bench


def perform(bench: Bench, steps: list[tuple[int, Operation[Any], float]]) -> list[object]:
    """Do the steps; what came of each."""
    outcomes: list[object] = []
    for vnet, operation, seconds in steps:
        bench.clock.now += seconds
        try:
            outcomes.append(bench.apply(operation, vnet))
        except KernelError as error:
            outcomes.append(error.errno)
    return outcomes


def everything(bench: Bench) -> list[object]:
    """All that can be seen of a network."""
    found: list[object] = []
    for vnet in sorted(bench.driver.nets):
        caller = Caller(vnet, vnet)
        found += [bench.network.interfaces(caller), bench.network.routes(caller), bench.network.neighbours(caller)]
        found += [
            bench.group(name, vnet) for name in ("epair", "bridge", "vlan", "lo", "tap", "tun", "vxlan", "lab", "wan")
        ]
    return found


@settings(max_examples=150, deadline=None)
@given(_steps, _steps)
def test_a_network_read_back_is_equal_and_goes_on_alike(before: list[Any], after: list[Any]) -> None:
    kept = prepared()
    perform(kept, before)
    restarted = copy.deepcopy(kept)
    restarted.restart()
    assert everything(restarted) == everything(kept)
    assert perform(restarted, after) == perform(kept, after)
    assert everything(restarted) == everything(kept)
    for bench in (kept, restarted):
        bench.network.remove_vnet(1)
    assert everything(restarted) == everything(kept)


@settings(max_examples=100, deadline=None)
@given(_steps)
def test_a_refusal_changes_nothing(steps: list[Any]) -> None:
    bench = prepared()
    for vnet, operation, _ in steps:
        before = everything(bench)
        try:
            bench.apply(operation, vnet)
        except KernelError:
            assert everything(bench) == before


def test_idents_are_never_used_twice_even_across_processes() -> None:
    bench = prepared()
    used = {ident for net in bench.driver.nets.values() for ident in net.devices}
    bench.create("epair5")
    bench.apply(DestroyInterface("epair5a"))
    bench.restart()
    before = set(bench.driver.nets[0].devices)
    bench.create("epair5")
    assert not (set(bench.driver.nets[0].devices) - before) & used
    assert min(set(bench.driver.nets[0].devices) - before) > max(used) + 2


def test_a_change_of_one_interface_is_one_record() -> None:
    bench = prepared()
    for operation in (
        SetFlags("epair0a", set=Iff.UP),
        SetMtu("epair0a", 1400),
        AddAddress("epair0a", parsed("10.0.0.1/24")),
        RenameInterface("epair0a", "uplink"),
        LendInterface("uplink", 1),
    ):
        written = bench.journal.written
        bench.apply(operation)
        assert bench.journal.written == written + 1, operation
