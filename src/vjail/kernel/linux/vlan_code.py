"""The two eBPF programs that make a vlan where the kernel has no 8021q: one takes tags off, one puts one on.

A vlan is a veth pair: the near end is the interface, the far end stays beside the parent. What arrives on the parent
with the vlan's tag is sent out of the far end without it; what comes in at the far end, which is what the vlan sent, is
sent out of the parent with it. The kernel has taken a frame's outer tag into the packet's metadata before a program
sees the frame, also without 8021q. Sources: linux/bpf.h, net/core/filter.c.
"""

from __future__ import annotations

import socket
import struct

from vjail.kernel.linux.bpf import Helper, Map, MapKind
from vjail.kernel.linux.bpf_code import Alu, Code, If, Reg, Size
from vjail.kernel.linux.tc import CONTINUE

_PKT_TYPE, _VLAN_PRESENT, _VLAN_TCI, _VLAN_PROTO = 4, 20, 24, 28
"""Offsets in struct __sk_buff."""
_PACKET_HOST, _PACKET_MULTICAST = 0, 2
_MOST = 2 * 4094


class Tags:
    """Which tag belongs to which far end, of one parent."""

    def __init__(self) -> None:
        self.map = Map(MapKind.HASH, 4, 8, _MOST)

    def put(self, proto: int, tag: int, far: int, bridged: bool) -> None:
        """Frames with this tag go to the link `far`. `bridged`: the parent's frames are a bridge's."""
        self.map[_key(proto, tag)] = struct.pack("=II", far, bridged)

    def drop(self, proto: int, tag: int) -> None:
        """Nobody has the tag any more."""
        del self.map[_key(proto, tag)]

    def __len__(self) -> int:
        return sum(1 for _ in self.map)

    def close(self) -> None:
        """Let go of the table; a program that is attached keeps it."""
        self.map.close()


def _key(proto: int, tag: int) -> bytes:
    return struct.pack("=I", socket.htons(proto) << 16 | tag)


def untag(tags: Tags) -> bytes:
    """On the parent's ingress: give tagged frames to the vlan's far end.

    Where the parent is in a bridge, a frame for others is the bridge's, one for the parent's own address the vlan's,
    and one for a group goes to both (bridge_input in FreeBSD 13.2's sys/net/if_bridge.c).
    """
    code = Code()
    code.move(Reg.R6, Reg.R1)
    code.load(Size.WORD, Reg.R2, Reg.R6, _VLAN_PRESENT)
    code.jump(If.EQUAL, Reg.R2, 0, "not ours")
    code.load(Size.WORD, Reg.R8, Reg.R6, _VLAN_TCI)
    code.load(Size.WORD, Reg.R9, Reg.R6, _VLAN_PROTO)
    code.move(Reg.R2, Reg.R8)
    code.alu(Alu.AND, Reg.R2, 0xFFF)
    code.move(Reg.R3, Reg.R9)
    code.alu(Alu.SHL, Reg.R3, 16)
    code.alu(Alu.OR, Reg.R2, Reg.R3)
    code.store(Size.WORD, Reg.FP, -4, Reg.R2)
    code.map(Reg.R1, tags.map.fd)
    code.move(Reg.R2, Reg.FP)
    code.alu(Alu.ADD, Reg.R2, -4)
    code.call(Helper.MAP_LOOKUP)
    code.jump(If.EQUAL, Reg.R0, 0, "not ours")
    code.load(Size.WORD, Reg.R7, Reg.R0, 0)
    code.load(Size.WORD, Reg.R2, Reg.R0, 4)
    code.jump(If.EQUAL, Reg.R2, 0, "ours")
    code.load(Size.WORD, Reg.R2, Reg.R6, _PKT_TYPE)
    code.jump(If.EQUAL, Reg.R2, _PACKET_HOST, "ours")
    code.jump(If.GREATER, Reg.R2, _PACKET_MULTICAST, "not ours")

    # For a group: a copy without the tag is ours, the frame with its tag goes on to the bridge.
    code.move(Reg.R1, Reg.R6)
    code.call(Helper.SKB_VLAN_POP)
    code.jump(If.NOT_EQUAL, Reg.R0, 0, "not ours")
    code.move(Reg.R1, Reg.R6)
    code.move(Reg.R2, Reg.R7)
    code.move(Reg.R3, 0)
    code.call(Helper.CLONE_REDIRECT)
    code.move(Reg.R1, Reg.R6)
    code.move(Reg.R2, Reg.R9)
    code.move(Reg.R3, Reg.R8)
    code.call(Helper.SKB_VLAN_PUSH)
    code.label("not ours")
    code.exit(CONTINUE)

    code.label("ours")
    code.move(Reg.R1, Reg.R6)
    code.call(Helper.SKB_VLAN_POP)
    code.move(Reg.R1, Reg.R7)
    code.move(Reg.R2, 0)
    code.call(Helper.REDIRECT)
    code.exit()
    return code.assemble()


def tag(proto: int, vid: int, pcp: int, parent: int) -> bytes:
    """On the far end's ingress: send everything out of the link `parent` with the tag."""
    code = Code()
    code.move(Reg.R2, socket.htons(proto))
    code.move(Reg.R3, pcp << 13 | vid)
    code.call(Helper.SKB_VLAN_PUSH)
    code.move(Reg.R1, parent)
    code.move(Reg.R2, 0)
    code.call(Helper.REDIRECT)
    code.exit()
    return code.assemble()
