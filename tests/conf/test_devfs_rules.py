"""devfs.rules(5) and the rules of devfs(8): grammar, error texts, the file, the sets every host has."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjail.conf.devfs_rules import (
    DEFAULT_SETS,
    BadHeader,
    DeviceClass,
    Header,
    Rule,
    RuleError,
    RuleLine,
    Visibility,
    default_rules,
    parse,
    parse_rule,
)
from vjail.conf.position import Source

DATA = Path(__file__).parent.parent / "data"
RECORDED = (DATA / "freebsd-13.2" / "observed" / "f_devfs.txt").read_text()


def test_the_default_sets_are_those_recorded() -> None:
    recorded = RECORDED.split("# grep -v '^#' /etc/defaults/devfs.rules\n")[1].split("[exit 0]")[0]
    made = "".join(line for line in default_rules().splitlines(keepends=True) if not line.startswith("#"))
    assert made.strip() == recorded.strip()
    assert [(name, number) for name, number, _ in DEFAULT_SETS] == [
        ("devfsrules_hide_all", 1),
        ("devfsrules_unhide_basic", 2),
        ("devfsrules_unhide_login", 3),
        ("devfsrules_jail", 4),
        ("devfsrules_jail_vnet", 5),
    ]


RULES = [
    ("hide", None, Rule(visibility=Visibility.HIDE)),
    ("100 hide", 100, Rule(visibility=Visibility.HIDE)),
    ("0 hide", None, Rule(visibility=Visibility.HIDE)),
    ("path bpf* unhide", None, Rule(path="bpf*", visibility=Visibility.UNHIDE)),
    (
        "type disk type tty path x user root group operator mode 0640",
        None,
        Rule(frozenset({DeviceClass.DISK, DeviceClass.TTY}), "x", user="root", group="operator", mode=0o640),
    ),
    ("include 4", None, Rule(include=4)),
    ("hide unhide", None, Rule(visibility=Visibility.UNHIDE)),
    ("mode u=rw,g=r", None, Rule(mode=0o640)),
    ("mode +x", None, Rule(mode=0o111)),
    ("200", 200, Rule()),
]


@pytest.mark.parametrize(("text", "number", "rule"), RULES)
def test_rules(text: str, number: int | None, rule: Rule) -> None:
    assert parse_rule(text.split()) == (number, rule)


ERRORS = [
    ("", "unexpected end of rulespec"),
    ("frobnicate", "unknown argument: frobnicate"),
    ("hide path x", "unknown argument: path"),
    ("type floppy hide", "unknown type: floppy"),
    ("type", "expecting argument for type"),
    ("path", "expecting argument for path"),
    ("include", "expecting argument for include"),
    ("user", "expecting argument for user"),
    ("group", "expecting argument for group"),
    ("mode", "expecting argument for mode"),
    ("mode 9", "invalid mode: 9"),
    ("include $x", "error converting to number: $x"),
    ("include 70000", "error converting to number: 70000"),
    ("70000 hide", "unknown argument: 70000"),
]


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_error_texts(text: str, message: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule(text.split())
    assert str(caught.value) == message


@given(
    st.builds(
        Rule,
        types=st.frozensets(st.sampled_from(DeviceClass)),
        path=st.none() | st.text("abc*?[]/.-", min_size=1, max_size=8),
        visibility=st.none() | st.sampled_from(Visibility),
        user=st.none() | st.sampled_from(["root", "66"]),
        group=st.none() | st.sampled_from(["operator", "5"]),
        mode=st.none() | st.integers(0, 0o7777),
        include=st.none() | st.integers(0, 65535),
    )
)
def test_what_is_shown_can_be_read_again(rule: Rule) -> None:
    if rule.words():
        assert parse_rule(("7", *rule.words())) == (7, rule)


def test_the_file_line_by_line() -> None:
    text = (
        "# comment\n\n[devfsrules_jailnet=1000]\nadd include $devfsrules_hide_all\n"
        "  add path 'bpf*'   unhide # why\n\t# no comment\n[nodevs 1006]\n[=7]\n[x=]\n"
    )
    shown = [(type(line).__name__, str(line.span)) for line in parse(Source.of_text("f", text)).lines]
    assert shown == [
        ("Header", "f:3:1"),
        ("RuleLine", "f:4:1"),
        ("RuleLine", "f:5:3"),
        ("BadHeader", "f:7:1"),
        ("BadHeader", "f:8:1"),
        ("BadHeader", "f:9:1"),
    ]
    header, first, second, bad, nameless, numberless = parse(Source.of_text("f", text)).lines
    assert isinstance(header, Header)
    assert (header.name, header.number) == ("devfsrules_jailnet", 1000)
    assert isinstance(first, RuleLine)
    assert first.text == "add include $devfsrules_hide_all"
    assert isinstance(second, RuleLine)
    assert second.text == "add path 'bpf*' unhide"
    assert isinstance(bad, BadHeader)
    assert bad.complaint == "cannot extract rule number ([nodevs 1006])"
    assert isinstance(nameless, BadHeader)
    assert nameless.complaint == "cannot extract rule name ([=7])"
    assert isinstance(numberless, BadHeader)
    assert numberless.complaint == "cannot extract rule number ([x=])"


def test_the_file_of_the_documents() -> None:
    """documents/B3: no line is bad."""
    lines = parse(Source("B3", (DATA / "documents" / "B3.devfs.rules").read_bytes())).lines
    assert [type(line) for line in lines] == [Header] + [RuleLine] * 7
