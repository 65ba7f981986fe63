"""A lab file's text from what it says: the opposite of load.py. Keys stand in the schema's order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from vjail.lab.file.description import FILE, LabFile
from vjail.lab.file.schema import Plain

_WIDTH = 110
"""Columns that a line has at most, where it can be broken."""
_DOLLAR = "dollar"
_REFERENCE = re.compile(r"\$(?=\{[A-Za-z_][A-Za-z0-9_]*\})")
_BARE = re.compile(r"(?!(?:null|Null|NULL)\Z)[A-Za-z0-9_./(](?:[A-Za-z0-9_./()*+=@%$|<>;&~^!'\"-]|:(?=\S)| (?=\S))*")
_LINES = re.compile(r"[^ \t\n][^\r]*[^ \t\n]\n?")
"""What can stand as a block of lines."""


def write(file: LabFile, comment: str = "") -> str:
    """The text of a lab file, with a comment at its head. What is `${name}` in a value stays just that."""
    content = FILE.plain(file)
    assert isinstance(content, dict)
    if _REFERENCE.search(json.dumps(content)):
        known = content.pop("variables", {})
        assert isinstance(known, dict)
        content = {"variables": {_DOLLAR: "$", **known}, **content}
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + "".join(f"{line}\n" for line in _block(content, 0))


# --- layout -----------------------------------------------------------------------------------------------------------


def _block(content: Mapping[str, Plain], depth: int) -> Iterator[str]:
    """A mapping, a key a line; what fits stands behind its key."""
    indent = "  " * depth
    for name, value in content.items():
        key = f"{indent}{_scalar(name)}:"
        if isinstance(value, str) and _is_block(value):
            yield f"{key} |" + ("" if value.endswith("\n") else "-")
            yield from (f"{indent}  {line}" if line else "" for line in _escaped(value).removesuffix("\n").split("\n"))
            continue
        flow = _flow(value)
        deep = (
            depth == 0 and isinstance(value, dict) and any(isinstance(each, dict) and each for each in value.values())
        )
        if isinstance(value, str) or (len(key) + 1 + len(flow) <= _WIDTH and not deep):
            yield f"{key} {flow}"
        elif isinstance(value, dict):
            yield key
            yield from _block(value, depth + 1)
        else:
            yield key
            yield from _items(value, depth + 1)


def _items(value: Plain, depth: int) -> Iterator[str]:
    for each in value if isinstance(value, list) else [value]:
        yield f"{'  ' * depth}- {_flow(each)}"


def _flow(value: Plain) -> str:
    """It in one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{_scalar(name)}: {_flow(each)}" for name, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(text: str) -> str:
    text = _escaped(text)
    return text if _BARE.fullmatch(text) else f'"{"".join(map(_quoted, text))}"'


def _quoted(character: str) -> str:
    """A character as it stands in double quotes."""
    if character in '"\\':
        return f"\\{character}"
    if character == "\n":
        return "\\n"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _is_block(text: str) -> bool:
    return "\n" in text.rstrip("\n") and bool(_LINES.fullmatch(text)) and text.replace("\n", "").isprintable()


def _escaped(text: str) -> str:
    return _REFERENCE.sub(f"${{{_DOLLAR}}}", text)
