"""What each parameter of a jail does on Linux: works, works partly, or has no effect there.

One table, from which docs/jail-parameters.md has its list and the Linux kernel its reports: `reports` says, for a jail
that was created, what of it has no effect. Knows nothing of namespaces.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vjail.conf.jailconf import known_parameters
from vjail.conf.jailconf.parameters import Role
from vjail.release import Release

Value = bool | int | str | tuple[str, ...]


class Coverage(enum.Enum):
    """How much of a parameter there is on Linux; the value is the word for it."""

    WORKS = "works"
    PARTLY = "partly"
    NONE = "no effect"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a parameter does on Linux. `matters`: which values of one that has no effect are worth a report."""

    name: str
    coverage: Coverage
    text: str
    matters: Callable[[Value], bool] = lambda value: False


def _set(value: Value) -> bool:
    return bool(value)


def _cleared(value: Value) -> bool:
    return not value


def _raised(value: Value) -> bool:
    return isinstance(value, int) and value > 0


def _works(names: str, text: str) -> list[Effect]:
    return [Effect(name, Coverage.WORKS, text) for name in names.split()]


def _partly(names: str, text: str) -> list[Effect]:
    return [Effect(name, Coverage.PARTLY, text) for name in names.split()]


def _none(names: str, text: str, matters: Callable[[Value], bool] = _set) -> list[Effect]:
    return [Effect(name, Coverage.NONE, text, matters) for name in names.split()]


_COMMAND = "as jail(8) does it; a plain line that names one of vjail's own commands runs without a process of its own"

_UNKNOWN = "refused as an unknown parameter, as on a FreeBSD without the module"

_TABLE: tuple[Effect, ...] = (
    # jail(8)'s own
    *_works("exec.prepare exec.prestart exec.created exec.poststart exec.prestop exec.poststop exec.release", _COMMAND),
    *_works("exec.start exec.stop command", f"{_COMMAND}, in the jail"),
    *_works("exec.clean", "clears the environment of host commands too; the login class is always the default one"),
    *_works("exec.jail_user exec.system_user exec.system_jail_user", "looked up in passwd(5), in or outside the jail"),
    *_works("exec.timeout", "what runs too long is given up but not killed"),
    *_works("exec.consolelog", "opened on the host; no link below the jail's root is followed"),
    *_works("stop.timeout", "SIGTERM to the processes of exactly this jail; 0 sends none"),
    *_works("depend", "order, loops and what is skipped as in FreeBSD"),
    *_works("mount mount.fstab", "runs mount(8) for each line, umount(8) in reverse"),
    *_works("mount.devfs mount.fdescfs mount.procfs", "runs mount(8) on /dev, /dev/fd, /proc"),
    *_works("interface", "where addresses without an interface of their own are added"),
    *_works("ip_hostname", "looks the name up in /etc/hosts only: a lab has no name server"),
    *_works("vnet.interface", "runs ifconfig(8) for each"),
    *_partly("exec.fib", "there is one routing table: any number from net.fibs on fails, as in FreeBSD"),
    *_partly("allow.dying", "a jail of a lab is hardly ever dying; from FreeBSD 15 it has no effect there either"),
    *_partly("zfs.dataset", "runs zfs(8) where the host has one"),
    # what a jail is
    *_works("jid name parent children.cur children.max dying", "kept by vjail as the kernel keeps it"),
    *_works("persist", "a jail without it goes with its last process, silently"),
    *_works("path", "the jail's root directory, in a mount namespace of its own"),
    *_works("vnet", "a network namespace of its own"),
    *_works("host host.hostname", "a UTS namespace of its own"),
    *_works("host.hostuuid host.hostid", "read by vjail's sysctl(8) and kenv(1), and what MAC addresses are made from"),
    *_works("devfs_ruleset", "what a devfs mounted by the jail shows"),
    *_works("meta env", "kept; `env` can be read in the jail"),
    *_partly("host.domainname", "read by vjail's sysctl(8); programs of Linux do not see it"),
    *_partly("osrelease osreldate", "read by vjail's uname(1) and sysctl(8); other programs see Linux"),
    *_partly("cpuset.id", "a number as FreeBSD would give; it confines nothing"),
    *_partly(
        "enforce_statfs", "vjail's mount(8) obeys it; /proc/mounts shows the jail's own namespace whatever it says"
    ),
    # addresses without a vnet
    *_works("ip4.addr ip6.addr", "added to the interface; by root the jail is held to them, on control groups by eBPF"),
    *_works("ip4 ip6", "by root: `disable` leaves no socket of the family, `inherit` every address"),
    *_works("ip4.saddrsel ip6.saddrsel", "without it what is sent from no address in particular is from the first"),
    # permissions
    *_partly(
        "allow.set_hostname",
        "without it refused; with it a vnet jail's programs may, and in a jail without a vnet vjail's hostname(1) only",
    ),
    *_works("allow.raw_sockets", "capability NET_RAW; a vnet jail has it in any case"),
    *_works("allow.reserved_ports", "capability NET_BIND_SERVICE"),
    *_works("allow.socket_af", "without it only UNIX, IPv4, IPv6 and routing sockets can be made"),
    *_works("allow.mlock", "without it mlock(2) is refused"),
    *_partly("allow.suser", "without it the jail's root has no capability; what belongs to user 0 stays its own"),
    *_partly("allow.read_msgbuf", "without it syslog(2) is refused; with it the machine's own rules decide"),
    *_partly("allow.sysvipc", "see sysvmsg"),
    *_partly(
        "sysvmsg sysvsem sysvshm",
        "`disable` refuses the system calls; the three kinds share one namespace, so if one is `inherit` all are",
    ),
    *_partly(
        "allow.mount allow.mount.devfs allow.mount.fdescfs allow.mount.nullfs allow.mount.procfs allow.mount.tmpfs",
        "vjail's own mount(8) obeys it; mount(2) is refused to the jail's programs in any case",
    ),
    *_none("allow.mount.fusefs allow.mount.linprocfs allow.mount.linsysfs allow.mount.zfs", _UNKNOWN),
    *_none("allow.chflags", "Linux has no file flags that a jail's root could set"),
    *_none("allow.quotas", "quotas cannot be set from a jail"),
    *_none("allow.unprivileged_proc_debug", "ptrace(2) follows the machine's own rules", _cleared),
    *_none("allow.vmm allow.vmm_ppt", _UNKNOWN),
    *_none("allow.nfsd", "there is no NFS server in a jail"),
    *_none("allow.extattr", "extended attributes follow the machine's own rules"),
    *_none("allow.adjtime allow.settime", "the clock is the machine's and cannot be set from a jail"),
    *_none("allow.routing", "only a vnet jail can change routes, and only its own"),
    *_none("allow.setaudit", "there is no audit session of FreeBSD's kind"),
    *_none("allow.unprivileged_parent_tampering", "users of the host and of a jail follow the machine's own rules"),
    *_none("securelevel", "kept and read back; it raises no protection", _raised),
    # modules that do not exist here
    *_none("linux linux.osname linux.osrelease linux.oss_version", _UNKNOWN),
    *_none("zfs.mount_snapshot", _UNKNOWN),
)


def effects() -> Mapping[str, Effect]:
    """What every parameter of every release does, by name."""
    return {effect.name: effect for effect in _TABLE}


def reports(parameters: Mapping[str, Value]) -> Sequence[str]:
    """What a jail's parameters (observed.Jail.parameters) ask for and Linux does not give, a line each."""
    known = effects()
    return [
        f"{name}: {known[name].text}"
        for name, value in parameters.items()
        if name in known and known[name].matters(value)
    ]


def coverage_table() -> str:
    """The table of docs/jail-parameters.md: every parameter of the newest release, jail(8)'s own first."""
    known = known_parameters(max(Release))
    table = effects()
    rows = [
        f"| `{name}` | {_ROLES[entry.role]} | {table[name].coverage.value} | {table[name].text} |"
        for name, entry in known.items()
    ]
    return (
        "\n".join(("| parameter | looked at by | on Linux | what vjail does |", "| --- | --- | --- | --- |", *rows))
        + "\n"
    )


_ROLES = {Role.PSEUDO: "jail(8)", Role.KERNEL: "kernel", Role.BOTH: "both"}


def without_effect() -> Sequence[str]:
    """The names of the parameters that have no effect on Linux."""
    return [effect.name for effect in _TABLE if effect.coverage is Coverage.NONE]
