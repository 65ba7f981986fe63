"""route(8) and netstat(1) -r where no recording has them. Source: spec host-files §5, §6; 13.2 route.c, netstat."""

from __future__ import annotations

import json

import pytest
from network_lab import Lab, type_command

from vjail.release import Release

USAGE = "route: usage: route [-46dnqtv] command [[modifiers] args]\n"


def lab(release: Release = Release.V13) -> Lab:
    """A host with 10.0.0.1/24 and fd00::1/64 on vtnet0, a loopback that is up, and a vnet jail j."""
    made = Lab(release=release)
    made.create_jail(0, "j", vnet=True)
    for line in ("lo0 up", "lo0 127.0.0.1/8", "vtnet0 10.0.0.1/24", "vtnet0 inet6 fd00::1/64", "vtnet1 up"):
        assert type_command(made, f"ifconfig {line}").code == 0
    return made


def table(at: Lab, words: str = "-rn") -> list[list[str]]:
    """The rows of `netstat WORDS`, cut at the spaces."""
    lines = type_command(at, f"netstat {words}").stdout.splitlines()
    return [line.split() for line in lines if line and not line.startswith(("Routing", "Internet", "Destination"))]


def row(at: Lab, destination: str) -> list[str] | None:
    return next((found for found in table(at) if found[0] == destination), None)


SAID = [
    # how it is said, what is said, which row there is then
    ("add 192.0.2.0/24 10.0.0.9", "add net 192.0.2.0: gateway 10.0.0.9", "192.0.2.0/24 10.0.0.9 UGS vtnet0"),
    ("add -net 192.0.2.0/24 10.0.0.9", "add net 192.0.2.0: gateway 10.0.0.9", "192.0.2.0/24 10.0.0.9 UGS vtnet0"),
    ("add -net 7.0.0.0 10.0.0.9 255.240.0.0", "add net 7.0.0.0: gateway 10.0.0.9", "7.0.0.0/12 10.0.0.9 UGS vtnet0"),
    ("add 7.0.0.0 -netmask 255.0.0.0 10.0.0.9", "add net 7.0.0.0: gateway 10.0.0.9", "7.0.0.0/8 10.0.0.9 UGS vtnet0"),
    ("add 7.0.0.0 -prefixlen 8 10.0.0.9", "add net 7.0.0.0: gateway 10.0.0.9", "7.0.0.0/8 10.0.0.9 UGS vtnet0"),
    ("add -dst 7.0.0.0/8 -gateway 10.0.0.9", "add net 7.0.0.0: gateway 10.0.0.9", "7.0.0.0/8 10.0.0.9 UGS vtnet0"),
    ("add 192.0.2.5 10.0.0.9", "add host 192.0.2.5: gateway 10.0.0.9", "192.0.2.5 10.0.0.9 UGHS vtnet0"),
    ("add -host 192.0.2.5 10.0.0.9", "add host 192.0.2.5: gateway 10.0.0.9", "192.0.2.5 10.0.0.9 UGHS vtnet0"),
    ("add 7.0.0.0/8 10.0.0.9 -nostatic", "add net 7.0.0.0: gateway 10.0.0.9", "7.0.0.0/8 10.0.0.9 UG vtnet0"),
    ("add 7.0.0.0/8 10.0.0.9 -proto1", "add net 7.0.0.0: gateway 10.0.0.9", "7.0.0.0/8 10.0.0.9 UGS1 vtnet0"),
    ("add 7.0.0.0/8 -interface vtnet1", "add net 7.0.0.0: gateway vtnet1", "7.0.0.0/8 link#2 US vtnet1"),
    ("add 7.0.0.0/8 127.0.0.1 -reject", "add net 7.0.0.0: gateway 127.0.0.1", "7.0.0.0/8 127.0.0.1 URS lo0"),
    ("add -inet6 fd05::/48 fd00::9", "add net fd05::/48: gateway fd00::9", "fd05::/48 fd00::9 UGS vtnet0"),
    ("-6 add fd05:: -prefixlen 48 fd00::9", "add net fd05::: gateway fd00::9", "fd05::/48 fd00::9 UGS vtnet0"),
    ("add -6 fd05::5 fd00::9", "add host fd05::5: gateway fd00::9", "fd05::5 fd00::9 UGHS vtnet0"),
    ("add -6 default fe80::9%vtnet0", "add net default: gateway fe80::9%vtnet0", "default fe80::9%vtnet0 UGS vtnet0"),
    ("-q add default 10.0.0.9", "", "default 10.0.0.9 UGS vtnet0"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said", "shown"), SAID)
def test_routes_can_be_added_and_deleted(words: str, said: str, shown: str) -> None:
    at = lab()
    result = type_command(at, f"route {words}")
    assert (result.stdout, result.stderr, result.code) == (f"{said}\n" if said else "", "", 0)
    assert row(at, shown.split()[0]) == shown.split()
    undo = type_command(at, f"route {words.replace('add', 'delete', 1)}")
    assert (undo.stdout, undo.stderr, undo.code) == (result.stdout.replace("add", "delete", 1), "", 0)
    assert row(at, shown.split()[0]) is None


REFUSED = [
    ("add 192.0.2.0/24", "add net 192.0.2.0", "writing to routing socket: Invalid argument", "Invalid argument"),
    ("add 192.0.2.0/24 198.51.100.1", "add net 192.0.2.0: gateway 198.51.100.1",
     "writing to routing socket: Network is unreachable", "Network is unreachable"),
    ("add -6 default fe80::9", "add net default: gateway fe80::9",
     "writing to routing socket: Network is unreachable", "Network is unreachable"),
    ("add 10.0.0.0/24 10.0.0.9", "add net 10.0.0.0: gateway 10.0.0.9", "", "route already in table"),
    ("delete 192.0.2.0/24", "delete net 192.0.2.0", "route has not been found", "not in table"),
    ("del 192.0.2.5 10.0.0.9", "del host 192.0.2.5: gateway 10.0.0.9", "route has not been found", "not in table"),
    ("change 192.0.2.0/24 10.0.0.9", "change net 192.0.2.0: gateway 10.0.0.9",
     "route has not been found", "not in table"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said", "error", "reason"), REFUSED)
def test_refusals_of_the_kernel(words: str, said: str, error: str, reason: str) -> None:
    at = lab()
    before = table(at)
    result = type_command(at, f"route {words}")
    assert result.stdout == f"{said} fib 0: {reason}\n"
    assert result.stderr == (f"route: {error}\n" if error else "")
    assert result.code == 1
    assert table(at) == before


ERRORS = [
    ("", USAGE, 64),
    ("foo", f"route: bad keyword: foo\n{USAGE}", 64),
    ("-x add", f"route: illegal option -- x\n{USAGE}", 64),
    ("add", f"route: destination parameter required\n{USAGE}", 64),
    ("add 7.0.0.0/8 10.0.0.9 -foo", f"route: bad keyword: foo\n{USAGE}", 64),
    ("add 7.0.0.0/8 -netmask", USAGE, 64),
    ("add 7.0.0.0 -prefixlen 33 10.0.0.9", "route: 33: invalid prefixlen\n", 64),
    ("add 7.0.0.0/8 10.0.0.9 -mtu x", "route: x: Invalid argument\n", 64),
    ("add 7.0.0.0/8 10.0.0.9 -fib 1", "route: invalid fib number: 1\n", 64),
    ("add 7.0.0.0/8 -interface nosuch", "route: interface 'nosuch' does not exist\n", 65),
    ("add 7.0.0.0/33 10.0.0.9", "route: bad mask length: 33\n", 68),
    ("add 7.0.0.0/8 nosuch", "route: bad address: nosuch\n", 68),
    ("add -6 nosuch fd00::9", "route: nosuch: Name does not resolve\n", 71),
    ("flush foo", f"route: bad keyword: foo\n{USAGE}", 64),
    ("flush -foo", f"route: bad keyword: -foo\n{USAGE}", 64),
    ("get 192.0.2.1", "route: route has not been found\n", 1),
]


@pytest.mark.parametrize(("words", "error", "code"), ERRORS)
def test_errors(words: str, error: str, code: int) -> None:
    result = type_command(lab(), f"route {words}")
    assert (result.stdout, result.stderr, result.code) == ("", error, code)


def test_only_root_may_change_the_table() -> None:
    at = lab()
    for words in ("add default 10.0.0.9", "delete default", "change default 10.0.0.9", "flush"):
        result = type_command(at, f"route {words}", uid=1001)
        assert (result.stdout, result.stderr, result.code) == (
            "",
            "route: must be root to alter routing table\n",
            77,
        )
    assert type_command(at, "route -n get 10.0.0.7", uid=1001).code == 0
    assert type_command(at, "route -t add default 10.0.0.9", uid=1001).stdout == "add net default: gateway 10.0.0.9\n"
    assert row(at, "default") is None


def test_change_takes_another_gateway_and_an_mtu() -> None:
    at = lab()
    for words in ("add default 10.0.0.9", "change default 10.0.0.8 -mtu 1400"):
        assert type_command(at, f"route {words}").code == 0
    assert next(found for found in table(at, "-rnW") if found[0] == "default")[1:5:3] == ["10.0.0.8", "1400"]
    assert type_command(at, "route -n get default").stdout == (
        "   route to: 0.0.0.0\n"
        "destination: 0.0.0.0\n"
        "       mask: 0.0.0.0\n"
        "    gateway: 10.0.0.8\n"
        "        fib: 0\n"
        "  interface: vtnet0\n"
        "      flags: <UP,GATEWAY,DONE,STATIC>\n"
        " recvpipe  sendpipe  ssthresh  rtt,msec    mtu        weight    expire\n"
        "       0         0         0         0      1400         1         0 \n"
    )


def test_without_n_known_hosts_and_the_default_have_names() -> None:
    at = lab()
    found = type_command(at, "route get localhost").stdout.splitlines()
    assert found[:2] == ["   route to: localhost", "destination: localhost"]
    type_command(at, "route add default 10.0.0.9")
    found = type_command(at, "route get default").stdout.splitlines()
    assert found[:3] == ["   route to: default", "destination: default", "       mask: default"]


def test_flush_takes_what_has_a_gateway() -> None:
    at = lab()
    for words in (
        "default 10.0.0.9",
        "192.0.2.5 10.0.0.9",
        "192.0.2.0/24 10.0.0.9",
        "10.9.0.0/16 -interface vtnet1",
        "198.51.100.0/24 127.0.0.1 -blackhole",
        "-6 default fe80::9%vtnet0",
        "-6 fd05::/48 fd00::9",
    ):
        assert type_command(at, f"route -q add {words}").code == 0
    assert type_command(at, "route flush -inet6").stdout == (
        "::                   fe80::9%vtnet0       -fib 0   done\n"
        "fd05::               fd00::9              -fib 0   done\n"
    )
    assert type_command(at, "route -n flush").stdout == (
        "default              10.0.0.9             -fib 0   done\n"
        "192.0.2              10.0.0.9             -fib 0   done\n"
        "192.0.2.5            10.0.0.9             -fib 0   done\n"
    )
    assert row(at, "10.9.0.0/16")
    assert row(at, "198.51.100.0/24")
    assert type_command(at, "route flush").stdout == ""


def test_two_defaults_by_the_same_link_local_gateway_on_two_interfaces() -> None:
    at = lab()
    type_command(at, "ifconfig vtnet1 inet6 fd01::1/64")
    for zone in ("vtnet0", "vtnet1"):
        assert type_command(at, f"route add -6 default fe80::9%{zone}").code == 0
    assert type_command(at, "route delete -6 default").code == 1
    assert type_command(at, "route delete -6 default fe80::9%vtnet0").code == 0
    assert row(at, "default") == ["default", "fe80::9%vtnet1", "UGS", "vtnet1"]


def test_12_has_no_multipath() -> None:
    for release, code in ((Release.V12, 1), (Release.V13, 0)):
        at = lab(release)
        assert type_command(at, "route add default 10.0.0.9").code == 0
        assert type_command(at, "route add default 10.0.0.8").code == code


def test_inside_a_jail_from_15_on() -> None:
    at = lab(Release.V15)
    type_command(at, "ifconfig -j j lo0 127.0.0.1/8")
    assert type_command(at, "route -j j add default 127.0.0.1 -blackhole").code == 0
    assert row(at, "default") is None
    assert "default            127.0.0.1          USB         lo0" in type_command(at, "netstat -j j -rn").stdout
    for line in ("route -j nosuch get default", "netstat -j nosuch -rn"):
        result = type_command(at, line)
        assert (result.stderr, result.code) == (f"{line.split()[0]}: Jail not found\n", 1)
    assert "illegal option -- j" in type_command(lab(), "route -j j get default").stderr
    assert type_command(at, "route").stderr == "route: usage: route [-j jail] [-46dnqtv] command [[modifiers] args]\n"


# --- netstat -r ---


def test_netstat_cuts_what_is_too_wide_unless_it_is_numeric() -> None:
    at = lab()
    found = type_command(at, "netstat -r").stdout
    assert "\nlocalhost          link#3             UH          lo0\n" in found
    assert "\nfe80::5054:ff:fe12 link#1             UHS         lo0\n" in found
    found = type_command(at, "netstat -rn").stdout
    assert "\nfe80::5054:ff:fe12:3466%vtnet0    link#1                        UHS         lo0\n" in found


@pytest.mark.parametrize(
    ("words", "titles"), [("-4", ["Internet:"]), ("-f inet6", ["Internet6:"]), ("-6", ["Internet6:"])]
)
def test_netstat_of_one_family(words: str, titles: list[str]) -> None:
    found = type_command(lab(), f"netstat -rn {words}").stdout
    assert [line for line in found.splitlines() if line.startswith("Internet")] == titles


def test_netstat_in_json() -> None:
    at = lab()
    type_command(at, "route add default 10.0.0.9")
    text = type_command(at, "netstat --libxo json -rn").stdout
    families = json.loads(text)["statistics"]["route-information"]["route-table"]["rt-family"]
    assert [family["address-family"] for family in families] == ["Internet", "Internet6"]
    assert families[0]["rt-entry"][0] == {
        "destination": "default",
        "gateway": "10.0.0.9",
        "flags": "UGS",
        "flags_pretty": ["up", "gateway", "static"],
        "weight": 1,
        "interface-name": "vtnet0",
    }
    wide = json.loads(type_command(at, "netstat -rnW --libxo=json").stdout)
    entry = wide["statistics"]["route-information"]["route-table"]["rt-family"][0]["rt-entry"][0]
    assert (entry["nhop"], entry["mtu"]) == (4, 1500)


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        ("-rn -f foo", "netstat: foo: unknown address family\n", 1),
        ("-rn -F 3", "netstat: 3: invalid fib\n", 64),
        ("-an", "netstat: sockets and counters are not known here; routing tables are (-r)\n", 1),
    ],
)
def test_netstat_refuses(words: str, said: str, code: int) -> None:
    result = type_command(lab(), f"netstat {words}")
    assert (result.stdout, result.stderr, result.code) == ("", said, code)
