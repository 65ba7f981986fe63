"""Redirections: a command's streams led to files, from files, to one another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from vjail.command.sh import expand
from vjail.command.sh.world import NotModelled, Streams
from vjail.conf.sh.syntax import Redirection
from vjail.kernel.errno import Errno, KernelError
from vjail.session import Files

if TYPE_CHECKING:
    from vjail.command.sh.shell import Shell

_NOWHERE = ("/dev/null", "/dev/zero")
_OWN = {"/dev/stdout": 1, "/dev/stderr": 2, "/dev/fd/1": 1, "/dev/fd/2": 2}


class RedirectionError(Exception):
    """A redirection that cannot be: the shell's message."""


@asynccontextmanager
async def redirected(redirections: Sequence[Redirection], streams: Streams, shell: Shell) -> AsyncIterator[Streams]:
    """The streams of a command with these redirections."""
    if not redirections:
        yield streams
        return
    inner = Streams(streams.out, streams.err, streams.input)
    for each in redirections:
        await _apply(each, inner, shell)
    yield inner


async def _apply(each: Redirection, streams: Streams, shell: Shell) -> None:
    target = await expand.text(each.target, shell)
    files = shell.world.files
    match each.operator:
        case "<<":
            streams.input = target
        case "<":
            path = shell.path(target)
            if path in _NOWHERE:
                streams.input = ""
                return
            try:
                streams.input = files.read(path).decode(errors="surrogateescape")
            except KernelError as error:
                raise RedirectionError(f"cannot open {target}: {error.errno.text}") from None
        case ">" | ">>" | ">|":
            path = shell.path(target)
            if path in _OWN:
                _set(streams, each.fd, streams.out if _OWN[path] == 1 else streams.err)
            elif path in _NOWHERE:
                _set(streams, each.fd, _drop)
            else:
                _set(streams, each.fd, _Writer(files, path, target, append=each.operator == ">>").write)
        case ">&":
            match target:
                case "1":
                    _set(streams, each.fd, streams.out)
                case "2":
                    _set(streams, each.fd, streams.err)
                case "-":
                    _set(streams, each.fd, _drop)
                case _:
                    raise NotModelled(f"descriptor {target}", each.target.start)
        case "<&" if target == "-":
            streams.input = ""
        case _:
            raise NotModelled(f"the redirection {each.operator}{target}", each.target.start)


def _set(streams: Streams, fd: int, to: expand.Writer) -> None:
    match fd:
        case 1:
            streams.out = to
        case 2:
            streams.err = to
        case 0:
            pass
        case _:
            raise NotModelled(f"descriptor {fd}")


def _drop(text: str) -> None:
    """Where what nobody reads goes."""


class _Writer:
    """Writes to a file, which is made at once, as by the shell's own open(2)."""

    def __init__(self, files: Files, path: str, name: str, *, append: bool) -> None:
        self._files = files
        self._path = path
        try:
            if not append or files.kind(path) is None:
                files.write(path, b"")
        except KernelError as error:
            text = "Directory nonexistent" if error.errno is Errno.ENOENT else error.errno.text
            raise RedirectionError(f"cannot create {name}: {text}") from None

    def write(self, text: str) -> None:
        """Write behind what is there."""
        self._files.write(self._path, text.encode(errors="surrogateescape"), append=True)
