"""Files in memory, with links and nullfs mounts, as a session's process and a jail's see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Mounted
from vjail.session import FileKind


@dataclass
class FakeFiles:
    """A tree of files: path → bytes, None for a directory, a `Link` for a symbolic link."""

    tree: dict[str, bytes | Link | None] = field(default_factory=lambda: {"/": None})
    mounts: list[Mounted] = field(default_factory=list)
    root: str = ""
    cwd: str = "/"

    def inside(self, root: str) -> FakeFiles:
        """The same files below another root."""
        return FakeFiles(self.tree, self.mounts, root.rstrip("/"), "/")

    def add(self, path: str, data: bytes | str | None = None) -> None:
        """Make a file, or without `data` a directory, and the directories above."""
        parent = path.rpartition("/")[0]
        if parent and parent not in self.tree:
            self.add(parent)
        self.tree[path] = data.encode() if isinstance(data, str) else data

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        self.add(path)
        self.tree[path] = Link(target)

    def _absolute(self, path: str) -> str:
        joined = path if path.startswith("/") else f"{self.cwd.rstrip('/')}/{path}"
        whole = self.root + joined
        return whole.rstrip("/") or "/"

    def real(self, path: str, *, follow: bool = True) -> str:
        """The path in the tree that a path leads to, mounts and links followed."""
        whole = self._absolute(path)
        for _ in range(40):
            if whole in self.tree and not isinstance(self.tree[whole], Link) and not self._covered(whole):
                return whole
            changed = self._step(whole, follow)
            if changed == whole:
                return whole
            whole = changed
        raise KernelError(Errno.ELOOP)

    def _covered(self, whole: str) -> bool:
        return any(
            m.fstype == "nullfs" and (whole == m.target or whole.startswith(m.target + "/")) for m in self.mounts
        )

    def _step(self, whole: str, follow: bool) -> str:
        parts = whole.split("/")
        for end in range(2, len(parts) + 1):
            part = "/".join(parts[:end])
            entry = self.tree.get(part)
            if isinstance(entry, Link) and (follow or part != whole):
                rest = whole[len(part) :]
                return (self.root + entry.target if entry.target.startswith("/") else entry.target) + rest
        for mounted in reversed(self.mounts):
            target = mounted.target
            if mounted.fstype == "nullfs" and (whole == target or whole.startswith(target + "/")):
                return mounted.source.rstrip("/") + whole[len(target) :]
        return whole

    def read(self, path: str) -> bytes:
        entry = self.tree.get(self.real(path), Errno.ENOENT)
        if isinstance(entry, bytes):
            return entry
        raise KernelError(Errno.EISDIR if entry is None else Errno.ENOENT)

    def write(self, path: str, data: bytes, *, append: bool = False, mode: int = 0o644) -> None:
        real = self.real(path)
        parent = real.rpartition("/")[0] or "/"
        if parent not in self.tree:
            raise KernelError(Errno.ENOENT)
        if real in self.tree and self.tree[real] is None:
            raise KernelError(Errno.EISDIR)
        before = self.tree.get(real)
        self.tree[real] = (before if append and isinstance(before, bytes) else b"") + data

    def kind(self, path: str, *, follow: bool = True) -> FileKind | None:
        real = self.real(path, follow=follow)
        for mounted in self.mounts:
            if mounted.fstype == "devfs" and real == f"{mounted.target}/fd":
                return FileKind.DIRECTORY
        if real not in self.tree:
            return None
        entry = self.tree[real]
        if isinstance(entry, Link):
            return FileKind.LINK
        return FileKind.DIRECTORY if entry is None else FileKind.FILE

    def mode(self, path: str) -> int:
        return 0o755

    def list(self, path: str) -> Sequence[str]:
        real = self.real(path).rstrip("/")
        return sorted({p[len(real) + 1 :].split("/")[0] for p in self.tree if p.startswith(real + "/")})

    def glob(self, pattern: str) -> Sequence[str]:
        import fnmatch

        return sorted(path for path in self.tree if fnmatch.fnmatchcase(path, pattern))

    def mkdir(self, path: str, mode: int = 0o755, *, parents: bool = False) -> None:
        self.add(self.real(path))

    def unlink(self, path: str) -> None:
        real = self.real(path, follow=False)
        if real not in self.tree:
            raise KernelError(Errno.ENOENT)
        del self.tree[real]

    def readlink(self, path: str) -> str:
        entry = self.tree.get(self.real(path, follow=False))
        if not isinstance(entry, Link):
            raise KernelError(Errno.EINVAL)
        return entry.target

    def realpath(self, path: str) -> str:
        # Mounts do not change what a path is called.
        whole = self._absolute(path)
        entry = self.tree.get(whole)
        if isinstance(entry, Link):
            return self._absolute(entry.target)
        if self.kind(path) is None:
            raise KernelError(Errno.ENOENT)
        return whole


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str
