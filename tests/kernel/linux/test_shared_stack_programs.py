"""The programs that hold a jail to its addresses: taken by this kernel, and what they let pass, packet by packet."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vjail.kernel.core.jail_addresses import Way, owns
from vjail.kernel.core.prison_record import AddressRule, IpAddress
from vjail.kernel.linux.bpf import Attach, load
from vjail.kernel.linux.pf.names import OTHERS
from vjail.kernel.linux.shared_stack import KINDS, Held, mark_of, programs
from vjail.kernel.linux.syscalls import call

_TEST_RUN = 10
FREE = AddressRule()


def rule(*addresses: str) -> AddressRule:
    return AddressRule(True, True, tuple(ip_address(each) for each in addresses))


def held(ip4: AddressRule, ip6: AddressRule) -> Held:
    def default(given_rule: AddressRule, net: str) -> tuple[Way, ...]:
        return (Way(ip_network(net), given_rule.addresses[0]),) if given_rule.addresses else ()

    return Held(ip4, ip6, default(ip4, "0.0.0.0/0"), default(ip6, "::/0"), mark_of(7), mark_of(7))


MANY4 = rule(*(f"10.0.0.{number}" for number in range(1, 255)))
MANY6 = rule(*(f"fd00::{number:x}" for number in range(1, 255)))
CASES = {
    "the host": Held(FREE, FREE),
    "one of each": held(rule("10.0.0.2"), rule("fd00::2")),
    "two of each": held(rule("10.0.0.2", "10.0.1.2"), rule("fd00::2", "fd01::2")),
    "IPv4 only": held(rule("10.0.0.2"), rule()),
    "IPv6 only": held(rule(), rule("fd00::2")),
    "nothing": held(rule(), rule()),
    "IPv4 as the host": held(FREE, rule("fd00::2")),
    "IPv6 as the host": held(rule("10.0.0.2"), FREE),
    "the loopback": held(rule("127.0.0.1"), rule("::1")),
    "254 of each": held(MANY4, MANY6),
}


def test_the_host_is_held_to_nothing() -> None:
    assert set(programs(CASES["the host"])) == {Attach.INET4_BIND, Attach.INET6_BIND}


def test_marks_leave_pf_its_bits() -> None:
    assert {mark_of(jid) & ~OTHERS for jid in range(1, 1000)} == {0}
    assert all(mark_of(jid) for jid in range(1, 1000))


def test_a_family_that_is_not_restricted_has_no_more_than_its_ports_looked_at() -> None:
    only6 = set(programs(CASES["IPv4 as the host"]))
    assert {Attach.INET4_CONNECT, Attach.UDP4_SENDMSG} & only6 == set()


@pytest.fixture
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.mark.real
@pytest.mark.root
@pytest.mark.usefixtures("_root")
@pytest.mark.parametrize("case", CASES)
def test_the_kernel_takes_them(case: str) -> None:
    for where, code in programs(CASES[case]).items():
        os.close(load(KINDS[where], code, "test", where))


# --- packets ----------------------------------------------------------------------------------------------------------

ADDRESSES = ["10.0.0.2", "10.0.1.2", "10.0.0.1", "127.0.0.1", "127.1.2.3", "224.0.0.5", "255.255.255.255", "0.0.0.0"]
ADDRESSES6 = ["fd00::2", "fd01::2", "fd00::1", "::1", "ff02::5", "::", "fe80::1", "fd00::2:2", "2:fd00::"]
UDP, TCP, ICMP, ICMPV6 = 17, 6, 1, 58


def passes(program: int, source: IpAddress, destination: IpAddress, protocol: int) -> bool:
    """Whether a program lets a packet pass (BPF_PROG_TEST_RUN)."""
    if isinstance(source, IPv4Address):
        head = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, protocol, 0)
        kind = 0x0800
    else:
        head = struct.pack("!IHBB", 6 << 28, 8, protocol, 64)
        kind = 0x86DD
    frame = bytes(12) + struct.pack("!H", kind) + head + source.packed + destination.packed + bytes(8)
    room = ctypes.create_string_buffer(frame, len(frame))
    attribute = struct.pack("=IIIIQQIIQ", program, 0, len(frame), 0, ctypes.addressof(room), 0, 1, 0, 0)
    answer = ctypes.create_string_buffer(attribute.ljust(128, b"\0"), 128)
    call("bpf", _TEST_RUN, answer, 128)
    return struct.unpack_from("=I", answer.raw, 4)[0] == 1


@pytest.fixture(scope="module")
def loaded() -> Iterator[dict[tuple[str, Attach], int]]:
    """The programs for what leaves and what arrives, loaded."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    found = {
        (case, where): load(KINDS[where], programs(each)[where], "test", where)
        for case, each in CASES.items()
        if each.restricted
        for where in (Attach.INET_EGRESS, Attach.INET_INGRESS)
    }
    yield found
    for fd in found.values():
        os.close(fd)


PACKETS = st.one_of(
    *(
        st.tuples(
            st.sampled_from(known).map(ip_address) | st.integers(0, 2**bits - 1).map(family),
            st.sampled_from(known).map(ip_address) | st.integers(0, 2**bits - 1).map(family),
            st.sampled_from([UDP, TCP, ICMP, ICMPV6]),
        )
        for known, bits, family in ((ADDRESSES, 32, IPv4Address), (ADDRESSES6, 128, IPv6Address))
    )
)


@pytest.mark.real
@pytest.mark.root
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(packet=PACKETS, case=st.sampled_from([name for name, each in CASES.items() if each.restricted]))
def test_what_passes(
    loaded: dict[tuple[str, Attach], int], packet: tuple[IpAddress, IpAddress, int], case: str
) -> None:
    """Out: from own addresses, to the loopback by ping only. In: to own addresses, and UDP to many."""
    source, destination, protocol = packet
    six = source.version == 6
    its = CASES[case].ip6 if six else CASES[case].ip4
    ping = protocol == (ICMPV6 if six else ICMP)
    out = owns(its, source) and (owns(its, destination) or not destination.is_loopback or ping)
    many = destination.is_multicast or destination == IPv4Address("255.255.255.255")
    into = owns(its, destination) or (many and protocol == UDP)
    assert passes(loaded[case, Attach.INET_EGRESS], source, destination, protocol) == out
    assert passes(loaded[case, Attach.INET_INGRESS], source, destination, protocol) == into
