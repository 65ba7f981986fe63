"""rc.subr(8) for the scripts written here: what a script is, what it is given, and run_rc_command.

A `Script` is data: its names and its verbs, each an async function of an `Rc` (session, variables, how it was called)
and further words. Sources: rc.subr(8), libexec/rc/rc.subr of 13.2, observed/b2_service_jail.txt.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vjail.command import rc_files
from vjail.conf.rcconf import Answer, RcConf, check_yes_no, not_set_properly
from vjail.kernel.errno import KernelError
from vjail.session import Output, Process, Session, StartError

ENVIRONMENT: Mapping[str, str] = {"HOME": "/", "PATH": "/sbin:/bin:/usr/sbin:/usr/bin"}
"""The environment rc and service(8) give to what they run."""

_NEVER_CHECKED = ("rcvar", "delete", "enable", "describe")
_OF_DAEMONS = ("status", "poll")
_ALWAYS = ("start", "stop", "restart", "rcvar", "enable", "disable", "delete", "enabled", "describe", "extracommands")


class Keyword(enum.Enum):
    """The KEYWORD words of a script that rc heeds."""

    NOJAIL = "nojail"
    NOJAILVNET = "nojailvnet"
    NOSTART = "nostart"
    SHUTDOWN = "shutdown"


class Prefix(enum.Enum):
    """What may stand before a verb (`onestart`)."""

    FAST = "fast"
    FORCE = "force"
    ONE = "one"
    QUIET = "quiet"


@dataclass(slots=True)
class Rc:
    """What a script is given: `program` is its $0, which its warnings begin with."""

    session: Session
    conf: RcConf
    program: str
    prefix: Prefix | None = None

    @property
    def quiet(self) -> bool:
        """rc_quiet: messages are shown only where rc_startmsgs says so."""
        return self.prefix in (Prefix.FAST, Prefix.QUIET)

    @property
    def jailed(self) -> bool:
        """Whether it runs in a jail."""
        return self.session.system.jid != 0

    def out(self, text: str) -> None:
        """Write to standard output."""
        self.session.out(text)

    def warn(self, text: str) -> None:
        """A warning of the script's."""
        self.session.err(f"{self.program}: WARNING: {text}\n")

    def shows_messages(self) -> bool:
        """check_startmsgs."""
        return not self.quiet or self.yes("rc_startmsgs")

    def message(self, text: str) -> None:
        """startmsg, the newline included in `text`."""
        if self.shows_messages():
            self.session.out(text)

    def yes(self, name: str) -> bool:
        """checkyesno."""
        answer = check_yes_no(self.conf.get(name))
        if answer is Answer.NEITHER:
            self.warn(not_set_properly(name))
        return answer is Answer.YES

    async def call(self, *argv: str, output: Output = Output.SESSION) -> int:
        """Run one of the base system's commands that vjail answers."""
        return await self.session.call(argv, output=output)

    async def run(self, *argv: str, output: Output = Output.SESSION) -> int:
        """Run any program and wait for it; its exit code, 127 where it cannot be started."""
        if self.session.resolves(argv[0], self.session.system.jid, ENVIRONMENT):
            return await self.session.call(argv, output=output)
        try:
            running = await self.session.start(Process(argv, environ=ENVIRONMENT, cwd="/", output=output))
        except StartError as error:
            self.session.err(f"{self.program}: {argv[0]}: {error.text}\n")
            return 127
        return (await running.wait()).code

    def is_executable(self, path: str) -> bool:
        """test -x."""
        try:
            return self.session.files.kind(path) is not None and bool(self.session.files.mode(path) & 0o111)
        except KernelError:
            return False

    def is_readable(self, path: str) -> bool:
        """test -r, as root: whether it is there."""
        try:
            return self.session.files.kind(path) is not None
        except KernelError:
            return False


Verb = Callable[[Rc, Sequence[str]], Awaitable[int]]


async def nothing(rc: Rc, words: Sequence[str]) -> int:
    """The verb `:`."""
    return 0


@dataclass(frozen=True, slots=True)
class Script:
    """A script of /etc/rc.d: `file` is its name there, `name` what it calls itself in messages and variables.

    `verbs` holds at least start and stop; `rcvar` is the variable that enables it, None where nothing does; `heeds`
    names further files of rc.conf.d it reads.
    """

    file: str
    description: str
    verbs: Mapping[str, Verb]
    name: str = ""
    rcvar: str | None = None
    keywords: frozenset[Keyword] = field(default_factory=frozenset)
    heeds: tuple[str, ...] = ()
    runs: Callable[[Rc], object] = lambda rc: None
    """What tells that a daemon runs already (something true); scripts that are none keep the default."""

    @property
    def called(self) -> str:
        """`name`, or the file's where none is given."""
        return self.name or self.file

    @property
    def keyword_list(self) -> Sequence[str]:
        """The words it takes, in the order of its usage message."""
        return [*_ALWAYS, *self.extra_commands, *(verb for verb in _OF_DAEMONS if verb in self.verbs)]

    @property
    def extra_commands(self) -> Sequence[str]:
        """The words that only this script has."""
        return [verb for verb in self.verbs if verb not in _ALWAYS and verb not in _OF_DAEMONS]


async def run_script(session: Session, script: Script, words: Sequence[str], program: str) -> int:
    """Run a script as a process of its own would: its variables read afresh, its word's prefix understood."""
    conf, problems = rc_files.load(session.files, *script.heeds, script.called)
    rc = Rc(session, conf, program)
    for problem in problems:
        rc.warn(f"{problem.span}: {problem.reason}; ignored")
    return await run_rc_command(rc, script, words)


async def run_rc_command(rc: Rc, script: Script, words: Sequence[str]) -> int:
    """run_rc_command: prefix, rcvar, then the verb."""
    word, *arguments = words or ("",)
    prefix, verb = _split(word)
    rc = replace(rc, prefix=prefix or rc.prefix)
    if prefix in (Prefix.ONE, Prefix.FORCE) and script.rcvar:
        rc.conf = rc.conf.with_values({script.rcvar: "YES"})
    if verb not in script.keyword_list:
        if verb:
            rc.session.err(f"{rc.program}: unknown directive '{verb}'.\n")
        rc.session.err(f"Usage: {rc.program} [fast|force|one|quiet]({'|'.join(script.keyword_list)})\n")
        return 1
    if verb == "enabled":
        return 0 if script.rcvar is None or rc.yes(script.rcvar) else 1
    if not _may_run(rc, script, verb):
        return 0
    return await _run_verb(rc, script, verb, arguments)


def _split(word: str) -> tuple[Prefix | None, str]:
    for prefix in Prefix:
        if word.startswith(prefix.value):
            return prefix, word.removeprefix(prefix.value)
    return None, word


def _may_run(rc: Rc, script: Script, verb: str) -> bool:
    """Whether the rcvar allows the verb; says how to mend it where not."""
    if script.rcvar is None or verb in _NEVER_CHECKED or (verb == "stop" and script.runs(rc)):
        return True
    if rc.yes(script.rcvar):
        return True
    if not rc.quiet:
        rc.out(
            f"Cannot '{verb}' {script.called}. Set {script.rcvar} to YES in /etc/rc.conf "
            f"or use 'one{verb}' instead of '{verb}'.\n"
        )
    return False


async def _run_verb(rc: Rc, script: Script, verb: str, arguments: Sequence[str]) -> int:
    if verb in script.verbs:
        return await script.verbs[verb](rc, arguments)
    match verb:
        case "restart":
            await run_rc_command(rc, script, [_prefixed(rc, "stop"), *arguments])
            return await run_rc_command(rc, script, [_prefixed(rc, "start"), *arguments])
        case "describe":
            rc.out(f"{script.description}\n")
        case "extracommands":
            rc.out(f"{' '.join(script.extra_commands)}\n")
        case "rcvar":
            _show_rcvar(rc, script)
        case "enable" | "disable" | "delete" if script.rcvar is not None:
            return await _change_rcvar(rc, script, verb, script.rcvar)
    return 0


def _prefixed(rc: Rc, verb: str) -> str:
    """The verb with the prefix that run_rc_command passes on (fast is not)."""
    return f"{rc.prefix.value}{verb}" if rc.prefix and rc.prefix is not Prefix.FAST else verb


def _show_rcvar(rc: Rc, script: Script) -> None:
    described = f" : {script.description}" if script.description else ""
    shown = f'{script.rcvar}="{rc.conf.get(script.rcvar)}"\n#   (default: "")\n' if script.rcvar else ""
    rc.out(f"# {script.called}{described}\n#\n{shown}\n")


async def _change_rcvar(rc: Rc, script: Script, verb: str, rcvar: str) -> int:
    """enable, disable and delete, by sysrc(8)."""
    name = script.called
    if verb == "delete":
        origin = rc.conf.origin(rcvar)
        code = await rc.call("/usr/sbin/sysrc", "-x", rcvar)
        if code == 0:
            rc.out(f"{rcvar} deleted in {origin.span.source.name if origin else ''}\n")
        return code
    value = "YES" if verb == "enable" else "NO"
    code = await rc.call("/usr/sbin/sysrc", "-vs", name, f"{rcvar}={value}", output=Output.NULL)
    if code == 0:
        origin = rc_files.load(rc.session.files, name)[0].origin(rcvar)
        rc.out(f"{name} {verb}d in {origin.span.source.name if origin else ''}\n")
    return code
