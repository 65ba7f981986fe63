"""pfctl -t TABLE -T COMMAND. Source: sbin/pfctl/pfctl_table.c, 13.2."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vjail.command.pf.options import Misuse, Options
from vjail.command.pf.surroundings import surroundings
from vjail.conf.pf.hosts import NoHost, Unreadable
from vjail.conf.pf.rules import Table, TableEntry
from vjail.conf.pf.table_grammar import entries_of
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import ChangePfTable, ExpirePfTable, TableChange, TableResult
from vjail.session import Session

_WITH_ADDRESSES = ("add", "delete", "replace", "test", "expire")
_CHANGES = {
    "add": TableChange.ADD,
    "delete": TableChange.DELETE,
    "replace": TableChange.REPLACE,
    "flush": TableChange.FLUSH,
    "kill": TableChange.KILL,
}


def command(session: Session, options: Options) -> int:
    """Carry out a table command; the exit code."""
    if options.table is None:
        raise Misuse
    if len(options.table) > 31:
        session.err(f'pfctl: invalid table name "{options.table}"\n')
        return 1
    word = options.table_command or ""
    if options.operands and word not in _WITH_ADDRESSES:
        raise Misuse
    try:
        return _Command(session, options, options.table).run(word)
    except KernelError as error:
        text = "Table does not exist" if error.errno is Errno.ESRCH else error.message or error.errno.text
        session.err(f"pfctl: {text}.\n")
        return 1


class _Command:
    def __init__(self, session: Session, options: Options, name: str) -> None:
        self._session = session
        self._options = options
        self._name = name

    def run(self, word: str) -> int:
        match word:
            case "show":
                self._show(self._table())
            case "test":
                return self._test(self._table(), self._given())
            case "zero":
                self._table()
                self._say("1 table/stats cleared")
            case "expire":
                self._expire()
            case "kill":
                self._change(TableChange.KILL)
                self._say("1 table deleted")
            case "flush":
                self._say(f"{self._change(TableChange.FLUSH).deleted} addresses deleted")
            case "add" | "delete" | "replace":
                self._change_addresses(word)
        return 0

    def _expire(self) -> None:
        given = self._options.operands
        if not given:
            raise Misuse
        if not re.fullmatch(r"[0-9]+", given[0]):
            raise KernelError(Errno.EINVAL, f"expiry time: {'too small' if given[0].startswith('-') else 'invalid'}")
        gone = 0
        if not self._options.no_action:
            expiry = ExpirePfTable(self._options.anchor, self._name, int(given[0]))
            gone = self._session.system.apply(expiry).deleted
        self._say(f"{gone}/{gone} addresses expired")

    def _change_addresses(self, word: str) -> None:
        entries = self._given()
        done = self._change(_CHANGES[word], entries)
        if done.created:
            self._say("1 table created")
        match word:
            case "add":
                self._say(f"{done.added}/{len(entries)} addresses added")
            case "delete":
                self._say(f"{done.deleted}/{len(entries)} addresses deleted")
            case _:
                if done.added:
                    self._say(f"{done.added} addresses added")
                if done.deleted:
                    self._say(f"{done.deleted} addresses deleted")
                if not done.added and not done.deleted:
                    self._say("no changes")

    def _change(self, change: TableChange, entries: Sequence[TableEntry] = ()) -> TableResult:
        if self._options.no_action:
            return TableResult()
        return self._session.system.apply(ChangePfTable(self._options.anchor, self._name, change, tuple(entries)))

    def _table(self) -> Table:
        for table in self._session.system.packet_filter().tables:
            if (table.anchor, table.name) == (self._options.anchor, self._name):
                return table
        raise KernelError(Errno.ESRCH)

    def _given(self) -> list[TableEntry]:
        around = surroundings(self._session)
        try:
            entries = entries_of(" ".join(self._options.operands), around)
            if self._options.file is not None:
                entries += entries_of(around.read(self._options.file).decode(errors="replace"), around)
        except NoHost as error:
            self._session.err(f"{error}\n")
            raise KernelError(Errno.EINVAL, "cannot decode addresses") from None
        except Unreadable as error:
            raise KernelError(Errno.ENOENT, f"{self._options.file}: {error}") from None
        return list(dict.fromkeys(entries))

    def _show(self, table: Table) -> None:
        for entry in sorted(table.entries, key=lambda each: (each.network.version, int(each.network[0]))):
            self._session.out(f"  {_text(entry)}\n")

    def _test(self, table: Table, given: list[TableEntry]) -> int:
        matching = [entry for entry in given if table.holds(entry.network.network_address)]
        self._say(f"{len(matching)}/{len(given)} addresses match")
        for entry in given if self._options.verbose else ():
            mark = "M" if entry in matching else " "
            self._session.out(f"{mark} {_text(entry)}\n")
        return 0 if len(matching) == len(given) else 2

    def _say(self, text: str) -> None:
        if not self._options.quiet:
            self._session.err(f"{text}{' (dummy)' if self._options.no_action else ''}.\n")


def _text(entry: TableEntry) -> str:
    network = entry.network
    whole = network.prefixlen == network.max_prefixlen
    return f"{'!' if entry.negated else ' '}{network.network_address if whole else network}"
