"""The users and groups of a tree: FreeBSD's, and after them the machine's own, so that its daemons find theirs.

FreeBSD's names keep FreeBSD's numbers where both have them. People of the machine (numbers from 1000 on) are not taken.
Nobody has a password. Sources: FreeBSD 13.2's etc/master.passwd and etc/group; passwd(5), group(5), shadow(5).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

_NOLOGIN = "/usr/sbin/nologin"
_PEOPLE = 1000
"""The first number of a person, on every Linux distribution (login.defs(5), UID_MIN)."""


@dataclass(frozen=True, slots=True)
class User:
    """One line of passwd(5), without its password."""

    name: str
    uid: int
    gid: int
    gecos: str
    home: str
    shell: str = _NOLOGIN


@dataclass(frozen=True, slots=True)
class Group:
    """One line of group(5), without its password."""

    name: str
    gid: int
    members: tuple[str, ...] = ()


USERS = (
    User("root", 0, 0, "Charlie &", "/root", "/bin/sh"),
    User("daemon", 1, 1, "Owner of many system processes", "/root"),
    User("operator", 2, 5, "System &", "/"),
    User("bin", 3, 7, "Binaries Commands and Source", "/"),
    User("tty", 4, 65533, "Tty Sandbox", "/"),
    User("kmem", 5, 65533, "KMem Sandbox", "/"),
    User("games", 7, 13, "Games pseudo-user", "/"),
    User("news", 8, 8, "News Subsystem", "/"),
    User("man", 9, 9, "Mister Man Pages", "/usr/share/man"),
    User("sshd", 22, 22, "Secure Shell Daemon", "/var/empty"),
    User("smmsp", 25, 25, "Sendmail Submission User", "/var/spool/clientmqueue"),
    User("mailnull", 26, 26, "Sendmail Default User", "/var/spool/mqueue"),
    User("bind", 53, 53, "Bind Sandbox", "/"),
    User("unbound", 59, 59, "Unbound DNS Resolver", "/var/unbound"),
    User("proxy", 62, 62, "Packet Filter pseudo-user", "/nonexistent"),
    User("_pflogd", 64, 64, "pflogd privsep user", "/var/empty"),
    User("_dhcp", 65, 65, "dhcp programs", "/var/empty"),
    User("uucp", 66, 66, "UUCP pseudo-user", "/var/spool/uucppublic"),
    User("pop", 68, 6, "Post Office Owner", "/nonexistent"),
    User("auditdistd", 78, 77, "Auditdistd unprivileged user", "/var/empty"),
    User("www", 80, 80, "World Wide Web Owner", "/nonexistent"),
    User("ntpd", 123, 123, "NTP Daemon", "/var/db/ntp"),
    User("hast", 845, 845, "HAST unprivileged user", "/var/empty"),
    User("nobody", 65534, 65534, "Unprivileged user", "/nonexistent"),
)
"""The users of FreeBSD 13; root's shell is sh, which every machine has."""

GROUPS = (
    Group("wheel", 0, ("root",)),
    Group("daemon", 1),
    Group("kmem", 2),
    Group("sys", 3),
    Group("tty", 4),
    Group("operator", 5, ("root",)),
    Group("mail", 6),
    Group("bin", 7),
    Group("news", 8),
    Group("man", 9),
    Group("games", 13),
    Group("ftp", 14),
    Group("staff", 20),
    Group("sshd", 22),
    Group("smmsp", 25),
    Group("mailnull", 26),
    Group("guest", 31),
    Group("video", 44),
    Group("realtime", 47),
    Group("idletime", 48),
    Group("bind", 53),
    Group("unbound", 59),
    Group("proxy", 62),
    Group("authpf", 63),
    Group("_pflogd", 64),
    Group("_dhcp", 65),
    Group("uucp", 66),
    Group("dialer", 68),
    Group("network", 69),
    Group("audit", 77),
    Group("www", 80),
    Group("ntpd", 123),
    Group("hast", 845),
    Group("nogroup", 65533),
    Group("nobody", 65534),
)
"""The groups of FreeBSD 13."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """All users and groups of a tree, in the order of its files."""

    users: tuple[User, ...]
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, passwd: str, group: str) -> Accounts:
        """FreeBSD's and those of a machine, given the texts of its passwd and group files; lines not understood go."""
        users = (*USERS, *_users(passwd))
        return cls(users, (*GROUPS, *_groups(group, {user.name for user in users})))

    def passwd(self) -> str:
        """passwd(5); the password is `*`, which no password matches."""
        return "".join(f"{u.name}:*:{u.uid}:{u.gid}:{u.gecos}:{u.home}:{u.shell}\n" for u in self.users)

    def master_passwd(self) -> str:
        """master.passwd, FreeBSD's own form, with class, change and expiry times."""
        return "".join(f"{u.name}:*:{u.uid}:{u.gid}::0:0:{u.gecos}:{u.home}:{u.shell}\n" for u in self.users)

    def shadow(self) -> str:
        """shadow(5), for the machine's programs that look there."""
        return "".join(f"{user.name}:*:::::::\n" for user in self.users)

    def group(self) -> str:
        """group(5)."""
        return "".join(f"{g.name}:*:{g.gid}:{','.join(g.members)}\n" for g in self.groups)


def _users(text: str) -> list[User]:
    """The system users of a passwd file, besides FreeBSD's."""
    known = {user.name for user in USERS}
    found = []
    for line in text.splitlines():
        match line.split(":"):
            case [name, _, uid, gid, gecos, home, shell] if name not in known and _is_system(uid) and gid.isdecimal():
                found.append(User(name, int(uid), int(gid), gecos, home, shell))
    return found


def _groups(text: str, users: Collection[str]) -> list[Group]:
    """The system groups of a group file, besides FreeBSD's, with those members that are among `users`."""
    known = {group.name for group in GROUPS}
    found = []
    for line in text.splitlines():
        match line.split(":"):
            case [name, _, gid, members] if name not in known and _is_system(gid):
                found.append(Group(name, int(gid), tuple(m for m in members.split(",") if m in users)))
    return found


def _is_system(number: str) -> bool:
    return number.isdecimal() and int(number) < _PEOPLE
