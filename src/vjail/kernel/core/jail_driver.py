"""What the table of jails asks of the machine beneath: the namespaces of a jail, its root, its processes.

A jail is named by its jid. A driver raises KernelError where the machine refuses; the table then changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vjail.kernel.core.prison_record import Prison


class JailDriver(Protocol):
    """Carries out what the table of jails decided, and tells it (`Prisons.last_process`, `released`) what happens."""

    def make(self, prison: Prison, seen_from: int) -> str:
        """Make what `prison` lives in; `prison.vnet` is new where `prison.own_vnet`.

        `prison.path` is the root asked for, as a process of jail `seen_from` (0: the host) names it; returned is the
        directory it leads to, every link followed, as the host names it. KernelError: ENOENT, ENOTDIR.
        """
        ...

    def changed(self, prison: Prison) -> None:
        """Put the parameters of `prison`, which exists, into effect; of the host's own (jid 0), what it is called."""
        ...

    def kill(self, jid: int) -> bool:
        """Send SIGKILL to every process whose jail is exactly `jid`.

        True: nothing holds the jail any more. False: something still does (FreeBSD: a process in the kernel, a socket
        in TIME_WAIT); `Prisons.released` is called once it has gone.
        """
        ...

    def remove(self, jid: int) -> None:
        """Take down what `make` made. The jail's vnet has been emptied before."""
        ...

    def pids(self, jid: int) -> Sequence[int]:
        """The processes whose jail is exactly `jid`, in any order."""
        ...
