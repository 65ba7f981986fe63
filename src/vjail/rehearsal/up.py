"""Bringing a lab in memory up, in the steps of `vjail up`: bases for jails, /etc/rc of each host, then its jails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from vjail.command import rc_files
from vjail.command.rc import rc
from vjail.command.rc.subr import ENVIRONMENT
from vjail.jail.events import Events, Ignore
from vjail.kernel.model.files import Node, directory
from vjail.kernel.model.host import ModelHost
from vjail.lab.configured import Configured, configured, needed
from vjail.lab.userland.needs import needs
from vjail.lab.userland.tree import Kind
from vjail.rehearsal import tree
from vjail.rehearsal.lab import Rehearsal, Result
from vjail.session import FileKind


@dataclass(frozen=True, slots=True)
class Booted:
    """What a host said at its boot, and of its jails' start."""

    host: str
    boot: Result
    jails: Result


def up(
    lab: Rehearsal, events: Callable[[str], Events] = lambda _: Ignore(), booted: Callable[[], object] = lambda: None
) -> list[Booted]:
    """Boot every host, then start the jails of each; addresses are not tentative any more after it.

    `events`: who is told of a host's jails. `booted` is called between the boots and the jails.
    """
    found = {name: provide(host) for name, host in lab.hosts.items()}
    boots = {name: boot(lab, name) for name in lab.hosts}
    booted()
    started = [Booted(name, boots[name], start_jails(lab, name, found[name], events(name))) for name in lab.hosts]
    lab.settle()
    return started


def provide(host: ModelHost, mounts: Mapping[str, Sequence[str]] | None = None) -> Configured:
    """Make what the jails of a host's files take for granted; the jails.

    `mounts`: what jails mount besides, by jail, as fstab(5) lines.
    """
    found = configured(host.files_of(), host.release)

    def kind(path: str) -> Kind | None:
        seen = host.files_of().kind(path)
        return None if seen is None else Kind.DIRECTORY if seen is FileKind.DIRECTORY else Kind.OTHER

    wanted = [replace(each, lines=(*each.lines, *(mounts or {}).get(each.name, ()))) for each in needed(found.jails)]
    plan = needs(wanted, kind)
    store = host.files.stores[0]
    for root in plan.roots:
        store.graft(root.path, tree.base(root.parts))
    for made in plan.directories:
        if host.files.node(made.path) is None:
            host.files.put(made.path, directory(made.mode))
    for path in plan.files:
        host.files.put(path, Node(FileKind.FILE))
    return found


def boot(lab: Rehearsal, name: str) -> Result:
    """Run /etc/rc of a host, but for its jails."""
    return lab.carry_out(name, ("rc", "autoboot"), lambda session: rc(session, without=("jail",)), ENVIRONMENT)


def start_jails(
    lab: Rehearsal, name: str, found: Configured, events: Events | None = None, names: Sequence[str] = ()
) -> Result:
    """Start a host's jails as rc.d/jail does: all, those of jail_list, or `names`."""
    host = lab.hosts[name]
    conf, _ = rc_files.load(host.files_of(), "jail")
    if not found.jails:
        return Result()
    chosen = (*names,) or (*conf.words("jail_list"),)
    words = ("/etc/rc.d/jail", "onestart", *chosen)
    return lab.type(name, words, environ=ENVIRONMENT, events=events)
