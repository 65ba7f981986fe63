"""Which of several names was probably meant by a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_ALIKE = 0.75
_LENGTHS = 3


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like the name; None where none is much like it."""
    rated = [(_likeness(name, candidate), candidate) for candidate in candidates if candidate != name]
    best, found = max(rated, default=(0.0, ""))
    return found if best >= _ALIKE else None


@lru_cache(16384)
def _likeness(name: str, other: str) -> float:
    """From 0 for names that have nothing in common to 1 for equal ones."""
    if abs(len(name) - len(other)) > _LENGTHS:
        return 0.0
    from difflib import SequenceMatcher  # only the unlucky need it

    return SequenceMatcher(None, name, other).ratio()
