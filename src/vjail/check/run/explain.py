"""What was seen on the model, as findings: which jail, where in its file, because of what, and the mend."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from vjail.check.examples import example_lines
from vjail.check.finding import Finding, Rule, Severity
from vjail.check.ifconfig import Ifconfig, of_jail
from vjail.check.run.failures import Broken
from vjail.check.run.granted import is_cloned, told
from vjail.check.run.orders import Seen, Trial
from vjail.check.run.stage import Unknown
from vjail.check.run.state import LOOPBACK_DOWN
from vjail.check.subject import HostSubject, JailSubject
from vjail.conf.jailconf import Message
from vjail.conf.position import Span
from vjail.jail.explain import explained, mend
from vjail.rehearsal import NotModelled

NEVER = Rule("VJ301", Severity.ERROR, "a jail that does not start")
ORDER = Rule("VJ302", Severity.ERROR, "a jail that starts only after another one")
STOP = Rule("VJ303", Severity.ERROR, "a jail whose stop fails")
AGAIN = Rule("VJ304", Severity.ERROR, "a jail that does not start a second time")
LEFT = Rule("VJ305", Severity.WARNING, "something left behind when all jails have stopped")
AFTER_FAILURE = Rule("VJ306", Severity.WARNING, "a start that failed once keeps the next from working")
NOT_MODELLED = Rule("VJ307", Severity.NOTE, "something whose outcome is not known here")
GRANTED = Rule("VJ308", Severity.NOTE, "an interface taken for granted")


def boot_unknown(unknown: NotModelled) -> Finding:
    """A host that does not come up on the model."""
    return Finding(
        NOT_MODELLED,
        None,
        f"the host's start is not modelled: {unknown.what}",
        "its jails were looked at by their text only",
        "`vjail up` tries it",
    )


def not_here(jail: JailSubject, absent: Sequence[Message]) -> Iterator[Finding]:
    """Files of mount.fstab that the jail was tried without."""
    for message in absent:
        yield Finding(
            NOT_MODELLED,
            message.cause,
            f"not here: {message.text.split(': ')[-2]}",
            "what it mounts is not known; the jail was tried without it",
            "put it into files/ beside the jail.conf, under its path on the host",
            jails=(jail.name,),
        )


def granted(host: HostSubject, names: Sequence[str]) -> Iterator[Finding]:
    """What was taken to be there because the host's rc.conf is not here."""
    for name in names:
        place, jails = _first_use(host, name)
        yield Finding(
            GRANTED,
            place,
            told(name),
            "where the host does not make it, jails that use it do not start",
            f'cloned_interfaces="{name}" in the host\'s rc.conf; with that file beside the jail.conf check knows'
            if is_cloned(name)
            else "put the host's rc.conf beside the jail.conf: check then knows whether it makes it",
            jails=jails,
        )


def _first_use(host: HostSubject, name: str) -> tuple[Span | None, tuple[str, ...]]:
    found: list[tuple[Span, str]] = []
    for jail in host.jails:
        for each in ("vnet.interface", "interface", "ip4.addr", "ip6.addr"):
            parameter = jail.jail.parameter(each)
            values = parameter.values if parameter is not None else ()
            found += ((value.span, jail.name) for value in values if _is(value.text.partition("|")[0], name))
        for line in of_jail(jail):
            words = enumerate(line.call.words)
            found += ((line.span_of(at), jail.name) for at, word in words if word is not None and _is(word, name))
    if not found:
        return None, ()
    return found[0][0], tuple(dict.fromkeys(jail for _, jail in found))


def _is(word: str, name: str) -> bool:
    return word == name or (word[:-1] == name and word[-1:] in "ab")


def orders(host: HostSubject, group: Sequence[JailSubject], seen: Seen) -> Iterator[Finding]:
    """What the orders of a group showed, each thing once."""
    known: set[tuple[str, object]] = set()
    for unknown in seen.unknown:
        place = unknown.event.origins[:1] if unknown.event is not None else ()
        if (unknown.what, place) not in known:
            known.add((unknown.what, place))
            yield _unknown(unknown)
    told: set[tuple[str, ...]] = set()
    for trial in seen.trials:
        kind, key = _kind(trial, seen.started)
        if key in told:
            continue
        told.add(key)
        yield _trial(host, trial, kind)
    if not seen.trials:
        for left in seen.left[:1]:
            yield _left(group, left.order, left.items)


def flaws(group: Sequence[JailSubject], granted: Collection[str], seen: Seen) -> Iterator[Finding]:
    """What is wrong when all of a group run, of what its own lines name."""
    for flaw in seen.flaws:
        if re.sub(r"(?<=\d)[ab]$", "", flaw.interface) in granted:
            continue
        own = next((jail for jail in group if jail.name == flaw.jail), None)
        place, jails = _named(group, flaw.interface)
        if own is not None and flaw.rule is LOOPBACK_DOWN:
            place, jails = own.jail.source, (own.name,)
        if place is None and own is not None:
            place, jails = own.jail.source, (own.name,)
        if place is not None:
            yield Finding(flaw.rule, place, flaw.text, flaw.why, flaw.mend, jails=jails)


def _named(group: Sequence[JailSubject], name: str) -> tuple[Span | None, tuple[str, ...]]:
    """Where an interface is made a member, or else first named; jib's bridge and its card, at its line."""
    found: list[tuple[bool, Span, str]] = []
    for jail in group:
        for line in of_jail(jail):
            for at, word in enumerate(line.call.words):
                if word == name:
                    joins = at > 0 and line.call.words[at - 1] == "addm"
                    found.append((joins or line.creates, line.span_of(at), jail.name))
        found += (
            (True, example.call.span, jail.name)
            for example in example_lines(jail)
            if example.makes and name in (*example.cards, *example.bridges)
        )
        parameter = jail.jail.parameter("vnet.interface")
        found += ((False, v.span, jail.name) for v in (parameter.values if parameter else ()) if v.text == name)
    best = next((each for each in found if each[0]), found[0] if found else None)
    return (None, ()) if best is None else (best[1], (best[2],))


def _kind(trial: Trial, started: set[str]) -> tuple[Rule, tuple[str, ...]]:
    event = trial.outcome.failure()
    name = event.jail or trial.jail if event is not None else trial.jail
    text = event.text if event is not None else ""
    if trial.stopping:
        return STOP, ("stop", name, text)
    if trial.again:
        return AGAIN, ("again", name, text)
    if name in started:
        return ORDER, ("order", name, text)
    return NEVER, ("never", name, text)


def _trial(host: HostSubject, trial: Trial, rule: Rule) -> Finding:
    event = trial.outcome.failure()
    assert event is not None
    name = event.jail or trial.jail
    text = explained(event, trial.outcome.said).removeprefix(f"{name}: ")
    span = event.origins[0] if event.origins else None
    cause = _cause(text, [jail for jail in host.jails if jail.name != name])
    related: tuple[tuple[Span, str], ...] = ()
    because = ""
    if cause is not None:
        jail, line, what, missing = cause
        related = ((line.span, f"{what} by jail {jail.name}"),)
        because = f", because {missing} is {what} by {jail.name}'s {line.step.value}"
    if rule is ORDER:
        first = "first" if not trial.before else f"after {', '.join(trial.before)} only"
        said = f"starting {name} {first} fails{because}: {text}"
        why = "jails are started one by one, in parallel (jail -c), or by a list in rc.conf: an order nobody promised"
        what_to_do = _order_mend(cause, name)
    elif rule is STOP:
        said = f"stopping {name} fails{because}: {text}"
        why = "before the jail's removal it goes on running; after it the rest is done, and the exit code is 1"
        gone = "does not exist" in text  # destroying one end of an epair destroys the other
        what_to_do = ("" if gone else mend(text, ())) or (
            "take the line out, where something before it has done it already, or let it bear that: `… || true`"
        )
    elif rule is AGAIN:
        said = f"{name} does not start again after a stop: {text}"
        why = "something of the first start is still there"
        what_to_do = mend(text, ()) or "undo in exec.poststop what exec.prestart did"
    else:
        said = f"{name} does not start{because}: {text}"
        why = "jail(8) takes the start back: mounts, jail and interfaces, but what exec.* lines did stays"
        what_to_do = mend(text, ()) or "see the message"
    return Finding(rule, span, said, why, what_to_do, related=related, jails=(name,))


def _cause(text: str, others: Sequence[JailSubject]) -> tuple[JailSubject, Ifconfig, str, str] | None:
    """The line of another jail that makes what is missing here, or that made what is there already."""
    missing = re.search(r"interface (\S+) does not exist", text)
    taken = re.search(r"interface (\S+) already exists", text)
    gone = re.search(r"BRDGADD (\S+): No such file", text)
    found = missing or taken or gone
    if found is None:
        return None
    unit = re.sub(r"(?<=\d)[ab]$", "", found[1])
    for jail in others:
        for line in of_jail(jail):
            if line.creates and line.interface in (unit, found[1]):
                return jail, line, "made", found[1]
            if line.argument("vnet") and line.interface == found[1]:
                return jail, line, "taken", found[1]
    return None


def _order_mend(cause: tuple[JailSubject, Ifconfig, str, str] | None, name: str) -> str:
    if cause is None:
        return "let each jail make what it needs, or bear that it is there: `ifconfig X || ifconfig X create`"
    jail, line, _, _ = cause
    interface = line.interface or ""
    end = f"{interface}a" if interface.startswith("epair") else interface
    return (
        f"make {interface} in the exec.prestart of both jails, by whoever comes first: `ifconfig {end} >/dev/null 2>&1 "
        f"|| ifconfig {interface} create`, and let whoever goes last destroy it (examples/A2-any-order); or, if {name} "
        f"is never to run without {jail.name}: depend = {jail.name};"
    )


def _unknown(unknown: Unknown) -> Finding:
    step = unknown.event
    return Finding(
        NOT_MODELLED,
        step.origins[0] if step is not None and step.origins else None,
        f"not modelled: {unknown.what}",
        "nothing is run to find out; it was taken to succeed, and what fails after it was not counted",
        "`vjail up` tries it",
        jails=(step.jail,) if step is not None and step.jail else (),
    )


def _left(group: Sequence[JailSubject], order: tuple[str, ...], items: tuple[str, ...]) -> Finding:
    names = [item.removeprefix("interface ") for item in items if item.startswith("interface ")]
    place: Span | None = None
    for jail in group:
        for line in of_jail(jail):
            unit = line.interface or ""
            if place is None and line.creates and any(name == unit or name[:-1] == unit for name in names):
                place = line.span
    jails = tuple(jail.name for jail in group)
    return Finding(
        LEFT,
        place or group[0].jail.source,
        f"when {' and '.join(order)} {'has' if len(order) == 1 else 'have'} stopped there is left: {', '.join(items)}",
        "what exec.prestart and the like make nobody unmakes but exec.poststop; the next start meets it",
        "undo it in exec.poststop (interfaces: deletem, then destroy)",
        jails=jails,
    )


def broken(jail: JailSubject, found: Broken) -> Iterator[Finding]:
    """A failure that lasts."""
    event = found.next.failure()
    if event is None:
        return
    text = explained(event, found.next.said).removeprefix(f"{jail.name}: ")
    span = event.origins[0] if event.origins else found.value.span
    stays = f"{', '.join(found.left)} stay{'s' if len(found.left) == 1 else ''}; " if found.left else ""
    yield Finding(
        AFTER_FAILURE,
        span,
        f"a start that fails once leaves what the next fails on: {text}",
        f"when a step fails (tried: {found.step.value}) jail(8) takes back mounts, jail and interfaces but runs no "
        f"exec.* line: {stays}the next start fails until somebody clears it away",
        "let the line bear that it was done already: `ifconfig X >/dev/null 2>&1 || ifconfig X create`; `… || true`",
        jails=(jail.name,),
    )
