"""The time of a lab in memory: it passes only when it is told to."""

from __future__ import annotations

BOOTED = 1000.0
"""What a clock shows at first, seconds."""
_EPOCH = 1_700_000_000.0 - BOOTED


class ModelClock:
    """A clock that stands still until it is set forward."""

    def __init__(self, now: float = BOOTED) -> None:
        self.now = now

    def monotonic(self) -> float:
        """Seconds on a clock that only goes forward."""
        return self.now

    def time(self) -> float:
        """Unix time that goes with it: the same for the same run."""
        return _EPOCH + self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
