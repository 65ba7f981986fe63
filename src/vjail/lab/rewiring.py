"""What differs between how a lab that runs is wired and how it is to be: cards, wires, and what is said of a wire.

Pure, as changes.py is: `vjail up` does what follows from it, and `vjail plan` shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vjail.lab.model import WireSettings


@dataclass(frozen=True, slots=True)
class WireChange:
    """A wire that is new, goes, or is to be another than it was; `old`, `new`: what is said of it, None: no wire."""

    wire: str
    old: WireSettings | None
    new: WireSettings | None

    def differences(self) -> Iterator[tuple[str, str, str]]:
        """What is said of it otherwise than before, or than of any wire: the key, then old and new in words."""
        old, new = (_shown(each or WireSettings()) for each in (self.old, self.new))
        return ((key, old[key], new[key]) for key in new if old[key] != new[key])

    def told(self) -> str:
        """It in a line."""
        if self.new is None:
            return f"wire {self.wire}: removed"
        lines = [f"{key}: {old} -> {new}" for key, old, new in self.differences()]
        return f"wire {self.wire}: " + "; ".join(["new"] * (self.old is None) + lines)


@dataclass(frozen=True, slots=True)
class CardChange:
    """A card of a host that runs: the wire that it is on and is to be on, None: no such card.

    `waits`: why it cannot go now; it is still to be seen then.
    """

    card: str
    old: str | None
    new: str | None
    waits: str = ""

    def told(self) -> str:
        """It in a line."""
        if self.old is None:
            return f"card {self.card}: new, on wire {self.new}"
        if self.new is None:
            return f"card {self.card}: " + (f"stays for now: {self.waits}" if self.waits else "removed")
        return f"card {self.card}: wire {self.old} -> {self.new}"


def wire_changes(old: Mapping[str, WireSettings], new: Mapping[str, WireSettings]) -> tuple[WireChange, ...]:
    """What becomes of the wires of a lab, by what was said of each when it came up and what is said now."""
    found = (WireChange(wire, old.get(wire), new.get(wire)) for wire in dict.fromkeys((*new, *old)))
    return tuple(each for each in found if each.old != each.new)


def card_changes(
    old: Mapping[str, str], new: Mapping[str, str], held: Mapping[str, str] | None = None
) -> tuple[CardChange, ...]:
    """What becomes of the cards of a host, old and new with the wire of each.

    `held`: the cards that must stay, each with the jail that has it.
    """
    held = held or {}
    found: list[CardChange] = []
    for card in dict.fromkeys((*new, *old)):
        before, after = old.get(card), new.get(card)
        if before == after:
            continue
        waits = f"{held[card]} has it, which is left as it is" if after is None and card in held else ""
        found.append(CardChange(card, before, after, waits))
    return tuple(found)


def cards_after(old: Mapping[str, str], changes: tuple[CardChange, ...]) -> dict[str, str]:
    """The cards of a host, each with its wire, once they have changed."""
    found = dict(old)
    for each in changes:
        if each.new is not None:
            found[each.card] = each.new
        elif not each.waits:
            del found[each.card]
    return found


def _shown(said: WireSettings) -> dict[str, str]:
    """What is said of a wire in words, by the keys of lab files."""
    return {"nic": said.nic or "none", "cut": "yes" if said.cut else "no", **said.conditions.shown()}
