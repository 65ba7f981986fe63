"""lagg(4) where this kernel has bonding, its refusal where it has none: two hosts on two wires, and one wire cut."""

from __future__ import annotations

import pytest
from sandbox import Sandbox

pytestmark = pytest.mark.real

LAB = """\
wires: {w0: {}, w1: {}}
hosts:
  one: {userland: minimal, nics: {em0: w0, em1: w1}}
  two: {userland: minimal, nics: {em0: w0, em1: w1}}
"""
JOIN = """
set -e
ifconfig em0 up; ifconfig em1 up
ifconfig lagg0 create
ifconfig lagg0 laggproto failover laggport em0 laggport em1
ifconfig lagg0 10.0.0.%d/24
"""


def test_a_lagg_fails_over_when_a_wire_is_cut(box: Sandbox) -> None:
    (box.folder / "lagg").mkdir()
    (box.folder / "lagg" / "vjail.yml").write_text(LAB)
    assert box.vjail("up", "lagg", timeout=200).code == 0

    def typed(host: str, line: str) -> str:
        done = box.vjail("shell", "-p", "lagg", host, "-c", line, timeout=200)
        return done.out + done.err

    first = [typed(host, JOIN % number) for number, host in enumerate(("one", "two"), 1)]
    has_bonding = box.run("unshare", "-rn", "ip", "link", "add", "bond9", "type", "bond").code == 0
    assert ("lagg" in typed("one", "ifconfig -C").split()) == has_bonding
    if not has_bonding:
        said = "ifconfig: SIOCIFCREATE2 (lagg0): Operation not supported (this machine's kernel has no bonding)\n"
        assert first == [said, said]
        assert box.vjail("down", "lagg").code == 0
        return
    assert first == ["", ""]
    shown = typed("one", "ifconfig lagg0")
    assert "\tlaggport: em0 flags=5<MASTER,ACTIVE>\n\tlaggport: em1 flags=0<>\n" in shown, shown
    assert "\tstatus: active\n" in shown
    ping = "for i in 1 2 3 4 5 6 7 8 9 10; do ping -c 1 -t 1 10.0.0.2 >/dev/null && break; done; echo $?"
    assert typed("one", ping) == "0\n"
    assert box.vjail("cut", "-p", "lagg", "w0", timeout=200).code == 0
    assert typed("one", ping) == "0\n", "em1 takes over"
    shown = typed("one", "ifconfig lagg0; ifconfig em1")
    assert "\tlaggport: em0 flags=1<MASTER>\n\tlaggport: em1 flags=4<ACTIVE>\n" in shown, shown
    assert shown.count("\thwaddr ") == 1
    assert box.vjail("cut", "-p", "lagg", "w1", timeout=200).code == 0
    assert (
        typed("one", "ping -c 1 -t 1 10.0.0.2 >/dev/null; echo $?; ifconfig lagg0 | grep status")
        == "2\n\tstatus: no carrier\n"
    )
    for wire in ("w0", "w1"):
        assert box.vjail("mend", "-p", "lagg", wire, timeout=200).code == 0
    assert typed("one", ping) == "0\n"
    for proto in ("roundrobin", "failover"):
        for host in ("one", "two"):
            assert typed(host, f"ifconfig lagg0 laggproto {proto}") == ""
        assert typed("one", ping) == "0\n"
    gone = "ifconfig lagg0 destroy; ifconfig em1 | grep -c hwaddr; ifconfig em0 10.0.1.1/24; ifconfig -l"
    assert typed("one", gone) == "0\nem0 em1 lo0\n"
    assert box.vjail("down", "lagg", timeout=200).code == 0
