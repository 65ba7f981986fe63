"""The PfDriver (core/pf_driver.py) on Linux.

What carries rules out and looks at states is loaded when a vnet has some: most labs have none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network

from vjail.conf.pf.rules import Ruleset
from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.netlink import NetlinkError, Socket
from vjail.kernel.linux.pf.nft import Nft
from vjail.kernel.linux.vnets import VnetSpaces
from vjail.kernel.pf import PfState

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

    def __init__(self, vnets: VnetSpaces) -> None:
        self._vnets = vnets
        self._nft = Nft(vnets)
        self._in_force: dict[int, str] = {}
        """The text that is loaded in each vnet that has one."""

    def check(self, vnet: int, setup: PfSetup) -> None:
        """Raise KernelError where this could not be put into force."""
        if not _is_empty(setup):
            self._nft.check(vnet, _compiled(setup))

    def enforce(self, vnet: int, setup: PfSetup | None) -> None:
        """Put rules into force in one transaction, or none."""
        if setup is None or _is_empty(setup):
            if vnet in self._in_force:
                from vjail.kernel.linux.pf.compile import removal

                self._nft.load(vnet, removal())
                del self._in_force[vnet]
            return
        text = _compiled(setup)
        if text == self._in_force.get(vnet):
            return
        self._nft.load(vnet, text)
        first = vnet not in self._in_force
        self._in_force[vnet] = text
        if first:
            for path, value in _REFLECT.items():
                with contextlib.suppress(OSError):
                    self._vnets.write(vnet, {path: value})
        from vjail.kernel.linux.pf import conntrack
        from vjail.kernel.linux.pf.translation import reaches_loopback

        rules = [rule for ruleset in setup.rulesets.values() for rule in ruleset.rdr]
        if reaches_loopback(rules):
            self._vnets.write(vnet, {_ROUTE_LOCALNET: "1"})
        with self._conntrack(vnet) as socket:
            conntrack.forget_stateless(socket)

    def adopt(self, vnet: int, setup: PfSetup) -> None:
        """This is in force already."""
        if not _is_empty(setup):
            self._in_force[vnet] = _compiled(setup)

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


def _compiled(setup: PfSetup) -> str:
    from vjail.kernel.linux.pf.compile import compile_setup

    return compile_setup(setup)


def _is_empty(setup: PfSetup) -> bool:
    """Whether every packet passes as if pf were off."""
    return all(ruleset == Ruleset() for ruleset in setup.rulesets.values())
