"""What the root of a jail may do, in Linux's words: a set of capabilities and a filter of system calls.

FreeBSD decides by privilege (sys/kern/kern_jail.c, prison_priv_check): a vnet jail's root owns its network, a jail on
the host's stack does not, and neither mounts, makes devices, loads modules, sets the clock or reboots. Capabilities
alone cannot say all of that — CAP_SYS_ADMIN is both sethostname(2) and mount(2) — so a seccomp filter refuses the rest.
vjail's own commands work from outside and are not held back by either.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vjail.kernel.linux.syscalls import MACHINE

_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _KILL, _SETGID, _SETUID, _SETPCAP = 0, 1, 3, 4, 5, 6, 7, 8
_NET_BIND_SERVICE, _NET_BROADCAST, _NET_ADMIN, _NET_RAW, _IPC_LOCK, _IPC_OWNER = 10, 11, 12, 13, 14, 15
_SYS_CHROOT, _SYS_PTRACE, _SYS_ADMIN, _SYS_NICE, _AUDIT_WRITE, _SETFCAP = 18, 19, 21, 23, 29, 31

_ANY = (_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _KILL, _SETGID, _SETUID, _SETPCAP, _SYS_CHROOT, _AUDIT_WRITE)
_OWN_NETWORK = (_NET_BROADCAST, _NET_ADMIN, _NET_RAW)
_OWN_NAMESPACES = (_IPC_OWNER, _SYS_PTRACE, _SYS_NICE, _SETFCAP)


@cache
def last_capability() -> int:
    """The number of the kernel's last capability."""
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text())


@dataclass(frozen=True, slots=True)
class Rights:
    """What a jail's processes may do: capability bits, and system calls refused with an errno."""

    capabilities: int
    filter: bytes
    """A classic BPF program for seccomp(2), struct sock_filter after struct sock_filter."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The parameters of a jail that rights follow from."""

    vnet: bool
    raw_sockets: bool = False
    reserved_ports: bool = True
    set_hostname: bool = True
    socket_af: bool = False
    mlock: bool = False
    read_msgbuf: bool = False
    suser: bool = True
    sysvmsg: bool = False
    sysvsem: bool = False
    sysvshm: bool = False

    @classmethod
    def of(cls, parameters: Mapping[str, object]) -> Allowed:
        """Read them from a jail's kernel parameters (observed.Jail.parameters)."""

        def allow(name: str) -> bool:
            return parameters.get(f"allow.{name}") is True

        def kept(name: str) -> bool:
            return parameters.get(name, "disable") != "disable"

        return cls(
            vnet=parameters.get("vnet") == "new",
            raw_sockets=allow("raw_sockets"),
            reserved_ports=allow("reserved_ports"),
            set_hostname=allow("set_hostname"),
            socket_af=allow("socket_af"),
            mlock=allow("mlock"),
            read_msgbuf=allow("read_msgbuf"),
            suser=allow("suser"),
            sysvmsg=kept("sysvmsg"),
            sysvsem=kept("sysvsem"),
            sysvshm=kept("sysvshm"),
        )


def rights(allowed: Allowed) -> Rights:
    """The rights of a jail's processes."""
    return Rights(_capabilities(allowed), _filter(allowed))


def _capabilities(allowed: Allowed) -> int:
    if not allowed.suser:
        return 0
    held = set(_ANY)
    if allowed.reserved_ports:
        held.add(_NET_BIND_SERVICE)
    if allowed.mlock:
        held.add(_IPC_LOCK)
    if allowed.vnet:
        held.update(_OWN_NETWORK, _OWN_NAMESPACES)
        if allowed.set_hostname:
            held.add(_SYS_ADMIN)
    elif allowed.raw_sockets:
        held.add(_NET_RAW)
    return sum(1 << bit for bit in held)


# --- the filter -------------------------------------------------------------------------------------------------------

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _AND, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_SET, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""
_NEW_TIME = 0x80
"""CLONE_NEWTIME, for unshare(2); in clone(2) the bit is part of a signal's number."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Numbers of the calls below, x86_64 and aarch64; None where the machine has no such call.
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "ioctl": (16, 29), "socket": (41, 198), "socketpair": (53, 199), "clone": (56, 220), "clone3": (435, 435),
    "unshare": (272, 97), "setns": (308, 268),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "mlock": (149, 228), "mlock2": (325, 284), "mlockall": (151, 230), "syslog": (103, 116),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192),
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "shmdt": (67, 197),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "init_module": (175, 105),
    "delete_module": (176, 106), "finit_module": (313, 273), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "bpf": (321, 280), "perf_event_open": (298, 241), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "userfaultfd": (323, 282), "fanotify_init": (300, 262), "lookup_dcookie": (212, 18),
    "iopl": (172, None), "ioperm": (173, None), "nfsservctl": (180, 42), "vhangup": (153, 58),
    "io_uring_setup": (425, 425), "mknod": (133, None), "mknodat": (259, 33),
}  # fmt: skip

_NEVER = (
    "mount", "umount2", "pivot_root", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "open_tree_attr", "setns", "swapon", "swapoff", "reboot", "acct", "settimeofday", "clock_settime",
    "init_module", "delete_module", "finit_module", "kexec_load", "kexec_file_load", "bpf",
    "perf_event_open", "open_by_handle_at", "name_to_handle_at", "add_key", "request_key", "keyctl", "quotactl",
    "quotactl_fd", "userfaultfd", "fanotify_init", "lookup_dcookie", "iopl", "ioperm", "nfsservctl", "vhangup",
)  # fmt: skip
_MLOCK = ("mlock", "mlock2", "mlockall")
_MESSAGES = ("msgget", "msgsnd", "msgrcv", "msgctl")
_SEMAPHORES = ("semget", "semop", "semctl", "semtimedop")
_SHARED_MEMORY = ("shmget", "shmat", "shmctl", "shmdt")

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK, _AF_PACKET, _AF_XDP = 1, 2, 10, 16, 17, 44
_SOCK_DGRAM, _SOCK_PACKET, _TYPE_OF_SOCKET = 2, 10, 0xF
"""SOCK_PACKET: a packet socket by its old name, socket(AF_INET, SOCK_PACKET, …)."""
_ICMP, _ICMPV6 = 1, 58
_NODE, _CHARACTERS, _BLOCKS = 0o170000, 0o020000, 0o060000


def _filter(allowed: Allowed) -> bytes:
    refused = dict.fromkeys(_NEVER, errno.EPERM)
    # glibc then falls back to clone(2), whose flags can be looked at; io_uring would go round every rule here.
    refused["clone3"] = refused["io_uring_setup"] = errno.ENOSYS
    if not allowed.mlock:
        refused |= dict.fromkeys(_MLOCK, errno.EPERM)
    if not allowed.read_msgbuf:
        refused["syslog"] = errno.EPERM
    for kept, calls in (
        (allowed.sysvmsg, _MESSAGES),
        (allowed.sysvsem, _SEMAPHORES),
        (allowed.sysvshm, _SHARED_MEMORY),
    ):
        if not kept:
            # As FreeBSD answers where the jail has none of that kind (sys/kern/sysv_*.c).
            refused |= dict.fromkeys(calls, errno.ENOSYS)
    program = _Assembler()
    program.load(_ARCH)
    program.unless_equal(_AUDIT_ARCH[MACHINE], errno.ENOSYS)
    program.load(_NUMBER)
    if MACHINE == "x86_64":
        program.if_above(0x3FFFFFFF, errno.ENOSYS)  # the x32 calls
    for call, code in sorted(refused.items()):
        number = _number(call)
        if number is not None:
            program.if_equal(number, code)
    with program.argument("ioctl", 1):
        program.if_equal(_TIOCSTI, errno.EPERM)
        program.if_equal(_TIOCLINUX, errno.EPERM)
    for call, new in (("clone", _NEW_NAMESPACES), ("unshare", _NEW_NAMESPACES | _NEW_TIME)):
        with program.argument(call, 0):
            program.if_any_bit(new, errno.EPERM)
    for call, mode in (("mknod", 1), ("mknodat", 2)):
        # Linux lets anybody make device 0:0.
        if _number(call) is not None:
            with program.argument(call, mode):
                program.mask(_NODE)
                program.if_equal(_CHARACTERS, errno.EPERM)
                program.if_equal(_BLOCKS, errno.EPERM)
    _sockets(program, allowed)
    program.allow()
    return program.bytes()


def _sockets(program: _Assembler, allowed: Allowed) -> None:
    families = {_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK}
    if allowed.vnet:
        families.add(_AF_PACKET)  # what bpf(4) is there
    for call in ("socket", "socketpair"):
        with program.argument(call, 0):
            if not allowed.socket_af:
                program.unless_one_of(families, errno.EPROTONOSUPPORT)
            elif not allowed.vnet:
                program.if_equal(_AF_PACKET, errno.EPERM)
                program.if_equal(_AF_XDP, errno.EPERM)
    if not allowed.vnet:
        with program.argument("socket", 1):
            program.mask(_TYPE_OF_SOCKET)
            program.if_equal(_SOCK_PACKET, errno.EPERM)
    if not (allowed.vnet or allowed.raw_sockets):
        # Linux lets anybody ping through datagram sockets; FreeBSD has none of that protocol.
        for family, protocol in ((_AF_INET, _ICMP), (_AF_INET6, _ICMPV6)):
            with program.argument("socket", 0), program.where(family):
                program.load(_ARGUMENT + 8 * 1)
                program.mask(_TYPE_OF_SOCKET)
                with program.where(_SOCK_DGRAM):
                    program.load(_ARGUMENT + 8 * 2)
                    program.if_equal(protocol, errno.EPROTONOSUPPORT)


def _number(call: str) -> int | None:
    return _CALLS[call][0 if MACHINE == "x86_64" else 1]


class _Assembler:
    """Classic BPF for seccomp: the number of the call stays in the accumulator between rules."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []

    def load(self, offset: int) -> None:
        self._code.append((_LOAD, 0, 0, offset))

    def allow(self) -> None:
        self._code.append((_RETURN, 0, 0, _ALLOW))

    def _refuse(self, code: int) -> None:
        self._code.append((_RETURN, 0, 0, _ERRNO | code))

    def if_equal(self, value: int, code: int) -> None:
        self._code.append((_JUMP_EQUAL, 0, 1, value))
        self._refuse(code)

    def unless_equal(self, value: int, code: int) -> None:
        self._code.append((_JUMP_EQUAL, 1, 0, value))
        self._refuse(code)

    def if_above(self, value: int, code: int) -> None:
        self._code.append((_JUMP_ABOVE, 0, 1, value))
        self._refuse(code)

    def if_any_bit(self, mask: int, code: int) -> None:
        self._code.append((_JUMP_SET, 0, 1, mask))
        self._refuse(code)

    def unless_one_of(self, values: set[int], code: int) -> None:
        for place, value in enumerate(sorted(values)):
            self._code.append((_JUMP_EQUAL, len(values) - place, 0, value))
        self._refuse(code)

    def mask(self, bits: int) -> None:
        self._code.append((_AND, 0, 0, bits))

    @contextmanager
    def where(self, value: int) -> Iterator[None]:
        """The rules given meanwhile hold where the accumulator has that value."""
        at = len(self._code)
        self._code.append((0, 0, 0, 0))
        yield
        self._code[at] = (_JUMP_EQUAL, 0, len(self._code) - at - 1, value)

    @contextmanager
    def argument(self, call: str, index: int) -> Iterator[None]:
        """The rules given meanwhile are about the low word of an argument of `call`; then back to the number."""
        number = _number(call)
        assert number is not None
        at = len(self._code)
        self._code.append((0, 0, 0, 0))
        self.load(_ARGUMENT + 8 * index)
        yield
        self.load(_NUMBER)
        self._code[at] = (_JUMP_EQUAL, 0, len(self._code) - at - 1, number)

    def bytes(self) -> bytes:
        return b"".join(struct.pack("=HBBI", *instruction) for instruction in self._code)
