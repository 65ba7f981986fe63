"""jail(8)'s five forms, decided in FreeBSD's order: list, old style, remove, one jail by parameters, from the file.

Source: main() in FreeBSD 13.2 usr.sbin/jail/jail.c; recorded in observed/b3_jail_v_order.txt, replay/vnet.txt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vjail.command.jail.options import USAGE, Options, Usage, parse
from vjail.command.jail.world import World
from vjail.command.names import inet_pton
from vjail.conf.jailconf import Configuration, Jail, command_line, list_jails, load
from vjail.conf.position import Source
from vjail.jail.events import Events
from vjail.jail.order import Op, Order, is_wildcard
from vjail.jail.runner import Runner, Settings
from vjail.jail.voice import Voice
from vjail.kernel.errno import KernelError
from vjail.release import Release
from vjail.session import Quit, Session

_DEPRECATED = "the 'allow.dying' parameter and '-d' flag are deprecated and have no effect."

_PERMISSIONS = (
    ("security.jail.set_hostname_allowed", "allow.set_hostname", True),
    ("security.jail.sysvipc_allowed", "allow.sysvipc", True),
    ("security.jail.allow_raw_sockets", "allow.raw_sockets", True),
    ("security.jail.chflags_allowed", "allow.chflags", True),
    ("security.jail.mount_allowed", "allow.mount", True),
    ("security.jail.socket_unixiproute_only", "allow.socket_af", False),
)
"""The sysctls that give an old-style jail its permissions, and the value that grants."""


@dataclass(frozen=True, slots=True)
class _Selection:
    """The jails a command line is about. `targets`: those to operate on, None: all; `file`: they come from a file."""

    jails: Sequence[Jail]
    op: Op
    file: bool
    targets: Sequence[str] | None
    old_style: bool = False
    note_removed: bool = False


async def jail(session: Session, events: Events | None = None) -> int:
    """Start, stop or change jails; 0, or 1 if anything failed. `events` is told what happens on the way."""
    try:
        options = parse(session.argv[1:], session.system.release)
        return await _jail(session, options, events)
    except Usage as usage:
        session.err(f"jail: {usage.complaint}\n{USAGE}" if usage.complaint is not None else USAGE)
        return 1
    except Quit as leave:
        if leave.text is not None:
            session.err(f"jail: {leave.text}\n")
        return leave.code


async def _jail(session: Session, options: Options, events: Events | None) -> int:
    release = session.system.release
    if options.separator is not None and release >= Release.V15 and (options.op or options.operands):
        raise Usage
    if options.separator is not None and not options.op:
        session.out(list_jails((await _configuration(session, options)).jails, options.separator))
        return 0
    selection = await _select(session, options)
    voice = Voice(session, options.verbosity)
    if release >= Release.V15 and (options.dying or any(each.parameter("allow.dying") for each in selection.jails)):
        voice.warn(None, _DEPRECATED)
    order = Order(selection.jails, session.system, voice)
    if selection.file:
        order.connect()
    else:
        order.connect_alone()
    status = _aim(order, selection, remove_only=options.remove_only)
    if status and selection.op != Op.STOP:
        return status
    if options.record is not None:
        _empty(session, options.record)
    settings = Settings(
        limit=options.limit,
        print_jid=options.print_jid,
        dying=options.dying and release < Release.V15,
        note_removed=selection.note_removed,
        record=options.record,
        old_style=selection.old_style,
        cleanup=options.cleanup,
    )
    return await Runner(session, order, voice, settings, World(session.files), events).run() or status


async def _select(session: Session, options: Options) -> _Selection:
    """Find out which form the command line has, and the jails it is about. Raises Usage."""
    op, operands = options.op, options.operands
    if not op:
        if len(operands) < 4 or not operands[0].startswith("/"):
            raise Usage
        arguments = [*options.parameters, *_old_style(session, operands)]
        jails = _arguments(session, arguments)
        return _Selection(jails, Op.START, False, None, old_style=True)
    if op == Op.STOP:
        if options.parameters or not operands:
            raise Usage
        if not options.remove_only and any("=" in operand for operand in operands):
            raise Usage
        file = not options.remove_only and (options.file == "-" or _exists(session, options.file))
        configured: Sequence[Jail] = (await _configuration(session, options)).jails if file else ()
        several = len(operands) > 1 or is_wildcard(operands[0])
        return _Selection(configured, op, file, operands, note_removed=file or several)
    if len(operands) > 1 or any("=" in operand for operand in operands):
        if options.remove_only:
            raise Usage
        return _Selection(_arguments(session, [*options.parameters, *operands]), op, False, None)
    if options.remove_only or options.parameters:
        raise Usage
    return _Selection((await _configuration(session, options)).jails, op, True, operands or None)


def _aim(order: Order, selection: _Selection, *, remove_only: bool) -> int:
    """Put the jails that are meant into the queues; 1 where one is not found."""
    status = 0
    for target in selection.targets or (None,):
        if target is None or (target == "*" and not remove_only):
            order.all(selection.op, from_file=selection.file)
        elif not is_wildcard(target):
            if not order.named(target, selection.op):
                status = 1
        elif remove_only:
            order.running_matching(target, selection.op)
        else:
            order.matching(target, selection.op)
    return status


async def _configuration(session: Session, options: Options) -> Configuration:
    """Load the file; says what is wrong with it. Raises Quit where it could not be read."""
    file: str | Source = options.file
    if options.file == "-":
        file = Source("STDIN", await session.read_input())
    loaded = load(file, session.system.release, World(session.files))
    for message in loaded.messages:
        if not message.kind.is_ours:
            session.err(f"{message.line}\n")
    if loaded.exit_status:
        raise Quit(None, loaded.exit_status)
    return loaded


def _exists(session: Session, path: str) -> bool:
    try:
        return session.files.kind(path) is not None
    except KernelError:
        return False


def _empty(session: Session, path: str) -> None:
    try:
        session.files.write(path, b"")
    except KernelError as error:
        raise Quit(f"open {path}: {error.errno.text}") from None


def _arguments(session: Session, arguments: Sequence[str]) -> Sequence[Jail]:
    loaded = command_line(arguments, session.system.release)
    for message in loaded.messages:
        if not message.kind.is_ours:
            session.err(f"{message.line}\n")
    return loaded.jails


def _old_style(session: Session, operands: Sequence[str]) -> Iterator[str]:
    """`path hostname ip,… command …` as parameters."""
    path, hostname, addresses, command, *words = operands
    yield f"path={path}"
    yield f"host.hostname={hostname}"
    for address in addresses.split(",") if addresses else ():
        found = inet_pton(address)
        yield f"ip{6 if found is not None and found.version == 6 else 4}.addr={address}"
    if _sysctl(session, "security.jail.jailed") == 0:
        for name, permission, granting in _PERMISSIONS:
            value = _sysctl(session, name)
            if value is not None:
                yield permission if bool(value) is granting else f"{permission}=false"
        enforce = _sysctl(session, "security.jail.enforce_statfs")
        if enforce is not None and session.system.release < Release.V14:
            yield f"enforce_statfs={enforce}"
    yield f"command={command}"
    yield from words


def _sysctl(session: Session, name: str) -> int | None:
    try:
        return int(session.system.sysctl(name)[0][1])
    except (KernelError, IndexError, ValueError):
        return None
