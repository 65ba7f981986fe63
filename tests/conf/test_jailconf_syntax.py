"""The syntax tree: what is in it, and where its parts stand."""

from __future__ import annotations

import pytest

from vjail.conf.jailconf import Block, Operator, Parameter, Quote, Quoted, Text, Value, Variable, Word, load, parse
from vjail.conf.jailconf.reader import NoFiles
from vjail.conf.position import Source
from vjail.release import Release

FILE = """\
# a comment
$base = "/jails";
web { // another
\tpath = "$base/${name}\\n"'x y'/z$1, b\\ c ;
\texec.start += "a";; persist
; vnet new;
}
"""


def _source(text: str) -> Source:
    return Source.of_text("f.conf", text)


def _parameter(text: str, release: Release = Release.V13) -> Parameter:
    result = parse(_source(text), release)
    assert not result.messages
    (statement,) = result.file.statements
    assert isinstance(statement, Parameter)
    return statement


def test_a_file_is_its_statements_in_order() -> None:
    file = parse(_source(FILE), Release.V13).file
    base, web = file.statements
    assert isinstance(base, Parameter)
    assert isinstance(web, Block)
    assert (base.name.text, base.name.variable) == ("base", True)
    assert web.name.text == "web"
    parameters = [statement for statement in web.statements if isinstance(statement, Parameter)]
    assert [(parameter.name.text, parameter.operator) for parameter in parameters] == [
        ("path", Operator.ASSIGN),
        ("exec.start", Operator.APPEND),
        ("persist", Operator.NONE),
        ("vnet", Operator.SPACE),
    ]
    assert [span.text for span in file.comments] == ["# a comment", "// another"]


def test_every_part_stands_where_it_says() -> None:
    file = parse(_source(FILE), Release.V13).file
    web = file.statements[1]
    assert isinstance(web, Block)
    assert (web.opening.text, web.closing.text, web.name.span.text) == ("{", "}", "web")
    assert web.span.text == FILE[FILE.index("web") :].rstrip("\n")
    path, start, persist, vnet = (statement for statement in web.statements if isinstance(statement, Parameter))
    assert path.span.text == "path = \"$base/${name}\\n\"'x y'/z$1, b\\ c"
    assert (path.operator_span.text, path.terminator.text) == ("=", ";")
    assert [value.span.text for value in path.values] == ["\"$base/${name}\\n\"'x y'/z$1", "b\\ c"]
    assert (start.operator_span.text, start.operator_span.position.column) == ("+=", 13)
    assert (persist.span.text, persist.operator_span.text, persist.terminator.position.line) == ("persist", "", 6)
    assert (vnet.span.text, vnet.operator_span.text) == ("vnet new", "")

    double, single, word = path.values[0].pieces
    assert isinstance(double, Quoted)
    assert [part.span.text for part in double.parts] == ["$base", "/", "${name}", "\\n"]
    assert (single.span.text, word.span.text) == ("'x y'", "/z$1")


def test_pieces_of_a_value() -> None:
    nowhere = _source("")
    (value,) = _parameter('a = x/y"l $v${w x}m"\'$q\'$z"";').values
    assert value == Value(
        (
            Word("x/y", nowhere, 0, 0),
            Quoted(
                Quote.DOUBLE,
                (
                    Text("l ", nowhere, 0, 0),
                    Variable("v", False, nowhere, 0, 0),
                    Variable("w x", True, nowhere, 0, 0),
                    Text("m", nowhere, 0, 0),
                ),
                nowhere,
                0,
                0,
            ),
            Quoted(Quote.SINGLE, (Text("$q", nowhere, 0, 0),), nowhere, 0, 0),
            Variable("z", False, nowhere, 0, 0),
            Quoted(Quote.DOUBLE, (), nowhere, 0, 0),
        )
    )


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"\a\b\f\n\r\t\v", "\a\b\f\n\r\t\v"),
        (r"\1\12\123\1234", "\x01\nSS4"),
        (r"\x4\x41\x412\x4g", "\x04AA2\x04g"),
        (r"\777", "\udcff"),
        (r"\303\251\xc3\xA9", "éé"),
        ("a\\\nb", "ab"),
        (r"\q\"\'\\\ \;", "q\"'\\ ;"),
        ("a\\0b", "ab"),
        ("a+b*c$", "a+b*c$"),
        ("x$1$-", "x$1$-"),
        ('"a\\0b"c', "ac"),
        ('"\\x"c', "c"),
        ('"é\n"', "é\n"),
        ("'\\'\\\"\\\\'", "'\"\\"),
        ('"a$1 $"', "a$1 $"),
    ],
)
def test_texts(written: str, text: str) -> None:
    (value,) = _parameter(f"a = {written};").values
    assert value.literal == text


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("$a_1.b", "a_1"),
        ("${a b}", "a b"),
        ("${}", ""),
        (r"${a\}b}", "a}b"),
        (r"${\x41\102}", "AB"),
        ("${a\\\nb}", "ab"),
        ("${a\\}\n", "a}"),
        ('"$a"', "a"),
        ('"${a\\"b}"', 'a"b'),
        ("\"'$a'\"", "a"),
    ],
)
def test_variables(written: str, name: str) -> None:
    (value,) = _parameter(f"x = {written};").values
    assert [part.name for part in value.parts() if isinstance(part, Variable)] == [name]


def test_names_are_one_piece_with_quotes_and_dollar_taken_off() -> None:
    assert _parameter("'a b';").name.text == "a b"
    assert _parameter('"a\\tb";').name.text == "a\tb"
    assert _parameter("*;").name.text == "*"
    name = _parameter("${a b} = 1;").name
    assert (name.text, name.variable, name.span.text) == ("a b", True, "${a b}")


def test_nested_blocks_only_where_the_release_has_them() -> None:
    source = _source("a { b { x; } c; }")
    result = parse(source, Release.V15)
    (outer,) = result.file.statements
    assert isinstance(outer, Block)
    inner, parameter = outer.statements
    assert isinstance(inner, Block)
    assert inner.span.text == "b { x; }"
    assert isinstance(parameter, Parameter)
    assert not parse(source, Release.V14).ok


def test_what_is_right_in_a_broken_file_is_in_the_tree() -> None:
    result = parse(_source("a = 1; b = = 2; c = 3; d { e; f g h; i"), Release.V13)
    a, c, d = result.file.statements
    assert isinstance(a, Parameter)
    assert isinstance(c, Parameter)
    assert (a.name.text, c.name.text) == ("a", "c")
    assert isinstance(d, Block)
    assert not d.closed
    assert d.closing.text == ""
    assert [statement.name.text for statement in d.statements] == ["e"]
    assert not result.ok


def test_a_place_is_known_for_every_resolved_value() -> None:
    text = '$d = "x";\n$e = "<$d>";\nfoo {\n\ta = "$e.", 2;\n\tb = $name;\n}\n'
    (jail,) = load(_source(text), Release.V13, NoFiles()).jails
    assert jail.source.position.line == 3
    a, b = jail.parameter("a"), jail.parameter("b")
    assert a is not None
    assert b is not None
    assert a.span.text == "a"
    assert [span.text for span in a.values[0].origins] == ['"$e."', '"<$d>"', '"x"']
    assert [span.text for span in a.values[1].origins] == ["2"]
    assert [span.text for span in b.values[0].origins] == ["$name", "foo"]


def test_an_edit_by_place_leaves_the_rest_alone() -> None:
    file = parse(_source(FILE), Release.V13).file
    web = file.statements[1]
    assert isinstance(web, Block)
    vnet = web.statements[-1]
    assert isinstance(vnet, Parameter)
    span = vnet.values[0].span
    data = file.source.data
    edited = data[: span.start] + b"inherit" + data[span.end :]
    assert edited.decode() == FILE.replace("vnet new", "vnet inherit")
