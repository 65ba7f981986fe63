"""Carrying out one value of one phase: which command line, how it runs, and what the kernel is asked.

Knows no order and waits for nothing. Source: run_command() in FreeBSD 13.2 usr.sbin/jail/command.c, create_jail() in
jail.c.
"""

from __future__ import annotations

from vjail.jail import command_line, table, words
from vjail.jail.command_line import BadLine, Mounting
from vjail.jail.course import Stand
from vjail.jail.execute import Context
from vjail.jail.order import Item, Op, Work
from vjail.jail.paths import check_below, check_mounted, check_root
from vjail.jail.phases import Phase, Step, Where
from vjail.jail.voice import Voice
from vjail.jail.words import Line
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import RemoveJail
from vjail.release import Release
from vjail.session import Session

_AFTER_REMOVAL = frozenset({Step.POSTSTOP, Step.RELEASE})


class Failure(Exception):
    """A step that failed; the text is the warning."""


class Steps:
    """The steps of one run of jail(8).

    `note_removed`: whoever asked for jails to be stopped is told of each that was.
    """

    def __init__(self, session: Session, voice: Voice, *, print_jid: bool, note_removed: bool) -> None:
        self._session = session
        self._system = session.system
        self._release = session.system.release
        self._voice = voice
        self._print_jid = print_jid
        self._note_removed = note_removed

    # --- command lines ------------------------------------------------------------------------------------------------

    def line(self, work: Work, stand: Stand) -> Line | None:
        """The command line of a value; None where there is nothing to do. Raises Failure."""
        assert work.checked is not None
        step, item = stand.phase.step, stand.item
        match step:
            case Step.IP4 | Step.IP6:
                return command_line.address(work.checked.addresses[item.index], down=stand.down)
            case Step.INTERFACES:
                return command_line.interface(item.text, self._name_for_ifconfig(work), down=stand.down)
            case Step.MOUNT | Step.FSTAB | Step.DEVFS | Step.FDESCFS | Step.PROCFS:
                mounting = self._mounting(work, step, item)
                return None if mounting is None else self._mount_line(work, step, mounting, down=stand.down)
            case Step.DATASETS:
                return command_line.dataset(item.text, work.jid)
            case Step.COMMAND if work.name is None:
                return Line(work.jail.texts("command"))
        return words.command(item.text)

    def _name_for_ifconfig(self, work: Work) -> str | None:
        if self._release >= Release.V15:
            return str(work.jid)
        return work.jail.text("jid") or work.jail.text("name")

    def _mounting(self, work: Work, step: Step, item: Item) -> Mounting | None:
        if step in (Step.MOUNT, Step.FSTAB):
            try:
                return command_line.mounting(item.text)
            except BadLine as bad:
                raise Failure(f"{step.value}: {bad}") from None
        path = work.jail.text("path")
        if path is None:
            raise Failure(f"{step.value}: no jail root path defined")
        return command_line.special_mount(step, path, work.jail.text("devfs_ruleset"))

    def _mount_line(self, work: Work, step: Step, mounting: Mounting, *, down: bool) -> Line:
        files = self._session.files
        complaint = check_below(files, work.jail.text("path"), step.value, mounting.target)
        if complaint is None and down:
            complaint = check_mounted(self._session.system, files, step.value, mounting.target, mounting.fstype)
        if complaint is not None:
            raise Failure(complaint)
        return mounting.down(self._release) if down else mounting.up()

    def context(self, work: Work, phase: Phase) -> Context:
        """How a command of a phase runs. Raises Failure where its log cannot be written."""
        assert work.checked is not None
        pseudo = work.checked.pseudo
        if phase.where is not Where.JAIL:
            jid = work.last_jid if phase.step in _AFTER_REMOVAL else work.jid
            variables = table.variables(work.jail, jid) if self._release >= Release.V15 else ()
            return Context(clean=pseudo.exec_clean, user=pseudo.exec_system_user, variables=variables)
        log = pseudo.exec_consolelog
        if log is not None:
            self._check_log(work, log)
        return Context(
            jid=work.jid,
            path=work.jail.text("path"),
            clean=pseudo.exec_clean,
            user=pseudo.exec_jail_user,
            user_from_host=pseudo.exec_system_jail_user,
            fib=pseudo.exec_fib,
            console_log=log,
            # `jail -c path=/x command=/bin/sh`: the shell is the caller's. Of many jails none has the terminal.
            interactive=work.name is None and log is None,
        )

    def _check_log(self, work: Work, log: str) -> None:
        files = self._session.files
        complaint = check_below(files, work.jail.text("path"), "exec.consolelog", log, may_be_new=True)
        if complaint is not None:
            raise Failure(complaint)
        try:
            files.write(log, b"", append=True)
        except KernelError as error:
            raise Failure(f"open {log}: {error.errno.text}") from None

    # --- the kernel ---------------------------------------------------------------------------------------------------

    def create(self, work: Work) -> None:
        """Create the jail. Raises Failure."""
        assert work.checked is not None
        path = work.jail.text("path")
        complaint = None if path is None else check_root(self._session.files, path, named=work.name is not None)
        if complaint is not None:
            raise Failure(complaint)
        attempt = table.create(self._system, work.checked)
        work.jid = attempt.jid
        self.explain(work, "JAIL_CREATE", attempt)
        if attempt.error is not None:
            raise Failure(attempt.complaint)
        work.temporarily_persistent = attempt.made_persistent
        if self._print_jid:
            self._voice.plain(str(work.jid))
        self._voice.news(work, "created")

    def explain(self, work: Work, flag: str, attempt: table.Attempt) -> None:
        """Say what the kernel was asked, and how it answered."""
        failure = "" if attempt.error is None else f": {attempt.error.errno.text}"
        self._voice.detail(work, f"jail_set({flag}){attempt.shown}{failure}")

    def remove(self, work: Work) -> None:
        """Remove the jail; one that has gone already is as good. Raises Failure."""
        try:
            self._system.apply(RemoveJail(work.jid))
        except KernelError as error:
            if error.errno is Errno.EPERM:
                raise Failure(f"jail_remove: {error.errno.text}") from None
        if Op.STOP not in work.op:
            self._voice.news(work, "removed")
            work.temporarily_persistent = False
        elif self._voice.is_verbose or (self._note_removed and not self._voice.is_quiet):
            self._voice.note(work, "removed")
        work.jid, work.last_jid = -1, work.jid
