"""A jail as the kernel keeps it: `Prison`, plain frozen data, and its form in the journal.

Knows no rule: which values are allowed and what follows from them is prison.py's. Source: FreeBSD 13.2 sys/sys/jail.h.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, cast

from vjail.conf.jailconf.libjail import Jailsys

NO_UUID = "00000000-0000-0000-0000-000000000000"
"""The hostuuid of a jail that was not given one."""

IpAddress = IPv4Address | IPv6Address


class SysvIpc(enum.Enum):
    """The three kinds of System V IPC, by the parameter's name."""

    MSG = "sysvmsg"
    SEM = "sysvsem"
    SHM = "sysvshm"


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """What a host, or a jail with `host=new`, is called."""

    hostname: str = ""
    domainname: str = ""
    hostuuid: str = NO_UUID
    hostid: int = 0


@dataclass(frozen=True, slots=True)
class AddressRule:
    """Which addresses of one family a jail without a vnet may use.

    `own`: the jail has a list of its own (PR_IP4_USER), perhaps an empty one; otherwise it has its parent's.
    `restricted`: only `addresses` may be used (PR_IP4); otherwise all.
    """

    own: bool = False
    restricted: bool = False
    addresses: tuple[IpAddress, ...] = ()
    saddrsel: bool = True


@dataclass(frozen=True, slots=True)
class Prison:
    """One jail. Names and paths are the host's; `allow` holds the granted permissions without `allow.` in front.

    `vnet` is the number of the vnet it uses, its own where `own_vnet`, otherwise its parent's (the host's is 0).
    """

    jid: int
    name: str
    parent: int
    path: str
    vnet: int
    own_vnet: bool
    cpuset: int
    osrelease: str
    osreldate: int
    dying: bool = False
    persist: bool = False
    own_host: bool = True
    host: HostIdentity = field(default_factory=HostIdentity)
    ip4: AddressRule = field(default_factory=AddressRule)
    ip6: AddressRule = field(default_factory=AddressRule)
    securelevel: int = -1
    devfs_ruleset: int = 0
    enforce_statfs: int = 2
    children_max: int = 0
    allow: frozenset[str] = frozenset()
    sysv: Mapping[SysvIpc, Jailsys] = field(default_factory=lambda: dict.fromkeys(SysvIpc, Jailsys.DISABLE))
    meta: str = ""
    env: str = ""

    @property
    def base_name(self) -> str:
        """The last component of its name."""
        return self.name.rpartition(".")[2]

    def record(self) -> dict[str, object]:
        """The form it has in the journal: what json can hold."""
        record: dict[str, object] = {name: getattr(self, name) for name in _PLAIN}
        record["host"] = {name: getattr(self.host, name) for name in HostIdentity.__slots__}
        record["allow"] = sorted(self.allow)
        record["sysv"] = {kind.value: int(self.sysv[kind]) for kind in SysvIpc}
        for family, rule in (("ip4", self.ip4), ("ip6", self.ip6)):
            addresses = [str(address) for address in rule.addresses]
            record[family] = {name: getattr(rule, name) for name in AddressRule.__slots__} | {"addresses": addresses}
        return record

    @classmethod
    def of_record(cls, record: Mapping[str, object]) -> Prison:
        """The inverse of `record`."""
        values = cast(dict[str, Any], dict(record))
        values["host"] = HostIdentity(**values["host"])
        values["allow"] = frozenset(values["allow"])
        values["sysv"] = {SysvIpc(kind): Jailsys(value) for kind, value in values["sysv"].items()}
        for family in ("ip4", "ip6"):
            addresses = tuple(ip_address(text) for text in values[family]["addresses"])
            values[family] = AddressRule(**{**values[family], "addresses": addresses})
        return cls(**values)


_PLAIN = tuple(name for name in Prison.__slots__ if name not in ("host", "allow", "sysv", "ip4", "ip6"))
"""The fields whose values json can hold as they are."""
