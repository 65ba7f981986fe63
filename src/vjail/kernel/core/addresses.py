"""Addresses of interfaces: what replaces what, in which order they stand, IPv6's automatic and tentative ones.

Sources: FreeBSD 13.2 sys/netinet/in.c (in_aifaddr_ioctl), sys/netinet6/{in6.c,in6_ifattach.c,nd6.c,nd6_nbr.c};
recorded in replay/ifconfig-inet, ifconfig-inet6, vlan and observed/d_routes.

When an IPv6 address is tentative, as those recordings show it: a new address is, unless duplicate address detection
does not apply (loopbacks, `no_dad`, and `ifdisabled`, which the very address then ends); for one second, and for up to
one more where FreeBSD waits at random first. `ifdisabled` makes all addresses tentative at once, an interface that is
down or does not run at the next tick of a timer of one second; they are tried again once it can speak.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from vjail.kernel.core import mac
from vjail.kernel.core.driver import Seen
from vjail.kernel.core.ifnet import Held, IfNet, traits
from vjail.kernel.core.link import Link
from vjail.kernel.core.stack import Stack
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Address, Iff, Inet, Inet6, Inet6Flag, Kind, Nd6

_DAD = 1.0
"""Seconds from the first probe until nobody has answered."""
_DELAY = 0.5
"""Seconds before a probe that is sent after a random wait of up to one: its mean, so that equal runs are equal."""
_LOOPBACK6 = IPv6Address("::1")
_LINK_LOCAL = int(IPv6Address("fe80::"))
_ALL_ONES = IPv4Address("255.255.255.255")


class Addresses:
    """Changes the addresses of interfaces."""

    def __init__(self, stack: Stack, link: Link) -> None:
        self._stack = stack
        self._link = link

    # --- operations ---

    def add(self, ifnet: IfNet, address: Address) -> None:
        """SIOCAIFADDR, SIOCAIFADDR_IN6. Raises KernelError: EAFNOSUPPORT, EADDRNOTAVAIL, EEXIST."""
        if ifnet.kind is Kind.PFLOG:
            raise KernelError(Errno.EAFNOSUPPORT)
        self.settle(ifnet)
        if isinstance(address, Inet):
            self._add_inet(ifnet, address)
        else:
            self._add_inet6(ifnet, address)

    def remove(self, ifnet: IfNet, address: IPv4Address | IPv6Address) -> None:
        """SIOCDIFADDR, SIOCDIFADDR_IN6. Raises KernelError(EADDRNOTAVAIL)."""
        self.settle(ifnet)
        held = _held(ifnet, address)
        if held is None:
            raise KernelError(Errno.EADDRNOTAVAIL)
        self._stack.driver.remove_address(ifnet, held.address)
        ifnet.addresses.remove(held)

    def set_nd6(self, ifnet: IfNet, wanted: Nd6, unwanted: Nd6) -> None:
        """SIOCSIFINFO_IN6. Raises KernelError(EPFNOSUPPORT) where IPv6 does not run on such interfaces at all."""
        if ifnet.kind is Kind.PFLOG:
            raise KernelError(Errno.EPFNOSUPPORT)
        self.settle(ifnet)
        before, after = ifnet.nd6, (ifnet.nd6 | wanted) & ~unwanted
        changed = before ^ after
        if Nd6.IFDISABLED in changed:
            self._stack.driver.set_inet6(ifnet, Nd6.IFDISABLED not in after)
        ifnet.nd6 = after
        if Nd6.IFDISABLED in changed & after and Nd6.NO_DAD not in after:
            for held in _inet6(ifnet):
                _set_tentative(held, True)
                held.dad = None
        if Nd6.IFDISABLED in changed & before and ifnet.up:
            self.came_up(ifnet)
        elif Nd6.AUTO_LINKLOCAL in changed & after and ifnet.up:
            self._add_link_local(ifnet)

    def came_up(self, ifnet: IfNet) -> None:
        """in6_if_up: tentative addresses are tried, and what every IPv6 interface has comes by itself."""
        for held in _inet6(ifnet):
            self._start_dad(ifnet, held, _DELAY)
        if Iff.MULTICAST not in ifnet.flags:
            return
        if ifnet.kind is Kind.LOOPBACK and not self._has_loopback6(ifnet):
            self._enter(ifnet, Inet6(_LOOPBACK6, 128), _DELAY)
        self._add_link_local(ifnet)

    def forget(self, ifnet: IfNet) -> None:
        """It has moved: no addresses, and neighbour discovery as at birth."""
        ifnet.addresses.clear()
        ifnet.nd6 = traits(ifnet.kind, self._stack.release).nd6
        ifnet.settled = self._stack.clock.monotonic()

    def forget_inet6(self, ifnet: IfNet) -> None:
        """in6_ifdetach: all IPv6 addresses go."""
        for held in list(_inet6(ifnet)):
            self._stack.driver.remove_address(ifnet, held.address)
            ifnet.addresses.remove(held)

    # --- IPv4 ---

    def _add_inet(self, ifnet: IfNet, address: Inet) -> None:
        if address.broadcast is None and Iff.BROADCAST in ifnet.flags:
            address = replace(address, broadcast=_broadcast(address))
        came_up = self._initialise_and_add(ifnet, address)
        known = _held(ifnet, address.address)
        if known is not None:
            ifnet.addresses.remove(known)
        ifnet.addresses.append(Held(address, since=self._stack.clock.monotonic()))
        if came_up:
            self.came_up(ifnet)

    def _initialise_and_add(self, ifnet: IfNet, address: Address) -> bool:
        """Bring an interface up for an address it is given; True where it came up by it."""
        came_up = self._link.initialise(ifnet)
        try:
            self._stack.driver.add_address(ifnet, address)
        except KernelError:
            if came_up:
                self._link.change(ifnet, Iff(0), Iff.UP)
            raise
        return came_up

    # --- IPv6 ---

    def _add_inet6(self, ifnet: IfNet, address: Inet6) -> None:
        if address.address.is_multicast or address.address.is_unspecified:
            raise KernelError(Errno.EADDRNOTAVAIL)
        known = _held(ifnet, address.address)
        if known is None:
            came_up = self._enter(ifnet, address, 0.0)
        else:
            came_up = self._initialise_and_add(ifnet, address)
            known.address = replace(address, flags=address.flags | _flags(known) & Inet6Flag.TENTATIVE)
            known.since = self._stack.clock.monotonic()
        if Nd6.IFDISABLED in ifnet.nd6:
            self.set_nd6(ifnet, Nd6(0), Nd6.IFDISABLED)
        elif came_up:
            self.came_up(ifnet)

    def _enter(self, ifnet: IfNet, address: Inet6, delay: float) -> bool:
        """A new address, tentative unless duplicate address detection does not apply; True where it brought UP."""
        if ifnet.kind is not Kind.LOOPBACK and not ifnet.nd6 & (Nd6.IFDISABLED | Nd6.NO_DAD):
            address = replace(address, flags=address.flags | Inet6Flag.TENTATIVE)
        came_up = self._initialise_and_add(ifnet, address)
        held = Held(address, since=self._stack.clock.monotonic())
        ifnet.addresses.append(held)
        self._start_dad(ifnet, held, delay)
        return came_up

    def _start_dad(self, ifnet: IfNet, held: Held, delay: float) -> None:
        """Try a tentative address, if the interface can speak and it is not being tried."""
        flags = _flags(held)
        if Inet6Flag.TENTATIVE not in flags:
            return
        if Inet6Flag.ANYCAST in flags or Nd6.NO_DAD in ifnet.nd6:
            _set_tentative(held, False)
        elif ifnet.able and held.dad is None:
            held.dad = self._stack.clock.monotonic() + delay + _DAD

    def _add_link_local(self, ifnet: IfNet) -> None:
        """in6_ifattach: fe80::1 on loopbacks, else one made from the link-layer address, where it has none."""
        if Nd6.IFDISABLED in ifnet.nd6 or Nd6.AUTO_LINKLOCAL not in ifnet.nd6:
            return
        if any(held.address.address.is_link_local for held in _inet6(ifnet)):
            return
        if ifnet.kind is Kind.LOOPBACK:
            self._enter(ifnet, Inet6(IPv6Address(_LINK_LOCAL | 1), 64), _DELAY)
        elif ifnet.lladdr and any(ifnet.lladdr):
            identifier = mac.interface_identifier(ifnet.lladdr)
            self._enter(ifnet, Inet6(IPv6Address(_LINK_LOCAL | identifier), 64), _DELAY)

    def _has_loopback6(self, ifnet: IfNet) -> bool:
        loopbacks = (each for each in self._stack.place(ifnet).group("lo") if each.kind is Kind.LOOPBACK)
        return any(held.address.address == _LOOPBACK6 for each in loopbacks for held in each.addresses)

    # --- the course of time, and other programs ---

    def settle(self, ifnet: IfNet) -> None:
        """Take into account what time has done to its IPv6 addresses since this was last called."""
        now = self._stack.clock.monotonic()
        self._expire(ifnet, now)
        tick = math.floor(ifnet.settled) + 1.0
        for held in _inet6(ifnet):
            if ifnet.able:
                if Inet6Flag.TENTATIVE in _flags(held) and held.dad is None and tick <= now:
                    held.dad = tick + _DELAY + _DAD
                self._finish_dad(held, now)
            else:
                if Nd6.IFDISABLED not in ifnet.nd6:
                    finished = self._finish_dad(held, now)
                    tick = max(tick, math.floor(finished) + 1.0) if finished is not None else tick
                if held.dad is None and tick <= now:
                    _set_tentative(held, True)
        ifnet.settled = now

    def _expire(self, ifnet: IfNet, now: float) -> None:
        """nd6_timer: addresses go whose valid lifetime is over. The machine may have removed them by itself."""
        for held in list(_inet6(ifnet)):
            vltime = held.address.vltime if isinstance(held.address, Inet6) else None
            if vltime is not None and held.since + vltime < now:
                with contextlib.suppress(KernelError):
                    self._stack.driver.remove_address(ifnet, held.address)
                ifnet.addresses.remove(held)

    @staticmethod
    def _finish_dad(held: Held, now: float) -> float | None:
        """End detection that is over; when that was."""
        if held.dad is None or held.dad > now:
            return None
        finished, held.dad = held.dad, None
        _set_tentative(held, False)
        return finished

    def merge(self, ifnet: IfNet, seen: Seen) -> bool:
        """Take over what another program changed on the machine beneath; True where it had."""
        known = {held.address.address: held for held in ifnet.addresses}
        there = {address.address: address for address in seen.addresses}
        foreign = [there[each] for each in there if each not in known]
        gone = [held for each, held in known.items() if each not in there]
        if not foreign and not gone:
            return False
        for held in gone:
            ifnet.addresses.remove(held)
        now = self._stack.clock.monotonic()
        ifnet.addresses += [Held(address, since=now) for address in foreign]
        return True


def _broadcast(address: Inet) -> IPv4Address:
    """The broadcast address of its subnet; of a subnet of two, every host."""
    mask = int(address.netmask)
    if mask == 0xFFFFFFFE:
        return _ALL_ONES
    return IPv4Address(int(address.address) & mask | ~mask & 0xFFFFFFFF)


def _held(ifnet: IfNet, address: IPv4Address | IPv6Address) -> Held | None:
    return next((held for held in ifnet.addresses if held.address.address == address), None)


def _inet6(ifnet: IfNet) -> Iterator[Held]:
    return (held for held in ifnet.addresses if isinstance(held.address, Inet6))


def _flags(held: Held) -> Inet6Flag:
    return held.address.flags if isinstance(held.address, Inet6) else Inet6Flag(0)


def _set_tentative(held: Held, tentative: bool) -> None:
    if isinstance(held.address, Inet6):
        flags = held.address.flags & ~Inet6Flag.TENTATIVE
        held.address = replace(held.address, flags=flags | Inet6Flag.TENTATIVE if tentative else flags)
