"""plan, and up --dry-run: what `vjail up` would do, of a lab that is up only what differs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from vjail.cli.lab import Failed, connect, fail, problems, send
from vjail.lab import folder
from vjail.lab.changes import RunningHost, from_json_value
from vjail.lab.model import LabError
from vjail.release import Release


def plan(arguments: argparse.Namespace) -> int:
    """`vjail plan [PATH]`."""
    path = Path(arguments.path)
    try:
        lab = folder.load(path)
    except LabError as error:
        return problems(error)
    if arguments.freebsd is not None:
        lab = replace(lab, release=arguments.freebsd)
    hosts: dict[str, RunningHost] = {}
    if _is_up(path):
        try:
            found = _running(arguments.path)
        except Failed as error:
            return fail(str(error))
        hosts = {name: from_json_value(host) for name, host in found.items()}
        for host in found.values():
            lab = replace(lab, release=Release.parse(host["release"]))
    from vjail.rehearsal.plan import plan as planned

    made = planned(lab, hosts, arguments.jail, no_jails=arguments.no_jails)
    print(json.dumps(made.as_json(), indent=2) + "\n" if arguments.json else made.as_text(), end="")
    return 0


def _is_up(path: Path) -> bool:
    if sys.platform != "linux":
        return False
    from vjail.lab.runtime import Runtime

    return Runtime.of(path).is_up()


def _running(path: str) -> dict[str, Any]:
    """What runs on the hosts of a lab that is up, as its server tells it. Raises Failed."""
    from vjail.kernel.linux.anchor import agent_binary

    _, connection = connect(path)
    send(connection, "running", {})
    fd = connection.fileno()
    words = ["vjail-agent", "session", str(fd)]
    done = subprocess.run(words, executable=agent_binary(), pass_fds=[fd], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise Failed(f"{path}: the lab does not say what runs")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
