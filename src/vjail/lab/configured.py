"""Which jails a host's files describe, and what each takes for granted of the host's tree.

The same for a host that is made of namespaces and for one in memory.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vjail.command import rc_files
from vjail.command import rc_jail_legacy as legacy
from vjail.command.jail.world import World
from vjail.conf.jailconf import Checked, Configuration, Jail, check_types, load
from vjail.lab.model import Lab, LabHostSpec
from vjail.lab.userland.needs import JailFiles
from vjail.release import Release
from vjail.session import Files

JAIL_CONF = "/etc/jail.conf"


@dataclass(frozen=True, slots=True)
class Configured:
    """The jails that a host's files describe: each file's configuration, and each jail checked, in order."""

    files: tuple[Configuration, ...]
    jails: tuple[Checked, ...]


def configured(files: Files, release: Release) -> Configured:
    """The jails that the files of a host describe: jail.conf, jail.NAME.conf, jail.conf.d, and rc.conf's jail_*."""
    world = World(files)
    read = [load(path, release, world) for path in _paths(files)]
    seen: dict[str | None, Jail] = {}
    for configuration in read:
        for jail in configuration.jails:
            seen.setdefault(jail.block, jail)
    return Configured(tuple(read), tuple(check_types(jail, release, world=world) for jail in seen.values()))


def by_name(found: Configured) -> dict[str, Checked]:
    """The jails by what they are called."""
    return {checked.jail.text("name") or checked.jail.block or "": checked for checked in found.jails}


def needed(jails: Sequence[Checked]) -> Iterator[JailFiles]:
    """What matters of jails for what their host's tree must hold (userland/needs.py)."""
    for checked in jails:
        path = checked.jail.text("path")
        if path is not None and not checked.jail.failed:
            own = checked.pseudo
            yield JailFiles(
                checked.jail.block or "",
                path,
                (*checked.fstab, *own.mount),
                devfs=own.mount_devfs,
                fdescfs=own.mount_fdescfs,
                procfs=own.mount_procfs,
                log=own.exec_consolelog or "",
            )


def uuid_of(lab: Lab, spec: LabHostSpec) -> uuid.UUID:
    """A host's UUID where its files give none: the same wherever and whenever a lab of this name is brought up."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"vjail:{lab.name}/{spec.name}")


def hostid_of(lab: Lab, spec: LabHostSpec) -> bytes:
    """What a host's /etc/hostid holds."""
    return spec.files["hostid"].content if "hostid" in spec.files else f"{uuid_of(lab, spec)}\n".encode()


def made_with(spec: LabHostSpec) -> dict[str, str]:
    """What a host is made with, once, beside its cards and its files in /etc, by what that is called."""
    digest = hashlib.sha256()
    tree = spec.tree or Path()
    for path in sorted(tree.rglob("*")) if spec.tree is not None else ():
        seen = path.lstat()
        digest.update(os.fsencode(path.relative_to(tree)) + f"\0{seen.st_mode}\0".encode())
        if path.is_symlink():
            digest.update(os.fsencode(path.readlink()))
        elif path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return {"userland": spec.userland, "tree": digest.hexdigest()[:16]}


def made_otherwise(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """What of `made_with` is not what a host was made with, in words."""
    found = []
    if "userland" in old and old["userland"] != new["userland"]:
        found.append(f"userland: {old['userland']} -> {new['userland']}")
    if "tree" in old and old["tree"] != new["tree"]:
        found.append("files of its tree differ, which is laid over a host when that is made")
    return found


def _paths(files: Files) -> Iterator[str]:
    if files.kind(JAIL_CONF) is not None:
        yield JAIL_CONF
    for pattern in ("/etc/jail.*.conf", "/etc/jail.conf.d/*.conf"):
        yield from files.glob(pattern)
    conf, _ = rc_files.load(files, "jail")
    for name in conf.words("jail_list"):
        if legacy.is_configured(conf, name):
            path = legacy.write(files, conf, legacy.plain(name), lambda _: None, 0)
            if path is not None:
                yield path
