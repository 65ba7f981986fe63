"""sysctl(3): values of the host, of each jail and of each network stack; who may read and change which.

The table of names is sysctl_table.py. Many values belong to other parts; they are asked here. Sources: sysctl(8),
kern_mib.c, kern_jail.c, vnet(9), replay/documents-C.txt (a jail setting kern.hostname).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vjail.kernel.core.devfs import Devfs
from vjail.kernel.core.journal import Journal
from vjail.kernel.core.modules import KernelImage
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.sysctl_table import HOST_JAIL_DEFAULTS, NODES, Access, Entry, Scope, table
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Oid, OidType
from vjail.kernel.operations import Operation, SetSysctl
from vjail.release import Release

_RECORD = "sysctl"

_JAIL_PARAMETERS = {
    "kern.hostname": "host.hostname",
    "kern.domainname": "host.domainname",
    "kern.hostuuid": "host.hostuuid",
    "kern.hostid": "host.hostid",
    "kern.securelevel": "securelevel",
    "security.jail.enforce_statfs": "enforce_statfs",
    "security.jail.devfs_ruleset": "devfs_ruleset",
    "security.jail.set_hostname_allowed": "allow.set_hostname",
    "security.jail.sysvipc_allowed": "allow.sysvipc",
    "security.jail.allow_raw_sockets": "allow.raw_sockets",
    "security.jail.chflags_allowed": "allow.chflags",
    "security.jail.mount_allowed": "allow.mount",
    **{
        f"security.jail.mount_{name}_allowed": f"allow.mount.{name}"
        for name in ("devfs", "fdescfs", "nullfs", "procfs", "tmpfs")
    },
    "security.jail.env": "env",
    "security.jail.children.max": "children.max",
    "security.jail.children.cur": "children.cur",
}
_NEED_SET_HOSTNAME = {"kern.hostname", "kern.domainname", "kern.hostuuid"}
_FORWARDING = {"net.inet.ip.forwarding": 4, "net.inet6.ip6.forwarding": 6}
_INTEGER = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\Z")


class JailValues(Protocol):
    """The parameters of jails (jail(8)), and under jid 0 those of the host itself (its host name, uuid, id)."""

    def get(self, jid: int, parameter: str) -> bool | int | str:
        """The value of `host.hostname`, `allow.mount`, …; `vnet` is `new` or `inherit`."""
        ...

    def set(self, jid: int, parameter: str, value: int | str) -> None:
        """Change it from inside the jail; the rules have allowed it. Raises KernelError."""
        ...


class Forwarding(Protocol):
    """The part of the network driver that is asked here."""

    def get_forwarding(self, vnet: int, family: int) -> bool:
        """Whether the vnet forwards packets of family 4 or 6."""
        ...

    def set_forwarding(self, vnet: int, family: int, on: bool) -> None:
        """Forward packets of family 4 or 6, or not."""
        ...


@dataclass(frozen=True, slots=True)
class Hardware:
    """What hw.* says of the machine: CPUs, bytes of memory, the processor's name."""

    ncpu: int
    physmem: int
    model: str


class Sysctls:
    """The sysctls of one host."""

    def __init__(
        self,
        image: KernelImage,
        hardware: Hardware,
        journal: Journal,
        *,
        jails: JailValues,
        network: Forwarding,
        devfs: Devfs,
    ) -> None:
        self._journal = journal
        self._jails = jails
        self._network = network
        self._devfs = devfs
        release = Release(image.osreldate // 100_000)
        self._table = {
            entry.name: entry for entry in table(release) if image.vimage or entry.name != "kern.features.vimage"
        }
        self._nodes = {
            ".".join(name.split(".")[:depth]) for name in self._table for depth in range(1, name.count(".") + 1)
        }
        self._fixed = _of_kernel(image) | _of_hardware(hardware)
        self._changed: dict[tuple[int, str], str] = {}
        for _, record in journal.records(_RECORD):
            self._restore(record)

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """SetSysctl."""
        return {SetSysctl: self._set}

    def values(self, caller: Caller, name: str) -> Sequence[tuple[str, str]]:
        """Name and value of a sysctl, of all below a node, or with an empty name of all. Raises KernelError(ENOENT)."""
        entry = self._table.get(name)
        if entry is not None:
            return [(name, self._value(caller, entry))]
        if name and name not in self._nodes:
            raise KernelError(Errno.ENOENT)
        below = f"{name}." if name else ""
        return [
            (entry.name, self._value(caller, entry)) for entry in self._table.values() if entry.name.startswith(below)
        ]

    def of_vnet(self, vnet: int, name: str) -> str:
        """The value of a sysctl in a vnet, whose number is its jail's. Raises KernelError(ENOENT)."""
        return self.values(Caller(vnet, vnet), name)[0][1]

    def oid(self, caller: Caller, name: str) -> Oid:
        """What is known of a leaf or node. Raises KernelError(ENOENT)."""
        entry = self._table.get(name)
        if entry is not None:
            writable = entry.access is Access.WRITE
            return Oid(name, entry.type, writable, entry.access is Access.TUNABLE, entry.description)
        if name in self._nodes:
            return Oid(name, OidType.NODE, False, False, NODES.get(name, ""))
        raise KernelError(Errno.ENOENT)

    def tune(self, name: str, value: str) -> None:
        """Give a tunable the value that loader.conf(5) has for it."""
        self._changed[0, name] = value

    def forget_vnet(self, vnet: int) -> None:
        """A network stack is gone, and its values with it."""
        for key in [key for key in self._changed if key[0] == vnet and self._table[key[1]].scope is Scope.VNET]:
            del self._changed[key]
            self._journal.drop(_RECORD, f"{key[0]}:{key[1]}")

    # --- reading -----------------------------------------------------------------------------------------------------

    def _value(self, caller: Caller, entry: Entry) -> str:
        name = entry.name
        if name in _FORWARDING:
            return str(int(self._network.get_forwarding(caller.vnet, _FORWARDING[name])))
        if name == "vfs.devfs.rule_depth":
            return str(self._devfs.rule_depth)
        if name in self._fixed:
            return self._fixed[name]
        if entry.scope is Scope.JAIL:
            return self._jail_value(caller.jid, name)
        return self._changed.get((_owner(caller, entry), name), entry.default or "")

    def _jail_value(self, jid: int, name: str) -> str:
        short = name.removeprefix("security.jail.")
        if jid == 0 and short in HOST_JAIL_DEFAULTS:
            return HOST_JAIL_DEFAULTS[short]
        if short == "jailed":
            return "1"
        if short == "vnet":
            return str(int(self._jails.get(jid, "vnet") == "new"))
        if short == "socket_unixiproute_only":
            return str(int(not self._jails.get(jid, "allow.socket_af")))
        value = self._jails.get(jid, _JAIL_PARAMETERS[name])
        return str(int(value)) if isinstance(value, bool) else str(value)

    # --- changing ----------------------------------------------------------------------------------------------------

    def _set(self, caller: Caller, operation: SetSysctl) -> None:
        entry = self._table.get(operation.name)
        if entry is None:
            raise KernelError(Errno.EISDIR if operation.name in self._nodes else Errno.ENOENT)
        if entry.access is not Access.WRITE:
            raise KernelError(Errno.EPERM)
        value = operation.value if entry.type is OidType.STRING else str(_integer(operation.value))
        self._check_jail(caller, entry)
        name = entry.name
        if name in _FORWARDING:
            self._network.set_forwarding(caller.vnet, _FORWARDING[name], int(value) != 0)
        elif name == "vfs.devfs.rule_depth":
            self._devfs.rule_depth = int(value)
            self._note(caller, entry, value)
        elif entry.scope is Scope.JAIL:
            self._set_of_jail(caller.jid, name, value)
        else:
            self._changed[_owner(caller, entry), name] = value
            self._note(caller, entry, value)

    def _check_jail(self, caller: Caller, entry: Entry) -> None:
        """A jail changes what is its own: of its vnet where it has one, its host name where it may. Else EPERM."""
        if caller.jid == 0:
            return
        match entry.scope:
            case Scope.VNET if self._jails.get(caller.jid, "vnet") == "new":
                return
            case Scope.JAIL if entry.name not in _NEED_SET_HOSTNAME:
                return
            case Scope.JAIL if self._jails.get(caller.jid, "allow.set_hostname"):
                return
        raise KernelError(Errno.EPERM)

    def _set_of_jail(self, jid: int, name: str, value: str) -> None:
        parameter = _JAIL_PARAMETERS[name]
        if name == "kern.securelevel" and int(value) < int(self._jails.get(jid, parameter)):
            raise KernelError(Errno.EPERM)
        self._jails.set(jid, parameter, int(value) if name in ("kern.hostid", "kern.securelevel") else value)

    def _note(self, caller: Caller, entry: Entry, value: str) -> None:
        owner = _owner(caller, entry)
        record: dict[str, object] = {"owner": owner, "name": entry.name, "value": value}
        self._journal.put(_RECORD, f"{owner}:{entry.name}", record)

    def _restore(self, record: Mapping[str, Any]) -> None:
        if record["name"] == "vfs.devfs.rule_depth":
            self._devfs.rule_depth = int(record["value"])
        else:
            self._changed[record["owner"], record["name"]] = record["value"]


def _owner(caller: Caller, entry: Entry) -> int:
    """Under which vnet a value is kept; what is the host's under the host's."""
    return caller.vnet if entry.scope is Scope.VNET else 0


def _integer(text: str) -> int:
    """strtol(3) with base 0. Raises KernelError(EINVAL)."""
    found = _INTEGER.match(text)
    if found is None:
        raise KernelError(Errno.EINVAL)
    sign, digits = found.groups()
    base = 16 if digits[:2].lower() == "0x" else 8 if digits.startswith("0") else 10
    return int(digits, base) * (-1 if sign == "-" else 1)


def _of_kernel(image: KernelImage) -> dict[str, str]:
    return {
        "kern.ostype": "FreeBSD",
        "kern.osrelease": image.osrelease,
        "kern.osreldate": str(image.osreldate),
        "kern.version": f"FreeBSD {image.osrelease} {image.ident}",
        "kern.ident": image.ident,
        "kern.features.vimage": "1",
    }


def _of_hardware(hardware: Hardware) -> dict[str, str]:
    return {"hw.ncpu": str(hardware.ncpu), "hw.physmem": str(hardware.physmem), "hw.model": hardware.model}
