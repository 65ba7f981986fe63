"""Random jail.conf files for property tests: syntax trees, texts that are mostly grammatical, and plain bytes."""

from __future__ import annotations

from hypothesis import strategies as st

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
)
from vjail.conf.position import Source, decode, encode

NOWHERE = Source("nowhere", b"")

_NAMES = (
    *("a", "b", "c", "noa", "x.y", "x.noy", "nox.y", "nox.noy", "name", "noname", "jid", "path", "nopath", "é"),
    *("allow.mount", "allow.nomount", "persist", "nopersist", "exec.start", "vnet", "vnet.interface", "ip4.addr"),
    *("host.hostname", ".include"),
)
_JAILS = ("foo", "bar", "12", "007", "0", "foo.bar", "foo.bar.baz", "*", "foo.*", "*.bar", "*.*", "foo*", "my jail", "")
_BITS = ("a", "1", "/home/jail", "a b", "$x", "${x}", '"', "'", "\\", "\n", "\t", "//", "/*", "#", "é", "+=", "_")

_MIXED = st.lists(st.sampled_from(_BITS), min_size=1, max_size=4).map("".join)
_RAW = st.binary(min_size=1, max_size=6).map(lambda data: decode(data.replace(b"\0", b"x")))
SOME_TEXT = st.one_of(_MIXED, _RAW)
"""Texts that a file can say, not empty: any bytes but NUL."""

TEXT = st.one_of(st.just(""), SOME_TEXT)

_VARIABLE = st.one_of(
    st.sampled_from(["x", "_a1", "name"]).map(lambda name: Variable(name, False, NOWHERE, 0, 0)),
    TEXT.map(lambda name: Variable(name, True, NOWHERE, 0, 0)),
)
_TEXT_PART = SOME_TEXT.map(lambda text: Text(text, NOWHERE, 0, 0))


def _double(parts: list[Text | Variable]) -> Quoted:
    """A double quoted string as a parser has it: no two texts side by side."""
    kept: list[Text | Variable] = []
    for part in parts:
        if not (kept and isinstance(part, Text) and isinstance(kept[-1], Text)):
            kept.append(part)
    return Quoted(Quote.DOUBLE, tuple(kept), NOWHERE, 0, 0)


def _value(pieces: list[Piece]) -> Value:
    """A value as a parser has it: no two words side by side."""
    kept: list[Piece] = []
    for piece in pieces:
        if not (kept and isinstance(piece, Word) and isinstance(kept[-1], Word)):
            kept.append(piece)
    return Value(tuple(kept))


_PIECE = st.one_of(
    TEXT.map(lambda text: Word(text, NOWHERE, 0, 0)),
    st.lists(_TEXT_PART, max_size=1).map(lambda parts: Quoted(Quote.SINGLE, tuple(parts), NOWHERE, 0, 0)),
    st.lists(st.one_of(_TEXT_PART, _VARIABLE), max_size=3).map(_double),
    _VARIABLE,
)
_VALUE = st.lists(_PIECE, min_size=1, max_size=3).map(_value)

_NAME_TEXT = st.one_of(st.sampled_from(_NAMES), TEXT)
_BLOCK_NAME = _NAME_TEXT.map(lambda text: Name(text, False, NOWHERE, 0, 0))
_PARAMETER_NAME = st.builds(lambda text, variable: Name(text, variable, NOWHERE, 0, 0), _NAME_TEXT, st.booleans())
_OPERATOR = st.sampled_from([Operator.SPACE, Operator.ASSIGN, Operator.APPEND])
_PARAMETER = st.one_of(
    _PARAMETER_NAME.map(lambda name: Parameter(name, Operator.NONE, (), 0, 0)),
    st.builds(
        lambda name, operator, values: Parameter(name, operator, tuple(values), 0, 0),
        _PARAMETER_NAME,
        _OPERATOR,
        st.lists(_VALUE, min_size=1, max_size=2),
    ),
)


def _block(inside: st.SearchStrategy[Statement]) -> st.SearchStrategy[Statement]:
    return st.builds(
        lambda name, statements: Block(name, tuple(statements), 0, 0), _BLOCK_NAME, st.lists(inside, max_size=2)
    )


def _files(inside: st.SearchStrategy[Statement]) -> st.SearchStrategy[File]:
    statements = st.lists(st.one_of(_PARAMETER, _block(inside)), max_size=3)
    return statements.map(lambda listed: File(tuple(listed), NOWHERE, ()))


FLAT_FILE = _files(_PARAMETER)
"""Syntax trees as every release can have them."""

NESTED_FILE = _files(st.one_of(_PARAMETER, _block(st.one_of(_PARAMETER, _block(_PARAMETER)))))
"""Syntax trees with blocks in blocks."""

_ATOMS = (
    *(
        "foo",
        "a",
        "b1",
        "$x",
        "${x}",
        "${",
        "$",
        "\\",
        "\\n",
        '\\"',
        "\\'",
        "\\}",
        "\\{",
        "\\\n",
        "\\x4",
        "\\101",
        "\\0",
    ),
    *("#", "//", "/*", "*/", "/", "*", "+", ".include", "\r", "\0", "é", "\x01", "$1", '"$x"', '"a b"', "'c d'", " = "),
    *(" ", "\t", "\n", ";", ";", "{", "}", "=", "+=", ",", '"', "'", "foo {", "a = b;", "}\n"),
)
FRAGMENTS = st.lists(st.sampled_from(_ATOMS), max_size=30).map(lambda atoms: encode("".join(atoms)))
"""Bits of the language in any order, hardly ever a correct file."""


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _written(name: str, variable: bool, operator: str, values: list[str]) -> str:
    named = f"${{{name}}}" if variable else f"'{name}'"
    return f"{named} {operator} {', '.join(values)};" if operator else f"{named};"


_TEXT_OR_REFERENCE = st.one_of(
    st.sampled_from(["1", "v w", "", "$HOME", "\"'", "\\", "é", "a,b"]).map(_quote),
    st.sampled_from(_NAMES).map(lambda name: f"${{{name}}}"),
)
_WRITTEN_VALUE = st.lists(_TEXT_OR_REFERENCE, min_size=1, max_size=2).map("".join)
_WRITTEN = st.builds(
    _written,
    st.sampled_from(_NAMES),
    st.booleans(),
    st.sampled_from(["", "=", "=", "+="]),
    st.lists(_WRITTEN_VALUE, min_size=1, max_size=2),
)
_WRITTEN_BLOCK = st.builds(
    lambda name, inside: f"'{name}' {{ {' '.join(inside)} }}", st.sampled_from(_JAILS), st.lists(_WRITTEN, max_size=4)
)
CONFIGURATION = st.lists(st.one_of(_WRITTEN, _WRITTEN_BLOCK), max_size=5).map(lambda lines: encode("\n".join(lines)))
"""Correct files whose parameters, variables and sections have much to do with each other."""

ANYTHING = st.one_of(st.binary(max_size=80), FRAGMENTS, CONFIGURATION)
"""Files of any kind."""
