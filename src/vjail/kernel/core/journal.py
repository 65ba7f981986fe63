"""Where the core writes down what it knows, so that another process can take over: records by kind and key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Journal(Protocol):
    """A store of plain records (what json can hold). Written in the order of the calls; `commit` makes them last."""

    def put(self, kind: str, key: str, record: dict[str, object]) -> None:
        """Write or replace the record."""
        ...

    def drop(self, kind: str, key: str) -> None:
        """Delete the record; no error where there is none."""
        ...

    def records(self, kind: str) -> Iterator[tuple[str, dict[str, object]]]:
        """Every record of a kind, in the order in which their keys were first put."""
        ...


class NoJournal:
    """A journal that forgets: for a kernel nobody needs to take over."""

    def put(self, kind: str, key: str, record: dict[str, object]) -> None:
        """Forget it."""

    def drop(self, kind: str, key: str) -> None:
        """Nothing to forget."""

    def records(self, kind: str) -> Iterator[tuple[str, dict[str, object]]]:
        """Nothing was kept."""
        return iter(())
