"""A picture as text for Graphviz (graphviz.org/doc/info/lang.html)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vjail.view.picture.model import Box, BoxKind, End, Net, NetKind, Picture
from vjail.view.picture.wording import box_lines, joints, net_lines

_STYLES = {BoxKind.CARD: ' style="filled" fillcolor="#e9edf1"', BoxKind.SHARED: " style=dashed"}


def as_dot(picture: Picture) -> str:
    """The graph."""
    return "".join(f"{line}\n" for line in _lines(picture))


def _lines(picture: Picture) -> Iterator[str]:
    yield f"graph {_quoted([picture.name])} {{"
    yield '  node [shape=box fontname="Helvetica" fontsize=11]; edge [fontname="Helvetica" fontsize=9];'
    for number, host in enumerate(picture.hosts):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={_quoted([host.name, *host.notes])};"
        for box in (*host.boxes, *host.cards):
            yield f"    {_quoted([box.key])} [label={_quoted(box_lines(box))}{_style(box)}];"
        for net in host.nets:
            if net.kind is NetKind.BRIDGE:
                yield f"    {_net(net, '#dbe7f3')}"
        yield "  }"
    for net in picture.wires:
        yield f"  {_net(net, '#e8e2d4')}"
    for net in (*(net for host in picture.hosts for net in host.nets), *picture.wires):
        for one, other, text, end in joints(picture, net):
            yield f"  {_quoted([one])} -- {_quoted([other])}{_edge(net, end, text)};"
    yield "}"


def _net(net: Net, color: str) -> str:
    return f'{_quoted([net.key])} [label={_quoted(net_lines(net))} style="filled,rounded" fillcolor="{color}"];'


def _style(box: Box) -> str:
    return _STYLES.get(BoxKind.SHARED if box.kind is BoxKind.STOPPED else box.kind, "")


def _edge(net: Net, end: End, text: str) -> str:
    parts = [f"label={_quoted([text])}"] if text else []
    if end.routed or net.cut:
        parts.append("style=dashed")
    return f" [{' '.join(parts)}]" if parts else ""


def _quoted(lines: Sequence[str]) -> str:
    text = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return f'"{text}"'
