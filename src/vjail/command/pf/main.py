"""pfctl(8): what a command line asks for, in pfctl's order. Source: main() of sbin/pfctl/pfctl.c, 13.2."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from vjail.command.pf.load import load
from vjail.command.pf.options import USAGE, Misuse, Options, read
from vjail.command.pf.show import Show
from vjail.command.pf.surroundings import surroundings
from vjail.command.pf.tables import command
from vjail.command.privilege import apply_as_caller
from vjail.conf.pf.hosts import NoHost, hosts
from vjail.conf.pf.rules import Debug, NetAddress, Section
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import EnablePf, FlushPf, KillPfStates, SetPfDebug
from vjail.session import FileKind, Session

_RESERVED = "anchor names beginning with '_' cannot be modified from the command line"


async def pfctl(session: Session) -> int:
    """pfctl(8)."""
    try:
        options = read(session.argv[1:])
        return await _Pfctl(session, options).run()
    except Misuse as misuse:
        said = f"pfctl: {misuse.text}\n" if misuse.text else ""
        session.err(f"{said}{USAGE}")
        return 1
    except _Failed as failed:
        session.err(f"pfctl: {failed}\n")
        return 1


class _Failed(Exception):
    """What pfctl says before it leaves."""


class _Pfctl:
    def __init__(self, session: Session, options: Options) -> None:
        self._session = session
        self._options = options

    async def run(self) -> int:
        options = self._options
        if not options.no_action:
            self._open(options.device)
        if options.disable:
            self._switch(on=False)
        if options.show is not None:
            Show(self._session, options).show(options.show)
        if options.flush is not None:
            self._flush(options.flush)
        if options.kill:
            self._kill(options.kill)
        if options.table_command is not None:
            code = command(self._session, options)
        elif options.file is not None:
            self._check_anchor()
            code = await load(self._session, options, options.file)
        else:
            code = 0
        if code and options.table_command is None:
            return code
        if options.enable:
            self._switch(on=True)
        if options.debug is not None:
            level = next(level for level in Debug if level.name.lower() == options.debug)
            self._session.system.apply(SetPfDebug(level))
            self._say(f"debug level set to '{options.debug}'")
        return code

    def _open(self, device: str) -> None:
        """Who has no /dev/pf, or may not open it, has no pf."""
        kind = self._session.files.kind(device)
        if kind is None:
            raise _Failed(f"{device}: {Errno.ENOENT.text}")
        if self._session.uid != 0:
            raise _Failed(f"{device}: {Errno.EACCES.text}")
        if kind is not FileKind.OTHER:
            raise _Failed(f"DIOCGETALTQS: {Errno.ENOTTY.text}")
        try:
            self._session.system.packet_filter()
        except KernelError as error:
            raise _Failed(f"{device}: {error.errno.text}") from None

    def _switch(self, *, on: bool) -> None:
        try:
            apply_as_caller(self._session, EnablePf(on))
        except KernelError as error:
            if error.errno is Errno.EEXIST and not error.message:
                raise _Failed("pf already enabled") from None
            if error.errno is Errno.ENOENT and not error.message:
                raise _Failed("pf not enabled") from None
            raise _Failed(error.message or f"{'DIOCSTART' if on else 'DIOCSTOP'}: {error.errno.text}") from None
        self._say(f"pf {'enabled' if on else 'disabled'}")

    def _check_anchor(self) -> None:
        if self._options.anchor.startswith("_") or "/_" in self._options.anchor:
            raise _Failed(_RESERVED)

    # --- flushing and killing ---

    def _flush(self, what: str) -> None:
        self._check_anchor()
        match what:
            case "rules":
                self._clear(Section.FILTER, "rules cleared")
            case "nat":
                self._clear(Section.TRANSLATION, "nat cleared")
            case "Tables":
                self._clear_tables()
            case "states":
                self._clear_states()
            case "Sources":
                self._say("source tracking entries cleared")
            case "info":
                self._say("pf: statistics cleared")
            case "all":
                self._flush_all()
            case _:
                # Queues and fingerprints: there are none.
                pass

    def _flush_all(self) -> None:
        self._clear(Section.FILTER, "rules cleared")
        self._clear(Section.TRANSLATION, "nat cleared")
        self._clear_tables()
        if not self._options.anchor:
            self._clear_states()
            self._say("source tracking entries cleared")
            self._say("pf: statistics cleared")
            self._clear(Section.OPTIONS, "pf: interface flags reset")

    def _clear(self, sections: Section, said: str) -> None:
        self._session.system.apply(FlushPf(self._options.anchor, sections))
        self._say(said)

    def _clear_tables(self) -> None:
        gone = self._session.system.apply(FlushPf(self._options.anchor, Section.TABLES))
        self._say(f"{gone} tables deleted.")

    def _clear_states(self) -> None:
        self._say(f"{self._session.system.apply(KillPfStates())} states cleared")

    def _kill(self, words: list[str]) -> None:
        if words[0] in ("label", "id", "gateway"):
            raise _Failed(f"-k {words[0]} is not there in vjail's pf (docs/pf.md)")
        sides = [self._networks(word) for word in words]
        targets = sides[1] if len(sides) > 1 else [None]
        killed = 0
        for source in sides[0]:
            for target in targets:
                if target is None or source.version == target.version:
                    killed += self._session.system.apply(KillPfStates(source, target))
        destinations = len(sides[1]) if len(sides) > 1 else 0
        self._say(f"killed {killed} states from {len(sides[0])} sources and {destinations} destinations")

    def _networks(self, word: str) -> list[IPv4Network | IPv6Network]:
        try:
            found = hosts(word, surroundings(self._session))
        except NoHost:
            raise _Failed("getaddrinfo: Name does not resolve") from None
        return [host.address.network for host in found if isinstance(host.address, NetAddress)]

    def _say(self, text: str) -> None:
        if not self._options.quiet:
            self._session.err(f"{text}\n")
