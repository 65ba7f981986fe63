"""`vjail ls --watch` in a terminal: shown anew each second, ended by Ctrl-C."""

from __future__ import annotations

import pytest
from sandbox import Sandbox, interpreter

pytestmark = pytest.mark.real

LAB = "A1-two-jails"


def test_a_terminal_shows_the_lab_anew_until_interrupted(box: Sandbox) -> None:
    assert box.vjail("up", LAB).code == 0
    watch = f"timeout --preserve-status -s INT 3 {interpreter()} -m vjail ls --watch {LAB}"
    seen = box.run("script", "-qec", watch, "/dev/null")
    assert seen.code == 0, seen
    assert seen.out.count("\x1b[H\x1b[2J") >= 2
    assert seen.out.count("jail_02  jid 2") >= 2
    assert box.vjail("down", LAB).code == 0


def test_elsewhere_it_is_refused(box: Sandbox) -> None:
    refused = box.vjail("ls", "--watch", LAB)
    assert (refused.code, refused.out) == (2, "")
    assert "--watch is for a terminal" in refused.err
