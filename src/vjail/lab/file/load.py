"""Reads a lab file with what it includes: the description, each value with its place, as far as it can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vjail.lab.file.description import FILE, LabFile
from vjail.lab.file.nodes import At, Node, Problems, Variables, compose
from vjail.lab.file.schema import TEXT, Listed
from vjail.lab.file.unread import Unread
from vjail.lab.model import LabError

_DEEP = 16
"""Files that may include one another."""
_JOINED = tuple(each.name for each in fields(LabFile) if each.default_factory is dict)
"""The keys whose names come from this file and from those that it includes."""

Read = Callable[[Path], bytes]
"""Reads a file; raises LabError with its path where that fails."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a lab file says as far as it can be read, the mistakes of its form, and what could not be read for them."""

    file: LabFile
    problems: Problems
    unread: Unread


@dataclass(frozen=True, slots=True)
class _Source:
    """A file's tree, with the files that it includes."""

    top: Node | None
    includes: tuple[_Source, ...] = ()
    variables: Variables = field(default_factory=dict)
    """Its own and those of its includes, its own above theirs."""


def load(path: Path, read: Read) -> Loaded:
    """What of a file and those it includes can be read. Raises LabError where the file itself is none, or no YAML."""
    problems, unread = Problems(), Unread()
    source = _open(path, read, problems, unread, {}, ())
    return Loaded(_description(source, {}), problems, unread)


def _open(
    path: Path, read: Read, problems: Problems, unread: Unread, given: Variables, way: tuple[Path, ...]
) -> _Source:
    """A file with those it includes. `given`: the variables of who includes it, which go above its own."""
    top = compose(str(path), read(path), problems, unread)
    if top is None or not top.is_mapping:
        return _Source(top)
    own = {**_variables(top, given), **given}
    includes: list[_Source] = []
    for each in _includes(replace(top, variables=own)):
        inner = path.parent / each.value
        if len(way) == _DEEP or inner.resolve() in (*way, path.resolve()):
            problems.say(each.place, f"{each.value} leads back to itself", "a file cannot include itself")
            continue
        if not inner.is_file():
            problems.say(each.place, f"there is no file {each.value}", f"it is looked for beside {path.name}")
            _may_say_anything(unread)
            continue
        try:
            includes.append(_open(inner, read, problems, unread, own, (*way, path.resolve())))
        except LabError as error:
            problems.take(error)
            _may_say_anything(unread)
    variables: dict[str, str | None] = {}
    for source in reversed(includes):
        variables |= source.variables
    return _Source(top, tuple(includes), {**variables, **own})


def _may_say_anything(unread: Unread) -> None:
    """A file that cannot be read may have given any name, and defaults."""
    unread.add("defaults")
    for name in (*_JOINED, "links"):
        unread.open(name)


def _includes(top: Node) -> Iterator[At[str]]:
    """What `include:` names; its mistakes are told when the file's keys are read."""
    for key, value in replace(top, problems=Problems(), unread=Unread()).entries():
        if key.value == "include":
            yield from Listed(TEXT).read(value) or ()


def _variables(top: Node, given: Variables) -> dict[str, str | None]:
    """The texts under `variables:`, each with those before it put in."""
    found: dict[str, str | None] = {}
    quiet = replace(top, problems=Problems(), unread=Unread())
    for key, value in quiet.entries():
        if key.value != "variables" or value.is_empty:
            continue
        if not value.is_mapping:
            top.unread.add("variables")
            continue
        entries = list(value.entries())
        places = {name.value: name.place for name, _ in entries}
        for name, text in entries:
            for used in text.used():
                if used.value in places and used.value not in {**found, **given}:
                    what = f"${{{used.value}}} is used before it is defined"
                    hint = f"define {used.value} (line {places[used.value].line}) above {name.value}"
                    if used.value == name.value:
                        what, hint = f"${{{name.value}}} is used in its own definition", "another name"
                    top.problems.say(used.place, what, hint)
            found[name.value] = replace(text, variables={**found, **given}).text
    return found


def _description(source: _Source, given: Variables) -> LabFile:
    """What the keys of a file and of those it includes come to."""
    if source.top is None:
        return LabFile()
    variables = {**source.variables, **given}
    own = FILE.read(replace(source.top, variables=variables)) or LabFile()
    for each in source.includes:
        own = _over(own, _description(each, variables))
    return own


def _over(own: LabFile, other: LabFile) -> LabFile:
    """A file's keys above those of one it includes: mappings are joined name by name, lists one behind the other."""
    values: dict[str, Any] = {}
    for each in fields(LabFile):
        mine, theirs = getattr(own, each.name), getattr(other, each.name)
        if isinstance(mine, Mapping):
            values[each.name] = {**theirs, **mine}
        elif isinstance(mine, tuple):
            values[each.name] = (*theirs, *mine)
        elif each.name == "defaults" and mine is not None and theirs is not None:
            values[each.name] = mine.over(theirs)
        else:
            values[each.name] = theirs if mine is None else mine
    return LabFile(**values)
