"""From tokens to a syntax tree, with the errors that byacc's parser reports for jail(8)'s grammar.

The grammar (usr.sbin/jail/jailparse.y) is small enough to be parsed by hand; what has to be byacc's is the behaviour at
errors. Its `error` token may stand for a parameter, so after an error the parser goes back to the beginning of the
statement, drops tokens to the next semicolon, and goes on behind it. The error is not reported if fewer than three
tokens were accepted since the last error, the semicolon counted; at the end of the file it gives up.
"""

from __future__ import annotations

from dataclasses import dataclass

from vjail.conf.jailconf.hints import ErrorPlace, State, explain
from vjail.conf.jailconf.lexer import Lexer, Style, Token, TokenKind
from vjail.conf.jailconf.messages import Hint, Kind, Message
from vjail.conf.jailconf.rules import Rules
from vjail.conf.jailconf.syntax import (
    Block,
    File,
    Name,
    Operator,
    Parameter,
    Piece,
    Quote,
    Quoted,
    Statement,
    Text,
    Value,
    Variable,
    Word,
    join_texts,
)
from vjail.conf.position import Source, Span
from vjail.release import Release

_NESTING_LIMIT = 3332
"""Blocks that fit one into another on byacc's stack of 10,000 places: three a block, and the two of an empty file."""

_SILENT_AFTER_ERROR = 2
"""So many tokens byacc must accept behind the semicolon that ended an error before it reports another."""

_NAME_FOLLOWERS = frozenset(
    {TokenKind.SEMICOLON, TokenKind.ASSIGN, TokenKind.APPEND, TokenKind.STRING, TokenKind.VARIABLE}
)


@dataclass(frozen=True, slots=True)
class ParseResult:
    """One file read: its tree (what could be read of it, after an error) and the messages in jail(8)'s order."""

    file: File
    messages: tuple[Message, ...]

    @property
    def ok(self) -> bool:
        """Whether jail(8) reads the file without an error."""
        return all(message.kind.is_ours for message in self.messages)


def parse(source: Source, release: Release) -> ParseResult:
    """Read one file. `.include` statements are left as they are: `load` follows them. Never raises."""
    parser = _Parser(source, Rules.of(release))
    parser.run()
    file = File(tuple(parser.statements), source, tuple(parser.lexer.comments))
    return ParseResult(file, tuple(parser.messages))


@dataclass(slots=True)
class _Frame:
    """A block that is open: what its Block will need, and the statements of the block around it."""

    name: Name
    brace: int
    outer: list[Statement]


class _Parser:
    """The parser's state: the `token` looked at, those of the statement before it, the innermost open block's tree.

    `silent` is how many tokens must still be accepted before an error is reported again.
    """

    def __init__(self, source: Source, rules: Rules) -> None:
        self.source = source
        self.rules = rules
        self.messages: list[Message] = []
        self.lexer = Lexer(source, rules, self.messages)
        self.stream = self.lexer.tokens()
        self.token = Token(TokenKind.SEMICOLON, 0, 0)
        self.accepted: list[Token] = []
        self.statements: list[Statement] = []
        self.frames: list[_Frame] = []
        self.silent = 0

    def run(self) -> None:
        """Read statements to the end of the file, or to where byacc gives up."""
        going_on = True
        while going_on:
            self.accepted.clear()
            self.token = token = next(self.stream)
            kind = token.kind
            if kind is TokenKind.STRING or kind is TokenKind.VARIABLE:
                going_on = self.statement()
            elif kind is TokenKind.SEMICOLON:
                self.accept_all()
            elif kind is TokenKind.CLOSE and self.frames:
                self.close(token.end, closed=True)
                self.accept_all()
            elif kind is TokenKind.END and not self.frames:
                if token.end > token.start:
                    self.rest_ignored()
                going_on = False
            else:
                going_on = self.error(State.STATEMENT)
        while self.frames:
            self.close(len(self.source.data), closed=False)

    def shift(self) -> Token:
        """Accept the token, and look at the next."""
        self.accepted.append(self.token)
        self.token = token = next(self.stream)
        return token

    def accept_all(self) -> None:
        """Accept the token as the last of a statement."""
        if self.silent > 0:
            self.silent -= len(self.accepted) + 1

    def statement(self) -> bool:
        """A parameter, or the opening of a block; False where the parser gives up."""
        first = self.token
        token = self.shift()
        kind = token.kind
        if kind is TokenKind.OPEN and first.kind is TokenKind.STRING and (self.rules.nested_blocks or not self.frames):
            return self.open(first)
        if kind not in _NAME_FOLLOWERS:
            return self.error(State.NAME)

        values: list[Value] = []
        operator, operator_end = Operator.NONE, first.end
        if kind is not TokenKind.SEMICOLON:
            operator = Operator.SPACE
            if kind is TokenKind.ASSIGN or kind is TokenKind.APPEND:
                operator = Operator.ASSIGN if kind is TokenKind.ASSIGN else Operator.APPEND
                operator_end = token.end
                self.shift()
            if not self.values(values):
                return self.error(State.VALUE)
            token = self.token
            if token.kind is not TokenKind.SEMICOLON:
                return self.error(State.STRING)
        self.statements.append(Parameter(self.name(first), operator, tuple(values), operator_end, token.start))
        self.accept_all()
        return True

    def values(self, values: list[Value]) -> bool:
        """Strings with commas between; False where a string should begin and does not."""
        while True:
            token = self.token
            if token.kind is not TokenKind.STRING and token.kind is not TokenKind.VARIABLE:
                return False
            pieces = [token]
            token = self.shift()
            while token.kind is TokenKind.STRING_MORE or token.kind is TokenKind.VARIABLE_MORE:
                pieces.append(token)
                token = self.shift()
            values.append(self.value(pieces))
            if token.kind is not TokenKind.COMMA:
                return True
            self.shift()

    def open(self, first: Token) -> bool:
        """The beginning of a block; False where byacc's stack has no room for it."""
        brace = self.token
        if len(self.frames) == _NESTING_LIMIT:
            line = self.source.line_number(brace.end)
            text = f"{self.source.name} line {line}: {{: yacc stack overflow"
            self.messages.append(Message(Kind.NESTED_TOO_DEEP, text, self.span(brace)))
            return False
        self.frames.append(_Frame(self.name(first), brace.start, self.statements))
        self.statements = []
        self.accept_all()
        return True

    def close(self, end: int, *, closed: bool) -> None:
        """The end of the innermost block."""
        frame = self.frames.pop()
        block = Block(frame.name, tuple(self.statements), frame.brace, end, closed)
        self.statements = frame.outer
        self.statements.append(block)

    def error(self, state: State) -> bool:
        """The token does not fit. Go on behind the next semicolon; False where there is none."""
        if self.silent <= len(self.accepted):
            self.report(state)
        while self.token.kind is not TokenKind.SEMICOLON:
            if self.token.kind is TokenKind.END:
                return False
            self.token = next(self.stream)
        self.silent = _SILENT_AFTER_ERROR
        return True

    def report(self, state: State) -> None:
        """Say that there is an error, as yyerror() of jail(8) does."""
        span = self.span(self.token)
        block = self.frames[-1].name if self.frames else None
        said = self.messages[-1].kind if self.messages else None
        place = ErrorPlace(self.source, self.lexer.comments, tuple(self.accepted), self.token, state, block, said)
        text = span.text.partition("\0")[0]
        if text:
            line = self.source.line_number(span.end)
            kind, text = Kind.SYNTAX_ERROR, f"{self.source.name} line {line}: {text}: syntax error"
        else:
            kind, text = Kind.UNEXPECTED_EOF, f"{self.source.name}: unexpected EOF"
        self.messages.append(Message(kind, text, span, explain(place)))

    def rest_ignored(self) -> None:
        """A byte between statements that looks like the end of the file to jail(8)."""
        span = self.span(self.token)
        text = f"{self.source.name} line {span.position.line}: jail(8) takes this byte for the end of the file"
        hint = Hint("the rest is ignored: only quoted strings and comments may hold characters outside ASCII")
        self.messages.append(Message(Kind.REST_IGNORED, text, span, hint))

    def span(self, token: Token) -> Span:
        """Where a token stands."""
        return Span(self.source, token.start, token.end)

    def name(self, token: Token) -> Name:
        """The name a token is."""
        return Name(token.text, token.kind is TokenKind.VARIABLE, self.source, token.start, token.end)

    def value(self, tokens: list[Token]) -> Value:
        """The string that adjacent pieces make."""
        if len(tokens) == 1 and tokens[0].string < 0:
            return Value((self.piece(tokens[0]),))
        pieces: list[Piece] = []
        index = 0
        while index < len(tokens):
            token = tokens[index]
            end = index + 1
            if token.string >= 0:
                while end < len(tokens) and tokens[end].string == token.string:
                    end += 1
                string_end = self.lexer.string_ends[token.string]
                parts = self.parts(tokens[index:end], string_end)
                pieces.append(Quoted(Quote.DOUBLE, parts, self.source, token.string, string_end))
            elif _is_word(token):
                while end < len(tokens) and _is_word(tokens[end]):
                    end += 1
                text = join_texts([word.text for word in tokens[index:end]])
                pieces.append(Word(text, self.source, token.start, tokens[end - 1].end))
            else:
                pieces.append(self.piece(token))
            index = end
        return Value(tuple(pieces))

    def piece(self, token: Token) -> Piece:
        """The piece that one token is."""
        if token.kind is TokenKind.VARIABLE or token.kind is TokenKind.VARIABLE_MORE:
            return Variable(token.text, token.style is Style.BRACED, self.source, token.start, token.end)
        if token.style is Style.BARE:
            return Word(token.text, self.source, token.start, token.end)
        quote = Quote.SINGLE if token.style is Style.SINGLE else Quote.DOUBLE
        parts = (Text(token.text, self.source, token.start + 1, token.end - 1),) if token.text else ()
        return Quoted(quote, parts, self.source, token.start, token.end)

    def parts(self, tokens: list[Token], string_end: int) -> tuple[Text | Variable, ...]:
        """The text and variables of a double quoted string, adjacent texts joined, empty ones left out."""
        source = self.source
        parts: list[Text | Variable] = []
        texts: list[str] = []
        start = end = 0
        for token in tokens:
            if token.kind is TokenKind.VARIABLE or token.kind is TokenKind.VARIABLE_MORE:
                if texts:
                    parts.append(Text(join_texts(texts), source, start, end))
                    texts = []
                parts.append(Variable(token.text, token.style is Style.BRACED, source, token.start, token.end))
            elif token.text:
                if not texts:
                    start = token.start + 1 if token.start == token.string else token.start
                end = token.end
                texts.append(token.text)
        if texts:
            if end == string_end and source.data.endswith(b'"', start, end):
                end -= 1
            parts.append(Text(join_texts(texts), source, start, end))
        return tuple(parts)


def _is_word(token: Token) -> bool:
    """Whether the token is an unquoted piece of text."""
    return (
        token.style is Style.BARE
        and token.string < 0
        and (token.kind is TokenKind.STRING or token.kind is TokenKind.STRING_MORE)
    )
