"""Labs in memory: examples come up, their packets go the ways the documents say, and copies are apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vjail.kernel.model.trace import Loss
from vjail.lab.folder import load
from vjail.rehearsal import NotModelled, Rehearsal, up
from vjail.release import Release

EXAMPLES = Path(__file__).parents[2] / "examples"
HOSTID = "2f6ea4b1-5b9d-11ee-9c2a-0800270d1e5c"

LAB_D5 = """\
wires: {w1: {}, w2: {}}
hosts:
  JL1: {files: JL1, nics: {xn1: w1, xn2: w2}}
  JL2: {files: JL2, nics: {xn1: w1, xn2: w2}}
"""
RC_D5 = """\
cloned_interfaces="bridge1 bridge2"
ifconfig_xn1="inet 10.1.105.{number}/24"
ifconfig_xn2="inet 10.1.106.{number}/24"
ifconfig_bridge1="addm xn1 up"
ifconfig_bridge2="addm xn2 up"
"""
JAIL_D5 = """\
j-{number} {{
  path = /jails/j-{number};
  vnet;
  vnet.interface = "epair11b";
  vnet.interface += "epair12b";
  exec.prestart = "/sbin/ifconfig epair11 create up";
  exec.prestart += "/sbin/ifconfig bridge1 addm epair11a";
  exec.prestart += "/sbin/ifconfig epair12 create up";
  exec.prestart += "/sbin/ifconfig bridge2 addm epair12a";
  exec.start = "/sbin/ifconfig epair11b inet 10.1.105.10{number}/24 up";
  exec.start += "/sbin/ifconfig epair12b inet 10.1.106.10{number}/24 up";
  persist;
}}
"""
TABLE_D5 = (
    (("JL1", "j-1", "10.1.105.101"), ("JL2", "j-2", "10.1.105.102"), False),
    (("JL1", "j-1", "10.1.106.101"), ("JL2", "j-2", "10.1.106.102"), False),
    (("JL1", "", "10.1.105.1"), ("JL2", "", "10.1.105.2"), True),
    (("JL1", "", "10.1.106.1"), ("JL2", "", "10.1.106.2"), True),
    (("JL1", "", "10.1.105.1"), ("JL2", "j-2", "10.1.105.102"), False),
    (("JL1", "", "10.1.106.1"), ("JL2", "j-2", "10.1.106.102"), False),
    (("JL2", "", "10.1.105.2"), ("JL1", "j-1", "10.1.105.101"), False),
    (("JL2", "", "10.1.106.2"), ("JL1", "j-1", "10.1.106.101"), False),
)


def d5(folder: Path, *hostids: str) -> Rehearsal:
    (folder / "vjail.yml").write_text(LAB_D5)
    for number, hostid in enumerate(hostids, 1):
        files = folder / f"JL{number}"
        files.mkdir()
        (files / "rc.conf").write_text(RC_D5.format(number=number))
        (files / "jail.conf").write_text(JAIL_D5.format(number=number))
        (files / "hostid").write_text(f"{hostid}\n")
    lab = Rehearsal.of(load(folder))
    for booted in up(lab):
        assert (booted.boot.code, booted.jails.code, booted.boot.err) == (0, 0, ""), booted
    return lab


def table(lab: Rehearsal) -> list[bool]:
    """The document's eight lines: whether each end reaches the other while everybody talks."""

    def reaches(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
        return lab.echo(one[0], one[1], other[2], amid_others=True).answered

    return [reaches(one, other) and reaches(other, one) for one, other, _ in TABLE_D5]


def test_two_hosts_with_one_hostid_do_not_reach_each_others_jails(tmp_path: Path) -> None:
    lab = d5(tmp_path, HOSTID, HOSTID)
    assert table(lab) == [expected for _, _, expected in TABLE_D5]
    lost = lab.echo("JL1", "j-1", "10.1.105.102")
    assert lost.loss is Loss.OWN_ARP
    assert (lost.place.host, lost.place.jail, lost.place.interface) == ("JL2", "j-2", "epair11b")


def test_two_hosts_with_hostids_of_their_own_reach_everything(tmp_path: Path) -> None:
    assert table(d5(tmp_path, HOSTID, HOSTID.replace("2f6e", "3f6e"))) == [True] * 8


def test_addresses_set_by_hand_are_the_other_cure(tmp_path: Path) -> None:
    lab = d5(tmp_path, HOSTID, HOSTID)
    for jail, unit in (("epair11", 1), ("epair12", 2)):
        lab.type("JL2", f"jexec j-2 ifconfig {jail}b link 02:00:00:00:0{unit}:0b")
        lab.type("JL2", f"ifconfig {jail}a link 02:00:00:00:0{unit}:0a")
    assert table(lab) == [True] * 8


def test_the_first_document_comes_up_and_pings() -> None:
    lab = Rehearsal.of(load(EXAMPLES / "A1-two-jails"))
    (booted,) = up(lab)
    assert booted.jails.both == "Starting jails: jail_01 jail_02.\n"
    answered = lab.echo("fbsd", "jail_01", "10.0.0.2")
    assert answered.answered
    assert answered.arrived[0].ttl == 64
    assert lab.type("fbsd", "service jail onestop").both == "Stopping jails: jail_01 jail_02.\n"
    assert lab.type("fbsd", "mount -t nullfs; ifconfig -l; ps ax | grep -c J").out.split()[0] == "vtnet0"


def test_a_copy_goes_its_own_way() -> None:
    lab = Rehearsal.of(load(EXAMPLES / "A1-two-jails"))
    up(lab)
    snapshot = lab.snapshot()
    other, third = snapshot.copy(), snapshot.copy()
    assert other.type("fbsd", "service jail onestop jail_02").code == 0
    assert other.echo("fbsd", "jail_01", "10.0.0.2").loss is Loss.PEER_DOWN
    assert lab.echo("fbsd", "jail_01", "10.0.0.2").answered
    assert third.echo("fbsd", "jail_01", "10.0.0.2").answered
    other.type("fbsd", "echo changed > /etc/motd")
    assert lab.hosts["fbsd"].files_of().read("/etc/motd") != b"changed\n"


def test_what_is_not_known_is_said() -> None:
    lab = Rehearsal()
    lab.add_host("a", {})
    with pytest.raises(NotModelled, match="tcpdump"):
        lab.type("a", "tcpdump -i em0")
    lab.programs["tcpdump"] = lambda session: 3
    assert lab.type("a", "tcpdump -i em0").code == 3


def test_a_wire_is_cut_and_mended(tmp_path: Path) -> None:
    lab = d5(tmp_path, HOSTID, HOSTID)
    lab.cut("w1")
    assert lab.echo("JL1", "", "10.1.105.2").loss is Loss.CUT
    assert "status: no carrier" in lab.type("JL1", "ifconfig xn1").out
    assert lab.echo("JL1", "", "10.1.106.2").answered
    lab.mend("w1")
    lab.cut("JL2:xn1")
    assert not lab.echo("JL1", "", "10.1.105.2").answered
    lab.mend("JL2:xn1")
    assert lab.echo("JL1", "", "10.1.105.2").answered


def test_a_wire_begins_cut(tmp_path: Path) -> None:
    d5(tmp_path, HOSTID, HOSTID)
    (tmp_path / "vjail.yml").write_text(LAB_D5.replace("w1: {}", "w1: {cut: true}"))
    lab = Rehearsal.of(load(tmp_path))
    up(lab)
    assert "status: no carrier" in lab.type("JL1", "ifconfig xn1").out
    assert lab.echo("JL1", "", "10.1.105.2").loss is Loss.CUT
    assert lab.echo("JL1", "", "10.1.106.2").answered
    lab.mend("w1")
    assert lab.echo("JL1", "", "10.1.105.2").answered


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("jail -rc router", "router"),
        ("service jail onerestart router", "router"),
        ("service jail onerestart router web mail app", "router web mail app"),
    ],
)
def test_a_restart_takes_along_what_check_says(line: str, left: str) -> None:
    """VJ617 and its mend: the case that the check is shown by, on a host."""
    lab = Rehearsal.of(load(Path(__file__).parents[1] / "check/cases/VJ617-restarted-alone"))
    up(lab)
    (host,) = lab.hosts
    assert lab.type(host, "jls name").out.split() == ["router", "web", "mail", "app"]
    lab.type(host, line)
    assert lab.type(host, "jls name").out.split() == left.split()


def test_nothing_of_linux_is_asked_for() -> None:
    """It runs where a Python has none of what Linux alone offers."""
    script = """
import os, select, signal, socket
for module, names in (
    (os, ("O_PATH", "O_TMPFILE", "setns", "unshare", "pidfd_open", "memfd_create", "sched_setaffinity", "eventfd")),
    (select, ("epoll",)),
    (signal, ("pidfd_send_signal",)),
    (socket, ("AF_NETLINK", "SO_PEERCRED", "SCM_CREDENTIALS", "AF_PACKET", "SO_BINDTODEVICE")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
from pathlib import Path
from vjail.lab.folder import load
from vjail.rehearsal import Rehearsal, up
lab = Rehearsal.of(load(Path("A1-two-jails")))
up(lab)
print(lab.type("fbsd", "jexec jail_01 ping -c 1 10.0.0.2").code)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=EXAMPLES, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_phase_that_fails_on_purpose_leaves_what_freebsd_leaves() -> None:
    lab = Rehearsal.of(load(EXAMPLES / "A2-any-order"))
    for booted in up(lab):
        assert booted.jails.code == 0
    lab.type("fbsd", "service jail onestop")
    clean = lab.type("fbsd", "ifconfig -l; mount").out
    lab.interfere = lambda argv, jid: 1 if jid and argv[0].endswith("ifconfig") else None
    failed = lab.type("fbsd", "jail -c jail_01")
    assert failed.code == 1
    assert "jail_01: removed" in failed.out
    assert lab.type("fbsd", "jls -q jid").out == ""
    lab.interfere = None
    assert lab.type("fbsd", "jail -c jail_01; jail -c jail_02; jail -r jail_01; jail -r jail_02").code == 0
    assert lab.type("fbsd", "ifconfig -l; mount").out == clean


CARDS = """\
wires: {w: {}, v: {}}
hosts:
  a: {nics: {em0: w, em1: w}, addresses: {em0: 192.0.2.1/24}, jails: {j: {nics: {em1: 10.0.0.1/24}}}}
  b: {nics: {em0: w}, addresses: {em0: 192.0.2.2/24}}
  c: {nics: {em0: v}, addresses: {em0: 192.0.2.3/24}}
"""


def test_cards_come_and_go_and_move(tmp_path: Path) -> None:
    (tmp_path / "vjail.yml").write_text(CARDS)
    lab = Rehearsal.of(load(tmp_path))
    up(lab)
    macs = {f"em{number}": bytes((2, 0, 0, 0, 0, number)) for number in range(3)}

    def answers(address: str) -> bool:
        return lab.echo("a", 0, address).loss is None

    # One in a jail under another name, with a vlan on it, goes out of the jail, and the vlan is bound to nothing.
    said = lab.type("a", "ifconfig em1 name wan && ifconfig vlan7 create vlan 7 vlandev wan && ifconfig -l", jail="j")
    assert said.code == 0, said
    lab.rewire("a", {"em0": macs["em0"]}, {"em0": "w"})
    assert lab.type("a", "ifconfig -l", jail="j").out.split() == ["lo0", "vlan7"]
    assert "parent interface: <none>" in lab.type("a", "ifconfig vlan7", jail="j").out
    # In a bridge: it is a member no more.
    assert lab.type("a", "ifconfig bridge0 create && ifconfig bridge0 addm em0").code == 0
    lab.rewire("a", {"em2": macs["em2"]}, {"em2": "v"})
    assert lab.type("a", "ifconfig -l").out.split() == ["lo0", "bridge0", "em2"]
    assert "member" not in lab.type("a", "ifconfig bridge0").out
    assert lab.type("a", "ifconfig em2 192.0.2.1/24").code == 0
    assert [answers(f"192.0.2.{host}") for host in (2, 3)] == [False, True]
    # On another wire it is as it was; and has no carrier where that is cut.
    lab.rewire("a", {"em2": macs["em2"]}, {"em2": "w"})
    assert [answers(f"192.0.2.{host}") for host in (2, 3)] == [True, False]
    lab.cut("v")
    lab.rewire("a", {"em2": macs["em2"]}, {"em2": "v"})
    assert "status: no carrier" in lab.type("a", "ifconfig em2").out


@pytest.mark.parametrize("release", [15, 16])
def test_texts_of_a_jail_from_15_on(tmp_path: Path, release: int) -> None:
    """Spec jail-lifecycle §3: `meta` and `env`, by key too, and what the jail reads of them."""
    (tmp_path / "jail.conf").write_text(
        'a { path = /tmp; persist; meta.owner = "x y"; env = "A=1"; env.B = 2; meta.of.dots = z; }\n'
    )
    lab = Rehearsal.of(load(tmp_path), release=Release(release))
    (booted,) = up(lab)
    assert booted.jails.code == 0
    host = next(iter(lab.hosts))
    assert lab.type(host, "jls -j a meta env").out == "of.dots=z\nowner=x y B=2\nA=1\n"
    assert lab.type(host, "jexec a sysctl -n security.jail.env").out == "B=2\nA=1\n"
    assert lab.type(host, "sysctl security.jail.env").out == "security.jail.env: \n"
    assert lab.type(host, "jail -m name=a env.A meta.owner=me; jls -j a meta.owner env").both == "me B=2\n"
    assert lab.type(host, "sysctl -n security.jail.meta_maxbufsize=10").code == 0
    assert lab.type(host, "jail -m name=a meta=0123456789").err == "jail: jail_set: File too large\n"
    assert lab.type(host, "jail -m name=a meta=012345678; jls -j a meta").both == "012345678\n"
    assert lab.type(host, "jexec a sysctl security.jail.meta_maxbufsize=20").code == 1
