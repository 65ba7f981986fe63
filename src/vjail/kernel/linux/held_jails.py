"""The jails of a host that share a stack, each with the control group that holds it to its addresses.

What they are held to is shared_stack.py's, the groups are groups.py's. Where the machine, or who runs vjail, cannot
have such groups, the jails live without, and `problem` says why.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from vjail.kernel.core.jail_addresses import Way
from vjail.kernel.core.prison_record import AddressRule, Prison
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.anchor import Unable
from vjail.kernel.linux.groups import Group, Groups
from vjail.kernel.linux.shared_stack import Held, mark_of

Ways = Callable[[int, AddressRule, int], Sequence[Way]]
"""The source addresses, in a vnet, of a jail with this rule, of family 4 or 6."""


class HeldJails:
    """The control groups of one host's jails. A jail with a vnet has none."""

    def __init__(self, host: str, groups: Callable[[], Groups], ways: Ways) -> None:
        """`groups` gives the lab's, or raises Unable."""
        self._host = host
        self._open = groups
        self._ways = ways
        self._groups: dict[int, Group] = {}
        self._prisons: dict[int, Prison] = {}
        self._held: dict[int, Held] = {}
        self._vnets: Group | None = None
        self.problem = ""
        """Why jails are not held; empty where they are, or none was to be held yet."""

    def enter_host(self) -> None:
        """Make the group of the host's own processes, which are held to nothing, but whose ports others may share.

        And one for those of jails with a vnet, which come from there and are to have nothing of it.
        """
        with contextlib.suppress(Unable):
            self._groups[0] = self._open().group(f"{self._host}/0")
            self._groups[0].hold(Held(AddressRule(), AddressRule()))
            self._vnets = self._open().group(f"{self._host}/vnets")

    def enter(self, prison: Prison) -> None:
        """Make the group of a jail, with nothing attached yet, or find the one that another server made."""
        if prison.own_vnet:
            return
        try:
            groups = self._open()
        except Unable as error:
            self.problem = str(error)
            return
        above = self._groups.get(prison.parent)
        place = f"{above.place if above is not None and prison.parent else self._host}/{prison.jid}"
        try:
            self._groups[prison.jid] = groups.group(place)
        except OSError as error:
            raise KernelError(Errno.of_host(error.errno)) from error

    def hold(self, prison: Prison) -> None:
        """Hold a jail to the addresses it has now. Raises KernelError."""
        if (group := self._groups.get(prison.jid)) is None:
            return
        self._prisons[prison.jid] = prison
        above = self._held.get(prison.parent)
        held = self._held[prison.jid] = Held(
            prison.ip4,
            prison.ip6,
            tuple(self._ways(prison.vnet, prison.ip4, 4)),
            tuple(self._ways(prison.vnet, prison.ip6, 6)),
            mark_of(prison.jid) if prison.ip4.own else above.mark4 if above else 0,
            mark_of(prison.jid) if prison.ip6.own else above.mark6 if above else 0,
        )
        try:
            group.hold(held)
        except OSError as error:
            raise KernelError(Errno.of_host(error.errno)) from error

    def refresh(self) -> None:
        """Routes or addresses of interfaces may have changed, and with them what jails with several send from."""
        for prison in list(self._prisons.values()):
            if any(len(rule.addresses) > 1 for rule in (prison.ip4, prison.ip6)):
                self.hold(prison)

    def door(self, jid: int) -> int | None:
        """What a process writes "0" into to be where those of a jail, or the host's (0), are; None: anywhere."""
        group = self._groups.get(jid, self._vnets)
        return None if group is None else group.door

    def holds(self, jid: int) -> bool:
        """Whether a jail that shares a stack has a group."""
        return jid in self._groups

    def remove(self, jid: int) -> None:
        """Remove the group of a jail that has no process any more."""
        self._prisons.pop(jid, None)
        self._held.pop(jid, None)
        group = self._groups.pop(jid, None)
        if group is not None:
            group.close()
            self._open().remove(group.place)

    def clear(self) -> None:
        """Remove the groups that are of no jail: another server was making or removing it when it died."""
        if self._groups:
            known = {group.place for group in (*self._groups.values(), self._vnets) if group is not None}
            for place in self._open().places(self._host):
                if place not in known:
                    self._open().remove(place)

    def close(self) -> None:
        """Let go of the groups, which stay."""
        for group in (*self._groups.values(), self._vnets):
            if group is not None:
                group.close()
