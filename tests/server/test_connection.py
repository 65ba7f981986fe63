"""Connections of agents: what a signal does, whenever it comes."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from vjail.server.connection import Connection, Opening
from vjail.server.session import Streams

OPENING = (b"C\0/\0", b"Avjail\0up\0", b"VHOME=/\0")
BEGIN, INTERRUPT = b"G", b"S" + struct.pack("=I", 2)


async def told(messages: tuple[bytes, ...]) -> tuple[list[bytes], list[str]]:
    """What an agent that sends these messages at once is told until its exit code, and what was served."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    served: list[str] = []

    async def serve(opening: Opening, streams: Streams) -> int:
        served.append(" ".join(opening.argv))
        await asyncio.sleep(3600)
        return 0

    for message in messages:
        theirs.send(message)
    theirs.setblocking(False)
    Connection(ours, serve, lambda: None)
    answers: list[bytes] = []
    with theirs:
        while not answers or not answers[-1].startswith(b"E"):
            answers.append(await asyncio.wait_for(asyncio.get_running_loop().sock_recv(theirs, 1 << 16), 30))
    return answers, served


@pytest.mark.parametrize(
    "messages",
    [(*OPENING, BEGIN, INTERRUPT), (*OPENING, INTERRUPT, BEGIN), (INTERRUPT, *OPENING, BEGIN)],
    ids=["just when it begins", "just before", "first"],
)
def test_an_interrupted_command_always_ends(messages: tuple[bytes, ...]) -> None:
    answers, served = asyncio.run(told(messages))
    assert answers == [b"E" + struct.pack("=II", 130, 2)]
    assert served == []
