"""A jail's parameters by their types, checked as jail(8) checks them when it is about to do something with the jail.

First its own parameters (check_intparams() in usr.sbin/jail/config.c), which reads the files of `mount.fstab` and looks
up host names on the way: here both are asked of a `World`. Only if all is well are the kernel's parameters converted
(import_params(), and jailparam_import() in lib/libjail/jail.c), and not for a jail that is to be stopped.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from vjail.conf.jailconf.addresses import (
    InterfaceAddress,
    bare_address,
    family_of,
    interface_addresses,
    with_addresses,
)
from vjail.conf.jailconf.jail import Jail, JailParameter, JailValue, prefixed
from vjail.conf.jailconf.libjail import HINT_BOOLEAN, KernelParameter, Refused, cut_message, import_value
from vjail.conf.jailconf.messages import Hint, Kind, Message
from vjail.conf.jailconf.numbers import is_number
from vjail.conf.jailconf.parameters import Known, Role, Type, first_release, lookup, suggest
from vjail.conf.jailconf.pseudo import PseudoParameters, pseudo_parameters
from vjail.conf.position import Span, decode
from vjail.release import Release


class Operation(enum.Enum):
    """What jail(8) is about to do with a jail."""

    START = "start"
    MODIFY = "modify"
    STOP = "stop"


class World(Protocol):
    """What the checks need to know of the host; each raises OSError where it fails."""

    def read(self, path: str) -> bytes:
        """The bytes of a file."""

    def addresses(self, hostname: str) -> Sequence[str]:
        """The IPv4 and IPv6 addresses of a host name; `strerror` of the OSError is what getaddrinfo(3) says."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A jail's parameters by type; where there are messages, the jail is failed and the kernel is told nothing.

    `addresses` are set on the host at the start, `fstab` are the mounts read from the files of `mount.fstab`.
    """

    jail: Jail
    pseudo: PseudoParameters
    addresses: tuple[InterfaceAddress, ...]
    fstab: tuple[str, ...]
    kernel: tuple[KernelParameter, ...]
    messages: tuple[Message, ...]

    @property
    def ok(self) -> bool:
        """Whether jail(8) goes on."""
        return not self.messages


def check_types(
    jail: Jail,
    release: Release,
    operation: Operation = Operation.START,
    *,
    world: World | None = None,
    absent: Collection[str] = (),
) -> Checked:
    """Check a jail's parameters.

    Without a `world`, files of `mount.fstab` and `ip_hostname` are left aside. `absent` names kernel parameters that
    this kernel does not have, for want of a module.
    """
    return _Check(jail, release, absent).run(operation, world)


class _Check:
    """The checks of one jail."""

    def __init__(self, jail: Jail, release: Release, absent: Collection[str]) -> None:
        self.jail = jail
        self.release = release
        self.absent = absent
        self.messages: list[Message] = []

    def run(self, operation: Operation, world: World | None) -> Checked:
        """All checks, in jail(8)'s order."""
        known = [(parameter, lookup(parameter.name, self.release)) for parameter in self.jail.parameters]
        for parameter, entry in known:
            if entry is not None and entry.role is Role.PSEUDO:
                self.pseudo_value(parameter, entry)
        pseudo = pseudo_parameters(self.jail, self.release)

        looked_up: Sequence[JailValue] = ()
        if world is not None and (operation is not Operation.STOP or pseudo.interface is not None):
            looked_up = self.host_addresses(pseudo, world)
        parameters = with_addresses(self.jail.parameters, looked_up)
        addresses = tuple(interface_addresses(parameters, pseudo.interface))
        fstab = tuple(self.fstab_lines(world)) if world is not None else ()

        kernel: tuple[KernelParameter, ...] = ()
        if not self.messages and operation is not Operation.STOP:
            kernel = tuple(self.kernel_parameters(parameters))
        if self.messages:
            kernel = ()
        return Checked(self.jail, pseudo, addresses, fstab, kernel, tuple(self.messages))

    def say(self, kind: Kind, text: str, span: Span, hint: Hint | None = None) -> None:
        """A message about the jail."""
        self.messages.append(Message(kind, prefixed(self.jail.block, text), span, hint))

    def pseudo_value(self, parameter: JailParameter, known: Known) -> None:
        """Check the last value of a boolean or a number of jail(8)'s own."""
        if not parameter.values:
            return
        value = parameter.values[-1]
        if known.type is Type.BOOLEAN:
            if value.text.lower() not in ("", "true", "false") and not is_number(value.text):
                text = f'{parameter.name}: unknown boolean value "{value.text}"'
                self.say(Kind.NOT_BOOLEAN, text, value.span, HINT_BOOLEAN)
        elif known.type is Type.INTEGER and not is_number(value.text):
            text = f'{parameter.name}: non-integer value "{value.text}"'
            self.say(Kind.NOT_INTEGER, text, value.span)

    def host_addresses(self, pseudo: PseudoParameters, world: World) -> list[JailValue]:
        """With `ip_hostname`, the addresses of the jail's host name."""
        hostname = self.jail.parameter("host.hostname")
        if not pseudo.ip_hostname or hostname is None or not hostname.values:
            return []
        value = hostname.values[-1]
        try:
            return [JailValue(address, value) for address in world.addresses(value.text)]
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self.say(Kind.HOSTNAME_LOOKUP, f"host.hostname {value.text}: {reason}", value.span)
            return []

    def fstab_lines(self, world: World) -> Iterator[str]:
        """The lines of the files of `mount.fstab`, comments cut off; empty ones are passed over later."""
        parameter = self.jail.parameter("mount.fstab")
        for value in parameter.values if parameter is not None else ():
            if not value.text:
                continue
            try:
                lines = decode(world.read(value.text)).split("\n")
            except (OSError, ValueError) as error:
                number = error.errno if isinstance(error, OSError) else None
                reason = os.strerror(number) if number is not None else str(error)
                self.say(Kind.FSTAB_UNREADABLE, f"mount.fstab: {value.text}: {reason}", value.span)
                continue
            if lines[-1] == "":
                lines.pop()
            for line in lines:
                yield line.partition("#")[0].partition("\0")[0]

    def kernel_parameters(self, parameters: Sequence[JailParameter]) -> Iterator[KernelParameter]:
        """The kernel's parameters, converted; a message for each that cannot be."""
        for parameter in parameters:
            known = lookup(parameter.name, self.release)
            if known is not None and known.role is Role.PSEUDO:
                continue
            if known is None or known.name in self.absent:
                text = cut_message(f"unknown parameter: {parameter.name}")
                self.say(Kind.UNKNOWN_PARAMETER, text, parameter.span, self.hint_unknown(parameter.name, known))
                continue
            texts = parameter.texts
            if family_of(parameter.name) is not None:
                texts = tuple(bare_address(text) for text in texts)
            if known.type not in (Type.IPV4, Type.IPV6):
                texts = texts[-1:]
            try:
                yield import_value(parameter.name, known, texts)
            except Refused as refused:
                span = parameter.values[-1].span if parameter.values else parameter.span
                self.say(refused.kind, cut_message(refused.text), span, refused.hint)

    def hint_unknown(self, name: str, known: Known | None) -> Hint | None:
        """What an unknown parameter may be about."""
        if known is not None:
            return Hint(f"it comes with the kernel module '{known.module}'" if known.module else "this kernel lacks it")
        if name == ".include":
            return Hint("'.include' is read as a directive from FreeBSD 14 on, and without '='")
        since = first_release(name)
        if since is not None and since > self.release:
            return Hint(f"FreeBSD {since.value} has it")
        near = suggest(name, self.release)
        return Hint(f"did you mean '{near}'?") if near is not None else None
