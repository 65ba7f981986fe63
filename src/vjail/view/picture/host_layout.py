"""Places within a host: its boxes in rows, its bridges and links in channels below them, its cards below those.

Who stands beside whom is order.py's, the ways of nets are channels.py's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from vjail.view.picture import boxes, channels
from vjail.view.picture.boxes import Sized
from vjail.view.picture.channels import Pin
from vjail.view.picture.drawing import Drawing, Line, Shape, Style, Text, width
from vjail.view.picture.model import Box, BoxKind, HostPicture, Net, NetKind
from vjail.view.picture.order import ordered

T = TypeVar("T")
Direct = Mapping[str, tuple[str, str]]
"""Links that are drawn straight between neighbours: the keys of the left and the right one."""

_GAP = 18
_LINKED_GAP = 56
_INSIDE = 18
_HEAD = 38


@dataclass(slots=True)
class PlacedHost:
    """A host drawn for itself. `plugs`: where its cards' ends towards wires are, from its left and from its bottom."""

    drawing: Drawing
    plugs: Mapping[tuple[str, int], tuple[float, float]]


def broken(items: Sequence[T], widths: Sequence[float], gap: float, most: float) -> list[list[T]]:
    """Items in rows that are about equally wide."""
    total = sum(widths) + gap * len(widths)
    target = total / max(math.ceil(total / most), 1)
    made: list[list[T]] = [[]]
    used = 0.0
    for item, wide in zip(items, widths, strict=True):
        if made[-1] and (used + wide > most or used + wide / 2 > target):
            made.append([])
            used = 0
        made[-1].append(item)
        used += wide + gap
    return made


@dataclass(slots=True)
class _Row:
    """Boxes beside each other with their left edges."""

    sized: list[Sized]
    places: list[float] = field(default_factory=list)

    @property
    def height(self) -> float:
        """The height of the highest."""
        return max((each.height for each in self.sized), default=0)

    def level(self) -> None:
        """Give all boxes the same head, so that their ports stand at one height."""
        head = max((each.header for each in self.sized), default=0)
        for each in self.sized:
            each.header = head

    def pins(self, nets: Sequence[Net]) -> list[Pin]:
        """The ends of nets at these boxes; y is from the row's top, 0 for cards."""
        places = {each.box.key: (x, each) for x, each in zip(self.places, self.sized, strict=True)}
        found = [(net, end, *places[end.box]) for net in nets for end in net.ends if end.box in places]
        return [
            Pin(net, end, x + each.pin(end.port), 0 if each.box.kind is BoxKind.CARD else each.height)
            for net, end, x, each in found
        ]


def host_layout(host: HostPicture, widest: float) -> PlacedHost:
    """Draw a host; no row of boxes is wider than `widest`."""
    rows, direct = _rows(host, widest)
    nets = [net for net in host.nets if net.key not in direct]
    risers = _risers(nets, _pins(rows, nets), len(rows))
    left = _INSIDE + channels.gutter_width(risers)
    for row in rows:
        row.places = [x + left for x in row.places]
    pins = _pins(rows, nets)
    cards = _cards(host, nets, pins, left)
    pins[-1] += [replace(pin, up=True) for pin in cards.pins(nets)]
    drawing = Drawing.empty()
    drawing.texts.append(Text(_INSIDE, 25, host.name, Style.HOST))
    title = width(host.name, Style.HOST) + 12
    drawing.texts.append(Text(_INSIDE + title, 25, " · ".join(host.notes), Style.NOTE))
    top = float(_HEAD)
    planned = []
    for row, own in zip(rows, pins, strict=True):
        _draw_row(row, top, drawing)
        drawing.lines += _direct_lines(row, host.nets, direct, top)
        channel = channels.plan(nets, [pin if pin.up else replace(pin, y=top + pin.y) for pin in own], risers, _INSIDE)
        channels.place(channel, top + row.height)
        planned.append(channel)
        last = row is rows[-1] and not cards.sized
        top += row.height + channel.height + (0 if last or not (row.sized or channel.lanes) else _GAP)
        channels.land(channel, top)
    channels.draw(planned, risers, _INSIDE, drawing)
    plugs = _draw_cards(cards, top, drawing)
    corners = list(drawing.everything())
    drawing.width = max(x for x, _ in corners) + _INSIDE
    drawing.height = max(y for _, y in corners) + _INSIDE
    drawing.shapes.insert(0, Shape(host.name, None, 0, 0, drawing.width, drawing.height))
    return PlacedHost(drawing, {key: (x, drawing.height - y) for key, (x, y) in plugs.items()})


# --- who stands where -------------------------------------------------------------------------------------------------


def _rows(host: HostPicture, widest: float) -> tuple[list[_Row], Direct]:
    """The boxes in rows, of which those that lead to cards are the lower ones; at least one row."""
    sequence = ordered(host.boxes, host.nets)
    widths = [_sized(box, host.nets, sequence, {}).width for box in sequence]
    keys = broken(sequence, widths, _GAP, widest)
    if _carded(host, keys[0]) > _carded(host, keys[-1]):
        keys.reverse()
    direct = _direct(host.nets, keys)
    rows = [_Row([_sized(box, host.nets, sequence, direct) for box in row]) for row in keys]
    for row in rows:
        row.level()
        x = 0.0
        for before, each in itertools.pairwise((None, *row.sized)):
            assert each is not None
            if before is not None:
                pair = (before.box.key, each.box.key)
                x += before.width + (_LINKED_GAP if pair in direct.values() else _GAP)
            row.places.append(x)
    return rows, direct


def _carded(host: HostPicture, boxes: Sequence[Box]) -> int:
    """How many nets lead from these boxes to cards, and not only by routing."""
    keys, cards = {box.key for box in boxes}, {card.key for card in host.cards}
    joined = [net for net in host.nets if any(end.box in cards and not end.routed for end in net.ends)]
    return sum(any(end.box in keys for end in net.ends) for net in joined)


def _sized(box: Box, nets: Sequence[Net], sequence: Sequence[Box], direct: Direct) -> Sized:
    """A box with its ports in the order of where they lead."""
    place = {each.key: number for number, each in enumerate(sequence)}
    own = place.get(box.key, 0)
    pull: dict[int, float] = {}
    labels = [""] * len(box.ports)
    for net in nets:
        for end in net.ends:
            if end.box == box.key:
                others = [place[other.box] for other in net.ends if other.box in place and other.box != box.key]
                pull[end.port] = sum(others) / len(others) if others else own
                if net.key in direct:
                    pull[end.port] = -1 if direct[net.key][1] == box.key else len(sequence)
                labels[end.port] = "" if box.kind is BoxKind.CARD else end.label
    order = sorted(range(len(box.ports)), key=lambda number: (pull.get(number, own), number))
    return boxes.size(box, order, labels)


def _direct(nets: Sequence[Net], rows: Sequence[Sequence[Box]]) -> Direct:
    """One link for each pair of neighbours that have any."""
    found: dict[str, tuple[str, str]] = {}
    links = [net for net in nets if net.kind is NetKind.LINK and len(net.ends) == 2]
    for row in rows:
        for one, other in itertools.pairwise(row):
            joining = [net for net in links if {end.box for end in net.ends} == {one.key, other.key}]
            if joining:
                found[joining[0].key] = (one.key, other.key)
    return found


def _pins(rows: Sequence[_Row], nets: Sequence[Net]) -> list[list[Pin]]:
    """The ends of nets by the channel in which they are: that below their box.

    The lower end of a link between a row and the next is in the channel between them, and goes up.
    """
    found = [row.pins(nets) for row in rows]
    for number in range(len(rows) - 1):
        below = {pin.net.key: pin for pin in found[number + 1] if len(pin.net.ends) == 2}
        for pin in [*found[number]]:
            other = below.get(pin.net.key)
            if pin.net.kind is NetKind.LINK and other is not None and not pin.up:
                found[number + 1].remove(other)
                name = _port_name(rows[number + 1], other)
                found[number].append(replace(other, up=True, name=name))
    return found


def _port_name(row: _Row, pin: Pin) -> str:
    return next(each.box.ports[pin.end.port].name for each in row.sized if each.box.key == pin.end.box)


def _risers(nets: Sequence[Net], pins: Sequence[Sequence[Pin]], rows: int) -> dict[str, int]:
    """The nets that go from channel to channel: their ends are in several, or in one above the last and at a card."""
    risers = channels.gutter(nets, pins)
    here = [{pin.net.key: sum(each.net.key == pin.net.key for each in row) for pin in row} for row in pins]
    for net in nets:
        inside = sum(row.get(net.key, 0) for row in here)
        if net.key not in risers and inside < len(net.ends) and any(net.key in row for row in here[: rows - 1]):
            risers[net.key] = len(risers)
    return risers


def _cards(host: HostPicture, nets: Sequence[Net], pins: Sequence[Sequence[Pin]], left: float) -> _Row:
    """The cards in a row, each as near as may be below what it is joined to."""
    above: dict[str, list[float]] = {}
    for row in pins:
        for pin in row:
            above.setdefault(pin.net.key, []).append(pin.x)
    wanted: dict[str, float] = {}
    for card in host.cards:
        joined = [net.key for net in nets for end in net.ends if end.box == card.key and net.key in above]
        centers = [sum(above[key]) / len(above[key]) for key in joined]
        wanted[card.key] = sum(centers) / len(centers) if centers else math.inf
    sequence = sorted(host.cards, key=lambda card: wanted[card.key])
    cards = _Row([_sized(card, nets, sequence, {}) for card in sequence])
    cards.level()
    x = left
    for each in cards.sized:
        wish = wanted[each.box.key]
        x = max(x, wish - each.width / 2) if wish < math.inf else x
        cards.places.append(x)
        x += each.width + _GAP
    return cards


# --- drawing ----------------------------------------------------------------------------------------------------------


def _draw_row(row: _Row, top: float, into: Drawing) -> None:
    for each, x in zip(row.sized, row.places, strict=True):
        boxes.draw(each, x, top, into)


def _draw_cards(cards: _Row, top: float, into: Drawing) -> dict[tuple[str, int], tuple[float, float]]:
    """Draw the cards; where their plugs are."""
    _draw_row(cards, top, into)
    plugs = {}
    for each, x in zip(cards.sized, cards.places, strict=True):
        for number in range(len(each.box.plugs)):
            share = (number + 1) / (len(each.box.plugs) + 1)
            plugs[each.box.key, number] = (x + each.width * share, top + each.height)
    return plugs


def _direct_lines(row: _Row, nets: Sequence[Net], direct: Direct, top: float) -> list[Line]:
    places = {each.box.key: (x, each) for x, each in zip(row.places, row.sized, strict=True)}
    made = []
    for net in nets:
        if net.key in direct and direct[net.key][0] in places:
            (x, one), (end, _) = (places[key] for key in direct[net.key])
            y = top + one.beside()
            made.append(Line(((x + one.width, y), (end, y)), net.tag, many=any(each.count > 1 for each in net.ends)))
    return made
