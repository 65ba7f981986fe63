"""The recordings: command lines with what a FreeBSD 13.2 machine answered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data" / "freebsd-13.2"


@dataclass(frozen=True)
class Line:
    """One command line and its answer; `code` None where it was not recorded."""

    number: int
    command: str
    stdout: str
    stderr: str
    code: int | None


def read(path: str) -> list[Line]:
    """The lines of a recording, numbered from 1."""
    lines: list[Line] = []
    command: list[str] = []
    stdout = stderr = ""

    def close(code: int | None) -> None:
        nonlocal command, stdout, stderr
        if command:
            stdout = stdout if code is not None else re.sub(r"\n+\Z", "\n", stdout) if stdout.strip() else ""
            lines.append(Line(len(lines) + 1, "\n".join(command), stdout, stderr, code))
        command, stdout, stderr = [], "", ""

    for text in (DATA / path).read_text().splitlines():
        ended = re.fullmatch(r"\[exit (\d+)\]", text)
        if ended:
            close(int(ended[1]))
        elif text.startswith("# ") and (not command or not stdout.strip() or stdout.endswith("\n\n")):
            close(None)
            command = [text[2:]]
        elif text.startswith("=== "):
            close(None)
        elif command and text.startswith("> ") and not stdout and not stderr:
            command.append(text[2:])
        elif command and text.startswith("2> "):
            stderr += text[3:] + "\n"
        elif command:
            stdout += text + "\n"
    close(None)
    return lines
