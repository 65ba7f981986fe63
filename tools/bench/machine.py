"""The machine that is measured on, running vjail on it, and waiting until it is done with what was there before."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

VJAIL = Path(sys.executable).parent / "vjail"
"""The vjail that is measured: that of the Python this runs in."""
_PATIENCE = 300.0
"""Seconds the kernel has to take apart what was there before."""


def described() -> str:
    """The machine in one line."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} × {model}, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def vjail(*words: str) -> str:
    """Run vjail to its end; what it says on standard output. Raises CalledProcessError, its messages shown."""
    done = subprocess.run([VJAIL, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        done.check_returncode()
    return done.stdout


@contextmanager
def folder(files: Mapping[str, str | bytes]) -> Iterator[Path]:
    """A folder with these files, for a lab; the lab is ended and the folder removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="vjail-bench.") as made:
        place = Path(made)
        for name, text in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(text.encode() if isinstance(text, str) else text)
            (place / name).chmod(0o755)
        try:
            yield place
        finally:
            subprocess.run([VJAIL, "down", "--now", place], stdin=subprocess.DEVNULL, check=False)


def settle() -> float:
    """Wait until the kernel has taken apart every network namespace that has ended so far; seconds waited.

    It does so in the order in which they ended, behind everybody's back. So one more is made and ended, with one half
    of a veth pair in it: when the other half, outside, has gone, all before it have.
    """
    began = time.monotonic()
    script = (
        "ip link add settle type veth peer name settled && "
        "unshare --net sleep 60 & child=$!; "
        "while [ /proc/$child/ns/net -ef /proc/self/ns/net ]; do sleep 0.001; done; "
        "ip link set settled netns $child && kill $child; "
        "while [ -e /sys/class/net/settle ]; do sleep 0.002; done"
    )
    subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", f"mount -t sysfs settle /sys && {script}"],
        check=True,
        timeout=_PATIENCE,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - began
