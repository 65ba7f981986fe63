"""Moving interfaces between vnets, and what becomes of a vnet's interfaces when it ends.

Sources: FreeBSD 13.2 sys/net/if.c (if_vmove*, vnet_if_return); spec §9; recorded in c1_ifconfig_errors,
i_destroy_and_ownership, replay/vlan, documents-C, documents-E1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vjail.kernel.core.addresses import Addresses
from vjail.kernel.core.bridge import Bridges
from vjail.kernel.core.clone import Clones
from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.core.lagg import Laggs
from vjail.kernel.core.link import Link
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.stack import Stack
from vjail.kernel.core.vlan import Vlans
from vjail.kernel.core.vnet import Vnet
from vjail.kernel.core.vxlan import Vxlans
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Iff, Kind
from vjail.kernel.operations import LendInterface, Operation, ReclaimInterface

_LONGEST_NAME = 15

VnetOf = Callable[[int, Caller], int]
"""The vnet of jail `jid` as the caller may name it; raises KernelError."""


@dataclass(frozen=True, slots=True)
class Returned:
    """An interface that went home: the vnet that is, the name it had and the one it has now."""

    vnet: int
    name: str
    name_at_home: str


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the interfaces of a vnet that ended."""

    returned: tuple[Returned, ...]
    destroyed: tuple[str, ...]


class Moves:
    """Moves interfaces between vnets."""

    def __init__(
        self,
        stack: Stack,
        link: Link,
        addresses: Addresses,
        bridges: Bridges,
        vlans: Vlans,
        vxlans: Vxlans,
        laggs: Laggs,
        clones: Clones,
        vnet_of: VnetOf,
    ) -> None:
        self._stack = stack
        self._link = link
        self._addresses = addresses
        self._bridges = bridges
        self._vlans = vlans
        self._vxlans = vxlans
        self._laggs = laggs
        self._clones = clones
        self._vnet_of = vnet_of

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """Lend and reclaim."""
        return {LendInterface: self._lend, ReclaimInterface: self._reclaim}

    def _lend(self, caller: Caller, operation: LendInterface) -> None:
        ifnet = self._stack.find(caller, operation.name)
        target = self._stack.vnets[self._vnet_of(operation.jid, caller)]
        if target.number == caller.vnet or target.find(ifnet.name) is not None:
            raise KernelError(Errno.EEXIST)
        self._move(ifnet, target, ifnet.name)

    def _reclaim(self, caller: Caller, operation: ReclaimInterface) -> None:
        source = self._stack.vnets[self._vnet_of(operation.jid, caller)]
        ifnet = source.find(operation.name)
        if ifnet is None:
            raise KernelError(Errno.ENXIO)
        target = self._stack.vnet(caller)
        # FreeBSD does not look for the name here and would end up with two of it; no machine beneath can have that.
        if source.number == target.number or target.find(ifnet.name) is not None:
            raise KernelError(Errno.EEXIST)
        self._move(ifnet, target, ifnet.name)

    def _move(self, ifnet: IfNet, target: Vnet, name: str, *, ending: bool = False) -> None:
        """Move it: it loses bridge, vlans, addresses, UP and groups, and keeps the rest.

        The cloner finds only what it made in its own vnet: the cloner's group comes along out of the home vnet, not
        out of any other.
        """
        self._bridges.part(ifnet)
        self._laggs.part(ifnet)
        self._bridges.free_members(ifnet)
        self._vlans.free_vlans(ifnet)
        self._link.lower(ifnet)
        if ifnet.vxlan is not None:
            self._stack.driver.unbind_vxlan(ifnet)
        self._stack.driver.move(ifnet, target.number, name, ending=ending)
        leaves_home = ifnet.vnet == ifnet.home
        self._stack.place(ifnet).detach(ifnet)
        ifnet.vnet, ifnet.name, ifnet.index = target.number, name, target.next_index()
        ifnet.attached = self._stack.serial()
        target.attach(ifnet)
        if leaves_home and ifnet.kind is not Kind.NIC:
            target.join(ifnet, ifnet.kind.value, self._stack.serial())
        self._addresses.forget(ifnet)
        if ifnet.vxlan is not None:
            # It speaks through the vnet that it comes up in.
            ifnet.flags &= ~Iff.RUNNING
            self._vxlans.settle(ifnet)
        self._stack.save(ifnet)

    # --- the end of a vnet ---

    def end(self, vnet: Vnet) -> Ended:
        """Send home what was lent to a vnet, in the order in which it came, then destroy what was made in it."""
        returned = [self._send_home(ifnet) for ifnet in vnet.interfaces() if ifnet.home != vnet.number]
        destroyed: list[str] = []
        for ifnet in list(vnet.made.values()):
            if ifnet.ident in self._stack.interfaces and ifnet is not vnet.loopback:
                destroyed += self._clones.discard(ifnet)
        if vnet.loopback is not None:
            destroyed += self._clones.discard(vnet.loopback)
        return Ended(tuple(returned), tuple(destroyed))

    def _send_home(self, ifnet: IfNet) -> Returned:
        home = self._stack.home(ifnet)
        name = ifnet.name
        self._move(ifnet, home, _name_at_home(ifnet, home), ending=True)
        return Returned(home.number, name, ifnet.name)


def _name_at_home(ifnet: IfNet, home: Vnet) -> str:
    """The name it has; where that is taken (FreeBSD has two of it then), the one it was made with, or a new one."""
    for name in (ifnet.name, ifnet.made_as):
        if home.find(name) is None:
            return name
    number = 0
    while home.find(name := f"{ifnet.made_as[: _LONGEST_NAME - 4]}_{number}") is not None:
        number += 1
    return name
