"""Words of vxlan and lagg, which no kernel here can make: they are understood, and refused as the kernel does.

Source: FreeBSD 13.2 sbin/ifconfig/{ifvxlan.c,iflagg.c}; spec §12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vjail.command.ifconfig.run import Run
from vjail.command.ifconfig.words import Action, Arity, Word
from vjail.session import Quit

_VXLAN = {
    "vxlanid": ("VXLAN_CMD_SET_VNI", Arity.ONE),
    "vni": ("VXLAN_CMD_SET_VNI", Arity.ONE),
    "vxlanlocal": ("VXLAN_CMD_SET_LOCAL_ADDR", Arity.ONE),
    "vxlanremote": ("VXLAN_CMD_SET_REMOTE_ADDR", Arity.ONE),
    "vxlangroup": ("VXLAN_CMD_SET_REMOTE_ADDR", Arity.ONE),
    "vxlanlocalport": ("VXLAN_CMD_SET_LOCAL_PORT", Arity.ONE),
    "vxlanremoteport": ("VXLAN_CMD_SET_REMOTE_PORT", Arity.ONE),
    "vxlanportrange": ("VXLAN_CMD_SET_PORT_RANGE", Arity.TWO),
    "vxlantimeout": ("VXLAN_CMD_SET_FTABLE_TIMEOUT", Arity.ONE),
    "vxlanmaxaddr": ("VXLAN_CMD_SET_FTABLE_MAX", Arity.ONE),
    "vxlandev": ("VXLAN_CMD_SET_MULTICAST_IF", Arity.ONE),
    "vxlanttl": ("VXLAN_CMD_SET_TTL", Arity.ONE),
    "vxlanlearn": ("VXLAN_CMD_SET_LEARN", Arity.NONE),
    "-vxlanlearn": ("VXLAN_CMD_SET_LEARN", Arity.NONE),
}
_VXLAN_ONLY = {
    "vxlanflush": ("VXLAN_CMD_FLUSH", Arity.NONE),
    "vxlanflushall": ("VXLAN_CMD_FLUSH", Arity.NONE),
}
_LAGG = {
    "laggport": ("SIOCSLAGGPORT", Arity.ONE),
    "-laggport": ("SIOCSLAGGDELPORT", Arity.ONE),
    "laggproto": ("SIOCSLAGG", Arity.ONE),
    "lagghash": ("SIOCSLAGGHASH", Arity.ONE),
}


def _refuse(ioctl: str) -> Action:
    def refuse(run: Run, words: Sequence[str]) -> None:
        raise Quit(f"{ioctl}: Invalid argument")

    return refuse


def _gather(run: Run, words: Sequence[str]) -> None:
    """Creating gathers what is wanted; the kernel will not know the cloner."""


CLONE_WORDS: Mapping[str, Word] = {
    **{word: Word(_gather, arity) for word, (_, arity) in _VXLAN.items()},
    "laggtype": Word(_gather, Arity.ONE),
}
"""Words that may stand between `create` and the first other word."""

WORDS: Mapping[str, Word] = {
    word: Word(_refuse(ioctl), arity) for word, (ioctl, arity) in {**_VXLAN, **_VXLAN_ONLY, **_LAGG}.items()
}
"""The words on interfaces that exist, which are of other kinds."""
