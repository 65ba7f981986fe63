"""Wires cut and mended while a lab runs: what ifconfig shows, what programs see, what passes, what is taken over."""

from __future__ import annotations

import json

import pytest
from lives import kill, outcome, server, until, vjail
from sandbox import Result, Sandbox
from typed import LAB, make

pytestmark = pytest.mark.real

FILES = {
    "vjail.yml": """\
wires: {w0: {}, w1: {}}
hosts:
  a: {files: a, nics: {em0: w0}}
  b: {files: b, nics: {vtnet0: w0, vtnet1: w1}}
  c: {files: c, nics: {em1: w0}}
""",
    "a/rc.conf": 'ifconfig_em0="inet 192.168.7.1/24"\nifconfig_em0_ipv6="inet6 2001:db8:7::1/64"\nvlans_em0="100"\n',
    "b/rc.conf": """\
cloned_interfaces="bridge0"
ifconfig_vtnet0="up"
ifconfig_bridge0="inet 192.168.7.2/24 addm vtnet0 up"
ifconfig_vtnet1_name="spare"
""",
    "c/rc.conf": "",
    "c/jail.conf": """\
inner {
	path = /;
	vnet;
	vnet.interface = em1;
	exec.start = "ifconfig em1 inet 192.168.7.3/24";
	exec.start += "ifconfig em1 inet6 2001:db8:7::3/64";
	persist;
}
""",
}


def _at(box: Sandbox, host: str, line: str) -> str:
    done = box.vjail("shell", "-p", LAB, host, "-c", line)
    return done.out + done.err


def _answers(box: Sandbox, address: str, *, host: str = "a") -> bool:
    """Whether an echo request from a host is answered within a second."""
    return "1 packets received" in _at(box, host, f"ping -c 1 -t 1 {address}")


def _links(box: Sandbox) -> dict[str, tuple[str, str]]:
    """Medium and status of each card, wherever it is, as ifconfig shows them."""
    found = {}
    for host, line in (
        ("a", "ifconfig em0"),
        ("b", "ifconfig vtnet0; ifconfig spare"),
        ("c", "jexec inner ifconfig em1"),
    ):
        name = ""
        for text in _at(box, host, line).splitlines():
            key, _, value = text.strip().partition(": ")
            if not text.startswith("\t"):
                name, medium = f"{host}:{key}", ""
                assert "UP" not in value.split("<")[1].split(",") or "RUNNING" in value, text
            elif key == "media":
                medium = value
            elif key == "status":
                found[name] = medium, value
    return found


_TEN = "Ethernet autoselect (10Gbase-T <full-duplex>)"
_ON = (_TEN, "active")
_EM, _VTNET = ("Ethernet autoselect", "no carrier"), ("Ethernet autoselect (none)", "no carrier")
_WHOLE = {"a:em0": _ON, "b:vtnet0": _ON, "b:spare": _ON, "c:em1": _ON}
_CUT = {"a:em0": _EM, "b:vtnet0": _VTNET, "b:spare": _ON, "c:em1": _EM}


def test_cut_and_mended(box: Sandbox) -> None:
    make(box, FILES)
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    assert _links(box) == _WHOLE
    assert all(_answers(box, each) for each in ("192.168.7.2", "192.168.7.3", "2001:db8:7::3"))
    watching = vjail(box, "exec", "-p", LAB, "inner", "ip", "-o", "monitor", "link")
    until(lambda: bool(box.running("ip", "-o", "monitor", "link")))

    assert box.vjail("cut", "-p", LAB, "w0") == Result(0, "", "w0: cut\n")
    assert box.vjail("cut", "-p", LAB, "w0") == Result(0, "", "w0: cut already\n")
    assert _links(box) == _CUT
    assert "status: no carrier" in _at(box, "a", "ifconfig em0.100"), "a vlan has its parent's link"
    assert not _answers(box, "192.168.7.2")
    listed = box.vjail("ls", LAB).out
    assert "wire w0 (cut) ⇄ b vtnet0, c em1" in listed, listed
    assert "wire w1\n" in listed, listed

    kill(server(box))
    assert box.vjail("ls", LAB).out == listed, "another server says the same"
    assert _links(box) == _CUT
    assert box.vjail("mend", "-p", LAB, "w0") == Result(0, "", "w0: mended\n")
    assert _links(box) == _WHOLE
    assert all(_answers(box, each) for each in ("192.168.7.2", "192.168.7.3", "2001:db8:7::3"))

    (monitor,) = box.running("ip", "-o", "monitor", "link")
    kill(monitor, 15)
    _, seen, _ = outcome(watching)
    assert "NO-CARRIER" in seen, seen
    assert "NO-CARRIER" not in seen.splitlines()[-1], seen
    assert box.vjail("down", LAB).code == 0


def test_one_plug_pulled(box: Sandbox) -> None:
    make(box, FILES)
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    assert box.vjail("cut", "-p", LAB, "c:em1", "b:vtnet1") == Result(0, "", "c:em1: cut\nb:vtnet1: cut\n")
    assert _links(box) == _WHOLE | {"c:em1": _EM, "b:spare": _VTNET}
    assert _answers(box, "192.168.7.2")
    assert not _answers(box, "192.168.7.3")
    assert box.vjail("cut", "-p", LAB, "w0").code == 0
    assert box.vjail("mend", "-p", LAB, "w0") == Result(0, "", "w0: mended; still cut: c:em1\n")
    assert _answers(box, "192.168.7.2")
    data = json.loads(box.vjail("ls", "--json", LAB).out)
    assert data["wires"]["w0"] == {
        "cut": False,
        "nic": None,
        "plugs": [
            {"host": "a", "nic": "em0", "cut": False},
            {"host": "b", "nic": "vtnet0", "cut": False},
            {"host": "c", "nic": "em1", "cut": True},
        ],
    }
    (inner,) = data["hosts"][2]["jails"]
    assert [(each["wire"], each["status"]) for each in inner["interfaces"] if "wire" in each] == [("w0", "no carrier")]
    assert "unplugged" in box.vjail("ls", LAB).out

    # The card comes home without carrier, and has it again there.
    assert box.vjail("stop", "-p", LAB, "inner").code == 0
    assert "status: no carrier" in _at(box, "c", "ifconfig em1")
    assert box.vjail("mend", "-p", LAB, "c:em1", "b:vtnet1").code == 0
    assert "status: active" in _at(box, "c", "ifconfig em1 inet 192.168.7.4/24; ifconfig em1")
    assert _answers(box, "192.168.7.4")

    wrong = box.vjail("mend", "-p", LAB, "w", "c:em2")
    assert wrong == Result(
        1,
        "",
        "vjail: no wire or plug is called w; did you mean w1?\n"
        "vjail: no wire or plug is called c:em2; did you mean c:em1?\n",
    )
    assert box.vjail("down", LAB).code == 0
