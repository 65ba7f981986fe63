"""Interfaces handed into jails, and the ifconfig lines that make and unmake them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from vjail.check.finding import Edit, Finding, Rule, Severity
from vjail.check.ifconfig import Ifconfig, of_jail
from vjail.check.subject import HostSubject
from vjail.conf.position import Span
from vjail.jail.phases import Step, Where
from vjail.release import Release

SEVERAL_IN_ONE = Rule("VJ101", Severity.ERROR, "several interfaces in one string of vnet.interface")
NO_VNET = Rule("VJ102", Severity.ERROR, "vnet.interface without vnet", fatal=True)
NAME_TOO_LONG = Rule("VJ103", Severity.ERROR, "an interface's name of more than 15 characters", fatal=True)
DELETE_FOR_DELETEM = Rule("VJ104", Severity.ERROR, "delete, where deletem is meant")
INTERFACE_WITH_VNET = Rule("VJ105", Severity.NOTE, "interface, in a jail with a network stack of its own")
ADDRESS_WITH_VNET = Rule("VJ106", Severity.ERROR, "ip4.addr or ip6.addr with vnet", fatal=True)
DESTROYED_AS_MEMBER = Rule("VJ107", Severity.WARNING, "an epair destroyed while it is a bridge's member, on FreeBSD 12")
DESTROYED_AS_MEMBER_13 = Rule("VJ108", Severity.NOTE, "an epair destroyed while it is a bridge's member")
CLASH_AT_HOME = Rule("VJ109", Severity.WARNING, "interfaces lent to two jails that come home with one name")
LINGERS = Rule("VJ725", Severity.NOTE, "a lent epair that a restart may not find")

_NAME_ROOM = 15


def several_in_one(host: HostSubject) -> Iterator[Finding]:
    """D2: ifconfig is given the whole string as one name."""
    for jail in host.jails:
        parameter = jail.jail.parameter("vnet.interface")
        for value in parameter.values if parameter is not None else ():
            names = [name for name in re.split(r"[\s,]+", value.text) if name]
            if len(names) < 2:
                continue
            quoted = ", ".join(f'"{name}"' for name in names)
            written = not value.inserted
            yield Finding(
                SEVERAL_IN_ONE,
                value.span,
                f"{len(names)} interfaces in one string: jail(8) looks for one that is called {value.text!r}",
                f"`ifconfig {value.text} vnet …` fails (`interface … does not exist`), and the start is taken back",
                f"a list: vnet.interface = {quoted};",
                (Edit(value.span, quoted),) if written else (),
                jails=(jail.name,),
            )


def without_vnet(host: HostSubject) -> Iterator[Finding]:
    """A jail that shares the host's stack can be lent nothing."""
    for jail in host.jails:
        parameter = jail.jail.parameter("vnet.interface")
        if parameter is not None and parameter.values and not jail.is_vnet:
            yield Finding(
                NO_VNET,
                parameter.span,
                "the jail has no network stack of its own that could hold the interface",
                "`ifconfig … vnet` answers `SIOCSIFVNET: File exists`: the jail's stack is the host's, where the "
                "interface is already",
                "add `vnet;` to the jail",
                jails=(jail.name,),
            )


def names(host: HostSubject) -> Iterator[Finding]:
    """Names that are too long once the variables are in."""
    for jail in host.jails:
        parameter = jail.jail.parameter("vnet.interface")
        for value in parameter.values if parameter is not None else ():
            name = value.text
            if len(name) > _NAME_ROOM and not re.search(r"[\s,]", name):
                yield _too_long(name, value.span, jail.name)
        for call in jail.calls("ifconfig"):
            words = call.words
            for place, word in enumerate(words):
                before = words[place - 1] if place else None
                if word is not None and before == "name" and len(word) > _NAME_ROOM:
                    yield _too_long(word, call.span_of(place), jail.name)


def _too_long(name: str, span: Span, jail: str) -> Finding:
    return Finding(
        NAME_TOO_LONG,
        span,
        f"{name} has {len(name)} characters; an interface's name has {_NAME_ROOM} at most",
        "ifconfig(8) refuses it (`File name too long`), and the start fails",
        "a shorter name",
        jails=(jail,),
    )


def delete_for_deletem(host: HostSubject) -> Iterator[Finding]:
    """D4: `ifconfig bridge1 delete epair11a` deletes an address, not a member."""
    for jail in host.jails:
        for call in jail.calls("ifconfig"):
            words = call.words
            for place, word in enumerate(words[:-1]):
                if place == 0 or word not in ("delete", "remove", "-alias"):
                    continue
                target, bridge = words[place + 1], words[0] or ""
                if target is None or not _is_interface(target):
                    continue
                edits = (Edit(call.span_of(place), "deletem"),) if call.is_written(place) else ()
                yield Finding(
                    DELETE_FOR_DELETEM,
                    call.span_of(place),
                    f"`{word}` takes an address off {bridge}; the word for a member is `deletem`",
                    f"ifconfig(8) looks {target} up as an address: `{target}: bad value`, exit 1; the member stays in "
                    "the bridge",
                    f"ifconfig {bridge} deletem {target}",
                    edits,
                    jails=(jail.name,),
                )


def _is_interface(word: str) -> bool:
    return (
        re.fullmatch(r"(?:epair\d+[ab]|tap\d+|vlan\d+|em\d+|igb\d+|ix\d+|re\d+|vtnet\d+|xn\d+|ue\d+)", word) is not None
    )


def interface_with_vnet(host: HostSubject) -> Iterator[Finding]:
    """A1's slip: `interface` names where addresses of jails without vnet go."""
    for jail in host.jails:
        parameter = jail.jail.parameter("interface")
        if parameter is not None and jail.is_vnet and not jail.checked.addresses:
            yield Finding(
                INTERFACE_WITH_VNET,
                parameter.span,
                "`interface` says where ip4.addr and ip6.addr go, and a jail with vnet has neither",
                "jail(8) passes it over",
                "take it out",
                jails=(jail.name,),
            )


def address_with_vnet(host: HostSubject) -> Iterator[Finding]:
    """The kernel refuses addresses for a jail that has a stack of its own."""
    for jail in host.jails:
        for name in ("ip4.addr", "ip6.addr", "ip4", "ip6"):
            parameter = jail.jail.parameter(name)
            if parameter is not None and jail.is_vnet and (parameter.values or "." not in name):
                yield Finding(
                    ADDRESS_WITH_VNET,
                    parameter.span,
                    f"{name} in a jail with vnet",
                    "the kernel refuses the jail: `vnet jails cannot have IP address restrictions`",
                    "set the address in exec.start: ifconfig INTERFACE inet ADDRESS/LENGTH up",
                    jails=(jail.name,),
                )


def destroyed_as_member(host: HostSubject) -> Iterator[Finding]:
    """D4: the panic of 12.x, and the order that is right everywhere."""
    for jail in host.jails:
        joined: dict[str, str] = {}
        left: set[str] = set()
        for line in jail.lines:
            if line.where is not Where.HOST:
                continue
            for call in line.calls:
                words = call.words
                if call.name != "ifconfig" or not words or words[0] is None:
                    continue
                for word, following in pairwise(words):
                    if word == "addm" and following is not None:
                        joined[following] = words[0]
                    elif word == "deletem" and following is not None:
                        left.add(following)
                interface = words[0]
                # `delete` is told of by itself; whoever wrote it meant the right order.
                meant = any(word == "delete" for word in words[1:])
                if meant and len(words) > 2 and words[2] is not None:
                    left.add(words[2])
                if "destroy" in words and interface in joined and interface not in left and line.step in _STOPPING:
                    old = jail.release < Release.V13
                    yield Finding(
                        DESTROYED_AS_MEMBER if old else DESTROYED_AS_MEMBER_13,
                        call.span,
                        f"{interface} is destroyed while it is a member of {joined[interface]}",
                        "this can panic the kernel while traffic flows"
                        if old
                        else "on FreeBSD 12 this can panic the kernel while traffic flows; later releases take the "
                        "member out themselves",
                        f"before it: ifconfig {joined[interface]} deletem {interface}",
                        jails=(jail.name,),
                    )


def clash_at_home(host: HostSubject) -> Iterator[Finding]:
    """An interface that was renamed inside goes home with that name, where a second of the name may be."""
    first: dict[str, tuple[str, Span]] = {}
    for jail in host.jails:
        lines = of_jail(jail)
        for line in lines if jail.is_vnet else ():
            name, inside = line.argument("name"), line.interface
            if line.jail is None or line.creates or name is None or inside is None or line.step in _STOPPING:
                continue
            if any(_undone(each, inside, name) for each in lines if each.step in _STOPPING):
                continue
            known = first.setdefault(name, (jail.name, line.span))
            if known[0] != jail.name:
                yield Finding(
                    CLASH_AT_HOME,
                    line.span,
                    f"{inside} becomes {name}, a name that an interface of jail {known[0]} has too",
                    "when a jail ends, what it was lent goes home with the name it had inside, and nothing looks "
                    f"whether that name is free: with both jails stopped the host has two interfaces called {name}",
                    "another name; or back to its own before the jail ends: "
                    f'exec.stop += "ifconfig {name} name {inside}";',
                    related=((known[1], f"named in jail {known[0]} here"),),
                    jails=(known[0], jail.name),
                )


def _undone(line: Ifconfig, own: str, name: str) -> bool:
    """Whether a line of the stop ends that an interface, `own` when it was lent, is called `name`."""
    if line.interface == name:
        return line.jail is not None and any(line.has(word) for word in ("name", "destroy", "unplumb", "-vnet"))
    return (line.has("destroy") or line.has("unplumb")) and _pair(line.interface or "") == _pair(own)


def _pair(name: str) -> str:
    """What is destroyed together: the epair of an end, any other interface by itself."""
    return re.sub(r"(?<=^epair)(\d+)[ab]$", r"\1", name)


_STOPPING = frozenset({Step.PRESTOP, Step.STOP, Step.POSTSTOP, Step.RELEASE})


def lingers(host: HostSubject) -> Iterator[Finding]:
    """A jail that a closed connection keeps dying keeps its interfaces, unless the other end of the epair goes."""
    cloned = {name.partition(":")[0] for name in host.rc.words("cloned_interfaces")}
    for jail in host.jails:
        parameter = jail.jail.parameter("vnet.interface")
        values = parameter.values if parameter is not None and jail.is_vnet else ()
        lent = [each for each in values if re.fullmatch(r"epair\d+[ab]", each.text) and each.text[:-1] in cloned]
        if lent:
            yield Finding(
                LINGERS,
                lent[0].span,
                "an epair that is made when the host boots may not be back when the jail is restarted",
                "a connection that was closed shortly before keeps a stopped jail for about a minute (`jls -d`), and "
                "its interfaces with it: `jail -rc` then says `interface epair… does not exist`",
                "make the epair in exec.prestart and destroy the host's end in exec.poststop: that takes the other end "
                "out of a dying jail",
                jails=(jail.name,),
            )


RULES = (
    several_in_one,
    without_vnet,
    names,
    delete_for_deletem,
    interface_with_vnet,
    address_with_vnet,
    destroyed_as_member,
    clash_at_home,
    lingers,
)
