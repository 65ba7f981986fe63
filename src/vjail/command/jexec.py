"""jexec(8): a command in a jail, as the caller or as a user.

One of vjail's own commands is carried out right here, in the jail; any other program is started in the caller's place,
on its terminal. Sources: FreeBSD 13.2 usr.sbin/jexec/jexec.c; recorded in observed/b1_two_jails.txt, replay/vnet.txt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vjail.command.getopt import BadOption, Getopt, Option
from vjail.jail import environment
from vjail.kernel.errno import Errno, KernelError
from vjail.release import Release
from vjail.session import Files, Process, Quit, Session, StartError, User


@dataclass(frozen=True, slots=True)
class _Options:
    """What stands before the jail: -l, -u USER (looked up on the host), -U USER (in the jail), -d DIRECTORY (15)."""

    clean: bool = False
    host_user: str | None = None
    jail_user: str | None = None
    directory: str | None = None


async def jexec(session: Session) -> int:
    """Run a command in a jail; its exit code, or 1."""
    try:
        return await _jexec(session)
    except Quit as leave:
        if leave.text is not None:
            session.err(f"jexec: {leave.text}\n")
        return leave.code


async def _jexec(session: Session) -> int:
    release = session.system.release
    options, (name, *command) = _parse(session, release)
    user: User | None = None
    if options.host_user is not None or (options.clean and options.jail_user is None):
        user = _account(session.files, session.uid, options.host_user)
    jid = _jid(session, name)
    if options.jail_user is not None:
        user = _account(session.files_in(jid), session.uid, options.jail_user)
    named = options.host_user is not None or options.jail_user is not None
    environ = dict(session.environ)
    if options.clean:
        environ = environment.cleared(environ)
    if user is not None:
        environ = environment.login(environ, user)
    home = None
    if options.clean and user is not None and (release < Release.V15 or (named and options.directory is None)):
        home = user.home
    argv = tuple(command) or (environ.get("SHELL", environment.SHELL), "-i")
    identity = user if named else None
    try:
        if (identity is None or identity.uid == session.uid) and session.resolves(argv[0], jid, environ):
            _check_directory(session, jid, home or options.directory)
            return await session.call(argv, jid=jid, environ=environ)
        process = Process(
            argv, jid=jid, environ=environ, cwd=home or options.directory or "/", user=identity, interactive=True
        )
        return (await (await session.start(process)).wait()).code
    except StartError as error:
        raise Quit(_failure(error, jid, argv[0], home or options.directory, bool(command))) from None


def _failure(error: StartError, jid: int, argv0: str, directory: str | None, with_command: bool) -> str:
    match error.stage:
        case "exec":
            return f"{'execvp' if with_command else 'execlp'}: {argv0}: {error.text}"
        case "jail_attach":
            return f"jail_attach({jid}): {error.text}"
        case "chdir":
            return f"chdir(): /: {error.text}" if directory is None else f"chdir: {directory}: {error.text}"
    return f"{error.stage}: {error.text}"


def _check_directory(session: Session, jid: int, directory: str | None) -> None:
    """That a command which is no process could have been started there."""
    if directory is None:
        return
    try:
        kind = session.files_in(jid).kind(directory)
    except KernelError as error:
        raise Quit(f"chdir: {directory}: {error.errno.text}") from None
    if kind is None:
        raise Quit(f"chdir: {directory}: {Errno.ENOENT.text}")


def _parse(session: Session, release: Release) -> tuple[_Options, Sequence[str]]:
    newer = release >= Release.V15
    found: dict[str, bool | str | None] = {}
    parsed = Getopt(session.argv[1:], "d:lnu:U:" if newer else "lnu:U:")
    for option in parsed:
        match option:
            case BadOption(text):
                session.err(f"jexec: {text}\n")
                raise _usage(session, release)
            case Option("l"):
                found["clean"] = True
            case Option("u", name):
                found["host_user"] = name
            case Option("U", name):
                found["jail_user"] = name
            case Option("d", directory):
                found["directory"] = directory
    operands = parsed.operands
    if not operands or {"host_user", "jail_user"} <= found.keys():
        raise _usage(session, release)
    return _Options(**found), operands  # type: ignore[arg-type]


def _usage(session: Session, release: Release) -> Quit:
    if release >= Release.V15:
        session.err("usage: jexec [-l] [-d working-directory] [-u username | -U username] jail\n       [command ...]\n")
    else:
        session.err("usage: jexec [-l] [-u username | -U username] jail [command ...]\n")
    return Quit(None)


def _jid(session: Session, name: str) -> int:
    key = int(name) if re.fullmatch(r"[0-9]+", name) else name
    if key == 0:
        raise Quit(f"jail_attach(0): {(Errno.EINVAL if session.uid == 0 else Errno.EPERM).text}")
    try:
        return session.system.jail(key).jid
    except KernelError as error:
        raise Quit(error.message or f"jail_get: {error.errno.text}") from None


def _account(files: Files, uid: int, name: str | None) -> User:
    """The user of that name, or whoever has the number `uid`."""
    try:
        user = environment.by_uid(files, uid) if name is None else environment.by_name(files, name)
    except KernelError as error:
        raise Quit(f"getpwnam: {uid if name is None else name}: {error.errno.text}") from None
    if user is None:
        raise Quit(f"unknown uid: {uid}" if name is None else f"{name}: no such user")
    return user
