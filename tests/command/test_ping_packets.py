from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjail.command.ping.data import Data, dump
from vjail.command.ping.packets import (
    EchoMessage,
    Icmp,
    Icmp6,
    IPv4Header,
    IPv6Header,
    checksum,
    stamp,
    unstamp,
)
from vjail.command.ping.sequence import Sequence

SIXTEEN_BITS = st.integers(0, 0xFFFF)
MESSAGES = st.builds(
    EchoMessage,
    kind=st.sampled_from([Icmp.ECHO, Icmp.ECHOREPLY, Icmp6.ECHO_REQUEST, Icmp6.ECHO_REPLY]),
    ident=SIXTEEN_BITS,
    sequence=SIXTEEN_BITS,
    data=st.binary(max_size=200),
)


def naive_checksum(data: bytes) -> int:
    """One's complement addition word by word, the carry brought round at every step."""
    total = 0
    for at in range(0, len(data), 2):
        high = data[at]
        low = data[at + 1] if at + 1 < len(data) else 0
        total += high * 256 + low
        if total >= 65536:
            total -= 65535
    return 65535 - total


def test_checksum_of_rfc_1071s_example() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


@given(st.binary(max_size=300))
def test_checksum_is_the_naive_one(data: bytes) -> None:
    assert checksum(data) == naive_checksum(data)


@given(MESSAGES)
def test_an_encoded_message_is_its_own_proof_and_decodes_to_itself(message: EchoMessage) -> None:
    encoded = message.encode()
    assert checksum(encoded) == 0
    assert EchoMessage.decode(encoded) == message
    assert message.encode_unsummed() == encoded[:2] + b"\0\0" + encoded[4:]


@given(st.integers(0, 2**32 - 1), st.integers(0, 999_999))
def test_the_stamp_keeps_microseconds(seconds: int, microseconds: int) -> None:
    when = seconds + microseconds / 1_000_000
    assert unstamp(stamp(when)) == pytest.approx(when, abs=1e-6)


@given(
    tos=st.integers(0, 255),
    total=SIXTEEN_BITS,
    ident=SIXTEEN_BITS,
    flags=st.integers(0, 7),
    offset=st.integers(0, 0x1FFF),
    ttl=st.integers(0, 255),
    protocol=st.integers(0, 255),
    summed=SIXTEEN_BITS,
    source=st.ip_addresses(v=4),
    destination=st.ip_addresses(v=4),
    options=st.integers(0, 10).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words)),
    payload=st.binary(max_size=20),
)
def test_ipv4_header(
    tos: int,
    total: int,
    ident: int,
    flags: int,
    offset: int,
    ttl: int,
    protocol: int,
    summed: int,
    source: IPv4Address,
    destination: IPv4Address,
    options: bytes,
    payload: bytes,
) -> None:
    packet = bytes([0x40 | 5 + len(options) // 4, tos]) + total.to_bytes(2) + ident.to_bytes(2)
    packet += (flags << 13 | offset).to_bytes(2) + bytes([ttl, protocol]) + summed.to_bytes(2)
    packet += source.packed + destination.packed + options + payload
    header = IPv4Header.decode(packet)
    length = 20 + len(options)
    assert header == IPv4Header(
        4, length, tos, total, ident, flags, offset, ttl, protocol, summed, source, destination, options
    )


@given(
    traffic_class=st.integers(0, 255),
    flow=st.integers(0, 0xFFFFF),
    payload=SIXTEEN_BITS,
    next_header=st.integers(0, 255),
    hop_limit=st.integers(0, 255),
    source=st.ip_addresses(v=6),
    destination=st.ip_addresses(v=6),
)
def test_ipv6_header(
    traffic_class: int,
    flow: int,
    payload: int,
    next_header: int,
    hop_limit: int,
    source: IPv6Address,
    destination: IPv6Address,
) -> None:
    packet = (6 << 28 | traffic_class << 20 | flow).to_bytes(4) + payload.to_bytes(2)
    packet += bytes([next_header, hop_limit]) + source.packed + destination.packed
    header = IPv6Header.decode(packet)
    assert header == IPv6Header(6, traffic_class, flow, payload, next_header, hop_limit, source, destination)


@pytest.mark.parametrize(("size", "expected"), [(0, ""), (3, "000000"), (8, "00" * 8), (11, "00" * 8 + "08090a")])
def test_numbered_data(size: int, expected: str) -> None:
    assert bytes(Data.numbered(size)).hex() == expected


def test_numbered_data_begin_anew_after_256() -> None:
    assert bytes(Data.numbered(300))[255:258] == b"\xff\x00\x01"


def test_patterned_data_leave_room_for_the_time() -> None:
    data = Data.patterned(13, b"\xca\xfe", 13)
    data.timed(258.5)
    assert bytes(data).hex() == "00000102" + "1dcd6500" + "cafecafeca"


def test_data_grow_by_numbers_from_0() -> None:
    data = Data(8, bytes(8 + 12))
    data.grow(3)
    data.grow(1)
    assert bytes(data).hex() == "00" * 8 + "00010200"


def test_compare_finds_the_first_wrong_byte_after_the_time() -> None:
    data = Data.numbered(20)
    wrong = data.compare(b"\xff" * 8 + bytes([8, 9, 7]) + bytes(9), skip=8)
    assert str(wrong) == "wrong data byte #10 should be 0xa but was 0x7"
    assert data.compare(b"\xff" * 8 + bytes(range(8, 30)), skip=8) is None


def test_dump_breaks_before_every_ninth_of_sixteen() -> None:
    assert dump("cp", bytes(range(26))) == (
        "\ncp: 0  1  2  3  4  5  6  7 \n\t 8  9  a  b  c  d  e  f 10 11 12 13 14 15 16 17 \n\t18 19 "
    )


def test_a_number_is_answered_once_until_its_place_is_sent_again() -> None:
    sequence = Sequence(window=4)
    sequence.sent(1, 0.0)
    assert [sequence.answered(1), sequence.answered(1)] == [False, True]
    sequence.sent(5, 0.0)
    assert [sequence.answered(5), sequence.answered(1)] == [False, True]


def test_the_round_trip_is_taken_from_what_was_kept_then_from_the_data() -> None:
    sequence = Sequence(window=4)
    sequence.sent(0x10001, 2.0)
    forged = EchoMessage(Icmp.ECHOREPLY, 1, 1, stamp(0.0))
    assert sequence.round_trip(forged, 2.25) == 250.0
    unknown = EchoMessage(Icmp.ECHOREPLY, 1, 2, stamp(1.5))
    assert sequence.round_trip(unknown, 2.0) == 500.0
    assert sequence.round_trip(EchoMessage(Icmp.ECHOREPLY, 1, 2, b""), 2.0) == 0.0
    assert sequence.round_trip(forged, 1.9) == 0.0
