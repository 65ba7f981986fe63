"""Who reaches whom in a lab: pings from hosts and jails, many at the same time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sandbox import Result, Sandbox

_PACES = ("0.05", "0.07", "0.11", "0.13")
"""Seconds between packets; several that never fall into step."""


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
    """The share of echo requests that is answered in each of many talks, all held at the same time."""
    lines: dict[str, list[str]] = {}
    for number, each in enumerate(wanted := list(talks)):
        pace = _PACES[number % len(_PACES)]
        ping = f"ping -n -q -c {count} -i {pace} -t {seconds} {each.address}"
        lines.setdefault(each.place, []).append(f'{{ said=$({ping} 2>&1); echo "@{number}@$said"; }} &')

    def talk(place: str) -> str:
        return at(box, lab, place, "\n".join([*lines[place], "wait"])).out

    with ThreadPoolExecutor(len(lines)) as pool:
        said = "".join(pool.map(talk, lines))
    found: dict[Talk, float] = {}
    for number, text in re.findall(r"@(\d+)@([^@]*)", said):
        sent = re.search(r"(\d+) packets transmitted, (\d+) packets received", text)
        # Without a way there nothing is sent at all.
        assert sent or "is unreachable" in text, text
        found[wanted[int(number)]] = int(sent[2]) / int(sent[1]) if sent else 0.0
    assert set(found) == set(wanted), said
    return found
