"""The directories of FreeBSD's tree that hold no programs, with their modes. Source: hier(7), FreeBSD's etc/mtree."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from vjail.lab.userland.tree import Tree


class Part(enum.Enum):
    """A top-level directory with something in it; the value is its name."""

    BIN = "bin"
    SBIN = "sbin"
    LIB = "lib"
    LIBEXEC = "libexec"
    USR = "usr"
    ETC = "etc"
    VAR = "var"
    ROOT = "root"
    HOME = "home"


PROGRAMS = frozenset({Part.BIN, Part.SBIN, Part.LIB, Part.LIBEXEC, Part.USR})
"""The parts without which no program runs."""

EVERYTHING = frozenset(Part)
"""All parts: a base."""

OTHERS = MappingProxyType(
    {"/boot": 0o755, "/dev": 0o555, "/media": 0o755, "/mnt": 0o755, "/proc": 0o555, "/tmp": 0o1777}
)
"""Top-level directories that are empty, and their modes."""

_INSIDE: Mapping[Part, Mapping[str, int]] = MappingProxyType(
    {
        Part.ETC: {
            "/etc/cron.d": 0o755,
            "/etc/defaults": 0o755,
            "/etc/jail.conf.d": 0o755,
            "/etc/rc.conf.d": 0o755,
            "/etc/rc.d": 0o755,
            "/etc/ssl": 0o755,
        },
        Part.HOME: {},
        Part.ROOT: {},
        Part.USR: {
            **{f"/usr/{name}": 0o755 for name in ("bin", "lib", "libexec", "obj", "ports", "sbin", "share", "src")},
            "/usr/ports/distfiles": 0o755,
            **{f"/usr/local/{name}": 0o755 for name in ("bin", "etc", "lib", "libexec", "sbin", "share")},
            "/usr/local/etc/rc.d": 0o755,
        },
        Part.VAR: {
            **{f"/var/{name}": 0o755 for name in ("cache", "db", "lib", "log", "run", "spool")},
            "/var/cron": 0o750,
            "/var/cron/tabs": 0o700,
            "/var/empty": 0o555,
            "/var/mail": 0o775,
            "/var/tmp": 0o1777,
        },
    }
)


def directories(part: Part) -> Mapping[str, int]:
    """The directories of a part and their modes, parents first."""
    return {f"/{part.value}": 0o750 if part is Part.ROOT else 0o755, **_INSIDE.get(part, {})}


def make(tree: Tree, wanted: Mapping[str, int]) -> None:
    """Make the directories that are missing."""
    for path, mode in wanted.items():
        tree.make(path, mode)
