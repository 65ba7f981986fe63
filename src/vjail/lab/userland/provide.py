"""Puts together the tree of a lab host, and the bases and roots of jails in it.

What is the same in every tree is made once, in the lab's store: `store/base` (everything but /usr) and `store/usr`
(what is vjail's own in /usr). A host's tree is a copy of the first, a base an overlay of it, private to it; on the usr
of both is an overlay of the second and the machine's /usr. Where the kernel refuses an overlay, files are copied and
directories bound read-only.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from vjail.lab.userland.mounter import Mounter
from vjail.lab.userland.needs import Plan
from vjail.lab.userland.skeleton import EVERYTHING, Part
from vjail.lab.userland.tree import Tree
from vjail.lab.userland.write import Writer

_REAL = ("local", "obj", "ports", "src")
"""Directories of /usr that are the tree's own even where the source's are mounted one by one."""
_COMMANDS = ("bin", "libexec", "sbin")
"""Those that vjail's commands are in: never a plain copy of the source's."""
_PARTS = frozenset(part.value for part in Part)


class Extent(Enum):
    """How much of the source's /usr a tree has."""

    WHOLE = "whole"
    SMALL = "small"


@dataclass(slots=True)
class Provided:
    """What was made: the paths in the tree where something is mounted, in order, and what the user may want to know.

    FreeBSD's tables do not show these mounts: what stands in for a nullfs of a directory above one must bring it along.
    """

    mounts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Userland:
    """Makes the trees of one lab.

    `store` is a directory of the lab's own, on a file system that can hold an overlay's upper layer (a tmpfs); it is
    never seen inside. `userxattr` is True where this process is not the machine's root.
    """

    def __init__(self, writer: Writer, extent: Extent, *, mounter: Mounter, store: str, userxattr: bool) -> None:
        self._writer = writer
        self._extent = extent
        self._mounter = mounter
        self._store = store
        self._userxattr = userxattr

    # --- what is asked for --------------------------------------------------------------------------------------------

    def stock(self) -> None:
        """Fill the store, which whoever needs it first does otherwise. Raises as `provide_host`."""
        self._base  # noqa: B018
        if self._extent is Extent.WHOLE:
            self._usr  # noqa: B018

    def provide_host(
        self,
        root: str,
        *,
        files: str | None = None,
        given: Mapping[str, bytes] | None = None,
        hostid: str | None = None,
    ) -> Provided:
        """Make the tree of a lab host in the empty directory `root` of this machine.

        `files` is a directory of this machine laid over it, `given` single files of it by their path in the tree, both
        the user's: they stay as they are, but that vjail's commands have their own paths. `hostid` is the text of
        /etc/hostid. Raises UserlandError, and OSError where this machine fails.
        """
        provided = Provided()
        with Tree(root) as tree:
            if files is not None:
                tree.lay(files)
            for path, content in (given or {}).items():
                tree.remove(path)
                tree.put(path, content)
            if hostid is not None:
                tree.put("/etc/hostid", f"{hostid}\n".encode())
            self._grow(tree, EVERYTHING)
            if self._extent is Extent.WHOLE:
                self._overlay_usr(tree, "/usr", provided)
        return provided

    def provide_base(self, root: str, dest: str, parts: Collection[Part] = EVERYTHING) -> Provided:
        """Make a jail's base, or those `parts` of it, at the path `dest` of the host's tree at `root`.

        What is there already stays. Raises as `provide_host`.
        """
        provided = Provided()
        with Tree(root) as tree:
            self._provide_base(tree, dest, parts, provided)
        return provided

    def provide(self, root: str, plan: Plan) -> Provided:
        """Make what a plan asks for in the host's tree at `root`. Raises as `provide_host`."""
        provided = Provided()
        with Tree(root) as tree:
            for made in plan.roots:
                self._provide_base(tree, made.path, made.parts, provided)
            for directory in plan.directories:
                tree.make(directory.path, directory.mode)
            for path in plan.files:
                tree.put(path, b"")
        return provided

    # --- bases --------------------------------------------------------------------------------------------------------

    def _provide_base(self, tree: Tree, dest: str, parts: Collection[Part], provided: Provided) -> None:
        if not EVERYTHING.issubset(parts) or not self._overlay_base(tree, dest, provided):
            with Tree(tree.real(dest)) as own:
                self._grow(own, parts)
        if Part.USR in parts and self._extent is Extent.WHOLE:
            self._overlay_usr(tree, posixpath.join(dest, "usr"), provided)

    def _grow(self, tree: Tree, parts: Collection[Part]) -> None:
        """Put parts into a tree, of a whole /usr only the directory; what is there stays, but vjail's commands win."""
        for part in parts:
            self._writer.natives.clear(tree, f"/{part.value}")
        tree.grow(self._base, without=[name for name in os.listdir(self._base) if not _belongs(name, parts)])

    def _overlay_base(self, tree: Tree, dest: str, provided: Provided) -> bool:
        """Mount a base on `dest`; False where the kernel refuses."""
        target = tree.real(dest)
        upper, work = self._layer()
        with Tree(upper) as own:
            own.lay(target)
            self._writer.natives.clear(own, "")
        try:
            self._mounter.overlay([self._base], upper, work, target, userxattr=self._userxattr)
        except OSError as error:
            provided.notes.append(f"{dest}: the kernel refuses an overlay there ({_why(error)}); it is copies instead")
            return False
        provided.mounts.append(dest)
        tree.forget()
        return True

    @cached_property
    def _base(self) -> str:
        """A directory with what all bases share."""

        def write(tree: Tree) -> None:
            self._writer.write(tree)
            if self._extent is Extent.SMALL:
                self._writer.write_small_usr(tree)
                return
            tree.make("/usr")
            for path, text in self._writer.links.items():
                tree.link(path, text)

        return self._shared("base", "/", write)

    # --- /usr ---------------------------------------------------------------------------------------------------------

    def _overlay_usr(self, tree: Tree, at: str, provided: Provided) -> None:
        """Mount vjail's layer and the source's whole /usr on the directory `at`; what is there already stays."""
        target = tree.real(at)
        upper, work = self._layer()
        with Tree(upper, at="/usr") as own:
            own.lay(target, at="/usr")
            self._writer.natives.clear(own, "/usr")
        lower = [self._usr, self._writer.source.path("/usr")]
        try:
            self._mounter.overlay(lower, upper, work, target, userxattr=self._userxattr)
            provided.mounts.append(at)
        except OSError as error:
            # Without root, a /usr with other file systems mounted in it cannot be overlaid as a whole (EINVAL).
            provided.notes.append(
                f"{at}: the kernel refuses an overlay of {lower[1]} ({_why(error)}); its directories are there "
                "one by one, read-only where that is refused too"
            )
            self._assemble_usr(tree, at, provided)
        tree.forget()

    def _assemble_usr(self, tree: Tree, at: str, provided: Provided) -> None:
        """Make `at` a small /usr, and over its directories mount those of the source, each for itself."""
        with Tree(tree.real(at), at="/usr") as own:
            self._writer.write_small_usr(own)
        for name in self._writer.source.list("/usr"):
            source = self._writer.source.path(f"/usr/{name}")
            if name in _REAL or os.path.islink(source) or not os.path.isdir(source):
                continue
            target = tree.real(f"{at}/{name}")
            upper, work = self._layer()
            ours = posixpath.join(self._usr, name)
            try:
                lower = [ours, source] if os.path.isdir(ours) else [source]
                self._mounter.overlay(lower, upper, work, target, userxattr=self._userxattr)
            except OSError:
                if name in _COMMANDS:
                    continue
                self._mounter.bind(source, target, read_only=True)
            provided.mounts.append(f"{at}/{name}")

    @cached_property
    def _usr(self) -> str:
        """A directory with what is vjail's in every whole /usr."""

        return self._shared("usr", "/usr", self._writer.write_over_usr)

    # --- the lab's store ----------------------------------------------------------------------------------------------

    def _shared(self, name: str, at: str, write: Callable[[Tree], None]) -> str:
        """The directory `name` of the store, written when it is first needed; seen whole or not at all."""
        path = posixpath.join(self._store, name)
        if not os.path.isdir(path):
            unfinished = f"{path}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            os.mkdir(unfinished, 0o755)
            os.chmod(unfinished, 0o755)
            with Tree(unfinished, at=at) as tree:
                write(tree)
            os.rename(unfinished, path)
        return path

    def _layer(self) -> tuple[str, str]:
        """New directories for an overlay: what is written to it, and the kernel's own."""
        layers = posixpath.join(self._store, "layers")
        os.makedirs(layers, exist_ok=True)
        place = posixpath.join(layers, str(len(os.listdir(layers))))
        for path in (place, f"{place}/upper", f"{place}/work"):
            os.mkdir(path, 0o755)
            os.chmod(path, 0o755)
        return f"{place}/upper", f"{place}/work"


def _belongs(name: str, parts: Collection[Part]) -> bool:
    """Whether what has this name at the top of a tree belongs to one of the parts; some belongs to all together."""
    if EVERYTHING.issubset(parts):
        return True
    also = Part.LIB in parts and name.startswith("lib") and name not in _PARTS  # lib64
    return also or any(name == part.value for part in parts)


def _why(error: OSError) -> str:
    return os.strerror(error.errno or 0)
