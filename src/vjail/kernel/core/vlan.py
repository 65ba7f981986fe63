"""vlan(4): binding a vlan to a parent and a tag, and what it takes over from its parent.

Sources: FreeBSD 13.2 sys/net/if_vlan.c (vlan_config, vlan_ioctl); spec §4; recorded in replay/vlan, documents-E2,
observed/a_ifconfig, j_dying_jail_restart_and_more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vjail.kernel.core.ifnet import ETHERNET, LINKSTATE, VLAN_MTU, IfNet, VlanState
from vjail.kernel.core.link import Link
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.stack import Stack
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Iff, Kind, Vlan
from vjail.kernel.operations import BindVlan, Operation, SetVlanPriority, UnbindVlan
from vjail.release import Release

_TAGS = range(1, 4095)
_TAG_LENGTH = 4
"""Bytes a tag adds to a frame."""
_MINIMUM_MTU = 46
"""ETHERMIN."""


class Vlans:
    """Binds vlans to parents and releases them."""

    def __init__(self, stack: Stack, link: Link) -> None:
        self._stack = stack
        self._link = link

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """The operations on vlans."""
        return {BindVlan: self._bind, UnbindVlan: self._unbind, SetVlanPriority: self._set_priority}

    def _bind(self, caller: Caller, operation: BindVlan) -> None:
        vlan, _ = self._vlan(caller, operation.name)
        parent = self._stack.vnet(caller).find(operation.parent)
        if parent is None:
            raise KernelError(Errno.ENOENT)
        self.check(operation.tag, parent)
        self.bind(vlan, operation.tag, parent, operation.proto)
        self._stack.save(vlan)

    def _unbind(self, caller: Caller, operation: UnbindVlan) -> None:
        vlan, _ = self._vlan(caller, operation.name)
        self.unbind(vlan)

    def _set_priority(self, caller: Caller, operation: SetVlanPriority) -> None:
        vlan, state = self._vlan(caller, operation.name)
        before, state.pcp = state.pcp, operation.pcp
        if state.parent is not None:
            try:
                self._stack.driver.bind_vlan(vlan, self._stack.interfaces[state.parent])
            except KernelError:
                state.pcp = before
                raise
        self._stack.save(vlan)

    def check(self, tag: int, parent: IfNet) -> None:
        """Raise KernelError where nothing could be bound so: EPROTONOSUPPORT, EINVAL."""
        suitable = ETHERNET | {Kind.VLAN} | ({Kind.BRIDGE} if self._stack.release >= Release.V15 else set())
        if parent.kind not in suitable or not parent.flags & Iff.BROADCAST:
            raise KernelError(Errno.EPROTONOSUPPORT)
        if tag not in _TAGS:
            raise KernelError(Errno.EINVAL)

    def is_taken(self, tag: int, parent: IfNet, proto: int) -> bool:
        """Whether another vlan has the tag on the parent."""
        others = (self._stack.interfaces[ident].vlan for ident in parent.vlans)
        return any(other is not None and (other.tag, other.proto) == (tag, proto) for other in others)

    def bind(self, vlan: IfNet, tag: int, parent: IfNet, proto: int) -> None:
        """Bind a vlan that `check` allows. Raises KernelError: EBUSY, EEXIST."""
        state = vlan.vlan or VlanState()
        if state.parent is not None:
            self._bind_again(vlan, state, tag, parent, proto)
            return
        if self.is_taken(tag, parent, proto):
            raise KernelError(Errno.EEXIST)
        vlan.vlan = VlanState(tag, parent.ident, proto)
        try:
            self._stack.driver.bind_vlan(vlan, parent)
        except KernelError:
            vlan.vlan = state
            raise
        parent.vlans.add(vlan.ident)
        self._take_over(vlan, parent)

    def _bind_again(self, vlan: IfNet, state: VlanState, tag: int, parent: IfNet, proto: int) -> None:
        """A bound vlan is busy; from release 15 on its tag may change on the same parent."""
        if self._stack.release < Release.V15 or state.parent != parent.ident:
            raise KernelError(Errno.EBUSY)
        if (state.tag, state.proto) != (tag, proto) and self.is_taken(tag, parent, proto):
            raise KernelError(Errno.EEXIST)
        state.tag, state.proto = tag, proto
        self._stack.driver.bind_vlan(vlan, parent)

    def _take_over(self, vlan: IfNet, parent: IfNet) -> None:
        """What a vlan has of its parent: address, MTU, SIMPLEX, link state; it runs now."""
        if vlan.lladdr != parent.lladdr and parent.lladdr is not None:
            self._stack.driver.set_lladdr(vlan, parent.lladdr)
            vlan.lladdr = parent.lladdr
            self.follow_lladdr(vlan)
        mtu = self._largest_mtu(parent)
        if vlan.mtu != mtu:
            self._stack.driver.set_mtu(vlan, mtu)
            vlan.mtu = mtu
        vlan.flags |= Iff.RUNNING | parent.flags & Iff.SIMPLEX
        vlan.options = vlan.capabilities = parent.options & LINKSTATE
        if Iff.PROMISC in vlan.flags and vlan.vlan is not None:
            vlan.vlan.promiscuous = True
            self._link.promiscuous(parent, True)

    def unbind(self, vlan: IfNet, *, parent_goes: bool = False) -> None:
        """Release a vlan from its parent; it keeps address, MTU and priority, and does not run any more."""
        state = vlan.vlan
        if state is None or state.parent is None:
            return
        self._stack.driver.unbind_vlan(vlan)
        parent = self._stack.interfaces[state.parent]
        parent.vlans.discard(vlan.ident)
        if state.promiscuous and not parent_goes:
            self._link.promiscuous(parent, False)
        vlan.vlan = VlanState(pcp=state.pcp)
        vlan.flags &= ~Iff.RUNNING
        self._stack.save(vlan)

    def free_vlans(self, parent: IfNet) -> None:
        """A parent moves or goes: its vlans stay, bound to nothing."""
        for ident in sorted(parent.vlans):
            self.unbind(self._stack.interfaces[ident], parent_goes=True)

    def follow_lladdr(self, parent: IfNet) -> None:
        """The parent's link-layer address has changed: its vlans take it over."""
        for ident in sorted(parent.vlans):
            vlan = self._stack.interfaces[ident]
            if parent.lladdr is not None and vlan.lladdr != parent.lladdr:
                self._stack.driver.set_lladdr(vlan, parent.lladdr)
                vlan.lladdr = parent.lladdr
                self._stack.save(vlan)
                self.follow_lladdr(vlan)

    def check_mtu(self, vlan: IfNet, mtu: int) -> None:
        """SIOCSIFMTU of a vlan: up to its parent's. Raises KernelError(EINVAL)."""
        parent = self.parent(vlan)
        if parent is None or not _MINIMUM_MTU <= mtu <= self._largest_mtu(parent):
            raise KernelError(Errno.EINVAL)

    @staticmethod
    def _largest_mtu(parent: IfNet) -> int:
        return parent.mtu if parent.options & VLAN_MTU else parent.mtu - _TAG_LENGTH

    def parent(self, vlan: IfNet) -> IfNet | None:
        """What a vlan is bound to."""
        state = vlan.vlan
        return None if state is None or state.parent is None else self._stack.interfaces[state.parent]

    def observe(self, vlan: IfNet, state: VlanState) -> Vlan:
        """A vlan as ifconfig(8) shows it; away from home the kernel tells nothing of its binding."""
        parent = self.parent(vlan)
        return Vlan(state.tag, None if parent is None else parent.name, state.proto, state.pcp, vlan.vnet == vlan.home)

    def _vlan(self, caller: Caller, name: str) -> tuple[IfNet, VlanState]:
        """A vlan at home. Raises KernelError: ENXIO, EINVAL where it is none, EPERM away from home."""
        vlan = self._stack.find(caller, name)
        if vlan.vlan is None:
            raise KernelError(Errno.EINVAL)
        if vlan.vnet != vlan.home:
            raise KernelError(Errno.EPERM)
        return vlan, vlan.vlan
