"""The userlands of a lab's hosts by the names that lab files give them, each with a store below the lab's tree.

A store is filled by whoever comes first: `vjail up` does it while the lab's server is loading.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable
from pathlib import Path

from vjail.kernel.linux.syscalls import MACHINE
from vjail.lab.userland import Extent, KernelMounter, Mounter, Natives, Source, Userland, UserlandError, Writer


class Userlands:
    """The userlands of one lab; `tree` is the folder that only the lab sees. `rootless`: it has a user namespace."""

    def __init__(self, tree: Path, *, rootless: bool) -> None:
        self._tree = tree
        self._rootless = rootless
        self._writers: dict[str, Writer] = {}

    def named(self, name: str, mounter: Mounter) -> Userland:
        """The userland that is called so, making its mounts through `mounter`. Raises UserlandError."""
        writer = self._writers.get(name)
        if writer is None:
            plain = name in ("machine", "minimal")
            source = Source.machine() if plain else Source.at(name)
            writer = self._writers[name] = Writer(source, MACHINE, Natives.shipped(MACHINE))
        extent = Extent.SMALL if name == "minimal" else Extent.WHOLE
        # Hosts of the same userland share what is the same in all their trees.
        store = self._tree / "store" / uuid.uuid5(uuid.NAMESPACE_URL, name).hex
        store.mkdir(parents=True, exist_ok=True)
        return Userland(writer, extent, mounter=mounter, store=str(store), userxattr=self._rootless)


def stock(tree: Path, names: Iterable[str]) -> None:
    """Fill the stores of userlands; what cannot be is left to the server, which says why."""
    userlands = Userlands(tree, rootless=False)  # nothing is mounted here
    with contextlib.suppress(OSError, UserlandError):
        for name in dict.fromkeys(names):
            userlands.named(name, KernelMounter()).stock()
