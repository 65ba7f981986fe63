"""pf(4) of every vnet: on or off, rulesets by anchor, tables, options; what each operation may change.

How packets fare is the driver's to carry out (pf_driver.py), by the facts in conf/pf/rules.py. Sources: sys/netpfil/pf/
pf_ioctl.c, pf_table.c, pf_ruleset.c of 13.2.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any

from vjail.conf.pf.hosts import SELF, HostInterface
from vjail.conf.pf.rules import (
    InterfaceAddress,
    PfOptions,
    Rule,
    Ruleset,
    Section,
    Table,
    TableAddress,
    TableEntry,
)
from vjail.kernel.core.driver import Clock
from vjail.kernel.core.journal import Journal
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.pf_driver import Overload, PfDriver, PfSetup
from vjail.kernel.core.record import from_record, to_record
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import (
    ChangePfTable,
    EnablePf,
    ExpirePfTable,
    FlushPf,
    KillPfStates,
    LoadPf,
    Operation,
    SetPfDebug,
    TableChange,
    TableResult,
)
from vjail.kernel.pf import PacketFilter, PfState

_log = logging.getLogger(__name__)
_RECORD = "pf"

InterfacesOf = Callable[[int, Set[str] | None], Sequence[HostInterface]]
"""The interfaces of a vnet that are called, or in a group called, one of some names; None: all."""


@dataclass(slots=True)
class _Vnet:
    """One vnet's pf as it is recorded; `since` is when it was switched on or off, by the clock."""

    enabled: bool = False
    since: float | None = None
    options: PfOptions = field(default_factory=PfOptions)
    rulesets: dict[str, Ruleset] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)


class PacketFilters:
    """The pf of each vnet of a host."""

    def __init__(self, driver: PfDriver, clock: Clock, journal: Journal, *, interfaces_of: InterfacesOf) -> None:
        self._driver = driver
        self._clock = clock
        self._journal = journal
        self._interfaces_of = interfaces_of
        self._vnets: dict[int, _Vnet] = {}
        self._in_force: dict[int, PfSetup] = {}
        """Of each vnet whose pf is on."""
        self._named: dict[int, frozenset[str] | None] = {}
        """The interfaces and groups that the rules of each vnet name; None: all there are."""
        for key, record in journal.records(_RECORD):
            vnet = self._vnets[int(key)] = from_record(_Vnet, record)
            if vnet.enabled:
                self._named[int(key)] = _names_in(vnet)
                setup = self._in_force[int(key)] = self._setup(int(key), vnet)
                driver.adopt(int(key), setup)

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """All operations on pf. Who may open /dev/pf may do them; pfctl(8) looks whether it is there.

        A jail on another's stack may not, whatever its /dev shows: EPERM.
        """
        handlers: dict[type[Operation[Any]], Handler] = {
            EnablePf: self._enable,
            LoadPf: self._load,
            FlushPf: self._flush,
            SetPfDebug: self._set_debug,
            KillPfStates: self._kill_states,
            ChangePfTable: self._change_table,
            ExpirePfTable: self._expire_table,
        }
        return {operation: self._by_owner(handler) for operation, handler in handlers.items()}

    # --- what there is ---

    def packet_filter(self, caller: Caller) -> PacketFilter:
        """The pf of the caller's vnet. Raises KernelError(EPERM) in a jail on another's stack."""
        _check_owner(caller)
        self.catch_up(caller.vnet)
        vnet = self._vnets.get(caller.vnet, _Vnet())
        running_for = None if vnet.since is None else self._clock.monotonic() - vnet.since
        return PacketFilter(vnet.enabled, running_for, vnet.options, dict(vnet.rulesets), tuple(vnet.tables))

    def states(self, caller: Caller) -> Sequence[PfState]:
        """The states of the caller's vnet. Raises KernelError(EPERM) in a jail on another's stack."""
        _check_owner(caller)
        self.catch_up(caller.vnet)
        return self._driver.states(caller.vnet) if caller.vnet in self._vnets else ()

    # --- what goes on around ---

    def catch_up(self, number: int) -> None:
        """Sources may have exceeded limits in a vnet: they are in their tables from now on. Raises KernelError."""
        found = self._driver.overloads(number) if number in self._in_force else ()
        if found:
            vnet = self._vnets[number]
            self._put(number, replace(vnet, tables=[self._overloaded(table, found) for table in vnet.tables]))

    def follow(self) -> None:
        """Interfaces have changed: rules that depend on them follow."""
        for number, setup in list(self._in_force.items()):
            interfaces = self._interfaces(number)
            if interfaces == setup.interfaces and not _turns(setup):
                continue
            self.catch_up(number)
            setup = self._in_force[number]
            setup = self._in_force[number] = replace(setup, interfaces=interfaces)
            try:
                self._driver.enforce(number, setup)
            except KernelError as error:
                _log.warning("pf of vnet %d does not follow its interfaces: %s", number, error)

    def remove_vnet(self, number: int) -> None:
        """A vnet goes."""
        self._in_force.pop(number, None)
        self._named.pop(number, None)
        if self._vnets.pop(number, None) is not None:
            self._driver.forget(number)
            self._journal.drop(_RECORD, str(number))

    # --- operations ---

    def _enable(self, caller: Caller, operation: EnablePf) -> None:
        vnet = self._vnets.get(caller.vnet, _Vnet())
        if vnet.enabled == operation.on:
            raise KernelError(Errno.EEXIST if operation.on else Errno.ENOENT)
        self._put(caller.vnet, replace(vnet, enabled=operation.on, since=self._clock.monotonic()))

    def _load(self, caller: Caller, operation: LoadPf) -> None:
        vnet = self._vnets.get(caller.vnet, _Vnet())
        rulesets = dict(vnet.rulesets)
        for each in operation.rulesets:
            old = rulesets.get(each.anchor, Ruleset())
            rulesets[each.anchor] = _replaced(old, each.ruleset, operation.sections)
        tables = {(table.anchor, table.name): table for table in vnet.tables}
        if Section.TABLES in operation.sections:
            for table in operation.tables:
                key = (table.anchor, table.name)
                kept = tables[key].entries if key in operation.kept and key in tables else None
                tables[key] = replace(table, entries=self._dated(table.entries) if kept is None else kept)
        options = operation.options if Section.OPTIONS in operation.sections else vnet.options
        self._put(caller.vnet, replace(vnet, rulesets=rulesets, tables=list(tables.values()), options=options))

    def _flush(self, caller: Caller, operation: FlushPf) -> int:
        vnet = self._vnets.get(caller.vnet, _Vnet())
        rulesets = dict(vnet.rulesets)
        if operation.anchor in rulesets:
            rulesets[operation.anchor] = _replaced(rulesets[operation.anchor], Ruleset(), operation.sections)
        tables = vnet.tables
        if Section.TABLES in operation.sections:
            tables = [table for table in tables if table.anchor != operation.anchor]
        options = vnet.options
        if Section.OPTIONS in operation.sections:
            options = replace(options, skip=())
        self._put(caller.vnet, replace(vnet, rulesets=rulesets, tables=list(tables), options=options))
        return len(vnet.tables) - len(tables)

    def _set_debug(self, caller: Caller, operation: SetPfDebug) -> None:
        vnet = self._vnets.get(caller.vnet, _Vnet())
        self._put(caller.vnet, replace(vnet, options=replace(vnet.options, debug=operation.level)))

    def _kill_states(self, caller: Caller, operation: KillPfStates) -> int:
        if caller.vnet not in self._vnets:
            return 0
        return self._driver.kill_states(caller.vnet, operation.source, operation.destination)

    def _change_table(self, caller: Caller, operation: ChangePfTable) -> TableResult:
        vnet = self._vnets.get(caller.vnet, _Vnet())
        tables = {(table.anchor, table.name): table for table in vnet.tables}
        key = (operation.anchor, operation.name)
        table = tables.get(key)
        created = table is None
        if table is None:
            if operation.change not in (TableChange.ADD, TableChange.REPLACE):
                raise KernelError(Errno.ESRCH)
            table = Table(operation.anchor, operation.name, persist=True)
        elif table.const and operation.change is not TableChange.KILL:
            raise KernelError(Errno.EPERM)
        before = dict.fromkeys(table.entries)
        given = dict.fromkeys(self._dated(operation.entries))
        match operation.change:
            case TableChange.KILL:
                del tables[key]
                self._put(caller.vnet, replace(vnet, tables=list(tables.values())))
                return TableResult()
            case TableChange.ADD:
                known = {entry.network for entry in before}
                after = before | {entry: None for entry in given if entry.network not in known}
            case TableChange.DELETE:
                after = {entry: None for entry in before if entry not in given}
            case TableChange.REPLACE:
                after = {entry: None for entry in before if entry in given} | given
            case TableChange.FLUSH:
                after = {}
        added, deleted = len(after.keys() - before.keys()), len(before.keys() - after.keys())
        tables[key] = replace(table, entries=tuple(after))
        self._put(caller.vnet, replace(vnet, tables=list(tables.values())))
        return TableResult(created, added, deleted)

    def _by_owner(self, handler: Handler) -> Handler:
        def handle(caller: Caller, operation: Any) -> object:
            _check_owner(caller)
            self.catch_up(caller.vnet)
            return handler(caller, operation)

        return handle

    def _expire_table(self, caller: Caller, operation: ExpirePfTable) -> TableResult:
        place, since = (operation.anchor, operation.name), self._clock.monotonic() - operation.seconds
        vnet = self._vnets.get(caller.vnet, _Vnet())
        tables = [table for table in vnet.tables if (table.anchor, table.name) == place]
        old = tuple(entry for table in tables for entry in table.entries if entry.since < since)
        return self._change_table(caller, ChangePfTable(*place, TableChange.DELETE, old))

    def _dated(self, entries: Sequence[TableEntry]) -> tuple[TableEntry, ...]:
        """Entries that come into a table now."""
        now = self._clock.monotonic()
        return tuple(replace(entry, since=now) for entry in entries)

    def _overloaded(self, table: Table, overloads: Sequence[Overload]) -> Table:
        """A table with who got into it; an entry for just his address, even a negated one, stays as it is."""
        known = {entry.network for entry in table.entries}
        addresses = [each.address for each in overloads if (each.anchor, each.table) == (table.anchor, table.name)]
        new = [network for network in dict.fromkeys(map(ip_network, addresses)) if network not in known]
        return replace(table, entries=(*table.entries, *self._dated([TableEntry(network) for network in new])))

    # --- putting it into force ---

    def _put(self, number: int, vnet: _Vnet) -> None:
        """This is a vnet's pf from now on. Raises KernelError where the driver refuses; nothing has changed then."""
        vnet.tables = [*vnet.tables, *_missing(vnet)]
        referenced = {name for ruleset in vnet.rulesets.values() for name in _tables_of(ruleset)}
        vnet.tables = [table for table in vnet.tables if table.persist or table.name in referenced]
        vnet.rulesets = {path: each for path, each in vnet.rulesets.items() if each != Ruleset()}
        before = self._named.get(number, frozenset())
        self._named[number] = _names_in(vnet)
        setup = self._setup(number, vnet)
        try:
            if vnet.enabled:
                self._driver.enforce(number, setup)
                self._in_force[number] = setup
            else:
                self._driver.check(number, setup)
                self._driver.enforce(number, None)
                self._in_force.pop(number, None)
        except KernelError:
            self._named[number] = before
            raise
        self._vnets[number] = vnet
        self._journal.put(_RECORD, str(number), to_record(vnet))

    def _setup(self, number: int, vnet: _Vnet) -> PfSetup:
        return PfSetup(vnet.rulesets, tuple(vnet.tables), vnet.options, self._interfaces(number))

    def _interfaces(self, number: int) -> tuple[HostInterface, ...]:
        return tuple(self._interfaces_of(number, self._named[number]))


def _turns(setup: PfSetup) -> bool:
    """Whether packets go other ways than by the routes: these are followed whatever changes."""
    return any(rule.detour is not None for ruleset in setup.rulesets.values() for rule in ruleset.filter)


def _names_in(vnet: _Vnet) -> frozenset[str] | None:
    """The interfaces and groups that a vnet's rules name; None: all there are."""
    names = set(vnet.options.skip)
    for ruleset in vnet.rulesets.values():
        names |= set(_interfaces_in(ruleset))
    return None if SELF in names else frozenset(names)


def _check_owner(caller: Caller) -> None:
    if caller.jid != caller.vnet:
        raise KernelError(Errno.EPERM)


def _missing(vnet: _Vnet) -> Iterator[Table]:
    """The tables that rules put sources into and nobody has defined: such a rule makes one, in its anchor."""
    known = {(table.anchor, table.name) for table in vnet.tables}
    wanted = [
        (path, rule.state_options.overload)
        for path, ruleset in vnet.rulesets.items()
        for rule in ruleset.filter
        if rule.state_options.overload
    ]
    for anchor, name in dict.fromkeys(wanted):
        if (anchor, name) not in known:
            yield Table(anchor, name)


def _replaced(old: Ruleset, new: Ruleset, sections: Section) -> Ruleset:
    if Section.TRANSLATION in sections:
        old = replace(old, nat=new.nat, rdr=new.rdr, binat=new.binat)
    if Section.FILTER in sections:
        old = replace(old, scrub=new.scrub, filter=new.filter)
    return old


def rules_of(ruleset: Ruleset) -> Iterator[Rule]:
    """All rules of a ruleset."""
    yield from (*ruleset.scrub, *ruleset.nat, *ruleset.rdr, *ruleset.binat, *ruleset.filter)


def _addresses_in(ruleset: Ruleset) -> Iterator[object]:
    for rule in rules_of(ruleset):
        yield from (rule.source.address, rule.destination.address)
        if rule.pool is not None:
            yield from rule.pool.addresses


def _tables_of(ruleset: Ruleset) -> Iterator[str]:
    for address in _addresses_in(ruleset):
        if isinstance(address, TableAddress):
            yield address.table
    for rule in ruleset.filter:
        if rule.state_options.overload:
            yield rule.state_options.overload


def _interfaces_in(ruleset: Ruleset) -> Iterator[str]:
    for rule in rules_of(ruleset):
        if rule.interface:
            yield rule.interface
        if rule.detour is not None:
            yield rule.detour.interface
    for address in _addresses_in(ruleset):
        if isinstance(address, InterfaceAddress):
            yield address.interface
