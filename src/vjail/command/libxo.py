"""What libxo(3) makes of a list of records: JSON and XML, plain and pretty, and the options that ask for them.

Text output is each command's own. Only what vjail's commands need is here: one container that holds one list, whose
instances hold values and lists of values. Source: FreeBSD 13.2 contrib/libxo/libxo/libxo.c, xo_parse_args(3).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from vjail.session import Quit


class Style(enum.Enum):
    """How output is encoded."""

    TEXT = "text"
    JSON = "json"
    XML = "xml"


@dataclass(frozen=True, slots=True)
class Encoding:
    """The style asked for; `pretty`: one value a line, indented by two."""

    style: Style = Style.TEXT
    pretty: bool = False


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value under its name. Numbers and booleans are given as such where FreeBSD writes them without quotes."""

    name: str
    value: str | int | bool


@dataclass(frozen=True, slots=True)
class LeafList:
    """A list of texts under its name; in XML each is an element called `item`."""

    name: str
    item: str
    values: Sequence[str]


Instance = Sequence[Leaf | LeafList]

_SHORT = {"T": "text", "J": "json", "X": "xml", "P": "pretty"}


def parse_arguments(words: Sequence[str]) -> tuple[Encoding, Sequence[str]]:
    """Take libxo's options (`--libxo json`, `--libxo=xml,pretty`, `--libxo:JP`) out of `words` (without the name)."""
    encoding = Encoding()
    rest: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if word == "--libxo":
            options = next(remaining, None)
            if options is None:
                raise Quit("missing libxo option")
            encoding = _apply(encoding, options.split(","))
        elif word.startswith("--libxo="):
            encoding = _apply(encoding, word[8:].split(","))
        elif word.startswith("--libxo:"):
            encoding = _apply(encoding, [_SHORT.get(letter, letter) for letter in word[8:]])
        else:
            rest.append(word)
            if word == "--":
                rest.extend(remaining)
    return encoding, rest


def _apply(encoding: Encoding, options: Sequence[str]) -> Encoding:
    for option in options:
        if option in ("text", "json", "xml"):
            encoding = Encoding(Style(option), encoding.pretty)
        elif option == "pretty":
            encoding = Encoding(encoding.style, True)
        else:
            raise Quit(f"unknown libxo option value: '{option}'")
    return encoding


def render(encoding: Encoding, container: str, item: str, version: str, instances: Sequence[Instance]) -> str:
    """All of the output: `instances` of the list `item` inside `container`, which carries the version."""
    if encoding.style is Style.JSON:
        return "".join(_json(encoding.pretty, container, item, version, instances))
    return "".join(_xml(encoding.pretty, container, item, version, instances))


# Between values libxo writes `,`, before a container, a list and an instance `, `.


def _json(pretty: bool, container: str, item: str, version: str, instances: Sequence[Instance]) -> Iterator[str]:
    def start(level: int) -> str:
        return "\n" + "  " * level if pretty else ""

    comma = "," if pretty else ", "
    colon = ": " if pretty else ":"
    # A blank stands behind the version even at the end of a line.
    yield f'{{{start(1)}"__version": "{version}", {start(1)}"{container}": {{{start(2)}"{item}": ['
    for place, instance in enumerate(instances):
        yield f"{comma if place else ''}{start(3)}{{"
        for within, field in enumerate(instance):
            match field:
                case Leaf(name, value):
                    yield f"{',' if within else ''}{start(4)}{_quoted(name)}{colon}{_json_value(value)}"
                case LeafList(name, _, values):
                    yield f"{comma if within else ''}{start(4)}{_quoted(name)}: ["
                    yield ",".join(f"{start(5)}{_quoted(value)}" for value in values)
                    yield f"{start(4)}]"
        yield f"{start(3)}}}"
    yield f"{start(2)}]{start(1)}}}{start(0)}}}\n"


def _json_value(value: str | int | bool) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case _:
            return _quoted(value)


def _quoted(text: str) -> str:
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


def _xml(pretty: bool, container: str, item: str, version: str, instances: Sequence[Instance]) -> Iterator[str]:
    def line(level: int, text: str) -> str:
        return "  " * level + text + "\n" if pretty else text

    yield line(0, f'<{container} version="{version}">')
    for instance in instances:
        yield line(1, f"<{item}>")
        for field in instance:
            match field:
                case Leaf(name, value):
                    yield line(2, _element(name, str(value).lower() if isinstance(value, bool) else str(value)))
                case LeafList(_, name, values):
                    yield from (line(2, _element(name, value)) for value in values)
        yield line(1, f"</{item}>")
    yield line(0, f"</{container}>")


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"
