"""Which sequence numbers have been answered and when each was sent: for duplicates and round trips.

Source: the table rcvd_tbl of FreeBSD's ping.c (1024 numbers) and ping6.c (65536).
"""

from __future__ import annotations

from vjail.command.ping.packets import STAMP, EchoMessage, unstamp


class Sequence:
    """The last `window` sequence numbers sent: a number's place is taken by the one `window` later."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._answered: set[int] = set()
        self._sent: dict[int, float] = {}

    def sent(self, number: int, when: float) -> None:
        """Request `number` (counted without end) goes out at `when` seconds."""
        self._answered.discard(number % self._window)
        self._sent[number & 0xFFFF] = when

    def answered(self, number: int) -> bool:
        """A reply to the 16 bits `number` arrived: whether there was one before."""
        place = number % self._window
        before = place in self._answered
        self._answered.add(place)
        return before

    def round_trip(self, reply: EchoMessage, when: float) -> float:
        """Milliseconds from the request to its reply's arrival at `when` seconds.

        The time of sending is the one kept here; what the reply's data say counts for a number never sent. Not less
        than 0: a time of arrival that the kernel took may be a little less exact than ours of sending.
        """
        sent = self._sent.get(reply.sequence)
        if sent is None:
            sent = unstamp(reply.data) if len(reply.data) >= STAMP else when
        return max(0.0, (when - sent) * 1000)
