"""jls(8): its forms, what each makes of each kind of value, and what it says when something is wrong."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from jail_fakes import FakeHost, command

from vjail.release import Release

HEADER = "   JID  IP Address      Hostname                      Path\n"


def host_with(*jails: str, release: Release = Release.V13) -> FakeHost:
    host = FakeHost(release)
    for line in jails:
        assert command(host, f"jail -c {line}").code == 0, line
    return host


WEB = "name=web path=/ persist host.hostname=web.example.org ip4.addr=10.0.0.1,10.0.0.2 ip6.addr=fd00::1"


# --- the forms --------------------------------------------------------------------------------------------------------


def test_the_default_form() -> None:
    host = host_with(WEB, "name=v path=/tmp persist vnet host.hostname=a-name-that-is-too-long.example.org")
    assert command(host, "jls").stdout == (
        f"{HEADER}"
        "     1  10.0.0.1        web.example.org               /\n"
        "     2                  a-name-that-is-too-long.examp /tmp\n"
    )


def test_by_name_a_long_one_shifts_the_row() -> None:
    host = host_with("name=a-name-of-more-than-15 path=/ persist vnet host.hostname=h")
    assert command(host, "jls -N").stdout == (
        " JID             IP Address      Hostname                      Path\n"
        " a-name-of-more-than-15                 h                             /\n"
    )


def test_a_long_path_is_cut() -> None:
    host = FakeHost()
    path = "/tmp/" + "x" * 80
    host.files.add(path)
    command(host, f"jail -c name=j path={path} persist")
    assert command(host, "jls").stdout.splitlines()[1].split()[-1] == path[:74]


def test_verbose_lists_every_address_and_the_state() -> None:
    host = host_with(WEB, "name=v path=/tmp persist vnet")
    host.driver.holding.add(2)
    command(host, "jail -R v")
    header = HEADER[:6] + "  Hostname                      Path\n"
    assert command(host, "jls -v").stdout == (
        f"{header}"
        "        Name                          State\n"
        "        CPUSetID\n"
        "        IP Address(es)\n"
        "     1  web.example.org               /\n"
        "        web                           ACTIVE\n"
        "        3\n"
        "        10.0.0.1\n"
        "        10.0.0.2\n"
        "        fd00::1\n"
    )
    assert command(host, "jls -dv").stdout.splitlines()[-2].split() == ["v", "DYING"]
    assert command(host, "jls -d name").stdout == "web\nv\n"
    assert command(host, "jls -a name").stdout == "web\nv\n"


def test_nothing_but_a_header_without_jails() -> None:
    host = FakeHost()
    assert command(host, "jls").stdout == HEADER
    assert command(host, "jls -h jid").stdout == "jid\n"
    assert command(host, "jls jid").stdout == ""
    assert command(host, "jls").code == 0


def test_a_jail_sees_only_those_below_it() -> None:
    host = host_with("name=a path=/ persist children.max=2", "name=a.b path=/ persist", "name=c path=/ persist")
    assert command(host, "jls name", jid=1).stdout == "b\n"
    assert command(host, "jls name").stdout == "a\na.b\nc\n"


# --- parameters -------------------------------------------------------------------------------------------------------

VALUES = [
    # parameter, alone, -n, -q, -s
    ("host.hostname", "a b", "host.hostname=a b", '"a b"', 'host.hostname="a b"'),
    ("host.domainname", '""', 'host.domainname=""', '""', 'host.domainname=""'),
    ("ip4.addr", "-", "ip4.addr=", '""', None),
    ("persist", "true", "persist", "true", "persist"),
    ("nopersist", "false", "persist", "false", "persist"),
    ("allow.mount", "false", "allow.nomount", "false", "allow.nomount"),
    ("allow.nomount", "true", "allow.nomount", "true", "allow.nomount"),
    ("vnet", "new", "vnet=new", "new", "vnet=new"),
    ("children.max", "0", "children.max=0", "0", "children.max=0"),
    ("children.cur", "0", "children.cur=0", "0", None),
]


@pytest.mark.parametrize(("name", "alone", "pair", "quoted", "settable"), VALUES)
def test_values(name: str, alone: str, pair: str, quoted: str, settable: str | None) -> None:
    host = host_with("name=j path=/ persist vnet host.hostname='a b'")
    assert command(host, f"jls {name}").stdout == f"{alone}\n"
    assert command(host, f"jls -n {name}").stdout == f"{pair}\n"
    assert command(host, f"jls -q {name}").stdout == f"{quoted}\n"
    assert command(host, f"jls -s {name}").stdout == f"{settable or ''}\n"


@pytest.mark.parametrize(
    ("hostname", "shown"),
    [("a'b", '"a\'b"'), ('a"b', "'a\"b'"), ("a\tb", '"a\tb"'), ("ab", "ab"), ("a' \"b", '"a\' "b"')],
)
def test_quotes(hostname: str, shown: str) -> None:
    host = FakeHost()
    command(host, ["jail", "-c", "name=j", "path=/", "persist", f"host.hostname={hostname}"])
    assert command(host, ["jls", "-q", "host.hostname"]).stdout == f"{shown}\n"


def test_a_header_of_names() -> None:
    host = host_with(WEB)
    assert command(host, "jls -h jid name persist").stdout == "jid name persist\n1 web true\n"
    assert command(host, "jls -hn jid nopersist").stdout == "jid nopersist\njid=1 persist\n"


def test_a_name_given_twice_counts_once_and_verbose_is_ignored() -> None:
    host = host_with(WEB)
    assert command(host, "jls -v jid name jid").stdout == "1 web\n"


def test_all_is_sorted_names_without_a_dot_first() -> None:
    host = host_with(WEB)
    names = command(host, "jls -h").stdout.splitlines()[0].split(" ")
    plain = [name for name in names if "." not in name]
    assert names == sorted(plain) + sorted(set(names) - set(plain))
    assert names[:3] == ["devfs_ruleset", "dying", "enforce_statfs"]
    assert command(host, "jls -h name all").stdout.splitlines()[0].split(" ") == [
        "name",
        *(name for name in names if name != "name"),
    ]


def test_what_s_prints_is_what_jail_takes() -> None:
    host = host_with(f"{WEB} allow.mount enforce_statfs=1 'host.domainname=a b'")
    before = command(host, "jls -s").stdout.removesuffix("\n")
    command(host, "jail -R web")
    # The kernel takes any `vnet`, this one too, for the wish to have one, and refuses `ip4` and `ip6` beside it.
    refused = command(host, f"jail -c {before}")
    assert refused.stderr == "jail: vnet jails cannot have IP address restrictions\n"
    assert command(host, f"jail -c {before.replace(' vnet=inherit', '')}").code == 0
    assert command(host, "jls -s").stdout == f"{before}\n"


def test_a_subsystem_that_is_not_the_jails_own_is_left_out_by_s() -> None:
    host = host_with(WEB, "name=v path=/tmp persist vnet")
    assert "ip4.addr" not in command(host, "jls -s -j web").stdout
    assert "ip4=disable" in command(host, "jls -s -j web").stdout
    assert 'host.hostname="' in command(host, "jls -s -j v").stdout


def test_later_options_take_back_earlier_ones() -> None:
    host = host_with(WEB)
    assert command(host, "jls -vh jid").stdout == "jid\n1\n"
    assert command(host, "jls -hv").stdout == command(host, "jls -v").stdout
    assert command(host, "jls -sh jid").stdout == "jid\njid=1\n"
    assert command(host, "jls -hs jid").stdout == "jid=1\n"


def test_keys_of_meta() -> None:
    host = FakeHost(Release.V15)
    command(host, ["jail", "-c", "name=j", "path=/", "persist", "meta=a=1\nb=x y"])
    assert command(host, "jls meta.a meta.b").stdout == "1 x y\n"
    assert command(host, "jls -n meta.a meta.nosuch").stdout == "meta.a=1 meta.nosuch\n"
    assert command(host, "jls meta.nosuch").stdout == "\n"


def test_any_blank_is_quoted_from_15_on() -> None:
    """Spec jls-jexec §1."""
    for release, quoted in ((Release.V13, "a\nb\n"), (Release.V15, '"a\nb"\n')):
        host = FakeHost(release)
        command(host, ["jail", "-c", "name=j", "path=/", "persist", "host.hostname=a\nb"])
        assert command(host, "jls -q host.hostname").stdout == quoted


# --- which jails ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("jls -j nosuch jid", 'jls: jail "nosuch" not found\n'),
        ("jls -j 9 jid", "jls: jail 9 not found\n"),
        ("jls -j 2 jid", "jls: jail 2 is dying\n"),
        ("jls -j gone jid", 'jls: jail "gone" is dying\n'),
        ("jls nosuch", "jls: unknown parameter: nosuch\n"),
        ("jls allow.noraw", "jls: unknown parameter: allow.noraw\n"),
        ("jls nojid", "jls: unknown parameter: nojid\n"),
    ],
)
def test_errors(line: str, error: str) -> None:
    host = host_with("name=here path=/ persist", "name=gone path=/ persist")
    host.driver.holding.add(2)
    command(host, "jail -R gone")
    result = command(host, line)
    assert (result.stdout, result.stderr, result.code) == ("", error, 1)


def test_a_number_is_a_jid_and_anything_else_a_name() -> None:
    host = host_with("name=one path=/ persist jid=7")
    assert command(host, "jls -j 7 name").stdout == "one\n"
    assert command(host, "jls -j 07 name").stdout == "one\n"
    assert command(host, "jls -j one jid").stdout == "7\n"
    assert command(host, "jls -j 7x jid").stderr == 'jls: jail "7x" not found\n'
    assert command(host, "jls -j 0 jid").stderr == 'jls: jail "0" not found\n'


USAGE = "jls: usage: jls [-dhNnqv] [-j jail] [param ...]\n"


def test_usage() -> None:
    assert command(FakeHost(), "jls -z").stderr == f"jls: illegal option -- z\n{USAGE}"
    assert command(FakeHost(), "jls -j").stderr == f"jls: option requires an argument -- j\n{USAGE}"
    assert command(FakeHost(), "jls -c -j x").stderr == f"jls: illegal option -- c\n{USAGE}"
    assert command(FakeHost(), "jls -z").code == 1


def test_whether_a_jail_exists() -> None:
    host = host_with("name=a path=/ persist", "name=b path=/ persist", release=Release.V15)
    host.driver.holding.add(2)
    command(host, "jail -R b")
    for line, code in (("a", 0), ("1", 0), ("b", 1), ("b -d", 0), ("c", 1)):
        result = command(host, f"jls -c -j {line}")
        assert (result.merged, result.code) == ("", code)
    usage = f"{USAGE}            jls -c [-d] -j jail\n"
    for line, complaint in (
        ("jls -c", "-j jail to check must be provided for -c"),
        ("jls -c -j a jid", "-c does not accept non-option arguments"),
        ("jls -c -v -j a", "-c is incompatible with other print options"),
    ):
        result = command(host, line)
        assert (result.stderr, result.code) == (f"jls: {complaint}\n{usage}", 1)


# --- for programs -----------------------------------------------------------------------------------------------------


def test_json_of_the_forms() -> None:
    host = host_with(WEB)
    plain = {"jid": 1, "ipv4": "10.0.0.1", "hostname": "web.example.org", "path": "/"}
    verbose = {
        "jid": 1,
        "hostname": "web.example.org",
        "path": "/",
        "name": "web",
        "state": "ACTIVE",
        "cpusetid": 3,
        "ipv4_addrs": ["10.0.0.1", "10.0.0.2"],
        "ipv6_addrs": ["fd00::1"],
    }
    for line, expected in (
        ("jls --libxo json", plain),
        ("jls --libxo=json -N", {"name": "web"} | {key: plain[key] for key in ("ipv4", "hostname", "path")}),
        ("jls --libxo:J -v", verbose),
        ("jls --libxo:J jid persist ip4.addr", {"jid": "1", "persist": "true", "ip4.addr": ["10.0.0.1", "10.0.0.2"]}),
        ("jls --libxo:J -n jid nopersist", {"jid": "1", "nopersist": False}),
        ("jls --libxo:JP -v", verbose),
    ):
        document = json.loads(command(host, line).stdout)
        assert document == {"__version": "2", "jail-information": {"jail": [expected]}}, line


def test_pretty_json_has_a_value_a_line() -> None:
    host = host_with("name=j path=/ persist ip4.addr=10.0.0.1,10.0.0.2")
    assert command(host, "jls --libxo json,pretty jid ip4.addr").stdout == (
        "{\n"
        '  "__version": "2", \n'
        '  "jail-information": {\n'
        '    "jail": [\n'
        "      {\n"
        '        "jid": "1",\n'
        '        "ip4.addr": [\n'
        '          "10.0.0.1",\n'
        '          "10.0.0.2"\n'
        "        ]\n"
        "      }\n"
        "    ]\n"
        "  }\n"
        "}\n"
    )


def test_no_jails_for_programs() -> None:
    assert command(FakeHost(), "jls --libxo json").stdout == '{"__version": "2", "jail-information": {"jail": []}}\n'


def test_xml() -> None:
    host = FakeHost()
    command(host, ["jail", "-c", "name=j", "path=/", "persist", "host.hostname=<&>", "ip4.addr=10.0.0.1,10.0.0.2"])
    text = command(host, "jls --libxo xml -v").stdout
    document = ElementTree.fromstring(text)
    assert (document.tag, document.attrib) == ("jail-information", {"version": "2"})
    (jail,) = document
    assert [(each.tag, each.text) for each in jail] == [
        ("jid", "1"),
        ("hostname", "<&>"),
        ("path", "/"),
        ("name", "j"),
        ("state", "ACTIVE"),
        ("cpusetid", "3"),
        ("ipv4_addr", "10.0.0.1"),
        ("ipv4_addr", "10.0.0.2"),
    ]
    pretty = command(host, "jls --libxo xml,pretty jid").stdout
    assert pretty == '<jail-information version="2">\n  <jail>\n    <jid>1</jid>\n  </jail>\n</jail-information>\n'


def test_json_escapes() -> None:
    host = FakeHost()
    command(host, ["jail", "-c", "name=j", "path=/", "persist", 'host.hostname=a"b\\c'])
    document = json.loads(command(host, "jls --libxo json").stdout)
    assert document["jail-information"]["jail"][0]["hostname"] == 'a"b\\c'


def test_a_jail_that_is_not_there_leaves_the_document_whole() -> None:
    result = command(FakeHost(), "jls --libxo json -j nosuch")
    assert json.loads(result.stdout) == {"__version": "2", "jail-information": {"jail": []}}
    assert (result.stderr, result.code) == ('jls: jail "nosuch" not found\n', 1)


def test_libxo_options_that_are_none() -> None:
    assert command(FakeHost(), "jls --libxo").stderr == "jls: missing libxo option\n"
    assert command(FakeHost(), "jls --libxo nosuch").stderr == "jls: unknown libxo option value: 'nosuch'\n"
