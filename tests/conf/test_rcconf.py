"""rc.conf(5): the parser against /bin/sh, editing, checkyesno, and what is reported instead of guessed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vjail.conf.position import Source
from vjail.conf.rcconf import (
    Answer,
    RcConf,
    RcFile,
    check_yes_no,
    evaluate,
    not_set_properly,
    parse,
    variable_name,
    with_value,
    without,
)

DOCUMENTS = Path(__file__).parent.parent / "data" / "documents"


def file_of(text: str, name: str = "rc.conf") -> RcFile:
    return parse(Source.of_text(name, text))


def conf_of(*texts: str) -> RcConf:
    return evaluate(file_of(text) for text in texts)


def shell_variables(text: bytes, names: list[str]) -> dict[str, str | None]:
    """What /bin/sh makes of the file; None for a variable it leaves unset."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        script = f". {file.name}\n" + "".join(
            f"if [ -n \"${{{name}+x}}\" ]; then printf 's%s\\0' \"${name}\"; else printf 'u\\0'; fi\n" for name in names
        )
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, env={"PATH": os.defpath})
    values = done.stdout.split(b"\0")[:-1]
    return {
        name: value[1:].decode("utf-8", "surrogateescape") if value[:1] == b"s" else None
        for name, value in zip(names, values, strict=True)
    }


# --- what the documents print ----------------------------------------------------------------------------------------


def test_the_bridge_of_the_workshop() -> None:
    """documents/C3: values over several lines."""
    text = (DOCUMENTS / "C3.rc.conf").read_text()
    conf = conf_of(text)
    assert conf.words("cloned_interfaces") == ["bridge0", "epair0"]
    assert conf.of_interface("bridge0", "ifconfig_IF").split() == ["addm", "epair0a", "addm", "em0"]
    assert conf.get("ifconfig_bridge0_alias0") == "                  inet 192.168.2.3/24"
    assert not file_of(text).problems


# --- single cases ----------------------------------------------------------------------------------------------------

VALUES = [
    ("a=1", "1"),
    ("a='x y'", "x y"),
    ('a="x\\"y\\$\\z"', 'x"y$\\z'),
    ("a=x\\ y", "x y"),
    ("a=x\\\ny", "xy"),
    ('a="x\\\ny"', "xy"),
    ("a='x\\\ny'", "x\\\ny"),
    ("a=b#c", "b#c"),
    ("a=b #c", "b"),
    ("a=", ""),
    ("a=;", ""),
    ("b=1 a=$b$b", "11"),
    ('b="1 2"\na=$b', "1 2"),
    ("a=${b:-x y}", "x y"),
    ("a=${b-x}", "x"),
    ("b=\na=${b-x}", ""),
    ("b=\na=${b:-x}", "x"),
    ("b=1\na=${b:+y}", "y"),
    ("a=1; a=2", "2"),
    ("export a=1", "1"),
    ("readonly a=3 b=2", "3"),
    ('a="é"', "é"),
    ("a='é'$b", "é"),
    ("  a=1", "1"),
    ("a=$", "$"),
    ("a=1\r", "1\r"),
    ("a=x=y", "x=y"),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_values(text: str, value: str) -> None:
    file = file_of(f"{text}\n")
    assert file.problems == ()
    assert evaluate([file]).get("a", "unset") == value
    assert shell_variables(f"{text}\n".encode(), ["a"]) == {"a": value}


PROBLEMS = [
    ("a=$(id)", "1:3", "a command substitution needs a shell"),
    ("a=`id`\nb=1", "1:3", "a command substitution needs a shell"),
    ('a="$((1+2))"', "1:4", "a command substitution needs a shell"),
    ("a=${b%x}", "1:3", "this parameter expansion needs a shell"),
    ("a=$1", "1:3", "`$1' needs a shell"),
    ("a=~/x", "1:3", "`~' needs a shell"),
    ("a='x", "1:3", "unterminated quoted string"),
    ('a="x', "1:3", "unterminated quoted string"),
    ("b=1\nfoo bar", "2:1", "not a plain assignment"),
    ("a=1 foo", "1:1", "not a plain assignment"),
    ("a=(1 2)", "1:1", "not a plain assignment"),
    ("a += 1", "1:1", "not a plain assignment"),
    ("a+=1", "1:1", "not a plain assignment"),
    (". /etc/x", "1:1", "not a plain assignment"),
]


@pytest.mark.parametrize(("text", "place", "reason"), PROBLEMS)
def test_what_is_not_understood_is_reported_with_its_place(text: str, place: str, reason: str) -> None:
    file = file_of(text)
    assert [(str(problem.span), problem.reason) for problem in file.problems] == [(f"rc.conf:{place}", reason)]
    assert "a" not in evaluate([file])


COMPOUND = [
    "if [ -f /x ]; then\n\ta=1\nelse\n\ta=2\nfi\n",
    "case $x in\n  p|q) a=1 ;;\n  (r) a=2;;\nesac\n",
    "for i in 1 2; do\n a=$i\ndone\n",
    "f() {\n  a=1\n  if true; then a=3; fi\n}\n",
    "(\na=1\n)\n",
    "cat <<EOF\na=1\nEOF\n",
    "true &&\n  a=1\n",
    "x=$(\n a=1\n)\n",
    "{ a=1; }\n",
    "while read a; do\n b=1 # done\ndone < /x\n",
]


@pytest.mark.parametrize("text", COMPOUND)
def test_assignments_inside_a_compound_command_are_not_taken_for_plain_ones(text: str) -> None:
    file = file_of(f"before=1\n{text}after=2\n")
    assert [assignment.name for assignment in file.assignments] == ["before", "after"]
    assert [problem.span.position.line for problem in file.problems] == [2]


def test_later_files_win_and_see_the_variables_of_earlier_ones() -> None:
    defaults = file_of('net="10.0.0"\nhost=1\n', "/etc/defaults/rc.conf")
    own = file_of('ifconfig_em0="inet $net.$host/24"\nhost=7\n', "/etc/rc.conf")
    conf = evaluate([defaults, own])
    assert conf.get("ifconfig_em0") == "inet 10.0.0.1/24"
    assert conf.get("host") == "7"
    origin = conf.origin("host")
    assert origin is not None
    assert str(origin.span) == "/etc/rc.conf:2:1"
    assert origin.value_span.text == "7"


def test_names_of_interfaces_in_variables() -> None:
    assert variable_name("em0.100") == "em0_100"
    assert variable_name("a-b/c+d") == "a_b_c_d"
    assert conf_of("ifconfig_em0_100=up").of_interface("em0.100", "ifconfig_IF") == "up"
    assert conf_of("x=1").of_interface("em0", "ifconfig_IF", "DHCP") == "DHCP"


def test_checkyesno() -> None:
    for value in ("yes", "YES", "True", "on", "1"):
        assert check_yes_no(value) is Answer.YES
    for value in ("no", "No", "false", "OFF", "0"):
        assert check_yes_no(value) is Answer.NO
    for value in ("", "y", "2", "NONE"):
        assert check_yes_no(value) is Answer.NEITHER
    assert not_set_properly("jail_enable") == "$jail_enable is not set properly - see rc.conf(5)."


# --- the parser against sh -------------------------------------------------------------------------------------------

NAMES = ["a", "b", "long_name", "ifconfig_em0", "X1"]
PLAIN = st.text("abcXYZ019_.,:/@%+-^é", min_size=0, max_size=5).filter(lambda text: not text.startswith("~"))
REFERENCE = st.sampled_from(NAMES).flatmap(
    lambda name: st.sampled_from([f"${name}", f"${{{name}}}", f"${{{name}:-x}}", f"${{{name}-z}}", f"${{{name}:+q}}"])
)
PLAIN_REFERENCE = st.sampled_from(NAMES).flatmap(lambda name: st.sampled_from([f"${{{name}}}"]))
UNQUOTED = st.one_of(
    PLAIN.map(lambda text: text.replace(":", "")),
    REFERENCE.map(lambda text: f"{text}''"),
    st.sampled_from(["\\ ", "\\$", "\\\\", '\\"', "\\\n", "\\#", "x#y", "*", "?", "[ab]", "=", "!", "{x}", "\\é"]),
)
SINGLE = st.text('ab "$`\\\n#;|&(){}é\t', max_size=6).map(lambda text: f"'{text}'")
DOUBLE = st.lists(
    st.one_of(
        st.text("ab '#;|&(){}é\t\n~", max_size=4),
        PLAIN_REFERENCE,
        st.sampled_from(['\\"', "\\$", "\\`", "\\\\", "\\\n", "\\a"]),
    ),
    max_size=4,
).map(lambda pieces: '"' + "".join(pieces) + '"')
VALUE = st.lists(st.one_of(UNQUOTED, SINGLE, DOUBLE), max_size=4).map("".join)
ASSIGNMENT = st.tuples(st.sampled_from(NAMES), VALUE).map(lambda pair: f"{pair[0]}={pair[1]}")
LINE = st.one_of(
    ASSIGNMENT,
    st.lists(ASSIGNMENT, min_size=2, max_size=3).map(" ".join),
    st.lists(ASSIGNMENT, min_size=2, max_size=3).map("; ".join),
    ASSIGNMENT.map(lambda text: f"export {text}"),
    ASSIGNMENT.map(lambda text: f"\t{text}  # a comment with 'quotes\" and $x"),
    st.sampled_from(["", "# a='1", "   ", "#", "export a b"]),
)
FILES = st.lists(LINE, max_size=8).map(lambda lines: "\n".join(lines) + "\n")


def needs_no_shell(text: str) -> bool:
    return not file_of(text).problems


@settings(max_examples=300, deadline=None)
@given(FILES)
def test_the_parser_agrees_with_sh(text: str) -> None:
    file = file_of(text)
    assert not file.problems
    conf = evaluate([file])
    ours = {name: conf.get(name) if name in conf else None for name in NAMES}
    assert ours == shell_variables(text.encode(), NAMES)


# --- editing ---------------------------------------------------------------------------------------------------------

EDITS = [
    ("a=1\n", 'a="2"\n'),
    ("a='1'  # why\nb=3\n", "a='2'  # why\nb=3\n"),
    ('a="1"; b=2\n', 'a="2"; b=2\n'),
    ("", 'a="2"\n'),
    ("b=1", 'b=1\na="2"\n'),
    ("a=1\na=3\n", 'a=1\na="2"\n'),
    ("a=\n", 'a="2"\n'),
    ("\ta=1\n", '\ta="2"\n'),
    ("a=$b\n", 'a=$b\na="2"\n'),
    ("export a=1\n", 'export a="2"\n'),
    ('a="1 \\\n   2"\nb=1\n', 'a="2"\nb=1\n'),
    ("#a=1\n", '#a=1\na="2"\n'),
]


@pytest.mark.parametrize(("before", "after"), EDITS)
def test_setting_a_value_in_place(before: str, after: str) -> None:
    assert with_value(file_of(before), "a", "2") == after.encode()


DELETIONS = [
    ("a=1\nb=2\n", "b=2\n"),
    ("b=2\n  a=1 # why\n", "b=2\n"),
    ("a=1; b=2\n", "b=2\n"),
    ("b=2; a=1\n", "b=2; \n"),
    ('a="1 \\\n  2"\nb=2\n', "b=2\n"),
    ("a=1\nb=2\na=3", "b=2\n"),
]


@pytest.mark.parametrize(("before", "after"), DELETIONS)
def test_deleting_every_assignment(before: str, after: str) -> None:
    assert without(file_of(before), "a") == after.encode()


def test_deleting_what_is_not_there() -> None:
    assert without(file_of("b=1\n"), "a") is None


@settings(max_examples=200, deadline=None)
@given(FILES, st.sampled_from(NAMES), st.text("abc 019./:", max_size=6))
def test_setting_keeps_every_other_byte_and_sets_the_value(text: str, name: str, value: str) -> None:
    before = file_of(text)
    after = parse(Source("rc.conf", with_value(before, name, value)))
    assert evaluate([after]).get(name) == value
    last = [assignment for assignment in before.assignments if assignment.name == name][-1:]
    old = text.encode()
    if last and last[0].value_span.text[:1] not in ("$", "\\", "`"):
        span = last[0].value_span
        assert after.source.data[: span.start] == old[: span.start]
        assert after.source.data[len(after.source.data) - len(old) + span.end :] == old[span.end :]
    else:
        assert after.source.data.startswith(old)


@settings(max_examples=200, deadline=None)
@given(FILES, st.sampled_from(NAMES))
def test_deleting_leaves_the_other_assignments_alone(text: str, name: str) -> None:
    before = file_of(text)
    data = without(before, name)
    if data is None:
        return
    after = parse(Source("rc.conf", data))
    assert not after.problems
    kept = [(each.name, each.value_span.text) for each in before.assignments if each.name != name]
    assert [(each.name, each.value_span.text) for each in after.assignments] == kept
