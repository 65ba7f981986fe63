"""What a shell needs of the world around it, and how it says that it does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vjail.session import Files


class NotModelled(Exception):
    """Something whose outcome cannot be known here: `offset` into the script, and what it is."""

    def __init__(self, what: str, offset: int = 0) -> None:
        super().__init__(what)
        self.what = what
        self.offset = offset


@dataclass(slots=True)
class Streams:
    """A command's streams: what is left of its input, and where its output and its errors go."""

    out: Callable[[str], None]
    err: Callable[[str], None]
    input: str = ""


@dataclass(slots=True)
class Captured:
    """Streams whose output is kept."""

    pieces: list[str] = field(default_factory=list)

    def take(self, text: str) -> None:
        """Keep a piece."""
        self.pieces.append(text)

    @property
    def text(self) -> str:
        """All that came."""
        return "".join(self.pieces)


class World(Protocol):
    """The programs and files a shell sees."""

    @property
    def files(self) -> Files:
        """The files of the shell's root."""
        ...

    async def run(self, argv: Sequence[str], environ: Mapping[str, str], cwd: str, streams: Streams) -> int | None:
        """Run a program to its end; its exit code, None where there is no such program. Raises NotModelled."""
        ...
