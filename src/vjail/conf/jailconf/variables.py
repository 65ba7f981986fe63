"""Variables: replaced in a jail's merged parameter list, in the order and with the words of jail(8).

A reference finds a variable or a parameter by its exact name. What it finds is resolved first and moved in front of
the one that refers to it; a chain of such steps that comes back to one of its members is a loop. A reference that finds
nothing usable is left out, marks all members of the chain bad, and fails the jail; references to bad ones are left out
too, silently. Source: load_config() in usr.sbin/jail/config.c.

Two things are done otherwise. A reference to a list, where it is the whole string, inserts all elements: that is what
jail(8) means to do, but up to the tree read it crashes. And the text that variables may produce is limited, so that a
file of a few lines that doubles its text in each cannot take all memory.
"""

from __future__ import annotations

import re
from itertools import islice

from vjail.conf.jailconf.jail import JailParameter, JailValue, prefixed
from vjail.conf.jailconf.merge import Entry, ParameterList, Template
from vjail.conf.jailconf.messages import Hint, Kind, Message
from vjail.conf.jailconf.spelling import nearest
from vjail.conf.jailconf.syntax import Variable, join_texts
from vjail.conf.position import Span

EXPANSION_LIMIT = 64 * 1024 * 1024
"""Characters that the values with variables in one configuration may come to, an element counting 128 more."""

_ELEMENT_COST = 128


class Budget:
    """How much text variables may still produce."""

    def __init__(self, limit: int = EXPANSION_LIMIT) -> None:
        self._left = limit

    def spend(self, size: int) -> bool:
        """Take what a text of that size costs; False where the limit is passed."""
        self._left -= size
        return self._left >= 0


class _Pending:
    """A value being resolved: the parts still to come (from `index`), what there is of its text, and where from."""

    __slots__ = ("index", "inserted", "is_paid", "template", "texts")

    def __init__(self, template: Template) -> None:
        self.template = template
        self.index = 0
        self.is_paid = False
        self.texts: list[str] = []
        self.inserted: list[JailValue] = []
        self._take_texts()

    @property
    def reference(self) -> Variable | None:
        """The next reference; None where all are done."""
        parts = self.template.parts
        part = parts[self.index] if self.index < len(parts) else None
        return part if isinstance(part, Variable) else None

    @property
    def is_whole_string(self) -> bool:
        """Whether nothing but the next reference is in the string, what was put in for earlier ones counted."""
        return self.index + 1 == len(self.template.parts) and not any(self.texts)

    def replace(self, value: JailValue | None) -> None:
        """Finish the next reference: put a value in for it, or leave it out."""
        if value is not None:
            self.texts.append(value.text)
            self.inserted.append(value)
        self.index += 1
        self._take_texts()

    def abandon(self) -> None:
        """Finish all references, and keep no text."""
        self.index = len(self.template.parts)
        self.texts = []

    def value(self) -> JailValue:
        """The value it became."""
        return JailValue(join_texts(self.texts), self.template.place, tuple(self.inserted))

    def _take_texts(self) -> None:
        parts = self.template.parts
        while self.index < len(parts):
            part = parts[self.index]
            if not isinstance(part, str):
                break
            self.texts.append(part)
            self.index += 1


class _Work:
    """An entry being resolved: its values, and the `position` of the first that is not done."""

    __slots__ = ("position", "values")

    def __init__(self, entry: Entry) -> None:
        self.position = 0
        self.values = [_Pending(value) if isinstance(value, Template) else value for value in entry.values]

    def finished(self) -> list[JailValue | Template]:
        """The values, all resolved."""
        return [value.value() if isinstance(value, _Pending) else value for value in self.values]


def resolve(parameters: ParameterList, budget: Budget) -> tuple[JailParameter, ...]:
    """Replace the variables in a jail's list; gives its parameters, variables left out."""
    if any(entry.has_references for entry in parameters):
        _Resolver(parameters, budget).run()
    return tuple(_finish(entry) for entry in parameters if not entry.is_variable)


def _finish(entry: Entry) -> JailParameter:
    if entry.finished is not None:
        return entry.finished
    values = tuple(value for value in entry.values if isinstance(value, JailValue))
    return JailParameter(entry.name, values, entry.place)


class _Resolver:
    """The walk over one jail's list: `chain` are the entries on the way to the one being resolved."""

    def __init__(self, parameters: ParameterList, budget: Budget) -> None:
        self.parameters = parameters
        self.budget = budget
        self.is_over_budget = False
        self.generation = 0
        self.chain: list[Entry] = []
        self.work = {entry: _Work(entry) for entry in parameters if entry.has_references}

    def run(self) -> None:
        """Resolve all entries in list order, those moved in front of others included."""
        entry = self.parameters.first
        while entry is not None:
            if entry in self.work:
                self.generation += 1
                entry.generation = self.generation
                self.chain = [entry]
                entry = self.resolve_entry(entry)
            entry = entry.behind

    def resolve_entry(self, entry: Entry) -> Entry:
        """Resolve an entry, or the one its references lead to first; gives the entry that was finished."""
        while True:
            work = self.work[entry]
            needed = self.first_needed(entry, work)
            if needed is None:
                del self.work[entry]
                entry.values = work.finished()
                return entry
            needed.generation = self.generation
            self.chain.append(needed)
            self.parameters.move_before(needed, entry)
            entry = needed

    def first_needed(self, entry: Entry, work: _Work) -> Entry | None:
        """Replace references as far as possible; gives the entry that must be resolved before it goes on."""
        while work.position < len(work.values):
            value = work.values[work.position]
            if isinstance(value, _Pending):
                if not value.is_paid:
                    value.is_paid = True
                    if not self.afford(entry, value.template.place.span, value.template.size):
                        value.abandon()
                while (reference := value.reference) is not None:
                    found = self.find(entry, reference)
                    if found is None:
                        value.replace(None)
                    elif found in self.work:
                        return found
                    else:
                        self.substitute(entry, work, value, reference, found)
            work.position += 1
        return None

    def find(self, entry: Entry, reference: Variable) -> Entry | None:
        """What a reference leads to; None, and the chain marked, where that is not usable."""
        found = self.parameters.find(reference.name)
        if found is None or not found.values:
            text = f'{entry.name}: variable "{reference.name}" not found'
            hint = _hint_not_found(self.parameters, reference, found)
            self.parameters.fail(Kind.VARIABLE_NOT_FOUND, text, reference.span, hint)
        elif found.is_bad:
            self.parameters.failed = True
        elif found.generation == self.generation:
            way = " -> ".join((*(link.name for link in self.chain[-_LOOP_SHOWN:]), reference.name))
            hint = Hint(f"its value leads back to it: {way}")
            self.parameters.fail(Kind.VARIABLE_LOOP, f"{reference.name}: variable loop", reference.span, hint)
        else:
            return found
        self.mark_bad()
        return None

    def substitute(self, entry: Entry, work: _Work, value: _Pending, reference: Variable, found: Entry) -> None:
        """Put what a reference leads to in its place; of a list, the further values behind this one."""
        values = [element for element in found.values if isinstance(element, JailValue)]
        if len(values) > 1 and not value.is_whole_string:
            text = f"{entry.name}: array cannot be substituted inline"
            hint = Hint(f"'{found.name}' has {len(values)} values, and here there is room for one")
            self.parameters.fail(Kind.ARRAY_INLINE, text, reference.span, hint)
            self.mark_bad()
            value.replace(None)
        elif not self.afford(entry, reference.span, sum(len(element.text) + _ELEMENT_COST for element in values)):
            value.abandon()
        else:
            value.replace(values[0])
            if len(values) > 1:
                behind = work.position + 1
                place = value.template.place
                more = [JailValue(other.text, place, (other,)) for other in values[1:]]
                work.values[behind:behind] = more
                text = f"{entry.name}: all {len(values)} values of '{found.name}' inserted; jail(8) itself crashes here"
                self.note(Kind.LIST_INSERTED, text, reference.span)

    def afford(self, entry: Entry, span: Span, size: int) -> bool:
        """Whether text of that size may still be made; otherwise the chain is marked, and it is said once a jail."""
        if self.budget.spend(size):
            return True
        if not self.is_over_budget:
            self.is_over_budget = True
            text = f"{entry.name}: left empty, the variables make more text than vjail handles"
            self.note(Kind.TOO_LARGE, text, span)
        self.parameters.failed = True
        self.mark_bad()
        return False

    def mark_bad(self) -> None:
        """Mark the chain: references to its members are left out from now on."""
        for entry in self.chain:
            entry.is_bad = True

    def note(self, kind: Kind, text: str, span: Span) -> None:
        """Say something that jail(8) does not."""
        self.parameters.messages.append(Message(kind, prefixed(self.parameters.block, text), span))


def _hint_not_found(parameters: ParameterList, reference: Variable, found: Entry | None) -> Hint:
    """Why a reference leads nowhere."""
    if found is not None:
        return Hint(f"'{found.name}' has no value, so nothing can refer to it", found.place.span)
    behind = _NAME_BEHIND.match(reference.span.source.data, reference.span.end)
    if not reference.braced and behind is not None:
        dotted = reference.name + behind.group().decode()
        while dotted != reference.name:
            if parameters.find(dotted) is not None:
                return Hint(f"a name with dots needs braces: ${{{dotted}}}")
            dotted = dotted.rpartition(".")[0]
    if len(parameters.messages) < _SUGGESTIONS:
        near = nearest(reference.name, [entry.name for entry in islice(parameters, _CANDIDATES)])
        if near is not None:
            return Hint(f"did you mean ${{{near}}}?")
    return Hint(f"define it ('${reference.name} = …;'), or write \\${reference.name} where a shell is to see it")


_LOOP_SHOWN = 8
"""So many steps of a loop are told."""

_SUGGESTIONS = 10
_CANDIDATES = 300
"""Names are compared for the first messages of a jail only, and with so many others, to keep broken files cheap."""

_NAME_BEHIND = re.compile(rb"(?:\.[A-Za-z_0-9]+)+")
