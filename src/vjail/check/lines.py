"""The commands in a jail's exec.* lines, found by reading: each with its words, as far as they are certain, and places.

jail(8) splits a line itself where it has no shell characters, and gives the rest to sh(1); either way the words are the
shell's. A word that depends on what a command prints is not certain; a variable that the line has set before is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vjail.check.values import is_written, locate
from vjail.conf.jailconf import JailValue
from vjail.conf.position import Span
from vjail.conf.sh import ShellSyntaxError, parse
from vjail.conf.sh.syntax import (
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Literal,
    Loop,
    Parameter,
    Script,
    Simple,
    Word,
)
from vjail.jail.phases import Step, Where


@dataclass(frozen=True, slots=True)
class Argument:
    """A word of a command: its text where that is certain, otherwise None; `start` and `end` in the line's text."""

    text: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Line:
    """One value of an exec.* parameter or `command`: what jail(8) runs in a phase."""

    step: Step
    where: Where
    value: JailValue
    script: Script | None
    error: ShellSyntaxError | None
    calls: tuple[Call, ...] = field(default=(), repr=False)

    def span(self, start: int, end: int) -> Span:
        """Where characters of the line stand in the file."""
        return locate(self.value, start, end)


@dataclass(frozen=True, slots=True)
class Call:
    """One simple command. `certain`: it is run whenever the line is; not behind `||`, in a branch or a loop."""

    line: Line
    arguments: tuple[Argument, ...]
    certain: bool
    tolerated: bool
    """Its failing does not fail the line: `|| true`, `&& …`, not the last of several, in a condition."""

    @property
    def name(self) -> str:
        """The program, without its directory; empty where that is not certain."""
        first = self.arguments[0].text
        return "" if first is None else first.rpartition("/")[2]

    @property
    def words(self) -> tuple[str | None, ...]:
        """The words behind the program's name."""
        return tuple(argument.text for argument in self.arguments[1:])

    @property
    def span(self) -> Span:
        """Where it stands."""
        return self.line.span(self.arguments[0].start, self.arguments[-1].end)

    def span_of(self, place: int) -> Span:
        """Where `words[place]` stands."""
        argument = self.arguments[place + 1]
        return self.line.span(argument.start, argument.end)

    def is_written(self, place: int) -> bool:
        """Whether `words[place]` stands in the file as it is, and so can be edited there."""
        argument = self.arguments[place + 1]
        return is_written(self.line.value, argument.start, argument.end)


def read_line(step: Step, where: Where, value: JailValue, environment: Mapping[str, str]) -> Line:
    """Read one line; `environment` are variables whose values are certain when it runs (JNAME, from 15 on)."""
    try:
        script = parse(value.text)
    except ShellSyntaxError as error:
        return Line(step, where, value, None, error)
    line = Line(step, where, value, script, None)
    calls = tuple(_Walk(line, dict(environment)).script(script, True, False))
    object.__setattr__(line, "calls", calls)
    return line


class _Walk:
    """Goes through a script in the order in which it runs."""

    def __init__(self, line: Line, variables: dict[str, str | None]) -> None:
        self._line = line
        self._variables = variables
        """What is known of them: a text, or None for one that was set to something unknown."""

    def script(self, script: Script, certain: bool, tolerated: bool) -> Iterator[Call]:
        last = len(script.chains) - 1
        for place, chain in enumerate(script.chains):
            given = tolerated or place < last or chain.background
            pipelines = [chain.first, *(pipeline for _, pipeline in chain.rest)]
            for at, pipeline in enumerate(pipelines):
                unsure = at > 0
                forgiven = given or pipeline.negated or at < len(pipelines) - 1
                final = len(pipeline.commands) - 1
                for number, command in enumerate(pipeline.commands):
                    yield from self._command(command, certain and not unsure, forgiven or number < final)

    def _command(self, command: Command, certain: bool, tolerated: bool) -> Iterator[Call]:
        match command:
            case Simple():
                for word in (*(each.value for each in command.assignments), *command.words):
                    yield from self._inside(word)
                for assignment in command.assignments:
                    self._variables[assignment.name] = self._text(assignment.value) if certain else None
                if command.words:
                    arguments = tuple(Argument(self._text(word), word.start, word.end) for word in command.words)
                    yield Call(self._line, arguments, certain, tolerated)
            case Group(body):
                yield from self.script(body, certain, tolerated)
            case If(branches, otherwise):
                for place, (condition, body) in enumerate(branches):
                    yield from self.script(condition, certain and place == 0, True)
                    yield from self.script(body, False, tolerated)
                if otherwise is not None:
                    yield from self.script(otherwise, False, tolerated)
            case Loop(condition, body):
                yield from self.script(condition, certain, True)
                yield from self.script(body, False, tolerated)
            case For(name, words, body):
                yield from self._for(name, words, body, certain, tolerated)
            case Case(_, branches):
                for _, body in branches:
                    yield from self.script(body, False, tolerated)
            case Function():
                pass

    def _for(
        self, name: str, words: tuple[Word, ...] | None, body: Script, certain: bool, tolerated: bool
    ) -> Iterator[Call]:
        """A loop over words that are certain is as many rounds."""
        texts = [self._text(word) for word in words or ()]
        if words is None or any(text is None for text in texts):
            self._variables[name] = None
            yield from self.script(body, False, tolerated)
            return
        for text in texts:
            self._variables[name] = text
            yield from self.script(body, certain, tolerated)

    def _inside(self, word: Word) -> Iterator[Call]:
        for part in word.parts:
            if not isinstance(part, Literal | Parameter) and hasattr(part, "script"):
                yield from self.script(part.script, False, True)

    def _text(self, word: Word) -> str | None:
        texts: list[str] = []
        for part in word.parts:
            match part:
                case Literal(text):
                    texts.append(text)
                case Parameter(name, operator=""):
                    known = self._variables.get(name)
                    if known is None or (not part.quoted and set(known) & set(" \t\n*?[")):
                        return None
                    texts.append(known)
                case _:
                    return None
        return "".join(texts)
