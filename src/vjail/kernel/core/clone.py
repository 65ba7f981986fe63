"""Making and destroying interfaces: cloners, their units, the addresses new interfaces get, who may destroy what.

Sources: FreeBSD 13.2 sys/net/{if_clone.c,if_epair.c,if_vlan.c,if_bridge.c}; spec §6, §7; recorded in observed/e_mac,
c1_ifconfig_errors, i_destroy_and_ownership, replay/vlan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vjail.kernel.core import mac
from vjail.kernel.core.bridge import Bridges
from vjail.kernel.core.ifnet import FIRST_LOOPBACK, BridgeState, IfNet, LaggState, VlanState, traits
from vjail.kernel.core.lagg import Laggs
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.stack import Stack
from vjail.kernel.core.vlan import Vlans
from vjail.kernel.core.vnet import Vnet
from vjail.kernel.core.vxlan import Vxlans
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Kind
from vjail.kernel.operations import CreateInterface, DestroyInterface, Operation, VlanParameters
from vjail.release import Release

_CLONERS = (
    Kind.VLAN, Kind.LAGG, Kind.GRE, Kind.BRIDGE, Kind.PFLOG, Kind.TAP, Kind.TUN, Kind.EPAIR, Kind.VXLAN, Kind.GIF,
    Kind.LOOPBACK,
)  # fmt: skip
"""The kinds there are rules or refusals for, in the order in which FreeBSD 13.2 lists their cloners."""

_UNRULED = {kind: f"there is no {kind.value}(4) here" for kind in (Kind.GRE, Kind.GIF)}

_OTHERS = frozenset(("disc", "edsc", "enc", "me", "ovpn", "pfsync", "stf", "vmnet", "wg", "wlan"))
"""Further cloners that FreeBSD has, perhaps in a module."""

_BY_NAME = {kind.value: kind for kind in _CLONERS}
_LAST_UNIT = 0x7FFF
_WITH_NODE = frozenset((Kind.TAP, Kind.TUN))
_NOT_DESTROYED = frozenset((FIRST_LOOPBACK, "pflog0"))
"""Made by the system itself in every vnet."""

IdentityOf = Callable[[int], mac.Identity]
"""Who the jail of a vnet is."""


class DeviceNodes(Protocol):
    """Who is told of the interfaces that have a node in /dev, by the names they were made with."""

    def interface_came(self, name: str) -> None:
        """A tap or tun is there."""
        ...

    def interface_went(self, name: str) -> None:
        """It is gone."""
        ...


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a name given to create asks for; `unit` None is the lowest free one, `tag` that of `em0.100`."""

    kind: Kind
    unit: int | None
    tag: int | None = None
    parent: str | None = None


class Clones:
    """Makes interfaces and destroys them."""

    def __init__(
        self,
        stack: Stack,
        bridges: Bridges,
        vlans: Vlans,
        vxlans: Vxlans,
        laggs: Laggs,
        identity_of: IdentityOf,
        random: mac.Randomness,
        nodes: DeviceNodes,
    ) -> None:
        self._stack = stack
        self._bridges = bridges
        self._vlans = vlans
        self._vxlans = vxlans
        self._laggs = laggs
        self._nodes = nodes
        self._identity_of = identity_of
        self._random = random

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """Create and destroy."""
        return {CreateInterface: self._create, DestroyInterface: self._destroy}

    def cloners(self) -> list[str]:
        """The names of the cloners whose interfaces can be made, as `ifconfig -C` shows them."""
        return [kind.value for kind in _CLONERS if not self._lacks(kind)]

    def _lacks(self, kind: Kind) -> str:
        """Why interfaces of a kind cannot be made, empty where they can."""
        return _UNRULED.get(kind) or self._stack.driver.lacks(kind)

    # --- making ---

    def _create(self, caller: Caller, operation: CreateInterface) -> str:
        vnet = self._stack.vnet(caller)
        wanted = _wanted(vnet, operation.name)
        if vnet.find(operation.name) is not None:
            raise KernelError(Errno.EEXIST)
        if lacking := self._lacks(wanted.kind):
            raise KernelError(Errno.EOPNOTSUPP, lacking)
        if wanted.tag is not None or wanted.kind is Kind.VLAN:
            return self._create_vlan(vnet, operation.name, wanted, operation.vlan)
        unit = self._unit(vnet, wanted)
        if wanted.kind is Kind.EPAIR:
            return self._create_epair(vnet, unit)
        name = f"{wanted.kind.value}{unit}"
        ifnet = self.new(vnet, wanted.kind, name, unit)
        self._address(ifnet, unit)
        if ifnet.kind is Kind.VXLAN:
            self._vxlans.begin(ifnet, operation.vxlan)
        self.enter([ifnet])
        if ifnet.kind in _WITH_NODE:
            self._nodes.interface_came(ifnet.made_as)
        if ifnet.kind is Kind.VXLAN:
            try:
                self._vxlans.settle(ifnet)
            except KernelError:
                self.discard(ifnet)
                raise
        return ifnet.name

    def _unit(self, vnet: Vnet, wanted: _Wanted) -> int:
        """The unit to use. Raises KernelError: ENOSPC, EEXIST."""
        units = vnet.units(wanted.kind.value)
        unit = units.lowest() if wanted.unit is None else wanted.unit
        while True:
            if unit > _LAST_UNIT:
                raise KernelError(Errno.ENOSPC)
            if units.is_free(unit) and vnet.find(f"{wanted.kind.value}{unit}") is None:
                return unit
            if wanted.unit is not None:
                raise KernelError(Errno.EEXIST)
            unit += 1

    def _create_epair(self, vnet: Vnet, unit: int) -> str:
        names = (f"epair{unit}a", f"epair{unit}b")
        if any(vnet.find(name) is not None for name in names):
            raise KernelError(Errno.EEXIST)
        a = self.new(vnet, Kind.EPAIR, names[0], unit)
        b = self.new(vnet, Kind.EPAIR, names[1], unit, beside=a)
        a.peer, b.peer = b.ident, a.ident
        self._stack.epairs = max(a.index, self._stack.epairs + 1)
        identity = self._identity_of(vnet.number)
        by_name = self._stack.release >= Release.V15 and self._stack.is_set(vnet.number, mac.EPAIR_BY_NAME)
        addresses = mac.epair(self._stack.release, identity, self._stack.epairs, names, self._random, by_name=by_name)
        for end, lladdr in zip((a, b), addresses, strict=True):
            end.lladdr = end.hwaddr = lladdr
        self.enter([a, b])
        return names[0]

    def _create_vlan(self, vnet: Vnet, name: str, wanted: _Wanted, given: VlanParameters | None) -> str:
        if wanted.tag is not None and wanted.parent is not None and given is None:
            given = VlanParameters(wanted.tag, wanted.parent)
        parent = None
        if given is not None:
            parent = vnet.find(given.parent)
            if parent is None:
                raise KernelError(Errno.ENXIO)
            self._vlans.check(given.tag, parent)
            if self._vlans.is_taken(given.tag, parent, given.proto):
                raise KernelError(Errno.EEXIST)
        unit = None if wanted.tag is not None else self._unit(vnet, wanted)
        vlan = self.new(vnet, Kind.VLAN, name if unit is None else f"vlan{unit}", unit)
        vlan.vlan, vlan.lladdr = VlanState(), bytes(6)
        self.enter([vlan])
        if given is not None and parent is not None:
            try:
                self._vlans.bind(vlan, given.tag, parent, given.proto)
            except KernelError:
                self.discard(vlan)
                raise
            self._stack.save(vlan)
        return vlan.name

    def _address(self, ifnet: IfNet, unit: int) -> None:
        """The link-layer address of a new bridge, tap or vxlan."""
        identity = self._identity_of(ifnet.vnet)
        if ifnet.kind is Kind.BRIDGE:
            ifnet.bridge = BridgeState()
            ifnet.lladdr = mac.bridge(self._stack.release, identity, ifnet.name, unit, self._random)
            others = self._stack.place(ifnet).group("bridge")
            if any(other.lladdr == ifnet.lladdr for other in others):
                ifnet.lladdr = mac.arbitrary(self._random)
        elif ifnet.kind is Kind.LAGG:
            ifnet.lagg, ifnet.lladdr = LaggState(), bytes(6)
        elif ifnet.kind in (Kind.TAP, Kind.VXLAN):
            ifnet.lladdr = mac.generated(self._stack.release, identity, ifnet.name, self._random)
        ifnet.hwaddr = ifnet.lladdr

    def new(self, vnet: Vnet, kind: Kind, name: str, unit: int | None, *, beside: IfNet | None = None) -> IfNet:
        """An interface of a kind, made in `vnet`, not entered yet; `beside` is one that will be entered before it."""
        born = traits(kind, self._stack.release)
        return IfNet(
            ident=self._stack.serial(),
            name=name,
            kind=kind,
            vnet=vnet.number,
            home=vnet.number,
            index=vnet.next_index() if beside is None else vnet.next_index_beside(beside.index),
            attached=self._stack.serial(),
            flags=born.flags,
            mtu=born.mtu,
            nd6=born.nd6,
            made_as=name,
            unit=unit,
            options=born.options,
            capabilities=born.options,
            media=born.media,
            status=born.status,
            settled=self._stack.clock.monotonic(),
        )

    def enter(self, interfaces: list[IfNet]) -> None:
        """Have the driver make them, enter them, and let them into their cloner's group, an epair's b end first."""
        self._stack.driver.create(interfaces)
        for ifnet in interfaces:
            self._stack.add(ifnet)
        for ifnet in reversed(interfaces):
            if ifnet.kind is not Kind.NIC:
                self._stack.place(ifnet).join(ifnet, ifnet.kind.value, self._stack.serial())
                self._stack.save(ifnet)
        self._stack.save_counters()

    # --- destroying ---

    def _destroy(self, caller: Caller, operation: DestroyInterface) -> None:
        ifnet = self._stack.find(caller, operation.name)
        if ifnet.kind is Kind.NIC or ifnet.made_as in _NOT_DESTROYED:
            raise KernelError(Errno.EINVAL)
        if ifnet.home != caller.vnet:
            raise KernelError(Errno.ENXIO)
        self.discard(ifnet)

    def discard(self, ifnet: IfNet) -> list[str]:
        """Destroy an interface, with an epair's other end wherever that is; the names that are gone."""
        going = [ifnet]
        if ifnet.peer is not None:
            going.append(self._stack.interfaces[ifnet.peer])
        for each in going:
            self.loosen(each)
        self._stack.driver.destroy(going)
        for each in going:
            self._stack.drop(each)
            if each.kind in _WITH_NODE:
                self._nodes.interface_went(each.made_as)
        return [each.name for each in going]

    def loosen(self, ifnet: IfNet) -> None:
        """End what ties an interface to others: bridge, members, vlans on it."""
        self._bridges.part(ifnet)
        self._laggs.part(ifnet)
        self._bridges.free_members(ifnet)
        self._vlans.free_vlans(ifnet)
        self._vlans.unbind(ifnet)


def _wanted(vnet: Vnet, name: str) -> _Wanted:
    """Which cloner takes a name, and what it makes of it.

    Raises KernelError: EINVAL where none does, EOPNOTSUPP where FreeBSD has one.
    """
    parent, dot, tag = name.rpartition(".")
    if dot and vnet.find(parent) is not None and re.fullmatch(r"[0-9]+", tag):
        return _Wanted(Kind.VLAN, None, int(tag), parent)
    found = re.fullmatch(r"([a-z]+)([0-9]*)", name)
    if found and found[1] in _OTHERS:
        raise KernelError(Errno.EOPNOTSUPP, f"there is no {found[1]}(4) here")
    kind = _BY_NAME.get(found[1]) if found else None
    if found is None or kind is None or re.fullmatch(r"0[0-9]+", found[2]):
        raise KernelError(Errno.EINVAL)
    return _Wanted(kind, int(found[2]) if found[2] else None)
