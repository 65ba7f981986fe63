"""Jails that share nothing are looked at apart: what they do commutes.

Shared is what two jails both name: an interface (a bridge that jails only join does not count), the place of a mount, a
file written, a jail, an address on the host's stack. Interfaces that get the next free number do not count either:
which number it is changes nothing but names and MAC addresses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from vjail.check.examples import example_lines
from vjail.check.ifconfig import of_jail
from vjail.check.subject import JailSubject
from vjail.conf.fstab import mount_line

_PATH = re.compile(r"(?:^|[>\s=])(/(?:tmp|var|etc|run)/[\w./-]+)")
_SAFE = ("/etc/rc", "/etc/rc.shutdown", "/etc/rc.d/jail")
_CHANGING = frozenset(
    ("destroy", "create", "plumb", "unplumb", "vnet", "name", "down", "mtu", "ether", "link", "lladdr")
)


def groups(jails: Sequence[JailSubject]) -> list[list[JailSubject]]:
    """The jails in independent groups, each in the order of the file."""
    names = {jail.name for jail in jails}
    owners: dict[str, list[int]] = {}
    for place, jail in enumerate(jails):
        for resource in resources(jail, names):
            owners.setdefault(resource, []).append(place)
    parent = list(range(len(jails)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for places in owners.values():
        for place in places[1:]:
            parent[root(place)] = root(places[0])
    found: dict[int, list[JailSubject]] = {}
    for place, jail in enumerate(jails):
        found.setdefault(root(place), []).append(jail)
    return list(found.values())


def resources(jail: JailSubject, known: AbstractSet[str]) -> set[str]:
    """What a jail has to do with and another might have too; `known`: the names of all jails."""
    found = {f"jail {jail.name}"}
    found |= {f"jail {name}" for name in jail.checked.pseudo.depend}
    found |= {f"jail {jail.name[:at]}" for at, character in enumerate(jail.name) if character == "."}
    found |= {f"interface {_unit(name)}" for name in jail.interfaces}
    for line in of_jail(jail):
        inside = line.jail is not None and line.jail == jail.name
        if line.jail in known and not inside:
            found.add(f"jail {line.jail}")
        if inside:
            continue
        words = {setting.word for setting in line.settings} | ({"create"} if line.creates else set())
        bridge = line.interface
        if bridge is not None and (words & _CHANGING or line.given is not None):
            found.add(f"interface {_unit(bridge)}")
        for setting in line.settings:
            if setting.word in ("addm", "deletem") and setting.arguments and setting.arguments[0] is not None:
                found.add(f"interface {_unit(setting.arguments[0])}")
    for example in example_lines(jail):
        found.add(f"interfaces of {example.name}")
    for each in jail.lines:
        text = each.value.text
        found |= {f"file {path}" for path in _PATH.findall(text) if path not in _SAFE}
        found |= {f"jail {name}" for name in _words(text) & known if name != jail.name}
    for text in (*jail.checked.pseudo.mount, *jail.checked.fstab):
        mount = mount_line(text)
        if mount is not None:
            found.add(f"mount {mount.file}")
    path = jail.jail.text("path")
    if path is not None and path != "/":
        found.add(f"root {path}")
    found |= {f"address {each.address}" for each in jail.checked.addresses}
    return found


def _unit(name: str) -> str:
    """What two ends of an epair have in common."""
    return re.sub(r"^(epair\d+)[ab]$", r"\1", name)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w.-]+", text))
