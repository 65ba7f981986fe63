"""getopt(3) as FreeBSD's libc does it: options end at the first word that is none, and its two messages.

Knows nothing of any command. Source: FreeBSD 13.2 lib/libc/stdlib/getopt.c, getopt(3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its `letter` and the `argument` it takes."""

    letter: str
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class BadOption:
    """A word that is no option of the command's; `text` is what getopt(3) says of it."""

    text: str


class Getopt:
    """Walks over `words` (without the command's name).

    `letters` is written as for getopt(3): `a` takes nothing, `b:` takes an argument, `c::` may have one in the same
    word. Iterate once; afterwards `operands` are the words that follow the options.
    """

    def __init__(self, words: Sequence[str], letters: str) -> None:
        self._words = words
        self._letters = letters
        self._next = 0

    @property
    def operands(self) -> Sequence[str]:
        """The words not yet walked over."""
        return self._words[self._next :]

    def __iter__(self) -> Iterator[Option | BadOption]:
        while self._next < len(self._words):
            word = self._words[self._next]
            if len(word) < 2 or word[0] != "-":
                return
            self._next += 1
            if word == "--":
                return
            yield from self._cluster(word)

    def _cluster(self, word: str) -> Iterator[Option | BadOption]:
        for place, letter in enumerate(word[1:], start=2):
            match self._takes(letter):
                case None:
                    yield BadOption(f"illegal option -- {letter}")
                case "":
                    yield Option(letter)
                case "::":
                    yield Option(letter, word[place:] or None)
                    return
                case _:
                    yield self._with_argument(letter, word[place:])
                    return

    def _with_argument(self, letter: str, rest: str) -> Option | BadOption:
        if rest:
            return Option(letter, rest)
        if self._next == len(self._words):
            return BadOption(f"option requires an argument -- {letter}")
        self._next += 1
        return Option(letter, self._words[self._next - 1])

    def _takes(self, letter: str) -> str | None:
        """`` for none, `:` or `::`; None for a letter that is no option."""
        at = self._letters.find(letter)
        if at < 0 or letter == ":":
            return None
        after = self._letters[at + 1 : at + 3]
        return after if after == "::" else after[:1] if after[:1] == ":" else ""
