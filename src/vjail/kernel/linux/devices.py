"""What is behind the names in a lab's /dev.

FreeBSD's names are there as the rules leave them visible (core/devfs.py decides). Behind null, zero, random and
the like is the Linux device of the same use; behind a disk, mem, bpf … is nothing: opening it fails, as it would for a
jail's root on FreeBSD, and the real machine's are never within reach. Terminals are Linux's own pts.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vjail.kernel.core.devnodes import LAB_NODES, DeviceNode, NodeType
from vjail.kernel.linux import tuntap
from vjail.kernel.linux.syscalls import OPEN_TREE_CLONE, call, move_mount, new_filesystem, open_tree

_BEHIND = {"null": ("null", 1, 3), "zero": ("zero", 1, 5), "full": ("full", 1, 7), "random": ("urandom", 1, 9)}
"""FreeBSD's name of a device; Linux's, with its number. FreeBSD's random never blocks, as urandom."""
_TUNTAP = re.compile(r"(tap|tun)[0-9]+")
_PTS, _PTMX = "pts", "ptmx"
_DETACH, _NOFOLLOW = 2, 8
"""umount2(2)'s."""
_DEVPTS = {"newinstance": None, "ptmxmode": "0666", "mode": "620"}

NODES: tuple[DeviceNode, ...] = tuple(
    sorted(
        (
            *LAB_NODES,
            # Linux hands out terminals through these two; FreeBSD by system calls and without a node.
            DeviceNode(_PTMX, NodeType.LINK, mode=0o777, link=f"{_PTS}/{_PTMX}"),
            DeviceNode(_PTS, NodeType.DIRECTORY, mode=0o755),
        ),
        key=lambda node: node.name,
    )
)
"""The nodes of a lab host."""


@dataclass(frozen=True, slots=True)
class DeviceMaker:
    """How nodes are made: by mknod where this is real root's lab, by binding this machine's where it is not."""

    mknod: bool
    chown: bool

    def sources(self, nodes: Sequence[DeviceNode]) -> dict[str, int]:
        """Detached binds of the devices behind nodes, by name, where nodes cannot be made. The caller closes them."""
        if self.mknod:
            return {}
        behind = {node.name: _behind(node.name) for node in nodes}
        return {name: open_tree(-1, f"/dev/{found[0]}", OPEN_TREE_CLONE) for name, found in behind.items() if found}


def with_doors(nodes: Sequence[DeviceNode]) -> Sequence[DeviceNode]:
    """Where a tap or tun is to be seen, so is /dev/net/tun, where programs for Linux look for them."""
    shown = next((node for node in nodes if _TUNTAP.fullmatch(node.name)), None)
    if shown is None:
        return nodes
    return *nodes, DeviceNode("net", NodeType.DIRECTORY, mode=0o555), replace(shown, name=tuntap.DEVICE[0])


def _behind(name: str) -> tuple[str, int, int] | None:
    """The Linux device behind FreeBSD's: its name, and its number."""
    return tuntap.DEVICE if name == tuntap.DEVICE[0] or _TUNTAP.fullmatch(name) else _BEHIND.get(name)


def populate(folder: int, nodes: Sequence[DeviceNode], maker: DeviceMaker, sources: dict[str, int]) -> list[str]:
    """Let the file system below descriptor `folder` hold exactly these nodes; returns what is mounted in it then.

    Called in the host's mount namespace; `sources` come from `DeviceMaker.sources`, called at home before.
    """
    wanted = {node.name: node for node in nodes}
    present = _names(folder)
    for name in sorted(present - wanted.keys(), reverse=True):
        _remove(folder, name)
    for name in sorted(wanted.keys() - present):
        _make(folder, wanted[name], maker)
    for name in sorted(wanted.keys() - present):
        if name == _PTS:
            pts = new_filesystem("devpts", dict(_DEVPTS))
            move_mount(pts, _PTS, dirfd=folder)
            os.close(pts)
        elif name in sources:
            move_mount(sources[name], name, dirfd=folder)
    return [name for name in wanted if name == _PTS or name in sources]


def _names(folder: int) -> set[str]:
    """The paths in a /dev, not those in its pts."""
    found = set()
    for name in os.listdir(folder):
        found.add(name)
        if name != _PTS and stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
            found.update(f"{name}/{each}" for each in os.listdir(inner))
            os.close(inner)
    return found


def _remove(folder: int, name: str) -> None:
    if name == _PTS or _behind(name):
        os.fchdir(folder)
        # A device that was made, and not bound, is no mount.
        with contextlib.suppress(OSError):
            call("umount2", os.fsencode(name), _DETACH | _NOFOLLOW)
        os.chdir("/")
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.rmdir(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


def _make(folder: int, node: DeviceNode, maker: DeviceMaker) -> None:
    match node.type:
        case NodeType.DIRECTORY:
            os.mkdir(node.name, node.mode, dir_fd=folder)
            return
        case NodeType.LINK:
            os.symlink(node.link, node.name, dir_fd=folder)
            return
        case NodeType.DEVICE:
            pass
    if node.name.startswith("fd/"):
        # What is open on a descriptor is found through the jail's procfs, where it has one.
        os.symlink(f"/proc/self/{node.name}", node.name, dir_fd=folder)
        return
    behind = _behind(node.name)
    if behind and not maker.mknod:
        os.close(os.open(node.name, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=folder))
        return
    # Device 0:0 exists for this: it may be made by anybody, and cannot be opened by anyone.
    number = os.makedev(behind[1], behind[2]) if behind else 0
    os.mknod(node.name, stat.S_IFCHR | node.mode, number, dir_fd=folder)
    os.chmod(node.name, node.mode, dir_fd=folder)
    if maker.chown and (node.uid or node.gid):
        os.chown(node.name, node.uid, node.gid, dir_fd=folder, follow_symlinks=False)
