"""Which function answers at which path of FreeBSD's base system.

A lab host and every base made from it have vjail's native client at these paths; whoever runs one of them is answered
by the function named here. Functions are named, not imported: a command is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType

from vjail.session import Command

_RC_SCRIPTS = (
    "bridge", "cleartmp", "cron", "defaultroute", "devfs", "dhclient", "hostid", "hostid_save", "hostname", "jail",
    "kld", "motd", "mountcritlocal", "netif", "newsyslog", "os-release", "pf", "routing", "sysctl", "syslogd",
)  # fmt: skip

PATHS = MappingProxyType(
    {
        "/bin/hostname": "hostname:hostname",
        "/bin/kenv": "kenv:kenv",
        "/bin/ps": "ps:ps",
        "/sbin/devfs": "devfs:devfs",
        "/sbin/halt": "reboot:reboot",
        "/sbin/ifconfig": "ifconfig:ifconfig",
        "/sbin/kldload": "kld:kldload",
        "/sbin/kldstat": "kld:kldstat",
        "/sbin/kldunload": "kld:kldunload",
        "/sbin/mount": "mount:mount",
        "/sbin/mount_devfs": "mount:mount",
        "/sbin/mount_fdescfs": "mount:mount",
        "/sbin/mount_nullfs": "mount:mount",
        "/sbin/mount_procfs": "mount:mount",
        "/sbin/mount_tmpfs": "mount:mount",
        "/sbin/pfctl": "pf:pfctl",
        "/sbin/ping": "ping:ping",
        "/sbin/ping6": "ping:ping6",
        "/sbin/reboot": "reboot:reboot",
        "/sbin/route": "route:route",
        "/sbin/sysctl": "sysctl:sysctl",
        "/sbin/umount": "umount:umount",
        "/usr/bin/netstat": "netstat:netstat",
        "/usr/bin/uname": "uname:uname",
        "/usr/sbin/arp": "arp:arp",
        "/usr/sbin/jail": "jail:jail",
        "/usr/sbin/jexec": "jexec:jexec",
        "/usr/sbin/jls": "jls:jls",
        "/usr/sbin/ndp": "ndp:ndp",
        "/usr/sbin/service": "service:service",
        "/usr/sbin/sysrc": "sysrc:sysrc",
        "/usr/sbin/traceroute": "traceroute:traceroute",
        "/usr/sbin/traceroute6": "traceroute:traceroute6",
        "/libexec/rc": "rc:rc",
        "/libexec/rc.shutdown": "rc:rc_shutdown",
        **{f"/etc/rc.d/{script}": "rc:script" for script in _RC_SCRIPTS},
    }
)
"""The path of each command, and the module below vjail.command and the function that answer there."""


def by_name(name: str) -> str | None:
    """The path of the command called `name`, as PATH=/sbin:/bin:/usr/sbin:/usr/bin finds it; None: there is none."""
    for directory in ("/sbin", "/bin", "/usr/sbin", "/usr/bin", "/libexec"):
        path = f"{directory}/{name}"
        if path in PATHS:
            return path
    return None


def answering(word: str) -> str | None:
    """The path that answers when a command is called by `word`, a path or a name; None: vjail has no such command."""
    if word in PATHS:
        return word
    directory, _, name = word.rpartition("/")
    if directory.endswith("rc.d"):
        script = f"/etc/rc.d/{name}"
        return script if script in PATHS else None
    return by_name(name)


def load(path: str) -> Command:
    """The function that answers at `path`. Raises KeyError where none does."""
    module, function = PATHS[path].split(":")
    command: Command = getattr(importlib.import_module(f"vjail.command.{module}"), function)
    return command
