"""The server of a lab that is up is killed: the next command starts another, and nobody notices."""

from __future__ import annotations

import difflib

import pytest
from lives import RICH, command, install, kill, outcome, picture, server, until, vjail
from sandbox import Sandbox

pytestmark = pytest.mark.real


_TYPED = """\
route add -net 203.0.113.0/24 10.9.0.9 -mtu 1400 && route add -net 203.0.114.0/24 -iface vtnet0 || exit
route add -inet6 2001:db8:5::/48 -reject ::1 && ifconfig vtnet0 down || exit
ifconfig epair3b inet6 2001:db8:8::1/64 && ifconfig epair3b ether 01:02:03:04:05:06 || exit
ifconfig vlan5 create inet 10.55.0.1/24 && kldload unionfs && sysctl net.inet.ip.ttl=77 || exit
ifconfig tap7 create inet 10.57.0.1/24 && ifconfig tun7 create && ifconfig bridge7 create addm tap7 up || exit
ifconfig vxlan7 create vxlanid 7 vxlanlocal 192.0.2.1 vxlanremote 192.0.2.9 inet 10.59.0.1/24 || exit
jail -c name=tunnel path=/ persist vnet vnet.interface=tun7 && jexec tunnel ifconfig tun7 10.58.0.1 10.58.0.2 || exit
jail -c name=outer path=/ persist children.max=5 vnet && jexec outer jail -c name=inner path=/ persist vnet
"""
"""What the kernel of Linux does not keep: routes of what is down, an address no device takes, jails in jails."""


def taken_over(box: Sandbox) -> None:
    """Kill the server; the next command finds none."""
    kill(server(box))


def listed(box: Sandbox, line: str) -> list[str]:
    """The words that a line typed on the host answers."""
    done = box.shell(line, RICH)
    assert done.code == 0, done
    return done.out.split()


def test_everything_is_as_it_was(box: Sandbox) -> None:
    install(box, RICH)
    up = box.vjail("up", RICH)
    assert up.code == 0, up
    typed = box.shell(_TYPED, RICH)
    assert typed.code == 0, typed
    before = picture(box)
    for part in (
        "203.0.113.0/24",
        "01:02:03:04:05:06",
        "vlan5",
        "tap7",
        "10.58.0.1",
        "vxlan7",
        "outer.inner",
        "epair3a",
        "fdescfs",
        "192.0.2.0/24",
        "02:00:00:00:00:77",
        "2001:db8::1",
        "to the bridge",
        "shared",
    ):
        assert part in before, part
    taken_over(box)
    after = picture(box)
    assert after == before, "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1))
    taken_over(box)
    typed = box.shell("jls name", RICH)
    assert typed.out.split() == ["two", "shared", "brief", "one", "tunnel", "outer", "outer.inner"], typed
    assert box.vjail("down", RICH).code == 0


def test_what_is_begun_before_goes_on_after(box: Sandbox) -> None:
    """Stop, start, exec, mounts, interfaces that go home, a jail that ends, of jails that another server made."""
    install(box, RICH)
    assert box.vjail("up", RICH).code == 0
    made = "mkdir -p /m; mount -t tmpfs m /m; mkdir -p /m/k/dev /m/k/x; jail -c name=k path=/m/k persist"
    assert box.shell(f"{made}; mount -t tmpfs x /m/k/x; route add 198.51.100.0/24 10.9.0.77", RICH).code == 0
    taken_over(box)

    ping = box.vjail("exec", "-p", RICH, "one", "ping", "-c", "1", "10.0.0.2")
    assert "1 packets received" in ping.out, ping
    assert "10.9.0.77" in listed(box, "netstat -rn")
    gone = box.shell("umount /m/k/x && jail -r k && umount /m && route delete 198.51.100.0/24", RICH)
    assert gone.code == 0, gone

    (sleeping,) = box.running("sleep", "100000")
    kill(sleeping)
    until(lambda: "brief" not in listed(box, "jls name"))
    assert "epair3a" in listed(box, "ifconfig -l"), "the interface of a jail that ended came home"

    assert box.vjail("stop", "-p", RICH, "one").code == 0
    assert {"epair1a"} <= set(listed(box, "ifconfig -l"))
    assert "/home/jail/one" not in box.shell("mount", RICH).out
    again = box.vjail("start", "-p", RICH, "one")
    assert again.code == 0, again
    assert "10.0.0.254" in box.vjail("exec", "-p", RICH, "one", "netstat", "-rn").out

    assert box.vjail("stop", "-p", RICH, "two").code == 0
    assert {"wan0", "inside"} <= set(listed(box, "ifconfig -l")), "by the names that they have"
    mounts = box.shell("mount", RICH).out
    assert "/home/jail/two" not in mounts, mounts

    made = box.shell(
        "ifconfig epair7 create && ifconfig epair7a destroy && ifconfig bridge0 deletem epair2b && ifconfig lo1 destroy"
        " && ifconfig inside name epair2a && ifconfig bridge create && devfs -m /home/jail/shared/dev rule apply path"
        " zero hide && jexec shared ls /dev",
        RICH,
    )
    assert made.code == 0, made
    assert "bridge1" in made.out.split()
    assert "zero" not in made.out.split()
    assert "null" in made.out.split()
    down = box.vjail("down", RICH)
    assert down.code == 0, down


def test_a_jail_whose_last_process_ends_while_no_server_is_there(box: Sandbox) -> None:
    install(box, RICH)
    assert box.vjail("up", RICH).code == 0
    taken_over(box)
    (sleeping,) = box.running("sleep", "100000")
    kill(sleeping)
    assert "brief" not in listed(box, "jls name")
    assert "epair3a" in listed(box, "ifconfig -l")
    assert box.vjail("down", RICH).code == 0


def test_who_is_in_a_shell_goes_on(box: Sandbox) -> None:
    """A shell needs no server; what is typed in it does, until a command of vjail's has started one."""
    install(box, RICH)
    assert box.vjail("up", RICH).code == 0
    lines = "echo here; read line; ifconfig lo0; read line; ifconfig -l; exit 7"
    shell = vjail(box, "exec", "-p", RICH, "one", "sh", "-c", f"{{ {lines}; }} 2>&1", piped=True)
    assert shell.stdout is not None
    assert shell.stdin is not None
    assert shell.stdout.readline() == "here\n"
    taken_over(box)
    shell.stdin.write("\n")
    shell.stdin.flush()
    assert shell.stdout.readline() == (
        "ifconfig: the lab's server does not answer; on the machine itself, `vjail ls` starts it again\n"
    )
    assert box.vjail("ls", RICH).code == 0
    shell.stdin.write("\n")
    shell.stdin.flush()
    assert shell.stdout.readline() == "lo0 epair1a\n"
    assert outcome(shell)[0] == 7
    sleeping = vjail(box, "exec", "-p", RICH, "one", "sleep", "1000")
    until(lambda: bool(box.running("sleep", "1000")))
    taken_over(box)
    kill(command(sleeping), 15)
    assert outcome(sleeping)[0] == 128 + 15
    assert box.vjail("down", RICH).code == 0
