"""jib(8) and jng(8) lines, the scripts of /usr/share/examples/jails, as they are read: what they make and unmake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vjail.check.lines import Call
from vjail.check.subject import JailSubject
from vjail.jail.phases import Where

_MAKING = {"jib": "addm", "jng": "bridge"}
_UNMAKING = {"jib": "destroy", "jng": "shutdown"}


@dataclass(frozen=True, slots=True)
class Example:
    """One line that makes interfaces, or unmakes those of a name."""

    call: Call
    name: str
    cards: tuple[str, ...]
    bridge: str
    makes: bool

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The ends that jails get."""
        kind = "e{}b_{}" if self.call.name == "jib" else "ng{}_{}"
        return tuple(kind.format(number, self.name) for number in range(len(self.cards)))

    @property
    def bridges(self) -> tuple[str, ...]:
        """The bridges that are made by whoever comes first, and stay; jng's are no interfaces."""
        return tuple(f"{card}{self.bridge}" for card in self.cards) if self.call.name == "jib" else ()


def example_lines(jail: JailSubject) -> Iterator[Example]:
    """Every such line of a jail, as far as its words are certain."""
    for line in jail.lines:
        for call in line.calls if line.where is Where.HOST else ():
            found = _read(call)
            if found is not None:
                yield found


def _read(call: Call) -> Example | None:
    words = [word for word in call.words if word is not None]
    if call.name not in _MAKING or len(words) < max(len(call.words), 2):
        return None
    bridge = "bridge"
    if words[1] == "-b" and len(words) > 3:
        bridge, words = words[2], [words[0], *words[3:]]
    if words[0] == _MAKING[call.name]:
        return Example(call, words[1], tuple(word.removeprefix("=") for word in words[2:]), bridge, makes=True)
    return Example(call, words[1], (), bridge, makes=False) if words[0] == _UNMAKING[call.name] else None
