"""What boxes, nets and joints are called in formats that place things themselves."""

from __future__ import annotations

from collections.abc import Iterator

from vjail.view.picture.model import Box, BoxKind, End, Net, NetKind, Picture


def named(box: Box) -> str:
    """A box's title, with the number of those it stands for."""
    return f"{box.title} × {box.count}" if box.count > 1 else box.title


def box_lines(box: Box) -> list[str]:
    """All that stands in a box."""
    ports = [" ".join((port.name, *port.lines)) for port in box.ports if port.name and box.kind is not BoxKind.CARD]
    return [named(box), *box.notes, *ports]


def net_lines(net: Net) -> list[str]:
    """All that stands on a net's bar."""
    return [net.title, *net.notes]


def titles(picture: Picture) -> dict[str, str]:
    """What boxes and nets are called, by key."""
    found = {box.key: named(box) for host in picture.hosts for box in (*host.boxes, *host.cards)}
    return found | {net.key: net.title for host in picture.hosts for net in host.nets}


def joints(picture: Picture, net: Net) -> Iterator[tuple[str, str, str, End]]:
    """The pairs that a net joins: two keys, the words on the way, and the end that says how it is."""
    ports = {box.key: box.ports for host in picture.hosts for box in (*host.boxes, *host.cards)}

    def port(end: End) -> str:
        return ports[end.box][end.port].name if net.kind is not NetKind.WIRE else ""

    if net.kind is not NetKind.LINK:
        for end in net.ends:
            names = [name for name in (port(end), end.label) if name]
            yield end.box, net.key, " – ".join(names), end
        return
    first, *rest = net.ends
    for end in rest:
        names = [name for name in (port(first), port(end)) if name]
        yield first.box, end.box, " – ".join(names), end
