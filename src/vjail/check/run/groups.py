"""Jails that share nothing are looked at apart: what they do commutes.

Shared is what one jail makes, changes or unmakes and another names: an interface (a bridge that jails only join does
not count), the place of a mount, a file, a jail, an address on the host's stack, a script of the host's own. Interfaces
that get the next free number count only beside some that are named by theirs: otherwise which number it is changes
nothing but names and MAC addresses.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from vjail.check.examples import example_lines
from vjail.check.ifconfig import of_jail
from vjail.check.subject import JailSubject
from vjail.conf.fstab import mount_line
from vjail.jail.phases import Where
from vjail.rehearsal.programs import PROGRAMS

_PATH = re.compile(r"(?:^|[>\s=])(/(?:tmp|var|etc|run)/[\w./-]+)")
_SAFE = ("/etc/rc", "/etc/rc.shutdown", "/etc/rc.d/jail")
_OWN = re.compile(r"(?:^|[;&|(]\s*)(/(?!s?bin/|usr/s?bin/|etc/rc)[\w./-]+)")
"""A program that is none of the base system's."""
_USES = "uses "
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
    for resource in [each for each in owners if each.startswith(_USES)]:
        # Who only uses something is bound to who changes it, not to others who use it.
        changing = owners.get(resource.removeprefix(_USES))
        users = owners.pop(resource)
        if changing:
            changing += users
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


def share(one: AbstractSet[str], other: AbstractSet[str]) -> bool:
    """Whether two jails with these resources have to do with one another."""
    return any(
        (not each.startswith(_USES) and each in there) or f"{_USES}{each}" in there
        for here, there in ((one, other), (other, one))
        for each in here
    )


def resources(jail: JailSubject, known: AbstractSet[str]) -> set[str]:
    """What a jail has to do with and another might have too; `known`: the names of all jails.

    What it does not change but use stands there with `uses ` before it.
    """
    found = {f"jail {jail.name}"}
    found |= {f"jail {name}" for name in jail.checked.pseudo.depend}
    found |= {f"jail {jail.name[:at]}" for at, character in enumerate(jail.name) if character == "."}
    found |= {f"interface {_unit(name)}" for name in jail.interfaces}
    for line in of_jail(jail):
        inside = line.jail is not None and line.jail == jail.name
        if line.jail in known and not inside:
            found.add(f"jail {line.jail}")
        if inside:
            # What is renamed in the jail comes home by that name.
            found |= {f"interface {each.arguments[0]}" for each in line.settings if each.word == "name"}
            continue
        words = {setting.word for setting in line.settings} | ({"create"} if line.creates else set())
        bridge = line.interface
        if line.creates and bridge is not None and bridge.isalpha():
            found.add(f"next {bridge}")
        if bridge is not None and (words & _CHANGING or line.given is not None):
            found.add(f"interface {_unit(bridge)}")
        for setting in line.settings:
            if setting.word in ("addm", "deletem", "name") and setting.arguments and setting.arguments[0] is not None:
                found.add(f"interface {_unit(setting.arguments[0])}")
    for example in example_lines(jail):
        found.add(f"interfaces of {example.name}")
        found |= {"next epair", "next bridge"} if example.makes else set()
    for each in jail.lines:
        text = each.value.text
        found |= {f"file {path}" for path in _PATH.findall(text) if path not in _SAFE}
        words = _words(text)
        found |= {f"jail {name}" for name in words & known if name != jail.name}
        if each.where is Where.HOST:
            found |= {f"{_USES}interface {_unit(word)}" for word in words}
            found |= {f"file {word}" for word in _OWN.findall(text) if posixpath.basename(word) not in PROGRAMS}
    for text in (*jail.checked.pseudo.mount, *jail.checked.fstab):
        mount = mount_line(text)
        if mount is not None:
            found.add(f"mount {mount.file}")
    path = jail.jail.text("path")
    if path is not None and path != "/":
        found.add(f"root {path}")
    found |= {f"address {each.address}" for each in jail.checked.addresses}
    # Who makes one of any number may make just this one.
    numbered = (re.fullmatch(r".*interface ([a-z]+)\d+", each) for each in found)
    return found | {f"{_USES}next {name[1]}" for name in numbered if name is not None}


def _unit(name: str) -> str:
    """What two ends of an epair have in common."""
    return re.sub(r"^(epair\d+)[ab]$", r"\1", name)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w.-]+", text))
