"""The signals that end a command, while it is busy with what must not be left half done.

They are noted, told to the agent that works for the command, and heeded once there is nothing half done. A signal that
was ignored when the command began (nohup, a shell's background) stays ignored.
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType, TracebackType
from typing import Self

from vjail.kernel.linux.anchor import wake_agents
from vjail.kernel.linux.syscalls import PR_SET_PDEATHSIG, call

SIGNALS = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT))


_PAUSE = 0.5
"""Seconds between two looks for commands that are suspended."""


class Interrupted(Exception):
    """The command was to end while it waited for another; nothing has been done."""


class Interrupts:
    """A context in which signals wait. `first` is the first that came, 0 while none has."""

    def __init__(self) -> None:
        self.first = 0
        self._agent = 0
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._arrived)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def code(self) -> int:
        """The exit code of a command that the first signal ended."""
        return 128 + self.first

    def check(self) -> None:
        """Raise Interrupted where a signal has come."""
        if self.first:
            raise Interrupted

    def attend(self, agent: str, connection: int) -> int:
        """Run an agent for a connection; its wait status.

        It hears of the signals, also of those that came before; at the second it ends at once, and whenever this
        process dies. What its server then does about the work under way is the server's. What that kills, and only a
        suspended command of vjail's could reap, is reaped.
        """
        parent = os.getpid()
        # Neither half may get a signal before it can do something about it.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._agent = os.fork()
        if self._agent == 0:
            try:
                call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                if os.getppid() == parent:
                    os.set_inheritable(connection, True)
                    os.execv(agent, ["vjail-agent", "session", str(connection)])
            finally:
                os._exit(1)
        if self.first:
            os.kill(self._agent, self.first)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        before = signal.signal(signal.SIGALRM, lambda _, __: wake_agents())
        signal.setitimer(signal.ITIMER_REAL, _PAUSE, _PAUSE)
        try:
            _, status = os.waitpid(self._agent, 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        self._agent = 0
        return status

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        again = bool(self.first)
        self.first = self.first or number
        if self._agent:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._agent, signal.SIGKILL if again else number)
