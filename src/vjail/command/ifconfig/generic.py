"""Words that any interface takes: flags, numbers, names, groups, vnets, capabilities, media.

Source: FreeBSD 13.2 sbin/ifconfig/{ifconfig.c,ifclone.c,ifgroup.c,iffib.c,ifmedia.c}; spec §2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vjail.command.ifconfig.run import Run
from vjail.command.ifconfig.words import Action, Word, one, two
from vjail.command.jail_option import find_jail
from vjail.command.numeric import atoi, strtoul
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Iff
from vjail.kernel.operations import (
    DestroyInterface,
    JoinGroup,
    LeaveGroup,
    LendInterface,
    Operation,
    ReclaimInterface,
    RenameInterface,
    SetDescription,
    SetFib,
    SetFlags,
    SetMetric,
    SetMtu,
    SetOptions,
)
from vjail.session import Lacking, Quit

_LONGEST_GROUP = 15

_FLAGS = {
    "up": (Iff.UP, True),
    "down": (Iff.UP, False),
    "arp": (Iff.NOARP, False),
    "-arp": (Iff.NOARP, True),
}
_SWITCHES = {
    "debug": Iff.DEBUG,
    "promisc": Iff.PPROMISC,
    "link0": Iff.LINK0,
    "link1": Iff.LINK1,
    "link2": Iff.LINK2,
    "monitor": Iff.MONITOR,
    "staticarp": Iff.STATICARP,
}
_CAPABILITIES = {
    "rxcsum": 0x1, "txcsum": 0x2, "netcons": 0x4, "vlanmtu": 0x8, "vlanhwtag": 0x10, "polling": 0x40,
    "vlanhwcsum": 0x80, "tso4": 0x100, "tso6": 0x200, "tso": 0x300, "lro": 0x400, "wol": 0x3800, "wol_ucast": 0x800,
    "wol_mcast": 0x1000, "wol_magic": 0x2000, "toe": 0xC000, "vlanhwfilter": 0x10000, "vlanhwtso": 0x40000,
    "rxcsum6": 0x200000, "txcsum6": 0x400000, "txrtlmt": 0x1000000, "hwrxtstmp": 0x2000000, "mextpg": 0x4000000,
    "vxlanhwcsum": 0x20000000, "vxlanhwtso": 0x40000000,
}  # fmt: skip


def _flag(flag: Iff, on: bool) -> Action:
    def change(run: Run, words: Sequence[str]) -> None:
        if run.interface() is None:
            raise Quit("ioctl (SIOCGIFFLAGS): no such interface")
        operation = SetFlags(run.name, set=flag) if on else SetFlags(run.name, clear=flag)
        run.apply_generic(operation, words[0])

    return change


def _capability(mask: int, on: bool) -> Action:
    def change(run: Run, words: Sequence[str]) -> None:
        interface = run.interface()
        if interface is None:
            raise Quit("ioctl (SIOCGIFCAP): no such interface")
        wanted = (interface.options | mask if on else interface.options & ~mask) & interface.capabilities
        if wanted != interface.options:
            set_, clear = (mask, 0) if on else (0, mask)
            run.apply_generic(SetOptions(run.name, set_, clear), words[0])

    return change


def _alias(direction: int) -> Action:
    """`alias` adds without removing, `-alias` removes; an address given before `-alias` is the one to remove."""

    def note(run: Run, words: Sequence[str]) -> None:
        if run.has_address and run.alias == 0 and direction < 0:
            run.inet.removed, run.inet6.removed = run.inet.address, run.inet6.address
        run.alias = direction
        run.clear = direction < 0
        if direction < 0:
            run.add = False

    return note


def _set_mtu(run: Run, words: Sequence[str]) -> None:
    run.apply(SetMtu(run.name, atoi(words[1])), "ioctl SIOCSIFMTU (set mtu)")


def _set_metric(run: Run, words: Sequence[str]) -> None:
    run.apply(SetMetric(run.name, atoi(words[1])), "ioctl SIOCSIFMETRIC (set metric)")


def _rename(run: Run, words: Sequence[str]) -> None:
    run.apply(RenameInterface(run.name, words[1]), "ioctl SIOCSIFNAME (set name)")
    run.name, run.renamed = words[1], True


def _describe(run: Run, words: Sequence[str]) -> None:
    run.apply(SetDescription(run.name, words[1]), "ioctl SIOCSIFDESCR (set descr)")


def _do_not_describe(run: Run, words: Sequence[str]) -> None:
    run.apply(SetDescription(run.name, ""), "ioctl SIOCSIFDESCR (set descr)")


def _destroy(run: Run, words: Sequence[str]) -> None:
    run.apply(DestroyInterface(run.name), "SIOCIFDESTROY")


def _join_group(run: Run, words: Sequence[str]) -> None:
    _change_group(run, JoinGroup(run.name, words[1]), words[1], Errno.EEXIST, "setifgroup", " SIOCAIFGROUP")


def _leave_group(run: Run, words: Sequence[str]) -> None:
    _change_group(run, LeaveGroup(run.name, words[1]), words[1], Errno.ENOENT, "unsetifgroup", "SIOCDIFGROUP")


def _change_group(run: Run, operation: Operation[None], group: str, harmless: Errno, function: str, what: str) -> None:
    if group and group[-1].isdigit():
        raise Quit(f"{function}: group names may not end in a digit")
    if len(group) > _LONGEST_GROUP:
        raise Quit(f"{function}: group name too long")
    try:
        run.perform(operation)
    except KernelError as error:
        if error.errno is not harmless:
            raise Quit(run.explained(what, error)) from None


def _lend(run: Run, words: Sequence[str]) -> None:
    run.apply(LendInterface(run.name, find_jail(run.system, words[1]).jid), "SIOCSIFVNET")


def _reclaim(run: Run, words: Sequence[str]) -> None:
    jid = find_jail(run.system, words[1]).jid
    run.apply(ReclaimInterface(run.name, jid), f"SIOCSIFRVNET({jid}, {run.name})")


def _set_fib(run: Run, words: Sequence[str]) -> None:
    """Failures are only warned of."""
    number = strtoul(words[1])
    if number is None:
        run.warn(f"fib {words[1]} not valid: No error: 0")
        return
    try:
        run.perform(SetFib(run.name, number))
    except KernelError as error:
        run.warn(run.explained("ioctl (SIOCSIFFIB)", error))


def _set_tunnel_fib(run: Run, words: Sequence[str]) -> None:
    run.warn("ioctl (SIOCSTUNFIB): Invalid argument")


def _set_tunnel(run: Run, words: Sequence[str]) -> None:
    run.warn("SIOCSIFPHYADDR: Invalid argument")


def _delete_tunnel(run: Run, words: Sequence[str]) -> None:
    raise Quit("SIOCDIFPHYADDR: Invalid argument")


def _set_media(run: Run, words: Sequence[str]) -> None:
    """Interfaces that have a medium have one only, and keep it."""
    interface = run.interface()
    if interface is None or interface.media is None:
        raise Quit("SIOCGIFMEDIA: Invalid argument")


def _set_carp(run: Run, words: Sequence[str]) -> None:
    raise Lacking(f"{words[0]}: there is no carp(4) here")


WORDS: Mapping[str, Word] = {
    **{word: Word(_flag(flag, on)) for word, (flag, on) in _FLAGS.items()},
    **{f"{sign}{word}": Word(_flag(flag, not sign)) for word, flag in _SWITCHES.items() for sign in ("", "-")},
    **{
        f"{sign}{word}": Word(_capability(mask, not sign)) for word, mask in _CAPABILITIES.items() for sign in ("", "-")
    },
    **{word: Word(_alias(1)) for word in ("alias", "add")},
    **{word: Word(_alias(-1)) for word in ("-alias", "delete", "remove")},
    "mtu": one(_set_mtu),
    "metric": one(_set_metric),
    "name": one(_rename),
    "description": one(_describe),
    "descr": one(_describe),
    "-description": Word(_do_not_describe),
    "-descr": Word(_do_not_describe),
    "destroy": Word(_destroy),
    "unplumb": Word(_destroy),
    "group": one(_join_group),
    "-group": one(_leave_group),
    "vnet": one(_lend),
    "-vnet": one(_reclaim),
    "fib": one(_set_fib),
    "tunnelfib": one(_set_tunnel_fib),
    "tunnel": two(_set_tunnel),
    "-tunnel": Word(_delete_tunnel),
    "deletetunnel": Word(_delete_tunnel),
    **{word: one(_set_media) for word in ("media", "mode", "mediaopt", "-mediaopt", "instance", "inst")},
    **{word: one(_set_carp) for word in ("vhid", "advbase", "advskew", "pass", "state")},
}
"""The words any interface takes."""
