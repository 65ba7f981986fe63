"""vjail import: jail.conf and rc.conf become a lab file that comes to the same; what does not is told.

right/NAME.yml is what the example NAME becomes; UPDATE_GOLDENS=1 writes it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings

from expectations import EXAMPLES, FOLDERS, as_files, asked, at
from random_labs import lab_files
from vjail.check import Severity, find, read
from vjail.importing import Imported, import_lab
from vjail.lab import folder
from vjail.lab.file import lock
from vjail.lab.model import Lab, LabError
from vjail.rehearsal import Rehearsal, up
from vjail.release import Release

HERE = Path(__file__).parent
UPDATE = bool(os.environ.get("UPDATE_GOLDENS"))
GOLDENS = sorted(path.stem for path in (HERE / "right").glob("*.yml"))

DO_NOT_START = {"D2-interfaces-in-one-string", "D3-blackhole-in-start"}
ONE_HOSTID = "D5-one-hostid"
HEALED = "C3-rc-conf-as-printed"
"""Nobody brings em0 up there; a lab file brings up what it names."""
EVERY = sorted(
    path.name
    for path in EXAMPLES.iterdir()
    if path.is_dir() and path.name not in (*FOLDERS, "A3-epair-by-hand")  # which is one lab file without files
)


def imported(example: str, monkeypatch: pytest.MonkeyPatch) -> Imported:
    monkeypatch.chdir(EXAMPLES)
    return import_lab(Path(example), Path())


OF_NAT = [str(HERE.parent / "lab" / "file" / "right" / name) for name in ("nat-of-ipv6", "nat-behind-a-bridge")]


def as_lab(found: Imported, place: Path) -> Lab:
    """The lab file, written with its lock."""
    place.mkdir(exist_ok=True)
    (place / "vjail.yml").write_text(found.text)
    lock.write(place / "vjail.yml", found.lock)
    return folder.load(place)


@pytest.mark.parametrize("example", [name for name in EVERY if name not in (*DO_NOT_START, ONE_HOSTID, HEALED)])
def test_an_example_comes_to_the_same(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = imported(example, monkeypatch)
    assert (found.lost, found.compared.differences, found.compared.renamed) == ((), (), ()), found.text


def test_a_card_that_nobody_brought_up_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row C3."""
    found = imported(HEALED, monkeypatch)
    assert found.lost == ()
    assert found.compared.differences
    assert [text for text in found.compared.differences if not text.endswith(", and did not before")] == []


@pytest.mark.parametrize("example", GOLDENS)
def test_an_example_is_written_so(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = imported(example, monkeypatch).text
    file = HERE / "right" / f"{example}.yml"
    if UPDATE:
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("example", ["A1-two-jails", "A2-any-order", "B5-shared-stack", "D1-two-bridges"])
def test_check_finds_no_error_in_it(example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lab = as_lab(imported(example, monkeypatch), tmp_path / "lab")
    assert [each for each in find(read(lab, lab.release)) if each.rule.severity is Severity.ERROR] == []


@pytest.mark.parametrize("example", [*FOLDERS, *OF_NAT], ids=lambda name: Path(name).name)
def test_what_is_exported_is_imported_again(example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The circle: a lab file, the files it compiles to, and a lab file of these: what is expected holds still."""
    monkeypatch.chdir(tmp_path)
    whole = folder.load(EXAMPLES / example)
    found = import_lab(as_files(whole, tmp_path / "files"), tmp_path / "lab")
    assert (found.lost, found.compared.differences, found.compared.renamed) == ((), (), ()), found.text
    lab = as_lab(found, tmp_path / "lab")
    was, now = Rehearsal.of(whole), Rehearsal.of(lab)
    up(was), up(now)
    for line in asked(at(EXAMPLES / example)):
        before, after = (
            {each for each in line.addresses if of.echo(line.host, line.jail, each).loss is None} for of in (was, now)
        )
        assert before == after, line.text


@settings(max_examples=25, deadline=None)
@given(lab_files())
def test_random_labs_go_round(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    place = tmp_path_factory.mktemp("lab")
    (place / "vjail.yml").write_text(text)
    found = import_lab(as_files(folder.load(place), place / "files"), place)
    assert (found.lost, found.compared.differences, found.compared.renamed) == ((), (), ()), found.text


# --- as people write them ---------------------------------------------------------------------------------------------


def of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jail_conf: str, rc_conf: str = "", **files: str) -> Imported:
    monkeypatch.chdir(tmp_path)
    for name, text in {"jail.conf": jail_conf, "rc.conf": rc_conf, **files}.items():
        Path(name.replace("_", ".")).write_text(text)
    return import_lab(Path(), Path())


def written(found: Imported, name: str) -> bool:
    file = HERE / "written" / f"{name}.yml"
    if UPDATE:
        file.write_text(found.text)
    return found.text == file.read_text()


def test_it_does_not_matter_how_an_epair_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = of(
        tmp_path,
        monkeypatch,
        """
        path = "/jails/$name"; vnet; persist; mount.devfs; exec.clean;
        a {
            exec.prestart = 'e=$(ifconfig epair create) && ifconfig $e up && ifconfig bridge0 addm $e';
            exec.prestart += 'for e in $(ifconfig -l); do [ $e = epair0b ] && ifconfig $e name vnet_a; done; true';
            vnet.interface = vnet_a;
            exec.start = "ifconfig vnet_a inet 10.0.0.2/24 up; route add default 10.0.0.1";
        }
        b {
            exec.prestart = "/usr/share/examples/jails/jib addm b em0";
            vnet.interface = e0b_b;
            exec.start = "ifconfig e0b_b inet 192.168.0.2/24 up";
            exec.poststop = "/usr/share/examples/jails/jib destroy b";
        }
        c {
            exec.prestart = 'for n in 5 6; do ifconfig epair$n create up; ifconfig bridge0 addm epair${n}a; done';
            vnet.interface = epair5b, epair6b;
            exec.start = "ifconfig epair5b inet 10.0.0.3 netmask 255.255.255.0; ifconfig epair5b inet6 fd00::3/64";
        }
        """,
        'cloned_interfaces="bridge0"\nifconfig_bridge0="inet 10.0.0.1/24 up"\nifconfig_em0="up"\n',
    )
    assert written(found, "however")
    assert (found.lost, found.compared.differences) == ((), ())
    # A lab file has one interface of a jail in a network; interfaces with names of their own are called as all are.
    assert found.kept == ("c: epair6b is a second interface in inside: its lines stay",)
    assert [text.partition(" is epair")[0] for text in found.compared.renamed] == ["vnet_a of a", "e0b_b of b"]


def test_what_has_no_words_is_told_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = of(
        tmp_path,
        monkeypatch,
        """path = "/"; vnet; persist; mount.nodevfs;
a {
  exec.prestart = "ifconfig epair0 create up; ifconfig epair0a inet 10.0.0.1/24; logger made";
  vnet.interface = "epair0b";
  exec.start = "ifconfig epair0b inet 10.0.0.2/24 up";
}
b {
  vnet.interface = "epair7b";
  exec.poststart = "true";
}
"a:inner" { vnet; children.max = 0; }
""",
    )
    assert found.lost == (
        "jail.conf:7: jail b does not start, so its network is not known: /sbin/ifconfig epair7b vnet b: failed",
        "jail.conf:11: jail a:inner cannot be called so in a lab file: it is left out",
        "jail.conf:3: exec.prestart: a lab file makes its interfaces itself; lost is: logger made",
    )
    assert [line for line in found.text.splitlines() if line.startswith("# Not taken over: ")] == [
        f"# Not taken over: {text}" for text in found.lost
    ]


def test_lines_of_other_kinds_stay_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = of(
        tmp_path,
        monkeypatch,
        """
        web {
            path = "/jails/web"; vnet; persist; mount.devfs; exec.clean; allow.raw_sockets; allow.noset_hostname;
            enforce_statfs = 1; securelevel = 3; exec.timeout = 60; host.hostname = "web.example.org";
            mount = "/data /jails/web/data nullfs rw 0 0";
            mount += "tmpfs /jails/web/tmp tmpfs rw,mode=1777 0 0";
            vnet.interface = em1;
            exec.prestart = "touch /var/run/web.started";
            exec.start = "ifconfig lo0 127.0.0.1/8 up";
            exec.start += "sysrc -q sshd_enable=YES >/dev/null";
            exec.start += "ifconfig em1 inet 192.0.2.5/24 up";
            exec.start += "route add default 192.0.2.1";
            exec.start += "sh /etc/rc";
            exec.start += "route add -net 198.51.100.0/24 -blackhole";
            exec.start += 'echo up > /var/run/up; x=${HOME}';
            exec.stop = "sh /etc/rc.shutdown jail";
        }
        """,
        'hostname="box.example.org"\nifconfig_em0="SYNCDHCP"\nsshd_enable="YES"\ncloned_interfaces="lo1"\n'
        'ifconfig_lo1="inet 127.1.1.1/32"\n',
    )
    assert written(found, "lines")
    assert (found.lost, found.compared.differences) == ((), ())


def test_a_jail_on_its_hosts_stack_without_a_card_keeps_its_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = of(
        tmp_path,
        monkeypatch,
        'path = "/"; persist; mount.nodevfs;\na { ip4.addr = "lo1|10.9.9.1/32"; }\nb { ip4 = inherit; }\n',
        'cloned_interfaces="lo1"\n',
    )
    assert "a: {parameters: {ip4.addr: lo1|10.9.9.1/32}}" in found.text
    assert (found.lost, found.compared.differences) == ((), ())


def test_programs_that_are_not_known_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = of(
        tmp_path,
        monkeypatch,
        'a { path = "/"; vnet; persist; exec.prestart = "/usr/local/bin/notify a"; }\n',
    )
    assert found.unknown == ("the program /usr/local/bin/notify",)
    assert "exec.prestart: /usr/local/bin/notify a" in found.text


def test_sets_of_devices_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = "[devfsrules_tun=7]\nadd include $devfsrules_hide_all\nadd path 'tun*' unhide mode 0660\n"
    found = of(
        tmp_path,
        monkeypatch,
        'a { path = "/"; vnet; persist; mount.devfs; devfs_ruleset = 7; }\n',
        devfs_rules=rules,
    )
    assert (found.lost, found.compared.differences) == ((), ())
    assert "devfs_ruleset: 7" in found.text
    lab = as_lab(found, tmp_path / "lab")
    assert rules in lab.hosts["fbsd"].files["devfs.rules"].content.decode()


def test_vlans_of_the_host_itself_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = of(
        tmp_path,
        monkeypatch,
        'a { path = "/"; vnet; persist; vnet.interface = em0.30; exec.start = "ifconfig em0.30 inet 10.3.0.2/24"; }\n',
        'ifconfig_em0="up"\nvlans_em0="10 20 30 mgmt"\nifconfig_em0_10="inet 10.1.0.1/24"\ncreate_args_mgmt="vlan 40"\n'
        'ifconfig_mgmt="inet 10.4.0.1/24"\ncloned_interfaces="bridge0"\nifconfig_bridge0="addm em0.20 up"\n',
    )
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert "vlans_em0: 20 10 mgmt" in found.text


def test_what_a_lab_file_does_not_allow_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = """
        path = "/"; vnet; persist; vnet.interface = "epair${n}b";
        exec.prestart = "ifconfig epair${n} create up; ifconfig bridge0 addm epair${n}a";
        exec.start = "ifconfig epair${n}b inet 10.0.0.2/24";
        a { $n = 0; }
        b { $n = 1; }
    """
    with pytest.raises(LabError, match=r"^\., as a lab file: 10\.0\.0\.2 is a's; an address of its own, or `auto`$"):
        of(tmp_path, monkeypatch, conf, 'cloned_interfaces="bridge0"\n')


def test_what_is_said_of_wires_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wires = "wires:\n  w: {nic: eth7, delay: 20ms, loss: 0.5%, rate: 10Mbit}\n  v: {cut: true}\n"
    Path("vjail.yml").write_text(f"{wires}hosts: {{a: {{nics: {{em0: w, em1: v}}, files: a}}}}\n")
    Path("a").mkdir()
    Path("a/rc.conf").write_text('ifconfig_em0="inet 192.0.2.1/24"\n')
    assert import_lab(Path("vjail.yml"), Path()).text.endswith(wires)


def test_a_lab_file_with_jails_is_one_already() -> None:
    with pytest.raises(LabError, match="host fbsd is in the lab file already"):
        import_lab(EXAMPLES / "A1-two-jails-lab", Path())


def test_one_hostid_on_two_hosts_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row D5."""
    found = imported(ONE_HOSTID, monkeypatch)
    assert found.lost == ("host JL-2 has the hostid of JL-1, and so its MACs: it gets one of its own",)
    assert [text for text in found.compared.differences if not text.endswith(", and did not before")] == []


@pytest.mark.parametrize("example", sorted(DO_NOT_START))
def test_a_jail_that_does_not_start_is_told(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows D2 and D3."""
    assert any("mweb01-php does not start" in text for text in imported(example, monkeypatch).lost)


def test_an_empty_value_stays_empty(tmp_path: Path) -> None:
    """`jail_list=""` in rc.conf, `exec.prestart = "";` in a jail."""
    (tmp_path / "rc.conf").write_text('jail_list=""\nsyslogd_flags=""\n')
    (tmp_path / "jail.conf").write_text(
        'exec.clean; path = /jails/$name; exec.prestart = ""; vnet; vnet.interface = "";\n'
        'a { exec.start = "/bin/sh /etc/rc"; exec.stop = "/bin/sh /etc/rc.shutdown"; }\n'
    )
    found = import_lab(tmp_path, tmp_path)
    assert (found.lost, found.compared.differences) == ((), ())
    assert 'syslogd_flags: ""' in found.text
    assert "exec.prestart" not in found.text


def test_a_host_s_etc_with_a_file_for_each_jail(tmp_path: Path) -> None:
    (tmp_path / "jail.conf").write_text(
        'exec.clean; persist; path = /jails/$name;\n.include "/etc/jail.conf.d/*.conf";\n'
    )
    (tmp_path / "jail.conf.d").mkdir()
    (tmp_path / "jail.conf.d" / "a.conf").write_text("a { ip4 = inherit; mount.fstab = /etc/fstab.a; }\n")
    (tmp_path / "fstab.a").write_text("/srv /jails/a/srv nullfs rw 0 0\n")
    found = import_lab(tmp_path, tmp_path, Release.V15)
    assert found.lost == ()
    assert "mounts: /srv" in found.text


# --- as hosts are -----------------------------------------------------------------------------------------------------

HEAD = 'path = "/jails/$name"; vnet; persist; mount.devfs; exec.clean;\n'
EPAIR = """exec.prestart = "ifconfig epair${n} create up; ifconfig bridge0 addm epair${n}a";
    vnet.interface = "epair${n}b"; exec.poststop = "ifconfig epair${n}a destroy";
"""
BRIDGE = 'cloned_interfaces="bridge0"\nifconfig_bridge0="inet 10.0.0.1/24 up"\n'


def test_a_router_of_one_family_is_a_router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forwarding of a family in which nobody has addresses makes no difference."""
    start = 'exec.start = "ifconfig epair1b inet 10.0.0.2/24 up; sysctl net.inet.ip.forwarding=1";'
    found = of(tmp_path, monkeypatch, f"{HEAD}{EPAIR}r {{ $n = 1; {start} }}\n", f'{BRIDGE}gateway_enable="YES"\n')
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert found.text.count("forward: true") == 2


def test_a_host_that_forwards_one_of_its_families_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rc_conf = f'{BRIDGE}ifconfig_em0_ipv6="inet6 2001:db8::2/64"\ngateway_enable="YES"\n'
    found = of(tmp_path, monkeypatch, f"{HEAD}a {{ }}\n", rc_conf)
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert "rc: {gateway_enable: YES}" in found.text


def test_rc_at_the_end_of_a_line_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = 'exec.start = "ifconfig epair1b inet 10.0.0.2/24 up; route add default 10.0.0.1; /bin/sh /etc/rc";'
    stop = 'exec.stop = "/bin/sh /etc/rc.shutdown jail";'
    found = of(tmp_path, monkeypatch, f"{HEAD}{EPAIR}a {{ $n = 1; {start} {stop} }}\n", BRIDGE)
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert "a: {boot: true, inside: .2}" in found.text


def test_what_jail_conf_says_for_all_counts_for_included_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name rc.d/jail would start such a jail from its own file alone; at boot it does not."""
    monkeypatch.chdir(tmp_path)
    Path("files/etc/jail.conf.d").mkdir(parents=True)
    Path("files/etc/jail.conf.d/a.conf").write_text('a { $n = 1; exec.start = "ifconfig epair1b inet 10.0.0.2/24"; }\n')
    Path("jail.conf").write_text(f'{HEAD}{EPAIR}.include "/etc/jail.conf.d/*.conf";\n')
    Path("rc.conf").write_text(BRIDGE)
    found = import_lab(Path(), Path(), Release.parse("14"))
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert "a: {inside: .2}" in found.text


def test_all_lines_of_a_jail_that_does_not_start_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = of(
        tmp_path,
        monkeypatch,
        HEAD + 'a { exec.prestart = "ifconfig epair1 create up; ifconfig bridge0 addm epair1a";\n'
        'exec.prestart += "ifconfig nosuch0 up"; vnet.interface = epair1b; exec.start = "ifconfig epair1b up"; }\n',
        BRIDGE,
    )
    assert "does not start" in found.lost[0]
    assert "ifconfig epair1 create up; ifconfig bridge0 addm epair1a" in found.text
    assert "vnet.interface: epair1b" in found.text


def test_a_lagg_is_an_uplink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """rc.conf makes it, and its VLANs of the host itself stay."""
    found = of(
        tmp_path,
        monkeypatch,
        f'{HEAD}{EPAIR}a {{ $n = 1; exec.start = "ifconfig epair1b inet 10.0.0.2/24"; }}\n',
        'ifconfig_em0="up"\nifconfig_em1="up"\ncloned_interfaces="lagg0 bridge0"\n'
        'ifconfig_lagg0="laggproto failover laggport em0 laggport em1 up"\nvlans_lagg0="30"\n'
        'ifconfig_bridge0="inet 10.0.0.1/24 addm lagg0 up"\n'
        'ifconfig_lagg0_30="inet 10.3.0.1/24"\n',
    )
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert written(found, "lagg")


def test_names_of_bridges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """jib's bridge is the card's network; one that somebody named keeps its name, and no other line says it."""
    jib = "/usr/share/examples/jails/jib"
    found = of(
        tmp_path,
        monkeypatch,
        HEAD
        + f'a {{ vnet.interface = e0b_a; exec.prestart = "{jib} addm a em0"; exec.poststop = "{jib} destroy a"; }}\n'
        'b { vnet.interface = epair9b; exec.prestart = "ifconfig epair9 create; ifconfig vm-public addm epair9a"; }\n',
        'cloned_interfaces="bridge0 lo1"\nifconfig_bridge0_name="vm-public"\n'
        'ifconfig_vm_public="inet 10.9.0.1/24 up"\n',
    )
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert written(found, "bridges")


def test_the_head_of_an_exported_pf_conf_is_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pf = "# Made by vjail from the lab file of x, for host fbsd: change that, not this.\nblock in proto tcp\n"
    found = of(tmp_path, monkeypatch, f"{HEAD}a {{ }}\n", 'ifconfig_em0="up"\npf_enable="YES"\n', pf_conf=pf)
    assert 'pf: "block in proto tcp\\n"' in found.text
    assert "change that" not in found.text


@pytest.mark.parametrize(
    "made",
    [
        "for n in 5 6; do ifconfig epair$n create up; ifconfig bridge0 addm epair${n}a; done",
        "for n in 5 6; do e=$(ifconfig epair create); ifconfig $e up; ifconfig bridge0 addm $e; done",
        "for n in 5 6; do ifconfig epair$n create up; done; ifconfig bridge0 addm epair5a addm epair6a",
    ],
)
def test_lines_of_a_second_interface_in_a_bridge_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    """The lab file says the first; what is exported is imported as the same."""
    first, second = ("epair0b", "epair1b") if "$(" in made else ("epair5b", "epair6b")
    conf = f"""{HEAD}
a {{
    exec.prestart = '{made}'; vnet.interface = {first}, {second};
    exec.start = "ifconfig {first} inet 10.0.0.3/24; ifconfig {second} inet 10.0.0.4/24; route add default 10.0.0.1";
    exec.poststop = "ifconfig {first[:-1]}a destroy; ifconfig {second[:-1]}a destroy";
}}
"""
    found = of(tmp_path, monkeypatch, conf, BRIDGE)
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert found.kept == (f"a: {second} is a second interface in inside: its lines stay",)
    lab = as_lab(found, tmp_path / "lab")
    again = import_lab(as_files(lab, tmp_path / "files"), tmp_path)
    jail = found.text.partition("jails:\n")[2].splitlines()
    assert [line.strip() for line in again.text.partition("jails:\n")[2].splitlines()[: len(jail)]] == [
        line.strip() for line in jail
    ]


def test_an_interface_that_is_renamed_again_in_its_jail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As iocage does it; what forbids what is forbidden anyhow is not said."""
    conf = """
ioc-a {
    path = "/iocage/jails/a/root"; persist; vnet = new; exec.clean = 1; mount.devfs = 1;
    allow.set_hostname = 1; allow.raw_sockets = 0; allow.mount = 0; allow.noreserved_ports; allow.mlock = 1;
    exec.prestart = "ifconfig epair0 create; ifconfig epair0a name vnet0.1; ifconfig epair0b name vnet0_1";
    exec.prestart += "ifconfig vnet0.1 mtu 1500 up; ifconfig bridge0 addm vnet0.1 up";
    vnet.interface = vnet0_1;
    exec.start = "ifconfig vnet0_1 name epair0b; ifconfig epair0b inet 10.0.0.2/24 up";
    exec.poststop = "ifconfig vnet0.1 destroy";
}
"""
    found = of(tmp_path, monkeypatch, conf, BRIDGE)
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert written(found, "iocage")


def test_the_directory_of_a_log_is_taken_for_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = 'exec.consolelog = "/var/log/bastille/${name}_console.log";'
    start = 'exec.start = "ifconfig epair1b inet 10.0.0.2/24";'
    found = of(tmp_path, monkeypatch, f"{HEAD}{EPAIR}a {{ $n = 1; {start} {log} }}\n", BRIDGE)
    assert (found.lost, found.compared.differences) == ((), ()), found.text


def test_netgraph_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = """
web { path = "/usr/jail/web"; persist; exec.clean; mount.devfs; vnet; vnet.interface = ng0_web;
    exec.prestart = "jng bridge web em0"; exec.start = "ifconfig ng0_web inet 10.1.1.2/24";
    exec.poststop = "jng shutdown web"; }
"""
    found = of(tmp_path, monkeypatch, conf, 'ifconfig_em0="inet 10.1.1.1/24"\n')
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert "exec.prestart: jng bridge web em0" in found.text
    assert "exec.poststop: jng shutdown web" in found.text


def test_jails_in_jails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with a stack of its own, joined by an epair; a bridge inside a jail stays by its lines."""
    conf = f"""{HEAD}{EPAIR}
outer {{
    $n = 1; children.max = 5; exec.start = "ifconfig epair1b inet 10.0.0.2/24; route add default 10.0.0.1";
    exec.start += "ifconfig bridge7 create inet 10.7.0.1/24 up";
}}
outer.web {{
    path = "/jails/outer/jails/web"; vnet.interface = epair2b; exec.start = "ifconfig epair2b inet 10.4.0.2/24";
    exec.prestart = "ifconfig epair2 create up; ifconfig epair2a vnet outer";
    exec.poststart = "jexec outer ifconfig epair2a inet 10.4.0.1/24";
    exec.poststop = "jexec outer ifconfig epair2a destroy";
}}
"""
    found = of(tmp_path, monkeypatch, conf, BRIDGE)
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert written(found, "nested")


def test_link_local_addresses_and_routes_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that rc.conf gives, and those that a jail's line gives beside what the lab file says."""
    start = "ifconfig epair1b inet6 fe80::a/64; ifconfig epair1b inet6 2001:db8::a/64;"
    start += " route -6 add default fe80::1%epair1b"
    found = of(
        tmp_path,
        monkeypatch,
        f'{HEAD}{EPAIR}a {{ $n = 1; exec.start = "{start}"; }}\n',
        'cloned_interfaces="bridge0"\nifconfig_bridge0="up"\nifconfig_bridge0_ipv6="inet6 2001:db8::1/64"\n'
        'ifconfig_bridge0_alias0="inet6 fe80::1/64"\nifconfig_em0_ipv6="inet6 fe80::77/64"\n'
        'ipv6_gateway_enable="YES"\n',
    )
    assert (found.lost, found.compared.differences) == ((), ()), found.text
    assert written(found, "link-local")


def test_a_jail_conf_without_jails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = of(tmp_path, monkeypatch, '.include "/usr/local/bastille/jails/*/jail.conf";\n', 'ifconfig_em0="up"\n')
    assert found.lost == ("jail.conf: there is no jail in it; FreeBSD 13 has no .include there (--freebsd 14)",)
