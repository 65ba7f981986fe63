"""What differs between the configuration that a lab runs with and the one it is to have: a plan as a value.

Pure: old and new come in as data, and nothing is carried out. What `vjail up` does to a lab that is up follows from it,
and `vjail plan` shows it.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vjail.conf import devfs_rules
from vjail.conf.jailconf import Checked, lookup
from vjail.conf.jailconf.parameters import Access, Role
from vjail.conf.position import Source, Span, decode, encode
from vjail.conf.rcconf import evaluate
from vjail.conf.rcconf import parse as parse_rc_conf
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


@dataclass(frozen=True, slots=True)
class HostAction:
    """A command on a host that puts a difference of its files in force, and why."""

    command: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class HostChange:
    """What differs of a host's own files: what is done about it, and what needs a new start of the lab."""

    actions: tuple[HostAction, ...] = ()
    not_live: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunningHost:
    """What runs on a host of a lab that is up: its files in /etc, and the names of its jails.

    `older`: the jail.conf of jails that were started with another than that in /etc.
    """

    files: Mapping[str, bytes]
    jails: tuple[str, ...]
    older: Mapping[str, bytes] = field(default_factory=dict)


def as_json_value(host: RunningHost) -> dict[str, Any]:
    """It as JSON has it."""
    return {"files": _texts(host.files), "jails": list(host.jails), "older": _texts(host.older)}


def from_json_value(value: Mapping[str, Any]) -> RunningHost:
    """The opposite."""
    return RunningHost(_contents(value["files"]), tuple(value["jails"]), _contents(value["older"]))


def _texts(files: Files) -> dict[str, str]:
    return {name: decode(content) for name, content in files.items()}


def _contents(texts: Mapping[str, str]) -> Files:
    return {name: encode(text) for name, text in texts.items()}


# --- jails ------------------------------------------------------------------------------------------------------------


def jail_changes(
    old: Mapping[str, Checked],
    new: Mapping[str, Checked],
    chosen: Collection[str],
    release: Release,
    rulesets: Collection[int] = (),
) -> tuple[JailChange, ...]:
    """What becomes of the jails that run, `old` by name with what each was started with, and of those to be started.

    `chosen` are the names of those that are to run. `rulesets`: the devfs rulesets that differ.
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


def host_change(old: Files, new: Files) -> HostChange:
    """What differs of a host's rc.conf, devfs.rules and pf.conf. What only names jails is jails' business."""
    before, after = _rc(old), _rc(new)
    actions: list[HostAction] = []
    not_live: list[str] = []
    if old.get("devfs.rules") != new.get("devfs.rules"):
        actions.append(HostAction(("service", "devfs", "restart"), "devfs.rules differs"))
    clones = after.get("cloned_interfaces", "").split()
    fresh = [name for name in clones if name not in before.get("cloned_interfaces", "").split()]
    cards = [
        name.removeprefix("ifconfig_")
        for name in after
        if name.startswith("ifconfig_") and name not in before and name.count("_") == 1
    ]
    starts = dict.fromkeys((*(card for card in cards if card not in clones), *fresh))
    for name in starts:
        reason = "cloned_interfaces has it new" if name in fresh else f"ifconfig_{name} is new"
        actions.append(HostAction(("service", "netif", "start", name), reason))
    for variable, sysctls in _FORWARDING.items():
        if _is_yes(after.get(variable)) and not _is_yes(before.get(variable)):
            actions.append(HostAction(("sysctl", f"{sysctls}=1"), f"{variable} is YES"))
    was, now = _is_yes(before.get("pf_enable")), _is_yes(after.get("pf_enable"))
    if now and not was:
        actions.append(HostAction(("service", "pf", "start"), "pf_enable is YES"))
    elif was and not now:
        actions.append(HostAction(("service", "pf", "onestop"), "pf_enable is not YES any more"))
    elif now and old.get("pf.conf") != new.get("pf.conf"):
        actions.append(HostAction(("service", "pf", "reload"), "pf.conf differs"))
    for name in dict.fromkeys((*after, *before)):
        if before.get(name) == after.get(name) or name in _OTHERS or name.startswith("jail_"):
            continue
        if any(name.startswith((f"ifconfig_{each}", f"vlans_{each}")) for each in starts):
            continue
        if name == "cloned_interfaces" and not set(before.get(name, "").split()) - set(clones):
            continue
        if name in _FORWARDING and _is_yes(after.get(name)):
            continue
        not_live.append(f"rc.conf: {name}: {before.get(name, 'not set')} -> {after.get(name, 'not set')}")
    if old.get("hostid") != new.get("hostid"):
        not_live.append("hostid differs")
    return HostChange(tuple(actions), tuple(not_live))


_FORWARDING = {"gateway_enable": "net.inet.ip.forwarding", "ipv6_gateway_enable": "net.inet6.ip6.forwarding"}
_OTHERS = frozenset(("pf_enable", "pf_rules"))
"""Variables that are looked at by themselves."""


def _rc(files: Files) -> Mapping[str, str]:
    return evaluate([parse_rc_conf(Source("rc.conf", files.get("rc.conf", b"")))]).values


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
