"""plan, and up --dry-run: what `vjail up` would do, of a lab that is up only what differs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from vjail.cli.say import fail, problems
from vjail.lab import folder
from vjail.lab.changes import from_json_value
from vjail.lab.model import LabError, WireSettings
from vjail.rehearsal.plan import plan as planned
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
    running: dict[str, Any] = {}
    if sys.platform == "linux":
        from vjail.cli.lab import Failed

        try:
            running = _running(path)
        except Failed as error:
            return fail(str(error))
    hosts = running.get("hosts", {})
    release = next((Release.parse(host["release"]) for host in hosts.values()), None)
    there = {name: from_json_value(host) for name, host in hosts.items()}
    wires = {name: WireSettings.of_record(record) for name, record in running.get("wires", {}).items()}
    made = planned(lab, there, arguments.jail, no_jails=arguments.no_jails, wires=wires, release=release)
    print(json.dumps(made.as_json(), indent=2) + "\n" if arguments.json else made.as_text(), end="")
    return 0


def _running(path: Path) -> dict[str, Any]:
    """What runs of a lab, its hosts and wires, as its server tells it; nothing where it is not up. Raises Failed."""
    from vjail.cli.lab import Failed, connect, send
    from vjail.kernel.linux.anchor import agent_binary
    from vjail.lab.runtime import Runtime

    if not Runtime.of(path).is_up():
        return {}
    _, connection = connect(str(path))
    send(connection, "running", {})
    fd = connection.fileno()
    words = ["vjail-agent", "session", str(fd)]
    done = subprocess.run(words, executable=agent_binary(), pass_fds=[fd], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise Failed(f"{path}: the lab does not say what runs")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
