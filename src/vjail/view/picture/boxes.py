"""A box with its texts: how large it is, and where its ports leave it.

+---------------------------+
| title                     |
| notes                     |
| port name     port name   |   a column for each port; a card has its columns above the title
| its lines     its lines   |
+------|-------------|------+
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vjail.view.picture.drawing import Drawing, Shape, Style, Text, width
from vjail.view.picture.model import Box, BoxKind, Port

_PAD = 12
_LINE = 15
_TITLE = 18
_NARROWEST = 84
_COUNT = 30
_BEYOND = 38
"""From the right edge of a box to the first end of the next one, at least."""


@dataclass(slots=True)
class Sized:
    """A box with its columns: `order` are the numbers of its ports from left to right."""

    box: Box
    order: Sequence[int]
    widths: Sequence[float]
    """Of the columns."""
    header: float
    """The height of title and notes; boxes of a row have one."""
    width: float

    @property
    def columns_height(self) -> float:
        """The height of the ports' texts."""
        return max((_port_height(port) for port in self.box.ports), default=0)

    @property
    def height(self) -> float:
        """The height of all."""
        return self.header + self.columns_height + _PAD

    def pin(self, port: int) -> float:
        """How far to the right a port is."""
        at = self.order.index(port)
        spare = self.width - sum(self.widths)
        share = spare / len(self.widths)
        return sum(self.widths[:at]) + share * at + (self.widths[at] + share) / 2

    def beside(self) -> float:
        """How far down what leads sideways leaves the box."""
        return self.header + 8


def _port_height(port: Port) -> float:
    return (bool(port.name) + len(port.lines)) * _LINE + (4 if port.name or port.lines else 0)


def size(box: Box, order: Sequence[int], labels: Sequence[str]) -> Sized:
    """Measure a box; `labels` are what stands beside the ends of its ports, by their numbers."""
    widths = []
    for number in order:
        port = box.ports[number]
        texts = [width(text, Style.MONO) for text in (port.name, *port.lines)]
        widths.append(max(*texts, 28) + 16)
    beside = [width(labels[number], Style.MONO) + 14 if labels[number] else 0 for number in order]
    for at, label in enumerate(beside):  # what stands at the right of an end must not reach the next one
        following = widths[at + 1] if at + 1 < len(widths) else 2 * _BEYOND
        widths[at] = max(widths[at], label, 2 * label - following)
    wide = [width(box.title, Style.TITLE), *(width(note, Style.NOTE) for note in box.notes)]
    if box.count > 1:
        wide[0] += _COUNT + width(f"× {box.count}", Style.NOTE)
    header = _TITLE + len(box.notes) * _LINE + _PAD
    return Sized(box, order, widths, header, max(max(wide) + 2 * _PAD, sum(widths), _NARROWEST))


def draw(sized: Sized, x: float, y: float, into: Drawing) -> None:
    """Draw a box."""
    box = sized.box
    into.shapes.append(Shape(box.key, box.kind, x, y, sized.width, sized.height, count=box.count))
    top = y + (sized.columns_height if box.kind is BoxKind.CARD else 0)
    middle = x + sized.width / 2
    if box.count > 1:
        into.texts.append(Text(x + _PAD, top + _TITLE + 2, box.title, Style.TITLE))
        count = f"× {box.count}"
        into.texts.append(Text(x + sized.width - _PAD - width(count, Style.NOTE), top + _TITLE + 2, count, Style.NOTE))
    else:
        into.texts.append(Text(middle, top + _TITLE + 2, box.title, Style.TITLE, middle=True))
    for number, note in enumerate(box.notes, 1):
        into.texts.append(Text(middle, top + _TITLE + 2 + number * _LINE, note, Style.NOTE, middle=True))
    base = y if box.kind is BoxKind.CARD else y + sized.header
    for number in sized.order:
        port = box.ports[number]
        at = base + (14 if box.kind is BoxKind.CARD else 12)
        for text in (port.name, *port.lines):
            if text:
                pill = box.kind is BoxKind.CARD and text == "NAT"
                into.texts.append(Text(x + sized.pin(number), at, text, Style.MONO, middle=True, pill=pill))
                at += _LINE
