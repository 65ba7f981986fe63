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
from vjail.conf.rcconf import Assignment, RcConf, variable_name
from vjail.jail.explain import mend
from vjail.rehearsal import Rehearsal
from vjail.rehearsal.session import ModelSession
from vjail.rehearsal.up import boot

FAILS = Rule("VJ708", Severity.ERROR, "words of rc.conf that fail at the boot")
_LISTENED = ("/sbin/ifconfig", "/sbin/route")
_OF_RC = frozenset(("inet", "inet6", "alias", "up", "create"))
"""Words that rc adds of its own."""
_TOLD_ADDRESSES = ("DHCP", "SYNCDHCP", "accept_rtadv")
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
    told = not any(word in value.split() for value in host.rc.values.values() for word in _TOLD_ADDRESSES)
    for refusal in refusals:
        origin = _origin(host.rc, refusal.argv)
        if origin is None or (refusal.argv[0] == "route" and not told):
            continue
        yield Finding(
            FAILS,
            origin.value_span,
            f"`{' '.join(refusal.argv)}` fails at the boot: {refusal.said.removeprefix(f'{refusal.argv[0]}: ')}",
            "rc goes on with the next: what the command had still to do is not done, and only the console tells",
            _mend(refusal.said),
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


def _mend(said: str) -> str:
    family = re.search(r"(inet6?): bad value", said)
    if family:
        return (
            f"ifconfig knows the family directly behind the interface only: {family[1]} first, the other words after it"
        )
    return mend(said, ()) or "see the message"


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
