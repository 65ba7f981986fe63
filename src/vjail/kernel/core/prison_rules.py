"""What jail_set(2) allows: from a request and the jails there are, the jail that is to be, or FreeBSD's refusal.

Pure: nothing here changes the table. The order of the checks is the kernel's, so that of several faults the same one is
reported. Source: kern_jail_set() of FreeBSD 13.2 sys/kern/kern_jail.c; sysv_{msg,sem,shm}.c.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import TypeVar

from vjail.conf.jailconf.libjail import Jailsys
from vjail.kernel.core.prison_parameters import Request
from vjail.kernel.core.prison_record import AddressRule, HostIdentity, IpAddress, Prison, SysvIpc
from vjail.kernel.core.prison_table import PrisonTable
from vjail.kernel.errno import Errno, KernelError

DEFAULT_ALLOW = frozenset({"set_hostname", "reserved_ports", "unprivileged_proc_debug", "suser"})
"""The permissions a new jail has unless its parent lacks them."""

MAX_ADDRESSES = 255
"""Addresses of one family a jail may have (sysctl security.jail.jail_max_af_ips)."""

_NAME_LENGTH = 255
_UUID_LENGTH = 63
_OSRELEASE_LENGTH = 31
_BROADCAST = IPv4Address("255.255.255.255")

A = TypeVar("A", bound=IpAddress)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new jail goes: below `parent`, as `base` (empty: its jid), with the jid asked for (0: the next free)."""

    parent: Prison
    base: str
    jid: int


def check(request: Request) -> None:
    """What can be said of a request without looking at other jails."""
    if request.enforce_statfs is not None and not 0 <= request.enforce_statfs <= 2:
        raise KernelError(Errno.EINVAL)
    if Jailsys.DISABLE in (request.host, request.vnet):
        raise KernelError(Errno.EINVAL)
    for text, limit in (
        (request.name, _NAME_LENGTH),
        (request.hostname, _NAME_LENGTH),
        (request.domainname, _NAME_LENGTH),
        (request.hostuuid, _UUID_LENGTH),
    ):
        if text is not None and len(text.encode("utf-8", "surrogateescape")) > limit:
            raise KernelError(Errno.ENAMETOOLONG)
    _check_addresses(request.ip4_addresses or (), "IPv4")
    _check_addresses(request.ip6_addresses or (), "IPv6")
    if request.vnet is not None and _restricts(request):
        raise KernelError(Errno.EINVAL, "vnet jails cannot have IP address restrictions")
    if request.osrelease is not None and not 0 < len(request.osrelease) <= _OSRELEASE_LENGTH:
        raise KernelError(Errno.ENAMETOOLONG, f"osrelease string must be 1-{_OSRELEASE_LENGTH} bytes long")
    if request.osreldate == 0:
        raise KernelError(Errno.EINVAL, "osreldate cannot be 0")


def _check_addresses(addresses: Sequence[IpAddress], family: str) -> None:
    if len(addresses) > MAX_ADDRESSES:
        raise KernelError(Errno.EINVAL, f"too many {family} addresses")
    if len(set(addresses)) < len(addresses):
        raise KernelError(Errno.EINVAL)
    if any(address.is_unspecified or address == _BROADCAST for address in addresses):
        raise KernelError(Errno.EINVAL)


def _restricts(request: Request) -> bool:
    return (request.ip4, request.ip4_addresses, request.ip6, request.ip6_addresses) != (None, None, None, None)


def place(table: PrisonTable, caller: Prison, request: Request) -> Place:
    """Where a new jail is to go. KernelError: EEXIST, ENOENT (no such parent), EPERM (too many jails)."""
    prefix, _, base = (request.name or "").rpartition(".")
    jid = request.jid or 0
    if jid == 0 and re.fullmatch(r"[+-]?[0-9]+", base):
        jid = int(base)
    if jid < 0:
        raise KernelError(Errno.EINVAL, "negative jid")
    if jid and table.get(jid) is not None:
        raise KernelError(Errno.EEXIST, f"jail {jid} already exists")
    parent = caller
    if prefix:
        found = table.find(absolute(caller, prefix))
        if found is None or found.jid == caller.jid:
            raise KernelError(Errno.ENOENT, f'jail "{prefix}" not found')
        if found.dying:
            raise KernelError(Errno.ENOENT, f'jail "{prefix}" is dying')
        parent = found
    if base and table.alive(absolute(parent, base)) is not None:
        raise KernelError(Errno.EEXIST, f'jail "{request.name}" already exists')
    for limited in (caller, *table.ancestors(caller.jid)):
        if table.count(limited.jid) >= limited.children_max:
            raise KernelError(Errno.EPERM, "prison limit exceeded")
    return Place(parent, base, jid)


def absolute(caller: Prison, name: str) -> str:
    """The full name of what `caller` calls `name`."""
    return name if caller.jid == 0 else f"{caller.name}.{name}"


def created(table: PrisonTable, caller: Prison, request: Request, at: Place, jid: int) -> Prison:
    """The jail that a creation makes, with the root still as it was asked for."""
    parent = at.parent
    own_vnet = request.vnet is Jailsys.NEW
    prison = Prison(
        jid=jid,
        name=full_name(parent, at.base, jid),
        parent=parent.jid,
        path=request.path or "/",
        vnet=jid if own_vnet else parent.vnet,
        own_vnet=own_vnet,
        cpuset=table.next_cpuset(),
        osrelease=parent.osrelease if request.osrelease is None else request.osrelease,
        osreldate=request.osreldate or parent.osreldate,
        ip4=AddressRule() if own_vnet else _fresh_addresses(request.ip4, request.ip4_addresses, parent.ip4),
        ip6=AddressRule() if own_vnet else _fresh_addresses(request.ip6, request.ip6_addresses, parent.ip6),
        securelevel=parent.securelevel,
        devfs_ruleset=parent.devfs_ruleset,
        allow=DEFAULT_ALLOW & parent.allow,
    )
    return changed(table, caller, prison, request)


def full_name(parent: Prison, base: str, jid: int) -> str:
    """The full name of a jail below `parent`. KernelError: EINVAL as base_name, ENAMETOOLONG."""
    name = absolute(parent, base_name(base, jid))
    if len(name.encode("utf-8", "surrogateescape")) > _NAME_LENGTH:
        raise KernelError(Errno.ENAMETOOLONG)
    return name


def base_name(base: str, jid: int) -> str:
    """The last component of a jail's name: its jid where none was given. KernelError(EINVAL) for another number."""
    if not base:
        return str(jid)
    if re.fullmatch(r"[+-]?[0-9]+", base) and base != str(jid):
        raise KernelError(Errno.EINVAL, "name cannot be numeric (unless it is the jid)")
    return base


def _fresh_addresses(mode: Jailsys | None, addresses: Sequence[IpAddress] | None, parent: AddressRule) -> AddressRule:
    if mode is Jailsys.INHERIT and addresses is None:
        return AddressRule(restricted=parent.restricted, addresses=parent.addresses)
    return AddressRule(own=True, restricted=True)


def changed(table: PrisonTable, caller: Prison, prison: Prison, request: Request) -> Prison:
    """`prison` with what a request sets, at creation and later; its name and root are not this function's."""
    parent = table.get(prison.parent)
    assert parent is not None
    if request.securelevel is not None and request.securelevel < parent.securelevel:
        raise KernelError(Errno.EPERM)
    if request.children_max is not None and request.children_max >= parent.children_max:
        raise KernelError(Errno.EPERM)
    if request.enforce_statfs is not None and request.enforce_statfs < parent.enforce_statfs:
        raise KernelError(Errno.EPERM)
    ruleset = _ruleset(caller, parent, request.devfs_ruleset)
    ip4 = _addresses(table, prison, prison.ip4, parent.ip4, request.ip4_addresses, "IPv4")
    ip6 = _addresses(table, prison, prison.ip6, parent.ip6, request.ip6_addresses, "IPv6")
    granted = {name for name, value in request.allow.items() if value}
    if not granted <= parent.allow:
        raise KernelError(Errno.EPERM)
    own_host, host = _host(prison, parent, request)
    return replace(
        prison,
        persist=_or(request.persist, prison.persist),
        own_host=own_host,
        host=host,
        ip4=replace(ip4, saddrsel=_or(request.ip4_saddrsel, ip4.saddrsel)),
        ip6=replace(ip6, saddrsel=_or(request.ip6_saddrsel, ip6.saddrsel)),
        securelevel=_or(request.securelevel, prison.securelevel),
        devfs_ruleset=_or(ruleset, prison.devfs_ruleset),
        enforce_statfs=_or(request.enforce_statfs, prison.enforce_statfs),
        children_max=_or(request.children_max, prison.children_max),
        allow=prison.allow - request.allow.keys() | granted,
        sysv=_sysv(prison, parent, request),
    )


V = TypeVar("V")


def _or(asked: V | None, otherwise: V) -> V:
    return otherwise if asked is None else asked


def _ruleset(caller: Prison, parent: Prison, asked: int | None) -> int | None:
    if asked is None:
        return None
    if not 0 <= asked <= 65535:
        raise KernelError(Errno.EINVAL)
    if caller.jid == 0:
        return asked
    if asked not in (0, parent.devfs_ruleset):
        raise KernelError(Errno.EPERM)
    return parent.devfs_ruleset


def _addresses(
    table: PrisonTable,
    prison: Prison,
    rule: AddressRule,
    above: AddressRule,
    asked: Sequence[IpAddress] | None,
    family: str,
) -> AddressRule:
    if asked is None:
        return rule
    if above.restricted and not prison.own_vnet and not set(asked) <= set(above.addresses):
        raise KernelError(Errno.EPERM)
    for address in asked:
        for jid in table.holders(prison.vnet, address):
            other = table.get(jid)
            assert other is not None
            held = (other.ip4 if family == "IPv4" else other.ip6).addresses
            # Jails with one address each may have the same one.
            if jid != prison.jid and (len(asked) > 1 or len(held) > 1):
                raise KernelError(Errno.EADDRINUSE, f"{family} addresses clash")
    first, rest = asked[:1], sorted(asked[1:], key=int)
    return replace(rule, own=True, restricted=True, addresses=(*first, *rest))


def _host(prison: Prison, parent: Prison, request: Request) -> tuple[bool, HostIdentity]:
    given = (request.hostname, request.domainname, request.hostuuid, request.hostid)
    if given == (None, None, None, None) and request.host is not Jailsys.NEW:
        if request.host is Jailsys.INHERIT:
            return False, parent.host
        return prison.own_host, prison.host
    host = prison.host
    return True, HostIdentity(
        hostname=_or(request.hostname, host.hostname),
        domainname=_or(request.domainname, host.domainname),
        hostuuid=_or(request.hostuuid, host.hostuuid),
        hostid=_or(request.hostid, host.hostid),
    )


def _sysv(prison: Prison, parent: Prison, request: Request) -> Mapping[SysvIpc, Jailsys]:
    asked = dict(request.sysv)
    if "sysvipc" in request.allow:
        # The old permission still gives or takes all three kinds at once.
        fallback = Jailsys.INHERIT if request.allow["sysvipc"] else Jailsys.DISABLE
        asked = {kind: asked.get(kind, fallback) for kind in SysvIpc}
    for kind, value in asked.items():
        if value is not Jailsys.DISABLE and parent.sysv[kind] is Jailsys.DISABLE:
            raise KernelError(Errno.EPERM)
    return {**prison.sysv, **asked}


def check_update(prison: Prison, request: Request) -> None:
    """What cannot be changed any more."""
    if request.vnet is not None:
        raise KernelError(Errno.EINVAL, "vnet cannot be changed after creation")
    if request.osrelease is not None:
        raise KernelError(Errno.EINVAL, "osrelease cannot be changed after creation")
    if request.osreldate is not None:
        raise KernelError(Errno.EINVAL, "osreldate cannot be changed after creation")
    if request.path is not None:
        raise KernelError(Errno.EINVAL, "path cannot be changed after creation")
    if prison.own_vnet and _restricts(request):
        raise KernelError(Errno.EINVAL, "vnet jails cannot have IP address restrictions")
    for family, mode, addresses, rule in (
        ("ip4", request.ip4, request.ip4_addresses, prison.ip4),
        ("ip6", request.ip6, request.ip6_addresses, prison.ip6),
    ):
        if mode is None and addresses is None:
            continue
        own = addresses is not None or mode is not Jailsys.INHERIT
        if own != rule.own:
            raise KernelError(Errno.EINVAL, f"{family} cannot be changed after creation")


def inherited(above: Prison, prison: Prison, request: Request, level: int) -> Prison:
    """A jail `level` steps below `above`, which a request has changed, with what follows from that for it."""
    values = prison
    if request.securelevel is not None:
        values = replace(values, securelevel=max(prison.securelevel, request.securelevel))
    if request.children_max is not None:
        values = replace(values, children_max=min(prison.children_max, max(request.children_max - level, 0)))
    if request.enforce_statfs is not None:
        values = replace(values, enforce_statfs=max(prison.enforce_statfs, request.enforce_statfs))
    if request.devfs_ruleset is not None:
        values = replace(values, devfs_ruleset=above.devfs_ruleset)
    if not prison.own_host:
        values = replace(values, host=above.host)
    if not prison.own_vnet:
        values = replace(values, ip4=_restricted(prison.ip4, above.ip4), ip6=_restricted(prison.ip6, above.ip6))
    return replace(values, allow=prison.allow - {name for name, value in request.allow.items() if not value})


def _restricted(rule: AddressRule, above: AddressRule) -> AddressRule:
    """A child's addresses after its parent's have changed: those the parent still has."""
    if not above.restricted:
        return rule
    if not rule.own:
        return replace(rule, restricted=True, addresses=above.addresses)
    return replace(rule, addresses=tuple(address for address in rule.addresses if address in above.addresses))
