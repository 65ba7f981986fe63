"""What words become: parameters, substitutions, arithmetic, cutting at blanks, file names, quotes gone."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from vjail.command.sh.arithmetic import calculate
from vjail.command.sh.world import NotModelled
from vjail.conf.sh.syntax import Arithmetic, Literal, Parameter, Part, Script, Substitution, Word

_DEFAULT_IFS = " \t\n"


Writer = Callable[[str], None]
"""Takes a piece of output."""


class ExpansionError(Exception):
    """An expansion that ends the shell: its message."""


class Scope(Protocol):
    """What an expansion asks of its shell."""

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables that are set."""
        ...

    @property
    def positional(self) -> Sequence[str]:
        """$1, $2, …"""
        ...

    def special(self, name: str) -> str | None:
        """One of `? # $ ! - 0`; None where it is not set."""
        ...

    def assign(self, name: str, value: str) -> None:
        """Set a variable. Raises ExpansionError where it is read-only."""
        ...

    async def substitute(self, script: Script) -> str:
        """The output of a script, without the newlines at its end."""
        ...

    def glob(self, pattern: str) -> Sequence[str]:
        """The paths that match a pattern, sorted."""
        ...

    @property
    def home(self) -> str:
        """What `~` stands for."""
        ...


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text of a word in the making. `quoted`: neither cut nor matched. `cut`: may be cut at blanks. `ends`: a field."""

    text: str
    quoted: bool
    cut: bool = False
    ends: bool = False


async def fields(words: Sequence[Word], scope: Scope) -> list[str]:
    """The words a command gets."""
    found: list[str] = []
    for word in words:
        plain = word.plain
        if plain is not None and not _is_special(plain):
            found.append(plain)
            continue
        for pieces in _split(await _pieces(_tilde(word.parts, scope), scope), scope):
            found += _file_names(pieces, scope)
    return found


async def text(word: Word, scope: Scope) -> str:
    """A word where it is not cut: an assignment's value, a redirection's target, what `case` looks at."""
    return "".join(piece.text for piece in await _pieces(_tilde(word.parts, scope), scope, joined=True))


async def pattern(word: Word, scope: Scope) -> str:
    """A word as a pattern for `matches`: what is quoted stands for itself."""
    return "".join(
        re.sub(r"([\\*?\[\]])", r"\\\1", piece.text) if piece.quoted else piece.text
        for piece in await _pieces(_tilde(word.parts, scope), scope, joined=True)
    )


def matches(pattern: str, text: str) -> bool:
    """Whether a whole text matches a shell's pattern; `\\` quotes."""
    return _regular(pattern, True).fullmatch(text) is not None


@cache
def _regular(pattern: str, greedy: bool) -> re.Pattern[str]:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "\\" and at < len(pattern):
            parts.append(re.escape(pattern[at]))
            at += 1
        elif character == "*":
            parts.append(".*" if greedy else ".*?")
        elif character == "?":
            parts.append(".")
        elif character == "[" and (end := pattern.find("]", at + 1 + (pattern[at : at + 1] in ("!", "^")))) >= 0:
            inside = pattern[at:end]
            negated = inside[:1] in ("!", "^")
            inside = inside[negated:].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            parts.append(f"[{'^' if negated else ''}{inside}]")
            at = end + 1
        else:
            parts.append(re.escape(character))
    return re.compile("".join(parts), re.DOTALL)


def _is_special(plain: str) -> bool:
    return plain.startswith("~") or any(character in plain for character in "*?[")


def _tilde(parts: tuple[Part, ...], scope: Scope) -> tuple[Part, ...]:
    first = parts[0] if parts else None
    if not isinstance(first, Literal) or first.quoted or not first.text.startswith("~"):
        return parts
    user, slash, rest = first.text[1:].partition("/")
    if user or (not slash and len(parts) > 1):
        raise NotModelled(f"~{user}: the home of another user")
    return (Literal(scope.home, True), Literal(slash + rest, False), *parts[1:])


async def _pieces(parts: Sequence[Part], scope: Scope, *, joined: bool = False) -> list[_Piece]:
    """What parts become; with `joined`, `$@` is one text."""
    found: list[_Piece] = []
    for part in parts:
        match part:
            case Literal(written, quoted):
                found.append(_Piece(written, quoted))
            case Parameter():
                pieces = await _parameter(part, scope, joined)
                if not pieces and found[-1:] == [_Piece("", True)]:
                    # "$@" of no parameters is no word, although it is quoted.
                    found.pop()
                found += pieces
            case Substitution(script, quoted, start):
                found.append(_Piece(await _at(scope.substitute(script), start), quoted, not quoted))
            case Arithmetic(expression, quoted, start):
                inner = "".join(piece.text for piece in await _pieces(expression, scope, joined=True))
                found.append(_Piece(str(calculate(inner, scope.variables, scope.assign)), quoted, not quoted))
    return found


async def _at(waiting: Awaitable[str], start: int) -> str:
    """The offset of a substitution is that of what was not modelled in it, where that has none."""
    try:
        return await waiting
    except NotModelled as unknown:
        raise NotModelled(unknown.what, unknown.offset or start) from None


async def _parameter(part: Parameter, scope: Scope, joined: bool) -> list[_Piece]:
    quoted, operator = part.quoted, part.operator
    if part.name in ("@", "*") and operator in ("", "length"):
        if operator:
            return [_Piece(str(len(scope.positional)), quoted)]
        if joined or (part.name == "*" and quoted):
            separator = scope.variables.get("IFS", _DEFAULT_IFS)[:1]
            return [_Piece(separator.join(scope.positional), quoted, not quoted)]
        last = len(scope.positional) - 1
        pieces = [_Piece(each, quoted, not quoted, place < last) for place, each in enumerate(scope.positional)]
        return pieces or ([_Piece("", False)] if not quoted else [])
    value = _value(part.name, scope)
    given = value is not None and not (operator.startswith(":") and value == "")
    match operator.removeprefix(":"):
        case "":
            return [_Piece(value or "", quoted, not quoted)]
        case "length":
            return [_Piece(str(len(value or "")), quoted)]
        case "-" | "=" | "?" | "+" as kind:
            if kind == "+":
                return await _word(part, scope, joined) if given else [_Piece("", quoted, not quoted)]
            if given:
                return [_Piece(value or "", quoted, not quoted)]
            pieces = await _word(part, scope, joined)
            if kind == "=":
                scope.assign(part.name, "".join(piece.text for piece in pieces))
            elif kind == "?":
                said = "".join(piece.text for piece in pieces)
                default = "parameter null or not set" if operator.startswith(":") else "parameter not set"
                raise ExpansionError(f"{part.name}: {said or default}")
            return pieces
        case trim:
            word = Word(part.word, part.start, part.start)
            return [_Piece(trimmed(value or "", await pattern(word, scope), trim), quoted, not quoted)]


async def _word(part: Parameter, scope: Scope, joined: bool) -> list[_Piece]:
    """The word behind an operator; unquoted text in it is cut as what a parameter brought is."""
    return [
        _Piece(piece.text, piece.quoted or part.quoted, not (piece.quoted or part.quoted), piece.ends)
        for piece in await _pieces(part.word, scope, joined=joined)
    ] or [_Piece("", part.quoted, not part.quoted)]


def trimmed(value: str, pattern: str, operator: str) -> str:
    """`${value OPERATOR pattern}` of `%` `%%` `#` `##`."""
    lengths: Sequence[int] = range(len(value) + 1)
    if len(operator) == 2:
        lengths = lengths[::-1]
    for length in lengths:
        if operator[0] == "#" and matches(pattern, value[:length]):
            return value[length:]
        if operator[0] == "%" and matches(pattern, value[len(value) - length :]):
            return value[: len(value) - length]
    return value


def _value(name: str, scope: Scope) -> str | None:
    if name.isdigit() and name != "0":
        place = int(name) - 1
        return scope.positional[place] if place < len(scope.positional) else None
    if name in ("@", "*"):
        return " ".join(scope.positional) if scope.positional else None
    if name in scope.variables:
        return scope.variables[name]
    return scope.special(name)


def _split(pieces: Sequence[_Piece], scope: Scope) -> list[list[_Piece]]:
    """Fields: what may be cut is cut at the characters of IFS; a field that is empty and nowhere quoted is none."""
    separators = scope.variables.get("IFS", _DEFAULT_IFS)
    found: list[list[_Piece]] = []
    current: list[_Piece] | None = None
    for piece in pieces:
        if not piece.cut:
            if piece.text or piece.quoted:
                current = [*(current or ()), piece]
        else:
            run = ""
            for character in piece.text:
                if character not in separators:
                    run += character
                    continue
                if run:
                    current = [*(current or ()), _Piece(run, False)]
                    run = ""
                if current is not None:
                    found.append(current)
                elif character not in _DEFAULT_IFS:
                    found.append([_Piece("", True)])
                current = None
            if run:
                current = [*(current or ()), _Piece(run, False)]
        if piece.ends:
            if current is not None:
                found.append(current)
            current = None
    if current is not None:
        found.append(current)
    return found


def _file_names(pieces: Sequence[_Piece], scope: Scope) -> Sequence[str]:
    whole = "".join(piece.text for piece in pieces)
    if not any(not piece.quoted and any(c in piece.text for c in "*?[") for piece in pieces):
        return [whole]
    escaped = "".join(re.sub(r"([*?\[])", r"[\1]", piece.text) if piece.quoted else piece.text for piece in pieces)
    return scope.glob(escaped) or [whole]
