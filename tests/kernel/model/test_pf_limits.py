"""Limits of pf's states on the model, of TCP connections too: nothing on the model opens some by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_network
from typing import cast

import pytest

from vjail.conf.pf.rules import (
    Action,
    Direction,
    Keep,
    Peer,
    Rule,
    Ruleset,
    StateOptions,
    Table,
    TableAddress,
    TableEntry,
)
from vjail.kernel.core.pf_driver import Overload, PfSetup
from vjail.kernel.model.devices import Device
from vjail.kernel.model.packets import Packet, Ports, Protocol
from vjail.kernel.model.pf import Pf
from vjail.kernel.model.pf_limits import Limits, Place, Tracked

CALLER, OTHER, SERVER = (IPv4Address(f"192.0.2.{number}") for number in (9, 10, 1))
EM0 = cast(Device, None)
"""Rules here name no interface."""
BLOCKED = Rule(Action.BLOCK, Direction.IN, quick=True, source=Peer(TableAddress("bad")))


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Wire:
    """Calls from outside through a pf with these options of states, each from a port of its own."""

    options: StateOptions
    clock: Clock = field(default_factory=Clock)
    tables: tuple[Table, ...] = (Table("", "bad", persist=True),)
    port: int = 1024

    def __post_init__(self) -> None:
        passed = Rule(Action.PASS, Direction.IN, keep=Keep.STATE, state_options=self.options)
        other = Rule(Action.PASS, Direction.IN, keep=Keep.STATE, quick=True, source=Peer(TableAddress("friends")))
        self.rules = Ruleset(filter=(BLOCKED, other, passed))
        self.pf = Pf(self.clock)
        self.load()

    def load(self) -> None:
        self.pf.enforce(PfSetup({"": self.rules}, self.tables))

    def call(self, source: IPv4Address) -> str:
        """How one TCP connection goes."""
        self.port += 1
        there = Packet(source, SERVER, Ports(self.port, 22), Protocol.TCP, 60)
        back = Packet(SERVER, source, Ports(22, self.port), Protocol.TCP, 60)
        if self.pf(EM0, there, outbound=False) is None:
            return "lost"
        assert self.pf(EM0, back, outbound=True) == back
        return "served" if self.pf(EM0, there, outbound=False) else "silent"

    def sources(self) -> list[IPv4Address]:
        return [IPv4Address(state.wire[0]) for state in self.pf.living()]


def test_one_connection_too_many_ends() -> None:
    wire = Wire(StateOptions(max_src_conn=2))
    assert [wire.call(CALLER) for _ in range(4)] == ["served", "served", "silent", "silent"]
    assert wire.sources() == [CALLER, CALLER]
    assert wire.call(OTHER) == "served"
    assert wire.pf.overloads == []


@pytest.mark.parametrize(("flush", "left"), [("", 3), ("flush", 1), ("flush global", 0)])
def test_who_opens_too_many_gets_into_the_table(flush: str, left: int) -> None:
    friends = Table("", "friends", (TableEntry(ip_network(CALLER)),))
    wire = Wire(StateOptions(max_src_conn=2, overload="bad", flush=flush), tables=(friends, Wire.tables[0]))
    assert wire.call(CALLER) == "served", "by another rule"
    wire.tables = Wire.tables
    wire.load()
    assert wire.call(OTHER) == "served"
    assert [wire.call(CALLER) for _ in range(4)] == ["served", "served", "silent", "lost"]
    assert wire.pf.overloads == [Overload("", "bad", CALLER)]
    assert sorted(wire.sources()) == [*[CALLER] * left, OTHER]
    assert wire.call(OTHER) == "served"
    # What was put into force has taken him over, or has not.
    wire.load()
    assert wire.pf.overloads == []
    assert wire.call(CALLER) != "lost"


def test_a_rate_falls_evenly() -> None:
    """pf_add_threshold(): 3/30 allows three at once, then one every ten seconds."""
    wire = Wire(StateOptions(max_src_conn_rate=(3, 30)))
    assert [wire.call(CALLER) for _ in range(3)] == ["served"] * 3
    wire.clock.now += 9
    assert wire.call(CALLER) == "silent"
    wire.clock.now += 20
    assert wire.call(CALLER) == "served"
    wire.clock.now += 30
    assert [wire.call(CALLER) for _ in range(4)] == ["served"] * 3 + ["silent"]


def test_rules_that_are_loaded_count_anew_and_tables_that_change_do_not() -> None:
    wire = Wire(StateOptions(max=1))
    assert [wire.call(CALLER), wire.call(OTHER)] == ["served", "lost"]
    wire.tables = (Table("", "bad", (TableEntry(ip_network("198.51.100.0/24")),)),)
    wire.load()
    assert wire.call(CALLER) == "lost"
    wire.rules = Ruleset(filter=wire.rules.filter[1:])
    wire.load()
    assert [wire.call(CALLER), wire.call(OTHER)] == ["served", "lost"]


@pytest.mark.parametrize(
    ("options", "held", "source", "refused"),
    [
        (StateOptions(max=2), [CALLER], CALLER, False),
        (StateOptions(max=2), [CALLER, OTHER], OTHER, True),
        (StateOptions(max_src_states=1), [CALLER], OTHER, False),
        (StateOptions(max_src_states=1), [CALLER], CALLER, True),
        (StateOptions(max_src_nodes=1), [CALLER], CALLER, False),
        (StateOptions(max_src_nodes=1), [CALLER], OTHER, True),
        (StateOptions(max_src_nodes=2, max_src_states=1), [CALLER], OTHER, False),
    ],
)
def test_a_state_is_refused(options: StateOptions, held: list[IPv4Address], source: IPv4Address, refused: bool) -> None:
    place = Place("", 0, Rule(Action.PASS, keep=Keep.STATE, state_options=options))
    assert Limits.refuse(place, source, [Tracked(place, each) for each in held]) is refused
