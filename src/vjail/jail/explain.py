"""A failure of jail(8) in one line, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vjail.jail.events import Event


def explained(event: Event, said: str) -> str:
    """A failure in one line: what the command that failed said last, where jail(8) only says that it failed."""
    lines = _JAILS.sub("", said).splitlines()
    name = f"{event.jail}: " if event.jail else ""
    mark = f"jail: {name}{event.text}"
    own = next((lines[at - 1] for at, line in enumerate(lines) if at and line == mark), "")
    own = own.removeprefix(f" {event.jail}")  # rc.d/jail names those that it stops in a line that goes on
    if _DONE.fullmatch(own):
        own = ""  # the command before went well; the one that failed said nothing
    if own.startswith(f"jail: {name}") and _STAGES.match(own, len(f"jail: {name}")):
        own = own.removeprefix(f"jail: {name}").removeprefix("exec ")
    text = event.text
    if own and not own.startswith(("jail: ", f"{event.jail}: ", " cannot start jail")):
        text = f"{own} ({event.text})"
    phase = f"{event.phase.step.value}: " if event.phase is not None else ""
    return f"{name}{phase}{text}"


def plain(said: str) -> str:
    """What was said, in one line."""
    return " ".join(_JAILS.sub("", said).split()).removesuffix(" .")


_DONE = re.compile(r"(add|delete|change) (net|host) \S+: gateway \S+( fib \d+)?|[a-z0-9_.]+: \S+ -> \S+")
"""What route(8) and sysctl(8) say where all went well."""
_STAGES = re.compile(r"exec |chdir |setfib: |jail_attach: |getpwnam|unknown uid|\S+: no such user")
"""What jail(8) says of a command that it could not start."""
_JAILS = re.compile(r"^(Starting|Stopping) jails:")


def mend(text: str, interfaces: Sequence[str]) -> str:
    """What to do about a failure, empty where nothing sensible can be said. `interfaces`: those the host has."""
    found = re.search(r"interface (\S+) does not exist", text)
    if found:
        name = found[1]
        half = re.fullmatch(r"(epair[0-9]+)[ab]", name)
        if half:
            return f'nothing in the lab makes it; cloned_interfaces="{half[1]}" in rc.conf does'
        if re.fullmatch(r"(bridge|vlan|lo|tap)[0-9]+", name):
            return f'nothing in the lab makes it; cloned_interfaces="{name}" in rc.conf does'
        return f"the host has {', '.join(interfaces)}" if interfaces else ""
    for pattern, advice in _MENDS:
        found = re.search(pattern, text)
        if found:
            return found.expand(advice)
    return ""


_MENDS = (
    (r"jail \"?([^\" ]+)\"? already exists", r"`vjail stop \1` first"),
    (r"mount\.fdescfs: \S+/dev/fd: No such file", "mount.devfs; which has it"),
    (r"setfib: Invalid argument", "net.fibs in the host's /boot/loader.conf; a lab has one table"),
    (r"(?:path |mount[^:]*: )(/\S+): No such file or directory", r"make \1 on the host, or put it in `files/`"),
    (r"(/\S+): not a directory|(/\S+): Not a directory", r"it must be a directory"),
    (r"path (\S+): not an absolute pathname", r"begin it with /"),
    (r"mount\.fstab: (/\S+): ", r"it is a file of the host's: put it in `files/`"),
    (r"ifconfig bridge\d+ delete \S+: failed", "`delete` is of addresses; `deletem` takes a member out of a bridge"),
    (r"timed out", r"raise exec.timeout, or let the command end"),
    (r"exec\.(?:prepare|prestart|created|poststart): (?:.*\s)?(\S+): No such file", r"the host has no command \1"),
    (r"(\S+): No such file or directory", r"is \1 in the jail's base?"),
)
