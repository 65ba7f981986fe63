"""What a ping counts and measures, and the lines it prints of it: at the end and when SIGINFO asks.

Knows no packets and no clock. Times are milliseconds. Source: FreeBSD 13.2 sbin/ping/ping.c and ping6.c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Statistics:
    """The counters of one ping.

    `timed` is whether round trips are measured: data too short to hold the time of sending are not. `failures` are
    transmissions the kernel refused, counted in `transmitted` too; `repeats` the duplicates, which count in the times
    and not in `received`; `late` the replies that came after the time to wait (-W).
    """

    timed: bool
    transmitted: int = 0
    failures: int = 0
    received: int = 0
    repeats: int = 0
    late: int = 0
    minimum: float = 999999999.0
    maximum: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def reply(self, round_trip: float | None, *, repeated: bool) -> None:
        """Count a reply that took `round_trip` milliseconds (None: not measured)."""
        if repeated:
            self.repeats += 1
        else:
            self.received += 1
        if round_trip is not None:
            self.minimum = min(self.minimum, round_trip)
            self.maximum = max(self.maximum, round_trip)
            self.total += round_trip
            self.squares += round_trip * round_trip

    def summary_inet(self, host: str) -> str:
        """The last lines of ping, the empty one before them included."""
        return self._summary(f"{host} ping", "printing up packets!", "stddev")

    def summary_inet6(self, host: str) -> str:
        """The last lines of ping6, the empty one before them included."""
        return self._summary(f"{host} ping6", "duplicating packets!", "std-dev")

    def status(self) -> str:
        """The line ping prints for SIGINFO."""
        share = self.received * 100.0 / self.transmitted if self.transmitted else 0.0
        line = f"\r{self.received}/{self.transmitted} packets received ({share:.1f}%)"
        if self.received and self.timed:
            average = self.total / (self.received + self.repeats)
            line += f" {self.minimum:.3f} min / {average:.3f} avg / {self.maximum:.3f} max"
        return line + "\n"

    def _summary(self, heading: str, too_many: str, deviation: str) -> str:
        text = f"\n--- {heading} statistics ---\n"
        text += f"{self.transmitted} packets transmitted, {self.received} packets received, "
        if self.repeats:
            text += f"+{self.repeats} duplicates, "
        if self.received > self.transmitted:
            text += f"-- somebody's {too_many}"
        elif self.transmitted:
            text += f"{(self.transmitted - self.received) * 100.0 / self.transmitted:.1f}% packet loss"
        if self.late:
            text += f", {self.late} packets out of wait time"
        text += "\n"
        if self.received and self.timed:
            text += f"round-trip min/avg/max/{deviation} = {self._round_trips()} ms\n"
        return text

    def _round_trips(self) -> str:
        count = self.received + self.repeats
        average = self.total / count
        # Rounding can leave equal times a variance just below 0, of which 13.2 prints "nan".
        variance = max(0.0, self.squares / count - average * average)
        return f"{self.minimum:.3f}/{average:.3f}/{self.maximum:.3f}/{math.sqrt(variance):.3f}"
