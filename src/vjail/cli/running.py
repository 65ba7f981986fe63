"""start, stop, ls, cut, mend, exec, console, shell: requests to the server of a lab that is up."""

from __future__ import annotations

import argparse
import os
import sys
import time

from vjail.cli.interrupts import Interrupts
from vjail.cli.lab import Failed, attend, become, connect, send
from vjail.cli.say import fail

_CLEAR = "\x1b[H\x1b[2J"
"""To the terminal's upper left corner, and all of it empty."""
_SECONDS, _TICKS = 1.0, 10


def start(arguments: argparse.Namespace) -> int:
    """`vjail start JAIL…`."""
    return _ask(arguments.path, "start", _shown(arguments) | {"jails": arguments.jails})


def stop(arguments: argparse.Namespace) -> int:
    """`vjail stop JAIL…`."""
    try:
        _, connection = connect(arguments.path)
    except Failed as error:
        return fail(str(error))
    send(connection, "stop", _shown(arguments) | {"jails": arguments.jails})
    with Interrupts() as interrupts:
        return attend(connection, interrupts)


def ls(arguments: argparse.Namespace) -> int:
    """`vjail ls`."""
    details: dict[str, object] = {"json": arguments.json, "verbose": arguments.verbose}
    return _watch(arguments.path, details) if arguments.watch else _ask(arguments.path, "ls", details)


def _watch(path: str, details: dict[str, object]) -> int:
    """Show the lab anew each second, in the terminal's place, until a signal comes: that is its end, exit 0."""
    if not sys.stdout.isatty():
        fail("ls: --watch is for a terminal; programs take --json as often as they like")
        return 2
    with Interrupts() as interrupts:
        while True:
            try:
                _, connection = connect(path)
            except Failed as error:
                return fail(str(error))
            sys.stdout.write(_CLEAR)
            send(connection, "ls", details)
            code = attend(connection, interrupts)
            for _ in range(_TICKS):
                if interrupts.first:
                    return 0
                time.sleep(_SECONDS / _TICKS)
            if code:
                return code


def cut(arguments: argparse.Namespace) -> int:
    """`vjail cut WIRE…`."""
    return _ask(arguments.path, "cut", {"wires": arguments.wires})


def mend(arguments: argparse.Namespace) -> int:
    """`vjail mend WIRE…`."""
    return _ask(arguments.path, "mend", {"wires": arguments.wires})


def execute(arguments: argparse.Namespace) -> int:
    """`vjail exec JAIL CMD…`."""
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not words:
        fail(f"exec {arguments.jail}: which command? `vjail console {arguments.jail}` gives a shell")
        return 2
    return _ask(arguments.path, "exec", {"jail": arguments.jail, "words": words, "user": arguments.user})


def console(arguments: argparse.Namespace) -> int:
    """`vjail console JAIL`."""
    return _ask(arguments.path, "console", {"jail": arguments.jail})


def shell(arguments: argparse.Namespace) -> int:
    """`vjail shell [HOST] [-c LINE]`."""
    return _ask(arguments.path, "shell", {"host": arguments.host, "line": arguments.line})


def _shown(arguments: argparse.Namespace) -> dict[str, object]:
    return {"path": os.path.abspath(arguments.path), "shown": arguments.path, "verbose": arguments.verbose}


def _ask(path: str, request: str, details: dict[str, object]) -> int:
    try:
        _, connection = connect(path)
    except Failed as error:
        return fail(str(error))
    send(connection, request, details)
    return become(connection)
