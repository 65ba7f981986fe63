"""Words of bridges. Source: FreeBSD 13.2 sbin/ifconfig/ifbridge.c; spec §5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vjail.command.ifconfig.listing import show_bridge_address
from vjail.command.ifconfig.run import Run
from vjail.command.ifconfig.words import Action, Word, one, two
from vjail.command.numeric import ether_aton, strtoul
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import MemberFlag
from vjail.kernel.operations import (
    BridgeAdd,
    BridgeDelete,
    BridgeFlush,
    BridgeForget,
    BridgeMemberFlags,
    BridgeParameter,
    BridgeStatic,
    MemberParameter,
    SetBridgeParameter,
    SetMemberParameter,
)
from vjail.session import Lacking, Quit

_FLAGS = {
    "discover": MemberFlag.DISCOVER,
    "learn": MemberFlag.LEARNING,
    "sticky": MemberFlag.STICKY,
    "stp": MemberFlag.STP,
    "edge": MemberFlag.EDGE,
    "autoedge": MemberFlag.AUTOEDGE,
    "ptp": MemberFlag.PTP,
    "autoptp": MemberFlag.AUTOPTP,
    "private": MemberFlag.PRIVATE,
}
_OCTET, _SHORT, _LONG = 0xFF, 0xFFFF, 0xFFFFFFFF
_PARAMETERS = {
    "maxaddr": (BridgeParameter.MAXADDR, _LONG),
    "timeout": (BridgeParameter.TIMEOUT, _LONG),
    "priority": (BridgeParameter.PRIORITY, _SHORT),
    "hellotime": (BridgeParameter.HELLOTIME, _OCTET),
    "fwddelay": (BridgeParameter.FWDDELAY, _OCTET),
    "maxage": (BridgeParameter.MAXAGE, _OCTET),
    "holdcnt": (BridgeParameter.HOLDCNT, _OCTET),
}
_MEMBER_PARAMETERS = {
    "ifpriority": (MemberParameter.PRIORITY, _OCTET),
    "ifpathcost": (MemberParameter.PATH_COST, _LONG),
    "ifmaxaddr": (MemberParameter.MAXADDR, _LONG),
}
_PROTOCOLS = {"stp": 0, "rstp": 2}


def _add(run: Run, words: Sequence[str]) -> None:
    run.apply(BridgeAdd(run.name, words[1]), f"BRDGADD {words[1]}")


def _delete(run: Run, words: Sequence[str]) -> None:
    run.apply(BridgeDelete(run.name, words[1]), f"BRDGDEL {words[1]}")


def _add_span(run: Run, words: Sequence[str]) -> None:
    run.apply(BridgeAdd(run.name, words[1], span=True), f"BRDGADDS {words[1]}")


def _delete_span(run: Run, words: Sequence[str]) -> None:
    run.apply(BridgeDelete(run.name, words[1], span=True), f"BRDGDELS {words[1]}")


def _flag(flag: MemberFlag, on: bool) -> Action:
    """Flags are read before they are written, with an error of its own."""

    def change(run: Run, words: Sequence[str]) -> None:
        member = words[1]
        operation = (
            BridgeMemberFlags(run.name, member, set=flag) if on else BridgeMemberFlags(run.name, member, clear=flag)
        )
        interface = run.interface()
        bridge = interface.bridge if interface else None
        known = bridge is not None and any(
            each.name == member and MemberFlag.SPAN not in each.flags for each in bridge.members
        )
        run.apply(operation, f"unable to {'set' if known else 'get'} bridge flags")

    return change


def _flush(run: Run, words: Sequence[str]) -> None:
    run.apply(BridgeFlush(run.name), "BRDGFLUSH")


def _flush_all(run: Run, words: Sequence[str]) -> None:
    run.apply(BridgeFlush(run.name, all=True), "BRDGFLUSH")


def _show_addresses(run: Run, words: Sequence[str]) -> None:
    try:
        entries = run.system.bridge_addresses(run.name)
    except KernelError as error:
        raise Quit(run.explained("unable to get address cache", error)) from None
    for entry in entries:
        run.session.out(show_bridge_address(entry))


def _add_static(run: Run, words: Sequence[str]) -> None:
    lladdr = ether_aton(words[2])
    if lladdr is None:
        raise Quit(f"{words[1]}: invalid address: {words[2]}")
    run.apply(BridgeStatic(run.name, words[1], lladdr), f"BRDGSADDR {words[1]}")


def _forget(run: Run, words: Sequence[str]) -> None:
    lladdr = ether_aton(words[1])
    if lladdr is None:
        raise Quit(f"invalid address: {words[1]}")
    run.apply(BridgeForget(run.name, lladdr), f"BRDGDADDR {words[1]}")


def _number(text: str, mask: int) -> int:
    number = strtoul(text)
    if number is None or number & ~mask:
        raise Quit(f"invalid value: {text}")
    return number


def _parameter(parameter: BridgeParameter, mask: int) -> Action:
    def change(run: Run, words: Sequence[str]) -> None:
        operation = SetBridgeParameter(run.name, parameter, _number(words[1], mask))
        run.apply(operation, f"{parameter.value} {words[1]}")

    return change


def _set_protocol(run: Run, words: Sequence[str]) -> None:
    protocol = _PROTOCOLS.get(words[1].lower())
    if protocol is None:
        raise Quit("unknown stp protocol")
    run.apply(SetBridgeParameter(run.name, BridgeParameter.PROTO, protocol), f"BRDGSPROTO {words[1]}")


def _member_parameter(parameter: MemberParameter, mask: int) -> Action:
    def change(run: Run, words: Sequence[str]) -> None:
        operation = SetMemberParameter(run.name, words[1], parameter, _number(words[2], mask))
        run.apply(operation, f"{parameter.value} {words[2]}")

    return change


WORDS: Mapping[str, Word] = {
    "addm": one(_add),
    "deletem": one(_delete),
    "span": one(_add_span),
    "-span": one(_delete_span),
    **{f"{sign}{word}": one(_flag(flag, not sign)) for word, flag in _FLAGS.items() for sign in ("", "-")},
    "flush": Word(_flush),
    "flushall": Word(_flush_all),
    "addr": Word(_show_addresses),
    "static": two(_add_static),
    "deladdr": one(_forget),
    **{word: one(_parameter(parameter, mask)) for word, (parameter, mask) in _PARAMETERS.items()},
    "proto": one(_set_protocol),
    **{word: two(_member_parameter(parameter, mask)) for word, (parameter, mask) in _MEMBER_PARAMETERS.items()},
}
"""The words of bridges in every release."""


def _unsupported(ioctl: str) -> Action:
    """VLAN filtering, which bridges have from release 15 on and vjail's have not."""

    def refuse(run: Run, words: Sequence[str]) -> None:
        raise Lacking(" ".join((ioctl, *words[1:])) + f": {Errno.EOPNOTSUPP.text}")

    return refuse


WORDS_15: Mapping[str, Word] = {
    **{f"{sign}{word}": Word(_unsupported("BRDGSFLAGS")) for word in ("vlanfilter", "defqinq") for sign in ("", "-")},
    "defuntagged": one(_unsupported("BRDGSDEFPVID")),
    "-defuntagged": Word(_unsupported("BRDGSDEFPVID")),
    "ifuntagged": two(_unsupported("BRDGSIFUNTAGGED")),
    "-ifuntagged": one(_unsupported("BRDGSIFUNTAGGED")),
    **{f"{sign}iftagged": two(_unsupported("BRDGSIFVLANSET")) for sign in ("", "+", "-")},
    "ifvlanproto": two(_unsupported("BRDGSIFVLANPROTO")),
    "qinq": one(_unsupported("BRDGSIFFLGS")),
    "-qinq": one(_unsupported("BRDGSIFFLGS")),
    **{word: one(_unsupported("BRDGSIFVLANSET")) for word in ("untagged", "tagged")},
}
"""The words release 15 adds."""
