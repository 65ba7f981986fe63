"""What interfaces look like from inside a vnet, with what other programs changed on the machine beneath taken over."""

from __future__ import annotations

from vjail.kernel.core.addresses import Addresses
from vjail.kernel.core.bridge import Bridges
from vjail.kernel.core.driver import Seen
from vjail.kernel.core.ifnet import ETHERNET, Held, IfNet
from vjail.kernel.core.lagg import Laggs
from vjail.kernel.core.link import Link
from vjail.kernel.core.stack import Stack
from vjail.kernel.core.vlan import Vlans
from vjail.kernel.core.vnet import Vnet
from vjail.kernel.observed import Address, Iff, Inet6, Inet6Flag, Interface, Kind


class Observer:
    """Makes observations of interfaces."""

    def __init__(
        self, stack: Stack, link: Link, addresses: Addresses, bridges: Bridges, vlans: Vlans, laggs: Laggs
    ) -> None:
        self._stack = stack
        self._link = link
        self._addresses = addresses
        self._bridges = bridges
        self._vlans = vlans
        self._laggs = laggs

    def interfaces(self, vnet: Vnet) -> list[Interface]:
        """All interfaces of a vnet, those that came later last."""
        seen = self._stack.driver.seen(vnet.number)
        return [self._interface(ifnet, seen.get(ifnet.ident)) for ifnet in vnet.interfaces()]

    def interface(self, ifnet: IfNet) -> Interface:
        """One interface."""
        return self._interface(ifnet, self._stack.driver.see(ifnet))

    def refresh(self, ifnet: IfNet) -> None:
        """Take over what other programs changed, before an operation that depends on it."""
        seen = self._stack.driver.see(ifnet)
        if seen is not None:
            self._take_over(ifnet, seen)

    def _interface(self, ifnet: IfNet, seen: Seen | None) -> Interface:
        if seen is not None:
            self._take_over(ifnet, seen)
        self._addresses.settle(ifnet)
        parent = self._vlans.parent(ifnet) if ifnet.kind is Kind.VLAN else ifnet
        return Interface(
            name=ifnet.name,
            index=ifnet.index,
            kind=ifnet.kind,
            flags=ifnet.flags | (Iff.RUNNING if seen is not None and seen.carrier else Iff(0)),
            mtu=ifnet.mtu,
            metric=ifnet.metric,
            lladdr=ifnet.lladdr,
            hwaddr=_hwaddr(ifnet),
            description=ifnet.description,
            options=ifnet.options,
            capabilities=ifnet.capabilities,
            groups=tuple(sorted(ifnet.groups, key=ifnet.groups.__getitem__)),
            addresses=tuple(self._address(held) for held in ifnet.addresses),
            nd6=ifnet.nd6,
            media=parent.media if parent else None,
            status=self._status(ifnet, seen) if parent is ifnet else parent.status if parent else None,
            fib=ifnet.fib,
            bridge=self._bridges.observe(ifnet, ifnet.bridge) if ifnet.bridge else None,
            vlan=self._vlans.observe(ifnet, ifnet.vlan) if ifnet.vlan else None,
            vxlan=ifnet.vxlan.settings if ifnet.vxlan else None,
            lagg=self._laggs.observe(ifnet, ifnet.lagg) if ifnet.lagg else None,
            drivername=_drivername(ifnet),
        )

    def _status(self, ifnet: IfNet, seen: Seen | None) -> str | None:
        """A tap is active while a program has it open, a lagg with a port; others as they were born, or NICs cut."""
        if ifnet.kind is Kind.TAP and seen is not None and seen.carrier:
            return "active"
        if ifnet.kind is Kind.LAGG and ifnet.up and self._laggs.is_active(ifnet):
            return "active"
        return ifnet.status

    def _address(self, held: Held) -> Address:
        """An address with what is left of its lifetimes."""
        address = held.address
        if not isinstance(address, Inet6) or (address.pltime is None and address.vltime is None):
            return address
        age = int(self._stack.clock.monotonic() - held.since)
        pltime, vltime = (None if time is None else max(0, time - age) for time in (address.pltime, address.vltime))
        flags = address.flags | (Inet6Flag.DEPRECATED if pltime == 0 else Inet6Flag(0))
        return Inet6(address.address, address.prefixlen, flags, pltime, vltime)

    def _take_over(self, ifnet: IfNet, seen: Seen) -> None:
        changed = self._addresses.merge(ifnet, seen)
        if seen.up != ifnet.up:
            self._addresses.settle(ifnet)
            self._link.notice(ifnet, seen.up)
            changed = True
        if (seen.mtu, seen.lladdr) != (ifnet.mtu, ifnet.lladdr):
            ifnet.mtu, ifnet.lladdr = seen.mtu, seen.lladdr
            changed = True
        if changed:
            self._stack.save(ifnet)


def _hwaddr(ifnet: IfNet) -> bytes | None:
    """The address an Ethernet interface was made with, where it has another now; a lagg was made with none."""
    if ifnet.kind in ETHERNET and ifnet.hwaddr != ifnet.lladdr and any(ifnet.hwaddr or b""):
        return ifnet.hwaddr
    return None


def _drivername(ifnet: IfNet) -> str:
    """if_dname and if_dunit: the name of a NIC, else the cloner and the unit it took, if any."""
    if ifnet.kind is Kind.NIC:
        return ifnet.made_as
    return ifnet.kind.value if ifnet.unit is None else f"{ifnet.kind.value}{ifnet.unit}"
