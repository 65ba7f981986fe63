"""The lab's state.db: the core's journals, one a host, in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
create table if not exists record (
    host text not null, kind text not null, key text not null, record text not null,
    number integer primary key autoincrement, unique (host, kind, key)
);
"""
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(slots=True)
class _Change:
    """What becomes of a record: the old one goes first, or stays for as long as it is not replaced; None: no other."""

    drop: bool
    record: dict[str, object] | None


class Store:
    """The file. What is written becomes lasting at `commit`, all of it or nothing.

    One operation writes the same record several times; until `commit` only the last counts.
    """

    def __init__(self, path: Path, soon: Callable[[Callable[[], None]], object]) -> None:
        """`soon` is given `commit` when something was written, to call it once what goes on now is complete."""
        self._soon = soon
        # The lab ends with the machine's memory, so nothing is gained by waiting for a disk.
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = off")
        self._database.executescript(_SCHEMA)
        self._open = False
        self._changes: dict[tuple[str, str, str], _Change] = {}
        """By host, kind and key, in the order in which records are to be."""

    def commit(self) -> None:
        """Make what was written since the last commit last."""
        self._flush()
        if self._open:
            self._database.execute("commit")
            self._open = False

    def close(self) -> None:
        """Commit and close."""
        self.commit()
        self._database.close()

    def forget(self, host: str) -> None:
        """Delete the journal of a host that is no more."""
        self._flush()
        self._begin()
        self._database.execute("delete from record where host = ?", (host,))

    def host(self, name: str) -> HostJournal:
        """The journal of one host."""
        return HostJournal(self, name)

    def put(self, host: str, kind: str, key: str, record: dict[str, object]) -> None:
        """Write or replace a record, which nobody changes afterwards."""
        place = host, kind, key
        before = self._changes.get(place)
        if before is not None and before.record is None:
            del self._changes[place]  # a record that comes again comes last
        self._changes[place] = _Change(before is not None and before.drop, record)
        self._begin()

    def drop(self, host: str, kind: str, key: str) -> None:
        """Delete a record; no error where there is none."""
        self._changes[host, kind, key] = _Change(True, None)
        self._begin()

    def read(self, statement: str, *values: str) -> Iterator[tuple[str, str]]:
        """Rows of a query."""
        self._flush()
        return iter(self._database.execute(statement, values).fetchall())

    def _begin(self) -> None:
        if not self._open:
            self._database.execute("begin immediate")
            self._open = True
            self._soon(self.commit)

    def _flush(self) -> None:
        """Give the database what was written."""
        changes, self._changes = self._changes, {}
        for place, change in changes.items():
            if change.drop:
                self._database.execute("delete from record where host = ? and kind = ? and key = ?", place)
            if change.record is not None:
                self._database.execute(
                    "insert into record (host, kind, key, record) values (?, ?, ?, ?) "
                    "on conflict (host, kind, key) do update set record = excluded.record",
                    (*place, _ENCODE(change.record)),
                )


class HostJournal:
    """A `Journal` in the store."""

    def __init__(self, store: Store, host: str) -> None:
        self._store = store
        self._host = host

    def put(self, kind: str, key: str, record: dict[str, object]) -> None:
        """Write or replace the record."""
        self._store.put(self._host, kind, key, record)

    def drop(self, kind: str, key: str) -> None:
        """Delete the record; no error where there is none."""
        self._store.drop(self._host, kind, key)

    def records(self, kind: str) -> Iterator[tuple[str, dict[str, object]]]:
        """Every record of a kind, in the order in which their keys were first put."""
        rows = self._store.read(
            "select key, record from record where host = ? and kind = ? order by number", self._host, kind
        )
        for key, text in rows:
            yield key, json.loads(text)
