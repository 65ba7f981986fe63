"""A picture as a Mermaid flowchart (mermaid.js.org/syntax/flowchart), which GitHub and others draw in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from vjail.view.picture.model import Box, BoxKind, End, Net, NetKind, Picture
from vjail.view.picture.wording import box_lines, joints, net_lines

_CLASSES = {BoxKind.CARD: "card", BoxKind.SHARED: "shared", BoxKind.STOPPED: "shared"}


def as_mermaid(picture: Picture) -> str:
    """The flowchart."""
    return "".join(f"{line}\n" for line in _lines(picture))


def _lines(picture: Picture) -> Iterator[str]:
    nodes: dict[str, str] = {}

    def node(key: str) -> str:
        return nodes.setdefault(key, f"n{len(nodes)}")

    yield "---"
    yield f"title: {picture.name}"
    yield "---"
    yield "flowchart TB"
    for number, host in enumerate(picture.hosts):
        yield f"  subgraph h{number}[{_quoted([host.name, *host.notes])}]"
        for box in (*host.boxes, *host.cards):
            yield f"    {node(box.key)}{_box(box)}"
        for net in host.nets:
            if net.kind is NetKind.BRIDGE:
                yield f"    {node(net.key)}([{_quoted(net_lines(net))}]):::bridge"
        yield "  end"
    for net in picture.wires:
        yield f"  {node(net.key)}[/{_quoted(net_lines(net))}/]:::wire"
    for net in (*(net for host in picture.hosts for net in host.nets), *picture.wires):
        for one, other, text, end in joints(picture, net):
            yield f"  {node(one)} {_arrow(net, end, text)} {node(other)}"
    yield "  classDef bridge stroke:#5f87ad,stroke-width:2px"
    yield "  classDef wire stroke:#a3937a,stroke-width:2px"
    yield "  classDef card stroke-width:1px"
    yield "  classDef shared stroke-dasharray:5 3"


def _box(box: Box) -> str:
    style = f":::{_CLASSES[box.kind]}" if box.kind in _CLASSES else ""
    return f"[{_quoted(box_lines(box))}]{style}"


def _arrow(net: Net, end: End, text: str) -> str:
    line = "-.-" if end.routed or net.cut else "---"
    return f"{line}|{_quoted([text])}|" if text else line


def _quoted(lines: list[str]) -> str:
    text = "<br/>".join(line.replace("&", "#amp;").replace("<", "#lt;").replace('"', "#quot;") for line in lines)
    return f'"{text}"'
