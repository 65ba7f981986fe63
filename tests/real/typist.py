"""Types command lines, one after the other, at the host of a lab in a sandbox, as somebody in `vjail shell` does.

One shell takes them all and runs each in a shell of its own, so that a line costs no more than what it starts.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from sandbox import Result, Sandbox, interpreter

_PLACE = "/var/tmp/typed"
_DRIVER = f"""\
mkdir {_PLACE}
t() {{
sh -c "$1" </dev/null >{_PLACE}/out 2>{_PLACE}/err
set -- $? $(wc -c <{_PLACE}/out) $(wc -c <{_PLACE}/err)
echo "$@"
cat {_PLACE}/out {_PLACE}/err
}}
"""
_LAB_FILE = """\
wires: {w0: {}, w1: {}}
hosts:
  fbsd:
    files: fbsd
    userland: minimal
    nics: {vtnet0: w0, vtnet1: w1}
"""
_RC_CONF = """\
hostname=""
ifconfig_vtnet0="inet 10.0.2.15/24"
defaultrouter="10.0.2.2"
"""


class Typist:
    """A shell on a lab's host, waiting for command lines."""

    def __init__(self, box: Sandbox, lab: str, *host: str) -> None:
        """`host`: which, where the lab has several."""
        words = (interpreter(), "-m", "vjail", "shell", "-p", lab, *host, "-c", "exec sh -s")
        self._shell = subprocess.Popen(
            box.command(*words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=box.environ,
        )
        self._send(_DRIVER)

    def type(self, line: str) -> Result:
        """Type a line; what it answers. Fails where the shell has gone."""
        self._send(f"t {shlex.quote(line)}\n")
        assert self._shell.stdout is not None
        head = self._shell.stdout.readline()
        numbers = head.split()
        assert len(numbers) == 3, f"{line}: {head.decode(errors='replace')}"
        code, out, err = (int(number) for number in numbers)
        texts = [self._shell.stdout.read(length).decode(errors="surrogateescape") for length in (out, err)]
        return Result(code, *texts)

    def close(self) -> None:
        """End the shell."""
        self._shell.communicate(timeout=30)

    def _send(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()


def machine(box: Sandbox, lab: str, *, hostid: str | None = None) -> Path:
    """Write the lab of a machine as it was recorded: vtnet0 in a network of its own, a wire with nothing else on it."""
    folder = box.folder / lab
    (folder / "fbsd").mkdir(parents=True)
    (folder / "vjail.yml").write_text(_LAB_FILE)
    (folder / "fbsd" / "rc.conf").write_text(_RC_CONF)
    if hostid is not None:
        (folder / "fbsd" / "hostid").write_text(f"{hostid}\n")
    return folder


@contextlib.contextmanager
def typing(box: Sandbox, lab: str) -> Iterator[Typist]:
    """Bring a lab up, sit down at its host, and take it down afterwards."""
    up = box.vjail("up", "--no-jails", lab)
    assert up.code == 0, up
    typist = Typist(box, lab)
    try:
        yield typist
    finally:
        typist.close()
        down = box.vjail("down", lab)
        assert down.code == 0, down


def wait_for_phase(phase: float, at_least: float = 0.0) -> None:
    """Wait until the kernel's clock is `phase` of a second behind a full one, and for `at_least` seconds."""
    time.sleep(at_least)
    time.sleep((phase - time.monotonic()) % 1.0)
