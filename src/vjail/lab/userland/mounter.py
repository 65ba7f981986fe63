"""The mounts a tree is made with: what they are asked for by, and how the kernel makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vjail.kernel.linux.syscalls import MS_BIND, MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT, mount


class Mounter(Protocol):
    """Makes mounts in the mount namespace that the tree is put together in. All paths are this machine's."""

    def overlay(self, lower: Sequence[str], upper: str, work: str, target: str, *, userxattr: bool) -> None:
        """Mount an overlay: `lower` topmost first; `userxattr` where this process is not the machine's root.

        Raises OSError where the kernel refuses.
        """
        ...

    def bind(self, source: str, target: str, *, read_only: bool) -> None:
        """Mount a directory with all that is mounted in it a second time. Raises OSError."""
        ...


class KernelMounter:
    """A `Mounter` for the mount namespace of this process."""

    def overlay(self, lower: Sequence[str], upper: str, work: str, target: str, *, userxattr: bool) -> None:
        """Mount an overlay."""
        layers = ":".join(_escaped(path) for path in lower)
        options = f"lowerdir={layers},upperdir={_escaped(upper)},workdir={_escaped(work)}"
        mount("overlay", target, "overlay", 0, options + (",userxattr" if userxattr else ""))

    def bind(self, source: str, target: str, *, read_only: bool) -> None:
        """Mount a directory with all that is mounted in it a second time."""
        mount(source, target, None, MS_BIND | MS_REC)
        mount(None, target, None, MS_PRIVATE | MS_REC)
        if read_only:
            mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY)


def _escaped(path: str) -> str:
    r"""As overlayfs reads paths in its options: `\`, `,` and `:` behind a `\`."""
    return path.replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")
