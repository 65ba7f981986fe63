"""bridge(4): who may be a member, the MTU rules, spans, the numbers of bridges and members.

Sources: FreeBSD 13.2 sys/net/if_bridge.c (bridge_ioctl_*), sys/net/bridgestp.c; spec §5; recorded in replay/bridge,
observed/a_ifconfig, c1_ifconfig_errors, j_dying_jail_restart_and_more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vjail.kernel.core import stp
from vjail.kernel.core.addresses import Addresses
from vjail.kernel.core.driver import Tree
from vjail.kernel.core.ifnet import BRIDGEABLE, ETHERNET, BridgeState, IfNet, Membership, first_path_cost
from vjail.kernel.core.link import Link
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.stack import Stack
from vjail.kernel.core.vlan import Vlans
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Bridge, BridgeAddress, Iff, Inet6, Member, MemberFlag
from vjail.kernel.operations import (
    BridgeAdd,
    BridgeDelete,
    BridgeFlush,
    BridgeForget,
    BridgeMemberFlags,
    BridgeParameter,
    BridgeStatic,
    MemberParameter,
    Operation,
    SetBridgeParameter,
    SetMemberParameter,
)
from vjail.release import Release

_MEMBER_ADDRESSES = "net.link.bridge.member_ifaddrs"
_INHERIT = "net.link.bridge.inherit_mac"
_OVERLAP = "net.link.bridge.allow_llz_overlap"
_MINIMUM_MTU = 576
_SETTABLE = (
    MemberFlag.LEARNING
    | MemberFlag.DISCOVER
    | MemberFlag.STP
    | MemberFlag.STICKY
    | MemberFlag.EDGE
    | MemberFlag.AUTOEDGE
    | MemberFlag.PTP
    | MemberFlag.AUTOPTP
    | MemberFlag.PRIVATE
)
_PROTOCOLS = {0: "stp", 2: "rstp"}
_PRIORITIES = range(61440 + 1)
_PORT_PRIORITIES = range(240 + 1)
_PATH_COSTS = range(200_000_000 + 1)


class Bridges:
    """Carries out what bridges are asked."""

    def __init__(self, stack: Stack, link: Link, addresses: Addresses, vlans: Vlans) -> None:
        self._stack = stack
        self._link = link
        self._addresses = addresses
        self._vlans = vlans

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """The operations on bridges."""
        return {
            BridgeAdd: self._add,
            BridgeDelete: self._delete,
            BridgeMemberFlags: self._set_member_flags,
            SetBridgeParameter: self._set_parameter,
            SetMemberParameter: self._set_member_parameter,
            BridgeFlush: self._flush,
            BridgeStatic: self._add_static,
            BridgeForget: self._forget,
        }

    # --- members ---

    def _add(self, caller: Caller, operation: BridgeAdd) -> None:
        bridge, state = self._bridge(caller, operation.bridge)
        member = self._stack.vnet(caller).find(operation.member)
        if member is None:
            raise KernelError(Errno.ENOENT)
        if operation.span:
            self._add_span(bridge, state, member)
            return
        _refuse_member(bridge, member)
        if self._is_of_bridge(member):
            raise KernelError(Errno.EINVAL)
        if member.addresses and self._refuses_addresses(bridge.vnet):
            raise KernelError(Errno.EINVAL, "Member interface may not have an IP address assigned")
        self._agree_on_mtu(bridge, state, member)
        self._keep_scopes_apart(bridge, state, member)
        if not _members(state) and bridge.lladdr == bridge.hwaddr and self._stack.is_set(bridge.vnet, _INHERIT):
            self._inherit(bridge, state, member)
        self._enter(bridge, state, member, Membership(bridge.ident, 0, path_cost=first_path_cost(member)))
        self._link.promiscuous(member, True)
        self._stack.save(bridge)

    def _refuses_addresses(self, vnet: int) -> bool:
        """Whether members of bridges may have no addresses: from release 15 on a sysctl forbids it, if it is 0."""
        return self._stack.release >= Release.V15 and not self._stack.is_set(vnet, _MEMBER_ADDRESSES)

    def check_address(self, ifnet: IfNet) -> None:
        """Raise KernelError(EINVAL) where an interface may be given no address because it is a member."""
        membership = ifnet.member
        if membership is not None and MemberFlag.SPAN not in membership.flags:
            _require(not self._refuses_addresses(ifnet.vnet))

    def _is_of_bridge(self, member: IfNet) -> bool:
        """Whether it is a vlan on a bridge, which release 15 has and which may not join one."""
        parent = None if member.vlan is None else member.vlan.parent
        return parent is not None and self._stack.interfaces[parent].bridge is not None

    def _add_span(self, bridge: IfNet, state: BridgeState, member: IfNet) -> None:
        if member.member is not None:
            raise KernelError(Errno.EBUSY)
        if member.kind not in BRIDGEABLE:
            raise KernelError(Errno.EINVAL)
        self._enter(bridge, state, member, Membership(bridge.ident, 0, MemberFlag.SPAN))
        self._stack.save(member)

    def _enter(self, bridge: IfNet, state: BridgeState, member: IfNet, membership: Membership) -> None:
        membership.since = self._stack.serial()
        member.member = membership
        state.enter(member.ident, membership)
        if bridge.up:
            try:
                self._stack.driver.attach(bridge, member)
            except KernelError:
                state.leave(member.ident)
                member.member = None
                raise

    def _agree_on_mtu(self, bridge: IfNet, state: BridgeState, member: IfNet) -> None:
        """The first member sets the bridge's MTU; a later one must have it, from release 15 on it is given it."""
        if not any(MemberFlag.SPAN not in membership.flags for membership in state.members.values()):
            self._set_mtu(bridge, member.mtu)
        elif member.mtu != bridge.mtu and self._stack.release < Release.V15:
            raise KernelError(Errno.EINVAL)
        elif member.mtu != bridge.mtu:
            self._set_mtu(member, bridge.mtu)

    def _set_mtu(self, ifnet: IfNet, mtu: int) -> None:
        if ifnet.mtu != mtu:
            self._stack.driver.set_mtu(ifnet, mtu)
            ifnet.mtu = mtu

    def _keep_scopes_apart(self, bridge: IfNet, state: BridgeState, member: IfNet) -> None:
        """A bridge with a link-local address takes the IPv6 addresses from members that have one."""
        if not _has_link_local(bridge) or self._stack.is_set(bridge.vnet, _OVERLAP):
            return
        for each in [*(self._stack.interfaces[ident] for ident in _members(state)), member]:
            if _has_link_local(each):
                self._addresses.forget_inet6(each)
                self._stack.save(each)

    def _delete(self, caller: Caller, operation: BridgeDelete) -> None:
        bridge, state = self._bridge(caller, operation.bridge)
        member = self._stack.vnet(caller).find(operation.member)
        if member is None or member.ident not in state.members:
            raise KernelError(Errno.ENOENT)
        if (MemberFlag.SPAN in state.members[member.ident].flags) != operation.span:
            raise KernelError(Errno.ENOENT)
        self._leave(bridge, state, member)
        if not operation.span:
            self._link.promiscuous(member, False)
        self._stack.save(member)

    def _leave(self, bridge: IfNet, state: BridgeState, member: IfNet) -> None:
        if bridge.up:
            self._stack.driver.detach(bridge, member)
        membership = state.leave(member.ident)
        member.member = None
        if state.inherits == member.ident and self._stack.is_set(bridge.vnet, _INHERIT):
            newest = max(_members(state), key=lambda ident: state.members[ident].since, default=None)
            self._inherit(bridge, state, None if newest is None else self._stack.interfaces[newest])
        if MemberFlag.STP in membership.flags:
            self._change_tree(bridge)

    def _inherit(self, bridge: IfNet, state: BridgeState, member: IfNet | None) -> None:
        """A bridge takes over a member's link-layer address, or None: has its own again."""
        state.inherits = None if member is None else member.ident
        lladdr = bridge.hwaddr if member is None else member.lladdr
        if lladdr is not None and lladdr != bridge.lladdr:
            self._stack.driver.set_lladdr(bridge, lladdr)
            bridge.lladdr = lladdr
            self._vlans.follow_lladdr(bridge)
        self._stack.save(bridge)

    def _change_tree(self, bridge: IfNet) -> None:
        """A member begins or ceases to take part in spanning tree."""
        stp.reinit(self._stack, bridge)
        self._stack.driver.configure_bridge(bridge)
        self._stack.save(bridge)

    def part(self, ifnet: IfNet) -> None:
        """An interface moves or goes: it leaves its bridge silently, and stays promiscuous (c1_ifconfig_errors)."""
        if ifnet.member is not None:
            bridge = self._stack.interfaces[ifnet.member.bridge]
            self._leave(bridge, bridge.bridge or BridgeState(), ifnet)

    def free_members(self, bridge: IfNet) -> None:
        """A bridge moves or goes: its members are free again."""
        state = bridge.bridge or BridgeState()
        for ident, membership in list(state.members.items()):
            member = self._stack.interfaces[ident]
            self._leave(bridge, state, member)
            if MemberFlag.SPAN not in membership.flags:
                self._link.promiscuous(member, False)
            self._stack.save(member)

    # --- flags and numbers of members ---

    def _set_member_flags(self, caller: Caller, operation: BridgeMemberFlags) -> None:
        bridge, state = self._bridge(caller, operation.bridge)
        member, membership = self._member(caller, state, operation.member)
        before = membership.flags
        flags = (before | operation.set & _SETTABLE) & ~(operation.clear & _SETTABLE)
        changed = before ^ flags
        if MemberFlag.STP in changed & flags and member.kind not in ETHERNET:
            raise KernelError(Errno.EINVAL)
        if MemberFlag.EDGE in changed:
            flags = flags | MemberFlag.ADMEDGE if MemberFlag.EDGE in flags else flags & ~MemberFlag.ADMEDGE
        membership.flags = flags
        self._configure(bridge, member)
        self._stack.save(member)
        if MemberFlag.STP in changed:
            self._change_tree(bridge)

    def _set_member_parameter(self, caller: Caller, operation: SetMemberParameter) -> None:
        bridge, state = self._bridge(caller, operation.bridge)
        member, membership = self._member(caller, state, operation.member)
        value = operation.value
        match operation.parameter:
            case MemberParameter.PRIORITY:
                _require(value in _PORT_PRIORITIES)
                membership.priority = value - value % 16
            case MemberParameter.PATH_COST:
                _require(value in _PATH_COSTS)
                membership.path_cost = value or first_path_cost(member)
                membership.flags &= ~MemberFlag.ADMCOST
                membership.flags |= MemberFlag.ADMCOST if value else MemberFlag(0)
            case MemberParameter.MAXADDR:
                membership.ifmaxaddr = value
        self._configure(bridge, member)
        self._stack.save(member)

    def _configure(self, bridge: IfNet, member: IfNet) -> None:
        if bridge.up:
            self._stack.driver.configure_member(bridge, member)

    # --- the bridge's own numbers ---

    def _set_parameter(self, caller: Caller, operation: SetBridgeParameter) -> None:
        bridge, state = self._bridge(caller, operation.bridge)
        value = operation.value
        match operation.parameter:
            case BridgeParameter.MAXADDR:
                state.maxaddr = value
            case BridgeParameter.TIMEOUT:
                state.timeout = value
            case BridgeParameter.PRIORITY:
                _require(value in _PRIORITIES)
                state.priority = value - value % 4096
            case BridgeParameter.HELLOTIME:
                _require(state.proto == "stp", Errno.EPERM)
                _require(1 <= value <= 2)
                state.hellotime = value
            case BridgeParameter.FWDDELAY:
                _require(4 <= value <= 30)
                state.fwddelay = value
            case BridgeParameter.MAXAGE:
                _require(6 <= value <= 40)
                state.maxage = value
            case BridgeParameter.HOLDCNT:
                _require(1 <= value <= 10)
                state.holdcnt = value
            case BridgeParameter.PROTO:
                _require(value in _PROTOCOLS)
                state.proto, state.hellotime = _PROTOCOLS[value], 2
        if operation.parameter not in (BridgeParameter.MAXADDR, BridgeParameter.TIMEOUT, BridgeParameter.HOLDCNT):
            stp.reinit(self._stack, bridge)
        self._stack.driver.configure_bridge(bridge)
        self._stack.save(bridge)

    def prepare_mtu(self, bridge: IfNet, mtu: int) -> None:
        """SIOCSIFMTU of a bridge: at least 576, and what all members have; from release 15 on they are given it.

        Raises KernelError(EINVAL).
        """
        _require(mtu >= _MINIMUM_MTU)
        members = [self._stack.interfaces[ident] for ident in _members(bridge.bridge or BridgeState())]
        if self._stack.release < Release.V15:
            _require(all(member.mtu == mtu for member in members))
        for member in members:
            self._set_mtu(member, mtu)
            self._stack.save(member)

    def fixes_mtu(self, ifnet: IfNet) -> bool:
        """Whether an interface's MTU is its bridge's to set: a member's is, from release 15 on."""
        membership = ifnet.member
        is_member = membership is not None and MemberFlag.SPAN not in membership.flags
        return is_member and self._stack.release >= Release.V15

    # --- the forwarding table ---

    def _flush(self, caller: Caller, operation: BridgeFlush) -> None:
        bridge, _ = self._bridge(caller, operation.bridge)
        self._stack.driver.bridge_flush(bridge, operation.all)

    def _add_static(self, caller: Caller, operation: BridgeStatic) -> None:
        bridge, state = self._bridge(caller, operation.bridge)
        member, _ = self._member(caller, state, operation.member)
        self._stack.driver.bridge_static(bridge, member, operation.lladdr)

    def _forget(self, caller: Caller, operation: BridgeForget) -> None:
        bridge, _ = self._bridge(caller, operation.bridge)
        if not self._stack.driver.bridge_forget(bridge, operation.lladdr):
            raise KernelError(Errno.ENOENT)

    def addresses(self, caller: Caller, name: str) -> list[BridgeAddress]:
        """The forwarding table. Raises KernelError: ENXIO, EINVAL where it is no bridge."""
        bridge, state = self._bridge(caller, name)
        return [
            BridgeAddress(
                lladdr,
                1,
                self._stack.interfaces[ident].name,
                0 if static else expire,
                static,
                MemberFlag.STICKY in state.members[ident].flags and not static,
            )
            for lladdr, ident, expire, static in self._stack.driver.bridge_addresses(bridge)
            if ident in state.members
        ]

    # --- what is seen of it ---

    def observe(self, bridge: IfNet, state: BridgeState) -> Bridge:
        """A bridge as ifconfig(8) shows it: members newest first, then spans newest first.

        The kernel fills one buffer for all of them and of a span only sets name, flags and port: the other numbers
        are those of the last member before it, zero where there is none (replay/bridge).
        """
        tree = self._tree(bridge, state)
        ordered = sorted(state.members.items(), key=lambda item: -item[1].since)
        members = [
            self._observe_member(bridge, state, tree, *item) for item in ordered if MemberFlag.SPAN not in item[1].flags
        ]
        last = members[-1] if members else Member("", MemberFlag(0), 0, priority=0, path_cost=0)
        spans = [
            Member(
                self._stack.interfaces[ident].name,
                membership.flags,
                self._stack.interfaces[ident].index & 0xFFF,
                last.ifmaxaddr,
                last.priority,
                last.path_cost,
            )
            for ident, membership in ordered
            if MemberFlag.SPAN in membership.flags
        ]
        return Bridge(
            members=(*members, *spans),
            priority=state.priority,
            hellotime=state.hellotime,
            fwddelay=state.fwddelay,
            maxage=state.maxage,
            holdcnt=state.holdcnt,
            proto=state.proto,
            maxaddr=state.maxaddr,
            timeout=state.timeout,
            bridge_id=state.bridge_id,
            root_id=state.bridge_id if tree is None else self._root_id(tree.root),
            root_priority=state.root_priority if tree is None else tree.root_priority,
            root_cost=0 if tree is None else tree.root_cost,
            root_port=self._port_number(tree.root_port) if tree is not None else 0,
        )

    def _tree(self, bridge: IfNet, state: BridgeState) -> Tree | None:
        """What spanning tree has come to, where the bridge runs and a member takes part."""
        takes_part = any(MemberFlag.STP in membership.flags for membership in state.members.values())
        return self._stack.driver.spanning_tree(bridge) if takes_part and Iff.RUNNING in bridge.flags else None

    def _root_id(self, lladdr: bytes) -> bytes:
        """A root's id: beneath, bridges go by their own addresses; on FreeBSD by the lowest of their members'."""
        for other in self._stack.interfaces.values():
            if other.bridge is not None and other.lladdr == lladdr and any(other.bridge.bridge_id):
                return other.bridge.bridge_id
        return lladdr

    def _port_number(self, ident: int | None) -> int:
        return 0 if ident is None else self._stack.interfaces[ident].index & 0xFFF

    def _observe_member(
        self, bridge: IfNet, state: BridgeState, tree: Tree | None, ident: int, membership: Membership
    ) -> Member:
        member = self._stack.interfaces[ident]
        flags = membership.flags
        role, port_state = stp.port_state(bridge, member)
        if tree is not None and ident in tree.ports:
            role, port_state = tree.ports[ident].role, tree.ports[ident].state
        if MemberFlag.STP in flags and role == "designated" and MemberFlag.AUTOPTP in flags:
            flags |= MemberFlag.PTP
        return Member(
            member.name,
            flags,
            self._port_number(ident),
            membership.ifmaxaddr,
            membership.priority,
            membership.path_cost,
            state.proto,
            role,
            port_state,
        )

    # --- finding ---

    def _bridge(self, caller: Caller, name: str) -> tuple[IfNet, BridgeState]:
        """The bridge of that name. Raises KernelError: ENXIO, EINVAL where it is none."""
        bridge = self._stack.find(caller, name)
        if bridge.bridge is None:
            raise KernelError(Errno.EINVAL)
        return bridge, bridge.bridge

    def _member(self, caller: Caller, state: BridgeState, name: str) -> tuple[IfNet, Membership]:
        """A member, no span. Raises KernelError(ENOENT)."""
        member = self._stack.vnet(caller).find(name)
        membership = state.members.get(member.ident) if member else None
        if member is None or membership is None or MemberFlag.SPAN in membership.flags:
            raise KernelError(Errno.ENOENT)
        return member, membership


def _refuse_member(bridge: IfNet, member: IfNet) -> None:
    """Raise KernelError where `member` may not join. A message is what release 15 says besides."""
    if member.member is not None:
        if member.member.bridge != bridge.ident:
            raise KernelError(Errno.EBUSY, "Interface is already a member of another bridge")
        raise KernelError(Errno.EBUSY if MemberFlag.SPAN in member.member.flags else Errno.EEXIST)
    if member.kind not in BRIDGEABLE:
        raise KernelError(Errno.EINVAL)


def _members(state: BridgeState) -> list[int]:
    return [ident for ident, membership in state.members.items() if MemberFlag.SPAN not in membership.flags]


def _has_link_local(ifnet: IfNet) -> bool:
    return any(isinstance(held.address, Inet6) and held.address.address.is_link_local for held in ifnet.addresses)


def _require(condition: bool, errno: Errno = Errno.EINVAL) -> None:
    if not condition:
        raise KernelError(errno)
