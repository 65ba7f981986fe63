"""Reads the recordings of a real FreeBSD 13.2: what was typed, which files were written in between, what came back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent.parent / "data" / "freebsd-13.2"


@dataclass(frozen=True)
class Typed:
    """A line that was typed, and the answer. `merged`: both streams came as one."""

    line: str
    stdout: str
    stderr: str
    code: int
    number: int

    @property
    def merged(self) -> bool:
        return "2>&1" in self.line


@dataclass(frozen=True)
class Written:
    """A file that was made."""

    path: str
    text: str


def read(name: str) -> Iterator[Typed | Written]:
    """The steps of a recording, in order."""
    lines = (DATA / name).read_text().splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        begun = re.fullmatch(r"--- (/\S+) ---", line)
        if begun:
            end = lines.index(f"--- end of {begun.group(1)} ---", at)
            yield Written(begun.group(1), "".join(f"{each}\n" for each in lines[at:end]))
            at = end + 1
        elif line.startswith("# "):
            number = at
            typed = [line[2:]]
            while lines[at].startswith("> "):
                typed.append(lines[at][2:])
                at += 1
            stdout, stderr = [], []
            while not re.fullmatch(r"\[exit \d+\]", lines[at]):
                (stderr if lines[at].startswith("2> ") else stdout).append(lines[at].removeprefix("2> "))
                at += 1
            code = int(lines[at][6:-1])
            at += 1
            yield Typed("\n".join(typed), _text(stdout), _text(stderr), code, number)


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
