"""Reads the cases of the conformance suite (conformance/README.md says what stands in them); knows no kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from comparable import comparable

CASES = Path(__file__).parent / "conformance" / "cases"
HOSTS = ("a", "b")
NICS = ("em0", "em1")
LAB = "conformance"

_LINE = re.compile(r"([#?]) (\w+)(?::([\w.]+))?(?:: | )(.*)")
_DIFFERS = re.compile(r"differs (\w+): (.*)")


@dataclass(frozen=True)
class Line:
    """A command line, or with `is_echo` the address of an echo request, on a host (in a jail); and what is seen."""

    host: str
    jail: str
    text: str
    is_echo: bool
    expected: str
    differs: tuple[tuple[str, str], ...]

    def same(self, seen: str) -> bool:
        """Whether something that was seen is what is expected."""
        return self.compared(seen) == self.compared(self.expected)

    def compared(self, text: str) -> str:
        """What of an answer is compared."""
        return comparable(self.text, text, macs=True)

    def differs_on(self, kernel: str) -> bool:
        """Whether a kernel is known to answer otherwise."""
        return kernel in dict(self.differs)

    def __str__(self) -> str:
        place = f"{self.host}:{self.jail}" if self.jail else self.host
        return f"? {place} {self.text}" if self.is_echo else f"# {place}: {self.text}"


@dataclass(frozen=True)
class Case:
    """A case: what it needs of a kernel, the hostid of both hosts (None: each its own), and its lines."""

    name: str
    needs: frozenset[str]
    hostid: str | None
    lines: tuple[Line, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that are typed at."""
        return tuple(name for name in HOSTS if any(line.host == name for line in self.lines))

    def host(self, name: str) -> str:
        """What a host is called in a lab with the hosts of all cases."""
        return f"{self.name}-{name}"


def cases() -> list[Case]:
    """All cases, by name."""
    return [_case(path) for path in sorted(CASES.glob("*.txt"))]


def _case(path: Path) -> Case:
    head, _, body = path.read_text().partition("\n\n")
    settings = [line.split() for line in head.splitlines()[1:]]
    needs = frozenset(word for words in settings if words[0] == "needs" for word in words[1:])
    hostid = next((words[1] for words in settings if words[0] == "hostid"), None)
    return Case(path.stem, needs, hostid, tuple(_lines(body)))


def _lines(body: str) -> Iterator[Line]:
    found: re.Match[str] | None = None
    expected: list[str] = []
    differs: list[tuple[str, str]] = []

    def line(match: re.Match[str]) -> Line:
        text = "".join(f"{each}\n" for each in expected)
        return Line(match[2], match[3] or "", match[4], match[1] == "?", text, tuple(differs))

    for each in body.splitlines():
        match = _LINE.fullmatch(each)
        if match is not None:
            if found is not None:
                yield line(found)
            found, expected, differs = match, [], []
        elif known := _DIFFERS.fullmatch(each):
            differs.append((known[1], known[2]))
        else:
            expected.append(each)
    if found is not None:
        yield line(found)
