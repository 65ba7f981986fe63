"""What a kernel offers to a process: `System`, seen from inside one jail (or the host, jid 0) and that jail's vnet.

Commands, the jail's life and the checks are handed a System and never ask which kernel is behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from vjail.kernel.observed import BridgeAddress, Interface, Jail, KernelFile, Mounted, Neighbour, Oid, Route
from vjail.kernel.operations import Operation
from vjail.kernel.pf import PacketFilter, PfState
from vjail.release import Release

R = TypeVar("R")


class System(Protocol):
    """One host's kernel as a process of jail `jid` sees it."""

    @property
    def release(self) -> Release:
        """The FreeBSD release whose rules hold."""
        ...

    @property
    def jid(self) -> int:
        """The jail of the process; 0 is the host."""
        ...

    def apply(self, operation: Operation[R]) -> R:
        """Carry out one operation. Raises KernelError; nothing has changed then."""
        ...

    def inside(self, jid: int) -> System:
        """The same kernel seen from jail `jid`, a descendant of this one. Raises KernelError(ENOENT)."""
        ...

    def interfaces(self) -> Sequence[Interface]:
        """All interfaces of the vnet in the order `ifconfig -l` shows them."""
        ...

    def has_interface(self, name: str) -> bool:
        """Whether there is an interface of that name, without a look at it: a bridge may have many members."""
        ...

    def interface(self, name: str) -> Interface | None:
        """One interface, None where there is none of that name."""
        ...

    def group(self, name: str) -> Sequence[str]:
        """The names of a group's members in the kernel's order; empty where there is no such group."""
        ...

    def cloners(self) -> Sequence[str]:
        """The names of the cloners in the order `ifconfig -C` shows them."""
        ...

    def bridge_addresses(self, bridge: str) -> Sequence[BridgeAddress]:
        """A bridge's forwarding table. Raises KernelError(EINVAL) where it is no bridge."""
        ...

    def routes(self) -> Sequence[Route]:
        """The vnet's table 0, both families, in the order netstat(1) shows it."""
        ...

    def neighbours(self) -> Sequence[Neighbour]:
        """The ARP and ND tables, own addresses included."""
        ...

    def jails(self, *, dying: bool = False) -> Sequence[Jail]:
        """The jails below this one by ascending jid, with `dying` also those on their way out."""
        ...

    def jail(self, key: int | str, *, dying: bool = False) -> Jail:
        """One jail below this one, by jid or name (jail_get(2)). Raises KernelError(ENOENT) with jail_get's message:
        `jail "x" not found`, or where it is on its way out and not `dying`, `jail "x" is dying`.
        """
        ...

    def jail_parameters(self) -> Sequence[str]:
        """The names of the parameters a jail has in this kernel now (sysctl security.jail.param), in any order."""
        ...

    def mounts(self) -> Sequence[Mounted]:
        """The mounted file systems this jail may see, in the order in which they were mounted."""
        ...

    def mounted(self, name: str) -> Mounted | None:
        """The newest of `mounts` that has `name` as its fsid; if none has, as its target; if none has, as its source.

        The table of a host with many jails is long, and this does not go through it.
        """
        ...

    def devfs_rulesets(self) -> Sequence[int]:
        """The numbers of the devfs rulesets, ascending. Raises KernelError(EPERM) inside a jail."""
        ...

    def devfs_rules(self, ruleset: int) -> Sequence[tuple[int, str]]:
        """The rules of a set: number and text as `devfs rule show` prints it, but users and groups as numbers.

        Raises KernelError(EPERM) in a jail.
        """
        ...

    def devfs_ruleset_of(self, mount: str) -> int:
        """The ruleset that the devfs mounted at `mount` uses. Raises KernelError(EINVAL)."""
        ...

    def sysctl(self, name: str) -> Sequence[tuple[str, str]]:
        """Name and value of the sysctl `name` or of all below it. Raises KernelError(ENOENT)."""
        ...

    def oid(self, name: str) -> Oid:
        """What is known of a sysctl, leaf or node, besides its value. Raises KernelError(ENOENT)."""
        ...

    def kernel_files(self) -> Sequence[KernelFile]:
        """The kernel and the files loaded after it, in the order kldstat(8) shows them."""
        ...

    def kenv(self) -> Mapping[str, str]:
        """The kernel environment, kenv(1)."""
        ...

    def modules(self) -> Sequence[str]:
        """The kernel modules loaded after the kernel, in the order kldstat(8) shows them."""
        ...

    def packet_filter(self) -> PacketFilter:
        """The vnet's pf(4): whether it is on, and what is loaded."""
        ...

    def packet_filter_states(self) -> Sequence[PfState]:
        """The states of the vnet's pf."""
        ...
