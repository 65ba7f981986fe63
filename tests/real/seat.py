"""A seat at a terminal of a lab's host: an interactive `vjail shell`, typed into line by line."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from types import TracebackType

from sandbox import Sandbox, interpreter

_PROMPT = re.compile(r"(?:^|(?<=\n))[^\n]*[#%$>] $")
_PATIENCE = 20.0


class Seat:
    """Somebody at a prompt: of the host's shell, or of one that was started there."""

    def __init__(self, box: Sandbox, lab: str, *host: str) -> None:
        self._terminal, inside = os.openpty()
        try:
            self._process = subprocess.Popen(
                # The session begins inside: one that began outside has no number there.
                box.command("setsid", "--ctty", interpreter(), "-m", "vjail", "shell", "-p", lab, *host),
                stdin=inside,
                stdout=inside,
                stderr=inside,
                env={**box.environ, "TERM": "dumb"},
                start_new_session=True,
            )
        finally:
            os.close(inside)
        self._read = ""
        self._prompt()

    def __enter__(self) -> Seat:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._terminal)
        self._process.wait(timeout=_PATIENCE)

    def type(self, line: str) -> str:
        """Type a line; what it says until there is a prompt again, be it that of a shell which the line started."""
        self._keys(f"{line}\n")
        return self._prompt().removeprefix(f"{line}\n")

    def interrupt(self, line: str, pattern: str) -> str:
        """Type a line, and ^C when it has said something; all that it says."""
        self._keys(f"{line}\n")
        self._wait_for(re.compile(pattern))
        self._keys("\x03")
        return self._prompt().removeprefix(f"{line}\n")

    def _keys(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def _prompt(self) -> str:
        """Wait for a prompt; what was said before it."""
        found = self._wait_for(_PROMPT)
        said, self._read = self._read[: found.start()], ""
        return said

    def _wait_for(self, pattern: re.Pattern[str]) -> re.Match[str]:
        deadline = time.monotonic() + _PATIENCE
        while (found := pattern.search(self._read)) is None:
            ready = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))[0]
            assert ready, f"no {pattern.pattern!r} at the terminal, but {self._read!r}"
            self._read += os.read(self._terminal, 65536).decode(errors="replace").replace("\r\n", "\n")
        return found
