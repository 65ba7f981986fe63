"""`vjail up` on a lab that is up: what differs is changed as `vjail plan` says, and nothing else is touched."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from lives import kill, server
from sandbox import Result, Sandbox

pytestmark = pytest.mark.real

SLEEP = "run: \"/bin/sh -c 'sleep 1000 &'\""
LAB = f"""\
networks: {{lan: {{subnet: 10.0.0.0/24, host: .1}}}}
jails:
  a: {{lan: .10, {SLEEP}}}
  b: {{lan: .11, {SLEEP}, parameters: {{exec.poststop: echo b was 11 >>/root/said}}}}
  c: {{lan: .12, {SLEEP}, hostname: c.example}}
"""


def write(box: Sandbox, text: str) -> None:
    folder = box.folder / "changing"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    (folder / "vjail.yml").write_text(text)


def up(box: Sandbox, *words: str, code: int = 0) -> Result:
    done = box.vjail("up", *words, "changing")
    assert done.code == code, done
    return done


def lives(box: Sandbox) -> dict[str, tuple[str, str]]:
    """Of each jail its number, and that of the process in it."""
    said = box.shell("jls jid name; ps -ax -o pid,jid,command", "changing")
    jids = dict(line.split()[::-1] for line in said.out.splitlines() if re.fullmatch(r"\s*\d+ [a-z]\s*", line))
    pids = {line.split()[1]: line.split()[0] for line in said.out.splitlines() if line.endswith("sleep 1000")}
    return {name: (jid, pids.get(jid, "")) for name, jid in jids.items()}


def fates(box: Sandbox, *words: str) -> dict[str, str]:
    said = box.vjail("plan", "--json", *words, "changing")
    assert said.code == 0, said
    found: Any = json.loads(said.out)
    return {jail["name"]: jail["fate"] for host in found["hosts"] for jail in host["jails"]}


def answers(box: Sandbox, address: str) -> bool:
    return box.vjail("exec", "-p", "changing", "a", "ping", "-c", "1", "-t", "1", address).code == 0


def test_one_address_is_edited_and_one_jail_is_touched(box: Sandbox) -> None:
    write(box, LAB)
    up(box)
    before = lives(box)
    assert set(before) == {"a", "b", "c"}
    assert all(pid for _, pid in before.values())
    assert fates(box) == dict.fromkeys("abc", "unchanged")
    up(box)
    assert lives(box) == before

    write(box, LAB.replace(".11", ".21").replace("b was 11", "b was 21").replace("c.example", "other.example"))
    assert fates(box) == {"a": "unchanged", "b": "restart", "c": "live"}
    dry, plan = box.vjail("up", "--dry-run", "changing"), box.vjail("plan", "changing")
    assert dry == plan
    assert "inet 10.0.0.21/24" in dry.out
    assert lives(box) == before, "a dry run does nothing"
    said = up(box).err
    assert re.search(r"^b: restart: .*exec.start: \+ ifconfig \w+ inet 10.0.0.21/24", said, re.MULTILINE), said
    assert "c: live: host.hostname: c.example -> other.example\n" in said, said
    after = lives(box)
    assert {name: after[name] for name in "ac"} == {name: before[name] for name in "ac"}
    assert after["b"][0] != before["b"][0]
    assert answers(box, "10.0.0.21")
    assert not answers(box, "10.0.0.11")
    assert box.vjail("exec", "-p", "changing", "c", "hostname").out == "other.example\n"
    # It was stopped as it was started, and not as it is to be.
    assert box.shell("cat /root/said", "changing").out == "b was 11\n"
    assert fates(box) == dict.fromkeys("abc", "unchanged")
    assert box.vjail("down", "changing").code == 0


def test_jails_come_and_go(box: Sandbox) -> None:
    write(box, LAB)
    up(box)
    before = lives(box)
    new = LAB.replace("  c:", "  d:").replace("lan: .12", "lan: .14, devices: tap0")
    write(box, new + "  e: {other: auto}\n")
    # A network that is not there is told, and what runs stays as it is.
    failed = box.vjail("up", "changing")
    assert failed.code == 1, failed
    assert lives(box) == before
    write(box, new.replace("host: .1}}", "host: .1}, other: {subnet: 10.1.0.0/24, host: .1}}") + "  e: {other: .5}\n")
    said = up(box).err
    assert "service netif start bridge" in said, said
    assert "service devfs restart: devfs.rules differs" in said, said
    after = lives(box)
    assert set(after) == {"a", "b", "d", "e"}
    assert {name: after[name] for name in "ab"} == {name: before[name] for name in "ab"}
    assert answers(box, "10.0.0.14")
    assert box.shell("ping -c 1 -t 2 10.1.0.5", "changing").code == 0
    assert box.vjail("down", "changing").code == 0


def test_a_jail_left_aside_is_stopped_later_as_it_was_started(box: Sandbox) -> None:
    """`--jail c` leaves b as it is, under a jail.conf that says otherwise by now."""
    write(box, LAB)
    up(box)
    before = lives(box)
    write(box, LAB.replace(".11", ".21").replace("b was 11", "b was 21").replace("lan: .12", "lan: .22"))
    up(box, "--jail", "c")
    now = lives(box)
    assert (now["a"], now["b"]) == (before["a"], before["b"])
    assert now["c"] != before["c"]
    assert fates(box) == {"a": "unchanged", "b": "restart", "c": "unchanged"}
    up(box)
    assert lives(box)["a"] == before["a"]
    assert box.shell("cat /root/said", "changing").out == "b was 11\n"
    assert answers(box, "10.0.0.21")
    assert box.vjail("down", "changing").code == 0


def test_files_that_are_wrong_change_nothing(box: Sandbox) -> None:
    folder = box.folder / "changing"
    folder.mkdir()
    folder.chmod(0o777)
    text = 'a { path = "/"; vnet; persist; exec.poststop = "echo old >>/root/said"; }\n'
    (folder / "jail.conf").write_text(text)
    up(box)
    before = lives(box)
    (folder / "jail.conf").write_text(text.replace("persist;", "persist; no_such_parameter;").replace("old", "new"))
    failed = box.vjail("up", "changing")
    assert failed.code == 1, failed
    assert lives(box) == before
    (folder / "jail.conf").write_text(text.replace("old", "new"))
    up(box)
    assert box.shell("cat /root/said", "changing").out == "old\n"
    assert box.vjail("down", "changing").code == 0


def test_rules_are_loaded_and_a_host_goes(box: Sandbox) -> None:
    two = (
        "wires: {w: {}}\nhosts:\n"
        "  r:\n    nics: {em0: w}\n    addresses: {em0: 192.0.2.1/24}\n"
        "    networks: {in: {subnet: 10.0.0.0/24, nat: em0}}\n    jails: {a: {in: .2}, s: {in: .3}}\n"
        "  o: {nics: {em0: w}, addresses: {em0: 192.0.2.2/24}, jails: {x: {run: \"/bin/sh -c 'sleep 1000 &'\"}}}\n"
    )
    write(box, two)
    up(box)
    write(box, two.replace("a: {in: .2}", "a: {in: .2, public: 192.0.2.9}"))
    said = up(box).err
    assert "service pf reload: pf.conf differs" in said, said
    nat = box.vjail("shell", "-p", "changing", "r", "-c", "pfctl -s nat").out
    assert "binat on em0 inet from 10.0.0.2 to any -> 192.0.2.9" in nat, nat
    write(box, two.partition("  o:")[0])
    said = up(box).err
    assert "o: stop: it is no host of the lab any more" in said, said
    assert [host["host"] for host in json.loads(box.vjail("ls", "--json", "changing").out)["hosts"]] == ["r"]
    assert box.vjail("down", "changing").code == 0


# --- cards, wires, hostid ---------------------------------------------------------------------------------------------

WIRED = f"""\
wires: {{w: {{}}, v: {{}}}}
hosts:
  r:
    nics: {{em0: w, em1: w}}
    addresses: {{em0: 192.0.2.1/24}}
    networks: {{in: {{subnet: 10.0.0.0/24, host: .1}}}}
    jails:
      a: {{in: .2, {SLEEP}}}
      b: {{nics: {{em1: 192.0.2.7/24}}, {SLEEP}}}
      c: {{{SLEEP}}}
  o: {{nics: {{em0: w}}, addresses: {{em0: 192.0.2.2/24}}}}
  p: {{nics: {{em0: v}}, addresses: {{em0: 192.0.2.3/24}}}}
"""


def on(box: Sandbox, place: str, line: str) -> Result:
    """A line that is typed on a host, or in HOST:JAIL."""
    if ":" in place:
        return box.vjail("exec", "-p", "changing", place, "sh", "-c", line)
    return box.vjail("shell", "-p", "changing", place, "-c", line)


def who_answers(box: Sandbox, place: str, *addresses: str) -> list[str]:
    """Those of some addresses that answer a place; they are asked side by side, and often."""
    line = "; ".join(f"(ping -o -q -i 0.2 -c 10 -t 2 {each} >/dev/null && echo {each}) &" for each in addresses)
    return sorted(on(box, place, f"{line.replace('&;', '&')} wait").out.split())


def lives_on_r(box: Sandbox) -> dict[str, str]:
    """The processes of r's jails."""
    said = on(box, "r", "jls jid name; ps -ax -o pid,jid,command").out
    names = dict(line.split() for line in said.splitlines() if re.fullmatch(r"\s*\d+ [a-z]\s*", line))
    pids = {line.split()[1]: line.split()[0] for line in said.splitlines() if line.endswith("sleep 1000")}
    return {name: f"{jid}:{pids[jid]}" for jid, name in names.items()}


def told(done: Result) -> list[str]:
    """What `vjail up` said of cards and wires."""
    return [line for line in done.err.splitlines() if re.match(r"(\w+: card|wire) ", line)]


def test_cards_and_wires_come_and_go_and_move(box: Sandbox) -> None:
    write(box, WIRED)
    up(box)
    before = lives_on_r(box)
    assert who_answers(box, "r:b", "192.0.2.2", "192.0.2.3") == ["192.0.2.2"]
    mac = on(box, "r:b", "ifconfig em1 | grep ether").out

    # A card on another wire stays what and where it is: not even the jail that has it is touched.
    moved = WIRED.replace("em1: w}", "em1: v}")
    write(box, moved)
    plan = box.vjail("plan", "changing").out
    assert plan.splitlines()[:2] == ["host r: up", "    card em1: wire w -> v"], plan
    assert told(up(box)) == ["r: card em1: wire w -> v"]
    assert (lives_on_r(box), on(box, "r:b", "ifconfig em1 | grep ether").out) == (before, mac)
    assert who_answers(box, "r:b", "192.0.2.2", "192.0.2.3") == ["192.0.2.3"]

    # A card in the place of another: only its jail restarts. A wire is cut, and a server that takes over knows it all.
    other = moved.replace("em1", "em2").replace("v: {}", "v: {cut: yes}")
    other = other.replace("o: {nics: {em0: w}", "o: {nics: {em0: w, em5: w}").replace(
        "2.2/24", "2.2/24, em5: 10.5.0.1/24"
    )
    write(box, other)
    assert sorted(told(up(box))) == [
        "o: card em5: new, on wire w",
        "r: card em1: removed",
        "r: card em2: new, on wire v",
        "wire v: cut: no -> yes",
    ]
    after = lives_on_r(box)
    assert {name: after[name] for name in "ac"} == {name: before[name] for name in "ac"}
    assert after["b"] != before["b"]
    kill(server(box))
    assert on(box, "r:b", "ifconfig -l").out == "lo0 em2\n"
    assert on(box, "r", "ifconfig -l").out.split()[:2] == ["em0", "lo0"]
    assert "status: no carrier" in on(box, "p", "ifconfig em0").out
    assert "inet 10.5.0.1 " in on(box, "o", "ifconfig em5").out
    assert who_answers(box, "r:b", "192.0.2.3") == []
    # One that has lost a card, as if the other had died while it came or went, has it anew.
    assert on(box, "o", "ip link delete em5").code == 0
    kill(server(box))
    assert "ether" in on(box, "o", "ifconfig em5").out
    assert on(box, "o", "ifconfig em5 10.5.0.1/24; ifconfig em0 -alias 192.0.2.2").code == 0
    assert on(box, "r", "ifconfig em0 alias 10.5.0.9/24").code == 0
    assert who_answers(box, "o", "10.5.0.9") == ["10.5.0.9"]

    # What was mended by hand stays so as long as the file says the same, and what the file says anew is done.
    assert box.vjail("mend", "-p", "changing", "v").code == 0
    assert told(up(box)) == []
    assert who_answers(box, "r:b", "192.0.2.3") == ["192.0.2.3"]
    assert box.vjail("cut", "-p", "changing", "v").code == 0
    write(box, other.replace("v: {cut: yes}", "v: {}"))
    assert told(up(box)) == ["wire v: cut: yes -> no"]
    assert who_answers(box, "r:b", "192.0.2.3") == ["192.0.2.3"]
    assert box.vjail("down", "changing").code == 0


def test_hosts_and_wires_are_new_and_go(box: Sandbox) -> None:
    write(box, WIRED)
    up(box)
    before = lives_on_r(box)
    # em1 was moved by hand into a jail whose configuration knows nothing of it.
    assert on(box, "r", "ifconfig em1 -vnet b && ifconfig em1 vnet c").code == 0
    new = WIRED.replace("v: {}", "u: {}").replace("  p: {nics: {em0: v}", "  q: {nics: {em0: u}")
    new = new.replace("{em0: w, em1: w}", "{em0: u, em1: w}")
    write(box, new)
    dry, plan = box.vjail("up", "--dry-run", "changing"), box.vjail("plan", "changing")
    assert dry == plan
    assert [line for line in plan.out.splitlines() if line.startswith(("wire", "host"))] == [
        "wire u: new",
        "wire v: removed",
        "host r: up",
        "host o: up",
        "host q: new",
        "host p: gone",
    ]
    said = up(box).err
    assert "p: stop: it is no host of the lab any more" in said, said
    assert lives_on_r(box) == before
    assert who_answers(box, "r", "192.0.2.2", "192.0.2.3") == ["192.0.2.3"]
    wires = json.loads(box.vjail("ls", "--json", "changing").out)["wires"]
    assert {name: [plug["host"] for plug in wire["plugs"]] for name, wire in wires.items()} == {
        "u": ["r", "q"],
        "w": ["r", "o"],
    }

    # Without em1: it is gone out of c too, which runs on. A jail that is left aside keeps a card of its own.
    assert on(box, "r", "ifconfig em1 -vnet c && ifconfig em1 vnet b").code == 0
    write(box, new.replace(", em1: w}", "}").replace(f"      b: {{nics: {{em1: 192.0.2.7/24}}, {SLEEP}}}\n", ""))
    assert told(up(box, "--jail", "c")) == ["r: card em1: stays for now: b has it, which is left as it is"]
    assert lives_on_r(box) == before
    assert on(box, "r", "ifconfig em1 -vnet b && ifconfig em1 vnet c").code == 0
    assert told(up(box)) == ["r: card em1: removed"]
    assert lives_on_r(box) == {name: before[name] for name in "ac"}
    assert on(box, "r:c", "ifconfig -l").out == "lo0\n"
    assert told(up(box)) == []
    assert box.vjail("down", "changing").code == 0


def test_another_hostid(box: Sandbox) -> None:
    write(box, WIRED)
    up(box)
    before = lives_on_r(box)
    look = "sysctl -n kern.hostuuid; ifconfig $(ifconfig -l | grep -o 'bridge[0-9]*') | grep ether"
    identity, mac = on(box, "r", look).out.splitlines()
    ours = "4f5e6d7c-1111-4222-8333-444455556666"
    write(box, WIRED.replace("  r:\n", f"  r:\n    hostid: {ours}\n"))
    said = up(box, "--no-jails").err
    assert "r: not now: hostid differs, and jails restart for it: " in said, said
    assert on(box, "r", look).out.splitlines() == [identity, mac]
    said = up(box).err
    assert "r: a: restart: hostid differs: MAC addresses of epairs and bridges are made of it\n" in said, said
    now, other = on(box, "r", look).out.splitlines()
    assert now == ours
    assert other != mac
    after = lives_on_r(box)
    assert {name: after[name] for name in "bc"} == {name: before[name] for name in "bc"}
    assert after["a"] != before["a"]
    assert who_answers(box, "r", "10.0.0.2") == ["10.0.0.2"]
    write(box, WIRED)
    up(box)
    assert on(box, "r", look).out.splitlines() == [identity, mac]
    assert box.vjail("down", "changing").code == 0


def test_what_cannot_be_changed_is_said(box: Sandbox) -> None:
    """And it is said as long as it is so; a card whose name something else has leaves the rest as it was."""
    write(box, WIRED)
    up(box)
    write(box, "freebsd: 14\n" + WIRED.replace("  o: {", "  o: {userland: minimal, "))
    for _ in range(2):
        said = up(box).err
        assert "not while the lab is up: freebsd: 13 -> 14; `vjail down changing` first\n" in said, said
        assert "o: not while the lab is up: userland: machine -> minimal; `vjail down` first\n" in said, said
    assert on(box, "o", "ifconfig epair create && ifconfig epair0a name em1").code == 0
    write(box, WIRED.replace("o: {nics: {em0: w}", "o: {nics: {em0: w, em1: w}"))
    said = up(box, code=1).err
    assert "o: its cards could not be changed: em1: an interface of that name is there; " in said, said
    assert who_answers(box, "o", "192.0.2.1") == ["192.0.2.1"]
    kill(server(box))
    assert who_answers(box, "o", "192.0.2.1") == ["192.0.2.1"]
    assert box.vjail("down", "changing").code == 0


HOSTS = """\
wires: {w: {}, v: {}}
hosts:
  a:
    nics: {em0: w, em1: v}
    addresses: {em0: [10.0.0.1/24, 2001:db8::1/64]}
    forward: true
    networks: {in: {subnet: 10.1.0.0/24, host: .1, uplink: em1}}
    jails: {j: {in: .9}}
  b:
    nics: {em0: w}
    addresses: {em0: 10.0.0.2/24}
    gateway: 10.0.0.1
"""
EDITS = (
    ("an address, and another gateway", (("10.0.0.2/24", "[10.0.0.7/24, 10.0.0.8/24]"), (".1\n", ".3\n"))),
    ("IPv6, and routes", (("[10.0.0.7/24, 10.0.0.8/24]", "[10.0.0.8/24, 2001:db8::8/64]"), (
        "gateway: 10.0.0.3", "routes: {10.9.0.0/16: 10.0.0.1, 2001:db8:9::/48: 2001:db8::1}"))),
    ("the host's address in a bridge, no forwarding", (("host: .1,", "host: .3,"), ("forward: true", ""))),
    ("no uplink", ((", uplink: em1", ""), ("2001:db8::1/64", "2001:db8::4/64"))),
)  # fmt: skip
SHOW = "ifconfig; netstat -rn; sysctl net.inet.ip.forwarding net.inet6.ip6.forwarding"


def _networks(box: Sandbox) -> dict[str, list[str]]:
    """What the hosts show of their networks, but for what is counted or listed in the order in which it came."""
    found: dict[str, list[str]] = {}
    for host in "ab":
        done = box.vjail("shell", "-p", "changing", host, "-c", SHOW)
        assert (done.code, done.err) == (0, ""), done
        found[host] = sorted(
            re.sub(r"member: |port \d+|priority \d+|link#\d+| +$", "", line) for line in done.out.splitlines()
        )
    return found


def test_a_host_gets_what_a_boot_would_give_it(box: Sandbox) -> None:
    text = HOSTS
    write(box, text)
    up(box)
    for name, edits in EDITS:
        for old, new in edits:
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        write(box, text)
        planned = box.vjail("plan", "changing").out
        said = up(box).err
        assert "not while" not in planned + said, said
        assert "ifconfig " in said, said
        live = _networks(box)
        assert box.vjail("down", "changing").code == 0
        up(box)
        assert live == _networks(box), name
    assert box.vjail("down", "changing").code == 0


def test_what_needs_a_new_start_is_told(box: Sandbox) -> None:
    write(box, HOSTS)
    up(box)
    write(box, HOSTS.replace("gateway: 10.0.0.1", "gateway: 10.0.0.1\n    rc: {ifconfig_em0_name: lan0}"))
    told = "rc.conf: ifconfig_em0_name: not set -> lan0"
    assert f"not while the lab is up: {told}" in box.vjail("plan", "changing").out
    for _ in range(2):
        assert f"b: not while the lab is up: {told}; `vjail down` first\n" in up(box).err
    # Another server knows it too, until the file says what is.
    kill(server(box))
    assert f"not while the lab is up: {told}" in box.vjail("plan", "changing").out
    write(box, HOSTS)
    assert "not while" not in up(box).err + up(box).err + box.vjail("plan", "changing").out
    assert box.vjail("down", "changing").code == 0
