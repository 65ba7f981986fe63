"""What of sh(1)'s words needs no running: for rc.conf and devfs.rules, whose values and lines are read, not run.

Quotes, backslashes, comments, `$x`, `${x}` and `${x:-word}`, `${x-word}`, `${x:+word}`, `${x+word}` are understood. For
anything else, as a command substitution, arithmetic, `~`, `$1`, ShellSyntaxError is raised with its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vjail.conf.sh.parser import script_reader
from vjail.conf.sh.reader import Reader
from vjail.conf.sh.syntax import Arithmetic, Literal, Parameter, Part, ShellSyntaxError, Substitution, Word

_FIELD_SEPARATORS = " \t\n"
_OPERATORS = ("", ":-", "-", ":+", "+")


def skip_blanks(text: str, offset: int) -> int:
    """The offset of the next character that is no blank, continued line or comment."""
    reader = Reader(text, script_reader, offset)
    reader.skip_blanks()
    return reader.at


def read_word(text: str, offset: int) -> Word | None:
    """The word that begins at `offset`; None at an operator, a newline or the end. Raises ShellSyntaxError."""
    word = Reader(text, script_reader, offset).word()
    if word is not None:
        _check(word.parts)
        _check_tilde(text, word)
    return word


def expand(parts: Sequence[Part], variables: Mapping[str, str]) -> str:
    """What an assignment's value becomes: no cutting at blanks, no file names. An unset variable is empty."""
    return "".join(text for text, _ in _expanded(parts, variables))


def split(text: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """The words a command would get if `text` stood on its command line; patterns stay as they are.

    Raises ShellSyntaxError, also for an operator: `text` is one command.
    """
    words: list[str] = []
    offset = skip_blanks(text, 0)
    while offset < len(text):
        word = read_word(text, offset)
        if word is None:
            if text[offset] == "\n":
                offset = skip_blanks(text, offset + 1)
                continue
            raise ShellSyntaxError(offset, f"`{text[offset]}' needs a shell")
        words += _fields(word.parts, variables)
        offset = skip_blanks(text, word.end)
    return tuple(words)


def _check(parts: Sequence[Part]) -> None:
    for part in parts:
        match part:
            case Substitution(start=start) | Arithmetic(start=start):
                raise ShellSyntaxError(start, "a command substitution needs a shell")
            case Parameter(name, _, start, operator, word):
                if not (name[0].isalpha() or name[0] == "_"):
                    raise ShellSyntaxError(start, f"`${name}' needs a shell")
                if operator not in _OPERATORS:
                    raise ShellSyntaxError(start, "this parameter expansion needs a shell")
                _check(word)


def _check_tilde(text: str, word: Word) -> None:
    """A `~` that stands for somebody's home: unquoted, at the beginning or behind a colon."""
    at = word.start
    for part in word.parts:
        if not isinstance(part, Literal) or part.quoted:
            return
        for place, character in enumerate(part.text, at):
            if character == "~" and (place == word.start or text[place - 1] == ":"):
                raise ShellSyntaxError(place, "`~' needs a shell")
        at += len(part.text)


def _fields(parts: Sequence[Part], variables: Mapping[str, str]) -> list[str]:
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


def _expanded(parts: Sequence[Part], variables: Mapping[str, str]) -> list[tuple[str, bool]]:
    """Each part's text, and whether it is kept whole (literal or quoted)."""
    pieces: list[tuple[str, bool]] = []
    for part in parts:
        match part:
            case Literal(text):
                pieces.append((text, True))
            case Parameter(name, quoted, _, operator, word):
                value = variables.get(name)
                given = bool(value) if operator.startswith(":") else value is not None
                if operator.endswith("-") and not given:
                    pieces += [(text, quoted or whole) for text, whole in _expanded(word, variables)]
                elif operator.endswith("+"):
                    pieces += [(text, quoted or whole) for text, whole in _expanded(word, variables)] if given else []
                elif value or quoted:
                    pieces.append((value or "", quoted))
    return pieces
