"""A host's boot, listened to: which words of its rc.conf ifconfig(8) and route(8) refuse.

rc goes on with the next, so nothing fails to come up, and nobody says it: only the console scrolls by.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from vjail.check.finding import Finding, Rule, Severity
from vjail.check.subject import HostSubject
from vjail.command import registry
from vjail.conf.position import Span
from vjail.conf.rcconf import Assignment, RcConf, variable_name
from vjail.jail.explain import mend
from vjail.rehearsal import Rehearsal
from vjail.rehearsal.session import ModelSession
from vjail.rehearsal.up import boot

FAILS = Rule("VJ708", Severity.ERROR, "words of rc.conf that fail at the boot")
_LISTENED = ("/sbin/ifconfig", "/sbin/route")
_OF_RC = frozenset(("inet", "inet6", "alias", "up", "create"))
"""Words that rc adds of its own."""
_TOLD_ADDRESSES = re.compile(r"\b(NO)?(SYNC)?DHCP\b|\bWPA\b|\bHOSTAP\b|\baccept_rtadv\b", re.IGNORECASE)
"""With these in rc.conf an interface gets addresses that no file tells."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command of the boot that failed, and what it said last."""

    argv: tuple[str, ...]
    said: str


@dataclass(slots=True)
class Listener:
    """What was refused while a host booted."""

    lab: Rehearsal
    heard: list[Refusal] = field(default_factory=list)

    async def run(self, path: str, session: ModelSession) -> int:
        """Run the command at `path`, and keep what it said where it fails and nothing unknown came before."""
        said: list[str] = []
        streams = session.streams

        def err(text: str) -> None:
            said.append(text)
            streams.err(text)

        session.streams = replace(streams, err=err)
        outcome = registry.load(path)(session)
        code = await outcome if inspect.isawaitable(outcome) else outcome
        if code and not self.lab.doubts:
            lines = "".join(said).strip().splitlines()
            self.heard.append(Refusal(tuple(session.argv), lines[-1] if lines else f"exit {code}"))
        return code


def booted(lab: Rehearsal, host: str) -> list[Refusal]:
    """Boot a host; what was refused."""
    listener = Listener(lab)
    before = dict(lab.programs)
    lab.programs.update({path: partial(listener.run, path) for path in _LISTENED})
    boot(lab, host)
    lab.programs = before
    return listener.heard


def findings(host: HostSubject, refusals: Sequence[Refusal]) -> Iterator[Finding]:
    """What was refused of what the host's own files say."""
    told = not any(_TOLD_ADDRESSES.search(value) for value in host.rc.values.values())
    for refusal in refusals:
        origin = _origin(host.rc, refusal.argv)
        if origin is None or (refusal.argv[0] == "route" and not told):
            continue
        yield Finding(
            FAILS,
            _place(refusal, origin),
            f"`{' '.join(refusal.argv)}` fails at the boot: {refusal.said.removeprefix(f'{refusal.argv[0]}: ')}",
            "rc goes on with the next: what the command had still to do is not done, and only the console tells",
            _mend(refusal, origin),
        )
    for prefix in ("", "ipv6_"):
        origin = host.rc.origin(f"{prefix}static_routes")
        for name in host.rc.words(f"{prefix}static_routes"):
            variable = f"{prefix}route_{variable_name(name.partition(':')[0])}"
            if origin is not None and not host.rc.get(variable):
                yield Finding(
                    FAILS,
                    origin.value_span,
                    f"{prefix}static_routes names {name}, and there is no {variable}",
                    f"rc warns `{variable} not found`, and adds no route",
                    f'{variable}="-net NETWORK/LENGTH GATEWAY"',
                )


def _mend(refusal: Refusal, origin: Assignment) -> str:
    bad = _BAD_VALUE.search(refusal.said)
    if bad and bad[1] in _FAMILIES:
        return (
            "ifconfig knows the family directly behind the interface only: "
            f'{origin.name}="{_family_first(refusal.argv[2:], bad[1])}"'
        )
    if bad and re.search(r"[.:]", bad[1]):
        return "it is no address: correct it"
    if _NO_MASK in refusal.said:
        return "the length behind the address, as in 192.0.2.1/24"
    if _UNREACHABLE in refusal.said:
        gateway = refusal.argv[-1]
        return (
            f"an address in the network of {gateway}; or, where a provider gives a /32, a route before it: "
            f"-host {gateway} -interface IF"
        )
    if _NO_TAG in refusal.said:
        return f'create_args_{variable_name(refusal.argv[1])}="vlan TAG", or the tag itself in its place'
    return mend(refusal.said, ()) or "see the message"


_FAMILIES = ("inet", "inet6", "link", "ether")
_BAD_VALUE = re.compile(r"(\S+): bad value")
_NO_MASK = "setting interface address without mask is no longer supported"
_NO_TAG = "must specify a tag for vlan create"
_UNREACHABLE = "Network is unreachable"


def _family_first(words: Sequence[str], family: str) -> str:
    """The words of an interface with the family and its address first."""
    at = words.index(family)
    end = at + 2
    while end < len(words) and words[end] in ("netmask", "broadcast", "prefixlen"):
        end += 2
    return " ".join((*words[at:end], *words[:at], *words[end:]))


def _place(refusal: Refusal, origin: Assignment) -> Span:
    """The word that is refused, or all of the value where the message names none that stands in it as it is."""
    span, bad = origin.value_span, _BAD_VALUE.search(refusal.said)
    found = re.search(rf"(?<![\w.:]){re.escape(bad[1])}(?![\w.:])", span.text) if bad else None
    if found is None or not span.text.isascii():
        return span
    return Span(span.source, span.start + found.start(), span.start + found.end())


def _origin(rc: RcConf, argv: Sequence[str]) -> Assignment | None:
    """The variable that a command of the boot has its words from, None where they are rc's own."""
    if argv[0] == "route":
        names = [*rc.matching("*defaultrouter"), *rc.matching("route_*"), *rc.matching("ipv6_route_*")]
        whole = (rc.origin(name) for name in names if rc.words(name) and set(rc.words(name)) <= set(argv))
        return next(whole, None)
    words = set(argv[1:]) - _OF_RC
    best: tuple[int, Assignment | None] = (0, None)
    for name in _variables(rc, argv):
        origin = rc.origin(name)
        common = len(words & {part for word in rc.words(name) for part in (word, word.partition(":")[0])})
        if origin is not None and common > best[0]:
            best = (common, origin)
    return best[1]


def _variables(rc: RcConf, argv: Sequence[str]) -> list[str]:
    """The variables that the words of an ifconfig(8) may come from."""
    interface = variable_name(argv[1] if len(argv) > 1 else "")
    if "create" in argv[2:3]:
        own = rc.matching(f"create_args_{interface}")
        return [*own, "cloned_interfaces", "gif_interfaces", *rc.matching("vlans_*")]
    return [
        f"ifconfig_{interface}",
        *rc.matching(f"ifconfig_{interface}_*"),
        *rc.matching(f"ipv[46]_addrs_{interface}"),
        "ifconfig_DEFAULT",
    ]
