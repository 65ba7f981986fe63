"""Reads a lab file with what it includes: the description, each value with its place. Raises LabError."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from vjail.lab.file.description import FILE, LabFile
from vjail.lab.file.nodes import Node, Problems, compose

_DEEP = 16
"""Files that may include one another."""

Read = Callable[[Path], bytes]
"""Reads a file; raises LabError with its path where that fails."""


def load(path: Path, read: Read) -> LabFile:
    """The description that a file and those it includes give. Raises LabError with all mistakes."""
    problems = Problems()
    found = _load(path, read, problems, {}, ())
    problems.stop()
    return found


def _load(path: Path, read: Read, problems: Problems, given: Mapping[str, str], way: tuple[Path, ...]) -> LabFile:
    content = read(path)
    plain = compose(str(path), content, Problems(), {})
    variables = {**_variables(plain), **given}
    top = compose(str(path), content, problems, variables)
    own = FILE.read(top) if top is not None else LabFile()
    if own is None:
        return LabFile()
    for each in own.include:
        inner = path.parent / each.value
        if len(way) == _DEEP or inner.resolve() in way:
            problems.say(each.place, f"{each.value} leads back to itself", "a file cannot include itself")
            continue
        if not inner.is_file():
            problems.say(each.place, f"there is no file {each.value}", f"it is looked for beside {path.name}")
            continue
        own = _over(own, _load(inner, read, problems, variables, (*way, path.resolve())))
    return own


def _variables(top: Node | None) -> dict[str, str]:
    """The texts under `variables:`, each with those before it put in."""
    found: dict[str, str] = {}
    for key, value in top.entries() if top is not None and top.is_mapping else ():
        if key.value == "variables" and value.is_mapping:
            for name, text in value.entries():
                found[name.value] = replace(text, variables=found, problems=Problems()).text or ""
    return found


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
