"""A lab file as it is looked at: its hosts, each jail with the keys that it has from groups and defaults.

Whoever finds mistakes tells them here, and asks here before whether what seems to be missing could not be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface

from vjail.lab.file.description import Host, Jail
from vjail.lab.file.load import Loaded
from vjail.lab.file.nodes import At, Place, nearest
from vjail.lab.file.topology import Interface

ONE_HOST = "fbsd"
Keys = tuple[str, ...]
"""The keys that lead to a piece of the file."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A jail to be, one of its replicas: its keys with those of its groups, and which replica it is."""

    name: str
    jail: Jail
    place: Place
    origins: tuple[Keys, ...]
    """Where its keys are from: its own, its groups', the defaults."""
    whole: bool = True
    """Whether all its groups are there."""
    step: int = 0


class Ground:
    """A lab file, the mistakes that are found in it, and what of it could not be read."""

    def __init__(self, loaded: Loaded) -> None:
        self.file = loaded.file
        self.problems = loaded.problems
        self.unread = loaded.unread

    def say(self, place: Place, text: str, hint: str = "") -> None:
        """A mistake, and what is expected instead or to be done."""
        self.problems.say(place, text, hint)

    def hosts(self) -> dict[str, Host]:
        """The hosts by name; of a lab without `hosts:` the one that all is on."""
        file = self.file
        if not file.hosts:
            place = file.place
            return {ONE_HOST: Host(networks=file.networks, jails=file.jails, links=file.links, place=place)}
        return {name: entry.value for name, entry in file.hosts.items()}

    def called(self, host: str, jail: str) -> str:
        """A jail's name where several hosts have some."""
        return f"{host}:{jail}" if self.file.hosts else jail

    def copies(self, host: str, given: Host) -> Iterator[Copy]:
        """The jails with the keys of their groups and the defaults, each replica by itself."""
        seen: dict[str, Place] = {}
        for name, entry in given.jails.items():
            jail = entry.value
            defaults = self.file.defaults
            origins: list[Keys] = [(*self.keys(host), "jails", name), ("defaults",)]
            whole = True
            for group in reversed(jail.group or (defaults.group if defaults is not None else ())):
                known = self.file.groups.get(group.value)
                origins.append(("groups", group.value))
                if known is not None:
                    jail = jail.over(known.value)
                    continue
                whole = False
                if not self.unread.may_have("groups", group.value):
                    hint = nearest(group.value, self.file.groups) or "define it under `groups:`"
                    self.say(group.place, f"there is no group {group.value!r}", hint)
            if defaults is not None:
                jail = jail.over(defaults)
            count = jail.replicas.value if jail.replicas is not None else None
            names = [name] if count is None else [f"{name}{number}" for number in range(1, count + 1)]
            for step, each in enumerate(names):
                if each in seen:
                    self.say(entry.name.place, f"jail {each} is there already", "another name")
                seen[each] = entry.name.place
                yield Copy(each, jail, entry.name.place, tuple(origins), whole, step)

    def keys(self, host: str) -> Keys:
        """The keys that lead to a host's networks, jails and links."""
        return ("hosts", host) if self.file.hosts else ()

    def lacks(self, copy: Copy, *keys: str) -> bool:
        """Whether what a jail has at these keys is not, or not wholly, known."""
        return not copy.whole or any(self.unread.at(*origin, *keys) for origin in copy.origins)

    def may_be_jail(self, host: str, name: str) -> bool:
        """Whether a host may have a jail that seems not to be there."""
        jails = (*self.keys(host), "jails")
        if self.unread.may_have(*jails, name):
            return True
        several = name.rstrip("0123456789")
        replicas = ((*jails, several, "replicas"), ("defaults", "replicas"))
        return several != name and any(self.unread.at(*keys) for keys in replicas)

    def lacks_of_network(self, host: str, name: str, key: str) -> bool:
        """Whether what a network has at a key is not, or not wholly, known."""
        return self.unread.at(*self.keys(host), "networks", name, key)

    # --- addresses that stand by themselves ---------------------------------------------------------------------------

    def is_plain(self, written: At[str]) -> bool:
        """Whether an address means something without a network; told, where it does not."""
        if written.value == "auto" or written.value.startswith("."):
            self.say(written.place, f"{written.value} means something in a network only", "the whole address")
            return False
        return True

    def whole(self, written: Sequence[At[str]]) -> tuple[Interface, ...]:
        """Addresses that stand by themselves, each with its length."""
        found: list[Interface] = []
        for each in written:
            if not self.is_plain(each):
                continue
            try:
                address = ip_interface(each.value)
            except ValueError:
                self.say(each.place, f"{each.value} is no address", "10.0.0.5/24 or fd00::5/64")
                continue
            found.append(address)
        return tuple(found)

    def long(self, written: Sequence[At[str]]) -> tuple[Interface, ...]:
        """Addresses that stand by themselves, whose length nothing else tells."""
        found = self.whole(written)
        for each, address in zip(written, found, strict=False):
            if "/" not in each.value and len(found) == len(written):
                usual = 24 if address.version == 4 else 64
                self.say(each.place, f"{each.value} has no length", f"as {each.value}/{usual}")
        return found
