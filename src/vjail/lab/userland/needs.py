"""Which bases and roots a lab host must have, so that the jails of its jail.conf find what the text takes for granted.

On FreeBSD an administrator made them before (`make installworld DESTDIR=/home/jail/base`, `mkdir -p`). Pure: what is
there already is asked of `kind`, what is to be made comes out as a `Plan`. What the user provides is left as it is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from vjail.lab.userland.skeleton import EVERYTHING, OTHERS, PROGRAMS, Part
from vjail.lab.userland.tree import Kind


@dataclass(frozen=True, slots=True)
class JailFiles:
    """What matters of a resolved jail: its `path`, and the lines of `mount` and of its fstab files, in order.

    `log`: its exec.consolelog, empty where it has none.
    """

    name: str
    path: str
    lines: tuple[str, ...] = ()
    devfs: bool = False
    fdescfs: bool = False
    procfs: bool = False
    log: str = ""


@dataclass(frozen=True, slots=True)
class Root:
    """A directory that gets parts of a base; all of them: a whole base."""

    path: str
    parts: frozenset[Part]


@dataclass(frozen=True, slots=True)
class Directory:
    """An empty directory to make, after the roots: a mount point, a log's, or something shared that is no base."""

    path: str
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A path that cannot be what a jail needs; `text` says why, for the user."""

    jail: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made, in this order: roots (outer before inner), directories, empty files to mount files on."""

    roots: tuple[Root, ...] = ()
    directories: tuple[Directory, ...] = ()
    files: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()


_OWN = frozenset({Part.BIN, Part.LIB})


@dataclass(frozen=True, slots=True)
class _Mount:
    source: str
    target: str
    is_nullfs: bool


@dataclass(slots=True)
class _Draft:
    roots: dict[str, set[Part]] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    files: dict[str, None] = field(default_factory=dict)
    obstacles: dict[Obstacle, None] = field(default_factory=dict)


def needs(jails: Iterable[JailFiles], kind: Callable[[str], Kind | None]) -> Plan:
    """What is missing for these jails; `kind` tells what a path of the host's tree names.

    Sources of nullfs mounts that do not exist make the directory above them a base where they are called like
    directories with programs (`/home/jail/base/bin`), and are plain directories otherwise. A jail's root that does not
    exist becomes a base; of that, what the text mounts is only a mount point. So is the directory of a jail's log made.
    """
    draft = _Draft()
    for jail in jails:
        folder = posixpath.dirname(jail.log)
        if folder.startswith("/") and kind(_normal(folder)) is None:
            draft.directories.setdefault(_normal(folder), 0o755)
        path = _normal(jail.path)
        if not jail.path.startswith("/") or path == "/":
            continue
        mounts = list(_mounts(jail, path))
        _check(draft, jail, path, mounts, kind)
        _add_sources(draft, path, mounts, kind)
        _add_root(draft, path, mounts, kind)
        _add_mount_points(draft, jail, path, mounts, kind)
    roots = [Root(path, frozenset(parts)) for path, parts in sorted(draft.roots.items()) if parts]
    directories = tuple(Directory(path, mode) for path, mode in draft.directories.items())
    return Plan(tuple(roots), directories, tuple(draft.files), tuple(draft.obstacles))


def _mounts(jail: JailFiles, path: str) -> Iterator[_Mount]:
    """What jail(8) mounts, in its order; lines it will not understand are left for it to complain about."""
    for line in jail.lines:
        fields = line.split()
        if len(fields) >= 3 and fields[1].startswith("/"):
            source, target = (_decoded(text) for text in fields[:2])
            yield _Mount(_normal(source), _normal(target), fields[2] == "nullfs" and source.startswith("/"))
    for wanted, place in ((jail.devfs or jail.fdescfs, "dev"), (jail.procfs, "proc")):
        if wanted:
            yield _Mount("", f"{path}/{place}", False)


def _normal(path: str) -> str:
    return posixpath.normpath(f"/{path.lstrip('/')}")


def _decoded(text: str) -> str:
    r"""A field of fstab(5): `\040` and its like stand for characters that would end it."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8) & 0xFF), text)


def _check(draft: _Draft, jail: JailFiles, path: str, mounts: list[_Mount], kind: Callable[[str], Kind | None]) -> None:
    """Note what is a file, or lies below one, where the jail needs a directory."""
    wanted = [(path, "it is the jail's root")]
    wanted += [(posixpath.dirname(m.source), f"{m.source} is mounted from there") for m in mounts if m.is_nullfs]
    for place, why in wanted:
        for above in (*_parents(place), place):
            if kind(above) is Kind.OTHER:
                text = f"is a file, and must be a directory: {why}"
                draft.obstacles[Obstacle(jail.name, above, text)] = None
                break


def _parents(path: str) -> list[str]:
    """`/a`, `/a/b` for `/a/b/c`."""
    parts = path.split("/")[1:]
    return ["/" + "/".join(parts[:n]) for n in range(1, len(parts))]


def _add_sources(draft: _Draft, path: str, mounts: list[_Mount], kind: Callable[[str], Kind | None]) -> None:
    """Sources that are missing: parts of bases, or plain directories."""
    for mount in mounts:
        if not mount.is_nullfs or kind(mount.source) is not None:
            continue
        if mount.target == path:
            _add_parts(draft, mount.source, EVERYTHING, kind)
            continue
        found = _part_of_base(mount.source, kind)
        if found is None:
            draft.directories.setdefault(mount.source, 0o755)
            continue
        base, part = found
        draft.roots.setdefault(base, set()).add(part)
        if part in PROGRAMS:
            _add_parts(draft, base, EVERYTHING, kind)
        if posixpath.join(base, part.value) != mount.source:
            draft.directories.setdefault(mount.source, 0o755)


def _part_of_base(source: str, kind: Callable[[str], Kind | None]) -> tuple[str, Part] | None:
    """The directory that would be a base, and the part that a missing source lies in: /b/usr/local -> /b, usr."""
    for above in (*_parents(source), source):
        base, name = posixpath.split(above)
        if kind(above) is None and base != "/" and name in Part._value2member_map_:
            return base, Part(name)
    return None


def _add_parts(draft: _Draft, path: str, parts: frozenset[Part], kind: Callable[[str], Kind | None]) -> None:
    """Ask for parts at `path`. Where the user has both bin and lib there, the root file system is the user's own."""
    if parts >= _OWN and all(kind(f"{path}/{part.value}") is not None for part in _OWN):
        return
    draft.roots.setdefault(path, set()).update(parts)


def _add_root(draft: _Draft, path: str, mounts: list[_Mount], kind: Callable[[str], Kind | None]) -> None:
    """The jail's root: a base, without what is mounted into it."""
    if kind(path) is Kind.OTHER or any(mount.target == path for mount in mounts):
        return
    mounted = {part for part in Part if any(mount.target == f"{path}/{part.value}" for mount in mounts)}
    if not mounted & PROGRAMS:
        _add_parts(draft, path, EVERYTHING - mounted, kind)
        return
    _add_parts(draft, path, EVERYTHING - mounted - {Part.HOME}, kind)
    for name in ("dev", "tmp"):
        if kind(f"{path}/{name}") is None:
            draft.directories.setdefault(f"{path}/{name}", OTHERS[f"/{name}"])


def _add_mount_points(
    draft: _Draft, jail: JailFiles, path: str, mounts: list[_Mount], kind: Callable[[str], Kind | None]
) -> None:
    """Mount points below the root: made where they will be looked for, below what is mounted before them."""
    for place, mount in enumerate(mounts):
        if not f"{mount.target}/".startswith(f"{path}/"):
            continue
        real = _seen_through(mount.target, mounts[:place])
        if real is None:
            continue
        found = kind(real)
        if mount.is_nullfs and kind(mount.source) is Kind.OTHER:
            if found is None:
                draft.files.setdefault(real)
        elif found is None and real not in draft.files and not _comes_with_a_base(draft, real):
            name = real.removeprefix(path)
            draft.directories.setdefault(real, OTHERS.get(name, 0o755))
        elif found is Kind.OTHER:
            text = "is a file, and must be a directory: something is mounted on it"
            draft.obstacles[Obstacle(jail.name, real, text)] = None


def _comes_with_a_base(draft: _Draft, path: str) -> bool:
    return any(path.endswith(name) and draft.roots.get(path.removesuffix(name), set()) >= EVERYTHING for name in OTHERS)


def _seen_through(path: str, mounts: list[_Mount]) -> str | None:
    """The path by which `path` is reached without those mounts; None where it is inside another file system.

    The last mount above it is where it is looked for; a nullfs leads to its source, and the mounts before it.
    """
    for place in range(len(mounts) - 1, -1, -1):
        mount = mounts[place]
        if path.startswith(f"{mount.target}/"):
            if not mount.is_nullfs:
                return None
            return _seen_through(mount.source + path.removeprefix(mount.target), mounts[:place])
    return path
