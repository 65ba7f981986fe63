"""Small programs that scripts and people use besides sh(1)'s own tools, as far as a model knows what they answer.

Each is given the session it runs in and returns its exit code; a form that is not known raises NotModelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from vjail.command.accounts import Database, name_of
from vjail.command.sh import NotModelled
from vjail.kernel.errno import Errno, KernelError
from vjail.rehearsal.examples import jib, jng
from vjail.session import FileKind

if TYPE_CHECKING:
    from vjail.rehearsal.session import ModelSession

Program = Callable[["ModelSession"], int | Awaitable[int]]
"""What a program does; it returns its exit code."""


async def _csh(session: ModelSession) -> int:
    """csh(1), fed or given commands that sh(1) takes as well."""
    match list(session.argv[1:]):
        case []:
            return await session.execute_shell(session.streams.input)
        case ["-c", line]:
            return await session.execute_shell(line)
    raise NotModelled(" ".join(session.argv))


async def _sleep(session: ModelSession) -> int:
    await session.sleep(seconds(session.argv))
    return 0


def _ls(session: ModelSession) -> int:
    """Names, one a line, as where the output is no terminal."""
    if any(word.startswith("-") and word != "-1" for word in session.argv[1:]):
        raise NotModelled(" ".join(session.argv))
    paths = [word for word in session.argv[1:] if word != "-1"] or ["."]
    if len(paths) > 1:
        raise NotModelled(" ".join(session.argv))
    try:
        if session.files.kind(paths[0]) is FileKind.DIRECTORY:
            session.out("".join(f"{name}\n" for name in session.files.list(paths[0]) if not name.startswith(".")))
            return 0
        if session.files.kind(paths[0], follow=False) is None:
            raise KernelError(Errno.ENOENT)
    except KernelError as error:
        session.err(f"ls: {paths[0]}: {error.errno.text}\n")
        return 1
    session.out(f"{paths[0]}\n")
    return 0


def _kill(session: ModelSession) -> int:
    """kill [-SIGNAL] PID…; numbers only."""
    words = list(session.argv[1:])
    signal = int(words.pop(0)[1:]) if words and words[0][1:].isdecimal() and words[0].startswith("-") else 15
    if not words or not all(word.isdecimal() for word in words):
        raise NotModelled(" ".join(session.argv))
    known = {running.pid: running for running in session.reachable()}
    code = 0
    for word in words:
        running = known.get(int(word))
        if running is None:
            session.err(f"kill: {word}: {Errno.ESRCH.text}\n")
            code = 1
        else:
            running.kill(signal)
    return code


def _id(session: ModelSession) -> int:
    name = name_of(session.files, Database.USERS, session.uid) or str(session.uid)
    match list(session.argv[1:]):
        case ["-un"]:
            session.out(f"{name}\n")
        case ["-u"]:
            session.out(f"{session.uid}\n")
        case _:
            raise NotModelled(" ".join(session.argv))
    return 0


def _mknod(session: ModelSession) -> int:
    """Nobody in a jail makes devices (prison_priv_check)."""
    if not session.system.jid:
        raise NotModelled(" ".join(session.argv))
    session.err(f"mknod: {session.argv[1]}: {Errno.EPERM.text}\n")
    return 1


def seconds(argv: Sequence[str]) -> float:
    """How long `sleep` sleeps. Raises NotModelled."""
    try:
        return sum(float(word) for word in argv[1:])
    except ValueError:
        raise NotModelled(" ".join(argv)) from None


def _daemon(session: ModelSession) -> int:
    """Something that stays."""
    session.stay(tuple(session.argv))
    return 0


def _without_effect(session: ModelSession) -> int:
    """Do nothing that can be seen on a model."""
    return 0


WITHOUT_EFFECT = (
    "cap_mkdb", "certctl", "chgrp", "cpuset", "cpdup", "dd", "df", "du", "fetch", "find",
    "fsck", "gzip", "install", "killall", "ldconfig", "lockf", "mail", "mkfifo", "mtree", "mv",
    "newaliases", "newsyslog", "nice", "pgrep", "pkg", "pkg-static", "pkill", "pw", "pwd_mkdb", "rctl", "rmdir",
    "rsync", "swapon", "tar", "tee", "truncate", "tzsetup", "unlink", "xz", "zfs", "zpool",
)  # fmt: skip
"""Programs of files, accounts, data sets and processes: they end, and nothing of what a model keeps is changed by them.
They are taken to succeed, as what they work on is on the real host only."""

PROGRAMS: Mapping[str, Program] = MappingProxyType(
    {
        **dict.fromkeys(WITHOUT_EFFECT, _without_effect),
        "csh": _csh,
        "daemon": _daemon,
        "id": _id,
        "jib": jib,
        "jng": jng,
        "kill": _kill,
        "ls": _ls,
        "mknod": _mknod,
        "sleep": _sleep,
        "tcsh": _csh,
    }
)
"""By the program's name."""
