"""What was typed at a FreeBSD 13.2 machine, typed at a lab host, as root and as an ordinary user.

Every line is compared: standard output, standard error and exit code, without what `comparable` takes away. DIFFERENCES
names each line that cannot agree, with the reason; it holds no others. The share that agrees is printed at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from sandbox import Result, Sandbox
from typist import machine, typing, wait_for_phase

from comparable import comparable
from recordings import REPLAY, Recording
from transcripts import DATA, Line, read

pytestmark = pytest.mark.real

_AT_ONCE = 4
"""Labs that are typed at side by side; most of the time each waits for its pings."""

_JAIL_CONF = (DATA.parent / "documents" / "A1.jail.conf").read_text()
BEFORE: Mapping[str, tuple[str, ...]] = {
    "replay/documents-A1.txt": (f"cat > /etc/jail.conf <<'X'\n{_JAIL_CONF}X\n",),
}
"""What the machine had been given before a recording began."""

TRAVEL = ("jail -c name=zz vnet persist", "ifconfig vtnet1 vnet zz", "jail -r zz")
"""How vtnet1 came to stand last."""

WAITS: Mapping[tuple[str, int], Callable[[], None]] = {
    # What is tentative depends on where in its second the kernel's timer is.
    ("replay/vlan.txt", 35): partial(wait_for_phase, 0.6),
    ("replay/vlan.txt", 40): partial(wait_for_phase, 0.5, 1.0),
}
"""Lines before which the recorded machine, which was slow, had taken its time."""

_CLONERS = "FreeBSD's kernel has cloners for interfaces that a lab host does not have (docs/differences.md)"
_CP = "this machine's cp copies sockets, and no devd is there whose sockets could be met"
_DEV = "ptmx and pts: without them no Linux program could have a terminal; log: where Linux programs log"
_TOUCH = "this machine's touch words its messages otherwise"
_INIT = "a jail's processes are numbered from 1, which reaps"
_CSH = "root's shell is this machine's sh, FreeBSD's is csh"
_WC = "this machine's wc does not pad its numbers"
DIFFERENCES: Mapping[tuple[str, int], str] = {
    ("replay/ifconfig-inet.txt", 72): _CLONERS,
    ("replay/vnet.txt", 27): _CSH,
    ("replay/documents-A1.txt", 1): _CP,
    ("replay/documents-A1.txt", 11): _DEV,
    ("replay/documents-A1.txt", 12): _TOUCH,
    ("replay/documents-C.txt", 12): _DEV,
    ("replay/documents-C.txt", 13): _INIT,
    ("replay/documents-E1.txt", 27): _WC,
    ("replay/documents-E1.txt", 28): _WC,
}
"""Lines, by file and number, that answer otherwise, and why."""

BY_CHANCE: Mapping[tuple[str, int], str] = {
    ("replay/documents-A1.txt", 14): "which of a pipeline's programs run already when its ps looks",
}
"""Lines that answer otherwise or not, as a machine's scheduler has it, and why."""

WITH_ONE_ID: Mapping[tuple[str, int], str] = {
    ("replay/vnet.txt", 31): "a lab with one user id cannot run a program as somebody else than root",
}
"""Lines that answer otherwise besides where a lab has one user id: an ordinary user with no subordinate ids runs it."""


@dataclass(frozen=True)
class Replayed:
    """A recording typed again: each line with what a lab host answered."""

    answers: tuple[tuple[Line, Result], ...]
    one_id: bool

    def differing(self) -> list[tuple[Line, Result]]:
        """The lines that were answered otherwise."""
        return [(line, result) for line, result in self.answers if not agrees(line, result)]


def agrees(line: Line, result: Result) -> bool:
    """Whether a line was answered as recorded. A recording does not tell whether an answer's last line is ended."""

    def shown(text: str) -> str:
        return comparable(line.command, text if text.endswith("\n") or not text else text + "\n")

    same = (shown(line.stdout), shown(line.stderr)) == (shown(result.out), shown(result.err))
    return same and line.code == result.code


def replay(box: Sandbox, recording: Recording) -> Replayed:
    """Type a recording's lines at a lab of its own."""
    lab = Path(recording.path).stem
    machine(box, lab)
    with typing(box, lab) as typist:
        for command in (*BEFORE.get(recording.path, ()), *(TRAVEL if recording.travelled else ())):
            done = typist.type(command)
            assert done.code == 0, done
        answers = []
        for line in read(recording.path):
            WAITS.get((recording.path, line.number), lambda: None)()
            answers.append((line, typist.type(line.command)))
        ids = typist.type("cat /proc/self/uid_map").out.split()
    return Replayed(tuple(answers), one_id=ids[2:] == ["1"])


def test_the_recorded_lines_answer_as_recorded(box: Sandbox, summary: Callable[[str], None]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        replayed = dict(zip(REPLAY, pool.map(partial(replay, box), REPLAY), strict=True))
    summary(f"lines that answer as FreeBSD 13.2 ({'root' if box.uid == 0 else 'user'}): {_share(*replayed.values())}")
    for recording, done in replayed.items():
        summary(f"  {recording.path}: {_share(done)}")
    differing = {
        (recording.path, line.number): _told(line, result)
        for recording, done in replayed.items()
        for line, result in done.differing()
    }
    one_id = any(done.one_id for done in replayed.values())
    listed = DIFFERENCES.keys() | (WITH_ONE_ID.keys() if one_id else set())
    unlisted = differing.keys() - listed - BY_CHANCE.keys()
    assert not unlisted, "\n".join(f"{path} {number} {differing[path, number]}" for path, number in sorted(unlisted))
    assert not listed - differing.keys(), "these agree after all"


def _share(*replayed: Replayed) -> str:
    lines = sum(len(each.answers) for each in replayed)
    same = lines - sum(len(each.differing()) for each in replayed)
    return f"{same} of {lines} ({100 * same / lines:.1f} %)"


def _told(line: Line, result: Result) -> str:
    recorded = f"{line.stdout}{line.stderr}exit {line.code}"
    return f"# {line.command}\nrecorded:\n{recorded}\nhere:\n{result.out}{result.err}exit {result.code}\n"
