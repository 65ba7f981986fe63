"""The commands themselves: what `vjail --version`, `vjail ls` and the like take before they do anything."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from bench.machine import VJAIL, folder, vjail
from bench.report import Table, spread
from bench.star import files


def _times(words: Sequence[str], repeats: int) -> list[float]:
    found = []
    for _ in range(repeats):
        began = time.monotonic()
        subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        found.append(1000 * (time.monotonic() - began))
    return found


def measure(*, quick: bool) -> Iterator[Table]:
    """Each command in turns with a Python that does nothing."""
    repeats = 7 if quick else 25
    table = Table("Start-up (smallest / median)", ("", "ms", "python3 -c '' ms"))
    with folder(files(2)) as lab:
        vjail("up", str(lab))
        for words in (("--version",), ("ls", str(lab)), ("exec", "-p", str(lab), "j0", "hostname")):
            ours, nothing = [], []
            for _ in range(repeats):
                ours += _times([str(VJAIL), *words], 1)
                nothing += _times([sys.executable, "-c", ""], 1)
            name = "vjail " + " ".join("LAB" if word == str(lab) else word for word in words)
            table.rows.append((name, spread(ours, digits=0), spread(nothing, digits=0)))
            table.data.append({"command": name, "ms": ours, "python_ms": nothing})
    yield table
