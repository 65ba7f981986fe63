"""ifconfig(8) command lines as they are read: interface, words with their arguments, the address, each with its place.

The words and how many arguments each takes are the command's own table (command/ifconfig); nothing is carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vjail.check.lines import Call, Line
from vjail.command.ifconfig.grammar import CREATE, arity
from vjail.command.ifconfig.words import Arity
from vjail.conf.position import Span
from vjail.jail.phases import Step, Where
from vjail.release import Release

if TYPE_CHECKING:
    from vjail.check.subject import JailSubject

_FAMILIES = ("inet", "inet6", "link", "ether", "lladdr")
_TAKEN = {Arity.NONE: 0, Arity.ONE: 1, Arity.TWO: 2, Arity.OPTIONAL: 1}


@dataclass(frozen=True, slots=True)
class Setting:
    """A word and its arguments; `place` is the word's among the call's words."""

    word: str
    arguments: tuple[str | None, ...]
    place: int


@dataclass(frozen=True, slots=True)
class Given:
    """An address on a command line: its text as written, the place of it, and what else says something of it."""

    text: str
    place: int
    netmask: Setting | None
    prefixlen: Setting | None
    alias: int
    """1: added beside others, -1: removed, 0: in place of the first (IPv4)."""

    @property
    def address(self) -> str:
        """Without its prefix length and zone."""
        return self.text.partition("/")[0].partition("%")[0]

    @property
    def length(self) -> str | None:
        """What stands behind the slash."""
        return self.text.partition("/")[2] if "/" in self.text else None


@dataclass(frozen=True, slots=True)
class Ifconfig:
    """One ifconfig(8) line that changes something. `jail`: whose vnet it works in, None for the host's."""

    call: Call
    offset: int
    """How many of the call's words stand before the interface's name."""
    jail: str | None
    interface: str | None
    creates: bool
    family: str
    settings: tuple[Setting, ...]
    given: Given | None

    @property
    def step(self) -> Step:
        """The phase it is in."""
        return self.call.line.step

    @property
    def span(self) -> Span:
        """Where it stands."""
        return self.call.span

    def span_of(self, place: int) -> Span:
        """Where a word stands."""
        return self.call.span_of(place)

    def argument(self, word: str) -> str | None:
        """The argument of a word; None where the word is not there, or the argument is not certain."""
        return next((each.arguments[0] for each in self.settings if each.word == word and each.arguments), None)

    def has(self, word: str) -> bool:
        """Whether a word is there."""
        return any(each.word == word for each in self.settings)


def of_jail(jail: JailSubject) -> Sequence[Ifconfig]:
    """Every ifconfig line of a jail, those that jexec(8) runs in it included, in the order of its phases."""
    return jail.ifconfigs


def of_lines(lines: Iterable[Line], jail: str, release: Release) -> Iterator[Ifconfig]:
    """The ifconfig lines among those of the jail called `jail`."""
    for line in lines:
        for call in line.calls:
            found = read(call, jail if line.where is Where.JAIL else None, release)
            if found is not None:
                yield found


def read(call: Call, jail: str | None, release: Release) -> Ifconfig | None:
    """The line as ifconfig reads it; None where it is another program, or shows something."""
    skipped = 0
    if call.name == "jexec" and len(call.words) > 2:
        place = next((at for at, word in enumerate(call.words) if word is None or not word.startswith("-")), 0)
        if (call.words[place + 1] or "").rpartition("/")[2] != "ifconfig":
            return None
        jail, skipped = call.words[place], place + 2
    elif call.name != "ifconfig":
        return None
    words = call.words[skipped:]
    if words[:1] == ("-j",):
        jail, words, skipped = words[1] if len(words) > 1 else None, words[2:], skipped + 2
    if len(words) < 2 or (words[0] is not None and words[0].startswith("-")):
        return None
    return _Reader(call, words, skipped, jail, release).run()


class _Reader:
    """Goes through the words of one line."""

    def __init__(
        self, call: Call, words: tuple[str | None, ...], offset: int, jail: str | None, release: Release
    ) -> None:
        self._call = call
        self._words = words
        self._offset = offset
        self._jail = jail
        self._release = release

    def run(self) -> Ifconfig:
        words = self._words
        at, family, creates, alias = 1, "inet", False, 0
        address: tuple[str, int] | None = None
        settings: list[Setting] = []
        if at < len(words) and words[at] in CREATE:
            creates, at = True, at + 1
        if at < len(words) and words[at] in _FAMILIES:
            family, at = words[at] or family, at + 1
        while at < len(words):
            word = words[at]
            kind = None if word is None else arity(word, self._release)
            if word is None or kind is None:
                if address is None and word is not None:
                    address = word, at + self._offset
                at += 1
                continue
            taken = min(_TAKEN[kind], len(words) - at - 1)
            settings.append(Setting(word, words[at + 1 : at + 1 + taken], at + self._offset))
            if word in ("alias", "add"):
                alias = 1
            elif word in ("-alias", "delete", "remove"):
                alias = -1
            at += 1 + taken
        given = None
        if address is not None:
            named = {each.word: each for each in settings}
            given = Given(*address, named.get("netmask"), named.get("prefixlen"), alias)
        return Ifconfig(self._call, self._offset, self._jail, words[0], creates, family, tuple(settings), given)
