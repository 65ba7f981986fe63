"""`vjail base`: a base for jails in an ordinary directory of this machine, to be mounted into labs or copied to them.

It comes from this machine, from a directory or a tarball that holds a root file system, or from an OCI image. Whatever
it came from it ends with FreeBSD's directories as real ones, vjail's commands at their places and an /etc that
`/bin/sh /etc/rc` can work with. It appears under its name when it is whole, or not at all.
"""

from __future__ import annotations

import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum

from vjail.lab.userland import image, usr
from vjail.lab.userland.errors import UserlandError
from vjail.lab.userland.ids import Ids
from vjail.lab.userland.natives import Natives
from vjail.lab.userland.skeleton import Part
from vjail.lab.userland.source import Source
from vjail.lab.userland.toolkit import merged_links
from vjail.lab.userland.tree import Tree
from vjail.lab.userland.unpack import Unpacker
from vjail.lab.userland.write import Writer

_LOGIN = "/usr/bin/login"
_LINKED = ("bin", "sbin", "lib", "lib64")


class Machine(Enum):
    """How much of this machine a base gets: what jails live on, or its whole /usr."""

    SMALL = "small"
    FULL = "full"


def make_base(
    dest: str,
    source: Machine | str,
    *,
    machine: str,
    natives: Natives,
    tell: Callable[[str], None] = lambda step: None,
) -> list[str]:
    """Make a base in the directory `dest`, which is missing or empty; what the user may want to know of it.

    `source` is this machine, or the path of a directory, a tarball, or an OCI image layout (a directory, or a tar
    archive of one). `machine` is what uname(2) says. `tell` is told each step as it begins. Raises UserlandError;
    whatever is raised, KeyboardInterrupt too, nothing is left of what was made.
    """
    shown, dest = dest, posixpath.abspath(dest)
    if os.path.lexists(dest) and (not os.path.isdir(dest) or os.listdir(dest)):
        raise UserlandError(shown, "is there already, and no empty directory", "name another, or remove it")
    if isinstance(source, str) and os.path.isdir(source) and _is_below(dest, source):
        raise UserlandError(shown, f"is inside {source}, which is to be copied", "name a directory outside it")
    try:
        with _unfinished(dest) as partial:
            notes = _fill(partial, source, machine, natives, tell)
            _put(partial, dest)
    except OSError as error:
        raise UserlandError(error.filename or dest, _why(error)) from error
    return notes


@contextmanager
def _unfinished(dest: str) -> Iterator[str]:
    """A hidden directory that `dest` can be made of by renaming; it goes at the end, with what was made above it."""
    above = dest if os.path.isdir(dest) else posixpath.dirname(dest)
    made: list[str] = []
    try:
        try:
            while not os.path.isdir(above):
                made.append(above)
                above = posixpath.dirname(above)
            for path in reversed(made):
                os.mkdir(path)
            partial = tempfile.mkdtemp(prefix=f".{posixpath.basename(dest)}.", dir=made[0] if made else above)
        except OSError as error:
            path = error.filename or above
            raise UserlandError(path, _why(error), "name a directory that you may write to") from error
        try:
            os.chmod(partial, 0o755)
            yield partial
        finally:
            _remove(partial)
    except BaseException:
        for path in made:
            with suppress(OSError):
                os.rmdir(path)
        raise


def _put(partial: str, dest: str) -> None:
    """Let what was made appear under its name: as `dest`, or in it where it is there (perhaps a shell is in it)."""
    if not os.path.isdir(dest):
        os.rename(partial, dest)
        return
    for name in os.listdir(partial):
        source, target = posixpath.join(partial, name), posixpath.join(dest, name)
        mode = os.lstat(source).st_mode
        if stat.S_ISDIR(mode):
            # A directory that goes elsewhere is written to (its ..), which even its owner may not without w.
            os.chmod(source, stat.S_IMODE(mode) | stat.S_IWUSR)
        os.rename(source, target)
        if stat.S_ISDIR(mode):
            os.chmod(target, stat.S_IMODE(mode))


def _remove(top: str) -> None:
    """Remove a directory and all in it, directories without w for their owner included."""
    for path, directories, _ in os.walk(top):
        for name in directories:
            inner = posixpath.join(path, name)
            if not os.path.islink(inner) and not os.stat(inner).st_mode & stat.S_IWUSR:
                os.chmod(inner, 0o700)
    shutil.rmtree(top, ignore_errors=True)


def _is_below(path: str, directory: str) -> bool:
    path, directory = os.path.realpath(path), os.path.realpath(directory)
    return posixpath.commonpath((path, directory)) == directory


def _fill(
    partial: str, source: Machine | str, machine: str, natives: Natives, tell: Callable[[str], None]
) -> list[str]:
    with Tree(partial) as tree:
        if isinstance(source, Machine):
            tell("copying from this machine")
            return from_machine(tree, source, Writer(Source.machine(), machine, natives))
        unpacker = Unpacker(tree, Ids.of_this_process())
        _unpack(unpacker, source, machine, tell)
        tell("adding what vjail brings")
        notes = _complete(tree, Writer(Source(partial), machine, natives))
        unpacker.finish()
        return [*unpacker.left_out.notes(), *notes]


def from_machine(tree: Tree, extent: Machine, writer: Writer) -> list[str]:
    """Make the empty `tree` a base of the writer's machine; what the user may want to know of it."""
    writer.write(tree)
    usr.write_own(tree, writer.natives, writer.libraries.source)
    if extent is Machine.SMALL:
        usr.write_small(tree, writer.small)
        return []
    usr.write_over(tree, writer.small, writer.source)
    tree.fill(writer.source.path("/usr"), at="/usr")
    for path, text in writer.links.items():
        tree.link(path, text)
    return ["files of /usr that not everyone may read were left out, and set-user-id bits were not kept"]


def _unpack(unpacker: Unpacker, source: str, machine: str, tell: Callable[[str], None]) -> None:
    if os.path.isdir(source):
        if image.is_layout(source):
            _unpack_image(unpacker, source, machine, tell)
        else:
            tell(f"copying {source}")
            unpacker.copy(source)
        return
    if not os.path.isfile(source):
        raise UserlandError(source, "no such file or directory", "give a directory, a tarball or an OCI image layout")
    with tempfile.TemporaryDirectory(prefix=".layout.", dir=posixpath.dirname(unpacker.tree.top)) as layout:
        tell(f"reading {source}")
        try:
            is_image = image.unpack_layout(source, layout)
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError):
            is_image = False  # what is wrong with it is said below
        if is_image:
            _unpack_image(unpacker, layout, machine, tell)
        else:
            tell(f"unpacking {source}")
            unpacker.archive(source)


def _unpack_image(unpacker: Unpacker, layout: str, machine: str, tell: Callable[[str], None]) -> None:
    layers = image.layers(layout, machine)
    for number, layer in enumerate(layers, 1):
        tell(f"unpacking layer {number} of {len(layers)}")
        unpacker.archive(layer, layer=True)


def _complete(tree: Tree, writer: Writer) -> list[str]:
    """Make a root file system a base; what the user may want to know of it."""
    if writer.libraries.source is not writer.source:
        text = "no root file system of this kind of machine: it has no sh that runs here"
        raise UserlandError("what was given", text, "it must be a whole one, with its libraries")
    links = _parted(tree, writer)
    if tree.contains(_LOGIN):
        tree.remove(_LOGIN)
    own = {path for path, program in writer.natives.places().items() if _is_like(tree, path, program)}
    replaced = [path for part in Part for path in writer.natives.write(tree, f"/{part.value}") if path not in own]
    for path, text in usr.command_links(writer.source).items():
        tree.remove(path)
        tree.link(path, text)
        replaced.append(path)
    usr.write_own(tree, writer.natives, writer.source)
    writer.write(tree)
    for path, text in links.items():
        tree.link(path, text)
    return [f"vjail's own commands took the places of {', '.join(sorted(replaced))}"] if replaced else []


def _is_like(tree: Tree, path: str, program: str) -> bool:
    """Whether a file of the tree is the same as one of this machine: it comes of a base of vjail's."""
    try:
        with open(program, "rb") as file:
            return tree.read(path) == file.read()
    except OSError:
        return False


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _parted(tree: Tree, writer: Writer) -> Mapping[str, str]:
    """Remove the links that merge bin, sbin and lib with those of /usr, for directories to come in their places.

    What is not put into these directories itself is reached by links, which are returned: their texts, by path.
    """
    source, closure = writer.source, writer.toolkit.root
    links = dict(merged_links(source, closure))
    for name in ("bin", "sbin"):
        found = source.resolve(f"/{name}")
        if found in ("/usr/bin", "/usr/sbin"):
            links.update({f"/{name}/{entry}": f"..{found}/{entry}" for entry in source.list(found)})
    for name in _LINKED:
        if tree.contains(f"/{name}") and not tree.is_directory(f"/{name}"):
            tree.remove(f"/{name}")
    return links
