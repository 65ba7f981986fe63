"""The jails of one host and what is looked up in them: by jid, by name, by parent, by address.

Keeps the indexes true, so that nothing the kernel does grows with the number of jails; decides nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence

from vjail.kernel.core.below import Below
from vjail.kernel.core.prison_record import IpAddress, Prison

JAIL_MAX = 999_999
"""The highest jid given automatically; also how many jails the host may have (sys/sys/jail.h)."""

FIRST_CPUSET = 3
"""The first cpuset id a jail gets: 0 to 2 are the host's (recorded: observed/b1_two_jails.txt)."""


class PrisonTable:
    """Every jail, dying ones too, and the host itself as jail 0."""

    def __init__(self, host: Prison) -> None:
        self._prisons: dict[int, Prison] = {0: host}
        self._children: dict[int, dict[int, None]] = {0: {}}
        self._counts: dict[int, int] = {0: 0}
        self._alive: dict[str, int] = {}
        self._dying: dict[str, list[int]] = {}
        self._holders: dict[tuple[int, IpAddress], dict[int, None]] = {}
        self._roots: Below[int] = Below()
        self._cpusets_freed: list[int] = []
        self._cpuset_next = FIRST_CPUSET

    # --- looking up ---------------------------------------------------------------------------------------------------

    @property
    def host(self) -> Prison:
        """The host itself."""
        return self._prisons[0]

    def get(self, jid: int) -> Prison | None:
        """The jail of that number, dying or not; the host for 0."""
        return self._prisons.get(jid)

    def jids(self) -> Sequence[int]:
        """All jids, ascending, without the host's 0."""
        return sorted(self._prisons)[1:]

    def alive(self, name: str) -> Prison | None:
        """The jail of that full name, unless it is dying."""
        jid = self._alive.get(name)
        return None if jid is None else self._prisons[jid]

    def find(self, name: str) -> Prison | None:
        """The jail of that full name; a dying one only where no other has the name."""
        dying = self._dying.get(name)
        return self.alive(name) or (self._prisons[dying[-1]] if dying else None)

    def children(self, jid: int) -> Sequence[Prison]:
        """The jails right below one, in the order they were made."""
        return [self._prisons[child] for child in self._children.get(jid, ())]

    def descendants(self, jid: int) -> Iterator[Prison]:
        """The jails below one, each before those below it."""
        for child in self.children(jid):
            yield child
            yield from self.descendants(child.jid)

    def count(self, jid: int) -> int:
        """How many jails there are below one, dying ones too."""
        return self._counts[jid]

    def ancestors(self, jid: int) -> Iterator[Prison]:
        """The jails above one, the nearest first, the host last."""
        prison = self._prisons[jid]
        while prison.jid != 0:
            prison = self._prisons[prison.parent]
            yield prison

    def holders(self, vnet: int, address: IpAddress) -> Collection[int]:
        """The jails on a vnet, not dying, in whose own list the address is."""
        return self._holders.get((vnet, address), {})

    def rooted_in(self, path: str) -> Iterator[Prison]:
        """The jails, dying ones too, whose root is a directory or lies below it."""
        return (self._prisons[jid] for jid in (*self._roots.at(path), *self._roots.below(path)))

    # --- numbers ------------------------------------------------------------------------------------------------------

    def jid_after(self, last: int) -> int | None:
        """The next free jid behind the last one given automatically, from 1 again behind JAIL_MAX; None: all taken."""
        start = jid = last % JAIL_MAX + 1
        while jid in self._prisons:
            jid = jid % JAIL_MAX + 1
            if jid == start:
                return None
        return jid

    def next_cpuset(self) -> int:
        """The lowest cpuset id that is free."""
        return self._cpusets_freed[0] if self._cpusets_freed else self._cpuset_next

    # --- changing -----------------------------------------------------------------------------------------------------

    def add(self, prison: Prison) -> None:
        """Put a new jail into the table."""
        self._prisons[prison.jid] = prison
        self._children[prison.jid] = {}
        self._counts[prison.jid] = 0
        self._children[prison.parent][prison.jid] = None
        for ancestor in self.ancestors(prison.jid):
            self._counts[ancestor.jid] += 1
        self._take_cpuset(prison.cpuset)
        self._roots.add(prison.path, prison.jid)
        self._index(prison)

    def _take_cpuset(self, number: int) -> None:
        while self._cpuset_next <= number:
            heapq.heappush(self._cpusets_freed, self._cpuset_next)
            self._cpuset_next += 1
        if self._cpusets_freed and self._cpusets_freed[0] == number:
            heapq.heappop(self._cpusets_freed)
        else:
            self._cpusets_freed.remove(number)
            heapq.heapify(self._cpusets_freed)

    def replace(self, prison: Prison) -> None:
        """Put another version of a jail in its place."""
        if prison.jid != 0:
            self._unindex(self._prisons[prison.jid])
        self._prisons[prison.jid] = prison
        if prison.jid != 0:
            self._index(prison)

    def discard(self, jid: int) -> None:
        """Take a jail without children out of the table."""
        for ancestor in self.ancestors(jid):
            self._counts[ancestor.jid] -= 1
        prison = self._prisons.pop(jid)
        del self._children[jid], self._counts[jid]
        del self._children[prison.parent][jid]
        heapq.heappush(self._cpusets_freed, prison.cpuset)
        self._roots.discard(prison.path, prison.jid)
        self._unindex(prison)

    def _index(self, prison: Prison) -> None:
        if prison.dying:
            self._dying.setdefault(prison.name, []).append(prison.jid)
            return
        self._alive[prison.name] = prison.jid
        for address in _listed(prison):
            self._holders.setdefault((prison.vnet, address), {})[prison.jid] = None

    def _unindex(self, prison: Prison) -> None:
        if prison.dying:
            self._dying[prison.name].remove(prison.jid)
            if not self._dying[prison.name]:
                del self._dying[prison.name]
            return
        del self._alive[prison.name]
        for address in _listed(prison):
            held = self._holders[prison.vnet, address]
            del held[prison.jid]
            if not held:
                del self._holders[prison.vnet, address]


def _listed(prison: Prison) -> Iterator[IpAddress]:
    for rule in (prison.ip4, prison.ip6):
        if rule.own:
            yield from rule.addresses
