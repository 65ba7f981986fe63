"""Copies of a model's state: what can change is copied, what cannot is shared.

The pickler of the standard library does the walking, in C; frozen dataclasses, enums, addresses, trees of files and the
like it passes by reference. A copy therefore costs what is mutable in the state, and nothing leaves the process.
"""

from __future__ import annotations

import enum
import io
import pickle
from dataclasses import is_dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from types import FunctionType, MappingProxyType
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_ATOMS = (IPv4Address, IPv6Address, IPv4Network, IPv6Network, MappingProxyType, FunctionType, frozenset)
_SHARED: dict[type, bool] = {}


class Snapshot(Generic[T]):
    """The state of an object and all it refers to, at one moment."""

    def __init__(self, state: T) -> None:
        buffer = io.BytesIO()
        pickler = _Pickler(buffer)
        pickler.dump(state)
        self._shared = pickler.shared
        self._data = buffer.getvalue()

    def copy(self) -> T:
        """Another object in that state."""
        made: T = _Unpickler(io.BytesIO(self._data), self._shared).load()
        return made


class _Pickler(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer, pickle.HIGHEST_PROTOCOL)
        self.shared: list[object] = []
        self._places: dict[int, int] = {}

    def persistent_id(self, value: Any) -> int | None:
        kind = type(value)
        shared = _SHARED.get(kind)
        if shared is None:
            shared = _SHARED[kind] = _is_shared(kind)
        if not shared:
            return None
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = len(self.shared)
            self.shared.append(value)
        return place


class _Unpickler(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, shared: list[object]) -> None:
        super().__init__(buffer)
        self._shared = shared

    def persistent_load(self, place: Any) -> Any:
        return self._shared[place]


def _is_shared(kind: type) -> bool:
    if issubclass(kind, (enum.Enum, *_ATOMS)):
        return True
    return is_dataclass(kind) and bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]
