"""The table of jails of one host: jail_set(2), jail_get(2), jail_remove(2) and what becomes of a jail with no process.

A part of the core (host.py). The rules are prison_rules.py's, the lookups prison_table.py's, the effects a
JailDriver's; vnets are made and emptied by the network part through two functions given at construction. A vnet's
number is the jid of the jail that owns it. Neither is given away while that jail is dying: FreeBSD 13 does the same for
`jid=`, 15 would move the dying jail to another number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vjail.conf.jailconf.libjail import Jailsys
from vjail.kernel.core import prison_rules as rules
from vjail.kernel.core import prison_texts
from vjail.kernel.core.jail_driver import JailDriver
from vjail.kernel.core.journal import Journal, NoJournal
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.prison_parameters import (
    FILE_SYSTEMS,
    Relative,
    Request,
    kernel_parameters,
    readback,
    request,
)
from vjail.kernel.core.prison_record import HostIdentity, Prison, SysvIpc
from vjail.kernel.core.prison_table import JAIL_MAX, PrisonTable
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Jail
from vjail.kernel.operations import CreateJail, Operation, RemoveJail, UpdateJail
from vjail.release import Release

_JAIL = "jail"
_LAST = "jail-last"
_HOST = "jail-host"


class Prisons:
    """The jails of one host.

    `add_vnet` makes a fresh vnet of that number once the driver has made its jail, `remove_vnet` sends home what was
    lent to it and destroys what was made in it, before the driver takes the jail down. `modules` tells the file systems
    and modules there are now, for the parameters they bring, `text_limit` how long `meta` and `env` may be. `osrelease`
    and `osreldate` are those of the host.
    """

    def __init__(
        self,
        release: Release,
        driver: JailDriver,
        *,
        add_vnet: Callable[[int], object],
        remove_vnet: Callable[[int], object],
        osrelease: str,
        osreldate: int,
        identity: HostIdentity | None = None,
        modules: Callable[[], Collection[str]] = lambda: FILE_SYSTEMS,
        text_limit: Callable[[], int] = lambda: prison_texts.LIMIT,
        journal: Journal | None = None,
    ) -> None:
        self._release = release
        self._driver = driver
        self._add_vnet = add_vnet
        self._remove_vnet = remove_vnet
        self._modules = modules
        self._text_limit = text_limit
        self._journal = journal or NoJournal()
        self._last = 0
        self._held: set[int] = set()
        everything = kernel_parameters(release, _Everything())
        self._table = PrisonTable(
            Prison(
                jid=0,
                name="0",
                parent=0,
                path="/",
                vnet=0,
                own_vnet=True,
                cpuset=1,
                osrelease=osrelease,
                osreldate=osreldate,
                persist=True,
                host=identity or HostIdentity(),
                enforce_statfs=0,
                children_max=JAIL_MAX,
                allow=frozenset(name.removeprefix("allow.") for name in everything if name.startswith("allow.")),
                sysv=dict.fromkeys(SysvIpc, Jailsys.NEW),
            )
        )

    def restore(self) -> None:
        """Rebuild the table from the journal; the driver finds its jails again by itself."""
        for _, record in self._journal.records(_LAST):
            self._last = int(str(record["jid"]))
        for _, record in self._journal.records(_HOST):
            own = Prison.of_record(record)
            self._table.replace(replace(self._table.host, host=own.host, securelevel=own.securelevel))
        for _, record in sorted(self._journal.records(_JAIL), key=lambda item: str(item[1]["name"]).count(".")):
            prison = Prison.of_record(record)
            self._table.add(prison)
            if prison.dying:
                self._held.add(prison.jid)

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """The operations carried out here."""
        return {CreateJail: self._create, UpdateJail: self._update, RemoveJail: self._remove}

    # --- jail_get -----------------------------------------------------------------------------------------------------

    def parameters(self) -> Sequence[str]:
        """The names of the parameters there are now (sysctl security.jail.param)."""
        return tuple(kernel_parameters(self._release, self._modules()))

    def jails(self, caller: Caller, *, dying: bool = False) -> Sequence[Jail]:
        """The jails below the caller's by ascending jid."""
        known = kernel_parameters(self._release, self._modules())
        return [
            self._seen(caller, prison, known)
            for prison in self.prisons()
            if (dying or not prison.dying) and self.is_descendant(prison.jid, caller.jid)
        ]

    def jail(self, caller: Caller, key: int | str, *, dying: bool = False) -> Jail:
        """One jail below the caller's, by jid or name. KernelError(ENOENT): not found, or dying and not `dying`."""
        found, called = self._lookup(caller, key)
        if found is None:
            raise KernelError(Errno.ENOENT, f"jail {called} not found")
        if found.dying and not dying:
            raise KernelError(Errno.ENOENT, f"jail {called} is dying")
        return self._seen(caller, found, kernel_parameters(self._release, self._modules()))

    def _lookup(self, caller: Caller, key: int | str) -> tuple[Prison | None, str]:
        if isinstance(key, int):
            found, called = self._table.get(key), str(key)
        else:
            found, called = self._table.find(rules.absolute(self._prison(caller.jid), key)), f'"{key}"'
        return (found if found is not None and self.is_descendant(found.jid, caller.jid) else None), called

    def _seen(self, caller: Caller, prison: Prison, known: Mapping[str, Any]) -> Jail:
        above = self._prison(caller.jid)
        seen = Relative(
            name=prison.name if above.jid == 0 else prison.name[len(above.name) + 1 :],
            path=_path_below(above.path, prison.path),
            parent=0 if prison.parent == above.jid else prison.parent,
            children=self._table.count(prison.jid),
        )
        return Jail(prison.jid, seen.name, seen.path, prison.dying, seen.parent, readback(prison, seen, known))

    def prisons(self) -> Iterator[Prison]:
        """The kernel's own records of all jails, dying ones too, by ascending jid."""
        return (self._prison(jid) for jid in self._table.jids())

    def rooted_in(self, path: str) -> Iterator[Prison]:
        """Those whose root is a directory of the host, or lies below it."""
        return self._table.rooted_in(path)

    def prison(self, jid: int) -> Prison | None:
        """The kernel's own record of a jail, dying or not; for 0 the host's."""
        return self._table.get(jid)

    def _prison(self, jid: int) -> Prison:
        prison = self._table.get(jid)
        if prison is None:
            raise KernelError(Errno.ENOENT, f"jail {jid} not found")
        return prison

    def vnet_of(self, jid: int) -> int:
        """The number of the vnet a jail uses. KernelError(ENOENT): no such jail."""
        return self._prison(jid).vnet

    def children(self, jid: int) -> int:
        """How many jails there are below one."""
        return self._table.count(jid)

    def is_descendant(self, jid: int, ancestor: int) -> bool:
        """Whether there is a jail `jid` and it is below `ancestor` (the host, 0, is above all)."""
        if jid == ancestor or self._table.get(jid) is None or jid == 0:
            return False
        return ancestor == 0 or any(above.jid == ancestor for above in self._table.ancestors(jid))

    def check_attach(self, caller: Caller, jid: int, uid: int) -> None:
        """What jail_attach(2) says to a process of user `uid`: KernelError EPERM (not root), EINVAL (no such jail)."""
        if uid != 0:
            raise KernelError(Errno.EPERM)
        prison = self._table.get(jid)
        if prison is None or prison.dying or not self.is_descendant(jid, caller.jid):
            raise KernelError(Errno.EINVAL)

    # --- what a host and a jail are called ----------------------------------------------------------------------------

    def identity(self, jid: int) -> HostIdentity:
        """What the host (0) or a jail is called. KernelError(ENOENT)."""
        return self._prison(jid).host

    def set_identity(self, jid: int, host: HostIdentity) -> None:
        """What sethostname(3) and its like in a jail do: to the nearest one with a name of its own, and who shares it.

        Whether the jail may is the caller's to ask. KernelError: the driver refuses.
        """
        prison = self._prison(jid)
        while not prison.own_host:
            prison = self._prison(prison.parent)
        sharing = [replace(prison, host=host)]
        pending = list(self._table.children(prison.jid))
        while pending:
            child = pending.pop()
            if not child.own_host:
                sharing.append(replace(child, host=host))
                pending.extend(self._table.children(child.jid))
        self._commit(sharing)

    def set_securelevel(self, jid: int, level: int) -> None:
        """What a rise of kern.securelevel in a jail, or on the host, does: to it and to all jails below it."""
        raised = [self._prison(jid), *self._table.descendants(jid)]
        self._commit([replace(each, securelevel=max(each.securelevel, level)) for each in raised])

    # --- jail_set -----------------------------------------------------------------------------------------------------

    def _create(self, caller: Caller, operation: CreateJail) -> int:
        asked = request(operation.parameters, kernel_parameters(self._release, self._modules()))
        above = self._prison(caller.jid)
        if above.children_max == 0:
            raise KernelError(Errno.EPERM)
        rules.check(asked)
        if not asked.persist:
            raise KernelError(Errno.EINVAL, "new jail must persist or attach")
        at = rules.place(self._table, above, asked)
        jid = at.jid or self._next_jid()
        prison = self._with_texts(rules.created(self._table, above, asked, at, jid), asked)
        if asked.path is None:
            prison = replace(prison, path=above.path)
            self._driver.make(prison, 0)
        else:
            prison = replace(prison, path=self._driver.make(prison, caller.jid))
        if prison.own_vnet:
            try:
                self._add_vnet(prison.vnet)
            except KernelError:
                self._driver.remove(jid)
                raise
        self._table.add(prison)
        self._write(prison)
        return jid

    def _next_jid(self) -> int:
        jid = self._table.jid_after(self._last)
        if jid is None:
            raise KernelError(Errno.EAGAIN, "no available jail IDs")
        # The counter moves even where the creation fails after all.
        self._last = jid
        self._journal.put(_LAST, "", {"jid": jid})
        return jid

    def _update(self, caller: Caller, operation: UpdateJail) -> None:
        known = kernel_parameters(self._release, self._modules())
        parameters = [(name, text) for name, text in operation.parameters if name != "jid"]
        asked = request(parameters, known)
        rules.check(asked)
        prison, called = self._lookup(caller, operation.jid)
        if prison is None:
            raise KernelError(Errno.ENOENT, f"jail {called} not found")
        if prison.dying:
            raise KernelError(Errno.ENOENT, f"jail {called} is dying")
        rules.check_update(prison, asked)
        above = self._prison(caller.jid)
        name = self._renamed(above, prison, asked)
        after = self._with_texts(replace(rules.changed(self._table, above, prison, asked), name=name), asked)
        self._commit([after, *self._below(after, prison.name, asked)])
        self._settle(after.jid)

    def _with_texts(self, prison: Prison, asked: Request) -> Prison:
        if not asked.texts:
            return prison
        limit = self._text_limit()
        meta = prison_texts.changed(prison.meta, asked.texts.get("meta", ()), limit)
        return replace(prison, meta=meta, env=prison_texts.changed(prison.env, asked.texts.get("env", ()), limit))

    def _renamed(self, above: Prison, prison: Prison, asked: Request) -> str:
        if asked.name is None:
            return prison.name
        prefix, dot, base = asked.name.rpartition(".")
        parent = self._prison(prison.parent)
        if dot and (parent.jid == 0 or rules.absolute(above, prefix) != parent.name):
            raise KernelError(Errno.EINVAL, "cannot change jail's parent")
        name = rules.full_name(parent, base, prison.jid)
        other = self._table.alive(name)
        if other is not None and other.jid != prison.jid:
            raise KernelError(Errno.EEXIST, f'jail "{asked.name}" already exists')
        return name

    def _below(self, changed: Prison, old_name: str, asked: Request) -> Sequence[Prison]:
        """The jails below one as they are once it has become `changed`."""
        after: dict[int, Prison] = {changed.jid: changed}
        levels = {changed.jid: 0}
        for prison in self._table.descendants(changed.jid):
            levels[prison.jid] = levels[prison.parent] + 1
            renamed = replace(prison, name=changed.name + prison.name[len(old_name) :])
            after[prison.jid] = rules.inherited(after[prison.parent], renamed, asked, levels[prison.jid])
        return [prison for jid, prison in after.items() if jid != changed.jid and prison != self._table.get(jid)]

    def _commit(self, prisons: Sequence[Prison]) -> None:
        """Put new versions of jails into effect: all, or KernelError and none."""
        done: list[Prison] = []
        try:
            for prison in prisons:
                self._driver.changed(prison)
                done.append(prison)
        except KernelError:
            for prison in done:
                self._driver.changed(self._prison(prison.jid))
            raise
        for prison in prisons:
            self._table.replace(prison)
            self._write(prison)

    # --- the end of a jail --------------------------------------------------------------------------------------------

    def _remove(self, caller: Caller, operation: RemoveJail) -> None:
        prison, _ = self._lookup(caller, operation.jid)
        if prison is None:
            raise KernelError(Errno.EINVAL)
        for each in reversed([prison, *self._table.descendants(prison.jid)]):
            self._die(each)

    def last_process(self, jid: int) -> None:
        """Told when the last process of a jail has gone: without `persist` and jails below it, it goes too, silently.

        No error where the jail is no more or has a process again.
        """
        self._settle(jid)

    def released(self, jid: int) -> None:
        """Told when nothing holds a dying jail any more."""
        self._held.discard(jid)
        prison = self._table.get(jid)
        if prison is not None and prison.dying:
            self._finish(prison)

    def _settle(self, jid: int) -> None:
        """Let a jail go that nothing keeps alive any more."""
        prison = self._table.get(jid)
        if prison is None or jid == 0 or prison.dying or prison.persist:
            return
        if any(not child.dying for child in self._table.children(jid)) or self._driver.pids(jid):
            return
        self._die(prison)

    def _die(self, prison: Prison) -> None:
        if not prison.dying:
            prison = replace(prison, dying=True, persist=False)
            self._table.replace(prison)
            self._write(prison)
        if self._driver.kill(prison.jid):
            self._held.discard(prison.jid)
        else:
            self._held.add(prison.jid)
        self._finish(prison)

    def _finish(self, prison: Prison) -> None:
        """Take a dying jail away if neither anything on the machine nor a jail below holds it; then look above."""
        if prison.jid in self._held or self._table.children(prison.jid):
            return
        if prison.own_vnet:
            self._remove_vnet(prison.vnet)
        self._driver.remove(prison.jid)
        self._table.discard(prison.jid)
        self._journal.drop(_JAIL, str(prison.jid))
        parent = self._prison(prison.parent)
        if parent.dying:
            self._finish(parent)
        else:
            self._settle(parent.jid)

    def _write(self, prison: Prison) -> None:
        kind, key = (_JAIL, str(prison.jid)) if prison.jid else (_HOST, "")
        self._journal.put(kind, key, prison.record())


def _path_below(above: str, path: str) -> str:
    """A jail's root as a process whose root is `above` names it."""
    if above == "/":
        return path
    return path[len(above) :] or "/" if path == above or path.startswith(f"{above}/") else path


class _Everything(Collection[str]):
    """Contains every module."""

    def __contains__(self, item: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
