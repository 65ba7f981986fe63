r"""Backslash escapes of jail.conf(5): undone when a file is read, made when one is written.

The same everywhere, quoted or not: `\a \b \f \n \r \t \v`, one to three octal digits, `\x` with up to two hexadecimal
ones, backslash-newline for nothing, and any other character for itself. A NUL ends the piece it stands in, because
jail(8) keeps pieces as C strings. Source: text2lval() in usr.sbin/jail/jaillex.l.
"""

from __future__ import annotations

import re

from vjail.conf.position import decode, encode

_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{0,2})|(.)|\Z)", re.DOTALL)
_NAMED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\n": b""}


def undo_escapes(raw: bytes) -> str:
    """The text that raw bytes of a file mean; a backslash at their very end means NUL."""
    if b"\\" in raw:
        raw = _ESCAPE.sub(_undo, raw)
    nul = raw.find(b"\0")
    return decode(raw if nul < 0 else raw[:nul])


def _undo(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, character = match.groups()
    if octal is not None:
        return bytes((int(octal, 8) & 0xFF,))
    if hexadecimal is not None:
        return bytes((int(hexadecimal or b"0", 16),))
    if character is not None:
        named: bytes = _NAMED.get(character, character)
        return named
    return b"\0"


_SHORT = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_!%&()-.:<>?@[]^`|~")


def octal(text: str) -> str:
    r"""Every byte of the text as `\ooo`: the one form that means the same before any other character."""
    return "".join(f"\\{byte:03o}" for byte in encode(text))


def escape_bare(text: str) -> str:
    """Write a text without quotes."""
    return "".join(character if character in _BARE else _escape(character, "") for character in text)


def escape_single(text: str) -> str:
    """Write a text for the inside of single quotes."""
    return "".join(_escape(character, "'\\") for character in text)


def escape_double(text: str) -> str:
    """Write a text for the inside of double quotes, so that no variable is in it."""
    return "".join(_escape(character, '"\\$') for character in text)


def escape_braced(name: str) -> str:
    """Write a variable's name for the inside of `${…}`, in or out of double quotes."""
    return "".join(octal(character) if character in '\\{}"' else _escape(character, "\\") for character in name)


def _escape(character: str, special: str) -> str:
    """Escape one character: those of `special` (all that is printable, where empty, if ASCII) and what cannot stand."""
    if character in _SHORT:
        return _SHORT[character]
    if character < " " or character == "\x7f":
        return octal(character)
    if special:
        return f"\\{character}" if character in special else character
    return f"\\{character}" if character.isascii() else octal(character)
