"""A lab from a lab file: hosts with the files that are compiled for them, or with their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from vjail.lab import nics
from vjail.lab.compile import compile_host
from vjail.lab.file import lock
from vjail.lab.file.description import LabFile
from vjail.lab.file.load import Read, load
from vjail.lab.file.nodes import Place, Problems
from vjail.lab.file.resolve import resolve
from vjail.lab.file.topology import PlacedHost, Topology
from vjail.lab.model import HostFile, Lab, LabError, LabHostSpec

HostFiles = Callable[[Path], tuple[dict[str, HostFile], Path | None]]
"""The files of a host's own folder and the tree over it; raises LabError."""


def topology(path: Path, read: Read) -> tuple[Topology, lock.Lock]:
    """What a lab file comes to, and the lock that keeps it so. Raises LabError."""
    return resolve(path.parent.resolve().name, load(path, read), lock.read(path))


def lab_of(path: Path, read: Read, host_files: HostFiles) -> Lab:
    """The lab of a lab file. Raises LabError with all mistakes."""
    file = load(path, read)
    found, _ = resolve(path.parent.resolve().name, file, lock.read(path))
    problems = Problems()
    if not file.hosts and not file.jails and not file.networks:
        problems.say(Place(str(path)), "no hosts are given", "add `hosts:` with one entry a machine, or `jails:`")
    hosts = {host.name: _host(path, found, host, file, host_files, problems) for host in found.hosts}
    problems.stop()
    wires = dict.fromkeys((*found.wires, *(wire for host in hosts.values() for wire in host.nics.values())))
    uplinks = {name: wire.nic for name, wire in found.wires.items() if wire.nic is not None}
    cut = frozenset(name for name, wire in found.wires.items() if wire.cut)
    conditions = {name: wire.conditions for name, wire in found.wires.items() if wire.conditions}
    return Lab(found.name, path, hosts, tuple(wires), found.release, uplinks, cut, conditions)


def _host(
    path: Path, found: Topology, host: PlacedHost, file: LabFile, host_files: HostFiles, problems: Problems
) -> LabHostSpec:
    own = file.hosts[host.name].value if file.hosts else None
    files: dict[str, HostFile] = {}
    tree: Path | None = None
    if own is not None and own.files is not None:
        folder = path.parent / own.files.value
        if not folder.is_dir():
            problems.say(own.files.place, f"{folder} is no folder", "it holds the host's rc.conf, jail.conf, …")
        else:
            try:
                files, tree = host_files(folder)
            except LabError as error:
                for each in error.problems:
                    problems.say(Place(each.path, each.line, each.column), each.text, each.hint)
    else:
        if own is not None and own.tree is not None:
            tree = path.parent / own.tree.value
            if not tree.is_dir():
                problems.say(own.tree.place, f"{tree} is no folder", "it holds files as they are to lie on the host")
        for name, text in compile_host(found, host).items():
            files[name] = HostFile(path.with_name(f"{path.name}:{host.name}") / name, text.encode())
    userland = host.userland
    if own is not None and own.userland is not None and userland not in ("machine", "minimal"):
        userland = str((path.parent / userland).resolve())
        if not Path(userland).is_dir():
            problems.say(own.userland.place, f"{userland} is no folder", "`vjail base` makes one")
    return LabHostSpec(host.name, _nics(host, listed=own is not None), files, tree, userland)


def _nics(host: PlacedHost, *, listed: bool) -> Mapping[str, str]:
    """A host's cards with their wires; where nobody lists them, those that are named, each on a wire of its own."""
    if listed:
        return host.nics
    named = [card for bridge in host.bridges for card in (bridge.uplink, bridge.nat) if card is not None]
    named += [card.name for jail in host.jails for card in (*jail.cards, *jail.shared)]
    named += [vlan.parent for jail in host.jails for vlan in jail.vlans]
    return {card: f"{host.name}-{card}" for card in dict.fromkeys(named or [nics.FIRST])}
