"""What a device may leave undone of a packet: unfinished checksums, segments of 64 kB.

Between veths they travel as they are, and whoever captures on a wire sees frames that no wire could carry. With
offloads off, the stack finishes packets before it hands them to the device. Sources: linux/ethtool.h, sockios.h.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946
_STXCSUM, _STSO = 0x17, 0x1F


def switch_off(name: str) -> None:
    """Let a device of the network namespace we are in be given finished packets only. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        for command in (_STSO, _STXCSUM):
            value = ctypes.create_string_buffer(struct.pack("=II", command, 0), 8)
            fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP16x", name.encode(), ctypes.addressof(value)))
