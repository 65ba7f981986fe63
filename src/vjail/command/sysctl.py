"""sysctl(8). Sources: sysctl(8), sbin/sysctl of 13.2, observed/f8_devfs_rule_depth.txt, e8_hostid_reset.txt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vjail.command.getopt import BadOption, Getopt
from vjail.command.privilege import apply_as_caller
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Oid, OidType
from vjail.kernel.operations import SetSysctl
from vjail.session import Lacking, Quit, Session, run_named

_INTEGER = re.compile(r"\s*[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)\Z")


@dataclass(slots=True)
class _Line:
    """The options of one command line."""

    all: bool = False
    describe: bool = False
    equals: bool = False
    ignore_unknown: bool = False
    names_only: bool = False
    values_only: bool = False
    quiet: bool = False
    files: list[str] = field(default_factory=list)


def sysctl(session: Session) -> int:
    """sysctl(8)."""
    return run_named(session, _sysctl)


def _sysctl(session: Session) -> int:
    line, operands = _parse(session)
    if line.names_only and line.values_only:
        raise _usage(session)
    if line.all and not operands:
        _show_below(session, line, "")
        return 0
    if not operands and not line.files:
        raise _usage(session)
    failures = sum(not _one(session, line, word) for word in operands)
    failures += sum(not _file(session, line, path) for path in line.files)
    if failures and any(not _is_known(session, word.partition("=")[0]) for word in operands):
        raise Lacking(None)  # a FreeBSD machine has thousands of names
    return 1 if failures else 0


def _is_known(session: Session, name: str) -> bool:
    try:
        session.system.oid(name)
    except KernelError:
        return False
    return True


def _parse(session: Session) -> tuple[_Line, Sequence[str]]:
    line = _Line()
    options = Getopt(session.argv[1:], "AaB:bdef:hiNnoqTtwWxX")
    for option in options:
        if isinstance(option, BadOption):
            session.err(f"sysctl: {option.text}\n")
            raise _usage(session)
        match option.letter:
            case "a" | "A" | "X":
                line.all = True
            case "d":
                line.describe = True
            case "e":
                line.equals = True
            case "f":
                line.files.append(option.argument or "")
            case "i":
                line.ignore_unknown = True
            case "N":
                line.names_only = True
            case "n":
                line.values_only = True
            case "q":
                line.quiet = True
    return line, options.operands


def _usage(session: Session) -> Quit:
    session.err(
        "usage: sysctl [-bdehiNnoqTtWx] [ -B <bufsize> ] [-f filename] name[=value] ...\n"
        "       sysctl [-bdehNnoqTtWx] [ -B <bufsize> ] -a\n"
    )
    return Quit(None)


def _file(session: Session, line: _Line, path: str) -> bool:
    """`-f`: every line of a file, blanks and comments taken away; each failure names its line."""
    try:
        text = session.files.read(path).decode(errors="surrogateescape")
    except KernelError as error:
        raise Quit(f"{path}: {error.errno.text}") from None
    done = True
    for number, content in enumerate(text.splitlines(), start=1):
        word = re.sub(r"#.*", "", content).strip()
        if word:
            done &= _one(session, line, re.sub(r"\s*=\s*", "=", word, count=1), f" at line {number}")
    return done


def _one(session: Session, line: _Line, word: str, place: str = "") -> bool:
    """Show or set one sysctl; whether that went well."""
    name, equals, value = word.partition("=")
    try:
        oid = session.system.oid(name)
    except KernelError:
        if not (line.ignore_unknown or line.quiet):
            session.err(f"sysctl: unknown oid '{name}'{place}\n")
        return line.ignore_unknown
    if equals and not line.describe:
        return _set(session, line, oid, word, value.lstrip(), place)
    if oid.type is not OidType.NODE:
        _show(session, line, oid, None)
    else:
        if line.describe:
            _show(session, line, oid, None)
        _show_below(session, line, name)
    return True


def _set(session: Session, line: _Line, oid: Oid, word: str, value: str, place: str) -> bool:
    complaint = _complaint(oid, value, place)
    if complaint is not None:
        for text in complaint:
            session.err(f"sysctl: {text}\n")
        return False
    before = _shown(session, line, oid, None)
    try:
        apply_as_caller(session, SetSysctl(oid.name, value))
    except KernelError as error:
        session.out(f"{before}\n")
        reason = {
            Errno.EOPNOTSUPP: "value is not available",
            Errno.ENOTDIR: "specification is incomplete",
            Errno.ENOMEM: "type is unknown to this program",
        }.get(error.errno, error.errno.text)
        session.err(f"sysctl: {word}{place}: {reason}\n")
        return False
    session.out(f"{before} -> {_value(session, oid.name)}\n")
    return True


def _complaint(oid: Oid, value: str, place: str) -> Iterable[str] | None:
    """Why sysctl(8) itself refuses to set it, None where it does not."""
    if oid.type is OidType.NODE:
        return (f"oid '{oid.name}' isn't a leaf node{place}",)
    if not oid.writable and oid.tunable:
        return (
            f"oid '{oid.name}' is a read only tunable{place}",
            "Tunable values are set in /boot/loader.conf",
        )
    if not oid.writable:
        return (f"oid '{oid.name}' is read only{place}",)
    if oid.type is not OidType.STRING and not value:
        return ("empty numeric value",)
    if oid.type is not OidType.STRING and _INTEGER.match(value) is None:
        return (f"invalid {oid.type.value} '{value}'{place}",)
    return None


def _show_below(session: Session, line: _Line, name: str) -> None:
    for leaf, value in session.system.sysctl(name):
        _show(session, line, session.system.oid(leaf), value)


def _show(session: Session, line: _Line, oid: Oid, value: str | None) -> None:
    session.out(f"{_shown(session, line, oid, value)}\n")


def _shown(session: Session, line: _Line, oid: Oid, value: str | None) -> str:
    """`name: value` as the options want it."""
    if line.names_only:
        return oid.name
    if line.describe:
        value = oid.description
    elif value is None:
        value = _value(session, oid.name)
    return value if line.values_only else f"{oid.name}{'=' if line.equals else ': '}{value}"


def _value(session: Session, name: str) -> str:
    return session.system.sysctl(name)[0][1]
