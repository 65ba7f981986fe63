"""What the real host has and its files do not tell: directories for logs, loaded modules, scripts of rc.d.

A model has the base system only. What a jail.conf takes for granted here is granted, so that nothing is found that
would be no fault there.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from vjail.check.subject import HostSubject
from vjail.command import service as command
from vjail.conf.jailconf import Jail
from vjail.conf.jailconf.options import without_no
from vjail.conf.jailconf.parameters import known_parameters
from vjail.kernel.core.prison_parameters import FILE_SYSTEMS
from vjail.kernel.model.files import directory
from vjail.kernel.model.host import ModelHost
from vjail.rehearsal import NotModelled
from vjail.release import Release

if TYPE_CHECKING:
    from vjail.rehearsal.session import ModelSession

_NETWORK = frozenset(
    ("bird", "frr", "hostapd", "ipfw", "mpd5", "netgraph", "openvpn", "ppp", "tailscaled", "wireguard", "zerotier")
)
"""Scripts whose start changes interfaces or routes."""


def directories(host: HostSubject, model: ModelHost) -> None:
    """Make the directories that logs of jails lie in."""
    for jail in host.jails:
        log = jail.checked.pseudo.exec_consolelog
        folder = posixpath.dirname(log or "")
        if folder.startswith("/") and model.files.node(folder) is None:
            model.files.put(folder, directory())


def carried(jail: Jail, release: Release) -> Jail:
    """The jail without parameters of modules that a model has not, and a host that names them has loaded."""
    known = known_parameters(release)

    def is_there(name: str) -> bool:
        found = known.get(without_no(name) or name)
        return found is None or found.module is None or found.module in FILE_SYSTEMS

    parameters = tuple(each for each in jail.parameters if is_there(each.name))
    return jail if len(parameters) == len(jail.parameters) else replace(jail, parameters=parameters)


async def service(session: ModelSession) -> int:
    """service(8); a script that is in no tree starts a daemon, which stays. Raises NotModelled for one of networks."""
    words = [word for word in session.argv[1:] if not word.startswith("-")]
    name = words[0] if words else ""
    folders = ("/etc/rc.d", "/usr/local/etc/rc.d")
    if (
        len(words) != len(session.argv) - 1
        or len(words) < 2
        or any(session.files.kind(f"{folder}/{name}") is not None for folder in folders)
    ):
        return await command.service(session)
    if name in _NETWORK:
        raise NotModelled(f"service {' '.join(words)}")
    if words[1].removeprefix("one").removeprefix("force").removeprefix("quiet") in ("start", "restart"):
        session.stay((f"/usr/sbin/{name}",))
    return 0
