"""A picture in words, for a terminal, a mail, or a diff."""

from __future__ import annotations

from collections.abc import Iterator

from vjail.view.picture.model import BoxKind, NetKind, Picture
from vjail.view.picture.wording import joints, named, titles


def as_text(picture: Picture) -> str:
    """The picture in words."""
    return "".join(f"{line}\n" for line in _lines(picture))


def _lines(picture: Picture) -> Iterator[str]:
    names = titles(picture)
    yield f"{picture.name}: {picture.summary()}"
    for host in picture.hosts:
        yield f"{host.name}  {' · '.join(host.notes)}"
        for box in (*host.boxes, *host.cards):
            yield f"  {'  '.join((named(box), *box.notes))}"
            for port in box.ports:
                if port.name and box.kind is not BoxKind.CARD:
                    yield f"    {'  '.join((port.name, *port.lines))}"
        for net in host.nets:
            if net.kind is NetKind.BRIDGE:
                yield f"  {' · '.join((net.title, *net.notes))}"
            for one, other, text, end in joints(picture, net):
                words = f"  ({text})" if text else ""
                if net.kind is NetKind.BRIDGE:
                    yield f"    {'┄' if end.routed else '─'} {names[one]}{words}"
                else:
                    yield f"  {names[one]} ─ {names[other]}{words}"
    for net in picture.wires:
        yield " · ".join((f"wire {net.title}", *net.notes))
        for one, _, text, _ in joints(picture, net):
            yield f"  ─ {one.replace('/', ' ')}{f'  ({text})' if text else ''}"
