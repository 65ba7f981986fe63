"""PID 1 of a guest: makes a machine of what is there, runs one command, says how it ended, and switches off.

What root file system the kernel unpacked cannot be left by pivot_root(2); so the guest lives in a copy of it that is
mounted over it. Runs in the guest, with nothing but Python.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_MS_BIND, _MS_MOVE = 4096, 8192
_POWER_OFF = 0x4321FEDC
_MOUNTS = (
    ("proc", "/proc", "proc", ""),
    ("sysfs", "/sys", "sysfs", ""),
    ("devtmpfs", "/dev", "devtmpfs", ""),
    ("devpts", "/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620"),
    ("tmpfs", "/dev/shm", "tmpfs", "mode=1777"),
    ("tmpfs", "/run", "tmpfs", "mode=0755"),
    ("tmpfs", "/tmp", "tmpfs", "mode=1777"),
    ("tmpfs", "/var/tmp", "tmpfs", "mode=1777"),
    ("cgroup2", "/sys/fs/cgroup", "cgroup2", ""),
)


def _mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    if _LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()):
        raise OSError(ctypes.get_errno(), f"mount {target}: {os.strerror(ctypes.get_errno())}")


def _settle() -> None:
    os.makedirs("/newroot", exist_ok=True)
    _mount("/", "/newroot", "", _MS_BIND)
    os.chdir("/newroot")
    _mount(".", "/", "", _MS_MOVE)
    os.chroot(".")
    os.chdir("/")
    for source, target, kind, data in _MOUNTS:
        os.makedirs(target, exist_ok=True)
        _mount(source, target, kind, data=data)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        if not os.path.lexists(f"/dev/{name}"):
            os.symlink(target, f"/dev/{name}")
    if os.path.lexists("/dev/ptmx"):
        os.unlink("/dev/ptmx")
    os.symlink("pts/ptmx", "/dev/ptmx")


def _load_modules() -> None:
    """Load the modules that lie in /modules, in the order that their needs give."""
    for line in Path("/modules/order").read_text().splitlines():
        fd = os.open(f"/modules/{line}", os.O_RDONLY | os.O_CLOEXEC)
        if _LIBC.syscall(_FINIT_MODULE, fd, b"", 0):
            print(f"guest: {line}: {os.strerror(ctypes.get_errno())}", flush=True)
        os.close(fd)


_FINIT_MODULE = 313


def _reap(command: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == command:
            return os.waitstatus_to_exitcode(status)


def main(command: list[str]) -> None:
    _settle()
    _load_modules()
    print(f"guest: Linux {os.uname().release}, {time.monotonic():.1f} s after its start", flush=True)
    environ = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
    }
    pid = os.posix_spawn(command[0], command, environ, setsigmask=[], setsigdef=list(signal.valid_signals()))
    print(f"guest: exit {_reap(pid)} after {time.monotonic():.1f} s", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    finally:
        sys.stdout.flush()
        os.sync()
        _LIBC.reboot(_POWER_OFF)
        threading.Event().wait()
