"""up and down: the commands that bring a lab into being and end it.

Only one of them at a time is busy with a lab; another waits. A signal that comes meanwhile is heeded when nothing is
half done: an `up` that is interrupted leaves nothing, as one that fails.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vjail.cli.interrupts import Interrupted, Interrupts
from vjail.cli.lab import Failed, attend, connect, send
from vjail.cli.say import fail, problems
from vjail.kernel.linux.anchor import Unable
from vjail.lab.runtime import Runtime
from vjail.lab.server_process import ServerProcess

if TYPE_CHECKING:
    from vjail.lab.model import Lab


def up(arguments: argparse.Namespace, runtime: Runtime, server: ServerProcess | None) -> int:
    """`vjail up [PATH]`, with the server that was begun for the lab where it is not up."""
    from vjail.lab import folder  # YAML takes its time, and only this needs it always
    from vjail.lab.model import LabError

    path = Path(arguments.path)
    try:
        lab = folder.load(path)  # what is wrong with the files is said before anything is made
        _keep(path)
    except LabError as error:
        return problems(error)
    with Interrupts() as interrupts:
        try:
            with _alone(runtime, interrupts):
                return _up(arguments, runtime, server, interrupts, lab)
        except Interrupted:
            return _interrupted(interrupts, "nothing was changed")
        except OSError as error:
            text = (error.strerror or str(error)).lower()
            return fail(f"{runtime.folder}: {text}; the lab's run-time folder must be writable")


def _keep(path: Path) -> None:
    from vjail.lab import folder

    try:
        folder.keep(path)
    except OSError as error:
        fail(f"{error.filename}: {(error.strerror or str(error)).lower()}; addresses given by `auto` may change")


def _up(
    arguments: argparse.Namespace,
    runtime: Runtime,
    server: ServerProcess | None,
    interrupts: Interrupts,
    lab: Lab,
) -> int:
    before = runtime.is_up()
    try:
        with runtime.locked():
            runtime.begin(server, lambda tree: _stock(tree, lab))
            _lend(runtime, list(lab.uplinks.values()))
        connection = runtime.connect()
    except Unable as error:
        if not before:
            _end(runtime)
        return fail(str(error))
    details: dict[str, object] = {
        "path": os.path.abspath(arguments.path),
        "shown": arguments.path,
        "jails": arguments.jail,
        "no_jails": arguments.no_jails,
        "verbose": arguments.verbose,
        "release": str(arguments.freebsd) if arguments.freebsd is not None else None,
    }
    send(connection, "up", details)
    code = attend(connection, interrupts)
    if not code:
        try:
            _give_back(runtime, list(lab.uplinks.values()))
        except Unable as error:
            code = fail(str(error))
    undone = bool(code) and not before and not arguments.keep
    if undone:
        _end(runtime)
    if interrupts.first:
        kept = "what was up stays" if before else "what came up stays; `vjail down` ends it"
        return _interrupted(interrupts, "nothing of the lab is left" if undone else kept)
    if undone:
        fail("nothing of the lab is left; --keep leaves what came up")
    return code


def _stock(tree: Path, lab: Lab) -> None:
    """Make what is the same in all trees of the lab, before its server needs it."""
    from vjail.lab.stock import stock  # while the server is loading

    stock(tree, [spec.userland for spec in lab.hosts.values()])


def _lend(runtime: Runtime, nics: Sequence[str]) -> None:
    if nics:
        from vjail.lab import loan  # few labs need it

        loan.lend(runtime.folder, nics)


def _give_back(runtime: Runtime, nics: Sequence[str]) -> None:
    """Let NICs of this machine come home that the lab does not name any more."""
    if (runtime.folder / "loan").exists():
        from vjail.lab import loan

        loan.give_back(runtime.folder, nics)


def down(arguments: argparse.Namespace) -> int:
    """`vjail down [PATH]`."""
    runtime = Runtime.of(Path(arguments.path))
    if not runtime.folder.exists():
        from vjail.lab import folder
        from vjail.lab.model import LabError

        try:
            folder.find(Path(arguments.path))  # a lab that is up may have lost its files
        except LabError as error:
            return problems(error)
    with Interrupts() as interrupts:
        if arguments.jail:
            return _stop(arguments, interrupts)
        if arguments.now:
            _end(runtime)
            return 0
        if not runtime.folder.exists():
            runtime.end()
            return 0
        try:
            with _alone(runtime, interrupts):
                code = _stop(arguments, interrupts)
                if not interrupts.first:
                    _end(runtime)
        except Interrupted:
            return _interrupted(interrupts, "nothing was changed")
        if interrupts.first:
            return _interrupted(interrupts, "what was not stopped yet is up; `vjail down --now` ends it at once")
        return code


def _stop(arguments: argparse.Namespace, interrupts: Interrupts) -> int:
    """Have the lab's server stop its jails, where it can be reached."""
    try:
        _, connection = connect(arguments.path)
    except Failed:
        return 0
    send(connection, "down", {"jails": arguments.jail, "verbose": arguments.verbose})
    return attend(connection, interrupts)


@contextmanager
def _alone(runtime: Runtime, interrupts: Interrupts) -> Iterator[None]:
    """Be the only `up` or `down` of this lab. Raises Interrupted."""
    said = False

    def wait() -> None:
        nonlocal said
        if not said:
            fail("another `vjail up` or `vjail down` is busy with this lab; waiting for it")
            said = True
        interrupts.check()

    with runtime.alone(wait):
        yield


def _interrupted(interrupts: Interrupts, state: str) -> int:
    # Whoever interrupted may have taken the terminal along.
    try:
        fail(f"interrupted; {state}")
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    return interrupts.code


def _end(runtime: Runtime) -> None:
    with runtime.locked():
        runtime.end()
