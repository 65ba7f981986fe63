"""What jail(8) does with a jail: its commands, what keeps it alive, what it depends on, what it leaves behind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vjail.check.examples import example_lines
from vjail.check.finding import Finding, Rule, Severity
from vjail.check.ifconfig import of_jail
from vjail.check.lines import Line
from vjail.check.subject import HostSubject, JailSubject
from vjail.conf.jailconf.pseudo import flag
from vjail.conf.position import Span
from vjail.jail.phases import Step, Where

NOTHING_RUNS = Rule("VJ601", Severity.ERROR, "a jail without persist and with nothing to run", fatal=True)
VANISHES = Rule("VJ602", Severity.ERROR, "a jail without persist whose commands all end", fatal=True)
NO_CLEAN = Rule("VJ603", Severity.NOTE, "no exec.clean")
NOT_SHELL = Rule("VJ604", Severity.ERROR, "a shell's word in a line that no shell runs")
DEPENDS_LOOP = Rule("VJ605", Severity.ERROR, "jails that depend on each other in a circle", fatal=True)
DEPENDS_NOWHERE = Rule("VJ606", Severity.ERROR, "depend on a jail that is in no block", fatal=True)
DEPENDS_ELSEWHERE = Rule("VJ607", Severity.WARNING, "depend on a jail of another file")
SAME_NAME = Rule("VJ608", Severity.ERROR, "two blocks of one name", fatal=True)
SAME_JID = Rule("VJ609", Severity.ERROR, "one jid given to two jails", fatal=True)
NUMERIC = Rule("VJ610", Severity.ERROR, "a name that is a number", fatal=True)
LEFT_BEHIND = Rule("VJ611", Severity.WARNING, "an interface made at the start and never destroyed")
MADE_TWICE = Rule("VJ612", Severity.ERROR, "one interface made by two jails", fatal=True)
NO_PATH = Rule("VJ613", Severity.WARNING, "no path")
LINK_ROOT = Rule("VJ614", Severity.WARNING, "one root for two jails")

MIXED = Rule("VJ615", Severity.WARNING, "epairs with a number of their own beside some with the next free one")

STAR = Rule("VJ616", Severity.WARNING, "a block's name with a * that matches nothing")

RESTARTED = Rule("VJ617", Severity.NOTE, "a jail that others depend on, restarted by itself")

_SHELL_CHARACTERS = set("!\"$&'()*;<>?[\\]`{|}~")
_SHELL_WORDS = ("cd", "export", "set", "unset", "umask", "ulimit", "eval", "exec", ".", "if", "for", "while", "alias")
_ENDING = frozenset(
    ("ifconfig", "route", "sysctl", "hostname", "mount", "umount", "true", "echo", "sleep", "kldload", "devfs", "ln")
)
_STARTING = frozenset({Step.PREPARE, Step.PRESTART, Step.CREATED, Step.POSTSTART})
_STOPPING = frozenset({Step.PRESTOP, Step.POSTSTOP, Step.RELEASE})


def alive(host: HostSubject) -> Iterator[Finding]:
    """What keeps a jail there."""
    for jail in host.jails:
        if flag(jail.jail.parameter("persist")) or any(
            "." in (other.name) and other.name.startswith(f"{jail.name}.") for other in host.jails
        ):
            continue
        inside = [line for line in jail.lines if line.step in (Step.START, Step.COMMAND)]
        if not inside:
            if not jail.jail.failed and not any(line.step is Step.POSTSTART for line in jail.lines):
                yield Finding(
                    NOTHING_RUNS,
                    jail.jail.source,
                    "neither persist nor exec.start nor command: nothing would keep the jail",
                    "the kernel refuses it: `new jail must persist or attach`",
                    "add persist; or something to run",
                    jails=(jail.name,),
                )
        elif all(_ends(line) for line in inside):
            yield Finding(
                VANISHES,
                inside[-1].value.span,
                "when this has ended no process is left, and there is no persist",
                "the jail is gone the moment it is up, silently: no stop phase runs, mounts and epairs stay, and the "
                "next start fails on them",
                "add persist;",
                jails=(jail.name,),
            )


def _ends(line: Line) -> bool:
    return bool(line.calls) and all(call.name in _ENDING for call in line.calls)


def clean(host: HostSubject) -> Iterator[Finding]:
    """Commands in a jail that get the environment of whoever typed jail(8)."""
    for jail in host.jails:
        inside = [line for line in jail.lines if line.where is Where.JAIL]
        if not inside or flag(jail.jail.parameter("exec.clean")):
            continue
        if any(call.name == "sh" and "/etc/rc" in call.words for line in inside for call in line.calls):
            yield Finding(
                NO_CLEAN,
                jail.jail.source,
                "the jail's rc and its daemons get the environment of whoever starts the jail",
                "variables of an administrator's shell (LANG, SSH_AUTH_SOCK, http_proxy) reach daemons when started by "
                "hand, and do not at boot",
                "exec.clean;",
                jails=(jail.name,),
            )


def not_shell(host: HostSubject) -> Iterator[Finding]:
    """Lines without a shell's characters are split at blanks and executed."""
    for jail in host.jails:
        for line in jail.lines:
            text = line.value.text
            if set(text) & _SHELL_CHARACTERS:
                continue
            first = text.split()[0] if text.split() else ""
            if first in _SHELL_WORDS or re.match(r"[A-Za-z_]\w*=", first) or first.startswith("#"):
                yield Finding(
                    NOT_SHELL,
                    line.span(text.index(first), text.index(first) + len(first)),
                    f"`{first}` means something to a shell only, and no shell runs this line",
                    "a line without any of ! \" $ & ' ( ) * ; < > ? [ \\ ] ` { | } ~ is split at blanks and executed: "
                    f"`exec {first}: No such file or directory`",
                    f"{line.step.value} = \"/bin/sh -c '{text}'\";",
                    jails=(jail.name,),
                )


def depends(host: HostSubject) -> Iterator[Finding]:
    """depend: circles, and names that are nowhere or in another file."""
    files: dict[str, int] = {}
    for number, configuration in enumerate(host.configurations):
        for block in configuration.jails:
            files.setdefault(block.block or "", number)
    wants: dict[str, list[str]] = {}
    for jail in host.jails:
        parameter = jail.jail.parameter("depend")
        for value in parameter.values if parameter is not None else ():
            wants.setdefault(jail.name, []).append(value.text)
            if value.text not in files:
                yield Finding(
                    DEPENDS_NOWHERE,
                    value.span,
                    f"there is no jail {value.text}",
                    f'`depends on undefined jail "{value.text}"`: the jail is not started',
                    "the name of a block",
                    jails=(jail.name,),
                )
            elif files[value.text] != files[jail.name]:
                yield Finding(
                    DEPENDS_ELSEWHERE,
                    value.span,
                    f"jail {value.text} stands in another file, which jail(8) does not read together with this one",
                    f'`depends on undefined jail "{value.text}"` when rc.d/jail starts it from its own file',
                    "one file for both, or from FreeBSD 14 on .include",
                    jails=(jail.name,),
                )
    for jail in host.jails:
        circle = _circle(jail.name, wants)
        if circle and min(circle) == jail.name:
            parameter = jail.jail.parameter("depend")
            yield Finding(
                DEPENDS_LOOP,
                parameter.span if parameter is not None else jail.jail.source,
                f"{' -> '.join((*circle, circle[0]))}",
                "`dependency loop`: none of them is started",
                "one of them must not wait for the other",
                jails=tuple(circle),
            )


def restarted(host: HostSubject) -> Iterator[Finding]:
    """`service jail restart router`: those that depend on it are stopped first, and not started again."""
    file = {block.block: number for number, each in enumerate(host.configurations) for block in each.jails}
    waiting: dict[str, dict[str, Span]] = {}
    for jail in host.jails:
        parameter = jail.jail.parameter("depend")
        for value in parameter.values if parameter is not None else ():
            if file.get(value.text) == file[jail.name]:
                waiting.setdefault(value.text, {}).setdefault(jail.name, value.span)
    for jail in host.jails:
        behind = _behind(jail.name, waiting)
        if behind and jail.name not in behind:
            first = next(iter(waiting[jail.name]))
            yield Finding(
                RESTARTED,
                jail.jail.source,
                f"restarting {jail.name} alone stops {', '.join(behind)} too, and starts only {jail.name}",
                f"`jail -rc {jail.name}` and `service jail restart {jail.name}` name one jail: a stop takes along what "
                "depends on it, a start only what it depends on itself",
                f"name them all: `service jail restart {' '.join((jail.name, *behind))}`",
                related=((waiting[jail.name][first], f"jail {first} depends on it"),),
                jails=(jail.name,),
            )


def _behind(name: str, waiting: Mapping[str, Iterable[str]]) -> list[str]:
    """Everybody who depends on a jail, on those that do, and so on; the jail itself too, where it is a circle."""
    found: dict[str, None] = {}
    todo = [name]
    while todo:
        new = [each for each in waiting.get(todo.pop(0), ()) if each not in found]
        found |= dict.fromkeys(new)
        todo += new
    return list(found)


def _circle(start: str, wants: dict[str, list[str]]) -> list[str]:
    """A way along `depend` from a jail back to it; empty where there is none."""
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop()
        for wanted in wants.get(way[-1], ()):
            if wanted == start:
                return way
            if wanted not in seen:
                seen.add(wanted)
                ways.append([*way, wanted])
    return []


def identity(host: HostSubject) -> Iterator[Finding]:
    """Names and numbers that two jails cannot both have."""
    for configuration in host.configurations:
        blocks: dict[str, Span] = {}
        for jail in configuration.jails:
            name = jail.block or ""
            known = blocks.setdefault(name, jail.source)
            if known is not jail.source:
                yield Finding(
                    SAME_NAME,
                    jail.source,
                    f"a second block {name}",
                    "jail(8) takes them for two jails; the second to start is refused (`already exists`)",
                    "one block, or another name",
                    related=((known, "the first"),),
                    jails=(name,),
                )
    for name, rule in (("jid", SAME_JID), ("path", LINK_ROOT)):
        seen: dict[str, tuple[str, Span]] = {}
        for subject in host.jails:
            parameter = subject.jail.parameter(name)
            if parameter is None or not parameter.values or parameter.texts[-1] in ("/", "0"):
                continue
            value = parameter.values[-1]
            first = seen.setdefault(value.text, (subject.name, value.span))
            if first[0] == subject.name:
                continue
            why, mend = (
                (f"the second to start is refused: `jail {value.text} already exists`", "another jid, or none")
                if rule is SAME_JID
                else (
                    "both write one /etc, /var and /tmp: pid files and sockets are mixed up, and the mounts of the "
                    "second lie over those of the first",
                    "a root of its own; what is common can be mounted read-only",
                )
            )
            yield Finding(
                rule,
                value.span,
                f"{name} {value.text} is jail {first[0]}'s too",
                why,
                mend,
                related=((first[1], f"jail {first[0]}"),),
                jails=(subject.name,),
            )
    for subject in host.jails:
        own = subject.jail.text("name") or subject.name
        if own.rpartition(".")[2].isdigit() and subject.jail.text("jid") != own:
            yield Finding(
                NUMERIC,
                subject.jail.source,
                f"{own} is a number, which names a jail by its jid",
                "`name cannot be numeric (unless it is the jid)`: the jail is not started",
                f"a name with a letter, or jid = {own};",
                jails=(subject.name,),
            )
        if subject.jail.parameter("path") is None:
            yield Finding(
                NO_PATH,
                subject.jail.source,
                "no path: the jail's root is the host's",
                "everything the host has, the jail can read, and its root can write",
                'path = "/jails/${name}";',
                jails=(subject.name,),
            )


@dataclass(frozen=True, slots=True)
class _Made:
    jail: JailSubject
    span: Span
    tolerated: bool


def interfaces(host: HostSubject) -> Iterator[Finding]:
    """What starts make and stops do not unmake; what two starts make."""
    first: dict[str, _Made] = {}
    for jail in host.jails:
        made: dict[str, _Made] = {}
        gone: set[str] = set()
        for line in of_jail(jail):
            if line.jail is not None or line.interface is None:
                continue
            if line.creates and line.step in _STARTING and re.fullmatch(r"[a-z]+\d+", line.interface):
                made.setdefault(line.interface, _Made(jail, line.span, line.call.tolerated or not line.call.certain))
            if (line.has("destroy") or line.has("unplumb")) and line.step in _STOPPING:
                gone |= {line.interface, re.sub(r"(?<=\d)[ab]$", "", line.interface)}
            for setting in line.settings:
                if setting.word == "name" and setting.arguments and setting.arguments[0] is not None:
                    gone |= {each for each in (setting.arguments[0],) if each in gone}
        renamed = any(line.has("name") for line in of_jail(jail))
        for name, each in made.items():
            known = first.setdefault(name, each)
            if known.jail is not jail and not each.tolerated:
                yield Finding(
                    MADE_TWICE,
                    each.span,
                    f"{name} is made by jail {known.jail.name} too",
                    f"the second jail to start fails: `interface {name} already exists`",
                    "each jail an interface of its own; what two jails share is made by whoever comes first: "
                    f"`ifconfig {_end(name)} >/dev/null 2>&1 || ifconfig {name} create`",
                    related=((known.span, f"made for {known.jail.name} here"),),
                    jails=(known.jail.name, jail.name),
                )
            if name not in gone and not each.tolerated and not renamed:
                yield Finding(
                    LEFT_BEHIND,
                    each.span,
                    f"{name} is made at each start, and no stop destroys it",
                    f"it stays when the jail stops, and the next start fails: `interface {name} already exists`",
                    f'exec.poststop += "ifconfig {_end(name)} destroy";',
                    jails=(jail.name,),
                )


def stars(host: HostSubject) -> Iterator[Finding]:
    """`web*` is no wildcard: a * stands for a whole component of a name."""
    for jail in host.jails:
        if "*" in jail.name:
            yield Finding(
                STAR,
                jail.jail.source,
                f"{jail.name} matches no other jail: a * stands for a whole component between dots",
                "jail(8) takes the block for a jail of that very name; what stands in it reaches no other",
                '"*" for all jails, "web.*" for those in web, or the parameters in each block',
                jails=(jail.name,),
            )


def mixed(host: HostSubject) -> Iterator[Finding]:
    """`ifconfig epair create` takes the lowest free number, which may be one that another jail asks for by name."""
    free: list[tuple[JailSubject, Span]] = []
    given: list[tuple[JailSubject, Span, str]] = []
    for jail in host.jails:
        for line in of_jail(jail):
            if line.jail is None and line.creates and line.interface == "epair":
                free.append((jail, line.span))
            elif line.jail is None and line.creates and re.fullmatch(r"epair\d+", line.interface or ""):
                given.append((jail, line.span, line.interface or ""))
        free += ((jail, each.call.span) for each in example_lines(jail) if each.makes and each.call.name == "jib")
    numbers = {int(name.removeprefix("epair")) for _, _, name in given}

    def may_be_taken(name: str) -> bool:
        """Whether a free number can come to be this one: all below it are taken by others."""
        number = int(name.removeprefix("epair"))
        return len(free) - 1 + sum(each < number for each in numbers) >= number

    for jail, span in free[:1]:
        other = next((each for each in given if each[0] is not jail and may_be_taken(each[2])), None)
        if other is not None:
            yield Finding(
                MIXED,
                span,
                f"the next free number is taken here, and jail {other[0].name} asks for {other[2]} by name",
                f"whoever starts first may have {other[2]} already: the other start fails (`interface {other[2]} "
                "already exists`), or not, by the order of the starts",
                "give every epair its number, or none; a free one can be renamed: `ifconfig $e name NAME`",
                related=((other[1], f"{other[2]} by name"),),
                jails=(jail.name,),
            )


def _end(name: str) -> str:
    """An interface that is there when the cloned `name` is."""
    return f"{name}a" if name.startswith("epair") else name


RULES = (alive, clean, not_shell, depends, restarted, identity, interfaces, mixed, stars)
