"""nf_tables in netlink's terms: tables, chains on devices and rules, put in force in one transaction.

Only what filters frames on devices (family netdev). What registers hold is in the machine's byte order, what attributes
hold in the network's. Sources: linux/netfilter/nfnetlink.h, nf_tables.h, net/netfilter/nfnetlink.c.
"""

from __future__ import annotations

import enum
import struct

from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.netlink import Request

PROTOCOL = 12
"""NETLINK_NETFILTER, of a `netlink.Socket`."""
_SUBSYSTEM = 10
_NEW_TABLE, _DEL_TABLE, _NEW_CHAIN, _NEW_RULE = (_SUBSYSTEM << 8 | number for number in (0, 2, 3, 6))
_GENERAL = struct.Struct(">BBH")
_NETDEV = 5
_HEAD = _GENERAL.pack(_NETDEV, 0, 0)
BEGIN = Request(0x10, _GENERAL.pack(0, 0, _SUBSYSTEM))
END = Request(0x11, _GENERAL.pack(0, 0, _SUBSYSTEM))
"""What a transaction stands between."""

_REGISTER = 1
"""The only one that rules use here: each expression takes what the one before has put there."""
_VERDICT = 0


class Hook(enum.IntEnum):
    """Where a chain sees a device's frames (enum nf_dev_hooks)."""

    INGRESS = 0
    EGRESS = 1


class Meta(enum.IntEnum):
    """What there is to know of a frame besides its bytes (enum nft_meta_keys)."""

    PRIORITY = 2
    MARK = 3
    OIF = 5


class Compare(enum.IntEnum):
    """enum nft_cmp_ops."""

    EQUAL = 0
    NOT_EQUAL = 1
    LESS = 2


class Verdict(enum.IntEnum):
    """What becomes of a frame."""

    DROP = 0
    ACCEPT = 1


def add_table(name: str) -> Request:
    """A table; no error where it is there."""
    return Request(_NEW_TABLE, _HEAD + nl.text(1, name), nl.NLM_F_CREATE)


def delete_table(name: str) -> Request:
    """Remove a table with all that is in it."""
    return Request(_DEL_TABLE, _HEAD + nl.text(1, name))


def add_chain(table: str, name: str, device: str | None = None, hook: Hook = Hook.EGRESS) -> Request:
    """A chain that sees the frames of a device, or one that others jump to. What no rule decides passes."""
    body = _HEAD + nl.text(1, table) + nl.text(3, name)
    if device is not None:
        body += nl.nested(4, _u32(1, hook), _u32(2, 0), nl.text(3, device)) + nl.text(7, "filter")
    return Request(_NEW_CHAIN, body, nl.NLM_F_CREATE | nl.NLM_F_EXCL)


def add_rule(table: str, chain: str, *expressions: bytes) -> Request:
    """A rule behind those of a chain."""
    body = _HEAD + nl.text(1, table) + nl.text(2, chain) + nl.nested(4, *expressions)
    return Request(_NEW_RULE, body, nl.NLM_F_CREATE | nl.NLM_F_APPEND)


def load(key: Meta) -> bytes:
    """The register becomes what is known of the frame."""
    return _expression("meta", _u32(2, key), _u32(1, _REGISTER))


def store(key: Meta) -> bytes:
    """Note what the register holds with the frame."""
    return _expression("meta", _u32(2, key), _u32(3, _REGISTER))


def number(value: int) -> bytes:
    """The register becomes a number of 32 bits."""
    return _expression("immediate", _u32(1, _REGISTER), nl.nested(2, nl.attribute(1, struct.pack("=I", value))))


def count(modulus: int, offset: int) -> bytes:
    """The register becomes `offset`, then one more each time, `modulus` different numbers, and so on."""
    return _expression("numgen", _u32(1, _REGISTER), _u32(2, modulus), _u32(3, 0), _u32(4, offset))


def chance(modulus: int) -> bytes:
    """The register becomes a random number below `modulus`, in the network's byte order."""
    drawn = _expression("numgen", _u32(1, _REGISTER), _u32(2, modulus), _u32(3, 1))
    # Numbers are compared by their bytes, the first one first.
    return drawn + _expression("byteorder", _u32(1, _REGISTER), _u32(2, _REGISTER), _u32(3, 1), _u32(4, 4), _u32(5, 4))


def compare(how: Compare, value: bytes) -> bytes:
    """Go on with the rule only where the register is … `value`."""
    return _expression("cmp", _u32(1, _REGISTER), _u32(2, how), nl.nested(3, nl.attribute(1, value)))


def decide(verdict: Verdict) -> bytes:
    """End with a verdict."""
    return _verdict(_u32(1, verdict))


def jump(chain: str) -> bytes:
    """Go through another chain."""
    return _verdict(nl.attribute(1, struct.pack(">i", -3)), nl.text(2, chain))


def copy_out() -> bytes:
    """Send a copy of the frame out of the device whose index the register holds."""
    return _expression("dup", _u32(2, _REGISTER))


def send_out() -> bytes:
    """Send the frame out of the device whose index the register holds, and see it no more."""
    return _expression("fwd", _u32(1, _REGISTER))


def _verdict(*attributes: bytes) -> bytes:
    return _expression("immediate", _u32(1, _VERDICT), nl.nested(2, nl.nested(2, *attributes)))


def _expression(name: str, *attributes: bytes) -> bytes:
    return nl.nested(1, nl.text(1, name), nl.nested(2, *attributes))


def _u32(kind: int, value: int) -> bytes:
    return nl.attribute(kind, struct.pack(">I", value))
