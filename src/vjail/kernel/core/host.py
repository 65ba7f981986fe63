"""One host's kernel, put together from its parts, and `View`: that kernel as a process in one jail sees it.

A part (network.py, prison.py, mounts.py, devfs.py, …) owns one area: it names the operations it carries out and is
handed each together with its `Caller`. Nothing here knows what an operation does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeVar, cast

from vjail.kernel.core.devfs import Devfs
from vjail.kernel.core.jail_addresses import owns
from vjail.kernel.core.modules import Modules
from vjail.kernel.core.mounts import Mounts
from vjail.kernel.core.network import Network
from vjail.kernel.core.part import Caller, Handler, Part
from vjail.kernel.core.pf import PacketFilters
from vjail.kernel.core.prison import Prisons
from vjail.kernel.core.sysctl import Sysctls
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import (
    BridgeAddress,
    Interface,
    Jail,
    KernelFile,
    Mounted,
    Neighbour,
    Oid,
    Route,
    RouteFlag,
)
from vjail.kernel.operations import Operation
from vjail.kernel.pf import PacketFilter, PfState
from vjail.release import Release

R = TypeVar("R")


class Host:
    """The parts of one host's kernel."""

    def __init__(
        self,
        release: Release,
        *,
        network: Network,
        prisons: Prisons,
        mounts: Mounts,
        devfs: Devfs,
        sysctls: Sysctls,
        modules: Modules,
        packet_filters: PacketFilters,
        applied: Callable[[], object] = lambda: None,
    ) -> None:
        """`applied` is called after each operation."""
        self._applied = applied
        self.release = release
        self.network = network
        self.prisons = prisons
        self.mounts = mounts
        self.devfs = devfs
        self.sysctls = sysctls
        self.modules = modules
        self.packet_filters = packet_filters
        self._handlers: dict[type[Operation[Any]], Handler] = {}

    def _parts(self) -> tuple[Part, ...]:
        return (self.network, self.prisons, self.mounts, self.devfs, self.sysctls, self.modules, self.packet_filters)

    def view(self, jid: int = 0, *, superuser: bool = True) -> View:
        """The kernel as a process of jail `jid` sees it. Raises KernelError(ENOENT) where there is no such jail."""
        return View(self, Caller(jid, self.prisons.vnet_of(jid)), superuser)

    def apply(self, caller: Caller, operation: Operation[R]) -> R:
        """Carry out one operation for a caller."""
        if not self._handlers:
            for part in self._parts():
                self._handlers.update(part.handlers())
        handler = self._handlers.get(type(operation))
        if handler is None:
            raise KernelError(Errno.ENOSYS)
        try:
            done = handler(caller, operation)
            self.packet_filters.follow()
            return cast(R, done)
        finally:
            self._applied()

    def change_nics(self, change: Callable[[Network], None]) -> None:
        """Let NICs come and go: `change` does it, and all that goes by interfaces follows."""
        try:
            change(self.network)
            self.packet_filters.follow()
        finally:
            self._applied()

    def __getstate__(self) -> dict[str, object]:
        """What a copy of the kernel needs (model/forking.py): handlers are found anew."""
        return {**self.__dict__, "_handlers": {}}


class View:
    """A `System`: one host's kernel seen from one jail, by its superuser or by a user, who changes nothing."""

    __slots__ = ("_host", "_superuser", "caller")

    def __init__(self, host: Host, caller: Caller, superuser: bool) -> None:
        self._host = host
        self._superuser = superuser
        self.caller = caller

    @property
    def release(self) -> Release:
        """The FreeBSD release whose rules hold."""
        return self._host.release

    @property
    def jid(self) -> int:
        """The jail of the process; 0 is the host."""
        return self.caller.jid

    def apply(self, operation: Operation[R]) -> R:
        """Carry out one operation. Raises KernelError; nothing has changed then."""
        if not self._superuser:
            raise KernelError(Errno.EPERM)
        return self._host.apply(self.caller, operation)

    def inside(self, jid: int) -> View:
        """The same kernel seen from jail `jid`. Raises KernelError(ENOENT) where it is no descendant of this one."""
        if jid != self.jid and not self._host.prisons.is_descendant(jid, self.jid):
            raise KernelError(Errno.ENOENT)
        return self._host.view(jid, superuser=self._superuser)

    def interfaces(self) -> Sequence[Interface]:
        """All interfaces of the vnet in the order `ifconfig -l` shows them."""
        return [self._own(interface) for interface in self._host.network.interfaces(self.caller)]

    def has_interface(self, name: str) -> bool:
        """Whether there is an interface of that name."""
        return self._host.network.has_interface(self.caller, name)

    def interface(self, name: str) -> Interface | None:
        """One interface, None where there is none of that name."""
        found = self._host.network.interface(self.caller, name)
        return None if found is None else self._own(found)

    def _own(self, interface: Interface) -> Interface:
        """An interface with those of its addresses that the jail may know (prison_if)."""
        if self.caller.jid == self.caller.vnet:
            return interface
        return replace(interface, addresses=tuple(a for a in interface.addresses if self._owns(a.address)))

    def _owns(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether an address is the jail's to use and to see; every one where it has a vnet."""
        prison = self._host.prisons.prison(self.caller.jid)
        if prison is None or self.caller.jid == self.caller.vnet:
            return True
        return owns(prison.ip4 if address.version == 4 else prison.ip6, address)

    def group(self, name: str) -> Sequence[str]:
        """The names of a group's members in the kernel's order."""
        return self._host.network.group(self.caller, name)

    def cloners(self) -> Sequence[str]:
        """The names of the cloners."""
        return self._host.network.cloners(self.caller)

    def bridge_addresses(self, bridge: str) -> Sequence[BridgeAddress]:
        """A bridge's forwarding table. Raises KernelError(EINVAL) where it is no bridge."""
        return self._host.network.bridge_addresses(self.caller, bridge)

    def routes(self) -> Sequence[Route]:
        """The vnet's table 0, both families; on another's vnet the routes to own addresses (can_export_rte)."""
        found = self._host.network.routes(self.caller)
        if self.caller.jid == self.caller.vnet:
            return found
        return [each for each in found if RouteFlag.HOST in each.flags and self._owns(each.destination.network_address)]

    def neighbours(self) -> Sequence[Neighbour]:
        """The ARP and ND tables, own addresses included."""
        return [each for each in self._host.network.neighbours(self.caller) if self._owns(each.address)]

    def jails(self, *, dying: bool = False) -> Sequence[Jail]:
        """The jails below this one by ascending jid."""
        return self._host.prisons.jails(self.caller, dying=dying)

    def jail(self, key: int | str, *, dying: bool = False) -> Jail:
        """One jail below this one, by jid or name. Raises KernelError(ENOENT) with jail_get(2)'s message."""
        return self._host.prisons.jail(self.caller, key, dying=dying)

    def jail_parameters(self) -> Sequence[str]:
        """The names of the parameters a jail has in this kernel now."""
        return self._host.prisons.parameters()

    def mounts(self) -> Sequence[Mounted]:
        """The mounted file systems this jail may see."""
        return self._host.mounts.mounts(self.caller)

    def mounted(self, name: str) -> Mounted | None:
        """The newest of `mounts` that has this fsid, else this target, else this source."""
        return self._host.mounts.mounted(self.caller, name)

    def devfs_rulesets(self) -> Sequence[int]:
        """The numbers of the devfs rulesets."""
        return self._host.devfs.rulesets(self.caller)

    def devfs_rules(self, ruleset: int) -> Sequence[tuple[int, str]]:
        """The rules of a set."""
        return self._host.devfs.rules(self.caller, ruleset)

    def devfs_ruleset_of(self, mount: str) -> int:
        """The ruleset that the devfs mounted at `mount` uses."""
        return self._host.devfs.ruleset_of(self.caller, mount)

    def sysctl(self, name: str) -> Sequence[tuple[str, str]]:
        """Name and value of the sysctl `name` or of all below it."""
        return self._host.sysctls.values(self.caller, name)

    def oid(self, name: str) -> Oid:
        """What is known of a sysctl besides its value."""
        return self._host.sysctls.oid(self.caller, name)

    def kernel_files(self) -> Sequence[KernelFile]:
        """The kernel and the files loaded after it."""
        return self._host.modules.files(self.caller)

    def kenv(self) -> Mapping[str, str]:
        """The kernel environment."""
        return self._host.modules.kenv(self.caller)

    def modules(self) -> Sequence[str]:
        """The kernel modules loaded after the kernel."""
        return self._host.modules.loaded(self.caller)

    def packet_filter(self) -> PacketFilter:
        """The vnet's pf(4)."""
        return self._host.packet_filters.packet_filter(self.caller)

    def packet_filter_states(self) -> Sequence[PfState]:
        """The states of the vnet's pf."""
        return self._host.packet_filters.states(self.caller)
