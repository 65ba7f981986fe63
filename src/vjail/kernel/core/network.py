"""All network stacks of one host: the part of the kernel that knows interfaces, routes and neighbours.

`Network` puts the rules together (link, addresses, bridge, vlan, clone, move, routing), carries out what is the same
for every kind of interface, and answers what there is. Sources: FreeBSD 13.2 sys/net/if.c; spec §2, §8, §10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from vjail.conf.pf.hosts import HostInterface
from vjail.kernel.core import mac
from vjail.kernel.core.addresses import Addresses
from vjail.kernel.core.bridge import Bridges
from vjail.kernel.core.clone import Clones, DeviceNodes, IdentityOf
from vjail.kernel.core.driver import Clock, NetworkDriver
from vjail.kernel.core.ifnet import FIRST_LOOPBACK, JUMBO_MTU, IfNet, link_of_nic
from vjail.kernel.core.journal import Journal
from vjail.kernel.core.lagg import Laggs
from vjail.kernel.core.link import Link
from vjail.kernel.core.move import Ended, Moves, Returned, VnetOf
from vjail.kernel.core.observe import Observer
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.routing import Routing
from vjail.kernel.core.stack import SettingOf, Stack
from vjail.kernel.core.vlan import Vlans
from vjail.kernel.core.vxlan import Vxlans
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import BridgeAddress, Iff, Interface, Kind, Neighbour, Route
from vjail.kernel.operations import (
    AddAddress,
    JoinGroup,
    LeaveGroup,
    Operation,
    RemoveAddress,
    RenameInterface,
    SetDescription,
    SetFib,
    SetFlags,
    SetLinkAddress,
    SetMetric,
    SetMtu,
    SetNd6,
    SetOptions,
)
from vjail.kernel.pf import host_addresses
from vjail.release import Release

__all__ = ["Ended", "Network", "Nic", "Returned"]

_LONGEST_NAME = 15
_LONGEST_DESCRIPTION = 1024
"""Bytes, with the end mark (net.ifdescr_maxlen)."""
_MTUS = range(72, 65535 + 1)
_ETHERMTU = 1500


@dataclass(frozen=True, slots=True)
class Nic:
    """A NIC of the machine, which the driver finds under its name."""

    name: str
    lladdr: bytes
    mtu: int = 1500


class Network:
    """The vnets of one host and all that is in them. Vnet 0, the host's own, is there from the start."""

    def __init__(
        self,
        driver: NetworkDriver,
        clock: Clock,
        journal: Journal,
        *,
        release: Release,
        random: mac.Randomness,
        identity_of: IdentityOf,
        vnet_of: VnetOf,
        setting_of: SettingOf,
        nodes: DeviceNodes,
        nics: Sequence[Nic] = (),
    ) -> None:
        """`identity_of` tells of a vnet's number who makes interfaces there, `vnet_of` the vnet of a jail."""
        self._wire(Stack(driver, clock, journal, release, setting_of), random, identity_of, vnet_of, nodes)
        self.add_vnet(0, nics)

    @classmethod
    def restore(
        cls,
        driver: NetworkDriver,
        clock: Clock,
        journal: Journal,
        *,
        release: Release,
        random: mac.Randomness,
        identity_of: IdentityOf,
        vnet_of: VnetOf,
        setting_of: SettingOf,
        nodes: DeviceNodes,
    ) -> Network:
        """The network another process wrote into `journal`; what `driver` made is still there."""
        network = cls.__new__(cls)
        stack = Stack(driver, clock, journal, release, setting_of)
        stack.restore()
        driver.adopt(list(stack.interfaces.values()))
        network._wire(stack, random, identity_of, vnet_of, nodes)
        return network

    def _wire(
        self,
        stack: Stack,
        random: mac.Randomness,
        identity_of: IdentityOf,
        vnet_of: VnetOf,
        nodes: DeviceNodes,
    ) -> None:
        self._stack = stack
        self._link = link = Link(stack)
        self._addresses = addresses = Addresses(stack, link)
        self._vlans = vlans = Vlans(stack, link)
        self._bridges = bridges = Bridges(stack, link, addresses, vlans)
        self._vxlans = vxlans = Vxlans(stack)
        self._laggs = laggs = Laggs(stack)
        self._clones = clones = Clones(stack, bridges, vlans, vxlans, laggs, identity_of, random, nodes)
        self._moves = Moves(stack, link, addresses, bridges, vlans, vxlans, laggs, clones, vnet_of)
        self._routing = Routing(stack)
        self._observer = Observer(stack, link, addresses, bridges, vlans, laggs)

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """All operations on interfaces, routes and neighbours. EPERM in a jail that has no vnet of its own."""
        handlers: dict[type[Operation[Any]], Handler] = {
            SetFlags: self._set_flags,
            SetMtu: self._set_mtu,
            SetMetric: self._set_metric,
            SetFib: self._set_fib,
            SetOptions: self._set_options,
            SetLinkAddress: self._set_lladdr,
            SetDescription: self._set_description,
            RenameInterface: self._rename,
            JoinGroup: self._join_group,
            LeaveGroup: self._leave_group,
            AddAddress: self._add_address,
            RemoveAddress: self._remove_address,
            SetNd6: self._set_nd6,
            **self._bridges.handlers(),
            **self._vlans.handlers(),
            **self._vxlans.handlers(),
            **self._laggs.handlers(),
            **self._clones.handlers(),
            **self._moves.handlers(),
            **self._routing.handlers(),
        }
        return {operation: _by_owner(handler) for operation, handler in handlers.items()}

    # --- vnets and NICs ---

    def add_vnet(self, number: int, nics: Sequence[Nic] = ()) -> None:
        """A new vnet: its own NICs, if it has any, then lo0, down and without addresses."""
        vnet = self._stack.add_vnet(number)
        for nic in nics:
            self.add_nic(number, nic)
        self._clones.enter([self._clones.new(vnet, Kind.LOOPBACK, FIRST_LOOPBACK, 0)])

    def remove_vnet(self, number: int) -> Ended:
        """End a vnet: what was lent to it goes home under the name it has, what was made in it is destroyed."""
        ended = self._moves.end(self._stack.vnets[number])
        self._stack.drop_vnet(number)
        return ended

    def add_nic(self, number: int, nic: Nic) -> None:
        """Let a NIC of the machine into a vnet, which is its home from now on. Raises KernelError(EEXIST)."""
        vnet = self._stack.vnets[number]
        if vnet.find(nic.name) is not None:
            raise KernelError(Errno.EEXIST)
        ifnet = self._clones.new(vnet, Kind.NIC, nic.name, None)
        ifnet.lladdr = ifnet.hwaddr = nic.lladdr
        ifnet.mtu = nic.mtu
        self._clones.enter([ifnet])

    def remove_nic(self, made_as: str) -> None:
        """Let a NIC go, wherever it is and whatever it is called by now, as one that is pulled out of the machine."""
        self._clones.discard(self._nic(made_as))

    def nics(self) -> Mapping[str, int]:
        """The NICs by the name that they came with, each with the vnet that it is in."""
        found = self._stack.interfaces.values()
        return {ifnet.made_as: ifnet.vnet for ifnet in found if ifnet.kind is Kind.NIC}

    def _nic(self, made_as: str) -> IfNet:
        found = self._stack.interfaces.values()
        return next(ifnet for ifnet in found if ifnet.kind is Kind.NIC and ifnet.made_as == made_as)

    def set_carrier(self, made_as: str, carrier: bool) -> None:
        """A NIC of the host's, wherever it is and whatever it is called by now, has carrier or has none.

        It goes on RUNNING, as NICs do on FreeBSD; what is lost is the link.
        """
        ifnet = self._nic(made_as)
        ifnet.media, ifnet.status = link_of_nic(made_as, carrier, self._stack.release)
        self._stack.save(ifnet)
        for each in (ifnet, *(self._stack.interfaces[ident] for ident in ifnet.vlans)):
            self._stack.driver.set_carrier(each, carrier)

    # --- operations on any interface ---

    def _set_flags(self, caller: Caller, operation: SetFlags) -> None:
        ifnet = self._stack.find(caller, operation.name)
        self._addresses.settle(ifnet)
        if self._link.change(ifnet, operation.set, operation.clear):
            self._addresses.came_up(ifnet)
        self._stack.save(ifnet)

    def _set_mtu(self, caller: Caller, operation: SetMtu) -> None:
        ifnet, mtu = self._stack.find(caller, operation.name), operation.mtu
        if mtu not in _MTUS:
            raise KernelError(Errno.EINVAL)
        if ifnet.lagg_of is not None:
            raise KernelError(Errno.EINVAL)
        if self._bridges.fixes_mtu(ifnet):
            raise KernelError(Errno.EOPNOTSUPP)
        match ifnet.kind:
            case Kind.BRIDGE:
                self._bridges.prepare_mtu(ifnet, mtu)
            case Kind.LAGG:
                self._laggs.prepare_mtu(ifnet, mtu)
            case Kind.VLAN:
                self._vlans.check_mtu(ifnet, mtu)
            case Kind.VXLAN:
                self._vxlans.take_mtu(ifnet, mtu)
            case Kind.NIC if mtu > _ETHERMTU and not ifnet.capabilities & JUMBO_MTU:
                raise KernelError(Errno.EINVAL)
            case Kind.PFLOG:
                raise KernelError(Errno.ENOTTY)
            case _:
                pass
        self._stack.driver.set_mtu(ifnet, mtu)
        ifnet.mtu = mtu
        self._stack.save(ifnet)

    def _set_metric(self, caller: Caller, operation: SetMetric) -> None:
        ifnet = self._stack.find(caller, operation.name)
        ifnet.metric = operation.metric
        self._stack.save(ifnet)

    def _set_fib(self, caller: Caller, operation: SetFib) -> None:
        ifnet = self._stack.find(caller, operation.name)
        if operation.fib != 0:
            raise KernelError(Errno.EINVAL)
        ifnet.fib = operation.fib
        self._stack.save(ifnet)

    def _set_options(self, caller: Caller, operation: SetOptions) -> None:
        ifnet = self._stack.find(caller, operation.name)
        ifnet.options = (ifnet.options | operation.set) & ~operation.clear & ifnet.capabilities
        self._stack.save(ifnet)

    def _set_lladdr(self, caller: Caller, operation: SetLinkAddress) -> None:
        ifnet = self._stack.find(caller, operation.name)
        if len(operation.lladdr) != 6 or ifnet.lladdr is None:
            raise KernelError(Errno.EINVAL)
        self._stack.driver.set_lladdr(ifnet, operation.lladdr)
        ifnet.lladdr = operation.lladdr
        self._stack.save(ifnet)
        self._vlans.follow_lladdr(ifnet)

    def _set_description(self, caller: Caller, operation: SetDescription) -> None:
        ifnet = self._stack.find(caller, operation.name)
        if len(operation.text.encode()) >= _LONGEST_DESCRIPTION:
            raise KernelError(Errno.ENAMETOOLONG)
        self._stack.driver.set_description(ifnet, operation.text)
        ifnet.description = operation.text or None
        self._stack.save(ifnet)

    def _rename(self, caller: Caller, operation: RenameInterface) -> None:
        vnet = self._stack.vnet(caller)
        ifnet, name = self._stack.find(caller, operation.name), operation.new
        if not name:
            raise KernelError(Errno.EINVAL)
        if len(name) > _LONGEST_NAME:
            raise KernelError(Errno.ENAMETOOLONG)
        if name == ifnet.name:
            return
        if vnet.find(name) is not None:
            raise KernelError(Errno.EEXIST)
        self._stack.driver.rename(ifnet, name)
        vnet.rename(ifnet, name)
        self._stack.save(ifnet)

    def _join_group(self, caller: Caller, operation: JoinGroup) -> None:
        ifnet = self._stack.find(caller, operation.name)
        if not operation.group or operation.group[-1].isdigit():
            raise KernelError(Errno.EINVAL)
        if operation.group in ifnet.groups:
            raise KernelError(Errno.EEXIST)
        self._stack.vnet(caller).join(ifnet, operation.group, self._stack.serial())
        self._stack.save(ifnet)

    def _leave_group(self, caller: Caller, operation: LeaveGroup) -> None:
        ifnet = self._stack.find(caller, operation.name)
        if operation.group not in ifnet.groups:
            raise KernelError(Errno.ENOENT)
        self._stack.vnet(caller).leave(ifnet, operation.group)
        self._stack.save(ifnet)

    def _add_address(self, caller: Caller, operation: AddAddress) -> None:
        ifnet = self._stack.find(caller, operation.name)
        self._bridges.check_address(ifnet)
        self._addresses.add(ifnet, operation.address)
        self._stack.save(ifnet)

    def _remove_address(self, caller: Caller, operation: RemoveAddress) -> None:
        ifnet = self._stack.find(caller, operation.name)
        self._observer.refresh(ifnet)
        self._addresses.remove(ifnet, operation.address)
        self._stack.save(ifnet)

    def _set_nd6(self, caller: Caller, operation: SetNd6) -> None:
        ifnet = self._stack.find(caller, operation.name)
        self._addresses.set_nd6(ifnet, operation.set, operation.clear)
        self._stack.save(ifnet)

    # --- what there is ---

    def host_interfaces(self, number: int, names: Set[str] | None = None) -> Sequence[HostInterface]:
        """The interfaces of a vnet as pf sees them: those called, or in a group called, one of `names`; None: all."""
        vnet = self._stack.vnets[number]
        if names is None:
            chosen = vnet.interfaces()
        else:
            found = [ifnet for name in sorted(names) for ifnet in (vnet.find(name), *vnet.group(name))]
            chosen = list({ifnet.ident: ifnet for ifnet in found if ifnet is not None}.values())
        return [
            HostInterface(
                ifnet.name,
                tuple(ifnet.groups),
                host_addresses(tuple(held.address for held in ifnet.addresses)),
                loopback=Iff.LOOPBACK in ifnet.flags,
                broadcast=Iff.BROADCAST in ifnet.flags,
                point_to_point=Iff.POINTOPOINT in ifnet.flags,
            )
            for ifnet in chosen
        ]

    def interfaces(self, caller: Caller) -> Sequence[Interface]:
        """All interfaces of the caller's vnet in the order `ifconfig -l` shows them."""
        return self._observer.interfaces(self._stack.vnet(caller))

    def has_interface(self, caller: Caller, name: str) -> bool:
        """Whether there is an interface of that name."""
        return self._stack.vnet(caller).find(name) is not None

    def interface(self, caller: Caller, name: str) -> Interface | None:
        """One interface, None where there is none of that name."""
        ifnet = self._stack.vnet(caller).find(name)
        return None if ifnet is None else self._observer.interface(ifnet)

    def group(self, caller: Caller, name: str) -> Sequence[str]:
        """The names of a group's members in the kernel's order."""
        return [ifnet.name for ifnet in self._stack.vnet(caller).group(name)]

    def cloners(self, caller: Caller) -> Sequence[str]:
        """The names of the cloners whose interfaces can be made here, the same in every vnet."""
        return self._clones.cloners()

    def bridge_addresses(self, caller: Caller, bridge: str) -> Sequence[BridgeAddress]:
        """A bridge's forwarding table. Raises KernelError: ENXIO, EINVAL where it is no bridge."""
        return self._bridges.addresses(caller, bridge)

    def routes(self, caller: Caller) -> Sequence[Route]:
        """The vnet's table, both families, in the order netstat(1) shows it."""
        return self._routing.routes(self._stack.vnet(caller))

    def neighbours(self, caller: Caller) -> Sequence[Neighbour]:
        """The ARP and ND tables, own addresses included, in the kernel's order."""
        return self._routing.neighbours(self._stack.vnet(caller))


def _by_owner(handler: Handler) -> Handler:
    """The handler for who owns the network: the host, and the jail whose vnet it is (its number is that jail's).

    A jail on its parent's stack has none of the privileges of prison_priv_check's VIMAGE part (sys/kern/kern_jail.c).
    """

    def handle(caller: Caller, operation: Any) -> object:
        if caller.jid != caller.vnet:
            raise KernelError(Errno.EPERM)
        return handler(caller, operation)

    return handle
