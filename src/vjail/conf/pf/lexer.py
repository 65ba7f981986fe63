"""pf.conf(5) as tokens, each with its place: macros put in where they stand, quoted strings, comments, long lines.

A macro's text goes on where it was used as if it had been written there, so `$if:network` is one word. Sources: yylex
and lgetc of sbin/pfctl/parse.y, 13.2.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from vjail.conf.pf.words import KEYWORDS
from vjail.conf.position import Source, Span, decode

_END = ""
_IN_STRING = frozenset("\"$%&'*+-.:;?@[\\]^_`|~")
"""The marks that may be inside a word."""
_ENDS_NUMBER = frozenset(" \t\n\v\f\r),/}=")


class Kind(enum.Enum):
    """What a token is. A MARK is a character by itself, `->`, `<>` or `><`; BAD one that was complained about."""

    KEYWORD = "keyword"
    STRING = "string"
    NUMBER = "number"
    MARK = "mark"
    NEWLINE = "newline"
    BAD = "bad"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its text, the line that messages name, and its place."""

    kind: Kind
    text: str
    line: int
    span: Span


@dataclass(slots=True)
class _File:
    source: Source
    text: str
    at: int = 0
    line: int = 1


class Lexer:
    """Gives the tokens of a file, and of those it includes. `complain` is told the line, what is wrong, the place."""

    def __init__(self, source: Source, complain: Callable[[str, int, str, Span], None]) -> None:
        self._files = [_File(source, source.data.decode("latin-1"))]
        self._complain = complain
        self.macros: dict[str, str] = {}
        self._macro: str | None = None
        self._macro_at = 0
        self._macro_in_file = 0
        """Where the `$` of the macro stands."""
        self._pushed: list[str] = []
        self._line = 1

    def include(self, source: Source) -> None:
        """Read another file from here on, then go on."""
        self._files.append(_File(source, source.data.decode("latin-1")))

    @property
    def here(self) -> Span:
        """The place where the reading is."""
        return Span(self._files[-1].source, self._at, self._at)

    @property
    def _at(self) -> int:
        """The place in the file without what was put back."""
        return max(self._files[-1].at - len(self._pushed), 0)

    @property
    def name(self) -> str:
        """The file that is being read."""
        return self._files[-1].source.name

    def next(self) -> Token:
        """The next token."""
        while True:
            while (character := self._get()) in (" ", "\t"):
                pass
            file = self._files[-1]
            self._line = file.line
            start = self._macro_in_file if self._macro is not None else self._at - (1 if character else 0)
            if character == "#":
                while (character := self._get()) not in ("\n", _END):
                    pass
            if character == "$" and self._macro is None:
                name = self._name()
                if name not in self.macros:
                    span = Span(file.source, start, self._at)
                    self._complain(self.name, self._line, f"macro '{name}' not defined", span)
                    return self._skip_line(start)
                self._macro, self._macro_at, self._macro_in_file = self.macros[name], 0, start
                continue
            return self._token(character, start)

    def _token(self, character: str, start: int) -> Token:
        if character in ("'", '"'):
            return self._quoted(character, start)
        if character in ("<", ">", "-"):
            following = self._get()
            if character + following in ("<>", "><", "->"):
                return self._made(Kind.MARK, character + following, start)
            self._unget(following)
        if character == "-" or _is_digit(character):
            number = self._number(character)
            if number is not None:
                return self._made(Kind.NUMBER, number, start)
            if character == "-":
                return self._made(Kind.MARK, "-", start)
        if _is_alnum(character) or character in (":", "_"):
            return self._word(character, start)
        if character == "\n":
            token = self._made(Kind.NEWLINE, "\n", start)
            self._files[-1].line += 1
            return token
        if character == _END:
            return self._made(Kind.END, "", start)
        return self._made(Kind.MARK, character, start)

    def _made(self, kind: Kind, text: str, start: int) -> Token:
        file = self._files[-1]
        end = self._at
        return Token(kind, text, self._line, Span(file.source, min(start, end), end))

    def _quoted(self, quote: str, start: int) -> Token:
        text: list[str] = []
        while (character := self._get(quoted=True)) != quote:
            if character == _END:
                here = Span(self.here.source, start, self._at)
                self._complain(self.name, self._line, "reached end of file while parsing quoted string", here)
                break
            if character == "\n":
                self._files[-1].line += 1
                continue
            if character == "\\":
                following = self._get(quoted=True)
                if following == "\n":
                    continue
                if following == quote:
                    character = following
                else:
                    self._unget(following)
            text.append(character)
        return self._made(Kind.STRING, decode("".join(text).encode("latin-1")), start)

    def _number(self, first: str) -> str | None:
        """The number that begins here; None where it is the beginning of something else, which is put back."""
        text = first
        while _is_digit(character := self._get()):
            text += character
        self._unget(character)
        if text != "-" and (character == _END or character in _ENDS_NUMBER):
            return text
        for character in reversed(text[1:]):
            self._unget(character)
        return None

    def _word(self, first: str, start: int) -> Token:
        text = first
        while (character := self._get()) and (_is_alnum(character) or character in _IN_STRING):
            text += character
        self._unget(character)
        return self._made(Kind.KEYWORD if text in KEYWORDS else Kind.STRING, text, start)

    def _name(self) -> str:
        name = ""
        while (character := self._get()) and (_is_alnum(character) or character == "_"):
            name += character
        self._unget(character)
        return name

    def _skip_line(self, start: int) -> Token:
        self._macro = None
        while (character := self._get()) not in ("\n", _END):
            pass
        if character == "\n":
            self._files[-1].line += 1
        return self._made(Kind.BAD, "", start)

    # --- characters ---

    def _get(self, *, quoted: bool = False) -> str:
        if self._macro is not None:
            if self._macro_at < len(self._macro):
                self._macro_at += 1
                return self._macro[self._macro_at - 1]
            self._macro = None
        if self._pushed:
            return self._pushed.pop()
        file = self._files[-1]
        while file.at >= len(file.text):
            if quoted or len(self._files) == 1:
                return _END
            self._files.pop()
            file = self._files[-1]
        character = file.text[file.at]
        file.at += 1
        if character == "\\" and not quoted and file.at < len(file.text):
            following = file.text[file.at]
            file.at += 1
            if following != "\n":
                return following
            file.line += 1
            return self._get()
        return character

    def _unget(self, character: str) -> None:
        if character == _END:
            return
        if self._macro is not None and self._macro_at > 0:
            self._macro_at -= 1
        else:
            self._pushed.append(character)


def _is_digit(character: str) -> bool:
    return "0" <= character <= "9"


def _is_alnum(character: str) -> bool:
    return character.isascii() and character.isalnum()
