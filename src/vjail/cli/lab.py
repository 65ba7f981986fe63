"""Asking a running lab: a request to its server, and the native agent that carries the answer out.

A request is a name and a JSON object. After it was sent the conversation belongs to the agent: the process becomes it,
or, where something is left to do afterwards, starts it and waits.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from vjail.cli.interrupts import Interrupts
from vjail.kernel.linux.anchor import Unable, agent_binary
from vjail.lab.runtime import NotUp, Runtime

_CHUNK = 32 << 10


class Failed(Exception):
    """The command has failed; the texts say why."""


def connect(path: str) -> tuple[Runtime, socket.socket]:
    """The lab that was brought up from `path`, and a connection with its server. Raises Failed."""
    runtime = Runtime.of(Path(path))
    try:
        return runtime, runtime.connect()
    except NotUp:
        raise Failed(_why_not_up(path)) from None
    except Unable as error:
        raise Failed(str(error)) from None


def _why_not_up(path: str) -> str:
    from vjail.lab import folder  # YAML, which takes its time, is not needed otherwise
    from vjail.lab.model import LabError

    try:
        folder.find(Path(path))
    except LabError as error:
        return str(error)
    return f"{path}: the lab is not up; `vjail up{'' if path == '.' else ' ' + path}` brings it up"


def send(connection: socket.socket, request: str, details: dict[str, object]) -> None:
    """Send a request with this process's environment, working directory and terminals."""
    terminals = sum(1 << fd for fd in range(3) if os.isatty(fd))
    connection.send(b"C" + bytes((terminals,)) + os.fsencode(_cwd()) + b"\0")
    connection.send(b"A" + b"vjail\0" + request.encode() + b"\0" + json.dumps(details).encode() + b"\0")
    chunk = b""
    for key, value in os.environ.items():
        entry = os.fsencode(f"{key}={value}") + b"\0"
        if chunk and len(chunk) + len(entry) > _CHUNK:
            connection.send(b"V" + chunk)
            chunk = b""
        chunk += entry
    connection.send(b"V" + chunk)
    connection.send(b"G")


def become(connection: socket.socket) -> NoReturn:
    """Let the agent go on with the conversation in this process's place."""
    os.set_inheritable(connection.fileno(), True)
    sys.stdout.flush()
    os.execv(agent_binary(), ["vjail-agent", "session", str(connection.fileno())])


def attend(connection: socket.socket, interrupts: Interrupts) -> int:
    """Have an agent carry the conversation out and wait for it; its exit code, 128 + N where a signal ended it."""
    sys.stdout.flush()
    status = interrupts.attend(str(agent_binary()), connection.fileno())
    connection.close()
    code = os.waitstatus_to_exitcode(status)
    return interrupts.code if interrupts.first else code if code >= 0 else 128 - code


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"
