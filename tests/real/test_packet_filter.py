"""pf with real packets: the examples of row C4, and random rules against an evaluator that reads them as pf does."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sandbox import NOBODY, Sandbox, sandbox
from talk import Talk, at, share

pytestmark = pytest.mark.real

_HERE = Path(__file__).parent
TOP = _HERE.parent.parent
_EXAMPLES = TOP / "examples"
_RULESETS = 50
"""Random rulesets a run tries; each run others."""


def test_random_rules_and_packets() -> None:
    """What nftables does to packets is what pf's rules say, for rulesets that nobody thought of."""
    environ = {**os.environ, "PYTHONPATH": str(TOP / "src")}
    line = ["unshare", "--net", *(() if os.geteuid() == 0 else ("--user", "--map-root-user"))]
    seed = str(int.from_bytes(os.urandom(4), "big"))
    line += [sys.executable, str(_HERE / "pf_router.py"), str(_RULESETS), seed]
    done = subprocess.run(line, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == (f"ok {_RULESETS}\n", 0), f"seed {seed}\n{done.stdout}{done.stderr}"


# --- row C4 -----------------------------------------------------------------------------------------------------------


class Lab:
    """An example of row C4, with `onwire.py` on its hosts and in its jails."""

    def __init__(self, box: Sandbox, name: str) -> None:
        self.box = box
        self.name = name

    def on(self, place: str, line: str) -> str:
        done = at(self.box, self.name, place, line)
        assert done.code == 0, done
        return done.out

    def reaches(self, place: str, *addresses: str) -> list[bool]:
        talks = [Talk(place, address) for address in addresses]
        shares = share(self.box, self.name, talks, count=2, seconds=1)
        return [shares[talk] == 1 for talk in talks]


_NAT_OF_IPV6 = TOP / "tests" / "lab" / "file" / "right" / "nat-of-ipv6"
_LABS = (_EXAMPLES / "C4-static-nat", _EXAMPLES / "C4-nat-and-rdr", _NAT_OF_IPV6)


@pytest.fixture(
    scope="module", params=[pytest.param(0, id="root", marks=pytest.mark.root), pytest.param(NOBODY, id="user")]
)
def labs(request: pytest.FixtureRequest, program: Path) -> Iterator[Callable[[str], Lab]]:
    """Both examples and a lab file, up for one user; each test leaves them as they were."""
    if request.param == 0 and os.geteuid() != 0:
        pytest.skip("needs root")
    uid = request.param if os.geteuid() == 0 else os.geteuid()
    work = program / "work"
    names = [path.name for path in _LABS]
    for path in _LABS:
        shutil.copytree(path, work / path.name, ignore=shutil.ignore_patterns("expected"))
        for host in [each for each in (work / path.name).iterdir() if each.is_dir()]:
            (host / "files" / "root").mkdir(parents=True)
            shutil.copy(_HERE / "onwire.py", host / "files" / "root")
    try:
        for path in (work, *work.rglob("*")):
            os.chown(path, uid, uid)
        with sandbox(program, uid) as box, ThreadPoolExecutor() as pool:
            for up in pool.map(lambda name: box.vjail("up", name), names):
                assert up.code == 0, up
            yield lambda name: Lab(box, name)
            for down in pool.map(lambda name: box.vjail("down", name), names):
                assert down.code == 0, down
    finally:
        shutil.rmtree(work)


_PRIVATE, _PUBLIC = ("10.0.0.2", "fd00:10::2"), ("192.168.2.5", "2001:db8:2::5")
_CLIENT = ("192.168.2.9", "2001:db8:2::9")


def _frames(said: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in said.splitlines()]


def test_static_nat_both_ways_and_the_private_address_never_outside(labs: Callable[[str], Lab]) -> None:
    """C4: ping and TCP, IPv4 and IPv6, from outside and from the jail; what the outer wire carries is looked at."""
    lab = labs("C4-static-nat")
    lines = ["cp /root/onwire.py /jails/serverA/root/"]
    lines += ["(jexec serverA python3 /root/onwire.py serve 7001 &) >/dev/null 2>&1"]
    lab.on("serverC", "; ".join(lines))
    script = [
        f"ping -c 2 -i 0.1 {_PUBLIC[0]}",
        f"ping -c 2 -i 0.1 {_PUBLIC[1]}",
        f"python3 /root/onwire.py call {_PUBLIC[0]} 7001 65536",
    ]
    frames = _frames(lab.on("client", f"python3 /root/onwire.py watch em0 sh -c '{'; '.join(script)}'"))
    seen = {(each["source"], each["target"]) for each in frames if "source" in each}
    for public, client in zip(_PUBLIC, _CLIENT, strict=True):
        assert {(public, client), (client, public)} <= seen
    assert not [pair for pair in seen if set(pair) & {*_PRIVATE, "10.0.0.1", "fd00:10::1"}]
    assert {each["protocol"] for each in frames if "protocol" in each} >= {1, 6, 58}

    # The other way: the jail calls.
    calls = [
        f"jexec serverA ping -c 2 -i 0.1 {_CLIENT[0]}",
        f"jexec serverA ping -c 2 -i 0.1 {_CLIENT[1]}",
        f"jexec serverA python3 /root/onwire.py call {_CLIENT[1]} 7002 65536",
    ]
    lab.on("client", "(python3 /root/onwire.py serve 7002 &) >/dev/null 2>&1")
    watch = f"python3 /root/onwire.py watch em0 sh -c '{'; '.join(calls)}'"
    frames = _frames(lab.on("serverC", watch))
    seen = {(each["source"], each["target"]) for each in frames if "source" in each}
    for public, client in zip(_PUBLIC, _CLIENT, strict=True):
        assert {(public, client), (client, public)} <= seen
    assert not [pair for pair in seen if set(pair) & set(_PRIVATE)]
    states = lab.on("serverC", "pfctl -s states")
    assert re.search(r"^all tcp 10\.0\.0\.2:7001 \(192\.168\.2\.5:7001\) <- 192\.168\.2\.9:\d+ ", states, re.MULTILINE)
    assert re.search(r"^all icmp 192\.168\.2\.5:\d+ \(10\.0\.0\.2:\d+\) -> 192\.168\.2\.9:\d+ ", states, re.MULTILINE)


def test_nat_for_a_network_and_rdr_to_a_jail(labs: Callable[[str], Lab]) -> None:
    """Jails share the router's address; its port 80 is a jail's; anything else from outside is refused, not ignored."""
    lab = labs("C4-nat-and-rdr")
    for jail in ("web", "shell"):
        assert lab.reaches(f"router:{jail}", *_CLIENT) == [True, True]
    assert lab.reaches("client", "192.168.2.3", "2001:db8:2::3") == [True, True]
    lab.on("router", "cp /root/onwire.py /jails/web/root/")
    for address in ("192.168.2.3", "2001:db8:2::3"):
        lab.on("router", "(jexec web python3 /root/onwire.py serve 8080 &) >/dev/null 2>&1")
        said = lab.on("client", f"python3 /root/onwire.py call {address} 80 65536")
        assert "65536" in said, said
    refused = (
        "python3 -c \"import socket; s = socket.socket(); s.settimeout(5); print(s.connect_ex(('192.168.2.3', 22)))\""
    )
    assert lab.on("client", refused) == "111\n", "a reset came back"
    assert lab.on("router", "pfctl -s nat").splitlines()[0] == ("nat on em0 inet from 10.0.0.0/24 to any -> (em0:0)")
    # (em0:0) is the address there is when a packet goes out.
    lab.on("router", "ifconfig em0 inet 192.168.2.33/24")
    assert lab.reaches("router:shell", _CLIENT[0]) == [True]
    assert "192.168.2.33:" in lab.on("router", "pfctl -s states")
    lab.on("router", "ifconfig em0 inet 192.168.2.3/24")


def test_nat_for_local_ipv6(labs: Callable[[str], Lab]) -> None:
    """A lab file's: local addresses are never outside, global ones are; the card has a link-local address besides."""
    lab = labs(_NAT_OF_IPV6.name)
    script = base64.b64encode((_HERE / "onwire.py").read_bytes()).decode()
    lab.on("router", f"echo {script} | base64 -d > /root/onwire.py")
    calls = [f"jexec {jail} ping -c 2 -i 0.1 2001:db8::9" for jail in ("a", "b", "c")]
    frames = _frames(lab.on("router", f"python3 /root/onwire.py watch em0 sh -c '{'; '.join(calls)}'"))
    seen = {each["source"] for each in frames if each.get("target") == "2001:db8::9" and each["protocol"] == 58}
    asked = {each for each in seen if not each.startswith("fe80:")}
    assert asked == {"2001:db8::1", "2001:db8::5", "2001:db8:1::2"}, frames
    for jail in ("a", "b", "c"):
        assert lab.reaches(f"router:{jail}", "192.0.2.9", "2001:db8::9") == [True, True], jail
    assert lab.reaches("far", "2001:db8::5", "2001:db8:1::2", "fd00::2") == [True, True, False]


def test_tables_anchors_and_a_jail_with_a_pf_of_its_own(labs: Callable[[str], Lab]) -> None:
    """pfctl on a host: a table that changes what passes, an anchor loaded by itself, pf in a vnet jail."""
    lab = labs("C4-static-nat")
    rules = 'table <bad> persist\\nanchor "more/*"\\nblock in quick from <bad>\\npass\\n'
    lab.on("client", f"printf '{rules}' > /tmp/pf; pfctl -ef /tmp/pf 2>&1")
    assert lab.reaches("serverC", _CLIENT[0]) == [True]
    said = lab.on("client", "pfctl -t bad -T add 192.168.2.3 2>&1; pfctl -t bad -T show; pfctl -F states 2>/dev/null")
    assert said == "1/1 addresses added.\n   192.168.2.3\n"
    assert lab.reaches("serverC", *_CLIENT) == [False, True]
    lab.on(
        "client",
        "pfctl -t bad -T delete 192.168.2.3; printf 'block in quick inet6 proto icmp6 icmp6-type echoreq\\n'"
        " | pfctl -a more/one -f - 2>&1; pfctl -F states 2>/dev/null",
    )
    assert lab.on("client", "pfctl -s Anchors") == "  more\n"
    assert lab.reaches("serverC", *_CLIENT) == [True, False]
    lab.on("client", "pfctl -F all 2>/dev/null; pfctl -d 2>&1")
    assert lab.reaches("serverC", *_CLIENT) == [True, True]

    # A jail whose /dev shows pf has a pf of its own; serverA's does not.
    assert at(lab.box, lab.name, "serverC:serverA", "pfctl -s rules").err == (
        "pfctl: /dev/pf: No such file or directory\n"
    )
    lab.on("client", "jail -c name=fw vnet persist path=/; ifconfig epair9 create; ifconfig epair9b vnet fw")
    lab.on("client", "ifconfig epair9a inet 10.9.0.1/24; jexec fw ifconfig epair9b inet 10.9.0.2/24")
    assert lab.reaches("client", "10.9.0.2") == [True]
    lab.on("client", "echo block in | jexec fw pfctl -ef - 2>&1; pfctl -s Running")
    assert lab.reaches("client", "10.9.0.2") == [False]
    lab.on("client", "jail -r fw; ifconfig epair9a destroy")


def test_a_server_that_takes_over_goes_on_with_pf(labs: Callable[[str], Lab]) -> None:
    """What is in force stays in force while there is no server; the next one knows it, and changes it."""
    lab = labs("C4-static-nat")
    before = lab.on("serverC", "pfctl -s nat; pfctl -s rules; pfctl -s Running")
    for pid in lab.box.find("vjail.server"):
        os.kill(pid, signal.SIGKILL)
    assert lab.on("serverC", "pfctl -s nat; pfctl -s rules; pfctl -s Running") == before
    assert lab.reaches("client", *_PUBLIC) == [True, True]
    lab.on("serverC", "echo block in on em0 inet6 | pfctl -a x -f -; echo anchor x | pfctl -R -f -; pfctl -F states")
    assert lab.reaches("client", *_PUBLIC) == [True, False]
    lab.on("serverC", "service pf reload")
    assert lab.reaches("client", *_PUBLIC) == [True, True]
