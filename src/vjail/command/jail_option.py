"""Jails on the command lines of network programs: `vnet JAIL`, and the option `-j JAIL` there is from release 15 on."""

from __future__ import annotations

from vjail.kernel.errno import KernelError
from vjail.kernel.observed import Jail
from vjail.kernel.system import System
from vjail.session import Quit


def find_jail(system: System, word: str) -> Jail:
    """The jail a word names, by jid if it is a number. Raises Quit with what jail_getid(3) says where there is none."""
    try:
        return system.jail(int(word) if word.isdecimal() else word)
    except KernelError as error:
        raise Quit(str(error)) from None


def inside(system: System, word: str) -> System:
    """The system as a jail sees it, for route(8) and netstat(1). Raises Quit where it cannot be entered."""
    try:
        jail = system.jail(int(word) if word.isdecimal() else word)
    except KernelError:
        raise Quit("Jail not found") from None
    try:
        return system.inside(jail.jid)
    except KernelError:
        raise Quit("Cannot attach to jail") from None
