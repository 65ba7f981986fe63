"""Reading pf.conf(5) token by token, with pfctl(8)'s messages and its way of going on after an error.

After an error the rest of the line is skipped, and until three tokens were good a further syntax error is counted but
not said (yacc(1)). Knows nothing of what stands in the file.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from vjail.conf.pf.lexer import Kind, Lexer, Token
from vjail.conf.position import Source, Span

_GOOD_AGAIN = 3
"""Tokens."""


class Fault(enum.Enum):
    """What a problem is."""

    WRONG = "wrong"
    """pfctl(8) takes it nowhere."""
    ELSEWHERE = "elsewhere"
    """Whether pfctl takes it hangs on what is not in the file: another file, the name of a host or a service."""
    UNSUPPORTED = "unsupported"
    """pfctl takes it, vjail does not."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was said of a file, without the file's name and line; `rule` is what it was said in."""

    fault: Fault
    text: str
    span: Span
    rule: Span


class Recover(Exception):
    """What is being read cannot be; it was complained about."""


class Tokens:
    """The tokens of a file. `err` takes lines for standard error, without their newline."""

    def __init__(self, source: Source, err: Callable[[str], None]) -> None:
        self.lexer = Lexer(source, self._complain_of_token)
        self.errors = 0
        self.problems: list[Problem] = []
        self.err = err
        self._token: Token | None = None
        self._line = 1
        self._recovering = 0
        self._first: Token | None = None
        self._last: Token | None = None

    # --- looking and taking ---

    @property
    def peek(self) -> Token:
        """The next token."""
        if self._token is None:
            self._token = self.lexer.next()
            self._line = self._token.line
        return self._token

    def begin(self) -> None:
        """A statement begins: it is what problems are in from now on."""
        self._first = self.peek

    def take(self) -> Token:
        """The next token, taken."""
        token = self._last = self.peek
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

    def complain(self, text: str, fault: Fault = Fault.WRONG) -> None:
        """Say what is wrong where the reading is, and go on."""
        self._complain_at(self.lexer.name, self._line, text, fault)

    def fail(self, text: str, fault: Fault = Fault.WRONG, *, first: str = "") -> NoReturn:
        """Say what is wrong and give this line up; `first`: what is said of it before, without a place."""
        if first:
            self.err(first)
        self._complain_at(self.lexer.name, self._line, text, fault, first)
        self.give_up()

    def unsupported(self, what: str) -> NoReturn:
        """Say that vjail does not do this, and give the line up."""
        if self._token is not None and self._token.kind is Kind.KEYWORD and self._token.text in what:
            self._last = self._token
        self.fail(f"{what} is not there in vjail's pf (docs/pf.md)", Fault.UNSUPPORTED)

    def give_up(self) -> NoReturn:
        """Give this line up; why was said."""
        self._recovering = _GOOD_AGAIN
        raise Recover

    def syntax_error(self) -> NoReturn:
        """What is next does not belong here."""
        if not self.at_kind(Kind.BAD):
            self._last = self.peek
        if self._recovering:
            self.errors += 1
        elif self.at_kind(Kind.BAD):
            # What is wrong with it was said with its place.
            self.errors += 1
            self.err(f"{self.lexer.name}:{self._line}: syntax error")
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

    def _complain_of_token(self, name: str, line: int, text: str, span: Span) -> None:
        self._last = Token(Kind.BAD, "", line, span)
        self._complain_at(name, line, text)

    def _complain_at(self, name: str, line: int, text: str, fault: Fault = Fault.WRONG, first: str = "") -> None:
        self.errors += 1
        self._note(f"{first}: {text}" if first else text, fault)
        self.err(f"{name}:{line}: {text}")

    def _note(self, text: str, fault: Fault) -> None:
        here = self._last.span if self._last is not None else self.lexer.here
        first = self._first.span if self._first is not None and self._first.span.source is here.source else here
        whole = Span(here.source, min(first.start, here.start), here.end)
        self.problems.append(Problem(fault, text, here, whole))
