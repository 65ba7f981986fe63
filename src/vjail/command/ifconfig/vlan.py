"""Words of vlans, and what creating one takes. Source: FreeBSD 13.2 sbin/ifconfig/ifvlan.c; spec §4."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from vjail.command.ifconfig.run import Run
from vjail.command.ifconfig.words import Arity, Word, one
from vjail.command.numeric import strtoul
from vjail.kernel.observed import Interface
from vjail.kernel.operations import BindVlan, SetVlanPriority, UnbindVlan, VlanParameters
from vjail.session import Quit

_LARGEST_TAG = 0xFFFF
_PROTOCOLS = (("802.1q", 0x8100), ("802.1ad", 0x88A8), ("qinq", 0x88A8))


def _set_tag(run: Run, words: Sequence[str]) -> None:
    tag = strtoul(words[1])
    if tag is None:
        raise Quit("invalid value for vlan")
    if tag > _LARGEST_TAG:
        raise Quit("value for vlan out of range")
    run.vlan.tag = tag
    _bind(run)


def _set_parent(run: Run, words: Sequence[str]) -> None:
    run.vlan.parent = words[1]
    _bind(run)


def _set_protocol(run: Run, words: Sequence[str]) -> None:
    """What comes after the name of the protocol does not matter, as with strncasecmp(3)."""
    for name, proto in _PROTOCOLS:
        if words[1].lower().startswith(name):
            run.vlan.proto = proto
            _bind(run)
            return
    raise Quit("invalid value for vlanproto")


def _bind(run: Run) -> None:
    """Bind the vlan as soon as tag and parent are known, unless the kernel does not tell of its binding."""
    request = run.vlan
    if run.creating and not run.created:
        return
    if request.tag is not None and request.parent and _is_told(run.interface()):
        run.apply(BindVlan(run.name, request.tag, request.parent, request.proto), "SIOCSETVLAN")


def _is_told(interface: Interface | None) -> bool:
    """Whether SIOCGETVLAN succeeds: not on other interfaces, and not away from the vlan's home."""
    return interface is not None and interface.vlan is not None and interface.vlan.visible


def _set_priority(run: Run, words: Sequence[str]) -> None:
    priority = strtoul(words[1])
    if priority is None:
        raise Quit("invalid value for vlanpcp")
    if priority > 7:
        raise Quit("value for vlanpcp out of range")
    run.apply(SetVlanPriority(run.name, priority), "SIOCSVLANPCP")


def _unset_parent(run: Run, words: Sequence[str]) -> None:
    run.apply(UnbindVlan(run.name), "SIOCGETVLAN")


def parameters(run: Run) -> VlanParameters | None:
    """What a vlan that is created is bound to, if anything. Raises Quit where only half of it was said."""
    request = run.vlan
    _parse_dotted(run)
    if request.tag is None and not request.parent:
        return None
    if request.tag is None:
        raise Quit("must specify a tag for vlan create")
    if not request.parent:
        raise Quit("must specify a parent device for vlan create")
    return VlanParameters(request.tag, request.parent, request.proto)


def _parse_dotted(run: Run) -> None:
    """`em0.100` names parent and tag by itself."""
    parent, dot, tag = run.name.rpartition(".")
    if not dot:
        return
    if run.vlan.tag is not None or run.vlan.parent:
        raise Quit("ambiguous vlan specification")
    if not re.fullmatch(r"[1-9][0-9]*", tag) or int(tag) > 0xFFF:
        raise Quit("invalid vlan tag")
    run.vlan.tag, run.vlan.parent = int(tag), parent


def is_vlan_name(name: str) -> bool:
    """Whether creating an interface of that name goes by the words of vlans."""
    return "." in name or name.startswith("vlan")


def check(run: Run) -> None:
    """After the last word: a tag without a parent, or the other way round, is an error."""
    if (run.vlan.tag is not None) != bool(run.vlan.parent):
        raise Quit("both vlan and vlandev must be specified")


CLONE_WORDS: Mapping[str, Word] = {
    "vlan": one(_set_tag),
    "vlandev": one(_set_parent),
    "vlanproto": one(_set_protocol),
}
"""Words that may stand between `create` and the first other word."""

WORDS: Mapping[str, Word] = {
    **CLONE_WORDS,
    "vlanpcp": one(_set_priority),
    "-vlandev": Word(_unset_parent, Arity.OPTIONAL),
}
"""The words of vlans."""
