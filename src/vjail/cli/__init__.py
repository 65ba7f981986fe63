"""The commands of `vjail`: words in, exit code out. Each command's module is loaded when it is used.

Commands about a running lab ask its server and become, or start, the native agent that carries the answer out
(lab.py); the others run here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run `vjail` with these words (default: the process's own); returns the exit code."""
    from vjail.cli.arguments import parse

    arguments = parse(sys.argv[1:] if argv is None else list(argv))
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
