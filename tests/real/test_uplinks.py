"""A wire with a NIC of this machine on it: lent to the lab, and given back however the lab ends.

In the sandbox a veth plays the NIC, its other end the machine on the far side.
"""

from __future__ import annotations

import json

import pytest
from lives import kill, server, until
from sandbox import NOBODY, Result, Sandbox
from typed import LAB, make

pytestmark = pytest.mark.real

FILES = {
    "vjail.yml": """\
wires:
  w0: {nic: eth7}
hosts:
  a: {files: a, nics: {em0: w0}}
""",
    "a/rc.conf": 'ifconfig_em0="inet 192.168.7.1/24"\nifconfig_em0_ipv6="inet6 2001:db8:7::1/64"\n',
}


def _line(box: Sandbox, line: str) -> str:
    done = box.run("sh", "-c", line)
    assert done.code == 0, done
    return done.out


def _eth7(box: Sandbox) -> str:
    """Where eth7 is as the sandbox sees it, empty: not here."""
    return box.run("ip", "-br", "link", "show", "eth7").out


def _begin(box: Sandbox, wire: str = "nic: eth7") -> None:
    make(box, FILES | {"vjail.yml": FILES["vjail.yml"].replace("nic: eth7", wire)})
    _line(box, "ip link add eth7 type veth peer name far && ip link set eth7 up && ip link set far up")
    _line(box, "ip addr add 192.168.7.9/24 dev far && ip addr add 2001:db8:7::9/64 dev far nodad")
    up = box.vjail("up", LAB)
    assert up.code == 0, up


def _answers(box: Sandbox) -> list[bool]:
    """Whether the lab's host answers the machine on the far side."""
    return [box.run("ping", "-c", "1", "-W", "2", address).code == 0 for address in ("192.168.7.1", "2001:db8:7::1")]


@pytest.mark.root
@pytest.mark.parametrize("uid", [pytest.param(0, id="root")], indirect=True)
def test_lent_and_given_back(box: Sandbox) -> None:
    _begin(box)
    assert _eth7(box) == ""
    assert _answers(box) == [True, True]
    assert "wire w0 ⇄ this machine's eth7" in box.vjail("ls", LAB).out
    assert json.loads(box.vjail("ls", "--json", LAB).out)["wires"]["w0"]["nic"] == "eth7"
    assert box.vjail("up", LAB).code == 0, "a second time"
    kill(server(box))
    assert box.vjail("cut", "-p", LAB, "w0").code == 0
    until(lambda: "NO-CARRIER" in box.run("ip", "link", "show", "far").out)
    assert box.vjail("mend", "-p", LAB, "w0").code == 0
    assert _answers(box) == [True, True]

    assert box.vjail("down", LAB).code == 0
    assert _eth7(box).split()[1] == "UP"
    # Killed with all that it has: its keeper brings the NIC home.
    assert box.vjail("up", LAB).code == 0
    _line(box, "read pid started < $(echo /run/vjail/*/anchor) && kill -9 $pid")
    until(lambda: _eth7(box).split()[1:2] == ["UP"])
    # The keeper killed: `down` brings it home.
    assert box.vjail("up", LAB).code == 0
    pid = json.loads(_line(box, "cat /run/vjail/*/loan"))["pid"]
    _line(box, f"kill -9 {pid}")
    assert box.vjail("down", "--now", LAB).code == 0
    assert _eth7(box).split()[1] == "UP"

    _line(box, "ip addr add 10.7.7.7/24 dev eth7")
    used = box.vjail("up", LAB)
    assert used.code == 1, used
    assert used.err == (
        "vjail: eth7 is in use by this machine (it has 10.7.7.7): it is not lent to a lab as long as it is\n"
    )
    assert "10.7.7.7" in _line(box, "ip -br addr show eth7")
    _line(box, "ip link delete eth7")
    missing = box.vjail("up", LAB)
    assert missing == Result(1, "", "vjail: this machine has no NIC eth7; it has: none\n")


@pytest.mark.root
@pytest.mark.parametrize("uid", [pytest.param(0, id="root")], indirect=True)
def test_a_wire_goes_on_through_another(box: Sandbox) -> None:
    """While the lab is up: one NIC comes home, another is lent; in the end none."""
    _begin(box)
    _line(box, "ip link add eth8 type veth peer name other && ip link set other up")
    _line(box, "ip addr del 192.168.7.9/24 dev far && ip addr add 192.168.7.9/24 dev other")
    _line(box, "ip addr del 2001:db8:7::9/64 dev far && ip addr add 2001:db8:7::9/64 dev other nodad")
    make(box, {"vjail.yml": FILES["vjail.yml"].replace("eth7", "eth8")})
    assert "wire w0: nic: eth7 -> eth8\n" in box.vjail("plan", LAB).out
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    assert "wire w0: nic: eth7 -> eth8\n" in up.err
    assert _eth7(box).split()[1] == "UP"
    assert _answers(box) == [True, True]
    kill(server(box))
    assert "wire w0 ⇄ this machine's eth8" in box.vjail("ls", LAB).out
    # The keeper that there is now brings home what is lent now.
    _line(box, "read pid started < $(echo /run/vjail/*/anchor) && kill -9 $pid")
    until(lambda: box.run("ip", "-br", "link", "show", "eth8").out != "")
    assert box.vjail("up", LAB).code == 0
    make(box, {"vjail.yml": FILES["vjail.yml"].replace("{nic: eth7}", "{}")})
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    assert "wire w0: nic: eth8 -> none\n" in up.err
    assert box.run("ip", "-br", "link", "show", "eth8").out != ""
    assert box.run("sh", "-c", "cat /run/vjail/*/loan").code != 0
    assert box.vjail("down", LAB).code == 0
    _line(box, "ip link delete eth7; ip link delete eth8")


@pytest.mark.root
@pytest.mark.parametrize("uid", [pytest.param(0, id="root")], indirect=True)
def test_frames_to_and_from_a_nic_meet_what_the_wire_has(box: Sandbox) -> None:
    _begin(box, "nic: eth7, delay: 30ms, rate: 10Mbit")
    said = _line(box, "ping -q -c 8 -i 0.05 192.168.7.1")
    quickest = float(said.rpartition(" = ")[2].split("/")[0])
    assert 60 <= quickest < 110, said

    # It goes to another wire, which comes before the one it was on, and meets nothing there.
    other = FILES["vjail.yml"].replace("w0: {nic: eth7}", "w1: {nic: eth7}\n  w0: {delay: 30ms}")
    for text in (other.replace("nic: eth7", "").replace("{delay", "{nic: eth7, delay"), other):
        make(box, {"vjail.yml": text.replace("em0: w0", "em0: w1")})
        up = box.vjail("up", LAB)
        assert up.code == 0, up
    assert "wire w1: nic: none -> eth7\nwire w0: nic: eth7 -> none\n" in up.err, up
    said = _line(box, "ping -q -c 8 -i 0.05 192.168.7.1")
    assert float(said.rpartition(" = ")[2].split("/")[0]) < 50, said
    assert box.vjail("down", LAB).code == 0
    assert "qdisc noqueue" in _line(box, "ip -o link show eth7"), "it comes home without"
    _line(box, "ip link delete eth7")


@pytest.mark.parametrize("uid", [pytest.param(NOBODY, id="user")], indirect=True)
def test_only_root_lends(box: Sandbox) -> None:
    make(box, FILES)
    up = box.vjail("up", LAB)
    assert up == Result(1, "", "vjail: only root can lend eth7 to a lab: run vjail as root, or leave `nic:` out\n")
