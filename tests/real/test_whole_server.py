"""Row C1: a whole server as a jail, started by its own /etc/rc, reached from another machine, and copied from one."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from sandbox import NOBODY, PATH, Sandbox, interpreter
from seat import Seat
from test_users import subordinate
from typed import LAB, make

pytestmark = pytest.mark.real

WHOLE, COPIED = "C1-whole-server", "C1-copied-server"
PRINTED = Path(__file__).parent.parent / "data" / "documents" / "C1.jail.conf"
_LAB_FILE = """\
wires: {lan: {}}
hosts:
  serverC: {files: C1-whole-server, nics: {em0: lan, em1: lan}}
  client: {files: C1-copied-server/client, nics: {em0: lan}}
"""
_MOUNTS = """\
procfs on /jails/serverA/proc (procfs, local)
devfs on /jails/serverA/dev (devfs)
fdescfs on /jails/serverA/dev/fd (fdescfs)
"""
_PACK = (
    "tar -C / --one-file-system --exclude ./dev --exclude ./proc -cf - "
    ". usr/local/etc/nginx usr/local/etc/rc.d usr/local/www"
)
"""All of a machine but its world, /usr, which is the same everywhere, and what it has installed there itself."""
_IN_THE_JAIL = "ifconfig em1 vnet serverA; jexec serverA service netif start em1 >/dev/null"


@pytest.fixture
def nginx() -> None:
    if shutil.which("nginx", path=PATH) is None:
        pytest.skip("needs nginx, which make test installs as root")


def at(box: Sandbox, lab: str, host: str, line: str) -> str:
    """What a line says that is typed at a host; it fails at nothing."""
    done = box.vjail("shell", "-p", lab, host, "-c", line)
    assert (done.code, done.err) == (0, ""), f"{line}: {done}"
    return done.out


def fetched(box: Sandbox, lab: str, address: str) -> str:
    """What the client gets for http://ADDRESS/."""
    line = f"exec 3<>/dev/tcp/{address}/80 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
    done = box.vjail("shell", "-p", lab, "client", "-c", f"timeout 10 bash -c {shlex.quote(line)}")
    return done.out.replace("\r", "") if done.code == 0 else done.err


def test_a_server_as_printed(box: Sandbox, nginx: None) -> None:
    (box.folder / "vjail.yml").write_text(_LAB_FILE)
    up = box.vjail("up")
    assert up.code == 0, up
    assert f"{WHOLE}/jail.conf:10:1: serverA: devfs ruleset 10 is defined nowhere, so every device shows" in up.err, up
    assert "ruleset 10 is none of FreeBSD's own" in box.vjail("check", WHOLE).out
    # Started by its own rc, what that printed is in the log of its console.
    console = at(box, ".", "serverC", "cat /var/log/jail_serverA_console.log")
    said = [line for line in console.splitlines() if line.startswith("Starting ")]
    assert said == ["Starting Network: lo0.", *(f"Starting {each}." for each in ("syslogd", "cron", "nginx"))]
    # With lo0 alone, its mounts, and every device: ruleset 10 is defined nowhere.
    assert at(box, ".", "serverC", "jexec serverA ifconfig -l") == "lo0\n"
    assert at(box, ".", "serverC", "mount | grep serverA") == _MOUNTS
    assert at(box, ".", "serverC", "jexec serverA ls /dev | grep -x -e mem -e kmem -e 'vtbd0p.*' | xargs") == (
        "kmem mem vtbd0p1 vtbd0p2\n"
    )
    assert at(box, ".", "serverC", "jexec serverA ls /proc/self/status /dev/fd | xargs") == (
        "/proc/self/status /dev/fd: 0 1 2\n"
    )
    for refused in ("hostname other", "mount -t tmpfs tmpfs /tmp"):
        done = box.vjail("shell", "serverC", "-c", f"jexec serverA {refused}")
        assert (done.code, done.err.rpartition(": ")[2]) == (1, "Operation not permitted\n"), done
    assert "1 packets received" in at(box, ".", "serverC", "jexec serverA ping -c 1 127.0.0.1")
    # The document's method 1: a card of its own; then it is a server on the wire, and the host none.
    at(box, ".", "serverC", _IN_THE_JAIL)
    for address in ("192.168.2.4", "2001:db8:2::4"):
        assert re.fullmatch(r"HTTP/1.1 200 OK\n(.+\n)+\nserverA\n", fetched(box, ".", address))
    assert "Connection refused" in fetched(box, ".", "192.168.2.3")
    log = at(box, ".", "serverC", "cut -d' ' -f1 /jails/serverA/var/log/nginx/access.log")
    assert log == "192.168.2.10\n2001:db8:2::10\n"
    if box.uid == 0:
        # A daemon that gives up root.
        at(box, ".", "serverC", "jexec serverA sysrc nginx_runas='www www'; jexec serverA service nginx restart")
        users = at(box, ".", "serverC", "jexec serverA ps -axo user,command")
        assert re.findall(r"^(\w+) +nginx: (\w+)", users, re.MULTILINE) == [("root", "master"), ("www", "worker")]
        assert fetched(box, ".", "192.168.2.4").endswith("\nserverA\n")
    _console(box)
    assert at(box, ".", "serverC", "/etc/rc.d/jail stop") == "Stopping jails: serverA.\n"
    assert (
        at(box, ".", "serverC", "ifconfig -l; mount | grep serverA; jls jid; ls /var/run | grep jail_; :")
        == "em0 lo0 em1\n"
    )
    assert box.vjail("down").code == 0


@pytest.mark.root
@pytest.mark.parametrize("uid", [NOBODY], ids=["subordinate ids"])
def test_with_subordinate_ids_daemons_give_up_root(box: Sandbox, nginx: None, uid: int) -> None:
    with subordinate(box):
        up = box.vjail("up", WHOLE)
        assert up.code == 0, up
        box.shell("jexec serverA sysrc nginx_runas='www www'; jexec serverA service nginx restart", WHOLE)
        users = box.shell("jexec serverA ps -axo user,command", WHOLE).out
        assert re.findall(r"^(\w+) +nginx: (\w+)", users, re.MULTILINE) == [("root", "master"), ("www", "worker")]
        assert box.vjail("down", WHOLE).code == 0


def _console(box: Sandbox) -> None:
    """rc.d/jail's console is a login of root by the jail's own passwd(5)."""
    at(box, ".", "serverC", "sed -i 's,:/root:,:/usr/local/www/nginx:,' /jails/serverA/etc/passwd")
    with Seat(box, ".", "serverC") as seat:
        assert "/etc/rc.d/jail" not in seat.type("/etc/rc.d/jail console serverA")
        assert seat.type("hostname; id -un; pwd; ls") == (
            "serverA.allbsd.org\nroot\n/usr/local/www/nginx\nindex.html\n"
        )
        assert seat.type("test -t 0 && echo a terminal") == "a terminal\n"
        seat.type("exit")
        assert seat.type("hostname") == "serverC\n"


def _carry(box: Sandbox, lab: str, source: str, pack: str, target: str, unpack: str) -> None:
    """Pipe what a line at one host writes into a line at another."""
    first, second = (
        box.command(interpreter(), "-m", "vjail", "shell", "-p", lab, host, "-c", line)
        for host, line in ((source, pack), (target, unpack))
    )
    with subprocess.Popen(first, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=box.environ) as packing:
        done = subprocess.run(second, stdin=packing.stdout, capture_output=True, env=box.environ, timeout=60)
        said = packing.stderr.read().decode() if packing.stderr else ""
    assert (packing.returncode, done.returncode, done.stderr) == (0, 0, b""), (said[-2000:], done.stderr[-2000:])


def test_a_machine_becomes_a_jail(box: Sandbox, nginx: None) -> None:
    """What examples/README.md says to type for C1-copied-server."""
    assert (box.folder / COPIED / "serverC/jail.conf").read_bytes() == PRINTED.read_bytes()
    up = box.vjail("up", "--no-jails", COPIED)
    assert up.code == 0, up
    assert fetched(box, COPIED, "192.168.2.4").endswith("\nserverA\n")
    at(box, COPIED, "serverA", "echo 'kept on the old machine' >/root/notes")
    _carry(box, COPIED, "serverA", _PACK, "serverC", "tar -C /jails/serverA -xpf -")
    assert box.vjail("cut", "-p", COPIED, "serverA:em0").code == 0
    gone = box.vjail("shell", "-p", COPIED, "client", "-c", "ping -c 1 -t 1 192.168.2.4")
    assert "0 packets received" in gone.out, gone
    configuration = 'ifconfig_em1="inet 192.168.2.4/24" ifconfig_em1_ipv6="inet6 2001:db8:2::4/64"'
    at(box, COPIED, "serverC", f"sysrc -f /jails/serverA/etc/rc.conf {configuration}")
    assert at(box, COPIED, "serverC", "/etc/rc.d/jail start") == "Starting jails: serverA.\n"
    at(box, COPIED, "serverC", _IN_THE_JAIL)
    # At the same address, which the client knows at once to be another card's.
    for address in ("192.168.2.4", "2001:db8:2::4"):
        assert fetched(box, COPIED, address).endswith("\nserverA\n")
    assert at(box, COPIED, "serverC", "jexec serverA cat /root/notes") == "kept on the old machine\n"
    log = at(box, COPIED, "serverC", "cut -d' ' -f1 /jails/serverA/var/log/nginx/access.log | xargs")
    assert log == "192.168.2.10 192.168.2.10 2001:db8:2::10\n", "the first on the old machine"
    assert box.vjail("down", COPIED).code == 0


def test_a_machine_copied_with_all_its_programs(box: Sandbox) -> None:
    """Nothing is there but what was copied: "the files of a machine that runs already, all of them"."""
    make(
        box,
        {
            "vjail.yml": "hosts: {old: {files: old, userland: minimal}, new: {userland: minimal}}\n",
            "old/rc.conf": 'hostname="old"\n',
        },
    )
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    pack = "tar -C / --exclude ./dev --exclude ./proc -cf - ."
    _carry(box, LAB, "old", pack, "new", "mkdir -p /jails/old/dev && tar -C /jails/old -xpf -")
    start = "jail -c name=old path=/jails/old vnet mount.devfs exec.start='/bin/sh /etc/rc'"
    assert "\nStarting cron.\n" in box.vjail("shell", "-p", LAB, "new", "-c", start).out
    assert at(box, LAB, "new", "jexec old ps -axo command | tail -n +2") == "/usr/sbin/syslogd -s\n/usr/sbin/cron -s\n"
    assert at(box, LAB, "new", "jexec old sysrc -n hostname") == "old\n"
    assert at(box, LAB, "new", "jail -r old") == ""
    assert box.vjail("down", LAB).code == 0
