"""The tree of a shell script. Offsets count characters of the text that was parsed."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ShellSyntaxError(Exception):
    """Text that is no shell script: `offset` into it, and what is wrong in sh(1)'s words."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


# --- words ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Literal:
    """Characters that stand for themselves; `quoted` ones are not cut at blanks nor matched as a pattern."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """`$name`, `${name OPERATOR word}`.

    `name` may be a number or one of `@ * # ? - $ !`. `operator` is empty, `length` (`${#name}`), or one of `-` `=` `?`
    `+`, each also with `:` before it, `%` `%%` `#` `##`.
    """

    name: str
    quoted: bool
    start: int
    operator: str = ""
    word: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Substitution:
    """`$(…)` or backquotes: the output of a script."""

    script: Script
    quoted: bool
    start: int


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`$((…))`: an expression, to be calculated after expansion."""

    expression: tuple[Part, ...]
    quoted: bool
    start: int


Part = Literal | Parameter | Substitution | Arithmetic


@dataclass(frozen=True, slots=True)
class Word:
    """One word: its parts, and where it begins and ends."""

    parts: tuple[Part, ...]
    start: int
    end: int

    @property
    def plain(self) -> str | None:
        """Its text where nothing in it is quoted or expanded, otherwise None."""
        if all(isinstance(part, Literal) and not part.quoted for part in self.parts):
            return "".join(part.text for part in self.parts if isinstance(part, Literal))
        return None


# --- commands ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Redirection:
    """`fd OPERATOR target`; `operator` is one of `<` `>` `>>` `>|` `<>` `<&` `>&`, or `<<` with the text as target."""

    fd: int
    operator: str
    target: Word


@dataclass(frozen=True, slots=True)
class Assignment:
    """`name=value`."""

    name: str
    value: Word


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple command: assignments, words, redirections."""

    assignments: tuple[Assignment, ...]
    words: tuple[Word, ...]
    redirections: tuple[Redirection, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Group:
    """`{ …; }`, or with `subshell` `( … )`."""

    body: Script
    subshell: bool
    redirections: tuple[Redirection, ...] = ()


@dataclass(frozen=True, slots=True)
class If:
    """`if … then … elif … else … fi`: conditions with what they lead to, and what else."""

    branches: tuple[tuple[Script, Script], ...]
    otherwise: Script | None
    redirections: tuple[Redirection, ...] = ()


@dataclass(frozen=True, slots=True)
class Loop:
    """`while … do … done`; `until` where that is said."""

    condition: Script
    body: Script
    until: bool
    start: int
    redirections: tuple[Redirection, ...] = ()


@dataclass(frozen=True, slots=True)
class For:
    """`for name in … do … done`; `words` None: the positional parameters."""

    name: str
    words: tuple[Word, ...] | None
    body: Script
    redirections: tuple[Redirection, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """`case word in pattern|…) … ;; esac`."""

    word: Word
    branches: tuple[tuple[tuple[Word, ...], Script], ...]
    redirections: tuple[Redirection, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """`name() body`."""

    name: str
    body: Command


Command = Simple | Group | If | Loop | For | Case | Function


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands joined by `|`; `negated` by a `!` before them."""

    commands: tuple[Command, ...]
    negated: bool


class Joint(enum.Enum):
    """What joins two pipelines."""

    AND = "&&"
    OR = "||"


@dataclass(frozen=True, slots=True)
class Chain:
    """Pipelines joined by `&&` and `||`; in the `background` where `&` stands behind them."""

    first: Pipeline
    rest: tuple[tuple[Joint, Pipeline], ...]
    background: bool


@dataclass(frozen=True, slots=True)
class Script:
    """Chains one after the other."""

    chains: tuple[Chain, ...]
