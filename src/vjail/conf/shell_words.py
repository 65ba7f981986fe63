"""sh(1)'s words: how text is cut at blanks and quotes, and what `$x` in it becomes.

Only what needs no running: quotes, backslashes, comments, `$x`, `${x}`, `${x:-word}`, `${x-word}`, `${x:+word}` and
`${x+word}`. A command substitution, arithmetic, `~`, `$1` and their like raise ShellSyntax with their place; nothing is
guessed. Sources: sh(1), IEEE 1003.1 XCU 2. Knows nothing of rc.conf or devfs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:-|-|:\+|\+)?")
_BLANK = " \t"
_OPERATORS = ";&|<>()"
_FIELD_SEPARATORS = " \t\n"


class ShellSyntax(Exception):
    """Text that cannot be understood without running a shell: `offset` into it, and why."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Literal:
    """Characters that stand for themselves; `quoted` ones are not cut at blanks nor matched as a pattern."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """`$name` or `${name OPERATOR word}`; `operator` is empty or one of `:-` `-` `:+` `+`."""

    name: str
    quoted: bool
    operator: str = ""
    word: tuple[Part, ...] = ()


Part = Literal | Parameter


@dataclass(frozen=True, slots=True)
class Word:
    """One word of the text: its parts, and where it begins and ends (offsets)."""

    parts: tuple[Part, ...]
    start: int
    end: int


def skip_blanks(text: str, offset: int) -> int:
    """The offset of the next character that is no blank, continued line or comment."""
    while offset < len(text):
        if text[offset] in _BLANK:
            offset += 1
        elif text.startswith("\\\n", offset):
            offset += 2
        elif text[offset] == "#":
            end = text.find("\n", offset)
            return len(text) if end < 0 else end
        else:
            break
    return offset


def read_word(text: str, offset: int) -> Word | None:
    """The word that begins at `offset`; None at an operator, a newline or the end. Raises ShellSyntax."""
    parts, end = _read_parts(text, offset, until="")
    return Word(parts, offset, end) if end > offset else None


def expand(parts: tuple[Part, ...], variables: Mapping[str, str]) -> str:
    """What an assignment's value becomes: no cutting at blanks, no file names. An unset variable is empty."""
    return "".join(text for text, _ in _expanded(parts, variables))


def split(text: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """The words a command would get if `text` stood on its command line; patterns stay as they are.

    Raises ShellSyntax, also for an operator: `text` is one command.
    """
    words: list[str] = []
    offset = skip_blanks(text, 0)
    while offset < len(text):
        word = read_word(text, offset)
        if word is None:
            if text[offset] == "\n":
                offset = skip_blanks(text, offset + 1)
                continue
            raise ShellSyntax(offset, f"`{text[offset]}' needs a shell")
        words += _fields(word.parts, variables)
        offset = skip_blanks(text, word.end)
    return tuple(words)


def _fields(parts: tuple[Part, ...], variables: Mapping[str, str]) -> list[str]:
    """One word after expansion, cut at the blanks that unquoted variables brought in."""
    fields: list[str] = []
    current: str | None = None
    for text, kept_whole in _expanded(parts, variables):
        if kept_whole:
            current = (current or "") + text
            continue
        for character in text:
            if character in _FIELD_SEPARATORS:
                if current is not None:
                    fields.append(current)
                current = None
            else:
                current = (current or "") + character
    if current is not None:
        fields.append(current)
    return fields


def _expanded(parts: tuple[Part, ...], variables: Mapping[str, str]) -> list[tuple[str, bool]]:
    """Each part's text, and whether it is kept whole (literal or quoted)."""
    pieces: list[tuple[str, bool]] = []
    for part in parts:
        match part:
            case Literal(text):
                pieces.append((text, True))
            case Parameter(name, quoted, operator, word):
                value = variables.get(name)
                given = bool(value) if operator.startswith(":") else value is not None
                if operator.endswith("-") and not given:
                    pieces += [(text, quoted or whole) for text, whole in _expanded(word, variables)]
                elif operator.endswith("+"):
                    pieces += [(text, quoted or whole) for text, whole in _expanded(word, variables)] if given else []
                elif value or quoted:
                    pieces.append((value or "", quoted))
    return pieces


def _read_parts(text: str, offset: int, until: str) -> tuple[tuple[Part, ...], int]:
    """Parts up to an unquoted blank, newline or operator, or with `until` given up to that character."""
    parts: list[Part] = []
    start = offset
    while offset < len(text):
        character = text[offset]
        if until:
            if character == until:
                return tuple(parts), offset
        elif character in _BLANK or character in _OPERATORS or character == "\n":
            break
        match character:
            case "'":
                end = text.find("'", offset + 1)
                if end < 0:
                    raise ShellSyntax(offset, "unterminated single-quoted string")
                parts.append(Literal(text[offset + 1 : end], True))
                offset = end + 1
            case '"':
                inner, offset = _read_double_quoted(text, offset)
                parts += inner
            case "\\":
                if offset + 1 == len(text):
                    raise ShellSyntax(offset, "a backslash at the end of the file")
                if text[offset + 1] != "\n":
                    parts.append(Literal(text[offset + 1], True))
                offset += 2
            case "$":
                part, offset = _read_dollar(text, offset, quoted=False)
                parts.append(part)
            case "`":
                raise ShellSyntax(offset, "a command substitution needs a shell")
            case "~" if offset == start or text[offset - 1] == ":":
                raise ShellSyntax(offset, "`~' needs a shell")
            case _:
                parts.append(Literal(character, False))
                offset += 1
    if until:
        raise ShellSyntax(start, f"missing `{until}'")
    return tuple(parts), offset


def _read_double_quoted(text: str, offset: int) -> tuple[list[Part], int]:
    """The parts of a double-quoted string and the offset behind it."""
    parts: list[Part] = [Literal("", True)]
    start = offset
    offset += 1
    while offset < len(text):
        character = text[offset]
        match character:
            case '"':
                return parts, offset + 1
            case "\\" if offset + 1 < len(text) and text[offset + 1] in '$`"\\\n':
                if text[offset + 1] != "\n":
                    parts.append(Literal(text[offset + 1], True))
                offset += 2
            case "$":
                part, offset = _read_dollar(text, offset, quoted=True)
                parts.append(part)
            case "`":
                raise ShellSyntax(offset, "a command substitution needs a shell")
            case _:
                parts.append(Literal(character, True))
                offset += 1
    raise ShellSyntax(start, "unterminated double-quoted string")


def _read_dollar(text: str, offset: int, *, quoted: bool) -> tuple[Part, int]:
    """What a `$` begins, and the offset behind it."""
    name = _NAME.match(text, offset + 1)
    if name:
        return Parameter(name.group(), quoted), name.end()
    following = text[offset + 1 : offset + 2]
    if following == "(":
        raise ShellSyntax(offset, "a command substitution needs a shell")
    if following == "{":
        return _read_braced(text, offset, quoted=quoted)
    if following and following in "0123456789@*#?-$!":
        raise ShellSyntax(offset, f"`${following}' needs a shell")
    return Literal("$", quoted), offset + 1


def _read_braced(text: str, offset: int, *, quoted: bool) -> tuple[Part, int]:
    """A parameter in braces, and the offset behind it."""
    head = _BRACED.match(text, offset + 1)
    if head is None:
        raise ShellSyntax(offset, "this parameter expansion needs a shell")
    name, operator = head.group(1), head.group(2) or ""
    if not operator:
        if text[head.end() : head.end() + 1] != "}":
            raise ShellSyntax(offset, "this parameter expansion needs a shell")
        return Parameter(name, quoted), head.end() + 1
    if quoted:
        raise ShellSyntax(offset, f"`${{{name}{operator}…}}' inside double quotes needs a shell")
    word, end = _read_parts(text, head.end(), until="}")
    return Parameter(name, quoted, operator, word), end + 1
