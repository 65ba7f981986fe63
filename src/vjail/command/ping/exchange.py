"""The course of a ping: when the next request goes out, what is waited for, and when it is over.

Both families share it; what a request looks like and what a reply means is its `Peer`'s. One coroutine a ping: it
waits for the next message, a signal or the clock, whichever comes first. Source: the main loops of FreeBSD 13.2
sbin/ping/ping.c and ping6.c, which are one but for names.
"""

from __future__ import annotations

import asyncio
import enum
import math
from dataclasses import dataclass
from typing import Protocol

from vjail.command.ping.statistics import Statistics
from vjail.session import Echo, EchoPacket, Session

FLOOD_INTERVAL = 0.010
FLOOD_BACKOFF = 0.020
"""Seconds to hold off in a flood when the kernel has no buffers."""

MAXWAIT = 10.0
"""Seconds to wait after the last request where nothing was ever answered."""

BELL = "\a"
BACKSPACE = "\b"

SIGINT = 2
SIGINFO = 29
"""FreeBSD's number; on Linux it is another signal's."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many requests and when: `count` None for no end, `interval`, `wait` and `timeout` in seconds.

    `wait` is how long to wait after the last request where nothing was answered, `timeout` ends the ping whatever
    happens, `preload` requests go out at once, `once` ends it with the first reply, `missed` rings the bell when more
    requests than ever are without reply.
    """

    count: int | None = None
    interval: float = 1.0
    wait: float = MAXWAIT
    timeout: float | None = None
    preload: int = 0
    flood: bool = False
    once: bool = False
    missed: bool = False


class Sent(enum.Enum):
    """How a transmission went; one the kernel had no buffers for is tried again in a while."""

    DONE = "done"
    NO_BUFFERS = "no buffers"


class Peer(Protocol):
    """One family's half of a ping."""

    def transmit(self) -> Sent:
        """Send the next request and count it."""
        ...

    def receive(self, packet: EchoPacket) -> None:
        """Look at a message that arrived."""
        ...

    def advance(self) -> bool:
        """Before the next request, or the wait after the last: False where there is nothing more to do."""
        ...

    def status(self) -> None:
        """Print how things stand: SIGINFO."""
        ...


class Waiting:
    """What a ping waits for: the next message, the next signal, or the clock. To be closed."""

    def __init__(self, session: Session, echo: Echo) -> None:
        self._session = session
        self._echo = echo
        self._signal = asyncio.ensure_future(session.signals())

    def close(self) -> None:
        """Wait for no more signals."""
        self._signal.cancel()

    async def next(self, timeout: float) -> EchoPacket | int | None:
        """The next message, the number of the next signal, or None after `timeout` seconds."""
        message = asyncio.ensure_future(self._echo.receive(timeout))
        try:
            await asyncio.wait((message, self._signal), return_when=asyncio.FIRST_COMPLETED)
            if message.done():
                return message.result()
        finally:
            message.cancel()
        await asyncio.wait((message,))
        caught = self._signal.result()
        self._signal = asyncio.ensure_future(self._session.signals())
        return caught


class Exchange:
    """One ping under way."""

    def __init__(self, session: Session, echo: Echo, peer: Peer, pace: Pace, statistics: Statistics) -> None:
        self._session = session
        self._echo = echo
        self._peer = peer
        self._pace = pace
        self._statistics = statistics
        self._interval = FLOOD_INTERVAL if pace.flood else pace.interval
        self._last = self._ends = session.monotonic()
        self._ends += math.inf if pace.timeout is None else pace.timeout
        self._closing = False
        self._most_missed = 0

    async def run(self) -> int | None:
        """Ping until it is over; the number of the signal that ended it where ping does not catch that, else None."""
        preload = self._pace.preload
        for _ in range(min(preload, self._pace.count or preload) or 1):
            await self._transmit()
        waiting = Waiting(self._session, self._echo)
        try:
            while (left := self._ends - self._session.monotonic()) > 0:
                event = await waiting.next(max(0.0, min(self._due(), left)))
                match event:
                    case int() if event == SIGINFO:
                        self._peer.status()
                    case int():
                        return None if event == SIGINT else event
                    case EchoPacket():
                        self._peer.receive(event)
                        if self._answered() or (self._pace.flood and not await self._proceed()):
                            return None
                    case None if self._due() <= 0 and self._session.monotonic() < self._ends:
                        if not await self._proceed():
                            return None
        finally:
            waiting.close()
        return None

    def _due(self) -> float:
        """Seconds until the next request is due, or the last wait over."""
        return self._last + self._interval - self._session.monotonic()

    def _answered(self) -> bool:
        """Whether all that were to be answered are."""
        received = self._statistics.received
        return received > 0 and (self._pace.once or received >= (self._pace.count or math.inf))

    async def _proceed(self) -> bool:
        """Send the next request, or begin the last wait; False where that is over."""
        if not self._peer.advance():
            return False
        if self._pace.count is None or self._statistics.transmitted < self._pace.count:
            await self._transmit()
        elif self._closing:
            return False
        else:
            self._closing = True
            self._interval = self._last_wait()
            self._last = self._session.monotonic()
        missed = self._statistics.transmitted - self._statistics.received - 1
        if missed > self._most_missed:
            self._most_missed = missed
            if self._pace.missed:
                self._session.out(BELL)
        return True

    def _last_wait(self) -> float:
        """Seconds to wait after the last request: two round trips in whole seconds, at least 1; `wait` for no reply."""
        if not self._statistics.received:
            return self._pace.wait
        return float(max(1, int(2 * self._statistics.maximum / 1000)))

    async def _transmit(self) -> None:
        if self._peer.transmit() is Sent.NO_BUFFERS:
            await self._session.sleep(FLOOD_BACKOFF)
        self._last = self._session.monotonic()
