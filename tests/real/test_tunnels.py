"""tap(4) and tun(4) as programs use them, on the host and in jails, and vxlan(4) between hosts."""

from __future__ import annotations

import os
import signal

import pytest
from sandbox import Sandbox
from typist import Typist, typing

pytestmark = pytest.mark.real

RULES = """\
[devfsrules_tap=100]
add include $devfsrules_hide_all
add include $devfsrules_unhide_basic
add include $devfsrules_unhide_login
add path 'tap*' unhide
"""
ECHO = """\
import fcntl, os, struct, sys
name = sys.argv[1]
fd = os.open("/dev/net/tun", os.O_RDWR)
flags = 0x1002 if name.startswith("tap") else 0x1001
fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), flags))
print("open", flush=True)
own = bytes.fromhex("0200000000ee")
while True:
    frame = os.read(fd, 2048)
    if flags & 2 and frame[12:14] == b"\\x08\\x06" and frame[20:22] == b"\\0\\x01":
        asked = frame[22:32]
        os.write(fd, frame[6:12] + own + frame[12:20] + b"\\0\\x02" + own + frame[38:42] + asked)
    elif flags & 2 and frame[12:14] == b"\\x08\\0" and frame[34] == 8:
        head = bytearray(frame)
        head[0:6], head[6:12], head[26:30], head[30:34] = frame[6:12], own, frame[30:34], frame[26:30]
        head[34] = 0
        total = int.from_bytes(frame[36:38], "big") + 0x0800
        head[36:38] = (total + (total >> 16) & 0xFFFF).to_bytes(2, "big")
        os.write(fd, bytes(head))
    elif not flags & 2 and frame[0] >> 4 == 4 and frame[20] == 8:
        head = bytearray(frame)
        head[12:16], head[16:20], head[20] = frame[16:20], frame[12:16], 0
        total = int.from_bytes(frame[22:24], "big") + 0x0800
        head[22:24] = (total + (total >> 16) & 0xFFFF).to_bytes(2, "big")
        os.write(fd, bytes(head))
"""


def lab(box: Sandbox, name: str) -> None:
    """A host with devfs.rules that let jails see taps."""
    folder = box.folder / name
    (folder / "fbsd").mkdir(parents=True)
    (folder / "vjail.yml").write_text("hosts:\n  fbsd: {files: fbsd}\n")
    (folder / "fbsd" / "devfs.rules").write_text(RULES)


def ok(typist: Typist, line: str) -> str:
    """Type a line that must succeed; what it prints."""
    done = typist.type(line)
    assert (done.code, done.err) == (0, ""), (line, done)
    return done.out


def refused(typist: Typist, kind: str) -> None:
    """Without a /dev/net/tun that may be opened such an interface is refused, in one line that says why."""
    done = typist.type(f"ifconfig {kind}0 create")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"ifconfig: SIOCIFCREATE2 ({kind}0): Operation not supported (/dev/net/tun: ")
    assert kind not in ok(typist, "ifconfig -C").split()


def running(name: str) -> str:
    """A line that has echo.py open an interface, in the background."""
    opened = "for i in $(seq 200); do grep -qs open /tmp/open && break; sleep 0.02; done"
    return f"rm -f /tmp/open; (python3 /root/echo.py {name} >/tmp/open 2>&1 &); {opened}; grep open /tmp/open"


ENDED = "pkill -f /ech[o].py; for i in $(seq 200); do pgrep -f /ech[o].py >/dev/null || break; sleep 0.02; done"


@pytest.fixture
def can_tap(box: Sandbox) -> bool:
    """Whether this user may open /dev/net/tun."""
    return box.run("sh", "-c", "exec 3<>/dev/net/tun").code == 0


def test_a_program_in_a_jail_reads_and_writes_the_frames_of_a_tap(box: Sandbox, can_tap: bool) -> None:
    lab(box, "tap")
    with typing(box, "tap") as typist:
        ok(typist, f"cat > /root/echo.py <<'X'\n{ECHO}X")
        if not can_tap:
            refused(typist, "tap")
            return
        ok(typist, "ifconfig tap0 create; ifconfig tap1 create; ls /dev/tap0 /dev/tap1 /dev/net/tun")
        ok(typist, "ifconfig bridge0 create up addm tap0; ifconfig bridge0 inet 10.0.0.1/24")
        ok(typist, f"ifconfig tap0 up; {running('tap0')}")
        assert "status: active" in ok(typist, "ifconfig tap0")
        assert "1 packets received" in ok(typist, "ping -c 1 10.0.0.9")
        ok(typist, f"{ENDED}; ifconfig bridge0 deletem tap0")
        assert "status: no carrier" in ok(typist, "ifconfig tap0")

        # A jail sees the nodes its rules show, and finds the interface that is in its vnet.
        ok(typist, "mkdir /jail; mount -t nullfs / /jail")
        ok(typist, "mount -t devfs -o ruleset=100 devfs /jail/dev; jail -c name=j path=/jail vnet persist")
        assert ok(typist, "jexec j sh -c 'cd /dev; echo t* net/*'") == "tap0 tap1 net/tun\n"
        ok(typist, "ifconfig tap0 destroy; ifconfig tap1 vnet j; jexec j ifconfig tap1 10.0.0.1/24")
        assert ok(typist, "jexec j sh -c 'cd /dev; echo t* net/*'") == "tap1 net/tun\n"
        ok(typist, f"jexec j sh -c '{running('tap1')}'")
        assert "1 packets received" in ok(typist, "jexec j ping -c 1 10.0.0.9")
        ok(typist, f"{ENDED}; jail -r j; ifconfig tap1; ifconfig tap1 destroy")
        assert typist.type("ls /dev/net /jail/dev/tap1").code == 2


def test_a_program_reads_and_writes_the_packets_of_a_tun(box: Sandbox, can_tap: bool) -> None:
    lab(box, "tun")
    with typing(box, "tun") as typist:
        if not can_tap:
            refused(typist, "tun")
            return
        ok(typist, f"cat > /root/echo.py <<'X'\n{ECHO}X")
        ok(typist, "jail -c name=j path=/ vnet persist; ifconfig tun0 create; ifconfig tun0 vnet j")
        ok(
            typist,
            f"jexec j ifconfig tun0 10.0.0.1 10.0.0.9 netmask 255.255.255.255; jexec j sh -c '{running('tun0')}'",
        )
        assert "1 packets received" in ok(typist, "jexec j ping -c 1 10.0.0.9")
        ok(typist, f"{ENDED}; jail -r j; ifconfig tun0 destroy")


HOSTS = """\
wires: {w0: {}}
hosts:
  one: {nics: {em0: w0}}
  two: {nics: {em0: w0}}
"""
SHOWN = """\
	vxlan vni 42 local 192.0.2.1:4789 remote 192.0.2.2:4789
	media: Ethernet autoselect (autoselect <full-duplex>)
	status: active
"""


def test_vxlan_between_hosts_with_one_network_for_the_jails_of_both(box: Sandbox) -> None:
    folder = box.folder / "vx"
    folder.mkdir()
    (folder / "vjail.yml").write_text(HOSTS)
    assert box.vjail("up", "vx").code == 0
    for here, there, name in ((1, 2, "one"), (2, 1, "two")):
        made = f"""
            set -e
            ifconfig em0 192.0.2.{here}/24
            ifconfig vxlan create vxlanid 42 vxlanlocal 192.0.2.{here} vxlanremote 192.0.2.{there}
            ifconfig vxlan0 up
            ifconfig epair create; ifconfig epair0a mtu 1450; ifconfig epair0b mtu 1450
            ifconfig bridge create; ifconfig bridge0 addm vxlan0 addm epair0a up; ifconfig epair0a up
            jail -c name=j path=/ vnet persist; ifconfig epair0b vnet j
            jexec j ifconfig epair0b 10.9.0.{here}/24; jexec j ifconfig epair0b inet6 2001:db8::{here}/64
            ifconfig vxlan create vxlanid 7 vxlangroup 239.1.2.3 vxlandev em0; ifconfig vxlan1 10.7.0.{here}/24
            ifconfig vxlan create vxlanid 42 vxlanremote 192.0.2.{there} vxlanlocalport 5000 vxlanremoteport 5000
            ifconfig vxlan2 10.8.0.{here}/24
            ifconfig vxlan3 create vxlanid 5 vxlanremote 192.0.2.{there}
            ifconfig vxlan3 vxlanlocalport 600{here} vxlanremoteport 600{there}
            ifconfig vxlan3 10.6.0.{here}/24
        """
        done = box.vjail("shell", "-p", "vx", name, "-c", made)
        assert (done.code, done.out, done.err) == (0, "vxlan0\nepair0a\nbridge0\nvxlan1\nvxlan2\n", ""), done
    shown = box.vjail("shell", "-p", "vx", "one", "-c", "ifconfig vxlan0").out
    assert shown.startswith("vxlan0: flags=8943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST> metric 0 mtu 1450\n")
    assert SHOWN in shown
    pings = box.vjail("shell", "-p", "vx", "one", "-c", PINGS)
    assert pings.out.count("1 packets transmitted, 1 packets received") == 5, pings
    fits = box.vjail("shell", "-p", "vx", "one", "-c", "jexec j ping -c 1 -D -s 1422 10.9.0.2 >/dev/null; echo $?")
    assert fits.out == "0\n", fits
    killed = box.find("vjail.server")
    assert killed
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    again = (
        "ifconfig vxlan0 | grep vni; jexec j ping -c 1 10.9.0.2 | grep -c '1 packets received'; ifconfig vxlan1 destroy"
    )
    assert box.vjail("shell", "-p", "vx", "one", "-c", again).out == f"{SHOWN.splitlines()[0]}\n1\n"
    moved = "ifconfig vxlan2 vnet j; jexec j ifconfig vxlan2 up; jexec j ifconfig -l; jail -r j; ifconfig -l"
    assert box.vjail("shell", "-p", "vx", "two", "-c", moved).out == (
        "lo0 epair0b vxlan2\nem0 lo0 vxlan0 epair0a bridge0 vxlan1 vxlan3 epair0b vxlan2\n"
    )
    assert box.vjail("down", "vx").code == 0


PINGS = """
jexec j ping -c 1 10.9.0.2; jexec j ping6 -c 1 2001:db8::2; ping -c 1 10.7.0.2; ping -c 1 10.8.0.2
ping -c 1 10.6.0.2
"""
