"""How jail(8) makes words of a text: a command's line, a line of fstab(5).

Pure. Sources: run_command() in FreeBSD 13.2 usr.sbin/jail/command.c; strunvis(3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vjail.conf.position import decode, encode

_SHELL_CHARACTERS = re.compile(r"""[!"$&'()*;<>?\[\\\]`{|}~]""")
_BLANKS = re.compile(r"[ \t\f\v\r\n]+")


@dataclass(frozen=True, slots=True)
class Line:
    """A command line: its words, and whether it is started in the background and not waited for."""

    argv: tuple[str, ...]
    background: bool = False

    @property
    def text(self) -> str:
        """The line as messages show it."""
        return " ".join(self.argv)


def command(text: str) -> Line | None:
    """The line that an exec.* string is: for sh(1) if any character means something to it, otherwise split at blanks.

    A `&` that is the first such character and the last of all puts the command into the background. None: no word.
    """
    special = _SHELL_CHARACTERS.search(text)
    if special is not None and text[special.start() :] != "&":
        return Line(("/bin/sh", "-c", text))
    argv = split(text[: special.start()] if special is not None else text)
    return Line(argv, background=special is not None) if argv else None


def split(text: str) -> tuple[str, ...]:
    """The words between blanks."""
    return tuple(word for word in _BLANKS.split(text) if word)


_VIS = re.compile(rb"\\(?:([0-7]{1,3})|\^(.)|M-(.)|M\^(.)|(.)|$)", re.DOTALL)
_VIS_LETTERS = {
    b"\\": b"\\", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"s": b" ", b"t": b"\t",
    b"v": b"\v", b"E": b"\x1b", b"\n": b"", b"$": b"",
}  # fmt: skip


def unvis(word: str) -> str | None:
    """A word of fstab(5) with its escapes (`\\040` for a blank) undone; None where one is none. Source: strunvis(3)."""
    try:
        return decode(_VIS.sub(_undo, encode(word)))
    except _NoEscape:
        return None


class _NoEscape(Exception):
    """A backslash that begins no escape."""


def _undo(match: re.Match[bytes]) -> bytes:
    octal, control, meta, meta_control, letter = match.groups()
    if octal is not None:
        return bytes((int(octal, 8) & 0xFF,))
    if control is not None:
        return bytes((control[0] & 0x1F,))
    if meta is not None:
        return bytes((meta[0] & 0x7F | 0x80,))
    if meta_control is not None:
        return bytes((meta_control[0] & 0x1F | 0x80,))
    if letter not in _VIS_LETTERS:
        raise _NoEscape
    return _VIS_LETTERS[letter]
