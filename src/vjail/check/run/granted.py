"""Interfaces that jails use on the host and none makes: made beforehand where the host's rc.conf is not here.

What rc.conf calls an interface can be anything (`ifconfig_bridge0_name="lan"`), so what it is follows from its use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vjail.check.ifconfig import of_jail
from vjail.check.subject import HostSubject, JailSubject, read
from vjail.jail.phases import Step
from vjail.kernel.errno import KernelError
from vjail.kernel.observed import Iff
from vjail.kernel.operations import CreateInterface, RenameInterface, SetFlags
from vjail.kernel.system import System
from vjail.lab.model import Lab
from vjail.rehearsal.lab import Rehearsal

_CLONED = re.compile(r"(bridge|epair|lo|tap|tun|vlan|vxlan)\d+")
_NAME = re.compile(r"[A-Za-z][\w.-]{0,14}")
_MEMBER = re.compile(r"[a-z]+\d+(\.\d+)?")
"""What an rc.conf makes for a bridge to have: lagg0, em0.30."""
_BESIDE = frozenset(
    ("cp", "echo", "ifconfig", "ln", "logger", "mkdir", "mount", "mount_nullfs", "rm", "sleep", "touch")
)
"""Programs that make no interface, ifconfig without `create`."""
_BEFORE = (Step.PREPARE, Step.PRESTART, Step.CREATED)
_LAST_UNIT = 32767
"""IF_MAXUNIT: what gets another name takes its numbers from the end, where no file counts."""


def grant(host: HostSubject, system: System) -> Iterator[str]:
    """Make them; yields their names, of an epair's end the pair's."""
    unit = _LAST_UNIT
    for name, cloner in missing(host).items():
        try:
            if system.interface(name) is not None:
                continue
            if cloner == name:
                name = _pair(name)
                made = system.apply(CreateInterface(name))
            else:
                made, unit = system.apply(CreateInterface(f"{cloner}{unit}")), unit - 1
                system.apply(RenameInterface(made, name))
                made = name
            system.apply(SetFlags(made, set=Iff.UP))
            yield name
        except KernelError:
            continue


def told(name: str) -> str:
    """What to say of one."""
    return f"{name} is made by no jail; taken for granted, as the host's rc.conf is not here"


def grant_all(lab: Lab, rehearsal: Rehearsal) -> Iterator[str]:
    """Make what each host of a lab that has booted in memory lacks without its rc.conf; yields what to say of it."""
    for host in read(lab, rehearsal.release).hosts:
        if not host.rc_files:
            yield from (f"{host.name}: {told(name)}" for name in grant(host, rehearsal.hosts[host.name].kernel.view()))


def missing(host: HostSubject) -> dict[str, str]:
    """What is used and not made, with what it is made of: the cloner of its use, or itself where its name says it."""
    made: set[str] = set()
    used: dict[str, str] = {}
    for jail in host.jails:
        for line in of_jail(jail):
            if line.creates and line.interface is not None:
                made.add(line.interface)
            if (name := line.argument("name")) is not None:
                made.add(name)
        for name, cloner in _uses(jail):
            used.setdefault(name, cloner)
    return {
        name: name if is_cloned(name) else cloner
        for name, cloner in used.items()
        if _NAME.fullmatch(name) and (is_cloned(name) or cloner) and name not in made and _pair(name) not in made
    }


def _uses(jail: JailSubject) -> Iterator[tuple[str, str]]:
    """The interfaces a jail uses on the host, each with the cloner of such; empty where the use does not tell."""
    makes = any(line.creates for line in of_jail(jail)) or any(
        call.name not in _BESIDE for line in jail.lines if line.step in _BEFORE for call in line.calls
    )
    for line in of_jail(jail):
        for setting in line.settings:
            argument = setting.arguments[0] if setting.arguments else None
            if setting.word == "addm" and argument is not None:
                if line.interface is not None and line.jail is None:
                    yield line.interface, "bridge"
                yield argument, "tap" if _MEMBER.fullmatch(argument) else ""
        if line.jail is None and line.interface is not None and not line.creates:
            yield line.interface, ""
    for name in jail.interfaces:
        # Beside what the jail makes itself, another name is a slip.
        yield name, "" if makes else "tap"
    if not jail.is_vnet:
        for family in ("ip4.addr", "ip6.addr"):
            for text in jail.jail.texts(family):
                if holder := text.rpartition("|")[0] or jail.checked.pseudo.interface:
                    yield holder, "lo"


def is_cloned(name: str) -> bool:
    """Whether cloned_interfaces makes an interface of that name."""
    return _CLONED.fullmatch(_pair(name)) is not None


def _pair(name: str) -> str:
    """An epair for one of its ends; any other name as it is."""
    return re.sub(r"^(epair\d+)[ab]$", r"\1", name)
