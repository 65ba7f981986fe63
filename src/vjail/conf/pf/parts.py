"""The parts of a rule of pf.conf(5) that may be lists: what fields.py reads and expand.py multiplies."""

from __future__ import annotations

from dataclasses import dataclass

from vjail.conf.pf.hosts import Host
from vjail.conf.pf.rules import Icmp, Ports


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface or group of a rule; `dynamic` where antispoof has it in parentheses."""

    name: str
    negated: bool = False
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class PeerList:
    """One side of a rule: None is any."""

    hosts: list[Host] | None = None
    ports: list[Ports] | None = None


@dataclass(frozen=True, slots=True)
class FromTo:
    """Both sides."""

    source: PeerList = PeerList()
    destination: PeerList = PeerList()


@dataclass(frozen=True, slots=True)
class IcmpItem:
    """An ICMP type of a rule, and the protocol it belongs to."""

    icmp: Icmp
    proto: int
