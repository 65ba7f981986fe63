"""Tables of pf.conf(5), in the file and in files of addresses. Source: tabledef of sbin/pfctl/parse.y, 13.2."""

from __future__ import annotations

from collections.abc import Callable

from vjail.conf.pf.drafts import DefinedTable
from vjail.conf.pf.fields import LONGEST_TABLE_NAME, Fields
from vjail.conf.pf.hosts import Host, NoHost, Surroundings, Unreadable, hosts
from vjail.conf.pf.lexer import Kind
from vjail.conf.pf.printer import address_text
from vjail.conf.pf.rules import InterfaceAddress, NetAddress, RangeAddress, Table, TableEntry, UnreachedAddress
from vjail.conf.pf.tokens import Fault, Tokens


class TableGrammar:
    """Reads tables; `out` is told each as pfctl prints it."""

    def __init__(self, tokens: Tokens, fields: Fields, around: Surroundings, out: Callable[[str], None]) -> None:
        self.tokens = tokens
        self.fields = fields
        self.around = around
        self.out = out

    def table(self, anchor: str) -> DefinedTable:
        """A table of an anchor; `table` was taken."""
        tokens = self.tokens
        tokens.expect("<")
        name = tokens.string()
        tokens.expect(">")
        words: dict[str, None] = {}
        entries: list[TableEntry] = []
        said: list[str] = []
        initial = False
        while not tokens.at_kind(Kind.NEWLINE, Kind.END):
            if tokens.accept("{"):
                initial = True
                self._table_hosts(entries, said)
            elif tokens.accept("file"):
                initial = True
                path = tokens.string()
                said.append(f' file "{path}"')
                entries += self._table_file(path)
            else:
                word = tokens.string()
                if word not in ("const", "persist", "counters"):
                    tokens.fail(f"invalid table option '{word}'")
                words[word] = None
        if len(name) > LONGEST_TABLE_NAME:
            tokens.fail(f"table name too long, max {LONGEST_TABLE_NAME} chars")
        flags = "".join(f" {word}" for word in ("const", "persist", "counters") if word in words)
        listed = _merged(said) or (" { }" if initial else "")
        self.out(f"table <{name}>{flags}{listed}\n")
        table = Table(
            anchor,
            name,
            tuple(dict.fromkeys(entries)),
            const="const" in words,
            persist="persist" in words,
            counters="counters" in words,
        )
        return DefinedTable(table, initial)

    def _table_hosts(self, entries: list[TableEntry], said: list[str]) -> None:
        tokens = self.tokens
        tokens.newlines()
        if tokens.accept("}"):
            return
        words = ""
        found: list[Host] = []
        while not tokens.accept("}"):
            found += self.fields.any_or_hosts() or []
            tokens.newlines()
            tokens.accept(",")
            tokens.newlines()
        for host in found:
            if not isinstance(host.address, NetAddress):
                tokens.fail(_not_in_tables(host))
            entries.append(TableEntry(host.address.network, host.negated))
            words += f" {'!' if host.negated else ''}{address_text(host.address, host.family)}"
        said.append(f" {{{words} }}")

    def _table_file(self, path: str) -> list[TableEntry]:
        try:
            return entries_of(self.around.read(path).decode(errors="replace"), self.around)
        except Unreadable as error:
            self.tokens.fail(f'cannot load "{path}": {error}', Fault.ELSEWHERE)
        except NoHost as error:
            self.tokens.fail(f'file "{path}" contains bad data', Fault.ELSEWHERE, first=str(error))


def entries_of(text: str, around: Surroundings) -> list[TableEntry]:
    """The entries that a file of addresses holds: words, `!` in front, comments behind `#`. Raises NoHost."""
    found: list[TableEntry] = []
    for line in text.splitlines():
        for word in line.partition("#")[0].split():
            bare = word.lstrip("!")
            negated = bool((len(word) - len(bare)) % 2)
            for host in hosts(bare, around):
                assert isinstance(host.address, NetAddress)
                found.append(TableEntry(host.address.network, negated))
    return found


def _not_in_tables(host: Host) -> str:
    match host.address:
        case RangeAddress():
            return "address ranges are not permitted inside tables"
        case InterfaceAddress():
            return "dynamic addresses are not permitted inside tables"
        case UnreachedAddress(reach):
            return f'"{reach.value}" is not permitted inside tables'
        case _:
            return "tables cannot contain tables"


def _merged(said: list[str]) -> str:
    """The lists of a table as they are printed: those in braces that follow each other are one."""
    text = "".join(said)
    return text.replace(" } {", "")
