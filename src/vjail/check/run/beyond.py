"""What the real host has and its files do not tell: directories for logs, loaded modules, scripts of rc.d.

A model has the base system only. What a jail.conf takes for granted here is granted, so that nothing is found that
would be no fault there.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from vjail.check.subject import HostSubject, JailSubject, without_files
from vjail.command import mount as mount_command
from vjail.command import service as service_command
from vjail.command import sysctl as sysctl_command
from vjail.command.getopt import Getopt, Option
from vjail.conf.jailconf import Jail, Kind, Message
from vjail.conf.jailconf.options import without_no
from vjail.conf.jailconf.parameters import known_parameters
from vjail.jail.phases import Where
from vjail.kernel.core.devnodes import SHARED_MEMORY
from vjail.kernel.core.prison_parameters import FILE_SYSTEMS
from vjail.kernel.errno import KernelError
from vjail.kernel.model.files import directory
from vjail.kernel.model.host import ModelHost
from vjail.rehearsal import NotModelled, Rehearsal
from vjail.rehearsal.programs import Program

if TYPE_CHECKING:
    from vjail.rehearsal.session import ModelSession

_NETWORK = frozenset(
    ("bird", "frr", "hostapd", "ipfw", "mpd5", "netgraph", "openvpn", "ppp", "tailscaled", "wireguard", "zerotier")
)
"""Scripts whose start changes interfaces or routes."""
_STORED = frozenset(("cd9660", "ext2fs", "fusefs", "msdosfs", "nfs", "nfs4", "p9fs", "smbfs", "udf", "ufs", "zfs"))
_VERBS = ("start", "stop", "restart", "reload", "status", "enabled", "poll", "rcvar")
"""What every script of rc.d knows; another verb is the script's own."""


def tunables(host: HostSubject, model: ModelHost) -> None:
    """Have as many routing tables as jails ask for: the host's loader.conf is not here."""
    fibs = [jail.checked.pseudo.exec_fib or 0 for jail in host.jails]
    if max(fibs, default=0) > 0:
        model.sysctls.tune("net.fibs", str(max(fibs) + 1))


def directories(host: HostSubject, model: ModelHost) -> None:
    """Make the directories that logs of jails lie in, and what they mount something on outside of their roots."""
    for jail in host.jails:
        wanted = [posixpath.dirname(jail.checked.pseudo.exec_consolelog or "")]
        root = posixpath.normpath(jail.jail.text("path") or "/")
        wanted += (place for place in _mount_points(jail) if not f"{place}/".startswith(f"{root}/"))
        for path in wanted:
            if path.startswith("/") and model.files.node(path) is None:
                model.files.put(path, directory())


def devices(host: HostSubject, model: ModelHost) -> None:
    """A host with jails of Linux programs has loaded linux(4)."""
    if any(target.endswith("/dev/shm") for jail in host.jails for target in _mount_points(jail)):
        model.devfs.come(SHARED_MEMORY)


def _mount_points(jail: JailSubject) -> list[str]:
    lines = (*jail.checked.fstab, *jail.checked.pseudo.mount, *typed_mounts(jail))
    return [posixpath.normpath(fields[1]) for line in lines if len(fields := line.split()) > 1]


def typed_mounts(jail: JailSubject) -> list[str]:
    """What lines that run on the host mount, as fstab(5) lines: but for what other lines make the places of."""
    made = {posixpath.normpath(word) for call in jail.calls("mkdir") for word in call.words if word}
    found: list[str] = []
    for line in jail.lines:
        for call in line.calls if line.where is Where.HOST else ():
            words = [word for word in call.words if word is not None]
            if len(words) < len(call.words) or not (call.name == "mount" or call.name.startswith("mount_")):
                continue
            options = Getopt(words, "adF:fLlno:prt:uvw")
            types = [each.argument for each in options if isinstance(each, Option) and each.letter == "t"]
            fstype = call.name.removeprefix("mount").removeprefix("_") or (types[-1] if types else None)
            if fstype is None or len(options.operands) != 2:
                continue
            places = [posixpath.normpath(word) for word in options.operands]
            if not any(f"{place}/".startswith(f"{path}/") for place in places for path in made):
                found.append(f"{' '.join(options.operands)} {fstype} rw 0 0")
    return found


def carried(jail: Jail, host: HostSubject) -> Jail:
    """The jail without parameters of modules that a model has not, and a host that names them has loaded.

    Nor has it files of mount.fstab that are not here.
    """
    known = known_parameters(host.release)

    def is_there(name: str) -> bool:
        found = known.get(without_no(name) or name)
        return found is None or found.module is None or found.module in FILE_SYSTEMS

    parameters = tuple(each for each in jail.parameters if is_there(each.name))
    if len(parameters) < len(jail.parameters):
        jail = replace(jail, parameters=parameters)
    absent = unread(jail, host)
    return without_files(jail, absent) if absent else jail


def unread(jail: Jail, host: HostSubject) -> list[Message]:
    """What jail(8) would say of the files of mount.fstab that are not here."""
    checked = next((each.checked for each in host.jails if each.jail.block == jail.block), None)
    return [each for each in (checked.messages if checked else ()) if each.kind is Kind.FSTAB_UNREADABLE]


def mount(session: ModelSession) -> int:
    """mount(8); a file system whose files are on a disk or another machine is taken to be mounted."""
    options = Getopt(session.argv[1:], "adF:fLlno:prt:uvw")
    for each in options:
        if isinstance(each, Option) and each.letter == "t" and each.argument in _STORED:
            return session.place.lab.doubt(NotModelled(f"mount -t {each.argument}"), session.place.jid)
    return mount_command.mount(session)


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
        return await service_command.service(session)
    if name in _NETWORK:
        raise NotModelled(f"service {' '.join(words)}")
    verb = words[1].removeprefix("one").removeprefix("force").removeprefix("quiet")
    if verb not in _VERBS:
        raise NotModelled(f"service {' '.join(words)}")
    if verb in ("start", "restart"):
        session.stay((f"/usr/sbin/{name}",))
    return 0


def sysctl(session: ModelSession) -> int:
    """sysctl(8); setting one of the thousands that a model has not changes nothing of the model."""
    name, *words = session.argv
    unknown = [word for word in words if "=" in word and not _is_known(session, word.partition("=")[0])]
    rest = [word for word in words if word not in unknown]
    if unknown and all(word.startswith("-") for word in rest):
        return 0
    session.argv = (name, *rest)
    return sysctl_command.sysctl(session)


def _is_known(session: ModelSession, oid: str) -> bool:
    try:
        session.system.oid(oid)
    except KernelError:
        return False
    return True


def equip(lab: Rehearsal) -> None:
    """Let the hosts of a lab have commands and modules that a FreeBSD machine has."""
    lab.programs.update(_COMMANDS)
    for host in lab.hosts.values():
        host.modules.any_loads = True


_COMMANDS: Mapping[str, Program] = {"/usr/sbin/service": service, "/sbin/sysctl": sysctl, "/sbin/mount": mount}
"""What a real host answers otherwise than a model."""
