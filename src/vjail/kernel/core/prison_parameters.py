"""Kernel parameters of jails between text and value: what jail_set(2) is given, read; what jail_get(2) tells.

Which parameters there are is the table of conf/jailconf/parameters.py; here is only how their values are written and
read back. Decides no rule between parameters or jails. Sources: lib/libjail/jail.c (texts and messages),
sys/kern/kern_jail.c of FreeBSD 13.2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from vjail.conf.jailconf.libjail import Jailsys, Refused, import_value
from vjail.conf.jailconf.options import without_no
from vjail.conf.jailconf.parameters import Known, Role, Type, kept_text, known_parameters
from vjail.kernel.core.prison_record import AddressRule, Prison, SysvIpc
from vjail.kernel.core.prison_texts import TextChange
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import ParameterText
from vjail.release import Release

Value = bool | int | str | tuple[str, ...]
"""A parameter's value as observed.Jail holds it."""

FILE_SYSTEMS = frozenset({"devfs", "fdescfs", "nullfs", "procfs", "tmpfs"})
"""The file systems in the kernel that was recorded; `allow.mount.X` exists only for those there are."""


def kernel_parameters(release: Release, modules: Collection[str]) -> Mapping[str, Known]:
    """The parameters of the kernel with these modules (file systems among them), by name."""
    return {
        known.name: known
        for known in known_parameters(release).values()
        if known.role is not Role.PSEUDO and (known.module is None or known.module in modules)
    }


@dataclass(frozen=True, slots=True)
class Request:
    """What one jail_set(2) asks for; None where it says nothing about a parameter."""

    jid: int | None = None
    name: str | None = None
    path: str | None = None
    vnet: Jailsys | None = None
    persist: bool | None = None
    host: Jailsys | None = None
    hostname: str | None = None
    domainname: str | None = None
    hostuuid: str | None = None
    hostid: int | None = None
    ip4: Jailsys | None = None
    ip4_addresses: tuple[IPv4Address, ...] | None = None
    ip4_saddrsel: bool | None = None
    ip6: Jailsys | None = None
    ip6_addresses: tuple[IPv6Address, ...] | None = None
    ip6_saddrsel: bool | None = None
    securelevel: int | None = None
    devfs_ruleset: int | None = None
    enforce_statfs: int | None = None
    children_max: int | None = None
    osrelease: str | None = None
    osreldate: int | None = None
    texts: Mapping[str, Sequence[TextChange]] = field(default_factory=dict)
    """What becomes of `meta` and `env`."""
    allow: Mapping[str, bool] = field(default_factory=dict)
    """Permissions granted or taken away, without `allow.`."""
    sysv: Mapping[SysvIpc, Jailsys] = field(default_factory=dict)


_FIELDS = {
    "host.hostname": "hostname",
    "host.domainname": "domainname",
    "host.hostuuid": "hostuuid",
    "host.hostid": "hostid",
    "ip4.addr": "ip4_addresses",
    "ip4.saddrsel": "ip4_saddrsel",
    "ip6.addr": "ip6_addresses",
    "ip6.saddrsel": "ip6_saddrsel",
    "children.max": "children_max",
}
"""The field of Request for the parameters that are not called as it is."""


def request(parameters: Iterable[tuple[str, ParameterText]], known: Mapping[str, Known]) -> Request:
    """Read the parameters of one jail_set(2). Raises KernelError(EINVAL) with libjail's or the kernel's message."""
    fields: dict[str, object] = {}
    allow: dict[str, bool] = {}
    sysv: dict[SysvIpc, Jailsys] = {}
    texts: dict[str, list[TextChange]] = {}
    for spelling, text in parameters:
        kept = kept_text(spelling)
        if kept is not None and kept[0] in known:
            texts.setdefault(kept[0], []).append(TextChange(kept[1], text))
            continue
        name, value = _read(spelling, text, known)
        if name.startswith("allow."):
            allow[name.removeprefix("allow.")] = bool(value)
        elif name in _SYSV:
            assert isinstance(value, Jailsys)
            sysv[_SYSV[name]] = value
        else:
            fields[_FIELDS.get(name, name)] = value
    unknown = next((name for name in fields if name not in Request.__dataclass_fields__), None)
    if unknown is not None:
        # A read-only parameter, or one of a module that vjail has no use for.
        raise KernelError(Errno.EINVAL, f"unknown parameter: {unknown}")
    return Request(**fields, texts=texts, allow=allow, sysv=sysv)  # type: ignore[arg-type]


_SYSV = {kind.value: kind for kind in SysvIpc}


def _read(spelling: str, text: ParameterText, known: Mapping[str, Known]) -> tuple[str, object]:
    """The parameter a spelling means, and the value of its text."""
    parameter = known.get(spelling) or known.get(without_no(spelling) or "")
    if parameter is None or (parameter.name != spelling and parameter.type is not Type.BOOLEAN):
        raise KernelError(Errno.EINVAL, f"unknown parameter: {spelling}")
    try:
        value = import_value(spelling, parameter, () if text is None else (text,)).value
    except Refused as refused:
        raise KernelError(Errno.EINVAL, refused.text) from None
    match parameter.type, value:
        case Type.JAILSYS, int() if not isinstance(value, Jailsys):
            raise KernelError(Errno.EINVAL)
        case Type.IPV4, tuple():
            return parameter.name, tuple(IPv4Address(address) for address in value)
        case Type.IPV6, tuple():
            return parameter.name, tuple(IPv6Address(address) for address in value)
    return parameter.name, value


# --- reading back -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Relative:
    """What of a jail depends on who looks: its name, path and parent as seen from there, and its count of jails."""

    name: str
    path: str
    parent: int
    children: int


def readback(prison: Prison, seen: Relative, known: Mapping[str, Known]) -> dict[str, Value]:
    """Every parameter of a jail as jail_get(2) tells it, by its positive spelling, in the order of the table."""
    values: dict[str, Value] = {
        "jid": prison.jid,
        "name": seen.name,
        "path": seen.path,
        "parent": seen.parent,
        "dying": prison.dying,
        "persist": prison.persist,
        "vnet": _word(Jailsys.NEW if prison.own_vnet else Jailsys.INHERIT),
        "host": _word(Jailsys.NEW if prison.own_host else Jailsys.INHERIT),
        "host.hostname": prison.host.hostname,
        "host.domainname": prison.host.domainname,
        "host.hostuuid": prison.host.hostuuid,
        "host.hostid": prison.host.hostid,
        "ip4": _ip_mode(prison.ip4),
        "ip4.addr": tuple(str(address) for address in prison.ip4.addresses),
        "ip4.saddrsel": prison.ip4.saddrsel,
        "ip6": _ip_mode(prison.ip6),
        "ip6.addr": tuple(str(address) for address in prison.ip6.addresses),
        "ip6.saddrsel": prison.ip6.saddrsel,
        "securelevel": prison.securelevel,
        "devfs_ruleset": prison.devfs_ruleset,
        "enforce_statfs": prison.enforce_statfs,
        "children.cur": seen.children,
        "children.max": prison.children_max,
        "cpuset.id": prison.cpuset,
        "osrelease": prison.osrelease,
        "osreldate": prison.osreldate,
        "meta": prison.meta,
        "env": prison.env,
        **{kind.value: _word(prison.sysv[kind]) for kind in SysvIpc},
    }
    return {
        name: values[name] if name in values else name.removeprefix("allow.") in prison.allow
        for name in known
        if name in values or name.startswith("allow.")
    }


def _word(value: Jailsys) -> str:
    return value.name.lower()


def _ip_mode(rule: AddressRule) -> str:
    # One flag stands for both `new` and `disable`, and reading tests `disable` first: 13.2 and 15 read back `disable`
    # even where there are addresses (kern_jail.c, pr_flag_jailsys).
    return _word(Jailsys.DISABLE if rule.own else Jailsys.INHERIT)
