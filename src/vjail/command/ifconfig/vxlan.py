"""Words of vxlans, and what creating one takes. Source: FreeBSD 13.2 sbin/ifconfig/ifvxlan.c; spec §12.

On an interface that is no vxlan the words change nothing and say nothing, but for `vxlanflush`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from vjail.command.ifconfig.run import Run
from vjail.command.ifconfig.words import Action, Word, one, two
from vjail.command.names import EAI_NONAME, resolve
from vjail.command.numeric import strtoul
from vjail.kernel.operations import ConfigureVxlan, FlushVxlan, VxlanSettings
from vjail.session import Quit

_FIRST_NO_VNI = (1 << 24) - 1
_LAST_PORT = 0xFFFF
_LONG = 0xFFFFFFFF
_LARGEST_TTL = 256

Read = Callable[[Run, Sequence[str]], VxlanSettings]
"""What a word and its arguments ask for. Raises Quit."""


def _number(text: str, largest: int, what: str) -> int:
    number = strtoul(text)
    if number is None or number > largest:
        raise Quit(f"invalid {what}: {text}")
    return number


def _address(run: Run, text: str, side: str) -> IPv4Address | IPv6Address:
    """An address by number or name; only a group's is, and must be, multicast."""
    found = resolve(run.session.files, text)
    if not found:
        raise Quit(f"error in parsing {side} address string: {EAI_NONAME}")
    address = found[0].address
    if address.is_multicast != (side == "group"):
        raise Quit(f"{side} address {'must be' if side == 'group' else 'cannot be'} multicast")
    return address


def _ports(run: Run, words: Sequence[str]) -> VxlanSettings:
    first = _number(words[1], _LAST_PORT - 1, "port range minimum")
    last = _number(words[2], _LAST_PORT - 1, "port range maximum")
    if last < first:
        raise Quit("invalid port range")
    return VxlanSettings(first_port=first, last_port=last)


_ONE: Mapping[str, tuple[str, Read]] = {
    "vxlanlocal": (
        "VXLAN_CMD_SET_LOCAL_ADDR", lambda run, words: VxlanSettings(local=_address(run, words[1], "local")),
    ),
    "vxlanremote": (
        "VXLAN_CMD_SET_REMOTE_ADDR", lambda run, words: VxlanSettings(remote=_address(run, words[1], "remote")),
    ),
    "vxlangroup": (
        "VXLAN_CMD_SET_REMOTE_ADDR", lambda run, words: VxlanSettings(remote=_address(run, words[1], "group")),
    ),
    "vxlanlocalport": (
        "VXLAN_CMD_SET_LOCAL_PORT",
        lambda run, words: VxlanSettings(local_port=_number(words[1], _LAST_PORT - 1, "local port")),
    ),
    "vxlanremoteport": (
        "VXLAN_CMD_SET_REMOTE_PORT",
        lambda run, words: VxlanSettings(remote_port=_number(words[1], _LAST_PORT - 1, "remote port")),
    ),
    "vxlantimeout": (
        "VXLAN_CMD_SET_FTABLE_TIMEOUT",
        lambda run, words: VxlanSettings(timeout=_number(words[1], _LONG, "timeout value")),
    ),
    "vxlanmaxaddr": (
        "VXLAN_CMD_SET_FTABLE_MAX",
        lambda run, words: VxlanSettings(maxaddr=_number(words[1], _LONG, "maxaddr value")),
    ),
    "vxlandev": ("VXLAN_CMD_SET_MULTICAST_IF", lambda run, words: VxlanSettings(device=words[1])),
    "vxlanttl": (
        "VXLAN_CMD_SET_TTL", lambda run, words: VxlanSettings(ttl=_number(words[1], _LARGEST_TTL, "TTL value")),
    ),
}  # fmt: skip
_VNI: tuple[str, Read] = (
    "VXLAN_CMD_SET_VNI",
    lambda run, words: VxlanSettings(vni=_number(words[1], _FIRST_NO_VNI - 1, "network identifier")),
)


def _setting(ioctl: str, read: Read) -> Action:
    """Gathered before the vxlan is made, carried out at once after."""

    def set_it(run: Run, words: Sequence[str]) -> None:
        settings = read(run, words)
        if run.creating and not run.created:
            given = {name: value for name in settings.__slots__ if (value := getattr(settings, name)) is not None}
            run.vxlan = replace(run.vxlan, **given)
            return
        interface = run.interface()
        if interface is not None and interface.vxlan is not None:
            run.apply(ConfigureVxlan(run.name, settings), ioctl)

    return set_it


def _flush(everything: bool) -> Action:
    def flush(run: Run, words: Sequence[str]) -> None:
        run.apply(FlushVxlan(run.name, everything), "VXLAN_CMD_FLUSH")

    return flush


def parameters(run: Run) -> VxlanSettings:
    """What a vxlan that is created is set to. Raises Quit for addresses of two families."""
    local, remote = run.vxlan.local, run.vxlan.remote
    if local is not None and remote is not None and local.version != remote.version:
        raise Quit("cannot mix IPv4 and IPv6 addresses")
    return run.vxlan


_BOTH: Mapping[str, Word] = {
    **{word: one(_setting(*setting)) for word, setting in _ONE.items()},
    "vxlanportrange": two(_setting("VXLAN_CMD_SET_PORT_RANGE", _ports)),
    "vxlanlearn": Word(_setting("VXLAN_CMD_SET_LEARN", lambda run, words: VxlanSettings(learn=True))),
    "-vxlanlearn": Word(_setting("VXLAN_CMD_SET_LEARN", lambda run, words: VxlanSettings(learn=False))),
}

CLONE_WORDS: Mapping[str, Word] = {"vxlanid": one(_setting(*_VNI)), **_BOTH}
"""Words that may stand between `create` and the first other word."""

WORDS: Mapping[str, Word] = {
    **_BOTH,
    "vxlanvni": one(_setting(*_VNI)),
    "vxlanflush": Word(_flush(False)),
    "vxlanflushall": Word(_flush(True)),
}
"""The words of vxlans."""
