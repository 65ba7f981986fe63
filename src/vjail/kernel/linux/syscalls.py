"""Linux system calls that Python has no function for, with their constants; and the numbers of those agents run.

Everything raises OSError with Linux's errno. Numbers: arch/x86/entry/syscalls/syscall_64.tbl, asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
from collections.abc import Iterator
from contextlib import contextmanager

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100

CLONE_PARENT = 0x8000
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40
FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_CMD_CREATE = 6
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8

RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_IN_ROOT = 0x10

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NAME = 15
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER = 1

_X86_64 = {
    "read": 0, "write": 1, "close": 3, "ioctl": 16, "getpid": 39, "execve": 59, "kill": 62, "chdir": 80, "fchdir": 81,
    "umask": 95, "setgroups": 116, "setfsuid": 122, "setfsgid": 123, "setresuid": 117, "setresgid": 119,
    "setsid": 112, "setpriority": 141,
    "capset": 126, "pivot_root": 155, "prctl": 157, "chroot": 161, "mount": 165, "umount2": 166, "sethostname": 170,
    "setdomainname": 171, "openat": 257, "mkdirat": 258, "mknodat": 259, "fchownat": 260, "symlinkat": 266,
    "fchmodat": 268, "unshare": 272, "setns": 308, "dup3": 292, "prlimit64": 302, "seccomp": 317,
    "bpf": 321,
    "pidfd_send_signal": 424, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "pidfd_open": 434, "close_range": 436, "openat2": 437, "mount_setattr": 442,
}  # fmt: skip
_AARCH64 = {
    "read": 63, "write": 64, "close": 57, "ioctl": 29, "getpid": 172, "execve": 221, "kill": 129, "chdir": 49,
    "fchdir": 50, "umask": 166, "setgroups": 159, "setfsuid": 151, "setfsgid": 152, "setresuid": 147, "setresgid": 149,
    "setsid": 157, "setpriority": 140,
    "capset": 91, "pivot_root": 41, "prctl": 167, "chroot": 51, "mount": 40, "umount2": 39, "sethostname": 161,
    "setdomainname": 162, "openat": 56, "mkdirat": 34, "mknodat": 33, "fchownat": 54, "symlinkat": 36,
    "fchmodat": 53, "unshare": 97, "setns": 268, "dup3": 24, "prlimit64": 261, "seccomp": 277,
    "bpf": 280,
    "pidfd_send_signal": 424, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "pidfd_open": 434, "close_range": 436, "openat2": 437, "mount_setattr": 442,
}  # fmt: skip

MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}
"""Numbers of the system calls by name, for each machine that native agents exist for."""

MACHINE = os.uname().machine
"""This machine, as uname(2) calls it."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

# The one that is made most often, prepared.
_OPENAT2 = MACHINES[MACHINE]["openat2"] if MACHINE in MACHINES else -1
_OPEN_HOW = struct.Struct("=QQQ")
_openat2 = _libc["syscall"]
_openat2.restype = ctypes.c_long
_openat2.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)


def is_ready(fd: int, seconds: float = 0) -> bool:
    """Whether there is something to read, of a pidfd that its process has ended, within so many seconds.

    Unlike select(2) it takes descriptors of any number; a lab of many hosts and jails has thousands.
    """
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def call(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make one system call; integers as they are, bytes by address. Raises OSError."""
    number = MACHINES[MACHINE][name]
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def setns(fd: int, kind: int = 0) -> None:
    """setns(2)."""
    call("setns", fd, kind)


def unshare(flags: int) -> None:
    """unshare(2)."""
    call("unshare", flags)


def mount(source: str | None, target: str, fstype: str | None, flags: int = 0, data: str | None = None) -> None:
    """mount(2)."""
    encoded = [os.fsencode(text) if text is not None else None for text in (source, target, fstype, data)]
    call("mount", encoded[0], encoded[1], encoded[2], flags, encoded[3])


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    call("umount2", os.fsencode(target), flags)


def open_tree(dirfd: int, path: str, flags: int) -> int:
    """open_tree(2): a descriptor of a mount, with OPEN_TREE_CLONE of a detached copy."""
    return call("open_tree", dirfd, os.fsencode(path), flags | OPEN_TREE_CLOEXEC)


def move_mount(source: int, target: str, *, dirfd: int = AT_FDCWD) -> None:
    """move_mount(2) of the mount behind descriptor `source` onto `target` (empty: onto `dirfd` itself)."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | (0 if target else MOVE_MOUNT_T_EMPTY_PATH)
    call("move_mount", source, b"", dirfd, os.fsencode(target), flags)


def mount_setattr(
    dirfd: int, path: str, *, recursive: bool = False, set: int = 0, clear: int = 0, propagation: int = 0
) -> None:
    """mount_setattr(2) on `path`, or on `dirfd` itself where `path` is empty."""
    attributes = mount_attributes(set, clear, propagation)
    flags = (AT_RECURSIVE if recursive else 0) | (0 if path else AT_EMPTY_PATH)
    call("mount_setattr", dirfd, os.fsencode(path), flags, attributes, len(attributes))


def mount_attributes(set: int = 0, clear: int = 0, propagation: int = 0) -> bytes:
    """The struct mount_attr that mount_setattr(2) takes."""
    return struct.pack("=QQQQ", set, clear, propagation, 0)


def new_filesystem(fstype: str, options: dict[str, str | None], attributes: int = 0) -> int:
    """fsopen, fsconfig and fsmount: a descriptor of a new, detached mount."""
    context = call("fsopen", fstype.encode(), FSOPEN_CLOEXEC)
    try:
        for key, value in options.items():
            if value is None:
                call("fsconfig", context, FSCONFIG_SET_FLAG, key.encode(), None, 0)
            else:
                call("fsconfig", context, FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0)
        call("fsconfig", context, FSCONFIG_CMD_CREATE, None, None, 0)
        return call("fsmount", context, FSMOUNT_CLOEXEC, attributes)
    finally:
        os.close(context)


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    call("pivot_root", os.fsencode(new), os.fsencode(old))


def openat2(dirfd: int, path: str, flags: int, *, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
    """openat2(2): by default `dirfd` is the root of the walk, absolute paths and links included."""
    how = _OPEN_HOW.pack(flags | os.O_CLOEXEC, mode, resolve)
    result: int = _openat2(_OPENAT2, dirfd, os.fsencode(path or "."), how, _OPEN_HOW.size)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"openat2: {os.strerror(code)}")
    return result


def pidfd_open(pid: int) -> int:
    """pidfd_open(2)."""
    return call("pidfd_open", pid, 0)


@contextmanager
def files_of(uid: int, gid: int) -> Iterator[None]:
    """Be this user for a while, as far as files go; the power over other users' files is gone with root's id."""
    call("setfsgid", gid)
    call("setfsuid", uid)
    try:
        yield
    finally:
        call("setfsuid", 0)
        call("setfsgid", 0)


@contextmanager
def inside(fd: int, home: int, kind: int) -> Iterator[None]:
    """Be in the namespace behind `fd` for a while, then back in the one behind `home`.

    For mount namespaces: root and working directory are those of the namespace meanwhile, so import nothing.
    """
    setns(fd, kind)
    try:
        yield
    finally:
        setns(home, kind)
