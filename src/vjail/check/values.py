"""Where in a file the characters of a jail's value stand: through quotes, escapes and variables, back to the text."""

from __future__ import annotations

from vjail.conf.jailconf import JailValue, Value, Variable
from vjail.conf.position import Span, encode


def locate(value: JailValue, start: int, end: int) -> Span:
    """The span that characters `start` to `end` of a value came from.

    Characters that a variable brought are at the variable; where a piece has escapes, the whole piece is meant.
    """
    place = value.place
    if not isinstance(place, Value):
        return value.span
    first: Span | None = None
    last: Span | None = None
    for span, begin, length, exact in _pieces(value, place):
        if begin + length <= start and not (begin + length == start == end):
            continue
        if begin >= end and first is not None:
            break
        found = span
        if exact:
            text = value.text[begin : begin + length]
            low, high = max(start - begin, 0), min(end - begin, length)
            found = Span(
                span.source, span.start + len(encode(text[:low])), span.start + len(encode(text[: max(high, low)]))
            )
        first = first or found
        last = found
    if first is None or last is None or first.source is not last.source or last.end < first.start:
        return value.span
    return first.to(last)


def is_written(value: JailValue, start: int, end: int) -> bool:
    """Whether the characters stand in the file as they are: no variable, no escape among them."""
    place = value.place
    if not isinstance(place, Value):
        return False
    return (
        all(exact for _, begin, length, exact in _pieces(value, place) if begin < end and begin + length > start)
        and locate(value, start, end).text == value.text[start:end]
    )


def _pieces(value: JailValue, place: Value) -> list[tuple[Span, int, int, bool]]:
    """Each piece of the value: its span, where its text begins, how long it is, whether it stands there as it is."""
    found: list[tuple[Span, int, int, bool]] = []
    inserted = iter(value.inserted)
    at = 0
    for part in place.parts():
        if isinstance(part, Variable):
            source = next(inserted, None)
            length = len(source.text) if source is not None else 0
            found.append((part.span, at, length, False))
        else:
            length = len(part.text)
            span = part.span
            written = span.text
            if len(written) == length + 2 and written[:1] in "'\"" and written[1:-1] == part.text:
                span, written = Span(span.source, span.start + 1, span.end - 1), part.text
            found.append((span, at, length, written == part.text))
        at += length
    return found
