"""For tests of what outlives what: a lab with some of everything, what it looks like, and how its parts are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from sandbox import Sandbox, interpreter

_LABS = Path(__file__).parent.parent / "data" / "labs"
RICH = "rich"

_QUESTIONS = """
for in in "" "jexec one" "jexec two" "jexec shared" "jexec brief"; do
    echo "== $in"
    for what in "ifconfig -a" "ifconfig -l" "netstat -rn" "mount -v" "arp -an" "ndp -an" hostname "sysctl net.inet" \\
        "sysctl net.inet6" "sysctl security.jail" "ls -l /dev" "cat /home/shared/word"; do
        $in $what
    done
done
jls -v; jls -n; jls -s; devfs rule showsets; devfs rule -s 4 show; kldstat; kenv; sysctl kern.hostid kern.hostuuid
for group in all epair lo bridge; do ifconfig -g $group; done
"""


def install(box: Sandbox, name: str, to: str | None = None) -> str:
    """Copy a lab of tests/data/labs into the sandbox's folder; what it is called there."""
    place = box.folder / (to or name)
    shutil.copytree(_LABS / name, place)
    for path in (place, *place.rglob("*")):
        os.chown(path, box.uid, box.uid)
    return to or name


def picture(box: Sandbox, lab: str = RICH) -> str:
    """All that a rich lab's commands say of it; two pictures are equal where nothing has changed."""
    seen = box.vjail("ls", "--json", lab)
    assert seen.code == 0, seen
    said = box.run(interpreter(), "-m", "vjail", "shell", "-p", lab, "-c", _QUESTIONS)
    # Duplicate address detection is over after a while.
    return f"{seen}\n{said}".replace(" tentative", "")


def server(box: Sandbox) -> int:
    """The lab's server; there is one."""
    (found,) = box.find("vjail.server")
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Kill a process that is no child of this one, and wait until it is gone."""
    os.kill(pid, number)
    until(lambda: not os.path.exists(f"/proc/{pid}"))


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.005)


def vjail(box: Sandbox, *words: str, piped: bool = False) -> subprocess.Popen[str]:
    """Start vjail inside; `piped`: its standard input is a pipe."""
    line = (interpreter(), "-m", "vjail", *words)
    if not piped:
        return box.start(*line)
    pipe = subprocess.PIPE
    return subprocess.Popen(box.command(*line), stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=box.environ)


def command(started: subprocess.Popen[str]) -> int:
    """The process that `vjail` started inside: below the one that went into the sandbox."""
    found: list[int] = []

    def there() -> bool:
        found[:] = children(started.pid)
        return bool(found) or started.poll() is not None

    until(there)
    return found[0]


def children(pid: int) -> list[int]:
    """The children of a process."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def outcome(started: subprocess.Popen[str]) -> tuple[int, str, str]:
    """How what `vjail` started ended: exit code, output, errors."""
    out, err = started.communicate(timeout=60)
    return started.returncode, out, err
