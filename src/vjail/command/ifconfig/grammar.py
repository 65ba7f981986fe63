"""The grammar of ifconfig(8): a table of words, evaluated from left to right, with the addresses last.

A word that is in no table is an address: the first one the interface's, a later one the broadcast address or the
other end of the link. Source: FreeBSD 13.2 sbin/ifconfig/ifconfig.c (ifconfig, setifaddr); spec §1.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from vjail.command.ifconfig import bridge, generic, inet, inet6, lagg, link, vlan, vxlan
from vjail.command.ifconfig.listing import FAMILIES, LINK_FAMILIES
from vjail.command.ifconfig.run import Run
from vjail.command.ifconfig.words import Arity, Word, one
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import CreateInterface
from vjail.release import Release
from vjail.session import Lacking, Quit

CREATE = ("create", "plumb")


def _begin(run: Run, words: Sequence[str]) -> None:
    """`create`: what it takes is gathered until another word comes."""


def _set_mask(run: Run, words: Sequence[str]) -> None:
    run.has_mask = True
    match run.family:
        case "inet":
            inet.set_mask(run, words[1])
        case "inet6":
            raise Quit(f"{words[1]}: bad value")
        case _:
            link.refuse()


def _set_second_address(run: Run, words: Sequence[str]) -> None:
    """`broadcast`, or an address after the first."""
    match run.family:
        case "inet":
            inet.set_broadcast(run, words[-1])
        case "inet6":
            raise Quit(f"{words[-1]}: bad value")
        case _:
            link.refuse()


def _set_address(run: Run, words: Sequence[str]) -> None:
    """The interface address; without `alias` it takes the place of another."""
    run.has_address = True
    if run.alias == 0 and run.family not in LINK_FAMILIES:
        run.clear = True
    match run.family:
        case "inet":
            inet.set_address(run, words[0])
        case "inet6":
            inet6.set_address(run, words[0])
        case _:
            link.set_address(run, words[0])


_ADDRESS = Word(_set_address)
_SECOND_ADDRESS = Word(_set_second_address)

_CLONE: Mapping[str, Word] = MappingProxyType(
    {**vlan.CLONE_WORDS, **vxlan.CLONE_WORDS, **lagg.CLONE_WORDS, **{word: Word(_begin) for word in CREATE}}
)
_WORDS: Mapping[str, Word] = MappingProxyType(
    {
        **lagg.WORDS,
        **generic.WORDS,
        **inet6.WORDS,
        **bridge.WORDS,
        **vlan.WORDS,
        **vxlan.WORDS,
        "netmask": one(_set_mask),
        "broadcast": one(_set_second_address),
    }
)
_WORDS_15: Mapping[str, Word] = ChainMap(dict(bridge.WORDS_15), dict(_WORDS))


def arity(word: str, release: Release) -> Arity | None:
    """How many arguments a word takes, None where it is none of ifconfig's and so means an address."""
    known = (_WORDS_15 if release >= Release.V15 else _WORDS).get(word) or _CLONE.get(word)
    return known.arity if known is not None else None


def evaluate(run: Run, words: Sequence[str]) -> None:
    """Act on the words, then do what waited for the end. Raises Quit."""
    table = _WORDS_15 if run.release >= Release.V15 else _WORDS
    rest = list(words)
    while rest:
        if run.creating and not run.created and rest[0] not in _CLONE:
            create(run)
            if rest[0] in FAMILIES:
                run.family = rest.pop(0)
            continue
        known = _CLONE if run.creating and not run.created else table
        word = known.get(rest[0], _SECOND_ADDRESS if run.has_address else _ADDRESS)
        taken = _taken(word, rest)
        word.action(run, rest[:taken])
        del rest[:taken]
    _finish(run)


def _taken(word: Word, rest: Sequence[str]) -> int:
    """How many words belong together. Raises Quit where there are too few."""
    match word.arity:
        case Arity.ONE if len(rest) < 2:
            raise Quit(f"'{rest[0]}' requires argument")
        case Arity.TWO if len(rest) < 3:
            raise Quit(f"'{rest[0]}' requires 2 arguments")
        case Arity.OPTIONAL:
            return min(2, len(rest))
        case Arity.TWO:
            return 3
        case Arity.ONE:
            return 2
        case _:
            return 1


def create(run: Run) -> None:
    """Create the interface; a name the kernel chose is printed in the end. Raises Quit."""
    given = vlan.parameters(run) if vlan.is_vlan_name(run.name) else None
    try:
        name = run.perform(CreateInterface(run.name, given, vxlan.parameters(run)))
    except KernelError as error:
        if error.errno is Errno.EEXIST:
            raise Quit(f"interface {run.name} already exists") from None
        if error.errno is Errno.EOPNOTSUPP and error.message:
            # Not FreeBSD's words: there such an interface can be made.
            raise Lacking(f"SIOCIFCREATE2 ({run.name}): {error.errno.text} ({error.message})") from None
        raise Quit(run.explained(f"SIOCIFCREATE2 ({run.name})", error)) from None
    run.created = True
    if name != run.name:
        run.name, run.renamed = name, True


def _finish(run: Run) -> None:
    """What waits until all words are known: checks, an interface still to be made, addresses."""
    if run.family == "inet":
        inet.check(run)
    if run.creating and not run.created:
        create(run)
    vlan.check(run)
    if run.clear:
        _clear(run)
    if run.add and (run.has_address or run.has_mask):
        _add(run)


def _clear(run: Run) -> None:
    match run.family:
        case "inet":
            inet.remove(run)
        case "inet6":
            inet6.remove(run)
        case family:
            run.warn(f"interface {run.name} cannot change {family} addresses!")


def _add(run: Run) -> None:
    match run.family:
        case "inet":
            inet.add(run)
        case "inet6":
            inet6.add(run)
        case _:
            link.add(run)
