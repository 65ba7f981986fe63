"""The command lines jail(8) runs for addresses, mounts and interfaces, up and down, exactly as FreeBSD writes them.

Pure; whether a path may be used is paths.py's. Source: run_command() in FreeBSD 13.2 usr.sbin/jail/command.c, of a
stable/15 tree, and for 12 of 12.1; recorded in observed/b3_jail_v_order.txt, c2_jail_conf_errors.txt.
"""

from __future__ import annotations

from dataclasses import dataclass

from vjail.conf.jailconf import Family, InterfaceAddress
from vjail.jail import words
from vjail.jail.phases import Step
from vjail.jail.words import Line
from vjail.release import Release

_IFCONFIG = "/sbin/ifconfig"
_MOUNT = "/sbin/mount"
_UMOUNT = "/sbin/umount"

DEVFS_RULESET = "4"
"""The ruleset of `mount.devfs` where `devfs_ruleset` is not set: devfsrules_jail."""


class BadLine(Exception):
    """A line that cannot be run; the text is what jail(8) says behind the parameter's name."""


def address(each: InterfaceAddress, *, down: bool) -> Line:
    """Add an address to an interface of the host, or remove it."""
    argv = [_IFCONFIG, each.interface, each.family.value]
    if each.family is Family.INET6:
        argv += [each.address, "prefixlen", "128"] if each.mask is None else [f"{each.address}/{each.mask}"]
    elif each.mask is None:
        argv += [each.address, "netmask", "255.255.255.255"]
    elif "." in each.mask:
        argv += [each.address, "netmask", each.mask]
    else:
        argv.append(f"{each.address}/{each.mask}")
    if not down:
        argv += each.words
    return Line((*argv, "-alias" if down else "alias"))


def interface(name: str, jail: str | None, *, down: bool) -> Line:
    """Move an interface into a jail, named by its name or jid, or back out of it."""
    argv = (_IFCONFIG, name, "-vnet" if down else "vnet")
    return Line(argv if jail is None else (*argv, jail))


@dataclass(frozen=True, slots=True)
class Mounting:
    """A line of fstab(5), or what one of mount.devfs, mount.fdescfs and mount.procfs stands for."""

    fstype: str
    source: str
    target: str
    options: tuple[str, ...] = ()
    """The words of mount(8) that carry the options (`-o`, `ro`)."""
    named_type: bool = True
    """umount(8) is told the type, too."""

    def up(self) -> Line:
        """The line that mounts it."""
        return Line((_MOUNT, "-t", self.fstype, *self.options, self.source, self.target))

    def down(self, release: Release) -> Line:
        """The line that unmounts it."""
        if not self.named_type:
            return Line((_UMOUNT, self.target))
        return Line((_UMOUNT, "-ft" if release < Release.V13 else "-t", self.fstype, self.target))


def mounting(text: str) -> Mounting | None:
    """A line of `mount` or of a file of `mount.fstab`; None where it is empty. Raises BadLine."""
    fields = list(words.split(text)[:4])
    for place, field in enumerate(fields[:2]):
        undone = words.unvis(field)
        if undone is None:
            raise BadLine(f"{text}: fstab parse error")
        fields[place] = undone
    match fields:
        case []:
            return None
        case [source, target, fstype]:
            return Mounting(fstype, source, target)
        case [source, target, fstype, options]:
            return Mounting(fstype, source, target, ("-o", options))
    raise BadLine(f"{text}: missing information")


def special_mount(step: Step, path: str, ruleset: str | None) -> Mounting:
    """What mount.devfs, mount.fdescfs or mount.procfs of a jail with root `path` mounts."""
    match step:
        case Step.DEVFS:
            options = (f"-oruleset={DEVFS_RULESET if ruleset is None else ruleset}",)
            return Mounting("devfs", ".", f"{path}/dev", options, named_type=False)
        case Step.FDESCFS:
            return Mounting("fdescfs", ".", f"{path}/dev/fd", named_type=False)
        case Step.PROCFS:
            return Mounting("procfs", ".", f"{path}/proc", named_type=False)
    raise ValueError(step)


def dataset(name: str, jid: int) -> Line:
    """Attach a dataset to a jail (15): says what is wrong but never fails."""
    script = (
        f"if [ $(/sbin/zfs get -H -o value jailed {name}) = on ]; then /sbin/zfs jail {jid} {name} "
        f"|| echo error, attaching {name} to jail {jid} failed; "
        f"else echo error, you need to set jailed=on for dataset {name}; fi"
    )
    return Line(("sh", "-c", script))
