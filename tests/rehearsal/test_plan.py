"""vjail plan: what up would do, worked out in memory; of what runs, what differs."""

from __future__ import annotations

import json
from pathlib import Path

from vjail.lab import folder
from vjail.lab.changes import Fate, RunningHost
from vjail.rehearsal.plan import Plan, plan

EXAMPLES = Path(__file__).parents[2] / "examples"
LAB = "networks: {lan: {subnet: 10.0.0.0/24}}\njails:\n  a: {lan: .10}\n  b: {lan: .11}\n  c: {lan: .12}\n"


def made(tmp_path: Path, text: str, running: dict[str, RunningHost] | None = None) -> Plan:
    (tmp_path / "vjail.yml").write_text(text)
    return plan(folder.load(tmp_path), running or {})


def as_it_runs(tmp_path: Path, text: str, *jails: str) -> dict[str, RunningHost]:
    (tmp_path / "vjail.yml").write_text(text)
    return {
        name: RunningHost({each: file.content for each, file in spec.files.items()}, jails)
        for name, spec in folder.load(tmp_path).hosts.items()
    }


def test_a_lab_that_is_not_up(tmp_path: Path) -> None:
    found = made(tmp_path, LAB)
    (host,) = found.hosts
    assert host.state == "new"
    assert {each.change.name: each.change.fate for each in host.jails} == dict.fromkeys("abc", Fate.START)
    steps = host.jails[0].steps
    assert [step.phase for step in steps][:3] == ["mount.devfs", "exec.prestart", "exec.prestart"]
    assert any("inet 10.0.0.10/24" in step.command and step.place.endswith("jail.conf:17") for step in steps), steps
    assert not found.unknown


def test_what_a_host_does_at_its_boot_beyond_every_host() -> None:
    (_, client) = plan(folder.load(EXAMPLES / "C3-bridge-lab"), {}).hosts
    assert [step.command for step in client.boot] == [
        "/bin/hostname client",
        "/sbin/ifconfig em0 inet 192.168.2.9/24 up",
        "/sbin/ifconfig em0 inet6 -ifdisabled",
        "/sbin/ifconfig em0 inet6 2001:db8:2::9/64",
        "/sbin/ifconfig em0 up",
    ]


def test_a_jail_that_will_fail_is_told() -> None:
    (host,) = plan(folder.load(EXAMPLES / "D2-interfaces-in-one-string"), {}).hosts
    assert "epair11b epair12b" in host.jails[0].failure


def test_only_what_differs(tmp_path: Path) -> None:
    running = as_it_runs(tmp_path, LAB, "a", "b", "c")
    same = made(tmp_path, LAB, running)
    assert same.as_text() == "host fbsd: up\n  unchanged: a b c\n"
    changed = made(tmp_path, LAB.replace(".11", ".21"), running)
    (host,) = changed.hosts
    by_name = {each.change.name: each for each in host.jails}
    assert {name: each.change.fate for name, each in by_name.items()} == {
        "a": Fate.UNCHANGED,
        "b": Fate.RESTART,
        "c": Fate.UNCHANGED,
    }
    phases = [step.phase for step in by_name["b"].steps]
    assert phases.index("remove") < phases.index("create")
    assert by_name["a"].steps == ()
    assert by_name["b"].failure == ""


def test_a_jail_is_stopped_with_what_it_was_started_with(tmp_path: Path) -> None:
    """Also where its host has another jail.conf since."""
    older = as_it_runs(tmp_path, LAB.replace(".11", ".31"), "a", "b", "c")["fbsd"]
    now = as_it_runs(tmp_path, LAB, "a", "b", "c")["fbsd"]
    running = {"fbsd": RunningHost(now.files, now.jails, {"b": older.files["jail.conf"]})}
    found = made(tmp_path, LAB, running)
    change = next(each.change for each in found.hosts[0].jails if each.change.name == "b")
    assert change.fate is Fate.RESTART
    assert any("10.0.0.31" in reason for reason in change.reasons())


def test_a_host_that_is_gone(tmp_path: Path) -> None:
    two = "wires: {w: {}}\nhosts:\n  one: {nics: {em0: w}, jails: {a: {}}}\n  two: {nics: {em0: w}, jails: {b: {}}}\n"
    running = as_it_runs(tmp_path, two, "a")
    running["two"] = RunningHost(running["two"].files, ("b",))
    found = made(tmp_path, two.partition("  two")[0], running)
    assert [(host.name, host.state) for host in found.hosts] == [("one", "up"), ("two", "gone")]
    assert [each.change.fate for each in found.hosts[1].jails] == [Fate.STOP]
    assert "remove" in [step.phase for step in found.hosts[1].jails[0].steps]


def test_as_json(tmp_path: Path) -> None:
    running = as_it_runs(tmp_path, LAB, "a", "b", "c")
    data = json.loads(json.dumps(made(tmp_path, LAB.replace(".11", ".21"), running).as_json()))
    jail = data["hosts"][0]["jails"][1]
    assert jail["fate"] == "restart"
    assert jail["differences"][0]["parameter"] == "exec.start"
    assert {"phase", "command", "place"} == set(jail["steps"][0])


def test_what_the_model_does_not_know_is_said(tmp_path: Path) -> None:
    (tmp_path / "jail.conf").write_text('a { path = "/"; persist; exec.prestart = "perl -e 1"; }\n')
    found = plan(folder.load(tmp_path), {})
    text = found.as_text()
    assert "a: start" in text
    assert "perl" in text, text
