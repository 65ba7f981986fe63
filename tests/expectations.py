"""What the `expect:` lines of a lab file come to: who asks whom at which addresses; and a lab's files as an export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vjail.lab.export import export
from vjail.lab.file.lab import topology
from vjail.lab.file.topology import Interface, Topology
from vjail.lab.model import Lab

EXAMPLES = Path(__file__).parents[1] / "examples"
FOLDERS = tuple(sorted(path.parent.name for path in EXAMPLES.glob("*-lab/vjail.yml")))
"""The examples that are lab files."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One line: from which host and jail (empty: the host itself) which addresses are tried.

    `near` are those in a network that the asker is in too. A line `->` holds where all of these answer, or, where there
    is none, one of all addresses; a line `-x->` where none answers.
    """

    text: str
    host: str
    jail: str
    addresses: tuple[str, ...]
    near: frozenset[str]
    reaches: bool

    def holds(self, answered: set[str]) -> bool:
        """Whether the line holds, given which of the addresses answered."""
        if not self.reaches:
            return not answered
        return self.near <= answered if self.near else bool(answered)


def at(folder: Path) -> Topology:
    """What the lab file in a folder comes to."""
    return topology(folder / "vjail.yml", Path.read_bytes)[0]


def asked(found: Topology) -> Iterator[Asked]:
    """What its `expect:` asks."""
    for line in found.expectations:
        text = f"{line.source} {'->' if line.reaches else '-x->'} {line.target}"
        host, jail, own = _who(found, line.source)
        try:
            _, _, theirs = _who(found, line.target)
        except KeyError:
            yield Asked(text, host, jail, (line.target,), frozenset(), line.reaches)
            continue
        mine = {each.network for each in own}
        near = frozenset(str(each.ip) for each in theirs if each.network in mine)
        yield Asked(text, host, jail, tuple(str(each.ip) for each in theirs), near, line.reaches)


def _who(found: Topology, name: str) -> tuple[str, str, tuple[Interface, ...]]:
    """The host and the jail of that name, and the addresses. Raises KeyError for what is none."""
    for host in found.hosts:
        if host.name == name:
            own = [address for each in host.addresses.values() for address in each]
            return host.name, "", (*own, *(each for bridge in host.bridges for each in bridge.host_addresses))
        for jail in host.jails:
            if name in (jail.name, f"{host.name}:{jail.name}"):
                return host.name, jail.name, jail.addresses
    raise KeyError(name)


def as_files(lab: Lab, directory: Path) -> Path:
    """A lab of the same name whose hosts have the files that are exported, and the same cards on the same wires."""
    made = directory / lab.name
    export(lab, made / next(iter(lab.hosts)) if len(lab.hosts) == 1 else made)
    wires = ", ".join(f"{wire}: {{}}" for wire in lab.wires)
    lines = [f"wires: {{{wires}}}", "hosts:"]
    for name, spec in lab.hosts.items():
        nics = ", ".join(f"{nic}: {wire}" for nic, wire in spec.nics.items())
        lines.append(f"  {name}: {{files: {name}, nics: {{{nics}}}}}")
    (made / "vjail.yml").write_text("\n".join(lines) + "\n")
    return made
