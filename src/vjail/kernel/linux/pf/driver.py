"""The PfDriver (core/pf_driver.py) on Linux.

What carries rules out and looks at states is loaded when a vnet has some: most labs have none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from vjail.conf.pf.rules import Detour, Ruleset
from vjail.kernel.core.pf_driver import Overload, PfSetup
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.netlink import NetlinkError, Socket
from vjail.kernel.linux.pf.nft import Nft
from vjail.kernel.linux.vnets import VnetSpaces
from vjail.kernel.linux.watch import Watch
from vjail.kernel.pf import PfState

if TYPE_CHECKING:
    from vjail.kernel.linux.pf.compiled import Compiled
    from vjail.kernel.linux.pf.exceeded import Held

_REFLECT = {
    # What the stack answers to a packet has the packet's mark (names.py, ANSWERED).
    "/proc/sys/net/ipv4/fwmark_reflect": "1",
    "/proc/sys/net/ipv6/fwmark_reflect": "1",
    # pf lets a TCP connection begin in the middle where no rule asks for its SYN.
    "/proc/sys/net/netfilter/nf_conntrack_tcp_loose": "1",
}
_ROUTE_LOCALNET = "/proc/sys/net/ipv4/conf/all/route_localnet"


class LinuxPacketFilter:
    """A `PfDriver`."""

    def __init__(self, vnets: VnetSpaces, watch: Watch, exceeded: Callable[[int], None]) -> None:
        """`exceeded` is called where somebody has exceeded limits in a vnet, for who asks for `overloads`."""
        self._vnets = vnets
        self._watch = watch
        self._exceeded = exceeded
        self._nft = Nft(vnets)
        self._in_force: dict[int, Compiled] = {}
        """What is loaded in each vnet that has something."""
        self._told: dict[int, Held] = {}
        """The sets with who was told of as overloaded in each vnet."""
        self._listening: dict[int, Socket] = {}
        self._detours: dict[int, Mapping[Detour, int]] = {}
        """The ways by route-to and reply-to that there are in each vnet."""

    def check(self, vnet: int, setup: PfSetup) -> None:
        """Raise KernelError where this could not be put into force."""
        if not _is_empty(setup):
            self._nft.check(vnet, _compiled(setup).text)

    def enforce(self, vnet: int, setup: PfSetup | None) -> None:
        """Put rules into force in one transaction, or none."""
        if setup is None or _is_empty(setup):
            if vnet in self._in_force:
                from vjail.kernel.linux.pf.compiled import removal

                self._nft.load(vnet, removal())
                self._follow(vnet, {})
                self.forget(vnet)
            return
        compiled = _compiled(setup)
        before = self._in_force.get(vnet)
        self._follow(vnet, compiled.detours)
        if compiled != before:
            self._load(vnet, before, compiled, setup)
        told = self._told.pop(vnet, None)
        if told:
            from vjail.kernel.linux.pf.exceeded import let_go

            with contextlib.suppress(KernelError), self._conntrack(vnet) as socket:
                let_go(socket, told)

    def _load(self, vnet: int, before: Compiled | None, compiled: Compiled, setup: PfSetup) -> None:
        change = None if before is None else before.change_to(compiled)
        if change is not None and self._is_loaded(vnet, change):
            self._in_force[vnet] = compiled
            return
        self._nft.load(vnet, compiled.text)
        self._told.pop(vnet, None)
        self._in_force[vnet] = compiled
        if before is None:
            for path, value in _REFLECT.items():
                with contextlib.suppress(OSError):
                    self._vnets.write(vnet, {path: value})
        from vjail.kernel.linux.pf import conntrack
        from vjail.kernel.linux.pf.translation import reaches_loopback

        rules = [rule for ruleset in setup.rulesets.values() for rule in ruleset.rdr]
        if reaches_loopback(rules):
            self._vnets.write(vnet, {_ROUTE_LOCALNET: "1"})
        with self._conntrack(vnet) as socket:
            if before is not None and before.counts_connections:
                conntrack.forget_rules(socket)
            conntrack.forget_stateless(socket)
        self._listen(vnet)

    def _is_loaded(self, vnet: int, text: str) -> bool:
        """Load a change; False where what is there is not what was thought: somebody inside has changed it."""
        try:
            self._nft.load(vnet, text)
        except KernelError:
            return False
        return True

    def adopt(self, vnet: int, setup: PfSetup) -> None:
        """This is in force already."""
        if not _is_empty(setup):
            compiled = self._in_force[vnet] = _compiled(setup)
            self._detours[vnet] = compiled.detours
            self._listen(vnet)

    def overloads(self, vnet: int) -> Sequence[Overload]:
        """Who exceeded limits; what is to go of his states goes."""
        compiled = self._in_force.get(vnet)
        if compiled is None or not compiled.counts_connections:
            return ()
        # The server before this one may have been listening still when it took over.
        self._listen(vnet)
        from vjail.kernel.linux.pf import exceeded

        with self._conntrack(vnet) as socket:
            exceeded.end_states(socket, compiled)
            found, self._told[vnet] = exceeded.overloads(socket, compiled)
        return found

    def _follow(self, vnet: int, wanted: Mapping[Detour, int]) -> None:
        """Let there be these ways, as the interfaces are now."""
        before = self._detours.get(vnet, {})
        if before or wanted:
            from vjail.kernel.linux.pf import detours

            try:
                detours.follow(self._vnets[vnet].socket, before, wanted)
            except NetlinkError as error:
                raise KernelError(Errno.of_host(error.errno), f"route-to, reply-to: {error.strerror}") from None
            self._detours[vnet] = wanted

    # --- hearing of it ---

    def _listen(self, vnet: int) -> None:
        """Hear when limits are exceeded, where there are some. Without it they are looked at when pf is asked next."""
        if self._in_force[vnet].counts_connections == (vnet in self._listening):
            return
        if vnet in self._listening:
            self._stop_listening(vnet)
            return
        from vjail.kernel.linux.pf import conntrack, exceeded

        try:
            socket = self._vnets.socket(vnet, conntrack.NETLINK_NETFILTER)
        except OSError:
            return
        try:
            exceeded.listen(socket)
        except NetlinkError:
            socket.close()
            return
        self._listening[vnet] = socket
        self._watch.add(socket.fileno(), partial(self._heard, vnet))

    def close(self) -> None:
        """Let go of everything; what is in force goes on."""
        for vnet in list(self._listening):
            self._stop_listening(vnet)

    def _stop_listening(self, vnet: int) -> None:
        socket = self._listening.pop(vnet, None)
        if socket is not None:
            self._watch.remove(socket.fileno())
            socket.close()

    def _heard(self, vnet: int) -> None:
        self._listening[vnet].heard()
        self._exceeded(vnet)

    # --- states ---

    def states(self, vnet: int) -> Sequence[PfState]:
        """The states there are."""
        from vjail.kernel.linux.pf import conntrack

        with self._conntrack(vnet) as socket:
            return [state for entry in conntrack.entries(socket) for state in entry.states]

    def kill_states(
        self,
        vnet: int,
        source: IPv4Network | IPv6Network | None,
        destination: IPv4Network | IPv6Network | None,
    ) -> int:
        """Forget states between these networks."""
        from vjail.kernel.linux.pf import conntrack

        with self._conntrack(vnet) as socket:
            wanted = [each for each in conntrack.entries(socket) if conntrack.between(each, source, destination)]
            conntrack.delete(socket, wanted)
        return sum(len(entry.states) for entry in wanted)

    def forget(self, vnet: int) -> None:
        """The vnet has gone, and its table with it."""
        self._in_force.pop(vnet, None)
        self._told.pop(vnet, None)
        self._detours.pop(vnet, None)
        self._stop_listening(vnet)

    @contextmanager
    def _conntrack(self, vnet: int) -> Iterator[Socket]:
        from vjail.kernel.linux.pf import conntrack

        try:
            socket = self._vnets.socket(vnet, conntrack.NETLINK_NETFILTER)
        except OSError as error:
            raise KernelError(Errno.EOPNOTSUPP, f"this machine's kernel has no nfnetlink: {error}") from None
        try:
            yield socket
        except NetlinkError as error:
            raise KernelError(Errno.of_host(error.errno), f"conntrack: {error.strerror}") from None
        finally:
            socket.close()


def _compiled(setup: PfSetup) -> Compiled:
    from vjail.kernel.linux.pf.compile import compile_setup

    return compile_setup(setup)


def _is_empty(setup: PfSetup) -> bool:
    """Whether every packet passes as if pf were off."""
    return all(ruleset == Ruleset() for ruleset in setup.rulesets.values())
