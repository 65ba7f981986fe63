"""tap(4) and tun(4) on Linux: devices that stay when nobody has them open, made by /dev/net/tun.

A program opens /dev/net/tun, in its jail, and asks for the interface by its name (TUNSETIFF), as programs for Linux do.
Sources: linux/if_tun.h, Documentation/networking/tuntap.rst.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator

DEVICE = ("net/tun", 10, 200)
"""Its path below /dev and its number."""

_IFF_TUN, _IFF_TAP, _IFF_NO_PI = 0x0001, 0x0002, 0x1000
_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB


def why_no_tuntap() -> str:
    """Why no tap or tun can be made here, empty where they can."""
    try:
        with _opened():
            return ""
    except FileNotFoundError:
        return "this machine's kernel has no /dev/net/tun"
    except OSError as error:
        return f"/dev/net/tun: {os.strerror(error.errno or 0)}"


def make_tuntap(name: str, *, ethernet: bool) -> None:
    """Make a tap (`ethernet`) or tun in the network namespace this process is in. Raises OSError."""
    flags = _IFF_NO_PI | (_IFF_TAP if ethernet else _IFF_TUN)
    with _opened() as fd:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        fcntl.ioctl(fd, _TUNSETPERSIST, 1)


@contextlib.contextmanager
def _opened() -> Iterator[int]:
    fd = os.open(f"/dev/{DEVICE[0]}", os.O_RDWR | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
