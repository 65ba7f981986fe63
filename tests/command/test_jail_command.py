"""jail(8)'s command line: options, its five forms, what each of them reads, records and refuses."""

from __future__ import annotations

import pytest
from jail_fakes import FakeHost, FakeSession, Result, command, run

from vjail.command.jail import jail
from vjail.command.jail.options import USAGE, Options, Usage, parse
from vjail.jail.order import Op
from vjail.jail.voice import Verbosity
from vjail.kernel.core.prison_record import Prison
from vjail.release import Release

CONF = """\
path = /; persist;
a { host.hostname = "x y"; allow.mount; exec.poststart = 'echo "hi"', "echo two"; }
b { vnet; }
* { exec.clean; }
"""


def host_with(text: str = CONF, release: Release = Release.V13) -> FakeHost:
    host = FakeHost(release)
    host.files.add("/etc/jail.conf", text)
    return host


def jail_on(host: FakeHost, *words: str, input: bytes = b"", jid: int = 0) -> Result:
    session = FakeSession(host, ["jail", *words], jid=jid)
    session.input = input
    code = run(jail(session))
    return Result(code, session.screen.stdout, session.screen.stderr, session.screen.merged, session.log)


def names(host: FakeHost) -> list[str]:
    return [each.name for each in host.system().jails()]


def prison(host: FakeHost, jid: int) -> Prison:
    found = host.prisons.prison(jid)
    assert found is not None
    return found


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-c", Options(op=Op.START)),
        ("-cmr", Options(op=Op.START | Op.SET | Op.STOP)),
        ("-R x", Options(op=Op.STOP, remove_only=True, operands=("x",))),
        ("-i", Options(print_jid=True, verbosity=Verbosity.QUIET)),
        ("-iv", Options(print_jid=True, verbosity=Verbosity.VERBOSE)),
        ("-vq", Options(verbosity=Verbosity.QUIET)),
        ("-p 3", Options(limit=3)),
        ("-p0", Options(limit=None)),
        ("-p x", Options(limit=None)),
        ("-p -1", Options(limit=None)),
        ("-d", Options(dying=True)),
        ("-J f", Options(record="f")),
        ("-f f -e ;", Options(file="f", separator=";")),
        ("-h -l -n x -s 2", Options(parameters=["ip_hostname", "exec.clean", "name=x", "securelevel=2"])),
        ("-u x", Options(parameters=["exec.jail_user=x", "exec.system_jail_user"])),
        ("-U x", Options(parameters=["exec.jail_user=x", "exec.system_jail_user=false"])),
        ("-c a -m", Options(op=Op.START, operands=("a", "-m"))),
    ],
)
def test_options(words: str, expected: Options) -> None:
    options = parse(words.split(), Release.V13)
    options.operands = tuple(options.operands)
    assert options == expected


def test_cleanup_came_with_15() -> None:
    with pytest.raises(Usage):
        parse(["-C"], Release.V14)
    assert parse(["-C"], Release.V15).cleanup


def test_a_bad_option_is_named_before_the_usage() -> None:
    assert jail_on(host_with(), "-z").stderr == f"jail: illegal option -- z\n{USAGE}"
    assert jail_on(host_with(), "-f").stderr == f"jail: option requires an argument -- f\n{USAGE}"


@pytest.mark.parametrize(
    "words",
    [
        "",
        "a",
        "/ host 10.0.0.1",
        "relative host 10.0.0.1 echo",
        "-r",
        "-R",
        "-r a=b",
        "-r a b=c",
        "-n x -r a",
        "-n x -c a",
        "-n x -c",
        "-l -m a",
    ],
)
def test_words_that_make_no_sense(words: str) -> None:
    result = jail_on(host_with(), *words.split())
    assert (result.stdout, result.stderr, result.code) == ("", USAGE, 1)


# --- the five forms ---------------------------------------------------------------------------------------------------


def test_list() -> None:
    listed = 'name=a;path=/;persist;host.hostname="x y";allow.mount;exec.poststart=\'echo "hi"\',echo two;exec.clean\n'
    listed = listed.replace("'echo \"hi\"',echo two", '\'echo "hi"\',"echo two"')
    listed += "name=b;path=/;persist;vnet;exec.clean\n"
    result = jail_on(host_with(), "-e", ";")
    assert (result.stdout, result.stderr, result.code) == (listed, "", 0)
    assert jail_on(host_with(), "-e", ";", "ignored").stdout == listed
    assert names(host_with()) == []


def test_list_beside_something_else() -> None:
    host = host_with()
    assert jail_on(host, "-e", ";", "-c", "b").stdout == "b: created\n"
    newer = host_with(release=Release.V15)
    assert jail_on(newer, "-e", ";", "-c").stderr == USAGE
    assert jail_on(newer, "-e", ";", "a").stderr == USAGE


def test_old_style() -> None:
    host = host_with()
    result = jail_on(host, "-i", "/", "www", "10.0.0.1,fd00::1", "sleep", "0")
    assert (result.stdout, result.stderr, result.code) == ("1\n", "", 0)
    assert names(host) == []


def test_an_old_style_jail_may_do_what_sysctls_say() -> None:
    host = host_with()
    host.sysctls.update(
        {
            "security.jail.jailed": "0",
            "security.jail.set_hostname_allowed": "0",
            "security.jail.allow_raw_sockets": "1",
            "security.jail.socket_unixiproute_only": "0",
            "security.jail.enforce_statfs": "1",
        }
    )
    words = ("-v", "/", "www", "10.0.0.1,fd00::1", "true")
    asked = "jail_set(JAIL_CREATE) persist path=/ host.hostname=www ip4.addr=10.0.0.1 ip6.addr=fd00::1"
    allowed = " allow.set_hostname=false allow.raw_sockets allow.socket_af"
    assert jail_on(host, *words).stdout.splitlines()[0] == f"{asked}{allowed} enforce_statfs=1"
    host.sysctls["security.jail.jailed"] = "1"
    assert jail_on(host, *words).stdout.splitlines()[0] == asked


def test_remove_goes_on_after_one_that_is_not_there() -> None:
    host = host_with()
    jail_on(host, "-c", "b")
    result = jail_on(host, "-r", "nosuch", "b")
    assert (result.stdout, result.stderr, result.code) == ("b: removed\n", 'jail: "nosuch" not found\n', 1)


def test_remove_without_a_file() -> None:
    host = host_with()
    jail_on(host, "-c", "name=x", "path=/", "persist")
    host.files.unlink("/etc/jail.conf")
    result = jail_on(host, "-r", "x")
    assert (result.merged, result.code) == ("", 0)
    assert names(host) == []


def test_remove_by_jid_uses_the_block_of_that_name() -> None:
    host = host_with("path=/; persist; a { exec.poststop = 'echo gone'; }")
    jail_on(host, "-c")
    assert jail_on(host, "-r", "1").stdout == "a: removed\ngone\n"


def test_remove_only_ignores_the_file_and_matches_what_runs() -> None:
    host = host_with("path=/; persist; a { exec.poststop = 'echo gone'; } b { }")
    jail_on(host, "-c")
    jail_on(host, "-c", "name=x.y", "path=/", "persist")
    jail_on(host, "-c", "name=x", "path=/", "persist", "children.max=9")
    assert jail_on(host, "-R", "a").merged == ""
    assert jail_on(host, "-R", "*").stdout == "x: removed\nb: removed\n"
    assert names(host) == []


def test_several_words_are_parameters_of_one_jail() -> None:
    host = host_with()
    result = jail_on(host, "-c", "a", "b")
    assert (result.stderr, result.code) == ("jail: unknown parameter: a\njail: unknown parameter: b\n", 1)
    assert jail_on(host, "-n", "q", "-s", "2", "-c", "path=/", "persist").merged == ""
    assert command(host, "jls name securelevel").stdout == "q 2\n"


def test_one_name_of_the_file() -> None:
    host = host_with()
    assert jail_on(host, "-c", "nosuch").stderr == 'jail: "nosuch" not found\n'
    assert jail_on(host, "-c", "b").stdout == "b: created\n"
    assert jail_on(host, "-c", "*").stdout == "a: created\nhi\ntwo\n"
    assert names(host) == ["b", "a"]


# --- files ------------------------------------------------------------------------------------------------------------


def test_configuration_from_standard_input() -> None:
    host = host_with()
    assert jail_on(host, "-f", "-", "-c", input=b"z { path=/; persist; }").stdout == "z: created\n"
    assert jail_on(host, "-f", "-", "-c", input=b"z {").stderr == "jail: STDIN: unexpected EOF\n"


def test_a_file_that_is_not_there() -> None:
    result = jail_on(host_with(), "-f", "/nosuch", "-c", "a")
    assert (result.stderr, result.code) == ("jail: /nosuch: No such file or directory\n", 1)


def test_records() -> None:
    host = host_with("path=/; persist; a { } b { path = /nosuch; } c { exec.start = false; }")
    assert jail_on(host, "-J", "/tmp/jids", "-c").code == 1
    assert host.files.read("/tmp/jids").decode() == (
        "jid=1\tname=a\tpath=/\tpersist\n"
        "jid=-1\tname=b\tpath=/nosuch\tpersist\n"
        "jid=-1\tname=c\tpath=/\tpersist\texec.start=false\n"
    )


def test_a_record_of_the_old_style() -> None:
    host = host_with()
    jail_on(host, "-J", "/tmp/jids", "/", "www", "10.0.0.1,fd00::1", "echo", "hi", "there")
    assert host.files.read("/tmp/jids") == b"1\t/\twww\t10.0.0.1,fd00::1\techo hi there\n"


def test_a_record_that_cannot_be_written() -> None:
    host = host_with()
    result = jail_on(host, "-J", "/nosuch/jids", "-c", "b")
    assert (result.stderr, result.code) == ("jail: open /nosuch/jids: No such file or directory\n", 1)
    assert names(host) == []


# --- how much it says -------------------------------------------------------------------------------------------------


def test_the_jid_alone() -> None:
    host = host_with()
    assert jail_on(host, "-i", "-c").stdout == "1\n2\nhi\ntwo\n"


def test_dying_jails_are_nothing_special_from_15_on() -> None:
    warning = "jail: the 'allow.dying' parameter and '-d' flag are deprecated and have no effect.\n"
    host = host_with(release=Release.V15)
    assert jail_on(host, "-d", "-c", "b").stderr == warning
    assert jail_on(host, "-c", "path=/", "persist", "allow.dying").stderr == warning
    assert jail_on(host_with(), "-d", "-c", "b").stderr == ""


def test_names_looked_up() -> None:
    host = host_with()
    host.files.add("/etc/hosts", "10.0.0.7 www\nfd00::7 www\n")
    assert jail_on(host, "-h", "-c", "path=/", "persist", "host.hostname=www").merged == ""
    assert [str(address) for address in prison(host, 1).ip4.addresses] == ["10.0.0.7"]
    assert [str(address) for address in prison(host, 1).ip6.addresses] == ["fd00::7"]


def test_user_inside_or_outside() -> None:
    host = host_with()
    host.files.add("/j/etc/passwd", "operator:*:80:80::/:/bin/sh\n")
    for option, uid in (("-u", 2), ("-U", 80)):
        (process,) = jail_on(host, option, "operator", "-c", "path=/j", "command=sleep 0").log
        assert process.user is not None
        assert process.user.uid == uid


def test_a_jail_may_have_jails() -> None:
    host = host_with()
    jail_on(host, "-c", "name=a", "path=/", "persist", "children.max=1")
    assert jail_on(host, "-c", "name=b", "path=/", "persist", jid=1).merged == ""
    assert names(host) == ["a", "a.b"]
    assert jail_on(host, "-c", "name=c", "path=/", "persist", jid=1).stderr == "jail: prison limit exceeded\n"
