"""jib and jng, the scripts of /usr/share/examples/jails that make a jail's interfaces, as far as a model carries them.

jib joins one end of an epair to a bridge, IFACEbridge, which it makes and leaves standing. jng does the same with
netgraph's bridge and an eiface; a model has the interface, whose frames end in it, and no netgraph.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vjail.command.sh import NotModelled
from vjail.session import Output

if TYPE_CHECKING:
    from vjail.rehearsal.session import ModelSession

_NAME = re.compile(r"\w+", re.ASCII)
_ROOM = 15


async def jib(session: ModelSession) -> int:
    """`jib addm [-b BRIDGE] NAME IFACE…`, `jib destroy NAME`, `jib show [NAME]`. Raises NotModelled."""
    match list(session.argv[1:]):
        case ["addm", *words]:
            bridge, name, cards = _named(words)
            if name is None or not cards:
                return _usage(session, "addm [-b BRIDGE_NAME] NAME interface0 [interface1 ...]")
            for number, card in enumerate(cards):
                code = await _epair(session, f"e{number}a_{name}", f"e{number}b_{name}", card, f"{card}{bridge}")
                if code:
                    return code
            return 0
        case ["destroy", name] if _NAME.fullmatch(name):
            for each in _made(session, rf"e\d+a_{name}"):
                await session.call(("ifconfig", each, "destroy"))
            return 0
        case ["show", name]:
            session.out("".join(f"{each}\n" for each in sorted(_made(session, rf"e\d+a_{re.escape(name)}"))))
            return 0
        case ["show"]:
            made = {each.partition("_")[2] for each in _made(session, r"e\d+a_.+")}
            session.out("".join(f"{each}\n" for each in sorted(made)))
            return 0
        case ["destroy", *_]:
            return _usage(session, "destroy NAME")
    return _usage(session, "action [arguments]")


async def jng(session: ModelSession) -> int:
    """`jng bridge [-b BRIDGE] NAME [=]IFACE…`, `jng shutdown NAME`, `jng show [NAME]`. Raises NotModelled."""
    match list(session.argv[1:]):
        case ["bridge", *words]:
            _, name, cards = _named(words)
            if name is None or not cards:
                return _usage(session, "bridge [-b BRIDGE_NAME] NAME [=]iface0 [[=]iface1 ...]")
            for number, card in enumerate(cards):
                code = await _eiface(session, f"ng{number}_{name}", card.removeprefix("="))
                if code:
                    return code
            return 0
        case ["shutdown", name] if _NAME.fullmatch(name):
            for each in _made(session, rf"ng\d+_{name}"):
                await session.call(("ifconfig", each, "destroy"))
            return 0
        case ["show", name]:
            session.out("".join(f"{each}\n" for each in sorted(_made(session, rf"ng\d+_{re.escape(name)}"))))
            return 0
        case ["show" | "graph" | "stats", *_]:
            raise NotModelled(" ".join(session.argv))
        case ["shutdown", *_]:
            return _usage(session, "shutdown NAME")
    return _usage(session, "action [arguments]")


def _named(words: Sequence[str]) -> tuple[str, str | None, Sequence[str]]:
    """The bridge's name, the jail's (None: not one of letters, digits and underscores), and the interfaces."""
    bridge = "bridge"
    if words[:1] and words[0] == "-b" and len(words) > 1:
        bridge, words = words[1], words[2:]
    name = words[0] if words and _NAME.fullmatch(words[0]) else None
    return bridge, name, words[1:]


def _usage(session: ModelSession, text: str) -> int:
    session.err(f"Usage: {session.argv[0].rpartition('/')[2]} {text}\n")
    return 1


def _made(session: ModelSession, pattern: str) -> list[str]:
    return [each.name for each in session.system.interfaces() if re.fullmatch(pattern, each.name)]


def _is_there(session: ModelSession, name: str) -> bool:
    return session.system.interface(name) is not None


async def _epair(session: ModelSession, outer: str, inner: str, card: str, bridge: str) -> int:
    if _is_there(session, outer):
        return 0
    if code := await session.call(("ifconfig", card, "up")):
        return code
    if not _is_there(session, bridge):
        new = await _created(session, "bridge")
        for words in (("addm", card), ("name", bridge)):
            if code := await session.call(("ifconfig", new, *words), output=Output.SESSION):
                return code
        if code := await session.call(("ifconfig", bridge, "up")):
            return code
    new = await _created(session, "epair")
    for line in (
        (bridge, "addm", new),
        (new, "name", outer),
        (f"{new[:-1]}b", "name", inner),
        (outer, "up"),
        (inner, "up"),
    ):
        if code := await session.call(("ifconfig", *line)):
            return code
    return 0


async def _eiface(session: ModelSession, name: str, card: str) -> int:
    if _is_there(session, name[:_ROOM]):
        return 0
    if code := await session.call(("ifconfig", card, "up")):
        return code
    new = await _created(session, "tap")
    if code := await session.call(("ifconfig", new, "name", name[:_ROOM])):
        return code
    return await session.call(("ifconfig", name[:_ROOM], "up"))


async def _created(session: ModelSession, kind: str) -> str:
    """Make a clone with the next free number; its name."""
    before = {each.name for each in session.system.interfaces()}
    await session.call(("ifconfig", kind, "create"), output=Output.NULL)
    return min(each.name for each in session.system.interfaces() if each.name not in before)
