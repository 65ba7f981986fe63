"""Places for everything: the hosts (host_layout.py) in rows, the wires in channels below each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vjail.view.picture import channels
from vjail.view.picture.channels import Pin
from vjail.view.picture.drawing import Drawing, Style, Text, width
from vjail.view.picture.host_layout import PlacedHost, broken, host_layout
from vjail.view.picture.model import Net, Picture

_SLIDE = (1600, 900)
_ONE_HOST = ((1000, 1000), (1500, 1500), (2100, 2100))
_HOSTS = tuple((boxes, hosts) for hosts in (1700, 2500, 3400) for boxes in (500, 750, 1100, 1500))
"""Where a row of boxes, and one of hosts, is broken."""
_MARGIN = 24
_HOSTS_APART = 36
_HEAD = 52
_BELOW = 16


def layout(picture: Picture) -> Drawing:
    """The picture with places: of some ways to break rows, that which is largest on a slide."""
    drawings = [_laid_out(picture, *ways) for ways in (_ONE_HOST if len(picture.hosts) == 1 else _HOSTS)]
    return min(drawings, key=lambda made: max(made.width / _SLIDE[0], made.height / _SLIDE[1], 1))


def _laid_out(picture: Picture, widest: float, widest_row: float) -> Drawing:
    """The picture, of which no row of boxes and no row of hosts is wider."""
    hosts = [host_layout(host, widest) for host in picture.hosts]
    rows = broken(hosts, [host.drawing.width for host in hosts], _HOSTS_APART, widest_row)
    made = Drawing.empty()
    plugged = [_plugs(picture.wires, row) for row in rows]
    placed = [_beside([host.drawing.width for host in row]) for row in rows]
    pins = [
        [Pin(pin.net, pin.end, pin.x + x, pin.y, pin.up) for x, own in zip(places, of_row, strict=True) for pin in own]
        for places, of_row in zip(placed, plugged, strict=True)
    ]
    risers = channels.gutter(picture.wires, pins)
    left = _MARGIN + channels.gutter_width(risers)
    top = float(_HEAD)
    made.texts.append(Text(_MARGIN, 34, picture.name, Style.LAB))
    summary = Text(_MARGIN + width(picture.name, Style.LAB) + 16, 34, picture.summary(), Style.NOTE)
    made.texts.append(summary)
    planned = []
    for row, places, of_row in zip(rows, placed, pins, strict=True):
        bottom = top + max(host.drawing.height for host in row)
        for host, x in zip(row, places, strict=True):
            made.add(host.drawing, left + x, bottom - host.drawing.height)
        moved = [Pin(pin.net, pin.end, pin.x + left, bottom - pin.y, False) for pin in of_row]
        channel = channels.plan(picture.wires, moved, risers, _MARGIN)
        channels.place(channel, bottom)
        planned.append(channel)
        top = bottom + channel.height + _BELOW
    channels.draw(planned, risers, _MARGIN, made)
    corners = list(made.everything())
    made.width = math.ceil(max((x for x, _ in corners), default=0) + _MARGIN)
    made.height = math.ceil(max((y for _, y in corners), default=0) + _MARGIN)
    return made


def _plugs(wires: Sequence[Net], row: Sequence[PlacedHost]) -> list[list[Pin]]:
    """The ends of wires at each host of a row; y is counted from the row's bottom upwards."""
    return [
        [
            Pin(net, end, *host.plugs[end.box, end.port])
            for net in wires
            for end in net.ends
            if (end.box, end.port) in host.plugs
        ]
        for host in row
    ]


def _beside(widths: Sequence[float]) -> list[float]:
    places, x = [], 0.0
    for wide in widths:
        places.append(x)
        x += wide + _HOSTS_APART
    return places
