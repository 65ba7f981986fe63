"""Limits of pf's states with real connections: who opens too many is refused, and who opens them too fast."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox import NOBODY, Sandbox, sandbox
from talk import at

pytestmark = pytest.mark.real

_HERE = Path(__file__).parent
_LAB = "limits"
_DESCRIPTION = """\
wires: {outside: {}}
hosts:
  server: {files: server, nics: {em0: outside}}
  client: {files: client, nics: {em0: outside}}
"""
_SERVER, _CALLER, _OTHER, _THIRD = "192.0.2.1", "192.0.2.9", "192.0.2.10", "192.0.2.11"
_SERVER6, _CALLER6 = "2001:db8::1", "2001:db8::9"
_ADDRESSES = {
    "server": f'ifconfig_em0="inet {_SERVER}/24"\nifconfig_em0_ipv6="inet6 {_SERVER6}/64"\n',
    "client": f'ifconfig_em0="inet {_CALLER}/24"\nifconfig_em0_ipv6="inet6 {_CALLER6}/64"\n'
    f'ifconfig_em0_aliases="inet {_OTHER}/32 inet {_THIRD}/32"\n',
}
_PORTS = (22, 80)
_PATIENCE = 30.0


class Hosts:
    """A server with pf, and a client with three addresses."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self._calls = 0

    def on(self, host: str, line: str) -> str:
        done = at(self.box, _LAB, host, line, timeout=120)
        assert done.code == 0, done
        return done.out

    def load(self, rules: str) -> None:
        """Begin anew with these rules, and no connection."""
        quoted = rules.replace("\n", "\\n")
        self.hang_up()
        said = self.on("server", f"printf '{quoted}' > /tmp/pf; pfctl -qF all; pfctl -f /tmp/pf 2>&1")
        assert said == ""

    def call(self, source: str, port: int, expected: str, *, to: str = _SERVER) -> str:
        """Open connections and keep them; how they went."""
        self._calls += 1
        file, host = f"/tmp/call{self._calls}", "server" if source == _SERVER else "client"
        line = f"python3 /root/pf_callers.py call {file} {source} {to} {port} {expected}"
        wait = f"i=0; until [ -e {file} ] || [ $i -gt 2400 ]; do sleep 0.05; i=$((i + 1)); done"
        return self.on(host, f"({line} &) >/tmp/said 2>&1; {wait}; cat {file} || cat /tmp/said").strip()

    def hang_up(self) -> None:
        """Close all connections."""
        for host in _ADDRESSES:
            self.on(host, "rm -f /tmp/call*")

    def table(self) -> list[str]:
        """Who is in the table `bad`."""
        return self.on("server", "pfctl -t bad -T show").split()

    def peers(self) -> set[str]:
        """Who has states."""
        return {line.split()[4].split(":")[0] for line in self.on("server", "pfctl -s states").splitlines()}


def wait(condition: Callable[[], bool]) -> bool:
    """Whether something becomes so."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(
    scope="module", params=[pytest.param(0, id="root", marks=pytest.mark.root), pytest.param(NOBODY, id="user")]
)
def hosts(request: pytest.FixtureRequest, program: Path) -> Iterator[Hosts]:
    """Two hosts, up for one user; each test loads rules of its own."""
    if request.param == 0 and os.geteuid() != 0:
        pytest.skip("needs root")
    uid = request.param if os.geteuid() == 0 else os.geteuid()
    work = program / "work"
    for host, addresses in _ADDRESSES.items():
        folder = work / _LAB / host
        (folder / "files" / "root").mkdir(parents=True)
        shutil.copy(_HERE / "pf_callers.py", folder / "files" / "root")
        (folder / "rc.conf").write_text(addresses)
    (work / _LAB / "vjail.yml").write_text(_DESCRIPTION)
    try:
        for path in (work, *work.rglob("*")):
            os.chown(path, uid, uid)
        with sandbox(program, uid) as box:
            up = box.vjail("up", _LAB)
            assert up.code == 0, up
            found = Hosts(box)
            ports = " ".join(map(str, _PORTS))
            for host in _ADDRESSES:
                found.on(host, f"(python3 /root/pf_callers.py serve {ports} 2>&1 &) | head -1")
            found.on("server", "pfctl -qe")
            yield found
            down = box.vjail("down", _LAB)
            assert down.code == 0, down
    finally:
        shutil.rmtree(work)


_SSH = (
    "table <bad> persist\nblock in\nblock in quick from <bad>\npass in proto tcp from any to any port 80\n"
    "pass in proto tcp from any to any port 22 keep state ({})\n"
)


def test_who_opens_too_many_connections_gets_into_the_table_and_is_cut_off(hosts: Hosts) -> None:
    """max-src-conn: three are served, the fourth gets no answer, from then on nothing; all of his connections end."""
    hosts.load(_SSH.format("max-src-conn 3, overload <bad> flush global"))
    assert hosts.call(_CALLER, 80, "served") == "served"
    assert hosts.call(_OTHER, 22, "served served") == "served served"
    # It is taken for a connection by who calls: what does not arrive is the last packet of the handshake.
    assert hosts.call(_CALLER, 22, "served served served silent lost") == "served served served silent lost"
    assert hosts.table() == [_CALLER]
    assert hosts.peers() == {_OTHER}
    assert hosts.call(_CALLER, 80, "lost") == "lost"
    assert hosts.call(_OTHER, 22, "served") == "served"
    # A source that is let in again begins from nothing, since its states have gone.
    assert hosts.on("server", "pfctl -t bad -T delete 192.0.2.9 2>&1") == "1/1 addresses deleted.\n"
    assert hosts.table() == []
    assert hosts.call(_CALLER, 22, "served served served silent lost") == "served served served silent lost"
    assert hosts.on("server", "pfctl -t bad -T expire 3600 2>&1") == "0/0 addresses expired.\n"
    assert hosts.on("server", "pfctl -t bad -T expire 0 2>&1") == "1/1 addresses expired.\n"
    assert hosts.call(_CALLER, 22, "served") == "served"
    # What others have counts on while the table changes.
    assert hosts.call(_OTHER, 22, "silent lost") == "silent lost"
    assert hosts.table() == [_OTHER]


def test_what_the_table_holds_stays_when_rules_are_loaded_and_without_a_server(hosts: Hosts) -> None:
    """pfctl -f keeps a table whose entries the file does not name; so does a server that takes over."""
    rules = _SSH.format("max-src-conn 1, overload <bad>")
    hosts.load(rules)
    assert hosts.call(_CALLER, 22, "served") == "served"
    for pid in hosts.box.find("vjail.server"):
        os.kill(pid, signal.SIGKILL)
    # Without flush what stands goes on; the table is known to the rules at once, and to pfctl whoever asks.
    assert hosts.call(_CALLER, 22, "silent lost") == "silent lost"
    assert hosts.peers() == {_CALLER}
    hosts.on("server", "pfctl -f /tmp/pf; echo 'pass' >> /tmp/pf; pfctl -f /tmp/pf 2>&1")
    assert hosts.table() == [_CALLER]
    assert hosts.call(_CALLER, 22, "lost") == "lost"


def test_ipv6_and_connections_that_go_out_have_limits_too(hosts: Hosts) -> None:
    """The source of what goes out is this host, which gets into the table of those it does not let speak."""
    neighbours = "pass in inet6 proto icmp6 from any to any\n"
    hosts.load(_SSH.format("max-src-conn 1, overload <bad> flush global") + neighbours)
    said = hosts.call(_CALLER6, 22, "served silent lost", to=_SERVER6)
    assert said == "served silent lost"
    assert hosts.table() == [_CALLER6]
    assert hosts.call(_CALLER, 22, "served") == "served"
    hosts.load(
        "table <bad> persist\nblock out\nblock out quick from <bad>\n"
        "pass out proto tcp from any to any port 22 keep state (max-src-conn 2, overload <bad> flush)\n"
    )
    expected = "served served silent lost"
    assert hosts.call(_SERVER, 22, expected, to=_CALLER) == expected
    assert hosts.table() == [_SERVER]
    assert hosts.on("server", "pfctl -s states") == ""


def test_connections_that_are_sent_on_to_a_jail_are_counted_by_who_calls(hosts: Hosts) -> None:
    """rdr: what the rule sees is the jail's address, and the source as it is outside. Both states of the router go."""
    jail = [
        "jail -c name=inside vnet persist path=/; ifconfig epair9 create; ifconfig epair9b vnet inside",
        "ifconfig epair9a inet 10.9.0.1/24; jexec inside ifconfig epair9b inet 10.9.0.2/24",
        "jexec inside route add default 10.9.0.1; sysctl net.inet.ip.forwarding=1",
        "(jexec inside python3 /root/pf_callers.py serve 8080 2>&1 &) | head -1",
    ]
    hosts.on("server", "; ".join(jail))
    hosts.load(
        f"table <bad> persist\nrdr on em0 inet proto tcp from any to {_SERVER} port 80 -> 10.9.0.2 port 8080\n"
        "block in on em0\nblock in quick on em0 from <bad>\npass out\n"
        "pass in on em0 proto tcp from any to any port 8080 keep state (max-src-conn 2, overload <bad> flush global)\n"
    )
    assert hosts.call(_CALLER, 80, "served served silent lost") == "served served silent lost"
    assert hosts.table() == [_CALLER]
    assert hosts.on("server", "pfctl -s states") == ""
    assert hosts.call(_OTHER, 80, "served") == "served"
    hosts.on("server", "jail -r inside; ifconfig epair9a destroy; sysctl net.inet.ip.forwarding=0")


def test_flush_ends_the_states_of_the_rule_only(hosts: Hosts) -> None:
    hosts.load(_SSH.format("max-src-conn 1, overload <bad> flush"))
    assert hosts.call(_CALLER, 80, "served") == "served"
    assert hosts.call(_CALLER, 22, "served silent") == "served silent"
    assert wait(lambda: ":22 " not in hosts.on("server", "pfctl -s states"))
    assert ":80 " in hosts.on("server", "pfctl -s states")


def test_one_connection_too_many_ends_and_the_others_go_on(hosts: Hosts) -> None:
    """Without overload nobody is shut out: who closes a connection may open one again (on Linux at once)."""
    hosts.load(_SSH.format("max-src-conn 2"))
    assert hosts.call(_CALLER, 22, "served served silent") == "served served silent"
    assert hosts.table() == []
    assert hosts.call(_CALLER, 22, "silent") == "silent"
    hosts.hang_up()
    assert wait(lambda: hosts.call(_CALLER, 22, "served") == "served")


def test_who_connects_too_fast_gets_into_the_table(hosts: Hosts) -> None:
    """max-src-conn-rate counts the connections that were made, closed ones too."""
    hosts.load(_SSH.format("max-src-conn-rate 3/600, overload <bad> flush global"))
    assert hosts.call(_CALLER, 22, "served served") == "served served"
    hosts.hang_up()
    assert hosts.call(_CALLER, 22, "served silent lost") == "served silent lost"
    assert hosts.table() == [_CALLER]
    assert hosts.call(_OTHER, 22, "served") == "served"


def test_states_of_a_source_of_all_sources_and_sources_are_limited(hosts: Hosts) -> None:
    """max-src-states, max, max-src-nodes: no state is made, and nobody answers."""
    hosts.load(_SSH.format("max-src-states 2"))
    assert hosts.call(_CALLER, 22, "served served lost") == "served served lost"
    assert hosts.call(_OTHER, 22, "served") == "served"
    hosts.load(_SSH.format("max 3"))
    assert hosts.call(_CALLER, 22, "served served") == "served served"
    assert hosts.call(_OTHER, 22, "served lost") == "served lost"
    hosts.hang_up()
    assert wait(lambda: hosts.call(_OTHER, 22, "served") == "served")
    hosts.load(_SSH.format("source-track rule, max-src-nodes 2"))
    assert hosts.call(_CALLER, 22, "served") == "served"
    assert hosts.call(_OTHER, 22, "served") == "served"
    assert hosts.call(_THIRD, 22, "lost") == "lost"
    assert hosts.call(_CALLER, 22, "served") == "served"
    hosts.on("server", "pfctl -qF states")
    assert wait(lambda: hosts.call(_THIRD, 22, "served") == "served")
