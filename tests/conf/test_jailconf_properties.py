"""What holds for every file: nothing raises, places lie where they say, and what is printed reads back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jailconf_strategies import ANYTHING, CONFIGURATION, FLAT_FILE, NESTED_FILE

from vjail.conf.jailconf import (
    Block,
    File,
    Name,
    NoFiles,
    Parameter,
    Piece,
    Quoted,
    Statement,
    Text,
    Unprintable,
    Variable,
    check_types,
    format_file,
    format_jails,
    list_jails,
    load,
    parse,
    show_json,
    show_text,
)
from vjail.conf.position import Source, Span, encode
from vjail.release import Release

releases = st.sampled_from(Release)


def _statements(statements: Sequence[Statement]) -> Iterator[Statement]:
    for statement in statements:
        yield statement
        if isinstance(statement, Block):
            yield from _statements(statement.statements)


def _pieces(file: File) -> Iterator[Piece]:
    for statement in _statements(file.statements):
        if isinstance(statement, Parameter):
            for value in statement.values:
                yield from value.pieces


def _spans(file: File) -> Iterator[Span]:
    yield from file.comments
    for statement in _statements(file.statements):
        yield from (statement.span, statement.name.span)
        if isinstance(statement, Block):
            yield from (statement.opening, statement.closing)
        else:
            yield from (statement.operator_span, statement.terminator)
            yield from (value.span for value in statement.values)
    for piece in _pieces(file):
        yield piece.span
        if isinstance(piece, Quoted):
            yield from (part.span for part in piece.parts)


@given(ANYTHING, releases)
def test_no_file_raises(data: bytes, release: Release) -> None:
    configuration = load(Source("f", data), release, NoFiles())
    with suppress(Unprintable):
        show_text(configuration)
    show_json(configuration)
    list_jails(configuration.jails, "\t")
    for jail in configuration.jails:
        check_types(jail, release)
    for message in configuration.messages:
        assert message.line.startswith("jail: ")
        assert message.picture()


@given(ANYTHING, releases)
def test_places_lie_in_the_file(data: bytes, release: Release) -> None:
    source = Source("f", data)
    configuration = load(source, release, NoFiles())
    spans = [span for file in configuration.files for span in _spans(file)]
    spans += [message.span for message in configuration.messages if message.span is not None]
    spans += [message.cause for message in configuration.messages if message.cause is not None]
    for jail in configuration.jails:
        spans.append(jail.source)
        for parameter in jail.parameters:
            spans.append(parameter.span)
            for value in parameter.values:
                spans += value.origins
    for span in spans:
        assert span.source is source
        assert 0 <= span.start <= span.end <= len(data)


@given(ANYTHING, releases)
def test_what_stands_at_a_place_reads_as_the_same_again(data: bytes, release: Release) -> None:
    source = Source("f", data)
    file = parse(source, release).file
    for piece in _pieces(file):
        again = parse(Source("f", b"x = " + data[piece.start : piece.end] + b"\n;"), release).file
        (statement,) = again.statements
        assert isinstance(statement, Parameter)
        assert [value.pieces for value in statement.values] == [(piece,)]
        if isinstance(piece, Quoted):
            _parts_stand_where_they_say(piece)
    for statement in _statements(file.statements):
        name = statement.name
        if data[name.start : name.start + 1] != b'"' or data[name.end - 1 : name.end] == b'"':
            (again_named,) = parse(Source("f", data[name.start : name.end] + b"\n;"), release).file.statements
            assert again_named.name == Name(name.text, name.variable, name.source, 0, 0)


def _parts_stand_where_they_say(quoted: Quoted) -> None:
    places = [(part.start, part.end) for part in quoted.parts]
    assert all(quoted.start < start <= end <= quoted.end for start, end in places)
    assert places == sorted(places)
    for part in quoted.parts:
        match part:
            case Variable(name, False):
                assert part.span.text == f"${name}"
            case Text(text) if "\\" not in part.span.text and "\0" not in part.span.text:
                assert part.span.text == text


@given(FLAT_FILE, releases)
def test_printed_trees_read_back(file: File, release: Release) -> None:
    result = parse(Source("f", encode(format_file(file))), release)
    assert not result.messages
    assert result.file == file


@given(NESTED_FILE)
def test_printed_trees_with_nested_blocks_read_back(file: File) -> None:
    result = parse(Source("f", encode(format_file(file))), Release.V15)
    assert not result.messages
    assert result.file == file


@given(CONFIGURATION, releases)
def test_printed_jails_load_as_the_same(data: bytes, release: Release) -> None:
    jails = load(Source("f", data), release, NoFiles()).jails
    good = tuple(jail for jail in jails if not jail.failed)
    try:
        printed = format_jails(good)
    except Unprintable:
        return
    again = load(Source("f", encode(printed)), release, NoFiles())
    assert not again.messages
    assert again.jails == good


@given(CONFIGURATION, releases)
def test_shown_text_is_a_jail_conf_with_the_same_jails(data: bytes, release: Release) -> None:
    configuration = load(Source("f", data), release, NoFiles())
    try:
        shown = show_text(configuration)
    except Unprintable:
        return
    again = load(Source("f", encode(shown)), release, NoFiles())
    assert again.exit_status == 0
    assert [(jail.block, jail.parameters) for jail in again.jails] == [
        (jail.block, jail.parameters) for jail in configuration.jails
    ]
    assert shown.count("# failed: ") >= sum(jail.failed for jail in configuration.jails)


@pytest.mark.parametrize("release", [Release.V12, Release.V14, Release.V16])
def test_other_releases_read_as_the_one_they_follow(release: Release) -> None:
    source = Source("f", b"x = 1; 12 { a = $name; }\r\n foo { b = 2; } x = 3;")
    like = Release.V15 if release >= Release.V15 else Release.V13
    assert show_json(load(source, release, NoFiles())) == show_json(load(source, like, NoFiles()))
