"""The commands that are the shell's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from vjail.command.sh import expand
from vjail.command.sh.tools import TOOLS
from vjail.command.sh.world import NotModelled, Streams
from vjail.kernel.errno import KernelError
from vjail.session import FileKind

if TYPE_CHECKING:
    from vjail.command.sh.shell import Shell

Builtin = Callable[["Shell", Sequence[str], Streams], Awaitable[int]]


async def _true(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    return 0


async def _false(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    return 1


async def _tool(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    return TOOLS[words[0]](words, streams, shell)


async def _cd(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    to = words[-1] if len(words) > 1 else shell.home
    if to == "-":
        to = shell.variables.get("OLDPWD", shell.cwd)
    path = shell.path(to)
    try:
        kind = shell.world.files.kind(path)
    except KernelError:
        kind = None
    if kind is not FileKind.DIRECTORY:
        streams.err(f"cd: {to}: {'Not a directory' if kind else 'No such file or directory'}\n")
        return 2
    shell.variables["OLDPWD"], shell.cwd = shell.cwd, path
    shell.variables["PWD"] = path
    return 0


async def _pwd(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    streams.out(f"{shell.cwd}\n")
    return 0


async def _exit(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    from vjail.command.sh.shell import Leave

    raise Leave(_number(words, shell.status) & 0xFF)


async def _return(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    from vjail.command.sh.shell import Return

    raise Return(_number(words, shell.status) & 0xFF)


async def _jump(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    from vjail.command.sh.shell import LoopJump

    raise LoopJump(_number(words, 1), words[0] == "continue")


def _number(words: Sequence[str], default: int) -> int:
    if len(words) < 2:
        return default
    if not words[1].isdigit():
        raise expand.ExpansionError(f"{words[0]}: Illegal number: {words[1]}")
    return int(words[1])


async def _export(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    for word in words[1:]:
        if word.startswith("-"):
            raise NotModelled(f"{words[0]} {word}")
        name, equals, value = word.partition("=")
        if equals:
            shell.assign(name, value)
        (shell.exported if words[0] == "export" else shell.readonly).add(name)
    return 0


async def _local(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    if not shell.locals:
        raise expand.ExpansionError("local: Not in a function")
    for word in words[1:]:
        name, equals, value = word.partition("=")
        shell.locals[-1].setdefault(name, shell.variables.get(name))
        if equals:
            shell.assign(name, value)
    return 0


async def _unset(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    for word in words[1:]:
        if word == "-f":
            continue
        shell.variables.pop(word, None)
        shell.exported.discard(word)
        if "-f" in words:
            shell.functions.pop(word, None)
    return 0


async def _set(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    rest = list(words[1:])
    if not rest:
        raise NotModelled("set without arguments")
    while rest and rest[0][:1] in ("-", "+") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            shell.positional = tuple(rest)
            return 0
        letters = set(word[1:])
        if "o" in letters:
            letters |= {{"errexit": "e", "nounset": "u"}.get(rest.pop(0) if rest else "", "")} - {"", "o"}
        shell.options = shell.options | letters if word[0] == "-" else shell.options - letters
    if rest:
        shell.positional = tuple(rest)
    return 0


async def _shift(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    count = _number(words, 1)
    if count > len(shell.positional):
        raise expand.ExpansionError("shift: can't shift that many")
    shell.positional = tuple(shell.positional[count:])
    return 0


async def _eval(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    shell.status = 0
    return await shell.source(" ".join(words[1:]), streams)


async def _dot(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    from vjail.command.sh.shell import Leave, Return

    try:
        text = shell.world.files.read(shell.path(words[1])).decode(errors="surrogateescape")
    except KernelError:
        streams.err(f".: cannot open {words[1]}: No such file or directory\n")
        raise Leave(2) from None
    try:
        return await shell.source(text, streams)
    except Return as leave:
        return leave.code


async def _exec(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    from vjail.command.sh.shell import Leave

    if len(words) == 1:
        raise NotModelled("exec with redirections only")
    raise Leave(await shell.call(words[1:], streams, function=False))


async def _command(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    match words[1:]:
        case ["-v" | "-V", name]:
            if name in shell.functions or name in BUILTINS:
                streams.out(f"{name}\n")
                return 0
            for directory in shell.variables.get("PATH", "/sbin:/bin:/usr/sbin:/usr/bin").split(":"):
                path = f"{directory}/{name}"
                try:
                    if shell.world.files.kind(path) is FileKind.FILE:
                        streams.out(f"{path}\n")
                        return 0
                except KernelError:
                    continue
            return 127
        case ["-p", *rest] | rest if rest:
            return await shell.call(rest, streams, function=False)
    return 0


async def _read(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    names = [word for word in words[1:] if word != "-r"]
    if any(name.startswith("-") for name in names):
        raise NotModelled("read with options")
    line, newline, streams.input = streams.input.partition("\n")
    separators = shell.variables.get("IFS", " \t\n")
    rest = line.strip(" \t") if " " in separators else line
    for place, name in enumerate(names or ["REPLY"], 1):
        if place >= len(names):
            shell.assign(name, rest)
            break
        cut = next((at for at, character in enumerate(rest) if character in separators), len(rest))
        shell.assign(name, rest[:cut])
        rest = rest[cut + 1 :].lstrip(" \t")
    return 0 if newline else 1


async def _unknown(shell: Shell, words: Sequence[str], streams: Streams) -> int:
    raise NotModelled(f"the shell's {words[0]}")


BUILTINS: Mapping[str, Builtin] = {
    ":": _true,
    "true": _true,
    "false": _false,
    **dict.fromkeys(("echo", "printf", "test", "["), _tool),
    "cd": _cd,
    "pwd": _pwd,
    "exit": _exit,
    "return": _return,
    "break": _jump,
    "continue": _jump,
    "export": _export,
    "readonly": _export,
    "local": _local,
    "unset": _unset,
    "set": _set,
    "shift": _shift,
    "eval": _eval,
    ".": _dot,
    "exec": _exec,
    "command": _command,
    "read": _read,
    "umask": _true,
    "wait": _true,
    "trap": _true,
    **dict.fromkeys(("kill", "getopts", "alias", "ulimit", "times", "jobs", "fg", "bg", "type", "hash"), _unknown),
}
