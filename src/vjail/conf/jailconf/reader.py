"""How this package reads further files: not at all; it asks a `Reader`. `FileSystem` is the reader of real files."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Protocol


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
