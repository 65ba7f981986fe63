"""The words of `vjail`: which commands there are, their options, and their help with examples.

Wrong words end with exit code 2 and one line that says what is wrong and what was probably meant.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn

from vjail import __version__
from vjail.release import DEFAULT, Release

_RAW = argparse.RawDescriptionHelpFormatter
_USAGE = 2
_WIDTH = 78


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the words; `run` of the result is the function to call with it. Leaves with 2 where they are wrong."""
    command = next((word for word in words if not word.startswith("-")), None)
    # Most of the time goes into describing commands, and only one is meant, unless help or an error shows all of them.
    only = command if words and command == words[0] and command in _COMMANDS else None
    parser, commands = _parser(only)
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(_USAGE)
    if command is not None and command not in commands:
        parser.error(f"there is no command {command!r}" + _meant(command, commands))
    found, unknown = parser.parse_known_args(words)
    if command is None:
        parser.error("which command?")
    own = commands[command]
    if unknown:
        own.refuse(unknown[0])
    if hasattr(found, "lab"):
        if found.path is not None and found.lab is not None:
            own.error(f"PATH is given twice, as {found.path} and with -p")
        found.path = next((path for path in (found.path, found.lab) if path is not None), ".")
    return found


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all of vjail does."""

    def error(self, message: str) -> NoReturn:
        """Leave because of wrong words."""
        name = self.prog.partition(" ")[2]
        self.exit(_USAGE, f"vjail: {f'{name}: ' if name else ''}{message}; see `{self.prog} --help`\n")

    def refuse(self, word: str) -> NoReturn:
        """Leave because of a word that means nothing here."""
        if word.startswith("-"):
            options = [option for action in self._actions for option in action.option_strings]
            self.error(f"there is no option {word.partition('=')[0]}" + _meant(word.partition("=")[0], options))
        self.error(f"{word!r} is one word too many")


def _meant(word: str, known: Iterable[str]) -> str:
    import difflib  # only wrong words need it

    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


_Commands = argparse._SubParsersAction


def _parser(only: str | None = None) -> tuple[_Parser, dict[str, _Parser]]:
    parser = _Parser(
        prog="vjail",
        formatter_class=_RAW,
        allow_abbrev=False,
        description="FreeBSD's VIMAGE jails, from the files FreeBSD reads.",
        epilog="examples:\n"
        "  vjail show jail.conf              what FreeBSD's parser makes of a file\n"
        "  vjail up                          bring the lab of this folder up\n"
        "  vjail ls                          what there is now\n"
        "  vjail exec jail_01 ping -c 4 10.0.0.2\n"
        "  vjail shell -c 'ifconfig -l; jls' FreeBSD's commands on the lab's host\n"
        "  vjail down                        take it away again\n"
        "`vjail COMMAND --help` says more about each.\n"
        "A lab is a folder with a jail.conf, or with a vjail.yml.",
    )
    parser.add_argument("--version", action="version", version=f"vjail {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)
    for add in dict.fromkeys(_COMMANDS.values() if only is None else (_COMMANDS[only],)):
        add(commands)
    return parser, dict(commands.choices)


def _command(commands: _Commands[_Parser], name: str, does: str, *examples: str, more: str = "") -> _Parser:
    """A command: what it does in a line, examples, and what else is to be known of it."""
    description = "\n".join(textwrap.fill(text, _WIDTH) for text in (f"{does[0].upper()}{does[1:]}.", more) if text)
    epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples)
    return commands.add_parser(
        name, help=does, description=description, epilog=epilog, formatter_class=_RAW, allow_abbrev=False
    )


def _runs(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        return int(getattr(importlib.import_module(f"vjail.cli.{module}"), function)(arguments))

    return run


def _lab_path(parser: _Parser) -> None:
    """PATH as the only word of a command; -p does as well."""
    parser.add_argument("path", nargs="?", metavar="PATH", help="lab file, jail.conf or folder (default: here)")
    parser.add_argument("-p", dest="lab", metavar="PATH", help="the same")


def _lab_option(parser: _Parser) -> None:
    """PATH where a command's words are something else."""
    parser.add_argument("-p", dest="lab", metavar="PATH", help="lab file, jail.conf or folder (default: here)")
    parser.set_defaults(path=None)


def _verbose(parser: _Parser) -> None:
    parser.add_argument("-v", "--verbose", action="store_true", help="print each phase of each jail")


def _release(text: str) -> Release:
    try:
        return Release.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _show(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "show",
        "print every jail of a jail.conf with its parameters resolved, as FreeBSD's parser gives them",
        "vjail show jail.conf",
        "vjail show --freebsd 15 --json jail.conf",
        "vjail show - < jail.conf",
        more="Messages go to standard error, with the place and what to do. Exit 1 where the file cannot be read as a "
        "jail.conf; as in FreeBSD, a jail whose parameters are wrong is marked and changes no exit code.",
    )
    parser.add_argument("file", metavar="FILE", help="the jail.conf; - is standard input")
    parser.add_argument(
        "--freebsd", type=_release, default=DEFAULT, metavar="N", help=f"the release that reads (default: {DEFAULT})"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_runs("show", "show"))


def _check(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "check",
        "find what will go wrong with a host's or a lab's files, before FreeBSD does",
        "vjail check jail.conf",
        "vjail check --freebsd 15 host1/ host2/",
        "vjail check setup-network.sh",
        "vjail check --fix",
        "vjail check --sarif > findings.sarif",
        more="Nothing is run and nothing but the files is needed. Exit 1 where an error or a warning is found. Each "
        "finding has a code, and a page docs/checks/CODE.md.",
    )
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="lab file, jail.conf, folder, or a file of commands (default: here)"
    )
    parser.add_argument(
        "--freebsd", type=_release, metavar="N", help=f"the release (default: the lab file's, or {DEFAULT})"
    )
    parser.add_argument("--fix", action="store_true", help="make the mends that are certain, in the files")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--short", action="store_true", help="one line for each finding")
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--sarif", action="store_true", help="print SARIF, for code-scanning services and editors")
    parser.set_defaults(run=_runs("check", "check"))


def _up(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "up",
        "bring a lab up: its hosts as their rc.conf says, then its jails",
        "vjail up",
        "vjail up --jail jail_01",
        "vjail up -v --no-jails",
        more="What is up already stays as it is. Where something fails nothing is left, unless the lab was up before.",
    )
    _lab_path(parser)
    parser.add_argument(
        "--jail", action="append", default=[], metavar="NAME", help="start this jail only (and those it depends on)"
    )
    parser.add_argument("--no-jails", action="store_true", help="start no jails, only the hosts")
    parser.add_argument("--dry-run", action="store_true", help="do nothing, show what would be done, as `vjail plan`")
    parser.add_argument("--keep", action="store_true", help="leave what came up where something fails")
    parser.add_argument(
        "--freebsd", type=_release, metavar="N", help=f"the release to be (default: the lab file's, or {DEFAULT})"
    )
    _verbose(parser)
    parser.set_defaults(run=_runs("early", "up"))


def _plan(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "plan",
        "show what `vjail up` would do: the commands in order; of a lab that is up, what differs and why",
        "vjail plan",
        "vjail plan --json examples/A2-any-order-lab",
        more="Nothing is changed. A lab that is not up is looked at in memory, on any machine and with no privileges.",
    )
    _lab_path(parser)
    parser.add_argument("--jail", action="append", default=[], metavar="NAME", help="of this jail only")
    parser.add_argument("--no-jails", action="store_true", help="of the hosts only")
    parser.add_argument(
        "--freebsd", type=_release, metavar="N", help=f"the release to be (default: the lab file's, or {DEFAULT})"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_runs("plan", "plan"))


def _down(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "down",
        "stop a lab's jails and take the lab away, all of it",
        "vjail down --jail jail_02",
        "vjail down",
        "vjail down --now",
        more="A lab that is not up is as good as one taken down: exit 0.",
    )
    _lab_path(parser)
    parser.add_argument(
        "--jail", action="append", default=[], metavar="NAME", help="stop this jail only (and those that depend on it)"
    )
    parser.add_argument("--now", action="store_true", help="run no stop commands; everything ends at once")
    _verbose(parser)
    parser.set_defaults(run=_runs("up", "down"))


def _start_stop(commands: _Commands[_Parser]) -> None:
    for name, does in (("start", "start jails of a lab that is up"), ("stop", "stop jails of a lab that is up")):
        parser = _command(commands, name, does, f"vjail {name} jail_02", f"vjail {name} -v fbsd:jail_01")
        _lab_option(parser)
        _verbose(parser)
        parser.add_argument("jails", nargs="+", metavar="JAIL", help="its name, or HOST:JAIL")
        parser.set_defaults(run=_runs("running", name))


def _ls(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "ls",
        "show a lab's hosts, jails, interfaces, addresses and states",
        "vjail ls",
        "vjail ls -v",
        "vjail ls --json",
    )
    _lab_path(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--watch", action="store_true", help="show it anew each second, until Ctrl-C")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="leave nothing out: lo0, MAC addresses, MTUs, link-local addresses"
    )
    parser.set_defaults(run=_runs("running", "ls"))


def _cut_mend(commands: _Commands[_Parser]) -> None:
    for name, does in (
        ("cut", "cut wires of a lab that is up, or pull single plugs: the NICs lose their carrier"),
        ("mend", "join wires again that were cut, or put plugs back"),
    ):
        parser = _command(commands, name, does, f"vjail {name} w0", f"vjail {name} gateway:em0")
        _lab_option(parser)
        parser.add_argument("wires", nargs="+", metavar="WIRE", help="a wire, or HOST:NIC for one plug on it")
        parser.set_defaults(run=_runs("running", name))


def _exec(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "exec",
        "run a command in a jail; its exit code is the command's",
        "vjail exec jail_01 ping -c 4 10.0.0.2",
        "vjail exec fbsd:jail_01 ifconfig epair1a",
        "vjail exec -u nobody jail_01 id -un",
        more="127: there is no such command in the jail; 126: it may not be run; 128 + N: signal N ended it.",
    )
    _lab_option(parser)
    parser.add_argument("-u", dest="user", metavar="USER", help="as this user of the jail")
    parser.add_argument("jail", metavar="JAIL", help="its name, its jid, or HOST:JAIL")
    parser.usage = "vjail exec [-h] [-p PATH] [-u USER] JAIL CMD…"
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="CMD…", help="the command and its words")
    parser.set_defaults(run=_runs("running", "execute"))


def _console(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "console",
        "a login shell in a jail, as root",
        "vjail console jail_01",
        "echo 'ifconfig -l' | vjail console jail_01",
    )
    _lab_option(parser)
    parser.add_argument("jail", metavar="JAIL", help="its name, its jid, or HOST:JAIL")
    parser.set_defaults(run=_runs("running", "console"))


def _shell(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "shell",
        "a shell on a lab's host, with FreeBSD's commands",
        "vjail shell",
        "vjail shell -c 'ifconfig epair create; jls'",
        "echo 'sysctl kern.ostype' | vjail shell fbsd",
        more="There are ifconfig route netstat arp ndp ping jail jls jexec mount umount devfs sysctl sysrc service "
        "kldload kldstat ps hostname and others, at their usual places. Its exit code is that of the last command.",
    )
    _lab_option(parser)
    parser.add_argument("host", nargs="?", metavar="HOST", help="which host, where the lab has several")
    parser.add_argument("-c", dest="line", metavar="LINE", help="run this line instead of reading some")
    parser.set_defaults(run=_runs("running", "shell"))


def _draw(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "draw",
        "draw a lab: hosts, jails, bridges, epairs, VLANs, NAT and wires",
        "vjail draw -o lab.svg",
        "vjail draw -o lab.drawio examples/E3-routing-daemons",
        "vjail draw -o - --format text",
        more="The lab need not be up: what is drawn is what its files come to, in memory. The same files give the same "
        "bytes. A name's ending says the format: .svg .mmd .dot .drawio .txt.",
    )
    _lab_path(parser)
    parser.add_argument("-o", dest="output", metavar="FILE", required=True, help="where to draw; - is standard output")
    parser.add_argument(
        "--format", choices=("svg", "mermaid", "dot", "drawio", "text"), help="the format (default: by FILE, or svg)"
    )
    parser.set_defaults(run=_runs("draw", "draw"))


def _export(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "export",
        "write the files that each FreeBSD host of a lab needs, and how to put them there",
        "vjail export -d out",
        "vjail export -d out examples/A2-any-order-lab",
        more="Nothing of vjail is needed on the hosts. A lab of several hosts has a folder for each.",
    )
    _lab_path(parser)
    parser.add_argument("-d", dest="directory", metavar="DIR", required=True, help="where to write; made if missing")
    parser.set_defaults(run=_runs("export", "export"))


def _import(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "import",
        "make a lab file of a host's own jail.conf and rc.conf",
        "vjail import /etc -o vjail.yml",
        "vjail import examples/D1-two-bridges",
        more="The host is brought up in memory, and the networks, links and addresses that its jails come to there are "
        "written down, however the lines are written that make them. Then the lab file is brought up in memory too, "
        "and whatever differs or cannot be said in a lab file is told (exit code 1).",
    )
    parser.add_argument("path", metavar="PATH", help="a jail.conf, a folder with one, or a lab file of such folders")
    parser.add_argument(
        "-o", dest="output", metavar="FILE", default="-", help="where to write (default: standard output)"
    )
    parser.add_argument(
        "--freebsd", type=_release, metavar="N", help=f"the host's release (default: the lab file's, or {DEFAULT})"
    )
    parser.add_argument("--json", action="store_true", help="print the text and what was found as JSON")
    parser.set_defaults(run=_runs("importing", "import_"))


def _schema(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "schema",
        "print the JSON Schema of lab files, by which editors complete and check them",
        "vjail schema > vjail.schema.json",
    )
    parser.set_defaults(run=_runs("export", "schema"))


def _base(commands: _Commands[_Parser]) -> None:
    parser = _command(
        commands,
        "base",
        "make a userland for jails in a folder",
        "vjail base files/jails/base             of what a jail needs of this machine",
        "vjail base --full /srv/base             of all of this machine's userland",
        "vjail base --from debian.tar.xz debian  of a tarball, a folder, an OCI image",
        more="DIR holds the whole base, or nothing, also where this is interrupted. A folder `files/` beside a "
        "jail.conf is laid over the host's tree, so files/jails/base is /jails/base there.",
    )
    parser.add_argument("dir", metavar="DIR", help="the folder; empty, or it is made")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="SOURCE",
        help="a folder or tarball with a root file system, or an OCI image layout (default: this machine)",
    )
    parser.add_argument("--full", action="store_true", help="all of this machine's userland, not what jails need")
    parser.set_defaults(run=_runs("base", "base"))


_COMMANDS: Mapping[str, Callable[[_Commands[_Parser]], None]] = {
    "show": _show,
    "check": _check,
    "plan": _plan,
    "up": _up,
    "down": _down,
    "start": _start_stop,
    "stop": _start_stop,
    "ls": _ls,
    "cut": _cut_mend,
    "mend": _cut_mend,
    "exec": _exec,
    "console": _console,
    "shell": _shell,
    "draw": _draw,
    "export": _export,
    "import": _import,
    "schema": _schema,
    "base": _base,
}
"""What describes each command, in the order in which they are shown."""
