"""sysctl, hostname, uname, kenv, kldload, kldstat, kldunload: recorded lines and their further options and errors."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hostfake import FakeSession, Machine, recording, run_now

from vjail.command.hostname import hostname
from vjail.command.kenv import kenv
from vjail.command.kld import kldload, kldstat, kldunload
from vjail.command.reboot import reboot
from vjail.command.sysctl import sysctl
from vjail.command.uname import uname
from vjail.kernel.core.modules import KernelImage

COMMANDS: dict[str, Any] = {
    "sysctl": sysctl,
    "hostname": hostname,
    "uname": uname,
    "kenv": kenv,
    "kldload": kldload,
    "kldstat": kldstat,
    "kldunload": kldunload,
    "reboot": reboot,
    "halt": reboot,
}


def machine(**image: Any) -> Machine:
    host = Machine(image=KernelImage(**image))
    host.jails.add(1, "j1", "/", vnet="new")
    host.jails.add(2, "serverA", "/", host__hostname="serverA.allbsd.org", vnet="new")
    host.jails.add(3, "shared", "/", allow__set_hostname=True)
    return host


def typed(host: Machine, line: str, **more: Any) -> tuple[str, str, int]:
    words = shlex.split(line)
    session = FakeSession(host, words, **more)
    code = run_now(COMMANDS[words[0]], session)
    return session.output, session.errors, code


def recorded(path: str, command: str) -> tuple[str, str, int]:
    step = next(step for step in recording(path) if step.command == command)
    return step.out, step.err, step.code


RECORDED = [
    ("observed/f8_devfs_rule_depth.txt", "sysctl -d vfs.devfs", 0),
    ("observed/f8_devfs_rule_depth.txt", "sysctl vfs.devfs", 0),
    ("observed/f8_devfs_rule_depth.txt", "sysctl vfs.devfs.rule_depth=2", 0),
    ("observed/c1_ifconfig_errors.txt", "sysctl net.link.bridge", 0),
    ("observed/h_timings.txt", "sysctl hw.ncpu hw.physmem hw.model", 0),
    ("observed/e_mac.txt", "sysctl kern.hostuuid kern.hostid", 0),
    ("observed/e_mac.txt", "kenv smbios.system.uuid", 0),
    ("observed/b1_two_jails.txt", "jexec jail_01 sysctl -n security.jail.jailed", 1),
    ("observed/b1_two_jails.txt", "sysctl -n security.jail.jailed", 0),
    ("observed/b1_two_jails.txt", "sysctl kern.features.vimage", 0),
    ("observed/a_ifconfig.txt", "uname -a", 0),
    ("replay/documents-C.txt", "jexec serverA hostname foo", 2),
    ("replay/documents-C.txt", "jexec serverA hostname", 2),
    ("replay/documents-C.txt", "jexec serverA sysctl kern.hostname=bar", 2),
    ("replay/documents-C.txt", "jexec serverA kldload if_bridge", 2),
    ("replay/documents-C.txt", "jexec serverA reboot", 2),
    ("replay/vnet.txt", "jexec j1 sysctl net.inet.ip.forwarding", 1),
    ("replay/vnet.txt", "jexec j1 sysctl net.inet.ip.forwarding=1", 1),
]


@pytest.mark.parametrize(("path", "command", "jid"), RECORDED)
def test_recorded_lines(path: str, command: str, jid: int) -> None:
    words = command.split(" ", 2)
    line = words[2] if words[0] == "jexec" else command
    assert typed(machine(), line, jid=jid) == recorded(path, command)


LINES = [
    (0, "sysctl", "", "usage: sysctl [-bdehiNnoqTtWx] [ -B <bufsize> ] [-f filename] name[=value] ...\n"
     "       sysctl [-bdehNnoqTtWx] [ -B <bufsize> ] -a\n", 1),
    (0, "sysctl nosuch", "", "sysctl: unknown oid 'nosuch'\n", 1),
    (0, "sysctl -i nosuch kern.ostype", "kern.ostype: FreeBSD\n", "", 0),
    (0, "sysctl nosuch=1 kern.ostype", "kern.ostype: FreeBSD\n", "sysctl: unknown oid 'nosuch'\n", 1),
    (0, "sysctl kern.ostype=x", "", "sysctl: oid 'kern.ostype' is read only\n", 1),
    (0, "sysctl net.fibs=2", "", "sysctl: oid 'net.fibs' is a read only tunable\n"
     "sysctl: Tunable values are set in /boot/loader.conf\n", 1),
    (0, "sysctl net.inet=2", "", "sysctl: oid 'net.inet' isn't a leaf node\n", 1),
    (0, "sysctl net.inet.ip.ttl=", "", "sysctl: empty numeric value\n", 1),
    (0, "sysctl net.inet.ip.ttl=x", "", "sysctl: invalid integer 'x'\n", 1),
    (0, "sysctl vfs.devfs.rule_depth=x", "", "sysctl: invalid unsigned integer 'x'\n", 1),
    (0, "sysctl -n net.inet.ip.ttl=0x20", "64 -> 32\n", "", 0),
    (0, "sysctl -e net.inet.ip.ttl", "net.inet.ip.ttl=64\n", "", 0),
    (0, "sysctl -N vfs.devfs", "vfs.devfs.dotimes\nvfs.devfs.rule_depth\nvfs.devfs.generation\n", "", 0),
    (0, "sysctl kern.hostid=12345", "kern.hostid: 1302439602 -> 12345\n", "", 0),
    (0, "sysctl kern.hostid=0x32bd398d", "kern.hostid: 1302439602 -> 851261837\n", "", 0),
    (0, "sysctl kern.hostname=a.b", "kern.hostname: fbsd.local -> a.b\n", "", 0),
    (1, "sysctl vfs.devfs.rule_depth=2", "vfs.devfs.rule_depth: 1\n",
     "sysctl: vfs.devfs.rule_depth=2: Operation not permitted\n", 1),
    (3, "sysctl net.inet.ip.forwarding=1", "net.inet.ip.forwarding: 0\n",
     "sysctl: net.inet.ip.forwarding=1: Operation not permitted\n", 1),
    (3, "sysctl kern.hostname=x", "kern.hostname:  -> x\n", "", 0),
    (1, "sysctl -n security.jail.vnet security.jail.enforce_statfs kern.hostuuid",
     "1\n2\n00000000-0000-0000-0000-000000000000\n", "", 0),
    (0, "sysctl -n security.jail.vnet security.jail.set_hostname_allowed", "0\n1\n", "", 0),
    (3, "sysctl -n security.jail.vnet security.jail.set_hostname_allowed", "0\n1\n", "", 0),
    (0, "hostname", "fbsd.local\n", "", 0),
    (0, "hostname -s", "fbsd\n", "", 0),
    (0, "hostname -d", "local\n", "", 0),
    (0, "hostname a b", "", "usage: hostname [-f] [-s | -d] [name-of-host]\n", 1),
    (0, "hostname new.name", "", "", 0),
    (0, "uname", "FreeBSD\n", "", 0),
    (0, "uname -mrip", "13.2-RELEASE amd64 amd64 JAILVM\n", "", 0),
    (0, "uname -K", "1302001\n", "", 0),
    (0, "uname x", "", "usage: uname [-abiKmnoprsUv]\n", 1),
    (0, "kenv", 'loader="x"\nhint.a="b c"\n', "", 0),
    (0, "kenv -h", 'hint.a="b c"\n', "", 0),
    (0, "kenv -N", "loader\nhint.a\n", "", 0),
    (0, "kenv -v loader", 'loader="x"\n', "", 0),
    (0, "kenv loader", "x\n", "", 0),
    (0, "kenv -q nosuch", "", "", 255),
    (0, "kenv a=b", "", "kenv: unable to set a to b\n", 255),
    (2, "halt -p", "", "halt: SIGTSTP init: No such process\n", 1),
    (2, "halt -z", "", "halt: illegal option -- z\nusage: halt [-clNnpq] [-k kernel]\n", 1),
    (0, "reboot", "", "reboot: a lab host is not rebooted: `vjail down` and `vjail up` start it anew\n", 1),
    (0, "kldload", "", "usage: kldload [-nqv] file ...\n", 1),
    (0, "kldload if_epair", "", "kldload: can't load if_epair: module already loaded or in kernel\n", 1),
    (0, "kldload -n if_epair", "", "", 0),
    (0, "kldload -nv if_epair", "if_epair is already loaded\n", "", 0),
    (0, "kldload -v if_gre.ko", "Loaded if_gre.ko, id=2\n", "", 0),
    (0, "kldload if_nosuch", "", "kldload: can't load if_nosuch: No such file or directory\n", 1),
    (0, "kldstat -m if_epair", "Id  Refs Name\n  1    1 if_epair\n", "", 0),
    (0, "kldstat -q -m if_epair", "", "", 0),
    (0, "kldstat -m if_gre", "", "kldstat: can't find module if_gre: No such file or directory\n", 1),
    (0, "kldstat -q -m if_gre", "", "", 1),
    (0, "kldstat -n if_gre", "", "kldstat: can't find file if_gre: No such file or directory\n", 1),
    (0, "kldstat -i 9", "", "kldstat: can't stat file id 9: No such file or directory\n", 1),
    (0, "kldunload if_gre", "", "kldunload: can't find file if_gre\n", 1),
    (0, "kldunload kernel", "", "kldunload: can't unload file: Device busy\n", 1),
    (0, "kldunload", "", "usage: kldunload [-fv] -i id ...\n       kldunload [-fv] [-n] name ...\n", 64),
]  # fmt: skip


@pytest.mark.parametrize(("jid", "line", "out", "errors", "code"), LINES)
def test_lines(jid: int, line: str, out: str, errors: str, code: int) -> None:
    host = machine(environment={"loader": "x", "hint.a": "b c"})
    assert typed(host, line, jid=jid) == (out, errors, code)


def test_a_kernel_without_vimage() -> None:
    assert typed(machine(vimage=False), "sysctl kern.features.vimage") == (
        "",
        "sysctl: unknown oid 'kern.features.vimage'\n",
        1,
    )


def test_each_stack_has_values_of_its_own() -> None:
    host = machine()
    typed(host, "sysctl net.inet.ip.ttl=1 net.inet6.ip6.forwarding=1", jid=1)
    assert typed(host, "sysctl -n net.inet.ip.ttl net.inet6.ip6.forwarding", jid=1)[0] == "1\n1\n"
    assert typed(host, "sysctl -n net.inet.ip.ttl net.inet6.ip6.forwarding", jid=2)[0] == "64\n0\n"
    assert typed(host, "sysctl -n net.inet.ip.ttl net.inet6.ip6.forwarding")[0] == "64\n0\n"
    assert typed(host, "sysctl -n net.inet.ip.ttl", jid=3)[0] == "64\n"


def test_every_sysctl_can_be_shown_everywhere() -> None:
    host = machine()
    shown = [typed(host, "sysctl -a", jid=jid)[0].splitlines() for jid in (0, 1, 3)]
    assert len({len(lines) for lines in shown}) == 1
    assert all(": " in line for lines in shown for line in lines)
    assert typed(host, "sysctl -ad")[0].count("\n") == len(shown[0])


def test_a_file_of_sysctls() -> None:
    host = machine()
    host.files.put("/etc/sysctl.conf", "# x\nnet.inet.ip.forwarding = 1 # y\n\nnosuch=1\nnet.inet.ip.ttl=q\n")
    assert typed(host, "sysctl -f /etc/sysctl.conf") == (
        "net.inet.ip.forwarding: 0 -> 1\n",
        "sysctl: unknown oid 'nosuch' at line 4\nsysctl: invalid integer 'q' at line 5\n",
        1,
    )
    assert typed(host, "sysctl -f /nosuch") == ("", "sysctl: /nosuch: No such file or directory\n", 1)


def test_only_root_changes_anything() -> None:
    host = machine()
    assert typed(host, "sysctl net.inet.ip.ttl=1", uid=5)[1] == "sysctl: net.inet.ip.ttl=1: Operation not permitted\n"
    assert typed(host, "hostname x", uid=5)[1] == "hostname: sethostname: Operation not permitted\n"
    assert typed(host, "kldload if_gre", uid=5)[1] == "kldload: can't load if_gre: Operation not permitted\n"


def test_modules_come_and_go() -> None:
    """The columns are those of kldstat(8) on a 13 machine; `kldstat | grep if_epair` is what the documents type."""
    host = machine(compiled_in=("if_bridge",), loadable={"if_epair": 0x3218, "if_gre": 0x1000})
    header = "Id Refs Address                Size Name\n"
    kernel = " 1    {} 0xffffffff80200000  1f3e2d0 kernel\n"
    assert typed(host, "kldstat") == (header + kernel.format(1), "", 0)
    assert typed(host, "kldload if_epair if_gre") == ("", "", 0)
    epair = " 2    1 0xffffffff82518000     3218 if_epair.ko\n"
    gre = " 3    1 0xffffffff8251c000     1000 if_gre.ko\n"
    assert typed(host, "kldstat")[0] == header + kernel.format(3) + epair + gre
    assert typed(host, "kldstat -n if_epair.ko")[0] == header + epair
    assert typed(host, "kldstat -v -i 2")[0] == (
        header
        + epair.rstrip("\n")
        + " (/boot/kernel/if_epair.ko)\n\tContains modules:\n\t\t Id Name\n\t\t 2 if_epair\n"
    )
    assert typed(host, "kldstat -h")[0].splitlines()[1:3] == [
        " 1    3 0xffffffff80200000   31M kernel",
        " 2    1 0xffffffff82518000   13K if_epair.ko",
    ]
    assert typed(host, "kldunload -v if_epair") == ("Unloading if_epair.ko, id=2\n", "", 0)
    assert typed(host, "kldunload -i 3") == ("", "", 0)
    assert typed(host, "kldstat") == (header + kernel.format(1), "", 0)
    assert not host.modules.has("if_epair")
    assert host.modules.available("if_epair")


def test_uname_from_the_environment() -> None:
    assert typed(machine(), "uname -r", environ={"UNAME_r": "12.1-RELEASE"})[0] == "12.1-RELEASE\n"
