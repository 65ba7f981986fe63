"""base: a userland for jails in a folder of this machine."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from types import FrameType

from vjail.cli.say import fail
from vjail.lab.userland import Natives, UserlandError
from vjail.lab.userland.makebase import Machine, make_base
from vjail.progress import Progress

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def base(arguments: argparse.Namespace) -> int:
    """`vjail base DIR`: the folder holds a whole base at the end, or what it held before."""
    if arguments.full and arguments.source is not None:
        fail("base: --full is of this machine, and --from is not; give one of them")
        return 2
    source = arguments.source or (Machine.FULL if arguments.full else Machine.SMALL)
    machine = platform.machine()
    progress = Progress(_say, terminal=sys.stderr.isatty(), verbose=False)
    clock = _Clock(progress)
    for number in _INTERRUPTS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupted)
    try:
        with clock:
            natives = Natives.shipped(machine)
            notes = make_base(arguments.dir, source, machine=machine, natives=natives, tell=clock.tell)
    except UserlandError as error:
        progress.clear()
        return fail(str(error))
    except SystemExit:
        progress.line(f"vjail: {arguments.dir}: interrupted; nothing of it is left")
        raise
    for note in notes:
        progress.line(f"{arguments.dir}: {note}")
    progress.line(f"{arguments.dir} is a base of {_size(arguments.dir)} ({clock.seconds:.1f} s)")
    return 0


class _Clock:
    """Shows each step, and from its second second on how long everything has taken. A context manager."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._began = time.monotonic()
        self._step = ""

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def tell(self, step: str) -> None:
        """A step begins."""
        self._step = step
        self._progress.step(step)

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, lambda *_: self._progress.step(f"{self._step} ({self.seconds:.0f} s)"))
        signal.setitimer(signal.ITIMER_REAL, 1, 1)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _interrupted(number: int, _: FrameType | None) -> None:
    """Leave, once: what was made is removed on the way, which a second signal must not stop."""
    for each in _INTERRUPTS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _size(top: str) -> str:
    """The number of files and the bytes that they hold, each counted once."""
    sizes: dict[int, int] = {}
    for folder, _, names in os.walk(top):
        for name in names:
            status = os.lstat(os.path.join(folder, name))
            sizes[status.st_ino] = status.st_size
    return f"{len(sizes)} files, {sum(sizes.values()) / 1e6:.0f} MB"
