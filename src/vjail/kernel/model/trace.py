"""What became of a packet: the hops it took, and where and why it was lost.

While packets move only a chain of `Mark`s grows, each pointing at the one before it, so that copies of a flooded frame
share their past; `hops` makes a chain readable. Knows nothing of how packets move.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vjail.kernel.model.devices import Device


class Step(enum.Enum):
    """What happened to a packet at a place; the value is how it is told."""

    SENT = "sent"
    ASKED = "asked for the neighbour"
    ANSWERED = "answered"
    OUT = "out"
    IN = "in"
    BRIDGED = "bridged to"
    FLOODED = "flooded to"
    COPIED = "copied to the span port"
    TAGGED = "tagged"
    UNTAGGED = "untagged"
    FORWARDED = "forwarded"
    TRANSLATED = "translated"
    DELIVERED = "delivered"
    LOST = "lost"


class Loss(enum.Enum):
    """Why a packet was lost; the value is how it is told."""

    DOWN = "the interface is down"
    PEER_DOWN = "the epair's other end is down"
    UNBOUND = "the vlan is bound to no parent"
    PARENT_DOWN = "the vlan's parent is down"
    NO_WIRE = "the NIC is on no wire"
    CUT = "the wire is cut"
    ALONE = "nobody else is on the wire"
    NO_REMOTE = "the vxlan has no single remote address (multicast groups are not modelled)"
    CLOSED = "no program has the device open"
    BRIDGE_DOWN = "the bridge is down, and the frame is not for its member"
    NOBODY = "nobody on the bridge or wire has the destination's MAC address"
    MONITOR = "the interface only monitors"
    TOO_BIG = "the packet is larger than the MTU"
    SAME_PORT = "the bridge has learnt the destination's MAC address on the port the frame came from"
    OWN_FRAME = "the bridge takes the frame for one of its own: a member has its source MAC address"
    OWN_ARP = "the ARP request comes from the receiver's own MAC address"
    RESERVED = "bridges do not forward frames to this group address"
    PRIVATE = "private members of a bridge do not talk to each other"
    UNKNOWN_MEMBER = "the bridge does not look for unknown addresses on this member"
    BLOCKED = "spanning tree blocks the port"
    FULL = "the bridge has learnt as many addresses as it may"
    NO_TAG = "no vlan with this tag is on the interface"
    NO_VXLAN = "no vxlan of this number takes it"
    FOREIGN_FRAME = "the frame is for another MAC address"
    NOT_ASKED = "another address is asked for"
    NO_ARP = "the interface does not speak ARP"
    UNANSWERED = "no neighbour answers"
    NO_ROUTE = "no route"
    BLACKHOLE = "a blackhole route"
    REJECT = "a reject route"
    NO_SOURCE = "no address to send from"
    LOOPBACK_DOWN = "the loopback interface is down"
    NOT_FORWARDING = "the packet is for another host and this one does not forward"
    TTL = "its time to live is over"
    DISABLED = "IPv6 is disabled on the interface"
    TENTATIVE = "the address is still tentative"
    SCOPE = "a link-local address does not leave its link"
    FILTERED = "a filter rule blocks it"
    STORM = "frames go round for ever: the bridges are in a loop"


ORDINARY = frozenset((Loss.FOREIGN_FRAME, Loss.NOT_ASKED, Loss.ALONE))
"""What befalls copies of every flooded frame."""


@dataclass(slots=True, eq=False)
class Mark:
    """One thing that happened at a device, and what happened before it."""

    step: Step
    device: Device
    detail: str = ""
    before: Mark | None = None
    loss: Loss | None = None

    def length(self) -> int:
        """How many things happened up to this one."""
        count = 0
        mark: Mark | None = self
        while mark is not None:
            count, mark = count + 1, mark.before
        return count


@dataclass(frozen=True, slots=True)
class Hop:
    """One place on a packet's way: `jail` is empty on the host itself, `loss` says why the way ends here."""

    host: str
    jail: str
    interface: str
    step: Step
    detail: str = ""
    loss: Loss | None = None

    def __str__(self) -> str:
        place = f"{self.host}:{self.jail}" if self.jail else self.host
        told = f"{self.step.value} {self.detail}".rstrip()
        why = f": {self.loss.value}" if self.loss is not None else ""
        return f"{place} {self.interface}".rstrip() + f": {told}{why}"


def hops(last: Mark, jail_of: Callable[[Device], tuple[str, str]]) -> tuple[Hop, ...]:
    """The way that ends with a mark; `jail_of` tells host and jail of a device."""
    found: list[Hop] = []
    mark: Mark | None = last
    while mark is not None:
        host, jail = jail_of(mark.device)
        # Without a route no interface has been chosen.
        name = "" if mark.loss is Loss.NO_ROUTE and mark.before is None else mark.device.ifnet.name
        found.append(Hop(host, jail, name, mark.step, mark.detail, mark.loss))
        mark = mark.before
    return tuple(reversed(found))
