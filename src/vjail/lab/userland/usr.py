"""What is vjail's own in /usr, and what a small /usr holds besides.

Over the machine's whole /usr lies a layer with vjail's commands, FreeBSD's directories, and links that lead from where
the machine has a command of the same name to vjail's. A small /usr is real files: a set that shell scripts live on.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path

from vjail.command.registry import by_name
from vjail.lab.userland import etc, names, skeleton
from vjail.lab.userland.natives import NAMES, Natives
from vjail.lab.userland.skeleton import Part
from vjail.lab.userland.source import Source
from vjail.lab.userland.toolkit import Toolkit
from vjail.lab.userland.tree import Tree

_FILES, _INSTEAD = Path(__file__).parent / "files", Path(__file__).parent / "instead"
_TERMINFO = ("/etc/terminfo", "/lib/terminfo", "/usr/lib/terminfo", "/usr/share/terminfo")
_LOCALES = ("C.utf8", "C.UTF-8")


def small(source: Source, toolkit: Toolkit) -> Mapping[str, str]:
    """The files of a small /usr: this machine's path of each by its path in the tree."""
    files = {f"/usr/bin/{name}": path for name, path in toolkit.usr_bin.items()}
    files |= {f"/usr/sbin/{name}": path for name, path in toolkit.usr_sbin.items()}
    files |= {f"/usr/{toolkit.root.directory}/{name}": path for name, path in toolkit.usr_libraries.items()}
    for name in names.TERMINALS:
        for directory in _TERMINFO:
            found = source.file(f"{directory}/{name[0]}/{name}")
            if found is not None:
                files[f"/usr/share/terminfo/{name[0]}/{name}"] = found
    for name in _LOCALES:
        for entry in source.list(f"/usr/lib/locale/{name}"):
            found = source.file(f"/usr/lib/locale/{name}/{entry}")
            if found is not None:
                files[f"/usr/lib/locale/{name}/{entry}"] = found
    return files


def write_own(tree: Tree, natives: Natives, source: Source) -> None:
    """Put FreeBSD's directories, vjail's commands and its scripts into a tree's /usr."""
    skeleton.make(tree, skeleton.directories(Part.USR))
    natives.write(tree, "/usr")
    write_shipped(tree, source, "usr")


def write_shipped(tree: Tree, source: Source, top: str) -> None:
    """Put vjail's scripts and other files below `top` into a tree, /usr/src left out."""
    for path, content in (*_shipped(top), *_instead(source, top)):
        tree.put(path, content, 0o555 if content.startswith(b"#!") else 0o644)


def write_src(tree: Tree, natives: Natives, files: Mapping[str, str], source: Source) -> None:
    """Put into a tree's /usr/src what `make installworld` and `make distribution` there install."""
    for path, content in _read(_FILES, "usr/src"):
        tree.put(path, content, 0o555 if content.startswith(b"#!") else 0o644)
    for name, (content, mode) in etc.pristine(etc.accounts(source)).items():
        tree.put(f"/usr/src/etc/{name}", content, mode)
    for path, content in _shipped("root"):
        tree.put(f"/usr/src{path}", content)
    tree.put("/usr/src/world.files", _world(natives, files, source).encode())
    modes = {**skeleton.OTHERS, **{path: mode for part in Part for path, mode in skeleton.directories(part).items()}}
    tree.put("/usr/src/world.directories", "".join(f"{mode:o} {path}\n" for path, mode in modes.items()).encode())


def write_small(tree: Tree, files: Mapping[str, str]) -> None:
    """Put the files of a small /usr into a tree."""
    for path, source in files.items():
        tree.copy(path, source, 0o444 if path.startswith(("/usr/lib", "/usr/share")) else 0o555)


def write_over(tree: Tree, files: Mapping[str, str], source: Source) -> None:
    """Put into the layer over a whole /usr what that lacks of the small one, and links to vjail's commands."""
    for path, text in command_links(source).items():
        tree.link(path, text)
    write_small(tree, {path: file for path, file in files.items() if source.file(path) is None})


def command_links(source: Source) -> Mapping[str, str]:
    """What leads from the source's programs in /usr that are called like vjail's commands to those: texts by path."""
    links = {}
    for directory in ("/usr/bin", "/usr/sbin"):
        for name in NAMES.intersection(source.list(directory)):
            place = by_name(name)
            if place is not None and place != f"{directory}/{name}":
                links[f"{directory}/{name}"] = posixpath.relpath(place, directory)
    return links


def _shipped(top: str) -> list[tuple[str, bytes]]:
    """vjail's own files below `top` (`usr`, `root`): path in the tree, and content."""
    return [(path, content) for path, content in _read(_FILES, top) if not path.startswith("/usr/src/")]


def _instead(source: Source, top: str) -> list[tuple[str, bytes]]:
    """Scripts for names below `top` that documents type and that this source has no program for."""
    return [(path, text) for path, text in _read(_INSTEAD, top) if source.program(posixpath.basename(path)) is None]


def _read(folder: Path, top: str) -> list[tuple[str, bytes]]:
    found = sorted(path for path in (folder / top).rglob("*") if path.is_file())
    return [(f"/{path.relative_to(folder).as_posix()}", path.read_bytes()) for path in found]


def _world(natives: Natives, files: Mapping[str, str], source: Source) -> str:
    """What `make installworld` copies of /usr: on each line a directory and the names in it."""
    paths = [*files, *(path for path in natives.places() if path.startswith("/usr/"))]
    paths += [path for path, _ in (*_shipped("usr"), *_instead(source, "usr"))]
    by_directory: dict[str, list[str]] = {}
    for path in dict.fromkeys(paths):
        directory, name = posixpath.split(path)
        by_directory.setdefault(directory, []).append(name)
    return "".join(f"{directory} {' '.join(found)}\n" for directory, found in by_directory.items())
