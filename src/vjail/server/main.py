"""The server of a lab: one process inside the lab's namespaces that answers every command given in it and about it.

It ends with the lab (kernel/linux/anchor.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from vjail.command import registry
from vjail.lab.runtime import CONTROL
from vjail.lab.server_process import READY, join_lab
from vjail.server import requests
from vjail.server.connection import Connection, Opening
from vjail.server.host import LabHost
from vjail.server.lab import RunningLab
from vjail.server.peers import Peer, peer_of
from vjail.server.processes import numbers
from vjail.server.session import AgentSession, Caller, Streams, run

_MOST_CLIENTS = 256
"""Commands that one jail may have at work at once, so that it cannot use up what all jails share."""


class Server:
    """The server of the lab with this run-time folder; `tree` is what of it only the lab sees."""

    def __init__(self, folder: Path, tree: Path, *, rootless: bool) -> None:
        self._folder = folder
        self._connections: set[Connection] = set()
        self._clients: Counter[tuple[str, int]] = Counter()
        self._lab = RunningLab(folder, tree, rootless=rootless, accept=self._accept_client)

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
        asyncio.get_running_loop().add_reader(listening.fileno(), self._accept_request, listening)

    def _accept_request(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:
            return

        async def serve(opening: Opening, streams: Streams) -> int:
            return await requests.answer(self._lab, opening, streams)

        self._begin(connection, serve)

    def _accept_client(self, host: LabHost, connection: socket.socket) -> None:
        peer = peer_of(connection)
        jid = host.jail_of(peer.mounts) if peer is not None else None
        if peer is None or jid is None:
            connection.close()
            return
        place = host.name, jid
        if jid and self._clients[place] >= _MOST_CLIENTS:
            connection.close()
            return
        self._clients[place] += 1
        caller = self._caller(jid, peer)

        async def serve(opening: Opening, streams: Streams) -> int:
            path = registry.answering(opening.argv[0])
            if path is None:
                streams.write(2, f"{opening.argv[0]}: vjail has no command of that name\n")
                return 127
            words = (os.path.basename(opening.argv[0]), *opening.argv[1:])
            session = AgentSession(host, caller(words, opening), streams)
            try:
                return await run(session, path)
            finally:
                host.settle()

        self._begin(connection, serve, lambda: self._clients.subtract((place,)))

    @staticmethod
    def _caller(jid: int, peer: Peer) -> Callable[[tuple[str, ...], Opening], Caller]:
        own = numbers(peer.pid)
        return lambda words, opening: Caller(
            jid=jid,
            at=jid,
            outside=False,
            uid=peer.uid,
            gid=peer.gid,
            pid=own[1] if len(own) > 1 else peer.pid,
            argv=words,
            environ=opening.environ,
            cwd=opening.cwd,
            terminals=opening.terminals,
        )

    def _begin(
        self,
        socket: socket.socket,
        serve: Callable[[Opening, Streams], Awaitable[int]],
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        def over() -> None:
            self._connections.discard(connection)
            ended()

        connection = Connection(socket, serve, over)
        self._connections.add(connection)


def main(words: list[str]) -> int:
    """`python -m vjail.server FOLDER`: serve the lab of this run-time folder for as long as it lives."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    # Each vnet and each jail takes some descriptors.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    folder = Path(words[0])
    asyncio.run(_serve(folder, rootless=join_lab(folder)))
    return 0


async def _serve(folder: Path, *, rootless: bool) -> None:
    server = Server(folder, folder / "tree", rootless=rootless)
    server.listen()
    # What there is by now stays; the collector need not look at it again.
    gc.freeze()
    gc.enable()
    # Hundreds of jails are many objects that stay, too, and hardly any of them are in circles.
    gc.set_threshold(5_000, 20, 100)
    # Whoever started this may have been killed meanwhile.
    with contextlib.suppress(BrokenPipeError):
        os.write(READY, b"ready")
    os.close(READY)
    await asyncio.get_running_loop().create_future()
