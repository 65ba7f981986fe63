"""What the grammar is made of: a word takes none, one, two or perhaps one argument and acts on a Run."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vjail.command.ifconfig.run import Run

Action = Callable[[Run, Sequence[str]], None]
"""Acts on the run; handed the word itself and its arguments."""


class Arity(enum.Enum):
    """How many of the words that follow belong to a word."""

    NONE = "none"
    ONE = "one"
    TWO = "two"
    OPTIONAL = "optional"
    """The next word, whatever it is, if there is one."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of the command table."""

    action: Action
    arity: Arity = Arity.NONE


def one(action: Action) -> Word:
    """A word with one argument."""
    return Word(action, Arity.ONE)


def two(action: Action) -> Word:
    """A word with two arguments."""
    return Word(action, Arity.TWO)
