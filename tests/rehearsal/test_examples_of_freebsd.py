"""jib and jng on a host in memory: the interfaces they make and unmake."""

from __future__ import annotations

import pytest

from vjail.rehearsal import Rehearsal


@pytest.fixture
def lab() -> Rehearsal:
    made = Rehearsal()
    made.doubts = []
    made.add_host("h", {"em0": bytes.fromhex("020000000001"), "em1": bytes.fromhex("020000000002")})
    return made


def interfaces(lab: Rehearsal) -> set[str]:
    return {each.name for each in lab.hosts["h"].kernel.view().interfaces()} - {"em0", "em1", "lo0"}


def test_jib_makes_a_pair_for_each_card_and_leaves_the_bridges(lab: Rehearsal) -> None:
    assert lab.type("h", "jib addm web em0 em1").code == 0
    assert interfaces(lab) == {"em0bridge", "em1bridge", "e0a_web", "e0b_web", "e1a_web", "e1b_web"}
    bridge = lab.type("h", "ifconfig em0bridge").out
    assert "member: em0 " in bridge
    assert "member: e0a_web " in bridge
    assert lab.type("h", "jib show").out == "web\n"
    assert lab.type("h", "jib show web").out == "e0a_web\ne1a_web\n"
    assert lab.type("h", "jib addm web em0 em1").code == 0, "a second time changes nothing"
    assert lab.type("h", "jib destroy web").code == 0
    assert interfaces(lab) == {"em0bridge", "em1bridge"}


@pytest.mark.parametrize("line", ["jib addm web", "jib addm we-b em0", "jib", "jib destroy", "jng bridge web", "jng x"])
def test_usage(lab: Rehearsal, line: str) -> None:
    result = lab.type("h", line)
    assert (result.code, result.err.partition(" ")[0]) == (1, "Usage:")


def test_jib_needs_the_card(lab: Rehearsal) -> None:
    result = lab.type("h", "jib addm web igb7")
    assert result.code == 1
    assert "igb7 does not exist" in result.err
    assert interfaces(lab) == set()


def test_jng_makes_an_interface(lab: Rehearsal) -> None:
    assert lab.type("h", "/usr/share/examples/jails/jng bridge mail =em0 em1").code == 0
    assert interfaces(lab) == {"ng0_mail", "ng1_mail"}
    assert lab.type("h", "jng shutdown mail").code == 0
    assert interfaces(lab) == set()


def test_what_is_not_known_is_counted_and_taken_to_succeed(lab: Rehearsal) -> None:
    assert lab.type("h", "/opt/bin/strange x && echo went on").out == "went on\n"
    assert [doubt.what for doubt in lab.doubts or ()] == ["the program /opt/bin/strange"]
