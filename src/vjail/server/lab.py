"""A lab that runs: its hosts and what they are made in, as the server holds them.

It decides nothing that must outlive it: what there is lies in the kernel and in state.db, and a server that takes the
place of one that has gone goes on where that one was.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vjail.kernel.errno import KernelError
from vjail.kernel.linux import spaces
from vjail.kernel.linux.anchor import Unable, agent_binary
from vjail.kernel.linux.groups import Groups
from vjail.kernel.linux.hands import Hands
from vjail.kernel.linux.spaces import LabSpace
from vjail.kernel.linux.wires import Wires
from vjail.lab.configured import made_with
from vjail.lab.model import Lab, LabHostSpec
from vjail.lab.runtime import STATE
from vjail.release import Release
from vjail.server.host import LabHost
from vjail.server.provision import Provisioner
from vjail.server.store import Store
from vjail.server.wiring import Wiring

_log = logging.getLogger(__name__)
_LAB = ""
"""The name under which the store keeps what is of the lab, and of no host."""


class RunningLab:
    """The lab with this run-time folder; `tree` is what of it only the lab sees.

    `accept` is handed the connection of each command that is typed on one of its hosts.
    """

    def __init__(
        self, folder: Path, tree: Path, *, rootless: bool, accept: Callable[[LabHost, socket.socket], None]
    ) -> None:
        self._folder = folder
        self._tree = tree
        self._accept = accept
        self._groups: Groups | Unable | None = None
        self.space = LabSpace.here(Hands.connect(), rootless=rootless)
        loop = asyncio.get_running_loop()
        self._store = Store(folder / STATE, lambda commit: loop.call_soon(commit))
        self._journal = self._store.host(_LAB)
        self._agent = agent_binary().read_bytes()
        self._strangers = 20_000
        self.origin = Path((folder / "lab").read_text().rstrip("\n"))
        self.name = (self.origin.parent if self.origin.is_file() else self.origin).name
        self.hosts: dict[str, LabHost] = {}
        self.wiring = Wiring(Wires(self.space), self._journal, self.name, self.hosts)
        self.changing = asyncio.Lock()
        """Held by who starts or stops jails."""
        self.provisioner = Provisioner(tree, self.space)
        self._template = self._open_template()
        known: dict[str, dict[str, Any]] = dict(self._journal.records("host"))
        self._clear_away(known)
        for name, record in sorted(known.items(), key=lambda item: item[1]["place"]):
            self._restore(name, record)
        self._store.commit()

    def _open_template(self) -> int:
        pin = self._tree / "template"
        if not pin.exists() or not os.path.ismount(pin):
            spaces.make_template(self.space, pin)
        return os.open(pin, os.O_RDONLY | os.O_CLOEXEC)

    def root_of(self, host: str) -> Path:
        """The folder that is, or will be, the root of a host."""
        return self._tree / "hosts" / host / "root"

    def make_host(self, lab: Lab, spec: LabHostSpec, hidden: list[str]) -> LabHost:
        """Let a host run whose tree is there: its namespaces, its NICs on their wires. `hidden`: mounts in the tree.

        Until it is noted, which is for when it has booted, a server that takes over takes it for something half done.
        """
        (self._tree / "hosts" / spec.name / "jails").mkdir()
        space = spaces.make_host(self.space, self.root_of(spec.name), spec.name)
        nics = self.wiring.plug(spec.name, space.namespaces["net"], spec.nics)
        host = self._host(spec.name, space, lab.release)
        host.nics.update(spec.nics)
        host.made.update(made_with(spec))
        host.create(nics)
        self.wiring.settle(host)
        host.mount_driver.hidden.update(hidden)
        self.hosts[spec.name] = host
        return host

    def note(self, host: LabHost, hidden: Iterable[str]) -> None:
        """Record a host for later servers, with further mounts that are no mounts on FreeBSD."""
        host.mount_driver.hidden.update(hidden)
        hidden = sorted(host.mount_driver.hidden)
        record: dict[str, object] = {
            "init": host.space.init,
            "release": str(host.release),
            "hidden": hidden,
            "nics": host.nics,
            "made": host.made,
            # Hosts that boot side by side are noted in any order.
            "place": list(self.hosts).index(host.name),
        }
        self._journal.put("host", host.name, record)

    def rewire(self, host: LabHost, cards: Mapping[str, str]) -> None:
        """Let a host that runs have these cards, each on its wire. Raises OSError, KernelError."""
        try:
            self.wiring.rewire(host, cards)
        finally:
            self.note(host, ())

    def note_starting(self, host: str, jail: str, starting: bool) -> None:
        """Record that a jail of a host is just being started, or is not, for a later server to take it back."""
        if starting:
            self._journal.put("starting", f"{host}:{jail}", {"host": host, "jail": jail})
        else:
            self._journal.drop("starting", f"{host}:{jail}")

    def half_started(self, host: str) -> list[str]:
        """The jails that another server was starting when it died, in the order in which they began."""
        records: list[Any] = [record for _, record in self._journal.records("starting")]
        return [record["jail"] for record in records if record["host"] == host]

    def note_older(self, host: str, jail: str, path: str, jid: int) -> None:
        """Record that a jail that runs was started with an older jail.conf, which is kept on its host."""
        self._journal.put("older", f"{host}:{jail}", {"host": host, "jail": jail, "path": path, "jid": jid})

    def forget_older(self, host: str, jail: str) -> None:
        """A jail is as its host's jail.conf says."""
        self._journal.drop("older", f"{host}:{jail}")

    def older(self, host: str) -> dict[str, tuple[str, int]]:
        """The jails of a host with an older jail.conf: where it is, and the number of the jail that it is of."""
        records: list[Any] = [record for _, record in self._journal.records("older")]
        return {each["jail"]: (each["path"], each["jid"]) for each in records if each["host"] == host}

    def note_laid(self, host: str, names: Iterable[str]) -> None:
        """Record which files of a host's /etc its lab brought."""
        self._journal.put("laid", host, {"names": sorted(names)})

    def laid(self, host: str) -> list[str]:
        """The files that the lab brought."""
        found: list[Any] = [record["names"] for name, record in self._journal.records("laid") if name == host]
        return found[0] if found else []

    def note_in_force(self, host: str, values: Mapping[str, str | None]) -> None:
        """Record the variables of rc.conf that a host goes by otherwise than its file says by now; None: not set."""
        self._journal.put("in force", host, dict(values))

    def in_force(self, host: str) -> dict[str, str | None]:
        """These variables."""
        found: list[Any] = [record for name, record in self._journal.records("in force") if name == host]
        return found[0] if found else {}

    def settle(self) -> None:
        """Let everything be as the hosts' kernels have it."""
        for host in self.hosts.values():
            host.settle()

    def drop_host(self, host: LabHost) -> None:
        """Take a host away, whatever state it is in."""
        del self.hosts[host.name]
        self.wiring.forget(host)
        host.close()
        self._end_host(host.name, host.space.init)

    def _end_host(self, name: str, init: int) -> None:
        spaces.end_host(init)
        self.provisioner.discard(self._tree / "hosts" / name)
        self._journal.drop("host", name)
        self._journal.drop("laid", name)
        self._journal.drop("in force", name)
        for jail in self.half_started(name):
            self.note_starting(name, jail, False)
        for jail in self.older(name):
            self.forget_older(name, jail)
        self._store.forget(name)

    def _clear_away(self, known: Mapping[str, Mapping[str, Any]]) -> None:
        """End hosts that another server was making when it died."""
        inits = {record["init"] for record in known.values()}
        for init in spaces.host_inits():
            if init not in inits:
                spaces.end_host(init)
        hosts = self._tree / "hosts"
        for folder in hosts.iterdir() if hosts.exists() else ():
            if folder.name not in known:
                self.provisioner.discard(folder)
                self._store.forget(folder.name)

    def _restore(self, name: str, record: Mapping[str, Any]) -> None:
        host = self._host(name, spaces.open_host(record["init"]), Release.parse(record["release"]))
        host.mount_driver.hidden.update(record["hidden"])
        host.nics.update(record["nics"])
        host.made.update(record["made"])
        host.restore()
        try:
            self.wiring.rewire(host, dict(host.nics))
        except (OSError, KernelError):
            _log.exception("host %s: its cards", name)
        self.hosts[name] = host

    def _host(self, name: str, space: spaces.HostSpace, release: Release) -> LabHost:
        return LabHost(
            name,
            self.space,
            space,
            self._tree / "hosts" / name / "jails",
            self._template,
            self._store.host(name),
            release=release,
            agent=self._agent,
            groups=self._control_groups,
            accept=self._accept,
        )

    def _control_groups(self) -> Groups:
        """The lab's control groups, made when they are first needed. Raises Unable."""
        if self._groups is None:
            try:
                if self.space.rootless:
                    raise Unable("only root may attach eBPF programs to control groups")
                self._groups = Groups.open(self._folder)
            except Unable as error:
                self._groups = error
        if isinstance(self._groups, Unable):
            raise self._groups
        return self._groups

    def stranger(self) -> int:
        """A process number for a command from outside the lab, which has none in it."""
        self._strangers += 1
        return self._strangers
