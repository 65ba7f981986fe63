"""The examples of docs/commands.md, typed in their order: what they answer is what the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sandbox import PATH, Sandbox, interpreter

pytestmark = pytest.mark.real

PAGE = Path(__file__).parent.parent.parent / "docs" / "commands.md"
VARIES = (
    (r"\(\d+\.\d s\)", "(T s)"),
    (r"time=\d+\.\d+ ms", "time=T ms"),
    (r"= \d+\.\d+/\d+\.\d+/\d+\.\d+/\d+\.\d+ ms", "= T ms"),
    (r"a base of \d+ files, \d+ MB", "a base of N files, N MB"),
)
"""Times, and the size of this machine's own userland."""


def examples() -> list[tuple[str, str]]:
    """Each command line of the page, and what it shows below."""
    code = "\n".join(line[4:] for line in PAGE.read_text().splitlines() if line.startswith("    "))
    return [(line, shown) for line, shown in re.findall(r"^\$ (.*)\n?((?:(?!\$ ).*\n?)*)", code, re.MULTILINE)]


def plain(text: str) -> str:
    for pattern, stand_in in VARIES:
        text = re.sub(pattern, stand_in, text)
    return "".join(f"{line}\n" for line in text.splitlines() if line)


def test_the_examples_answer_as_shown(box: Sandbox) -> None:
    programs = box.folder / "bin"
    programs.mkdir()
    (programs / "vjail").write_text(f'#!/bin/sh\nexec {interpreter()} -m vjail "$@"\n')
    (programs / "vjail").chmod(0o755)
    found = examples()
    assert len(found) > 15
    for line, shown in found:
        environ = {"PATH": f"{programs}:{PATH}"}
        typed = box.run("sh", "-c", f"cd A1-two-jails; {{ {line}\n}} 2>&1", environ=environ)
        assert plain(typed.out) == plain(shown), line
