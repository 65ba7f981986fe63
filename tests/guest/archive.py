"""A root file system for a guest, from this machine's own files: a cpio archive (newc) that Linux unpacks at its start.

It holds some Debian packages' files, the libraries that their programs need, a Python, and what else it is given.
Sources: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import BinaryIO

from vjail.lab.userland import elf
from vjail.lab.userland.libraries import OPENED

_PACKAGES = (
    "base-files", "bash", "bsdutils", "coreutils", "dash", "findutils", "gawk", "grep", "gzip", "hostname",
    "iproute2", "iputils-ping", "libc-bin", "login", "mawk", "mount", "ncurses-base", "ncurses-bin", "netbase",
    "passwd", "procps", "sed", "tar", "util-linux", "util-linux-extra",
)  # fmt: skip
"""Those that are not there are left out; what a test then lacks it says itself."""
_LEFT_OUT = re.compile(r"/usr/(share/(doc|man|locale|info|i18n|bash-completion|perl5)|lib/x86_64-linux-gnu/gconv)(/|$)")
_PYTHON_LEFT_OUT = re.compile(
    r"/(test|tests|idlelib|lib2to3|ensurepip|site-packages|dist-packages|turtledemo|tkinter|config-[^/]*)(/|$)"
)


class Archive:
    """What goes in, by its path there."""

    def __init__(self) -> None:
        self._sources: dict[str, Path] = {}
        self._links: dict[str, str] = {}
        self._texts: dict[str, tuple[bytes, int]] = {}
        self._folders: set[str] = set()

    def add(self, source: Path, at: str | None = None) -> None:
        """A file, link or (without what is in it) folder of this machine, where it is here or at another path."""
        place = _real(at or str(source))
        self._parents(place)
        if source.is_symlink():
            self._links[place] = os.readlink(source)
        elif source.is_dir():
            self._folders.add(place)
        elif source.is_file():
            self._sources[place] = source

    def add_tree(self, source: Path, at: str, left_out: re.Pattern[str] | None = None) -> None:
        """A folder with all that is in it."""
        for path in (source, *source.rglob("*")):
            inside = "" if path == source else f"/{path.relative_to(source)}"
            if left_out is None or not left_out.search(at + inside):
                self.add(path, at + inside)

    def write_file(self, at: str, data: bytes, mode: int = 0o644) -> None:
        """A file with this text."""
        self._parents(at)
        self._texts[at] = data, mode

    def link(self, at: str, target: str) -> None:
        """A symbolic link."""
        self._parents(at)
        self._links[at] = target

    def folder(self, at: str) -> None:
        """An empty folder."""
        self._parents(at)
        self._folders.add(at)

    def add_packages(self) -> None:
        """The files of the packages."""
        done = subprocess.run(["dpkg", "-L", *_PACKAGES], capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            if line.startswith("/") and line != "/." and not _LEFT_OUT.search(line):
                self.add(Path(line))

    def add_python(self, interpreter: str) -> None:
        """A Python with its standard library."""
        ask = "import sys, sysconfig; print(sys.executable, sysconfig.get_path('stdlib'), sep='\\n')"
        done = subprocess.run([interpreter, "-c", ask], capture_output=True, text=True, check=True)
        executable, library = done.stdout.split()
        self.add(Path(executable).resolve())
        if os.path.realpath(executable) != executable:
            self.link(_real(executable), os.path.realpath(executable))
        self.add_tree(Path(library), _real(library), _PYTHON_LEFT_OUT)

    def add_libraries(self) -> None:
        """What the programs that are in it are linked with, and what the C library opens by itself."""
        folders = [Path("/lib"), Path("/lib64"), *Path("/usr/lib").glob("*-linux-gnu")]
        wanted = list(OPENED)
        waiting = list(self._sources.values())
        while waiting or wanted:
            for source in waiting:
                with contextlib.suppress(elf.NotElf):
                    read = elf.read(str(source))
                    wanted += read.needed
                    if read.interpreter:
                        self.add(Path(read.interpreter).resolve(), read.interpreter)
            waiting = []
            for name in set(wanted):
                found = next((folder / name for folder in folders if (folder / name).exists()), None)
                if found is not None and _real(str(found)) not in self._sources:
                    self.add(found.resolve(), str(found))
                    waiting.append(found)
            wanted = []

    def _parents(self, place: str) -> None:
        folder = os.path.dirname(place)
        if folder not in ("/", "") and folder not in self._folders:
            self._parents(folder)
            self._folders.add(folder)

    # --- writing ---

    def write(self, out: BinaryIO) -> None:
        """Write the archive; folders come before what is in them."""
        for place in sorted(self._folders - set(self._links)):
            _put(out, place, stat.S_IFDIR | 0o755, b"")
        for place, target in self._links.items():
            _put(out, place, stat.S_IFLNK | 0o777, target.encode())
        for place, source in self._sources.items():
            if place not in self._texts and place not in self._links:
                seen = source.stat()
                _put(out, place, stat.S_IFREG | stat.S_IMODE(seen.st_mode), source.read_bytes(), int(seen.st_mtime))
        for place, (data, mode) in self._texts.items():
            _put(out, place, stat.S_IFREG | mode, data)
        _put(out, "/TRAILER!!!", 0, b"")


def _real(place: str) -> str:
    """A path as it is in the guest, where bin, sbin, lib and lib64 are links to those in usr, as here."""
    head, _, rest = place.lstrip("/").partition("/")
    return f"/usr/{head}/{rest}" if rest and head in ("bin", "sbin", "lib", "lib64") else place


_numbers = itertools.count(1)


def _put(out: BinaryIO, place: str, mode: int, data: bytes, changed: int = 0) -> None:
    name = place.lstrip("/").encode() + b"\0"
    numbers = (next(_numbers), mode, 0, 0, 1, changed, len(data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + "".join(f"{number:08x}" for number in numbers).encode() + name
    out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))
