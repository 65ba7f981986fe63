"""Spanning tree as far as forwarding needs it: which ports of a loop of bridges carry no frames.

Reckoned from the wiring in one go, as the protocol would have it in the end: the root is the bridge with the lowest
priority and id, every other bridge keeps the port of the cheapest way there, every segment the bridge nearest to the
root; any other port that takes part discards. Only ports with `stp` take part. Source: IEEE 802.1D; FreeBSD 13.2
sys/net/bridgestp.c.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from vjail.kernel.core.driver import Port, Tree
from vjail.kernel.core.ifnet import BridgeState
from vjail.kernel.model.devices import Device
from vjail.kernel.observed import Iff, Kind, MemberFlag

_Port = tuple[int, int]
"""A device among those of all hosts: the identity of its driver, and its ident."""


_ROLES = {True: ("designated", "forwarding"), False: ("alternate", "discarding")}


def forwards(bridge: Device, member: Device) -> bool:
    """Whether a member of a bridge that runs passes frames on."""
    membership = (bridge.ifnet.bridge or BridgeState()).members.get(member.ifnet.ident)
    if membership is None or MemberFlag.STP not in membership.flags:
        return True
    port = tree(bridge).ports.get(member.ifnet.ident)
    return port is not None and port.state == "forwarding"


def tree(bridge: Device) -> Tree:
    """What spanning tree comes to as a bridge sees it, which runs and has a member that takes part."""
    bridges = _reached(bridge)
    root = min(bridges.values(), key=_identity)
    costs, root_ports = _ways_to(root, bridges)
    root_port = root_ports.get(_key(bridge))
    ports: dict[int, Port] = {}
    for member in _ports(bridge):
        if _key(member) == root_port:
            ports[member.ifnet.ident] = Port("root", "forwarding")
        else:
            ports[member.ifnet.ident] = Port(*_ROLES[_is_designated(bridge, member, costs)])
    state = root.ifnet.bridge or BridgeState()
    cost = costs[_key(bridge)]
    return Tree(state.bridge_id, state.priority, cost, None if root_port is None else root_port[1], ports)


def _is_designated(bridge: Device, port: Device, costs: dict[_Port, int]) -> bool:
    """Whether no other port on its segment is nearer to the root."""
    mine = (costs[_key(bridge)], _identity(bridge), port.ifnet.index)
    for other in _across(port):
        owner = _owner(other)
        if owner is not None and (costs[_key(owner)], _identity(owner), other.ifnet.index) < mine:
            return False
    return True


def _reached(start: Device) -> dict[_Port, Device]:
    found = {_key(start): start}
    pending = [start]
    while pending:
        for port in _ports(pending.pop()):
            for other in _across(port):
                owner = _owner(other)
                if owner is not None and _key(owner) not in found:
                    found[_key(owner)] = owner
                    pending.append(owner)
    return found


def _ways_to(root: Device, bridges: dict[_Port, Device]) -> tuple[dict[_Port, int], dict[_Port, _Port]]:
    """What the way to the root costs from each bridge, and by which port it goes."""
    costs: dict[_Port, int] = {_key(root): 0}
    root_ports: dict[_Port, _Port] = {}
    pending = [(0, _identity(root), 0, _key(root))]
    done: set[_Port] = set()
    while pending:
        cost, _, _, at = heapq.heappop(pending)
        if at in done:
            continue
        done.add(at)
        for port in sorted(_ports(bridges[at]), key=lambda each: each.ifnet.index):
            for other in _across(port):
                owner = _owner(other)
                if owner is None or _key(owner) in done:
                    continue
                membership = (owner.ifnet.bridge or BridgeState()).members[other.ifnet.ident]
                through = cost + membership.path_cost
                if through < costs.get(_key(owner), 1 << 62):
                    costs[_key(owner)] = through
                    root_ports[_key(owner)] = _key(other)
                    heapq.heappush(pending, (through, _identity(owner), other.ifnet.index, _key(owner)))
    return costs, root_ports


def _ports(bridge: Device) -> list[Device]:
    """The members that take part and run."""
    state = bridge.ifnet.bridge or BridgeState()
    members = ((bridge.other(ident), membership) for ident, membership in state.members.items())
    return [member for member, membership in members if MemberFlag.STP in membership.flags and member.runs]


def _across(port: Device) -> Iterable[Device]:
    """The interfaces on the same segment as a port."""
    if port.ifnet.kind is Kind.EPAIR:
        return (port.other(port.ifnet.peer or 0),)
    if port.wire is not None and not port.wire.is_cut:
        return port.wire.others(port)
    return ()


def _owner(port: Device) -> Device | None:
    """The bridge of a port that takes part."""
    membership = port.bridge()
    if membership is None or not port.runs or Iff.RUNNING not in membership[0].ifnet.flags:
        return None
    return membership[0] if MemberFlag.STP in membership[2].flags else None


def _identity(bridge: Device) -> tuple[int, bytes, str, int]:
    state = bridge.ifnet.bridge or BridgeState()
    return state.priority, state.bridge_id, bridge.driver.host, bridge.ifnet.ident


def _key(device: Device) -> _Port:
    return id(device.driver), device.ifnet.ident
