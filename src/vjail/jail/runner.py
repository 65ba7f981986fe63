"""jail(8)'s main loop: starts, stops and changes jails, each a state machine of its own, all of them side by side.

Whenever one jail waits for a command the next that is ready is served, so without a limit all jails go on in parallel,
each of them one step after the other. The order of everything, the queues and the words are FreeBSD's. Sources: main()
in FreeBSD 13.2 usr.sbin/jail/jail.c; next_command(), finish_command(), term_procs() in command.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vjail.conf.jailconf import Operation, World, check_types, known_parameters
from vjail.conf.jailconf.parameters import Role
from vjail.conf.position import Span
from vjail.jail import course, execute, table
from vjail.jail.commands import Commands, Ended, gone
from vjail.jail.course import Stand
from vjail.jail.events import Action, Event, Events, Ignore, State
from vjail.jail.order import Op, Order, Queue, Work
from vjail.jail.phases import BEFORE_REMOVAL, Step, Where, start_phases, stop_phases
from vjail.jail.steps import Failure, Steps
from vjail.jail.voice import Voice
from vjail.session import Exit, Session

_STOP_TIMEOUT = 10
"""Seconds a jail's processes have after SIGTERM, unless stop.timeout says otherwise."""

_SIGTERM = 15


@dataclass(frozen=True, slots=True)
class Settings:
    """What jail(8)'s options ask for.

    `limit`: at most so many commands at once (-p), None: any number. `print_jid`: -i. `dying`: -d. `note_removed`: each
    jail that was stopped is told of. `record`: the file of -J, which exists. `old_style`: its records are those of the
    old command line. `cleanup`: -C of 15.
    """

    limit: int | None = None
    print_jid: bool = False
    dying: bool = False
    note_removed: bool = False
    record: str | None = None
    old_style: bool = False
    cleanup: bool = False


class Runner:
    """One run of jail(8) over the jails in the queues of an Order."""

    def __init__(
        self,
        session: Session,
        order: Order,
        voice: Voice,
        settings: Settings,
        world: World,
        events: Events | None = None,
    ) -> None:
        self._session = session
        self._system = session.system
        self._release = session.system.release
        self._order = order
        self._voice = voice
        self._settings = settings
        self._world = world
        self._events = events or Ignore()
        self._commands = Commands(session, settings.limit)
        self._steps = Steps(session, voice, print_jid=settings.print_jid, note_removed=settings.note_removed)
        self._status = 0
        present = set(self._system.jail_parameters())
        known = known_parameters(self._release).values()
        self._absent = frozenset(
            each.name for each in known if each.role is not Role.PSEUDO and each.name not in present
        )

    async def run(self) -> int:
        """Do what the jails in the queues are to do; 1 if anything failed, otherwise 0."""
        while (work := await self._next()) is not None:
            self._serve(work)
        for work in self._order.forgotten():
            self._tell(work, None, State.FORGOTTEN, origins=(work.jail.source,))
        return self._status

    # --- the main loop ------------------------------------------------------------------------------------------------

    async def _next(self) -> Work | None:
        """The next jail that can go on: one whose command has ended, otherwise one that is ready."""
        while True:
            ready = self._order.first(Queue.READY) is not None
            ended = await self._commands.ended(at_once=ready)
            if ended is not None:
                self._order.requeue(ended.work, Queue.IDLE)
                if self._finish(ended):
                    return ended.work
                continue
            work = self._order.next_ready()
            if work is not None:
                self._order.requeue(work, Queue.IDLE)
            return work

    def _serve(self, work: Work) -> None:
        if work.failed:
            self._status = 1
            if not work.begun:
                self._order.done(work)
                return
        if work.checked is None and not self._check(work):
            return
        if work.jid == 0:
            assert work.checked is not None
            changes = Op.SET in work.op and not work.required
            dying = changes and (self._settings.dying or work.checked.pseudo.allow_dying)
            work.jid = table.running_jid(self._system, work.jail, dying=dying)
        if not self._decide(work):
            return
        if work.op == Op.START:
            self._start(work)
        elif work.op == Op.SET:
            self._modify(work)
        else:
            self._stop(work)

    def _fail(self, work: Work, text: str = "", origins: Sequence[Span] = ()) -> None:
        """Mark a jail failed; it is served next, to take back what was done or to tell those that depend on it."""
        if not work.begun:
            self._tell(work, None, State.FAILED, text, origins or (work.jail.source,))
        work.failed = True
        self._order.requeue_first(work, Queue.READY)

    def _tell(
        self, work: Work, stand: Stand | None, state: State, text: str = "", origins: Sequence[Span] = ()
    ) -> None:
        if work.op == Op.SET:
            action = Action.MODIFY
        elif Op.STOP in work.op:
            action = Action.STOP
        else:
            action = Action.UNDO if stand is not None and stand.down else Action.START
        phase = None if stand is None else stand.phase
        places = tuple(origins) if stand is None else stand.origins
        self._events.tell(Event(work.name, action, phase, state, text, places))

    def _check(self, work: Work) -> bool:
        """Check the types of a jail's parameters before anything is done with it."""
        operation = Operation.MODIFY if work.op == Op.SET else Operation.START
        if work.op == Op.STOP:
            operation = Operation.STOP
        checked = check_types(work.jail, self._release, operation, world=self._world, absent=self._absent)
        work.checked = checked
        said = [message for message in checked.messages if not message.kind.is_ours]
        for message in said:
            self._voice.line(message.line)
        if not checked.ok:
            self._fail(work, said[0].text if said else "", [each.cause for each in said if each.cause is not None])
        return checked.ok

    def _decide(self, work: Work) -> bool:
        """Turn an operation that depends on the jail's state into the one it means. False: the jail failed."""
        if work.op == Op.START | Op.SET:
            op = Op.START if work.jid < 0 else Op.SET
        elif Op.SET | Op.STOP in work.op and work.jid < 0:
            if Op.START not in work.op:
                self._voice.warn_quoted(work, "not found", "no jail specified")
                self._fail(work, "not found")
                return False
            op = Op.START
        elif Op.SET | Op.STOP in work.op:
            op = Op.RESTART if self._create_only_difference(work) is not None else Op.SET
        else:
            return True
        work.op, work.required, work.wild = op, False, False
        if op == Op.RESTART:
            self._order.reset(work)
        return True

    def _create_only_difference(self, work: Work) -> str | None:
        """The first create-only parameter that a running jail has otherwise than configured; compared once only."""
        if work.compared or work.checked is None:
            return None
        work.compared = True
        return table.create_only_difference(self._system, work.checked, work.jid)

    # --- start, modify, stop ------------------------------------------------------------------------------------------

    def _start(self, work: Work) -> None:
        if not work.begun:
            if work.jid > 0 and not (work.required or work.wild):
                self._voice.warn_quoted(work, "already exists")
                self._fail(work, "already exists")
                return
            if self._order.must_wait(work):
                return
            if work.jid > 0:
                self._started(work)
                return
            self._tell(work, None, State.STARTED, origins=(work.jail.source,))
            course.begin(work, start_phases(self._release))
        if self._go_on(work):
            self._started(work)

    def _started(self, work: Work) -> None:
        """The end of a start, of one that has been taken back too."""
        assert work.checked is not None
        if work.temporarily_persistent:
            work.temporarily_persistent = False
            error = table.clear_persist(self._system, work.jid)
            failure = "" if error is None else f": {error.errno.text}"
            self._voice.detail(work, f"jail_set(JAIL_UPDATE) jid={work.jid} nopersist{failure}")
        if self._settings.record is not None:
            text = table.record(work.checked, work.jid, old_style=self._settings.old_style)
            self._session.files.write(self._settings.record, text.encode("utf-8", "surrogateescape"), append=True)
        if work.begun:
            self._tell(work, None, State.FAILED if work.failed else State.FINISHED, origins=(work.jail.source,))
        self._order.done(work)

    def _modify(self, work: Work) -> None:
        if work.jid < 0 and not work.required:
            self._voice.warn_quoted(work, "not found", "no jail specified")
            self._fail(work, "not found")
            return
        if self._order.must_wait(work) or not (work.required or self._update(work)):
            return
        self._order.done(work)

    def _update(self, work: Work) -> bool:
        """Set what can be changed. False: the jail failed."""
        assert work.checked is not None
        difference = self._create_only_difference(work)
        complaint = None if difference is None else f"{difference} cannot be changed after creation"
        if complaint is None:
            attempt = table.update(self._system, work.checked, work.jid)
            if attempt is not None:
                self._steps.explain(work, "JAIL_UPDATE", attempt)
                complaint = None if attempt.error is None else attempt.complaint
        if complaint is not None:
            self._voice.warn(work, complaint)
            self._fail(work, complaint)
            return False
        self._voice.news(work, "updated")
        self._tell(work, None, State.FINISHED, origins=(work.jail.source,))
        return True

    def _stop(self, work: Work) -> None:
        if not work.begun:
            if self._order.must_wait(work):
                return
            if not self._has_something_to_stop(work):
                self._stopped(work)
                return
            self._tell(work, None, State.STARTED, origins=(work.jail.source,))
            phases = stop_phases(self._release)
            if self._settings.cleanup:
                phases = tuple(phase for phase in phases if phase.step not in BEFORE_REMOVAL)
            course.begin(work, phases)
        elif work.failed and work.jid > 0:
            # What failed stands before the removal: the jail goes on running.
            self._stopped(work)
            return
        if self._go_on(work):
            self._stopped(work)

    def _has_something_to_stop(self, work: Work) -> bool:
        if self._settings.cleanup:
            return work.jid < 0
        if work.jid < 0 and not (work.required or work.wild):
            if not self._voice.is_quiet:
                self._voice.warn_quoted(work, "not found")
            self._fail(work, "not found")
        return work.jid > 0

    def _stopped(self, work: Work) -> None:
        """The end of a stop; where the jail is to start again it now waits for its turn."""
        if work.begun:
            self._tell(work, None, State.FAILED if work.failed else State.FINISHED, origins=(work.jail.source,))
        self._order.done(work)
        if Op.START in work.op and not work.failed:
            work.phases = None
            work.op = Op.START
            self._order.reset(work)
            self._order.requeue(work, Queue.DEPEND if work.unmet else Queue.READY)

    # --- going through the phases -------------------------------------------------------------------------------------

    def _go_on(self, work: Work) -> bool:
        """Do the next steps of a jail, up to one that takes time. True: its list has come to an end."""
        if self._commands.is_full:
            # Who has waited for a command's place before is served first when one becomes free.
            if work.favoured:
                self._order.requeue_first(work, Queue.RUNNABLE)
            else:
                self._order.requeue(work, Queue.RUNNABLE)
            return False
        work.favoured = False
        while (stand := course.advance(work)) is not None:
            try:
                if self._step(work, stand):
                    self._order.requeue(work, Queue.SLEEPING)
                    return False
            except Failure as failure:
                self._voice.warn(work, str(failure))
                self._tell(work, stand, State.FAILED, str(failure))
                self._fail(work)
                return False
        return True

    def _step(self, work: Work, stand: Stand) -> bool:
        """Carry out one value of a phase. True: it takes time. Raises Failure."""
        if stand.phase.where is Where.KERNEL:
            return self._kernel_step(work, stand)
        assert work.checked is not None
        line = self._steps.line(work, stand)
        if line is None:
            return False
        context = self._steps.context(work, stand.phase)
        inside = " in jail" if stand.phase.where is Where.JAIL else ""
        user = "" if context.user is None else f" as {context.user}"
        self._voice.detail(work, f"run command{inside}{user}: {line.text}")
        self._tell(work, stand, State.STARTED, line.text)
        running = execute.run(self._session, line, context, lambda text: self._voice.warn(work, text))
        if line.background:
            self._commands.wait_for(work, stand, running)
        else:
            self._commands.run(work, stand, line, running, work.checked.pseudo.exec_timeout or None)
        return True

    def _kernel_step(self, work: Work, stand: Stand) -> bool:
        if stand.phase.step is Step.TERMINATE:
            return self._terminate(work, stand)
        self._tell(work, stand, State.STARTED)
        if stand.down:
            self._steps.remove(work)
        else:
            self._steps.create(work)
        self._tell(work, stand, State.FINISHED)
        if Op.STOP in work.op or not stand.down:
            self._order.done(work, light_only=True)
        return False

    def _terminate(self, work: Work, stand: Stand) -> bool:
        """Send SIGTERM to the jail's own processes. True: there are some, and they are given time."""
        assert work.checked is not None
        timeout = work.checked.pseudo.stop_timeout
        processes = () if timeout == 0 else self._session.running(work.jid)
        if not processes:
            return False
        self._tell(work, stand, State.STARTED)
        for process in processes:
            process.kill(_SIGTERM)
        self._voice.detail(work, f"sent SIGTERM to: {' '.join(str(process.pid) for process in processes)}")
        self._commands.wait_for(work, stand, gone(processes), _STOP_TIMEOUT if timeout is None else timeout)
        return True

    def _finish(self, ended: Ended) -> bool:
        """Judge how a jail's command ended. False: the jail failed."""
        if ended.line is None:
            self._tell(ended.work, ended.stand, State.FINISHED)
            return True
        waiting = self._order.first(Queue.RUNNABLE)
        if waiting is not None:
            waiting.favoured = True
            self._order.requeue(waiting, Queue.READY)
        match ended.exit:
            case None:
                complaint = f"{ended.line.text}: timed out"
            case Exit(0, 0):
                self._tell(ended.work, ended.stand, State.FINISHED, ended.line.text)
                return True
            case Exit(_, 0):
                complaint = f"{ended.line.text}: failed"
            case Exit(_, signal):
                complaint = f"{ended.line.text}: exited on signal {signal}"
        self._voice.warn(ended.work, complaint)
        self._tell(ended.work, ended.stand, State.FAILED, complaint)
        self._fail(ended.work)
        return False
