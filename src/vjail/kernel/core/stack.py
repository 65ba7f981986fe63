"""What the parts of the network share: the vnets, the interfaces, the driver, the clock and the journal."""

from __future__ import annotations

from collections.abc import Callable

from vjail.kernel.core.driver import Clock, NetworkDriver
from vjail.kernel.core.ifnet import IfNet, Membership
from vjail.kernel.core.journal import Journal, NoJournal
from vjail.kernel.core.part import Caller
from vjail.kernel.core.record import from_record, to_record
from vjail.kernel.core.vnet import Vnet
from vjail.kernel.errno import Errno, KernelError
from vjail.release import Release

_INTERFACE = "interface"
_VNET = "vnet"
_COUNTERS = "network"

SettingOf = Callable[[int, str], str]
"""The value that a sysctl has in a vnet."""


class Stack:
    """All interfaces of a host, by ident and by vnet, written to the journal as they change.

    `epairs` is the number that went into the last epair's addresses; like `serial`, which idents and orders are taken
    from, it only grows.
    """

    def __init__(
        self, driver: NetworkDriver, clock: Clock, journal: Journal, release: Release, setting_of: SettingOf
    ) -> None:
        self.driver = driver
        self.clock = clock
        self.release = release
        self._setting_of = setting_of
        self.vnets: dict[int, Vnet] = {}
        self.interfaces: dict[int, IfNet] = {}
        self.epairs = 0
        self._serial = 0
        self._journal = journal

    # --- finding ---

    def vnet(self, caller: Caller) -> Vnet:
        """The caller's vnet."""
        return self.vnets[caller.vnet]

    def find(self, caller: Caller, name: str) -> IfNet:
        """The interface of that name in the caller's vnet. Raises KernelError(ENXIO)."""
        ifnet = self.vnets[caller.vnet].find(name)
        if ifnet is None:
            raise KernelError(Errno.ENXIO)
        return ifnet

    def home(self, ifnet: IfNet) -> Vnet:
        """The vnet an interface was made in."""
        return self.vnets[ifnet.home]

    def place(self, ifnet: IfNet) -> Vnet:
        """The vnet an interface is in."""
        return self.vnets[ifnet.vnet]

    def serial(self) -> int:
        """A number higher than all before."""
        self._serial += 1
        return self._serial

    def is_set(self, vnet: int, sysctl: str) -> bool:
        """Whether a sysctl that is a switch is on in a vnet."""
        return self._setting_of(vnet, sysctl) != "0"

    # --- coming and going ---

    def add_vnet(self, number: int) -> Vnet:
        """An empty vnet."""
        vnet = self.vnets[number] = Vnet(number)
        self._journal.put(_VNET, str(number), {})
        return vnet

    def drop_vnet(self, number: int) -> None:
        """Forget an empty vnet."""
        del self.vnets[number]
        self._journal.drop(_VNET, str(number))

    def add(self, ifnet: IfNet) -> None:
        """Enter a new interface, which is in the vnet it is made in."""
        self.interfaces[ifnet.ident] = ifnet
        self._settle_in(ifnet)
        self.save(ifnet)

    def drop(self, ifnet: IfNet) -> None:
        """Forget an interface."""
        self.place(ifnet).detach(ifnet)
        home = self.home(ifnet)
        del home.made[ifnet.ident]
        if ifnet.unit is not None and not home.units(ifnet.kind.value).is_free(ifnet.unit):
            home.units(ifnet.kind.value).give_back(ifnet.unit)
        del self.interfaces[ifnet.ident]
        self._journal.drop(_INTERFACE, str(ifnet.ident))

    def _settle_in(self, ifnet: IfNet) -> None:
        self.place(ifnet).attach(ifnet)
        home = self.home(ifnet)
        home.made[ifnet.ident] = ifnet
        if ifnet.unit is not None and home.units(ifnet.kind.value).is_free(ifnet.unit):
            home.units(ifnet.kind.value).take(ifnet.unit)

    # --- the journal ---

    def save(self, ifnet: IfNet) -> None:
        """Write an interface down as it is now."""
        if not isinstance(self._journal, NoJournal):
            self._journal.put(_INTERFACE, str(ifnet.ident), to_record(ifnet))

    def save_counters(self) -> None:
        """Write down how far the counters are."""
        self._journal.put(_COUNTERS, "counters", {"serial": self._serial, "epairs": self.epairs})

    def restore(self) -> None:
        """Read back what was written into this stack, which is empty."""
        for _, record in self._journal.records(_COUNTERS):
            self._serial = int(str(record["serial"]))
            self.epairs = int(str(record["epairs"]))
        for key, _ in self._journal.records(_VNET):
            self.vnets[int(key)] = Vnet(int(key))
        found = [from_record(IfNet, record) for _, record in self._journal.records(_INTERFACE)]
        for ifnet in sorted(found, key=lambda each: each.attached):
            self.interfaces[ifnet.ident] = ifnet
            self._settle_in(ifnet)
        self._relate(found)

    def _relate(self, found: list[IfNet]) -> None:
        """Put interfaces read back into their groups, bridges and parents, and their stamps behind the counter."""
        for ifnet in sorted((each for each in found if each.member), key=lambda each: _joined(each.member)):
            membership = ifnet.member
            bridge = self.interfaces[membership.bridge].bridge if membership else None
            if membership and bridge:
                bridge.enter(ifnet.ident, membership)
        for ifnet in found:
            if ifnet.vlan and ifnet.vlan.parent is not None:
                self.interfaces[ifnet.vlan.parent].vlans.add(ifnet.ident)
        joined = sorted((stamp, ifnet.ident, group) for ifnet in found for group, stamp in ifnet.groups.items())
        for stamp, ident, group in joined:
            ifnet = self.interfaces[ident]
            self.place(ifnet).join(ifnet, group, stamp)
        stamps = [stamp for stamp, _, _ in joined]
        stamps += [ifnet.attached for ifnet in found] + [_joined(ifnet.member) for ifnet in found]
        self._serial = max([self._serial, *stamps])


def _joined(membership: Membership | None) -> int:
    return membership.since if membership else 0
