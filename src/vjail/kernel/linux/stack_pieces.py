"""Pieces that programs about sockets and their addresses are written from (shared_stack.py, shared_ports.py).

An IPv4 address is the four bytes as this machine reads them as a word, an IPv6 address four such words, in R1 to R4.
Sources: linux/bpf.h (struct bpf_sock_addr, bpf_sock, __sk_buff).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from vjail.kernel.core.prison_record import IpAddress
from vjail.kernel.linux.bpf import Helper
from vjail.kernel.linux.bpf_code import Alu, Code, If, Reg, Size

CONTEXT, KEPT = Reg.R6, Reg.R7
"""The program's context from its start, and a register that calls do not lose."""
WORDS = (Reg.R1, Reg.R2, Reg.R3, Reg.R4)
ROOM = -64
"""Where on the frame what a helper reads or writes is put."""

USER_IP4, USER_IP6, USER_PORT, TYPE, SOURCE_IP4, SOURCE_IP6, SOCKET = 4, 8, 24, 32, 40, 44, 64
"""Places in struct bpf_sock_addr."""
ETHER_TYPE = 16
"""In struct __sk_buff."""

STREAM, DATAGRAM, RAW = 1, 2, 3
AF_INET, AF_INET6 = 2, 10
MAPPED = (0, 0, struct.unpack("=I", b"\0\0\xff\xff")[0])
"""The first three words of an IPv4 address in IPv6's clothes."""
_IPV4, _IPV6 = 0x0800, 0x86DD
_SKC_BITS, _IPV6ONLY = 19, 0x20
"""The byte of struct sock_common that has the bit skc_ipv6only (include/net/sock.h, Linux 6.18)."""


def word(address: IpAddress) -> int:
    """An IPv4 address as this machine reads the four bytes."""
    found: int = struct.unpack("=I", address.packed)[0]
    return found


def words(address: IpAddress) -> tuple[int, ...]:
    """An address as this machine reads it word by word."""
    return struct.unpack(f"={len(address.packed) // 4}I", address.packed)


class Pieces:
    """A program being written, which lets pass what comes to the label "yes"."""

    def __init__(self) -> None:
        self.code = Code()
        self._labels = 0
        self.code.move(CONTEXT, Reg.R1)

    def finish(self) -> bytes:
        """The program."""
        self.code.label("yes")
        self.code.exit(1)
        return self.code.assemble()

    def label(self) -> str:
        """A new label's name."""
        self._labels += 1
        return f"{self._labels}"

    def refuse(self, code: int) -> None:
        """End with an errno."""
        self.code.move(Reg.R1, -code)
        self.code.call(Helper.SET_RETVAL)
        self.code.exit(0)

    def among4(self, addresses: Sequence[IpAddress], register: Reg, label: str) -> None:
        """Go to a label if a register holds one of the addresses."""
        for address in addresses:
            self.code.jump(If.EQUAL, register, word(address), label, wide=False)

    def among6(self, addresses: Sequence[IpAddress], label: str) -> None:
        """Go to a label if R1 to R4 hold one of the addresses."""
        for address in addresses:
            other = self.label()
            self.unless6(address, other)
            self.code.goto(label)
            self.code.label(other)

    def unless6(self, address: IpAddress, label: str) -> None:
        """Go to a label unless R1 to R4 hold an address."""
        for register, value in zip(WORDS, words(address), strict=True):
            self.code.jump(If.NOT_EQUAL, register, value, label, wide=False)

    def unless_unspecified6(self, label: str) -> None:
        """Go to a label unless R1 to R4 are `::`."""
        for register in WORDS:
            self.code.jump(If.NOT_EQUAL, register, 0, label, wide=False)

    def load_words(self, base: Reg, offset: int) -> None:
        """Load an IPv6 address."""
        for place, register in enumerate(WORDS):
            self.code.load(Size.WORD, register, base, offset + 4 * place)

    def store4(self, offset: int, address: IpAddress) -> None:
        """Put an address into the context."""
        self.code.move(Reg.R1, word(address))
        self.code.store(Size.WORD, CONTEXT, offset, Reg.R1)

    def store6(self, offset: int, address: IpAddress) -> None:
        """Put an address into the context."""
        for place, value in enumerate(words(address)):
            self.code.move(Reg.R1, value)
            self.code.store(Size.WORD, CONTEXT, offset + 4 * place, Reg.R1)

    def unless_mapped(self, label: str) -> None:
        """Go to a label unless R1 to R4 hold an IPv4 address in IPv6's clothes."""
        for register, value in zip(WORDS[:3], MAPPED, strict=True):
            self.code.jump(If.NOT_EQUAL, register, value, label, wide=False)

    def sockaddr6(self, address: Sequence[int]) -> None:
        """Put a struct sockaddr_in6 on the frame."""
        code = self.code
        code.store(Size.DOUBLE, Reg.FP, ROOM, 0)
        code.store(Size.WORD, Reg.FP, ROOM + 24, 0)
        code.store(Size.HALF, Reg.FP, ROOM, AF_INET6)
        for place, value in enumerate(address):
            code.store(Size.WORD, Reg.FP, ROOM + 8 + 4 * place, value)

    def bind(self, length: int) -> None:
        """Bind to what lies on the frame. Where that fails (a wildcard with a port), egress has the last word."""
        code = self.code
        code.move(Reg.R1, CONTEXT)
        code.move(Reg.R2, Reg.FP)
        code.alu(Alu.ADD, Reg.R2, ROOM)
        code.move(Reg.R3, length)
        code.call(Helper.BIND)

    def unless_both_families(self, label: str) -> None:
        """Go to a label if the socket is to receive IPv4 as well (IPV6_V6ONLY is not set). R1 to R5 are lost."""
        code = self.code
        for helper in (Helper.SKC_TO_TCP6_SOCK, Helper.SKC_TO_UDP6_SOCK):
            other = self.label()
            code.load(Size.DOUBLE, Reg.R1, CONTEXT, SOCKET)
            code.call(helper)
            code.jump(If.EQUAL, Reg.R0, 0, other)
            code.load(Size.BYTE, Reg.R1, Reg.R0, _SKC_BITS)
            code.alu(Alu.AND, Reg.R1, _IPV6ONLY)
            code.jump(If.EQUAL, Reg.R1, 0, label)
            code.label(other)

    def by_version(self, v4: str, v6: str) -> None:
        """Go to a label by a packet's version; what is neither does not pass."""
        code = self.code
        code.load(Size.WORD, Reg.R1, CONTEXT, ETHER_TYPE)
        code.to_big_endian(Reg.R1, 16)
        code.jump(If.EQUAL, Reg.R1, _IPV4, v4)
        code.jump(If.EQUAL, Reg.R1, _IPV6, v6)
        code.exit(0)

    def header(self, offset: int, length: int) -> None:
        """Copy a part of a packet to the frame; one that is too short for it does not pass."""
        code, there = self.code, self.label()
        code.move(Reg.R1, CONTEXT)
        code.move(Reg.R2, offset)
        code.move(Reg.R3, Reg.FP)
        code.alu(Alu.ADD, Reg.R3, ROOM)
        code.move(Reg.R4, length)
        code.call(Helper.SKB_LOAD_BYTES)
        code.jump(If.EQUAL, Reg.R0, 0, there)
        code.exit(0)
        code.label(there)

    def if_protocol(self, offset: int, protocol: int) -> None:
        """Let pass what is of a protocol, which stands in the header at `offset`, and nothing else."""
        self.header(offset, 1)
        self.code.load(Size.BYTE, Reg.R1, Reg.FP, ROOM)
        self.code.jump(If.EQUAL, Reg.R1, protocol, "yes")
        self.code.exit(0)
