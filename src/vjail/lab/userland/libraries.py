"""The shared libraries that programs need, found as their loader would find them, and the loader's cache for a tree.

A tree gets every library in one directory, the one its C library is in, which every loader searches. `Libraries`
remembers each file it has read: one for each lab and source. Sources: ld.so(8), ldconfig(8), glibc's dl-cache.h.
"""

from __future__ import annotations

import os
import posixpath
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vjail.lab.userland import elf
from vjail.lab.userland.errors import UserlandError
from vjail.lab.userland.source import Source

OPENED = ("libnss_files.so.2", "libnss_dns.so.2", "libgcc_s.so.1")
"""What a C library opens by name when it is first asked for users, host names or the end of a thread."""


@dataclass(frozen=True, slots=True)
class Closure:
    """What some programs need to run.

    `libraries` is the file of this machine for each name a loader asks for, `loaders` likewise for each interpreter by
    its absolute path. `directory` is where the libraries belong, without the leading `/` or `/usr/`
    (`lib/x86_64-linux-gnu`, `lib64`, `lib`).
    """

    libraries: Mapping[str, str]
    loaders: Mapping[str, str]
    directory: str


class Libraries:
    """The shared libraries of one source, for programs of one machine (as uname(2) calls it)."""

    def __init__(self, source: Source, machine: str) -> None:
        self.source = source
        self._machine = machine
        self._read: dict[str, elf.Elf | None] = {}
        self._found: dict[tuple[str, tuple[str, ...]], tuple[str, str] | None] = {}
        self._usual: tuple[str, ...] | None = None

    def elf(self, path: str) -> elf.Elf | None:
        """What the file of this machine says; None where it is no ELF file of the kind known."""
        if path not in self._read:
            try:
                self._read[path] = elf.read(path)
            except (elf.NotElf, OSError):
                self._read[path] = None
        return self._read[path]

    def runs(self, path: str) -> bool:
        """Whether the program at this machine's `path` is an ELF program whose libraries are all there."""
        try:
            self.closure((path,))
        except UserlandError:
            return False
        found = self.elf(path)
        return found is not None and found.machine == self._machine

    def closure(self, programs: Iterable[str]) -> Closure:
        """What these programs, paths of this machine, need. Raises UserlandError where a library is missing."""
        libraries: dict[str, str] = {}
        loaders: dict[str, str] = {}
        home = None
        todo: list[tuple[str, tuple[str, ...]]] = [(path, ()) for path in programs]
        while todo:
            path, inherited = todo.pop()
            said = self.elf(path)
            if said is None:
                continue
            if said.interpreter is not None and said.interpreter not in loaders:
                loaders[said.interpreter] = self._loader(path, said.interpreter)
            # DT_RPATH counts only without DT_RUNPATH, and then for the libraries of libraries too (ld.so(8)).
            above = () if said.runpath else self._expand(said.rpath, path) + inherited
            first = above + self._expand(said.runpath, path)
            for name in said.needed:
                if name in libraries:
                    continue
                found = self._find(name, first)
                if found is None:
                    raise UserlandError(path, f"needs {name}, which is nowhere on this machine")
                libraries[name], directory = found
                if name.startswith(("libc.so", "libc.musl")):
                    home = directory
                todo.append((libraries[name], above))
        for name in OPENED if libraries else ():
            found = self._find(name, ())
            if name not in libraries and found is not None:
                libraries[name] = found[0]
        if home is None:
            home = posixpath.dirname(next(iter(loaders), "/lib/none"))
        return Closure(libraries, loaders, home.removeprefix("/usr").lstrip("/"))

    def _expand(self, directories: tuple[str, ...], path: str) -> tuple[str, ...]:
        """The directories with `$ORIGIN` for where the file at `path` is; those that depend on more are left out."""
        origin = posixpath.dirname(self.source.seen(path)) if directories else ""
        texts = (d.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for d in directories)
        return tuple(posixpath.normpath(text) for text in texts if text.startswith("/") and "$" not in text)

    def _loader(self, program: str, interpreter: str) -> str:
        found = self.source.file(interpreter)
        if found is None:
            raise UserlandError(program, f"its loader {interpreter} is nowhere on this machine")
        return found

    def _find(self, name: str, first: tuple[str, ...]) -> tuple[str, str] | None:
        """The library `name`: this machine's path, and the directory it was found in, as the source calls it."""
        key = (name, first)
        if key not in self._found:
            self._found[key] = self._search(name, first)
        return self._found[key]

    def _search(self, name: str, first: tuple[str, ...]) -> tuple[str, str] | None:
        if "/" in name:
            found = self.source.file(name)
            return (found, posixpath.dirname(name)) if found is not None else None
        if self._usual is None:
            self._usual = _usual_directories(self.source, self._machine)
        for directory in (*first, *self._usual):
            found = self.source.file(f"{directory}/{name}")
            said = self.elf(found) if found is not None else None
            if found is not None and said is not None and said.machine == self._machine:
                return found, directory
        return None


def _usual_directories(source: Source, machine: str) -> tuple[str, ...]:
    """Where the loader looks without being told: its own directories, then those of /etc/ld.so.conf."""
    own = [f"{top}/{directory}" for directory in (f"lib/{machine}-linux-gnu", "lib64", "lib") for top in ("", "/usr")]
    return tuple(dict.fromkeys([*own, *_configured(source, "/etc/ld.so.conf", 0)]))


def _configured(source: Source, path: str, depth: int) -> list[str]:
    found = source.file(path)
    if found is None or depth > 4:
        return []
    with open(found, encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.split("#")[0].strip() for line in file]
    directories: list[str] = []
    for line in lines:
        match line.split():
            case ["include", pattern]:
                directory, name = posixpath.split(posixpath.join(posixpath.dirname(path), pattern))
                for entry in source.list(directory):
                    if _matches(name, entry):
                        directories += _configured(source, f"{directory}/{entry}", depth + 1)
            case [directory] if directory.startswith("/"):
                directories.append(posixpath.normpath(directory))
    return directories


def _matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern with at most one `*`, as every ld.so.conf has it."""
    head, star, tail = pattern.partition("*")
    return name == pattern or (bool(star) and name.startswith(head) and name.endswith(tail) and name != head + tail)


# --- the loader's cache -----------------------------------------------------------------------------------------------

_MAGIC = b"glibc-ld.so.cache1.1"
_CACHE = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")
_LITTLE_ENDIAN = 2
_FLAGS = {"x86_64": 0x300, "aarch64": 0xA00}
"""How the cache marks what is for a machine."""


def cache(original: bytes, moved: Mapping[str, str], machine: str) -> bytes | None:
    """The machine's /etc/ld.so.cache with other paths for the libraries named in `moved`; None where it is not known.

    A name has the same place in the order whatever its path, so the entries are taken as they are. Those for special
    processors go: the plain ones serve every processor.
    """
    start = original.find(_MAGIC)
    if start < 0 or len(original) < start + _CACHE.size:
        return None
    data = original[start:]
    count = _CACHE.unpack_from(data)[1]
    if len(data) < _CACHE.size + count * _ENTRY.size:
        return None
    entries: list[tuple[int, bytes, bytes]] = []
    for i in range(count):
        flags, key, value, _, special = _ENTRY.unpack_from(data, _CACHE.size + i * _ENTRY.size)
        if special == 0:
            entries.append((flags, _text(data, key), _text(data, value)))
    at = _CACHE.size + len(entries) * _ENTRY.size
    table, strings, places = bytearray(), bytearray(), dict[bytes, int]()
    for flags, key, value in entries:
        new = moved.get(os.fsdecode(key)) if flags & 0xFF00 == _FLAGS[machine] else None
        for text in (key, path := value if new is None else os.fsencode(new)):
            if text not in places:
                places[text] = at + len(strings)
                strings += text + b"\0"
        table += _ENTRY.pack(flags, places[key], places[path], 0, 0)
    return _CACHE.pack(_MAGIC, len(entries), len(strings), _LITTLE_ENDIAN, 0) + bytes(table) + bytes(strings)


def _text(data: bytes, at: int) -> bytes:
    return data[at : data.index(b"\0", at)]
