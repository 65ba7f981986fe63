"""Interface flags: what UP, RUNNING and PROMISC follow from, for each kind of interface.

Sources: FreeBSD 13.2 sys/net/if.c (ifhwioctl, if_setflag, if_down), sys/net/if_ethersubr.c (ether_ioctl), the
drivers' handlers of SIOCSIFFLAGS; recorded in a_ifconfig, c1_ifconfig_errors, documents-C, vlan.
"""

from __future__ import annotations

from vjail.kernel.core import stp, vxlan
from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.core.stack import Stack
from vjail.kernel.observed import Iff, Kind

CHANGEABLE = (
    Iff.UP | Iff.DEBUG | Iff.NOARP | Iff.LINK0 | Iff.LINK1 | Iff.LINK2 | Iff.PPROMISC | Iff.MONITOR | Iff.STATICARP
)
"""What a user may set and clear."""


class Link:
    """Changes flags, with what follows from them. Nobody else changes an interface's flags."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def change(self, ifnet: IfNet, wanted: Iff, unwanted: Iff) -> bool:
        """SIOCSIFFLAGS: set and clear flags; True where the interface came up by it."""
        flags = (ifnet.flags | wanted & CHANGEABLE) & ~(unwanted & CHANGEABLE)
        changed = flags ^ ifnet.flags
        driver = self._stack.driver
        if Iff.NOARP in changed:
            driver.set_arp(ifnet, Iff.NOARP not in flags)
        if Iff.PPROMISC in changed:
            driver.set_promiscuous(ifnet, Iff.PPROMISC in flags)
        if (wanted | unwanted) & Iff.UP:
            driver.set_up(ifnet, Iff.UP in flags)
        ifnet.flags = flags
        if Iff.PPROMISC in changed:
            self._set_promiscuous_flag(ifnet)
        self._handle(ifnet)
        if Iff.UP in changed:
            self._join_members(ifnet)
        return bool(changed & flags & Iff.UP)

    def initialise(self, ifnet: IfNet) -> bool:
        """What an address being set does to an interface: UP and running; True where it came up by it."""
        came_up = not ifnet.up
        if came_up:
            self._stack.driver.set_up(ifnet, True)
            ifnet.flags |= Iff.UP
        match ifnet.kind:
            case Kind.BRIDGE | Kind.NIC | Kind.PFLOG | Kind.VXLAN | Kind.LAGG:
                self._handle(ifnet)
            case Kind.LOOPBACK | Kind.TAP | Kind.TUN:
                ifnet.flags |= Iff.RUNNING
            case _:
                pass
        if came_up:
            self._join_members(ifnet)
        return came_up

    def lower(self, ifnet: IfNet) -> None:
        """if_down: UP goes without the driver being told, as when an interface moves; it stays RUNNING."""
        if ifnet.up:
            ifnet.flags &= ~Iff.UP
            self._join_members(ifnet)

    def notice(self, ifnet: IfNet, up: bool) -> None:
        """Another program has set or cleared UP."""
        ifnet.flags = ifnet.flags | Iff.UP if up else ifnet.flags & ~Iff.UP
        self._handle(ifnet)
        self._join_members(ifnet)

    def promiscuous(self, ifnet: IfNet, on: bool) -> None:
        """ifpromisc: one more, or one fewer, wants to see every frame."""
        ifnet.promisc += 1 if on else -1
        before = ifnet.flags
        self._set_promiscuous_flag(ifnet)
        if ifnet.flags != before:
            self._handle(ifnet)
        self._stack.save(ifnet)

    @staticmethod
    def _set_promiscuous_flag(ifnet: IfNet) -> None:
        if Iff.PPROMISC in ifnet.flags or ifnet.promisc > 0:
            ifnet.flags |= Iff.PROMISC
        else:
            ifnet.flags &= ~Iff.PROMISC

    def _handle(self, ifnet: IfNet) -> None:
        """What the driver makes of its flags: most run while they are UP, epairs always, vlans while bound,
        vxlans while UP and complete."""
        match ifnet.kind:
            case Kind.NIC | Kind.PFLOG | Kind.LAGG:
                self._run(ifnet, ifnet.up)
            case Kind.BRIDGE if ifnet.up and Iff.RUNNING not in ifnet.flags:
                self._run(ifnet, True)
                stp.reinit(self._stack, ifnet)
            case Kind.BRIDGE if not ifnet.up and Iff.RUNNING in ifnet.flags:
                self._run(ifnet, False)
            case Kind.VLAN:
                self._tell_parent(ifnet)
            case Kind.VXLAN:
                self._run(ifnet, ifnet.up and vxlan.is_able(ifnet))
            case _:
                pass

    @staticmethod
    def _run(ifnet: IfNet, running: bool) -> None:
        ifnet.flags = ifnet.flags | Iff.RUNNING if running else ifnet.flags & ~Iff.RUNNING

    def _join_members(self, bridge: IfNet) -> None:
        """A bridge that came up has its members' frames, one that went down leaves them alone."""
        for ident in bridge.bridge.members if bridge.bridge else ():
            member = self._stack.interfaces[ident]
            if bridge.up:
                self._stack.driver.attach(bridge, member)
            else:
                self._stack.driver.detach(bridge, member)

    def _tell_parent(self, vlan: IfNet) -> None:
        """A vlan that sees every frame needs a parent that does."""
        state = vlan.vlan
        promiscuous = Iff.PROMISC in vlan.flags
        if state and state.parent is not None and state.promiscuous != promiscuous:
            state.promiscuous = promiscuous
            self.promiscuous(self._stack.interfaces[state.parent], promiscuous)
