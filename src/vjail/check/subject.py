"""What check looks at: the hosts of a lab, their files read as FreeBSD reads them, their jails with all their lines."""

from __future__ import annotations

import errno
import fnmatch
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from vjail.check.ifconfig import Ifconfig, of_lines
from vjail.check.lines import Call, Line, read_line
from vjail.conf.devfs_rules import RulesFile
from vjail.conf.devfs_rules import parse as parse_devfs_rules
from vjail.conf.jailconf import Checked, Configuration, Jail, Kind, Message, check_types, load
from vjail.conf.position import Source
from vjail.conf.rcconf import RcConf, RcFile, evaluate
from vjail.conf.rcconf import parse as parse_rc_conf
from vjail.jail.phases import Step, Where, start_phases, stop_phases
from vjail.lab.etc import default_rc_conf
from vjail.lab.model import Lab, LabHostSpec
from vjail.release import Release

_COMMANDS = {
    phase.step: phase.where
    for phase in (*start_phases(Release.V16), *stop_phases(Release.V16))
    if phase.step.value.startswith("exec.") or phase.step is Step.COMMAND
}
"""The phases that run commands, in the order of a start, then of a stop, and where they do."""


@dataclass(frozen=True)
class JailSubject:
    """A jail of a host."""

    jail: Jail
    checked: Checked
    release: Release

    @property
    def name(self) -> str:
        """What it is called: its block."""
        return self.jail.block or ""

    @cached_property
    def is_vnet(self) -> bool:
        """Whether it has a network stack of its own."""
        parameter = self.jail.parameter("vnet")
        return parameter is not None and (not parameter.texts or parameter.texts[-1] in ("new", "1"))

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Everything it runs, in the order of a start and then of a stop."""
        found: list[Line] = []
        for step, where in _COMMANDS.items():
            parameter = self.jail.parameter(step.value)
            environment: Mapping[str, str] = {}
            if self.release >= Release.V15 and where is Where.HOST:
                environment = {"JNAME": self.jail.text("name") or self.name, "JPATH": self.jail.text("path") or "/"}
            values = parameter.values if parameter is not None else ()
            found += (read_line(step, where, value, environment) for value in values if value.text)
        return tuple(found)

    @cached_property
    def ifconfigs(self) -> tuple[Ifconfig, ...]:
        """Its ifconfig lines."""
        return tuple(of_lines(self.lines, self.name, self.release))

    def calls(self, *names: str) -> Iterator[Call]:
        """The commands of these names."""
        for line in self.lines:
            for call in line.calls:
                if call.name in names:
                    yield call

    @property
    def interfaces(self) -> tuple[str, ...]:
        """What vnet.interface names."""
        return self.checked.pseudo.vnet_interface


@dataclass(frozen=True)
class HostSubject:
    """A host: its files, and the jails that its jail.conf and jail.conf.d describe."""

    spec: LabHostSpec
    release: Release
    reader: HostReader
    configurations: tuple[Configuration, ...]
    jails: tuple[JailSubject, ...]
    rc_files: tuple[RcFile, ...]
    rc: RcConf
    devfs: RulesFile | None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.spec.name


@dataclass(frozen=True)
class Subject:
    """All that is looked at together: one lab."""

    lab: Lab
    release: Release
    hosts: tuple[HostSubject, ...] = field(default=())


def read(lab: Lab, release: Release) -> Subject:
    """Read the files of a lab's hosts."""
    return Subject(lab, release, tuple(_host(spec, release) for spec in lab.hosts.values()))


def _host(spec: LabHostSpec, release: Release) -> HostSubject:
    reader = HostReader(spec)
    configurations = tuple(_configurations(reader, release))
    jails: dict[str | None, Jail] = {}
    for configuration in configurations:
        for jail in configuration.jails:
            jails.setdefault(jail.block, jail)
    paths = (*_RC_CONF, *(path for pattern in _RC_CONF_D for path in reader.glob(pattern)))
    rc_files = [parse_rc_conf(source) for path in paths if (source := reader.source(path)) is not None]
    defaults = parse_rc_conf(Source.of_text("/etc/defaults/rc.conf", default_rc_conf()))
    rules = reader.source("/etc/devfs.rules")
    return HostSubject(
        spec,
        release,
        reader,
        configurations,
        tuple(JailSubject(jail, _checked(jail, release, reader), release) for jail in jails.values()),
        tuple(rc_files),
        evaluate([defaults, *rc_files]),
        None if rules is None else parse_devfs_rules(rules),
    )


def _checked(jail: Jail, release: Release, reader: HostReader) -> Checked:
    """What jail(8) says of a jail's parameters: also of those that it does not come to for want of an fstab."""
    found = check_types(jail, release, world=reader)
    unread = tuple(each for each in found.messages if each.kind is Kind.FSTAB_UNREADABLE)
    if not unread:
        return found
    rest = check_types(without_files(jail, unread), release, world=reader)
    return replace(rest, jail=jail, messages=(*unread, *rest.messages))


def without_files(jail: Jail, unread: Sequence[Message]) -> Jail:
    """The jail without those files of mount.fstab that are told not to be here."""
    absent = {message.cause for message in unread}
    parameters = tuple(
        replace(each, values=tuple(value for value in each.values if value.span not in absent))
        if each.name == "mount.fstab"
        else each
        for each in jail.parameters
    )
    return replace(jail, parameters=parameters)


def _configurations(reader: HostReader, release: Release) -> Iterator[Configuration]:
    """What jail(8) and rc.d/jail read: jail.conf, jail.NAME.conf, and of jail.conf.d what jail.conf includes not."""
    included: set[str] = set()
    paths = ["/etc/jail.conf", *reader.glob("/etc/jail.*.conf"), *reader.glob("/etc/jail.conf.d/*.conf")]
    for path in paths:
        source = reader.source(path)
        if source is not None and path not in included:
            found = load(source, release, reader)
            included |= {file.source.name for file in found.files}
            yield found


_RC_CONF = ("/etc/rc.conf", "/etc/rc.conf.local")
_RC_CONF_D = tuple(
    f"{directory}/rc.conf.d/{below}" for below in ("*", "*/*") for directory in ("/etc", "/usr/local/etc")
)
"""What one service only reads is looked at as if all did: variables have the names of their services."""


class HostReader:
    """The files of a host as jail.conf's loader asks for them: those of its folder, in /etc, and the tree over it.

    A path that is in neither is read from this machine nowhere: it is not there.
    """

    def __init__(self, spec: LabHostSpec) -> None:
        self._spec = spec

    def origin(self, path: str) -> Path | None:
        """The file on this machine that a host's path comes from."""
        name = path.removeprefix("/etc/")
        if path.startswith("/etc/") and name in self._spec.files:
            return self._spec.files[name].origin
        if self._spec.tree is not None:
            inside = self._spec.tree / path.lstrip("/")
            if inside.is_file():
                return inside
        return None

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises OSError."""
        name = path.removeprefix("/etc/")
        if path.startswith("/etc/") and name in self._spec.files:
            return self._spec.files[name].content
        origin = self.origin(path)
        if origin is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return origin.read_bytes()

    def glob(self, pattern: str) -> list[str]:
        """The paths a pattern matches, sorted."""
        found = {
            path
            for name in self._spec.files
            if fnmatch.fnmatchcase(path := f"/etc/{name}", pattern) and path.count("/") == pattern.count("/")
        }
        tree = self._spec.tree
        if tree is not None:
            found |= {f"/{path.relative_to(tree)}" for path in tree.glob(pattern.lstrip("/")) if path.is_file()}
        return sorted(found)

    def source(self, path: str) -> Source | None:
        """A file of the host under the name that it has on this machine, for messages."""
        origin = self.origin(path)
        return None if origin is None else Source(str(origin), self.read(path))

    def addresses(self, hostname: str) -> Sequence[str]:
        """The addresses of a host name: none is known here."""
        raise OSError(errno.ENOENT, "Name does not resolve")
