"""What a wire does to frames: texts of lab files read, shown, kept."""

from __future__ import annotations

import re

import pytest

from vjail.kernel import conditions
from vjail.kernel.conditions import Conditions, read_delay, read_loss, read_rate, write_delay, write_loss, write_rate


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("20ms", 20_000_000),
        ("0.5ms", 500_000),
        ("100us", 100_000),
        ("1.5 s", 1_500_000_000),
        ("0ms", 0),
        ("10s", 10**10),
    ],
)
def test_a_delay_is_read(text: str, nanoseconds: int) -> None:
    assert re.fullmatch(conditions.DELAY, text)
    assert read_delay(text) == nanoseconds
    assert read_delay(write_delay(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(("text", "millionths"), [("1%", 10_000), ("0.5 %", 5_000), ("0.0001%", 1), ("99.9%", 999_000)])
def test_a_loss_is_read(text: str, millionths: int) -> None:
    assert re.fullmatch(conditions.LOSS, text)
    assert read_loss(text) == millionths
    assert read_loss(write_loss(millionths)) == millionths


@pytest.mark.parametrize(
    ("text", "bits"),
    [("10Mbit", 10_000_000), ("1 Gbit", 10**9), ("64kbit", 64_000), ("2.5Gbit", 2_500_000_000), ("1500bit", 1500)],
)
def test_a_rate_is_read(text: str, bits: int) -> None:
    assert re.fullmatch(conditions.RATE, text)
    assert read_rate(text) == bits
    assert read_rate(write_rate(bits)) == bits


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (conditions.DELAY, "20"),
        (conditions.DELAY, "20 min"),
        (conditions.DELAY, "-1ms"),
        (conditions.DELAY, ".5ms"),
        (conditions.LOSS, "1"),
        (conditions.LOSS, "1.%"),
        (conditions.RATE, "10M"),
        (conditions.RATE, "10MB"),
    ],
)
def test_what_is_none_of_them(pattern: str, text: str) -> None:
    assert re.fullmatch(pattern, text) is None


def test_what_no_wire_does() -> None:
    with pytest.raises(ValueError, match="10s"):
        read_delay("11s")
    with pytest.raises(ValueError, match="cut: true"):
        read_loss("100%")
    with pytest.raises(ValueError, match=r"0\.0001%"):
        read_loss("0.00001%")
    for text in ("0bit", "999bit", "101Gbit"):
        with pytest.raises(ValueError, match="100Gbit"):
            read_rate(text)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (Conditions(), "nothing"),
        (Conditions(delay=20_000_000), "20 ms"),
        (Conditions(500_000, 5_000, 2_500_000_000), "500 µs, 0.5 % loss, 2.5 Gbit/s"),
        (Conditions(1_500_000_000, 1, 64_000), "1.5 s, 0.0001 % loss, 64 kbit/s"),
        (Conditions(delay=200), "0.2 µs"),
    ],
)
def test_they_are_shown_and_kept(given: Conditions, shown: str) -> None:
    assert str(given) == shown
    assert bool(given) == (shown != "nothing")
    assert Conditions.of_record(given.as_record()) == given


def test_some_are_left_out() -> None:
    assert Conditions(1, 2, 3).without("delay", "rate") == Conditions(loss=2)
    assert Conditions(1, 0, 3).names() == ("delay", "rate")
