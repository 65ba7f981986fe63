"""Printing: how things are written, and `jail -e`. That it reads back is in test_jailconf_properties.py."""

from __future__ import annotations

import pytest

from vjail.conf.jailconf import (
    Jail,
    JailConfError,
    JailParameter,
    JailValue,
    NoFiles,
    Unprintable,
    Value,
    Variable,
    Word,
    command_line,
    format_file,
    format_jails,
    format_name,
    format_text,
    format_value,
    list_jails,
    load,
    parse,
    show_json,
    show_text,
)
from vjail.conf.jailconf.printer import list_value
from vjail.conf.position import Source, Span
from vjail.release import Release

NOWHERE = Source("f", b"")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", '""'),
        ("epair1b", "epair1b"),
        ("/home/jail", "/home/jail"),
        ("/", "/"),
        ("10.0.0.1/24", "10.0.0.1/24"),
        ("2001:db8::1", "2001:db8::1"),
        ("http://x", '"http://x"'),
        ("/a/", '"/a/"'),
        ("a b", '"a b"'),
        ("em0|10.0.0.1", '"em0|10.0.0.1"'),
        ("echo $HOME", "'echo $HOME'"),
        ('say "x"', "'say \"x\"'"),
        ("it's $5", '"it\'s \\$5"'),
        ("a\\b", '"a\\\\b"'),
        ("one\ntwo\t\x01", '"one\\ntwo\\t\\001"'),
        ("é", '"é"'),
    ],
)
def test_texts(text: str, written: str) -> None:
    assert format_text(text) == written


@pytest.mark.parametrize(
    ("name", "written"), [("web", "web"), ("*", "*"), ("foo.*", "'foo.*'"), ("my jail", "'my jail'"), ("", "''")]
)
def test_names(name: str, written: str) -> None:
    assert format_name(name) == written


def test_what_follows_a_bare_variable_is_never_part_of_its_name() -> None:
    value = Value((Variable("x", False, NOWHERE, 0, 0), Word("1b", NOWHERE, 0, 0)))
    assert format_value(value) == "$x\\061b"


def test_a_tree_is_written_one_statement_a_line() -> None:
    text = "$a=1;;b;c+='x' , \"$a${b}\";d e;\nf{g;h{i;}}"
    file = parse(Source.of_text("f", text), Release.V15).file
    assert format_file(file) == ("$a = 1;\nb;\nc += 'x', \"$a${b}\";\nd e;\nf {\n\tg;\n\th {\n\t\ti;\n\t}\n}\n")


def _load(text: str, release: Release = Release.V13) -> tuple[Jail, ...]:
    return load(Source.of_text("f", text), release, NoFiles()).jails


def test_jails_are_written_as_blocks() -> None:
    jails = _load("path = /j/$name; 12 { name = x; a = 'b c', ''; persist; } 'my jail' { }")
    assert format_jails(jails) == (
        '12 {\n\tpath = /j/x;\n\tname = x;\n\ta = "b c", "";\n\tpersist;\n}\n'
        "\n'my jail' {\n\tpath = \"/j/my jail\";\n}\n"
    )


def test_failed_jails_are_shown_with_their_reasons() -> None:
    configuration = load(Source.of_text("f", 'a { x = "$n\\n${m\\n}"; } b { }'), Release.V13, NoFiles())
    assert show_text(configuration) == (
        '# failed: x: variable "n" not found\n# failed: x: variable "m?" not found\na {\n\tx = "\\n";\n}\n\nb {\n}\n'
    )


def test_nothing_is_shown_of_a_configuration_that_could_not_be_read() -> None:
    configuration = load(Source.of_text("f", "a { } b"), Release.V13, NoFiles())
    assert show_text(configuration) == ""
    assert show_json(configuration) == {"exit": 1, "jails": None, "stderr": ["jail: f: unexpected EOF"]}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", '""'),
        ("a", "a"),
        ("a b", '"a b"'),
        ("a\tb", '"a\tb"'),
        ('a"b', "'a\"b'"),
        ("a'b", '"a\'b"'),
        ("a'\"b", '"a\'\\"b"'),
        ("a\\b", "a\\\\b"),
        ("a\nb", "a\nb"),
        ("$a;b", "$a;b"),
    ],
)
def test_values_as_jail_e_quotes_them(text: str, written: str) -> None:
    assert list_value(text) == written


def test_jail_e_leaves_out_the_jid() -> None:
    jails = _load("12 { path = /; persist; l = a, 'b c'; } w { }")
    assert list_jails(jails, ";") == 'path=/;persist;l=a,"b c"\nname=w\n'


def _jail(*parameters: JailParameter, block: str | None = "a") -> Jail:
    return Jail(block, False, (JailParameter("name", (), Span(NOWHERE, 0, 0)), *parameters), Span(NOWHERE, 0, 0))


def test_what_cannot_be_written_raises() -> None:
    place = Span(NOWHERE, 0, 0)
    nul = JailParameter("x", (JailValue("a\0b", place),), place)
    with pytest.raises(Unprintable, match="NUL") as raised:
        format_jails([_jail(nul)])
    assert raised.value.what == "a\0b"
    assert isinstance(raised.value, JailConfError)
    same = (JailParameter("x.y", (), place), JailParameter("x.noy", (), place))
    with pytest.raises(Unprintable, match="the same one"):
        format_jails([_jail(*same)])
    with pytest.raises(Unprintable, match="block name"):
        format_jails(command_line(["name=x"], Release.V13).jails)
