"""ifconfig(8): in come words and the System, out go operations on it and listings in FreeBSD's exact form.

`grammar` evaluates what changes an interface, with the words of `generic`, `inet`, `inet6`, `link`, `bridge`, `vlan`,
`vxlan` and `lagg`; `listing` prints. This file is main(): options, which interface, whether to list or to change.
Source: FreeBSD 13.2 sbin/ifconfig/ifconfig.c; spec §1.
"""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vjail.command.getopt import BadOption, Getopt, Option
from vjail.command.ifconfig import grammar
from vjail.command.ifconfig.listing import FAMILIES, Style, has_family, show
from vjail.command.ifconfig.run import Run
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Iff, Interface
from vjail.kernel.operations import LoadModule
from vjail.kernel.system import System
from vjail.release import Release
from vjail.session import Quit, Session, run_named

_USAGE = """\
usage: ifconfig [-f type:format] [-g groupname] [-C] [-L] interface address_family
                [address [dest_address]] [parameters]
       ifconfig interface create
       ifconfig -a [-g groupname] [-C] [-L] [-d] [-m] [-u] [-v] [address_family]
       ifconfig -l [-d] [-u] [address_family]
       ifconfig [-g groupname] [-C] [-L] [-d] [-m] [-u] [-v]
"""
_USAGE_15 = """\
usage: ifconfig [-j jail] [-f type:format] [-g groupname] [-C] [-L] interface address_family
                [address [dest_address]] [parameters]
       ifconfig [-j jail] interface create
       ifconfig [-j jail] -a [-g groupname] [-C] [-L] [-d] [-m] [-u] [-v] [address_family]
       ifconfig [-j jail] -l [-d] [-u] [address_family]
       ifconfig [-j jail] [-g groupname] [-C] [-L] [-d] [-m] [-u] [-v]
"""
_LONGEST_NAME = 15
_MODULES = {"tun": "if_tuntap", "tap": "if_tuntap", "vmnet": "if_tuntap"}
"""Modules that are not called after their interfaces."""


class _Usage(Exception):
    """Print the usage and leave with 1; `text` is said before it."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.text = text


class _Done(Exception):
    """An option has said all there is to say."""


@dataclass(slots=True)
class _Options:
    """The options of a command line."""

    system: System
    style: Style
    all: bool = False
    names: bool = False
    down: bool = False
    up: bool = False
    no_load: bool = False
    group: str | None = None
    no_group: str | None = None

    @property
    def is_choosy(self) -> bool:
        """Whether there are interfaces that it does not want."""
        return self.down or self.up or self.group is not None or self.no_group is not None

    def wants(self, interface: Interface) -> bool:
        """Whether an interface is among those to be listed."""
        up = Iff.UP in interface.flags
        if (self.down and up) or (self.up and not up):
            return False
        groups = ("all", *interface.groups)
        if self.group is not None and not any(fnmatch.fnmatchcase(group, self.group) for group in groups):
            return False
        return self.no_group is None or not any(fnmatch.fnmatchcase(group, self.no_group) for group in groups)


def ifconfig(session: Session) -> int:
    """The command."""
    return run_named(session, _main)


def _main(session: Session) -> int:
    try:
        options, words = _options(session)
        if options.names and options.all:
            raise _Usage
        if options.up and options.down:
            raise _Usage
        if options.names or options.all or not words:
            _list(session, options, words)
        else:
            _one(session, options, words)
    except _Usage as usage:
        session.err(f"ifconfig: {usage.text}\n" if usage.text else "")
        session.err(_USAGE_15 if session.system.release >= Release.V15 else _USAGE)
        return 1
    except _Done:
        pass
    return 0


# --- options ---


def _options(session: Session) -> tuple[_Options, Sequence[str]]:
    """The options and the words after them. Raises _Usage, _Done where an option is all that is asked, Quit."""
    system = session.system
    options = _Options(system, Style(system.release))
    _set_formats(session, options, session.environ.get("IFCONFIG_FORMAT", ""))
    parser = Getopt(session.argv[1:], "G:adf:klmnuvCg:L" + ("Dj:" if system.release >= Release.V15 else ""))
    for each in parser:
        match each:
            case BadOption(text):
                raise _Usage(text)
            case Option(letter, argument):
                _set_option(session, options, letter, argument or "")
    if options.names and options.style.capabilities:
        raise _Usage
    return options, parser.operands


def _set_option(session: Session, options: _Options, letter: str, argument: str) -> None:
    match letter:
        case "a":
            options.all = True
        case "d":
            options.down = True
        case "f":
            _set_formats(session, options, argument)
        case "G":
            if not options.all:
                raise _Usage
            options.no_group = argument
        case "g" if options.all:
            options.group = argument
        case "g":
            for name in options.system.group(argument):
                session.out(f"{name}\n")
            raise _Done
        case "C":
            session.out(" ".join(options.system.cloners()) + "\n")
            raise _Done
        case "j":
            options.system = _enter(options.system, argument)
        case "L":
            options.style = replace(options.style, lifetimes=True)
        case "l":
            options.names = True
        case "m":
            options.style = replace(options.style, capabilities=True)
        case "D" if options.style.netlink:
            options.style = replace(options.style, drivername=True)
        case "v":
            options.style = replace(options.style, verbose=True, drivername=options.style.netlink)
        case "n":
            options.no_load = True
        case "u":
            options.up = True
        case _:
            pass


def _enter(system: System, word: str) -> System:
    """`-j`: the system as a jail sees it. Raises Quit where it cannot be entered."""
    try:
        jail = system.jail(int(word) if word.isdecimal() else word)
    except KernelError as error:
        raise Quit(f"jail not found: {error.errno.text}") from None
    try:
        return system.inside(jail.jid)
    except KernelError as error:
        why = "permission denied" if error.errno is Errno.EPERM else error.errno.text
        raise Quit(f"cannot attach to jail: {why}") from None


def _set_formats(session: Session, options: _Options, text: str) -> None:
    """`inet:cidr,ether:dash`, from release 15 on also `cidr` and `default`; what is neither is passed over."""
    since_15 = options.system.release >= Release.V15
    for part in text.split(",") if text else ():
        category, colon, form = part.partition(":")
        if colon:
            options.style = options.style.formatted(category, form)
        elif since_15 and part == "default":
            options.style = replace(options.style, ether="", inet="", inet6="")
        elif since_15 and part == "cidr":
            options.style = replace(options.style, inet=part, inet6=part)
        else:
            what = "format" if since_15 else "format specification"
            session.err(f"ifconfig: Skipping invalid {what}: {part}\n\n")


# --- listing ---


def _list(session: Session, options: _Options, words: Sequence[str]) -> None:
    """All interfaces, or with `-l` their names; an address family limits what is shown."""
    if len(words) > 1:
        raise _Usage
    family = words[0] if words else None
    if family is not None and family not in FAMILIES:
        raise _Usage(f"Address family '{family}' unknown.")
    wanted = [interface for interface in options.system.interfaces() if options.wants(interface)]
    if options.names:
        names = [interface.name for interface in wanted if family is None or has_family(interface, family)]
        session.out(" ".join(names) + "\n")
        return
    for interface in wanted:
        _show(session, options, interface, family)


def _show(session: Session, options: _Options, interface: Interface, family: str | None) -> None:
    """One interface; by netlink only if it has what the family asks for."""
    if family is None or not options.style.netlink or has_family(interface, family):
        session.out(show(interface, options.style, family))


# --- one interface ---


def _one(session: Session, options: _Options, words: Sequence[str]) -> None:
    name, *rest = words
    creating = bool(rest) and rest[0] in grammar.CREATE
    if not options.system.has_interface(name):
        _load_module(session, options, name)
        _must_not_exist(name, rest, creating)
        _change(Run(session, options.system, name, creating=creating), rest)
        return
    if creating:
        rest = rest[1:]
        if not rest:
            raise Quit(f"interface {name} already exists")
    family = rest.pop(0) if rest and rest[0] in FAMILIES else None
    if not rest or options.is_choosy:
        interface = options.system.interface(name)
        if interface is None or not options.wants(interface):
            return
        if not rest:
            _show(session, options, interface, family)
            return
    _change(Run(session, options.system, name, family=family or "inet"), rest)


def _must_not_exist(name: str, words: Sequence[str], creating: bool) -> None:
    """What may be asked of an interface that is not here. Raises Quit for anything else."""
    if creating and len(name) > _LONGEST_NAME:
        raise Quit(f"{name}: cloning name too long")
    if words and words[0] == "-vnet" and len(name) > _LONGEST_NAME:
        raise Quit(f"{name}: interface name too long")
    if not creating and words[:1] != ["-vnet"]:
        raise Quit(f"interface {name} does not exist")


def _change(run: Run, words: Sequence[str]) -> None:
    """Act on the words; the interface's name is printed in the end where it is not the one that was given."""
    try:
        grammar.evaluate(run, words)
    finally:
        if run.renamed:
            run.session.out(f"{run.name}\n")


def _load_module(session: Session, options: _Options, name: str) -> None:
    """Load the module an interface of that name would need; that there is none is no error."""
    if options.no_load or session.uid != 0:
        return
    kind = name.rstrip("0123456789") or name[:1]
    with contextlib.suppress(KernelError):
        options.system.apply(LoadModule(_MODULES.get(kind, f"if_{kind}")))
