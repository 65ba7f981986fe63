"""What becomes of jails and hosts whose files differ from what runs: pure, from two configurations."""

from __future__ import annotations

import json
from collections.abc import Collection

import pytest

from vjail.conf.jailconf import Checked, NoFiles, check_types, load
from vjail.conf.position import Source
from vjail.lab.changes import (
    Fate,
    RunningHost,
    as_in_force,
    as_json_value,
    changed_rulesets,
    files_after,
    files_wait,
    from_json_value,
    host_change,
    jail_changes,
)
from vjail.lab.rewiring import CardChange
from vjail.release import Release

V13 = Release.parse("13")
BASE = 'path="/"; vnet; persist;'


def jails(text: str) -> dict[str, Checked]:
    found = load(Source("jail.conf", text.encode()), V13, NoFiles())
    return {jail.block or "": check_types(jail, V13) for jail in found.jails}


def fates(old: str, new: str, running: Collection[str] | None = None, rulesets: Collection[int] = ()) -> dict[str, str]:
    before, after = jails(old), jails(new)
    there = {name: each for name, each in before.items() if running is None or name in running}
    return {each.name: each.fate.value for each in jail_changes(there, after, list(after), V13, rulesets)}


@pytest.mark.parametrize(
    ("old", "new", "fate", "reason"),
    [
        ("", "", Fate.UNCHANGED, []),
        ("$x = 1; host.hostname = a$x;", "host.hostname = a1;", Fate.UNCHANGED, []),
        ("host.hostname = a;", "host.hostname = b;", Fate.LIVE, ["host.hostname: a -> b"]),
        ("", "allow.raw_sockets;", Fate.LIVE, ["allow.raw_sockets: not set -> set"]),
        ("allow.raw_sockets;", "", Fate.RESTART, ["allow.raw_sockets: set -> not set"]),
        ("stop.timeout = 5;", "stop.timeout = 6;", Fate.LATER, ["stop.timeout: 5 -> 6"]),
        ("osrelease = 13;", "osrelease = 14;", Fate.RECREATE, ["osrelease: 13 -> 14"]),
        ("ip4.addr = 10.0.0.1;", "ip4.addr = 10.0.0.2;", Fate.RESTART, ["ip4.addr: 10.0.0.1 -> 10.0.0.2"]),
        ("devfs_ruleset = 4;", "devfs_ruleset = 5;", Fate.LIVE, ["devfs_ruleset: 4 -> 5"]),
        ("mount.devfs; devfs_ruleset = 4;", "mount.devfs; devfs_ruleset = 5;", Fate.RESTART, ["devfs_ruleset: 4 -> 5"]),
        (
            "vnet.interface = a, b;",
            "vnet.interface = b, c;",
            Fate.RESTART,
            ["vnet.interface: - a", "vnet.interface: + c"],
        ),
        ("exec.start = a, b;", "exec.start = b, a;", Fate.RESTART, ["exec.start: in another order"]),
        (
            "exec.start = a; osrelease = 13; host.hostname = a;",
            "exec.start = b; osrelease = 14; host.hostname = b;",
            Fate.RECREATE,
            ["host.hostname: a -> b", "exec.start: a -> b", "osrelease: 13 -> 14"],
        ),
    ],
)
def test_what_becomes_of_a_jail_and_why(old: str, new: str, fate: Fate, reason: list[str]) -> None:
    (change,) = jail_changes(jails(f"j {{ {BASE} {old} }}"), jails(f"j {{ {BASE} {new} }}"), ["j"], V13)
    assert change.fate is fate
    assert sorted(change.reasons()) == sorted(reason)


def test_new_gone_and_stopped_jails() -> None:
    old, new = f"a {{ {BASE} }} b {{ {BASE} }}", f"b {{ {BASE} }} c {{ {BASE} }}"
    assert fates(old, new) == {"b": "unchanged", "c": "start", "a": "stop"}
    assert fates(old, new, running=[]) == {"b": "start", "c": "start"}


def test_who_depends_on_what_restarts_restarts_too() -> None:
    text = f"a {{ {BASE} exec.start = X; }} b {{ {BASE} depend = a; }} c {{ {BASE} depend = b; }} d {{ {BASE} }}"
    assert fates(text, text.replace("X", "Y")) == {"a": "restart", "b": "restart", "c": "restart", "d": "unchanged"}


def test_a_jail_in_one_that_restarts_restarts_too() -> None:
    text = f"a {{ {BASE} exec.start = X; }} a.b {{ {BASE} }} ab {{ {BASE} }}"
    assert fates(text, text.replace("X", "Y")) == {"a": "restart", "a.b": "restart", "ab": "unchanged"}


def test_a_jail_whose_ruleset_differs_restarts() -> None:
    text = f"a {{ {BASE} mount.devfs; devfs_ruleset = 100; }} b {{ {BASE} mount.devfs; devfs_ruleset = 4; }}"
    old = b"[x=90]\nadd hide\n[y=100]\nadd include $x\n"
    rulesets = changed_rulesets({"devfs.rules": old}, {"devfs.rules": old.replace(b"add hide", b"add unhide")})
    assert rulesets == {90, 100}
    assert fates(text, text, rulesets=rulesets) == {"a": "restart", "b": "unchanged"}


RC = 'ifconfig_em0="inet 10.0.0.1/24"\ncloned_interfaces="bridge0"\nifconfig_bridge0="addm em0 up"\n'


@pytest.mark.parametrize(
    ("old", "new", "commands", "not_live"),
    [
        (RC, RC, [], []),
        (RC, RC + 'jail_list="a"\n', [], []),
        (
            RC,
            RC.replace("bridge0", "bridge0 bridge1", 1)
            + 'ifconfig_bridge1="up"\nifconfig_bridge1_alias0="inet 10.1.0.1/24"\n',
            ["service netif start bridge1"],
            [],
        ),
        (RC, RC + 'ifconfig_em1="up"\n', ["service netif start em1"], []),
        (RC, RC + 'gateway_enable="YES"\n', ["sysctl net.inet.ip.forwarding=1"], []),
        (RC + 'ipv6_gateway_enable="YES"\n', RC, ["sysctl net.inet6.ip6.forwarding=0"], []),
        (RC, RC + 'pf_enable="YES"\n', ["service pf start"], []),
        (RC + 'pf_enable="YES"\n', RC, ["service pf onestop"], []),
        (
            RC,
            RC.replace("10.0.0.1", "10.0.0.2"),
            [],
            ["rc.conf: ifconfig_em0: inet 10.0.0.1/24 -> inet 10.0.0.2/24"],
        ),
        (
            RC,
            "",
            [],
            [
                "rc.conf: ifconfig_em0: inet 10.0.0.1/24 -> not set",
                "rc.conf: cloned_interfaces: bridge0 -> not set",
                "rc.conf: ifconfig_bridge0: addm em0 up -> not set",
            ],
        ),
    ],
)
def test_what_is_done_about_rc_conf(old: str, new: str, commands: list[str], not_live: list[str]) -> None:
    change = host_change({"rc.conf": old.encode()}, {"rc.conf": new.encode()})
    assert [" ".join(each.command) for each in change.actions] == commands
    assert list(change.not_live) == not_live


@pytest.mark.parametrize(
    ("old", "new", "card", "commands", "not_live"),
    [
        # What is said of a card that goes needs nothing done, of one that comes is done, new or not.
        (RC + 'ifconfig_em1="up"\nifconfig_em1_ipv6="inet6 ::2"\n', RC, CardChange("em1", "w", None), [], []),
        (
            RC + 'ifconfig_em10="up"\n',
            RC,
            CardChange("em1", "w", None),
            [],
            ["rc.conf: ifconfig_em10: up -> not set"],
        ),
        (RC, RC, CardChange("em1", None, "w"), [], []),
        (RC, RC, CardChange("em0", None, "w"), ["service netif start em0"], []),
        (
            RC,
            RC + 'vlans_em1="5"\nifconfig_em1_5="up"\n',
            CardChange("em1", None, "w"),
            ["service netif start em1"],
            [],
        ),
        (RC, RC, CardChange("em0", "v", "w"), [], []),
    ],
)
def test_what_is_done_about_a_card(
    old: str, new: str, card: CardChange, commands: list[str], not_live: list[str]
) -> None:
    change = host_change({"rc.conf": old.encode()}, {"rc.conf": new.encode()}, [card])
    assert [" ".join(each.command) for each in change.actions] == commands
    assert list(change.not_live) == not_live


def test_another_hostid() -> None:
    """What has an address made of it is made anew; what has one of its own, or of a card's, is not."""
    clones = 'cloned_interfaces="bridge0 bridge1 vlan5 epair3"\nifconfig_bridge1="ether 02:00:00:00:00:01"\n'
    files = {"rc.conf": clones.encode()}
    change = host_change({**files, "hostid": b"a\n"}, {**files, "hostid": b"b\n"})
    assert [" ".join(each.command) for each in change.actions] == [
        "service hostid start",
        "service netif restart bridge0",
        "service netif restart epair3",
    ]
    text = (
        f"a {{ {BASE} vnet.interface = epair0b; }} b {{ {BASE} vnet.interface = em1; }} c {{ {BASE} }}"
        f"d {{ {BASE} exec.prestart = 'ifconfig bridge1 create'; exec.start = X; }} e {{ {BASE} depend = a; }}"
    )
    found = jail_changes(jails(text), jails(text.replace("X", "Y")), list("abcde"), V13, hostid=True)
    assert {each.name: each.fate.value for each in found} == {
        "a": "restart",
        "b": "unchanged",
        "c": "unchanged",
        "d": "restart",
        "e": "restart",
    }


def test_the_files_that_a_host_is_to_have() -> None:
    old = {"rc.conf": b"r", "pf.conf": b"p", "devfs.rules": b"d", "hostid": b"h", "hosts": b"n"}

    def after(laid: Collection[str], given: dict[str, bytes], **others: bool) -> dict[str, bytes]:
        found = files_after(old, laid, given, b"own", **others)
        return {name: content for name, content in found.items() if old.get(name) != content}

    assert after((), {}) == {}
    assert set(files_after(old, ("pf.conf",), {}, b"own")) == {"rc.conf", "devfs.rules", "hostid", "hosts"}
    assert after(("hostid",), {}) == {"hostid": b"own"}
    assert after((), {"hostid": b"x", "rc.conf": b"y"}) == {"hostid": b"x", "rc.conf": b"y"}
    assert after((), {"hostid": b"x", "rc.conf": b"y"}, all_jails=False) == {"rc.conf": b"y"}
    assert files_wait(old, (), {"hostid": b"x"}, b"own", all_jails=True) == ()
    assert len(files_wait(old, (), {"hostid": b"x"}, b"own", all_jails=False)) == 1
    assert files_wait(old, (), {"hostid": b"h"}, b"own", all_jails=False) == ()


def test_pf_conf_and_devfs_rules_are_loaded_anew() -> None:
    rc = b'pf_enable="YES"\n'
    old = {"rc.conf": rc, "pf.conf": b"pass\n"}
    change = host_change(old, {"rc.conf": rc, "pf.conf": b"block\n", "devfs.rules": b"[a=9]\nadd hide\n"})
    assert [" ".join(each.command) for each in change.actions] == ["service devfs restart", "service pf reload"]


def test_what_a_host_goes_by_is_compared_whatever_its_file_says() -> None:
    files = {"rc.conf": b'ifconfig_em0="inet 10.0.0.9/24"\nifconfig_em1_name="lan0"\n'}
    old = as_in_force(files, {"ifconfig_em0": 'inet 10.0.0.1/24 description "it\'s"', "ifconfig_em1_name": None})
    change = host_change(old, files)
    assert change.not_live == (
        'rc.conf: ifconfig_em0: inet 10.0.0.1/24 description "it\'s" -> inet 10.0.0.9/24',
        "rc.conf: ifconfig_em1_name: not set -> lan0",
    )
    assert host_change(as_in_force({}, {"ifconfig_em1_name": None}), {}).not_live == ()


def test_what_runs_goes_through_json() -> None:
    host = RunningHost(
        {"rc.conf": b"a=\xff\n"},
        ("a",),
        {"a": b"x"},
        {"em0": "w"},
        {"em0": "a"},
        ("rc.conf",),
        {"userland": "machine"},
        {"x": None},
    )
    assert from_json_value(json.loads(json.dumps(as_json_value(host)))) == host


def test_a_line_of_up_names_what_differs_where_that_is_much() -> None:
    def summary(old: str, new: str) -> str:
        before, after = (jails(f"a {{ {BASE} {text} }}") for text in (old, new))
        return jail_changes(before, after, ["a"], V13, ())[0].summary()

    assert summary("exec.start = a, b;", "exec.start = a, c;") == "exec.start: - b; exec.start: + c"
    much = summary("exec.start = a, b; exec.stop = d, e, g;", "exec.start = a, c; exec.stop = d, f, h;")
    assert much == "exec.start, exec.stop differ"
