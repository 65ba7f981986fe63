"""devfs rulesets: numbering, errors, evaluation against a plain reference, stateful application, the journal."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from hostfake import Machine, VirtualFiles
from hypothesis import given, settings
from hypothesis import strategies as st
from test_mounts import Memory

from vjail.conf.devfs_rules import DEFAULT_SETS, DeviceClass, Rule, Visibility
from vjail.kernel.core.devnodes import LAB_NODES, DeviceNode, NodeType
from vjail.kernel.core.part import Caller
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import AddDevfsRule, ApplyDevfsRule, DeleteDevfsRule, Mount, SetDevfsRuleset, Unmount

HOST = Caller(0, 0)
DIRECTORIES = ["/dev", "/tmp/dev", "/j/d/dev"]


def machine(**more: Any) -> Machine:
    return Machine(VirtualFiles(directories=DIRECTORIES), **more)


def add(host: Machine, ruleset: int, text: str) -> int:
    return int(host.apply(HOST, AddDevfsRule(ruleset, tuple(text.split()))))


def with_defaults() -> Machine:
    host = machine()
    numbers = {f"${name}": str(number) for name, number, _ in DEFAULT_SETS}
    for _, number, rules in DEFAULT_SETS:
        for rule in rules:
            add(host, number, " ".join(numbers.get(word, word.strip("'")) for word in rule.split()))
    return host


def refused(host: Machine, operation: Any, caller: Caller = HOST) -> Errno:
    with pytest.raises(KernelError) as caught:
        host.apply(caller, operation)
    return caught.value.errno


def names(nodes: Any) -> list[str]:
    return [node.name for node in nodes]


def held(host: Machine, target: str = "/tmp/dev") -> list[str]:
    return names(host.driver.nodes[host.driver.on(target)])


# --- numbering and errors --------------------------------------------------------------------------------------------


def test_numbering() -> None:
    host = machine()
    assert add(host, 10, "hide") == 100
    assert add(host, 10, "150 path x unhide") == 150
    assert add(host, 10, "path y unhide") == 250
    assert host.apply(HOST, AddDevfsRule(10, ("hide",), 7)) == 7
    assert host.devfs.rules(HOST, 10) == [(7, "hide"), (100, "hide"), (150, "path x unhide"), (250, "path y unhide")]
    assert host.devfs.rulesets(HOST) == [10]
    assert host.devfs.rules(HOST, 11) == []


def test_errors() -> None:
    host = machine()
    add(host, 10, "100 hide")
    assert refused(host, AddDevfsRule(10, ("100", "hide"))) is Errno.EEXIST
    assert refused(host, AddDevfsRule(0, ("hide",))) is Errno.EIO
    assert refused(host, AddDevfsRule(10, ("include", "99"))) is Errno.ESRCH
    assert refused(host, AddDevfsRule(10, ("frobnicate",))) is Errno.EINVAL
    assert refused(host, AddDevfsRule(10, ("user", "root"))) is Errno.EINVAL
    assert refused(host, DeleteDevfsRule(10, 5)) is Errno.ENOENT
    assert refused(host, ApplyDevfsRule("/tmp", 10)) is Errno.ENOTTY
    assert refused(host, ApplyDevfsRule("/nosuch", 10)) is Errno.ENOENT
    assert refused(host, ApplyDevfsRule("/dev", 99)) is Errno.ESRCH
    assert refused(host, ApplyDevfsRule("/dev", 10, ("7",))) is Errno.ENOENT
    assert refused(host, ApplyDevfsRule("/dev", 10, ("include", "99"))) is Errno.ESRCH
    add(host, 11, "65535 hide")
    assert refused(host, AddDevfsRule(11, ("hide",))) is Errno.ERANGE


def test_nothing_of_it_in_a_jail() -> None:
    host = machine()
    jail = Caller(host.jails.add(1, "d", "/").jid, 0)
    for operation in (
        AddDevfsRule(1, ("hide",)),
        DeleteDevfsRule(1),
        ApplyDevfsRule("/dev", 1),
        SetDevfsRuleset("/dev", 1),
    ):
        assert refused(host, operation, jail) is Errno.EPERM
    for look in (
        lambda: host.devfs.rulesets(jail),
        lambda: host.devfs.rules(jail, 1),
        lambda: host.devfs.ruleset_of(jail, "/dev"),
    ):
        with pytest.raises(KernelError) as caught:
            look()
        assert caught.value.errno is Errno.EPERM


def test_which_sets_there_are() -> None:
    """A set exists while it holds rules, is included, or is used by a mounted devfs."""
    host = machine()
    add(host, 10, "hide")
    add(host, 11, "include 10")
    host.apply(HOST, DeleteDevfsRule(10))
    assert host.devfs.rulesets(HOST) == [10, 11]
    host.apply(HOST, Mount("devfs", "devfs", "/tmp/dev", ("ruleset=9999",)))
    assert host.devfs.rulesets(HOST) == [10, 11, 9999]
    add(host, 12, "include 9999")
    host.apply(HOST, Unmount("/tmp/dev"))
    host.apply(HOST, DeleteDevfsRule(11))
    host.apply(HOST, DeleteDevfsRule(12, 100))
    assert host.devfs.rulesets(HOST) == []


# --- evaluation ------------------------------------------------------------------------------------------------------


def test_a_set_with_only_a_nested_include_hides_nothing() -> None:
    """observed/f8_devfs_rule_depth.txt."""
    host = with_defaults()
    add(host, 1000, "include 4")
    add(host, 1000, "path bpf* unhide")
    assert len([name for name in names(host.devfs.visible(1000, LAB_NODES)) if "/" not in name]) == 68
    host.devfs.rule_depth = 2
    assert [name for name in names(host.devfs.visible(1000, LAB_NODES)) if "/" not in name] == [
        "bpf", "bpf0", "fd", "null", "random", "stderr", "stdin", "stdout", "urandom", "zero",
    ]  # fmt: skip


def test_a_hidden_directory_hides_its_content() -> None:
    host = machine()
    add(host, 10, "path fd hide")
    add(host, 10, "path fd/* unhide")
    assert not [name for name in names(host.devfs.visible(10, LAB_NODES)) if name.startswith("fd")]


def test_a_star_does_not_match_a_slash() -> None:
    host = machine()
    add(host, 10, "hide")
    add(host, 10, "path fd unhide")
    add(host, 10, "path * hide")
    add(host, 10, "path f* unhide")
    assert names(host.devfs.visible(10, LAB_NODES)) == ["fd", "fido", "full"]


def test_types_match_devices_only() -> None:
    host = machine()
    add(host, 10, "hide")
    add(host, 10, "type disk unhide")
    add(host, 10, "type mem unhide mode 666 user 66 group 68")
    assert [(node.name, node.uid, node.gid, node.mode) for node in host.devfs.visible(10, LAB_NODES)] == [
        ("cd0", 0, 5, 0o640),
        ("kmem", 66, 68, 0o666),
        ("mem", 66, 68, 0o666),
        ("vtbd0", 0, 5, 0o640),
        ("vtbd0p1", 0, 5, 0o640),
        ("vtbd0p2", 0, 5, 0o640),
    ]


PATTERNS = ["*", "a*", "?", "[ab]*", "[!a]*", "d", "d/*", "*/*", "d/[a-b]", "a\\*", "ab", "[", "d/?"]
NODES = tuple(
    DeviceNode(name, kind, classes=classes)
    for name, kind, classes in [
        ("a", NodeType.DEVICE, frozenset({DeviceClass.DISK})),
        ("ab", NodeType.DEVICE, frozenset({DeviceClass.TTY})),
        ("b", NodeType.LINK, frozenset()),
        ("d", NodeType.DIRECTORY, frozenset()),
        ("d/a", NodeType.DEVICE, frozenset({DeviceClass.DISK, DeviceClass.MEM})),
        ("d/b", NodeType.DEVICE, frozenset()),
    ]
)
RULE = st.builds(
    Rule,
    types=st.frozensets(st.sampled_from(DeviceClass), max_size=2),
    path=st.none() | st.sampled_from(PATTERNS),
    visibility=st.none() | st.sampled_from(Visibility),
    user=st.none() | st.sampled_from(["1", "2"]),
    group=st.none() | st.sampled_from(["3", "4"]),
    mode=st.none() | st.sampled_from([0o600, 0o666]),
    include=st.none() | st.sampled_from([1, 2, 3]),
)


def plain_match(pattern: str, name: str) -> bool:
    """fnmatch component by component: no wildcard crosses a slash."""
    if pattern == "[":
        return name == "["
    if pattern == "a\\*":
        return name == "a*"
    pieces, parts = pattern.split("/"), name.split("/")
    return len(pieces) == len(parts) and all(map(fnmatch.fnmatchcase, parts, pieces))


def reference(sets: dict[int, list[Rule]], ruleset: int, depth: int) -> list[tuple[str, int, int, int]]:
    """What devfs(5) says, written down without any cleverness."""
    state = {node.name: [False, node.uid, node.gid, node.mode] for node in NODES}

    def run(rules: list[Rule], node: DeviceNode, levels: int) -> None:
        for rule in rules:
            typed = node.type is NodeType.DEVICE and bool(rule.types & node.classes)
            if (rule.types and not typed) or (rule.path is not None and not plain_match(rule.path, node.name)):
                continue
            own = state[node.name]
            own[0] = rule.visibility is Visibility.HIDE if rule.visibility else own[0]
            own[1] = int(rule.user) if rule.user else own[1]
            own[2] = int(rule.group) if rule.group else own[2]
            own[3] = rule.mode if rule.mode is not None else own[3]
            if rule.include and levels:
                run(sets.get(rule.include, []), node, levels - 1)

    for node in NODES:
        run(sets.get(ruleset, []), node, depth)
    seen: list[tuple[str, int, int, int]] = []
    for node in NODES:
        hidden, uid, gid, mode = state[node.name]
        above = node.name.split("/")[0]
        if not hidden and not state[above][0]:
            seen.append((node.name, uid, gid, mode))
    return seen


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), RULE), max_size=10), st.integers(1, 3), st.integers(0, 2))
def test_evaluation_agrees_with_the_reference(rules: list[tuple[int, Rule]], ruleset: int, depth: int) -> None:
    host = machine()
    host.devfs.rule_depth = depth
    sets: dict[int, list[Rule]] = {}
    for number, rule in rules:
        if rule.include and rule.include not in sets:
            continue
        words = rule.words()
        if not words:
            continue
        host.apply(HOST, AddDevfsRule(number, words))
        sets.setdefault(number, []).append(rule)
    visible = host.devfs.visible(ruleset, NODES)
    assert [(node.name, node.uid, node.gid, node.mode) for node in visible] == reference(sets, ruleset, depth)


# --- mounted ones ----------------------------------------------------------------------------------------------------


def test_rules_take_effect_when_applied() -> None:
    """observed/f_devfs.txt f6: adding to the set of a mounted devfs changes nothing until it is applied."""
    host = with_defaults()
    host.apply(HOST, Mount("devfs", "devfs", "/tmp/dev", ("ruleset=4",)))
    before = held(host)
    add(host, 4, "path mem unhide")
    assert held(host) == before
    host.apply(HOST, ApplyDevfsRule("/tmp/dev"))
    assert set(held(host)) - set(before) == {"mem"}
    host.apply(HOST, ApplyDevfsRule("/tmp/dev", words=("path", "zero", "hide")))
    assert "zero" not in held(host)
    host.apply(HOST, ApplyDevfsRule("/tmp/dev", 2, ("200",)))
    assert "zero" in held(host)
    host.apply(HOST, Mount("devfs", "devfs", "/j/d/dev", ("ruleset=4",)))
    assert held(host, "/j/d/dev") == held(host)


def test_another_set_for_a_mounted_one() -> None:
    host = with_defaults()
    host.apply(HOST, SetDevfsRuleset("/dev", 4))
    assert host.devfs.ruleset_of(HOST, "/dev") == 4
    assert "mem" in held(host, "/dev"), "nothing was applied yet"
    host.apply(HOST, ApplyDevfsRule("/dev"))
    assert "mem" not in held(host, "/dev")


def test_another_process_takes_over() -> None:
    journal = Memory()
    first = machine(journal=journal)
    add(first, 10, "hide")
    add(first, 10, "path zero unhide mode 600")
    add(first, 11, "hide")
    first.apply(HOST, DeleteDevfsRule(11))
    first.apply(HOST, Mount("devfs", "devfs", "/tmp/dev", ("ruleset=10",)))
    first.apply(HOST, ApplyDevfsRule("/tmp/dev", words=("path", "null", "unhide")))
    second = machine(journal=journal)
    second.driver.requests = first.driver.requests
    assert second.devfs.rules(HOST, 10) == [(100, "hide"), (200, "path zero unhide mode 600")]
    assert second.devfs.rulesets(HOST) == [10]
    assert second.devfs.ruleset_of(HOST, "/tmp/dev") == 10
    second.apply(HOST, ApplyDevfsRule("/tmp/dev", words=("path", "random", "unhide")))
    assert [(node.name, node.mode) for node in second.driver.nodes[second.driver.on("/tmp/dev")]] == [
        ("null", 0o666),
        ("random", 0o644),
        ("zero", 0o600),
    ]
