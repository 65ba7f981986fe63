"""A mistake of vjail's own, in one line for who meets it: nobody is shown a traceback."""

from __future__ import annotations

import os


def fault(error: Exception) -> str:
    """What an exception that nobody expected says, and where it came from."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno})" if trace else ""
    return f"a fault of vjail's own: {text}{place}"
