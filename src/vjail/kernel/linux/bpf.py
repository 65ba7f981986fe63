"""bpf(2): maps, programs, and programs attached to control groups. What a program does is written with bpf_code.py.

Everything is a descriptor that its owner closes; what a filter or a control group holds lives on without it. Sources:
linux/bpf.h, kernel/bpf/syscall.c.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import os
import struct
from collections.abc import Iterator

from vjail.kernel.linux.syscalls import call

_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _MAP_DELETE, _MAP_NEXT, _PROG_LOAD, _ATTACH, _DETACH = 0, 1, 2, 3, 4, 5, 8, 9
_PROG_BY_ID, _QUERY = 13, 16
_LOG_ROOM = 1 << 20
_LICENSE = b"Dual BSD/GPL\0"
"""Of the programs as the kernel sees them; some helpers are only for those that name the GPL too."""
_ROOM = 128
"""Bytes of the attribute; the kernel takes any length whose unknown part is zero."""


class MapKind(enum.IntEnum):
    """enum bpf_map_type."""

    HASH = 1
    ARRAY = 2
    LPM_TRIE = 11


class ProgramKind(enum.IntEnum):
    """enum bpf_prog_type."""

    SCHED_CLS = 3
    CGROUP_SKB = 8
    CGROUP_SOCK = 9
    CGROUP_SOCK_ADDR = 18


class Attach(enum.IntEnum):
    """enum bpf_attach_type, of what is attached to a control group."""

    INET_INGRESS = 0
    INET_EGRESS = 1
    INET_SOCK_CREATE = 2
    INET4_BIND = 8
    INET6_BIND = 9
    INET4_CONNECT = 10
    INET6_CONNECT = 11
    INET4_POST_BIND = 12
    INET6_POST_BIND = 13
    UDP4_SENDMSG = 14
    UDP6_SENDMSG = 15
    UDP4_RECVMSG = 19
    UDP6_RECVMSG = 20
    INET4_GETPEERNAME = 29
    INET6_GETPEERNAME = 30
    INET4_GETSOCKNAME = 31
    INET6_GETSOCKNAME = 32


class Helper(enum.IntEnum):
    """enum bpf_func_id, of those used here."""

    MAP_LOOKUP = 1
    MAP_UPDATE = 2
    SKB_STORE_BYTES = 9
    CLONE_REDIRECT = 13
    SKB_VLAN_PUSH = 18
    SKB_VLAN_POP = 19
    REDIRECT = 23
    SKB_LOAD_BYTES = 26
    GET_SOCKET_COOKIE = 46
    SETSOCKOPT = 49
    BIND = 64
    SKB_LOAD_BYTES_RELATIVE = 68
    SK_LOOKUP_TCP = 84
    SK_LOOKUP_UDP = 85
    SK_RELEASE = 86
    SK_CGROUP_ID = 128
    SKC_TO_TCP6_SOCK = 136
    SKC_TO_UDP6_SOCK = 140
    SET_RETVAL = 187


class LoadError(OSError):
    """A program the kernel would not take; `log` is what its verifier said."""

    def __init__(self, code: int, name: str, log: str) -> None:
        super().__init__(code, f"bpf program {name}: {os.strerror(code)}")
        self.log = log


def _bpf(command: int, attribute: bytes) -> int:
    room = ctypes.create_string_buffer(attribute.ljust(_ROOM, b"\0"), _ROOM)
    return call("bpf", command, room, _ROOM)


class Map:
    """A table that programs and we share; keys and values are bytes of fixed length. Raises OSError."""

    def __init__(self, kind: MapKind, key: int, value: int, entries: int, *, flags: int = 0) -> None:
        """`key` and `value` are lengths in bytes."""
        self._key, self._value = key, value
        self.fd = _bpf(_MAP_CREATE, struct.pack("=IIIII", kind, key, value, entries, flags))

    def __getitem__(self, key: bytes) -> bytes:
        room = ctypes.create_string_buffer(self._value)
        try:
            self._do(_MAP_LOOKUP, key, ctypes.addressof(room))
        except FileNotFoundError:
            raise KeyError(key) from None
        return room.raw

    def __setitem__(self, key: bytes, value: bytes) -> None:
        if len(value) != self._value:
            raise ValueError(f"a value has {self._value} bytes, not {len(value)}")
        room = ctypes.create_string_buffer(value, self._value)
        self._do(_MAP_UPDATE, key, ctypes.addressof(room))

    def __delitem__(self, key: bytes) -> None:
        try:
            self._do(_MAP_DELETE, key, 0)
        except FileNotFoundError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[bytes]:
        """The keys, as they are while this goes on."""
        room = ctypes.create_string_buffer(self._key)
        key: bytes | None = None
        while True:
            try:
                self._do(_MAP_NEXT, key, ctypes.addressof(room))
            except FileNotFoundError:
                return
            key = room.raw
            yield key

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)

    def _do(self, command: int, key: bytes | None, value: int) -> None:
        if key is not None and len(key) != self._key:
            raise ValueError(f"a key has {self._key} bytes, not {len(key)}")
        held = None if key is None else ctypes.create_string_buffer(key, self._key)
        at = 0 if held is None else ctypes.addressof(held)
        _bpf(command, struct.pack("=IxxxxQQQ", self.fd, at, value, 0))


def load(kind: ProgramKind, code: bytes, name: str, attach: Attach | None = None) -> int:
    """Load a program; its descriptor. `attach`: where it is going to be attached, for kinds that ask. LoadError."""
    held, license_ = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(_LICENSE)
    at = ctypes.addressof(held), ctypes.addressof(license_)

    def attribute(log: int) -> bytes:
        level, room = (1, _LOG_ROOM) if log else (0, 0)
        head = struct.pack("=IIQQIIQII", kind, len(code) // 8, *at, level, room, log, 0, 0)
        return head + struct.pack("=16sII", name.encode()[:15], 0, attach or 0)

    try:
        return _bpf(_PROG_LOAD, attribute(0))
    except OSError as error:
        if error.errno == errno.EPERM:
            raise LoadError(errno.EPERM, name, "") from None
        log = ctypes.create_string_buffer(_LOG_ROOM)
        try:
            return _bpf(_PROG_LOAD, attribute(ctypes.addressof(log)))
        except OSError as again:
            raise LoadError(again.errno or errno.EINVAL, name, log.value.decode(errors="replace")) from None


def attach_to_cgroup(cgroup: int, program: int, where: Attach, *, instead_of: int | None = None) -> None:
    """Attach a program to the control group (v2) behind a descriptor, beside those of groups above. Raises OSError.

    What a group above has attached runs too (BPF_F_ALLOW_MULTI). `instead_of`: a program attached there that this one
    takes the place of, without a moment in which neither is there.
    """
    flags = _ALLOW_MULTI if instead_of is None else _ALLOW_MULTI | _REPLACE
    _bpf(_ATTACH, struct.pack("=IIIII", cgroup, program, where, flags, instead_of or 0))


def detach_from_cgroup(cgroup: int, program: int, where: Attach) -> None:
    """The opposite of attach_to_cgroup. Raises OSError."""
    _bpf(_DETACH, struct.pack("=IIII", cgroup, program, where, 0))


def attached_to_cgroup(cgroup: int, where: Attach) -> list[int]:
    """Descriptors of the programs that are attached to just this control group there. Raises OSError."""
    ids = (ctypes.c_uint32 * _MOST_ATTACHED)()
    attribute = struct.pack("=IIIIQI", cgroup, where, 0, 0, ctypes.addressof(ids), _MOST_ATTACHED)
    room = ctypes.create_string_buffer(attribute.ljust(_ROOM, b"\0"), _ROOM)
    call("bpf", _QUERY, room, _ROOM)
    count: int = struct.unpack_from("=I", room.raw, 24)[0]
    return [_bpf(_PROG_BY_ID, struct.pack("=I", number)) for number in ids[:count]]


_ALLOW_MULTI, _REPLACE = 2, 4
_MOST_ATTACHED = 64
"""Programs that a control group can have attached at one place."""
