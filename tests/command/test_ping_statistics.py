import statistics as standard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjail.command.ping.statistics import Statistics


@given(st.lists(st.floats(0.001, 20_000), min_size=1, max_size=50))
def test_round_trips_are_what_the_standard_library_says(times: list[float]) -> None:
    counted = Statistics(timed=True, transmitted=len(times))
    for time in times:
        counted.reply(time, repeated=False)
    line = counted.summary_inet("h").splitlines()[-1]
    assert line.startswith("round-trip min/avg/max/stddev = ")
    assert line.endswith(" ms")
    smallest, average, largest, deviation = map(float, line.split(" = ")[1].removesuffix(" ms").split("/"))
    assert smallest == pytest.approx(min(times), abs=0.0005)
    assert largest == pytest.approx(max(times), abs=0.0005)
    assert average == pytest.approx(standard.fmean(times), abs=0.001)
    # Sums of squares lose digits where times are large and alike: FreeBSD's formula, kept.
    assert deviation == pytest.approx(standard.pstdev(times), abs=0.001 + 3e-7 * max(times))


@given(st.floats(0.001, 60_000), st.integers(1, 100))
def test_equal_times_have_no_deviation_to_speak_of(time: float, count: int) -> None:
    counted = Statistics(timed=True, transmitted=count)
    for _ in range(count):
        counted.reply(time, repeated=False)
    deviation = float(counted.summary_inet("h").rsplit("/", 1)[1].removesuffix(" ms\n"))
    assert deviation <= 0.001 + 3e-7 * time


def test_duplicates_count_in_the_times_and_not_as_received() -> None:
    counted = Statistics(timed=True, transmitted=2)
    counted.reply(1.0, repeated=False)
    counted.reply(3.0, repeated=True)
    assert counted.summary_inet("10.0.0.2") == (
        "\n--- 10.0.0.2 ping statistics ---\n"
        "2 packets transmitted, 1 packets received, +1 duplicates, 50.0% packet loss\n"
        "round-trip min/avg/max/stddev = 1.000/2.000/3.000/1.000 ms\n"
    )


@pytest.mark.parametrize(
    ("counted", "inet", "inet6"),
    [
        (
            Statistics(timed=True, transmitted=3),
            "\n--- h ping statistics ---\n3 packets transmitted, 0 packets received, 100.0% packet loss\n",
            "\n--- h ping6 statistics ---\n3 packets transmitted, 0 packets received, 100.0% packet loss\n",
        ),
        (
            Statistics(timed=False, transmitted=3, received=2),
            "\n--- h ping statistics ---\n3 packets transmitted, 2 packets received, 33.3% packet loss\n",
            "\n--- h ping6 statistics ---\n3 packets transmitted, 2 packets received, 33.3% packet loss\n",
        ),
        (
            Statistics(timed=False, transmitted=1, received=2),
            "\n--- h ping statistics ---\n"
            "1 packets transmitted, 2 packets received, -- somebody's printing up packets!\n",
            "\n--- h ping6 statistics ---\n"
            "1 packets transmitted, 2 packets received, -- somebody's duplicating packets!\n",
        ),
        (
            Statistics(timed=False, transmitted=4, received=4, late=2),
            "\n--- h ping statistics ---\n"
            "4 packets transmitted, 4 packets received, 0.0% packet loss, 2 packets out of wait time\n",
            "\n--- h ping6 statistics ---\n"
            "4 packets transmitted, 4 packets received, 0.0% packet loss, 2 packets out of wait time\n",
        ),
        (
            Statistics(timed=True),
            "\n--- h ping statistics ---\n0 packets transmitted, 0 packets received, \n",
            "\n--- h ping6 statistics ---\n0 packets transmitted, 0 packets received, \n",
        ),
    ],
)
def test_summary(counted: Statistics, inet: str, inet6: str) -> None:
    assert counted.summary_inet("h") == inet
    assert counted.summary_inet6("h") == inet6


def test_ping6_writes_the_deviation_its_own_way() -> None:
    counted = Statistics(timed=True, transmitted=1)
    counted.reply(0.25, repeated=False)
    assert counted.summary_inet6("::1").endswith("round-trip min/avg/max/std-dev = 0.250/0.250/0.250/0.000 ms\n")


def test_status() -> None:
    counted = Statistics(timed=True)
    assert counted.status() == "\r0/0 packets received (0.0%)\n"
    counted.transmitted = 3
    counted.reply(1.0, repeated=False)
    counted.reply(2.0, repeated=False)
    assert counted.status() == "\r2/3 packets received (66.7%) 1.000 min / 1.500 avg / 2.000 max\n"
