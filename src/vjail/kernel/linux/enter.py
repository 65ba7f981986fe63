"""Starting a program in a host or a jail: the steps from an agent's fork to the exec, as a `Program`."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vjail.kernel.linux.confine import Rights, last_capability
from vjail.kernel.linux.program import Fd, Program, Record, Strings
from vjail.kernel.linux.spaces import HostSpace, Init, JailSpace, join_host, join_jail
from vjail.kernel.linux.syscalls import CLONE_PARENT, PR_CAPBSET_DROP, SECCOMP_SET_MODE_FILTER
from vjail.session import User

DEFAULT_PATH = "/usr/bin:/bin"
"""Where execvp(3) looks without PATH (FreeBSD: _PATH_DEFPATH)."""
_CLOSE_RANGE_CLOEXEC = 4
_LAST_FD = 0x7FFF_FFFF

EXEC = "execve"
CHDIR = "chdir"
"""The names of the steps whose failure FreeBSD has texts for."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What to run, once the process is where it belongs.

    `cwd` None: where it is. `output`: a descriptor both streams go to. `session`: a session of its own. `interactive`:
    begun with INTERACTIVE, it may have the caller's terminal.
    """

    argv: Sequence[str]
    environ: Mapping[str, str]
    cwd: str | None = None
    user: User | None = None
    output: int | None = None
    session: bool = False
    interactive: bool = False


@dataclass(frozen=True, slots=True)
class JailPlace:
    """A jail to go into, its PID 1 running, with the rights its processes have.

    `door`: what is written into to be in its control group (groups.py), None where it has none.
    """

    space: JailSpace
    init: Init
    rights: Rights
    door: int | None = None


def in_place(execution: Execution) -> Program:
    """Run it where the agent already is."""
    program = Program()
    _execute(program, execution, None)
    return program


def in_host(execution: Execution, host: HostSpace, *, outside: int | None, door: int | None) -> Program:
    """Run it on the host. Comes from outside the lab where `outside` is the lab's user namespace. Needs FORKS.

    `door`: as in JailPlace.
    """
    program = Program()
    join_host(program, host, outside=outside)
    _execute_in_child(program, execution, None, door)
    return program


def in_jail(execution: Execution, place: JailPlace, *, outside: int | None) -> Program:
    """Run it in a jail, with no more rights than the jail has. Needs FORKS."""
    program = Program()
    join_jail(program, place.space, place.init, outside=outside)
    _execute_in_child(program, execution, place.rights, place.door)
    return program


def _execute_in_child(program: Program, execution: Execution, rights: Rights | None, door: int | None) -> None:
    """Only a child is in the new process namespace; it is made the agent's own, which then hears of its end."""
    fork = program.fork(CLONE_PARENT)
    if door is not None:
        program.call("write", Fd(door), "0", 1)
    program.report()
    if execution.interactive:
        program.terminal()
    _execute(program, execution, rights)
    program.parent_goes_on(fork)
    program.exit(0)


def _execute(program: Program, execution: Execution, rights: Rights | None) -> None:
    if execution.session:
        program.call("setsid")
    if execution.output is not None:
        for stream in (1, 2):
            program.call("dup3", Fd(execution.output), stream, 0)
    if execution.cwd is not None:
        program.call("chdir", execution.cwd)
    if rights is not None:
        _give_up(program, rights)
    if execution.user is not None:
        _become(program, execution.user)
    program.call("close_range", 3, _LAST_FD, _CLOSE_RANGE_CLOEXEC)
    _exec(program, execution)


def _give_up(program: Program, rights: Rights) -> None:
    header = struct.pack("=H6xQ", len(rights.filter) // 8, 0)
    program.call("seccomp", SECCOMP_SET_MODE_FILTER, 0, Record(header, ((8, rights.filter),)))
    for capability in range(last_capability() + 1):
        if not rights.capabilities >> capability & 1:
            program.call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)


def _become(program: Program, user: User) -> None:
    groups = user.groups or (user.gid,)
    # Where the lab has a single id the kernel allows no groups at all; there are none to drop either.
    program.call("setgroups", len(groups), struct.pack(f"={len(groups)}I", *groups), may_fail=user.uid == 0)
    program.call("setresgid", user.gid, user.gid, user.gid)
    program.call("setresuid", user.uid, user.uid, user.uid)


def _exec(program: Program, execution: Execution) -> None:
    name = execution.argv[0]
    paths = [name]
    if "/" not in name:
        paths = [f"{directory or '.'}/{name}" for directory in execution.environ.get("PATH", DEFAULT_PATH).split(":")]
    argv = Strings(tuple(execution.argv))
    environ = Strings(tuple(f"{key}={value}" for key, value in execution.environ.items()))
    for path in paths[:-1]:
        program.call(EXEC, path, argv, environ, may_fail=True)
    program.call(EXEC, paths[-1], argv, environ)
