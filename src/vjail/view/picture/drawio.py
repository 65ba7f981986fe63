"""A drawing as a file of draw.io (diagrams.net): every box, bar and line can be moved there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from vjail.view.picture.drawing import Drawing, Shape
from vjail.view.picture.model import BoxKind, NetKind, Picture
from vjail.view.picture.svg import LIGHT
from vjail.view.picture.wording import box_lines, joints, net_lines

_STYLES: Mapping[BoxKind | NetKind | None, str] = {
    None: "rounded=1;arcSize=3;fillColor=#f4f7fa;strokeColor=#9aa9b8;verticalAlign=top;align=left;spacingLeft=12;",
    BoxKind.JAIL: "rounded=1;arcSize=5;fillColor=#ffffff;strokeColor=#52636f;",
    BoxKind.SHARED: "rounded=1;arcSize=5;dashed=1;fillColor=#ffffff;strokeColor=#9aa9b8;",
    BoxKind.STOPPED: "rounded=1;arcSize=5;dashed=1;fillColor=#ffffff;strokeColor=#9aa9b8;",
    BoxKind.HOST: "rounded=1;arcSize=5;fillColor=#e9edf1;strokeColor=#9aa9b8;",
    BoxKind.PATCH: "rounded=1;arcSize=5;fillColor=#e9edf1;strokeColor=#9aa9b8;",
    BoxKind.CARD: "rounded=1;arcSize=5;fillColor=#e9edf1;strokeColor=#9aa9b8;",
    NetKind.BRIDGE: "rounded=1;arcSize=20;fillColor=#dbe7f3;strokeColor=#5f87ad;",
    NetKind.WIRE: "rounded=1;arcSize=20;fillColor=#e8e2d4;strokeColor=#a3937a;",
}


def as_drawio(picture: Picture, drawing: Drawing) -> str:
    """The file."""
    return "".join(f"{line}\n" for line in _file(picture, drawing))


def _file(picture: Picture, drawing: Drawing) -> Iterator[str]:
    texts = {host.name: [" · ".join((host.name, *host.notes))] for host in picture.hosts}
    texts |= {box.key: box_lines(box) for host in picture.hosts for box in (*host.boxes, *host.cards)}
    nets = [*(net for host in picture.hosts for net in host.nets), *picture.wires]
    texts |= {net.key: net_lines(net) for net in nets if net.kind is not NetKind.LINK}
    cells: dict[str, str] = {}
    yield '<mxfile host="vjail">'
    yield f'<diagram name="{escape(picture.name)}"><mxGraphModel><root><mxCell id="0"/><mxCell id="1" parent="0"/>'
    for number, shape in enumerate(drawing.shapes):
        if shape.kind is None or shape.key not in cells:
            cells.setdefault(shape.key if shape.kind is not None else f"host {shape.key}", f"s{number}")
        yield _vertex(
            f"s{number}", " · ".join(texts[shape.key]) if _is_bar(shape) else "\n".join(texts[shape.key]), shape
        )
    tags = {tag: LIGHT[number % len(LIGHT)] for number, tag in enumerate(picture.tags)}
    number = 0
    for net in nets:
        for one, other, text, end in joints(picture, net):
            tag = end.tag if end.tag is not None else net.tag if net.kind is NetKind.LINK else None
            style = f"strokeColor={tags[tag]};strokeWidth=2;" if tag is not None else "strokeColor=#52636f;"
            style += "dashed=1;" if end.routed or net.cut else ""
            yield _edge(f"e{number}", text, (cells[one], cells[other]), style)
            number += 1
    yield "</root></mxGraphModel></diagram>"
    yield "</mxfile>"


def _is_bar(shape: Shape) -> bool:
    return isinstance(shape.kind, NetKind)


def _vertex(cell: str, text: str, shape: Shape) -> str:
    size = f'x="{shape.x:.0f}" y="{shape.y:.0f}" width="{shape.width:.0f}" height="{shape.height:.0f}"'
    value = escape(escape(text, quote=False).replace("\n", "<br>"))
    return (
        f'<mxCell id="{cell}" value="{value}" style="html=1;whiteSpace=wrap;fontSize=11;{_STYLES[shape.kind]}" '
        f'vertex="1" parent="1"><mxGeometry {size} as="geometry"/></mxCell>'
    )


def _edge(cell: str, text: str, ends: Sequence[str], style: str) -> str:
    return (
        f'<mxCell id="{cell}" value="{escape(text)}" style="html=1;endArrow=none;edgeStyle=orthogonalEdgeStyle;'
        f'fontSize=9;{style}" edge="1" parent="1" source="{ends[0]}" target="{ends[1]}">'
        '<mxGeometry relative="1" as="geometry"/></mxCell>'
    )
