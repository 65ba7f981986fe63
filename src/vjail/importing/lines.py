"""What becomes of the lines of a jail's exec.* parameters: those that join it to networks a lab file says otherwise."""

from __future__ import annotations

import enum
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from vjail.importing.watch import BOOT, SHUTDOWN, Argv, Line

_NOTHING = frozenset(("", ":", "true", "/usr/bin/true"))
_LOOPBACK = re.compile(r"(?:inet )?127\.0\.0\.1(?:/8| netmask \S+)?(?: up)?|up")
_OWN_LOOPBACK = re.compile(r"(?:/sbin/)?ifconfig lo0 (?:inet )?127\.0\.0\.1(?:/8)?(?: up)?")
"""A line that every jail of a lab file has."""
_FORWARDING = re.compile(r"net\.inet6?\.ip6?\.forwarding(?:=.*)?")
_WRITES = re.compile(r">>?\s*(?!/dev/null\b|&)[\w/.$\"'{}-]+")
"""A redirection to a file."""
_CLONERS = frozenset(("epair", "bridge", "vlan"))
_IDLE = frozenset(
    (
        *("[", "test", "true", "false", "echo", "printf", "sleep", "expr", "seq", "jexec", "jls", "sh"),
        *("grep", "egrep", "sed", "awk", "cut", "head", "tail", "tr", "cat", "wc", "sort", "uniq"),
    )
)
"""Programs that change nothing by themselves; what jexec runs is looked at by itself."""


class Fate(enum.Enum):
    """What a line comes to."""

    SAID = "said"
    """The lab file says it in its own words."""
    MIXED = "mixed"
    """It does, but for some commands that are lost."""
    BOOT = "boot"
    """It runs the jail's /etc/rc, or /etc/rc.shutdown."""
    NOTHING = "nothing"
    KEPT = "kept"


def fate(line: Line, covered: Collection[str]) -> tuple[Fate, list[str]]:
    """What a line comes to, and the commands that are lost; `covered`: the interfaces a lab file makes."""
    text = line.text.strip()
    if line.stays:
        return Fate.KEPT, []
    if text in _NOTHING:
        return Fate.NOTHING, []
    if (line.parameter == "exec.start" and BOOT.fullmatch(text)) or (
        line.parameter == "exec.stop" and SHUTDOWN.fullmatch(text)
    ):
        return Fate.BOOT, []
    if any(argv[0].rpartition("/")[2] == "jng" for argv in line.commands or ()):
        return Fate.KEPT, []  # netgraph, for which a lab file has no words
    if _OWN_LOOPBACK.fullmatch(text):
        return Fate.SAID, []
    told = [_is_network(argv, covered) for argv in line.commands or ()]
    if True not in told:
        return Fate.KEPT, []
    lost = [" ".join(argv) for argv, network in zip(line.commands or (), told, strict=True) if network is False]
    lost += [found[0] for found in _WRITES.finditer(text)]
    return (Fate.MIXED, lost) if lost else (Fate.SAID, [])


def taken_apart(line: Line, covered: Collection[str], apart: Collection[str]) -> Iterator[Line]:
    """A line, and behind it, as lines of their own, those of its commands that make of the network what the lab file
    does not say: interfaces that are `apart`, link-local addresses, routes through them.

    A line that is about nothing else is left as it is.
    """
    if any(argv[0].rpartition("/")[2] in ("jexec", "jng") for argv in line.commands or ()):
        yield line  # not every command runs where the line does
        return
    mine = [argv for argv in line.commands or () if _is_of_own(argv, covered, apart)]
    others = [argv for argv in line.commands or () if argv not in mine]
    if not mine or not any(argv[0].rpartition("/")[2] not in _IDLE for argv in others):
        yield replace(line, stays=bool(mine))
        return
    yield replace(line, commands=tuple(others))
    if any(argv[1:3] == ("epair", "create") for argv in others):  # whose number ifconfig found
        for name in dict.fromkeys(word[:-1] for argv in mine for word in argv if re.fullmatch(r"epair\d+[ab]", word)):
            yield _alone(line, ("ifconfig", name, "create"))
    yield from (_alone(line, tuple(_about(argv, apart))) for argv in mine)


def _alone(line: Line, argv: Argv) -> Line:
    return replace(line, text=shlex.join(argv), commands=(argv,), stays=True)


def _is_of_own(argv: Argv, covered: Collection[str], apart: Collection[str]) -> bool:
    name = argv[0].rpartition("/")[2]
    if name == "ifconfig" and not set(apart).isdisjoint(argv):
        return True
    return name in ("ifconfig", "route", "sysctl") and _is_network(argv, covered) is False


def _about(argv: Argv, apart: Collection[str]) -> Sequence[str]:
    """What of an ifconfig is about these interfaces: all of it, or of a bridge's members these."""
    if argv[0].rpartition("/")[2] != "ifconfig" or argv[1] in apart or set(apart).isdisjoint(argv):
        return argv
    pairs = [pair for pair in pairwise(argv[2:]) if pair[1] in apart]
    return [*argv[:2], *(word for pair in pairs for word in pair)]


def boots(line: Line) -> bool:
    """Whether a line runs the jail's /etc/rc, be it behind other commands."""
    return line.parameter == "exec.start" and (
        BOOT.fullmatch(line.text.strip()) is not None
        or any(BOOT.fullmatch(" ".join(argv)) is not None for argv in line.commands or ())
    )


def is_of_network(line: Line) -> bool:
    """Whether a line does something to interfaces or routes."""
    return any(argv[0].rpartition("/")[2] in ("ifconfig", "route") for argv in line.commands or ())


def _is_network(argv: Argv, covered: Collection[str]) -> bool | None:
    """Whether a command is about interfaces, addresses and routes that a lab file says; None: about nothing."""
    name = argv[0].rpartition("/")[2]
    words = argv[1:]
    if name in _IDLE:
        return None
    if name == "ifconfig":
        return _is_told(words, covered)
    if name == "route":
        away = any(word.lstrip("-") in ("blackhole", "reject", "interface", "iface") for word in words)
        return not away and not any(word.startswith("fe80:") for word in words)
    if name == "sysctl":
        given = [word for word in words if not word.startswith("-")]
        return all(_FORWARDING.fullmatch(word) for word in given)
    return name == "jib"


def _is_told(words: Sequence[str], covered: Collection[str]) -> bool | None:
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in ("-j", "-g", "-f") else words[1:]
    if not words:
        return None
    name, rest = words[0], words[1:]
    if not rest:
        return True if is_covered(name, covered) else None
    if name == "lo0":
        return _LOOPBACK.fullmatch(" ".join(rest)) is not None
    if name in _CLONERS:
        return True
    if rest[0] == "inet6" and rest[1:] and rest[1].startswith("fe80:"):
        return False
    return is_covered(name, covered)


def is_covered(name: str, covered: Collection[str]) -> bool:
    """Whether an interface is made by the lab file; an epair by the name of its two ends."""
    return name in covered or any(f"{name}{end}" in covered for end in "ab")
