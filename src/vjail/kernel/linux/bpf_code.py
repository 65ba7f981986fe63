"""Programs for the kernel's eBPF machine: instructions with labels, assembled to the bytes that bpf(2) takes.

A program is written with `Code`: one method an instruction, jumps by label. What a register or a helper means is the
kernel's to say (Documentation/bpf/standardization/instruction-set.rst, linux/bpf.h).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping

_INSTRUCTION = struct.Struct("=BBhi")
_LDX, _ST, _STX, _ALU32, _JMP, _JMP32, _ALU64 = 0x61, 0x62, 0x63, 0x04, 0x05, 0x06, 0x07
_LD_IMM64, _PSEUDO_MAP_FD, _ATOMIC, _END = 0x18, 1, 0xDB, 0xD4
_JA, _CALL, _EXIT, _REGISTER, _BIG = 0x00, 0x80, 0x90, 0x08, 0x08


class Reg(enum.IntEnum):
    """A register. R0: results; R1…R5: arguments, lost by a call; R6…R9: kept; FP: the frame, 512 bytes below it."""

    R0 = 0
    R1 = 1
    R2 = 2
    R3 = 3
    R4 = 4
    R5 = 5
    R6 = 6
    R7 = 7
    R8 = 8
    R9 = 9
    FP = 10


class Size(enum.IntEnum):
    """How much a load or store moves, in the instruction's own bits."""

    BYTE = 0x10
    HALF = 0x08
    WORD = 0x00
    DOUBLE = 0x18


class Alu(enum.IntEnum):
    """An operation on a register and a register or number."""

    ADD = 0x00
    SUB = 0x10
    OR = 0x40
    AND = 0x50
    SHL = 0x60
    SHR = 0x70
    XOR = 0xA0
    MOV = 0xB0


class If(enum.IntEnum):
    """A condition of a jump; unsigned."""

    EQUAL = 0x10
    GREATER = 0x20
    AT_LEAST = 0x30
    ANY_BIT = 0x40
    NOT_EQUAL = 0x50
    LESS = 0xA0
    AT_MOST = 0xB0


class Code:
    """A program being written."""

    def __init__(self) -> None:
        self._words: list[bytes] = []
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def label(self, name: str) -> None:
        """Where jumps to `name` lead: the next instruction."""
        if name in self._labels:
            raise ValueError(f"label {name!r} is given twice")
        self._labels[name] = len(self._words)

    def alu(self, operation: Alu, to: Reg, value: Reg | int, *, wide: bool = True) -> None:
        """`to` becomes itself with `value`; 64 bits, or of 32 with the upper half cleared."""
        self._with_value((_ALU64 if wide else _ALU32) | operation, to, value)

    def move(self, to: Reg, value: Reg | int) -> None:
        """A register becomes another or a signed 32-bit number."""
        self.alu(Alu.MOV, to, value)

    def to_big_endian(self, register: Reg, bits: int) -> None:
        """Turn 16, 32 or 64 bits between this machine's order and the network's; the rest is cleared."""
        self._put(_END | _BIG, register, 0, 0, bits)

    def load(self, size: Size, to: Reg, base: Reg, offset: int) -> None:
        """Read memory at base + offset."""
        self._put(_LDX | size, to, base, offset, 0)

    def store(self, size: Size, base: Reg, offset: int, value: Reg | int) -> None:
        """Write a register or a number to memory at base + offset."""
        if isinstance(value, Reg):
            self._put(_STX | size, base, value, offset, 0)
        else:
            self._put(_ST | size, base, 0, offset, value)

    def add_to_memory(self, base: Reg, offset: int, value: Reg) -> None:
        """Add to 64 bits of memory atomically."""
        self._put(_ATOMIC, base, value, offset, 0)

    def map(self, to: Reg, fd: int) -> None:
        """A register becomes the map behind a descriptor, as helpers take it."""
        self._put(_LD_IMM64, to, _PSEUDO_MAP_FD, 0, fd)
        self._put(0, 0, 0, 0, 0)

    def jump(self, condition: If, left: Reg, right: Reg | int, label: str, *, wide: bool = True) -> None:
        """Go to a label where `left` (64 bits, or their lower 32) is … `right`."""
        self._jumps.append((len(self._words), label))
        self._with_value((_JMP if wide else _JMP32) | condition, left, right)

    def goto(self, label: str) -> None:
        """Go to a label."""
        self._jumps.append((len(self._words), label))
        self._put(_JMP | _JA, 0, 0, 0, 0)

    def call(self, helper: int) -> None:
        """Call a helper (`bpf.Helper`)."""
        self._put(_JMP | _CALL, 0, 0, 0, helper)

    def exit(self, result: int | None = None) -> None:
        """Leave, with a number or with what R0 holds."""
        if result is not None:
            self.move(Reg.R0, result)
        self._put(_JMP | _EXIT, 0, 0, 0, 0)

    def assemble(self) -> bytes:
        """The program's bytes, without what nothing leads to, which the kernel takes no program with.

        Raises ValueError for a label that is nowhere.
        """
        targets = {place: self._target(name) for place, name in self._jumps}
        reached = self._reached(targets)
        places = {place: number for number, place in enumerate(sorted(reached))}
        words = []
        for place in places:
            word = self._words[place]
            if place in targets:
                code, registers, _, value = _INSTRUCTION.unpack(word)
                distance = places[targets[place]] - places[place] - 1
                word = _INSTRUCTION.pack(code, registers, distance, value)
            words.append(word)
        return b"".join(words)

    def _target(self, name: str) -> int:
        if name not in self._labels:
            raise ValueError(f"there is no label {name!r}")
        return self._labels[name]

    def _reached(self, targets: Mapping[int, int]) -> set[int]:
        """The instructions that can be come to."""
        reached: set[int] = set()
        waiting = [0] if self._words else []
        while waiting:
            place = waiting.pop()
            if place in reached or place >= len(self._words):
                continue
            reached.add(place)
            code = self._words[place][0]
            if place in targets:
                waiting.append(targets[place])
            if code not in (_JMP | _JA, _JMP | _EXIT):
                waiting.append(place + 1)
        return reached

    def _with_value(self, code: int, to: Reg, value: Reg | int) -> None:
        if isinstance(value, Reg):
            self._put(code | _REGISTER, to, value, 0, 0)
        else:
            self._put(code, to, 0, 0, value)

    def _put(self, code: int, to: int, source: int, offset: int, value: int) -> None:
        signed = value - (1 << 32) if value >= 1 << 31 else value
        self._words.append(_INSTRUCTION.pack(code, source << 4 | to, offset, signed))
