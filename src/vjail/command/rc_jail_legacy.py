"""Jails configured by jail_NAME_* variables of rc.conf: the jail.conf that rc.d/jail writes for each.

Source: parse_options() and extract_var() in libexec/rc/rc.d/jail of FreeBSD 13.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from vjail.conf.rcconf import Answer, RcConf, check_yes_no
from vjail.kernel.errno import KernelError
from vjail.session import Files

Warn = Callable[[str], None]


def plain(name: str) -> str:
    """A jail's name as the script uses it: `/` and `.` become `_`."""
    return name.replace("/", "_").replace(".", "_")


def variable(name: str) -> str:
    """A jail's name inside the name of a variable."""
    return re.sub(r"[^A-Za-z0-9]", "_", name)


def is_configured(conf: RcConf, name: str) -> bool:
    """Whether rc.conf itself describes the jail: by its root and its host name."""
    prefix = f"jail_{variable(name)}"
    return bool(conf.get(f"{prefix}_rootdir")) and bool(conf.get(f"{prefix}_hostname"))


def write(files: Files, conf: RcConf, name: str, warn: Warn, dad_count: int) -> str | None:
    """Write /var/run/jail.NAME.conf; its path, None where it cannot be written.

    `dad_count`: net.inet6.ip6.dad_count, after which a jail's IPv6 addresses can be used.
    """
    path = f"/var/run/jail.{name}.conf"
    lines = [f"{name} {{", *_Writer(files, conf, name, warn, dad_count).lines(), "}"]
    try:
        files.write(path, "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    except KernelError as error:
        warn(f"{path}: {error.errno.text}")
        return None
    return path


class _Writer:
    """The lines of one jail's block."""

    def __init__(self, files: Files, conf: RcConf, name: str, warn: Warn, dad_count: int) -> None:
        self._files = files
        self._conf = conf
        self._name = name
        self._prefix = f"jail_{variable(name)}"
        self._warn = warn
        self._dad_count = dad_count

    def _get(self, name: str, default: str = "") -> str:
        """The jail's own variable, or that of all jails."""
        return self._conf.get(f"{self._prefix}_{name}") or self._conf.get(f"jail_{name}") or default

    def _yes(self, name: str, default: str) -> bool:
        return check_yes_no(self._get(name, default)) is Answer.YES

    def _text(self, name: str, parameter: str, default: str = "") -> Iterator[str]:
        value = self._get(name, default)
        if value:
            yield f'\t{parameter} = "{value}";'

    def _numbered(self, name: str, parameter: str) -> Iterator[str]:
        """NAME0 (which may be missing), NAME1, … up to the first that is not set."""
        number = 0
        while (value := self._get(f"{name}{number}")) or number == 0:
            if value:
                yield f'\t{parameter} += "{value}";'
            number += 1

    def _commands(self) -> tuple[str, str]:
        """What exec.start and exec.stop are."""
        own = self._conf.get(f"{self._prefix}_exec")
        if own:
            return own, ""
        start, stop = (self._conf.get(f"{self._prefix}_exec_{which}") for which in ("start", "stop"))
        if start:
            return start, stop
        return "/bin/sh /etc/rc", stop or "/bin/sh /etc/rc.shutdown jail"

    def lines(self) -> Iterator[str]:
        """The parameters in the script's order."""
        yield from self._text("hostname", "host.hostname")
        yield from self._text("rootdir", "path")
        yield from self._network()
        yield "\texec.clean;"
        yield '\texec.system_user = "root";'
        yield '\texec.jail_user = "root";'
        for when in ("prestart", "poststart", "prestop", "poststop"):
            yield from self._numbered(f"exec_{when}", f"exec.{when}")
        start, stop = self._commands()
        yield f'\texec.start += "{start}";'
        yield from self._numbered("exec_afterstart", "exec.start")
        yield f'\texec.stop = "{stop}";'
        yield from self._text("consolelog", "exec.consolelog", f"/var/log/jail_{self._name}_console.log")
        fstab = self._get("fstab", f"/etc/fstab.{self._name}")
        if self._exists(fstab):
            yield f'\tmount.fstab = "{fstab}";'
        yield from self._mounts()
        yield f"\tallow.set_hostname = {int(self._yes('set_hostname_allow', 'NO'))};"
        yield f"\tallow.sysvipc = {int(self._yes('sysvipc_allow', 'NO'))};"
        yield from self._text("enforce_statfs", "enforce_statfs", "2")
        yield from self._text("osreldate", "osreldate")
        yield from self._text("osrelease", "osrelease")
        for parameter in self._get("parameters").split():
            yield f"\t{parameter.removesuffix(';')};"

    def _network(self) -> Iterator[str]:
        addresses = self._conf.get(f"{self._prefix}_ip")
        if not addresses:
            yield "\tvnet;"
            interfaces = self._get("vnet_interface").split()
            if interfaces:
                quoted = ", ".join(f'"{interface}"' for interface in interfaces)
                yield f"\tvnet.interface = {quoted};"
            return
        yield from self._text("interface", "interface")
        number = 0
        lines: list[str] = []
        while addresses:
            for address in addresses.split(","):
                lines += self._address(address)
            addresses = self._conf.get(f"{self._prefix}_ip_multi{number}")
            number += 1
        yield from lines
        if any(line.startswith("\tip6.addr") for line in lines):
            yield f'\texec.start += "sleep  {self._dad_count + 1} ";'
        yield from self._text("fib", "exec.fib")
        yield f"\tallow.raw_sockets = {int(not self._yes('socket_unixiproute_only', 'YES'))};"

    def _address(self, text: str) -> Iterator[str]:
        rest = text.rpartition("|")[2]
        interface = (text.partition("|")[0] if "|" in text else "") or self._get("interface")
        address, mask = re.fullmatch(r"([^/ ]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
        where = f"{interface}|" if interface else ""
        if re.fullmatch(r".*\..*\..*\..*", address):
            mask = f" netmask {mask[1:]}" if re.fullmatch(r"/.*\..*\..*\..*", mask) else mask or "/32"
            yield f'\tip4.addr += "{where}{address}{mask}";'
        elif ":" in address:
            yield f'\tip6.addr += "{where}{address}{mask or "/128"}";'
        elif address:
            self._warn("jail_extract_address: type not identified")

    def _mounts(self) -> Iterator[str]:
        if self._yes("devfs_enable", "NO"):
            yield "\tmount.devfs;"
            ruleset = self._get("devfs_ruleset")
            if ruleset[:1].isdigit():
                yield f'\tdevfs_ruleset = "{ruleset}";'
            elif ruleset not in ("", "devfsrules_jail"):
                self._warn("devfs_ruleset must be an integer.")
        if self._yes("fdescfs_enable", "NO"):
            yield "\tmount.fdescfs;"
        if self._yes("procfs_enable", "NO"):
            yield "\tmount.procfs;"
        if self._yes("mount_enable", "NO"):
            yield "\tallow.mount;"

    def _exists(self, path: str) -> bool:
        try:
            return self._files.kind(path) is not None
        except KernelError:
            return False
