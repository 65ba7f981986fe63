"""devfs.rules, and the rulesets that jails name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from vjail.check import devfs
from vjail.check.devfs import Sets
from vjail.check.finding import Concern, Edit, Finding, Rule, Severity
from vjail.check.lines import Call
from vjail.check.rules.mounts import mounts_of
from vjail.check.subject import HostSubject, JailSubject
from vjail.command.getopt import Getopt, Option
from vjail.conf.position import Span
from vjail.jail.phases import Where

UNDEFINED = Rule("VJ501", Severity.ERROR, "a devfs ruleset that is not defined")
NOT_HERE = Rule("VJ502", Severity.WARNING, "a devfs ruleset whose definition is not here")
NESTED = Rule("VJ503", Severity.ERROR, "a set of devfs rules that includes another's includes")
NO_RULESET = Rule("VJ523", Severity.WARNING, "a devfs mounted without a ruleset", Concern.SECURITY)
BAD_LINE = Rule("VJ504", Severity.ERROR, "a line of devfs.rules that ends its reading")
EXPOSES = Rule("VJ901", Severity.WARNING, "devices of the host shown to a jail", Concern.SECURITY)

_OWN_SETS = 5
_LEVELS = {0: "no level", 1: "one level"}
_DEFAULT_SET = 4
"""What mount.devfs uses where no devfs_ruleset says otherwise."""
_DEPTH = re.compile(rb"^\s*vfs\.devfs\.rule_depth\s*=\s*([0-9]+)\s*$", re.MULTILINE)
_MOUNT_OPTIONS = "adF:fLlno:prt:uvw"


def _sets(host: HostSubject) -> Sets:
    settings = host.reader.source("/etc/sysctl.conf")
    depths = _DEPTH.findall(settings.data) if settings is not None else []
    return devfs.read(host.devfs, int(depths[-1]) if depths else 1)


def lines(host: HostSubject) -> Iterator[Finding]:
    """Lines that rc or devfs(8) does not take, and includes that lead to includes."""
    sets = _sets(host)
    for fault in sets.faults:
        yield Finding(
            BAD_LINE,
            fault.span,
            fault.text,
            "rc says `could not read rules` and passes over the rest of the file: the sets below are not there",
            "correct the line; a set must stand above the lines that name it by $NAME",
        )
    for found in sets.by_number.values():
        for rule, span in found.rules:
            if rule.include is None or span is None:
                continue
            inner = sets.by_number.get(rule.include)
            if inner is None:
                yield Finding(
                    BAD_LINE,
                    span,
                    f"set {rule.include} is not defined above",
                    "devfs(8) answers `ioctl DEVFSIO_RADD: No such process`, and rc passes over the rest of the file",
                    "define it first",
                )
            elif _lost(sets, found, inner):
                yield _nested(sets, found.number, span, inner)


def _lost(sets: Sets, outer: devfs.Set, inner: devfs.Set) -> bool:
    """Whether the inner set includes something, too deep down, that the outer one does not include itself."""
    own = {each.include for each, _ in outer.rules}
    pending = [(each.include, 1) for each, _ in inner.rules if each.include is not None and each.include not in own]
    while pending:
        number, depth = pending.pop()
        if depth >= sets.depth:
            return True
        found = sets.by_number.get(number)
        rules = found.rules if found is not None else []
        pending += [(each.include, depth + 1) for each, _ in rules if each.include is not None]
    return False


def _nested(sets: Sets, number: int, span: Span, inner: devfs.Set) -> Finding:
    names = [
        sets.by_number[each.include].name
        for each, _ in inner.rules
        if each.include is not None and each.include in sets.by_number
    ]
    own = [each for each, _ in inner.rules if each.include is None]
    instead = "\n".join([f"add include ${name}" for name in names] + [f"add {each}" for each in own])
    shown = sets.exposed(number)
    leaves = f"; as it stands the set leaves visible: {', '.join(shown)}" if shown else ""
    return Finding(
        NESTED,
        span,
        f"${inner.name} consists of includes, and an include inside an included set is ignored{leaves}",
        f"the kernel follows includes {_LEVELS.get(sets.depth, f'{sets.depth} levels')} deep (sysctl "
        "vfs.devfs.rule_depth): what `hide` the inner sets hold is "
        "not applied, and every disk, mem and kmem of the host shows in the jail",
        f"include the sets themselves: {', '.join(f'${name}' for name in names)}",
        (Edit(span, instead),),
    )


@dataclass(frozen=True, slots=True)
class _Use:
    """A devfs that a jail is given: the set it is mounted with, 0 for none, and where that is said.

    `span` None: mount.devfs with no word of a set; `by_parameter`: it is devfs_ruleset that names the set.
    """

    ruleset: int
    span: Span | None
    by_parameter: bool = False


def _uses(jail: JailSubject) -> Iterator[_Use]:
    """By mount.devfs, by lines of `mount` and fstab, and by mount(8) in commands on the host."""
    parameter = jail.jail.parameter("devfs_ruleset")
    if jail.checked.pseudo.mount_devfs:
        if parameter is None or not parameter.values:
            yield _Use(_DEFAULT_SET, None)
        elif parameter.texts[-1].isdigit():
            yield _Use(int(parameter.texts[-1]), parameter.values[-1].span, by_parameter=True)
    for mount in mounts_of(jail):
        if mount.line.vfstype == "devfs":
            yield _Use(_ruleset((mount.line.options or "").split(",")), mount.span)
    if any({"apply", "applyset"}.intersection(call.words) for call in jail.calls("devfs")):
        return  # what is mounted by hand gets its rules by hand
    for call in jail.calls("mount", "mount_devfs"):
        options = _options_of_devfs(call)
        if call.line.where is Where.HOST and options is not None:
            yield _Use(_ruleset(options), call.span)


def _ruleset(options: Sequence[str]) -> int:
    named = [option.removeprefix("ruleset=") for option in options if option.startswith("ruleset=")]
    return int(named[-1]) if named and named[-1].isdigit() else 0


def _options_of_devfs(call: Call) -> Sequence[str] | None:
    """The options that a call mounts a devfs with; None where it mounts something else, or that is not certain."""
    words = [word for word in call.words if word is not None]
    if len(words) < len(call.words):
        return None
    kind, options = "devfs" if call.name == "mount_devfs" else "", list[str]()
    for option in Getopt(words, _MOUNT_OPTIONS):
        match option:
            case Option("t", argument):
                kind = argument or ""
            case Option("o", argument):
                options += (argument or "").split(",")
    return options if kind == "devfs" else None


def without_ruleset(host: HostSubject) -> Iterator[Finding]:
    """A devfs shows everything unless it is told a set."""
    for jail in host.jails:
        for use in _uses(jail):
            if use.ruleset == 0:
                yield Finding(
                    NO_RULESET,
                    use.span,
                    "a devfs without a ruleset shows every device of the host",
                    "root in the jail can read and write the host's memory and disks",
                    "leave it out, and it is set 4; 0 is no set"
                    if use.by_parameter
                    else "mount.devfs; instead of the line, or the option ruleset=4",
                    jails=(jail.name,),
                )


def undefined(host: HostSubject) -> Iterator[Finding]:
    """Rulesets that jails name and nobody defines."""
    sets = _sets(host)
    for jail in host.jails:
        for use in _uses(jail):
            number = use.ruleset
            if number in sets.by_number or number == 0:
                continue
            if host.devfs is None:
                yield Finding(
                    NOT_HERE,
                    use.span,
                    f"ruleset {number} is none of FreeBSD's own (1 to {_OWN_SETS}), and no devfs.rules here defines it",
                    "a set that is not defined hides nothing: every disk, mem and kmem of the host shows in the jail",
                    "put the host's devfs.rules beside the jail.conf; or define the set: [devfsrules_jailnet="
                    f"{number}] with includes of $devfsrules_hide_all, _unhide_basic and _unhide_login",
                    jails=(jail.name,),
                )
            else:
                yield Finding(
                    UNDEFINED,
                    use.span,
                    f"ruleset {number} is not defined: neither in {host.devfs.source.name} nor among FreeBSD's own",
                    "mount -o ruleset takes it all the same; an empty set hides nothing: every disk, mem and kmem of "
                    "the host shows in the jail",
                    f"define [NAME={number}] in devfs.rules",
                    jails=(jail.name,),
                )


def exposed(host: HostSubject) -> Iterator[Finding]:
    """Sets that are there and show what a jail should not see."""
    sets = _sets(host)
    exposed_by = cache(sets.exposed)
    for jail in host.jails:
        for use in _uses(jail):
            if use.ruleset not in sets.by_number:
                continue
            # A vnet jail that has bpf or pf visible has asked for it: they work on its own stack.
            shown = [name for name in exposed_by(use.ruleset) if not (jail.is_vnet and name in ("bpf", "pf"))]
            if not shown:
                continue
            rules = sets.effective(use.ruleset)
            place = next((span for rule, span in rules if rule.path in shown and span is not None), use.span)
            yield Finding(
                EXPOSES,
                place or jail.jail.source,
                f"ruleset {use.ruleset} shows {', '.join(shown)}",
                "root in the jail can read the host's memory and disks, or its traffic, through them",
                "leave out the `unhide` of what the jail does not need",
                jails=(jail.name,),
            )


RULES = (lines, without_ruleset, undefined, exposed)
