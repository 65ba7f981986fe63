"""vjail's native programs, which a tree gets in the place of FreeBSD's."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import vjail.kernel.linux
from vjail.command.registry import PATHS
from vjail.lab.userland.errors import UserlandError
from vjail.lab.userland.tree import Tree

AGENT = "/libexec/vjail-agent"
SYSLOGD, CRON = "/usr/sbin/syslogd", "/usr/sbin/cron"

NAMES = frozenset(posixpath.basename(path) for path in PATHS if not path.startswith("/etc/"))
"""The names by which users call vjail's commands."""


@dataclass(frozen=True, slots=True)
class Natives:
    """The programs: paths of this machine. `agent` is the client that stands for every command."""

    agent: str
    syslogd: str
    cron: str

    @classmethod
    def shipped(cls, machine: str) -> Natives:
        """Those that came with vjail for this machine (as uname(2) calls it). Raises UserlandError."""
        folder = Path(vjail.kernel.linux.__file__).parent / "native"
        paths = [folder / f"{name}-{machine}" for name in ("agent", "syslogd", "cron")]
        for path in paths:
            if not path.is_file():
                raise UserlandError(
                    str(path), f"vjail has no native programs for {machine}", "native/build.sh makes them"
                )
        return cls(*(str(path) for path in paths))

    def places(self) -> Mapping[str, str]:
        """Which of them belongs at each path of a tree."""
        return {**dict.fromkeys(PATHS, self.agent), AGENT: self.agent, SYSLOGD: self.syslogd, CRON: self.cron}

    def write(self, tree: Tree, top: str) -> list[str]:
        """Put into the tree what belongs below `top` (`/sbin`, `/usr`); the paths where something else was.

        vjail's own commands win over whatever has their place.
        """
        below = {path: source for path, source in self.places().items() if path.startswith(f"{top}/")}
        return [path for path, source in below.items() if tree.replace(path, source, 0o555)]

    def clear(self, tree: Tree, top: str) -> None:
        """Remove what is at their places below `top` from a layer that will lie over a tree which has them."""
        for path in self.places():
            if path.startswith(f"{top}/") and tree.contains(path):
                tree.remove(path)
