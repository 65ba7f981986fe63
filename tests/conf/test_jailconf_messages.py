"""Hints: for each mistake people make, what is said, where it points, and what to do."""

from __future__ import annotations

import pytest

from vjail.conf.jailconf import Kind, Message, NoFiles, load
from vjail.conf.position import Source
from vjail.release import Release


def _messages(text: str, release: Release = Release.V13) -> tuple[Message, ...]:
    return load(Source.of_text("f", text), release, NoFiles()).messages


# (the file with » before the place the first message must point to, a part of its hint)
MISTAKES = [
    ("j {\n\tpath=/»\n\tpersist;\n}\n", "';' is missing at the end of the line before"),
    ("j {\n\tpersist»\n\texec.start = 'true';\n}\n", "';' is missing at the end of the line before"),
    ("a»\nfoo { }\n", "';' is missing at the end of the line before"),
    ("foo { a = b» }", "';' is missing before '}'"),
    ("foo { a» }", "';' is missing before '}'"),
    ("a = 1»", "';' is missing at the end of the file"),
    ("foo { a = b »c; }", "must be quoted"),
    ("foo { vnet.interface = epair1b »epair2b; }", "need commas"),
    ("foo { a = 'x' »'y'; }", "put ',' between them"),
    ("foo { url = http:»//example.org/x; }\nb { }", "'//' begins a comment even inside a word"),
    ("foo { url = a»#b; }\n c d;", "'#' begins a comment even inside a word"),
    ("foo { p = /a»/*.c; }", "'/*' opens a comment even inside a word"),
    ("»/* never closed\nfoo { }", "closed nowhere"),
    ("»foo.* { a = 1; }", "block name with such characters is one name only if quoted: 'foo.*'"),
    ("»a/b = 1;", "parameter name with such characters is one name only if quoted: 'a/b'"),
    ("»my jail { a = 1; }", "quote it: 'my jail'"),
    ("»$n { a = 1; }", "a variable cannot name a block"),
    ('foo { "»$x" = 1; }', "write its name without quotes"),
    ("foo { a = »x=y; }", "with '=' in it must be quoted"),
    ("foo {»\r\n a = 1;\r\n}\r\n", "CR LF"),
    ("foo { a = 1; »bar { b = 2; } }", "needs FreeBSD 15; or the '}' of 'foo' is missing"),
    ("foo { a = »é; }", "only quoted strings and comments may hold this character"),
    ("foo { a = »“x”; }", "typographic quotation mark"),
    ("foo { a =» ; }", 'for an empty one write ""'),
    ("foo { a = 1», ; }", "missing behind the comma"),
    ("b = »= 2;", "one '=' is enough"),
    ("»foo { a = 1;", "the block 'foo' that begins here is not closed"),
    ("foo { a = 1; } »}", "no block is open here"),
    ("»= x;", "needs a name before its operator"),
    ("», x;", "between values only"),
    ("»{ a; }", "a block needs a name"),
    ("foo { a = »'x", "single quote that begins here is closed nowhere"),
    ("foo { a = »\"x;\n b = 'y'; }", "double quote that begins here is closed nowhere"),
    ('foo {\n a = »"x;\n b = "y z";\n}\n', "is its closing quote missing here?"),
    ('foo {\n a = »"x;\n b = "y";\n}\n', "a quote is missing"),
    ('foo { a = "»${name"; }', "needs its '}' on the same line, before the closing quote"),
    ("foo { a = »${name\n ; }", "needs its '}' on the same line"),
    ("foo { a = »${name ; }\n}", "everything up to '}' is the variable's name"),
    ("foo { »name = foo; }", "rename the block 'foo' instead"),
    ("foo { »$path = /x; }", "another name"),
    ('foo { host.hostname = h; a = "»$host.hostname"; }', "needs braces: ${host.hostname}"),
    ("foo { path = /; a = »$pth; }", "did you mean ${path}?"),
    ("foo { »persist; a = $persist; }", "'persist' has no value"),
    ('foo { a = "echo »$HOME"; }', "\\$HOME where a shell is to see it"),
    ("foo { $a = $b; $b = »$a; }", "leads back to it: a -> b -> a"),
    ("foo { $l = 1,2; a = x»$l; }", "'l' has 2 values"),
]


@pytest.mark.parametrize(("marked", "hint"), MISTAKES)
def test_hints(marked: str, hint: str) -> None:
    before, mark, behind = marked.partition("»")
    assert mark
    message = _messages(before + behind)[0]
    assert message.cause is not None
    assert message.cause.start == len(before.encode()), message
    assert message.hint is not None
    assert hint in message.hint.text


def test_no_hint_misleads_after_something_unterminated() -> None:
    unterminated, end = _messages("foo { a = 'x")
    assert unterminated.hint is not None
    assert (end.kind, end.hint) == (Kind.UNEXPECTED_EOF, None)


def test_a_byte_that_ends_the_file_for_freebsd_is_told() -> None:
    configuration = load(Source.of_text("f", "a { } é b { }"), Release.V13, NoFiles())
    assert [jail.block for jail in configuration.jails] == ["a"]
    assert configuration.exit_status == 0
    (message,) = configuration.messages
    assert message.kind is Kind.REST_IGNORED
    assert message.kind.is_ours
    assert message.line == "jail: f line 1: jail(8) takes this byte for the end of the file"


def test_a_list_as_a_whole_value_is_inserted_and_told() -> None:
    configuration = load(Source.of_text("f", "foo { $l = 1,2,3; x = 0, $l, 4; }"), Release.V13, NoFiles())
    (jail,) = configuration.jails
    assert jail.texts("x") == ("0", "1", "2", "3", "4")
    assert not jail.failed
    assert [message.kind for message in configuration.messages] == [Kind.LIST_INSERTED]
    parameter = jail.parameter("x")
    assert parameter is not None
    assert [span.text for span in parameter.values[2].origins] == ["$l", "2"]


def test_a_message_shows_its_place() -> None:
    (message,) = _messages("foo {\n\ta = b c;\n}\n")
    assert message.line == "jail: f line 2: c: syntax error"
    assert str(message.cause) == "f:2:8"
    assert message.picture() == "        a = b c;\n              ^"


def test_blocks_nested_beyond_the_parser_s_stack() -> None:
    assert not _messages("a{" * 3332 + "}" * 3332, Release.V15)
    (message,) = _messages("a{" * 3333 + "}" * 3333, Release.V15)
    assert message.line == "jail: f line 1: {: yacc stack overflow"
