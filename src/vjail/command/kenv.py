"""kenv(1), reading only: the kernel environment of a lab host is given with its kernel and does not change.

Sources: kenv(1), bin/kenv of 13.2, observed/e_mac.txt.
"""

from __future__ import annotations

from vjail.command.getopt import BadOption, Getopt
from vjail.session import Quit, Session, run_named

_FAILURE = 255


def kenv(session: Session) -> int:
    """kenv(1)."""
    return run_named(session, _kenv)


def _kenv(session: Session) -> int:
    options = Getopt(session.argv[1:], "hlNquv")
    letters = ""
    for option in options:
        if isinstance(option, BadOption):
            raise _usage(session, f"kenv: {option.text}\n")
        letters += option.letter
    operands = options.operands
    if len(operands) > 1 or (not operands and set(letters) & set("uv")) or (operands and set(letters) & set("hN")):
        raise _usage(session)
    environment = session.system.kenv()
    if not operands:
        for name, value in environment.items():
            if "h" not in letters or name.startswith("hint."):
                session.out(f"{name}\n" if "N" in letters else f'{name}="{value}"\n')
        return 0
    name, equals, value = operands[0].partition("=")
    if equals:
        return _failed(session, letters, f"unable to set {name} to {value}")
    if "u" in letters:
        return _failed(session, letters, f"unable to unset {name}")
    if name not in environment:
        return _failed(session, letters, f"unable to get {name}")
    session.out(f'{name}="{environment[name]}"\n' if "v" in letters else f"{environment[name]}\n")
    return 0


def _failed(session: Session, letters: str, text: str) -> int:
    if "q" not in letters:
        session.err(f"kenv: {text}\n")
    return _FAILURE


def _usage(session: Session, complaint: str = "") -> Quit:
    session.err(f"{complaint}usage: kenv [-hNq]\n       kenv [-qv] variable[=value]\n       kenv [-q] -u variable\n")
    return Quit(None)
