"""Who reaches whom in a lab: pings from hosts and jails, many at the same time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sandbox import Result, Sandbox

_PACES = ("0.053", "0.059", "0.067", "0.073", "0.083", "0.097", "0.109")
"""Seconds between packets; several that never fall into step. Their number goes with no even count of talks."""


@dataclass(frozen=True)
class Talk:
    """A ping: from a place (HOST, or HOST:JAIL) to an address."""

    place: str
    address: str


def at(box: Sandbox, lab: str, place: str, line: str, *, timeout: float = 60) -> Result:
    """Type a line at a place, a host or HOST:JAIL."""
    if ":" in place:
        return box.vjail("exec", "-p", lab, place, "sh", "-c", line, timeout=timeout)
    return box.vjail("shell", "-p", lab, place, "-c", line, timeout=timeout)


def share(box: Sandbox, lab: str, talks: Iterable[Talk], *, count: int = 16, seconds: int = 8) -> Mapping[Talk, float]:
    """The share of echo requests that is answered in each of many talks, held side by side."""
    shares, _ = _hold(box, lab, list(talks), lambda _: f"-c {count} -t {seconds}", since=0)
    return shares


def share_at_once(box: Sandbox, lab: str, talks: Iterable[Talk], *, seconds: float) -> Mapping[Talk, float]:
    """The share that is answered while all are talking: they begin at one instant, and each talks for so many seconds.

    On a busy machine some are not ready at that instant; all are then given longer to be so, and begin anew.
    """
    wanted, lead = list(talks), 1
    while True:
        since = int(time.time()) + 1 + lead
        shares, began = _hold(box, lab, wanted, lambda pace: f"-c {round(seconds / float(pace))} -t 60", since=since)
        if max(began) == since:
            return shares
        lead *= 2
        assert lead < 60, f"to begin at {since}: {began}"


def _hold(
    box: Sandbox, lab: str, wanted: list[Talk], length: Callable[[str], str], *, since: int
) -> tuple[Mapping[Talk, float], list[int]]:
    """Hold talks, from an instant on or a little later; their shares, and the second in which each place began."""
    lines: dict[str, list[str]] = {}
    for number, each in enumerate(wanted):
        pace = _PACES[number % len(_PACES)]
        ping = f"ping -n -q {length(pace)} -i {pace} {each.address}"
        lines.setdefault(each.place, []).append(f'{{ said=$({ping} 2>&1); echo "@{number}@$said"; }} &')
    ready = f"while [ $(date +%s) -lt {since} ]; do sleep 0.02; done; date +since=%s"

    def talk(place: str) -> str:
        return at(box, lab, place, "\n".join([ready, *lines[place], "wait"])).out

    with ThreadPoolExecutor(len(lines)) as pool:
        said = "".join(pool.map(talk, lines))
    found: dict[Talk, float] = {}
    for number, text in re.findall(r"@(\d+)@([^@]*)", said):
        sent = re.search(r"(\d+) packets transmitted, (\d+) packets received", text)
        # Without a way there nothing is sent at all.
        assert sent or "is unreachable" in text, text
        found[wanted[int(number)]] = int(sent[2]) / int(sent[1]) if sent else 0.0
    assert set(found) == set(wanted), said
    return found, [int(second) for second in re.findall(r"since=(\d+)", said)]
