"""The ways of nets between rows of boxes: bars and lines in the channel below each row, joined at the left where a net
has ends at several rows.

All ways are level or upright: an end goes straight down from its box (or up from a box below the last channel) to its
net's bar or line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from vjail.view.picture.drawing import Drawing, Line, Shape, Style, Text, width
from vjail.view.picture.model import End, Net, NetKind

BAR = 22
"""The height of a bar."""
_ABOVE_BAR = 24
"""Room above it, in which the names of ends stand."""
_ABOVE_LINE = 14
_BESIDE = 18
_OVERHANG = 14
_RISER = 14
_NEARLY = 10
"""Ends that are no farther apart than this lie below one another."""


@dataclass(frozen=True, slots=True)
class Pin:
    """Where an end of a net leaves its box; `up`: upwards, from below the channel."""

    net: Net
    end: End
    x: float
    y: float
    up: bool = False
    name: str = ""
    """What stands beside it, where it does not leave at its port's name."""


@dataclass(slots=True)
class _Segment:
    """A net in one channel."""

    net: Net
    pins: list[Pin]
    left: float
    right: float
    text: str = ""
    y: float = 0

    @property
    def reach(self) -> float:
        """Its right edge, or that of what stands beside its ends."""
        named = [pin.x + 5 + width(pin.end.label, Style.MONO) for pin in self.pins if not pin.up]
        return max(self.right, *named) if _is_bar(self) and named else self.right


@dataclass(slots=True)
class Channel:
    """The ways below one row. `top` and `bottom` are set when it is placed."""

    segments: list[_Segment] = field(default_factory=list)
    lanes: list[list[_Segment]] = field(default_factory=list)

    @property
    def height(self) -> float:
        """How much room it takes."""
        return sum(_lane_height(lane) for lane in self.lanes) + (_ABOVE_LINE if self.lanes else 0)


def gutter(nets: Iterable[Net], rows: Sequence[Sequence[Pin]]) -> dict[str, int]:
    """The nets that need a way between channels, with the number of it from the left."""
    crossing = [net.key for net in nets if sum(any(pin.net.key == net.key for pin in row) for row in rows) > 1]
    return {key: number for number, key in enumerate(crossing)}


def gutter_width(risers: dict[str, int]) -> float:
    """The room left of the boxes that these take."""
    return len(risers) * _RISER + (_RISER if risers else 0)


def plan(nets: Sequence[Net], pins: Sequence[Pin], risers: dict[str, int], left: float) -> Channel:
    """The channel for the pins of a row: which net in which lane. `left`: where the gutter begins."""
    channel = Channel()
    for net in nets:
        own = [pin for pin in pins if pin.net.key == net.key]
        if own:
            channel.segments.append(_segment(net, own, risers, left))
    for segment in _sorted(channel.segments):
        for lane in channel.lanes:
            if _is_bar(lane[0]) is _is_bar(segment) and all(_apart(segment, other) for other in lane):
                lane.append(segment)
                break
        else:
            channel.lanes.append([segment])
    return channel


def _segment(net: Net, pins: list[Pin], risers: dict[str, int], left: float) -> _Segment:
    places = [pin.x for pin in pins]
    start, end = min(places), max(places)
    if net.kind is NetKind.LINK:
        if net.key in risers:
            start = left + risers[net.key] * _RISER
        elif end - start <= _NEARLY and any(pin.up for pin in pins):
            start = end = next(pin.x for pin in pins if pin.up)
            pins = [replace(pin, x=start) for pin in pins]
        return _Segment(net, pins, start, end)
    text = " · ".join((net.title, *net.notes))
    needed = width(text, Style.BAR) + 20
    start, end = start - _OVERHANG, end + _OVERHANG
    if net.key in risers:
        start = left + risers[net.key] * _RISER - 4
    elif end - start < needed:
        start = max((start + end - needed) / 2, left)
    end = max(end, start + needed)
    return _Segment(net, pins, start, end, text)


def _sorted(segments: list[_Segment]) -> list[_Segment]:
    """From above to below, so that few ways cross: adjacent ones change places as long as that helps."""
    found = sorted(segments, key=lambda each: (_is_bar(each), each.right - each.left))
    for _ in range(len(found)):
        changed = False
        for at in range(len(found) - 1):
            if _crossings(found[at + 1], found[at]) < _crossings(found[at], found[at + 1]):
                found[at], found[at + 1] = found[at + 1], found[at]
                changed = True
        if not changed:
            break
    return found


def _crossings(above: _Segment, below: _Segment) -> int:
    """How often the ends of two nets go through the other's line, if one is above the other."""
    return sum(not pin.up and above.left <= pin.x <= above.right for pin in below.pins) + sum(
        pin.up and below.left <= pin.x <= below.right for pin in above.pins
    )


def _is_bar(segment: _Segment) -> bool:
    return segment.net.kind is not NetKind.LINK


def _apart(one: _Segment, other: _Segment) -> bool:
    return one.reach + _BESIDE < other.left or other.reach + _BESIDE < one.left


def _lane_height(lane: Sequence[_Segment]) -> float:
    return _ABOVE_BAR + BAR if _is_bar(lane[0]) else _ABOVE_LINE


def draw(planned: Sequence[Channel], risers: dict[str, int], left: float, into: Drawing) -> None:
    """Draw channels that have been placed."""
    for channel in planned:
        into.shapes += _shapes(channel)
        into.texts += _texts(channel)
    into.lines += _lines(planned, risers, left)


def land(channel: Channel, y: float) -> None:
    """Let the ends that come from below begin there."""
    for segment in channel.segments:
        segment.pins = [replace(pin, y=y) if pin.up else pin for pin in segment.pins]


def place(channel: Channel, top: float) -> None:
    """Give the lanes their heights, from `top` on."""
    for lane in channel.lanes:
        for segment in lane:
            segment.y = top + (_ABOVE_BAR if _is_bar(segment) else _ABOVE_LINE)
        top += _lane_height(lane)


def _shapes(channel: Channel) -> Iterable[Shape]:
    """The bars."""
    for segment in channel.segments:
        if _is_bar(segment):
            net = segment.net
            yield Shape(
                net.key,
                net.kind,
                segment.left,
                segment.y,
                segment.right - segment.left,
                BAR,
                tag=net.tag,
                cut=net.cut,
            )


def _texts(channel: Channel) -> Iterable[Text]:
    """What stands on bars, and beside the ends."""
    for segment in channel.segments:
        if not _is_bar(segment):
            for pin in segment.pins:
                if pin.name:
                    yield Text(pin.x + 5, pin.y - 5, pin.name, Style.MONO)
            continue
        yield Text((segment.left + segment.right) / 2, segment.y + 15, segment.text, Style.BAR, middle=True)
        for pin in segment.pins:
            if pin.end.label and not pin.up:
                yield Text(pin.x + 5, segment.y - 6, pin.end.label, Style.MONO)


def _lines(channels: Sequence[Channel], risers: dict[str, int], left: float) -> Iterable[Line]:
    """The ends' ways to their nets, the level parts of links, and what joins the channels."""
    for channel in channels:
        for segment in channel.segments:
            yield from _bar_lines(segment) if _is_bar(segment) else _link_lines(segment, risers, left)
    for key, number in risers.items():
        found = [segment for channel in channels for segment in channel.segments if segment.net.key == key]
        x, middle = left + number * _RISER, BAR / 2 if _is_bar(found[0]) else 0
        top, bottom = min(each.y for each in found) + middle, max(each.y for each in found) + middle
        net = found[0].net
        yield Line(((x, top), (x, bottom)), net.tag, thick=net.kind is not NetKind.LINK, cut=net.cut)


def _bar_lines(segment: _Segment) -> Iterable[Line]:
    for pin in segment.pins:
        end = segment.y + (BAR if pin.up else 0)
        cut = segment.net.cut or pin.end.label == "unplugged"
        yield Line(
            ((pin.x, pin.y), (pin.x, end)),
            pin.end.tag,
            routed=pin.end.routed,
            cut=cut,
            many=pin.end.count > 1,
            dot=not pin.end.routed,
        )


def _link_lines(segment: _Segment, risers: dict[str, int], left: float) -> Iterable[Line]:
    many = any(end.count > 1 for end in segment.net.ends)
    routed = any(end.routed for end in segment.net.ends)
    if segment.net.key in risers:
        x = left + risers[segment.net.key] * _RISER
        for pin in segment.pins:
            yield Line(((pin.x, pin.y), (pin.x, segment.y), (x, segment.y)), segment.net.tag, routed=routed, many=many)
        return
    first, *rest = segment.pins
    for pin in rest:
        points = ((first.x, first.y), (first.x, segment.y), (pin.x, segment.y), (pin.x, pin.y))
        yield Line(points, segment.net.tag, routed=routed, many=many)
