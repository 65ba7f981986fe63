"""uname(1). Sources: uname(1), usr.bin/uname of 13.2, observed/a_ifconfig.txt."""

from __future__ import annotations

from vjail.command.getopt import BadOption, Getopt
from vjail.session import Quit, Session, run_named

_SOURCES = {
    "s": "kern.ostype",
    "n": "kern.hostname",
    "r": "kern.osrelease",
    "v": "kern.version",
    "m": "hw.machine",
    "p": "hw.machine_arch",
    "i": "kern.ident",
    "K": "kern.osreldate",
    "U": "kern.osreldate",
}
"""Where each field comes from, in the order in which they are printed; UNAME_x of the environment goes before."""


def uname(session: Session) -> int:
    """uname(1)."""
    return run_named(session, _uname)


def _uname(session: Session) -> int:
    options = Getopt(session.argv[1:], "abiKmnoprsUv")
    wanted: set[str] = set()
    for option in options:
        if isinstance(option, BadOption):
            raise _usage(session, f"uname: {option.text}\n")
        match option.letter:
            case "a":
                wanted |= set("snrvm")
            case "o":
                wanted.add("s")
            case letter:
                wanted.add(letter)
    if options.operands:
        raise _usage(session)
    wanted = wanted or {"s"}
    fields = [_field(session, letter, source) for letter, source in _SOURCES.items() if letter in wanted]
    session.out(" ".join(fields + ["unknown"] * ("b" in wanted)) + "\n")
    return 0


def _field(session: Session, letter: str, source: str) -> str:
    given = session.environ.get(f"UNAME_{letter}")
    return session.system.sysctl(source)[0][1].replace("\n", " ") if given is None else given


def _usage(session: Session, complaint: str = "") -> Quit:
    session.err(f"{complaint}usage: uname [-abiKmnoprsUv]\n")
    return Quit(None)
