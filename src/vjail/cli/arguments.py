"""The words of `vjail`: which commands there are, their options, and their help with examples."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Sequence

from vjail import __version__
from vjail.release import DEFAULT, Release

_RAW = argparse.RawDescriptionHelpFormatter


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the words; `run` of the result is the function to call with it. Leaves with 2 where they are wrong."""
    return _parser().parse_args(words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vjail",
        formatter_class=_RAW,
        description="FreeBSD's VIMAGE jails, from the files FreeBSD reads.",
        epilog="examples:\n"
        "  vjail show jail.conf           what FreeBSD's parser makes of a file\n"
        "  vjail up examples/A1-two-jails bring a lab up\n"
        "  vjail exec jail_01 ping -c 4 10.0.0.2\n"
        "  vjail shell -c 'ifconfig -l'   FreeBSD's commands on the lab's host\n"
        "  vjail down                     take it away again\n"
        "`vjail COMMAND --help` says more about each.",
    )
    parser.add_argument("--version", action="version", version=f"vjail {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _show(commands)
    _up(commands)
    _down(commands)
    _start_stop(commands)
    _ls(commands)
    _exec(commands)
    _console(commands)
    _shell(commands)
    _base(commands)
    return parser


_Commands = argparse._SubParsersAction


def _command(
    commands: _Commands[argparse.ArgumentParser], name: str, does: str, *examples: str
) -> argparse.ArgumentParser:
    epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples)
    description = does[0].upper() + does[1:] + "."
    return commands.add_parser(name, help=does, description=description, epilog=epilog, formatter_class=_RAW)


def _runs(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        return int(getattr(importlib.import_module(f"vjail.cli.{module}"), function)(arguments))

    return run


def _lab_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", nargs="?", default=".", metavar="PATH", help="lab file, jail.conf or folder (default: here)"
    )


def _lab_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p", dest="path", default=".", metavar="PATH", help="the lab: its file, jail.conf or folder (default: here)"
    )


def _release(text: str) -> Release:
    try:
        return Release.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _show(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "show",
        "print every jail of a jail.conf with its parameters resolved, as FreeBSD's parser gives them",
        "vjail show /etc/jail.conf",
        "vjail show --freebsd 15 --json jail.conf",
    )
    parser.add_argument("file", metavar="FILE", help="the jail.conf; - is standard input")
    parser.add_argument(
        "--freebsd",
        type=_release,
        default=DEFAULT,
        metavar="N",
        help=f"the release whose rules hold (default {DEFAULT})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_runs("show", "show"))


def _up(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "up",
        "bring a lab up: its hosts as their rc.conf says, then its jails",
        "vjail up",
        "vjail up examples/A1-two-jails",
        "vjail up --jail jail_01 --jail jail_02 lab/",
    )
    _lab_path(parser)
    parser.add_argument(
        "--jail", action="append", default=[], metavar="NAME", help="start this jail only (and those it depends on)"
    )
    parser.add_argument("--no-jails", action="store_true", help="start no jails, only the hosts")
    parser.add_argument("--keep", action="store_true", help="leave what came up where something fails")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each phase as jail -v does")
    parser.set_defaults(run=_runs("up", "up"))


def _down(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands, "down", "stop a lab's jails and take the lab away, all of it", "vjail down", "vjail down --now lab/"
    )
    _lab_path(parser)
    parser.add_argument(
        "--jail", action="append", default=[], metavar="NAME", help="stop this jail only (and those that depend on it)"
    )
    parser.add_argument("--now", action="store_true", help="run no stop commands; everything ends at once")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each phase as jail -v does")
    parser.set_defaults(run=_runs("up", "down"))


def _start_stop(commands: _Commands[argparse.ArgumentParser]) -> None:
    for name, does in (("start", "start jails of a lab that is up"), ("stop", "stop jails of a lab that is up")):
        parser = _command(commands, name, does, f"vjail {name} jail_02", f"vjail {name} -v -p lab/ jail_01 jail_02")
        _lab_option(parser)
        parser.add_argument("-v", "--verbose", action="store_true", help="print each phase as jail -v does")
        parser.add_argument("jails", nargs="+", metavar="JAIL", help="its name, or HOST:JAIL")
        parser.set_defaults(run=_runs("running", name))


def _ls(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "ls",
        "show a lab's hosts, jails, vnets, interfaces, addresses and states",
        "vjail ls",
        "vjail ls --json lab/",
    )
    _lab_path(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_runs("running", "ls"))


def _exec(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "exec",
        "run a command in a jail; its exit code is the command's",
        "vjail exec jail_01 ping -c 4 10.0.0.2",
        "vjail exec -u www fbsd:web id",
    )
    _lab_option(parser)
    parser.add_argument("-u", dest="user", metavar="USER", help="as this user of the jail")
    parser.add_argument("jail", metavar="JAIL", help="its name, or HOST:JAIL")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="CMD…", help="the command and its words")
    parser.set_defaults(run=_runs("running", "execute"))


def _console(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "console", "a login shell in a jail, as root", "vjail console jail_01")
    _lab_option(parser)
    parser.add_argument("jail", metavar="JAIL", help="its name, or HOST:JAIL")
    parser.set_defaults(run=_runs("running", "console"))


def _shell(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "shell",
        "a shell on a lab's host, with FreeBSD's commands: ifconfig route jail jls jexec mount sysctl service ping …",
        "vjail shell",
        "vjail shell -c 'ifconfig epair create; jls'",
        "vjail shell fbsd < commands",
    )
    _lab_option(parser)
    parser.add_argument("host", nargs="?", metavar="HOST", help="which host, where the lab has several")
    parser.add_argument("-c", dest="line", metavar="LINE", help="run this line instead of reading some")
    parser.set_defaults(run=_runs("running", "shell"))


def _base(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "base",
        "make a userland for jails in a folder",
        "vjail base /srv/base                       from this machine, the commands a jail needs",
        "vjail base --full /srv/base                from this machine, its whole userland",
        "vjail base --from debian.tar.xz /srv/base  from a tarball, a folder or an OCI image layout",
    )
    parser.add_argument("dir", metavar="DIR", help="the folder; made where it is missing, and must be empty")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="SOURCE",
        help="a folder, a tarball or an OCI image layout (default: this machine)",
    )
    parser.add_argument("--full", action="store_true", help="of this machine: everything, not only what a jail needs")
    parser.set_defaults(run=_runs("base", "base"))
