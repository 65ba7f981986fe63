"""Numbers of next hops and of groups of them: both share one row of numbers, the lowest free is taken.

Source: FreeBSD 13.2 sys/net/route/{nhop_ctl.c,nhgrp_ctl.c}; observed/d_routes (`netstat -rnW`).
"""

from __future__ import annotations

from collections.abc import Hashable

from vjail.kernel.core.numbers import Numbers


class NextHops:
    """What is equal shares a number as long as somebody uses it."""

    def __init__(self) -> None:
        self._numbers = Numbers(1)
        self._known: dict[Hashable, int] = {}
        self._users: dict[Hashable, int] = {}

    def take(self, hop: Hashable) -> int:
        """The number of a next hop, or of a group (a tuple of numbers), for one more user."""
        if hop not in self._known:
            self._known[hop] = self._numbers.lowest()
            self._numbers.take(self._known[hop])
            self._users[hop] = 0
        self._users[hop] += 1
        return self._known[hop]

    def give_back(self, hop: Hashable) -> None:
        """One user fewer."""
        self._users[hop] -= 1
        if not self._users[hop]:
            del self._users[hop]
            self._numbers.give_back(self._known.pop(hop))
