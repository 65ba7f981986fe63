"""One ifconfig(8) command line that changes something: what it has gathered so far, and how it reports a failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Inet6Flag, Interface
from vjail.kernel.operations import Operation, VxlanSettings
from vjail.kernel.system import System
from vjail.release import Release
from vjail.session import Quit, Session

R = TypeVar("R")


@dataclass(slots=True)
class InetRequest:
    """What the words said of an IPv4 address."""

    address: IPv4Address | None = None
    mask: IPv4Address | None = None
    broadcast: IPv4Address | None = None
    """Or the other end of a point-to-point link."""
    removed: IPv4Address | None = None


@dataclass(slots=True)
class Inet6Request:
    """What the words said of an IPv6 address. `prefixlen` None: nothing was said."""

    address: IPv6Address | None = None
    zone: str | None = None
    prefixlen: int | None = None
    removed: IPv6Address | None = None
    flags: Inet6Flag = Inet6Flag(0)
    pltime: int | None = None
    vltime: int | None = None


@dataclass(slots=True)
class VlanRequest:
    """What the words said of a vlan. `tag` None: nothing was said."""

    tag: int | None = None
    parent: str = ""
    proto: int = 0x8100


@dataclass(slots=True)
class Run:
    """The state of one command line; words act on it from left to right, addresses wait until the end.

    `alias` is 1 after `alias`, -1 after `-alias`; `clear` says that an address is to be removed at the end, `add` that
    one is to be added if `has_address` or `has_mask`.
    """

    session: Session
    system: System
    name: str
    family: str = "inet"
    creating: bool = False
    created: bool = False
    """Whether the interface has been made by now, where `creating` was asked for."""
    renamed: bool = False
    """Whether the name is to be printed at the end."""
    alias: int = 0
    clear: bool = False
    add: bool = True
    has_address: bool = False
    has_mask: bool = False
    inet: InetRequest = field(default_factory=InetRequest)
    inet6: Inet6Request = field(default_factory=Inet6Request)
    lladdr: bytes = b""
    vlan: VlanRequest = field(default_factory=VlanRequest)
    vxlan: VxlanSettings = field(default_factory=VxlanSettings)

    @property
    def release(self) -> Release:
        """The FreeBSD release whose rules hold."""
        return self.system.release

    def interface(self) -> Interface | None:
        """The interface as it is now."""
        return self.system.interface(self.name)

    def warn(self, text: str) -> None:
        """warnx(3)."""
        self.session.err(f"ifconfig: {text}\n")

    def perform(self, operation: Operation[R]) -> R:
        """Carry out an operation. Raises KernelError, EPERM for anybody but root."""
        self.check_privilege()
        return self.system.apply(operation)

    def apply(self, operation: Operation[R], what: str) -> R:
        """Carry out an operation; a failure ends the command as err(3) does: `WHAT: No such file or directory`."""
        try:
            return self.perform(operation)
        except KernelError as error:
            raise Quit(self.explained(what, error)) from None

    def apply_generic(self, operation: Operation[R], what: str) -> R:
        """The same for the ioctls of the interface itself, two of whose errors have words of their own."""
        try:
            return self.perform(operation)
        except KernelError as error:
            raise Quit(self.explained_generic(what, error)) from None

    def explained_generic(self, what: str, error: KernelError) -> str:
        """What apply_generic says of an error."""
        match error.errno:
            case Errno.ENXIO:
                return f"{what}: no such interface"
            case Errno.EPERM:
                return f"{what}: permission denied"
            case _:
                return self.explained(what, error)

    def check_privilege(self) -> None:
        """What the kernel looks at first. Raises KernelError(EPERM) for anybody but root."""
        if self.session.uid != 0:
            raise KernelError(Errno.EPERM)

    def explained(self, what: str, error: KernelError) -> str:
        """`WHAT: STRERROR`, from release 15 on with what the kernel says besides."""
        text = f"{what}: {error.errno.text}"
        return f"{text} ({error.message})" if error.message and self.release >= Release.V15 else text
