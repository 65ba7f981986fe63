"""Words of lagg, which cannot be made here: they are understood, and refused as on an interface that is none.

Source: FreeBSD 13.2 sbin/ifconfig/iflagg.c; spec §12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vjail.command.ifconfig.run import Run
from vjail.command.ifconfig.words import Action, Arity, Word
from vjail.session import Quit

_LAGG = {
    "laggport": "SIOCSLAGGPORT",
    "-laggport": "SIOCSLAGGDELPORT",
    "laggproto": "SIOCSLAGG",
    "lagghash": "SIOCSLAGGHASH",
}


def _refuse(ioctl: str) -> Action:
    def refuse(run: Run, words: Sequence[str]) -> None:
        raise Quit(f"{ioctl}: Invalid argument")

    return refuse


def _gather(run: Run, words: Sequence[str]) -> None:
    """Creating gathers what is wanted, and is refused then."""


CLONE_WORDS: Mapping[str, Word] = {"laggtype": Word(_gather, Arity.ONE)}
"""Words that may stand between `create` and the first other word."""

WORDS: Mapping[str, Word] = {word: Word(_refuse(ioctl), Arity.ONE) for word, ioctl in _LAGG.items()}
"""The words on interfaces that exist, which are of other kinds."""
