"""What the other parts of a host's kernel ask of the table of jails, in the words each of them asks in.

`PrisonQueries` is the JailRules of mounts.py, the JailValues of sysctl.py, and has the two functions network.py takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vjail.kernel.core.mac import Identity
from vjail.kernel.core.part import Caller
from vjail.kernel.core.prison import Prisons
from vjail.kernel.core.prison_record import HostIdentity, Prison
from vjail.kernel.errno import Errno, KernelError

_IDENTITY = {f"host.{name}": name for name in HostIdentity.__slots__}


class PrisonQueries:
    """Answers questions about jails; 0 is the host everywhere. KernelError(ENOENT) where there is no such jail."""

    def __init__(self, prisons: Prisons) -> None:
        self._prisons = prisons

    def _prison(self, jid: int) -> Prison:
        prison = self._prisons.prison(jid)
        if prison is None:
            raise KernelError(Errno.ENOENT, f"jail {jid} not found")
        return prison

    # --- mounts -------------------------------------------------------------------------------------------------------

    def permits(self, jid: int, what: str) -> bool:
        """Whether a jail has the permission `what` (`allow.mount`)."""
        return what.removeprefix("allow.") in self._prison(jid).allow

    def enforce_statfs(self, jid: int) -> int:
        """How much of the mounts a jail sees: 0 all, 1 those below its root, 2 its root's only."""
        return self._prison(jid).enforce_statfs

    def devfs_ruleset(self, jid: int) -> int:
        """The ruleset of what a jail mounts."""
        return self._prison(jid).devfs_ruleset

    def root(self, jid: int) -> str:
        """A jail's root, as the host names it."""
        return self._prison(jid).path

    def roots_in(self, path: str) -> Iterator[str]:
        """The roots of jails, dying ones included, that are the directory `path` of the host or lie below it."""
        return (prison.path for prison in self._prisons.rooted_in(path))

    def is_descendant(self, jid: int, ancestor: int) -> bool:
        """Whether jail `jid` is below `ancestor`."""
        return self._prisons.is_descendant(jid, ancestor)

    # --- sysctl -------------------------------------------------------------------------------------------------------

    def get(self, jid: int, parameter: str) -> bool | int | str:
        """The value of a parameter of those sysctl(8) shows (`host.hostname`, `allow.mount`, `vnet`)."""
        prison = self._prison(jid)
        if parameter in _IDENTITY:
            value: int | str = getattr(prison.host, _IDENTITY[parameter])
            return value
        if parameter.startswith("allow."):
            return self.permits(jid, parameter)
        match parameter:
            case "vnet":
                return "new" if prison.own_vnet else "inherit"
            case "env":
                return prison.env
            case "securelevel":
                return prison.securelevel
            case "enforce_statfs":
                return prison.enforce_statfs
            case "devfs_ruleset":
                return prison.devfs_ruleset
            case "children.max":
                return prison.children_max
            case "children.cur":
                return self._prisons.children(jid)
        raise KernelError(Errno.ENOENT)

    def set(self, jid: int, parameter: str, value: int | str) -> None:
        """Change it from inside; that it may be is settled. KernelError: the machine refuses."""
        if parameter == "securelevel":
            self._prisons.set_securelevel(jid, int(value))
        elif parameter in _IDENTITY:
            host = replace(self._prison(jid).host, **{_IDENTITY[parameter]: value})  # type: ignore[arg-type]
            self._prisons.set_identity(jid, host)
        else:
            raise KernelError(Errno.EPERM)

    # --- network ------------------------------------------------------------------------------------------------------

    def identity_of(self, vnet: int) -> Identity:
        """Who makes interfaces in a vnet: its number is the jid of the jail that owns it."""
        prison = self._prison(vnet)
        return Identity(prison.host.hostid, prison.host.hostuuid, prison.name)

    def vnet_of(self, jid: int, caller: Caller) -> int:
        """The vnet of a jail as a caller may name it: below its own, and not dying. KernelError(ENOENT)."""
        return self._prisons.vnet_of(self._prisons.jail(caller, jid).jid)
