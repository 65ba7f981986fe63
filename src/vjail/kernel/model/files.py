"""Files of a host in memory, seen through everything that is mounted, from the host's root or a jail's.

A file system is a `Store`: files by path, on top of a `Tree` that hosts share and nobody changes. `HostFiles` finds the
way through links and the mount table; `SessionFiles` is the `Files` of one process.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vjail.kernel.core.devnodes import DeviceNode, NodeType
from vjail.kernel.core.mount_driver import MountKind
from vjail.kernel.core.mounts import ROOT, Vnode
from vjail.kernel.errno import Errno, KernelError
from vjail.session import FileKind

if TYPE_CHECKING:
    from vjail.kernel.core.mounts import Mounts

_MOST_LINKS = 32
"""MAXSYMLINKS."""


@dataclass(frozen=True, slots=True)
class Node:
    """A file, a directory, a symbolic link or a device."""

    kind: FileKind
    data: bytes = b""
    mode: int = 0o644
    link: str = ""


def directory(mode: int = 0o755) -> Node:
    """A directory."""
    return Node(FileKind.DIRECTORY, mode=mode)


@dataclass(frozen=True, slots=True)
class Tree:
    """Files by path (`/` and `/a/b`), parents included; shared, never changed."""

    nodes: Mapping[str, Node]
    names: Mapping[str, tuple[str, ...]]
    """What is in each directory."""

    @classmethod
    def of(cls, nodes: Mapping[str, Node]) -> Tree:
        """A tree of these files; missing parents are made."""
        whole: dict[str, Node] = {"/": directory()}
        for path, node in sorted(nodes.items()):
            for parent in reversed(list(_parents(path))):
                whole.setdefault(parent, directory())
            whole[path] = node
        names: dict[str, list[str]] = {}
        for path in whole:
            if path != "/":
                names.setdefault(posixpath.dirname(path), []).append(posixpath.basename(path))
        return cls(whole, {path: tuple(inside) for path, inside in names.items()})


EMPTY = Tree.of({})


@dataclass(slots=True)
class Store:
    """One file system: what has been changed of `tree`, None where something was removed."""

    tree: Tree = EMPTY
    changed: dict[str, Node | None] = field(default_factory=dict)
    grafts: dict[str, Tree] = field(default_factory=dict)
    """Further trees, by the directory that each one's root is laid over."""
    added: dict[str, dict[str, None]] = field(default_factory=dict)
    """What has been put into each directory, also what was removed since."""

    def get(self, path: str) -> Node | None:
        """What is at a path."""
        if path in self.changed:
            return self.changed[path]
        found = self.tree.nodes.get(path)
        if found is not None or not self.grafts:
            return found
        above = path
        while above != "/":
            tree = self.grafts.get(above)
            if tree is not None and (found := tree.nodes.get(path[len(above) :] or "/")) is not None:
                return found
            above = above.rpartition("/")[0] or "/"
        return None

    def graft(self, path: str, tree: Tree) -> None:
        """Lay a tree over a directory, which is made where it is missing; what is there already stays."""
        for parent in reversed([path, *_parents(path)]):
            if self.get(parent) is None:
                self.put(parent, directory())
        self.grafts[path] = tree

    def put(self, path: str, node: Node) -> None:
        """Make or replace a file."""
        self.changed[path] = node
        if path != "/":
            self.added.setdefault(posixpath.dirname(path), {})[posixpath.basename(path)] = None

    def remove(self, path: str) -> None:
        """Remove a file or directory, with what is in it."""
        node = self.get(path)
        if node is not None and node.kind is not FileKind.DIRECTORY:
            self.changed[path] = None
            return
        for each in [each for each in self._below(path) if self.get(each) is not None]:
            self.changed[each] = None

    def names(self, path: str) -> list[str]:
        """What is in a directory, sorted."""
        prefix = path.rstrip("/") + "/"
        trees = [(self.tree, path)]
        for root, tree in self.grafts.items():
            if path == root or path.startswith(f"{root}/"):
                trees.append((tree, path[len(root) :] or "/"))
        here = {name for tree, inside in trees for name in tree.names.get(inside, ())}
        return sorted(name for name in here | self.added.get(path, {}).keys() if self.get(prefix + name) is not None)

    def _below(self, path: str) -> Iterator[str]:
        prefix = path.rstrip("/") + "/"
        grafted = (root + inside for root, tree in self.grafts.items() for inside in tree.nodes)
        for each in dict.fromkeys((*self.tree.nodes, *grafted, *self.changed)):
            if each == path or each.startswith(prefix):
                yield each


class HostFiles:
    """All file systems of one host, and the way through them."""

    def __init__(self, tree: Tree) -> None:
        self.stores: dict[int, Store] = {ROOT: Store(tree)}
        self.mounts: Mounts

    # --- finding ----------------------------------------------------------------------------------------------------

    def realpath(self, root: str, path: str) -> str:
        """The host's path of `path` seen with `root` as its /, links followed inside it. ENOENT, ENOTDIR, ELOOP."""
        real, node = self.walk(root, path)
        if node is None:
            raise KernelError(Errno.ENOENT)
        return real

    def walk(self, root: str, path: str, *, follow: bool = True) -> tuple[str, Node | None]:
        """The host's path that `path` leads to, and what is there; the last part may be missing.

        `follow`: also a link in the last place.
        """
        pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        start = here = self.mounts.lookup(root)
        done: list[tuple[str, Vnode]] = []
        node = self._at(here)
        links = 0
        while pending:
            if node is None:
                raise KernelError(Errno.ENOENT)
            if node.kind is not FileKind.DIRECTORY:
                raise KernelError(Errno.ENOTDIR)
            part = pending.pop()
            if part == "..":
                if done:
                    here = done.pop()[1]
                node = self._at(here)
                continue
            done.append((part, here))
            here = self.mounts.step(here, part)
            node = self._at(here)
            if node is not None and node.kind is FileKind.LINK and (pending or follow):
                links += 1
                if links > _MOST_LINKS:
                    raise KernelError(Errno.ELOOP)
                here = done.pop()[1]
                if node.link.startswith("/"):
                    done.clear()
                    here = start
                pending += [each for each in reversed(node.link.split("/")) if each not in ("", ".")]
                node = self._at(here)
        base = "" if root == "/" else root
        return f"{base}/{'/'.join(name for name, _ in done)}" if done else root, node

    def _at(self, place: Vnode) -> Node | None:
        origin = self.mounts.origin(place)
        return self.stores[origin.mount].get(origin.path or "/")

    def node(self, real: str) -> Node | None:
        """What is at a host's path without links."""
        return self._at(self.mounts.lookup(real))

    def place(self, real: str) -> tuple[Store, str, bool]:
        """The file system that a host's path without links is on, the path there, and whether it is read-only."""
        vnode = self.mounts.lookup(real)
        read_only = self.mounts.is_read_only(vnode)
        origin: Vnode = self.mounts.origin(vnode)
        return self.stores[origin.mount], origin.path or "/", read_only

    def names(self, real: str) -> list[str]:
        """What is in the directory at a host's path without links."""
        store, path, _ = self.place(real)
        return store.names(path)

    # --- changing ---------------------------------------------------------------------------------------------------

    def put(self, path: str, node: Node) -> None:
        """Make a file of the host's, with the directories above, whatever is mounted read-only."""
        for parent in reversed(list(_parents(path))):
            store, there, _ = self.place(parent)
            if store.get(there) is None:
                store.put(there, directory())
        store, there, _ = self.place(path)
        store.put(there, node)

    # --- the mount driver's part ------------------------------------------------------------------------------------

    def mount(self, ident: int, kind: MountKind) -> None:
        """Let there be what a mount of a file system with files of its own brings."""
        if kind in (MountKind.NULLFS, MountKind.UNIONFS):
            return
        store = self.stores[ident] = Store()
        if kind is MountKind.FDESCFS:
            for name in "012":
                store.put(f"/{name}", Node(FileKind.OTHER, mode=0o666))

    def unmount(self, ident: int) -> None:
        """Forget them."""
        self.stores.pop(ident, None)

    def populate(self, ident: int, nodes: Sequence[DeviceNode]) -> None:
        """Let a devfs hold exactly these nodes."""
        store = self.stores[ident] = Store()
        for node in nodes:
            match node.type:
                case NodeType.DIRECTORY:
                    made = directory(node.mode)
                case NodeType.LINK:
                    made = Node(FileKind.LINK, link=node.link, mode=node.mode)
                case _:
                    made = Node(FileKind.OTHER, mode=node.mode)
            store.put(f"/{node.name}", made)


class SessionFiles:
    """The files of one process: paths in its root, relative ones from its working directory."""

    def __init__(self, host: HostFiles, root: str = "/", cwd: str = "/") -> None:
        self._host = host
        self._root = root
        self._cwd = cwd

    def _walk(self, path: str, *, follow: bool = True) -> tuple[str, Node | None]:
        return self._host.walk(self._root, posixpath.join(self._cwd, path), follow=follow)

    def _existing(self, path: str, *, follow: bool = True) -> tuple[str, Node]:
        real, node = self._walk(path, follow=follow)
        if node is None:
            raise KernelError(Errno.ENOENT)
        return real, node

    def _put(self, real: str, node: Node) -> None:
        store, path, read_only = self._host.place(real)
        if read_only:
            raise KernelError(Errno.EROFS)
        store.put(path, node)

    def read(self, path: str) -> bytes:
        """A file's content."""
        node = self._existing(path)[1]
        if node.kind is FileKind.DIRECTORY:
            raise KernelError(Errno.EISDIR)
        return node.data

    def write(self, path: str, data: bytes, *, append: bool = False, mode: int = 0o644) -> None:
        """Replace or extend a file's content, making the file where it is missing."""
        real, old = self._walk(path)
        if old is None:
            self._put(real, Node(FileKind.FILE, data, mode))
        elif old.kind is FileKind.DIRECTORY:
            raise KernelError(Errno.EISDIR)
        elif old.kind is FileKind.FILE:
            self._put(real, Node(FileKind.FILE, old.data + data if append else data, old.mode))

    def kind(self, path: str, *, follow: bool = True) -> FileKind | None:
        """What `path` names, None where nothing is there."""
        try:
            node = self._walk(path, follow=follow)[1]
        except KernelError as error:
            if error.errno in (Errno.ENOENT, Errno.ENOTDIR):
                return None
            raise
        return None if node is None else node.kind

    def mode(self, path: str) -> int:
        """Its permission bits and set-id bits."""
        return self._existing(path)[1].mode

    def list(self, path: str) -> Sequence[str]:
        """The names in a directory, sorted."""
        real, node = self._existing(path)
        if node.kind is not FileKind.DIRECTORY:
            raise KernelError(Errno.ENOTDIR)
        return self._host.names(real)

    def glob(self, pattern: str) -> Sequence[str]:
        """glob(3): the matching paths, sorted; none is no error."""
        found = [""] if pattern.startswith("/") else ["."]
        for part in (part for part in pattern.split("/") if part):
            found = [path for each in found for path in self._matching(each, part)]
        return sorted(found if pattern.startswith("/") else (path.removeprefix("./") for path in found))

    def _matching(self, above: str, part: str) -> Iterator[str]:
        if not any(mark in part for mark in "*?["):
            if self.kind(f"{above}/{part}", follow=False) is not None:
                yield f"{above}/{part}"
            return
        if self.kind(above or "/") is not FileKind.DIRECTORY:
            return
        for name in self.list(above or "/"):
            if fnmatch.fnmatchcase(name, part) and name.startswith(".") <= part.startswith("."):
                yield f"{above}/{name}"

    def mkdir(self, path: str, mode: int = 0o755, *, parents: bool = False) -> None:
        """Make a directory; with `parents` as mkdir -p does."""
        if parents:
            reached = "/" if path.startswith("/") else "."
            for part in path.split("/"):
                reached = posixpath.join(reached, part)
                if self.kind(reached) is None:
                    self.mkdir(reached, mode)
            return
        real, node = self._walk(path)
        if node is not None:
            raise KernelError(Errno.EEXIST)
        self._put(real, directory(mode))

    def unlink(self, path: str) -> None:
        """Remove a file."""
        real, node = self._existing(path, follow=False)
        if node.kind is FileKind.DIRECTORY:
            raise KernelError(Errno.EPERM)
        self._remove(real)

    def rmtree(self, path: str) -> None:
        """Remove a file, or a directory with all that is in it."""
        self._remove(self._existing(path, follow=False)[0])

    def _remove(self, real: str) -> None:
        store, there, read_only = self._host.place(real)
        if read_only:
            raise KernelError(Errno.EROFS)
        store.remove(there)

    def symlink(self, text: str, path: str) -> None:
        """Make `path` a symbolic link that holds `text`; one that is there is replaced, anything else is EEXIST."""
        real, node = self._walk(path, follow=False)
        if node is not None and node.kind is not FileKind.LINK:
            raise KernelError(Errno.EEXIST)
        self._put(real, Node(FileKind.LINK, link=text, mode=0o755))

    def readlink(self, path: str) -> str:
        """A symbolic link's text."""
        node = self._existing(path, follow=False)[1]
        if node.kind is not FileKind.LINK:
            raise KernelError(Errno.EINVAL)
        return node.link

    def realpath(self, path: str) -> str:
        """The path with every symbolic link followed."""
        real = self._existing(path)[0]
        return real if self._root == "/" else real[len(self._root) :] or "/"


def _parents(path: str) -> Iterator[str]:
    """The directories above a path, the nearest first, but for the root."""
    while (path := posixpath.dirname(path)) not in ("/", ""):
        yield path
