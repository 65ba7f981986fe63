"""What the root of a jail may do on this kernel, and what not: tried by programs inside, and with FreeBSD's commands.

Expected is what FreeBSD 13.2 allows (prison_priv_check in sys/kern/kern_jail.c; the parameters' meaning in jail(8));
where Linux answers otherwise, docs/differences.md has the reason.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lives import kill, server
from sandbox import Sandbox, interpreter
from typed import LAB, make, transcript

pytestmark = pytest.mark.real

ATTEMPTS = (Path(__file__).parent / "attempts.py").read_text()
PYTHON = "/usr/bin/python3"

EVERYTHING = (
    "allow.sysvipc; allow.raw_sockets; allow.chflags; allow.mount; allow.mount.devfs; allow.mount.procfs; "
    "allow.mount.tmpfs; allow.mount.nullfs; enforce_statfs = 1; allow.quotas; allow.socket_af; allow.mlock; "
    "children.max = 3;"
)
JAIL_CONF = f"""
path = "/j/$name"; host.hostname = "$name"; persist; mount.devfs; mount.procfs;
exec.start = "ifconfig lo0 inet 127.0.0.1/8";
vnet    {{ vnet; }}
vless   {{ vnet; allow.noset_hostname; allow.noreserved_ports; }}
vmore   {{ vnet; {EVERYTHING} }}
nosuser {{ vnet; allow.nosuser; }}
vroot   {{ vnet; path = /; mount.nodevfs; mount.noprocfs; }}
shared  {{ ip4 = inherit; ip6 = inherit; exec.start = ""; }}
sless   {{ ip4 = inherit; ip6 = inherit; exec.start = ""; allow.noset_hostname; allow.noreserved_ports; }}
smore   {{ ip4 = inherit; ip6 = inherit; exec.start = ""; {EVERYTHING} }}
sroot   {{ ip4 = inherit; ip6 = inherit; exec.start = ""; path = /; mount.nodevfs; mount.noprocfs; }}
"""
VNETS = ("vnet", "vless", "vmore", "nosuser", "vroot")
JAILS = (*VNETS, "shared", "sless", "smore", "sroot")


ANY = "any jail"


@dataclass(frozen=True)
class Row:
    """An attempt, and how it ends in a jail with a vnet and in one without; `where` has the jails that differ.

    `user`: what differs in a lab that has a single user id.
    """

    attempt: str
    vnet: str
    shared: str
    where: dict[str, str] = field(default_factory=dict)
    user: dict[str, str] = field(default_factory=dict)

    def expected(self, jail: str, *, root: bool) -> str:
        usual = self.vnet if jail in VNETS else self.shared
        if not root and self.user:
            usual = self.user.get(ANY, self.where.get(jail, usual))
            return self.user.get(jail, usual)
        return self.where.get(jail, usual)


def same(answer: str, *attempts: str, nosuser: str | None = None) -> list[Row]:
    """Attempts that end the same everywhere; `nosuser`: but where the jail's root is not privileged."""
    where = {} if nosuser is None else {"nosuser": nosuser}
    return [Row(attempt, answer, answer, where) for attempt in attempts]


NOBODY = {"nosuser": "EPERM"}
ONLY_ROOTS = {"nosuser": "EACCES"}
TABLE = (
    *same("EPERM", "mount tmpfs", "mount proc", "mount sysfs", "mount --bind", "mount -o remount,rw", "umount"),
    *same("EPERM", "fsopen", "open_tree", "move_mount", "mount_setattr", "pivot_root"),
    *same("ok", "chroot", "chroot escape", nosuser="EPERM"),
    *same("ok", "/.."),
    *same("EACCES", "/proc/1/root", "/proc/1/cwd", "/proc/1/ns/mnt", "/proc/1/mem"),
    *same("EPERM", "name_to_handle_at", "open_by_handle_at"),
    *same("none", "descriptors"),
    *same("EPERM", "unshare user", "unshare mnt", "unshare net", "unshare pid", "unshare uts", "unshare ipc"),
    *same("EPERM", "unshare cgroup", "unshare time", "clone user", "clone user mnt net", "setns own"),
    *same("ENOSYS", "clone3", "io_uring_setup"),
    *same("EPERM", "mknod null", "mknod disk", "mknod 0:0"),
    *same("ok", "mkfifo"),
    *same("EPERM", "init_module", "finit_module", "delete_module", "kexec_load", "reboot", "swapon", "swapoff"),
    *same("EPERM", "acct", "quotactl", "clock_settime", "settimeofday", "adjtimex", "clock_adjtime", "syslog"),
    *same("ok", "adjtimex, reading"),
    *same("EPERM", "bpf", "perf_event_open", "userfaultfd", "fanotify_init", "add_key", "keyctl", "TIOCSTI"),
    *same("EROFS", "write /proc/sys/kernel", "write /proc/sys/vm", "write /proc/sys/fs"),
    *same("ENOENT", "/sys", "net.core.netdev_budget"),
    *same("empty", "read /proc/kallsyms", "read /proc/kmsg", "read /proc/keys", "read /proc/timer_list"),
    *same("empty", "read /proc/kpageflags"),
    *same("ok", "read /proc/meminfo"),
    Row("net.ipv4.ip_forward", "ok", "EROFS", NOBODY, user=ONLY_ROOTS),
    # What belongs to user 0 is the jail's root's, privileged or not.
    Row("net.ipv4.ip_default_ttl", "ok", "EROFS", user=ONLY_ROOTS),
    Row("net.core.somaxconn", "ok", "EROFS", user=ONLY_ROOTS),
    *same("own", "processes"),
    *same("ok", "kill -1", "ptrace own child"),
    *same("EPERM", "ptrace 1"),
    Row("raw socket", "ok", "EPERM", {"smore": "ok"} | NOBODY),
    Row("raw6 socket", "ok", "EPERM", {"smore": "ok"} | NOBODY),
    Row("icmp socket", "ok", "EPROTONOSUPPORT", {"smore": "ok"}),
    Row("icmp6 socket", "ok", "EPROTONOSUPPORT", {"smore": "ok"}),
    Row("packet socket", "ok", "EPROTONOSUPPORT", {"smore": "EPERM"} | NOBODY),
    Row("SOCK_PACKET", "ok", "EPERM", NOBODY),
    Row("xdp socket", "EPROTONOSUPPORT", "EPROTONOSUPPORT", {"vmore": "ok", "smore": "EPERM"}),
    *same("ok", "unix socket", "udp socket", "port 7007"),
    Row("interface up", "ok", "EPERM", NOBODY),
    Row("interface address", "ok", "EPERM", NOBODY),
    Row("route", "ok", "EPERM", NOBODY),
    Row("new interface", "ok", "EPERM", NOBODY),
    Row("port 7", "ok", "ok", {"nosuser": "EACCES", "vless": "EACCES", "sless": "EACCES"}),
    # sethostname(2) is Linux's administrator's; hostname(1), which is vjail's, works in both.
    Row("sethostname", "ok", "EPERM", {"vless": "EPERM"} | NOBODY),
    Row("setdomainname", "ok", "EPERM", {"vless": "EPERM"} | NOBODY),
    *(Row(kind, "ENOSYS", "ENOSYS", {"vmore": "ok", "smore": "ok"}) for kind in ("msgget", "semget", "shmget")),
    Row("mlock", "EPERM", "EPERM", {"vmore": "ok", "smore": "ok"}),
    *same("EPERM", "chflags"),
    Row("chown", "ok", "ok", NOBODY, user={ANY: "EINVAL"}),
    Row("setuid", "ok", "ok", NOBODY, user={ANY: "EPERM"}),
    Row("rename in /dev", "ok", "ok", ONLY_ROOTS, user={ANY: "EBUSY"} | ONLY_ROOTS),
    *same("ok", "openpty", "write /dev/null", "read /dev/zero", "read /dev/random"),
    Row(
        "read /dev/mem",
        "ENOENT",
        "ENOENT",
        {"vroot": "ENXIO", "sroot": "ENXIO"},
        {"vroot": "EACCES", "sroot": "EACCES"},
    ),
)
ELSEWHERE = {"capabilities", "/dev", "alg socket", "write /proc/sysrq-trigger"}
"""Attempts whose answers depend on the machine; those that matter have tests of their own."""

BOUND = {
    "vnet": "0 1 3 4 5 6 7 8 10 11 12 13 15 18 19 21 23 29 31",
    "vless": "0 1 3 4 5 6 7 8 11 12 13 15 18 19 23 29 31",
    "vmore": "0 1 3 4 5 6 7 8 10 11 12 13 14 15 18 19 21 23 29 31",
    "nosuser": "none",
    "vroot": "0 1 3 4 5 6 7 8 10 11 12 13 15 18 19 21 23 29 31",
    "shared": "0 1 3 4 5 6 7 8 10 18 29",
    "sless": "0 1 3 4 5 6 7 8 18 29",
    "smore": "0 1 3 4 5 6 7 8 10 13 14 18 29",
    "sroot": "0 1 3 4 5 6 7 8 10 18 29",
}
"""Linux's capabilities by number; a jail without a vnet has none that would be power over its host's namespaces."""


def test_what_a_jails_root_may_do(box: Sandbox, uid: int) -> None:
    make(box, {"jail.conf": JAIL_CONF})
    assert box.vjail("up", LAB).code == 0
    wrong, bounds = [], {}
    for jail in JAILS:
        tried = box.vjail("exec", "-p", LAB, jail, PYTHON, "-", input=ATTEMPTS)
        assert tried.code == 0, tried
        answers = json.loads(tried.out)
        assert set(answers) == {row.attempt for row in TABLE} | ELSEWHERE
        bounds[jail] = answers["capabilities"]
        for row in TABLE:
            expected = row.expected(jail, root=uid == 0)
            if answers[row.attempt] != expected:
                wrong.append(f"{jail}: {row.attempt}: {answers[row.attempt]}, not {expected}")
    assert not wrong, "\n".join(wrong)
    assert bounds == BOUND
    assert box.shell("sysctl -n net.inet.ip.forwarding; hostname; ifconfig -l", LAB).out == "0\nfbsd\nvtnet0 lo0\n"
    assert box.vjail("down", LAB).code == 0


COMMANDS = """\
vnet# sysctl net.inet.ip.forwarding=1
net.inet.ip.forwarding: 0 -> 1
vnet# sysctl kern.hostname=renamed
kern.hostname: vnet -> renamed
vnet# sysctl vfs.devfs.rule_depth=2
vfs.devfs.rule_depth: 1
sysctl: vfs.devfs.rule_depth=2: Operation not permitted
[exit 1]
vnet# ifconfig epair create
epair0a
vnet# ifconfig epair0a destroy
vnet# route add -net 10.1.0.0/16 127.0.0.1
add net 10.1.0.0: gateway 127.0.0.1
vnet# ping -c 1 -q 127.0.0.2
PING 127.0.0.2 (127.0.0.2): 56 data bytes

--- 127.0.0.2 ping statistics ---
1 packets transmitted, 1 packets received, 0.0% packet loss
round-trip min/avg/max/stddev = TIMES ms
vnet# mount -t tmpfs tmpfs /mnt
mount: tmpfs: Operation not permitted
[exit 1]
vnet# devfs rule -s 10 add hide
devfs rule: ioctl DEVFSIO_RADD: Operation not permitted
[exit 1]
vnet# devfs -m /dev rule -s 4 applyset
devfs rule: ioctl DEVFSIO_SAPPLY: Operation not permitted
[exit 1]
vnet# kldload if_bridge
kldload: can't load if_bridge: Operation not permitted
[exit 1]
vnet# jail -c name=c path=/ persist
jail: jail_set: Operation not permitted
[exit 1]
vnet# jexec shared hostname
jexec: jail "shared" not found
[exit 1]
vnet# jail -R shared
jail: "shared" not found
[exit 1]
vnet# jls
   JID  IP Address      Hostname                      Path
vless# hostname another
hostname: sethostname: Operation not permitted
[exit 1]
shared# hostname another
shared# hostname
another
sless# hostname another
hostname: sethostname: Operation not permitted
[exit 1]
shared# sysctl net.inet.ip.forwarding=1
net.inet.ip.forwarding: 0
sysctl: net.inet.ip.forwarding=1: Operation not permitted
[exit 1]
shared# ifconfig epair create
ifconfig: SIOCIFCREATE2 (epair): Operation not permitted
[exit 1]
shared# ifconfig lo0 127.0.0.2 alias
ifconfig: ioctl (SIOCAIFADDR): permission denied
[exit 1]
shared# ifconfig vtnet0 down
ifconfig: down: permission denied
[exit 1]
shared# route add default 127.0.0.1
route: writing to routing socket: Operation not permitted
[exit 1]
shared# ping -c 1 127.0.0.1
ping: ssend socket: Operation not permitted
[exit 71]
smore# ping -c 1 -q 127.0.0.1
PING 127.0.0.1 (127.0.0.1): 56 data bytes

--- 127.0.0.1 ping statistics ---
1 packets transmitted, 1 packets received, 0.0% packet loss
round-trip min/avg/max/stddev = TIMES ms
smore# ifconfig lo0 127.0.0.2 alias
ifconfig: ioctl (SIOCAIFADDR): permission denied
[exit 1]
vmore# mount -t tmpfs tmpfs /mnt
vmore# touch /mnt/written
vmore# ls /mnt
written
vmore# mount -t fdescfs fdesc /media
mount: fdesc: Operation not permitted
[exit 1]
vmore# umount /mnt
vmore# mount -t nullfs -o ro /etc /mnt
vmore# mount
/dev/vtbd0p2 on / (ufs, local, noatime)
devfs on /dev (devfs)
procfs on /proc (procfs, local)
/j/vmore/etc on /mnt (nullfs, local, noatime, read-only)
vmore# ls /mnt/hosts
/mnt/hosts
vmore# umount /mnt
vmore# umount /dev
umount: unmount of /dev failed: Operation not permitted
[exit 1]
smore# mount -t devfs devfs /mnt
smore# ls /mnt/null /mnt/mem
/mnt/mem
/mnt/null
smore# umount /mnt
vmore# jail -c name=a path=/ persist
vmore# jail -c name=b path=/ persist vnet
vmore# jail -c name=c path=/ persist children.max=9
jail: jail_set: Operation not permitted
[exit 1]
vmore# jail -c name=c path=/ persist
vmore# jail -c name=d path=/ persist
jail: prison limit exceeded
[exit 1]
vmore# jls name
a
b
c
vmore# jail -m name=a allow.raw_sockets
vmore# jail -m name=a allow.read_msgbuf
jail: jail_set: Operation not permitted
[exit 1]
vmore# jail -R a
vmore# jexec b hostname inside
vmore# jexec b true
vmore# sh -c "jexec b true"
jexec: jail_attach(11): Operation not permitted
[exit 1]
# sysctl -n net.inet.ip.forwarding
0
# hostname
fbsd
# ifconfig -l
vtnet0 lo0
"""


def test_what_freebsds_commands_may_do_in_a_jail(box: Sandbox) -> None:
    make(box, {"jail.conf": JAIL_CONF})
    assert box.vjail("up", LAB).code == 0
    answers = re.sub(r"= [0-9./]+ ms", "= TIMES ms", transcript(box, COMMANDS))
    assert answers == COMMANDS
    assert box.vjail("down", LAB).code == 0


NESTED = """
path = "/j/$name"; persist; mount.devfs; mount.procfs;
outer { vnet; children.max = 5; allow.sysvipc; exec.start = "ifconfig lo0 inet 127.0.0.1/8"; }
outer.in { path = "/j/outer"; mount.nodevfs; mount.noprocfs; sysvmsg = inherit; }
outer.own { path = "/j/outer"; mount.nodevfs; mount.noprocfs; vnet; }
"""


def test_a_jail_in_a_vnet_jail_shares_its_network_not_the_hosts(box: Sandbox) -> None:
    make(box, {"jail.conf": NESTED})
    assert box.vjail("up", LAB).code == 0
    looks = "readlink /proc/self/ns/net /proc/self/ns/ipc"
    seen = box.shell(f"{looks}; for j in outer outer.in outer.own; do jexec $j {looks}; done", LAB).out.split()
    host, outer, inner, own = (seen[at : at + 2] for at in range(0, 8, 2))
    assert inner == outer
    assert outer[0] != host[0] != own[0] != outer[0]
    assert outer[1] == host[1], "allow.sysvipc: the host's"
    tried = box.vjail("exec", "-p", LAB, "outer.in", PYTHON, "-", input=ATTEMPTS)
    answers = json.loads(tried.out)
    # It has no address: where jails are held to theirs, it has no IPv4 socket either.
    refused = {"EPERM", "EPROTONOSUPPORT"} if box.uid == 0 else {"EPERM"}
    for attempt in ("interface up", "interface address", "route", "raw socket", "new interface"):
        assert answers[attempt] in refused, "outer's network is not its own"
    assert answers["processes"] == "own"
    assert box.shell("jexec outer.in ifconfig -l; jexec outer.in ifconfig lo0 down", LAB).out == "lo0\n"
    # Another server finds them as the first one left them.
    kill(server(box))
    assert box.shell(f"jexec outer.in {looks}", LAB).out.split() == outer
    down = box.vjail("down", LAB)
    assert (down.code, down.err) == (0, "outer.own: stopped\nouter.in: stopped\nouter: stopped\n")


DEVICES = """
path = "/j/$name"; persist; mount.devfs;
four {}
bpf { devfs_ruleset = 61; }
open { devfs_ruleset = 62; }
"""
RULES = """
[devfsrules_bpf=61]
add include $devfsrules_hide_all
add include $devfsrules_unhide_basic
add path 'bpf*' unhide
add path zero mode 600
[devfsrules_open=62]
add include $devfsrules_jail
"""


def test_what_is_in_a_jails_dev(box: Sandbox, uid: int) -> None:
    """By its ruleset: jail(8)'s 4, one with bpf, and one that includes only what includes others: it hides nothing."""
    make(box, {"jail.conf": DEVICES, "devfs.rules": RULES})
    assert box.vjail("up", LAB).code == 0
    listed = box.shell("for j in four bpf open; do jexec $j ls -A /dev; echo; done", LAB).out
    four, bpf, everything = (set(part.split()) for part in listed.split("\n\n")[:3])
    terminals = {"ptmx", "pts"}
    assert four == {"fd", "null", "random", "stderr", "stdin", "stdout", "urandom", "zero"} | terminals
    assert bpf - terminals == {"bpf", "bpf0", "null", "random", "urandom", "zero"}
    assert everything >= {"mem", "kmem", "vtbd0", "pf"} | four
    modes = box.shell("jexec bpf stat -c '%a %n' /dev/null /dev/zero /dev/bpf", LAB).out
    # A lab with one user id binds this machine's nodes, whose modes are not its to change.
    assert modes == f"666 /dev/null\n{600 if uid == 0 else 666} /dev/zero\n600 /dev/bpf\n"
    reads = "for d in vtbd0 mem kmem bpf; do head -c 1 /dev/$d 2>&1; done; dd if=/dev/zero of=/dev/vtbd0 count=1 2>&1"
    refused = "Permission denied" if uid else "No such device or address"
    answers = box.vjail("exec", "-p", LAB, "open", "sh", "-c", reads).out.splitlines()
    assert len(answers) == 5
    assert all(refused in line for line in answers), answers
    assert box.vjail("down", LAB).code == 0


CATCHER = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
newest = max(int(name) for name in os.listdir("/proc") if name.isdigit())
print("watching", flush=True)
while not os.path.exists("/tmp/enough"):
    for pid in range(newest + 1, newest + 4):
        if libc.ptrace(0x4206, pid, 0, 0) == 0:
            print(open(f"/proc/{pid}/comm").read(), end="", flush=True)
            os.waitpid(pid, 0x40000000)
            newest = pid
"""
"""Looks into each process as soon as it may; says what it is called then."""


def test_nobody_inside_looks_into_what_comes_in_before_it_is_the_jails(box: Sandbox) -> None:
    """ptrace(2) is the right of a vnet jail's root; what is still vjail's holds more than the jail may have."""
    make(box, {"jail.conf": 'inside { path = "/j"; vnet; persist; mount.devfs; mount.procfs; }'})
    assert box.vjail("up", LAB).code == 0
    catcher = box.start(interpreter(), "-m", "vjail", "exec", "-p", LAB, "inside", PYTHON, "-c", CATCHER)
    assert catcher.stdout is not None
    assert catcher.stdout.readline() == "watching\n"
    enters = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do jexec inside /bin/sleep 0.03; done"
    assert box.shell(f"{enters}; touch /j/tmp/enough", LAB).code == 0
    caught, said = catcher.communicate(timeout=20)
    assert set(caught.split()) == {"sleep"}, said
    assert box.vjail("down", LAB).code == 0
