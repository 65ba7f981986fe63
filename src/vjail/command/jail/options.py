"""jail(8)'s options, as they stand on the command line.

Pure. Source: main() in FreeBSD 13.2 usr.sbin/jail/jail.c; of a stable/15 tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vjail.command.getopt import BadOption, Getopt, Option
from vjail.conf.jailconf.numbers import strtol
from vjail.jail.order import Op
from vjail.jail.voice import Verbosity
from vjail.release import Release

DEFAULT_FILE = "/etc/jail.conf"

USAGE = """\
usage: jail [-dhilqv] [-J jid_file] [-u username] [-U username]
            -[cmr] param=value ... [command=command ...]
       jail [-dqv] [-f file] -[cmr] [jail]
       jail [-qv] [-f file] -[rR] ['*' | jail ...]
       jail [-dhilqv] [-J jid_file] [-u username] [-U username]
            [-n jailname] [-s securelevel]
            path hostname ip[,...] command ...
       jail [-f file] -e separator
"""


class Usage(Exception):
    """A bad command line: `complaint` is getopt(3)'s, None where the words are well-formed but make no sense."""

    def __init__(self, complaint: str | None = None) -> None:
        super().__init__(complaint or "")
        self.complaint = complaint


@dataclass(slots=True)
class Options:
    """The options and the operands behind them.

    `op`: the letters c, m, r (R counts as r). `separator`: that of -e. `parameters`: what -h, -l, -n, -s, -u and -U
    stand for; with any of them no file is read. `limit`: -p, None: any number.
    """

    op: Op = Op.NONE
    remove_only: bool = False
    cleanup: bool = False
    dying: bool = False
    separator: str | None = None
    file: str = DEFAULT_FILE
    print_jid: bool = False
    record: str | None = None
    limit: int | None = None
    verbosity: Verbosity = Verbosity.NORMAL
    parameters: list[str] = field(default_factory=list)
    operands: Sequence[str] = ()


def parse(words: Sequence[str], release: Release) -> Options:
    """Read the words behind the command's name. Raises Usage."""
    options = Options()
    parsed = Getopt(words, "Ccde:f:hiJ:lmn:p:qrRs:u:U:v" if release >= Release.V15 else "cde:f:hiJ:lmn:p:qrRs:u:U:v")
    for option in parsed:
        match option:
            case BadOption(text):
                raise Usage(text)
            case Option(letter, None):
                _plain(options, letter)
            case Option(letter, str() as argument):
                _with_argument(options, letter, argument)
    options.operands = parsed.operands
    return options


def _plain(options: Options, letter: str) -> None:
    match letter:
        case "c":
            options.op |= Op.START
        case "m":
            options.op |= Op.SET
        case "r":
            options.op |= Op.STOP
        case "R":
            options.op |= Op.STOP
            options.remove_only = True
        case "C":
            options.cleanup = True
        case "d":
            options.dying = True
        case "h":
            options.parameters.append("ip_hostname")
        case "i":
            options.print_jid = True
            options.verbosity = Verbosity.QUIET
        case "l":
            options.parameters.append("exec.clean")
        case "q":
            options.verbosity = Verbosity.QUIET
        case "v":
            options.verbosity = Verbosity.VERBOSE


def _with_argument(options: Options, letter: str, argument: str) -> None:
    match letter:
        case "e":
            options.separator = argument
        case "f":
            options.file = argument
        case "J":
            options.record = argument
        case "n":
            options.parameters.append(f"name={argument}")
        case "p":
            # A limit below nought is never reached, as in FreeBSD, where it counts down to nought.
            limit = strtol(argument)[0]
            options.limit = limit if limit > 0 else None
        case "s":
            options.parameters.append(f"securelevel={argument}")
        case "u":
            options.parameters += [f"exec.jail_user={argument}", "exec.system_jail_user"]
        case "U":
            options.parameters += [f"exec.jail_user={argument}", "exec.system_jail_user=false"]
