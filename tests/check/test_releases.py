"""What differs between the releases, through the whole of check."""

from __future__ import annotations

from pathlib import Path

import pytest

from vjail.check import Severity, find, read
from vjail.lab import folder
from vjail.release import Release

ALL = (12, 13, 14, 15, 16)
HEAD = 'exec.clean; path = "/j/$name"; persist;\n'
VNET = HEAD + 'vnet; vnet.interface = "epair1b"; exec.poststop = "ifconfig epair1a destroy";\n'
EPAIR = 'exec.prestart = "ifconfig epair1 create up";\n'


def errors(path: Path, text: str, release: int, rc_conf: str = "") -> set[str]:
    (path / "jail.conf").write_text(text)
    (path / "rc.conf").write_text(rc_conf or 'ifconfig_em0="up"\n')
    found = find(read(folder.load(path), Release(release)))
    return {finding.rule.code for finding in found if finding.rule.severity is Severity.ERROR}


@pytest.mark.parametrize("release", ALL)
@pytest.mark.parametrize(
    ("parameter", "first"),
    [
        ("exec.prepare = /usr/bin/true;", 13),
        ("exec.release = /usr/bin/true;", 13),
        ("meta = x;", 14),  # whether 14 has them is not known: a note
        ("env = x;", 14),
        ("env.A = x;", 14),
        ("allow.nfsd;", 14),
        ("allow.mlock;", 12),
        ("allow.raw_sockets;", 12),
    ],
)
def test_parameters_that_came(tmp_path: Path, release: int, parameter: str, first: int) -> None:
    expected = {"VJ003"} if release < first else set()
    assert errors(tmp_path, f"{HEAD}a {{ {parameter} }}\n", release) == expected


@pytest.mark.parametrize("release", ALL)
def test_include(tmp_path: Path, release: int) -> None:
    (tmp_path / "files" / "etc").mkdir(parents=True)
    (tmp_path / "files" / "etc" / "more.conf").write_text(f"{HEAD}a {{ }}\n")
    assert errors(tmp_path, '.include "/etc/more.conf";\n', release) == ({"VJ003"} if release < 14 else set())


@pytest.mark.parametrize("release", ALL)
def test_an_address_without_a_mask(tmp_path: Path, release: int) -> None:
    text = f'{VNET}{EPAIR}exec.start = "ifconfig lo0 127.0.0.1/8 up", "ifconfig epair1b 10.0.0.1 up"; a {{ }}\n'
    assert errors(tmp_path, text, release) == ({"VJ202"} if release >= 15 else set())


@pytest.mark.parametrize("release", ALL)
def test_a_second_default_route(tmp_path: Path, release: int) -> None:
    start = '"ifconfig epair1b 10.0.0.1/24 up", "route add default 10.0.0.2", "route add default 10.0.0.3"'
    found = errors(tmp_path, f"{VNET}{EPAIR}exec.start = {start}; a {{ }}\n", release)
    assert found == ({"VJ301"} if release < 13 else set())


@pytest.mark.parametrize("release", ALL)
def test_the_members_mtu(tmp_path: Path, release: int) -> None:
    """Refused up to 14, adapted later."""
    prestart = '"ifconfig epair1 create up", "ifconfig epair1a mtu 1400", "ifconfig bridge0 addm em0 addm epair1a"'
    poststop = '"ifconfig bridge0 deletem em0", "ifconfig epair1a destroy"'
    text = (
        f"{VNET}exec.prestart = {prestart}; exec.poststop = {poststop}; exec.start = 'ifconfig epair1b up'; a {{ }}\n"
    )
    rc_conf = 'cloned_interfaces="bridge0"\nifconfig_bridge0="up"\nifconfig_em0="up"\n'
    assert errors(tmp_path, text, release, rc_conf) == ({"VJ301"} if release < 15 else set())


@pytest.mark.parametrize("release", ALL)
def test_jname_for_the_host(tmp_path: Path, release: int) -> None:
    """From 15 on the host's commands find the jail's name in JNAME."""
    text = f"{HEAD}web {{ exec.created = 'ifconfig lo1 description \"$JNAME\"', 'test \"$JNAME\" = web'; }}\n"
    found = errors(tmp_path, text, release, 'cloned_interfaces="lo1"\n')
    assert found == ({"VJ301"} if release < 15 else set())


@pytest.mark.parametrize("release", ALL)
def test_an_address_on_a_bridges_member(tmp_path: Path, release: int) -> None:
    """Spec ifconfig §5: release 15 warns of it."""
    (tmp_path / "jail.conf").write_text(f"{HEAD}a {{ ip4 = inherit; }}\n")
    (tmp_path / "rc.conf").write_text(
        'cloned_interfaces="bridge0"\nifconfig_em0="inet 192.0.2.1/24"\nifconfig_bridge0="addm em0 up"\n'
    )
    found = {finding.rule.code for finding in find(read(folder.load(tmp_path), Release(release)))}
    assert ("VJ319" in found) is (release >= 15)


@pytest.mark.parametrize(("release", "jail_conf", "rc_conf", "found"), [
    (13, "", "", True),
    (14, "", "", True),
    (14, '.include "/etc/jail.conf.d/*.conf";\n', "", False),
    (15, '.include "/etc/jail.conf.d/*.conf";\n', "", False),
    (13, "", 'jail_list="a b"\n', False),
])  # fmt: skip
def test_jail_conf_d(tmp_path: Path, release: int, jail_conf: str, rc_conf: str, found: bool) -> None:
    """Spec jail-lifecycle §10: without names only jail.conf is read."""
    (tmp_path / "jail.conf").write_text(f"{HEAD}a {{ ip4 = inherit; }}\n{jail_conf}")
    (tmp_path / "rc.conf").write_text(f'jail_enable="YES"\n{rc_conf}')
    folder_d = tmp_path / "files" / "etc" / "jail.conf.d"
    folder_d.mkdir(parents=True)
    (folder_d / "b.conf").write_text(f"b {{ {HEAD} ip4 = inherit; }}\n")
    codes = {finding.rule.code for finding in find(read(folder.load(tmp_path), Release(release)))}
    assert ("VJ709" in codes) is found


@pytest.mark.parametrize("release", ALL)
def test_addresses_of_members_where_a_sysctl_refuses_them(tmp_path: Path, release: int) -> None:
    (tmp_path / "files" / "etc").mkdir(parents=True)
    (tmp_path / "files" / "etc" / "sysctl.conf").write_text("net.link.bridge.member_ifaddrs=0\n")
    rc_conf = 'cloned_interfaces="bridge0"\nifconfig_bridge0="addm em0 up"\nifconfig_em0="inet 10.0.0.1/24"\n'
    found = errors(tmp_path, f"{HEAD}a {{ }}\n", release, rc_conf)
    assert found == ({"VJ708"} if release >= 15 else set())
