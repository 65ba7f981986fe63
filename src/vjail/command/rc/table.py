"""The scripts of /etc/rc.d that are answered here, in the order in which a host boots.

rc.d/jail is rc_jail.py's; it is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace

from vjail.command.rc import bridge as bridge_module
from vjail.command.rc import routing as routing_module
from vjail.command.rc.bridge import bridge
from vjail.command.rc.daemon import CRON, SYSLOGD
from vjail.command.rc.devfs import DEVFS
from vjail.command.rc.dhclient import DEFAULTROUTE, DHCLIENT
from vjail.command.rc.early import KLD, MOUNTCRITLOCAL, SYSCTL
from vjail.command.rc.hostid import HOSTID, HOSTID_SAVE, HOSTNAME
from vjail.command.rc.housekeeping import CLEARTMP, MOTD, NEWSYSLOG, OS_RELEASE
from vjail.command.rc.netif import netif
from vjail.command.rc.pf import PF
from vjail.command.rc.routing import ROUTING
from vjail.command.rc.subr import Keyword, Rc, Script, Verb
from vjail.release import Release

MILESTONES = ("FILESYSTEMS", "NETWORKING", "SERVERS", "DAEMON", "LOGIN")
"""Names that scripts of packages require; each stands in `boot_order` where its turn is."""

_FILES = (
    "hostid", "mountcritlocal", "hostid_save", "FILESYSTEMS", "kld", "sysctl", "hostname", "netif", "bridge", "routing",
    "defaultroute", "pf", "NETWORKING", "devfs", "motd", "os-release", "cleartmp", "newsyslog", "syslogd", "SERVERS",
    "DAEMON", "LOGIN", "cron", "jail", "dhclient",
)  # fmt: skip


def boot_order() -> Sequence[str]:
    """The files, milestones between them, in boot order."""
    return _FILES


def names() -> Sequence[str]:
    """The files answered here."""
    return [name for name in _FILES if name not in MILESTONES]


def script(name: str, release: Release) -> Script | None:
    """The script of that file name, None where it is not answered here."""
    known = (
        HOSTID, MOUNTCRITLOCAL, HOSTID_SAVE, KLD, SYSCTL, HOSTNAME, ROUTING, DEFAULTROUTE, PF, DEVFS, MOTD, OS_RELEASE,
        CLEARTMP, NEWSYSLOG, SYSLOGD, CRON, DHCLIENT,
    )  # fmt: skip
    match name:
        case "netif":
            return netif((_bridge_start, _routing_static), (_routing_stop,))
        case "bridge":
            return bridge(release)
        case "jail":
            return _jail()
        case _:
            return next((each for each in known if each.file == name), None)


async def _bridge_start(rc: Rc, interface: str) -> None:
    await bridge_module.start(replace(rc, program="/etc/rc.d/bridge"), [interface])


async def _routing_static(rc: Rc, interface: str) -> None:
    await routing_module.static(replace(rc, program="/etc/rc.d/routing"), ["any", interface])


async def _routing_stop(rc: Rc, interface: str) -> None:
    await routing_module.stop(replace(rc, program="/etc/rc.d/routing"), ["any", interface])


JAIL_VERBS = ("start", "stop", "restart", "status", "config", "console")


def _jail() -> Script:
    """rc.d/jail: the verb and the names go to rc_jail."""

    def verb(word: str) -> Verb:
        async def run(rc: Rc, words: Sequence[str]) -> int:
            module = importlib.import_module("vjail.command.rc_jail")
            code: int = await module.rc_jail(rc.session, rc.conf, [word, *words], quiet=rc.quiet)
            return code

        return run

    return Script(
        "jail",
        "Manage system jails",
        {word: verb(word) for word in JAIL_VERBS},
        rcvar="jail_enable",
        keywords=frozenset({Keyword.SHUTDOWN}),
    )
