"""devfs.rules, and the rulesets that jails name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from vjail.check import devfs
from vjail.check.devfs import Sets
from vjail.check.finding import Concern, Edit, Finding, Rule, Severity
from vjail.check.subject import HostSubject, JailSubject
from vjail.conf.position import Span

UNDEFINED = Rule("VJ501", Severity.ERROR, "a devfs ruleset that is not defined")
NOT_HERE = Rule("VJ502", Severity.WARNING, "a devfs ruleset whose definition is not here")
NESTED = Rule("VJ503", Severity.ERROR, "a set of devfs rules that includes another's includes")
BAD_LINE = Rule("VJ504", Severity.ERROR, "a line of devfs.rules that ends its reading")
EXPOSES = Rule("VJ901", Severity.WARNING, "devices of the host shown to a jail", Concern.SECURITY)

_OWN_SETS = 5


def lines(host: HostSubject) -> Iterator[Finding]:
    """Lines that rc or devfs(8) does not take, and includes that lead to includes."""
    sets = devfs.read(host.devfs)
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
    """Whether the inner set includes something that the outer one does not include itself."""
    own = {each.include for each, _ in outer.rules}
    return any(each.include is not None and each.include not in own for each, _ in inner.rules)


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
        "the kernel follows includes one level deep (sysctl vfs.devfs.rule_depth): what `hide` the inner sets hold is "
        "not applied, and every disk, mem and kmem of the host shows in the jail",
        f"include the sets themselves: {', '.join(f'${name}' for name in names)}",
        (Edit(span, instead),),
    )


def undefined(host: HostSubject) -> Iterator[Finding]:
    """Rulesets that jails name and nobody defines."""
    sets = devfs.read(host.devfs)
    for jail in host.jails:
        chosen = _chosen(jail)
        if chosen is None or not jail.checked.pseudo.mount_devfs:
            continue
        number, span = chosen
        if number in sets.by_number or number == 0:
            continue
        if host.devfs is None:
            yield Finding(
                NOT_HERE,
                span,
                f"ruleset {number} is none of FreeBSD's own (1 to {_OWN_SETS}), and no devfs.rules here defines it",
                "a set that is not defined hides nothing: every disk, mem and kmem of the host shows in the jail",
                "put the host's devfs.rules beside the jail.conf; or define the set: [devfsrules_jailnet="
                f"{number}] with includes of $devfsrules_hide_all, _unhide_basic and _unhide_login",
                jails=(jail.name,),
            )
        else:
            yield Finding(
                UNDEFINED,
                span,
                f"ruleset {number} is not defined: neither in {host.devfs.source.name} nor among FreeBSD's own",
                "mount -o ruleset takes it all the same; an empty set hides nothing: every disk, mem and kmem of the "
                "host shows in the jail",
                f"define [NAME={number}] in devfs.rules",
                jails=(jail.name,),
            )


def exposed(host: HostSubject) -> Iterator[Finding]:
    """Sets that are there and show what a jail should not see."""
    sets = devfs.read(host.devfs)
    exposed_by = cache(sets.exposed)
    for jail in host.jails:
        if not jail.checked.pseudo.mount_devfs:
            continue
        chosen = _chosen(jail)
        number = chosen[0] if chosen is not None else 4
        if number not in sets.by_number:
            continue
        # A vnet jail that has bpf or pf visible has asked for it: they work on its own stack.
        shown = [name for name in exposed_by(number) if not (jail.is_vnet and name in ("bpf", "pf"))]
        if not shown:
            continue
        place = next((span for rule, span in sets.effective(number) if rule.path in shown and span is not None), None)
        if place is None and chosen is not None:
            place = chosen[1]
        yield Finding(
            EXPOSES,
            place or jail.jail.source,
            f"ruleset {number} shows {', '.join(shown)}",
            "root in the jail can read the host's memory and disks, or its traffic, through them",
            "leave out the `unhide` of what the jail does not need",
            jails=(jail.name,),
        )


def _chosen(jail: JailSubject) -> tuple[int, Span] | None:
    parameter = jail.jail.parameter("devfs_ruleset")
    if parameter is None or not parameter.values or not parameter.texts[-1].isdigit():
        return None
    return int(parameter.texts[-1]), parameter.values[-1].span


RULES = (lines, undefined, exposed)
