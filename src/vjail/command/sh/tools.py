"""Small programs that scripts lean on, as far as their outcome is plain: over the world's files and their own input.

A form of one that is not known here raises NotModelled. Sources: the manual page of each.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from vjail.command.sh.condition import condition
from vjail.command.sh.filters import FILTERS
from vjail.command.sh.world import NotModelled, Streams
from vjail.kernel.errno import Errno, KernelError
from vjail.session import FileKind, Files

if TYPE_CHECKING:
    from vjail.command.sh.shell import Shell

Tool = Callable[[Sequence[str], Streams, "Shell"], int]


def _echo(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    match words[1:]:
        case ["-n", *rest]:
            streams.out(" ".join(rest))
        case ["-e", *rest]:
            streams.out(_formatted(" ".join(rest).replace("%", "%%"), []) + "\n")
        case rest:
            streams.out(" ".join(rest) + "\n")
    return 0


_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", '"': '"', "'": "'"}


def _printf(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    if len(words) < 2:
        streams.err("usage: printf format [arguments ...]\n")
        return 1
    form, arguments = words[1], list(words[2:])
    while True:
        before = len(arguments)
        streams.out(_formatted(form, arguments))
        if not arguments or len(arguments) == before:
            return 0


def _formatted(form: str, arguments: list[str]) -> str:
    """One pass over a format; takes from the arguments what it uses."""
    parts: list[str] = []
    at = 0
    while at < len(form):
        character = form[at]
        at += 1
        if character == "\\" and at < len(form):
            parts.append(_ESCAPES.get(form[at], "\\" + form[at]))
            at += 1
        elif character == "%" and at < len(form):
            start = at
            while at < len(form) and form[at] in "-+ #0123456789.":
                at += 1
            flags, kind = form[start:at], form[at : at + 1]
            at += 1
            if kind == "%":
                parts.append("%")
                continue
            value = arguments.pop(0) if arguments else ""
            match kind:
                case "s":
                    parts.append(f"%{flags}s" % value)
                case "d" | "i" | "u" | "x" | "X" | "o":
                    parts.append(f"%{flags}{'d' if kind in 'iu' else kind}" % int(value or "0", 0))
                case "c":
                    parts.append(value[:1])
                case _:
                    raise NotModelled(f"printf %{flags}{kind}")
        else:
            parts.append(character)
    return "".join(parts)


def _test(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    rest = list(words[1:])
    if words[0] == "[":
        if not rest or rest[-1] != "]":
            streams.err("[: missing ]\n")
            return 2
        rest.pop()
    try:
        return 0 if condition(rest, shell.world.files, shell.path) else 1
    except ValueError as error:
        streams.err(f"{words[0]}: {error}\n")
        return 2


def _true(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    return 0


def _false(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    return 1


def _basename(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    match words[1:]:
        case [path]:
            streams.out(f"{posixpath.basename(path.rstrip('/')) or '/'}\n")
        case [path, suffix]:
            streams.out(f"{posixpath.basename(path.rstrip('/')).removesuffix(suffix)}\n")
        case _:
            raise NotModelled("basename with options")
    return 0


def _dirname(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    for path in words[1:]:
        streams.out(f"{posixpath.dirname(path.rstrip('/')) or ('/' if path.startswith('/') else '.')}\n")
    return 0


def _seq(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    if any(not word.lstrip("-").isdigit() for word in words[1:]):
        raise NotModelled("seq with options")
    numbers = [int(word) for word in words[1:]]
    match numbers:
        case [last]:
            first, step = 1, 1 if last >= 1 else -1
        case [first, last]:
            step = 1 if last >= first else -1
        case [first, step, last] if step:
            pass
        case _:
            raise NotModelled("seq of other than one to three numbers")
    streams.out("".join(f"{number}\n" for number in range(first, last + (1 if step > 0 else -1), step)))
    return 0


def _jot(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    match words[1:]:
        case [count] if count.isdigit():
            first = 1
        case [count, begin] if count.isdigit() and begin.isdigit():
            first = int(begin)
        case _:
            raise NotModelled("jot with these arguments")
    streams.out("".join(f"{first + place}\n" for place in range(int(count))))
    return 0


def _expr(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    match words[1:]:
        case [left, "+" | "-" | "*" | "/" | "%" as operator, right]:
            try:
                a, b = int(left), int(right)
            except ValueError:
                streams.err(f'expr: not a decimal number: "{left}"\n')
                return 2
            if operator in "/%" and b == 0:
                streams.err("expr: division by zero\n")
                return 2
            results = {"+": a + b, "-": a - b, "*": a * b}
            if operator in "/%":
                quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
                results |= {"/": quotient, "%": a - quotient * b}
            streams.out(f"{results[operator]}\n")
            return int(results[operator] == 0)
        case [left, "=" | "!=" as operator, right]:
            same = (left == right) is (operator == "=")
            streams.out(f"{int(same)}\n")
            return int(not same)
    raise NotModelled("this expr")


def _mkdir(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    flags, paths = _flags(words, "pv", "m")
    status = 0
    for path in paths:
        try:
            shell.world.files.mkdir(shell.path(path), parents="p" in flags)
        except KernelError as error:
            streams.err(f"mkdir: {path}: {error.errno.text}\n")
            status = 1
    return status


def _rm(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    flags, paths = _flags(words, "fRrv")
    files = shell.world.files
    status = 0
    for path in paths:
        kind = files.kind(shell.path(path), follow=False)
        if kind is FileKind.DIRECTORY:
            raise NotModelled(f"rm of the directory {path}")
        try:
            if kind is None:
                raise KernelError(Errno.ENOENT)
            files.unlink(shell.path(path))
        except KernelError as error:
            if "f" not in flags or error.errno is not Errno.ENOENT:
                streams.err(f"rm: {path}: {error.errno.text}\n")
                status = 1
    return status


def _cp(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    flags, paths = _flags(words, "fpvRra")
    files = shell.world.files
    if len(paths) < 2:
        raise NotModelled("cp with these arguments")
    target = shell.path(paths[-1])
    into = files.kind(target) is FileKind.DIRECTORY
    for path in paths[:-1]:
        # What a path that ends in `/` or `/.` names is copied into the target itself.
        whole = path.endswith(("/", "/."))
        try:
            place = posixpath.join(target, posixpath.basename(path)) if into and not whole else target
            if set(flags) & set("Rra"):
                _copy(files, shell.path(path), place)
            else:
                files.write(place, files.read(shell.path(path)))
        except KernelError as error:
            streams.err(f"cp: {path}: {error.errno.text}\n")
            return 1
    return 0


def _copy(files: Files, source: str, target: str) -> None:
    """Copy a file, or a directory with all that is in it; links as links."""
    match files.kind(source, follow=False):
        case FileKind.DIRECTORY:
            if files.kind(target) is None:
                files.mkdir(target, files.mode(source))
            for name in files.list(source):
                _copy(files, posixpath.join(source, name), posixpath.join(target, name))
        case FileKind.LINK:
            files.symlink(files.readlink(source), target)
        case FileKind.FILE:
            files.write(target, files.read(source), mode=files.mode(source))
        case None:
            raise KernelError(Errno.ENOENT)
        case _:
            raise NotModelled(f"cp of {source}")


def _ln(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    flags, paths = _flags(words, "sfhnv")
    if "s" not in flags or len(paths) != 2:
        raise NotModelled("ln with these arguments")
    shell.world.files.symlink(paths[0], shell.path(paths[1]))
    return 0


def _touch(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    _, paths = _flags(words, "acm")
    for path in paths:
        try:
            shell.world.files.write(shell.path(path), b"", append=True)
        except KernelError as error:
            streams.err(f"touch: {path}: {error.errno.text}\n")
            return 1
    return 0


def _flags(words: Sequence[str], known: str, with_value: str = "") -> tuple[str, list[str]]:
    """A tool's single letters and its operands. Raises NotModelled for letters that are not known."""
    rest = list(words[1:])
    flags = ""
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            break
        for place, letter in enumerate(word[1:], 2):
            if letter in with_value:
                if not word[place:] and rest:
                    rest.pop(0)
                break
            if letter not in known:
                raise NotModelled(f"{words[0]} -{letter}")
            flags += letter
    return flags, rest


TOOLS: Mapping[str, Tool] = {
    "echo": _echo,
    "printf": _printf,
    "test": _test,
    "[": _test,
    "true": _true,
    "false": _false,
    # Time does not pass on a model, and nobody reads its log or asks for its modes and owners.
    **dict.fromkeys(("sleep", "logger", "chmod", "chown", "chflags", "sync"), _true),
    "basename": _basename,
    "dirname": _dirname,
    "seq": _seq,
    "jot": _jot,
    "expr": _expr,
    "mkdir": _mkdir,
    "rm": _rm,
    "cp": _cp,
    "ln": _ln,
    "touch": _touch,
    **FILTERS,
}
