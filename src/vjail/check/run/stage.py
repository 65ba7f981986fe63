"""A host in memory on which jails are started and stopped, and what can be seen of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface

from vjail.check.run.beyond import carried, devices, directories, equip, tunables, typed_mounts
from vjail.check.run.boot import Refusal, booted
from vjail.check.run.granted import grant
from vjail.check.subject import HostSubject, Subject
from vjail.conf.jailconf import Jail
from vjail.jail.events import Action, Event, State
from vjail.jail.order import Op, Order
from vjail.jail.phases import Where
from vjail.jail.runner import Runner, Settings
from vjail.jail.voice import Verbosity, Voice
from vjail.kernel.observed import Address, Inet6
from vjail.rehearsal import NotModelled, Rehearsal
from vjail.rehearsal.lab import Doubt, Result
from vjail.rehearsal.session import ModelSession
from vjail.rehearsal.up import provide


@dataclass(slots=True)
class Record:
    """An `Events` that keeps what it is told, each with how many doubts there were by then."""

    doubts: list[Doubt]
    events: list[tuple[Event, int]] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        """Keep it."""
        self.events.append((event, len(self.doubts)))


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that the model does not know, and the step of a jail that it was met in."""

    what: str
    event: Event | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one jail(8): what it said, and what happened.

    `unknown`: what the model does not know, in the order of its coming. `broken_off`: the last of it ended everything;
    the others were taken to succeed. `doubtful`: what failed might not fail on the real host.
    """

    status: int
    said: str
    events: tuple[Event, ...]
    unknown: tuple[Unknown, ...] = ()
    broken_off: bool = False
    doubtful: bool = False

    def failure(self, name: str | None = None) -> Event | None:
        """The first failure, of one jail or of any; what is undone after it does not count."""
        for event in self.events:
            if event.state is State.FAILED and event.action is not Action.UNDO and (name in (None, event.jail)):
                return event
        return None


def _step(events: Sequence[tuple[Event, int]], doubt: int) -> Event | None:
    """The step in which a doubt arose."""
    before = [event for event, count in events if count <= doubt and event.phase is not None]
    return before[-1] if before else None


def _doubtful(events: Sequence[tuple[Event, int]], doubts: Sequence[Doubt]) -> bool:
    """Whether the first failure may come of what is not known: on the host, or in a jail that fails inside."""
    for event, count in events:
        if event.state is State.FAILED and event.action is not Action.UNDO:
            inside = event.phase is not None and event.phase.where is Where.JAIL
            return any(not doubt.jid or inside for doubt in doubts[:count])
    return False


@dataclass(frozen=True, slots=True)
class Remains:
    """What can be seen of a host from outside its jails: interfaces, jails, mounts, members, addresses."""

    items: frozenset[str]

    def beyond(self, other: Remains) -> tuple[str, ...]:
        """What is here and not there."""
        return tuple(sorted(self.items - other.items))


@dataclass(frozen=True, slots=True)
class Standing:
    """What a host has before its jails: interfaces, whose units matter, and addresses."""

    interfaces: frozenset[str]
    addresses: tuple[IPv4Interface | IPv6Interface, ...]


@dataclass(slots=True)
class Stage:
    """One host of a rehearsal. A copy goes its own way."""

    lab: Rehearsal
    host: str
    world: HostSubject
    refusals: tuple[Refusal, ...] = ()
    """What failed at the host's boot."""
    granted: tuple[str, ...] = ()
    """Interfaces that nothing makes and that were taken for granted, as nothing is known of the host's rc.conf."""

    def fork(self) -> Stage:
        """The same, to go on with separately."""
        return Stage(self.lab.fork(), self.host, self.world, self.refusals, self.granted)

    def start(self, jails: Sequence[Jail], *names: str) -> Outcome:
        """Start jails one after the other, as `jail -p1 -c` does."""
        return self._operate(jails, Op.START, names)

    def stop(self, jails: Sequence[Jail], *names: str) -> Outcome:
        """Stop jails, as `jail -r` does."""
        return self._operate(jails, Op.STOP, names)

    def _operate(self, jails: Sequence[Jail], op: Op, names: Sequence[str]) -> Outcome:
        jails = [carried(jail, self.world) for jail in jails]
        doubts = self.lab.doubts
        assert doubts is not None
        record = Record(doubts)
        first = len(doubts)

        async def operate(session: ModelSession) -> int:
            voice = Voice(session, Verbosity.NORMAL)
            order = Order(jails, session.system, voice)
            order.connect()
            missing = [name for name in names if not order.named(name, op)]
            runner = Runner(session, order, voice, Settings(limit=1), self.world.reader, record)
            return await runner.run() or int(bool(missing))

        end: tuple[Unknown, ...] = ()
        try:
            result = self.lab.carry_out(self.host, ("jail",), operate)
        except NotModelled as unknown:
            result = Result(1)
            end = (Unknown(unknown.what, record.events[-1][0] if record.events else None),)
        met = tuple(Unknown(doubts[place].what, _step(record.events, place)) for place in range(first, len(doubts)))
        events = tuple(event for event, _ in record.events)
        return Outcome(result.code, result.both, events, met + end, bool(end), _doubtful(record.events, doubts))

    @property
    def is_doubtful(self) -> bool:
        """Whether something was done on the host whose outcome is not known."""
        return any(not doubt.jid for doubt in self.lab.doubts or ())

    def running(self) -> frozenset[str]:
        """The names of the jails there are."""
        return frozenset(jail.name for jail in self.lab.hosts[self.host].kernel.view().jails())

    def unseen(self) -> frozenset[str]:
        """The jails that run an /etc/rc whose rc.conf is not here, or something that is not known."""
        unseen: set[str] = set()
        doubted = {doubt.jid for doubt in self.lab.doubts or ()}
        jids = {jail.name: jail.jid for jail in self.lab.hosts[self.host].kernel.view().jails()}
        for jail in self.world.jails:
            runs_rc = any("/etc/rc" in call.words for call in jail.calls("sh"))
            others = any(call.name in ("dhclient", "service", "sh") for line in jail.lines for call in line.calls)
            here = self.world.reader.origin(f"{jail.jail.text('path') or ''}/etc/rc.conf") is not None
            if jids.get(jail.name) in doubted or (others and not (runs_rc and here)):
                unseen.add(jail.name)
        return frozenset(unseen)

    def standing(self) -> Standing:
        """What the host has now."""
        interfaces = list(self.lab.hosts[self.host].kernel.view().interfaces())
        addresses = tuple(_with_network(address) for each in interfaces for address in each.addresses)
        return Standing(frozenset(each.name for each in interfaces), addresses)

    def remains(self) -> Remains:
        """What there is now."""
        view = self.lab.hosts[self.host].kernel.view()
        items: list[str] = []
        for interface in view.interfaces():
            items.append(f"interface {interface.name}")
            items += (f"address {getattr(each, 'address', each)} on {interface.name}" for each in interface.addresses)
            if interface.bridge is not None:
                items += (f"{member.name} in {interface.name}" for member in interface.bridge.members)
        items += (f"jail {jail.name}" for jail in view.jails())
        items += (f"mount {mount.target} ({mount.fstype})" for mount in view.mounts())
        return Remains(frozenset(item for item in items if "address fe80:" not in item))


def _with_network(address: Address) -> IPv4Interface | IPv6Interface:
    if isinstance(address, Inet6):
        return IPv6Interface((address.address, address.prefixlen))
    try:
        return IPv4Interface((address.address, str(address.netmask)))
    except ValueError:  # a mask with holes
        return IPv4Interface(address.address)


def stages(subject: Subject) -> dict[str, Stage]:
    """Each host of a lab, booted, its jails not started. Raises NotModelled for what boots a host."""
    lab = Rehearsal.of(subject.lab, release=subject.release)
    lab.doubts = []
    equip(lab)
    found: dict[str, Stage] = {}
    for host in subject.hosts:
        provide(lab.hosts[host.name], {jail.name: typed_mounts(jail) for jail in host.jails})
        directories(host, lab.hosts[host.name])
        devices(host, lab.hosts[host.name])
        tunables(host, lab.hosts[host.name])
        refusals = tuple(booted(lab, host.name))
        granted = () if host.rc_files else tuple(grant(host, lab.hosts[host.name].kernel.view()))
        found[host.name] = Stage(lab, host.name, host, refusals, granted)
    lab.settle()
    return found
