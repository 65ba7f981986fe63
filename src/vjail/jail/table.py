"""jail(8)'s dealings with the kernel's table of jails: finding, creating, changing, and the record that -J writes.

Sources: running_jid(), create_jail(), update_jail(), rdtun_params(), clear_persist(), jailparam_set_note() and
print_jail() in FreeBSD 13.2 usr.sbin/jail/jail.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vjail.conf.jailconf import Checked, Jail, JailParameter, Jailsys, JailValue, KernelParameter, lookup
from vjail.conf.jailconf.addresses import bare_address, family_of
from vjail.conf.jailconf.numbers import is_number, strtol
from vjail.conf.jailconf.parameters import Access
from vjail.conf.jailconf.printer import list_jail, list_value
from vjail.kernel.errno import KernelError
from vjail.kernel.operations import CreateJail, ParameterText, UpdateJail
from vjail.kernel.system import System
from vjail.release import Release

_SEPARATOR = "\t"
"""What stands between the fields of a record (-J)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A jail_set(2): the jid it made (-1: none), the parameters as -v shows them, and the error."""

    jid: int
    shown: str
    error: KernelError | None = None
    made_persistent: bool = False
    """`persist` was set although it is not wanted, for there are commands to run in the jail."""

    @property
    def complaint(self) -> str:
        """What jail(8) says of the error."""
        assert self.error is not None
        return self.error.message or f"jail_set: {self.error.errno.text}"


def running_jid(system: System, jail: Jail, *, dying: bool) -> int:
    """The jid of a configured jail if it runs, otherwise -1."""
    number, name = jail.text("jid"), jail.text("name")
    key: int | str
    if number is not None:
        if not is_number(number) or not strtol(number)[0]:
            return -1
        key = strtol(number)[0]
    elif name is not None:
        key = name
    else:
        return -1
    try:
        return system.jail(key, dying=dying).jid
    except KernelError:
        return -1


def create(system: System, checked: Checked) -> Attempt:
    """Create a jail. It is made persistent for the time of its start where commands are to run in or after it."""
    persists = any(each.option == "persist" and each.value is True for each in checked.kernel)
    commands = (checked.jail.parameter(name) for name in ("exec.start", "command", "exec.poststart"))
    made_persistent = not persists and any(parameter is not None for parameter in commands)
    pairs: list[tuple[str, ParameterText]] = [("persist", None)] if made_persistent else []
    pairs += [(each.name, each.exported) for each in checked.kernel if not made_persistent or each.option != "persist"]
    try:
        jid = system.apply(CreateJail(tuple(pairs)))
    except KernelError as error:
        return Attempt(-1, _shown(pairs), error)
    return Attempt(jid, _shown(pairs), made_persistent=made_persistent)


def update(system: System, checked: Checked, jid: int) -> Attempt | None:
    """Set the parameters of a running jail that can be changed; None where there are none."""
    release = system.release
    pairs = [(each.name, each.exported) for each in checked.kernel if not _is_create_only(each, release)]
    if not pairs:
        return None
    shown = _shown([("jid", str(jid)), *pairs])
    try:
        system.apply(UpdateJail(jid, tuple(pairs)))
    except KernelError as error:
        return Attempt(jid, shown, error)
    return Attempt(jid, shown)


def clear_persist(system: System, jid: int) -> KernelError | None:
    """Take back the persistence that `create` gave; the jail ends here if no process is left. The error, if any."""
    try:
        system.apply(UpdateJail(jid, (("nopersist", None),)))
    except KernelError as error:
        return error
    return None


def create_only_difference(system: System, checked: Checked, jid: int) -> str | None:
    """The first create-only parameter, the jid aside, that the running jail has otherwise than configured."""
    release = system.release
    wanted = [each for each in checked.kernel if _is_create_only(each, release) and each.option != "jid"]
    if not wanted:
        return None
    try:
        present = system.jail(jid, dying=checked.pseudo.allow_dying).parameters
    except KernelError:
        return None
    return next((each.name for each in wanted if present[each.option] != _readback(each)), None)


def _readback(parameter: KernelParameter) -> object:
    """A configured value in the form in which the kernel's are read."""
    value = parameter.value
    return value.name.lower() if isinstance(value, Jailsys) else value


def _is_create_only(parameter: KernelParameter, release: Release) -> bool:
    known = lookup(parameter.option, release)
    return known is not None and known.access is Access.CREATE


def _shown(pairs: Sequence[tuple[str, ParameterText]]) -> str:
    return "".join(f" {name}" if text is None else f" {name}={list_value(text)}" for name, text in pairs)


def variables(jail: Jail, jid: int) -> tuple[tuple[str, str], ...]:
    """What commands on the host find in their environment (15): JID where the jail has or had one, JNAME, JPATH."""
    found = [("JID", str(jid) if jid > 0 else None), ("JNAME", jail.text("name")), ("JPATH", jail.text("path"))]
    return tuple((name, value) for name, value in found if value is not None)


def record(checked: Checked, jid: int, *, old_style: bool) -> str:
    """The line about a jail in the file of -J; the jid is -1 where the start failed."""
    jail = checked.jail
    if not old_style:
        parameters = [*map(_as_set, jail.parameters), *_taken_apart(checked)]
        shown = list_jail(replace(jail, parameters=tuple(parameters)), _SEPARATOR)
        return f"jid={jid}{_SEPARATOR}{shown}\n"
    addresses = [bare_address(text) for name in ("ip4.addr", "ip6.addr") for text in jail.texts(name)]
    fields = (
        str(jid),
        *(",".join(list_value(text) for text in jail.texts(name)) for name in ("path", "host.hostname")),
        ",".join(addresses),
        " ".join(list_value(text) for text in jail.texts("command")),
    )
    return _SEPARATOR.join(fields) + "\n"


def _as_set(parameter: JailParameter) -> JailParameter:
    """A parameter as the kernel is told it: addresses without their interface and mask."""
    if family_of(parameter.name) is None:
        return parameter
    return replace(parameter, values=tuple(replace(each, text=bare_address(each.text)) for each in parameter.values))


def _taken_apart(checked: Checked) -> Iterator[JailParameter]:
    """What jail(8) has added to its list on the way: addresses with their interface, lines of fstab(5)."""
    jail = checked.jail
    for name in ("ip4.addr", "ip6.addr"):
        parameter = jail.parameter(name)
        if parameter is None:
            continue
        everywhere = checked.pseudo.interface is not None
        values = tuple(value for value in parameter.values if everywhere or "|" in value.text)
        if values:
            yield JailParameter(name, values, parameter.place)
    if checked.fstab:
        yield JailParameter("mount.fstab", tuple(JailValue(line, jail.source) for line in checked.fstab), jail.source)
