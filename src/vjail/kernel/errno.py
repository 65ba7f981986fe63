"""FreeBSD's error numbers with the texts strerror(3) gives them, and the exception that carries one.

Source: FreeBSD 13.2 sys/sys/errno.h and lib/libc/gen/errlst.c. Linux numbers and texts differ; nothing else in vjail
prints an error of the kernel's without going through this table.
"""

from __future__ import annotations

import enum
import errno as host_errno


class Errno(enum.Enum):
    """An error number: `.number` and `.text`."""

    EPERM = (1, "Operation not permitted")
    ENOENT = (2, "No such file or directory")
    ESRCH = (3, "No such process")
    EINTR = (4, "Interrupted system call")
    EIO = (5, "Input/output error")
    ENXIO = (6, "Device not configured")
    E2BIG = (7, "Argument list too long")
    ENOEXEC = (8, "Exec format error")
    EBADF = (9, "Bad file descriptor")
    ECHILD = (10, "No child processes")
    EDEADLK = (11, "Resource deadlock avoided")
    ENOMEM = (12, "Cannot allocate memory")
    EACCES = (13, "Permission denied")
    EFAULT = (14, "Bad address")
    ENOTBLK = (15, "Block device required")
    EBUSY = (16, "Device busy")
    EEXIST = (17, "File exists")
    EXDEV = (18, "Cross-device link")
    ENODEV = (19, "Operation not supported by device")
    ENOTDIR = (20, "Not a directory")
    EISDIR = (21, "Is a directory")
    EINVAL = (22, "Invalid argument")
    ENFILE = (23, "Too many open files in system")
    EMFILE = (24, "Too many open files")
    ENOTTY = (25, "Inappropriate ioctl for device")
    ETXTBSY = (26, "Text file busy")
    EFBIG = (27, "File too large")
    ENOSPC = (28, "No space left on device")
    ESPIPE = (29, "Illegal seek")
    EROFS = (30, "Read-only file system")
    EMLINK = (31, "Too many links")
    EPIPE = (32, "Broken pipe")
    EDOM = (33, "Numerical argument out of domain")
    ERANGE = (34, "Result too large")
    EAGAIN = (35, "Resource temporarily unavailable")
    EMSGSIZE = (40, "Message too long")
    ENOPROTOOPT = (42, "Protocol not available")
    EPROTONOSUPPORT = (43, "Protocol not supported")
    EOPNOTSUPP = (45, "Operation not supported")
    EPFNOSUPPORT = (46, "Protocol family not supported")
    EAFNOSUPPORT = (47, "Address family not supported by protocol family")
    EADDRINUSE = (48, "Address already in use")
    EADDRNOTAVAIL = (49, "Can't assign requested address")
    ENETDOWN = (50, "Network is down")
    ENETUNREACH = (51, "Network is unreachable")
    ECONNRESET = (54, "Connection reset by peer")
    ENOBUFS = (55, "No buffer space available")
    EISCONN = (56, "Socket is already connected")
    ENOTCONN = (57, "Socket is not connected")
    ETIMEDOUT = (60, "Operation timed out")
    ECONNREFUSED = (61, "Connection refused")
    ELOOP = (62, "Too many levels of symbolic links")
    ENAMETOOLONG = (63, "File name too long")
    EHOSTDOWN = (64, "Host is down")
    EHOSTUNREACH = (65, "No route to host")
    ENOTEMPTY = (66, "Directory not empty")
    EUSERS = (68, "Too many users")
    EDQUOT = (69, "Disc quota exceeded")
    ENOSYS = (78, "Function not implemented")

    @property
    def number(self) -> int:
        """The value of errno(2)."""
        return self.value[0]

    @property
    def text(self) -> str:
        """What strerror(3) says."""
        return self.value[1]

    @classmethod
    def of_host(cls, number: int | None) -> Errno:
        """FreeBSD's error of the same name as this machine's error `number`; EIO where FreeBSD has none."""
        name = host_errno.errorcode.get(number or 0, "EIO")
        return cls.__members__.get(_OTHER_NAMES.get(name, name), cls.EIO)


_OTHER_NAMES = {"ENOTSUP": "EOPNOTSUPP", "EDEADLOCK": "EDEADLK", "EWOULDBLOCK": "EAGAIN"}


class KernelError(Exception):
    """An operation the kernel refused.

    `errno` is FreeBSD's error; `message` is what the kernel says besides the error where it says anything (jail_set(2)
    returns such texts; from 15 also the network ioctls).
    """

    def __init__(self, errno: Errno, message: str = "") -> None:
        super().__init__(message or errno.text)
        self.errno = errno
        self.message = message
