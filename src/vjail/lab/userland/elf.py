"""What an ELF program or library says it needs: its interpreter and its shared libraries. Nothing is searched here.

Only what vjail has agents for is read: 64 bit, little endian. Source: elf(5), the System V ABI.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<QQ")
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_RPATH, _DT_RUNPATH = 1, 5, 10, 15, 29
_MOST_SEGMENTS = 256
_MOST = 1 << 20
"""Bytes of a dynamic section or string table beyond which a file is not believed."""

MACHINES = {62: "x86_64", 183: "aarch64"}
"""ELF machine numbers, as uname(2) calls the machines."""


class NotElf(Exception):
    """The file is no ELF file of the kind read here."""


@dataclass(frozen=True, slots=True)
class Elf:
    """What one file says. `rpath` and `runpath` as written, `$ORIGIN` included."""

    machine: str
    interpreter: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]


def read(path: str) -> Elf:
    """Read `path`. Raises NotElf, or OSError where it cannot be read."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_open(fd)
    finally:
        os.close(fd)


def read_open(fd: int) -> Elf:
    """Read the file behind a descriptor, whatever is in it. Raises NotElf, or OSError where it cannot be read."""
    try:
        return _read(fd)
    except (struct.error, ValueError, OverflowError) as error:
        raise NotElf(fd) from error


def _read(fd: int) -> Elf:
    head = os.pread(fd, 4096, 0)
    if head[:6] != b"\x7fELF\x02\x01":
        raise NotElf(fd)
    fields = _HEADER.unpack_from(head)
    machine, at, size, count = fields[2], fields[5], fields[9], fields[10]
    if size != _SEGMENT.size or count > _MOST_SEGMENTS:
        raise NotElf(fd)
    table = head[at : at + size * count]
    if len(table) < size * count:
        table = os.pread(fd, size * count, at)
    segments = [_SEGMENT.unpack_from(table, i * size) for i in range(count)]
    interpreter, dynamic = None, b""
    for kind, _, offset, _, _, length, _, _ in segments:
        if kind == _PT_INTERP:
            interpreter = os.fsdecode(os.pread(fd, min(length, 4096), offset).split(b"\0")[0])
        elif kind == _PT_DYNAMIC and length <= _MOST:
            dynamic = os.pread(fd, length, offset)
    entries = [_DYNAMIC.unpack_from(dynamic, i) for i in range(0, len(dynamic) - 15, 16)]
    values = dict(reversed(entries))
    strings = b""
    size = values.get(_DT_STRSZ, 0)
    if _DT_STRTAB in values and size <= _MOST:
        strings = os.pread(fd, size, _offset(values[_DT_STRTAB], segments))

    def text(at: int) -> str:
        return os.fsdecode(strings[at : strings.index(b"\0", at)])

    def directories(tag: int) -> tuple[str, ...]:
        return tuple(d for d in text(values[tag]).split(":") if d) if tag in values else ()

    needed = tuple(text(value) for tag, value in entries if tag == _DT_NEEDED)
    name = MACHINES.get(machine, f"machine {machine}")
    return Elf(name, interpreter, needed, directories(_DT_RPATH), directories(_DT_RUNPATH))


def _offset(address: int, segments: list[tuple[int, ...]]) -> int:
    """Where in the file the byte is that is loaded at `address`."""
    for kind, _, offset, start, _, length, _, _ in segments:
        if kind == _PT_LOAD and start <= address < start + length:
            return offset + address - start
    raise ValueError(address)
