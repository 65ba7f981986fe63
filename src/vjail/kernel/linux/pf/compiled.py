"""A table of nftables as it was compiled, and what nft(8) is told to put it in force, change it, or take it away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vjail.conf.pf.rules import Detour
from vjail.kernel.linux.pf.limits import Flushing, Overloading

TABLE = "pf"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A table: chains and sets, and what the sets of pf's tables hold, by their names."""

    body: str
    elements: Mapping[str, str]
    counts_connections: bool
    """Whether it may end connections when their handshake is done."""
    overloading: tuple[Overloading, ...]
    flushing: tuple[Flushing, ...]
    detours: Mapping[Detour, int]
    """The ways by route-to and reply-to, with the numbers in the marks of what goes there."""

    @property
    def text(self) -> str:
        """What nft(8) loads in one transaction: it replaces what was there."""
        return f"{removal()}table inet {TABLE} {{\n{self.body}}}\n{self._added(self.elements)}"

    def change_to(self, other: Compiled) -> str | None:
        """What makes this one the other by changing tables only, so that counts go on; None where that cannot be."""
        if (self.body, self.elements.keys()) != (other.body, other.elements.keys()):
            return None
        changed = {name: text for name, text in other.elements.items() if text != self.elements[name]}
        return "".join(f"flush set inet {TABLE} {name}\n" for name in changed) + self._added(changed)

    @staticmethod
    def _added(elements: Mapping[str, str]) -> str:
        return "".join(f"add element inet {TABLE} {name} {text}\n" for name, text in elements.items() if text)


def removal() -> str:
    """The text that takes the table away."""
    return f"table inet {TABLE}\ndelete table inet {TABLE}\n"
