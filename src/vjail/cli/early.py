"""How `vjail up` begins: with the lab's server, which takes longest to load. Everything else is up.py's."""

from __future__ import annotations

import argparse
from pathlib import Path

from vjail.lab.runtime import Runtime


def up(arguments: argparse.Namespace) -> int:
    """`vjail up [PATH]`."""
    if arguments.dry_run:
        from vjail.cli.plan import plan

        arguments.json = False
        return plan(arguments)
    runtime = Runtime.of(Path(arguments.path))
    with runtime.early_server() as server:
        from vjail.cli.up import up  # while the server is loading

        return up(arguments, runtime, server)
