"""The commands of `vjail`: words in, exit code out. Each command's module is loaded when it is used.

Commands about a running lab ask its server and become, or start, the native agent that carries the answer out
(lab.py); the others run here. Exit codes: 0 done, 1 failed, 2 wrong words; of exec, console and shell the command's.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run `vjail` with these words (default: the process's own); returns the exit code."""
    from vjail.cli.arguments import parse
    from vjail.fault import fault

    _open_streams()
    try:
        arguments = parse(sys.argv[1:] if argv is None else list(argv))
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Nobody reads any more: what is still to be written goes nowhere, so that nothing is said of it at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    except OSError as error:
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        text = error.strerror or str(error)
        return _fail(f"{place}{text[:1].lower()}{text[1:]}")
    except Exception as error:
        return _fail(fault(error))
    finally:
        if argv is None:
            # What is left for Python to do needs no traceback when it is interrupted.
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _open_streams() -> None:
    """Let the three streams lead somewhere where whoever started this has closed them."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free is this one
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def _fail(text: str) -> int:
    from vjail.cli.say import fail

    return fail(text)
