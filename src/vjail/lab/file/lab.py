"""A lab from a lab file: hosts with the files that are compiled for them, or with their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vjail.lab import nics
from vjail.lab.compile import compile_host
from vjail.lab.file import lock
from vjail.lab.file.description import Host, LabFile
from vjail.lab.file.load import Loaded, Read, load
from vjail.lab.file.nodes import Place, Problems
from vjail.lab.file.resolve import resolve
from vjail.lab.file.topology import PlacedHost, Topology
from vjail.lab.model import HostFile, Lab, LabError, LabHostSpec

HostFiles = Callable[[Path], tuple[dict[str, HostFile], Path | None]]
"""The files of a host's own folder and the tree over it; raises LabError."""


def topology(path: Path, read: Read) -> tuple[Topology, lock.Lock]:
    """What a lab file comes to, and the lock that keeps it so. Raises LabError."""
    loaded = load(path, read)
    found, kept = _resolve(path, loaded)
    loaded.problems.stop()
    return found, kept


def lab_of(path: Path, read: Read, host_files: HostFiles) -> Lab:
    """The lab of a lab file. Raises LabError with all mistakes."""
    loaded = load(path, read)
    file, problems = loaded.file, loaded.problems
    found, _ = _resolve(path, loaded)
    unsure = any(map(loaded.unread.may_lack, ("hosts", "jails", "networks")))
    if not file.hosts and not file.jails and not file.networks and not unsure:
        problems.say(Place(str(path)), "no hosts are given", "add `hosts:` with one entry a machine, or `jails:`")
    given = {host.name: _given(path, host, file, host_files, problems) for host in found.hosts}
    problems.stop()
    hosts = {host.name: _host(path, found, host, given[host.name], listed=bool(file.hosts)) for host in found.hosts}
    wires = dict.fromkeys((*found.wires, *(wire for host in hosts.values() for wire in host.nics.values())))
    uplinks = {name: wire.nic for name, wire in found.wires.items() if wire.nic is not None}
    cut = frozenset(name for name, wire in found.wires.items() if wire.cut)
    conditions = {name: wire.conditions for name, wire in found.wires.items() if wire.conditions}
    return Lab(found.name, path, hosts, tuple(wires), found.release, uplinks, cut, conditions)


def _resolve(path: Path, loaded: Loaded) -> tuple[Topology, lock.Lock]:
    """What a lab file comes to; a lock that cannot be read is a mistake too."""
    try:
        old = lock.read(path)
    except LabError as error:
        loaded.problems.take(error)
        old = lock.Lock()
    return resolve(path.parent.resolve().name, loaded, old)


@dataclass(frozen=True, slots=True)
class _Given:
    """What a host is given beside what is compiled: its own files, or None; its tree; where its userland is from."""

    files: Mapping[str, HostFile] | None
    tree: Path | None
    userland: str


def _given(path: Path, host: PlacedHost, file: LabFile, host_files: HostFiles, problems: Problems) -> _Given:
    """The folders that a host names."""
    own = file.hosts[host.name].value if file.hosts else Host()
    files: Mapping[str, HostFile] | None = None
    tree: Path | None = None
    if own.files is not None:
        files = {}
        folder = path.parent / own.files.value
        if not folder.is_dir():
            problems.say(own.files.place, f"{folder} is no folder", "it holds the host's rc.conf, jail.conf, …")
        else:
            try:
                files, tree = host_files(folder)
            except LabError as error:
                problems.take(error)
    elif own.tree is not None:
        tree = path.parent / own.tree.value
        if not tree.is_dir():
            problems.say(own.tree.place, f"{tree} is no folder", "it holds files as they are to lie on the host")
    userland = host.userland
    if own.userland is not None and userland not in ("machine", "minimal"):
        folder = path.parent / userland
        userland = str(folder.resolve())
        if not folder.is_dir():
            problems.say(own.userland.place, f"{folder} is no folder", "`vjail base` makes one")
    return _Given(files, tree, userland)


def _host(path: Path, found: Topology, host: PlacedHost, given: _Given, *, listed: bool) -> LabHostSpec:
    """A host of the lab. `listed`: the file lists it with its cards."""
    files = given.files
    if files is None:
        place = path.with_name(f"{path.name}:{host.name}")
        files = {name: HostFile(place / name, text.encode()) for name, text in compile_host(found, host).items()}
    return LabHostSpec(host.name, _nics(host, listed=listed), files, given.tree, given.userland)


def _nics(host: PlacedHost, *, listed: bool) -> Mapping[str, str]:
    """A host's cards with their wires; where nobody lists them, those that are named, each on a wire of its own."""
    if listed:
        return host.nics
    vlans = {bridge.uplink_interface for bridge in host.bridges if bridge.tag is not None}
    cards = [card for bridge in host.bridges for card in (bridge.uplink, bridge.nat)]
    named = [card for card in cards if card is not None and card not in vlans]
    named += [card.name for jail in host.jails for card in (*jail.cards, *jail.shared)]
    named += [vlan.parent for jail in host.jails for vlan in jail.vlans]
    return {card: f"{host.name}-{card}" for card in dict.fromkeys(named or [nics.FIRST])}
