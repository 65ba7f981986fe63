"""What becomes of cards and wires that are to be others than they are: pure, and in words."""

from __future__ import annotations

import pytest

from vjail.kernel.conditions import Conditions
from vjail.lab.model import WireSettings
from vjail.lab.rewiring import card_changes, cards_after, wire_changes

CUT, PLAIN = WireSettings(cut=True), WireSettings()
SLOW = WireSettings(conditions=Conditions(20_000_000))
SLOWER = WireSettings(conditions=Conditions(30_000_000, 5_000, 10_000_000))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"w": PLAIN}, {"w": PLAIN}, []),
        ({"w": PLAIN}, {"w": CUT}, ["wire w: cut: no -> yes"]),
        ({"w": CUT}, {}, ["wire w: removed"]),
        ({}, {"w": PLAIN, "v": CUT}, ["wire w: new", "wire v: new; cut: no -> yes"]),
        ({"w": WireSettings("em3")}, {"w": WireSettings("em4", True)}, ["wire w: nic: em3 -> em4; cut: no -> yes"]),
        ({"w": WireSettings("em3")}, {"w": PLAIN}, ["wire w: nic: em3 -> none"]),
        ({}, {"w": SLOW}, ["wire w: new; delay: none -> 20 ms"]),
        (
            {"w": SLOW},
            {"w": SLOWER},
            ["wire w: delay: 20 ms -> 30 ms; loss: none -> 0.5 %; rate: none -> 10 Mbit/s"],
        ),
        ({"w": SLOW}, {"w": PLAIN}, ["wire w: delay: 20 ms -> none"]),
        (
            {"w": WireSettings(conditions=Conditions(10**9))},
            {"w": WireSettings(conditions=Conditions(10**9 + 1))},
            ["wire w: delay: 1 s -> 1.000000001 s"],
        ),
    ],
)
def test_wires(old: dict[str, WireSettings], new: dict[str, WireSettings], told: list[str]) -> None:
    assert [each.told() for each in wire_changes(old, new)] == told


def test_what_is_said_of_a_wire_goes_through_json() -> None:
    said = WireSettings("em3", True, Conditions(1, 2, 3))
    assert WireSettings.of_record(said.as_record()) == said


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ({"em0": "w", "em1": "v"}, []),
        ({"em1": "v", "em0": "w"}, []),
        ({"em0": "w"}, ["card em1: removed"]),
        ({"em0": "v", "em1": "v"}, ["card em0: wire w -> v"]),
        (
            {"em2": "w", "em1": "w"},
            ["card em2: new, on wire w", "card em1: wire v -> w", "card em0: removed"],
        ),
    ],
)
def test_cards(new: dict[str, str], told: list[str]) -> None:
    old = {"em0": "w", "em1": "v"}
    changes = card_changes(old, new)
    assert [each.told() for each in changes] == told
    assert cards_after(old, changes) == new


def test_a_card_that_must_stay() -> None:
    old = {"em0": "w", "em1": "v"}
    changes = card_changes(old, {"em2": "w"}, {"em1": "j"})
    assert [each.told() for each in changes] == [
        "card em2: new, on wire w",
        "card em0: removed",
        "card em1: stays for now: j has it, which is left as it is",
    ]
    assert cards_after(old, changes) == {"em1": "v", "em2": "w"}
