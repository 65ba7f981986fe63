"""What differs between the configuration that a lab runs with and the one it is to have: a plan as a value.

Pure: old and new come in as data, and nothing is carried out. What `vjail up` does to a lab that is up follows from it,
and `vjail plan` shows it.
"""

from __future__ import annotations

import enum
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vjail.conf import devfs_rules
from vjail.conf.jailconf import Checked, lookup
from vjail.conf.jailconf.parameters import Access, Role
from vjail.conf.position import Source, Span, decode, encode
from vjail.conf.rcconf import evaluate, variable_name
from vjail.conf.rcconf import parse as parse_rc_conf
from vjail.lab.rewiring import CardChange
from vjail.release import Release

Files = Mapping[str, bytes]
"""Files of a host's /etc by name."""


class Fate(enum.Enum):
    """What becomes of a jail."""

    UNCHANGED = "unchanged"
    LATER = "later"
    """What differs matters at its next start or stop only."""
    LIVE = "live"
    """jail -m changes it while it runs."""
    RESTART = "restart"
    """Its commands, interfaces or mounts differ: it is stopped as it was started, and started anew."""
    RECREATE = "recreate"
    """The same, as the kernel lets nobody change that of a jail that exists."""
    START = "start"
    STOP = "stop"
    """It is not configured any more."""

    @property
    def stops(self) -> bool:
        """Whether the jail that runs is stopped."""
        return self in (Fate.RESTART, Fate.RECREATE, Fate.STOP)

    @property
    def starts(self) -> bool:
        """Whether a jail is started."""
        return self in (Fate.RESTART, Fate.RECREATE, Fate.START)


_ORDER = (Fate.UNCHANGED, Fate.LATER, Fate.LIVE, Fate.RESTART, Fate.RECREATE)
"""What a difference asks for, the least first."""
_AT_NEXT = frozenset(("depend", "stop.timeout", "exec.timeout", "exec.consolelog", "allow.dying"))
"""jail(8)'s own parameters that mean nothing to a jail that runs."""
_AT_START = frozenset(("ip4.addr", "ip6.addr", "devfs_ruleset"))
"""Kernel parameters which jail(8) does something about at a start besides: addresses on interfaces, /dev."""


_FEW = 4
"""Reasons that a line of `vjail up` has room for."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A parameter of a jail: its values before and after (None: not set), and what that asks for."""

    parameter: str
    old: tuple[str, ...] | None
    new: tuple[str, ...] | None
    asks: Fate
    place: Span | None = field(default=None, compare=False)

    def lines(self) -> Iterator[str]:
        """It in words: of lists, the values that differ."""
        old, new = self.old or (), self.new or ()
        gone = [text for text in old if text not in new]
        come = [text for text in new if text not in old]
        if len(old) <= 1 and len(new) <= 1:
            yield f"{self.parameter}: {_shown(self.old)} -> {_shown(self.new)}"
        elif not gone and not come:
            yield f"{self.parameter}: in another order"
        for text in gone if len(old) > 1 or len(new) > 1 else ():
            yield f"{self.parameter}: - {text}"
        for text in come if len(old) > 1 or len(new) > 1 else ():
            yield f"{self.parameter}: + {text}"


def _shown(values: tuple[str, ...] | None) -> str:
    if values is None:
        return "not set"
    return " ".join(values) or "set"


@dataclass(frozen=True, slots=True)
class JailChange:
    """What becomes of one jail, and why."""

    name: str
    fate: Fate
    differences: tuple[Difference, ...] = ()
    because: str = ""
    """A reason that is none of its own parameters."""

    def reasons(self) -> list[str]:
        """Why, in words."""
        own = [line for each in self.differences for line in each.lines()]
        return [*own, self.because] if self.because else own

    def summary(self) -> str:
        """Why, in one line: where much differs only which parameters do; a plan has them all."""
        reasons = self.reasons()
        if len(reasons) <= _FEW:
            return "; ".join(reasons)
        changed = ", ".join(each.parameter for each in self.differences)
        return "; ".join(each for each in (f"{changed} differ", self.because) if each)


@dataclass(frozen=True, slots=True)
class HostAction:
    """A command on a host that puts a difference of its files in force, and why."""

    command: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class VariableChange:
    """A variable of rc.conf: its values before and after (None: not set)."""

    name: str
    old: str | None
    new: str | None

    def told(self) -> str:
        """It in a line."""
        old, new = (value or "not set" for value in (self.old, self.new))
        return f"rc.conf: {self.name}: {old} -> {new}"


@dataclass(frozen=True, slots=True)
class HostChange:
    """What differs of a host's own files: what is done about it, what waits, and what needs a new start of the lab.

    The last are `variables` of rc.conf, and `made`, in words, what it was made with.
    """

    actions: tuple[HostAction, ...] = ()
    variables: tuple[VariableChange, ...] = ()
    made: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()

    @property
    def not_live(self) -> tuple[str, ...]:
        """What needs a new start of the lab, in lines."""
        return (*self.made, *(each.told() for each in self.variables))


@dataclass(frozen=True, slots=True)
class RunningHost:
    """What runs on a host of a lab that is up: its files in /etc, and the names of its jails.

    `older`: the jail.conf of jails that were started with another than that in /etc. `cards`: its cards, each with the
    wire it is on; `held`: those that are in a jail, each with the jail's name. `laid`: the files that its lab brought.
    `made`: what it was made with, by what that is called. `in_force`: variables of rc.conf with the values that it
    goes by (None: not set), where its file says others by now.
    """

    files: Mapping[str, bytes]
    jails: tuple[str, ...]
    older: Mapping[str, bytes] = field(default_factory=dict)
    cards: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    laid: tuple[str, ...] = ()
    made: Mapping[str, str] = field(default_factory=dict)
    in_force: Mapping[str, str | None] = field(default_factory=dict)


def as_json_value(host: RunningHost) -> dict[str, Any]:
    """It as JSON has it."""
    return {
        "files": _texts(host.files),
        "jails": list(host.jails),
        "older": _texts(host.older),
        "cards": dict(host.cards),
        "held": dict(host.held),
        "laid": list(host.laid),
        "made": dict(host.made),
        "in_force": dict(host.in_force),
    }


def from_json_value(value: Mapping[str, Any]) -> RunningHost:
    """The opposite."""
    return RunningHost(
        _contents(value["files"]),
        tuple(value["jails"]),
        _contents(value["older"]),
        value["cards"],
        value["held"],
        tuple(value["laid"]),
        value["made"],
        value["in_force"],
    )


def _texts(files: Files) -> dict[str, str]:
    return {name: decode(content) for name, content in files.items()}


def _contents(texts: Mapping[str, str]) -> Files:
    return {name: encode(text) for name, text in texts.items()}


def as_in_force(files: Files, values: Mapping[str, str | None]) -> Files:
    """The files of a host as it goes by them: with these variables of rc.conf, whatever the file says by now."""
    if not values:
        return files
    lines = [f"{name}={shlex.quote(value or '')}\n" for name, value in values.items()]
    return {**files, "rc.conf": files.get("rc.conf", b"") + encode("\n" + "".join(lines))}


_GO = ("jail.conf", "devfs.rules", "pf.conf")
"""Files that a host has only of its lab: they go with it."""


def files_after(old: Files, laid: Collection[str], given: Files, hostid: bytes, *, all_jails: bool = True) -> Files:
    """The files of a running host when it has those that its lab gives it now.

    `laid`: those that its lab gave before. `hostid`: what a host has whose lab gives none. Where not all jails are
    changed the hostid stays: jails are joined by interfaces whose MAC addresses are made of it.
    """
    found = {**old, **given}
    for name in _GO:
        if name not in given and name in laid:
            found.pop(name, None)
    if "hostid" not in given and "hostid" in laid:
        found["hostid"] = hostid
    if not all_jails and "hostid" in old:
        found["hostid"] = old["hostid"]
    return found


def files_wait(old: Files, laid: Collection[str], given: Files, hostid: bytes, *, all_jails: bool) -> tuple[str, ...]:
    """What of `files_after` waits until all jails are changed, in words."""
    later = files_after(old, laid, given, hostid)
    if all_jails or later.get("hostid") == old.get("hostid"):
        return ()
    return ("hostid differs, and jails restart for it: `vjail up` without --jail and --no-jails",)


# --- jails ------------------------------------------------------------------------------------------------------------


def jail_changes(
    old: Mapping[str, Checked],
    new: Mapping[str, Checked],
    chosen: Collection[str],
    release: Release,
    rulesets: Collection[int] = (),
    *,
    hostid: bool = False,
) -> tuple[JailChange, ...]:
    """What becomes of the jails that run, `old` by name with what each was started with, and of those to be started.

    `chosen` are the names of those that are to run. `rulesets`: the devfs rulesets that differ; `hostid`: whether that
    of the host does.
    """
    found: dict[str, JailChange] = {}
    for name, checked in new.items():
        if name in old:
            found[name] = _change(name, old[name], checked, release, rulesets)
        elif name in chosen:
            found[name] = JailChange(name, Fate.START, because="it does not run")
    for name in old:
        if name not in new:
            found[name] = JailChange(name, Fate.STOP, because="it is not configured any more")
    for name, change in found.items() if hostid else ():
        if name in old and not change.fate.stops and _makes_interfaces(old[name]):
            found[name] = JailChange(name, Fate.RESTART, change.differences, _OF_HOSTID)
    # A jail stops with the one it depends on, and with the one it is in.
    todo = [name for name, change in found.items() if change.fate.stops]
    while todo:
        stopped = todo.pop()
        for name, change in found.items():
            if name not in old or change.fate.stops:
                continue
            if stopped in old[name].pseudo.depend:
                why = f"it depends on {stopped}"
            elif name.startswith(f"{stopped}."):
                why = f"it is in {stopped}"
            else:
                continue
            found[name] = JailChange(name, Fate.RESTART, change.differences, why)
            todo.append(name)
    return tuple(found.values())


_OF_HOSTID = "hostid differs: MAC addresses of epairs and bridges are made of it"
_GENERATED = re.compile(r"(?:bridge|epair|tap|vxlan)[0-9]")


def _makes_interfaces(jail: Checked) -> bool:
    """Whether a jail names interfaces that get a MAC address when they are made: it is on them, or makes them."""
    parameters = jail.jail.parameters
    texts = (text for each in parameters if each.name.startswith(("exec.", "vnet.")) for text in each.texts)
    return any(_GENERATED.search(text) for text in texts)


def _change(name: str, old: Checked, new: Checked, release: Release, rulesets: Collection[int]) -> JailChange:
    differences = tuple(_differences(old, new, release))
    fate = max((each.asks for each in differences), key=_ORDER.index, default=Fate.UNCHANGED)
    number = new.jail.text("devfs_ruleset") or ""
    if new.pseudo.mount_devfs and number.isdecimal() and int(number) in rulesets and not fate.stops:
        return JailChange(name, Fate.RESTART, differences, f"devfs ruleset {number} differs")
    return JailChange(name, fate, differences)


def _differences(old: Checked, new: Checked, release: Release) -> Iterator[Difference]:
    before, after = _values(old, release), _values(new, release)
    for name in dict.fromkeys((*after, *before)):
        was, _ = before.get(name, (None, None))
        now, place = after.get(name, (None, None))
        if was != now:
            yield Difference(name, was, now, _asks(name, was, now, new, release), place)
    if old.fstab != new.fstab:
        yield Difference("mount.fstab", old.fstab, new.fstab, Fate.RESTART)


def _values(checked: Checked, release: Release) -> dict[str, tuple[tuple[str, ...], Span]]:
    """Its parameters, each under the name that it was given; variables are none."""
    return {
        each.name: (each.texts, each.span) for each in checked.jail.parameters if lookup(each.name, release) is not None
    }


def _asks(name: str, old: tuple[str, ...] | None, new: tuple[str, ...] | None, jail: Checked, release: Release) -> Fate:
    known = lookup(name, release)
    assert known is not None
    if known.name in _AT_NEXT:
        return Fate.LATER
    if known.role is Role.PSEUDO:
        return Fate.RESTART
    if known.access is Access.CREATE:
        return Fate.RECREATE
    if known.name == "devfs_ruleset" and not jail.pseudo.mount_devfs:
        return Fate.LIVE
    # jail -m sets what the file says; it does not know what is no longer said.
    return Fate.RESTART if new is None or known.name in _AT_START else Fate.LIVE


# --- the host's own files -----------------------------------------------------------------------------------------


def host_change(
    old: Files,
    new: Files,
    cards: Collection[CardChange] = (),
    made: Sequence[str] = (),
    waits: Sequence[str] = (),
) -> HostChange:
    """What differs of a host's rc.conf, devfs.rules, pf.conf and hostid. What only names jails is jails' business.

    `cards`: what becomes of its cards. `made`: what it has otherwise, in words, as long as it is there.
    `waits`: what of its files is not to be changed now, in words.
    """
    before, after = _rc(old), _rc(new)
    actions: list[HostAction] = []
    variables: list[VariableChange] = []
    if old.get("devfs.rules") != new.get("devfs.rules"):
        actions.append(HostAction(("service", "devfs", "restart"), "devfs.rules differs"))
    if old.get("hostid") != new.get("hostid"):
        actions += _other_hostid(before, after)
    starts = _starts(before, after, cards)
    actions += [HostAction(("service", "netif", "start", name), reason) for name, reason in starts.items()]
    for variable, sysctl in _FORWARDING.items():
        on = _is_yes(after.get(variable))
        if on != _is_yes(before.get(variable)):
            reason = "is YES" if on else "is not YES any more"
            actions.append(HostAction(("sysctl", f"{sysctl}={int(on)}"), f"{variable} {reason}"))
    was, now = _is_yes(before.get("pf_enable")), _is_yes(after.get("pf_enable"))
    if now and not was:
        actions.append(HostAction(("service", "pf", "start"), "pf_enable is YES"))
    elif was and not now:
        actions.append(HostAction(("service", "pf", "onestop"), "pf_enable is not YES any more"))
    elif now and old.get("pf.conf") != new.get("pf.conf"):
        actions.append(HostAction(("service", "pf", "reload"), "pf.conf differs"))
    gone = [each.card for each in cards if each.new is None]
    clones = after.get("cloned_interfaces", "").split()
    for name in dict.fromkeys((*after, *before)):
        if (before.get(name) or "") == (after.get(name) or "") or name in _OTHERS or name.startswith("jail_"):
            continue
        if any(is_of(name, each) for each in (*starts, *(gone if name not in after else ()))):
            continue
        if name == "cloned_interfaces" and not set(before.get(name, "").split()) - set(clones):
            continue
        variables.append(VariableChange(name, before.get(name), after.get(name)))
    return HostChange(tuple(actions), tuple(variables), tuple(made), tuple(waits))


def _other_hostid(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[HostAction]:
    """Take another hostid, and make anew what has an address made of the one before."""
    yield HostAction(("service", "hostid", "start"), "hostid differs")
    there = before.get("cloned_interfaces", "").split()
    for name in after.get("cloned_interfaces", "").split():
        if name in there and _GENERATED.match(name) and not _has_address(after, name):
            yield HostAction(("service", "netif", "restart", name), "its MAC address is made of the hostid")


def _starts(before: Mapping[str, str], after: Mapping[str, str], cards: Collection[CardChange]) -> dict[str, str]:
    """The interfaces that are to be configured, each with the reason."""
    found = {
        each.card: f"card {each.card} is new"
        for each in cards
        if each.old is None and any(is_of(name, each.card) for name in after)
    }
    clones = after.get("cloned_interfaces", "").split()
    for name in after:
        interface = name.removeprefix("ifconfig_")
        if name.startswith("ifconfig_") and name not in before and name.count("_") == 1 and interface not in clones:
            found.setdefault(interface, f"{name} is new")
    known = before.get("cloned_interfaces", "").split()
    return {**found, **{name: "cloned_interfaces has it new" for name in clones if name not in known}}


def is_of(variable: str, interface: str) -> bool:
    """Whether a variable of rc.conf says something of an interface."""
    name = variable_name(interface)
    return (
        re.fullmatch(rf"(ifconfig|vlans|create_args|ipv6_prefix|autobridge)_{re.escape(name)}(_.*)?", variable)
        is not None
    )


_FORWARDING = {"gateway_enable": "net.inet.ip.forwarding", "ipv6_gateway_enable": "net.inet6.ip6.forwarding"}
_OTHERS = frozenset(("pf_enable", "pf_rules", *_FORWARDING))
"""Variables that are looked at by themselves."""


def _has_address(conf: Mapping[str, str], interface: str) -> bool:
    """Whether rc.conf gives an interface a MAC address."""
    variables = (f"{prefix}_{interface}" for prefix in ("ifconfig", "create_args"))
    return any(re.search(r"\b(ether|link|lladdr)\b", conf.get(variable, "")) for variable in variables)


def _rc(files: Files) -> Mapping[str, str]:
    return evaluate([parse_rc_conf(Source("rc.conf", files.get("rc.conf", b"")))]).values


def says_yes(files: Files, variable: str) -> bool:
    """Whether the rc.conf of a host has a variable that is YES."""
    return _is_yes(_rc(files).get(variable))


def _is_yes(value: str | None) -> bool:
    return (value or "").lower() in ("yes", "true", "on", "1")


def changed_rulesets(old: Files, new: Files) -> frozenset[int]:
    """The numbers of the devfs rulesets that are not what they were, those that include such ones too."""
    before, after = _rulesets(old), _rulesets(new)
    changed = {number for number in (*before, *after) if before.get(number) != after.get(number)}
    names = {f"${name}": number for number, (name, _) in after.items()}
    while True:
        more = {
            number
            for number, (_, rules) in after.items()
            if number not in changed and any(names.get(word) in changed for rule in rules for word in rule.split())
        }
        if not more:
            return frozenset(changed)
        changed |= more


def _rulesets(files: Files) -> dict[int, tuple[str, tuple[str, ...]]]:
    found: dict[int, tuple[str, tuple[str, ...]]] = {}
    current: int | None = None
    for line in devfs_rules.parse(Source("devfs.rules", files.get("devfs.rules", b""))).lines:
        match line:
            case devfs_rules.Header():
                current = line.number
                found[current] = (line.name, ())
            case devfs_rules.BadHeader():
                current = None
            case _ if current is not None:
                name, rules = found[current]
                found[current] = (name, (*rules, line.span.text))
    return found
