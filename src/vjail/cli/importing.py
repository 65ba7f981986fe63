"""import: a host's own files as a lab file."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from pathlib import Path

from vjail.cli.say import fail, problems
from vjail.command.sh import NotModelled
from vjail.importing import Imported, import_lab
from vjail.lab.file import lock
from vjail.lab.model import LabError
from vjail.progress import Progress
from vjail.release import Release


def import_(arguments: argparse.Namespace) -> int:
    """`vjail import PATH [-o FILE]`."""
    path = Path(arguments.path)
    output = None if arguments.output == "-" else Path(arguments.output)
    taken = [each for each in (output, lock.path(output)) if each.exists()] if output is not None else []
    if taken:
        return fail(f"{taken[0]}: is there already; take it away, or name another file")
    gc.disable()  # what is read is kept to the end
    try:
        found = _imported(path, output.parent if output is not None else Path(), arguments.freebsd)
    except LabError as error:
        return problems(error)
    except NotModelled as error:
        return fail(f"{path}: cannot be imported: {error} is not known in memory")
    if arguments.json:
        print(json.dumps(_json(found), indent=1))
    elif output is None:
        sys.stdout.write(found.text)
    if output is not None:
        try:
            output.write_text(found.text)
            lock.write(output, found.lock)
        except OSError as error:
            return fail(f"{output}: {(error.strerror or str(error)).lower()}")
    return _say(found, renamed=output is None)


def _imported(path: Path, beside: Path, release: Release | None) -> Imported:
    """Import, and show on a terminal how far that is."""
    if not sys.stderr.isatty():
        return import_lab(path, beside, release)
    progress = Progress(_write, terminal=True, verbose=False)
    try:
        return import_lab(path, beside, release, progress.done)
    finally:
        progress.clear()


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _say(found: Imported, *, renamed: bool) -> int:
    """What is lost and what differs, on standard error."""
    for text in found.unknown:
        fail(f"{text} is not known in memory: it is taken to succeed and to change no network")
    for text in (*found.kept, *found.lost, *found.compared.differences):
        fail(text)
    if renamed and found.lock.numbers:
        fail("epairs are numbered anew; with -o FILE a lock file keeps their numbers")
    if found.lost or found.compared.differences:
        return 1
    fail(f"compared in memory: {found.compared.pings} pings, addresses, routes, mounts and permissions are the same")
    return 0


def _json(found: Imported) -> dict[str, object]:
    return {
        "text": found.text,
        "numbers": found.lock.numbers,
        "lost": found.lost,
        "kept": found.kept,
        "unknown": found.unknown,
        "differences": found.compared.differences,
        "pings": found.compared.pings,
    }
