"""Pictures are measured: no texts on each other, no box on another, no line through one, each from box to box."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from picture_labs import bridge, interface, jail, lab

from vjail.kernel.conditions import Conditions
from vjail.kernel.observed import Kind, Lagg, LaggPort, LaggPortFlag, LaggProtocol
from vjail.view.picture import Format, folded, gather, rendered
from vjail.view.picture.drawing import Drawing, Line, Shape
from vjail.view.picture.fold import MOST
from vjail.view.picture.layout import layout
from vjail.view.picture.model import Box, BoxKind, End, HostPicture, Net, NetKind, Picture, Port
from vjail.view.topology import HostView, JailView, LabView, Stack

GOLDEN = Path(__file__).parent / "pictures"
SIZES = [(1, 1, 1), (3, 1, 1), (6, 1, 2), (6, 3, 2), (20, 1, 3), (20, 4, 2), (60, 1, 4), (1000, 1, 3), (400, 3, 5)]
"""Jails on each host, hosts, bridges on each."""


def picture(count: int, hosts: int, bridges: int) -> Picture:
    return folded(gather(*lab(count, hosts, bridges)))


def check(drawing: Drawing) -> None:
    """What every drawing must fulfil."""
    assert list(overlapping_texts(drawing)) == []
    assert list(outside(drawing)) == []
    assert list(overlapping_boxes(drawing)) == []
    assert list(through_boxes(drawing)) == []
    assert [line for line in drawing.lines if not all(is_held(end, line, drawing) for end in ends(line))] == []


def overlapping_texts(drawing: Drawing) -> Iterator[tuple[str, str]]:
    extents = sorted((text.extent, text.text) for text in drawing.texts)
    for number, (one, name) in enumerate(extents):
        for other, other_name in extents[number + 1 :]:
            if other[0] >= one[2]:
                break
            if one[1] < other[3] and other[1] < one[3]:
                yield name, other_name


def outside(drawing: Drawing) -> Iterator[str]:
    """Texts that are not within the picture, or partly in a box."""
    boxes = [shape for shape in drawing.shapes if shape.kind is not None]
    for text in drawing.texts:
        left, top, right, bottom = text.extent
        if left < 0 or top < 0 or right > drawing.width or bottom > drawing.height:
            yield text.text
        for box in boxes:
            apart = left >= box.right or right <= box.x or top >= box.bottom or bottom <= box.y
            within = left >= box.x and right <= box.right and top >= box.y and bottom <= box.bottom
            if not apart and not within:
                yield text.text


def overlapping_boxes(drawing: Drawing) -> Iterator[tuple[str, str]]:
    hosts = [shape for shape in drawing.shapes if shape.kind is None]
    for group in (hosts, [shape for shape in drawing.shapes if shape.kind is not None]):
        for one, other in itertools.combinations(group, 2):
            if one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom:
                yield one.key, other.key


def through_boxes(drawing: Drawing) -> Iterator[tuple[str, Line]]:
    boxes = [shape for shape in drawing.shapes if isinstance(shape.kind, BoxKind)]
    for line in drawing.lines:
        for (x1, y1), (x2, y2) in itertools.pairwise(line.points):
            assert x1 == x2 or y1 == y2, line
            for box in boxes:
                beside = min(x1, x2) >= box.right - 0.1 or max(x1, x2) <= box.x + 0.1
                if not beside and min(y1, y2) < box.bottom - 0.1 and max(y1, y2) > box.y + 0.1:
                    yield box.key, line


def ends(line: Line) -> tuple[tuple[float, float], tuple[float, float]]:
    return line.points[0], line.points[-1]


def is_held(end: tuple[float, float], line: Line, drawing: Drawing) -> bool:
    """Whether an end of a line is at the edge of a box or within a bar, or on another line."""
    x, y = end
    if any(touches(shape, x, y) for shape in drawing.shapes if shape.kind is not None):
        return True
    return any(on(other, x, y) for other in drawing.lines if other is not line)


def touches(shape: Shape, x: float, y: float) -> bool:
    """Whether a point is in a bar, or at the edge of a box."""
    inner = shape.x + 0.1 < x < shape.right - 0.1 and shape.y + 0.1 < y < shape.bottom - 0.1
    if inner and isinstance(shape.kind, BoxKind):
        return False
    return shape.x - 0.1 <= x <= shape.right + 0.1 and shape.y - 0.1 <= y <= shape.bottom + 0.1


def on(line: Line, x: float, y: float) -> bool:
    return any(
        min(x1, x2) - 0.1 <= x <= max(x1, x2) + 0.1 and min(y1, y2) - 0.1 <= y <= max(y1, y2) + 0.1
        for (x1, y1), (x2, y2) in itertools.pairwise(line.points)
    )


@pytest.mark.parametrize(("count", "hosts", "bridges"), SIZES)
def test_pictures_of_all_sizes(count: int, hosts: int, bridges: int) -> None:
    found = picture(count, hosts, bridges)
    drawing = layout(found)
    check(drawing)
    assert sum(len(host.boxes) for host in found.hosts) <= MOST + hosts * 20
    assert max(drawing.width / 1600, drawing.height / 900) < 2, "it cannot be read on a slide"
    jails = sum(box.count for host in found.hosts for box in host.boxes if box.kind is BoxKind.JAIL)
    assert jails == count * hosts


def test_a_thousand_jails_are_a_few_boxes() -> None:
    found = picture(1000, 1, 3)
    assert len(found.hosts[0].boxes) < 12
    assert "node" in rendered(found, Format.TEXT)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize(("count", "hosts", "bridges"), [(3, 1, 1), (6, 3, 2)])
def test_the_same_lab_has_the_same_bytes(form: Format, count: int, hosts: int, bridges: int) -> None:
    text = rendered(picture(count, hosts, bridges), form)
    assert text == rendered(picture(count, hosts, bridges), form)
    golden = GOLDEN / f"{count}-{hosts}-{bridges}.{form.value}"
    assert text == golden.read_text(), f"look at it; where it is right, write it to {golden}"


@pytest.mark.parametrize("form", [Format.SVG, Format.DRAWIO])
@pytest.mark.parametrize(("count", "hosts", "bridges"), SIZES)
def test_xml_is_well_formed(form: Format, count: int, hosts: int, bridges: int) -> None:
    root = ElementTree.fromstring(rendered(picture(count, hosts, bridges), form))
    if form is Format.SVG:
        names = [element.tag.rpartition("}")[2] for element in root]
        assert names[:3] == ["title", "desc", "style"]
        assert "viewBox" in root.attrib
        assert "prefers-color-scheme:dark" in (root[2].text or "")
    else:
        cells = {cell.attrib["id"]: cell for cell in root.iter("mxCell")}
        edges = [cell for cell in cells.values() if "edge" in cell.attrib]
        assert edges
        assert all(cell.attrib["source"] in cells and cell.attrib["target"] in cells for cell in edges)


def test_a_lagg_has_the_plugs_of_its_ports() -> None:
    ports = tuple(LaggPort(name, LaggPortFlag(0)) for name in ("em0", "em1"))
    lagg = replace(interface("lagg0", Kind.LAGG, "lagg0", "192.0.2.1"), lagg=Lagg(LaggProtocol.LACP, ports))
    nics = (interface("em0", Kind.NIC, "em0"), interface("em1", Kind.NIC, "em1"))
    host = HostView("a", "13", Stack((*nics, lagg)), (), {"em0": "left", "em1": "right"})
    found = gather(LabView("lab", "/lab", [host]), {})
    assert [(card.title, card.notes, card.plugs) for card in found.hosts[0].cards] == [
        ("lagg0", ("lacp: em0 em1", "192.0.2.1/16"), ("em0", "em1"))
    ]
    assert [(wire.title, wire.ends) for wire in found.wires] == [
        ("left", (End("a/lagg0", 0),)),
        ("right", (End("a/lagg0", 1),)),
    ]
    check(layout(found))


def test_what_leads_nowhere_is_drawn_too() -> None:
    """An epair between two bridges, a bridge within a jail, a stopped jail, one on the host's stack, a cut wire."""
    epairs = [interface(name, Kind.EPAIR, name[:-1]) for name in ("epair0a", "epair0b", "epair1a")]
    bridges = (bridge("bridge0", ["epair0a", "epair1a"]), bridge("bridge1", ["epair0b"]))
    inner = (interface("epair1b", Kind.EPAIR, "epair1"), bridge("bridge2", ["epair1b"], "10.0.0.1"))
    jails = [
        jail(1, "router", *inner),
        JailView(0, "off", "/", "", "stopped", 0, None),
        JailView(3, "shared", "/", "", "active", 1, None, None, ("192.0.2.1",)),
    ]
    own = (interface("em0", Kind.NIC, "em0", "192.0.2.1"), *epairs, *bridges)
    hosts, slow = [HostView("a", "13", Stack(own), jails, {"em0": "w"})], Conditions(20_000_000, 5_000, 10_000_000)
    lab = LabView("lab", "/lab", hosts, {"w"}, {"w": "eth1"}, {"w": slow})
    found = gather(lab, {})
    assert rendered(found, Format.TEXT) == (GOLDEN / "odd.text").read_text()
    check(layout(found))


def test_names_cannot_become_markup() -> None:
    box = Box("h/<b>", BoxKind.JAIL, '<b>&"', ports=(Port("epair0b"),))
    net = Net("h/n", NetKind.BRIDGE, "<i>&", (), (End(box.key, 0, "<u>"),))
    found = Picture("a<b", (HostPicture("h&", (), (box,), (), (net,)),), ())
    assert "<b>" not in rendered(found, Format.SVG)
    assert "<u>" not in rendered(found, Format.MERMAID)
    ElementTree.fromstring(rendered(found, Format.SVG))
    ElementTree.fromstring(rendered(found, Format.DRAWIO))


def test_long_names_have_room() -> None:
    boxes = tuple(Box(f"h/{name}", BoxKind.JAIL, name, ports=(Port("b"), Port("c"))) for name in "xyz")
    ends = tuple(End(box.key, port, "an-interface-name-of-30-letters") for box in boxes for port in (0, 1))
    nets = (Net("h/n", NetKind.BRIDGE, "bridge0", (), ends),)
    check(layout(Picture("names", (HostPicture("h", (), boxes, (), nets),), ())))


NAMES = some.text("abcdefghij0123456789.:/-", min_size=1, max_size=24)


@some.composite
def pictures(draw: some.DrawFn) -> Picture:
    """Any picture: boxes of some ports, each port in at most one net."""
    hosts = []
    plugs: list[str] = []
    for number in range(draw(some.integers(1, 3))):
        boxes = [draw_box(draw, f"{number}/b{at}", BoxKind.JAIL) for at in range(draw(some.integers(0, 9)))]
        cards = [draw_box(draw, f"{number}/c{at}", BoxKind.CARD) for at in range(draw(some.integers(0, 3)))]
        plugs += [card.key for card in cards]
        free = [End(box.key, port) for box in (*boxes, *cards) for port in range(len(box.ports))]
        nets = []
        while len(free) > 1:
            size = draw(some.integers(1, min(len(free), 6)))
            taken = [free.pop(draw(some.integers(0, len(free) - 1))) for _ in range(size)]
            upper = any(end.box.startswith(f"{number}/b") for end in taken)
            link = size == 2 and upper and draw(some.booleans())
            kind = NetKind.LINK if link else NetKind.BRIDGE
            labelled = [End(end.box, end.port, "" if link else draw(NAMES)) for end in taken]
            nets.append(Net(f"{number}/n{len(nets)}", kind, "" if link else draw(NAMES), (), tuple(labelled)))
        hosts.append(HostPicture(f"host{number}", ("FreeBSD 13",), tuple(boxes), tuple(cards), tuple(nets)))
    half = len(plugs) // 2
    wires = [
        Net(f"w{at}", NetKind.WIRE, f"wire{at}", (), tuple(End(key, 0) for key in keys))
        for at, keys in enumerate((plugs[:half], plugs[half:]))
        if keys
    ]
    return Picture("random", tuple(hosts), tuple(wires))


def draw_box(draw: some.DrawFn, key: str, kind: BoxKind) -> Box:
    ports = tuple(
        Port(draw(NAMES), tuple(draw(some.lists(NAMES, max_size=2)))) for _ in range(draw(some.integers(0, 3)))
    )
    notes = tuple(draw(some.lists(NAMES, max_size=2)))
    return Box(key, kind, draw(NAMES), notes, ports, ("em",) if kind is BoxKind.CARD else ())


@settings(max_examples=150, deadline=None)
@given(pictures())
def test_any_picture(found: Picture) -> None:
    check(layout(found))
