"""The command line of pfctl(8). Source: main() of sbin/pfctl/pfctl.c, 13.2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vjail.command.getopt import BadOption, Getopt
from vjail.conf.pf.rules import Section

_LETTERS = "a:AdD:eqf:F:ghi:k:K:mMnNOo:Pp:rRs:t:T:vx:z"
USAGE = """\
usage: pfctl [-AdeghMmNnOPqRrvz] [-a anchor] [-D macro=value] [-F modifier]
\t[-f file] [-i interface] [-K host | network]
\t[-k host | network | gateway | label | id] [-o level] [-p device]
\t[-s modifier] [-t table -T command [address ...]] [-x level]
"""
_FLUSH = ("nat", "queue", "rules", "Sources", "states", "info", "Tables", "osfp", "all")
_SHOW = (
    "nat", "queue", "rules", "Anchors", "Sources", "states", "info", "Interfaces", "labels", "timeouts", "memory",
    "Tables", "osfp", "Running", "all", "creatorids",
)  # fmt: skip
_TABLE = ("kill", "flush", "add", "delete", "load", "replace", "show", "test", "zero", "expire")
_DEBUG = ("none", "urgent", "misc", "loud")
_OPTIMIZE = ("none", "basic", "profile")


class Misuse(Exception):
    """A command line pfctl does not take; `text` is said before the usage."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.text = text


@dataclass(slots=True)
class Options:
    """What was asked for."""

    anchor: str = ""
    recursive: bool = False
    disable: bool = False
    enable: bool = False
    quiet: bool = False
    verbose: int = 0
    no_action: bool = False
    numeric: bool = False
    merge: bool = False
    macros: list[tuple[str, str]] = field(default_factory=list)
    file: str | None = None
    flush: str | None = None
    show: str | None = None
    kill: list[str] = field(default_factory=list)
    table: str | None = None
    table_command: str | None = None
    operands: Sequence[str] = ()
    debug: str | None = None
    optimize: str | None = None
    device: str = "/dev/pf"
    sections: Section = Section(0)
    interface: str | None = None


def read(words: Sequence[str]) -> Options:
    """The options in the words after the command's name. Raises Misuse."""
    if not words:
        raise Misuse
    options = Options()
    parsed = Getopt(words, _LETTERS)
    for option in parsed:
        if isinstance(option, BadOption):
            raise Misuse(option.text)
        _one(options, option.letter, option.argument or "")
    options.operands = parsed.operands
    if options.table_command == "load":
        options.sections |= Section.TABLES
        options.table_command = None
    elif options.table_command is None and options.operands:
        raise Misuse(f"unknown command line argument: {options.operands[0]} ...")
    options.sections = options.sections or Section.ALL
    if options.anchor:
        if options.anchor.endswith("*"):
            options.recursive = True
            options.anchor = options.anchor.rstrip("*").rstrip("/")
        options.sections &= ~Section.OPTIONS
    if options.no_action:
        options.disable = options.enable = False
        options.flush = options.show = options.debug = None
    return options


def _one(options: Options, letter: str, argument: str) -> None:
    match letter:
        case "a":
            options.anchor = argument.strip("/")
        case "d":
            options.disable = True
        case "e":
            options.enable = True
        case "q":
            options.quiet = True
        case "v":
            options.verbose += 1
        case "n":
            options.no_action = True
        case "P":
            options.numeric = True
        case "m":
            options.merge = True
        case "D":
            name, equals, value = argument.rpartition("=")
            if equals:
                options.macros.append((name, value))
        case "f":
            options.file = argument
        case "F":
            options.flush = _chosen(argument, _FLUSH, "flush modifier")
        case "s":
            options.show = _chosen(argument, _SHOW, "show modifier")
        case "k":
            if len(options.kill) == 2:
                raise Misuse("can only specify -k twice")
            options.kill.append(argument)
        case "t":
            options.table = argument
        case "T":
            options.table_command = _chosen(argument, _TABLE, "table command")
        case "x":
            options.debug = _chosen(argument, _DEBUG, "debug level")
        case "o":
            options.optimize = _chosen(argument, _OPTIMIZE, "optimization")
        case "p":
            options.device = argument
        case "i":
            options.interface = argument
        case "N":
            options.sections |= Section.TRANSLATION
        case "R":
            options.sections |= Section.FILTER
        case "O":
            options.sections |= Section.OPTIONS
        case "h":
            raise Misuse
        case _:
            # -A -g -K -M -r -z have nothing to do here: no ALTQ, source nodes, names of hosts, counters.
            pass


def _chosen(word: str, known: Sequence[str], what: str) -> str:
    found = next((each for each in known if word and each.startswith(word)), None)
    if found is None:
        raise Misuse(f"Unknown {what} '{word}'")
    return found
