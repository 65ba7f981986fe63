"""up and down: the commands that bring a lab into being and end it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from vjail.cli.lab import Failed, attend, connect, fail, problems, send
from vjail.kernel.linux.anchor import Unable
from vjail.lab import folder
from vjail.lab.model import LabError
from vjail.lab.runtime import Runtime


def up(arguments: argparse.Namespace) -> int:
    """`vjail up [PATH]`."""
    path = Path(arguments.path)
    try:
        folder.load(path)  # what is wrong with the files is said before anything is made
    except LabError as error:
        return problems(error)
    runtime = Runtime.of(path)
    try:
        with runtime.locked():
            before = runtime.is_up()
            runtime.begin()
        connection = runtime.connect()
    except Unable as error:
        _end(runtime)
        return fail(str(error))
    except OSError as error:
        return fail(
            f"{runtime.folder}: {(error.strerror or str(error)).lower()}; the lab's run-time folder must be writable"
        )
    details: dict[str, object] = {
        "path": os.path.abspath(path),
        "shown": arguments.path,
        "jails": arguments.jail,
        "no_jails": arguments.no_jails,
        "verbose": arguments.verbose,
        "undo": not arguments.keep,
    }
    send(connection, "up", details)
    code = attend(connection)
    if code and not before and not arguments.keep:
        _end(runtime)
        sys.stderr.write("vjail: nothing of the lab is left; --keep leaves what came up\n")
    return code


def down(arguments: argparse.Namespace) -> int:
    """`vjail down [PATH]`."""
    runtime = Runtime.of(Path(arguments.path))
    if not runtime.folder.exists():
        return 0
    code = 0
    if not arguments.now or arguments.jail:
        try:
            _, connection = connect(arguments.path)
        except Failed:
            connection = None
        if connection is not None:
            send(connection, "down", {"jails": arguments.jail, "verbose": arguments.verbose})
            code = attend(connection)
    if not arguments.jail:
        _end(runtime)
    return code


def _end(runtime: Runtime) -> None:
    with runtime.locked():
        runtime.end()
