"""A request to the server of a lab: what is wanted, by whom, of which host and jail."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from vjail.command.rc.subr import ENVIRONMENT
from vjail.jail import environment
from vjail.kernel.core.prison_record import Prison
from vjail.progress import Progress
from vjail.server.connection import Opening
from vjail.server.host import LabHost
from vjail.server.lab import RunningLab
from vjail.server.session import Caller, Streams
from vjail.session import User


class Unfit(Exception):
    """The request cannot be carried out; the text says why, and what to do."""


class Request:
    """A request: its words, the streams of who asked, and the lab it is about."""

    def __init__(self, lab: RunningLab, opening: Opening, streams: Streams, details: Mapping[str, Any]) -> None:
        self.lab = lab
        self.streams = streams
        self.details = details
        self.cwd = opening.cwd
        self._opening = opening
        self._pid = lab.stranger()

    @cached_property
    def progress(self) -> Progress:
        """Where to show what goes on."""
        return Progress(
            lambda text: self.streams.write(2, text),
            terminal=bool(self._opening.terminals & 4),
            verbose=bool(self.details.get("verbose")),
        )

    def caller(self, *words: str, jid: int = 0) -> Caller:
        """Who runs a command on behalf of this request: the superuser, from outside."""
        return Caller(
            jid=jid,
            at=0,
            outside=True,
            uid=0,
            gid=0,
            pid=self._pid,
            argv=words,
            environ=ENVIRONMENT,
            cwd="/",
            terminals=self._opening.terminals,
        )

    def environ(self, user: User) -> dict[str, str]:
        """The environment of a user who has just logged in, with the terminal's kind."""
        return environment.login(environment.cleared(self._opening.environ), user)

    # --- which host, which jail --------------------------------------------------------------------------------------

    def host(self, name: str | None) -> LabHost:
        """The host of that name; without one, the only host. Raises Unfit."""
        hosts = self.lab.hosts
        there = ", ".join(hosts)
        if name is None:
            if len(hosts) == 1:
                return next(iter(hosts.values()))
            raise Unfit(f"which host? there are: {there}" if hosts else "the lab has no host yet; `vjail up`")
        if name not in hosts:
            raise Unfit(f"no host is called {name}; there are: {there}")
        return hosts[name]

    def jail(self, name: str) -> tuple[LabHost, Prison]:
        """The running jail called JAIL, HOST:JAIL, or by its number. Raises Unfit."""
        hosts = list(self.lab.hosts.values())
        before, colon, after = name.partition(":")
        if colon and before in self.lab.hosts:
            hosts, name = [self.lab.hosts[before]], after
        found = [(host, prison) for host in hosts for prison in host.prisons.prisons() if _is_called(prison, name)]
        if len(found) > 1:
            several = ", ".join(f"{host.name}:{name}" for host, _ in found)
            raise Unfit(f"several hosts have a jail {name}; say which: {several}")
        if not found:
            running = ", ".join(prison.name for host in hosts for prison in host.prisons.prisons()) or "none"
            raise Unfit(f"no jail {name} is running; running: {running}")
        return found[0]


def _is_called(prison: Prison, name: str) -> bool:
    return prison.name == name or str(prison.jid) == name
