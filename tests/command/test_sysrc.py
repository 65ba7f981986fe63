"""sysrc(8): recorded lines, every option, and that an edit leaves the rest of the file as it was."""

from __future__ import annotations

import shlex

import pytest
from hostfake import FakeSession, Machine, VirtualFiles, recording, run_now
from hypothesis import given, settings
from hypothesis import strategies as st

from vjail.command import rc_files
from vjail.command.sysrc import sysrc
from vjail.lab.etc import default_rc_conf

RC_CONF = 'hostname="a.b"   # mine\ncloned_interfaces="bridge0 epair0"\nlist=a:b\n'


def machine(rc_conf: str | None = RC_CONF) -> Machine:
    files = VirtualFiles({"/etc/defaults/rc.conf": default_rc_conf()}, ["/dev", "/usr/local/etc"])
    if rc_conf is not None:
        files.put("/etc/rc.conf", rc_conf)
    return Machine(files)


def typed(host: Machine, line: str) -> tuple[str, str, int]:
    session = FakeSession(host, shlex.split(line), commands={"sysrc": sysrc})
    code = run_now(sysrc, session)
    return session.output, session.errors, code


@pytest.mark.parametrize(
    ("path", "start"),
    [
        ("replay/documents-A1.txt", "sysrc jail_enable=NO"),
        ("observed/c4_wildcards_confd_quoting.txt", "sysrc jail_enable=YES"),
        ("observed/c4_wildcards_confd_quoting.txt", "sysrc -x jail_enable"),
    ],
)
def test_recorded_lines(path: str, start: str) -> None:
    host = machine(None)
    steps = [step for step in recording(path) if step.command.startswith("sysrc ")]
    for step in steps:
        result = typed(host, step.command)
        if step.command.startswith(start):
            assert result == (step.out, step.err, step.code)


def test_what_the_documents_set() -> None:
    """sources: jail_enable="NO" and jail_list="jail_01 jail_02"."""
    host = machine(None)
    typed(host, 'sysrc jail_enable=NO jail_list="jail_01 jail_02"')
    assert host.files.text("/etc/rc.conf") == 'jail_enable="NO"\njail_list="jail_01 jail_02"\n'


LINES = [
    ("sysrc hostname", "hostname: a.b\n", "", 0),
    ("sysrc -n hostname", "a.b\n", "", 0),
    ("sysrc -N hostname", "hostname\n", "", 0),
    ("sysrc -e hostname", 'hostname="a.b"\n', "", 0),
    ("sysrc -v hostname jail_enable", "/etc/rc.conf: hostname: a.b\n/etc/defaults/rc.conf: jail_enable: NO\n", "", 0),
    ("sysrc -F hostname", "hostname: /etc/rc.conf\n", "", 0),
    ("sysrc -nF hostname", "/etc/rc.conf\n", "", 0),
    ("sysrc nosuch hostname", "hostname: a.b\n", "sysrc: unknown variable 'nosuch'\n", 1),
    ("sysrc -i nosuch", "", "", 1),
    ("sysrc -q nosuch", "", "", 1),
    ("sysrc a.b=1", "", "sysrc: a.b: name contains characters not allowed in shell\n", 1),
    ("sysrc -c hostname=a.b", "", "", 0),
    ("sysrc -c hostname=x", "", "", 1),
    ("sysrc -cv hostname=x", "/etc/rc.conf: hostname: would change from `a.b' to `x'\n", "", 1),
    ("sysrc -cv hostname=a.b", "/etc/rc.conf: hostname: already set to `a.b'\n", "", 0),
    ("sysrc -cv nosuch=a", "nosuch: not currently set\n", "", 1),
    ("sysrc -c hostname", "", "", 0),
    ("sysrc -l", "/etc/rc.conf /etc/rc.conf.local\n", "", 0),
    ("sysrc -a", "cloned_interfaces: bridge0 epair0\nhostname: a.b\nlist: a:b\n", "", 0),
    ("sysrc -ae", 'cloned_interfaces="bridge0 epair0"\nhostname="a.b"\nlist="a:b"\n', "", 0),
    ("sysrc -ax", "", "sysrc: `-x' option incompatible with `-a'/`-A' options\n", 1),
    ("sysrc -D hostname", "hostname: \n", "", 0),
    ("sysrc -f /x y", "", "sysrc: unknown variable 'y'\n", 1),
    ("sysrc -x nosuch", "", "sysrc: unknown variable 'nosuch'\n", 1),
    ("sysrc", "", "Usage: sysrc [OPTIONS] {name[[+|-]=value] ... | -a | -A | -l | -L [name ...]}\n"
     "Try `sysrc --help' for more information.\n", 1),
]  # fmt: skip


@pytest.mark.parametrize(("line", "out", "errors", "code"), LINES)
def test_lines(line: str, out: str, errors: str, code: int) -> None:
    host = machine()
    assert typed(host, line) == (out, errors, code)
    assert host.files.text("/etc/rc.conf") == RC_CONF


EDITS = [
    ("sysrc hostname=x", "hostname: a.b -> x\n", RC_CONF.replace("a.b", "x")),
    ("sysrc -n hostname=x", "a.b -> x\n", RC_CONF.replace("a.b", "x")),
    ("sysrc -e hostname=x", 'hostname="a.b" # -> "x"\n', RC_CONF.replace("a.b", "x")),
    ("sysrc -v new=x", "/etc/rc.conf: new:  -> x\n", RC_CONF + 'new="x"\n'),
    (
        "sysrc cloned_interfaces+=epair1",
        "cloned_interfaces: bridge0 epair0 -> bridge0 epair0 epair1\n",
        RC_CONF.replace("epair0", "epair0 epair1"),
    ),
    ("sysrc cloned_interfaces+=epair0", "cloned_interfaces: bridge0 epair0 -> bridge0 epair0\n", RC_CONF),
    (
        'sysrc cloned_interfaces-="bridge0 x"',
        "cloned_interfaces: bridge0 epair0 -> epair0\n",
        RC_CONF.replace("bridge0 epair0", "epair0"),
    ),
    ("sysrc list+=:c", "list: a:b -> a:b:c\n", RC_CONF.replace("list=a:b", 'list="a:b:c"')),
    ("sysrc list-=:a", "list: a:b -> b\n", RC_CONF.replace("list=a:b", 'list="b"')),
    ("sysrc new+=x", "new:  -> x\n", RC_CONF + 'new="x"\n'),
    ("sysrc -x hostname", "", RC_CONF.partition("\n")[2]),
    ("sysrc -x list=x", "", RC_CONF.replace("list=a:b\n", "")),
]


@pytest.mark.parametrize(("line", "out", "after"), EDITS)
def test_edits(line: str, out: str, after: str) -> None:
    host = machine()
    assert typed(host, line) == (out, "", 0)
    assert host.files.text("/etc/rc.conf") == after


def test_the_file_that_sets_it_last_is_edited() -> None:
    host = machine()
    host.files.put("/etc/rc.conf.local", "hostname=z\n")
    assert typed(host, "sysrc hostname=y") == ("hostname: z -> y\n", "", 0)
    assert host.files.text("/etc/rc.conf.local") == 'hostname="y"\n'
    assert host.files.text("/etc/rc.conf") == RC_CONF


def test_a_file_of_ones_own() -> None:
    host = machine()
    assert typed(host, "sysrc -f /etc/x.conf a=1 b=2") == ("a:  -> 1\nb:  -> 2\n", "", 0)
    assert host.files.text("/etc/x.conf") == 'a="1"\nb="2"\n'


def test_the_files_of_a_service() -> None:
    host = machine()
    host.files.put("/etc/rc.conf.d/jail", "jail_list=x\n")
    assert typed(host, "sysrc -s jail jail_list") == ("jail_list: x\n", "", 0)
    assert typed(host, "sysrc -vs jail jail_list=y") == ("/etc/rc.conf.d/jail: jail_list: x -> y\n", "", 0)
    assert host.files.text("/etc/rc.conf.d/jail") == 'jail_list="y"\n'


def test_an_edit_that_breaks_the_file_is_not_made() -> None:
    host = machine()
    out, errors, code = typed(host, "sysrc 'hostname=x\"y'")
    assert (out, errors, code) == ("", "sysrc: Not overwriting `/etc/rc.conf' due to previous syntax errors\n", 1)
    assert host.files.text("/etc/rc.conf") == RC_CONF


def test_in_a_jail() -> None:
    host = machine()
    host.jails.add(4, "web", "/")
    session = FakeSession(host, shlex.split("sysrc -n -j web hostname"), commands={"sysrc": sysrc})
    assert (run_now(sysrc, session), session.output) == (0, "a.b\n")
    assert session.calls == [("/usr/sbin/sysrc", "-n", "hostname")]
    assert typed(host, "sysrc -j nosuch x") == ("", 'sysrc: jail "nosuch" not found\n', 1)


OTHER_LINE = st.sampled_from(
    ["# x", "", 'other="1 2"', "  b='3' # y", "export c=4", "long=1\\\n2", "if x; then\n\ty=1\nfi"]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(OTHER_LINE, max_size=6), st.lists(OTHER_LINE, max_size=6), st.text("abc 01/.", max_size=6))
def test_every_other_line_is_kept_byte_for_byte(before: list[str], after: list[str], value: str) -> None:
    head, tail = ("".join(f"{line}\n" for line in lines) for lines in (before, after))
    host = machine(f"{head}wanted=old # why\n{tail}")
    assert typed(host, f"sysrc {shlex.quote(f'wanted={value}')}") == (f"wanted: old -> {value}\n", "", 0)
    assert host.files.text("/etc/rc.conf") == f'{head}wanted="{value}" # why\n{tail}'
    assert typed(host, "sysrc -x wanted")[2] == 0
    assert host.files.text("/etc/rc.conf") == head + tail


def test_what_rc_loads_it_reads_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every script of every jail's boot asks for it."""
    files = machine().files
    asked: list[str] = []
    read = files.read
    monkeypatch.setattr(files, "read", lambda path: (asked.append(path), read(path))[1])
    conf, _ = rc_files.load(files, "sshd")
    assert conf.get("list") == "a:b"
    assert [path for path in asked if path == "/etc/rc.conf"] == ["/etc/rc.conf"]
    assert len(asked) == len(set(asked))
