"""A host's pf.conf, read as pfctl(8) reads it on the host that has booted on the model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import pairwise

from vjail.check.finding import Finding, Rule, Severity
from vjail.check.run.stage import Stage
from vjail.check.subject import HostSubject
from vjail.command.pf.surroundings import surroundings
from vjail.conf.pf.parse import parse
from vjail.conf.pf.tokens import Fault, Problem
from vjail.conf.position import Source, Span
from vjail.conf.rcconf import Answer, check_yes_no
from vjail.rehearsal.session import ModelSession

REFUSED = Rule("VJ705", Severity.ERROR, "a pf.conf that pfctl does not load")
OPEN = Rule("VJ706", Severity.WARNING, "a pf.conf that names what is not known here")
WITHOUT = Rule("VJ707", Severity.NOTE, "something in pf.conf that vjail does not do")

_NOTHING = (
    "pfctl loads nothing of the file, and rc switches pf on all the same, without rules: everything passes, and "
    "nothing is translated"
)
_ORDER = "Rules must be in order"
_NO_COMBINATION = "rule expands to no valid combination"


def packet_filter(host: HostSubject, stage: Stage) -> Iterator[Finding]:
    """What pfctl says of the rules that rc.d/pf loads, and of those that they load for anchors."""
    if check_yes_no(host.rc.get("pf_enable", "NO")) is not Answer.YES:
        return
    flags = host.rc.words("pf_flags")
    given = [each.partition("=") for flag, each in pairwise(flags) if flag == "-D"]
    macros = [(name, value) for name, _, value in given]
    left = [("", host.rc.get("pf_rules", "/etc/pf.conf"))]
    main: Source | None = None
    interfaces = stage.standing().interfaces
    while left:
        anchor, path = left.pop(0)
        source = host.reader.source(path)
        if source is None:
            if anchor and main is not None:
                yield _open(_named(main, path), f"cannot load anchor {anchor}: {path} is not here", interfaces)
            continue
        main = main or source
        problems, anchors = _read(stage, source, anchor, macros)
        left += anchors if not anchor else []
        yield from (_finding(host, problem, interfaces) for problem in problems)


def _read(
    stage: Stage, source: Source, anchor: str, macros: list[tuple[str, str]]
) -> tuple[list[Problem], list[tuple[str, str]]]:
    """What is said of a file, and the files that are loaded for anchors behind it."""
    found: list[Problem] = []
    anchors: list[tuple[str, str]] = []

    async def read(session: ModelSession) -> int:
        parsed = parse(
            source, surroundings(session), out=lambda _: None, err=lambda _: None, anchor=anchor, macros=macros
        )
        found.extend(parsed.problems)
        anchors.extend(parsed.load_anchors)
        return 0

    stage.lab.carry_out(stage.host, ("pfctl",), read)
    return found, anchors


def _finding(host: HostSubject, problem: Problem, interfaces: Collection[str]) -> Finding:
    span, text = _here(host, problem.span), problem.text
    if re.search(r"[\n]\Z|\A\Z", span.text) or text.startswith(_ORDER):
        span = _here(host, problem.rule)
    fault = problem.fault
    if fault is Fault.WRONG and problem.rule.text.startswith("antispoof") and text == _NO_COMBINATION:
        # The interface has no such address here; it may get one by DHCP or from a router.
        fault = Fault.ELSEWHERE
    match fault:
        case Fault.WRONG:
            return Finding(REFUSED, span, text, _NOTHING, _mend(problem, span))
        case Fault.ELSEWHERE:
            return _open(span, text, interfaces)
        case Fault.UNSUPPORTED:
            return Finding(
                WITHOUT,
                span,
                text,
                "FreeBSD takes it; in a lab pfctl says this and loads nothing of the file",
                "in a lab, a pf.conf without it",
            )


def _open(span: Span, text: str, interfaces: Collection[str]) -> Finding:
    why = f"where the host does not know it either, {_NOTHING}"
    return Finding(OPEN, span, text, why, _mend_elsewhere(text, interfaces))


def _named(source: Source, path: str) -> Span:
    """Where a file names another one; its beginning where it names it otherwise."""
    at = max(source.data.find(path.encode()), 0)
    return Span(source, at, at + len(path) if at else 0)


def _mend(problem: Problem, span: Span) -> str:
    source = span.source
    if problem.text.startswith(_ORDER):
        return "put it before the rules of later sections, or `set require-order no` first in the file"
    if problem.span.end >= len(source.data) and not source.data.endswith(b"\n"):
        return "end the last line with a newline"
    return "correct it; `pfctl -nf FILE` on the host shows what pfctl makes of it"


def _mend_elsewhere(text: str, interfaces: Collection[str]) -> str:
    """For an address that an interface gets only later, a file, a name."""
    named = re.match(r"no IP address found for ([\w.-]+)(\S*?): ", text)
    if named and (named[2] or named[1] in interfaces):
        return f"({named[1]}{named[2]}): in parentheses pf follows the addresses that the interface gets"
    if text == _NO_COMBINATION:
        return "an address of that family on the interface, or the rule without the family"
    return "the file, or /etc/hosts, beside the others in files/; an address or a number in the place of a name"


def _here(host: HostSubject, span: Span) -> Span:
    """The place under the name that the file has on this machine."""
    origin = host.reader.origin(span.source.name) if span.source.name.startswith("/etc/") else None
    return span if origin is None else Span(Source(str(origin), span.source.data), span.start, span.end)
