"""draw: a picture of a lab, made of what it comes to in memory."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vjail.check.run.granted import grant_all
from vjail.cli.say import fail, problems
from vjail.command.sh import NotModelled
from vjail.lab.model import LabError
from vjail.rehearsal.picture import drawn
from vjail.view.picture import Format


def draw(arguments: argparse.Namespace) -> int:
    """`vjail draw PATH -o FILE`."""
    output = arguments.output
    form = Format(arguments.format) if arguments.format else Format.SVG if output == "-" else Format.of_name(output)
    if form is None:
        return fail(f"{output}: which format? end its name in .svg, .mmd, .dot, .drawio or .txt, or say --format")
    try:
        text, said = drawn(Path(arguments.path), form, grant_all)
    except LabError as error:
        return problems(error)
    except NotModelled as error:
        return fail(f"{arguments.path}: cannot be drawn: {error} is not known in memory")
    for line in said:
        fail(line)
    if output == "-":
        sys.stdout.write(text)
        return 0
    try:
        Path(output).write_text(text)
    except OSError as error:
        return fail(f"{output}: {(error.strerror or str(error)).lower()}")
    return 0
