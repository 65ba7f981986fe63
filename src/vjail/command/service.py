"""service(8): runs the scripts of /etc/rc.d and of the directories of packages. Source: usr.sbin/service of 13.2."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from vjail.command import rc_files
from vjail.command.getopt import BadOption, Getopt
from vjail.command.rc import table
from vjail.command.rc.plan import RC_D, Planned, left_out, plan, start_other
from vjail.command.rc.subr import run_script
from vjail.conf.rcconf import Answer, RcConf, check_yes_no
from vjail.kernel.errno import KernelError
from vjail.session import Quit, Session

_ASSIGNED = re.compile(r"^(name|rcvar)=[\"']?([^\"'\s]*)", re.MULTILINE)


async def service(session: Session) -> int:
    """service(8)."""
    try:
        return await _service(session)
    except Quit as leave:
        if leave.text is not None:
            session.err(f"service: {leave.text}\n")
        return leave.code


async def _service(session: Session) -> int:
    options = Getopt(session.argv[1:], "j:ehlrRv")
    letters = ""
    jail: str | None = None
    for option in options:
        if isinstance(option, BadOption):
            what, _, letter = option.text.rpartition(" -- ")
            session.err(f"Illegal option -{letter}\n" if what.startswith("ill") else f"No arg for -{letter} option\n")
            return _usage(session, 1)
        if option.letter == "j":
            jail = option.argument
        else:
            letters += option.letter
    if "h" in letters:
        return _usage(session, 0)
    if jail is not None:
        flags = [f"-{letter}" for letter in letters]
        return await session.call(
            ["/usr/sbin/jexec", "-l", jail, "/usr/sbin/service", *flags, *options.operands],
        )
    conf, _ = rc_files.load(session.files)
    if "R" in letters:
        return await _restart_local(session, conf)
    if "e" in letters:
        return _show_enabled(session, conf)
    if "l" in letters:
        return _show_all(session, conf, verbose="v" in letters)
    if "r" in letters:
        return _show_order(session, conf)
    if len(options.operands) < 2:
        return _usage(session, 1)
    return await _run(session, conf, options.operands[0], options.operands[1:], verbose="v" in letters)


def _usage(session: Session, code: int) -> int:
    conf, _ = rc_files.load(session.files)
    local = conf.get("local_startup")
    session.out(
        "\nUsage:\n"
        "service [-j <jail name or id>] -e\n"
        "service [-j <jail name or id>] -R\n"
        "service [-j <jail name or id>] [-v] -l | -r\n"
        "service [-j <jail name or id>] [-v] <rc.d script> start|stop|etc.\n"
        "service -h\n\n"
        "-j\tPerform actions within the named jail\n"
        "-e\tShow services that are enabled\n"
        f"-R\tStop and start enabled {local} services\n"
        f"-l\tList all scripts in /etc/rc.d and {local}\n"
        "-r\tShow the results of boot time rcorder\n"
        "-v\tVerbose\n\n"
    )
    return code


async def _run(session: Session, conf: RcConf, name: str, words: Sequence[str], *, verbose: bool) -> int:
    script = table.script(name, session.system.release)
    if script is not None:
        if verbose:
            session.out(f"{name} is located in {RC_D}\n")
        return await run_script(session, script, words, f"{RC_D}/{name}")
    for directory in (RC_D, *conf.words("local_startup")):
        path = f"{directory}/{name}"
        if _is_executable(session, path):
            if verbose:
                session.out(f"{name} is located in {directory}\n")
            return await start_other(session, path, words)
    session.out(
        f"{name} does not exist in /etc/rc.d or the local startup\n"
        f"directories ({conf.get('local_startup')}), or is not executable\n"
    )
    return 1


def _is_executable(session: Session, path: str) -> bool:
    try:
        return session.files.kind(path) is not None and bool(session.files.mode(path) & 0o111)
    except KernelError:
        return False


def _in_order(session: Session, conf: RcConf) -> list[Planned]:
    skipped = left_out(session) - {"nojailvnet", "firstboot"}
    return [planned for planned in plan(session, conf) if not planned.keywords & skipped]


def _rcvar(planned: Planned) -> str | None:
    """The variable that enables a script; of another's the one its text assigns."""
    if planned.script is not None:
        return planned.script.rcvar
    assigned = {found.group(1): found.group(2) for found in _ASSIGNED.finditer(planned.text)}
    rcvar = assigned.get("rcvar")
    return rcvar and re.sub(r"\$\{?name\}?", assigned.get("name", ""), rcvar)


def _is_enabled(session: Session, planned: Planned) -> bool:
    rcvar = _rcvar(planned)
    if rcvar is None:
        return False
    name = planned.script.called if planned.script else planned.path.rsplit("/", 1)[-1]
    return check_yes_no(rc_files.load(session.files, name)[0].get(rcvar)) is Answer.YES


def _show_enabled(session: Session, conf: RcConf) -> int:
    for planned in _in_order(session, conf):
        if _is_enabled(session, planned):
            session.out(f"{planned.path}\n")
    return 0


def _show_order(session: Session, conf: RcConf) -> int:
    for planned in _in_order(session, conf):
        session.out(f"{planned.path}\n")
    return 0


def _show_all(session: Session, conf: RcConf, *, verbose: bool) -> int:
    for directory in (RC_D, *conf.words("local_startup")):
        if verbose:
            session.out(f"From {directory}:\n")
        names = set(table.names()) if directory == RC_D else set()
        with contextlib.suppress(KernelError):
            names.update(session.files.list(directory))
        for name in sorted(names):
            session.out(f"{name}\n")
    return 0


async def _restart_local(session: Session, conf: RcConf) -> int:
    """Stop and start what packages brought and rc.conf enables."""
    local = [
        planned
        for planned in _in_order(session, conf)
        if planned.script is None and not planned.path.startswith(f"{RC_D}/") and _is_enabled(session, planned)
    ]
    for planned in reversed(local):
        await start_other(session, planned.path, ["stop"])
    for planned in local:
        await start_other(session, planned.path, ["start"])
    return 0
