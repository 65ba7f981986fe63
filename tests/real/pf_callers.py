"""What tests of pf's limits run on lab hosts; it needs nothing but Python.

`serve PORT…` greets who connects, and hangs up when he does. `call FILE SOURCE ADDRESS PORT EXPECTED…` opens
connections one after the other, writes to FILE how each went, and keeps them until that file has gone. `served`: it
was greeted; `silent`: it stands, and nothing comes; `lost`: nobody answers.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from pathlib import Path

_GREETING = b"hello"
_PATIENCE = 30.0
"""Seconds in which what is expected comes on a busy machine too."""
_DOUBT = 0.5
"""Seconds in which what is not to come would have come."""
_LONGEST = 300.0


def serve(ports: list[int]) -> None:
    """Greet, for five minutes at most."""
    both = [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
    listening = [
        socket.create_server((address, port), family=family, backlog=64) for family, address in both for port in ports
    ]
    for each in listening:
        each.setblocking(False)
    kept: list[socket.socket] = []
    print("ready", flush=True)
    sys.stdout.close()
    deadline = time.monotonic() + _LONGEST
    while time.monotonic() < deadline:
        for each in listening:
            try:
                connection, _ = each.accept()
            except BlockingIOError:
                continue
            connection.send(_GREETING)
            kept.append(connection)
        for hung_up in select.select(kept, [], [], 0.01)[0]:
            kept.remove(hung_up)
            hung_up.close()


def call(file: Path, source: str, address: str, port: int, expected: list[str]) -> None:
    """Open as many connections as are expected to go somehow."""
    kept: list[socket.socket] = []
    went = [_one(kept, source, address, port, _PATIENCE if each == "served" else _DOUBT) for each in expected]
    # It is there as a whole, or not.
    new = file.with_suffix(".new")
    new.write_text(" ".join(went) + "\n")
    new.rename(file)
    deadline = time.monotonic() + _LONGEST
    while file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def _one(kept: list[socket.socket], source: str, address: str, port: int, patience: float) -> str:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    kept.append(made)
    made.settimeout(patience)
    made.bind((source, 0))
    try:
        made.connect((address, port))
    except OSError:
        made.close()
        return "lost"
    try:
        return "served" if made.recv(len(_GREETING)) == _GREETING else "ended"
    except TimeoutError:
        return "silent"
    except ConnectionError:
        return "ended"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", *ports]:
            serve([int(port) for port in ports])
        case ["call", file, source, address, port, *expected]:
            call(Path(file), source, address, int(port), expected)
        case _:
            sys.exit(2)
