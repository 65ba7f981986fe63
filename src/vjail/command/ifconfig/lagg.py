"""Words of laggs. Source: FreeBSD 13.2 sbin/ifconfig/iflagg.c; spec §12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vjail.command.ifconfig.run import Run
from vjail.command.ifconfig.words import Word, one
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import LaggProtocol
from vjail.kernel.operations import LaggAdd, LaggDelete, SetLaggProtocol
from vjail.session import Quit

_TYPES = ("ethernet", "infiniband")
_HASHES = ("l2", "l3", "l4")


def _add(run: Run, words: Sequence[str]) -> None:
    """One that is a port of this lagg already is no error."""
    try:
        run.perform(LaggAdd(run.name, words[1]))
    except KernelError as error:
        if error.errno is not Errno.EEXIST:
            raise Quit(run.explained("SIOCSLAGGPORT", error)) from None


def _delete(run: Run, words: Sequence[str]) -> None:
    run.apply(LaggDelete(run.name, words[1]), "SIOCSLAGGDELPORT")


def _set_protocol(run: Run, words: Sequence[str]) -> None:
    if words[1] not in (protocol.value for protocol in LaggProtocol):
        raise Quit(f"unknown aggregation protocol: {words[1]}")
    run.apply(SetLaggProtocol(run.name, LaggProtocol(words[1])), "SIOCSLAGG")


def _set_hash(run: Run, words: Sequence[str]) -> None:
    """Frames are spread by all three."""
    if any(part not in _HASHES for part in words[1].split(",")):
        raise Quit(f"Invalid lagghash option: {words[1]}")
    interface = run.interface()
    if interface is None or interface.lagg is None:
        raise Quit("SIOCSLAGGHASH: Invalid argument")


def _set_type(run: Run, words: Sequence[str]) -> None:
    if words[1] not in _TYPES:
        raise Quit(f"invalid lagg type: {words[1]}")


CLONE_WORDS: Mapping[str, Word] = {"laggtype": one(_set_type)}
"""Words that may stand between `create` and the first other word."""

WORDS: Mapping[str, Word] = {
    "laggport": one(_add),
    "-laggport": one(_delete),
    "laggproto": one(_set_protocol),
    "lagghash": one(_set_hash),
}
"""The words of laggs."""
