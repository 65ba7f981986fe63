"""The examples that are lab files: each comes up in memory, and who reaches whom there is what its `expect:` says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from expectations import EXAMPLES, FOLDERS, as_files, asked, at
from vjail.check import Severity, find, read
from vjail.lab import folder
from vjail.lab.file.topology import Topology
from vjail.lab.model import LabError
from vjail.rehearsal import Rehearsal, up

NOT_MODELLED = {("E3-routing-daemons-lab", "h1 -> h2")}
"""What a routing daemon brings about, which the model does not run."""
LONGEST = 25
RIGHT = Path(__file__).parent / "right"


def surprises(lab: Rehearsal, found: Topology) -> Iterator[str]:
    """The lines of `expect:` that do not hold."""
    for line in asked(found):
        answered = {each for each in line.addresses if lab.echo(line.host, line.jail, each).loss is None}
        if not line.holds(answered):
            yield line.text


@pytest.mark.parametrize(
    "example",
    [*(EXAMPLES / name for name in FOLDERS), RIGHT / "nat-of-ipv6", RIGHT / "nat-behind-a-bridge"],
    ids=lambda path: path.name,
)
class TestExample:
    def test_is_short_and_check_finds_nothing(self, example: Path) -> None:
        assert len((example / "vjail.yml").read_text().splitlines()) <= LONGEST
        lab = folder.load(example)
        assert [each for each in find(read(lab, lab.release)) if each.rule.severity is not Severity.NOTE] == []

    def test_what_it_expects_holds_in_memory(self, example: Path) -> None:
        lab = Rehearsal.of(folder.load(example))
        assert [each.jails.code for each in up(lab)] == [0] * len(lab.hosts)
        found = at(example)
        assert found.expectations
        assert set(surprises(lab, found)) == {line for name, line in NOT_MODELLED if name == example.name}

    def test_what_is_exported_comes_up_alike(self, example: Path, tmp_path: Path) -> None:
        """By the path of jail.conf: the same interfaces, addresses, routes and reachability."""
        whole = folder.load(example)
        lab, other = Rehearsal.of(whole), Rehearsal.of(folder.load(as_files(whole, tmp_path)))
        up(lab)
        assert [each.jails.code for each in up(other)] == [0] * len(lab.hosts)
        assert seen(other) == seen(lab)
        found = at(example)
        assert list(surprises(other, found)) == list(surprises(lab, found))


def seen(lab: Rehearsal) -> dict[str, str]:
    """What ifconfig and netstat show on each host and in each jail."""
    found: dict[str, str] = {}
    for name, host in lab.hosts.items():
        for jail in ("", *(jail.name for jail in host.kernel.view().jails())):
            found[f"{name}:{jail}"] = lab.type(name, "ifconfig -a; netstat -rn", jail=jail or 0).out
    return found


def test_jails_of_links_start_and_stop_in_any_order() -> None:
    """Row A2."""
    example = EXAMPLES / "A2-any-order-lab"
    found = at(example)
    jails = [jail.name for jail in found.hosts[0].jails]
    booted = Rehearsal.of(folder.load(example))
    up(booted)
    assert booted.type("fbsd", "service jail onestop").code == 0
    before = booted.type("fbsd", "ifconfig -l").out
    for start, stop in zip(permutations(jails), reversed(list(permutations(jails))), strict=True):
        lab = booted.fork()
        for jail in start:
            assert lab.type("fbsd", f"service jail onestart {jail}").code == 0
        lab.settle()
        assert list(surprises(lab, found)) == [], start
        for jail in stop:
            assert lab.type("fbsd", f"service jail onestop {jail}").code == 0
        assert lab.type("fbsd", "ifconfig -l").out == before, (start, stop)


# --- mistakes that cannot be written ----------------------------------------------------------------------------------


def wrong(tmp_path: Path, text: str) -> str:
    (tmp_path / "vjail.yml").write_text(text)
    with pytest.raises(LabError) as caught:
        folder.load(tmp_path)
    return str(caught.value)


def files_of(tmp_path: Path, text: str) -> dict[str, str]:
    (tmp_path / "vjail.yml").write_text(text)
    return {name: file.content.decode() for name, file in folder.load(tmp_path).hosts["fbsd"].files.items()}


def test_two_interfaces_never_stand_in_one_string(tmp_path: Path) -> None:
    """Row D2."""
    assert "'em0 em1' cannot stand here" in wrong(tmp_path, "jails: {a: {nics: ['em0 em1']}}\n")
    text = files_of(tmp_path, "networks: {n: {}, m: {}}\njails: {a: {n: [], m: [], nics: [em0]}}\n")["jail.conf"]
    named = [line for line in text.splitlines() if line.startswith("\tvnet.interface")]
    assert len(named) == 3
    assert [line.count('"') for line in named if " " in line.partition("= ")[2]] == []


def test_cards_stand_in_rc_conf_as_rc_looks_for_them(tmp_path: Path) -> None:
    text = files_of(tmp_path, "networks: {n: {uplink: ue-0, vlan: 5}, m: {nat: ix-1, subnet: 10.0.0.0/24}}\n")[
        "rc.conf"
    ]
    assert 'vlans_ue_0="5"\n' in text
    assert 'ifconfig_ue_0="up"\n' in text
    assert 'ifconfig_ue_0_5="up"\n' in text
    assert 'ifconfig_ix_1="up"\n' in text


def test_no_blackhole_can_be_a_gateway(tmp_path: Path) -> None:
    """Row D3."""
    network = "networks: {n: {subnet: 'fd00::/64'}}\n"
    assert "'::1 -blackhole'" in wrong(tmp_path, network + "jails: {a: {n: auto, gateway: '::1 -blackhole'}}\n")
    loopback = "jails: {a: {n: auto, gateway: '0:0:0:0:0:0:0:1'}}\n"
    assert "::1 is in none of" in wrong(tmp_path, network + loopback)
    assert "::1 is in none of" in wrong(tmp_path, "networks: {n: {subnet: 10.0.0.0/24, gateway: '::1'}}\n")
    text = files_of(tmp_path, network + "jails: {a: {n: auto, gateway: '::1'}}\n")["jail.conf"]
    assert "route add -inet6 default fd00::1" in text


def test_members_leave_before_they_are_destroyed(tmp_path: Path) -> None:
    """Row D4: by deletem, which `delete` is not."""
    text = files_of(tmp_path, "networks: {n: {subnet: 10.0.0.0/24}}\njails: {a: {n: auto}}\n")["jail.conf"]
    commands = [line for line in text.splitlines() if "exec.poststop" in line]
    assert " deletem " in commands[0]
    assert commands[0].index(" deletem ") < commands[0].index(" destroy")
    assert not [line for line in commands if " delete " in line]


def test_one_hostid_for_two_hosts_is_refused(tmp_path: Path) -> None:
    """Row D5."""
    ids = "hostid: 11111111-2222-3333-4444-555555555555"
    text = f"wires: {{w: {{}}}}\nhosts:\n  a: {{nics: {{em0: w}}, {ids}}}\n  b: {{nics: {{em0: w}}, {ids}}}\n"
    assert "a has this hostid" in wrong(tmp_path, text)


def test_members_of_a_network_have_one_mtu(tmp_path: Path) -> None:
    """Row E4: the card too; and two networks of one card cannot differ."""
    text = "networks: {n: {subnet: 10.0.0.0/24, uplink: em0, mtu: 9000}}\njails: {a: {n: auto}, b: {n: auto}}\n"
    files = files_of(tmp_path, text)
    assert 'ifconfig_em0="mtu 9000 up"' in files["rc.conf"]
    lab = Rehearsal.of(folder.load(tmp_path))
    assert [each.jails.code for each in up(lab)] == [0]
    assert lab.type("fbsd", "ifconfig -a").out.count("mtu 9000") == 4
    two = "networks:\n  n: {uplink: em0, vlan: 10, mtu: 9000}\n  m: {uplink: em0, vlan: 20}\n"
    assert "em0 would carry packets of 9000 bytes for n, 1500 for m" in wrong(tmp_path, two)
    # FreeBSD sets a vlan's MTU from its card's when it is made.
    tagged = "networks: {n: {subnet: 10.0.0.0/24, uplink: em0, vlan: 10, mtu: 9000}}\njails: {a: {n: auto}}\n"
    files_of(tmp_path, tagged)
    lab = Rehearsal.of(folder.load(tmp_path))
    assert [each.jails.code for each in up(lab)] == [0], up
    assert lab.type("fbsd", "ifconfig -a").out.count("mtu 9000") == 4


def test_quotes_in_values_of_rc_conf_are_theirs(tmp_path: Path) -> None:
    value = """-g "daemon off;" -c ${dir:-/etc}/it's"""
    yaml = value.replace("'", "''")
    rc = f"rc: {{x_flags: '{yaml}'}}"
    hosts = f"wires: {{w: {{}}}}\nhosts: {{fbsd: {{nics: {{em0: w}}, {rc}, jails: {{a: {{{rc}}}}}}}}}\n"
    files_of(tmp_path, hosts)
    lab = Rehearsal.of(folder.load(tmp_path))
    assert [each.jails.code for each in up(lab)] == [0]
    for jail in ("", "a"):
        said = lab.type("fbsd", '. /etc/rc.conf; echo "$x_flags"', jail=jail or 0)
        assert said.out == '-g "daemon off;" -c /etc/it\'s\n', said
