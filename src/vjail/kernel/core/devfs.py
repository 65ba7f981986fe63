"""devfs(5): rulesets, and what each mounted devfs shows under them.

A rule changes the nodes it is applied to, at the moment of mounting or when a rule or set is applied by hand; changing
a set changes no mounted devfs. Include is followed `rule_depth` levels deep (sysctl vfs.devfs.rule_depth, 1). Sources:
sys/fs/devfs/devfs_rule.c, devfs(8), observed/f_devfs.txt, f8_devfs_rule_depth.txt.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vjail.conf.devfs_rules import Rule, RuleError, Visibility, parse_number, parse_rule
from vjail.kernel.core.devnodes import LAB_NODES, DeviceNode, NodeType
from vjail.kernel.core.journal import Journal
from vjail.kernel.core.mount_driver import MountDriver, MountKind
from vjail.kernel.core.mounts import Mounts
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import AddDevfsRule, ApplyDevfsRule, DeleteDevfsRule, Operation, SetDevfsRuleset

_RULE_RECORD = "devfs.rule"
_MOUNT_RECORD = "devfs.mount"
_NODE_RECORD = "devfs.node"
_UUCP, _DIALER = 66, 68
_RULE_STEP = 100
_MAX_RULE = 0xFFFF


@dataclass(frozen=True, slots=True)
class Entry:
    """A node in one mounted devfs, as rules have left it."""

    node: DeviceNode
    hidden: bool = False


@dataclass(slots=True)
class _Shown:
    """A mounted devfs: the set it uses, and its entries in the order of the nodes."""

    ruleset: int
    entries: list[Entry] = field(default_factory=list)


class Devfs:
    """The rulesets of a host and its mounted devfs."""

    def __init__(
        self, mounts: Mounts, driver: MountDriver, journal: Journal, *, nodes: Sequence[DeviceNode] = LAB_NODES
    ) -> None:
        self._mounts = mounts
        self._driver = driver
        self._journal = journal
        self._nodes = [*nodes, *(_interface_node(name) for name, _ in journal.records(_NODE_RECORD))]
        self._depth = 1
        self._sets: dict[int, dict[int, Rule]] = {}
        self._shown: dict[int, _Shown] = {}
        self._fresh: dict[int, tuple[Entry, ...]] = {}
        for _, record in journal.records(_RULE_RECORD):
            self._restore_rule(record)
        for key, record in journal.records(_MOUNT_RECORD):
            self._shown[int(key)] = self._restore_mount(record)
        mounts.register(MountKind.DEVFS, self)

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """AddDevfsRule, DeleteDevfsRule, ApplyDevfsRule, SetDevfsRuleset."""
        return {
            AddDevfsRule: self._add,
            DeleteDevfsRule: self._delete,
            ApplyDevfsRule: self._apply,
            SetDevfsRuleset: self._use,
        }

    @property
    def rule_depth(self) -> int:
        """How many levels of include are followed (vfs.devfs.rule_depth)."""
        return self._depth

    @rule_depth.setter
    def rule_depth(self, depth: int) -> None:
        self._depth = depth
        self._fresh.clear()

    def rulesets(self, caller: Caller) -> Sequence[int]:
        """The numbers of the sets that hold rules or are used, ascending. Raises KernelError(EPERM) in a jail."""
        _host_only(caller)
        included = {rule.include for rules in self._sets.values() for rule in rules.values() if rule.include}
        used = {shown.ruleset for shown in self._shown.values() if shown.ruleset}
        return sorted({number for number, rules in self._sets.items() if rules} | included | used)

    def rules(self, caller: Caller, ruleset: int) -> Sequence[tuple[int, str]]:
        """The rules of a set: number and text; users and groups as numbers. Raises KernelError(EPERM) in a jail."""
        _host_only(caller)
        return [(number, str(rule)) for number, rule in sorted(self._sets.get(ruleset, {}).items())]

    def ruleset_of(self, caller: Caller, mount: str) -> int:
        """The set that the devfs at `mount` uses. Raises KernelError(EPERM, ENOENT, ENOTTY)."""
        _host_only(caller)
        return self._at(caller, mount).ruleset

    def visible(self, ruleset: int, nodes: Iterable[DeviceNode]) -> Sequence[DeviceNode]:
        """What of `nodes` a devfs just mounted with this set shows, with owners and modes as the rules set them."""
        return _not_hidden([self._ruled(ruleset, Entry(node), self._depth) for node in nodes])

    # --- told by the network ---

    def interface_came(self, name: str) -> None:
        """A tap or tun has a node of its name, which every devfs shows whose rules let it."""
        self._journal.put(_NODE_RECORD, name, {})
        self.come(_interface_node(name))

    def come(self, node: DeviceNode) -> None:
        """Let there be a node more, which every devfs shows whose rules let it."""
        self._nodes.append(node)
        self._fresh.clear()
        for ident, shown in self._shown.items():
            shown.entries.append(self._ruled(shown.ruleset, Entry(node), self._depth))
            self._changed(ident)

    def interface_went(self, name: str) -> None:
        """Its node goes with it."""
        self._journal.drop(_NODE_RECORD, name)
        at = next(at for at, node in enumerate(self._nodes) if node.name == name)
        del self._nodes[at]
        self._fresh.clear()
        for ident, shown in self._shown.items():
            del shown.entries[at]
            self._changed(ident)

    def _changed(self, ident: int) -> None:
        self._driver.populate(ident, _not_hidden(self._shown[ident].entries))
        self._note(ident)

    # --- told by the mount table -------------------------------------------------------------------------------------

    def mounted(self, ident: int, ruleset: int) -> None:
        """Fill a new devfs."""
        fresh = self._fresh.get(ruleset)
        if fresh is None:
            fresh = tuple(self._ruled(ruleset, Entry(node), self._depth) for node in self._nodes)
            self._fresh[ruleset] = fresh
        self._driver.populate(ident, _not_hidden(fresh))
        self._shown[ident] = _Shown(ruleset, list(fresh))
        self._note(ident)

    def unmounted(self, ident: int) -> None:
        """Forget it."""
        if self._shown.pop(ident, None) is not None:
            self._journal.drop(_MOUNT_RECORD, str(ident))

    # --- operations --------------------------------------------------------------------------------------------------

    def _add(self, caller: Caller, operation: AddDevfsRule) -> int:
        _host_only(caller)
        if operation.ruleset == 0:
            raise KernelError(Errno.EIO)
        number, rule = self._rule(operation.words)
        rules = self._sets.get(operation.ruleset, {})
        number = operation.number or number or max(rules, default=0) + _RULE_STEP
        if number in rules:
            raise KernelError(Errno.EEXIST)
        if number > _MAX_RULE:
            raise KernelError(Errno.ERANGE)
        self._require_include(rule)
        self._sets.setdefault(operation.ruleset, {})[number] = rule
        self._fresh.clear()
        record = {"ruleset": operation.ruleset, "number": number, "words": list(rule.words())}
        self._journal.put(_RULE_RECORD, f"{operation.ruleset}:{number}", record)
        return number

    def _delete(self, caller: Caller, operation: DeleteDevfsRule) -> None:
        _host_only(caller)
        rules = self._sets.get(operation.ruleset, {})
        if operation.number is not None and operation.number not in rules:
            raise KernelError(Errno.ENOENT)
        for number in list(rules) if operation.number is None else [operation.number]:
            del rules[number]
            self._journal.drop(_RULE_RECORD, f"{operation.ruleset}:{number}")
        if not rules:
            self._sets.pop(operation.ruleset, None)
        self._fresh.clear()

    def _apply(self, caller: Caller, operation: ApplyDevfsRule) -> None:
        _host_only(caller)
        ident = self._mounts.devfs_at(caller, operation.mount)
        shown = self._shown[ident]
        ruleset = operation.ruleset or shown.ruleset
        if operation.words is None:
            if ruleset not in self.rulesets(caller):
                raise KernelError(Errno.ESRCH)
            step: Callable[[Entry], Entry] = functools.partial(self._with_set, ruleset)
        else:
            step = functools.partial(self._with_rule, self._named_rule(ruleset, operation.words))
        entries = [step(entry) for entry in shown.entries]
        self._driver.populate(ident, _not_hidden(entries))
        shown.entries = entries
        self._note(ident)

    def _use(self, caller: Caller, operation: SetDevfsRuleset) -> None:
        _host_only(caller)
        ident = self._mounts.devfs_at(caller, operation.mount)
        self._shown[ident].ruleset = operation.ruleset
        self._note(ident)

    def _named_rule(self, ruleset: int, words: Sequence[str]) -> Rule:
        """The rule of that number in the set, where the words are a number; otherwise the rule the words make."""
        number = parse_number(words[0]) if len(words) == 1 else None
        if number is not None:
            rule = self._sets.get(ruleset, {}).get(number)
            if rule is None:
                raise KernelError(Errno.ENOENT)
            return rule
        _, rule = self._rule(words)
        self._require_include(rule)
        return rule

    def _rule(self, words: Sequence[str]) -> tuple[int | None, Rule]:
        try:
            number, rule = parse_rule(words)
        except RuleError as error:
            raise KernelError(Errno.EINVAL, str(error)) from None
        if any(who is not None and not who.isdecimal() for who in (rule.user, rule.group)):
            raise KernelError(Errno.EINVAL)
        return number, rule

    def _require_include(self, rule: Rule) -> None:
        if rule.include is not None and rule.include not in self.rulesets(Caller(0, 0)):
            raise KernelError(Errno.ESRCH)

    def _at(self, caller: Caller, mount: str) -> _Shown:
        return self._shown[self._mounts.devfs_at(caller, mount)]

    # --- evaluation --------------------------------------------------------------------------------------------------

    def _ruled(self, ruleset: int, entry: Entry, depth: int) -> Entry:
        """The entry after every rule of the set in the order of their numbers, include followed `depth` levels."""
        for _, rule in sorted(self._sets.get(ruleset, {}).items()):
            entry = self._run(rule, entry, depth)
        return entry

    def _with_set(self, ruleset: int, entry: Entry) -> Entry:
        return self._ruled(ruleset, entry, self._depth)

    def _with_rule(self, rule: Rule, entry: Entry) -> Entry:
        return self._run(rule, entry, self._depth)

    def _run(self, rule: Rule, entry: Entry, depth: int) -> Entry:
        if not _matches(rule, entry.node):
            return entry
        if rule.visibility is not None:
            entry = replace(entry, hidden=rule.visibility is Visibility.HIDE)
        if rule.user is not None:
            entry = replace(entry, node=replace(entry.node, uid=int(rule.user)))
        if rule.group is not None:
            entry = replace(entry, node=replace(entry.node, gid=int(rule.group)))
        if rule.mode is not None:
            entry = replace(entry, node=replace(entry.node, mode=rule.mode))
        if rule.include is not None and depth > 0:
            entry = self._ruled(rule.include, entry, depth - 1)
        return entry

    # --- the journal -------------------------------------------------------------------------------------------------

    def _note(self, ident: int) -> None:
        shown = self._shown[ident]
        hidden = [entry.node.name for entry in shown.entries if entry.hidden]
        changed = {
            entry.node.name: [entry.node.uid, entry.node.gid, entry.node.mode]
            for entry, node in zip(shown.entries, self._nodes, strict=True)
            if entry.node != node
        }
        record = {"ruleset": shown.ruleset, "hidden": hidden, "changed": changed}
        self._journal.put(_MOUNT_RECORD, str(ident), record)

    def _restore_rule(self, record: Mapping[str, Any]) -> None:
        _, rule = parse_rule(record["words"])
        self._sets.setdefault(record["ruleset"], {})[record["number"]] = rule

    def _restore_mount(self, record: Mapping[str, Any]) -> _Shown:
        entries = []
        for node in self._nodes:
            uid, gid, mode = record["changed"].get(node.name, (node.uid, node.gid, node.mode))
            entries.append(Entry(replace(node, uid=uid, gid=gid, mode=mode), node.name in record["hidden"]))
        return _Shown(record["ruleset"], entries)


def _interface_node(name: str) -> DeviceNode:
    """The node of a tap or tun. Source: sys/net/if_tuntap.c (tun_create_device)."""
    return DeviceNode(name, NodeType.DEVICE, uid=_UUCP, gid=_DIALER, mode=0o600)


def _host_only(caller: Caller) -> None:
    if caller.jid:
        raise KernelError(Errno.EPERM)


def _matches(rule: Rule, node: DeviceNode) -> bool:
    """Whether all conditions hold. Only a device has a type; links and directories match no `type`."""
    if rule.types and (node.type is not NodeType.DEVICE or not rule.types & node.classes):
        return False
    return rule.path is None or _pattern(rule.path).fullmatch(node.name) is not None


def _not_hidden(entries: Sequence[Entry]) -> Sequence[DeviceNode]:
    """The nodes to be seen: neither they nor a directory above them hidden."""
    hidden = {entry.node.name for entry in entries if entry.hidden}
    return [entry.node for entry in entries if not entry.hidden and not hidden.intersection(_above(entry.node.name))]


def _above(name: str) -> Iterable[str]:
    parts = name.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


@functools.lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    """fnmatch(3) with FNM_PATHNAME: no wildcard and no bracket matches a slash."""
    made = []
    at = 0
    while at < len(text):
        character = text[at]
        at += 1
        match character:
            case "*":
                made.append("[^/]*")
            case "?":
                made.append("[^/]")
            case "[" if (bracket := re.compile(r"([!^]?)(\]?[^]]*)\]").match(text, at)) is not None:
                negated, members = bracket.groups()
                members = members.replace("\\", "\\\\").replace("[", "\\[")
                members = members.replace("]", "\\]", 1) if members.startswith("]") else members
                made.append(f"(?!/)[{'^' if negated else ''}{members}]")
                at = bracket.end()
            case "\\" if at < len(text):
                made.append(re.escape(text[at]))
                at += 1
            case _:
                made.append(re.escape(character))
    return re.compile("".join(made), re.DOTALL)
