"""Lowest-free numbers: interface indexes of a vnet, units of a cloner."""

from __future__ import annotations

import heapq


class Numbers:
    """Numbers from `first` on, each taken at most once; the lowest free one is found in logarithmic time."""

    def __init__(self, first: int) -> None:
        self._taken: set[int] = set()
        self._returned: list[int] = []
        self._next = first

    def lowest(self) -> int:
        """The lowest free number; it stays free."""
        while self._returned and self._returned[0] in self._taken:
            heapq.heappop(self._returned)
        if self._returned:
            return self._returned[0]
        while self._next in self._taken:
            self._next += 1
        return self._next

    def is_free(self, number: int) -> bool:
        """Whether nobody has the number."""
        return number not in self._taken

    def take(self, number: int) -> None:
        """Note that the free number `number` is in use."""
        self._taken.add(number)

    def give_back(self, number: int) -> None:
        """Note that the number is free again."""
        self._taken.remove(number)
        if number < self._next:
            heapq.heappush(self._returned, number)
