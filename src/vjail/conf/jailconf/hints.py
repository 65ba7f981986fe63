"""What probably caused a syntax error, and how to mend it: advice beside jail(8)'s message, never instead of it.

jail(8) names the token that did not fit; the mistake usually stands before it. Each function here knows one kind of
mistake and returns None where it is another. They only read tokens.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from vjail.conf.jailconf.lexer import Style, Token, TokenKind
from vjail.conf.jailconf.messages import Hint, Kind
from vjail.conf.jailconf.syntax import Name
from vjail.conf.position import Source, Span


class State(enum.Enum):
    """Where in a statement the parser was."""

    STATEMENT = enum.auto()
    """At its beginning."""
    NAME = enum.auto()
    """Behind its first piece."""
    VALUE = enum.auto()
    """Where a value must begin: behind an operator or a comma."""
    STRING = enum.auto()
    """Behind a piece of a value."""


@dataclass(frozen=True, slots=True)
class ErrorPlace:
    """A syntax error: `token` does not fit behind the tokens of the statement `accepted` before it.

    `comments` are those found so far, `block` the name of the innermost open block; `said` is the kind of the last
    message.
    """

    source: Source
    comments: Sequence[Span]
    accepted: tuple[Token, ...]
    token: Token
    state: State
    block: Name | None
    said: Kind | None

    @property
    def first(self) -> Token:
        """The statement's first token; only where it has one."""
        return self.accepted[0]

    @property
    def previous(self) -> Token:
        """The token before the one that does not fit; only where the statement has one."""
        return self.accepted[-1]

    def span(self, token: Token) -> Span:
        """Where a token stands."""
        return Span(self.source, token.start, token.end)

    def line(self, token: Token) -> int:
        """The line a token begins in."""
        return self.source.line_number(token.start)


def explain(place: ErrorPlace) -> Hint | None:
    """The first explanation that applies; none for the end of a file behind something unterminated."""
    if place.token.kind is TokenKind.END and place.said in _UNTERMINATED:
        return None
    for explanation in _EXPLANATIONS:
        hint = explanation(place)
        if hint is not None:
            return hint
    return None


_UNTERMINATED = frozenset({Kind.UNTERMINATED_STRING, Kind.UNTERMINATED_COMMENT, Kind.UNTERMINATED_VARIABLE})


def _bad_byte(place: ErrorPlace) -> Hint | None:
    token = place.token
    if token.kind is TokenKind.OTHER and token.text == "\r":
        return Hint("the lines end in CR LF, which FreeBSD reads from 15 on: convert the file to plain newlines")
    if token.kind is TokenKind.OTHER or (token.kind is TokenKind.END and token.end > token.start):
        if place.source.data.startswith(_TYPOGRAPHIC_QUOTES, token.start):
            return Hint("this is a typographic quotation mark: write ' or \"")
        return Hint("only quoted strings and comments may hold this character: quote the value")
    return None


_TYPOGRAPHIC_QUOTES = tuple(mark.encode() for mark in "‘’‚‛“”„‟«»＂＇")


def _unclosed_block(place: ErrorPlace) -> Hint | None:
    if place.token.kind is not TokenKind.END or place.state is not State.STATEMENT or place.block is None:
        return None
    return Hint(f"the block '{place.block.text}' that begins here is not closed: '}}' is missing", place.block.span)


def _string_over_lines(place: ErrorPlace) -> Hint | None:
    for token in place.accepted:
        string = place.span(token)
        if token.style in (Style.SINGLE, Style.DOUBLE) and b"\n" in place.source.data[token.start : token.end]:
            return Hint("this string ends in a later line: is its closing quote missing here?", string)
    return None


def _variable_without_end(place: ErrorPlace) -> Hint | None:
    for token in place.accepted:
        if token.style is Style.BRACED and (";" in token.text or " " in token.text):
            name = place.span(token)
            return Hint("everything up to '}' is the variable's name: is its own '}' missing before?", name)
    return None


def _comment_cut_the_value(place: ErrorPlace) -> Hint | None:
    if place.state is not State.STRING:
        return None
    comment = None
    for later in reversed(place.comments):
        if later.start < place.previous.end:
            break
        comment = later
    if comment is None or comment.start > place.previous.end:
        return None
    mark = comment.text[:2] if comment.text.startswith("/") else "#"
    return Hint(f"'{mark}' begins a comment even inside a word, so the value ends here: quote it", comment)


def _name_of_several_pieces(place: ErrorPlace) -> Hint | None:
    if place.state is not State.NAME or place.token.kind not in (TokenKind.STRING_MORE, TokenKind.VARIABLE_MORE):
        return None
    if place.token.string >= 0 and place.token.string == place.first.string:
        return Hint("a quoted name cannot hold a variable; to define a variable, write its name without quotes")
    pieces = _UNBROKEN.match(place.source.data, place.first.start)
    if pieces is None:
        return None
    name = Span(place.source, pieces.start(), pieces.end(1))
    what = "block" if pieces.group(2) else "parameter"
    return Hint(f"a {what} name with such characters is one name only if quoted: '{name.text}'", name)


_UNBROKEN = re.compile(rb"([^\s;,={}]+)\s*(\{)?")


def _block_not_allowed(place: ErrorPlace) -> Hint | None:
    if place.token.kind is not TokenKind.OPEN:
        return None
    if place.state is State.NAME and place.first.kind is TokenKind.VARIABLE:
        return Hint("a variable cannot name a block", place.span(place.first))
    if place.state is State.NAME and place.block is not None:
        text = f"a block inside a block needs FreeBSD 15; or the '}}' of '{place.block.text}' is missing before it"
        return Hint(text, place.span(place.first))
    if place.state is State.STRING and place.line(place.first) == place.line(place.token):
        name = place.span(place.first).to(place.span(place.previous))
        return Hint(f"a block name is one word: quote it: '{name.text}'", name)
    return None


def _missing_semicolon(place: ErrorPlace) -> Hint | None:
    if place.state not in (State.NAME, State.STRING):
        return None
    token, previous = place.token, place.previous
    missing = "';' is missing at the end of the line before"
    if token.kind in (TokenKind.CLOSE, TokenKind.END):
        where = "before '}'" if token.kind is TokenKind.CLOSE else "at the end of the file"
        return Hint(f"';' is missing {where}", place.span(previous).after)
    if token.kind in (TokenKind.STRING, TokenKind.VARIABLE) and place.line(token) > place.line(previous):
        return Hint(missing, place.span(previous).after)
    if token.kind in (TokenKind.ASSIGN, TokenKind.APPEND, TokenKind.OPEN):
        # `persist NEWLINE exec.start = …` reads as the parameter `persist` with a value, up to the operator.
        for before, begin in reversed(list(pairwise(place.accepted))):
            if begin.kind in (TokenKind.STRING, TokenKind.VARIABLE):
                return Hint(missing, place.span(before).after) if place.line(before) < place.line(begin) else None
    return None


def _unquoted_value(place: ErrorPlace) -> Hint | None:
    if place.state is not State.STRING:
        return None
    token = place.token
    if token.kind is TokenKind.ASSIGN or token.kind is TokenKind.APPEND:
        return Hint("a value with '=' in it must be quoted", place.span(place.previous).to(place.span(token)))
    if token.kind in (TokenKind.STRING, TokenKind.VARIABLE):
        if place.first.text in _INTERFACE_LISTS:
            return Hint("several elements need commas between them: a, b")
        if token.style in (Style.SINGLE, Style.DOUBLE) and place.previous.style in (Style.SINGLE, Style.DOUBLE):
            return Hint("two strings: put ',' between them for a list, or no blank to join them")
        return Hint("a value with blanks in it must be quoted; a list needs ',' between its elements")
    return None


_INTERFACE_LISTS = frozenset({"vnet.interface", "ip4.addr", "ip6.addr", "depend", "zfs.dataset"})


def _missing_value(place: ErrorPlace) -> Hint | None:
    if place.state is not State.VALUE:
        return None
    before = place.previous
    if before.kind is TokenKind.COMMA:
        return Hint("a value is missing behind the comma", place.span(before))
    if place.token.kind in (TokenKind.ASSIGN, TokenKind.APPEND):
        return Hint("one '=' is enough; a value that begins with '=' must be quoted")
    return Hint('a value is missing; for an empty one write ""', place.span(before).after)


def _stray(place: ErrorPlace) -> Hint | None:
    if place.state is not State.STATEMENT:
        return None
    match place.token.kind:
        case TokenKind.CLOSE:
            return Hint("no block is open here: a '}' too many, or a '{' is missing before")
        case TokenKind.OPEN:
            return Hint("a block needs a name before its '{'")
        case TokenKind.ASSIGN | TokenKind.APPEND:
            return Hint("a parameter needs a name before its operator")
        case TokenKind.COMMA:
            return Hint("a comma can stand between values only")
    return None


_EXPLANATIONS: tuple[Callable[[ErrorPlace], Hint | None], ...] = (
    _bad_byte,
    _unclosed_block,
    _string_over_lines,
    _variable_without_end,
    _comment_cut_the_value,
    _name_of_several_pieces,
    _missing_semicolon,
    _block_not_allowed,
    _unquoted_value,
    _missing_value,
    _stray,
)
