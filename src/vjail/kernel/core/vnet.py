"""One network stack: who is in it under which name and index, its groups, the units of its cloners.

Bookkeeping only; who may come and go is decided elsewhere.
"""

from __future__ import annotations

from vjail.kernel.core.ifnet import FIRST_LOOPBACK, IfNet
from vjail.kernel.core.numbers import Numbers


class Vnet:
    """A network stack. `made` are the interfaces that were made in it, wherever they are now."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.made: dict[int, IfNet] = {}
        self._names: dict[str, IfNet] = {}
        self._attached: dict[int, IfNet] = {}
        self._indexes = Numbers(1)
        self._units: dict[str, Numbers] = {}
        self._groups: dict[str, dict[int, IfNet]] = {}

    # --- who is here ---

    def interfaces(self) -> list[IfNet]:
        """All interfaces here, those that came later last."""
        return list(self._attached.values())

    def find(self, name: str) -> IfNet | None:
        """The interface of that name."""
        return self._names.get(name)

    @property
    def loopback(self) -> IfNet | None:
        """lo0, over which the stack speaks with itself."""
        return self._names.get(FIRST_LOOPBACK)

    def next_index(self) -> int:
        """The index the next interface to come would get."""
        return self._indexes.lowest()

    def next_index_beside(self, index: int) -> int:
        """The index the interface after the next would get, the next getting `index`."""
        self._indexes.take(index)
        following = self._indexes.lowest()
        self._indexes.give_back(index)
        return following

    def attach(self, ifnet: IfNet) -> None:
        """Let in an interface whose name and index are free here."""
        self._names[ifnet.name] = ifnet
        self._attached[ifnet.ident] = ifnet
        self._indexes.take(ifnet.index)

    def detach(self, ifnet: IfNet) -> None:
        """Let it go: its name and index are free again, and it is in no group."""
        del self._names[ifnet.name]
        del self._attached[ifnet.ident]
        self._indexes.give_back(ifnet.index)
        for group in list(ifnet.groups):
            self.leave(ifnet, group)

    def rename(self, ifnet: IfNet, name: str) -> None:
        """Give it another name, which is free here."""
        del self._names[ifnet.name]
        ifnet.name = name
        self._names[name] = ifnet

    # --- groups ---

    def join(self, ifnet: IfNet, group: str, stamp: int) -> None:
        """Make it a member of a group."""
        ifnet.groups[group] = stamp
        self._groups.setdefault(group, {})[ifnet.ident] = ifnet

    def leave(self, ifnet: IfNet, group: str) -> None:
        """End its membership in a group it is in; a group without members is gone."""
        del ifnet.groups[group]
        members = self._groups[group]
        del members[ifnet.ident]
        if not members:
            del self._groups[group]

    def group(self, name: str) -> list[IfNet]:
        """A group's members, those that joined later last."""
        if name == "all":
            return self.interfaces()
        return list(self._groups.get(name, {}).values())

    # --- units of cloners ---

    def units(self, cloner: str) -> Numbers:
        """The units of a cloner's interfaces."""
        return self._units.setdefault(cloner, Numbers(0))
