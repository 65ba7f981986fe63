"""A toy sh(1) and toy ifconfig, mount and umount, for the lines that the recordings of jails have in exec.*.

It knows `;`, `&&`, `||`, `|` into `wc -l`, `head` or `tail`, quotes, `$NAME`, `$$`, and a handful of programs.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from vjail.kernel.errno import KernelError
from vjail.kernel.observed import Mounted
from vjail.session import Exit, Process

if TYPE_CHECKING:
    from jail_fakes import FakeSession


def program(session: FakeSession, argv: Sequence[str]) -> Coroutine[Any, Any, Exit] | None:
    """The body of a program; None where there is none of that name."""
    name = argv[0].rpartition("/")[2]
    if argv[0].startswith("/") and not argv[0].startswith(("/bin/", "/sbin/", "/usr/")):
        return None
    match name:
        case "ifconfig" | "mount" | "umount":
            return _as_program(session)
        case "sh" if list(argv[1:2]) == ["-c"]:
            return shell(session, argv[2])
        case "sh" | "echo" | "true" | "false" | "sleep" | "hostname" | "env" | "id" | "csh" | "cat" | "ping" | "sysrc":
            return _simple(session, name, argv[1:])
    return None


async def _as_program(session: FakeSession) -> Exit:
    return Exit(builtin(session))


async def shell(session: FakeSession, text: str) -> Exit:
    """Run a line."""
    text = text.replace("/usr/bin/time -p ", "")
    while (substitution := re.search(r"\$\(([^()]*)\)", text)) is not None:
        output = (await _silent(session, substitution.group(1))).strip().replace("\n", " ")
        text = text[: substitution.start()] + output + text[substitution.end() :]
    text = re.sub(r"for (\w+) in ([^;]+); do (.*?); done", _unrolled, text)
    status = Exit(0)
    tokens = re.split(r"""(;|&&|\|\||\n)(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""", text)
    skip = False
    for part in tokens:
        match part.strip():
            case "" | ";":
                skip = False
            case "&&":
                skip = status.code != 0
            case "||":
                skip = status.code == 0
            case line if not skip:
                try:
                    status = await _pipeline(session, line)
                except _ExitNow as leave:
                    return leave.exit
    return status


def _unrolled(match: re.Match[str]) -> str:
    """A loop as the lines it runs."""
    name, words, body = match.groups()
    return "; ".join(body.replace(f"${name}", word).replace(f"${{{name}}}", word) for word in words.split())


class _ExitNow(Exception):
    def __init__(self, exit: Exit) -> None:
        super().__init__()
        self.exit = exit


async def _pipeline(session: FakeSession, line: str) -> Exit:
    first, bar, rest = line.partition(" | ")
    if not bar:
        return await _command(session, line)
    lines = (await _silent(session, first)).splitlines(keepends=True)
    match rest.split():
        case ["wc", "-l"]:
            session.out(f"{len(lines):8d}\n")
        case ["tail", "-n", "+2"]:
            session.out("".join(lines[1:]))
        case ["sed", "-n", place]:
            session.out("".join(lines[int(place[:-1]) - 1 : int(place[:-1])]))
        case ["head", count]:
            session.out("".join(lines[: -int(count)]))
        case ["sort"]:
            session.out("".join(sorted(lines)))
        case _:
            raise NotImplementedError(line)
    return Exit(0)


async def _silent(session: FakeSession, line: str) -> str:
    """What a command writes to standard output."""
    from jail_fakes import FakeSession, Screen

    screen = Screen()
    host, environ = session.host, session.environ
    inner = FakeSession(host, session.argv, jid=session.jid, environ=environ, screen=screen, log=session.log)
    await _pipeline(inner, line)
    session.err(screen.stderr)
    return screen.stdout


async def _command(session: FakeSession, line: str) -> Exit:
    line = line.removesuffix("2>&1").strip()
    background = line.endswith("&")
    words = [
        expanded
        for word in _WORD.findall(line.rstrip("&"))
        if (expanded := _expand(session, word)) or word.startswith(("'", '"'))
    ]
    match words:
        case ["exit", code]:
            raise _ExitNow(Exit(int(code)))
        case ["kill", "-9", "$$"]:
            raise _ExitNow(Exit(137, 9))
        case []:
            return Exit(0)
        case [assignment] if re.match(r"\w+=", assignment):
            name, _, value = assignment.partition("=")
            session.environ[name] = value
            return Exit(0)
    if session.resolves(words[0], session.jid, session.environ):
        return Exit(await session.call(words))
    body = program(session, words)
    if body is None:
        session.err(f"sh: {words[0]}: not found\n")
        return Exit(127)
    if background:
        session.host.start(session.jid, body)
        return Exit(0)
    return await body


_WORD = re.compile(r"""(?:'[^']*'|"(?:\\.|[^"])*"|\\.|[^\s'"])+""")
_PIECE = re.compile(r"""'([^']*)'|"((?:\\.|[^"])*)"|\\(.)|([^'"\\]+)""")


def _expand(session: FakeSession, word: str) -> str:
    def variables(text: str) -> str:
        return re.sub(r"\$\{?([A-Za-z]+)\}?", lambda match: session.environ.get(match.group(1), ""), text)

    joined = ""
    for single, double, escaped, bare in _PIECE.findall(word):
        joined += single or escaped or variables(re.sub(r"\\(.)", r"\1", double) if double else bare)
    return joined


async def _simple(session: FakeSession, name: str, words: Sequence[str]) -> Exit:
    match name, list(words):
        case "true", _:
            return Exit(0)
        case "false", _:
            return Exit(1)
        case "echo", _:
            session.out(" ".join(words) + "\n")
        case "sleep", [seconds]:
            await asyncio.sleep(float(seconds))
        case "hostname", []:
            session.out(session.host.prisons.identity(session.jid).hostname + "\n")
        case "env", []:
            session.out("".join(f"{key}={value}\n" for key, value in session.environ.items()))
        case "sysrc", ["-x", *names]:
            session.host.rc_conf.update(dict.fromkeys(names, ""))
        case "sysrc", _:
            for word in words:
                variable, _, value = word.partition("=")
                session.out(f"{variable}: {session.host.rc_conf[variable]} -> {value}\n")
                session.host.rc_conf[variable] = value
        case "cat", [path]:
            session.out(session.files.read(path).decode())
        case "ping", ["-c", count, target]:
            return _ping(session, int(count), target)
        case "id", ["-un"]:
            session.out({0: "root", 2: "operator"}[session.uid] + "\n")
        case "id", []:
            session.out("uid=2(operator) gid=5(operator) groups=5(operator)\n")
        case _:
            return Exit(0)
    return Exit(0)


def _ping(session: FakeSession, count: int, target: str) -> Exit:
    """Somebody answers as long as both ends of the epair are in jails."""
    network = session.host.network
    answered = all(network.where(end) not in (None, 0) for end in ("epair1a", "epair1b"))
    session.out(f"PING {target} ({target}): 56 data bytes\n\n--- {target} ping statistics ---\n")
    received, lost = (count, "0.0") if answered else (0, "100.0")
    session.out(f"{count} packets transmitted, {received} packets received, {lost}% packet loss\n")
    return Exit(0 if answered else 2)


# --- commands of the base system --------------------------------------------------------------------------------------


def builtin(session: FakeSession) -> int:
    """ifconfig, mount or umount."""
    name, *words = session.argv
    return {"ifconfig": _ifconfig, "mount": _mount, "umount": _umount}[name](session, words)


def _ifconfig(session: FakeSession, words: list[str]) -> int:
    network = session.host.network
    number = session.host.prisons.vnet_of(session.jid)
    here = network.vnets[number]
    if words == ["-l"]:
        session.out(" ".join(here) + "\n")
        return 0
    if not words:
        return 0
    name = words[0]
    if words[1:2] == ["create"]:
        ends = [f"{name}a", f"{name}b"] if name.startswith("epair") else [name]
        if network.where(ends[0]) is not None:
            session.err(f"ifconfig: interface {name} already exists\n")
            return 1
        here += ends
        network.homes.update(dict.fromkeys(ends, number))
        session.out(f"{ends[0]}\n")
        return 0
    if words[1:2] == ["-vnet"]:
        return _reclaim(session, name, words[2])
    if name not in here:
        session.err(f"ifconfig: interface {name} does not exist\n")
        return 1
    match words[1:]:
        case ["destroy"]:
            for each in (f"{name[:-1]}a", f"{name[:-1]}b") if name.startswith("epair") else (name,):
                where = network.where(each)
                if where is not None:
                    network.vnets[where].remove(each)
        case ["vnet", jail]:
            return _lend(session, name, jail)
    return 0


def _lend(session: FakeSession, name: str, jail: str) -> int:
    network = session.host.network
    number = session.host.prisons.vnet_of(session.jid)
    try:
        target = session.host.prisons.vnet_of(session.system.jail(int(jail) if jail.isdigit() else jail).jid)
    except KernelError as error:
        session.err(f"ifconfig: {error.message}\n")
        return 1
    if target == number:
        session.err("ifconfig: SIOCSIFVNET: File exists\n")
        return 1
    network.vnets[number].remove(name)
    network.vnets[target].append(name)
    network.homes.setdefault(name, number)
    return 0


def _reclaim(session: FakeSession, name: str, jail: str) -> int:
    network = session.host.network
    try:
        source = session.host.prisons.vnet_of(session.system.jail(int(jail) if jail.isdigit() else jail).jid)
    except KernelError as error:
        session.err(f"ifconfig: {error.message}\n")
        return 1
    network.vnets[source].remove(name)
    network.vnets[session.host.prisons.vnet_of(session.jid)].append(name)
    return 0


def _mount(session: FakeSession, words: list[str]) -> int:
    mounts = session.host.files.mounts
    match words:
        case [] | ["-t", _]:
            for mounted in mounts:
                if not words or mounted.fstype == words[1]:
                    options = ", ".join((mounted.fstype, *mounted.options))
                    session.out(f"{mounted.source} on {mounted.target} ({options})\n")
            return 0
        case ["-t", fstype, *options, source, target]:
            pass
        case _:
            raise NotImplementedError(words)
    words_of = options[1].split(",") if options[:1] == ["-o"] else []
    flags = ("local", "noatime", *(("read-only",) if "ro" in words_of else ()))
    if fstype == "nullfs":
        if session.files.kind(source) is None:
            session.err(f"mount_nullfs: {source}: No such file or directory\n")
            return 1
        if any(m.target == target and m.source == source for m in mounts):
            session.err(f"mount_nullfs: {target}: Resource deadlock avoided\n")
            return 1
        mounts.append(Mounted(fstype, source, target, flags))
        return 0
    if fstype not in ("devfs", "fdescfs", "procfs"):
        session.err(f"mount: {source}: Invalid fstype: Invalid argument\n")
        return 1
    mounts.append(Mounted(fstype, fstype, target, ("local",) if fstype == "procfs" else ()))
    return 0


def _umount(session: FakeSession, words: list[str]) -> int:
    mounts = session.host.files.mounts
    target = words[-1]
    for mounted in reversed(mounts):
        if mounted.target == target:
            mounts.remove(mounted)
            return 0
    session.err(f"umount: {target}: not a file system root directory\n")
    return 1


__all__ = ["Process", "builtin", "program", "shell"]
