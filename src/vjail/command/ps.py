"""ps(1): the processes the caller may see, chosen and laid out as FreeBSD 13.2 does.

Knows processes only as `ProcessInfo`; what a column shows is ps_columns.py's. Options for what a lab does not know
(-d -e -G -H -h -j -L -l -M -N -T -t -v -Z) are answered with the usage. Sources: FreeBSD bin/ps/ps.c as of early 2023,
ps(1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vjail.command.accounts import Database, name_of, number_of
from vjail.command.getopt import BadOption, Getopt, Option
from vjail.command.ps_columns import ALIASES, COMMAND_WIDTH, KEYWORDS, Keyword, Shown, by_cpu, by_memory
from vjail.kernel.errno import KernelError
from vjail.session import ProcessInfo, Quit, Session

LETTERS = "AaCcde" + "G:gHhjJ:LlM:mN:O:o:p:rSTt:U:uvwXxZ"
"""All of FreeBSD's options, so that the first word is taken apart as there."""

USAGE = (
    "usage: ps [-aCcdeHhjlmrSTuvwXxZ] [-O fmt | -o fmt] [-G gid[,gid...]]\n"
    "          [-J jid[,jid...]] [-M core] [-N system]\n"
    "          [-p pid[,pid...]] [-t tty[,tty...]] [-U user[,user...]]\n"
    "       ps [-L]\n"
)

DEFAULT = "pid,tt,state,time,command"
USER = "user,pid,%cpu,%mem,vsz,rss,tt,state,start,time,command"

WIDE = 131


@dataclass(frozen=True, slots=True)
class Column:
    """A column that was asked for: its keyword's name, and the header in its place."""

    name: str
    header: str

    @property
    def keyword(self) -> Keyword:
        """What it shows."""
        return KEYWORDS[self.name]


@dataclass(slots=True)
class Request:
    """What is asked for, while the words are being read."""

    columns: list[Column] = field(default_factory=list)
    jids: set[int] = field(default_factory=set)
    pids: set[int] = field(default_factory=set)
    uids: set[int] = field(default_factory=set)
    selecting: bool = False
    everyone: bool = False
    without_terminal: bool | None = None
    selects_without_terminal: bool = False
    names_only: bool = False
    order: Callable[[Shown], float] | None = None
    width: int | None = None
    widened: bool = False
    fatal: bool = False
    code: int = 0


def ps(session: Session) -> int:
    """ps(1). Raises Quit."""
    request = _read(session)
    memory = _memory(session)
    now = session.time()
    chosen = [Shown(each, now, memory, request.names_only) for each in _chosen(session, request)]
    chosen.sort(key=lambda shown: _place(request, shown))
    session.out("".join(f"{line}\n" for line in _table(request, chosen)))
    return request.code if chosen else 1


def _read(session: Session) -> Request:
    """The words. Raises Quit."""
    columns = session.environ.get("COLUMNS", "")
    request = Request(width=int(columns) if columns.isdecimal() and int(columns) else None)
    walk = Getopt(_old_style(session.argv[1:]), LETTERS)
    for option in walk:
        if isinstance(option, BadOption):
            session.err(f"ps: {option.text}\n")
            raise _usage(session)
        _take(session, request, option)
    for word in walk.operands:
        if not word[:1].isdecimal():
            session.err(f"ps: illegal argument: {word}\n\n")
            raise _usage(session)
        _add_pids(session, request, word)
    if request.fatal:
        raise Quit(None, 1)
    if not request.columns:
        _add_columns(session, request, DEFAULT, asked=False)
    if not request.everyone and not request.selecting:
        request.selecting = True
        request.uids.add(session.uid)
    return request


def _take(session: Session, request: Request, option: Option) -> None:
    """Take one option. Raises Quit."""
    match option:
        case Option("A"):
            request.everyone = request.without_terminal = True
        case Option("a"):
            request.everyone = True
        case Option("c"):
            request.names_only = True
        case Option("J", str(text)):
            _add_jids(session, request, text)
            request.selects_without_terminal = True
        case Option("m"):
            request.order = by_memory
        case Option("O", str(text)):
            _add_columns(session, request, "pid", asked=True)
            _add_columns(session, request, text, asked=True)
            _add_columns(session, request, "tt,state,time,command", asked=True)
        case Option("o", str(text)):
            _add_columns(session, request, text, asked=True)
        case Option("p", str(text)):
            _add_pids(session, request, text)
        case Option("r"):
            request.order = by_cpu
        case Option("U", str(text)):
            _add_users(session, request, text)
            request.selects_without_terminal = True
        case Option("u"):
            _add_columns(session, request, USER, asked=False)
            request.order = by_cpu
        case Option("w"):
            widest = None if request.widened or request.width is None else max(request.width, WIDE)
            request.width, request.widened = widest, True
        case Option("X"):
            request.without_terminal = False
        case Option("x"):
            request.without_terminal = True
        case Option("C" | "g" | "S"):
            pass
        case _:
            raise _usage(session)


def _usage(session: Session) -> Quit:
    session.err(USAGE)
    return Quit(None, 1)


def _old_style(words: Sequence[str]) -> Sequence[str]:
    """The words with the first as an option, as older ps let it be written: `ax` is `-ax`, `34` is `-p34`."""
    if not words or not words[0]:
        return words
    first = words[0]
    takes_argument = any(f"{letter}:" in LETTERS for letter in first)
    if takes_argument and first[0] == "-":
        return words
    numbers = None if takes_argument else re.search(r"[0-9,]*[0-9]$", first)
    if numbers is not None:
        first = f"{first[: numbers.start()]}p{numbers[0]}"
    return [first if first[0] == "-" else f"-{first}", *words[1:]]


def _elements(text: str) -> Iterator[str]:
    """The elements of a list: separated by a comma or white space; an empty one between, before or after commas."""
    yield from re.split(r"[ \t]*,[ \t]*|[ \t]+", text.strip(" \t"))


def _complain(session: Session, request: Request, text: str) -> None:
    session.err(f"ps: {text}\n")
    request.fatal = True


def _add_jids(session: Session, request: Request, text: str) -> None:
    request.selecting = True
    for element in _elements(text):
        jid = _jid_of(session, element)
        if not element:
            _complain(session, request, "Invalid (zero-length) jail id")
        elif jid is None:
            _complain(session, request, f"Invalid jail id: {element}")
        else:
            request.jids.add(jid)


def _jid_of(session: Session, text: str) -> int | None:
    """jail_getid(3): a number is one whether there is such a jail or not."""
    if text.isdecimal():
        return int(text)
    return next((jail.jid for jail in session.system.jails() if jail.name == text), None)


def _add_pids(session: Session, request: Request, text: str) -> None:
    request.selecting = True
    for element in _elements(text):
        if not element:
            _complain(session, request, "Invalid (zero-length) process id")
        elif not element.isdecimal():
            _complain(session, request, f"Invalid process id: {element}")
        else:
            request.pids.add(int(element))


def _add_users(session: Session, request: Request, text: str) -> None:
    request.selecting = True
    for element in _elements(text):
        uid = number_of(session.files, Database.USERS, element)
        if uid is None and element.isdecimal() and name_of(session.files, Database.USERS, int(element)):
            uid = int(element)
        if uid is not None:
            request.uids.add(uid)
        elif not element:
            _complain(session, request, "Invalid (zero-length) user name")
        elif element.isdecimal():
            _complain(session, request, f"No user name or ID matches '{element}'")
        else:
            _complain(session, request, f"No user named '{element}'")


def _add_columns(session: Session, request: Request, text: str, *, asked: bool) -> None:
    """Add the columns of a format; those not asked for one by one come once only. Raises Quit where there is none."""
    for name, header in _keywords(text):
        known = ALIASES.get(name, name)
        if known not in KEYWORDS:
            session.err(f"ps: {name}: keyword not found\n")
            request.code = 1
        elif asked or known not in (column.name for column in request.columns):
            request.columns.append(Column(known, KEYWORDS[known].header if header is None else header))
    if not request.columns:
        session.err("ps: no valid keywords; valid keywords:\n")
        session.out(" ".join(sorted({*KEYWORDS, *ALIASES})) + "\n")
        raise Quit(None, 1)


def _keywords(text: str) -> Iterator[tuple[str, str | None]]:
    """The keywords of a format, each with the header after its `=`, which reaches to the end of the text."""
    while text:
        name, separator, rest = _split(text)
        if separator == "=":
            yield name, rest
            return
        if name:
            yield name, None
        text = rest


def _split(text: str) -> tuple[str, str, str]:
    found = re.search(r"[= \t,\n]", text)
    return (text, "", "") if found is None else (text[: found.start()], found[0], text[found.end() :])


def _chosen(session: Session, request: Request) -> Iterable[ProcessInfo]:
    """The processes that are shown: any that one of the lists names, else all, less those without a terminal."""
    keep = request.selects_without_terminal if request.without_terminal is None else request.without_terminal
    for process in session.processes():
        named = process.jid in request.jids or process.uid in request.uids
        visible = keep or process.tty is not None
        if process.pid in request.pids or (visible and (named or not request.selecting)):
            yield process


def _place(request: Request, shown: Shown) -> tuple[float, tuple[bool, int, str], int]:
    """Where a process stands: -m and -r downwards, then those without a terminal, then by terminal and number.

    Terminals stand in the order their devices were made: the fixed ones, then pts/0, pts/1, …
    """
    tty = shown.process.tty or ""
    order = 0.0 if request.order is None else -request.order(shown)
    return order, (tty.startswith("pts/"), len(tty), tty), shown.process.pid


def _memory(session: Session) -> int:
    """The machine's memory in bytes, 0 where it is not known."""
    try:
        return int(session.system.sysctl("hw.physmem")[0][1])
    except (KernelError, IndexError, ValueError):
        return 0


def _table(request: Request, chosen: Sequence[Shown]) -> Iterator[str]:
    """The lines: a header unless every one is empty, and one for each process, columns as wide as they must be."""
    columns = request.columns
    rows = [[_cell(column, shown, last=column is columns[-1]) for column in columns] for shown in chosen]
    widths = [max(len(cell) for cell in cells) for cells in zip([each.header for each in columns], *rows, strict=True)]
    if any(column.header for column in columns):
        yield _line(columns, widths, [column.header for column in columns])
    before_last = sum(width + 1 for width in widths[:-1])
    for row in rows:
        if request.width is not None and request.width > before_last:
            row[-1] = row[-1][: request.width - before_last]
        yield _line(columns, widths, row)


def _line(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> str:
    padded = [
        cell.ljust(width) if column.keyword.left else cell.rjust(width)
        for column, width, cell in zip(columns, widths, cells, strict=True)
    ]
    if columns[-1].keyword.left:
        padded[-1] = cells[-1]
    return " ".join(padded)


def _cell(column: Column, shown: Shown, *, last: bool) -> str:
    text = column.keyword.text(shown)
    shortened = column.name in ("args", "command") and not last and not (shown.names_only and column.name == "command")
    return text[:COMMAND_WIDTH] if shortened else text
