"""The parameters there are: jail(8)'s own (pseudo-parameters) and the kernel's, with type, default and release.

Sources: jail(8), the table of parameters in usr.sbin/jail/config.c, and sys/kern/kern_jail.c, of 13.2 and of a
stable/15 tree. A parameter with `since` 15 is absent in 13; whether 14 has it was not determined, and it counts as
absent there.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from vjail.conf.jailconf import options
from vjail.conf.jailconf.spelling import nearest
from vjail.release import Release


class Role(enum.Enum):
    """Who looks at a parameter."""

    PSEUDO = "jail(8)"
    """jail(8) alone; the kernel is never told."""
    KERNEL = "kernel"
    BOTH = "jail(8) and kernel"
    """The kernel, and jail(8) too, which therefore lets no variable have its name."""


class Type(enum.Enum):
    """What the values of a parameter are."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    UNSIGNED = "unsigned integer"
    STRING = "string"
    LIST = "list"
    """Any number of strings."""
    JAILSYS = "jailsys"
    """`disable`, `new` or `inherit`."""
    IPV4 = "IPv4 addresses"
    IPV6 = "IPv6 addresses"


class Access(enum.Enum):
    """When a kernel parameter can be set."""

    CREATE = "at creation"
    READ = "never"
    WRITE = "at any time"


@dataclass(frozen=True, slots=True)
class Known:
    """One parameter. `access` is meaningless for a pseudo-parameter; `default` is a text for people."""

    name: str
    type: Type
    role: Role
    access: Access = Access.WRITE
    default: str = ""
    since: Release = Release.V12
    module: str | None = None
    """The kernel module that brings it; without the module it does not exist."""


def known_parameters(release: Release) -> Mapping[str, Known]:
    """The parameters of a release by name; pseudo-parameters first."""
    return _tables(release).known


def special_names(release: Release) -> tuple[str, ...]:
    """The names jail(8) itself looks at: no variable may be called so."""
    return _tables(release).special


@lru_cache(4096)
def lookup(name: str, release: Release) -> Known | None:
    """The parameter of that name, or the boolean that it negates (`allow.nomount`); None where there is none.

    As the kernel is asked: pseudo-parameters match with `no` before any component, kernel parameters only with `no`
    before the last one of a boolean.
    """
    tables = _tables(release)
    pseudo = options.match(name, tables.pseudo)
    if pseudo is not None:
        return tables.known[pseudo]
    if name in tables.known:
        return tables.known[name]
    kept = kept_text(name)
    if kept is not None and kept[0] in tables.known:
        return replace(tables.known[kept[0]], name=name)
    positive = options.without_no(name)
    found = tables.known.get(positive) if positive is not None else None
    return found if found is not None and found.type is Type.BOOLEAN else None


def kept_text(name: str) -> tuple[str, str | None] | None:
    """`meta` or `env` and the key, None for the whole text, where `name` is a parameter of such lines."""
    head, dot, key = name.partition(".")
    return (head, key if dot else None) if head in _TEXTS and (key or not dot) else None


@lru_cache(1024)
def suggest(name: str, release: Release) -> str | None:
    """The parameter probably meant by an unknown name: the nearest in spelling, or the one it is the end of."""
    known = known_parameters(release)
    for candidate in known:
        if candidate.endswith(f".{name}"):
            return candidate
    folded = name.lower().replace("_", ".")
    for candidate in known:
        if candidate.replace("_", ".") == folded:
            return candidate
    negated = [options.negate(entry.name) for entry in known.values() if entry.type is Type.BOOLEAN]
    return nearest(name, (*known, *negated))


def first_release(name: str) -> Release | None:
    """The first release known to have the parameter; None where no release has it."""
    kept = kept_text(name)
    name = name if kept is None else kept[0]
    return next((known.since for known in _TABLE if name in (known.name, options.without_no(known.name))), None)


def _pseudo(kind: Type, names: str, default: str = "", since: Release = Release.V12) -> list[Known]:
    return [Known(name, kind, Role.PSEUDO, default=default, since=since) for name in names.split()]


def _kernel(
    kind: Type,
    names: str,
    default: str = "",
    access: Access = Access.WRITE,
    *,
    since: Release = Release.V12,
    module: str | None = None,
) -> list[Known]:
    return [Known(name, kind, Role.KERNEL, access, default, since, module) for name in names.split()]


def _both(kind: Type, names: str, default: str = "", access: Access = Access.WRITE) -> list[Known]:
    return [Known(name, kind, Role.BOTH, access, default) for name in names.split()]


_TABLE: tuple[Known, ...] = (
    *_pseudo(Type.BOOLEAN, "allow.dying exec.clean exec.system_jail_user ip_hostname", "false"),
    *_pseudo(Type.BOOLEAN, "mount.devfs mount.fdescfs mount.procfs", "false"),
    *_pseudo(Type.INTEGER, "exec.fib"),
    *_pseudo(Type.INTEGER, "exec.timeout", "no limit"),
    *_pseudo(Type.INTEGER, "stop.timeout", "10"),
    *_pseudo(Type.STRING, "exec.consolelog interface"),
    *_pseudo(Type.STRING, "exec.jail_user exec.system_user", "the caller"),
    *_pseudo(Type.LIST, "command depend"),
    *_pseudo(Type.LIST, "exec.prepare exec.release", since=Release.V13),
    *_pseudo(Type.LIST, "exec.prestart exec.created exec.start exec.poststart exec.prestop exec.stop exec.poststop"),
    *_pseudo(Type.LIST, "mount mount.fstab vnet.interface"),
    *_pseudo(Type.LIST, "zfs.dataset", since=Release.V15),
    *_both(Type.INTEGER, "jid", "the next free one", Access.CREATE),
    *_both(Type.STRING, "name", "the jid"),
    *_both(Type.STRING, "path", "/", Access.CREATE),
    *_both(Type.JAILSYS, "vnet", "inherit", Access.CREATE),
    *_kernel(Type.JAILSYS, "ip4 ip6", "disable; new with addresses", Access.CREATE),
    *_both(Type.IPV4, "ip4.addr"),
    *_both(Type.IPV6, "ip6.addr"),
    *_kernel(Type.BOOLEAN, "ip4.saddrsel ip6.saddrsel", "true"),
    *_kernel(Type.JAILSYS, "host", "new"),
    *_both(Type.STRING, "host.hostname"),
    *_kernel(Type.STRING, "host.domainname"),
    *_kernel(Type.STRING, "host.hostuuid", "00000000-0000-0000-0000-000000000000"),
    *_kernel(Type.UNSIGNED, "host.hostid", "0"),
    *_both(Type.INTEGER, "securelevel devfs_ruleset", "the parent's"),
    *_kernel(Type.INTEGER, "enforce_statfs", "2"),
    *_kernel(Type.INTEGER, "children.max", "0"),
    *_kernel(Type.INTEGER, "children.cur parent cpuset.id", access=Access.READ),
    *_kernel(Type.BOOLEAN, "dying", access=Access.READ),
    *_both(Type.BOOLEAN, "persist", "false"),
    *_kernel(Type.STRING, "osrelease", "the parent's", Access.CREATE),
    *_kernel(Type.INTEGER, "osreldate", "the parent's", Access.CREATE),
    *_both(Type.BOOLEAN, "allow.set_hostname", "true"),
    *_kernel(Type.BOOLEAN, "allow.reserved_ports allow.unprivileged_proc_debug allow.suser", "true"),
    *_both(Type.BOOLEAN, "allow.sysvipc allow.raw_sockets allow.chflags allow.mount allow.socket_af", "false"),
    *_kernel(Type.BOOLEAN, "allow.quotas allow.mlock allow.read_msgbuf", "false"),
    *_kernel(Type.BOOLEAN, "allow.mount.devfs", "false", module="devfs"),
    *_kernel(Type.BOOLEAN, "allow.mount.fdescfs", "false", module="fdescfs"),
    *_kernel(Type.BOOLEAN, "allow.mount.fusefs", "false", module="fusefs"),
    *_kernel(Type.BOOLEAN, "allow.mount.nullfs", "false", module="nullfs"),
    *_kernel(Type.BOOLEAN, "allow.mount.procfs", "false", module="procfs"),
    *_kernel(Type.BOOLEAN, "allow.mount.linprocfs", "false", module="linprocfs"),
    *_kernel(Type.BOOLEAN, "allow.mount.linsysfs", "false", module="linsysfs"),
    *_kernel(Type.BOOLEAN, "allow.mount.tmpfs", "false", module="tmpfs"),
    *_kernel(Type.BOOLEAN, "allow.mount.zfs", "false", module="zfs"),
    *_kernel(Type.BOOLEAN, "allow.vmm", "false", module="vmm"),
    *_kernel(Type.JAILSYS, "linux", "new", module="linux"),
    *_kernel(Type.STRING, "linux.osname linux.osrelease", "the parent's", module="linux"),
    *_kernel(Type.INTEGER, "linux.oss_version", "the parent's", module="linux"),
    *_kernel(Type.JAILSYS, "sysvmsg sysvsem sysvshm", "disable; inherit with allow.sysvipc"),
    *_kernel(
        Type.BOOLEAN,
        "allow.nfsd allow.extattr allow.adjtime allow.settime allow.routing allow.setaudit"
        " allow.unprivileged_parent_tampering",
        "false",
        since=Release.V15,
    ),
    *_kernel(Type.BOOLEAN, "allow.vmm_ppt", "false", since=Release.V15, module="vmm"),
    *_kernel(Type.STRING, "meta env", since=Release.V15),
    *_kernel(Type.JAILSYS, "zfs.mount_snapshot", since=Release.V15, module="zfs"),
)

_TEXTS = frozenset({"meta", "env"})
"""Parameters whose text is lines of `key=value`; `meta.KEY` is the value of one key."""


@dataclass(frozen=True, slots=True)
class _Tables:
    known: Mapping[str, Known]
    pseudo: tuple[str, ...]
    special: tuple[str, ...]


@cache
def _tables(release: Release) -> _Tables:
    known = {known.name: known for known in _TABLE if known.since <= release}
    return _Tables(
        known,
        tuple(name for name, entry in known.items() if entry.role is Role.PSEUDO),
        tuple(name for name, entry in known.items() if entry.role is not Role.KERNEL),
    )
