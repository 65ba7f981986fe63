"""The commands of vjail that concern a running lab, as its server answers them.

What `vjail up` needs is loaded with the server, the rest when it is first asked for.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from vjail.command.rc.subr import ENVIRONMENT
from vjail.jail import environment
from vjail.jail.explain import explained, mend
from vjail.kernel.errno import KernelError
from vjail.release import Release
from vjail.server.connection import Opening
from vjail.server.host import LabHost
from vjail.server.lab import RunningLab
from vjail.server.request import Request, Unfit
from vjail.server.session import AgentSession, Streams
from vjail.server.up import Up, Wanted
from vjail.server.watcher import Watcher, placed
from vjail.server.wiring import Unknown
from vjail.session import Exit, Process, StartError, User

_GRACE = 2.0
"""Seconds until a lab that was taken down, and is still there, is one to be looked at."""


async def answer(lab: RunningLab, opening: Opening, streams: Streams) -> int:
    """Answer one request; the exit code."""
    _, name, details = opening.argv
    request = Request(lab, opening, streams, json.loads(details))
    try:
        if name not in _CHANGES:
            return await _ANSWERS[name](request)
        if lab.changing.locked():
            request.progress.line("another command is starting or stopping jails; waiting for it")
        async with lab.changing:
            return await _ANSWERS[name](request)
    except Unfit as unfit:
        streams.write(2, f"vjail: {unfit}\n")
        return 1
    finally:
        if name == "down" and not request.details["jails"]:
            # Whoever asked is about to end the lab; only if nobody does is there anything to be seen.
            asyncio.get_running_loop().call_later(_GRACE, lab.settle)
        else:
            lab.settle()


# --- up and down ------------------------------------------------------------------------------------------------------


async def _up(request: Request) -> int:
    details = request.details
    release = Release.parse(details["release"]) if details["release"] is not None else None
    wanted = Wanted(Path(details["path"]), details["shown"], tuple(details["jails"]), details["no_jails"], release)
    return await Up(request, wanted).run()


async def _running(request: Request) -> int:
    """What runs, for a plan; that is made by who asks."""
    from vjail.lab.changes import as_json_value
    from vjail.server.renew import running

    hosts = {
        host.name: {"release": str(host.release), **as_json_value(running(request.lab, host))}
        for host in request.lab.hosts.values()
    }
    wires = {wire: said.as_record() for wire, said in request.lab.wiring.said.items()}
    request.streams.write(1, json.dumps({"hosts": hosts, "wires": wires}) + "\n")
    return 0


async def _down(request: Request) -> int:
    """Stop jails: those named, or all and then everything else that a shutdown stops."""
    names = request.details["jails"]
    if names:
        return await _stop_named(request, names)
    code = 0
    for host in reversed(request.lab.hosts.values()):
        code |= await _stop(request, host, [])
        request.progress.step(f"{host.name}: /etc/rc.shutdown")
        session = AgentSession(host, request.caller("rc.shutdown"), request.streams.to_file(_null()))
        await session.call(("/libexec/rc.shutdown",), environ=ENVIRONMENT)
    request.progress.clear()
    return code


async def _stop_command(request: Request) -> int:
    return await _stop_named(request, request.details["jails"])


async def _stop_named(request: Request, names: Sequence[str]) -> int:
    by_host: dict[str, list[str]] = {}
    for name in names:
        host, prison = request.jail(name)
        by_host.setdefault(host.name, []).append(prison.name)
    code = 0
    for host_name, jails in by_host.items():
        code |= await _stop(request, request.lab.hosts[host_name], jails)
    request.progress.clear()
    return code


async def _stop(request: Request, host: LabHost, names: Sequence[str]) -> int:
    """Stop a host's jails as rc.d/jail does; without names, all of them."""
    before = [prison.name for prison in host.prisons.prisons()]
    if not before:
        return 0
    said: list[str] = []
    watcher = Watcher(request.progress, len(names or before), host.name if len(request.lab.hosts) > 1 else "")
    streams = request.streams.to_file(_null(), lambda _, text: said.append(text))
    session = AgentSession(host, request.caller("down"), streams, watcher)
    await session.call(("/etc/rc.d/jail", "onestop", *names), environ=ENVIRONMENT)
    # rc.d/jail asks for each that ran, also for those that have gone with the jail they depended on.
    failures = [event for event in watcher.failures if event.text != "not found" or event.jail not in before]
    for event in failures:
        text = explained(event, "".join(said))
        hint = mend(text, ())
        place = placed(event.origins, lambda path: f"{host.name}:{path}")
        request.progress.line(f"vjail: {place}{text}" + (f"; {hint}" if hint else ""))
    left = {prison.name for prison in host.prisons.prisons()} & set(names or before)
    for name in left:
        if all(event.jail != name for event in failures):
            request.progress.line(f"vjail: {name}: not stopped: {' '.join(''.join(said).split())}")
    return 1 if failures or left else 0


async def _start(request: Request) -> int:
    details = request.details
    names = tuple(details["jails"])
    running = {f"{host.name}:{jail.name}" for host in request.lab.hosts.values() for jail in host.prisons.prisons()}
    alone = {full.partition(":")[2] for full in running} if len(request.lab.hosts) == 1 else set()
    for name in names:
        if name in running or name in alone:
            raise Unfit(f"{name} is running already; `vjail stop {name}` stops it")
    return await Up(request, Wanted(Path(details["path"]), details["shown"], names)).run()


# --- looking ----------------------------------------------------------------------------------------------------------


async def _ls(request: Request) -> int:
    from vjail.server.looking import seen
    from vjail.view.text import as_text
    from vjail.view.topology import as_json

    lab = seen(request.lab)
    if request.details["json"]:
        text = json.dumps(as_json(lab), indent=2) + "\n"
    else:
        text = as_text(lab, everything=request.details["verbose"])
    request.streams.write(1, text)
    return 0


# --- wires ------------------------------------------------------------------------------------------------------------


async def _cut(request: Request) -> int:
    return _change_wires(request, cut=True)


async def _mend(request: Request) -> int:
    return _change_wires(request, cut=False)


def _change_wires(request: Request, *, cut: bool) -> int:
    """Cut or mend wires and plugs; a name that is wrong changes nothing of the others."""
    wiring = request.lab.wiring
    changed, same = ("cut", "cut already") if cut else ("mended", "not cut")
    code = 0
    for word in request.details["wires"]:
        try:
            text = f"{word}: {changed if wiring.change(word, cut=cut) else same}"
            others = [] if cut else wiring.still_out(word)
        except Unknown as error:
            request.progress.line(f"vjail: {error}")
            code = 1
            continue
        request.progress.line(text + (f"; still cut: {', '.join(others)}" if others else ""))
    return code


# --- running something ------------------------------------------------------------------------------------------------


async def _execute(request: Request) -> int:
    """A command in a jail."""
    host, prison = request.jail(request.details["jail"])
    words = tuple(request.details["words"])
    user = _user(host, prison.jid, request.details["user"])
    if user.uid >= request.lab.space.ids:
        raise Unfit(
            f"{user.name} has the user id {user.uid}, and this lab has {request.lab.space.ids}: run vjail as root, or "
            "give yourself subordinate ids (/etc/subuid and /etc/subgid, and the package uidmap)"
        )
    environ = request.environ(user)
    session = AgentSession(host, request.caller(*words), request.streams)
    if user.uid == 0 and session.resolves(words[0], prison.jid, environ):
        return await session.call(words, jid=prison.jid, environ=environ)
    process = Process(words, jid=prison.jid, environ=environ, cwd="/", user=user, interactive=True)
    return await _attended(request, session, process, prison.name)


async def _console(request: Request) -> int:
    """A login shell in a jail."""
    host, prison = request.jail(request.details["jail"])
    user = _user(host, prison.jid, None)
    home = user.home if host.files(prison.jid).kind(user.home) is not None else "/"
    environ = {"PS1": f"root@{prison.host.hostname or prison.name}:$PWD # ", **request.environ(user)}
    shell = Process((user.shell or environment.SHELL, "-l"), prison.jid, environ, home, user, interactive=True)
    session = AgentSession(host, request.caller("console"), request.streams)
    return await _attended(request, session, shell, prison.name)


async def _shell(request: Request) -> int:
    """A shell on a host."""
    host = request.host(request.details["host"])
    line = request.details["line"]
    user = _user(host, 0, None)
    environ = {"PS1": f"root@{host.name}:$PWD # ", **request.environ(user)}
    words = (environment.SHELL, "-c", line) if line is not None else (environment.SHELL,)
    session = AgentSession(host, request.caller("shell"), request.streams)
    return await _attended(request, session, Process(words, environ=environ, cwd="/root", interactive=True), host.name)


async def _attended(request: Request, session: AgentSession, process: Process, where: str) -> int:
    """Run a process in the place of the command that asked: its signals reach the process, its end is the command's."""
    request.streams.signals.heeded = True  # one that comes while it starts is the process's too
    try:
        running = await session.start(process)
    except StartError as error:
        code = {"No such file or directory": 127, "Permission denied": 126}.get(error.text, 1)
        what = process.argv[0] if error.stage == "exec" else error.stage
        hint = "; is it in the jail's base? `vjail base` makes one" if code == 127 else ""
        request.streams.write(2, f"vjail: {where}: {what}: {error.text}{hint}\n")
        return code

    async def forward() -> None:
        while True:
            running.kill(await request.streams.signals.next())

    forwarding = asyncio.create_task(forward())
    try:
        ended: Exit = await running.wait()
    finally:
        forwarding.cancel()
    return ended.code


def _user(host: LabHost, jid: int, name: str | None) -> User:
    """The user of that name in a jail (0: the host), or its root. Raises Unfit."""
    files = host.files(jid)
    try:
        user = environment.by_name(files, name) if name is not None else environment.by_uid(files, 0)
    except KernelError as error:
        user = None
        if name is not None:
            raise Unfit(f"{name}: /etc/passwd: {error.errno.text}") from None
    if user is None and name is not None:
        raise Unfit(f"the jail has no user {name}; its /etc/passwd says which there are")
    return user or User("root", 0, 0, (0,), "/root", environment.SHELL)


@functools.cache
def _null() -> int:
    return os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)


_CHANGES = frozenset(("up", "down", "start", "stop"))
"""What starts and stops jails, one command at a time."""
_ANSWERS: Mapping[str, Callable[[Request], Awaitable[int]]] = {
    "up": _up,
    "running": _running,
    "down": _down,
    "start": _start,
    "stop": _stop_command,
    "ls": _ls,
    "cut": _cut,
    "mend": _mend,
    "exec": _execute,
    "console": _console,
    "shell": _shell,
}
