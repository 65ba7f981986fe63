"""A failure in one line: whose words they are."""

from __future__ import annotations

import pytest

from vjail.jail.events import Action, Event, State
from vjail.jail.explain import explained
from vjail.server.watcher import advice


def failed(said: str, text: str = "false: failed") -> str:
    return explained(Event("a", Action.START, None, State.FAILED, text), f"{said}\njail: a: {text}\n")


def test_what_the_command_said_last_is_its_reason() -> None:
    said = "add net 10.3.0.0: gateway 192.0.2.1 fib 0: Network is unreachable"
    assert failed(said, "route add: failed") == f"a: {said} (route add: failed)"


@pytest.mark.parametrize(
    "before",
    ["add net default: gateway 10.0.0.254", "add net ::: gateway fd00::1 fib 0", "net.inet.ip.forwarding: 0 -> 1"],
)
def test_what_went_well_before_is_not(before: str) -> None:
    assert failed(before) == "a: false: failed"


def test_keep_is_advice_where_the_lab_would_end() -> None:
    text = "a: exec.start: false: failed"
    assert "--keep" in advice(text, ())
    assert advice(text, (), fresh=False) == ""
