"""Wires of a lab that delay, lose and limit: what is put into force, told, kept and taken over."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from vjail.kernel.conditions import Conditions
from vjail.lab.model import WireSettings
from vjail.server.wiring import Wiring


class Wires:
    """Notes what it is asked for, and lacks what it is told to."""

    def __init__(self, *lacking: str) -> None:
        self.lacks = dict.fromkeys(lacking, ("sch_netem (X)", "sch_htb (Y)"))
        self.shaped: list[tuple[str, Conditions]] = []
        self.dropped: list[str] = []
        self.on: dict[str, str] = {}
        self.refuses = False

    def look_again(self) -> None:
        pass

    def lacking(self, conditions: Conditions) -> dict[str, tuple[str, ...]]:
        return {key: features for key, features in self.lacks.items() if key in conditions.names()}

    def shape(self, wire: str, conditions: Conditions) -> None:
        if self.refuses:
            raise OSError(12, "Cannot allocate memory")
        self.shaped.append((wire, conditions))

    def plug(self, wire: str, host: str, _: int, name: str, __: bytes, *, carrier: bool) -> None:
        self.on[name] = wire

    def is_plugged(self, host: str, name: str) -> bool:
        return name in self.on

    def move(self, wire: str, host: str, name: str) -> tuple[str, ...]:
        before, self.on[name] = self.on[name], wire
        return () if before == wire else (before, wire)

    def set_carrier(self, host: str, name: str, carrier: bool) -> None:
        pass

    def drop(self, wire: str) -> None:
        self.dropped.append(wire)


class Journal:
    """In memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], dict[str, object]] = {}

    def put(self, kind: str, key: str, record: dict[str, object]) -> None:
        self.kept[kind, key] = record

    def drop(self, kind: str, key: str) -> None:
        self.kept.pop((kind, key), None)

    def records(self, kind: str) -> Iterator[tuple[str, dict[str, object]]]:
        return iter([(key, record) for (each, key), record in self.kept.items() if each == kind])


def wiring(wires: Wires, journal: Journal) -> Wiring:
    return Wiring(wires, journal, "lab", {})  # type: ignore[arg-type]


def host(**cards: str) -> Any:
    """One with these cards."""
    network = SimpleNamespace(nics=lambda: dict.fromkeys(cards, 0), set_carrier=lambda nic, carrier: None)
    return SimpleNamespace(name="h", nics=dict(cards), network=network)


PLAIN, SLOW, SLOWER, LOSSY = Conditions(), Conditions(20_000_000), Conditions(30_000_000), Conditions(loss=10_000)


def said(conditions: Conditions) -> WireSettings:
    return WireSettings(conditions=conditions)


def test_cards_meet_what_is_said_of_their_wire() -> None:
    wires = Wires()
    found = wiring(wires, Journal())
    found.apply("w0", said(SLOW))
    found.apply("w1", said(PLAIN))
    assert wires.shaped == [("w0", SLOW)]
    wires.shaped.clear()
    found.plug("h", 3, {"em0": "w0", "em1": "w1", "em2": "w0"})
    assert wires.shaped == [("w0", SLOW)]


def test_a_wire_changes_where_it_differs() -> None:
    wires, journal = Wires(), Journal()
    found = wiring(wires, journal)
    for conditions in (SLOW, SLOW, SLOWER, PLAIN):
        found.apply("w0", said(conditions))
    assert wires.shaped == [("w0", SLOW), ("w0", SLOWER), ("w0", PLAIN)]
    found.apply("w1", said(LOSSY))
    assert found.conditions == {"w1": LOSSY}
    # Who takes over knows them, and puts right what the other may have died in.
    again = Wires()
    other = wiring(again, journal)
    assert other.conditions == {"w1": LOSSY}
    assert again.shaped == [("w0", PLAIN), ("w1", LOSSY)]
    other.apply("w1", None)
    assert again.shaped[2:] == [("w1", PLAIN)]
    assert again.dropped == ["w1"]
    assert (other.conditions, dict(other.said)) == ({}, {"w0": said(PLAIN)})


def test_a_card_that_changes_wires_meets_the_new_one_s() -> None:
    wires = Wires()
    found = wiring(wires, Journal())
    for wire, conditions in (("w0", SLOW), ("w1", PLAIN), ("w2", LOSSY)):
        found.apply(wire, said(conditions))
    found.plug("h", 3, {"em0": "w0", "em1": "w1"})
    there = host(em0="w0", em1="w1")
    wires.shaped.clear()
    found.rewire(there, {"em0": "w1", "em1": "w1"})
    assert wires.shaped == [("w0", SLOW), ("w1", PLAIN)]
    wires.shaped.clear()
    found.rewire(there, {"em0": "w1", "em1": "w2"})
    assert wires.shaped == [("w1", PLAIN), ("w2", LOSSY)]
    assert there.nics == {"em0": "w1", "em1": "w2"}


def test_what_failed_is_done_the_next_time() -> None:
    wires, journal = Wires(), Journal()
    found = wiring(wires, journal)
    found.apply("w0", said(SLOW))
    wires.refuses = True
    with pytest.raises(OSError, match="memory"):
        found.apply("w0", said(SLOWER))
    assert (found.said["w0"], found.conditions) == (said(SLOW), {"w0": SLOW})


def test_what_the_kernel_cannot_do_is_told_and_left_out_until_it_can() -> None:
    wires = Wires("delay", "rate")
    found = wiring(wires, Journal())
    both = Conditions(20_000_000, 10_000, 0)
    told = [
        "wire w0: no delay: this machine's kernel has no sch_netem (X), no sch_htb (Y); `modprobe sch_netem`, where "
        "the kernel comes with it, is enough",
    ]
    assert list(found.look_again({"w0": both})) == told
    found.apply("w0", said(both))
    assert wires.shaped == [("w0", LOSSY)]
    assert found.conditions == {"w0": LOSSY}
    assert list(found.look_again({"w0": both})) == told
    assert wires.shaped == [("w0", LOSSY)]
    wires.lacks.clear()
    assert list(found.look_again({"w0": both})) == [
        "wire w0: 1 % loss -> 20 ms, 1 % loss: this machine's kernel can do that now"
    ]
    assert wires.shaped[1:] == [("w0", both)]
    assert list(found.look_again({"w0": both})) == []
