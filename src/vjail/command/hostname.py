"""hostname(1). Sources: hostname(1), bin/hostname of 13.2, replay/documents-C.txt."""

from __future__ import annotations

from vjail.command.getopt import BadOption, Getopt
from vjail.command.privilege import apply_as_caller
from vjail.kernel.errno import KernelError
from vjail.kernel.operations import SetSysctl
from vjail.session import Quit, Session, run_named


def hostname(session: Session) -> int:
    """hostname(1)."""
    return run_named(session, _hostname)


def _hostname(session: Session) -> int:
    options = Getopt(session.argv[1:], "dfs")
    letters = ""
    for option in options:
        if isinstance(option, BadOption):
            raise _usage(session, f"hostname: {option.text}\n")
        letters += option.letter
    if len(options.operands) > 1:
        raise _usage(session)
    if options.operands:
        try:
            apply_as_caller(session, SetSysctl("kern.hostname", options.operands[0]))
        except KernelError as error:
            raise Quit(f"sethostname: {error.errno.text}") from None
        return 0
    name = session.system.sysctl("kern.hostname")[0][1]
    host, dot, domain = name.partition(".")
    if "s" in letters:
        name = host
    elif "d" in letters and dot:
        name = domain
    session.out(f"{name}\n")
    return 0


def _usage(session: Session, complaint: str = "") -> Quit:
    session.err(f"{complaint}usage: hostname [-f] [-s | -d] [name-of-host]\n")
    return Quit(None)
