"""What a drawing is made of: boxes, bars, lines and texts with their places, in pixels; the width of texts by estimate.

Fonts are generic, so widths are those of the widest of the usual ones; what is drawn leaves some room.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace

from vjail.view.picture.model import BoxKind, NetKind


class Style(enum.Enum):
    """How a text is set: class, size in pixels, width of a usual character as a part of the size."""

    LAB = ("lab", 20, 0.7)
    HOST = ("host-name", 16, 0.7)
    TITLE = ("title", 13, 0.7)
    MONO = ("mono", 11, 0.605)
    NOTE = ("note", 11, 0.64)
    BAR = ("bar-text", 12, 0.605)

    @property
    def size(self) -> int:
        """Its size in pixels."""
        return int(self.value[1])


_WIDE, _NARROW = frozenset("mwMW@%×→…"), frozenset("ijlftrI.,:;'|!()/- ")


def width(text: str, style: Style) -> float:
    """An estimate of a text's width, rather too much."""
    even = style in (Style.MONO, Style.BAR)
    return sum(_places(letter, even=even) for letter in text) * style.size * float(style.value[2])


def _places(letter: str, *, even: bool) -> float:
    """How wide a character is, beside the usual one; those of East Asia take two places."""
    if letter >= "\u1100" and letter not in _WIDE:
        return 2
    if even:
        return 1
    return 1.6 if letter in _WIDE else 0.7 if letter in _NARROW else 1.15 if letter.isupper() else 1


@dataclass(frozen=True, slots=True)
class Text:
    """A text: `x` is its left edge, its middle with `middle`; `y` its baseline. `pill`: it stands on a label."""

    x: float
    y: float
    text: str
    style: Style
    middle: bool = False
    pill: bool = False

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        wide = width(self.text, self.style)
        left = self.x - wide / 2 if self.middle else self.x
        return left, self.y - 0.8 * self.style.size, left + wide, self.y + 0.22 * self.style.size


@dataclass(frozen=True, slots=True)
class Shape:
    """A box or the bar of a net (`kind`; None: a host). `key` is that of the model; `count` more than 1: a stack."""

    key: str
    kind: BoxKind | NetKind | None
    x: float
    y: float
    width: float
    height: float
    tag: int | None = None
    count: int = 1
    cut: bool = False

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Line:
    """A line along `points`. `dot`: the last point is where it joins a bar. `thick`: part of a bridge."""

    points: tuple[tuple[float, float], ...]
    tag: int | None = None
    routed: bool = False
    cut: bool = False
    many: bool = False
    thick: bool = False
    dot: bool = False


@dataclass(slots=True)
class Drawing:
    """Shapes (those below first), lines and texts."""

    width: float
    height: float
    shapes: list[Shape]
    lines: list[Line]
    texts: list[Text]

    @classmethod
    def empty(cls) -> Drawing:
        """Nothing yet."""
        return cls(0, 0, [], [], [])

    def add(self, other: Drawing, x: float, y: float) -> None:
        """Put another one into it, that far to the right and down."""
        self.shapes += [replace(each, x=each.x + x, y=each.y + y) for each in other.shapes]
        self.texts += [replace(each, x=each.x + x, y=each.y + y) for each in other.texts]
        for line in other.lines:
            self.lines.append(replace(line, points=tuple((a + x, b + y) for a, b in line.points)))

    def everything(self) -> Iterator[tuple[float, float]]:
        """The lower right corners of all there is."""
        yield from ((each.right, each.bottom) for each in self.shapes)
        yield from (text.extent[2:] for text in self.texts)
        yield from (point for line in self.lines for point in line.points)
