"""A MountDriver over files in memory."""

from __future__ import annotations

from collections.abc import Sequence

from vjail.kernel.core.devnodes import DeviceNode
from vjail.kernel.core.mount_driver import MountRequest
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.model.files import HostFiles
from vjail.session import FileKind


class MemoryMounts:
    """What is mounted shows in `HostFiles`; nothing is ever busy but for what the core knows of."""

    def __init__(self, files: HostFiles) -> None:
        self._files = files

    def realpath(self, root: str, path: str) -> str:
        """The host's path of `path` seen with `root` as its /, links followed inside it. ENOENT, ENOTDIR, ELOOP."""
        return self._files.realpath(root, path)

    def is_directory(self, path: str) -> bool:
        """Whether the host's `path` is a directory. Raises KernelError(ENOENT)."""
        node = self._files.node(path)
        if node is None:
            raise KernelError(Errno.ENOENT)
        return node.kind is FileKind.DIRECTORY

    def mount(self, request: MountRequest) -> None:
        """Mount."""
        self._files.mount(request.ident, request.kind)

    def unmount(self, ident: int, *, force: bool) -> None:
        """Unmount."""
        self._files.unmount(ident)

    def populate(self, ident: int, nodes: Sequence[DeviceNode]) -> None:
        """Let the devfs `ident` hold exactly these nodes."""
        self._files.populate(ident, nodes)
