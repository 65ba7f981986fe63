"""Mounts: lines of `mount` and of mount.fstab."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from vjail.check.finding import Concern, Finding, Rule, Severity
from vjail.check.subject import HostSubject, JailSubject
from vjail.conf.fstab import MountLine, mount_line
from vjail.conf.position import Span

DEADLOCK = Rule("VJ521", Severity.ERROR, "a nullfs mounted onto what it shows")
FIELDS = Rule("VJ522", Severity.ERROR, "a mount line with too few fields")
RELATIVE = Rule("VJ524", Severity.ERROR, "a mount point that is no absolute path")
OUTSIDE = Rule("VJ525", Severity.WARNING, "a mount point outside the jail")
NO_STATFS = Rule("VJ526", Severity.NOTE, "allow.mount that enforce_statfs takes back")
SHARED_ETC = Rule("VJ902", Severity.NOTE, "a directory that several jails may write", Concern.SECURITY)

_SYSTEM = ("bin", "sbin", "lib", "libexec", "usr", "etc", "boot", "root")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of a jail, and where it is said."""

    line: MountLine
    span: Span


def mounts_of(jail: JailSubject) -> Iterator[Mount]:
    """The lines of `mount` and of mount.fstab that have their fields."""
    parameter = jail.jail.parameter("mount")
    for value in parameter.values if parameter is not None else ():
        line = mount_line(value.text)
        if line is not None:
            yield Mount(line, value.span)
    fstab = jail.jail.parameter("mount.fstab")
    if fstab is not None:
        for text in jail.checked.fstab:
            line = mount_line(text)
            if line is not None:
                yield Mount(line, fstab.span)


def deadlock(host: HostSubject) -> Iterator[Finding]:
    """B4: what is to be covered is what is to be shown."""
    for jail in host.jails:
        standing: list[tuple[str, str]] = []
        for mount in mounts_of(jail):
            source, target = (posixpath.normpath(path) for path in (mount.line.spec, mount.line.file))
            if mount.line.vfstype != "nullfs":
                continue
            beneath = _beneath(target, standing)
            if beneath == _beneath(source, standing):
                through = "" if beneath == target else f" (through the mounts above it is {beneath})"
                yield Finding(
                    DEADLOCK,
                    mount.span,
                    f"{source} is mounted onto itself: {target} shows it already{through}",
                    f"`mount_nullfs: {target}: Resource deadlock avoided`; the start of the jail is taken back",
                    "mount another directory there, as /var/ports/distfiles",
                    jails=(jail.name,),
                )
            standing.append((target, source))


def _beneath(path: str, standing: list[tuple[str, str]]) -> str:
    """The path below all nullfs mounts on the way: what its vnode really is."""
    for target, source in reversed(standing):
        if path == target or path.startswith(f"{target}/"):
            return _beneath(source + path[len(target) :], standing[: standing.index((target, source))])
    return path


def fields(host: HostSubject) -> Iterator[Finding]:
    """Lines jail(8) does not take."""
    for jail in host.jails:
        parameter = jail.jail.parameter("mount")
        for value in parameter.values if parameter is not None else ():
            line = mount_line(value.text)
            if not value.text:
                continue
            if line is None:
                yield Finding(
                    FIELDS,
                    value.span,
                    "a mount needs three fields at least: what, where, which kind",
                    f"jail(8): `mount: {value.text}: missing information`; the start of the jail is taken back",
                    '"/usr/src /jails/a/usr/src nullfs ro 0 0"',
                    jails=(jail.name,),
                )
            elif not line.file.startswith("/"):
                yield Finding(
                    RELATIVE,
                    value.span,
                    f"the mount point {line.file} does not begin with /",
                    f"jail(8): `mount: {line.file}: not an absolute pathname`; the start of the jail is taken back",
                    f"the path on the host, that of the jail first: {jail.jail.text('path') or ''}/{line.file}",
                    jails=(jail.name,),
                )


def outside(host: HostSubject) -> Iterator[Finding]:
    """A mount point is a path of the host, not of the jail."""
    for jail in host.jails:
        root = jail.jail.text("path")
        if root is None or root == "/":
            continue
        for mount in mounts_of(jail):
            target = posixpath.normpath(mount.line.file)
            if target.startswith("/") and not f"{target}/".startswith(f"{posixpath.normpath(root)}/"):
                yield Finding(
                    OUTSIDE,
                    mount.span,
                    f"{target} is not below the jail's root {root}",
                    "the path is one of the host: it is mounted there, and the jail does not see it",
                    f"{posixpath.normpath(root)}{target}",
                    jails=(jail.name,),
                )


def statfs(host: HostSubject) -> Iterator[Finding]:
    """allow.mount works only below enforce_statfs = 2, which is the default."""
    for jail in host.jails:
        parameter = jail.jail.parameter("allow.mount")
        enforced = jail.jail.text("enforce_statfs")
        if parameter is None or parameter.name.startswith("allow.no") or parameter.texts[-1:] in (("0",), ("false",)):
            continue
        if enforced in (None, "2"):
            yield Finding(
                NO_STATFS,
                parameter.span,
                f"allow.mount does nothing while enforce_statfs is 2{'' if enforced else ' (the default)'}",
                "mount(8) inside the jail answers `Operation not permitted`",
                "enforce_statfs = 1; and allow.mount.nullfs and the like for each kind of file system; or take it out",
                jails=(jail.name,),
            )


def shared_system(host: HostSubject) -> Iterator[Finding]:
    """System directories that several jails may write: root of one is root of all."""
    first: dict[str, tuple[str, Span]] = {}
    for jail in host.jails:
        for mount in mounts_of(jail):
            line = mount.line
            options = (line.options or "rw").split(",")
            if line.vfstype != "nullfs" or "ro" in options or posixpath.basename(line.file) not in _SYSTEM:
                continue
            known = first.setdefault(posixpath.normpath(line.spec), (jail.name, mount.span))
            if known[0] != jail.name:
                yield Finding(
                    SHARED_ETC,
                    mount.span,
                    f"{line.spec} can be written by more than one jail",
                    "what root of one jail writes there, the programs and accounts of the others run and use",
                    "ro, and a directory of its own for what each jail writes",
                    jails=tuple(dict.fromkeys((known[0], jail.name))),
                )


RULES = (deadlock, fields, outside, statfs, shared_system)
