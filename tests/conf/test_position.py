"""Places in files: lines, columns in characters, and the picture a message shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjail.conf.position import Position, Source, Span, decode, encode, excerpt


def test_columns_count_characters_and_offsets_count_bytes() -> None:
    source = Source.of_text("f", "a\néü = 1;\n")
    assert source.position(0) == Position(1, 1, 0)
    assert source.position(2) == Position(2, 1, 2)
    assert source.position(7) == Position(2, 4, 7)
    assert str(Span(source, 7, 8)) == "f:2:4"
    assert source.position(len(source.data)) == Position(3, 1, len(source.data))


def test_a_newline_belongs_to_the_line_it_ends() -> None:
    source = Source("f", b"ab\n\ncd")
    assert [source.line_number(offset) for offset in range(7)] == [1, 1, 1, 2, 3, 3, 3]
    assert [source.line_span(number).text for number in (1, 2, 3)] == ["ab", "", "cd"]
    assert source.line_count == 3


def test_excerpt_marks_the_span_below_its_line() -> None:
    source = Source.of_text("f", "foo {\n\tpath = /x y;\n}\n")
    start = source.data.index(b"y;")
    assert excerpt(Span(source, start, start + 1)) == "        path = /x y;\n                  ^"


def test_excerpt_of_an_empty_span_marks_one_place() -> None:
    source = Source.of_text("f", "a = b")
    assert excerpt(Span(source, 0, 5).after) == "a = b\n     ^"


def test_excerpt_marks_a_span_over_lines_to_the_end_of_the_first() -> None:
    source = Source.of_text("f", 'a = "b\nc";')
    assert excerpt(Span(source, 4, 9)) == 'a = "b\n    ^^'


def test_excerpt_shows_what_cannot_be_shown() -> None:
    source = Source("f", b"a\x01\xff\r = \xe3\x81\x82b")
    assert excerpt(Span(source, 10, 11)) == "a␁�␍ = あb\n" + " " * 9 + "^"


def test_excerpt_widens_a_part_of_a_character_to_the_whole() -> None:
    source = Source.of_text("f", "x = é;")
    assert excerpt(Span(source, 4, 5)) == "x = é;\n    ^"


def test_excerpt_cuts_long_lines_around_the_span() -> None:
    source = Source.of_text("f", "x" * 500 + "HERE" + "y" * 500)
    line, carets = excerpt(Span(source, 500, 504), width=60).split("\n")
    assert len(line) == 60
    assert line[0] == line[-1] == "…"
    assert line[carets.index("^") : carets.index("^") + 4] == "HERE"
    assert carets.count("^") == 4


@given(st.binary(max_size=200), st.data())
def test_every_place_of_every_file_can_be_shown(data: bytes, draw: st.DataObject) -> None:
    source = Source("f", data)
    start = draw.draw(st.integers(0, len(data)))
    end = draw.draw(st.integers(start, len(data)))
    span = Span(source, start, end)
    assert span.position.line <= span.end_position.line <= source.line_count
    assert encode(span.text) == data[start:end]
    shown = excerpt(span, draw.draw(st.integers(10, 100)))
    assert shown.count("\n") == 1
    assert "^" in shown.partition("\n")[2]


@pytest.mark.parametrize("text", ["a\udcffb", "\ud800", "é"])
def test_encode_takes_any_text(text: str) -> None:
    assert isinstance(encode(text), bytes)


@given(st.binary())
def test_decode_loses_nothing(data: bytes) -> None:
    assert encode(decode(data)) == data
