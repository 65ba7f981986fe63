"""A large picture made small: boxes that are alike become one with a count.

Alike are jails of one name but for the number at its end, whose ports lead to the same nets, or to jails that are alike
themselves. Where that is not enough, those that lead to the same places whatever their names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from vjail.view.picture.model import JAILS, Box, End, HostPicture, Net, NetKind, Picture, Port

MOST = 60
"""So many boxes are drawn each by itself."""
Stem = Callable[[Box], str]


def folded(picture: Picture) -> Picture:
    """The picture with boxes folded where there are more than can be looked at."""
    for stem in (_name_stem, _no_stem):
        if sum(len(host.boxes) for host in picture.hosts) <= MOST:
            break
        picture = replace(picture, hosts=tuple(_fold(host, stem) for host in picture.hosts))
    return picture


def _name_stem(box: Box) -> str:
    return re.sub(r"\d+$", "", box.title) if box.count == 1 else box.title


def _no_stem(box: Box) -> str:
    return ""


@dataclass(slots=True)
class _Group:
    """Boxes that become one; `ports`: the number, in the group's box, of each port of each."""

    boxes: list[Box]


def _fold(host: HostPicture, stem: Stem) -> HostPicture:
    """Fold the jails of a host."""
    stems = {box.key: f"{box.kind.value} {stem(box)}" for box in host.boxes}
    reached: dict[str, list[tuple[int, str]]] = {box.key: [] for box in host.boxes}
    for net in host.nets:
        for end in net.ends:
            if end.box in reached:
                others = [other.box for other in net.ends if other is not end]
                whither = net.key if net.kind is NetKind.BRIDGE else " ".join(stems.get(key, key) for key in others)
                reached[end.box].append((end.port, f"{whither} {end.tag}"))
    groups: dict[tuple[object, ...], _Group] = {}
    for box in host.boxes:
        ways = tuple(whither for _, whither in sorted(reached[box.key]))
        own: tuple[object, ...] = (box.key,) if box.kind not in JAILS else ()
        groups.setdefault((stems[box.key], ways, len(box.ports), *own), _Group([])).boxes.append(box)
    moved: dict[str, str] = {}
    boxes = []
    for group in groups.values():
        first = group.boxes[0]
        moved |= {box.key: first.key for box in group.boxes}
        boxes.append(_together(group.boxes))
    nets = _joined([_moved(net, moved) for net in host.nets])
    return replace(host, boxes=tuple(boxes), nets=tuple(nets))


def _together(boxes: Sequence[Box]) -> Box:
    """One box for some that are alike."""
    first, last = boxes[0], boxes[-1]
    if len(boxes) == 1:
        return first
    ports = tuple(
        Port(
            span([box.ports[at].name for box in boxes]),
            tuple(
                span(lines) for lines in zip(*(box.ports[at].lines[: _common(boxes, at)] for box in boxes), strict=True)
            ),
        )
        for at in range(len(first.ports))
    )
    notes = tuple(span(lines) for lines in zip(*(box.notes for box in boxes), strict=False))
    title = span([first.title, last.title] if first.title != last.title else [first.title])
    return replace(first, title=title, notes=notes, ports=ports, count=sum(box.count for box in boxes))


def _common(boxes: Sequence[Box], at: int) -> int:
    return min(len(box.ports[at].lines) for box in boxes)


def span(texts: Sequence[str]) -> str:
    """Several texts as one: the first and the last where they differ."""
    first, last = texts[0].partition(" … ")[0], texts[-1].rpartition(" … ")[2]
    return first if len(set(texts)) == 1 and first == last else f"{first} … {last}"


def _moved(net: Net, moved: dict[str, str]) -> Net:
    """A net with its ends at the groups' boxes; ends that fall together are one."""
    ends: dict[tuple[object, ...], list[End]] = {}
    for end in net.ends:
        box = moved.get(end.box, end.box)
        key: tuple[object, ...] = (box, end.port, end.tag, end.routed)
        if net.kind is NetKind.LINK:
            key = (*key, len(ends))
        ends.setdefault(key, []).append(replace(end, box=box))
    return replace(net, ends=tuple(_one(each) for each in ends.values()))


def _one(ends: Sequence[End]) -> End:
    return replace(ends[0], label=span([end.label for end in ends]), count=sum(end.count for end in ends))


def _joined(nets: Iterable[Net]) -> list[Net]:
    """Links that fall together are one."""
    found: dict[object, list[Net]] = {}
    for net in nets:
        where = tuple((end.box, end.port, end.tag) for end in net.ends)
        found.setdefault(where if net.kind is NetKind.LINK else net.key, []).append(net)
    joined = []
    for each in found.values():
        first, count = each[0], len(each)
        ends = tuple(replace(end, count=max(count, end.count)) for end in first.ends) if count > 1 else first.ends
        joined.append(replace(first, ends=ends))
    return joined
