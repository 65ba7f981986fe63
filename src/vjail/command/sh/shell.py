"""A shell: its variables and functions, and how it goes through a script.

The parts of a pipeline run one after the other, what stands behind `&` runs at once: over a model no time passes, so
the outcome is that of a machine on which each ends before the next looks.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from functools import lru_cache

from vjail.command.sh import builtins, expand
from vjail.command.sh.arithmetic import ArithmeticError
from vjail.command.sh.expand import ExpansionError
from vjail.command.sh.redirect import RedirectionError, redirected
from vjail.command.sh.tools import TOOLS
from vjail.command.sh.world import Captured, NotModelled, Streams, World
from vjail.conf.sh import ShellSyntaxError, parse
from vjail.conf.sh.syntax import (
    Case,
    Chain,
    Command,
    For,
    Function,
    Group,
    If,
    Joint,
    Loop,
    Pipeline,
    Script,
    Simple,
)
from vjail.kernel.errno import KernelError

_ROUNDS = 10_000
"""How often a loop goes round before its end is taken as depending on something that is not here."""
_NOT_FOUND = 127
_DEFAULTS = {"IFS": " \t\n", "OPTIND": "1", "PS1": "$ ", "PS2": "> ", "PS4": "+ "}


class Leave(Exception):
    """The shell exits with `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class Return(Exception):
    """A function, or a script that was sourced, returns `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class LoopJump(Exception):
    """`break` (or with `again`, `continue`) out of so many loops."""

    def __init__(self, levels: int, again: bool) -> None:
        super().__init__()
        self.levels = levels
        self.again = again


class Shell:
    """One shell, at `sh`'s place in the world. `positional` are its $1, $2, …"""

    def __init__(
        self,
        world: World,
        environ: Mapping[str, str],
        *,
        cwd: str = "/",
        name: str = "sh",
        positional: Sequence[str] = (),
        pid: int | None = None,
    ) -> None:
        """`pid`: what `$$` is, where that is known."""
        self.world = world
        self.variables: dict[str, str] = {**_DEFAULTS, **environ}
        self.exported = set(environ)
        self.readonly: set[str] = set()
        self.positional: Sequence[str] = tuple(positional)
        self.functions: dict[str, Command] = {}
        self.cwd = cwd
        self.name = name
        self.pid = pid
        self.status = 0
        self.options: set[str] = set()
        """Single-letter options that are set, of those that matter here: e, u."""
        self.locals: list[dict[str, str | None]] = []
        """For each function that runs, the variables it made local with what they were."""
        self._checked = 0
        """Within how many conditions the shell is, in which `set -e` does not end it."""

    # --- what expansions ask ------------------------------------------------------------------------------------------

    @property
    def home(self) -> str:
        """What `~` stands for."""
        return self.variables.get("HOME", "/")

    def special(self, name: str) -> str | None:
        """`$?`, `$#`, `$-`, `$0`, `$$`; the number of a process in the background is not known."""
        match name:
            case "?":
                return str(self.status)
            case "#":
                return str(len(self.positional))
            case "-":
                return "".join(sorted(self.options))
            case "0":
                return self.name
            case "$" if self.pid is not None:
                return str(self.pid)
            case "$" | "!":
                raise NotModelled(f"${name}: a process number")
        if "u" in self.options:
            raise ExpansionError(f"{name}: parameter not set")
        return None

    def assign(self, name: str, value: str) -> None:
        """Set a variable."""
        if name in self.readonly:
            raise ExpansionError(f"{name}: is read only")
        self.variables[name] = value

    def glob(self, pattern: str) -> Sequence[str]:
        """The paths that match, as the pattern names them: relative ones from the working directory."""
        if pattern.startswith("/"):
            return self.world.files.glob(pattern)
        prefix = f"{self.cwd.rstrip('/')}/"
        return [path.removeprefix(prefix) for path in self.world.files.glob(prefix + pattern)]

    def path(self, path: str) -> str:
        """A path from the root."""
        return posixpath.normpath(posixpath.join(self.cwd, path))

    async def substitute(self, script: Script) -> str:
        """What a script writes, run in a copy of this shell."""
        kept = Captured()
        self.status = await self._copy()._leaving(script, Streams(kept.take, self._errors))
        return kept.text.rstrip("\n")

    def environ(self) -> dict[str, str]:
        """What programs get."""
        return {name: self.variables[name] for name in self.exported if name in self.variables}

    # --- running ------------------------------------------------------------------------------------------------------

    async def run(self, text: str, streams: Streams) -> int:
        """Run a whole script; its exit code. Raises NotModelled."""
        try:
            script = _parsed(text)
        except ShellSyntaxError as error:
            streams.err(f"{self.name}: Syntax error: {error.reason}\n")
            return 2
        return await self._leaving(script, streams)

    async def source(self, text: str, streams: Streams) -> int:
        """Run a script in this shell, as `.` and `eval` do."""
        try:
            script = _parsed(text)
        except ShellSyntaxError as error:
            streams.err(f"{self.name}: Syntax error: {error.reason}\n")
            raise Leave(2) from None
        await self.script(script, streams)
        return self.status

    async def _leaving(self, script: Script, streams: Streams) -> int:
        try:
            await self.script(script, streams)
        except Leave as leave:
            self.status = leave.code
        except Return as leave:
            self.status = leave.code
        except LoopJump:
            pass
        return self.status

    async def script(self, script: Script, streams: Streams) -> None:
        """Run chains one after the other."""
        for chain in script.chains:
            await self._chain(chain, streams)

    async def _chain(self, chain: Chain, streams: Streams) -> None:
        if chain.background:
            await self._copy()._leaving(Script((Chain(chain.first, chain.rest, False),)), streams)
            self.status = 0
            return
        await self._pipeline(chain.first, streams, checked=bool(chain.rest))
        for place, (joint, pipeline) in enumerate(chain.rest, 1):
            if (self.status == 0) == (joint is Joint.AND):
                await self._pipeline(pipeline, streams, checked=place < len(chain.rest))

    async def _pipeline(self, pipeline: Pipeline, streams: Streams, *, checked: bool) -> None:
        checked = checked or pipeline.negated
        self._checked += checked
        try:
            if len(pipeline.commands) == 1:
                await self.command(pipeline.commands[0], streams)
            else:
                await self._piped(pipeline.commands, streams)
            if pipeline.negated:
                self.status = int(not self.status)
            elif self.status and "e" in self.options and not self._checked:
                raise Leave(self.status)
        finally:
            self._checked -= checked

    async def _piped(self, commands: Sequence[Command], streams: Streams) -> None:
        text = streams.input
        for command in commands[:-1]:
            kept = Captured()
            await self._copy()._leaving(_alone(command), Streams(kept.take, streams.err, text))
            text = kept.text
        self.status = await self._copy()._leaving(_alone(commands[-1]), Streams(streams.out, streams.err, text))

    async def command(self, command: Command, streams: Streams) -> None:
        """Run one command."""
        self._errors = streams.err
        if isinstance(command, Function):
            self.functions[command.name] = command.body
            self.status = 0
            return
        try:
            async with redirected(command.redirections, streams, self) as inner:
                await self._within(command, inner)
        except RedirectionError as error:
            streams.err(f"{self.name}: {error}\n")
            self.status = 2
        except (ExpansionError, ArithmeticError) as error:
            streams.err(f"{self.name}: {error}\n")
            raise Leave(2) from None

    async def _within(self, command: Simple | Group | If | Loop | For | Case, streams: Streams) -> None:
        match command:
            case Simple():
                try:
                    await self._simple(command, streams)
                except NotModelled as unknown:
                    raise NotModelled(unknown.what, unknown.offset or command.start) from None
            case Group(body, subshell):
                if subshell:
                    self.status = await self._copy()._leaving(body, streams)
                else:
                    await self.script(body, streams)
            case If(branches, otherwise):
                for condition, body in branches:
                    if await self._condition(condition, streams):
                        await self.script(body, streams)
                        return
                self.status = 0
                if otherwise is not None:
                    await self.script(otherwise, streams)
            case Loop():
                await self._loop(command, streams)
            case For(name, words, body):
                values = list(self.positional) if words is None else await expand.fields(words, self)
                self.status = 0
                for value in values:
                    self.assign(name, value)
                    if await self._round(body, streams):
                        break
            case Case(word, branches):
                value = await expand.text(word, self)
                self.status = 0
                for patterns, body in branches:
                    for pattern in patterns:
                        if expand.matches(await expand.pattern(pattern, self), value):
                            await self.script(body, streams)
                            return

    async def _condition(self, script: Script, streams: Streams) -> bool:
        self._checked += 1
        try:
            await self.script(script, streams)
        finally:
            self._checked -= 1
        return self.status == 0

    async def _loop(self, loop: Loop, streams: Streams) -> None:
        status = 0
        for _ in range(_ROUNDS):
            if await self._condition(loop.condition, streams) is loop.until:
                self.status = status
                return
            if await self._round(loop.body, streams):
                return
            status = self.status
        raise NotModelled("a loop that does not end here", loop.start)

    async def _round(self, body: Script, streams: Streams) -> bool:
        """One round of a loop; whether it was the last."""
        try:
            await self.script(body, streams)
        except LoopJump as jump:
            if jump.levels > 1:
                raise LoopJump(jump.levels - 1, jump.again) from None
            return not jump.again
        return False

    async def _simple(self, command: Simple, streams: Streams) -> None:
        words = await expand.fields(command.words, self)
        if not words:
            self.status = 0
            for assignment in command.assignments:
                self.assign(assignment.name, await expand.text(assignment.value, self))
            return
        own = {each.name: await expand.text(each.value, self) for each in command.assignments}
        self.status = await self.call(words, streams, own)

    async def call(
        self, words: Sequence[str], streams: Streams, own: Mapping[str, str] | None = None, *, function: bool = True
    ) -> int:
        """Run a command by its words: a function, a builtin, a tool, a program. `own`: assignments before it."""
        name = words[0]
        if function and name in self.functions:
            for key, value in (own or {}).items():
                self.assign(key, value)
            return await self._function(self.functions[name], words[1:], streams)
        builtin = builtins.BUILTINS.get(name)
        if builtin is not None:
            for key, value in (own or {}).items():
                self.assign(key, value)
            return await builtin(self, words, streams)
        return await self._program(words, streams, {**self.environ(), **(own or {})})

    async def _program(self, words: Sequence[str], streams: Streams, environ: Mapping[str, str]) -> int:
        code = await self.world.run(words, environ, self.cwd, streams)
        if code is not None:
            return code
        directory, slash, name = words[0].rpartition("/")
        if name in TOOLS and (not slash or directory in ("/bin", "/usr/bin", "/sbin", "/usr/sbin")):
            try:
                return TOOLS[name](words, streams, self)
            except KernelError as error:
                streams.err(f"{name}: {error.errno.text}\n")
                return 1
        if name == "sh" and (not slash or directory == "/bin"):
            return await self._shell(words, streams, environ)
        try:
            if slash and self.world.files.kind(self.path(words[0])) is not None:
                raise NotModelled(f"what {words[0]} does")
        except KernelError:
            pass
        if not slash:
            raise NotModelled(f"the program {name}")
        streams.err(f"{self.name}: {words[0]}: not found\n")
        return _NOT_FOUND

    async def _shell(self, words: Sequence[str], streams: Streams, environ: Mapping[str, str]) -> int:
        """`sh -c LINE [NAME ARGUMENT…]`, `sh FILE ARGUMENT…`."""
        rest = list(words[1:])
        options: set[str] = set()
        while rest and rest[0].startswith("-") and len(rest[0]) > 1:
            options |= set(rest.pop(0)[1:])
        if "c" in options and rest:
            line, *rest = rest
            name = rest.pop(0) if rest else "sh"
        elif rest:
            name = rest.pop(0)
            try:
                line = self.world.files.read(self.path(name)).decode(errors="surrogateescape")
            except KernelError as error:
                streams.err(f"sh: cannot open {name}: {error.errno.text}\n")
                return _NOT_FOUND
        else:
            line, name = streams.input, "sh"
        inner = Shell(self.world, environ, cwd=self.cwd, name=name, positional=rest, pid=self.pid)
        inner.options = options & {"e", "u"}
        return await inner.run(line, streams)

    async def _function(self, body: Command, arguments: Sequence[str], streams: Streams) -> int:
        outer, self.positional = self.positional, tuple(arguments)
        self.locals.append({})
        try:
            await self.command(body, streams)
        except Return as leave:
            self.status = leave.code
        finally:
            self.positional = outer
            for name, value in self.locals.pop().items():
                if value is None:
                    self.variables.pop(name, None)
                else:
                    self.variables[name] = value
        return self.status

    def _copy(self) -> Shell:
        """A subshell: what it changes is its own."""
        inner = Shell(self.world, {}, cwd=self.cwd, name=self.name, positional=self.positional, pid=self.pid)
        inner.variables = dict(self.variables)
        inner.exported = set(self.exported)
        inner.readonly = set(self.readonly)
        inner.functions = dict(self.functions)
        inner.options = set(self.options)
        inner.status = self.status
        inner._checked = self._checked
        return inner


def _alone(command: Command) -> Script:
    return Script((Chain(Pipeline((command,), False), (), False),))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Script:
    return parse(text)
