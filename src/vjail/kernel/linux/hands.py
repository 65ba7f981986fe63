"""The anchor's hands: programs run in processes of their own, waited for here.

Joining a user namespace cannot be undone and needs a process with nothing else to do, so the server has the lab's
anchor (native/agent.c) do what takes one: make a jail's namespaces, start its PID 1, mount inside it. These programs
are a few system calls long; waiting for them does not keep others waiting.
"""

from __future__ import annotations

import array
import os
import socket
import struct
import time
from collections.abc import Callable

from vjail.kernel.linux.conversation import DETACHED, FORKS, ProgramError
from vjail.kernel.linux.program import Program

_PATIENCE = 30.0
"""Seconds after which an anchor that does not answer is taken for dead."""


class AnchorGone(Exception):
    """The lab's anchor has gone, and with it the lab."""


class Hands:
    """The connection with a lab's anchor."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(_PATIENCE)
        self._next = 0

    @classmethod
    def connect(cls) -> Hands:
        """Connect to the anchor of the network namespace this process is in. Raises OSError.

        An anchor that was just started needs a moment before it listens.
        """
        deadline = time.monotonic() + _PATIENCE
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        while True:
            try:
                connection.connect("\0anchor")
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    connection.close()
                    raise
                time.sleep(0.001)
            else:
                return cls(connection)

    def close(self) -> None:
        """Close the connection; the anchor lives on."""
        self._socket.close()

    def run(
        self, program: Program, *, at_report: Callable[[int, int], None] | None = None, forks: bool = False
    ) -> None:
        """Run a program to its end. Each report calls `at_report(value, pid)`, then the program may go on.

        Raises ProgramError for the step that failed, and whatever `at_report` raises, once the program is dead.
        """
        self._converse(program, FORKS if forks else 0, at_report)

    def start(
        self, program: Program, *, at_report: Callable[[int, int], None] | None = None, forks: bool = False
    ) -> int:
        """Start a program that stays; returns a pidfd of the process it has become. Raises ProgramError."""
        return self._converse(program, DETACHED | (FORKS if forks else 0), at_report)

    def _converse(self, program: Program, flags: int, at_report: Callable[[int, int], None] | None) -> int:
        self._next += 1
        identity = self._next
        waits = program.names.count("wait")
        body = b"S" + struct.pack("=II", identity, flags) + program.encode()
        ancillary = []
        if program.descriptors:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", program.descriptors))]
        trouble: Exception | None = None
        try:
            self._socket.sendmsg([body], ancillary)
            while True:
                data, control, _, _ = self._socket.recvmsg(1 << 16, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
                fds = array.array("i")
                for _, _, payload in control:
                    fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                if not data:
                    raise AnchorGone
                if struct.unpack_from("=I", data, 1)[0] != identity:
                    for fd in fds:
                        os.close(fd)
                    continue
                match data[:1]:
                    case b"N":
                        _, _, value, pid = struct.unpack("=IIQi", data[1:])
                        if trouble is None and at_report is not None:
                            try:
                                at_report(value, pid)
                            except Exception as error:
                                trouble = error
                                self._socket.send(b"K" + struct.pack("=II", identity, 9))
                        if waits:
                            waits -= 1
                            self._socket.send(b"W" + struct.pack("=I", identity))
                    case b"F":
                        _, step, code = struct.unpack("=III", data[1:])
                        raise trouble or ProgramError(program.names[step], code)
                    case b"P":
                        if flags & DETACHED:
                            if trouble is not None:
                                raise trouble
                            return fds[0] if fds else -1
                        for fd in fds:
                            os.close(fd)
                    case b"X":
                        status = os.waitstatus_to_exitcode(struct.unpack("=Ii", data[1:])[1])
                        if trouble is not None:
                            raise trouble
                        if status != 0:
                            raise ProgramError(f"the program ended with {status}", 0)
                        return -1
        except (ConnectionError, TimeoutError) as error:
            raise AnchorGone from error
