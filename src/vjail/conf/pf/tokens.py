"""Reading pf.conf(5) token by token, with pfctl(8)'s messages and its way of going on after an error.

After an error the rest of the line is skipped, and until three tokens were good a further syntax error is counted but
not said (yacc(1)). Knows nothing of what stands in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from vjail.conf.pf.lexer import Kind, Lexer, Token
from vjail.conf.position import Source

_GOOD_AGAIN = 3
"""Tokens."""


class Recover(Exception):
    """What is being read cannot be; it was complained about."""


class Tokens:
    """The tokens of a file. `err` takes lines for standard error, without their newline."""

    def __init__(self, source: Source, err: Callable[[str], None]) -> None:
        self.lexer = Lexer(source, self._complain_at)
        self.errors = 0
        self.err = err
        self._token: Token | None = None
        self._line = 1
        self._recovering = 0

    # --- looking and taking ---

    @property
    def peek(self) -> Token:
        """The next token."""
        if self._token is None:
            self._token = self.lexer.next()
            self._line = self._token.line
        return self._token

    def take(self) -> Token:
        """The next token, taken."""
        token = self.peek
        self._token = None
        self._recovering = max(self._recovering - 1, 0)
        return token

    def at(self, *texts: str) -> bool:
        """Whether the next token is one of these keywords or marks."""
        return self.peek.kind in (Kind.KEYWORD, Kind.MARK) and self.peek.text in texts

    def at_kind(self, *kinds: Kind) -> bool:
        """Whether the next token is of one of these kinds."""
        return self.peek.kind in kinds

    def accept(self, *texts: str) -> str | None:
        """Take one of these keywords or marks, if it is next."""
        return self.take().text if self.at(*texts) else None

    def expect(self, *texts: str) -> str:
        """Take one of these keywords or marks; anything else is a syntax error."""
        return self.take().text if self.at(*texts) else self.syntax_error()

    def string(self) -> str:
        """Take a string."""
        return self.take().text if self.at_kind(Kind.STRING) else self.syntax_error()

    def strings(self) -> str:
        """Take one string or several, joined by spaces."""
        words = [self.string()]
        while self.at_kind(Kind.STRING):
            words.append(self.take().text)
        return " ".join(words)

    def number(self) -> int:
        """Take a number."""
        return int(self.take().text) if self.at_kind(Kind.NUMBER) else self.syntax_error()

    def newlines(self) -> None:
        """Take newlines, where lists may have them."""
        while self.at_kind(Kind.NEWLINE):
            self.take()

    def end_of_line(self) -> None:
        """Take a newline; anything else is a syntax error."""
        if not self.at_kind(Kind.NEWLINE):
            self.syntax_error()
        self.take()

    # --- errors ---

    def complain(self, text: str) -> None:
        """Say what is wrong where the reading is, and go on."""
        self._complain_at(self.lexer.name, self._line, text)

    def fail(self, text: str) -> NoReturn:
        """Say what is wrong and give this line up."""
        self.complain(text)
        self.give_up()

    def unsupported(self, what: str) -> NoReturn:
        """Say that vjail does not do this, and give the line up."""
        self.fail(f"{what} is not there in vjail's pf (docs/pf.md)")

    def give_up(self) -> NoReturn:
        """Give this line up; why was said."""
        self._recovering = _GOOD_AGAIN
        raise Recover

    def syntax_error(self) -> NoReturn:
        """What is next does not belong here."""
        _ = self.peek
        if self._recovering:
            self.errors += 1
        else:
            self.complain("syntax error")
        self.give_up()

    def skip_line(self) -> bool:
        """Go on behind the end of the line; False where the file ends."""
        if self.at_kind(Kind.BAD):
            self._token = None
        while not self.at_kind(Kind.NEWLINE, Kind.END):
            self._token = None
        more = self.at_kind(Kind.NEWLINE)
        self.take()
        return more

    def _complain_at(self, name: str, line: int, text: str) -> None:
        self.errors += 1
        self.err(f"{name}:{line}: {text}")
