"""sysrc(8): rc.conf variables shown, set, deleted; files are edited in place and keep their layout.

Unlike sysrc(8), which edits one line, a value written over several lines is replaced whole. Sources: sysrc(8),
usr.sbin/sysrc and bsdconfig's sysrc.subr of 13.2, replay/documents-A1.txt, observed/c4_wildcards_confd_quoting.txt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from vjail.command import rc_files
from vjail.command.getopt import BadOption, Getopt
from vjail.conf.position import Source
from vjail.conf.rcconf import RcConf, evaluate, parse, with_value, without
from vjail.kernel.errno import KernelError
from vjail.session import Quit, Session

_WORD = re.compile(r"([^=]*?)([+-]?)=(.*)\Z", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(slots=True)
class _Line:
    """The options of one command line."""

    all: bool = False
    with_defaults: bool = False
    check: bool = False
    equals: bool = False
    files: list[str] = field(default_factory=list)
    only_defaults: bool = False
    show_file: bool = False
    ignore_unknown: bool = False
    jail: str | None = None
    list_files: bool = False
    show_name: bool = True
    show_value: bool = True
    quiet: bool = False
    service: str | None = None
    verbose: bool = False
    delete: bool = False


@dataclass(frozen=True, slots=True)
class _Change:
    """`NAME=VALUE`, `NAME+=VALUE`, `NAME-=VALUE`, or with `value` None just NAME."""

    name: str
    mode: str
    value: str | None


async def sysrc(session: Session) -> int:
    """sysrc(8)."""
    try:
        return await _sysrc(session)
    except Quit as leave:
        if leave.text is not None:
            session.err(f"sysrc: {leave.text}\n")
        return leave.code


async def _sysrc(session: Session) -> int:
    line, words = _parse(session)
    if line.jail is not None:
        return await _in_jail(session, line.jail)
    changes = [_change(word) for word in words]
    paths = _paths(session, line)
    if line.list_files:
        session.out(f"{' '.join(paths)}\n")
        return 0
    if not changes and not line.all:
        raise _usage(session)
    if line.all:
        if line.delete or line.check:
            raise Quit(f"`-{'x' if line.delete else 'c'}' option incompatible with `-a'/`-A' options")
        return _show_all(session, line, paths)
    return 1 if [change for change in changes if not _carry_out(session, line, paths, change)] else 0


def _parse(session: Session) -> tuple[_Line, Sequence[str]]:
    line = _Line()
    options = Getopt(session.argv[1:], "aAcDeEf:Fhij:lLnNqR:s:vxX")
    for option in options:
        argument = getattr(option, "argument", None) or ""
        if isinstance(option, BadOption):
            raise _usage(session, f"sysrc: {option.text}\n")
        match option.letter:
            case "a":
                line.all = True
            case "A":
                line.all = line.with_defaults = True
            case "c":
                line.check = True
            case "D":
                line.only_defaults, line.files = True, []
            case "e":
                line.equals = True
            case "f":
                line.only_defaults = False
                line.files += argument.split()
            case "F":
                line.show_file = True
            case "i":
                line.ignore_unknown = True
            case "j":
                line.jail = argument
            case "l":
                line.list_files = True
            case "n":
                line.show_name = False
            case "N":
                line.show_value = False
            case "q":
                line.quiet, line.verbose = True, False
            case "s":
                line.service = argument
            case "v":
                line.verbose, line.quiet = True, False
            case "x":
                line.delete = True
            case _:
                raise _usage(session)
    return line, options.operands


def _usage(session: Session, complaint: str = "") -> Quit:
    session.err(
        f"{complaint}Usage: sysrc [OPTIONS] {{name[[+|-]=value] ... | -a | -A | -l | -L [name ...]}}\n"
        "Try `sysrc --help' for more information.\n"
    )
    return Quit(None)


async def _in_jail(session: Session, jail: str) -> int:
    """`-j JAIL`: the same without that option, inside the jail."""
    key = int(jail) if jail.isdecimal() else jail
    try:
        jid = session.system.jail(key).jid
    except KernelError as error:
        raise Quit(error.message or error.errno.text) from None
    words = list(session.argv[1:])
    at = next(place for place, word in enumerate(words) if word.startswith("-") and "j" in word)
    before = words[at].partition("j")[0]
    words[at : at + (2 if words[at].endswith("j") else 1)] = [before] if before != "-" else []
    return await session.call(["/usr/sbin/sysrc", *words], jid=jid)


def _change(word: str) -> _Change:
    found = _WORD.match(word)
    name, mode, value = found.groups() if found else (word, "", None)
    if not _NAME.match(name):
        raise Quit(f"{name}: name contains characters not allowed in shell")
    return _Change(name, mode, value)


# --- reading ---------------------------------------------------------------------------------------------------------


def _paths(session: Session, line: _Line) -> Sequence[str]:
    """The files worked on: those of `-f`, else rc_conf_files, with `-s` those of a service too."""
    if line.files or line.only_defaults:
        return line.files
    paths = list(rc_files.configuration_files(session.files))
    if line.service is not None:
        startup = rc_files.load(session.files)[0].words("local_startup")
        paths += rc_files.service_files(session.files, line.service, startup)
    return paths


def _values(session: Session, paths: Sequence[str]) -> RcConf:
    base = rc_files.defaults(session.files)
    return evaluate([base, *(file for path in paths if (file := rc_files.read(session.files, path)) is not None)])


def _found_in(conf: RcConf, name: str) -> str:
    origin = conf.origin(name)
    return origin.span.source.name if origin else ""


def _show_all(session: Session, line: _Line, paths: Sequence[str]) -> int:
    conf = _values(session, paths)
    for name in sorted(conf):
        if line.with_defaults or _found_in(conf, name) != rc_files.DEFAULTS:
            _show(session, line, conf, name)
    return 0


def _show(session: Session, line: _Line, conf: RcConf, name: str) -> None:
    if line.show_file:
        session.out(f"{f'{name}: ' if line.show_name else ''}{_found_in(conf, name)}\n")
        return
    where = f"{_found_in(conf, name)}: " if line.verbose else ""
    if not line.show_value:
        session.out(f"{where}{name}\n")
    elif not line.show_name:
        session.out(f"{where}{conf.get(name)}\n")
    elif line.equals:
        where = f": {_found_in(conf, name)}; " if line.verbose else ""
        session.out(f'{where}{name}="{conf.get(name)}"\n')
    else:
        session.out(f"{where}{name}: {conf.get(name)}\n")


# --- changing --------------------------------------------------------------------------------------------------------


def _carry_out(session: Session, line: _Line, paths: Sequence[str], change: _Change) -> bool:
    """Show, check, set or delete one variable; whether it is as wanted."""
    conf = _values(session, paths)
    if change.value is None and change.name not in conf:
        if not (line.ignore_unknown or line.quiet):
            session.err(f"sysrc: unknown variable '{change.name}'\n")
        return False
    if line.delete:
        return _delete(session, paths, change.name)
    if change.value is None:
        if not line.check:
            _show(session, line, conf, change.name)
        return True
    value = _new_value(conf.get(change.name), change)
    if line.check:
        return _check(session, line, conf, change.name, value)
    return _set(session, line, paths, change.name, value)


def _new_value(before: str, change: _Change) -> str:
    """The value after `=`, or for `+=` and `-=` the list with words added or taken away.

    A first character that is no blank, letter, digit, dot or slash separates the list's items.
    """
    given = change.value or ""
    if not change.mode:
        return given
    separator = given[:1]
    if not separator or re.match(r"[ \t\nA-Za-z0-9./]", separator):
        separator = " "
    old = [word for word in (before.split() if separator == " " else before.split(separator)) if word]
    words = [word for word in (given.split() if separator == " " else given.split(separator)) if word]
    if change.mode == "-":
        return separator.join(word for word in old if word not in words)
    added = [word for word in words if word not in old]
    return separator.join([before, *added] if before else added)


def _check(session: Session, line: _Line, conf: RcConf, name: str, value: str) -> bool:
    """`-c`: whether setting it would change nothing."""
    if name not in conf:
        if line.verbose:
            session.out(f"{name}: not currently set\n")
        return False
    same = conf.get(name) == value
    if line.verbose:
        said = f"already set to `{value}'" if same else f"would change from `{conf.get(name)}' to `{value}'"
        session.out(f"{_found_in(conf, name)}: {name}: {said}\n")
    return same


def _set(session: Session, line: _Line, paths: Sequence[str], name: str, value: str) -> bool:
    before = _values(session, paths)
    path = _found_in(before, name)
    if path == rc_files.DEFAULTS or not path:
        if not paths:
            return False
        path = paths[0]
    try:
        file = rc_files.read(session.files, path) or parse(Source(path, b""))
        data = with_value(file, name, value)
        if len(parse(Source(path, data)).problems) > len(file.problems):
            session.err(f"sysrc: Not overwriting `{path}' due to previous syntax errors\n")
            return False
        session.files.write(path, data)
    except KernelError as error:
        session.err(f"sysrc: cannot create {path}: {error.errno.text}\n")
        return False
    _tell(session, line, name, path, before, _values(session, paths))
    return True


def _tell(session: Session, line: _Line, name: str, path: str, before: RcConf, after: RcConf) -> None:
    """`name: old -> new`."""
    where = (f": {path}; " if line.equals else f"{path}: ") if line.verbose else ""
    if not line.show_value:
        session.out(f"{where}{name}\n")
        return
    old, new = before.get(name), after.get(name)
    if line.show_file:
        old, new = _found_in(before, name), _found_in(after, name)
    if line.equals and line.show_name and not line.show_file:
        session.out(f'{where}{name}="{old}" # -> "{new}"\n')
    else:
        session.out(f"{where}{f'{name}: ' if line.show_name else ''}{old} -> {new}\n")


def _delete(session: Session, paths: Sequence[str], name: str) -> bool:
    for path in paths:
        file = rc_files.read(session.files, path)
        data = without(file, name) if file else None
        if data is None:
            continue
        try:
            session.files.write(path, data)
        except KernelError as error:
            session.err(f"sysrc: {path}: {error.errno.text}\n")
            return False
    return True
