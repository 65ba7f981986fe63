"""What a user sees of long work: on a terminal one line that changes, elsewhere a line for each thing done.

Everything goes to standard error, so that standard output is left to answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_CLEAR = "\r\x1b[K"
_WIDTH = 78
_BAR, _MANY = 24, 4
"""Characters of the bar, and of how many things on there is one."""
_PAUSE = 0.04
"""Seconds for which what changes stands at least."""


class Progress:
    """`write` writes to standard error; `terminal` says whether that is one; `verbose`: every step gets a line."""

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        terminal: bool,
        verbose: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._terminal = terminal
        self._verbose = verbose
        self._clock = clock
        self._shown = False
        self._last = -_PAUSE
        self._bar = ""

    def step(self, text: str) -> None:
        """Something has begun."""
        if self._verbose:
            self.line(text)
        elif self._terminal:
            self._show(text)

    def done(self, text: str, number: int, of: int) -> None:
        """The `number`th of several things is done; from a few on a bar shows how far that is."""
        if self._verbose or not self._terminal:
            self.line(text)
            return
        share = f"{number}/{of} "
        if of >= _MANY:
            full = number * _BAR // of
            share = f"{'█' * full}{'░' * (_BAR - full)} {share}"
        self._bar = share if number < of else ""
        self._show(text)

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
        # Nobody reads faster, and where there are many jails the writing itself takes its time.
        now = self._clock()
        if now - self._last < _PAUSE:
            return
        self._last = now
        text = " ".join(f"{self._bar}{text}".split())  # a command may have several lines
        self._write(_CLEAR + (text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"))
        self._shown = True
