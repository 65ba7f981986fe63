"""/etc/rc.d/bridge: interfaces that join bridges by pattern (autobridge_BRIDGE).

Sources: libexec/rc/rc.d/bridge of 13.2, spec host-files §1.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from vjail.command.rc import interfaces as names
from vjail.command.rc.subr import Keyword, Rc, Script
from vjail.conf.rcconf import variable_name
from vjail.release import Release
from vjail.session import Output


async def start(rc: Rc, words: Sequence[str]) -> int:
    """Add all, or with an interface named that one."""
    await _join(rc, "addm", words)
    return 0


async def stop(rc: Rc, words: Sequence[str]) -> int:
    """Take them out again."""
    await _join(rc, "deletem", words)
    return 0


async def _join(rc: Rc, word: str, interfaces: Sequence[str]) -> None:
    bridges = rc.conf.words("autobridge_interfaces")
    if not bridges:
        return
    chosen = interfaces[:1] or names.listed(rc)
    for bridge in bridges:
        patterns = rc.conf.words(f"autobridge_{variable_name(bridge)}")
        for interface in chosen:
            if any(fnmatchcase(interface, pattern) for pattern in patterns):
                await rc.call("/sbin/ifconfig", bridge, word, interface, output=Output.NULL)


def bridge(release: Release) -> Script:
    """The script; from 15 on it also runs in jails that own their network stack."""
    keyword = Keyword.NOJAILVNET if release >= Release.V15 else Keyword.NOJAIL
    return Script("bridge", "Network bridge setup", {"start": start, "stop": stop}, keywords=frozenset({keyword}))
