"""rc.d/jail: the jails of a host started and stopped by name, or all of them. See rc(8), jail_* in rc.conf(5).

Its verbs only: prefixes, rcvar and usage are rc.subr's. jail(8) is run with its output in a file, which is shown where
it failed. Sources: libexec/rc/rc.d/jail of FreeBSD 13.2; recorded in observed/b2_service_jail.txt and
c4_wildcards_confd_quoting.txt.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from vjail.command import rc_jail_legacy as legacy
from vjail.conf.rcconf import Answer, RcConf, check_yes_no, not_set_properly
from vjail.kernel.errno import KernelError
from vjail.kernel.observed import Jail
from vjail.release import Release
from vjail.session import Output, Process, Session, StartError

_PROGRAM = "/etc/rc.d/jail"
_INCLUDES_FOLDER = re.compile(rb"(?m)^\s*\.include\s*[\"']?/etc/jail\.conf\.d/")


class _Exit(Exception):
    """The script ends here."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


async def rc_jail(session: Session, rcconf: RcConf, words: Sequence[str], *, quiet: bool = False) -> int:
    """A verb (start, stop, restart, status, config, console) and the names of jails; none: jail_list, or all.

    `quiet`: rc_quiet, as when the host boots.
    """
    verb, *names = words
    script = _Script(
        session, rcconf, everything=not names and not rcconf.words("jail_list"), listed=not names, quiet=quiet
    )
    try:
        return await script.run(verb, names or rcconf.words("jail_list"))
    except _Exit as leave:
        return leave.code


@dataclass
class _Script:
    """One run of the script. `everything`: no jail was named, neither by the caller nor in jail_list."""

    session: Session
    conf: RcConf
    everything: bool
    listed: bool
    """The names come from jail_list, so that jail_reverse_stop counts."""
    quiet: bool = False
    """Messages are shown only where rc_startmsgs says so, from release 15 on."""
    obsolete: bool = False
    """The last jail looked at is configured in rc.conf, which earns a warning."""
    temporary: set[str] = field(default_factory=set)

    async def run(self, verb: str, names: Sequence[str]) -> int:
        """Carry out a verb."""
        match verb:
            case "start":
                await self._start(names)
            case "stop":
                await self._stop(names)
            case "restart":
                await self._stop(names)
                await self._start(names)
            case "status":
                return await self._run((self._variable("jail_jls", "/usr/sbin/jls"), "-N"))
            case "config":
                self._config(names)
            case "console":
                return await self._console(names)
        return 0

    # --- what the verbs share -----------------------------------------------------------------------------------------

    def _variable(self, name: str, default: str) -> str:
        return self.conf.get(name) or default

    def _yes(self, name: str) -> bool:
        answer = check_yes_no(self.conf.get(name))
        if answer is Answer.NEITHER:
            self._warn(not_set_properly(name))
        return answer is Answer.YES

    def _warn(self, text: str) -> None:
        self.session.err(f"{_PROGRAM}: WARNING: {text}\n")

    def _say(self, text: str) -> None:
        """A message of a start or stop; from 15 on it is rc.subr's startmsg, which can be silent at boot."""
        if self.session.system.release < Release.V15 or not self.quiet or self._yes("rc_startmsgs"):
            self.session.out(text)

    async def _run(self, argv: Sequence[str], output: Output | str = Output.SESSION) -> int:
        session = self.session
        if session.resolves(argv[0], 0, session.environ):
            return await session.call(argv, output=output)
        try:
            return (await (await session.start(Process(tuple(argv), output=output))).wait()).code
        except StartError as error:
            session.err(f"{_PROGRAM}: {argv[0]}: {error.text}\n")
            return 127

    async def _captured(self, argv: Sequence[str]) -> tuple[int, str]:
        """A command's exit code and both its streams."""
        files = self.session.files
        path = self._temporary_file()
        try:
            code = await self._run(argv, path)
            return code, files.read(path).decode("utf-8", "surrogateescape")
        finally:
            self.temporary.discard(path)
            self._unlink(path)

    def _temporary_file(self) -> str:
        number = 0
        try:
            while (path := f"/tmp/jail.{number:08}") in self.temporary or self.session.files.kind(path) is not None:
                number += 1
            self.session.files.write(path, b"", mode=0o600)
        except KernelError as error:
            self.session.err(f"mktemp: mkstemp failed on {path}: {error.errno.text}\n")
            raise _Exit(3) from None
        self.temporary.add(path)
        return path

    def _unlink(self, path: str) -> None:
        try:
            self.session.files.unlink(path)
        except KernelError:
            return

    def _running(self, name: str) -> Jail | None:
        """The jail that `jls -j NAME` finds."""
        try:
            return self.session.system.jail(int(name) if re.fullmatch(r"0*[1-9][0-9]*", name) else name)
        except KernelError:
            return None

    def _note_jid(self, name: str, jid: int) -> None:
        path = f"/var/run/jail_{name}.id"
        try:
            self.session.files.write(path, f"{jid}\n".encode())
        except KernelError as error:
            self.session.err(f"{_PROGRAM}: cannot create {path}: {error.errno.text}\n")

    def _file_of(self, name: str) -> str | None:
        """The configuration file of one jail; None where it has none, and a warning says so."""
        variable = legacy.variable(name)
        own = self._variable(f"jail_{variable}_conf", f"/etc/jail.{name}.conf")
        general = self.conf.get("jail_conf")
        self.obsolete = False
        if legacy.is_configured(self.conf, name):
            self.obsolete = self._yes("jail_confwarn")
            readable = self._is_readable(general) or self._is_readable(own)
            if readable and not self._yes("jail_parallel_start"):
                self._warn(f"/var/run/jail.{name}.conf is created and used for jail {name}.")
            return legacy.write(self.session.files, self.conf, name, self._warn, self._dad_count())
        separate: Sequence[str] = () if self._includes_folder(general) else (f"/etc/jail.conf.d/{name}.conf",)
        for path in (own, *separate, general):
            if self._is_readable(path):
                return path
        self._warn(
            f"Invalid configuration for {name}  (no jail.conf, no hostname, or no path).   Jail {name} was ignored."
        )
        return None

    def _includes_folder(self, path: str) -> bool:
        """Whether jail.conf itself reads jail.conf.d, whose files are then no configurations of their own (15)."""
        if self.session.system.release < Release.V15 or not self._is_readable(path):
            return False
        return _INCLUDES_FOLDER.search(self.session.files.read(path)) is not None

    def _dad_count(self) -> int:
        """How many probes an IPv6 address needs before it can be used."""
        try:
            return int(self.session.system.sysctl("net.inet6.ip6.dad_count")[0][1])
        except (KernelError, ValueError, IndexError):
            return 1

    def _is_readable(self, path: str) -> bool:
        try:
            return bool(path) and self.session.files.kind(path) is not None
        except KernelError:
            return False

    def _shown(self, name: str) -> str:
        """What a jail is called in messages."""
        return self.conf.get(f"jail_{legacy.variable(name)}_hostname") or name

    # --- start --------------------------------------------------------------------------------------------------------

    async def _start(self, names: Sequence[str]) -> None:
        self._say("Starting jails:")
        if self.everything:
            await self._start_all()
        elif self._yes("jail_parallel_start"):
            await asyncio.gather(*(self._start_one(legacy.plain(name)) for name in names))
        else:
            for name in names:
                await self._start_one(legacy.plain(name))
        self._say(".\n")
        if self.obsolete:
            self._warn(
                "Per-jail configuration via jail_* variables  is obsolete.  "
                f"Please consider migrating to {self.conf.get('jail_conf')}."
            )

    async def _start_all(self) -> None:
        argv = [self._variable("jail_program", "/usr/sbin/jail"), *self.conf.words("jail_flags")]
        argv += ["-f", self.conf.get("jail_conf"), "-c"]
        if not self._yes("jail_parallel_start"):
            argv.append("-p1")
        code, output = await self._captured(argv)
        if code:
            self.session.out(output)
            return
        for jail in self.session.system.jails():
            self._say(f" {jail.name}")
            self._note_jid(jail.name, jail.jid)

    async def _start_one(self, name: str) -> None:
        file = self._file_of(name)
        if file is None:
            return
        variable = legacy.variable(name)
        flags = self._variable(f"jail_{variable}_flags", self.conf.get("jail_flags")).split()
        program = self._variable(f"jail_{variable}_program", self._variable("jail_program", "/usr/sbin/jail"))
        code, output = await self._captured([program, *flags, "-i", "-f", file, "-c", name])
        if code:
            self.session.out(f' cannot start jail  "{self._shown(name)}": \n{output}')
            return
        self._say(f" {self._shown(name)}")
        jail = self._running(name)
        if jail is not None:
            self._note_jid(name, jail.jid)

    # --- stop ---------------------------------------------------------------------------------------------------------

    async def _stop(self, names: Sequence[str]) -> None:
        self._say("Stopping jails:")
        if self.everything:
            await self._stop_all()
        else:
            reverse = self.listed and self._yes("jail_reverse_stop")
            for name in reversed(names) if reverse else names:
                await self._stop_one(legacy.plain(name))
        self._say(".\n")

    async def _stop_all(self) -> None:
        names = [jail.name for jail in self.session.system.jails()]
        if self._yes("jail_reverse_stop"):
            names.reverse()
        program = self._variable("jail_program", "/usr/sbin/jail")
        for name in names:
            self._say(f" {name}")
            argv = [program, *self.conf.words("jail_flags"), "-f", self.conf.get("jail_conf"), "-r", name]
            await self._stop_with(argv, name)

    async def _stop_one(self, name: str) -> None:
        file = self._file_of(name)
        if file is None or self._running(name) is None:
            return
        self._say(f" {self._shown(name)}")
        program = self._variable(
            f"jail_{legacy.variable(name)}_program", self._variable("jail_program", "/usr/sbin/jail")
        )
        await self._stop_with([program, "-q", "-f", file, "-r", name], name)

    async def _stop_with(self, argv: Sequence[str], name: str) -> None:
        """Stop a jail; what jail(8) says is shown only if the jail is still there."""
        _, output = await self._captured(argv)
        if self._running(name) is not None:
            self.session.out(output)
        else:
            self._unlink(f"/var/run/jail_{name}.id")

    # --- the rest -----------------------------------------------------------------------------------------------------

    def _config(self, names: Sequence[str]) -> None:
        for name in () if self.everything else map(legacy.plain, names):
            file = self._file_of(name)
            if file is not None:
                self.session.out(f"{name}: parameters are in {file}.\n")

    async def _console(self, names: Sequence[str]) -> int:
        if self.everything or not names:
            self.session.err(f"{_PROGRAM}: ERROR: Specify a jail name.\n")
            return 3
        name, *command = names
        name = legacy.plain(name)
        if not command:
            default = self._variable("jail_consolecmd", "/usr/bin/login -f root")
            command = self._variable(f"jail_{legacy.variable(name)}_consolecmd", default).split()
        return await self._run((self._variable("jail_jexec", "/usr/sbin/jexec"), name, *command))
