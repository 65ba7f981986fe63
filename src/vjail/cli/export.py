"""export and schema: files for FreeBSD hosts, and for editors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from vjail.cli.say import problems
from vjail.lab import folder
from vjail.lab.model import LabError


def export(arguments: argparse.Namespace) -> int:
    """`vjail export -d DIR [PATH]`: DIR holds what each host needs."""
    from vjail.lab.export import export as write

    path = Path(arguments.path)
    try:
        lab = folder.load(path)
        folder.keep(path)
        written = write(lab, Path(arguments.directory))
    except LabError as error:
        return problems(error)
    for each in written:
        print(each)
    return 0


def schema(arguments: argparse.Namespace) -> int:
    """`vjail schema`."""
    from vjail.lab.file.json_schema import json_schema

    print(json.dumps(json_schema(), indent=1))
    return 0
