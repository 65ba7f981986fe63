"""The tokens of a jail.conf, as the lexer of jail(8) finds them (usr.sbin/jail/jaillex.l of 13.2 and of stable/15).

That lexer works on bytes, takes the longest match, and has two states: the normal one, and one for the rest of a double
quoted string after a variable in it. What it does in odd places (a variable name that swallows the closing quote, an
unterminated `${` in a string) follows from these two rules and is done here by the same rules.

Tokens are found one at a time, as the parser asks for them, so that the complaints of the lexer and of the parser come
in the order in which jail(8) prints them.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import NamedTuple

from vjail.conf.jailconf.escapes import undo_escapes
from vjail.conf.jailconf.messages import Hint, Kind, Message
from vjail.conf.jailconf.rules import Rules
from vjail.conf.position import Source, Span, decode


class TokenKind(enum.Enum):
    """What a token is to the grammar."""

    STRING = enum.auto()
    """A piece of text that begins a string."""
    STRING_MORE = enum.auto()
    """A piece of text right behind another piece."""
    VARIABLE = enum.auto()
    VARIABLE_MORE = enum.auto()
    ASSIGN = enum.auto()
    APPEND = enum.auto()
    COMMA = enum.auto()
    SEMICOLON = enum.auto()
    OPEN = enum.auto()
    CLOSE = enum.auto()
    OTHER = enum.auto()
    """A byte that fits nowhere."""
    END = enum.auto()
    """The end of the file, or a byte that the parser takes for it."""


class Style(enum.Enum):
    """How a piece is written."""

    BARE = enum.auto()
    SINGLE = enum.auto()
    DOUBLE = enum.auto()
    BRACED = enum.auto()
    """A variable as `${name}`."""


class Token(NamedTuple):
    """One token: the bytes `start` to `end`, and the text or variable name it means.

    `string` is the place of the opening quote for the pieces of a double quoted string that holds variables, else -1.
    """

    kind: TokenKind
    start: int
    end: int
    text: str = ""
    style: Style = Style.BARE
    string: int = -1


_RESERVED = {
    b"=": TokenKind.ASSIGN,
    b"+=": TokenKind.APPEND,
    b",": TokenKind.COMMA,
    b";": TokenKind.SEMICOLON,
    b"{": TokenKind.OPEN,
    b"}": TokenKind.CLOSE,
}

_WORD = rb"[A-Za-z0-9_!%&()\-.:<>?@\[\]^`|~]++"
_ESCAPE = rb"\\(?:[0-7]{1,3}|x[0-9A-Fa-f]{1,2}|.)"
_NAME = rb"\$(?:[A-Za-z_][A-Za-z_0-9]*+|\{[A-Za-z_0-9.]*+\})"
"""`$name`, or `${name}` of the plainest characters, where nothing longer can match."""

_DOUBLE = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SINGLE = rb"'[^'\\]*+(?:\\.[^'\\]*+)*+'"
_COMMENT = rb"\#[^\n]*+|//[^\n]*+|/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/"


def _normal_state(space: bytes) -> re.Pattern[bytes]:
    """White space, then one alternative for each kind of token; they exclude each other, or the longer stands first."""
    return re.compile(
        rb"[" + space + rb"]*+(?:"
        rb"(?P<word>" + _WORD + rb")"
        rb"|(?P<reserved>\+=|[,;={}])"
        rb"|(?P<double>" + _DOUBLE + rb")"
        rb"|(?P<name>" + _NAME + rb")"
        rb"|(?P<braced>\$\{)"
        rb"|(?P<single>" + _SINGLE + rb")"
        rb"|(?P<comment>" + _COMMENT + rb")"
        rb"|(?P<open_comment>/\*)"
        rb"|(?P<text>" + _ESCAPE + rb"|[$*+/\\])"
        rb"|(?P<quote>['\"])"
        rb"|(?P<other>.))",
        re.DOTALL,
    )


_NORMAL = _normal_state(rb" \t\n")
_NORMAL_CR = _normal_state(rb" \t\r\n")

_TO_VARIABLE = re.compile(rb"[^$\\]*+(?:\\.[^$\\]*+)*+", re.DOTALL)
_TO_QUOTE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_IN_STRING = re.compile(rb"(?P<name>" + _NAME + rb")|\$\{|" + _WORD + rb"|" + _ESCAPE + rb"|[$*+/\\]", re.DOTALL)

# `${…}` and its unterminated form. A backslash may count as a character or, with the next one, as an escape, and the
# longest match wins: so a newline, brace (or quote, in a string) behind a backslash never ends it where the pattern
# allows escapes at all.
_BRACED = re.compile(rb"\$\{(?:[^\n{}]|(?<=\\)[\n{}])*\}")
_BRACED_IN_STRING = re.compile(rb'\$\{(?:[^\n"{}]|(?<=\\)[\n"{}])*\}')
_BRACED_OPEN = re.compile(rb"\$\{(?:[^\n{}]|(?<=\\)[{}])*")
_BRACED_OPEN_IN_STRING = re.compile(rb'\$\{(?:[^\n"{}]|(?<=\\)["{}])*')
_OPEN_STRING = {
    b"'": re.compile(rb"'[^\n'\\]*+(?:\\[^\n][^\n'\\]*+)*+"),
    b'"': re.compile(rb'"[^\n"\\]*+(?:\\[^\n][^\n"\\]*+)*+'),
}


class Lexer:
    """The reading of one file. What it complains of is added to `messages`.

    `comments` and `string_ends` grow as tokens are taken: where comments stand, and for each double quoted string with
    variables, from the place of its opening quote to its end.
    """

    def __init__(self, source: Source, rules: Rules, messages: list[Message]) -> None:
        self.source = source
        self.rules = rules
        self.messages = messages
        self.comments: list[Span] = []
        self.string_ends: dict[int, int] = {}
        self._data = source.data
        self._position = 0
        self._long_string: Span | None = None
        """The first quoted string over several lines that ends as if its closing quote were an opening one."""
        self._adjacent = False
        """Whether the last token was a piece of text and nothing has come behind it."""

    def tokens(self) -> Iterator[Token]:
        """The tokens of the file; the last, and only the last, is the END."""
        data = self._data
        match_at = (_NORMAL_CR if self.rules.carriage_return_is_space else _NORMAL).match
        while (match := match_at(data, self._position)) is not None:
            group = match.lastgroup
            start, end = match.span(match.lastindex or 0)
            if start != self._position:
                self._adjacent = False
            self._position = end
            if group == "reserved":
                self._adjacent = False
                yield Token(_RESERVED[data[start:end]], start, end)
            elif group == "word":
                kind = TokenKind.STRING_MORE if self._adjacent else TokenKind.STRING
                self._adjacent = True
                yield Token(kind, start, end, data[start:end].decode("ascii"))
            elif group == "double":
                self._notice_long_string(start, end)
                variable = _to_variable(data, start + 1, end - 1)
                if variable == end - 1:
                    yield self._text(start, end, data[start + 1 : variable], Style.DOUBLE)
                else:
                    self._position = variable
                    yield self._text(start, variable, data[start + 1 : variable], Style.DOUBLE, start)
                    yield from self._rest_of_string(start, end - 1)
            elif group == "name":
                yield self._name(start, end, -1)
            elif group == "text":
                yield self._text(start, end, data[start:end], Style.BARE)
            elif group == "comment":
                self._adjacent = False
                self.comments.append(Span(self.source, start, end))
            elif group == "single":
                self._notice_long_string(start, end)
                yield self._text(start, end, data[start + 1 : end - 1], Style.SINGLE)
            elif group == "braced":
                yield from self._braced(start, -1)
            elif group == "open_comment":
                self._open_comment(start)
            elif group == "quote":
                self._open_string(start)
            elif 0 < data[start] < 0x80:
                yield Token(TokenKind.OTHER, start, end, chr(data[start]))
            else:
                # The parser is given a C char: NUL and, where char is signed (amd64), everything above 127 are not
                # greater than zero and so look like the end of the file.
                yield Token(TokenKind.END, start, end, decode(data[start:end]))
                return
        yield Token(TokenKind.END, len(data), len(data))

    def _text(self, start: int, end: int, raw: bytes, style: Style, string: int = -1) -> Token:
        kind = TokenKind.STRING_MORE if self._adjacent else TokenKind.STRING
        self._adjacent = True
        return Token(kind, start, end, undo_escapes(raw), style, string)

    def _name(self, start: int, end: int, string: int) -> Token:
        kind = TokenKind.VARIABLE_MORE if self._adjacent else TokenKind.VARIABLE
        self._adjacent = True
        if self._data[start + 1] == _BRACE:
            return Token(kind, start, end, self._data[start + 2 : end - 1].decode("ascii"), Style.BRACED, string)
        return Token(kind, start, end, self._data[start + 1 : end].decode("ascii"), Style.BARE, string)

    def _rest_of_string(self, string: int, quote: int) -> Iterator[Token]:
        """The state inside a double quoted string, from its first dollar sign on.

        `quote` is the place of the next quote that is not escaped, or -1 where there is none.
        """
        data, size = self._data, len(self._data)
        while self._position < size:
            start = self._position
            byte = data[start]
            if byte == _QUOTE:
                self._position = start + 1
                break
            if byte != _DOLLAR and byte != _BACKSLASH and quote >= 0:
                end = _to_variable(data, start, quote)
                if end == quote:
                    self._position = quote + 1
                    yield self._text(start, quote + 1, data[start:quote], Style.DOUBLE, string)
                    break
                self._position = end
                yield self._text(start, end, data[start:end], Style.DOUBLE, string)
            elif (match := _IN_STRING.match(data, start)) is not None:
                self._position = end = match.end()
                if match.lastgroup is not None:
                    yield self._name(start, end, string)
                elif match.group() == b"${":
                    yield from self._braced(start, string)
                    if b"\\" in data[start : self._position]:
                        quote = self._next_quote(self._position)
                else:
                    yield self._text(start, end, data[start:end], Style.DOUBLE, string)
            else:
                break
        self.string_ends[string] = self._position

    def _next_quote(self, start: int) -> int:
        match = _TO_QUOTE.match(self._data, start)
        return match.end() - 1 if match is not None else -1

    def _braced(self, start: int, string: int) -> Iterator[Token]:
        """`${…}`, terminated or not, in the normal state (`string` is -1) or in a string."""
        inside = string >= 0
        data = self._data
        closed = (_BRACED_IN_STRING if inside else _BRACED).match(data, start)
        opened = (_BRACED_OPEN_IN_STRING if inside else _BRACED_OPEN).match(data, start)
        assert opened is not None, "it matches the two bytes that led here"
        if closed is not None and closed.end() >= opened.end():
            self._position = end = closed.end()
            # A backslash before the closing brace takes the brace itself for its character.
            escaped = _odd_backslashes(data, start + 2, end - 1)
            name = undo_escapes(data[start + 2 : end if escaped else end - 1])
            kind = TokenKind.VARIABLE_MORE if self._adjacent else TokenKind.VARIABLE
            self._adjacent = True
            yield Token(kind, start, end, name, Style.BRACED, string)
        else:
            self._position = opened.end()
            hint = Hint("'${' needs its '}' on the same line" + (", before the closing quote" if inside else ""))
            self._complain(Kind.UNTERMINATED_VARIABLE, "unterminated variable", start, hint)

    def _open_string(self, start: int) -> None:
        """A quote without its closing one: the rest of the line is dropped, and reading goes on behind it."""
        match = _OPEN_STRING[self._data[start : start + 1]].match(self._data, start)
        assert match is not None, "it matches the quote"
        self._position = match.end()
        quote = "single" if self._data.startswith(b"'", start) else "double"
        hint = Hint(f"the {quote} quote that begins here is closed nowhere in the file")
        if self._long_string is not None:
            text = "a quote is missing: perhaps at the end of this line, for the string goes on in the next"
            hint = Hint(text, self._long_string)
        self._complain(Kind.UNTERMINATED_STRING, "unterminated string", start, hint)

    def _open_comment(self, start: int) -> None:
        self._position = len(self._data)
        hint = Hint("the comment that begins here is closed nowhere")
        if self._adjacent:
            hint = Hint("'/*' opens a comment even inside a word: quote the value")
        self._complain(Kind.UNTERMINATED_COMMENT, "unterminated comment", start, hint)

    def _notice_long_string(self, start: int, end: int) -> None:
        if self._long_string is None and self._data.find(b"\n", start, end) >= 0:
            behind = self._data[end : end + 1]
            if behind and behind not in b" \t\r\n;,}":
                self._long_string = Span(self.source, start, end)

    def _complain(self, kind: Kind, text: str, start: int, hint: Hint) -> None:
        at_start = kind is Kind.UNTERMINATED_COMMENT and not self.rules.comment_error_at_end
        line = self.source.line_number(start if at_start else self._position)
        span = Span(self.source, start, self._position)
        self.messages.append(Message(kind, f"{self.source.name} line {line}: {text}", span, hint))


_QUOTE, _DOLLAR, _BACKSLASH, _BRACE = b'"$\\{'


def _to_variable(data: bytes, start: int, end: int) -> int:
    """The place of the first dollar sign that is not escaped, or `end`."""
    match = _TO_VARIABLE.match(data, start, end)
    return match.end() if match is not None else end


def _odd_backslashes(data: bytes, start: int, end: int) -> bool:
    """Whether the bytes end in a backslash that no backslash before it has escaped."""
    count = 0
    while end - count > start and data[end - count - 1] == _BACKSLASH:
        count += 1
    return count % 2 == 1
