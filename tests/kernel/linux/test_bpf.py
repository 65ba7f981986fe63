"""bpf_code's instructions as the kernel runs them, and maps: BPF_PROG_TEST_RUN over a packet of ours."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

import pytest

from vjail.kernel.linux.bpf import Helper, LoadError, Map, MapKind, ProgramKind, load
from vjail.kernel.linux.bpf_code import Alu, Code, If, Reg, Size
from vjail.kernel.linux.syscalls import call

_TEST_RUN = 10


def run(code: Code) -> int:
    """What a traffic filter's program leaves in R0, lower 32 bits."""
    fd = load(ProgramKind.SCHED_CLS, code.assemble(), "test")
    packet = ctypes.create_string_buffer(bytes(64), 64)
    attribute = struct.pack("=IIIIQQIIQ", fd, 0, 64, 0, ctypes.addressof(packet), 0, 1, 0, 0)
    room = ctypes.create_string_buffer(attribute.ljust(128, b"\0"), 128)
    try:
        call("bpf", _TEST_RUN, room, 128)
    finally:
        os.close(fd)
    result: int = struct.unpack_from("=I", room.raw, 4)[0]
    return result


def test_a_label_that_is_nowhere_is_an_error() -> None:
    code = Code()
    code.goto("nowhere")
    with pytest.raises(ValueError, match="nowhere"):
        code.assemble()


def test_a_label_stands_once() -> None:
    code = Code()
    code.label("here")
    with pytest.raises(ValueError, match="here"):
        code.label("here")


def test_what_nothing_leads_to_is_left_out() -> None:
    code = Code()
    code.goto("end")
    code.move(Reg.R1, 1)
    code.label("end")
    code.exit(7)
    code.move(Reg.R2, 2)
    shorter = Code()
    shorter.goto("end")
    shorter.label("end")
    shorter.exit(7)
    assert code.assemble() == shorter.assemble()


@pytest.mark.real
@pytest.mark.root
class TestKernel:
    @pytest.fixture(autouse=True)
    def _root(self) -> None:
        if os.geteuid() != 0:
            pytest.skip("needs root")

    @pytest.mark.parametrize(
        ("operation", "left", "right", "result"),
        [
            (Alu.ADD, 5, 7, 12),
            (Alu.SUB, 5, 7, 0xFFFF_FFFE),
            (Alu.OR, 0b0101, 0b0011, 0b0111),
            (Alu.AND, 0b0101, 0b0011, 0b0001),
            (Alu.XOR, 0b0101, 0b0011, 0b0110),
            (Alu.SHL, 3, 4, 48),
            (Alu.SHR, 48, 4, 3),
            (Alu.AND, 0xFFFF_FFFF, 0x8000_0001, 0x8000_0001),
        ],
    )
    @pytest.mark.parametrize("by_register", [False, True])
    def test_arithmetic(self, operation: Alu, left: int, right: int, result: int, by_register: bool) -> None:
        code = Code()
        code.move(Reg.R0, left)
        code.move(Reg.R3, right)
        code.alu(operation, Reg.R0, Reg.R3 if by_register else right, wide=False)
        code.exit()
        assert run(code) == result

    @pytest.mark.parametrize(
        ("condition", "left", "right", "taken"),
        [
            (If.EQUAL, 4, 4, True),
            (If.EQUAL, 4, 5, False),
            (If.NOT_EQUAL, 4, 5, True),
            (If.GREATER, 5, 4, True),
            (If.GREATER, 5, 5, False),
            (If.AT_LEAST, 5, 5, True),
            (If.LESS, 4, 5, True),
            (If.AT_MOST, 5, 5, True),
            (If.AT_MOST, 6, 5, False),
            (If.ANY_BIT, 6, 2, True),
            (If.ANY_BIT, 6, 1, False),
        ],
    )
    @pytest.mark.parametrize("wide", [False, True])
    def test_jumps(self, condition: If, left: int, right: int, taken: bool, wide: bool) -> None:
        code = Code()
        code.move(Reg.R2, left)
        code.jump(condition, Reg.R2, right, "taken", wide=wide)
        code.exit(0)
        code.label("taken")
        code.exit(1)
        assert run(code) == taken

    def test_memory_and_byte_order(self) -> None:
        code = Code()
        code.store(Size.WORD, Reg.FP, -8, 0x0102_0304)
        code.load(Size.WORD, Reg.R0, Reg.FP, -8)
        code.to_big_endian(Reg.R0, 32)
        code.store(Size.WORD, Reg.FP, -4, Reg.R0)
        code.load(Size.BYTE, Reg.R0, Reg.FP, -4)
        code.exit()
        assert run(code) == 1

    def test_a_program_reads_and_writes_a_map(self) -> None:
        table = Map(MapKind.HASH, 4, 8, 4)
        key = struct.pack("=I", 7)
        table[key] = struct.pack("=Q", 40)
        code = Code()
        code.store(Size.WORD, Reg.FP, -4, 7)
        code.move(Reg.R2, Reg.FP)
        code.alu(Alu.ADD, Reg.R2, -4)
        code.map(Reg.R1, table.fd)
        code.call(Helper.MAP_LOOKUP)
        code.jump(If.NOT_EQUAL, Reg.R0, 0, "found")
        code.exit(0)
        code.label("found")
        code.move(Reg.R1, 2)
        code.add_to_memory(Reg.R0, 0, Reg.R1)
        code.load(Size.DOUBLE, Reg.R0, Reg.R0, 0)
        code.exit()
        assert run(code) == 42
        assert struct.unpack("=Q", table[key]) == (42,)
        table.close()

    def test_a_map_is_a_mapping(self) -> None:
        table = Map(MapKind.HASH, 4, 4, 4)
        table[b"aaaa"], table[b"bbbb"] = b"1111", b"2222"
        assert sorted(table) == [b"aaaa", b"bbbb"]
        del table[b"aaaa"]
        assert list(table) == [b"bbbb"]
        with pytest.raises(KeyError):
            table[b"aaaa"]
        with pytest.raises(KeyError):
            del table[b"aaaa"]
        with pytest.raises(ValueError, match="4 bytes"):
            table[b"a"]
        table.close()

    def test_what_the_verifier_refuses_says_why(self) -> None:
        code = Code()
        code.load(Size.WORD, Reg.R0, Reg.R5, 0)
        code.exit()
        with pytest.raises(LoadError) as caught:
            run(code)
        assert caught.value.errno == errno.EACCES
        assert "R5 !read_ok" in caught.value.log
