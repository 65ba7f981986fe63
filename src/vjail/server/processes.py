"""The processes of a lab host and its jails, read from the lab's procfs, as ps(1) wants them.

A process has a number in every process namespace from the lab's down to its own; shown is the one in the caller's,
which is the one that kill(1) takes there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from vjail.session import ProcessInfo

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PTS_MAJORS = range(136, 144)
_STATES = {"R": "R", "S": "S", "D": "D", "T": "T", "t": "T", "Z": "Z", "I": "I"}


def processes(
    jail_of: Callable[[int], int | None], level: int, visible: Callable[[int], bool], users: Mapping[int, str]
) -> Iterator[ProcessInfo]:
    """The processes of the jails that `visible` is true of.

    `jail_of` tells the jail (0: the host) from the inode number of a mount namespace. `level` is how deep the caller's
    process namespace lies below the lab's (1: the host's, 2: a jail's).
    """
    boot = _boot_time()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            jid = jail_of(os.stat(f"/proc/{name}/ns/mnt").st_ino)
            if jid is None or not visible(jid):
                continue
            own = numbers(int(name))
            if len(own) > level and not (jid and own[-1] == 1):
                yield _process(int(name), own[level], level, jid, boot, users)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue


def _process(pid: int, number: int, level: int, jid: int, boot: float, users: Mapping[int, str]) -> ProcessInfo:
    folder = Path(f"/proc/{pid}")
    head, _, tail = folder.joinpath("stat").read_text(errors="surrogateescape").rpartition(")")
    fields = tail.split()
    command = folder.joinpath("cmdline").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
    uid = folder.stat().st_uid
    session, terminal, foreground, group = int(fields[3]), int(fields[4]), int(fields[5]), int(fields[2])
    state = _STATES.get(fields[0], "S")
    start = boot + int(fields[19]) / _TICKS
    state += ("s" if session == pid else "") + ("J" if jid else "") + ("+" if group == foreground > 0 else "")
    parent = int(fields[1])
    parents = numbers(parent) if parent else []
    return ProcessInfo(
        pid=number,
        ppid=parents[level] if len(parents) > level else 0,
        jid=jid,
        name=head.partition("(")[2],
        command=tuple(command),
        uid=uid,
        user=users.get(uid, str(uid)),
        tty=_terminal(terminal),
        state=state,
        start=start,
        time=(int(fields[11]) + int(fields[12])) / _TICKS,
        rss=int(fields[21]) * _PAGE,
        vsz=int(fields[20]),
    )


def of_jail(jail_of: Callable[[int], int | None], jid: int) -> Iterator[int]:
    """The processes, by their numbers in the lab, whose jail is exactly `jid` (0: the host), but for its PID 1."""
    for name in os.listdir("/proc"):
        try:
            if (
                name.isdigit()
                and jail_of(os.stat(f"/proc/{name}/ns/mnt").st_ino) == jid
                and numbers(int(name))[-1] != 1
            ):
                yield int(name)
        except (FileNotFoundError, ProcessLookupError, PermissionError, IndexError):
            continue


def newest_first(pids: Iterable[int]) -> list[int]:
    """Processes, by their numbers in the lab, the last to have started first; without those that have gone."""
    started = {}
    for pid in pids:
        try:
            started[pid] = int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return sorted(started, key=lambda pid: (started[pid], pid), reverse=True)


def _terminal(device: int) -> str | None:
    major, minor = os.major(device), os.minor(device)
    if major in _PTS_MAJORS:
        return f"pts/{(major - _PTS_MAJORS[0]) * 256 + minor}"
    return None


def numbers(pid: int) -> list[int]:
    """The numbers of a process: the lab's, the host's, its jail's."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return [int(word) for word in line.split()[1:]]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return []


def _boot_time() -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0
