"""Users and the environment they get: passwd(5), group(5), and what login.conf(5) gives everyone.

Reads files through a `Files`, so inside or outside a jail. Sources: jail(8)'s and jexec(8)'s use of getpwnam(3),
initgroups(3) and setusercontext(3) (usr.sbin/jail/command.c, usr.sbin/jexec/jexec.c); usr.bin/login/login.conf;
recorded in observed/b1_two_jails.txt (`jexec -l jail_01 env`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from vjail.kernel.errno import Errno, KernelError
from vjail.session import Files, User

_PASSWD = "/etc/passwd"
_GROUP = "/etc/group"
_PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:~/bin"
"""login.conf's path for everybody."""

SHELL = "/bin/sh"
"""The shell of who has none in passwd(5)."""


def by_name(files: Files, name: str) -> User | None:
    """The user of that name; None where there is none. Raises KernelError where passwd(5) cannot be read."""
    return _find(files, 0, name)


def by_uid(files: Files, uid: int) -> User | None:
    """The first user with that number; None where there is none. Raises KernelError as by_name does."""
    return _find(files, 2, str(uid))


def _find(files: Files, column: int, value: str) -> User | None:
    passwd = files.read(_PASSWD)
    try:
        group = files.read(_GROUP)
    except KernelError as error:
        # It is read only where there is somebody to look for in it.
        if error.errno is not Errno.ENOENT and _user(passwd, b"", column, value) is not None:
            raise
        group = b""
    return _user(passwd, group, column, value)


@functools.lru_cache(maxsize=64)
def _user(passwd: bytes, group: bytes, column: int, value: str) -> User | None:
    """The first user with that value in a column; every command of every jail asks, and the files hardly change."""
    for line in passwd.decode("utf-8", "surrogateescape").splitlines():
        fields = line.split(":")
        if len(fields) < 7 or fields[column] != value or not (fields[2].isdecimal() and fields[3].isdecimal()):
            continue
        name, _, uid, gid, *_, home, shell = fields
        return User(name, int(uid), int(gid), _groups(group, name, int(gid)), home, shell)
    return None


def _groups(group: bytes, name: str, gid: int) -> tuple[int, ...]:
    """The groups initgroups(3) sets: the user's own first."""
    groups = dict.fromkeys((gid,))
    for line in group.decode("utf-8", "surrogateescape").splitlines():
        fields = line.split(":")
        if len(fields) >= 4 and fields[2].isdecimal() and name in fields[3].split(","):
            groups[int(fields[2])] = None
    return tuple(groups)


def cleared(environ: Mapping[str, str]) -> dict[str, str]:
    """What is left of an environment when it is cleaned (exec.clean, jexec -l): TERM and a short PATH."""
    kept = {"PATH": "/bin:/usr/bin"}
    return kept | {"TERM": environ["TERM"]} if "TERM" in environ else kept


def login(environ: Mapping[str, str], user: User) -> dict[str, str]:
    """An environment with login.conf's variables and USER, HOME and SHELL set for a user.

    What was set last stands first, as FreeBSD's environ(7) has it and env(1) shows it.
    """
    ours = {
        "SHELL": user.shell or SHELL,
        "HOME": user.home,
        "USER": user.name,
        "BLOCKSIZE": "K",
        "MAIL": f"/var/mail/{user.name}",
        "MM_CHARSET": "UTF-8",
        "LANG": "C.UTF-8",
        "PATH": _PATH.replace("~", user.home),
    }
    return ours | {name: value for name, value in environ.items() if name not in ours}
