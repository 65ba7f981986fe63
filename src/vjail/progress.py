"""What a user sees of long work: on a terminal one line that changes, elsewhere a line for each thing done.

Everything goes to standard error, so that standard output is left to answers.
"""

from __future__ import annotations

from collections.abc import Callable

_CLEAR = "\r\x1b[K"
_WIDTH = 78


class Progress:
    """`write` writes to standard error; `terminal` says whether that is one; `verbose`: every step gets a line."""

    def __init__(self, write: Callable[[str], None], *, terminal: bool, verbose: bool) -> None:
        self._write = write
        self._terminal = terminal
        self._verbose = verbose
        self._shown = False

    def step(self, text: str) -> None:
        """Something has begun."""
        if self._verbose:
            self.line(text)
        elif self._terminal:
            self._show(text)

    def done(self, text: str, number: int, of: int) -> None:
        """The `number`th of several things is done."""
        if self._verbose or not self._terminal:
            self.line(text)
        else:
            self._show(f"[{number}/{of}] {text}")

    def line(self, text: str) -> None:
        """A line that stays."""
        self._write((_CLEAR if self._shown else "") + text + "\n")
        self._shown = False

    def clear(self) -> None:
        """Take away what is shown for the moment."""
        if self._shown:
            self._write(_CLEAR)
            self._shown = False

    def _show(self, text: str) -> None:
        text = " ".join(text.split())  # a command may have several lines
        self._write(_CLEAR + (text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"))
        self._shown = True
