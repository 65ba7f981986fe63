"""The text of a script as its parsers go through it, and its words.

A reader is a place in a text. Words are read with everything in them: quotes, parameters, substitutions (which are
scripts themselves: `parser.py` gives the function that reads one) and arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from vjail.conf.sh.syntax import Arithmetic, Literal, Parameter, Part, Script, ShellSyntaxError, Substitution, Word

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = "@*#?-$!0123456789"
_OPERATOR = re.compile(r":?[-=?+]|%%?|##?")
BLANKS = " \t"
ENDS = " \t\n;&|<>()"
"""Characters that end an unquoted word."""

ScriptReader = Callable[["Reader"], Script]
"""Reads commands up to an unmatched `)` or the end of the text."""


class Reader:
    """A place in a text, and what can be read from there."""

    def __init__(self, text: str, script: ScriptReader, at: int = 0, *, base: int = 0) -> None:
        """`base` is added to the offsets of what is read: the text may be a part of another."""
        self.text = text
        self.at = at
        self.base = base
        self._script = script

    def fail(self, reason: str, at: int | None = None) -> ShellSyntaxError:
        """The error of a place, the reader's own where none is given."""
        return ShellSyntaxError(self.base + (self.at if at is None else at), reason)

    @property
    def place(self) -> int:
        """The offset of what comes next."""
        return self.base + self.at

    def peek(self, length: int = 1) -> str:
        """The next characters; fewer at the end."""
        return self.text[self.at : self.at + length]

    def skip_blanks(self) -> None:
        """Pass over blanks, continued lines and a comment."""
        while self.at < len(self.text):
            if self.text[self.at] in BLANKS:
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return

    def word(self) -> Word | None:
        """The word that begins here, None at an operator, a newline or the end."""
        start = self.place
        parts = self._parts(until="")
        return Word(parts, start, self.place) if self.place > start else None

    def _parts(self, until: str, *, quoted: bool = False) -> tuple[Part, ...]:
        """Parts up to the end of an unquoted word, or with `until` up to that character, which stays."""
        parts: list[Part] = []
        start = self.at
        plain: list[str] = []

        def flush() -> None:
            if plain:
                parts.append(Literal("".join(plain), quoted))
                plain.clear()

        while self.at < len(self.text):
            character = self.text[self.at]
            if character == until if until else character in ENDS:
                break
            if character == "'" and not quoted:
                flush()
                parts.append(self._single_quoted())
            elif character == '"':
                flush()
                parts += self._double_quoted()
            elif character == "\\":
                flush()
                parts += self._backslash(quoted)
            elif character in "$`":
                flush()
                parts.append(self._dollar(quoted) if character == "$" else self._backquoted(quoted))
            else:
                plain.append(character)
                self.at += 1
        else:
            if until:
                raise self.fail(f"missing `{until}'", start)
        flush()
        return tuple(parts)

    def _single_quoted(self) -> Literal:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise self.fail("unterminated quoted string")
        text = self.text[self.at + 1 : end]
        self.at = end + 1
        return Literal(text, True)

    def _double_quoted(self) -> list[Part]:
        parts: list[Part] = [Literal("", True)]
        start = self.at
        self.at += 1
        while self.at < len(self.text):
            character = self.text[self.at]
            match character:
                case '"':
                    self.at += 1
                    return parts
                case "\\":
                    parts += self._backslash(True)
                case "$":
                    parts.append(self._dollar(True))
                case "`":
                    parts.append(self._backquoted(True))
                case _:
                    end = self.at + 1
                    while end < len(self.text) and self.text[end] not in '"\\$`':
                        end += 1
                    parts.append(Literal(self.text[self.at : end], True))
                    self.at = end
        raise self.fail("unterminated quoted string", start)

    def _backslash(self, quoted: bool) -> list[Part]:
        following = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if following == "\n":
            return []
        if quoted and following not in '$`"\\}':
            return [Literal("\\" + following, True)]
        return [Literal(following or "\\", True)]

    def _dollar(self, quoted: bool) -> Part:
        start = self.place
        if self.text.startswith("$((", self.at) and (end := self._arithmetic_end()) is not None:
            inner = Reader(self.text[:end], self._script, self.at + 3, base=self.base)
            expression = inner.to_end(backslashes=False)
            self.at = end + 2
            return Arithmetic(expression, quoted, start)
        if self.text.startswith("$(", self.at):
            self.at += 2
            script = self._script(self)
            if self.peek() != ")":
                raise self.fail('end of file unexpected (expecting ")")')
            self.at += 1
            return Substitution(script, quoted, start)
        name = NAME.match(self.text, self.at + 1)
        if name:
            self.at = name.end()
            return Parameter(name.group(), quoted, start)
        following = self.text[self.at + 1 : self.at + 2]
        if following == "{":
            return self._braced(quoted)
        if following and following in _SPECIAL:
            self.at += 2
            return Parameter(following, quoted, start)
        self.at += 1
        return Literal("$", quoted)

    def to_end(self, *, backslashes: bool) -> tuple[Part, ...]:
        """All that is left, as inside double quotes, which mean nothing here: a here-document's text, arithmetic."""
        parts: list[Part] = []
        while self.at < len(self.text):
            match self.text[self.at]:
                case "\\" if backslashes:
                    parts += self._backslash(True)
                case "$":
                    parts.append(self._dollar(True))
                case "`":
                    parts.append(self._backquoted(True))
                case character:
                    parts.append(Literal(character, True))
                    self.at += 1
        return tuple(parts)

    def _arithmetic_end(self) -> int | None:
        """Where the `))` of the `$((` here stands; None where it is a substitution that begins with a subshell."""
        depth, at = 2, self.at + 3
        while at < len(self.text):
            match self.text[at]:
                case "(":
                    depth += 1
                case ")":
                    depth -= 1
                    if depth == 1:
                        return at if self.text.startswith("))", at) else None
            at += 1
        return None

    def _braced(self, quoted: bool) -> Parameter:
        start, opened = self.place, self.at
        self.at += 2
        length = self.peek() == "#" and self.peek(2) not in ("#}", "#-", "#:", "##", "#%")
        if length:
            self.at += 1
        name = NAME.match(self.text, self.at) or re.compile(rf"\d+|[{re.escape(_SPECIAL)}]").match(self.text, self.at)
        if name is None:
            raise self.fail("Bad substitution", opened)
        self.at = name.end()
        if length:
            if self.peek() != "}":
                raise self.fail("Bad substitution", opened)
            self.at += 1
            return Parameter(name.group(), quoted, start, "length")
        operator = _OPERATOR.match(self.text, self.at)
        if operator is None:
            if self.peek() != "}":
                raise self.fail("Bad substitution" if self.peek() else "Missing '}'", opened)
            self.at += 1
            return Parameter(name.group(), quoted, start)
        self.at = operator.end()
        trims = operator.group()[0] in "%#"
        word = self._parts("}", quoted=quoted and not trims)
        self.at += 1
        return Parameter(name.group(), quoted, start, operator.group(), word)

    def _backquoted(self, quoted: bool) -> Substitution:
        start = self.at
        text: list[str] = []
        self.at += 1
        while (character := self.peek()) != "`":
            if not character:
                raise self.fail("EOF in backquote substitution", start)
            if character == "\\" and self.text[self.at + 1 : self.at + 2] in ("$", "`", "\\"):
                self.at += 1
            text.append(self.text[self.at])
            self.at += 1
        self.at += 1
        inner = Reader("".join(text), self._script, base=self.base + start + 1)
        script = self._script(inner)
        if inner.at < len(inner.text):
            raise inner.fail('")" unexpected')
        return Substitution(script, quoted, self.base + start)
