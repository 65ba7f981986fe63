"""A lab of two hosts on one wire, from a small lab file; what `vjail ls` tells of it; names that both hosts have."""

from __future__ import annotations

import json

import pytest
from sandbox import Result, Sandbox

pytestmark = pytest.mark.real

LAB = "two"
LAB_FILE = """\
wires: {w0: {}}
hosts:
  a: {files: a, nics: {vtnet0: w0}}
  b: {files: b, nics: {vtnet0: w0}, userland: minimal}
"""
RC_CONF = """\
hostname="{name}.example"
ifconfig_vtnet0="inet 192.168.7.{number}/24"
cloned_interfaces="epair1"
"""
JAIL_CONF = """\
web {
	path = /jails/web;
	vnet;
	vnet.interface = epair1b;
	exec.start = "ifconfig epair1b inet 10.1.0.2/24";
	persist;
}
off { path = /jails/off; persist; }
"""
SHOWN = """\
a  FreeBSD 13
├─ vtnet0      up    192.168.7.1/24  wire w0 ⇄ b vtnet0
├─ epair1a     down  -               ⇄ web epair1b
├─ web  jid 1  vnet  idle     /jails/web
│  └─ epair1b  up    10.1.0.2/24     ⇄ a epair1a
└─ off  -      -     stopped  /jails/off
b  FreeBSD 13
├─ vtnet0      up    192.168.7.2/24  wire w0 ⇄ a vtnet0
├─ epair1a     down  -               ⇄ web epair1b
├─ web  jid 1  vnet        idle  /jails/web
│  └─ epair1b  up    10.1.0.2/24     ⇄ b epair1a
└─ off  jid 2  no address  idle  /jails/off
"""


def test_two_hosts_on_one_wire(box: Sandbox) -> None:
    for number, name in enumerate("ab", 1):
        (box.folder / LAB / name).mkdir(parents=True)
        (box.folder / LAB / name / "rc.conf").write_text(RC_CONF.format(name=name, number=number))
        (box.folder / LAB / name / "jail.conf").write_text(JAIL_CONF)
    (box.folder / LAB / "vjail.yml").write_text(LAB_FILE)
    up = box.vjail("up", LAB)
    assert (up.code, up.out) == (0, ""), up
    # `off` shares the stack and has no address, so it may use none: only root can have it keep to that.
    why = "addresses are not enforced: only root may attach eBPF programs to control groups"
    free = [f"{host}:off: {why}" for host in "ab"] if box.uid else []
    started = [f"{jail}: started" for jail in ("a:off", "a:web", "b:off", "b:web")]
    assert sorted(up.err.splitlines()[:-1]) == sorted(started + free)
    assert up.err.splitlines()[-1].startswith("two is up: 2 hosts, 4 jails (")

    for host, peer in (("a", "192.168.7.2"), ("b", "192.168.7.1")):
        ping = box.vjail("shell", "-p", LAB, host, "-c", f"hostname; ping -c 2 -i 0.1 {peer}")
        assert ping.out.startswith(f"{host}.example\nPING {peer} ({peer}): 56 data bytes\n"), ping
        assert "2 packets transmitted, 2 packets received, 0.0% packet loss" in ping.out, ping

    several = "vjail: several hosts have a jail web; say which: a:web, b:web\n"
    assert box.vjail("exec", "-p", LAB, "web", "true") == Result(1, "", several)
    assert box.vjail("exec", "-p", LAB, "b:web", "ifconfig", "-l") == Result(0, "lo0 epair1b\n", "")
    assert box.vjail("shell", "-p", LAB, "-c", "true") == Result(1, "", "vjail: which host? there are: a, b\n")

    assert box.vjail("stop", "-p", LAB, "a:off") == Result(0, "", "a:off: stopped\n")
    assert box.vjail("ls", LAB) == Result(0, SHOWN, "")
    data = json.loads(box.vjail("ls", "--json", LAB).out)
    plugs = [{"host": host, "nic": "vtnet0", "cut": False} for host in "ab"]
    assert data["wires"] == {"w0": {"cut": False, "nic": None, "delay": 0, "loss": 0, "rate": 0, "plugs": plugs}}
    assert [(host["host"], [jail["state"] for jail in host["jails"]]) for host in data["hosts"]] == [
        ("a", ["idle", "stopped"]),
        ("b", ["idle", "idle"]),
    ]
    start = box.vjail("start", "-p", LAB, "a:off")
    assert (start.code, start.err.splitlines()[0]) == (0, "a:off: started"), start
    assert box.vjail("down", LAB).code == 0


def test_a_base_made_on_purpose_is_what_jails_live_in(box: Sandbox) -> None:
    made = box.vjail("base", "lab/files/jails/base")
    assert made.code == 0, made
    (box.folder / "lab/files/jails/base/etc/made").write_text("on purpose\n")
    (box.folder / "lab/files/jails/web").mkdir()
    (box.folder / "lab/jail.conf").write_text(
        "whole { path = /jails/base; vnet; exec.start = '/bin/sh /etc/rc'; persist; }\n"
        'web { path = /jails/web; mount = "/jails/base /jails/web nullfs ro 0 0"; persist; }\n'
    )
    up = box.vjail("up", "lab")
    assert up.code == 0, up
    assert box.vjail("ls", "lab/jail.conf") == box.vjail("ls", "lab"), "both name the same lab"
    for jail in ("whole", "web"):
        said = box.vjail("exec", "-p", "lab", jail, "sh", "-c", "cat /etc/made; ls /sbin/ifconfig")
        assert said == Result(0, "on purpose\n/sbin/ifconfig\n", "")
    assert box.vjail("exec", "-p", "lab", "whole", "ifconfig", "lo0").out.startswith("lo0: flags=8049<UP,LOOPBACK")
    assert box.vjail("down", "lab").code == 0
