"""Which of many jails is next: dependencies, the queues jail(8) keeps its jails in, and what a target on its command
line stands for.

A jail can be forgotten, as in FreeBSD: what it waits for is counted when it is asked to do something, those that were
done before included, and nobody tells it of them again. That is the fate of a jail in the middle of several
dependencies of which one was served first, of every jail with dependencies that restarts, and of the jails in a loop.
jail(8) ends without a word about them; `forgotten` names them.

Knows what an operation is called but not what it does. Messages go to the `Warns` it is handed. Sources: FreeBSD
usr.sbin/jail/state.c (13.2; for `-r` of a running jail a later one); recorded in
observed/c3_exec_failures_depend_wildcards.txt (c9).
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vjail.conf.jailconf import Checked, Jail
from vjail.conf.jailconf.numbers import is_number, strtol
from vjail.conf.position import Source, Span
from vjail.jail.phases import Phase
from vjail.kernel import observed
from vjail.kernel.errno import KernelError
from vjail.kernel.system import System


class Op(enum.IntFlag):
    """What is to be done with a jail; several together mean whichever its state asks for."""

    NONE = 0
    START = 1
    SET = 2
    STOP = 4
    RESTART = START | STOP


class Queue(enum.Enum):
    """Where a jail waits."""

    IDLE = "nothing to do, or done"
    READY = "next when it is its turn"
    DEPEND = "waits for jails it depends on"
    SLEEPING = "waits for a command"
    RUNNABLE = "waits for a command's place (-p)"


@dataclass(slots=True, eq=False)
class Edge:
    """`above` must be there before `below` starts, and `below` gone before `above` stops.

    A light one, of a jail and the one it is named below, is fulfilled as soon as `above` is created or `below` removed.
    """

    below: Work
    above: Work
    light: bool
    seen: bool = False


@dataclass(slots=True, eq=False)
class Item:
    """One value a phase carries out: its text, and where it stands in the file."""

    text: str
    index: int


@dataclass(slots=True, eq=False)
class Work:
    """A jail and how far it is. `name` is that of its block, None for a jail given on the command line."""

    name: str | None
    jail: Jail
    op: Op = Op.NONE
    required: bool = False
    """Only because another jail depends on it (JF_DEPEND)."""
    wild: bool = False
    """Not named on the command line (JF_WILD)."""
    failed: bool = False
    checked: Checked | None = None
    compared: bool = False
    """Its create-only parameters have been compared (JF_RDTUN)."""
    temporarily_persistent: bool = False
    favoured: bool = False
    """Has waited for a command's place before (JF_FROM_RUNQ)."""
    jid: int = 0
    """0: not known yet; -1: does not run."""
    last_jid: int = 0
    """The jid it had until it was removed."""
    phases: Sequence[Phase] | None = None
    at: int = -1
    items: Sequence[Item] = ()
    item: int | None = None
    queue: Queue = Queue.IDLE
    above: list[Edge] = field(default_factory=list)
    below: list[Edge] = field(default_factory=list)
    unmet: int = 0

    @property
    def begun(self) -> bool:
        """Whether its list of phases is being worked off."""
        return self.phases is not None

    @property
    def stops(self) -> bool:
        """Whether it is to stop, perhaps to start again later; its dependencies are then those below it."""
        return self.op & (Op.SET | Op.STOP) == Op.STOP

    def ahead(self) -> list[Edge]:
        """The edges it waits for."""
        return self.below if self.stops else self.above

    def behind(self) -> list[Edge]:
        """The edges that wait for it."""
        return self.above if self.stops else self.below


class Warns(Protocol):
    """Where messages about jails go."""

    def warn(self, work: Work | None, text: str) -> None:
        """A warning, about one jail or none."""
        ...

    @property
    def is_quiet(self) -> bool:
        """Whether -q was given."""
        ...


class Order:
    """The jails of one run of jail(8)."""

    def __init__(self, jails: Iterable[Jail], system: System, voice: Warns) -> None:
        self._system = system
        self._voice = voice
        self.works = [Work(jail.block, jail, failed=jail.failed) for jail in jails]
        self._by_name: list[Work] | None = None
        self._queues: dict[Queue, OrderedDict[Work, None]] = {queue: OrderedDict() for queue in Queue}
        for work in self.works:
            self._queues[Queue.IDLE][work] = None

    # --- queues -------------------------------------------------------------------------------------------------------

    def requeue(self, work: Work, queue: Queue) -> None:
        """Put a jail at the end of a queue, unless it is in it."""
        if work.queue is not queue:
            del self._queues[work.queue][work]
            self._queues[queue][work] = None
            work.queue = queue

    def requeue_first(self, work: Work, queue: Queue) -> None:
        """Put a jail at the head of a queue."""
        del self._queues[work.queue][work]
        self._queues[queue][work] = None
        self._queues[queue].move_to_end(work, last=False)
        work.queue = queue

    def first(self, queue: Queue) -> Work | None:
        """The head of a queue."""
        return next(iter(self._queues[queue]), None)

    def next_ready(self) -> Work | None:
        """The jail whose turn it is: the first, or of those that stop the last."""
        work = self.first(Queue.READY)
        if work is not None and work.stops:
            work = next(last for last in reversed(self._queues[Queue.READY]) if last.stops)
        return work

    def forgotten(self) -> Sequence[Work]:
        """The jails that wait when nothing is left to be done."""
        return list(self._queues[Queue.DEPEND])

    # --- dependencies -------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Find the dependencies of the jails of a file; those that cannot be fulfilled fail their jail."""
        self._by_name = sorted(self.works, key=lambda work: work.name or "")
        edges = 0
        for work in self.works:
            if work.failed:
                continue
            for name in work.jail.texts("depend"):
                above = self.find(name)
                if above is None:
                    self._voice.warn(work, f'depends on undefined jail "{name}"')
                    work.failed = True
                else:
                    edges += _connect(work, above, light=False)
            parent = self.find((work.name or "").rpartition(".")[0]) if "." in (work.name or "") else None
            if parent is not None:
                edges += _connect(work, parent, light=True)
        if edges > 1:
            self._find_loops()

    def connect_alone(self) -> None:
        """A jail given on the command line may depend on jails that run."""
        for work in self.works:
            for name in work.jail.texts("depend"):
                if self._observed(name, dying=False) is None:
                    self._voice.warn(None, f'depends on nonexistent jail "{name}"')
                    work.failed = True

    def _find_loops(self) -> None:
        """Go through all jails as if each could start at once; in every loop one is failed."""
        for work in self.works:
            self.reset(work)
            self.requeue(work, Queue.DEPEND if work.unmet else Queue.READY)
        self._drain()
        while (looping := self.first(Queue.DEPEND)) is not None:
            self._voice.warn(looping, "dependency loop")
            looping.failed = True
            self.requeue(looping, Queue.IDLE)
            self.done(looping, even_if_failed=True)
            self._drain()
        for work in self.works:
            for edge in work.above:
                edge.seen = False

    def _drain(self) -> None:
        while (work := self.first(Queue.READY)) is not None:
            self.requeue(work, Queue.IDLE)
            self.done(work, even_if_failed=True)

    def reset(self, work: Work) -> None:
        """Count what a jail waits for."""
        work.unmet = len(work.ahead())

    def must_wait(self, work: Work) -> bool:
        """Whether a jail has to wait for others, which are given what to do; it is queued then."""
        if work.unmet == 0:
            return False
        waits = 0
        for edge in work.ahead():
            if edge.seen:
                continue
            other = edge.below if work.stops else edge.above
            if other.failed:
                self._skip(work)
                continue
            self._ask(work, other)
            if not (edge.light and (other.jid < 0 if work.stops else other.jid > 0)):
                waits += 1
        if waits == 0:
            return False
        self.requeue(work, Queue.DEPEND)
        return True

    def _ask(self, work: Work, other: Work) -> None:
        """Let `other`, on which `work` waits, do what `work` does."""
        if other.op.bit_count() > 1:
            return
        fresh = other.op == Op.NONE
        if fresh:
            other.required = True
            self.requeue(other, Queue.READY)
        match work.op:
            case Op.START:
                other.op |= Op.START
            case Op.SET:
                if not other.op:
                    other.op = Op.SET
                elif Op.STOP in other.op:
                    other.op |= Op.START
            case Op.STOP | Op.RESTART:
                fresh = fresh or Op.STOP not in other.op
                other.op |= Op.STOP
                if Op.SET in other.op:
                    other.op ^= Op.START | Op.SET
        if fresh:
            self.reset(other)

    def done(self, work: Work, *, light_only: bool = False, even_if_failed: bool = False) -> None:
        """Tell those who wait for a jail that it is done, or (`light_only`) created or removed."""
        for edge in work.behind():
            if edge.seen or (light_only and not edge.light):
                continue
            edge.seen = True
            other = edge.above if work.stops else edge.below
            harmless = work.required and work.op == Op.SET
            if work.failed and not even_if_failed and not harmless:
                self._skip(other)
            other.unmet -= 1
            if not other.unmet and other.queue is Queue.DEPEND:
                self.requeue(other, Queue.READY)

    def _skip(self, work: Work) -> None:
        if not (work.required or work.failed or self._voice.is_quiet):
            self._voice.warn(work, "skipped")
        work.failed = True

    # --- targets ------------------------------------------------------------------------------------------------------

    def all(self, op: Op, *, from_file: bool) -> None:
        """Operate on every jail; those that wait for none first."""
        for work in list(self.works):
            self._set(work, op, wild=from_file)
            self.requeue(work, Queue.DEPEND if work.unmet else Queue.READY)

    def matching(self, pattern: str, op: Op) -> None:
        """Operate on every configured jail whose name a wildcard matches."""
        for work in list(self.works):
            if matches(work.name or "", pattern):
                self._set(work, op, wild=True)
                self.requeue(work, Queue.READY)

    def running_matching(self, pattern: str, op: Op) -> None:
        """Operate on every running jail whose name a wildcard matches (-R)."""
        for running in self._system.jails():
            if matches(running.name, pattern):
                work = self._add(running.name, running.jid)
                self._set(work, op, wild=True)
                self.requeue(work, Queue.READY)

    def named(self, name: str, op: Op) -> bool:
        """Operate on one jail; to stop it, it need only run. False: there is none, and a warning says so."""
        work = self.find(name)
        if work is None and op == Op.STOP:
            work = self._running(name)
        if work is None:
            self._voice.warn(None, f'"{name}" not found')
            return False
        self._set(work, op, wild=False)
        self.requeue(work, Queue.READY)
        return True

    def _set(self, work: Work, op: Op, *, wild: bool) -> None:
        work.op, work.wild, work.required = op, wild, False
        self.reset(work)

    def find(self, name: str) -> Work | None:
        """The configured jail with that block name; of two with one name, the one a binary search comes upon."""
        low, count = 0, len(self._by_name or ())
        while count and self._by_name is not None:
            work = self._by_name[low + count // 2]
            if work.name == name:
                return work
            if name > (work.name or ""):
                low += count // 2 + 1
                count -= 1
            count //= 2
        return None

    def _running(self, name: str) -> Work | None:
        """The jail that runs, or is dying, under a name or jid: its block, where the file has one of that name."""
        running = self._observed(name, dying=True)
        return None if running is None else self.find(running.name) or self._add(running.name, running.jid)

    def _observed(self, name: str, *, dying: bool) -> observed.Jail | None:
        key = strtol(name)[0] if is_number(name) and strtol(name)[0] else name
        try:
            return self._system.jail(key, dying=dying)
        except KernelError:
            return None

    def _add(self, name: str, jid: int) -> Work:
        """A jail that runs but is in no file."""
        nowhere = Source("", b"")
        work = Work(name, Jail(name, False, (), Span(nowhere, 0, 0)), jid=jid)
        self.works.append(work)
        self._queues[Queue.IDLE][work] = None
        return work


def _connect(below: Work, above: Work, *, light: bool) -> int:
    edge = Edge(below, above, light)
    below.above.append(edge)
    above.below.append(edge)
    return 1


def is_wildcard(name: str) -> bool:
    """Whether a name has a component that is `*`."""
    return "*" in name.split(".")


def matches(name: str, pattern: str) -> bool:
    """Whether a wildcard matches a jail's name: `*` in the middle one component, at the end one or more."""
    parts, wanted = name.split("."), pattern.split(".")
    while len(parts) > 1 and len(wanted) > 1:
        if parts.pop(0) != wanted[0] and wanted[0] != "*":
            return False
        wanted.pop(0)
    return ".".join(parts) == ".".join(wanted) or wanted == ["*"]
