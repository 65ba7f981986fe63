"""A host on which scripts of rc.d run: rc.conf in memory, interfaces that appear and go as ifconfig(8) is called."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from hostfake import FakeSession, Machine, VirtualFiles, run_now

from vjail.command.hostname import hostname
from vjail.command.rc.subr import run_script
from vjail.command.rc.table import script
from vjail.command.service import service
from vjail.command.sysctl import sysctl
from vjail.command.sysrc import sysrc
from vjail.kernel.core.modules import KernelImage
from vjail.kernel.observed import Address, Iff, Interface, Kind
from vjail.lab.etc import default_rc_conf
from vjail.release import Release
from vjail.session import ProcessInfo

COMMANDS: dict[str, Callable[[Any], Any]] = {
    "sysctl": sysctl,
    "hostname": hostname,
    "sysrc": sysrc,
    "service": service,
}


class RcHost:
    """The host, or with `jid` a jail of it; what scripts print and call is kept by the last session."""

    def __init__(
        self,
        rc_conf: str = "",
        interfaces: Iterable[str] = ("em0", "lo0"),
        *,
        jid: int = 0,
        image: KernelImage | None = None,
        release: Release = Release.V13,
        **jail: bool | int | str,
    ) -> None:
        directories = ["/dev", "/tmp", "/var/run", "/var/log", "/etc/rc.d", "/usr/local/etc/rc.d"]
        files = {"/etc/defaults/rc.conf": default_rc_conf(), "/etc/rc.conf": rc_conf}
        self.machine = Machine(VirtualFiles(files, directories), image=image, release=release)
        self.files = self.machine.files
        self.jid = jid
        if jid:
            self.machine.jails.add(jid, f"jail{jid}", "/", **jail)
        self.vnet = self.machine.jails.jails[jid].vnet
        self.processes: list[ProcessInfo] = []
        self.results: dict[tuple[str, ...], int] = {}
        """The exit codes of commands that fail."""
        for name in interfaces:
            self.add(name)
        self.session = self.new_session()

    def new_session(self, *argv: str) -> FakeSession:
        self.session = FakeSession(self.machine, argv, jid=self.jid, commands=COMMANDS)
        self.session.effects.append(self._ifconfig)
        self.session.process_list = self.processes
        self.session.results = self.results
        return self.session

    def script(self, name: str, *words: str) -> int:
        """`/etc/rc.d/NAME WORDS`."""
        found = script(name, self.machine.release)
        assert found is not None
        session = self.new_session()
        return run_now(lambda session: run_script(session, found, words, f"/etc/rc.d/{name}"), session)

    def typed(self, line: str) -> int:
        """A command line whose program is among `COMMANDS`."""
        argv = shlex.split(line)
        return run_now(COMMANDS[posixpath.basename(argv[0])], self.new_session(*argv))

    def calls(self, program: str) -> list[str]:
        """The words after a program's name, as it was called."""
        return [shlex.join(call[1:]) for call in self.session.calls if posixpath.basename(call[0]) == program]

    def add(self, name: str, *addresses: Address) -> None:
        """Make an interface."""
        network = self.machine.interfaces.setdefault(self.vnet, {})
        kind = Kind.LOOPBACK if name == "lo0" else Kind.NIC
        network[name] = Interface(name, len(network) + 1, kind, Iff(0), 1500, addresses=addresses)

    def names(self) -> list[str]:
        return list(self.machine.interfaces.get(self.vnet, {}))

    def _ifconfig(self, argv: tuple[str, ...]) -> None:
        """What ifconfig(8) changes of which interfaces there are, and that a created one is named."""
        if posixpath.basename(argv[0]) != "ifconfig" or self.results.get(argv, 0):
            return
        network = self.machine.interfaces.setdefault(self.vnet, {})
        words = [word for word in argv[1:] if word != "-n"]
        match words:
            case [name, "create", *_]:
                if name == "vlan":
                    name = "vlan0"
                halves = [f"{name}a", f"{name}b"] if name.startswith("epair") else [name]
                for half in halves:
                    self.add(half)
            case [name, "destroy"]:
                gone = [name]
                if name.startswith("epair"):
                    gone = [f"{name[:-1]}a", f"{name[:-1]}b"]
                for each in gone:
                    network.pop(each, None)
            case [name, "name", new]:
                order = [replace(each, name=new) if each.name == name else each for each in network.values()]
                network.clear()
                network.update({each.name: each for each in order})
