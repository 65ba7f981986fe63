"""A lab of FreeBSD 15: sysctls and parameters that 13 has not, also under a server that took over."""

from __future__ import annotations

import pytest
from lives import kill, server
from sandbox import Sandbox
from typist import Typist, typing

pytestmark = pytest.mark.real

JAIL_CONF = """\
a {
  path = /jails/a;
  vnet;
  persist;
  exec.clean;
  meta.owner = "some one";
  env.COLOUR = red;
  exec.poststop = "echo stopped \\$JID \\$JNAME > /tmp/told";
}
"""
REFUSED = "Invalid argument (Member interface may not have an IP address assigned)"


def answer(typist: Typist, line: str) -> str:
    """Everything that a line prints, which may fail."""
    done = typist.type(line)
    return done.out + done.err


def mac(typist: Typist, name: str) -> str:
    """An interface's address."""
    return answer(typist, f"ifconfig {name} ether").partition("ether ")[2].split()[0]


def test_what_a_lab_of_release_15_has(box: Sandbox) -> None:
    folder = box.folder / "newer"
    folder.mkdir()
    (folder / "vjail.yml").write_text("freebsd: 15\nhosts:\n  fbsd: {files: .}\n")
    (folder / "jail.conf").write_text(JAIL_CONF)
    with typing(box, "newer") as typist:
        assert answer(typist, "jail -c a") == "a: created\n"
        assert answer(typist, "jls -j a meta.owner env") == "some one COLOUR=red\n"
        assert answer(typist, "ifconfig epair1 create; ifconfig epair2 create; ifconfig bridge0 create") != ""
        assert mac(typist, "epair1a").startswith("58:9c:fc:10:")
        answer(typist, "sysctl net.link.epair.ether_gen_addr=0 net.link.bridge.member_ifaddrs=0")
        answer(typist, "ifconfig epair1a inet 10.0.0.1/24; ifconfig bridge0 addm epair2a")
        kill(server(box))
        assert box.vjail("ls", "newer").code == 0
        assert answer(typist, "ifconfig bridge0 addm epair1a") == f"ifconfig: BRDGADD epair1a: {REFUSED}\n"
        assert "Invalid argument" in answer(typist, "ifconfig epair2a inet 10.0.1.1/24")
        answer(typist, "ifconfig epair3 create")
        assert mac(typist, "epair3a").startswith("02:")
        answer(typist, "sysctl net.link.bridge.inherit_mac=1; ifconfig bridge1 create addm epair2b up")
        assert mac(typist, "bridge1") == mac(typist, "epair2b")
        assert answer(typist, "jexec a sysctl -n security.jail.env") == "COLOUR=red\n"
        assert answer(typist, "jail -m name=a env.COLOUR; jls -j a env") == '""\n'
        jid = answer(typist, "jls -j a jid").strip()
        answer(typist, "jail -r a")
        assert answer(typist, "cat /tmp/told") == f"stopped {jid} a\n"
