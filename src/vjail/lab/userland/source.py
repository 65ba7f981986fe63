"""Where programs and libraries come from: this machine, or a directory that holds the `usr` of another.

A `Source` answers with paths of this machine for paths as the source's own programs know them; links are followed as
those programs would follow them, so `/usr/bin/awk` -> `/etc/alternatives/awk` is found in whatever tree it is of.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_SEARCH = ("/bin", "/usr/bin", "/sbin", "/usr/sbin")
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class Source:
    """A root directory, of which `moved` says which top-level names lie elsewhere on this machine."""

    root: str
    moved: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def machine(cls) -> Source:
        """This machine."""
        return cls("/")

    @classmethod
    def at(cls, path: str) -> Source:
        """The machine whose root directory, or whose `/usr`, is the directory `path`.

        Where only a `/usr` is given its bin, sbin and lib directories stand for those of the root, as on any system
        with a merged /usr.
        """
        path = posixpath.abspath(path)
        above, name = posixpath.split(path)
        if os.path.isdir(posixpath.join(path, "usr")):
            return cls(path)
        if name == "usr" and os.path.isdir(posixpath.join(above, "etc")):
            return cls(above)
        inside = [entry for entry in ("bin", "sbin", "lib", "lib64") if os.path.isdir(posixpath.join(path, entry))]
        return cls(path, {**{name: posixpath.join(path, name) for name in inside}, "usr": path})

    def path(self, path: str) -> str:
        """Where the source's `path` lies on this machine, no link followed."""
        first, _, rest = path.strip("/").partition("/")
        place = self.moved.get(first) or posixpath.join(self.root, first)
        return posixpath.join(place, rest) if rest else place

    def seen(self, path: str) -> str:
        """The source's own path of this machine's `path`, which lies in the source."""
        for first, place in self.moved.items():
            if path == place or path.startswith(f"{place}/"):
                return f"/{first}{path.removeprefix(place)}"
        return "/" + path.removeprefix(self.root).lstrip("/")

    def resolve(self, path: str) -> str | None:
        """The source's own path of what `path` names, every link followed; None where nothing is there."""
        if self.root == "/" and not self.moved:
            return _followed(path)
        todo, done, links = [p for p in reversed(path.split("/")) if p], "", 0
        while todo:
            part = todo.pop()
            if part == ".":
                continue
            if part == "..":
                done = posixpath.dirname(done).rstrip("/")
                continue
            here = f"{done}/{part}"
            try:
                text = os.readlink(self.path(here))
            except FileNotFoundError:
                return None
            except OSError:  # no link
                done = here
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            if text.startswith("/"):
                done = ""
            todo.extend(p for p in reversed(text.split("/")) if p)
        return done if os.path.exists(self.path(done or "/")) else None

    def file(self, path: str) -> str | None:
        """This machine's path of the regular file that the source's `path` names; None where there is none to read."""
        found = self.resolve(path)
        if found is None:
            return None
        place = self.path(found)
        try:
            regular = stat.S_ISREG(os.stat(place).st_mode)
        except OSError:
            return None
        return place if regular and os.access(place, os.R_OK) else None

    def program(self, name: str) -> str | None:
        """This machine's path of the program called `name`; None where the source has none."""
        for directory in _SEARCH:
            found = self.file(f"{directory}/{name}")
            if found is not None and os.access(found, os.X_OK):
                return found
        return None

    def list(self, path: str) -> list[str]:
        """The names in a directory of the source, sorted; none where it is no directory."""
        found = self.resolve(path)
        try:
            return sorted(os.listdir(self.path(found))) if found is not None else []
        except OSError:
            return []

    def directories(self, path: str) -> Sequence[str]:
        """The names in a directory of the source of directories that are not empty, sorted; as `list`."""
        found = self.resolve(path)
        try:
            # Most of what is in a directory of libraries is not worth a further look.
            with os.scandir(self.path(found or path)) as entries:
                names = [each.name for each in entries if each.is_symlink() or each.is_dir(follow_symlinks=False)]
        except OSError:
            return []
        return sorted(name for name in names if self.list(f"{path}/{name}"))


def _followed(path: str) -> str | None:
    """What `path` names on this machine, every link followed by the kernel; None where nothing is there."""
    try:
        fd = os.open(f"/{path}", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
