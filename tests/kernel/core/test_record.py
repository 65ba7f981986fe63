"""Records: what is written can be read back, through json."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjail.kernel.core.ifnet import BridgeState, Held, IfNet, Membership, VlanState
from vjail.kernel.core.record import UNRECORDED, from_record, to_record
from vjail.kernel.observed import Iff, Inet, Inet6, Inet6Flag, Kind, MemberFlag, Nd6

_inet = st.builds(
    Inet,
    st.ip_addresses(v=4),
    st.ip_addresses(v=4),
    st.none() | st.ip_addresses(v=4),
    st.none() | st.ip_addresses(v=4),
)
_inet6 = st.builds(
    Inet6,
    st.ip_addresses(v=6),
    st.integers(0, 128),
    st.integers(0, 0x1FF).map(Inet6Flag),
    st.none() | st.integers(0, 2**32),
    st.none() | st.integers(0, 2**32),
)
_held = st.builds(Held, _inet | _inet6, st.none() | st.floats(0, 1e9), st.floats(0, 1e9))
_lladdr = st.none() | st.binary(min_size=6, max_size=6)
_ifnet = st.builds(
    IfNet,
    ident=st.integers(1),
    name=st.text(min_size=1, max_size=15),
    kind=st.sampled_from(Kind),
    vnet=st.integers(0),
    home=st.integers(0),
    index=st.integers(1),
    attached=st.integers(1),
    flags=st.integers(0, 0xFFFFF).map(Iff),
    mtu=st.integers(72, 65535),
    nd6=st.integers(0, 0x8FFF).map(Nd6),
    lladdr=_lladdr,
    hwaddr=_lladdr,
    description=st.none() | st.text(),
    groups=st.dictionaries(st.text(min_size=1), st.integers()),
    addresses=st.lists(_held),
    bridge=st.none() | st.builds(BridgeState, members=st.just({})),
    member=st.none() | st.builds(Membership, st.integers(), st.integers(), st.integers(0, 0xFFF).map(MemberFlag)),
    vlan=st.none() | st.builds(VlanState, st.integers(0, 4095), st.none() | st.integers()),
    vlans=st.just(set()),
)


@given(_ifnet)
def test_an_interface_read_back_is_equal(ifnet: IfNet) -> None:
    assert from_record(IfNet, json.loads(json.dumps(to_record(ifnet)))) == ifnet


@dataclass
class Pair:
    first: tuple[IPv4Address, ...]
    second: IPv6Address | None = None
    by_number: dict[int, bytes] = field(default_factory=dict)
    derived: list[int] = field(default_factory=list, metadata=UNRECORDED)


def test_the_form_is_plain_json() -> None:
    pair = Pair((IPv4Address("10.0.0.1"),), IPv6Address("::1"), {7: b"\x01\xff"}, [1])
    assert to_record(pair) == {"first": ["10.0.0.1"], "second": "::1", "by_number": {"7": "01ff"}}


def test_what_is_not_recorded_gets_its_default_again() -> None:
    assert from_record(Pair, to_record(Pair((), derived=[1, 2]))).derived == []


def test_keys_of_other_versions_do_no_harm() -> None:
    assert from_record(Pair, {"first": [], "later": 1}) == Pair(())


@dataclass
class Unknown:
    thing: complex


def test_a_type_without_a_form_is_refused() -> None:
    with pytest.raises(TypeError, match="complex"):
        to_record(Unknown(1j))
