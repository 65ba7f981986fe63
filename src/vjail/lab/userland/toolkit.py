"""The programs of a source that a tree takes, under FreeBSD's names, with the libraries they need.

What is worked out here once serves every tree of a lab: the search through the machine's files is the slow part.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vjail.lab.userland import names
from vjail.lab.userland.errors import UserlandError
from vjail.lab.userland.libraries import Closure, Libraries
from vjail.lab.userland.natives import NAMES
from vjail.lab.userland.source import Source
from vjail.lab.userland.tree import Tree


@dataclass(frozen=True, slots=True)
class Toolkit:
    """Files of this machine by the name they get: programs by directory, and libraries.

    `root` is what the programs of bin and sbin need, `usr_libraries` what those of usr need besides.
    """

    bin: Mapping[str, str]
    sbin: Mapping[str, str]
    usr_bin: Mapping[str, str]
    usr_sbin: Mapping[str, str]
    root: Closure
    usr_libraries: Mapping[str, str]


def collect(libraries: Libraries) -> Toolkit:
    """Find everything. Raises UserlandError where the source has no shell."""
    shell = libraries.source.program("sh")
    if shell is None or not libraries.runs(shell):
        raise UserlandError(libraries.source.root, "there is no sh that runs on this machine")
    chosen = [_choose(libraries, wanted) for wanted in (names.BIN, names.SBIN, names.USR_BIN, names.USR_SBIN)]
    root = libraries.closure([*chosen[0].values(), *chosen[1].values()])
    usr = libraries.closure([*chosen[2].values(), *chosen[3].values()])
    besides = {name: path for name, path in usr.libraries.items() if name not in root.libraries}
    return Toolkit(chosen[0], chosen[1], chosen[2], chosen[3], root, besides)


def _choose(libraries: Libraries, wanted: Iterable[str]) -> dict[str, str]:
    found = {name: libraries.source.program(name) for name in wanted if name not in NAMES}
    return {name: path for name, path in found.items() if path is not None and _usable(libraries, path)}


def _usable(libraries: Libraries, path: str) -> bool:
    """Whether it runs in a tree that has sh and bash, but no other interpreter for certain."""
    with open(path, "rb") as file:
        first = file.readline(256)
    if not first.startswith(b"#!"):
        return libraries.runs(path)
    words = os.fsdecode(first[2:]).split()
    return bool(words) and (
        words[0] in ("/bin/sh", "/usr/bin/sh")
        or (words[0] in ("/bin/bash", "/usr/bin/bash") and libraries.source.program("bash") is not None)
    )


def home(closure: Closure) -> str:
    """Where the libraries of bin and sbin lie in a tree, below `lib` whatever the machine calls it.

    A jail that mounts only FreeBSD's directories has `lib`; `lib64` is links into it (see loader.py).
    """
    first, _, rest = closure.directory.partition("/")
    return posixpath.join("lib", rest) if rest and first.startswith("lib") else "lib"


def write_programs(tree: Tree, directory: str, programs: Mapping[str, str]) -> None:
    """Put programs into a directory; those that are one file on the machine are one file there too."""
    first: dict[str, str] = {}
    for name, source in programs.items():
        path = f"{directory}/{name}"
        if source in first:
            tree.same(path, first[source])
        elif tree.copy(path, source, 0o555):
            first[source] = path


def write_libraries(tree: Tree, closure: Closure) -> None:
    """Put the libraries of bin and sbin and the loaders into a tree's lib, and what leads to them from elsewhere."""
    place = home(closure)
    files = {**{posixpath.basename(path): file for path, file in closure.loaders.items()}, **closure.libraries}
    for name, source in files.items():
        tree.copy(f"/{place}/{name}", source, 0o555 if name.startswith("ld") else 0o444)
        if closure.directory != place:
            tree.link(f"/{closure.directory}/{name}", posixpath.relpath(f"/{place}/{name}", f"/{closure.directory}"))
    for path in closure.loaders:
        if posixpath.dirname(path) not in (f"/{place}", f"/{closure.directory}"):
            name = posixpath.basename(path)
            tree.link(path, posixpath.relpath(f"/{place}/{name}", posixpath.dirname(path)))


def merged_links(source: Source, closure: Closure) -> Mapping[str, str]:
    """What makes paths into the source's /lib work where its /lib is its /usr/lib: the text of each link, by its path.

    Programs name folders there (`/lib/terminfo`, `/lib/x86_64-linux-gnu/security`); libraries they find in /usr/lib.
    """
    if source.resolve("/lib") != "/usr/lib":
        return {}
    links = {f"/lib/{name}": f"../usr/lib/{name}" for name in source.list("/usr/lib")}
    directory = closure.directory
    if source.resolve(f"/{directory}") == f"/usr/{directory}" and "/" in directory:
        for name in source.directories(f"/usr/{directory}"):
            links[f"/{directory}/{name}"] = posixpath.relpath(f"/usr/{directory}/{name}", f"/{directory}")
    return links
