"""A file of commands as they are typed on a host, run on the model: what fails, and what is wrong at the end.

Nothing is run for real. A line whose outcome a model does not know is said once and taken to succeed.
"""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vjail.check.finding import Finding, Rule, Severity
from vjail.check.run.beyond import equip
from vjail.check.run.explain import NOT_MODELLED
from vjail.check.run.state import Flaw, look
from vjail.command import rc_files
from vjail.command.sh import Shell
from vjail.conf.position import Source, Span, encode
from vjail.conf.rcconf import Answer, check_yes_no
from vjail.conf.sh import ShellSyntaxError, parse
from vjail.conf.sh.syntax import Chain, Script, Simple
from vjail.jail.explain import mend
from vjail.kernel.core.mount_driver import MountKind
from vjail.lab import nics
from vjail.lab.model import Lab, LabHostSpec
from vjail.rehearsal import NotModelled, Rehearsal
from vjail.rehearsal.session import ModelSession, World
from vjail.rehearsal.up import boot, provide, start_jails
from vjail.release import Release

FAILS = Rule("VJ317", Severity.ERROR, "a typed command that fails")
DEVFS_STAYS = Rule("VJ728", Severity.WARNING, "a devfs that stays when a jail made by hand is removed")
NO_SCRIPT = Rule("VJ318", Severity.ERROR, "commands that sh(1) cannot read")

_SHOWING = frozenset(("arp", "grep", "jls", "kldload", "kldstat", "ls", "ndp", "netstat", "ping", "ping6", "test", "["))
"""Programs that tell something by failing."""


def is_script(path: Path) -> bool:
    """Whether a file holds commands to type: `commands`, NAME.sh, or `#!/bin/sh` in its first line."""
    if not path.is_file():
        return False
    if path.suffix == ".sh" or path.name == "commands":
        return True
    with path.open("rb") as file:
        return file.readline().startswith(b"#!/bin/sh")


def bare(path: Path, text: str) -> Lab:
    """A lab of one host that has nothing but the cards that the commands name."""
    cards = nics.named(text)
    wires = tuple(f"host-{card}" for card in cards)
    host = LabHostSpec("host", dict(zip(cards, wires, strict=True)), {}, None)
    return Lab(path.parent.resolve().name, path.parent, {host.name: host}, wires)


def find_in_script(source: Source, lab: Lab, release: Release) -> list[Finding]:
    """What is found when the commands are typed on the first host of a lab that has booted."""
    text = source.data.decode(errors="surrogateescape")
    try:
        script = parse(text)
    except ShellSyntaxError as error:
        start = len(encode(text[: error.offset]))
        return [
            Finding(
                NO_SCRIPT,
                Span(source, start, start),
                error.reason,
                "sh(1) stops there",
                "correct the line; sh -n shows what sh(1) makes of it",
            )
        ]
    return _Typist(source, text, lab, release).type(script)


@dataclass(frozen=True, slots=True)
class _Command:
    words: tuple[str | None, ...]
    span: Span

    @property
    def program(self) -> str:
        """Without its directory; empty where it is not certain."""
        return (self.words[0] or "").rpartition("/")[2]


class _Typist:
    """Types the lines of one file."""

    def __init__(self, source: Source, text: str, lab: Lab, release: Release) -> None:
        self._source = source
        self._text = text
        self._lab = Rehearsal.of(lab, release=release)
        self._host = next(iter(lab.hosts))
        self._found: list[Finding] = []

    def type(self, script: Script) -> list[Finding]:
        commands = [command for chain in script.chains for command in self._commands(chain)]
        self._boot(commands)
        self._lab.doubts = []
        equip(self._lab)
        self._lab.carry_out(self._host, ("/bin/sh",), lambda session: self._all(session, script))
        self._lab.settle()
        self._found += self._left(commands)
        if not self._lab.doubts:
            for flaw in look(self._lab, self._host):
                place = _place(flaw, commands)
                if place is not None:
                    self._found.append(Finding(flaw.rule, place, flaw.text, flaw.why, flaw.mend, host=""))
        return self._found

    def _left(self, commands: list[_Command]) -> Iterator[Finding]:
        """The devfs of jails that a command line made and that are no more: jail -r knows nothing of mount.devfs."""
        host = self._lab.hosts[self._host]
        mounted = {point.target for point in host.mounts.points() if point.kind is MountKind.DEVFS}
        roots = {prison.path for prison in host.prisons.prisons()}
        for command in commands:
            named = (word.partition("=")[2] for word in command.words if word is not None and word.startswith("path="))
            path = posixpath.normpath(next(named, "/"))
            target = posixpath.join(path, "dev")
            if command.program == "jail" and "mount.devfs" in command.words and path not in roots and target in mounted:
                yield Finding(
                    DEVFS_STAYS,
                    command.span,
                    f"{target} stays mounted when the jail has been removed",
                    "`jail -r` of a jail that is in no jail.conf knows nothing of mount.devfs; the next jail there "
                    "gets one devfs on the other",
                    f"umount {target}, behind jail -r; or the jail in a jail.conf",
                )

    def _boot(self, commands: list[_Command]) -> None:
        """Boot the hosts; jails start where rc.conf says so, or where the commands take them for running."""
        inside = {word for each in commands if each.program in ("jexec", "ifconfig") for word in each.words[1:]}
        found = {name: provide(host) for name, host in self._lab.hosts.items()}
        for name, host in self._lab.hosts.items():
            boot(self._lab, name)
            conf, _ = rc_files.load(host.files_of(), "jail")
            named = any(jail.jail.block in inside for jail in found[name].jails)
            if named or check_yes_no(conf.get("jail_enable")) is Answer.YES:
                start_jails(self._lab, name, found[name])
        self._lab.settle()

    async def _all(self, session: ModelSession, script: Script) -> int:
        shell = Shell(World(session), session.environ, cwd="/", pid=session.place.host.jails.next_pid())
        for chain in script.chains:
            said: list[str] = []
            streams = dataclasses.replace(session.streams, out=lambda _: None, err=said.append)
            known = len(self._lab.doubts or ())
            try:
                await shell.script(Script((chain,)), streams)
            except NotModelled as unknown:
                self._lab.doubt(unknown, 0)
                shell.status = 0
            self._note(chain, shell.status, "".join(said), known)
            shell.status = 0
        return 0

    def _note(self, chain: Chain, status: int, said: str, known: int) -> None:
        """What one line came to."""
        commands = list(self._commands(chain))
        doubts = self._lab.doubts or []
        if not commands:
            return
        span = commands[0].span.to(commands[-1].span)
        for doubt in dict.fromkeys(doubts[known:]):
            self._found.append(
                Finding(
                    NOT_MODELLED,
                    span,
                    f"not modelled: {doubt.what}",
                    "nothing is run to find out; it was taken to succeed, and what fails after it was not counted",
                    "type it on a lab that is up: vjail shell",
                )
            )
        last = commands[-1].program
        inner = " ".join(word or "" for word in commands[-1].words)
        shows = last in _SHOWING or (last == "jexec" and any(f" {each} " in inner for each in _SHOWING))
        if status and not shows and not any(not doubt.jid for doubt in doubts):
            message = said.strip().splitlines()[-1] if said.strip() else f"exit {status}"
            self._found.append(
                Finding(
                    FAILS,
                    span,
                    f"fails: {message}",
                    "tried on the model after the lines above it; what they left undone may be the reason",
                    mend(message, ()) or "see the message",
                )
            )

    def _commands(self, chain: Chain) -> Iterator[_Command]:
        for simple in _simples(chain):
            if simple.words:
                start, end = simple.start, simple.words[-1].end
                span = Span(self._source, len(encode(self._text[:start])), len(encode(self._text[:end])))
                yield _Command(tuple(word.plain for word in simple.words), span)


def _simples(node: object) -> Iterator[Simple]:
    """The simple commands in a part of a script, in the order of the text."""
    if isinstance(node, Simple):
        yield node
    elif isinstance(node, tuple):
        for each in node:
            yield from _simples(each)
    elif dataclasses.is_dataclass(node):
        for field in dataclasses.fields(node):
            yield from _simples(getattr(node, field.name))


def _place(flaw: Flaw, commands: list[_Command]) -> Span | None:
    """The line that makes an interface a member, or else the first that names it; None: no line does."""
    named = [command for command in commands if flaw.interface in command.words]
    joins = [each for each in named if each.words[each.words.index(flaw.interface) - 1] == "addm"]
    return (joins or named)[0].span if named else None
