"""How this package reads further files: not at all; it asks a `Reader`. `FileSystem` is the reader of real files."""

from __future__ import annotations

import glob
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Reader(Protocol):
    """Where the files that a configuration names are read."""

    def read(self, path: str) -> bytes:
        """The bytes of a file; OSError, with errno, where that fails."""

    def glob(self, pattern: str) -> list[str]:
        """The paths a pattern matches, sorted, each beginning as the pattern does; OSError where that fails."""


class FileSystem:
    """The reader of this machine's files: the one place in `vjail.conf` that does I/O."""

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        return Path(path).read_bytes()

    def glob(self, pattern: str) -> list[str]:
        """The paths a pattern matches, sorted."""
        return sorted(glob.glob(pattern))


class NoFiles:
    """The reader of a text that stands alone: no file exists for it."""

    def read(self, path: str) -> bytes:
        """Always FileNotFoundError."""
        raise FileNotFoundError(2, "No such file or directory", path)

    def glob(self, pattern: str) -> list[str]:
        """Nothing."""
        return []


@dataclass(slots=True)
class _Noting:
    """A reader that notes what another one answers."""

    reader: Reader
    contents: dict[str, bytes] = field(default_factory=dict)
    matches: dict[str, list[str]] = field(default_factory=dict)
    is_whole: bool = True
    """Whether every answer was noted: those that fail are not."""

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        try:
            data = self.contents[path] = self.reader.read(path)
        except BaseException:
            self.is_whole = False
            raise
        return data

    def glob(self, pattern: str) -> list[str]:
        """The paths a pattern matches."""
        try:
            found = self.matches[pattern] = self.reader.glob(pattern)
        except BaseException:
            self.is_whole = False
            raise
        return found

    def holds(self, reader: Reader) -> bool:
        """Whether another reader would answer the same."""
        try:
            return all(reader.glob(pattern) == found for pattern, found in self.matches.items()) and all(
                reader.read(path) == data for path, data in self.contents.items()
            )
        except (OSError, ValueError):
            return False


_KEPT = 4
_results: OrderedDict[Hashable, tuple[_Noting, Any]] = OrderedDict()


def remembered(key: Hashable, reader: Reader, make: Callable[[Reader], T]) -> T:
    """What `make` makes of the files it reads; made once for as long as `key` and all that it read are the same.

    rc.d/jail runs one jail(8) for each jail that it stops, and each reads the whole file. What is made must be frozen.
    """
    found = _results.get(key)
    if found is not None and found[0].holds(reader):
        _results.move_to_end(key)
        made: T = found[1]
        return made
    noting = _Noting(reader)
    made = make(noting)
    _results.pop(key, None)
    if noting.is_whole:
        _results[key] = noting, made
        if len(_results) > _KEPT:
            _results.popitem(last=False)
    return made
