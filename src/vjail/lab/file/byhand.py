"""The bridges and epairs that a lab file itself has made on a host: no number that is made up may be one of theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vjail.lab.file.description import Host, Jail, LabFile

_MAKES = re.compile(r"\b(bridge|epair)([0-9]{1,5})\s+create\b")
"""What ifconfig(8) is told to make."""
_CLONED = re.compile(r"(?:^|\s)(bridge|epair)([0-9]{1,5})(?=\s|:|$)")
"""What rc(8) is told to make, by cloned_interfaces in rc.conf(5)."""


def made_by_hand(file: LabFile, hosts: Mapping[str, Host]) -> Iterator[tuple[str, int]]:
    """The kind and number of each: by `bridge:`, by a host's rc.conf, and by commands of jails that the host runs."""
    jails: list[Jail] = [entry.value for entry in file.groups.values()]
    jails += [file.defaults] if file.defaults is not None else []
    for host in hosts.values():
        jails += [entry.value for entry in host.jails.values()]
        for network in host.networks.values():
            if network.value.bridge is not None:
                yield from _found(_CLONED, network.value.bridge.value)
        if "cloned_interfaces" in host.rc:
            yield from _found(_CLONED, host.rc["cloned_interfaces"].value.value)
    for jail in jails:
        for name, entry in jail.parameters.items():
            for text in entry.value if name.startswith("exec.") else ():
                yield from _found(_MAKES, text.value)


def _found(what: re.Pattern[str], text: str) -> Iterator[tuple[str, int]]:
    yield from ((kind, int(number)) for kind, number in what.findall(text))
