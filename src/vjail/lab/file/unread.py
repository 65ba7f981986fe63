"""What of a lab file could not be read: what hangs on it is no mistake of its own, and nothing is said of it.

Pieces are named by the keys that lead to them; an element of a list by its place.
"""

from __future__ import annotations

from collections.abc import Hashable


class Unread:
    """The pieces that are wrong in form, or are not there to be read."""

    def __init__(self) -> None:
        self._pieces: set[tuple[Hashable, ...]] = set()
        self._open: set[tuple[Hashable, ...]] = set()

    def add(self, *keys: Hashable) -> None:
        """What is at these keys is not, or not wholly, known."""
        self._pieces.add(keys)

    def open(self, *keys: Hashable) -> None:
        """The mapping at these keys may have further names; those that it has are known."""
        self._open.add(keys)

    def at(self, *keys: Hashable) -> bool:
        """Whether something at these keys, below them, or what they are in, is not known."""
        return any(each[: len(keys)] == keys[: len(each)] for each in self._pieces)

    def may_have(self, *keys: Hashable) -> bool:
        """Whether the last of these keys, which seems not to be in the mapping at those before it, may be there yet."""
        return keys[:-1] in self._open or any(keys[: len(each)] == each for each in self._pieces)

    def may_lack(self, *keys: Hashable) -> bool:
        """Whether the mapping at these keys may have names that it seems not to have, whatever they are."""
        near = any(len(each) <= len(keys) + 1 and each[: len(keys)] == keys[: len(each)] for each in self._pieces)
        return near or keys in self._open
