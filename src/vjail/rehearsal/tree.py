"""The files a FreeBSD host, or a base for jails, has: directories, /etc, and programs by name.

What a program does is not in its file: vjail's own commands are told by their content, others by their name.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from vjail.command.registry import PATHS
from vjail.kernel.model.files import Node, Tree, directory
from vjail.lab.userland import etc, names
from vjail.lab.userland.accounts import Accounts
from vjail.lab.userland.skeleton import EVERYTHING, OTHERS, Part, directories
from vjail.session import FileKind

COMMAND = b"vjail\n"
"""What is in the file of one of vjail's own commands."""
PROGRAM = b"\x7fELF\n"
"""What is in the file of any other program of the base system."""
DAEMONS = frozenset(("/usr/sbin/syslogd", "/usr/sbin/cron"))
"""Programs that stay, once started."""
_ALSO = {
    "/sbin": ("init", "pfctl", "ipfw", "dhclient", "dmesg", "md5", "nologin", "sysctl", "zfs", "zpool"),
    "/usr/bin": ("login", "su", "jot", "killall", "printf", "true", "false", "mktemp", "ssh", "fetch", "cpuset"),
    "/usr/sbin": ("cron", "daemon", "jexec", "mtree", "ngctl", "pkg", "pw", "syslogd", "tcpdump", "sshd"),
}
"""Names of FreeBSD's base that a lab's userland on Linux has not, but which configurations may name."""


@lru_cache(maxsize=64)
def base(parts: frozenset[Part] = EVERYTHING) -> Tree:
    """A base, or parts of one."""
    nodes: dict[str, Node] = {}
    for part in Part:
        if part in parts:
            nodes |= {path: directory(mode) for path, mode in directories(part).items()}
    if parts == EVERYTHING:
        nodes |= {path: directory(mode) for path, mode in OTHERS.items()}
    for path, node in _programs():
        if Part(path.split("/")[1]) in parts:
            nodes[path] = node
    if Part.ETC in parts:
        for name, (content, mode) in etc.pristine(Accounts.of("", "")).items():
            nodes[f"/etc/{name}"] = Node(FileKind.FILE, content, mode)
    return Tree.of(nodes)


def _programs() -> Iterable[tuple[str, Node]]:
    places = (("/bin", names.BIN), ("/sbin", names.SBIN), ("/usr/bin", names.USR_BIN), ("/usr/sbin", names.USR_SBIN))
    for folder, inside in (*places, *_ALSO.items()):
        for name in inside:
            yield f"{folder}/{name}", Node(FileKind.FILE, PROGRAM, 0o555)
    for path in PATHS:
        yield path, Node(FileKind.FILE, COMMAND, 0o555)
