"""How the commands of vjail say what is wrong. Needs nothing of Linux."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vjail.lab.model import LabError


def fail(text: str) -> int:
    """Say what is wrong, as all of vjail's messages are; returns the exit code."""
    sys.stderr.write(f"vjail: {text}\n")
    return 1


def problems(error: LabError) -> int:
    """Say all that is wrong with a lab; returns the exit code."""
    for problem in error.problems:
        fail(str(problem))
    return 1
