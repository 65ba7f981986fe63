"""A command loads what it needs and no more; that decides how long `vjail ls` takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

_LOADED = """
import sys
from vjail.cli import main
sys.argv = ["vjail", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr, sep="\\n")
"""
_HEAVY = {"asyncio", "yaml", "logging", "sqlite3", "dataclasses", "vjail.kernel.core.host", "vjail.server.main"}


def loaded(*words: str) -> set[str]:
    """The modules that `vjail WORDS` has loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines())


def test_version_loads_next_to_nothing() -> None:
    assert not loaded("--version") & _HEAVY


@pytest.mark.parametrize("module", ["running", "up"])
def test_a_request_to_a_lab_loads_neither_yaml_nor_the_server(module: str) -> None:
    program = f"import sys, vjail.cli.{module}; print(*sys.modules, file=sys.stderr, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not set(done.stderr.splitlines()) & (_HEAVY - {"dataclasses"})
