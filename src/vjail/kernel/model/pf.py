"""A PfDriver in memory: it keeps what is in force for whoever looks at packets, and has no states of its own."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.pf import PfState


class MemoryPacketFilter:
    """Keeps the setup of every vnet whose pf is on."""

    def __init__(self) -> None:
        self.setups: dict[int, PfSetup] = {}

    def check(self, vnet: int, setup: PfSetup) -> None:
        """Everything can be kept."""

    def enforce(self, vnet: int, setup: PfSetup | None) -> None:
        """Keep it."""
        if setup is None:
            self.setups.pop(vnet, None)
        else:
            self.setups[vnet] = setup

    def adopt(self, vnet: int, setup: PfSetup) -> None:
        """Keep it."""
        self.setups[vnet] = setup

    def states(self, vnet: int) -> Sequence[PfState]:
        """None."""
        return ()

    def kill_states(
        self,
        vnet: int,
        source: IPv4Network | IPv6Network | None,
        destination: IPv4Network | IPv6Network | None,
    ) -> int:
        """There are none."""
        return 0

    def forget(self, vnet: int) -> None:
        """The vnet has gone."""
        self.setups.pop(vnet, None)
