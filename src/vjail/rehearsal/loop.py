"""An event loop on a model's clock: time passes only when nothing is left to do, and then at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from vjail.command.sh import NotModelled
from vjail.kernel.model.clock import ModelClock

T = TypeVar("T")

_LONGEST = 86_400.0
"""Seconds after which a command is taken for one that does not end."""


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: ModelClock, passed: Callable[[], None]) -> None:
        selector = _Selector(clock, passed)
        super().__init__(selector)
        self._clock = clock

    def time(self) -> float:
        return self._clock.now


class _Selector(selectors.SelectSelector):
    """Lets the clock run on instead of waiting."""

    def __init__(self, clock: ModelClock, passed: Callable[[], None]) -> None:
        super().__init__()
        self._clock = clock
        self._passed = passed
        self._until = clock.now + _LONGEST

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout == 0:
            return []
        if timeout is None or self._clock.now + timeout > self._until:
            raise NotModelled("a command that does not end by itself")
        self._clock.advance(timeout)
        self._passed()
        return []


def run(clock: ModelClock, coroutine: Coroutine[Any, Any, T], passed: Callable[[], None]) -> T:
    """Run a coroutine to its end; `passed` is called when time has passed."""
    with asyncio.Runner(loop_factory=lambda: _Loop(clock, passed)) as runner:
        return runner.run(coroutine)
