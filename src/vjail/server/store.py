"""The lab's state.db: the core's journals, one a host, in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

_SCHEMA = """
create table if not exists record (
    host text not null, kind text not null, key text not null, record text not null,
    number integer primary key autoincrement, unique (host, kind, key)
);
"""
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class Store:
    """The file. What is written becomes lasting at `commit`, all of it or nothing."""

    def __init__(self, path: Path, soon: Callable[[Callable[[], None]], object]) -> None:
        """`soon` is given `commit` when something was written, to call it once what goes on now is complete."""
        self._soon = soon
        # The lab ends with the machine's memory, so nothing is gained by waiting for a disk.
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = off")
        self._database.executescript(_SCHEMA)
        self._open = False

    def commit(self) -> None:
        """Make what was written since the last commit last."""
        if self._open:
            self._database.execute("commit")
            self._open = False

    def close(self) -> None:
        """Commit and close."""
        self.commit()
        self._database.close()

    def forget(self, host: str) -> None:
        """Delete the journal of a host that is no more."""
        self.write("delete from record where host = ?", host)

    def host(self, name: str) -> HostJournal:
        """The journal of one host."""
        return HostJournal(self, name)

    def write(self, statement: str, *values: str) -> None:
        """Execute a statement that changes something."""
        if not self._open:
            self._database.execute("begin immediate")
            self._open = True
            self._soon(self.commit)
        self._database.execute(statement, values)

    def read(self, statement: str, *values: str) -> Iterator[tuple[str, str]]:
        """Rows of a query."""
        return iter(self._database.execute(statement, values).fetchall())


class HostJournal:
    """A `Journal` in the store."""

    def __init__(self, store: Store, host: str) -> None:
        self._store = store
        self._host = host

    def put(self, kind: str, key: str, record: dict[str, object]) -> None:
        """Write or replace the record."""
        self._store.write(
            "insert into record (host, kind, key, record) values (?, ?, ?, ?) "
            "on conflict (host, kind, key) do update set record = excluded.record",
            self._host,
            kind,
            key,
            _ENCODE(record),
        )

    def drop(self, kind: str, key: str) -> None:
        """Delete the record; no error where there is none."""
        self._store.write("delete from record where host = ? and kind = ? and key = ?", self._host, kind, key)

    def records(self, kind: str) -> Iterator[tuple[str, dict[str, object]]]:
        """Every record of a kind, in the order in which their keys were first put."""
        rows = self._store.read(
            "select key, record from record where host = ? and kind = ? order by number", self._host, kind
        )
        for key, text in rows:
            yield key, json.loads(text)
