"""vlan(4) on Linux: a device of the kernel's 8021q, or a veth pair with two eBPF programs (vlan_code.py).

A vlan that is bound to nothing has no device, nor one on a machine that can neither: nothing is sent then. 8021q is
taken where the kernel has it, but for a vlan whose parent is in a bridge, if eBPF is to be had: 8021q would keep frames
from the bridge that on FreeBSD are the bridge's.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

from vjail.kernel.core.ifnet import IfNet, VlanState
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux import links, offloads, tc, vlan_code
from vjail.kernel.linux.bpf import ProgramKind, load
from vjail.kernel.linux.bridges import Bridges, is_span
from vjail.kernel.linux.inet import Inets
from vjail.kernel.linux.netlink import NetlinkError, Socket
from vjail.kernel.linux.ports import FAR_END, Port, Ports, as_freebsd, tolerant
from vjail.kernel.linux.settings import Settings
from vjail.kernel.observed import Iff

_log = logging.getLogger(__name__)
_LONGEST_MTU = 65535
_TICK = 0x02
"""Set in a far end's address, so that it is not its vlan's."""
_CANNOT = (errno.EPERM, errno.ENOSYS, errno.ENOENT, errno.EOPNOTSUPP)
"""What is said of eBPF or of traffic filters by a kernel without, or to a user who may not."""


@dataclass(frozen=True, slots=True)
class _Carried:
    """What the device of a vlan is made for: the parent's ident, and the tag."""

    parent: int
    proto: int
    tag: int

    @classmethod
    def by(cls, state: VlanState) -> _Carried | None:
        """What a vlan in this state is to carry, None where it is bound to nothing."""
        return None if state.parent is None else cls(state.parent, state.proto, state.tag)


class Vlans:
    """The vlans of all vnets."""

    def __init__(self, ports: Ports, inets: Inets, settings: Settings, bridges: Bridges) -> None:
        self._ports = ports
        self._inets = inets
        self._settings = settings
        self._bridges = bridges
        self._carried: dict[int, _Carried | None] = {}
        """Of the vlans that have a device."""
        self._silent: dict[int, IfNet] = {}
        """Those that should have one, by their idents, on a machine that has no way to make it."""
        self._far: dict[int, int] = {}
        """The far end's index of those that are a veth pair; it is in the parent's vnet."""
        self._trunks: dict[int, vlan_code.Tags] = {}
        """What a parent's program knows, by the parent's ident."""
        self._bridged: set[int] = set()
        """The idents of those that are in a bridge that is up."""
        self._has_8021q = True
        """Until the kernel says otherwise."""
        self._no_ebpf = ""
        """Why there is no eBPF, in the kernel's words; empty until they are said."""

    # --- binding -----------------------------------------------------------------------------------------------------

    def bind(self, vlan: IfNet, parent: IfNet) -> None:
        """Tag what `vlan` sends; where this machine can make no vlan it stays without a device, and nothing is sent."""
        state, above, port = vlan.vlan, self._ports[parent.ident], self._ports[vlan.ident]
        if state is not None and port.index and self._carried.get(vlan.ident) == _Carried.by(state):
            self._set_priority(port, above, state)
            return
        self.unbind(vlan)
        if state is None or not above.index:
            return
        if not self._make(port, above, state):
            self._silent[vlan.ident] = vlan
        else:
            self._carried[vlan.ident] = _Carried.by(state)
            self._give_back(port, parent)

    def unbind(self, vlan: IfNet) -> None:
        """The opposite of bind. Vlans on this one lose their devices with it."""
        for ident in sorted(vlan.vlans):
            self.unbind(self._ports[ident].ifnet)
        port = self._ports[vlan.ident]
        carried, _ = self._carried.pop(vlan.ident, None), self._far.pop(vlan.ident, None)
        self._silent.pop(vlan.ident, None)
        if port.index:
            with as_freebsd():
                self._ports.vnets[port.vnet].socket.request(tolerant(links.delete(port.index), errno.ENODEV))
            port.index, port.lladdr = 0, None
            port.addresses = [held.address for held in vlan.addresses]
            port.inet6.clear()
        trunk = self._trunks.get(carried.parent) if carried is not None else None
        if carried is not None and trunk is not None:
            with contextlib.suppress(KeyError):
                trunk.drop(carried.proto, carried.tag)
            if not len(trunk):
                self._end_trunk(carried.parent, trunk)

    def _set_priority(self, port: Port, above: Port, state: VlanState) -> None:
        far = self._far.get(port.ifnet.ident)
        with as_freebsd():
            if far is not None:
                self._tag(above, far, state)
            else:
                request = links.set_vlan_priority(port.index, state.pcp)
                self._ports.vnets[port.vnet].socket.request(request)

    def _give_back(self, port: Port, parent: IfNet) -> None:
        """Set on a new device what the interface has."""
        vlan = port.ifnet
        with as_freebsd():
            port.index = self._ports.look_up(port.vnet, vlan.name)
            with self._ports.vnets.inside(port.vnet):
                offloads.switch_off(vlan.name)
        if vlan.lladdr not in (None, bytes(6), parent.lladdr):
            self._settings.set_lladdr(vlan, vlan.lladdr or bytes(6))
        self._settings.set_mtu(vlan, min(vlan.mtu, parent.mtu))
        self._settings.set_arp(vlan, Iff.NOARP not in vlan.flags)
        self._settings.set_promiscuous(vlan, Iff.PPROMISC in vlan.flags)
        self._settings.set_description(vlan, vlan.description or "")
        with as_freebsd():
            self._inets.set_inet6(vlan, port.inet6_enabled)
            for held in vlan.addresses:
                self._inets.put(port, held.address)
        if port.up:
            self._settings.set_up(vlan, True)
        bridge = self._ports.find(vlan.member.bridge if vlan.member is not None else None)
        if bridge is not None and bridge.up:
            self._bridges.attach(bridge.ifnet, vlan)
        for ident in sorted(vlan.vlans):
            self.bind(self._ports[ident].ifnet, vlan)

    def _make(self, port: Port, above: Port, state: VlanState) -> bool:
        """Make a device in the way that suits best of those this machine has; False where it has none."""
        ways = (self._make_device, self._make_pair)
        if above.ifnet.ident in self._bridged:
            ways = ways[::-1]
        if any(way(port, above, state) for way in ways):
            return True
        _log.warning("%s: nothing is sent: %s", port.ifnet.name, self.problem)
        return False

    @property
    def problem(self) -> str:
        """Why there are vlans that send nothing."""
        return f"no 8021q in this kernel, and no eBPF filter: {self._no_ebpf}"

    def silent(self) -> list[str]:
        """The vlans that send nothing, as this machine has no way to make them."""
        return sorted(vlan.name for vlan in self._silent.values())

    # --- 8021q -------------------------------------------------------------------------------------------------------

    def _make_device(self, port: Port, above: Port, state: VlanState) -> bool:
        """Make a device of 8021q; False where the kernel has none."""
        if not self._has_8021q:
            return False
        try:
            request = links.new_vlan(port.ifnet.name, above.index, state.tag, state.proto, state.pcp)
            self._ports.vnets[port.vnet].socket.request(request)
        except NetlinkError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise KernelError(Errno.of_host(error.errno)) from error
            self._has_8021q = False
            return False
        return True

    # --- veth and eBPF -----------------------------------------------------------------------------------------------

    def _make_pair(self, port: Port, above: Port, state: VlanState) -> bool:
        """Make a veth pair and the programs that tag and untag; False where this machine lets us have none."""
        if self._no_ebpf:
            return False
        vlan, socket = port.ifnet, self._ports.vnets[above.vnet].socket
        with as_freebsd():
            # What the parent is to have it may not have yet, where that is a vlan that is just being bound.
            lladdr = links.read_link(socket.get(*links.get_link_at(above.index))).address
        name = _far_name(vlan)
        ends = (name, bytes((lladdr[0] ^ _TICK, *lladdr[1:]))), (vlan.name, lladdr)
        namespace = self._ports.vnets[port.vnet].namespace
        with as_freebsd():
            socket.request(links.new_veth(*ends, vlan.mtu, namespaces=(None, namespace)))
        far = self._ports.look_up(above.vnet, name)
        try:
            socket.request(links.set_mtu(far, _LONGEST_MTU), links.set_alias(far, vlan.name))
            self._tag(above, far, state)
            self._untag(above, [(state, far)])
            socket.request(links.set_flags(far, links.IFF_UP, links.IFF_UP))
        except OSError as error:
            socket.request(tolerant(links.delete(far), errno.ENODEV))
            if error.errno in _CANNOT:
                self._no_ebpf = os.strerror(error.errno or 0)
                return False
            raise KernelError(Errno.of_host(error.errno)) from error
        self._far[vlan.ident] = far
        return True

    def _tag(self, above: Port, far: int, state: VlanState) -> None:
        """Let what the vlan sends leave by its parent, tagged. Raises OSError."""
        code = vlan_code.tag(state.proto, state.tag, state.pcp, above.index)
        self._filter(self._ports.vnets[above.vnet].socket, far, code, "tag")

    def _untag(self, above: Port, far_ends: Sequence[tuple[VlanState, int]]) -> None:
        """Let what arrives at a parent for these vlans reach them. Raises OSError."""
        ident = above.ifnet.ident
        trunk = self._trunks.get(ident) or vlan_code.Tags()
        for state, far in far_ends:
            trunk.put(state.proto, state.tag, far, ident in self._bridged)
        if ident in self._trunks:
            return
        try:
            self._filter(self._ports.vnets[above.vnet].socket, above.index, vlan_code.untag(trunk), "untag")
        except OSError:
            trunk.close()
            raise
        self._trunks[ident] = trunk

    @staticmethod
    def _filter(socket: Socket, index: int, code: bytes, name: str) -> None:
        program = load(ProgramKind.SCHED_CLS, code, name)
        try:
            tc.attach(socket, index, tc.Side.INGRESS, tc.Priority.VLAN, program, name)
        finally:
            os.close(program)

    def _end_trunk(self, parent: int, trunk: vlan_code.Tags) -> None:
        del self._trunks[parent]
        trunk.close()
        above = self._ports.find(parent)
        if above is not None and above.index:
            with as_freebsd():
                tc.detach(self._ports.vnets[above.vnet].socket, above.index, tc.Side.INGRESS, tc.Priority.VLAN)

    # --- a parent in a bridge ----------------------------------------------------------------------------------------

    def set_bridged(self, parent: IfNet, bridged: bool) -> None:
        """An interface has become a member of a bridge that is up, or is one no more."""
        if bridged:
            self._bridged.add(parent.ident)
        else:
            self._bridged.discard(parent.ident)
        for ident in sorted(parent.vlans):
            vlan, far = self._ports[ident].ifnet, self._far.get(ident)
            if far is not None and vlan.vlan is not None:
                self._trunks[parent.ident].put(vlan.vlan.proto, vlan.vlan.tag, far, bridged)
            elif bridged and not self._no_ebpf and self._ports[ident].index:
                self.unbind(vlan)
                self.bind(vlan, parent)

    # --- taking over -------------------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """Know again the vlans that another server made; what it did not finish is made anew."""
        by_parent: dict[int, list[tuple[VlanState, int]]] = {}
        for vlan, state, above in self._bound():
            if self._is_bridged(above.ifnet):
                self._bridged.add(above.ifnet.ident)
            if not self._ports[vlan.ident].index:
                continue
            self._carried[vlan.ident] = _Carried.by(state)
            with contextlib.suppress(NetlinkError):
                far = self._far[vlan.ident] = self._ports.look_up(above.vnet, _far_name(vlan))
                by_parent.setdefault(above.ifnet.ident, []).append((state, far))
        for ident, far_ends in by_parent.items():
            with as_freebsd():
                self._untag(self._ports[ident], far_ends)
        for vlan, _, above in self._bound():
            if not self._ports[vlan.ident].index:
                self.bind(vlan, above.ifnet)

    def _bound(self) -> list[tuple[IfNet, VlanState, Port]]:
        """The vlans that are bound, and the ports of their parents."""
        vlans = [(port.ifnet, port.ifnet.vlan) for port in self._ports if port.ifnet.vlan is not None]
        parents = [self._ports.find(state.parent) for _, state in vlans]
        return [(*vlan, above) for vlan, above in zip(vlans, parents, strict=True) if above is not None]

    def _is_bridged(self, ifnet: IfNet) -> bool:
        bridge = self._ports.find(ifnet.member.bridge if ifnet.member is not None else None)
        return bridge is not None and bridge.up and not is_span(ifnet)


def _far_name(vlan: IfNet) -> str:
    """What a far end is called: by the vlan's ident, as the vlan may get another name."""
    return f"{FAR_END}{vlan.ident}"
