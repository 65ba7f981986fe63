"""`vjail up` on a lab that is up: what differs is changed as `vjail plan` says, and nothing else is touched."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
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
