"""The parameter list of one jail while it is built: definitions are added one after the other, as add_param() does.

Adding looks for an option of the same meaning already there (options.py), then replaces, appends or clears its values;
the option takes the new spelling. Source: add_param() in usr.sbin/jail/config.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vjail.conf.jailconf import options
from vjail.conf.jailconf.jail import JailParameter, JailValue, prefixed
from vjail.conf.jailconf.messages import Hint, Kind, Message
from vjail.conf.jailconf.parameters import special_names
from vjail.conf.jailconf.syntax import Operator, Parameter, Value, Variable, join_texts
from vjail.conf.position import Located, Span
from vjail.release import Release

_IMMUTABLE = frozenset({"name", "jid"})
"""Parameters that can be set once, the block's name counted."""


@dataclass(frozen=True, slots=True)
class Template:
    """A value with variables in it: texts and references in order, no text empty."""

    parts: tuple[str | Variable, ...]
    place: Located
    size: int
    """The length of its texts."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One statement, ready to be added to many jails."""

    name: str
    place: Located
    is_variable: bool
    appends: bool
    values: tuple[JailValue | Template, ...]
    finished: JailParameter | None
    """What it amounts to alone, where no variable is in it."""


def define(parameter: Parameter) -> Definition:
    """The definition that a statement is."""
    values = tuple(_value(value) for value in parameter.values)
    name = parameter.name
    literal = tuple(value for value in values if isinstance(value, JailValue))
    finished = JailParameter(name.text, literal, name) if len(literal) == len(values) else None
    appends = parameter.operator is Operator.APPEND
    return Definition(name.text, name, name.variable, appends, values, finished)


def plain(name: str, text: str | None, place: Located) -> Definition:
    """A definition made of words: what a block's name implies, or an argument on a command line. It appends."""
    values = () if text is None else (JailValue(text, place),)
    return Definition(name, place, False, True, values, JailParameter(name, values, place))


def _value(value: Value) -> JailValue | Template:
    parts: list[str | Variable] = []
    texts: list[str] = []
    for part in value.parts():
        if not isinstance(part, Variable):
            texts.append(part.text)
            continue
        if any(texts):
            parts.append(join_texts(texts))
        texts = []
        parts.append(part)
    if not parts:
        return JailValue(join_texts(texts), value)
    if any(texts):
        parts.append(join_texts(texts))
    return Template(tuple(parts), value, sum(len(part) for part in parts if isinstance(part, str)))


class Entry:
    """A parameter or variable in the list. Entries are a linked list: resolving variables moves them."""

    __slots__ = (
        "before",
        "behind",
        "finished",
        "generation",
        "has_references",
        "is_bad",
        "is_immutable",
        "is_variable",
        "name",
        "order",
        "place",
        "values",
    )

    def __init__(self, definition: Definition, order: int) -> None:
        self.name = definition.name
        self.place = definition.place
        self.is_variable = definition.is_variable
        self.values: Sequence[JailValue | Template] = definition.values
        self.finished = definition.finished
        self.has_references = definition.finished is None
        self.order = order
        self.is_immutable = False
        self.is_bad = False
        self.generation = 0
        self.before: Entry | None = None
        self.behind: Entry | None = None

    def add(self, definition: Definition) -> None:
        """Take a further definition of the same option."""
        if definition.appends and definition.values and self.values:
            if not isinstance(self.values, list):
                self.values = list(self.values)
            self.values.extend(definition.values)
            self.finished = None
            self.has_references = self.has_references or definition.finished is None
        else:
            self.values = definition.values
            self.finished = definition.finished
            self.has_references = definition.finished is None
        self.name = definition.name
        self.place = definition.place


class ParameterList:
    """The list of one jail. `block` is the jail's name in messages (None: it has none)."""

    def __init__(self, block: str | None, release: Release) -> None:
        self.block = block
        self.release = release
        self.first: Entry | None = None
        self.last: Entry | None = None
        self.messages: list[Message] = []
        self.failed = False
        self._count = 0
        self._by_name: dict[str, Entry] = {}
        self._namesakes: set[str] = set()
        self._special: dict[str, Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        entry = self.first
        while entry is not None:
            yield entry
            entry = entry.behind

    def find(self, name: str) -> Entry | None:
        """The first entry of exactly that name."""
        if name in self._namesakes:
            return next((entry for entry in self if entry.name == name), None)
        return self._by_name.get(name)

    def add(self, definition: Definition) -> None:
        """Add a definition to what is there."""
        found = self._same_option(definition.name)
        if found is None:
            self._append(definition)
        elif self._may_change(found, definition):
            self._change(found, definition)

    def add_special(self, definition: Definition) -> None:
        """Add a definition of a parameter jail(8) knows, as it adds its own: found by what it is, not by name."""
        found = self._special.get(definition.name)
        if found is not None:
            if self._may_change(found, definition):
                self._change(found, definition)
            return
        entry = self._link(definition)
        entry.is_immutable = definition.name in _IMMUTABLE
        self._special[definition.name] = entry

    def has_special(self, name: str) -> bool:
        """Whether a parameter jail(8) knows is set."""
        return name in self._special

    def move_before(self, entry: Entry, other: Entry) -> None:
        """Move an entry in front of another."""
        self._unlink(entry)
        entry.before, entry.behind = other.before, other
        if other.before is not None:
            other.before.behind = entry
        else:
            self.first = entry
        other.before = entry

    def fail(self, kind: Kind, text: str, span: Span, hint: Hint | None = None) -> None:
        """Say what is wrong and mark the jail failed."""
        self.messages.append(Message(kind, prefixed(self.block, text), span, hint))
        self.failed = True

    def _same_option(self, name: str) -> Entry | None:
        """The first entry whose name is the same option."""
        found = None
        for spelling in _spellings(name):
            entry = self._by_name.get(spelling)
            if entry is not None and (found is None or entry.order < found.order):
                found = entry
        return found

    def _may_change(self, entry: Entry, definition: Definition) -> bool:
        if entry.is_variable != definition.is_variable:
            self._clash(definition)
            return False
        if entry.is_immutable:
            hint = None
            if entry.name == "name" and self.block is not None:
                hint = Hint(f"the block's name is the jail's name already; rename the block '{self.block}' instead")
            text = f'cannot redefine parameter "{entry.name}".'
            self.fail(Kind.PARAMETER_REDEFINED, text, definition.place.span, hint)
            return False
        return True

    def _clash(self, definition: Definition) -> None:
        text = f'variable "${definition.name}" cannot have the same name as a parameter.'
        self.fail(Kind.VARIABLE_NAMED_AS_PARAMETER, text, definition.place.span, Hint("give the variable another name"))

    def _change(self, entry: Entry, definition: Definition) -> None:
        if entry.name == definition.name:
            entry.add(definition)
            return
        if self._by_name.get(entry.name) is entry:
            del self._by_name[entry.name]
            if entry.name in self._namesakes:
                self._index_first_other(entry)
        entry.add(definition)
        self._index(entry)

    def _append(self, definition: Definition) -> None:
        entry = self._link(definition)
        special = _special_name(definition.name, self.release)
        if special is None:
            return
        if definition.is_variable:
            self._clash(definition)
            return
        entry.is_immutable = special in _IMMUTABLE
        self._special[special] = entry

    def _link(self, definition: Definition) -> Entry:
        entry = Entry(definition, self._count)
        self._count += 1
        entry.before = self.last
        if self.last is not None:
            self.last.behind = entry
        else:
            self.first = entry
        self.last = entry
        self._index(entry)
        return entry

    def _unlink(self, entry: Entry) -> None:
        if entry.before is not None:
            entry.before.behind = entry.behind
        else:
            self.first = entry.behind
        if entry.behind is not None:
            entry.behind.before = entry.before
        else:
            self.last = entry.before

    def _index(self, entry: Entry) -> None:
        """Let the entry be found by its name, the first of namesakes before the others.

        Two entries have one name only in odd cases: a variable `$name` in a jail named by a number, or options that
        became the same by renaming one to the other (`x.y`, `nox.noy`, then `x.noy` twice over).
        """
        other = self._by_name.setdefault(entry.name, entry)
        if other is not entry:
            self._namesakes.add(entry.name)
            if entry.order < other.order:
                self._by_name[entry.name] = entry

    def _index_first_other(self, gone: Entry) -> None:
        others = [entry for entry in self if entry.name == gone.name and entry is not gone]
        if others:
            self._by_name[gone.name] = min(others, key=lambda entry: entry.order)


@lru_cache(4096)
def _spellings(name: str) -> tuple[str, ...]:
    return options.spellings(name)


@lru_cache(4096)
def _special_name(name: str, release: Release) -> str | None:
    return options.match(name, special_names(release))
