"""What the core asks of the machine beneath for pf(4): put rules into force, and tell of states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Protocol

from vjail.conf.pf.hosts import HostInterface
from vjail.conf.pf.rules import PfOptions, Ruleset, Table
from vjail.kernel.pf import PfState


@dataclass(frozen=True, slots=True)
class PfSetup:
    """Everything a vnet's pf does now. `interfaces` are those that rules, tables or options depend on, as they are."""

    rulesets: Mapping[str, Ruleset] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    options: PfOptions = PfOptions()
    interfaces: tuple[HostInterface, ...] = ()


@dataclass(frozen=True, slots=True)
class Overload:
    """A source that got into a table of an anchor, since it exceeded the limits of a rule with `overload`."""

    anchor: str
    table: str
    address: IPv4Address | IPv6Address


class PfDriver(Protocol):
    """Carries pf out."""

    def check(self, vnet: int, setup: PfSetup) -> None:
        """Raise KernelError, with a message for its user, where the machine cannot do this; change nothing."""
        ...

    def enforce(self, vnet: int, setup: PfSetup | None) -> None:
        """From now on treat the packets of a vnet so, None: not at all. Raises KernelError; nothing has changed then.

        States stay. Called again with what is in force already it does nothing.
        """
        ...

    def adopt(self, vnet: int, setup: PfSetup) -> None:
        """This is in force in a vnet: another process put it there."""
        ...

    def overloads(self, vnet: int) -> Sequence[Overload]:
        """Who exceeded limits and is not in the tables of what is in force; it works already as if he were.

        He is told of again until something is put into force.
        """
        ...

    def states(self, vnet: int) -> Sequence[PfState]:
        """The states there are."""
        ...

    def kill_states(
        self,
        vnet: int,
        source: IPv4Network | IPv6Network | None,
        destination: IPv4Network | IPv6Network | None,
    ) -> int:
        """Forget states between these networks; how many."""
        ...

    def forget(self, vnet: int) -> None:
        """The vnet has gone."""
        ...
