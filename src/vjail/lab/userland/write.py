"""Writes the parts of a tree that are plain files: programs and libraries, configuration, vjail's commands.

What is there already stays, but that vjail's commands win. No mounts; those are provide.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from vjail.lab.userland import etc, skeleton, usr
from vjail.lab.userland.libraries import Libraries
from vjail.lab.userland.natives import AGENT, Natives
from vjail.lab.userland.skeleton import Part
from vjail.lab.userland.source import Source
from vjail.lab.userland.toolkit import Toolkit, collect, merged_links, write_libraries, write_programs
from vjail.lab.userland.tree import Tree


class Writer:
    """Writes trees for one machine (as uname(2) calls it) from one source; what it has found out serves every tree."""

    def __init__(self, source: Source, machine: str, natives: Natives) -> None:
        self.source = source
        self.natives = natives
        self._machine = machine

    @cached_property
    def libraries(self) -> Libraries:
        """Of where programs come from: the source, or this machine where the source has only an incomplete /usr."""
        own = Libraries(self.source, self._machine)
        shell = self.source.program("sh")
        return own if shell is not None and own.runs(shell) else Libraries(Source.machine(), self._machine)

    @cached_property
    def toolkit(self) -> Toolkit:
        """The programs that trees get. Raises UserlandError where there is no shell."""
        return collect(self.libraries)

    @cached_property
    def links(self) -> Mapping[str, str]:
        """What makes paths into the source's /lib work: the text of each link, by its path."""
        return merged_links(self.source, self.toolkit.root)

    @cached_property
    def small(self) -> Mapping[str, str]:
        """The files of a small /usr."""
        return usr.small(self.libraries.source, self.toolkit)

    def write(self, tree: Tree) -> None:
        """Put everything but /usr into a tree."""
        for part in Part:
            if part is not Part.USR:
                self._write_part(tree, part)
        skeleton.make(tree, skeleton.OTHERS)
        # Where this machine's daemons keep what FreeBSD's keep in /var/run.
        tree.link("/run", "var/run")

    def _write_part(self, tree: Tree, part: Part) -> None:
        skeleton.make(tree, skeleton.directories(part))
        match part:
            case Part.BIN:
                write_programs(tree, "/bin", self.toolkit.bin)
            case Part.SBIN:
                write_programs(tree, "/sbin", self.toolkit.sbin)
            case Part.LIB:
                write_libraries(tree, self.toolkit.root)
            case Part.LIBEXEC:
                tree.replace(AGENT, self.natives.agent, 0o555)
            case Part.ETC:
                etc.write(tree, self.libraries.source, self.toolkit, self._machine)
            case Part.VAR:
                tree.link("/var/spool/cron", "../cron")
            case _:
                pass
        self.natives.write(tree, f"/{part.value}")
        usr.write_shipped(tree, self.libraries.source, part.value)

    def write_small_usr(self, tree: Tree) -> None:
        """Put a small /usr into a tree."""
        usr.write_own(tree, self.natives, self.libraries.source)
        usr.write_src(tree, self.natives, self.small, self.libraries.source)
        usr.write_small(tree, self.small)

    def write_over_usr(self, tree: Tree) -> None:
        """Put into a layer what lies over the source's whole /usr."""
        usr.write_own(tree, self.natives, self.libraries.source)
        usr.write_src(tree, self.natives, self.small, self.libraries.source)
        usr.write_over(tree, self.small, self.source)
