"""Dataclasses to and from what json can hold, for the journal.

Enums become their values, bytes hexadecimal text, IP addresses and networks their text, tuples lists; a field that may
be one of several dataclasses is written with its class's name, one that may be an address of either family as its text.
A field marked `field(metadata=UNRECORDED)` is left out and gets its default again. Knows nothing of what the records
mean.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeVar

T = TypeVar("T")

UNRECORDED = types.MappingProxyType({"recorded": False})
"""Metadata of a field that is derived from other records."""

_AS_TEXT = (IPv4Address, IPv4Network, IPv6Address, IPv6Network)
_CLASS = "is"


def to_record(value: Any) -> dict[str, object]:
    """A dataclass instance as a JSON-able dict."""
    return {
        name: None if (held := getattr(value, name)) is None else dump(held)
        for name, _, dump, _ in _fields_of(type(value))
    }


def from_record(kind: type[T], record: dict[str, Any]) -> T:
    """The instance that `to_record` wrote. A key the class does not have is ignored; a missing one gets its default."""
    return kind(
        **{
            name: None if record[name] is None else load(record[name])
            for name, init, _, load in _fields_of(kind)
            if init and name in record
        }
    )


def _fields_of(kind: Any) -> tuple[tuple[str, bool, Any, Any], ...]:
    """`_fields`, for any class: to mypy the class of values that cannot be hashed cannot be either."""
    return _fields(kind)


@functools.cache
def _fields(kind: type) -> tuple[tuple[str, bool, Any, Any], ...]:
    """The recorded fields of a dataclass: name, whether `__init__` takes it, how to write and to read its value."""
    hints = typing.get_type_hints(kind)
    return tuple(
        (field.name, field.init, *_codec(hints[field.name]))
        for field in dataclasses.fields(kind)
        if field.metadata.get("recorded", True)
    )


def _codec(hint: Any) -> tuple[Any, Any]:
    """How to write and how to read a value of type `hint` that is not None."""
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Union | types.UnionType:
            options = [option for option in arguments if option is not type(None)]
            if set(options) == {IPv4Address, IPv6Address}:
                return str, ip_address
            return _codec(options[0]) if len(options) == 1 else _one_of(options)
        case origin if origin is tuple:
            dump, load = _codec(arguments[0])
            return lambda held: [dump(item) for item in held], lambda data: tuple(load(item) for item in data)
        case origin if origin is list:
            dump, load = _codec(arguments[0])
            return lambda held: [dump(item) for item in held], lambda data: [load(item) for item in data]
        case origin if origin is dict:
            key = int if arguments[0] is int else str
            dump, load = _codec(arguments[1])
            return (
                lambda held: {str(name): dump(item) for name, item in held.items()},
                lambda data: {key(name): load(item) for name, item in data.items()},
            )
    return _plain(hint)


def _plain(kind: type) -> tuple[Any, Any]:
    if dataclasses.is_dataclass(kind):
        return to_record, functools.partial(from_record, kind)
    if issubclass(kind, enum.Flag):
        return int, kind
    if issubclass(kind, enum.Enum):
        return lambda held: held.value, kind
    if kind is bytes:
        return bytes.hex, bytes.fromhex
    if kind in _AS_TEXT:
        return str, kind
    if kind in (int, str, bool, float):
        return kind, kind
    raise TypeError(f"no record form for {kind!r}")


def _one_of(options: list[Any]) -> tuple[Any, Any]:
    """One of several dataclasses, or of several kinds of addresses or of networks."""
    if set(options) <= set(_AS_TEXT):
        return str, ip_network if set(options) <= {IPv4Network, IPv6Network} else ip_address
    by_name = {option.__name__: option for option in options}

    def dump(held: Any) -> dict[str, object]:
        return {_CLASS: type(held).__name__, **to_record(held)}

    def load(data: dict[str, Any]) -> Any:
        return from_record(by_name[data[_CLASS]], data)

    return dump, load
