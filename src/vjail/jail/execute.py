"""One command of a jail, on the host or in the jail: as whom, with which environment, where, and carried out by what.

A plain line whose first word is one of vjail's own commands is carried out in this process; a line that needs a shell
or another program is started. What goes wrong before the command runs is said here; its exit is the caller's to judge.
Source: run_command() and get_user_info() in FreeBSD 13.2 usr.sbin/jail/command.c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vjail.jail import environment
from vjail.jail.words import Line
from vjail.kernel.errno import Errno, KernelError
from vjail.release import Release
from vjail.session import Exit, FileKind, Files, Output, Process, Session, StartError, User

_NOT_RUN = Exit(1)
"""How a command ends that could not be run, as FreeBSD's child process does."""


@dataclass(frozen=True, slots=True)
class Context:
    """How a jail's commands run, by its parameters. `jid`: that of the jail to run in, None on the host."""

    jid: int | None = None
    path: str | None = None
    clean: bool = False
    user: str | None = None
    user_from_host: bool = False
    """A command in the jail runs as a user of the host's passwd(5) (exec.system_jail_user)."""
    fib: int | None = None
    console_log: str | None = None
    interactive: bool = False
    variables: tuple[tuple[str, str], ...] = ()
    """Set besides (15: JID, JNAME, JPATH)."""


class _CannotRun(Exception):
    """The command is not run; the text is the warning."""


async def run(session: Session, line: Line, context: Context, warn: Callable[[str], None]) -> Exit:
    """Run a command and wait for its end, or for one in the background until it has been started.

    `warn` is told what keeps it from running.
    """
    try:
        return await _run(session, line, context)
    except _CannotRun as reason:
        warn(str(reason))
    except StartError as error:
        warn(f"exec {line.argv[0]}: {error.text}" if error.stage == "exec" else str(error))
    return _NOT_RUN


async def _run(session: Session, line: Line, context: Context) -> Exit:
    jid = context.jid or 0
    user: User | None = None
    if (context.clean or context.user is not None) and (jid == 0 or context.user_from_host):
        user = _account(session.files, session.uid, context.user)
    if jid:
        _check_entry(session, context)
    if user is None and (context.clean or context.user is not None):
        user = _account(session.files_in(jid), session.uid, context.user)
    environ = dict(session.environ)
    if context.clean:
        environ = environment.cleared(environ)
    if user is not None:
        environ = environment.login(environ, user)
    environ |= dict(context.variables)
    directory = _directory(session, context, user)
    output: Output | str = context.console_log if context.console_log is not None else Output.SESSION
    other = user if context.user is not None and user is not None and user.uid != session.uid else None
    if other is None and not line.background and session.resolves(line.argv[0], jid, environ):
        return Exit(await session.call(line.argv, jid=jid, environ=environ, output=output))
    process = Process(
        line.argv,
        jid=jid,
        environ=environ,
        cwd=directory,
        user=user if context.user is not None else None,
        output=output,
        detached=line.background,
        interactive=context.interactive,
    )
    running = await session.start(process)
    return Exit(0) if line.background else await running.wait()


def _check_entry(session: Session, context: Context) -> None:
    """That jail(8) could go to the jail's root and take its fib."""
    if context.path is not None:
        try:
            kind = session.files.kind(context.path)
        except KernelError as error:
            raise _CannotRun(f"chdir {context.path}: {error.errno.text}") from None
        if kind is not FileKind.DIRECTORY:
            raise _CannotRun(f"chdir {context.path}: {(Errno.ENOTDIR if kind else Errno.ENOENT).text}")
    if context.fib is not None and not 0 <= context.fib < _fibs(session):
        raise _CannotRun(f"setfib: {Errno.EINVAL.text}")


def _fibs(session: Session) -> int:
    """How many routing tables the kernel has."""
    try:
        return int(session.system.sysctl("net.fibs")[0][1])
    except (KernelError, IndexError, ValueError):
        return 1


def _directory(session: Session, context: Context, user: User | None) -> str | None:
    """Where the command runs: the home of its user with exec.clean (from 15 only with a user given)."""
    if not context.clean or user is None or (session.system.release >= Release.V15 and context.user is None):
        return None
    try:
        kind = (session.files_in(context.jid) if context.jid else session.files).kind(user.home)
    except KernelError as error:
        raise _CannotRun(f"chdir {user.home}: {error.errno.text}") from None
    if kind is not FileKind.DIRECTORY:
        raise _CannotRun(f"chdir {user.home}: {(Errno.ENOTDIR if kind else Errno.ENOENT).text}")
    return user.home


def _account(files: Files, uid: int, name: str | None) -> User:
    try:
        user = environment.by_uid(files, uid) if name is None else environment.by_name(files, name)
    except KernelError as error:
        raise _CannotRun(f"getpwnam{'' if name is None else ' ' + name}: {error.errno.text}") from None
    if user is None:
        raise _CannotRun(f"unknown uid {uid}" if name is None else f"{name}: no such user")
    return user
