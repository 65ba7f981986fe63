"""The data of echo requests: what fills it, how it grows in a sweep, and how a reply's is compared with it.

Shared by both families: 8 bytes of time where they fit, then the number of each byte, or a pattern. Source: FreeBSD
sbin/ping/ping.c and ping6.c (fill, pinger, pr_pack) as of early 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

from vjail.command.ping.packets import STAMP, stamp


@dataclass(frozen=True, slots=True)
class WrongByte:
    """The first byte of a reply that is not what was sent."""

    number: int
    sent: int
    received: int

    def __str__(self) -> str:
        return f"wrong data byte #{self.number} should be 0x{self.sent:x} but was 0x{self.received:x}"


class Data:
    """The data of the next request, `size` bytes of it; it stays as it is but for the time and for growing."""

    def __init__(self, size: int, filling: bytes) -> None:
        self.size = size
        self._bytes = bytearray(filling)
        self._end = STAMP

    @classmethod
    def numbered(cls, size: int) -> Data:
        """Each byte its own number, after room for the time."""
        return cls(size, bytes(STAMP) + bytes(number & 0xFF for number in range(STAMP, size)))

    @classmethod
    def patterned(cls, size: int, pattern: bytes, room: int) -> Data:
        """`pattern` over and over, after room for the time; bytes for a sweep up to `room`."""
        repeats = -(-room // max(1, len(pattern)))
        return cls(size, bytes(STAMP) + (pattern or b"\0") * repeats)

    def timed(self, when: float) -> None:
        """Put the time of sending in, seconds on any clock."""
        self._bytes[:STAMP] = stamp(when)

    def grow(self, step: int) -> None:
        """Go on to the next size of a sweep: `step` bytes more, numbered from 0, written after those written before."""
        for number in range(step):
            self._bytes[self._end + number] = number & 0xFF
        self._end += step
        self.size += step

    def __bytes__(self) -> bytes:
        return bytes(self._bytes[: self.size])

    def compare(self, received: bytes, *, skip: int) -> WrongByte | None:
        """The first byte after `skip` that differs; of what was received, no more than was sent is looked at."""
        for number, (sent, got) in enumerate(zip(bytes(self)[skip:], received[skip:], strict=False), start=skip):
            if sent != got:
                return WrongByte(number, sent, got)
        return None


def dump(title: str, data: bytes) -> str:
    """Bytes in hexadecimal as ping shows wrong data: a line break before the 9th and every 16th after it."""
    return f"\n{title}:" + "".join(("\n\t" if at % 16 == 8 else "") + f"{byte:2x} " for at, byte in enumerate(data))
