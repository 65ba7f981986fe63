"""Where a jail's root has libraries but not the place its programs look for their loader, a link leads there.

FreeBSD's loader is /libexec/ld-elf.so.1, which every jail of a document mounts; this machine's is in a directory that
no FreeBSD has (`/lib64`). Used when a process of the jail's gets its root; works below a descriptor of that root, in
which everything may be the jail's own doing.
"""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass

from vjail.kernel.linux.syscalls import openat2
from vjail.lab.userland import elf

_LOADER = re.compile(r"ld[-.\w]*\.so(\.\d+)*")
_SHELL = "bin/sh"


@dataclass(frozen=True, slots=True)
class LoaderLink:
    """A link that was made: its path in the jail, and what it says."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path} -> {self.text}"


def loader_link(root: int) -> LoaderLink | None:
    """Make the link if the root behind descriptor `root` lacks it; None where nothing was to be done, or could be.

    Raises OSError where the link cannot be made (EROFS: the root is read-only).
    """
    interpreter = _interpreter(root)
    if interpreter is None or _exists(root, interpreter):
        return None
    directory, name = posixpath.split(interpreter)
    if not _LOADER.fullmatch(name):
        return None
    place = _place_of(root, name)
    if place is None:
        return None
    if directory not in ("", "/") and not _exists(root, directory):
        # As a whole: where the machine's libraries are beside its loader, both are looked for there.
        above, link = posixpath.split(directory)
        made = LoaderLink(directory, posixpath.relpath(f"/{place}", above))
    else:
        above, link = directory, name
        made = LoaderLink(interpreter, posixpath.relpath(f"/{place}/{name}", above))
    try:
        fd = openat2(root, above.lstrip("/"), os.O_PATH | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        os.symlink(made.text, link, dir_fd=fd)
    except FileExistsError:
        return None
    finally:
        os.close(fd)
    return made


def _interpreter(root: int) -> str | None:
    """The loader that the jail's shell asks for."""
    try:
        fd = openat2(root, _SHELL, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        interpreter = elf.read_open(fd).interpreter
    except (elf.NotElf, OSError):
        return None
    finally:
        os.close(fd)
    if interpreter is None or not interpreter.startswith("/"):
        return None
    return posixpath.normpath(interpreter)


def _place_of(root: int, name: str) -> str | None:
    """The directory of the root's `lib` that holds the loader: `lib`, `lib/x86_64-linux-gnu`; None where none does."""
    if _exists(root, f"lib/{name}"):
        return "lib"
    try:
        fd = openat2(root, "lib", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        entries = sorted(entry for entry in os.listdir(fd) if entry.endswith("-linux-gnu"))
    finally:
        os.close(fd)
    return next((f"lib/{entry}" for entry in entries if _exists(root, f"lib/{entry}/{name}")), None)


def _exists(root: int, path: str) -> bool:
    try:
        os.close(openat2(root, path.lstrip("/"), os.O_PATH))
    except OSError:
        return False
    return True
