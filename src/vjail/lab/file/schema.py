"""What may stand where in a lab file, as data: types that read nodes, and that say the same as JSON Schema.

A structure is a dataclass whose fields were made with `key`; its reader, its JSON Schema and its table in the
documentation come from the same fields. Knows nothing of labs.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Generic, Protocol, TypeVar

from vjail.lab.file.nodes import At, Node, Problems, nearest

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Json = dict[str, Any]
Plain = str | list["Plain"] | dict[str, "Plain"]
"""A value as YAML has it; every scalar is text."""
_NEAR = 0.8
"""How alike a key and the one that was surely meant are (1: the same)."""


class Type(Protocol[T_co]):
    """What a value may be."""

    @property
    def expects(self) -> str:
        """What is expected, for messages and tables."""
        ...

    def read(self, node: Node) -> T_co | None:
        """The value of a node; None, and a mistake told, where it is not one."""
        ...

    def plain(self, value: Any) -> Plain:
        """The opposite of `read`: a value as it is written."""
        ...

    def json(self) -> Json:
        """The same as JSON Schema."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Text(Generic[T]):
    """A scalar of a form: a pattern, what is made of the text (ValueError: it is none of them), and the opposite."""

    expects: str
    pattern: str
    make: Callable[[str], T]
    show: Callable[[T], str] = str

    def read(self, node: Node) -> At[T] | None:
        """The text, converted, with its place."""
        text = node.text
        if text is not None and re.fullmatch(self.pattern, text):
            try:
                return At(self.make(text), node.place)
            except ValueError as error:
                node.say(f"{text!r}: {error}", f"expected: {self.expects}")
        elif text is not None:
            node.say(f"{text!r} cannot stand here", f"expected: {self.expects}")
        elif not node.is_scalar:
            hint = "; a text with `: ` in it needs quotes" if node.is_mapping else ""
            node.say("a single value is expected here", f"expected: {self.expects}{hint}")
        return None

    def plain(self, value: At[T]) -> Plain:
        """The text."""
        return self.show(value.value)

    def json(self) -> Json:
        """A string or number of that form, or with a variable in it."""
        return {
            "type": ["string", "number", "boolean"],
            "pattern": rf"^(?:{self.pattern})$|\$\{{",
            "description": self.expects,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Choice(Generic[T]):
    """One of some words."""

    words: Mapping[str, T]

    @property
    def expects(self) -> str:
        """The words."""
        return ", ".join(self.words)

    def read(self, node: Node) -> At[T] | None:
        """What the word means, with its place."""
        text = node.text
        if text is not None and text in self.words:
            return At(self.words[text], node.place)
        if text is not None:
            hint = nearest(text, self.words) or f"expected: {self.expects}"
            node.say(f"{text!r} cannot stand here", hint)
        elif not node.is_scalar:
            node.say("a single word is expected here", f"expected: {self.expects}")
        return None

    def plain(self, value: At[T]) -> Plain:
        """The first word that means it."""
        return next(word for word, meaning in self.words.items() if meaning == value.value)

    def json(self) -> Json:
        """An enumeration; `true` and `false` also as booleans."""
        words: list[object] = list(self.words)
        if "true" in self.words:
            words += [True, False]
        return {"enum": words}


@dataclasses.dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A list; a single value stands for a list of one."""

    of: Type[T]

    @property
    def expects(self) -> str:
        """One or several."""
        return f"{self.of.expects}; or a list of such"

    def read(self, node: Node) -> tuple[T, ...] | None:
        """The values that are good."""
        if node.is_empty:
            return ()
        nodes = list(node.items()) if node.is_list else [node]
        return tuple(value for each in nodes if (value := self.of.read(each)) is not None)

    def plain(self, value: Sequence[T]) -> Plain:
        """A list; one that is text stands alone."""
        items = [self.of.plain(each) for each in value]
        return items[0] if len(items) == 1 and isinstance(items[0], str) else items

    def json(self) -> Json:
        """The element or an array of it."""
        return {"anyOf": [self.of.json(), {"type": "array", "items": self.of.json()}]}


@dataclasses.dataclass(frozen=True, slots=True)
class Named(Generic[T]):
    """A mapping from names of a form to values."""

    of: Type[T]
    form: str = r".+"
    names: str = "a name"

    @property
    def expects(self) -> str:
        """Names with their values."""
        return f"names: {self.of.expects}"

    def read(self, node: Node) -> Mapping[str, Entry[T]] | None:
        """The entries that are good, in their order."""
        if node.is_empty:
            return {}
        if not node.is_mapping:
            node.say("a mapping is expected here (`name: value`)", f"expected: {self.expects}")
            return None
        found: dict[str, Entry[T]] = {}
        for key, value in node.entries():
            if not re.fullmatch(self.form, key.value):
                hint = "a blank behind the colon" if ":" in key.value else f"expected: {self.names}"
                node.say_key(key, f"{key.value!r} cannot be a name here", hint)
                continue
            read = self.of.read(value)
            if read is not None:
                found[key.value] = Entry(key, read)
        return found

    def plain(self, value: Mapping[str, Entry[T]]) -> Plain:
        """A mapping."""
        return {name: self.of.plain(entry.value) for name, entry in value.items()}

    def json(self) -> Json:
        """An object with such properties."""
        return {
            "type": ["object", "null"],
            "patternProperties": {f"^(?:{self.form})$": self.of.json()},
            "additionalProperties": False,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class NamesOr(Generic[T]):
    """A mapping from names to lists of values; a list of names, or one name, stands for names without values."""

    of: Named[tuple[T, ...]]

    @property
    def expects(self) -> str:
        """Both forms."""
        return f"a list of names, or {self.of.expects}"

    def read(self, node: Node) -> Mapping[str, Entry[tuple[T, ...]]] | None:
        """The entries."""
        if node.is_empty or node.is_mapping:
            return self.of.read(node)
        found: dict[str, Entry[tuple[T, ...]]] = {}
        for each in node.items() if node.is_list else [node]:
            name = Text(self.of.names, self.of.form, str).read(each)
            if name is not None:
                found[name.value] = Entry(name, ())
        return found

    def plain(self, value: Mapping[str, Entry[tuple[T, ...]]]) -> Plain:
        """The names alone, where none has a value."""
        entries = self.of.plain(value)
        return entries if any(entry.value for entry in value.values()) else list(entries)

    def json(self) -> Json:
        """Both forms."""
        name = {"type": "string", "pattern": f"^(?:{self.of.form})$"}
        return {"anyOf": [self.of.json(), {"type": "array", "items": name}, name]}


@dataclasses.dataclass(frozen=True, slots=True)
class Joined(Generic[T]):
    """A mapping, or a list of mappings that are one: `[a: 1, b: 2]`."""

    of: Named[T]

    @property
    def expects(self) -> str:
        """The mapping."""
        return self.of.expects

    def read(self, node: Node) -> Mapping[str, Entry[T]] | None:
        """The entries of all."""
        if not node.is_list:
            return self.of.read(node)
        found: dict[str, Entry[T]] = {}
        for each in node.items():
            for name, entry in (self.of.read(each) or {}).items():
                if name in found:
                    node.say_key(entry.name, f"{name!r} is given twice", "two different names")
                found.setdefault(name, entry)
        return found

    def plain(self, value: Mapping[str, Entry[T]]) -> Plain:
        """The mapping."""
        return self.of.plain(value)

    def json(self) -> Json:
        """Both forms."""
        return {"anyOf": [self.of.json(), {"type": "array", "items": self.of.json()}]}


@dataclasses.dataclass(frozen=True, slots=True)
class Several(Generic[T]):
    """A list whose elements may be lists themselves, each with its place."""

    of: Type[T]

    @property
    def expects(self) -> str:
        """A list."""
        return f"a list of: {self.of.expects}"

    def read(self, node: Node) -> tuple[At[T], ...] | None:
        """The values that are good."""
        if node.is_empty:
            return ()
        if not node.is_list:
            node.say("a list is expected here", f"expected: {self.expects}")
            return None
        read = ((self.of.read(each), each.place) for each in node.items())
        return tuple(At(value, place) for value, place in read if value is not None)

    def plain(self, value: Sequence[At[T]]) -> Plain:
        """A list."""
        return [self.of.plain(each.value) for each in value]

    def json(self) -> Json:
        """An array."""
        return {"type": ["array", "null"], "items": self.of.json()}


@dataclasses.dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A value under its name."""

    name: At[str]
    value: T


@dataclasses.dataclass(frozen=True, slots=True)
class Structure(Generic[T]):
    """A mapping with known keys: a dataclass whose fields were made with `key`, perhaps one with `others`."""

    of: type[T]
    what: str

    @property
    def expects(self) -> str:
        """What it is called."""
        return self.what

    def _keys(self) -> list[dataclasses.Field[Any]]:
        return [each for each in fields(self.of) if "type" in each.metadata]  # type: ignore[arg-type]

    def read(self, node: Node) -> T | None:
        """The structure; keys that are unknown, wrong or missing are told, and left at their defaults."""
        if not node.is_empty and not node.is_mapping:
            node.say(f"{self.what} must be a mapping (`key: value`)", f"known here: {', '.join(self._names())}")
            return None
        values: dict[str, Any] = {}
        rest: dict[str, Entry[Any]] = {}
        known = {_written(each): each for each in self._keys()}
        unknown: list[str] = []
        others = next((each for each in fields(self.of) if "others" in each.metadata), None)  # type: ignore[arg-type]
        given = [] if node.is_empty else list(node.entries())
        for key, value in given:
            if key.value in known:
                read = known[key.value].metadata["type"].read(value)
                if read is not None:
                    values[known[key.value].name] = read
            elif others is not None:
                aside = Problems()
                read = others.metadata["others"].read(dataclasses.replace(value, problems=aside))
                if aside and (hint := nearest(key.value, known, _NEAR)):
                    # The value was meant for the key that this one resembles.
                    text = f"{key.value!r} is no key of {self.what}, and no {others.metadata['what']} with such a value"
                    node.say_key(key, text, hint)
                    unknown.append(key.value)
                    continue
                node.problems.add(aside)
                if read is not None:
                    rest[key.value] = Entry(key, read)
            else:
                hint = nearest(key.value, known) or f"known here: {', '.join(known)}"
                node.say_key(key, f"{key.value!r} is not known in {self.what}", hint)
                unknown.append(key.value)
        if others is not None:
            values[others.name] = rest
        for each in fields(self.of):  # type: ignore[arg-type]
            if each.metadata.get("place"):
                values[each.name] = node.place
        present = {key.value for key, _ in given}
        for name in unknown:
            meant = difflib.get_close_matches(name, known, 1, _NEAR) or known
            for absent in (each for each in meant if each not in present):
                node.unread.add(*node.keys, absent)
        for name, each in known.items():
            if each.metadata["required"] and name not in present and not node.unread.at(*node.keys, name):
                node.say(f"{self.what} needs {name!r}", f"expected: {each.metadata['type'].expects}")
        return self.of(**values)

    def plain(self, value: T) -> Plain:
        """A mapping of what is given, in the order of the keys."""
        found: dict[str, Plain] = {}
        for each in fields(self.of):  # type: ignore[arg-type]
            own = getattr(value, each.name)
            if "others" in each.metadata:
                of: Type[Any] = each.metadata["others"]
                found |= {name: of.plain(entry.value) for name, entry in own.items()}
            elif "type" in each.metadata and own not in (None, (), {}):
                found[_written(each)] = each.metadata["type"].plain(own)
        return found

    def _names(self) -> list[str]:
        return [_written(each) for each in self._keys()]

    def json(self) -> Json:
        """An object with such properties."""
        properties: Json = {}
        for each in self._keys():
            properties[_written(each)] = {**each.metadata["type"].json(), "description": each.metadata["about"]}
        others = next((each for each in fields(self.of) if "others" in each.metadata), None)  # type: ignore[arg-type]
        required = [_written(each) for each in self._keys() if each.metadata["required"]]
        made: Json = {
            "type": ["object", "null"],
            "properties": properties,
            "additionalProperties": others.metadata["others"].json() if others is not None else False,
        }
        return {**made, "required": required} if required else made

    def table(self) -> Sequence[tuple[str, str, str]]:
        """Each key: its name, what is expected, what it is about."""
        return [(_written(each), each.metadata["type"].expects, each.metadata["about"]) for each in self._keys()]


def key(type: Type[Any], about: str, *, name: str = "", required: bool = False) -> Any:
    """A field of a structure: what it may be and what it is about; `name` where that is no Python name.

    Where the key is not given, a list or mapping is empty, anything else None; so also one that is `required`, where
    the file has that mistake.
    """
    metadata = {"type": type, "about": about, "name": name, "required": required}
    if isinstance(type, Named | NamesOr):
        return field(default_factory=dict, metadata=metadata)
    return field(default=() if isinstance(type, Listed | Several) else None, metadata=metadata)


def others(type: Type[Any], what: str) -> Any:
    """The field that takes all keys that are no other field's; `what` they name."""
    return field(default_factory=dict, metadata={"others": type, "what": what})


def place() -> Any:
    """The field that gets where the structure begins."""
    return field(default=None, metadata={"place": True}, compare=False)


def _written(each: dataclasses.Field[Any]) -> str:
    return each.metadata.get("name") or each.name


def _subnet(text: str) -> IPv4Network | IPv6Network:
    """A network. Raises ValueError with what is wrong with it."""
    address, _, length = text.partition("/")
    try:
        longest = ip_address(address).max_prefixlen
    except ValueError:
        raise ValueError(f"{address} is no address") from None
    if int(length) > longest:
        raise ValueError(f"a length is {longest} at most")
    network = ip_network(text, strict=False)
    if network.network_address != ip_address(address):
        raise ValueError(f"that is an address in {network}")
    others = {
        "has all addresses there are": network.prefixlen == 0,
        "is of groups (multicast)": network.is_multicast,
        "is of lo0": network.is_loopback,
        "is on each interface by itself": network.version == 6 and network.is_link_local,
    }
    if what := next((what for what, holds in others.items() if holds), None):
        raise ValueError(f"it {what}")
    return network


TEXT: Text[str] = Text("a text", r"(?s:.+)", str)
VALUE: Text[str] = Text("a text, or none: ''", r"(?s:.*)", str)
YES_NO: Choice[bool] = Choice({"true": True, "false": False, "yes": True, "no": False})
SUBNET = Text("a network (10.0.0.0/24, fd00::/64)", r"[0-9a-fA-F.:]+/[0-9]+", _subnet)
