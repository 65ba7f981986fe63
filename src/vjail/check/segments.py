"""Which interfaces are on one network, by reading: epairs, and the bridges that the host's files join them to."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from vjail.check.examples import example_lines
from vjail.check.ifconfig import of_jail
from vjail.check.subject import HostSubject


def segments(host: HostSubject) -> Callable[[str], str]:
    """From an interface to the name of its network: a bridge, or else the epair (card, vlan) it is an end of."""
    bridge: dict[str, str] = {}
    renamed: dict[str, str] = {}
    for jail in host.jails:
        for line in of_jail(jail):
            for setting in line.settings:
                argument = setting.arguments[0] if setting.arguments else None
                if argument is None or line.interface is None:
                    continue
                if setting.word == "addm":
                    bridge[_unit(argument)] = line.interface
                elif setting.word == "name":
                    renamed[argument] = line.interface
        for example in example_lines(jail):
            bridge |= dict(zip(example.interfaces, example.bridges, strict=False))
    for name in host.rc.matching("ifconfig_*"):
        for word, member in pairwise(host.rc.get(name).split()):
            if word == "addm":
                bridge[_unit(member)] = name.removeprefix("ifconfig_")

    def of(interface: str) -> str:
        unit = _unit(renamed.get(interface, interface))
        return bridge.get(interface, bridge.get(unit, unit))

    return of


def _unit(name: str) -> str:
    """What two ends of an epair have in common."""
    return re.sub(r"^(epair\d+)[ab]$", r"\1", name)
