"""Spanning tree as far as a bridge's listing shows it: the ids of bridge and root, a port's role and state.

No bridge protocol data units are exchanged here; a bridge is always its own root. Source: FreeBSD 13.2
sys/net/bridgestp.c.
"""

from __future__ import annotations

from vjail.kernel.core.ifnet import ETHERNET, IfNet
from vjail.kernel.core.stack import Stack
from vjail.kernel.observed import Iff, MemberFlag


def reinit(stack: Stack, bridge: IfNet) -> None:
    """Choose the bridge's id anew: the lowest address among its Ethernet members, if any member takes part.

    FreeBSD does so when the bridge starts, when a member begins or ceases to take part, and when a number changes.
    """
    state = bridge.bridge
    if state is None:
        return
    state.root_priority = state.priority
    state.bridge_id = bytes(6)
    if any(MemberFlag.STP in membership.flags for membership in state.members.values()):
        ports = [
            stack.interfaces[ident]
            for ident, membership in state.members.items()
            if MemberFlag.SPAN not in membership.flags
        ]
        state.bridge_id = min(
            (port.lladdr for port in ports if port.kind in ETHERNET and port.lladdr), default=bytes(6)
        )


def port_state(bridge: IfNet, member: IfNet) -> tuple[str, str]:
    """The role and the state of a port that takes part."""
    if Iff.RUNNING in bridge.flags and member.up:
        return "designated", "forwarding"
    return "disabled", "discarding"
