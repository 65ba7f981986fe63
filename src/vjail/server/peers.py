"""Who is at the other end of a connection in the lab: the host, or which jail. Asked of the kernel, not of the peer.

A process belongs to a jail when its mount namespace is the jail's: every jail has its own, none can make another or
enter one (kernel/linux/confine.py). The peer's process is held by a descriptor while it is looked at, so that its
number cannot meanwhile become another's.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

from vjail.kernel.linux.syscalls import is_ready, pidfd_open

_SO_PEERPIDFD = 77


@dataclass(frozen=True, slots=True)
class Peer:
    """A process at the other end: its number in the lab, its user and group id there, its mount namespace (inode)."""

    pid: int
    uid: int
    gid: int
    mounts: int


def peer_of(connection: socket.socket) -> Peer | None:
    """The process that connected; None where it has gone already."""
    pid, uid, gid = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    pidfd = _peer_pidfd(connection, pid)
    if pidfd is None or pid == 0:
        return None
    try:
        mounts = os.stat(f"/proc/{pid}/ns/mnt").st_ino
        if is_ready(pidfd):
            return None
    except OSError:
        return None
    finally:
        os.close(pidfd)
    return Peer(pid, uid, gid, mounts)


def _peer_pidfd(connection: socket.socket, pid: int) -> int | None:
    try:
        return struct.unpack("=i", connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD, 4))[0]  # type: ignore[no-any-return]
    except OSError:
        pass
    # Before Linux 6.5 the number is all there is; to be another's by now it must have come round in the meantime.
    try:
        return pidfd_open(pid)
    except OSError:
        return None
