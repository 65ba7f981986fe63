"""Spanning tree as the kernel describes a bridge and its ports. Sources: linux/if_link.h (IFLA_BR_*, IFLA_BRPORT_*)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vjail.kernel.core.driver import Port
from vjail.kernel.linux import links
from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.netlink import Message

_STP_STATE, _ROOT_ID, _BRIDGE_ID, _ROOT_PORT, _ROOT_PATH_COST = 5, 10, 11, 12, 13
_STATE, _DESIGNATED_BRIDGE, _DESIGNATED_PORT, _ID, _NO = 1, 14, 15, 17, 18
_INFO_SLAVE_DATA = 5
_STATES = {2: "learning", 3: "forwarding"}
"""Those of ports that are not discarding."""


@dataclass(frozen=True, slots=True)
class BridgeId:
    """A bridge's id: its priority and its link-layer address."""

    priority: int
    address: bytes


@dataclass(frozen=True, slots=True)
class SeenBridge:
    """A bridge that runs spanning tree. `root_port` numbers one of its ports, 0 where the bridge is the root."""

    own: BridgeId
    root: BridgeId
    root_cost: int
    root_port: int


@dataclass(frozen=True, slots=True)
class SeenPort:
    """A port: the kernel's number and state of it, and who serves the segment it is on."""

    number: int
    state: int
    ident: int
    designated_bridge: BridgeId
    designated_port: int


def read_bridge(message: Message) -> SeenBridge | None:
    """A bridge from a message, None where it runs no spanning tree."""
    found = _information(message, links.IFLA_INFO_DATA)
    if not any(found.get(_STP_STATE, b"")):
        return None
    cost, port = struct.unpack("=I", found[_ROOT_PATH_COST])[0], struct.unpack("=H", found[_ROOT_PORT])[0]
    return SeenBridge(_id(found[_BRIDGE_ID]), _id(found[_ROOT_ID]), cost, port)


def read_port(message: Message) -> SeenPort | None:
    """A port from a message about its link, None where the link is in no bridge."""
    found = _information(message, _INFO_SLAVE_DATA)
    if _NO not in found:
        return None
    number, ident, designated = (struct.unpack("=H", found[each])[0] for each in (_NO, _ID, _DESIGNATED_PORT))
    return SeenPort(number, found[_STATE][0], ident, _id(found[_DESIGNATED_BRIDGE]), designated)


def port(seen: SeenPort, *, is_root: bool, own: BridgeId) -> Port:
    """A port's role and state in the words of 802.1D-2004, which FreeBSD uses; `own` is its bridge's id."""
    state = _STATES.get(seen.state, "discarding")
    if seen.state == 0:
        return Port("disabled", state)
    if is_root:
        return Port("root", state)
    if seen.designated_bridge != own:
        return Port("alternate", state)
    return Port("designated" if seen.designated_port == seen.ident else "backup", state)


def _information(message: Message, which: int) -> dict[int, bytes]:
    found = nl.attributes(message.body, len(links.info()))
    return nl.attributes(nl.attributes(found.get(links.IFLA_LINKINFO, b"")).get(which, b""))


def _id(value: bytes) -> BridgeId:
    return BridgeId(int.from_bytes(value[:2], "big"), value[2:8])
