"""The server of a lab: one process inside the lab's namespaces that answers every command given in it and about it.

It decides nothing that must outlive it: what there is lies in the kernel and in state.db, and a server that takes the
place of one that has gone goes on where that one was. It ends with the lab (kernel/linux/anchor.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vjail.command import registry
from vjail.kernel.linux import spaces
from vjail.kernel.linux.anchor import agent_binary
from vjail.kernel.linux.hands import Hands
from vjail.kernel.linux.spaces import LabSpace
from vjail.kernel.linux.wires import Wires, nic_address
from vjail.lab.model import Lab, LabHostSpec
from vjail.lab.runtime import CONTROL, STATE
from vjail.release import Release
from vjail.server import requests
from vjail.server.connection import Connection, Opening
from vjail.server.host import LabHost
from vjail.server.peers import Peer, peer_of
from vjail.server.processes import numbers
from vjail.server.provision import Provisioner
from vjail.server.session import AgentSession, Caller, Streams, run
from vjail.server.store import Store

_LAB = ""
"""The name under which the store keeps what is of the lab, and of no host."""


class Server:
    """The server of the lab with this run-time folder; `tree` is what of it only the lab sees."""

    def __init__(self, folder: Path, tree: Path, *, rootless: bool) -> None:
        self._folder = folder
        self._tree = tree
        self._loop = asyncio.get_running_loop()
        self.lab = LabSpace.here(Hands.connect(), rootless=rootless)
        self._store = Store(folder / STATE, lambda commit: self._loop.call_soon(commit))
        self._journal = self._store.host(_LAB)
        self._agent = agent_binary().read_bytes()
        self._wires = Wires(self.lab)
        self._connections: set[Connection] = set()
        self._strangers = 20_000
        self.origin = Path((folder / "lab").read_text().rstrip("\n"))
        self.name = (self.origin.parent if self.origin.is_file() else self.origin).name
        self.hosts: dict[str, LabHost] = {}
        self.provisioner = Provisioner(tree, self.lab)
        self._template = self._open_template()
        for name, record in self._journal.records("host"):
            self._restore(name, record)
        self._store.commit()

    def _open_template(self) -> int:
        pin = self._tree / "template"
        if not pin.exists() or not os.path.ismount(pin):
            spaces.make_template(self.lab, pin)
        return os.open(pin, os.O_RDONLY | os.O_CLOEXEC)

    # --- hosts -------------------------------------------------------------------------------------------------------

    def root_of(self, host: str) -> Path:
        """The folder that is, or will be, the root of a host."""
        return self._tree / "hosts" / host / "root"

    def make_host(self, lab: Lab, spec: LabHostSpec, hidden: list[str]) -> LabHost:
        """Let a host run whose tree is there: its namespaces, its NICs on their wires. `hidden`: mounts in the tree."""
        (self._tree / "hosts" / spec.name / "jails").mkdir()
        space = spaces.make_host(self.lab, self.root_of(spec.name), spec.name)
        nics = {nic: nic_address(lab.name, spec.name, nic) for nic in spec.nics}
        for nic, wire in spec.nics.items():
            self._wires.plug(wire, space.namespaces["net"], {nic: nics[nic]})
        host = self._host(spec.name, space, lab.release)
        host.nics.update(spec.nics)
        host.create(nics)
        self.hosts[spec.name] = host
        self.note(host, hidden)
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
        }
        self._journal.put("host", host.name, record)

    def _restore(self, name: str, record: Mapping[str, Any]) -> None:
        host = self._host(name, spaces.open_host(record["init"]), Release.parse(record["release"]))
        host.mount_driver.hidden.update(record["hidden"])
        host.nics.update(record["nics"])
        host.restore()
        self.hosts[name] = host

    def _host(self, name: str, space: spaces.HostSpace, release: Release) -> LabHost:
        return LabHost(
            name,
            self.lab,
            space,
            self._tree / "hosts" / name / "jails",
            self._template,
            self._store.host(name),
            release=release,
            agent=self._agent,
            accept=self._accept_client,
        )

    # --- who calls ---------------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Answer vjail's commands, which find the server by its socket in the run-time folder."""
        path = self._folder / CONTROL
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        # The path may be longer than a socket's address holds.
        os.chdir(self._folder)
        listening.bind(CONTROL)
        os.chdir("/")
        path.chmod(0o600)
        listening.listen(128)
        self._loop.add_reader(listening.fileno(), self._accept_request, listening)

    def _accept_request(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:
            return

        async def serve(opening: Opening, streams: Streams) -> int:
            return await requests.answer(self, opening, streams)

        self._begin(connection, serve)

    def _accept_client(self, host: LabHost, connection: socket.socket) -> None:
        peer = peer_of(connection)
        jid = host.jail_of(peer.mounts) if peer is not None else None
        if peer is None or jid is None:
            connection.close()
            return
        caller = self._caller(jid, peer)

        async def serve(opening: Opening, streams: Streams) -> int:
            path = registry.answering(opening.argv[0])
            if path is None:
                streams.write(2, f"{opening.argv[0]}: vjail has no command of that name\n")
                return 127
            words = (os.path.basename(opening.argv[0]), *opening.argv[1:])
            session = AgentSession(host, caller(words, opening), streams)
            return await run(session, path)

        self._begin(connection, serve)

    @staticmethod
    def _caller(jid: int, peer: Peer) -> Callable[[tuple[str, ...], Opening], Caller]:
        own = numbers(peer.pid)
        return lambda words, opening: Caller(
            jid=jid,
            outside=False,
            uid=peer.uid,
            gid=peer.gid,
            pid=own[1] if len(own) > 1 else peer.pid,
            argv=words,
            environ=opening.environ,
            cwd=opening.cwd,
            terminals=opening.terminals,
        )

    def stranger(self) -> int:
        """A process number for a command from outside the lab, which has none in it."""
        self._strangers += 1
        return self._strangers

    def _begin(self, socket: socket.socket, serve: Callable[[Opening, Streams], Awaitable[int]]) -> None:
        connection = Connection(socket, serve, lambda: self._connections.discard(connection))
        self._connections.add(connection)


def main(words: list[str]) -> int:
    """`python -m vjail.server FOLDER [--rootless]`: serve the lab of this run-time folder for as long as it lives."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    folder = Path(words[0])
    asyncio.run(_serve(folder, rootless="--rootless" in words))
    return 0


async def _serve(folder: Path, *, rootless: bool) -> None:
    server = Server(folder, folder / "tree", rootless=rootless)
    server.listen()
    # What there is by now stays; the collector need not look at it again.
    gc.freeze()
    os.write(3, b"ready")
    os.close(3)
    await asyncio.get_running_loop().create_future()
