"""Names that nobody writes: numbers of epairs and bridges, MAC addresses. Always the same, in a lab no two alike.

Numbers count from a start that follows from the lab's name, so that labs on one real host keep out of each other's way;
those of a lock file stay what they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

_STEP = 1000
_STARTS = 20
"""FreeBSD numbers cloned interfaces up to 32767 (IF_MAXUNIT); so each lab has room for 12,767 at least."""


def start(lab: str) -> int:
    """The first number of a lab's epairs."""
    return _STEP * (1 + int.from_bytes(hashlib.sha256(lab.encode()).digest()[:4], "big") % _STARTS)


class Numbers:
    """Gives numbers to keys: those that are known first, then the lowest that are free from a start on.

    `taken` are others' numbers: a key that was known by one of them gets another.
    """

    def __init__(self, first: int, known: Mapping[str, int], taken: Collection[int] = ()) -> None:
        self.known = {key: number for key, number in known.items() if number not in taken}
        self._used = {*self.known.values(), *taken}
        self._next = first

    def of(self, key: str) -> int:
        """The number of a key."""
        number = self.known.get(key)
        if number is None:
            while self._next in self._used:
                self._next += 1
            number = self.known[key] = self._next
            self._used.add(number)
        return number


class Macs:
    """Gives MAC addresses to names: locally administered, never two alike in a lab."""

    def __init__(self, lab: str) -> None:
        self._lab = lab
        self._used: set[bytes] = set()

    def of(self, *parts: str) -> bytes:
        """The MAC of what the parts name."""
        salt = 0
        while True:
            digest = hashlib.sha256("\0".join((self._lab, *parts, str(salt))).encode()).digest()
            mac = bytes((digest[0] & 0xFC | 0x02, *digest[1:6]))
            if mac not in self._used:
                self._used.add(mac)
                return mac
            salt += 1
