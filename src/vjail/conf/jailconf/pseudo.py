"""jail(8)'s own parameters of a jail, by their types.

Source: bool_param(), int_param() and string_param() in usr.sbin/jail/config.c.
"""

from __future__ import annotations

from dataclasses import dataclass

from vjail.conf.jailconf import options
from vjail.conf.jailconf.jail import Jail, JailParameter
from vjail.conf.jailconf.numbers import as_int, strtol
from vjail.conf.jailconf.parameters import Role, lookup
from vjail.release import Release


@dataclass(frozen=True, slots=True)
class PseudoParameters:
    """jail(8)'s own parameters. Lists are in order; None is "not set"."""

    allow_dying: bool = False
    command: tuple[str, ...] = ()
    depend: tuple[str, ...] = ()
    exec_clean: bool = False
    exec_consolelog: str | None = None
    exec_created: tuple[str, ...] = ()
    exec_fib: int | None = None
    exec_jail_user: str | None = None
    exec_poststart: tuple[str, ...] = ()
    exec_poststop: tuple[str, ...] = ()
    exec_prepare: tuple[str, ...] = ()
    exec_prestart: tuple[str, ...] = ()
    exec_prestop: tuple[str, ...] = ()
    exec_release: tuple[str, ...] = ()
    exec_start: tuple[str, ...] = ()
    exec_stop: tuple[str, ...] = ()
    exec_system_jail_user: bool = False
    exec_system_user: str | None = None
    exec_timeout: int | None = None
    interface: str | None = None
    ip_hostname: bool = False
    mount: tuple[str, ...] = ()
    mount_devfs: bool = False
    mount_fdescfs: bool = False
    mount_fstab: tuple[str, ...] = ()
    mount_procfs: bool = False
    stop_timeout: int | None = None
    vnet_interface: tuple[str, ...] = ()
    zfs_dataset: tuple[str, ...] = ()


def flag(parameter: JailParameter | None) -> bool:
    """Whether a boolean of jail(8) is set: by its name alone, by `true`, or by a number but 0; `no` inverts."""
    if parameter is None:
        return False
    texts = parameter.texts
    value = not texts or texts[-1].lower() == "true" or strtol(texts[-1])[0] != 0
    return value != options.is_negated(parameter.name)


def pseudo_parameters(jail: Jail, release: Release) -> PseudoParameters:
    """jail(8)'s parameters of a jail; what the release does not have counts as not set."""

    found: dict[str, JailParameter] = {}
    for parameter in jail.parameters:
        known = lookup(parameter.name, release)
        if known is not None and known.role is Role.PSEUDO:
            found.setdefault(known.name, parameter)

    def boolean(name: str) -> bool:
        return flag(found.get(name))

    def texts(name: str) -> tuple[str, ...]:
        return found[name].texts if name in found else ()

    def text(name: str) -> str | None:
        values = texts(name)
        return values[-1] if values else None

    def number(name: str) -> int | None:
        value = text(name)
        return as_int(strtol(value)[0]) if value is not None else None

    return PseudoParameters(
        allow_dying=boolean("allow.dying"),
        command=texts("command"),
        depend=texts("depend"),
        exec_clean=boolean("exec.clean"),
        exec_consolelog=text("exec.consolelog"),
        exec_created=texts("exec.created"),
        exec_fib=number("exec.fib"),
        exec_jail_user=text("exec.jail_user"),
        exec_poststart=texts("exec.poststart"),
        exec_poststop=texts("exec.poststop"),
        exec_prepare=texts("exec.prepare"),
        exec_prestart=texts("exec.prestart"),
        exec_prestop=texts("exec.prestop"),
        exec_release=texts("exec.release"),
        exec_start=texts("exec.start"),
        exec_stop=texts("exec.stop"),
        exec_system_jail_user=boolean("exec.system_jail_user"),
        exec_system_user=text("exec.system_user"),
        exec_timeout=number("exec.timeout"),
        interface=text("interface"),
        ip_hostname=boolean("ip_hostname"),
        mount=texts("mount"),
        mount_devfs=boolean("mount.devfs"),
        mount_fdescfs=boolean("mount.fdescfs"),
        mount_fstab=texts("mount.fstab"),
        mount_procfs=boolean("mount.procfs"),
        stop_timeout=number("stop.timeout"),
        vnet_interface=texts("vnet.interface"),
        zfs_dataset=texts("zfs.dataset"),
    )
