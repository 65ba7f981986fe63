"""jls(8): the jails there are, as a table, by parameter, or for programs.

Sees the kernel only through System.jails, jail and jail_parameters. Sources: FreeBSD 13.2 usr.sbin/jls/jls.c,
lib/libjail; recorded in observed/b1_two_jails.txt and replay/vnet.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vjail.command.getopt import BadOption, Getopt, Option
from vjail.command.libxo import Encoding, Instance, Leaf, LeafList, Style, parse_arguments, render
from vjail.conf.jailconf.options import without_no
from vjail.conf.jailconf.parameters import Access, Known, Type, known_parameters
from vjail.kernel.errno import KernelError
from vjail.kernel.observed import Jail
from vjail.release import Release
from vjail.session import Quit, Session, run_named

_DEFAULT_HEADER = "   JID  IP Address      Hostname                      Path\n"
_NAME_HEADER = " JID             IP Address      Hostname                      Path\n"
_VERBOSE_HEADER = (
    "   JID  Hostname                      Path\n"
    "        Name                          State\n"
    "        CPUSetID\n"
    "        IP Address(es)\n"
)
_ALL_BLANKS = " \t\n\v\f\r"
_PAIRS = re.compile(r"(?m)^([^=\n]*)=(.*)$")


@dataclass(frozen=True, slots=True)
class _Options:
    """What the options ask for, each as the last ones left it."""

    dying: bool = False
    jail: str | None = None
    header: bool = False
    by_name: bool = False
    pairs: bool = False
    quoted: bool = False
    settable: bool = False
    verbose: bool = False
    exists: bool = False


@dataclass(frozen=True, slots=True)
class _Column:
    """A parameter to print: as it was spelt, which one that is, whether it is negated, and the key in meta or env."""

    spelling: str
    known: Known
    negated: bool = False
    key: str | None = None

    def value(self, jail: Jail) -> bool | int | str | tuple[str, ...]:
        """What to print of a jail."""
        value = jail.parameters[self.known.name]
        if self.key is not None:
            return next((text for key, text in _PAIRS.findall(str(value)) if key == self.key), "")
        return not value if self.negated else value


def jls(session: Session) -> int:
    """List jails; 1 where the one asked for is not there."""
    return run_named(session, _jls)


def _jls(session: Session) -> int:
    release = session.system.release
    encoding, words = parse_arguments(session.argv[1:])
    options, names = _parse(session, words, release)
    if options.exists:
        return _exists(session, options, names)
    columns = _columns(session, options, names)
    output = _Output(options, encoding, columns, _ALL_BLANKS if release >= Release.V15 else " \t")
    instances: list[Instance] = []
    if encoding.style is Style.TEXT:
        session.out(output.header())
    try:
        for jail in _jails(session, options):
            if encoding.style is Style.TEXT:
                session.out(output.text(jail))
            else:
                instances.append(output.instance(jail))
    except KernelError as error:
        raise Quit(error.message or f"jail_get: {error.errno.text}") from None
    finally:
        if encoding.style is not Style.TEXT:
            session.out(render(encoding, "jail-information", "jail", "2", instances))
    return 0


# --- the command line -------------------------------------------------------------------------------------------------


def _parse(session: Session, words: Sequence[str], release: Release) -> tuple[_Options, Sequence[str]]:
    newer = release >= Release.V15
    found: dict[str, bool | str | None] = {}
    parsed = Getopt(words, "acdj:hNnqsv" if newer else "adj:hNnqsv")
    for option in parsed:
        match option:
            case BadOption(text):
                session.err(f"jls: {text}\n")
                raise _usage(release)
            case Option("a" | "d"):
                found["dying"] = True
            case Option("c"):
                found["exists"] = True
            case Option("j", argument):
                found["jail"] = argument
            case Option("h"):
                found.update(header=True, settable=False, verbose=False)
            case Option("N"):
                found["by_name"] = True
            case Option("n"):
                found.update(pairs=True, verbose=False)
            case Option("q"):
                found["quoted"] = True
            case Option("s"):
                found.update(pairs=True, quoted=True, settable=True, header=False, verbose=False)
            case Option("v"):
                found.update(verbose=True, header=False, pairs=False, settable=False)
    return _Options(**found), parsed.operands  # type: ignore[arg-type]


def _usage(release: Release) -> Quit:
    text = "usage: jls [-dhNnqv] [-j jail] [param ...]"
    return Quit(f"{text}\n            jls -c [-d] -j jail" if release >= Release.V15 else text)


def _exists(session: Session, options: _Options, names: Sequence[str]) -> int:
    release = session.system.release
    complaint = None
    if options.header or options.pairs or options.quoted or options.settable or options.verbose or options.by_name:
        complaint = "-c is incompatible with other print options"
    elif names:
        complaint = "-c does not accept non-option arguments"
    elif options.jail is None:
        complaint = "-j jail to check must be provided for -c"
    if complaint is not None:
        session.err(f"jls: {complaint}\n")
        raise _usage(release)
    try:
        session.system.jail(_key(options.jail or ""), dying=options.dying)
    except KernelError:
        return 1
    return 0


def _key(text: str) -> int | str:
    """What -j names: a jid where the whole argument is a number and not zero, otherwise a name."""
    return int(text) if re.fullmatch(r"[0-9]+", text) and int(text) else text


def _jails(session: Session, options: _Options) -> Iterator[Jail]:
    if options.jail is not None:
        yield session.system.jail(_key(options.jail), dying=options.dying)
    else:
        yield from session.system.jails(dying=options.dying)


def _columns(session: Session, options: _Options, names: Sequence[str]) -> Sequence[_Column]:
    """The parameters to print; none for the default and the verbose form."""
    if not names and not (options.header or options.pairs):
        return ()
    release = session.system.release
    present = set(session.system.jail_parameters())
    known = {name: known for name, known in known_parameters(release).items() if name in present}
    columns: dict[str, _Column] = {}
    for name in names or ("all",):
        if name == "all":
            for each in sorted(known, key=lambda each: ("." in each, each)):
                columns.setdefault(each, _Column(each, known[each]))
        else:
            columns.setdefault(name, _column(name, known))
    return list(columns.values())


def _column(name: str, known: Mapping[str, Known]) -> _Column:
    if name in known:
        return _Column(name, known[name])
    positive = known.get(without_no(name) or "")
    if positive is not None and positive.type is Type.BOOLEAN:
        return _Column(name, positive, negated=True)
    head, dot, key = name.partition(".")
    if dot and head in ("meta", "env") and head in known:
        return _Column(name, known[head], key=key)
    raise Quit(f"unknown parameter: {name}")


# --- printing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Output:
    """One of the forms of output."""

    options: _Options
    encoding: Encoding
    columns: Sequence[_Column]
    blanks: str
    """What makes a value be quoted."""

    def header(self) -> str:
        if self.columns:
            names = " ".join(column.spelling for column in self.columns)
            return f"{names}\n" if self.options.header else ""
        if self.options.verbose:
            return _VERBOSE_HEADER
        return _NAME_HEADER if self.options.by_name else _DEFAULT_HEADER

    def text(self, jail: Jail) -> str:
        if self.columns:
            shown = (self._pair(column, jail) for column in self.columns if self._shows(column, jail))
            return " ".join(shown) + "\n"
        hostname, path = str(jail.parameters["host.hostname"])[:29], jail.path[:74]
        if self.options.verbose:
            addresses = "".join(f"        {address}\n" for address in (*_addresses(jail, 4), *_addresses(jail, 6)))
            return (
                f"{jail.jid:6d}  {hostname:<29} {path}\n"
                f"        {jail.name[:29]:<29} {_state(jail)}\n"
                f"        {jail.parameters['cpuset.id']}\n{addresses}"
            )
        first = f" {jail.name:<15} " if self.options.by_name else f"{jail.jid:6d}  "
        return f"{first}{_first_address(jail)[:15]:<15} {hostname:<29} {path}\n"

    def instance(self, jail: Jail) -> Instance:
        """The jail as libxo is told it."""
        hostname = str(jail.parameters["host.hostname"])
        if self.columns:
            return [self._field(column, jail) for column in self.columns if self._shows(column, jail)]
        if self.options.verbose:
            return [
                Leaf("jid", jail.jid),
                Leaf("hostname", hostname),
                Leaf("path", jail.path),
                Leaf("name", jail.name),
                Leaf("state", _state(jail)),
                Leaf("cpusetid", int(str(jail.parameters["cpuset.id"]))),
                LeafList("ipv4_addrs", "ipv4_addr", _addresses(jail, 4)),
                LeafList("ipv6_addrs", "ipv6_addr", _addresses(jail, 6)),
            ]
        first = Leaf("name", jail.name) if self.options.by_name else Leaf("jid", jail.jid)
        return [first, Leaf("ipv4", _first_address(jail)), Leaf("hostname", hostname), Leaf("path", jail.path)]

    def _shows(self, column: _Column, jail: Jail) -> bool:
        """-s leaves out what cannot be set, and what belongs to a subsystem that is not the jail's own."""
        if not self.options.settable:
            return True
        head, dot, _ = column.spelling.partition(".")
        owner = jail.parameters.get(head) if dot else None
        return column.known.access is not Access.READ and (owner is None or owner == "new" or column.key is not None)

    def _pair(self, column: _Column, jail: Jail) -> str:
        value = column.value(jail)
        if column.key is not None and not value:
            return column.spelling if self.options.pairs else ""
        if not self.options.pairs:
            return self._value(value)
        if isinstance(value, bool):
            return column.spelling if value else _negation(column.spelling)
        return f"{column.spelling}={self._value(value)}"

    def _value(self, value: bool | int | str | tuple[str, ...]) -> str:
        match value:
            case bool():
                return "true" if value else "false"
            case int():
                return str(value)
            case ():
                return '""' if self.options.quoted else "" if self.options.pairs else "-"
            case tuple():
                return ",".join(value)
            case "":
                return '""'
        quote = self._quote(value) if self.options.quoted else ""
        return f"{quote}{value}{quote}"

    def _quote(self, text: str) -> str:
        if "'" in text:
            return '"'
        if '"' in text:
            return "'"
        return '"' if any(blank in text for blank in self.blanks) else ""

    def _field(self, column: _Column, jail: Jail) -> Leaf | LeafList:
        value = column.value(jail)
        match value:
            case tuple():
                family = "ipv4_addr" if column.known.type is Type.IPV4 else "ipv6_addr"
                return LeafList(column.spelling, family, value)
            case bool() if self.options.pairs:
                return Leaf(column.spelling, value)
            case bool():
                return Leaf(column.spelling, "true" if value else "false")
        return Leaf(column.spelling, str(value))


def _negation(name: str) -> str:
    """The opposite of a boolean: `persist` and `nopersist`, `allow.mount` and `allow.nomount`."""
    head, dot, last = name.rpartition(".")
    return f"{head}{dot}{last[2:] if last.startswith('no') else 'no' + last}"


def _state(jail: Jail) -> str:
    return "DYING" if jail.dying else "ACTIVE"


def _addresses(jail: Jail, family: int) -> tuple[str, ...]:
    value = jail.parameters[f"ip{family}.addr"]
    return value if isinstance(value, tuple) else ()


def _first_address(jail: Jail) -> str:
    return next(iter(_addresses(jail, 4)), "")
