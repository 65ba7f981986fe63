"""Row B5: jails that share the host's stack are held to their addresses, with packets and against their own root.

Expected is what FreeBSD's kernel says (sys/netinet/in_jail.c, in_pcb.c, raw_ip.c …); where Linux answers otherwise,
docs/differences.md has the reason. Puppets (puppet.py) sit on the host, in each jail and on another host of the wire.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lives import kill, server
from puppet import SOURCE, Puppet
from sandbox import NOBODY, Result, Sandbox, interpreter, sandbox

pytestmark = pytest.mark.real

LAB = "stack"
PYTHON = "/usr/bin/python3"
FILES = {
    "vjail.yml": """\
wires: {w0: {}, w1: {}}
hosts:
  a: {files: a, nics: {vtnet0: w0, vtnet1: w1}}
  b: {files: b, nics: {vtnet0: w0, vtnet1: w1}}
""",
    "a/rc.conf": """\
ifconfig_vtnet0="inet 192.168.1.1/24"
ifconfig_vtnet0_ipv6="inet6 2001:db8:1::1/64"
ifconfig_vtnet1="inet 10.1.0.1/24"
ifconfig_vtnet1_ipv6="inet6 2001:db8:2::1/64"
""",
    "b/rc.conf": """\
ifconfig_vtnet0="inet 192.168.1.2/24"
ifconfig_vtnet0_ipv6="inet6 2001:db8:1::2/64"
ifconfig_vtnet1="inet 10.1.0.2/24"
ifconfig_vtnet1_ipv6="inet6 2001:db8:2::2/64"
""",
    "a/jail.conf": """\
path = "/j/$name"; host.hostname = "$name"; persist; mount.devfs; allow.raw_sockets;
one   { interface = vtnet0; ip4.addr = 192.168.1.134/24; ip6.addr = 2001:db8:1::134/64; }
two   { ip4.addr = "vtnet0|192.168.1.135/24", "vtnet1|10.1.0.135/24";
        ip6.addr = "vtnet0|2001:db8:1::135/64", "vtnet1|2001:db8:2::135/64"; }
first { ip4.addr = "vtnet0|192.168.1.136/24", "vtnet1|10.1.0.136/24"; ip4.nosaddrsel;
        ip6.addr = "vtnet0|2001:db8:1::136/64", "vtnet1|2001:db8:2::136/64"; ip6.nosaddrsel; }
none  { }
own   { vnet; }
all   { ip4 = inherit; ip6 = inherit; }
four  { ip4 = inherit; }
below { interface = vtnet0; ip4.addr = 192.168.1.137/24, 192.168.1.138/24; ip6 = disable; children.max = 3; }
below.sub { path = "/j/sub"; ip4 = inherit; }
solo  { interface = vtnet0; ip4.addr = 192.168.1.139/24; children.max = 1; }
solo.sub { path = "/j/solosub"; ip4.addr = 192.168.1.139; }
""",
}
HOST, OTHER = "a", "b"
JAILS = ("one", "two", "first", "none", "own", "all", "four", "below", "below.sub", "solo", "solo.sub")


@dataclass
class Stack:
    """The lab that is up, and who sits in it."""

    box: Sandbox
    puppets: contextlib.ExitStack
    _by_name: dict[str, Puppet] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Puppet:
        """The puppet of a jail or a host, which is put there when it is first asked for."""
        if name not in self._by_name:
            words = ["exec", "-p", LAB, name, PYTHON, "-c", SOURCE]
            if name not in JAILS:
                words = ["shell", "-p", LAB, name, "-c", f"exec {PYTHON} -c {shlex.quote(SOURCE)}"]
            command = self.box.command(interpreter(), "-m", "vjail", *words)
            self._by_name[name] = self.puppets.enter_context(Puppet(command, self.box.environ))
        return self._by_name[name]

    def shell(self, line: str, host: str = HOST) -> Result:
        """Type a line on a host."""
        return self.box.vjail("shell", "-p", LAB, host, "-c", line)


@pytest.fixture(scope="module")
def stack(program: Path) -> Iterator[Stack]:
    """The lab, up, for root."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    (program / "work").mkdir()
    try:
        with sandbox(program, 0) as box:
            install(box)
            up = box.vjail("up", LAB)
            assert up.code == 0, up
            assert "not enforced" not in up.err, up
            with contextlib.ExitStack() as puppets:
                yield Stack(box, puppets)
            down = box.vjail("down", LAB)
            assert down.code == 0, down
    finally:
        shutil.rmtree(program / "work")


def install(box: Sandbox) -> None:
    """Write the lab's files."""
    for name, text in FILES.items():
        path = box.folder / LAB / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for each in (path, path.parent, box.folder / LAB):
            os.chown(each, box.uid, box.uid)


def test_without_root_the_jails_start_and_it_is_said(program: Path) -> None:
    (program / "work").mkdir()
    uid = NOBODY if os.geteuid() == 0 else os.geteuid()
    try:
        os.chown(program / "work", uid, uid)
        with sandbox(program, uid) as box:
            install(box)
            up = box.vjail("up", LAB)
            assert up.code == 0, up
            held = "a:one, a:two, a:first, a:none, a:four, a:below, a:solo, a:below.sub, a:solo.sub"
            why = "only root may attach eBPF programs to control groups"
            assert up.err.splitlines()[-2] == f"{held}: addresses are not enforced: {why}"
            assert "inet 192.168.1.134 " in box.vjail("exec", "-p", LAB, "one", "ifconfig", "vtnet0").out
            assert box.vjail("stop", "-p", LAB, "solo").code == 0
            start = box.vjail("start", "-p", LAB, "solo")
            assert f"a:solo: addresses are not enforced: {why}" in start.err.splitlines(), start
            assert box.vjail("down", LAB).code == 0
    finally:
        shutil.rmtree(program / "work")


ONE, ONE6 = "192.168.1.134", "2001:db8:1::134"
TWO, TWO6 = "192.168.1.135", "2001:db8:1::135"
FAR, FAR6 = "10.1.0.135", "2001:db8:2::135"
FIRST, FIRST6 = "192.168.1.136", "2001:db8:1::136"
A, A6 = "192.168.1.1", "2001:db8:1::1"
B, B6 = "192.168.1.2", "2001:db8:1::2"

SOLO = "192.168.1.139"

NO_ADDRESS, NOT_OWN, IN_USE = "EPROTONOSUPPORT", "EADDRNOTAVAIL", "EADDRINUSE"


GROUPS = "grep ' - cgroup2 ' /proc/self/mountinfo | cut -d ' ' -f 5"
"""The shell's words for where cgroup v2 is mounted."""


@pytest.mark.root
@pytest.mark.parametrize(
    ("before", "container", "said"),
    [
        (f"mount -o remount,ro,bind $({GROUPS})", False, "cgroup v2 is mounted here but cannot be written to"),
        (f"umount -l $({GROUPS})", False, "cgroup v2 is not mounted here"),
        (f"umount -l $({GROUPS})", True, ""),
    ],
    ids=["read-only", "not mounted", "not mounted, in a cgroup namespace"],
)
def test_where_control_groups_are_elsewhere(program: Path, before: str, container: bool, said: str) -> None:
    """A hierarchy that cannot be used is named; in a namespace of its own vjail mounts it where nobody else sees it."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    (program / "work" / LAB).mkdir(parents=True)
    try:
        with sandbox(program, 0) as box:
            assert box.run("sh", "-c", before).code == 0
            box.before = box.census()
            (box.folder / LAB / "jail.conf").write_text("one { path = /j/one; ip4.addr = 127.0.0.5; persist; }")

            def vjail(*words: str) -> Result:
                inside = ("unshare", "--cgroup") if container else ()
                return box.run(*inside, interpreter(), "-m", "vjail", *words)

            up = vjail("up", LAB)
            assert up.code == 0, up
            assert (f"one: addresses are not enforced: {said}" in up.err.splitlines()) == bool(said), up
            tried = "import socket; socket.socket().bind(('127.0.0.6', 0))"
            done = vjail("exec", "-p", LAB, "one", PYTHON, "-c", tried)
            assert ("Cannot assign requested address" in done.err) == (not said), done
            assert vjail("down", LAB).code == 0
    finally:
        shutil.rmtree(program / "work")


def test_the_example(box: Sandbox) -> None:
    """Row B5: the printed jail.conf on a wire with another machine; what it claims, and what its `commands` show."""
    folder, top = "B5-shared-stack", Path(__file__).parent.parent
    for name, printed in (("jail.conf", "B.jail.conf"), ("devfs.rules", "B3.devfs.rules")):
        here = box.folder / folder / "fbsd" / name
        assert here.read_bytes() == (top / "data" / "documents" / printed).read_bytes()
    up = box.vjail("up", folder)
    assert up.code == 0, up
    held = box.uid == 0
    assert ("addresses are not enforced" in up.err) == (not held)
    for target in (ONE, TWO):
        ping = box.vjail("shell", "-p", folder, "client", "-c", f"ping -c 1 {target}")
        assert "1 packets received" in ping.out, ping
    commands = (box.folder / folder / "commands").read_text()
    done = box.vjail("shell", "-p", folder, "fbsd", input=commands)
    assert "ping: bind: Can't assign requested address" in done.err, done
    before, *_, after = (part for part in done.out.split("vtnet0: flags=")[1:])
    assert before.count("\tinet ") == 3, done
    assert after.count("\tinet ") == 1, done
    assert "Stopping jails: jail_01 jail_02." in done.out
    if held:
        assert "fbsd\njail_01\njail_02\n" in done.out, done
    assert box.vjail("down", folder).code == 0


def rows(jail: str, table: dict[str, object]) -> list[object]:
    return [pytest.param(jail, code, answer, id=f"{jail}: {code}") for code, answer in table.items()]


@pytest.mark.root
@pytest.mark.parametrize(
    ("jail", "code", "answer"),
    [
        *rows(
            "one",
            {
                # prison_local_ip4: the only address in place of the wildcard and of 127.0.0.1
                "bound(make(), '0.0.0.0')": ONE,
                "bound(make(), '127.0.0.1')": ONE,
                f"bound(make(), '{ONE}')": ONE,
                f"bound(make(), '{A}')": NOT_OWN,
                f"bound(make(), '{TWO}')": NOT_OWN,
                "bound(make(), '127.0.0.2')": NOT_OWN,
                "bound(make(), '224.0.0.251')": NOT_OWN,
                "bound(make(UDP), '0.0.0.0')": ONE,
                f"bound(make(UDP), '{A}')": NOT_OWN,
                "bound(make(UDP), '255.255.255.255')": NOT_OWN,
                "bound(make(v6only=1, version=6), '::')": ONE6,
                "bound(make(v6only=0, version=6), '::')": "::",
                "bound(make(UDP, 6, v6only=1), '::')": ONE6,
                "bound(make(UDP, 6, v6only=0), '::')": "::",
                "bound(make(version=6), '::1')": ONE6,
                f"bound(make(version=6), '{A6}')": NOT_OWN,
                f"bound(make(UDP, 6), '{TWO6}')": NOT_OWN,
                "bound(make(version=6), '::ffff:0.0.0.0')": f"::ffff:{ONE}",
                "bound(make(version=6), '::ffff:127.0.0.1')": f"::ffff:{ONE}",
                f"bound(make(UDP, 6), '::ffff:{A}')": NOT_OWN,
                # in_pcbladdr, prison_remote_ip4
                f"towards(make(UDP), '{B}')": (ONE, B),
                f"towards(make(UDP), '{A}')": (ONE, A),
                f"towards(make(UDP), '{TWO}')": (ONE, TWO),
                "towards(make(UDP), '127.0.0.1')": (ONE, ONE),
                "towards(make(UDP), '0.0.0.0')": (ONE, ONE),
                "towards(make(UDP), '10.1.0.2')": (ONE, "10.1.0.2"),
                f"towards(make(UDP, 6), '{B6}')": (ONE6, B6),
                f"towards(make(UDP, 6), '{A6}')": (ONE6, A6),
                "towards(make(UDP, 6), '::1')": (ONE6, ONE6),
                "towards(make(UDP, 6), '::')": (ONE6, ONE6),
                f"towards(make(UDP, 6), '::ffff:{B}')": (f"::ffff:{ONE}", f"::ffff:{B}"),
                "towards(make(UDP, 6), '::ffff:127.0.0.1')": (f"::ffff:{ONE}", f"::ffff:{ONE}"),
                # setsockopt(2) and ancillary data change nothing
                "s = make(); s.setsockopt(0, 15, 1); s.bind(('192.168.1.1', 0))": NOT_OWN,
                f"s = make(); s.setsockopt(0, 19, 1); s.bind(('{A}', 0))": NOT_OWN,
                f"s = make(); s.setsockopt(0, 24, 1); s.bind(('{A}', 0))": NOT_OWN,
                f"make(UDP).sendmsg([b'x'], pktinfo4('{A}'), 0, ('{B}', 9))": NOT_OWN,
                f"make(UDP).sendmsg([b'x'], pktinfo4('{ONE}'), 0, ('{B}', 9))": 1,
                f"make(UDP, 6).sendmsg([b'x'], pktinfo6('{A6}'), 0, ('{B6}', 9))": NOT_OWN,
                f"make(UDP, 6).sendmsg([b'x'], pktinfo6('{ONE6}'), 0, ('{B6}', 9))": 1,
                # protocols that nothing looks after, and what is not of the Internet
                "make(TCP, 4, 262)": "EPROTONOSUPPORT",
                "make(socket.SOCK_SEQPACKET, 4, 132)": "ESOCKTNOSUPPORT",
                "make(UDP, 4, 136)": "EPROTONOSUPPORT",
                "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)": "EPROTONOSUPPORT",
                "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)": "made",
                "socket.socket(socket.AF_UNIX)": "made",
                # raw_ip.c
                f"make(RAW, 4, 255).sendto(ip4('{ONE}', '{B}'), ('{B}', 0))": 28,
                f"make(RAW, 4, 255).sendto(ip4('{A}', '{B}'), ('{B}', 0))": "EPERM",
                f"make(RAW, 4, 255).sendto(ip4('{TWO}', '{B}'), ('{B}', 0))": "EPERM",
                f"make(RAW, 4, 255).sendto(ip4('8.8.8.8', '{B}'), ('{B}', 0))": "EPERM",
                f"make(RAW, 4, 255).sendto(ip4('{ONE}', '127.0.0.1'), ('127.0.0.1', 0))": "EPERM",
                f"make(RAW, 6, 255).sendto(ip6('{ONE6}', '{B6}'), ('{B6}', 0))": 48,
                f"make(RAW, 6, 255).sendto(ip6('{A6}', '{B6}'), ('{B6}', 0))": "EPERM",
            },
        ),
        *rows(
            "two",
            {
                "bound(make(), '0.0.0.0')": "0.0.0.0",
                "bound(make(UDP), '0.0.0.0')": "0.0.0.0",
                "bound(make(), '127.0.0.1')": TWO,
                f"bound(make(), '{FAR}')": FAR,
                f"bound(make(), '{ONE}')": NOT_OWN,
                "bound(make(version=6, v6only=1), '::')": "::",
                "bound(make(version=6), '::1')": TWO6,
                f"bound(make(version=6), '{FAR6}')": FAR6,
                f"bound(make(version=6), '{ONE6}')": NOT_OWN,
                # the address on the interface that the route leads to
                f"towards(make(UDP), '{B}')": (TWO, B),
                "towards(make(UDP), '10.1.0.2')": (FAR, "10.1.0.2"),
                "towards(make(UDP), '10.1.0.1')": (FAR, "10.1.0.1"),
                "towards(make(UDP), '127.0.0.1')": (TWO, TWO),
                f"towards(make(UDP), '{ONE}')": (TWO, ONE),
                f"towards(make(UDP, 6), '{B6}')": (TWO6, B6),
                "towards(make(UDP, 6), '2001:db8:2::2')": (FAR6, "2001:db8:2::2"),
                "towards(make(UDP, 6), '::1')": (TWO6, TWO6),
                "towards(make(UDP, 6), '::ffff:10.1.0.2')": (f"::ffff:{FAR}", "::ffff:10.1.0.2"),
                f"make(UDP).sendmsg([b'x'], pktinfo4('{A}'), 0, ('{B}', 9))": NOT_OWN,
                f"make(RAW, 4, 255).sendto(ip4('{FAR}', '{B}'), ('{B}', 0))": 28,
                f"make(RAW, 4, 255).sendto(ip4('{A}', '{B}'), ('{B}', 0))": "EPERM",
            },
        ),
        *rows(
            "first",
            {
                "towards(make(UDP), '10.1.0.2')": (FIRST, "10.1.0.2"),
                "towards(make(UDP, 6), '2001:db8:2::2')": (FIRST6, "2001:db8:2::2"),
            },
        ),
        # SO_REUSEPORT, by which ports are shared: the host's sockets have it, those of a jail with a vnet do not.
        *rows(HOST, {"[s := make(), s.bind(('0.0.0.0', 8090)), s.getsockopt(1, 15)][2]": 1}),
        *rows("own", {"[s := make(), s.bind(('0.0.0.0', 8090)), s.getsockopt(1, 15)][2]": 0}),
        *rows(
            "none",
            {
                "make()": NO_ADDRESS,
                "make(UDP)": NO_ADDRESS,
                "make(RAW, 4, 1)": NO_ADDRESS,
                "make(TCP, 6)": NO_ADDRESS,
                "make(UDP, 6)": NO_ADDRESS,
                "socket.socket(socket.AF_UNIX)": "made",
            },
        ),
        *rows(
            "all",
            {
                "bound(make(), '0.0.0.0')": "0.0.0.0",
                f"bound(make(), '{A}')": A,
                "bound(make(), '127.0.0.1')": "127.0.0.1",
                f"bound(make(version=6), '{A6}')": A6,
                f"towards(make(UDP), '{B}')": (A, B),
                f"make(RAW, 4, 255).sendto(ip4('8.8.8.8', '{B}'), ('{B}', 0))": 28,
            },
        ),
        *rows("four", {f"bound(make(), '{A}')": A, "make(TCP, 6)": NO_ADDRESS, f"towards(make(UDP), '{B}')": (A, B)}),
        *rows("below", {"bound(make(), '0.0.0.0')": "0.0.0.0", "make(UDP, 6)": NO_ADDRESS}),
        *rows(
            "below.sub",
            {
                # the addresses of the jail above, as they are
                "bound(make(), '0.0.0.0')": "0.0.0.0",
                "bound(make(), '192.168.1.138')": "192.168.1.138",
                f"bound(make(), '{A}')": NOT_OWN,
                f"towards(make(UDP), '{B}')": ("192.168.1.137", B),
                f"make(RAW, 4, 255).sendto(ip4('{A}', '{B}'), ('{B}', 0))": "EPERM",
                "make(UDP, 6)": NO_ADDRESS,
            },
        ),
        *rows(
            "solo.sub",
            {
                "bound(make(), '0.0.0.0')": SOLO,
                f"bound(make(), '{A}')": NOT_OWN,
                "bound(make(), '192.168.1.137')": NOT_OWN,
                f"towards(make(UDP), '{B}')": (SOLO, B),
            },
        ),
    ],
)
def test_what_sockets_get(stack: Stack, jail: str, code: str, answer: object) -> None:
    assert stack[jail].say(code) == answer


# --- packets ----------------------------------------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.parametrize(
    ("jail", "send", "source"),
    [
        ("one", "make(UDP).sendto(b'x', ('{b}', {port}))", ONE),
        ("one", "s = make(UDP); s.bind(('0.0.0.0', 0)); s.sendto(b'x', ('{b}', {port}))", ONE),
        ("one", "s = make(UDP); s.connect(('{b}', {port})); s.send(b'x')", ONE),
        ("one", "make(UDP).sendmsg([b'x'], pktinfo4('{one}'), 0, ('{b}', {port}))", ONE),
        ("one", "make(UDP, 6).sendto(b'x', ('::ffff:{b}', {port}))", ONE),
        ("two", "make(UDP).sendto(b'x', ('{b}', {port}))", TWO),
        ("two", "s = make(UDP); s.bind(('0.0.0.0', 0)); s.sendto(b'x', ('{b}', {port}))", TWO),
        ("two", "make(UDP).sendto(b'x', ('10.1.0.2', {port}))", FAR),
        ("two", "s = make(UDP); s.bind(('{far}', 0)); s.sendto(b'x', ('{b}', {port}))", FAR),
        ("one", "make(UDP, 6).sendto(b'x', ('{b6}', {port}))", ONE6),
        ("one", "s = make(UDP, 6); s.bind(('::', 0)); s.sendto(b'x', ('{b6}', {port}))", ONE6),
        ("one", "s = make(UDP, 6); s.connect(('{b6}', {port})); s.send(b'x')", ONE6),
        ("two", "make(UDP, 6).sendto(b'x', ('{b6}', {port}))", TWO6),
        ("two", "make(UDP, 6).sendto(b'x', ('2001:db8:2::2', {port}))", FAR6),
        ("two", "s = make(UDP, 6); s.bind(('::', 0)); s.sendto(b'x', ('2001:db8:2::2', {port}))", FAR6),
        ("below.sub", "make(UDP).sendto(b'x', ('{b}', {port}))", "192.168.1.137"),
        ("solo.sub", "make(UDP).sendto(b'x', ('{b}', {port}))", SOLO),
    ],
)
def test_what_is_sent_is_from_the_jail(stack: Stack, jail: str, send: str, source: str) -> None:
    version = 6 if ":" in source else 4
    stack[OTHER].say(f"r = make(UDP, {version}); r.bind(('{'::' if version == 6 else '0.0.0.0'}', 0))")
    port = stack[OTHER].say("r.getsockname()[1]")
    stack[jail].say(send.format(b=B, b6=B6, port=port, one=ONE, far=FAR))
    assert stack[OTHER].say("heard(r)") == source


@pytest.mark.root
@pytest.mark.parametrize(
    ("jail", "forged", "own"),
    [
        ("one", f"make(RAW, 4, 255).sendto(ip4('{A}', '{B}', 200), ('{B}', 0))", f"ip4('{ONE}', '{B}', 200)"),
        ("two", f"make(RAW, 4, 255).sendto(ip4('{ONE}', '{B}', 200), ('{B}', 0))", f"ip4('{FAR}', '{B}', 200)"),
        # bind(2) of a raw socket is nothing a control group is asked about; what it sends is.
        ("one", f"s = make(RAW, 4, 200); s.bind(('{A}', 0)); s.sendto(b'x', ('{B}', 0))", f"ip4('{ONE}', '{B}', 200)"),
        (
            "one",
            f"s = make(UDP); s.connect(('{B}', 9)); s.sendmsg([b''], pktinfo4('{A}'))",
            f"ip4('{ONE}', '{B}', 200)",
        ),
    ],
)
def test_nothing_forged_comes_out(stack: Stack, jail: str, forged: str, own: str) -> None:
    """A raw socket on the other host hears every packet of the protocol: the first is that from the own address."""
    stack[OTHER].say("r = make(RAW, 4, 200)")
    assert stack[jail].say(forged) in ("EPERM", NOT_OWN)
    assert stack[jail].say(f"make(RAW, 4, 255).sendto({own}, ('{B}', 0))") == 28
    assert f"'{stack[OTHER].say('heard(r)')}'" in own


@pytest.mark.root
@pytest.mark.parametrize(
    ("jail", "version", "wildcard", "own", "others"),
    [
        ("one", 4, "0.0.0.0", [ONE], [A, TWO]),
        ("two", 4, "0.0.0.0", [TWO, FAR], [A, ONE, "10.1.0.1"]),
        ("one", 6, "::", [ONE6], [A6, TWO6]),
        ("two", 6, "::", [TWO6, FAR6], [A6, ONE6]),
        ("two", 6, "::", [f"::ffff:{TWO}"], [f"::ffff:{A}", f"::ffff:{ONE}"]),
    ],
)
def test_a_wildcard_is_sent_to_at_own_addresses_only(
    stack: Stack, jail: str, version: int, wildcard: str, own: list[str], others: list[str]
) -> None:
    """By UDP, from the other host, from the host itself and from a jail."""
    stack[jail].say(f"w = make(UDP, {version}, v6only=0)" if version == 6 else "w = make(UDP)")
    stack[jail].say(f"w.bind(('{wildcard}', 0))")
    port = stack[jail].say("w.getsockname()[1]")
    for sender in (OTHER, HOST, "all"):
        for address in others:
            stack[sender].say(f"make(UDP, {version}).sendto(b'x', ('{address}', {port}))")
        assert stack[jail].say("heard(w)") == "nothing", (sender, others)
        for address in own:
            assert stack[sender].say(f"make(UDP, {version}).sendto(b'x', ('{address}', {port}))") == 1
            assert stack[jail].say("heard(w)") not in ("nothing", None), (sender, address)


@pytest.mark.root
def test_a_raw_socket_hears_what_is_sent_to_the_jail(stack: Stack) -> None:
    stack["one"].say("r = make(RAW, 4, 201)")
    for address in (A, TWO, ONE):
        stack[OTHER].say(f"make(RAW, 4, 201).sendto(b'to {address}', ('{address}', 0))")
    assert stack["one"].say("r.recv(100)[20:].decode()") == f"to {ONE}"
    assert stack["one"].say("heard(r)") == "nothing"


@pytest.mark.root
@pytest.mark.parametrize("version", [4, 6])
def test_everybody_listens_on_one_port(stack: Stack, version: int) -> None:
    """The host's wildcard and two jails, at once; who connects meets whose address it is."""
    wildcard, b = ("0.0.0.0", B) if version == 4 else ("::", B6)
    places = {HOST: (A, A6), "one": (ONE, ONE6), "two": (TWO, TWO6), "solo.sub": (SOLO, None)}
    for name, addresses in places.items():
        own = addresses[version == 6]
        if own is not None:
            at = own if name == "two" else wildcard
            assert (
                stack[name].say(f"l{version} = listen('{at}', 8080, {version}, 1 if {version} == 6 else None)") is None
            )
    for name, addresses in places.items():
        own = addresses[version == 6]
        for client, source in ((OTHER, b), ("one", (ONE, ONE6)[version == 6]), ("all", None)):
            if own is None or client == name:
                continue
            stack[client].begin(f"talk('{own}', 8080, {version})")
            seen = stack[name].say(f"accept(l{version}, '{name}')")
            assert stack[client].answer() == f"{name} {own} {seen}"
            assert source in (None, seen)
    # the jail's own loopback is its own address
    stack["one"].begin(f"s = make(TCP, {version}); s.connect(('{'127.0.0.1' if version == 4 else '::1'}', 8080))")
    assert stack["one"].answer() is None
    assert stack["one"].say(f"accept(l{version}, 'one')") == (ONE, ONE6)[version == 6]


@pytest.mark.root
def test_ports_are_taken_once(stack: Stack) -> None:
    """Twice in one jail is an error as ever; a second wildcard is one too, which on FreeBSD it is not."""
    assert stack["one"].say("a = listen('0.0.0.0', 8081)") is None
    assert stack["one"].say("listen('0.0.0.0', 8081)") == IN_USE
    assert stack["one"].say(f"listen('{ONE}', 8081)") == IN_USE
    assert stack[HOST].say("a = listen('0.0.0.0', 8081)") is None
    assert stack[HOST].say("listen('0.0.0.0', 8081)") == IN_USE
    assert stack["two"].say("listen('0.0.0.0', 8081)") == IN_USE
    assert stack["two"].say(f"a = listen('{FAR}', 8081)") is None
    assert stack["two"].say("s = make(); s.setsockopt(1, 15, 1); s.bind(('0.0.0.0', 8081))") == IN_USE
    assert stack["two"].say("listen('::', 8081, 6, 0)") == IN_USE
    assert stack["one"].say("u = make(UDP); u.bind(('0.0.0.0', 8081))") is None
    assert stack[HOST].say("u = make(UDP); u.bind(('0.0.0.0', 8081))") is None
    assert stack[HOST].say("v = make(UDP); v.bind(('0.0.0.0', 8081))") == IN_USE
    assert stack["two"].say("v = make(UDP); v.bind(('0.0.0.0', 8081))") == IN_USE
    assert stack[HOST].say(f"make(UDP).sendto(b'x', ('{ONE}', 8081))") == 1
    assert stack["one"].say("heard(u)") not in ("nothing", None)
    assert stack[HOST].say("heard(u)") == "nothing"


@pytest.mark.root
def test_a_wildcard_of_two_addresses_accepts_at_both(stack: Stack) -> None:
    assert stack["two"].say("l = listen('0.0.0.0', 8082)") is None
    for address, client in ((TWO, OTHER), (FAR, OTHER), (TWO, "one"), (FAR, HOST)):
        stack[client].begin(f"talk('{address}', 8082)")
        seen = stack["two"].say("accept(l, 'two')")
        assert stack[client].answer() == f"two {address} {seen}"
    # Not RST as on FreeBSD, where the jail's socket would not be found at all.
    for address in (A, "10.1.0.1"):
        assert stack[OTHER].say(f"talk('{address}', 8082)") == "nothing"
    assert stack["two"].say("accept(l, 'two')") == "nothing"


# --- who is held ------------------------------------------------------------------------------------------------------


@pytest.mark.root
def test_every_way_into_a_jail(stack: Stack) -> None:
    """jexec, exec, a daemon that goes on after them, and what any of them starts."""
    octets = A.replace(".", ",")
    tried = f"import socket; socket.socket().bind((socket.inet_ntoa(bytes([{octets}])), 0))"
    program = f'{PYTHON} -c "{tried}"'
    refused = "Cannot assign requested address"
    assert refused in stack.shell(f"jexec one {program}").err
    assert refused in stack.shell(f"jexec one sh -c '{program}; true'").err
    assert refused in stack.shell(f"jexec -l one {program}").err
    assert refused in stack.box.vjail("exec", "-p", LAB, "one", PYTHON, "-c", tried).err
    assert refused in stack.box.vjail("exec", "-p", LAB, "one", "setsid", PYTHON, "-c", tried).err
    made = f'jail -c name=late path=/j/one ip4.addr={ONE} command={PYTHON} -c "{tried}"'
    assert refused in stack.shell(made).err, stack.shell(made)
    assert refused not in stack.shell(program).err


@pytest.mark.root
def test_no_way_out(stack: Stack) -> None:
    """The control groups are nowhere to be seen, and none can be mounted or entered by clone3(2)."""
    code = "[p for p in ('/sys/fs/cgroup', '/sys/fs/bpf') if os.path.exists(p)]"
    assert stack["one"].say(code) == ()
    assert stack["one"].say("open('/proc/mounts').read().count('cgroup')") in (0, "ENOENT")


@pytest.mark.root
def test_sockets_are_who_made_them(stack: Stack) -> None:
    """As on FreeBSD, where a socket keeps its maker's credentials: given away it is held as before."""
    give = "u = socket.socket(socket.AF_UNIX); u.bind('\\0{0}'); u.listen()"
    take = "u = socket.socket(socket.AF_UNIX); u.connect('\\0{0}')"
    stack[HOST].say(give.format("given"))
    stack["one"].begin(take.format("given"))
    stack[HOST].say("c, _ = u.accept()")
    assert stack["one"].answer() is None
    assert stack["one"].say("s = make()") is None
    assert stack["one"].say("socket.send_fds(u, [b'x'], [s.fileno()])") == 1
    assert stack[HOST].say("t = socket.socket(fileno=socket.recv_fds(c, 9, 1)[1][0])") is None
    assert stack[HOST].say(f"t.bind(('{A}', 0))") == NOT_OWN


@pytest.mark.root
def test_addresses_change_while_it_runs(stack: Stack) -> None:
    """jail -m: at once, and unlike on FreeBSD for sockets that are there as well."""
    assert stack["one"].say("u = make(UDP); u.bind(('0.0.0.0', 0))") is None
    sent = f"u.sendto(b'x', ('{B}', 9))"
    assert stack["one"].say(sent) == 1
    assert stack.shell("ifconfig vtnet0 inet 192.168.1.144/24 alias; jail -m name=one ip4.addr=192.168.1.144").code == 0
    try:
        assert stack["one"].say("bound(make(), '0.0.0.0')") == "192.168.1.144"
        assert stack["one"].say(f"bound(make(), '{ONE}')") == NOT_OWN
        assert stack["one"].say(sent) == NOT_OWN
        assert "192.168.1.144" in stack.shell("jls").out
        shown = stack.box.vjail("exec", "-p", LAB, "one", "ifconfig", "vtnet0").out
        assert "192.168.1.144" in shown
        assert ONE not in shown
    finally:
        assert stack.shell(f"jail -m name=one ip4.addr={ONE}; ifconfig vtnet0 inet 192.168.1.144 -alias").code == 0
    assert stack["one"].say(sent) == 1
    # Of a jail with jails below: what it loses they lose.
    assert stack.shell("jail -m name=below ip4.addr=192.168.1.137").code == 0
    assert stack["below.sub"].say("bound(make(), '0.0.0.0')") == "192.168.1.137"
    assert stack["below"].say("bound(make(), '0.0.0.0')") == "192.168.1.137"


@pytest.mark.root
def test_routes_change_what_it_sends_from(stack: Stack) -> None:
    """The source is that of the interface which the route leads to, as it is now."""
    assert stack["two"].say("towards(make(UDP), '203.0.113.9')") == "ENETUNREACH"
    for gateway, source in (("10.1.0.2", FAR), (B, TWO)):
        assert stack.shell(f"route add -net 203.0.113.0/24 {gateway}").code == 0
        assert stack["two"].say("towards(make(UDP), '203.0.113.9')") == (source, "203.0.113.9")
        assert stack.shell(f"route delete -net 203.0.113.0/24 {gateway}").code == 0


@pytest.mark.root
def test_what_freebsds_commands_show_and_do(stack: Stack) -> None:
    """prison_if: of interfaces the own addresses, of routes and neighbours those that are to own addresses."""

    def inside(*words: str, jail: str = "one") -> Result:
        return stack.box.vjail("exec", "-p", LAB, jail, *words)

    addresses = [line.split()[1] for line in inside("ifconfig").out.splitlines() if line.startswith("\tinet")]
    assert addresses == [ONE, ONE6]
    addresses = [line.split()[1] for line in inside("ifconfig", jail="two").out.splitlines() if "\tinet" in line]
    assert addresses == [TWO, TWO6, FAR, FAR6]
    assert inside("ifconfig", "-l").out.split() == ["vtnet0", "vtnet1", "lo0"]
    routes = [line.split() for line in inside("netstat", "-rn").out.splitlines() if "lo0" in line]
    assert routes == [[ONE, "link#1", "UHS", "lo0"], [ONE6, "link#1", "UHS", "lo0"]]
    assert [line.split()[1] for line in inside("arp", "-an").out.splitlines()] == [f"({ONE})"]
    assert inside("ifconfig", "vtnet0", "inet", "192.168.1.9/24", "alias").code == 1
    for target in (B, A, TWO, "127.0.0.1"):
        assert "1 packets received" in inside("ping", "-c", "1", target).out, target
    assert inside("ping6", "-c", "1", B6).out.splitlines()[0] == f"PING6(56=40+8+8 bytes) {ONE6} --> {B6}"
    far = inside("ping6", "-c", "1", "2001:db8:2::2", jail="two").out.splitlines()[0]
    assert far == f"PING6(56=40+8+8 bytes) {FAR6} --> 2001:db8:2::2"
    assert inside("ping", "-c", "1", "-S", A, B).err == "ping: bind: Can't assign requested address\n"
    assert inside("ping", "-c", "1", B, jail="none").err == "ping: ssend socket: Protocol not supported\n"


@pytest.mark.root
def test_a_server_that_takes_over_holds_them_still(stack: Stack) -> None:
    """Programs and groups stay while there is no server; the next one changes and removes them."""
    kill(server(stack.box))
    assert stack["one"].say(f"bound(make(), '{A}')") == NOT_OWN
    assert stack.shell("jls -j first name").out == "first\n"
    assert stack["one"].say(f"bound(make(), '{A}')") == NOT_OWN
    groups = len(stack.box.census().groups)
    assert stack.box.vjail("stop", "-p", LAB, "first").code == 0
    assert len(stack.box.census().groups) == groups - 1
    assert stack.box.vjail("start", "-p", LAB, "first").code == 0
    done = stack.shell(f"jexec first {PYTHON} -c \"import socket; socket.socket().bind(('{A}', 0))\"")
    assert "Cannot assign requested address" in done.err, done
