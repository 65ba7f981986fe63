"""Control groups (v2) of a lab: one for each jail that shares a stack, by which eBPF holds its processes to addresses.

A group is made with its jail, below that of the jail above it, and has the programs of shared_stack.py attached before
a process is in it. Who goes into the jail goes into the group first (enter.py); nobody inside can leave it, as a jail
sees no cgroup file system and can mount none. All groups of a lab are below one, which is below the group of the lab's
anchor; groups do not vanish with their processes, so the lab's run-time folder says where it is (`cgroup`), and who
ends the lab, or finds it dead, takes it away. Sources: Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path

from vjail.kernel.core.prison_record import AddressRule
from vjail.kernel.linux import bpf
from vjail.kernel.linux.anchor import Unable
from vjail.kernel.linux.shared_stack import KINDS, Held, programs
from vjail.kernel.linux.syscalls import new_filesystem

RECORD = "cgroup"
"""The file of a lab's run-time folder that says which control group its jails' are in."""
_MOMENT, _PATIENCE = 0.2, 5.0
"""Seconds that the last processes of a jail, and of a lab, are given to be gone."""
_PAUSE = 0.002
_FIRST_NAMESPACE = 0xEFFF_FFFB
"""The number of the machine's own cgroup namespace (include/linux/proc_ns.h)."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Group:
    """The control group of one jail."""

    def __init__(self, place: str, folder: int) -> None:
        self.place = place
        """Its path below the lab's."""
        self._folder = folder
        self.door = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
        """What a process writes "0" into to be in it."""
        self._attached: Mapping[bpf.Attach, bytes] | None = None
        """The programs there are, where that is known."""

    def hold(self, held: Held) -> None:
        """Hold the processes in it to addresses; nobody notices a moment without. Raises OSError."""
        wanted = programs(held)
        if wanted == self._attached:
            return
        for where, kind in KINDS.items():
            code = wanted.get(where)
            if self._attached is None or code != self._attached.get(where):
                self._put(where, kind, code)
        self._attached = wanted

    def _put(self, where: bpf.Attach, kind: bpf.ProgramKind, code: bytes | None) -> None:
        there = bpf.attached_to_cgroup(self._folder, where) if self._attached is None or where in self._attached else []
        try:
            if code is not None:
                program = bpf.load(kind, code, f"vjail_{where.name.lower()}", where)
                try:
                    bpf.attach_to_cgroup(self._folder, program, where, instead_of=there[0] if there else None)
                finally:
                    os.close(program)
            else:
                for program in there:
                    bpf.detach_from_cgroup(self._folder, program, where)
        finally:
            for program in there:
                os.close(program)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.door)
        os.close(self._folder)


class Groups:
    """The control group of a lab."""

    def __init__(self, folder: int) -> None:
        self._folder = folder

    @classmethod
    def open(cls, runtime: Path) -> Groups:
        """That of the lab with this run-time folder, made where there is none. Raises Unable: what is missing.

        To be called inside the lab, where process 1 is the anchor.
        """
        root = _root()
        try:
            # No other process namespace that lives has this number; a group of one that has died would be empty.
            name = f"vjail.{os.stat('/proc/1/ns/pid').st_ino}"
            place = os.path.join(_own(1).lstrip("/"), name)
            (runtime / RECORD).write_text(f"{place}\n")
            with contextlib.suppress(FileExistsError):
                os.mkdir(place, dir_fd=root)
            folder = os.open(place, _FOLDER, dir_fd=root)
        except OSError as error:
            raise Unable(f"no control group can be made ({error.strerror})") from None
        finally:
            os.close(root)
        try:
            _try_out(folder)
        except OSError as error:
            os.close(folder)
            raise Unable(f"this kernel does not take eBPF programs for control groups ({error.strerror})") from None
        return cls(folder)

    def group(self, place: str) -> Group:
        """The control group at a path below the lab's, made where it is not there. Raises OSError."""
        names = place.split("/")
        for depth in range(len(names)):
            with contextlib.suppress(FileExistsError):
                os.mkdir("/".join(names[: depth + 1]), dir_fd=self._folder)
        return Group(place, os.open(place, _FOLDER, dir_fd=self._folder))

    def places(self, below: str) -> list[str]:
        """The paths of the groups below one, those of children first."""
        found = []
        for name in _children(self._folder, below):
            place = f"{below}/{name}"
            found += [*self.places(place), place]
        return found

    def remove(self, place: str) -> None:
        """Remove a group and those below it, whose processes have been killed; no error where there is none.

        Where the kernel needs longer than a moment to be done with them it stays, and goes with the lab.
        """
        with contextlib.suppress(OSError):
            _remove(self._folder, place, _MOMENT)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._folder)


def remove_recorded(runtime: Path) -> None:
    """Remove the control group of a lab that has ended, if it had one."""
    try:
        place = (runtime / RECORD).read_text().strip()
    except FileNotFoundError:
        return
    with contextlib.suppress(Unable):
        root = _root()
        try:
            _remove(root, place, _PATIENCE)
        finally:
            os.close(root)


def _root() -> int:
    """The folder of this machine's cgroup v2 hierarchy. Raises Unable.

    Where it is mounted that mount is used. To mount it anew changes its options for everybody, unless it is done in a
    cgroup namespace (a container's).
    """
    lines = [line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found = [(head.split(), tail.split()) for head, tail in lines if tail.startswith("cgroup2 ")]
    for head, _ in found:
        if head[3] == "/" and "rw" in head[5].split(","):
            with contextlib.suppress(OSError):
                return os.open(head[4].encode().decode("unicode_escape"), _FOLDER)
    if found:
        raise Unable("cgroup v2 is mounted here but cannot be written to")
    if os.stat("/proc/self/ns/cgroup").st_ino == _FIRST_NAMESPACE:
        raise Unable("cgroup v2 is not mounted here")
    try:
        return new_filesystem("cgroup2", {})
    except OSError as error:
        raise Unable(f"there is no cgroup v2 here ({error.strerror})") from None


def _own(pid: int) -> str:
    """The control group (v2) a process is in."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return line[3:]
    return "/"


def _try_out(folder: int) -> None:
    """Load what a jail without addresses needs, which has every kind of program and helper. Raises OSError."""
    nothing = AddressRule(own=True, restricted=True)
    for where, code in programs(Held(nothing, nothing)).items():
        os.close(bpf.load(KINDS[where], code, "vjail", where))


def _children(root: int, place: str) -> list[str]:
    try:
        folder = os.open(place, _FOLDER, dir_fd=root)
    except FileNotFoundError:
        return []
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    finally:
        os.close(folder)


def _remove(root: int, place: str, patience: float) -> None:
    for name in _children(root, place):
        _remove(root, f"{place}/{name}", patience)
    deadline = time.monotonic() + patience
    while True:
        try:
            os.rmdir(place, dir_fd=root)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return
