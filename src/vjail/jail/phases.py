"""The life of a jail as two lists: what jail(8) does at a start and at a stop, one phase after the other.

A start that fails walks its list backwards from the phase that failed, undoing what can be undone; what exec.* did is
never undone. A stop that fails before the removal leaves the jail as it is; after it, the rest is still done. Sources:
startcommands and stopcommands in FreeBSD 13.2 usr.sbin/jail/jail.c, next_command() in command.c; recorded in
observed/b3_jail_v_order.txt and c3_exec_failures_depend_wildcards.txt.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from vjail.release import Release


class Step(enum.Enum):
    """One phase; the value is the parameter that holds what it does, or for what the kernel does a word."""

    PREPARE = "exec.prepare"
    IP4 = "ip4.addr"
    IP6 = "ip6.addr"
    MOUNT = "mount"
    FSTAB = "mount.fstab"
    DEVFS = "mount.devfs"
    FDESCFS = "mount.fdescfs"
    PROCFS = "mount.procfs"
    PRESTART = "exec.prestart"
    CREATE = "create"
    CREATED = "exec.created"
    DATASETS = "zfs.dataset"
    INTERFACES = "vnet.interface"
    START = "exec.start"
    COMMAND = "command"
    POSTSTART = "exec.poststart"
    PRESTOP = "exec.prestop"
    STOP = "exec.stop"
    TERMINATE = "stop.timeout"
    REMOVE = "remove"
    POSTSTOP = "exec.poststop"
    RELEASE = "exec.release"


class Where(enum.Enum):
    """Where a phase happens."""

    HOST = "host"
    JAIL = "jail"
    KERNEL = "kernel"


class Undo(enum.Enum):
    """What takes a phase back when the start fails later on."""

    NOTHING = "nothing"
    REMOVE_ADDRESS = "ifconfig -alias"
    UNMOUNT = "umount"
    REMOVE_JAIL = "jail_remove"
    RECLAIM_INTERFACE = "ifconfig -vnet"


class Direction(enum.Enum):
    """In which order a phase goes through the values of its parameter."""

    WRITTEN = "as written"
    REVERSED = "reversed"


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of a list. It exists from release `since` on."""

    step: Step
    where: Where
    does: str
    undo: Undo = Undo.NOTHING
    direction: Direction = Direction.WRITTEN
    since: Release = Release.V12


_START = (
    Phase(Step.PREPARE, Where.HOST, "runs each command, before anything else", since=Release.V13),
    Phase(Step.IP4, Where.HOST, "adds each IPv4 address to its interface", Undo.REMOVE_ADDRESS),
    Phase(Step.IP6, Where.HOST, "adds each IPv6 address to its interface", Undo.REMOVE_ADDRESS),
    Phase(Step.MOUNT, Where.HOST, "mounts each line", Undo.UNMOUNT),
    Phase(Step.FSTAB, Where.HOST, "mounts each line of the files", Undo.UNMOUNT),
    Phase(Step.DEVFS, Where.HOST, "mounts a devfs on /dev of the jail", Undo.UNMOUNT),
    Phase(Step.FDESCFS, Where.HOST, "mounts a fdescfs on /dev/fd of the jail", Undo.UNMOUNT),
    Phase(Step.PROCFS, Where.HOST, "mounts a procfs on /proc of the jail", Undo.UNMOUNT),
    Phase(Step.PRESTART, Where.HOST, "runs each command"),
    Phase(Step.CREATE, Where.KERNEL, "creates the jail; jails below it may start", Undo.REMOVE_JAIL),
    Phase(Step.CREATED, Where.HOST, "runs each command"),
    Phase(Step.DATASETS, Where.HOST, "attaches each dataset", since=Release.V15),
    Phase(Step.INTERFACES, Where.HOST, "moves each interface into the jail", Undo.RECLAIM_INTERFACE),
    Phase(Step.START, Where.JAIL, "runs each command"),
    Phase(Step.COMMAND, Where.JAIL, "runs the command"),
    Phase(Step.POSTSTART, Where.HOST, "runs each command"),
)
_STOP = (
    Phase(Step.PRESTOP, Where.HOST, "runs each command, while the jail still runs"),
    Phase(Step.STOP, Where.JAIL, "runs each command"),
    Phase(Step.TERMINATE, Where.KERNEL, "sends SIGTERM to the jail's processes and waits for them"),
    Phase(Step.REMOVE, Where.KERNEL, "removes the jail; jails above it may stop"),
    Phase(Step.POSTSTOP, Where.HOST, "runs each command"),
    Phase(Step.PROCFS, Where.HOST, "unmounts /proc of the jail"),
    Phase(Step.FDESCFS, Where.HOST, "unmounts /dev/fd of the jail"),
    Phase(Step.DEVFS, Where.HOST, "unmounts /dev of the jail"),
    Phase(Step.FSTAB, Where.HOST, "unmounts each line of the files", direction=Direction.REVERSED),
    Phase(Step.MOUNT, Where.HOST, "unmounts each line", direction=Direction.REVERSED),
    Phase(Step.IP6, Where.HOST, "removes each IPv6 address", direction=Direction.REVERSED),
    Phase(Step.IP4, Where.HOST, "removes each IPv4 address", direction=Direction.REVERSED),
    Phase(Step.RELEASE, Where.HOST, "runs each command, after everything else", since=Release.V13),
)

BEFORE_REMOVAL = frozenset({Step.PRESTOP, Step.STOP, Step.TERMINATE, Step.REMOVE})
"""The phases of a stop that `jail -C`, which cleans up after jails that are not running, leaves out."""


def start_phases(release: Release) -> tuple[Phase, ...]:
    """What a start does, in order."""
    return tuple(phase for phase in _START if phase.since <= release)


def stop_phases(release: Release) -> tuple[Phase, ...]:
    """What a stop does, in order."""
    return tuple(phase for phase in _STOP if phase.since <= release)
