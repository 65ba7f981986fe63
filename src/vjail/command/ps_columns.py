"""The columns of ps(1): keywords, and what each shows of a process.

Pure. The keywords are those that have a value here; any other is `keyword not found`, as on a FreeBSD without it.
Times of day are UTC, as on a host that no time zone was set on. `%cpu` is the share since the start: the kernel's
decaying average is not known. Sources: FreeBSD bin/ps/{keyword,print,fmt}.c as of early 2023, ps(1).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from vjail.session import ProcessInfo

COMMAND_WIDTH = 16
"""How much of a command line is shown where it is not the last column."""

COMM_LENGTH = 19 * 2 + 1
"""How much of the name the kernel keeps is compared with the command line, and shown beside it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the columns of one process are made from: the process, the time of day, the machine's memory in bytes."""

    process: ProcessInfo
    now: float
    memory: int
    names_only: bool


@dataclass(frozen=True, slots=True)
class Keyword:
    """A column: its `header`, whether it is set to the left, and its text for a process."""

    header: str
    left: bool
    text: Callable[[Shown], str]


def by_cpu(shown: Shown) -> float:
    """The share of a CPU since the start, in per cent."""
    elapsed = shown.now - shown.process.start
    return 100.0 * shown.process.time / elapsed if elapsed > 0 else 0.0


def by_memory(shown: Shown) -> float:
    """What -m puts in order: the virtual size in bytes."""
    return float(shown.process.vsz)


def _arguments(shown: Shown) -> str:
    """The command line, the name the kernel keeps after it where it is another; that name in brackets for none."""
    process = shown.process
    name = process.name[:COMM_LENGTH]
    if process.state.startswith("Z"):
        return "<defunct>"
    if not process.command:
        return f"[{name}]"
    line = " ".join(_visible(word) for word in process.command if word)
    called = process.command[0].rpartition("/")[2]
    return line if called[:COMM_LENGTH] == name else f"{line} ({name})"


_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\a": "\\a", "\v": "\\v", "\f": "\\f", "\t": "^I"}


def _visible(word: str) -> str:
    """vis(3): control characters written out."""
    return "".join(
        _ESCAPES.get(each) or (f"\\^{chr(ord(each) ^ 0x40)}" if ord(each) < 0x20 or each == "\x7f" else each)
        for each in word
    )


def _command(shown: Shown) -> str:
    return shown.process.name if shown.names_only else _arguments(shown)


def _terminal(shown: Shown) -> str:
    """The terminal's name without what all have in common, and a blank: the mark of one that is not its own is `-`."""
    tty = shown.process.tty
    return "- " if tty is None else re.sub(r"^(tty|cua|pts/)", "", tty) + " "


def _cpu_time(shown: Shown) -> str:
    hundredths = int(shown.process.time * 100 + 0.5)
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"


def _started(shown: Shown) -> str:
    start = time.gmtime(shown.process.start)
    age = int(shown.now) - int(shown.process.start)
    if age < 24 * 3600:
        return time.strftime("%H:%M  ", start)
    return time.strftime("%a%H  " if age < 7 * 86400 else "%e%b%y", start)


def _memory_share(shown: Shown) -> str:
    return f"{100.0 * shown.process.rss / shown.memory if shown.memory else 0.0:.1f}"


KEYWORDS = MappingProxyType(
    {
        "%cpu": Keyword("%CPU", False, lambda shown: f"{by_cpu(shown):.1f}"),
        "%mem": Keyword("%MEM", False, _memory_share),
        "args": Keyword("COMMAND", True, _arguments),
        "comm": Keyword("COMMAND", True, lambda shown: shown.process.name),
        "command": Keyword("COMMAND", True, _command),
        "jid": Keyword("JID", False, lambda shown: str(shown.process.jid)),
        "lstart": Keyword(
            "STARTED", True, lambda shown: time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(shown.process.start))
        ),
        "pid": Keyword("PID", False, lambda shown: str(shown.process.pid)),
        "ppid": Keyword("PPID", False, lambda shown: str(shown.process.ppid)),
        "rss": Keyword("RSS", False, lambda shown: str(shown.process.rss // 1024)),
        "start": Keyword("STARTED", True, _started),
        "state": Keyword("STAT", True, lambda shown: shown.process.state),
        "time": Keyword("TIME", False, _cpu_time),
        "tt": Keyword("TT ", False, _terminal),
        "tty": Keyword("TTY", True, lambda shown: shown.process.tty or "-"),
        "uid": Keyword("UID", False, lambda shown: str(shown.process.uid)),
        "user": Keyword("USER", True, lambda shown: shown.process.user),
        "vsz": Keyword("VSZ", False, lambda shown: str(shown.process.vsz // 1024)),
    }
)
"""The keywords of -o."""

ALIASES = MappingProxyType(
    {"cputime": "time", "euid": "uid", "pcpu": "%cpu", "pmem": "%mem", "stat": "state", "vsize": "vsz"}
)
"""Other names of keywords."""
