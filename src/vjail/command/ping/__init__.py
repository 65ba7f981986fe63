"""ping(8) and ping6(8), with FreeBSD 13.2's output: `ping(session)` and `ping6(session)`.

A session's words come in (options*.py); out go echo requests through `Session.echo`, lines, and an exit code. inet.py
and inet6.py are the two families; exchange.py is the course both take, in one coroutine a ping; packets.py, data.py,
sequence.py, statistics.py and report_*.py are pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from vjail.command.names import Family, Resolved, resolve
from vjail.command.ping.inet import inet
from vjail.command.ping.inet6 import inet6, known_zone
from vjail.command.ping.options import choose
from vjail.kernel.errno import KernelError
from vjail.session import EchoOptions, Quit, Session

__all__ = ["ping", "ping6"]


async def ping(session: Session) -> int:
    """ping(8), of either family. Raises Quit."""
    choice = choose(session)
    family = choice.family or _family_of(session, choice.target)
    return await inet(session) if family is Family.INET else await inet6(session)


async def ping6(session: Session) -> int:
    """ping6(8): the same program, called by the name that asks for IPv6. Raises Quit."""
    return await ping(session)


def _family_of(session: Session, target: str) -> Family:
    """The family of the address getaddrinfo(3) would name first. Raises Quit where there is none."""
    found = [each for each in resolve(session.files, target) if known_zone(session, each)]
    if not found:
        raise Quit("Unknown host")
    return _first(session, found).family


def _first(session: Session, found: Sequence[Resolved]) -> Resolved:
    """The first address that there is a way to, else the first: rule 1 of RFC 6724, the one that matters here."""
    if len({each.family for each in found}) == 1:
        return found[0]
    return next((each for each in found if _is_reachable(session, each)), found[0])


def _is_reachable(session: Session, host: Resolved) -> bool:
    try:
        echo = session.echo(host.family.value, EchoOptions())
    except KernelError:
        return False
    try:
        echo.source_for(host.address, zone=host.zone)
    except KernelError:
        return False
    finally:
        echo.close()
    return True
