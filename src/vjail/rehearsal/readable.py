"""Whether jail(8) reads the files of a lab's hosts at all: without, a host in memory has no jails."""

from __future__ import annotations

from vjail.lab.configured import configured
from vjail.lab.model import Lab, LabError, Problem
from vjail.rehearsal.lab import Rehearsal


def check_readable(lab: Lab, rehearsal: Rehearsal) -> None:
    """Raise LabError where a jail.conf of a host cannot be read, with its places."""
    problems = []
    for name, host in rehearsal.hosts.items():
        for file in configured(host.files_of(), host.release).files:
            origins = {f"/etc/{each}": str(found.origin) for each, found in lab.hosts[name].files.items()}
            for message in file.messages if file.exit_status else ():
                cause = message.cause
                hint = message.hint.text if message.hint is not None else ""
                if cause is None:
                    problems.append(Problem(name, message.text, hint=hint))
                else:
                    place = origins.get(cause.source.name, cause.source.name)
                    problems.append(Problem(place, message.text, cause.position.line, cause.position.column, hint))
    if problems:
        raise LabError(*dict.fromkeys(problems))
