"""Routes that others than vjail's route(8) put into a vnet, as routing daemons do: shown, kept, deleted, followed."""

from __future__ import annotations

import re

import pytest
from sandbox import Sandbox

pytestmark = pytest.mark.real

LAB = "foreign"
RC_CONF = 'cloned_interfaces="epair0"\nifconfig_epair0a="inet 10.0.0.2/24"\nifconfig_epair0a_ipv6="inet6 fd00::2/64"\n'
JAIL_CONF = """\
r {
	path = /jails/r;
	vnet;
	vnet.interface = epair0b;
	exec.start = "ifconfig lo0 inet 127.0.0.1/8 up";
	exec.start += "ifconfig epair0b inet 10.0.0.1/24";
	exec.start += "ifconfig epair0b inet6 fd00::1/64 -ifdisabled";
	persist;
}
"""
DAEMON = """\
ip route add 10.8.0.0/16 via 10.0.0.2 proto 12 metric 32
ip route add 10.7.0.0/16 proto 12 metric 32 nexthop via 10.0.0.2 nexthop via 10.0.0.3
ip route add 10.6.0.1/32 via inet6 fd00::2 dev epair0b proto 186
ip route add blackhole 10.5.0.0/16 proto 12 metric 32
ip -6 route add fd00:8::/32 via fd00::2 proto 12 metric 32
"""
"""What a routing daemon does by netlink; 12 is BIRD's number, 186 that of FRR's BGP."""
SHOWN = {
    "10.5.0.0/16 127.0.0.1 U1B lo0",
    "10.6.0.1 fd00::2 UGH1 epair0b",
    "10.7.0.0/16 10.0.0.2 UG1 epair0b",
    "10.7.0.0/16 10.0.0.3 UG1 epair0b",
    "10.8.0.0/16 10.0.0.2 UG1 epair0b",
    "fd00:8::/32 fd00::2 UG1 epair0b",
}


def dynamic(box: Sandbox) -> set[str]:
    """The routes of others, as netstat(1) shows them."""
    lines = box.shell("jexec r netstat -rn", LAB).out.splitlines()
    return {" ".join(line.split()) for line in lines if re.search(r" U\w*1", line)}


def test_routes_of_others(box: Sandbox) -> None:
    (box.folder / LAB).mkdir()
    (box.folder / LAB / "rc.conf").write_text(RC_CONF)
    (box.folder / LAB / "jail.conf").write_text(JAIL_CONF)
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    made = box.shell(f"jexec r sh -e -c '{DAEMON}'", LAB)
    assert (made.code, made.err) == (0, ""), made
    assert dynamic(box) == SHOWN
    # Whatever vjail itself does to the table, they stay.
    done = box.shell(
        "jexec r route -q add 10.99.0.0/16 10.0.0.2; jexec r ifconfig epair0b inet 10.1.0.1/24 alias;"
        "jexec r route -q delete 10.99.0.0/16; jexec r ifconfig epair0b inet 10.1.0.1 -alias",
        LAB,
    )
    assert (done.code, done.err) == (0, ""), done
    assert dynamic(box) == SHOWN
    # A route of theirs within one that leads nowhere is followed.
    done = box.shell("ifconfig epair0a inet 10.8.0.1/32 alias", LAB)
    assert (done.code, done.err) == (0, ""), done
    done = box.shell("jexec r route -q add 10.0.0.0/8 127.0.0.1 -blackhole", LAB)
    assert (done.code, done.err) == (0, ""), done
    assert "1 packets received" in box.shell("jexec r ping -c 1 -t 3 10.8.0.1", LAB).out
    assert "Network is unreachable" in box.shell("jexec r ping -c 1 -t 1 10.9.0.1", LAB).err
    # A static route to the same destination goes first.
    for route in ("10.8.0.0/16 10.0.0.3", "-6 fd00:8::/32 fd00::3"):
        done = box.shell(f"jexec r route -q add {route}", LAB)
        assert (done.code, done.err) == (0, ""), done
    ways = box.shell("jexec r ip route get 10.8.0.1; jexec r ip -6 route get fd00:8::1", LAB).out
    assert re.findall(r"via (\S+)", ways) == ["10.0.0.3", "fd00::3"]
    done = box.shell(
        "jexec r route -q delete 10.8.0.0/16 10.0.0.3; jexec r route -q -6 delete fd00:8::/32 fd00::3", LAB
    )
    assert (done.code, done.err) == (0, ""), done
    # route(8) deletes them, one way of several too.
    done = box.shell("jexec r route delete 10.8.0.0/16; jexec r route delete 10.7.0.0/16 10.0.0.2", LAB)
    assert (done.code, done.out) == (0, "delete net 10.8.0.0\ndelete net 10.7.0.0: gateway 10.0.0.2\n"), done
    assert dynamic(box) == {line for line in SHOWN if not re.match(r"10\.8|10\.7\.0\.0/16 10\.0\.0\.2", line)}
    done = box.shell("jexec r route delete 10.7.0.0/16; jexec r route -6 delete fd00:8::/32", LAB)
    assert done.code == 0, done
    assert dynamic(box) == {line for line in SHOWN if line.startswith(("10.5", "10.6"))}
    # They go with their interface's UP, as on FreeBSD.
    assert box.shell("jexec r ifconfig epair0b down", LAB).code == 0
    assert dynamic(box) == {line for line in SHOWN if line.startswith("10.5")}
    assert box.vjail("down", LAB).code == 0
