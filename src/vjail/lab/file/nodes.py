"""YAML as a tree of nodes with places; scalars are text until the schema says otherwise.

YAML 1.1's own rules would make numbers of `.10` and `1:20` and booleans of `on` and `no`. So nothing is resolved here:
PyYAML only cuts the text. Duplicate keys are mistakes. Knows nothing of labs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import yaml

from vjail.lab.file.unread import Unread
from vjail.lab.model import LabError, Problem

T = TypeVar("T")

_HINTS = {
    "character '\\t'": "indent with blanks, not with tabs",
    "that cannot start any token": "write the text in quotes",
    "found ':'": 'write an address that begins with a colon in quotes: "::1"',
    "got '{'": "write a text with ${name} in it in quotes: between braces, its own brace is YAML's",
    "got '<stream end>'": "close the bracket",
    "got ':'": "close the bracket before; or write a text with `: ` in it in quotes",
    "mapping values are not allowed": "indent keys of one level alike; or write a text with `: ` in it in quotes",
    "unexpected end of stream": "the quote that begins here is never closed",
    "another document": "one document a file: take the line `---` out",
    "undefined alias": "a text that begins with * needs quotes",
    "expected alphabetic or numeric character": "a text that begins with * or & needs quotes",
}
"""What to do, by words in what PyYAML says."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a file, line and column from 1."""

    path: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class At(Generic[T]):
    """A value and where it stands."""

    value: T
    place: Place = field(compare=False)


class Problems:
    """The mistakes found so far."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def say(self, place: Place, text: str, hint: str = "") -> None:
        """A mistake, and what is expected instead or to be done."""
        problem = Problem(place.path, text, place.line, place.column, hint)
        if problem not in self._found:
            self._found.append(problem)

    def add(self, others: Problems) -> None:
        """Those of another list too."""
        self._found += [each for each in others._found if each not in self._found]

    def take(self, error: LabError) -> None:
        """Those of an error."""
        self._found += [each for each in error.problems if each not in self._found]

    def __bool__(self) -> bool:
        return bool(self._found)

    def stop(self) -> None:
        """Raise LabError with all that was found, if anything was."""
        if self._found:
            raise LabError(*sorted(self._found, key=lambda each: (each.path, each.line, each.column)))


Variables = Mapping[str, str | None]
"""What `${name}` stands for; None where that is not known, which was told where it is defined."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a file's tree, with variables put in. `keys` lead to it; an element of a list is named by its place."""

    node: yaml.Node
    path: str
    problems: Problems
    unread: Unread
    variables: Variables
    keys: tuple[Hashable, ...] = ()

    @property
    def place(self) -> Place:
        """Where it begins."""
        return self.place_of(self.node)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is given: `key:` alone, or `null`."""
        return (
            isinstance(self.node, yaml.ScalarNode) and self.node.style is None and self.node.value in ("", "~", "null")
        )

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single value."""
        return isinstance(self.node, yaml.ScalarNode)

    @property
    def text(self) -> str | None:
        """The text of a scalar; None for what is none, and where a variable in it is not known, which is told."""
        if not isinstance(self.node, yaml.ScalarNode):
            return None
        used = list(self.used())
        for each in used:
            if each.value not in self.variables and not self.unread.may_have("variables", each.value):
                self._say_unknown(each)
        if any(self.variables.get(each.value) is None for each in used):
            self.unread.add(*self.keys)
            return None
        return _VARIABLE.sub(lambda found: self.variables[found[1]] or "", self.node.value)

    def used(self) -> Iterator[At[str]]:
        """The variables that a scalar names, each where it does."""
        if isinstance(self.node, yaml.ScalarNode):
            for found in _VARIABLE.finditer(self.node.value):
                yield At(found[1], self._at(found.start()))

    def _at(self, offset: int) -> Place:
        """Where a character of a scalar is; where the scalar begins, if its text is not as it is written."""
        assert isinstance(self.node, yaml.ScalarNode)
        start, end = self.node.start_mark, self.node.end_mark
        quotes = 1 if self.node.style in ("'", '"') else 0
        as_written = end.index - start.index == len(self.node.value) + 2 * quotes and start.line == end.line
        return Place(self.path, start.line + 1, start.column + 1 + (quotes + offset if as_written else 0))

    def _say_unknown(self, used: At[str]) -> None:
        name = used.value
        hint = f"define it in {self.path}: `variables: {{{name}: TEXT}}`"
        if near := nearest(name, self.variables):
            hint = f"{near} Or {hint}"
        elif name.isupper():
            hint = f"one of the shell's is written ${name}; or {hint}"
        self.problems.say(used.place, f"there is no variable {name!r}", hint)

    @property
    def is_mapping(self) -> bool:
        """Whether it is `key: value` pairs."""
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.node, yaml.SequenceNode)

    def items(self) -> Iterator[Node]:
        """The elements of a list."""
        assert isinstance(self.node, yaml.SequenceNode)
        for each in self.node.value:
            yield self._with(each, self.place_of(each))

    def entries(self) -> Iterator[tuple[At[str], Node]]:
        """The keys of a mapping with their values, each once; one that stands twice is a mistake."""
        assert isinstance(self.node, yaml.MappingNode)
        seen: set[str] = set()
        for key, value in self.node.value:
            name = self._with(key, self.place_of(key))
            text = name.text
            if text is None:
                if not name.is_scalar:
                    name.say("a name is expected here")
                self.unread.open(*self.keys)
                continue
            if text in seen:
                self.say_key(At(text, name.place), f"{text!r} is given twice", "keep one of them")
                continue
            seen.add(text)
            if text == "<<":
                hint = "what jails have in common stands under `defaults:` or `groups:`"
                self.say_key(At(text, name.place), "YAML's << is not read", hint)
                continue
            yield At(text, name.place), self._with(value, text)

    def say(self, text: str, hint: str = "") -> None:
        """A mistake at this place: what is here is not known."""
        self.problems.say(self.place, text, hint)
        self.unread.add(*self.keys)

    def say_key(self, key: At[str], text: str, hint: str = "") -> None:
        """A mistake at a key of this mapping: what is there is not known."""
        self.problems.say(key.place, text, hint)
        self.unread.add(*self.keys, key.value)

    def place_of(self, node: yaml.Node) -> Place:
        """Where a node of the same file begins."""
        return Place(self.path, node.start_mark.line + 1, node.start_mark.column + 1)

    def _with(self, node: yaml.Node, key: Hashable) -> Node:
        return replace(self, node=node, keys=(*self.keys, key))


def compose(path: str, content: bytes, problems: Problems, unread: Unread) -> Node | None:
    """The tree of a file; None where it is empty. Raises LabError where it is no YAML."""
    try:
        node = yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        # Where text ends too early, what matters is where it began.
        ended = error.context_mark if "unexpected end of stream" in (error.problem or "") else None
        mark = ended or error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        text = " ".join((error.problem or error.context or "it cannot be read").split())
        hint = next((hint for words, hint in _HINTS.items() if words in text), "")
        raise LabError(Problem(path, f"not YAML: {text}", *place, hint)) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise LabError(Problem(path, f"not YAML: {' '.join(str(error).split())}")) from None
    return None if node is None else Node(node, path, problems, unread, {})


def nearest(word: str, known: Iterable[str], near: float = 0.6) -> str:
    """`did you mean …?`, empty where nothing is near (1: the same)."""
    close = difflib.get_close_matches(word, list(known), 1, near)
    return f"did you mean {close[0]!r}?" if close else ""
