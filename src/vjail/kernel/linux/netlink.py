"""rtnetlink(7): messages built and read here, many to a send, one socket for each network namespace.

Messages are bytes with their attributes nested as the kernel wants them; replies come back as `Message`s. What an
attribute means is links.py's and routes.py's business. Sources: linux/netlink.h, rtnetlink.h, if_link.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTCLASS = 36, 37, 40
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
RTMGRP_NEIGH = 4

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_DUMP_INTR = 0x10
_NLM_F_CAPPED, _NLM_F_ACK_TLVS = 0x100, 0x200
_SOL_NETLINK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 270, 11, 12
_NLA_NESTED = 0x8000
_NLA_TYPE = 0x3FFF
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_BATCH = 64 << 10
"""Bytes to a send at most; below the default send buffer, and replies to it fit the receive buffer."""
_TRANSACTION = 4 << 20
"""Bytes that a transaction may take, as far as the machine allows that."""


class NetlinkError(OSError):
    """The kernel refused a request: Linux's errno and what it says besides."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message from the kernel: its type, and the body from the family header on."""

    kind: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """A request: message type, flags besides REQUEST, body. `tolerate` lists errnos that count as success."""

    kind: int
    body: bytes
    flags: int = 0
    tolerate: tuple[int, ...] = ()


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    length = len(value) + 4
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NLA_NESTED, b"".join(attributes))


def u8(kind: int, value: int) -> bytes:
    """An attribute of one byte."""
    return attribute(kind, struct.pack("=B", value))


def u16(kind: int, value: int) -> bytes:
    """An attribute of two bytes."""
    return attribute(kind, struct.pack("=H", value))


def u32(kind: int, value: int) -> bytes:
    """An attribute of four bytes."""
    return attribute(kind, struct.pack("=I", value))


def text(kind: int, value: str) -> bytes:
    """An attribute that is a NUL-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Read attributes from `offset` on; of one that occurs twice the last is kept."""
    return dict(each_attribute(data, offset))


def each_attribute(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Read attributes from `offset` on, in order."""
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > end:
            return
        yield kind & _NLA_TYPE, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def string(value: bytes) -> str:
    """A NUL-terminated string attribute's text."""
    return value.split(b"\0", 1)[0].decode(errors="surrogateescape")


class Socket:
    """A netlink socket. It belongs to the network namespace that the process was in when it was made."""

    def __init__(self, groups: int = 0, protocol: int = socket.NETLINK_ROUTE) -> None:
        """`groups`: a mask of the RTMGRP_… whose notifications it hears; with any it is there to listen only."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
        self._socket.bind((0, groups))
        self._sequence = 0

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def again(self) -> Socket:
        """Another descriptor of the same socket, for who needs it longer than its owner."""
        other = Socket.__new__(Socket)
        other._socket, other._sequence = self._socket.dup(), self._sequence
        return other

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def request(self, *requests: Request) -> None:
        """Carry requests out in order, many to a send.

        Raises NetlinkError for the first that failed; those behind it in the same send have been tried all the same, as
        the kernel goes on after an error, so send together what stands or falls alone.
        """
        error: NetlinkError | None = None
        for batch in _batches(requests):
            failed = self._exchange(batch)
            error = error or failed
        if error is not None:
            raise error

    def transact(self, begin: Request, requests: Sequence[Request], end: Request) -> None:
        """Carry requests out between two that open and close a transaction, all or none, in one send.

        Raises NetlinkError for the first that failed, or for the whole.
        """
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _TRANSACTION)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _TRANSACTION)
        first = self._sequence + 1
        last = first + len(requests)
        batch = [begin, *(replace(each, flags=each.flags | NLM_F_ACK) for each in requests), end]
        self._send(batch, acknowledge=False)
        waiting, error = len(requests), None
        for sequence, kind, data in self._receive_until(last + 1):
            if not first <= sequence <= last + 1 or kind != _NLMSG_ERROR:
                continue
            failure = _error(data)
            error = error or failure
            # What is wrong with the whole is said of its beginning; how each request fared is said in their order.
            if first < sequence <= last:
                waiting -= 1
            if waiting == 0 or (sequence == first and failure is not None):
                break
        if error is not None:
            raise error

    def dump(self, kind: int, body: bytes) -> list[Message]:
        """All messages the kernel answers a dump request with; again from the start where it changed meanwhile."""
        for _ in range(16):
            first = self._send([Request(kind, body, NLM_F_DUMP)], acknowledge=False)
            messages, torn = self._collect(first)
            if not torn:
                return messages
        raise NetlinkError(errno.EINTR, "the table changes too fast to be read")

    def get(self, kind: int, body: bytes) -> Message:
        """The one message that answers a request. Raises NetlinkError."""
        first = self._send([Request(kind, body)], acknowledge=False)
        for _, found, data in self._receive_until(first):
            if found == _NLMSG_ERROR:
                failure = _error(data)
                if failure is not None:
                    raise failure
                continue
            return Message(found, data)
        raise NetlinkError(errno.EPROTO, "no answer")

    def heard(self) -> list[Message] | None:
        """The notifications that have come, without waiting; None where some were lost."""
        messages: list[Message] = []
        try:
            while True:
                data = self._socket.recv(1 << 18, socket.MSG_DONTWAIT)
                messages += [Message(kind, body) for _, kind, _, body in _split(data, None)]
        except BlockingIOError:
            return messages
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            return None

    def _exchange(self, batch: Sequence[Request]) -> NetlinkError | None:
        first = self._send(batch)
        return next((e for e in self._acknowledgements(batch, first) if e is not None), None)

    def _acknowledgements(self, batch: Sequence[Request], first: int) -> list[NetlinkError | None]:
        outcomes: list[NetlinkError | None] = [None] * len(batch)
        waiting = len(batch)
        for sequence, kind, data in self._receive_until(first + len(batch) - 1):
            index = sequence - first
            if kind != _NLMSG_ERROR or not 0 <= index < len(batch):
                continue
            failure = _error(data)
            if failure is not None and failure.errno not in batch[index].tolerate:
                outcomes[index] = failure
            waiting -= 1
            if waiting == 0:
                break
        return outcomes

    def _send(self, batch: Sequence[Request], *, acknowledge: bool = True) -> int:
        first = self._sequence + 1
        parts = []
        for request in batch:
            self._sequence += 1
            flags = request.flags | NLM_F_REQUEST | (NLM_F_ACK if acknowledge else 0)
            length = _HEADER.size + len(request.body)
            parts.append(_HEADER.pack(length, request.kind, flags, self._sequence, 0))
            parts.append(request.body + b"\0" * (-length % 4))
        self._socket.send(b"".join(parts))
        return first

    def _collect(self, sequence: int) -> tuple[list[Message], bool]:
        messages: list[Message] = []
        torn = False
        while True:
            data = self._socket.recv(1 << 18)
            for _, kind, flags, body in _split(data, sequence):
                torn = torn or bool(flags & _NLM_F_DUMP_INTR)
                if kind == _NLMSG_DONE:
                    return messages, torn
                if kind == _NLMSG_ERROR:
                    failure = _error(body)
                    if failure is not None:
                        raise failure
                    return messages, torn
                messages.append(Message(kind, body))

    def _receive_until(self, last: int) -> Iterator[tuple[int, int, bytes]]:
        """Sequence, type and body of messages, up to the acknowledgement of the request `last`."""
        while True:
            data = self._socket.recv(1 << 18)
            ended = False
            for sequence, kind, _, body in _split(data, None):
                yield sequence, kind, body
                ended = ended or (sequence == last and kind == _NLMSG_ERROR)
            if ended:
                return


def _batches(requests: Iterable[Request]) -> Iterator[list[Request]]:
    batch: list[Request] = []
    size = 0
    for request in requests:
        length = len(request.body) + _HEADER.size
        # An acknowledgement of a failed request repeats it; 128 of them fit the default receive buffer.
        if batch and (size + length > _BATCH or len(batch) == 128):
            yield batch
            batch, size = [], 0
        batch.append(request)
        size += length
    if batch:
        yield batch


def _split(data: bytes, sequence: int | None) -> Iterator[tuple[int, int, int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, found, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        if sequence is None or found == sequence:
            yield found, kind, flags, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _error(body: bytes) -> NetlinkError | None:
    code = -struct.unpack_from("=i", body)[0]
    if code == 0:
        return None
    said = ""
    length, *_ = _HEADER.unpack_from(body, 4)
    # With an error the request comes back whole, then the extended acknowledgement.
    offset = 4 + ((length + 3) & ~3) if len(body) > 4 + _HEADER.size else len(body)
    extended = attributes(body, offset)
    if 1 in extended:
        said = ": " + string(extended[1])
    return NetlinkError(code, os.strerror(code) + said)
