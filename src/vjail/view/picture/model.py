"""A picture without places: boxes with ports, and nets that join them.

A host's own network stack is no box: what it holds are the cards, and the bridges with their addresses. It is one
(HOST) only where an interface of its own leads somewhere, as an epair's half that is in no bridge.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class BoxKind(enum.Enum):
    """What a box is."""

    JAIL = "jail"
    SHARED = "shared"
    """A jail on another's network stack: nothing leads to it."""
    STOPPED = "stopped"
    HOST = "host"
    PATCH = "patch"
    """An epair whose two halves are in bridges of the host."""
    CARD = "card"


class NetKind(enum.Enum):
    """What joins boxes."""

    BRIDGE = "bridge"
    LINK = "link"
    WIRE = "wire"


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of a box: its name, and lines below it (addresses, a VLAN's tag)."""

    name: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """A box; `key` is its own in the whole picture. `count`: so many alike that it stands for.

    `notes` are lines below the title. `plugs` are the ends of a card towards wires, by name.
    """

    key: str
    kind: BoxKind
    title: str
    notes: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    plugs: tuple[str, ...] = ()
    count: int = 1


@dataclass(frozen=True, slots=True)
class End:
    """Where a net meets a box: the number of the port (of a wire: of the plug).

    `label` names what is at the net's side: an epair's half in a bridge. `tag`: only frames of that VLAN pass.
    `routed`: the box and the net are joined by the host's routing (`label` then says whether with NAT).
    """

    box: str
    port: int
    label: str = ""
    tag: int | None = None
    routed: bool = False
    count: int = 1


@dataclass(frozen=True, slots=True)
class Net:
    """A bridge, a link between two boxes, or a wire."""

    key: str
    kind: NetKind
    title: str
    notes: tuple[str, ...]
    ends: tuple[End, ...]
    tag: int | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class HostPicture:
    """A host: boxes in the order they were met, its cards, the nets between them. `notes` say what it is."""

    name: str
    notes: tuple[str, ...]
    boxes: tuple[Box, ...]
    cards: tuple[Box, ...]
    nets: tuple[Net, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A lab: its hosts, and the wires that join their cards."""

    name: str
    hosts: tuple[HostPicture, ...]
    wires: tuple[Net, ...]

    @property
    def tags(self) -> tuple[int, ...]:
        """All VLANs, by number."""
        nets = [*self.wires, *(net for host in self.hosts for net in host.nets)]
        found = {net.tag for net in nets} | {end.tag for net in nets for end in net.ends}
        return tuple(sorted(tag for tag in found if tag is not None))

    def summary(self) -> str:
        """What is in it, in a sentence."""
        jails = [box for host in self.hosts for box in host.boxes if box.kind in JAILS]
        bridges = sum(net.kind is NetKind.BRIDGE for host in self.hosts for net in host.nets)
        counted = ((len(self.hosts), "host"), (sum(box.count for box in jails), "jail"), (bridges, "bridge"))
        parts = [*counted, (len(self.wires), "wire")]
        return ", ".join(f"{number} {what}{'' if number == 1 else 's'}" for number, what in parts if number)


JAILS = frozenset((BoxKind.JAIL, BoxKind.SHARED, BoxKind.STOPPED))
"""The boxes that are jails."""
