"""Scripts that run before the network: sysctl.conf, kernel modules, fstab's file systems.

Sources: libexec/rc/rc.d/{sysctl,kld,mountcritlocal} of 13.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from vjail.command.rc.subr import Keyword, Rc, Script, nothing
from vjail.session import Output

_SYSCTL_FILES = ("/etc/sysctl.conf", "/etc/sysctl.conf.local")


async def set_sysctls(rc: Rc, words: Sequence[str]) -> int:
    """Set what sysctl.conf(5) says; a line that is wrong is reported and the others go on."""
    for path in _SYSCTL_FILES:
        if rc.is_readable(path):
            await rc.call("/sbin/sysctl", "-i", "-f", path, output=Output.NULL)
    return 0


async def load_modules(rc: Rc, words: Sequence[str]) -> int:
    """Load the modules of kld_list."""
    modules = rc.conf.words("kld_list")
    if modules:
        rc.message("Loading kernel modules:\n")
    for module in modules:
        if await rc.call("/sbin/kldload", "-n", module) != 0:
            rc.warn(f"Unable to load kernel module {module}")
    return 0


async def mount_local(rc: Rc, words: Sequence[str]) -> int:
    """Mount what fstab(5) says, but for what is marked late."""
    if not rc.is_readable("/etc/fstab"):
        return 0
    rc.message("Mounting local filesystems:")
    code = await rc.call("/sbin/mount", "-a")
    rc.message(".\n")
    return code


SYSCTL = Script("sysctl", "Set sysctl variables from sysctl.conf", {"start": set_sysctls, "stop": nothing})
KLD = Script(
    "kld", "Load kernel modules", {"start": load_modules, "stop": nothing}, keywords=frozenset({Keyword.NOJAIL})
)
MOUNTCRITLOCAL = Script(
    "mountcritlocal",
    "Mount critical local filesystems",
    {"start": mount_local, "stop": nothing},
    keywords=frozenset({Keyword.NOJAIL}),
)
