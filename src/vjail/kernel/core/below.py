"""Things by path, found by a directory that they lie below, however many there are elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Below(Generic[T]):
    """Things (hashable), each at an absolute path."""

    def __init__(self) -> None:
        self._at: dict[str, dict[T, None]] = {}
        self._below: dict[str, dict[T, None]] = {}

    def add(self, path: str, thing: T) -> None:
        """A thing comes."""
        self._at.setdefault(path, {})[thing] = None
        for above in _above(path):
            self._below.setdefault(above, {})[thing] = None

    def discard(self, path: str, thing: T) -> None:
        """A thing goes, if it is there."""
        for index, key in ((self._at, path), *((self._below, above) for above in _above(path))):
            things = index.get(key)
            if things is not None:
                things.pop(thing, None)
                if not things:
                    del index[key]

    def at(self, path: str) -> list[T]:
        """What is at a path, in the order in which it came."""
        return list(self._at.get(path, ()))

    def below(self, path: str) -> list[T]:
        """What lies below a directory, at any depth, in the order in which it came."""
        return list(self._below.get(path, ()))


def _above(path: str) -> Iterator[str]:
    """The directories above a path, the root not among them."""
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)
