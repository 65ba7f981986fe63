"""Programs for the native agent: a list of system calls to make in a process of its own, composed here.

An agent has no logic beyond running these (native/agent.c, `run`); so what happens between a fork and an exec, in which
namespaces and with which rights, is decided, read and tested in one place. Strings and structures are passed by
address, descriptors by number in the message that carries the program.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from vjail.kernel.linux.syscalls import MACHINE, MACHINES

_CALL, _FORK, _EXIT, _REPORT, _WAIT, _INIT, _TERMINAL = range(7)
_IMMEDIATE, _DATA, _REGISTER, _DESCRIPTOR = range(4)
_MAY_FAIL = 1
_STEP = struct.Struct("=BBBBI6B2x6Q")


@dataclass(frozen=True, slots=True)
class Fd:
    """A descriptor of this process, to be sent along."""

    number: int


@dataclass(frozen=True, slots=True)
class Register:
    """The result of the step that was given this register."""

    number: int


@dataclass(frozen=True, slots=True)
class Strings:
    """A NULL-terminated array of strings, as execve(2) takes."""

    items: Sequence[str | bytes]


@dataclass(frozen=True, slots=True)
class Record:
    """A structure whose bytes are `data`; each pair puts the address of some bytes at an offset of it."""

    data: bytes
    pointers: tuple[tuple[int, bytes], ...] = ()


Argument = int | str | bytes | None | Fd | Register | Strings | Record


@dataclass(slots=True)
class Step:
    """One step: what, and its arguments, already encoded."""

    op: int
    flags: int
    to: int
    number: int
    kinds: list[int]
    values: list[int]


@dataclass(slots=True)
class Program:
    """Steps in order, with the data and descriptors they refer to. Build one, `encode` it, send it once."""

    steps: list[Step] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """What each step is called in error messages."""
    _data: bytearray = field(default_factory=bytearray)
    _relocations: list[int] = field(default_factory=list)

    def call(self, name: str, *arguments: Argument, to: int = 15, may_fail: bool = False) -> None:
        """Make the system call `name`; its result goes to register `to`. A failure ends the program, unless allowed."""
        self._add(_CALL, name, MACHINES[MACHINE][name], arguments, to, _MAY_FAIL if may_fail else 0)

    def fork(self, flags: int = 0) -> int:
        """Fork: what follows runs in the child. Returns the step, for `parent_goes_on` to say where the parent does."""
        self._add(_FORK, "fork", 0, (flags, 0), 15, 0)
        return len(self.steps) - 1

    def parent_goes_on(self, fork: int) -> None:
        """The parent of that fork goes on here."""
        self.steps[fork].values[1] = len(self.steps)

    def exit(self, code: int) -> None:
        """Leave the process."""
        self._add(_EXIT, "exit", 0, (code,), 15, 0)

    def report(self, value: int | Register = 0) -> int:
        """Tell the server a value, and by it this process's number. Returns the step."""
        self._add(_REPORT, "report", 0, (value,), 15, 0)
        return len(self.steps) - 1

    def wait(self) -> None:
        """Wait for the server's word."""
        self._add(_WAIT, "wait", 0, (), 15, 0)

    def init(self, *, ends_when_empty: bool) -> None:
        """Be PID 1 from now on."""
        self._add(_INIT, "init", 0, (int(ends_when_empty),), 15, 0)

    def terminal(self) -> None:
        """Be a process group that has a number here, and has the terminal where the agent's group had it.

        For programs that are begun with INTERACTIVE and FORKS; the agent takes the terminal back at their end.
        """
        self._add(_TERMINAL, "terminal", 0, (), 15, 0)

    def encode(self) -> bytes:
        """The bytes the agent takes."""
        steps = b"".join(
            _STEP.pack(s.op, s.flags, s.to, 0, s.number, *s.kinds, *(v & 0xFFFF_FFFF_FFFF_FFFF for v in s.values))
            for s in self.steps
        )
        data = bytes(self._data) + b"\0" * 8
        header = struct.pack("=IIII", len(self.steps), len(self._relocations), len(data), 0)
        relocations = struct.pack(f"={len(self._relocations)}I", *self._relocations)
        return header + steps + relocations + b"\0" * (-len(relocations) % 8) + data

    def _add(self, op: int, name: str, number: int, arguments: Sequence[Argument], to: int, flags: int) -> None:
        kinds, values = [0] * 6, [0] * 6
        for i, argument in enumerate(arguments):
            kinds[i], values[i] = self._encode(argument)
        self.steps.append(Step(op, flags, to, number, kinds, values))
        self.names.append(name)

    def _encode(self, argument: Argument) -> tuple[int, int]:
        match argument:
            case None:
                return _IMMEDIATE, 0
            case int():
                return _IMMEDIATE, argument
            case str():
                return _DATA, self._put(os.fsencode(argument) + b"\0")
            case bytes():
                return _DATA, self._put(argument)
            case Fd(number):
                if number not in self.descriptors:
                    self.descriptors.append(number)
                return _DESCRIPTOR, self.descriptors.index(number)
            case Register(number):
                return _REGISTER, number
            case Strings(items):
                encoded = [os.fsencode(item) if isinstance(item, str) else item for item in items]
                places = [self._put(item + b"\0") for item in encoded]
                table = self._put(struct.pack(f"={len(places) + 1}Q", *places, 0), align=8)
                self._relocations.extend(table + 8 * i for i in range(len(places)))
                return _DATA, table
            case Record(data, pointers):
                content = bytearray(data)
                for offset, target in pointers:
                    struct.pack_into("=Q", content, offset, self._put(target, align=8))
                place = self._put(bytes(content), align=8)
                self._relocations.extend(place + offset for offset, _ in pointers)
                return _DATA, place

    def _put(self, data: bytes, align: int = 1) -> int:
        self._data.extend(b"\0" * (-len(self._data) % align))
        place = len(self._data)
        self._data.extend(data)
        return place
