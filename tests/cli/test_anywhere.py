"""show, check, export and schema run where a Python has none of what Linux alone offers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent.parent
A1 = TOP / "examples" / "A1-two-jails"

_ELSEWHERE = """
import os, select, signal, socket, sys

for module, names in (
    (os, ("O_PATH", "O_TMPFILE", "setns", "unshare", "pidfd_open", "memfd_create", "sched_setaffinity", "eventfd")),
    (select, ("epoll",)),
    (signal, ("pidfd_send_signal",)),
    (socket, ("AF_NETLINK", "SO_PEERCRED", "SCM_CREDENTIALS", "AF_PACKET", "SO_BINDTODEVICE")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
from vjail.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    "words",
    [
        ("show", str(A1 / "jail.conf")),
        ("check", str(A1)),
        ("export", "-d", "out", str(A1)),
        ("plan", str(A1)),
        ("schema",),
        ("--help",),
    ],
    ids=lambda words: words[0],
)
def test_without_linux(words: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, *words], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == (1 if words[0] == "check" else 0), done.stderr
    assert done.stdout
    assert "fault" not in done.stderr
