"""vjail plan: what up would do, worked out in memory; of what runs, what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from vjail.lab import folder
from vjail.lab.changes import Fate, RunningHost
from vjail.lab.configured import Configured, by_name, configured, hostid_of, made_with
from vjail.lab.model import Lab, WireSettings
from vjail.rehearsal import Rehearsal
from vjail.rehearsal.plan import Plan, plan
from vjail.release import Release

EXAMPLES = Path(__file__).parents[2] / "examples"
LAB = "networks: {lan: {subnet: 10.0.0.0/24}}\njails:\n  a: {lan: .10}\n  b: {lan: .11}\n  c: {lan: .12}\n"


def made(
    tmp_path: Path,
    text: str,
    running: dict[str, RunningHost] | None = None,
    said: Mapping[str, WireSettings] | None = None,
) -> Plan:
    """What is planned for a lab file; `said`: of the wires of what runs, None: the same as now."""
    (tmp_path / "vjail.yml").write_text(text)
    lab = folder.load(tmp_path)
    return plan(lab, running or {}, wires=lab.settings() if said is None else said)


def as_it_runs(tmp_path: Path, text: str, *jails: str) -> dict[str, RunningHost]:
    (tmp_path / "vjail.yml").write_text(text)
    lab = folder.load(tmp_path)
    return {
        name: RunningHost(
            {"hostid": hostid_of(lab, spec), **{each: file.content for each, file in spec.files.items()}},
            tuple(jail for jail in by_name(configured_in(lab, name)) if jail in jails),
            cards=spec.nics,
            laid=tuple(spec.files),
            made=made_with(spec),
        )
        for name, spec in lab.hosts.items()
    }


def configured_in(lab: Lab, host: str) -> Configured:
    return configured(Rehearsal.of(lab).hosts[host].files_of(), lab.release)


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
    assert host.jails[0].failure.startswith(
        "vnet.interface: ifconfig: interface epair11b epair12b does not exist (/sbin/ifconfig epair11b epair12b vnet "
    )


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
    running = as_it_runs(tmp_path, two, "a", "b")
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


# --- cards, wires, hostid ---------------------------------------------------------------------------------------------

WIRED = """\
wires: {w: {}, v: {cut: yes}}
hosts:
  r:
    nics: {em0: w, em1: w}
    addresses: {em0: 192.0.2.1/24}
    networks: {in: {subnet: 10.0.0.0/24, host: .1}}
    jails: {a: {in: .2}, b: {nics: {em1: 192.0.2.7/24}}}
"""


def test_cards_come_and_go_and_move(tmp_path: Path) -> None:
    running = as_it_runs(tmp_path, WIRED, "a", "b")
    said = folder.load(tmp_path).settings()
    assert made(tmp_path, WIRED, running, said).as_text() == "host r: up\n  unchanged: a b\n"
    other = WIRED.replace("em1: w}", "em2: v}").replace("em0: w,", "em0: x,").replace("v: {cut: yes}}", "v: {}, x: {}}")
    other = other.replace("em1: 192", "em2: 192").replace("192.0.2.1/24}", "192.0.2.1/24, em2: 198.51.100.8/24}")
    found = made(tmp_path, other, running, said)
    (host,) = found.hosts
    assert sorted(each.told() for each in found.wires) == ["wire v: cut: yes -> no", "wire x: new"]
    assert [each.told() for each in host.cards] == [
        "card em0: wire w -> x",
        "card em2: new, on wire v",
        "card em1: removed",
    ]
    assert [(" ".join(each.command), each.reason) for each in host.change.actions] == [
        ("service netif start em2", "card em2 is new")
    ]
    assert host.change.not_live == ()
    by_name = {each.change.name: each for each in host.jails}
    assert {name: each.change.fate for name, each in by_name.items()} == {"a": Fate.UNCHANGED, "b": Fate.RESTART}
    # The card that b is to have is there when it starts.
    assert by_name["b"].failure == ""
    data = found.as_json()
    assert data["hosts"][0]["cards"][1] == {"card": "em2", "old": None, "new": "v", "waits": None}
    assert {"wire": "v", "state": "changed", "differences": [{"key": "cut", "old": "yes", "new": "no"}]} in data[
        "wires"
    ]


def test_what_frames_meet_on_a_wire_changes(tmp_path: Path) -> None:
    slow = WIRED.replace("w: {}", "w: {delay: 20ms, loss: 1%}")
    running = as_it_runs(tmp_path, slow, "a", "b")
    said = folder.load(tmp_path).settings()
    found = made(tmp_path, slow.replace("20ms, loss: 1%", "30ms, rate: 10Mbit"), running, said)
    told = "wire w: delay: 20 ms -> 30 ms; loss: 1 % -> none; rate: none -> 10 Mbit/s\n"
    assert found.as_text() == f"{told}host r: up\n  unchanged: a b\n"
    assert found.as_json()["wires"] == [
        {
            "wire": "w",
            "state": "changed",
            "differences": [
                {"key": "delay", "old": "20 ms", "new": "30 ms"},
                {"key": "loss", "old": "1 %", "new": "none"},
                {"key": "rate", "old": "none", "new": "10 Mbit/s"},
            ],
        }
    ]


def test_a_card_does_not_go_from_a_jail_that_is_left_aside(tmp_path: Path) -> None:
    running = as_it_runs(tmp_path, WIRED, "a", "b")
    running["r"] = replace(running["r"], held={"em1": "b"})
    (tmp_path / "vjail.yml").write_text(WIRED.replace(", em1: w}", "}").replace(", b: {nics: {em1: 192.0.2.7/24}}", ""))
    lab = folder.load(tmp_path)
    (host,) = plan(lab, running, ["a"]).hosts
    assert [each.told() for each in host.cards] == ["card em1: stays for now: b has it, which is left as it is"]
    (host,) = plan(lab, running).hosts
    assert [each.told() for each in host.cards] == ["card em1: removed"]
    assert {each.change.name: each.change.fate for each in host.jails} == {"a": Fate.UNCHANGED, "b": Fate.STOP}


def test_another_hostid_makes_anew_what_has_addresses_of_it(tmp_path: Path) -> None:
    running = as_it_runs(tmp_path, WIRED, "a", "b")
    other = WIRED.replace("  r:\n", "  r:\n    hostid: 4f5e6d7c-1111-4222-8333-444455556666\n")
    (host,) = made(tmp_path, other, running).hosts
    (bridge,) = [each.command[-1] for each in host.change.actions if each.command[1] == "netif"]
    assert bridge.startswith("bridge")
    assert [" ".join(each.command) for each in host.change.actions] == [
        "service hostid start",
        f"service netif restart {bridge}",
    ]
    by_name = {each.change.name: each for each in host.jails}
    assert {name: each.change.fate for name, each in by_name.items()} == {"a": Fate.RESTART, "b": Fate.UNCHANGED}
    assert by_name["a"].change.because.startswith("hostid differs: "), by_name["a"].change
    assert by_name["a"].failure == ""
    # Where not all jails are restarted it waits; where the file gives none any more it is what it would be without.
    (host,) = plan(folder.load(tmp_path), running, no_jails=True).hosts
    assert host.change.actions == ()
    assert host.change.waits == ("hostid differs, and jails restart for it: `vjail up` without --jail and --no-jails",)
    running = as_it_runs(tmp_path, other, "a", "b")
    (host,) = made(tmp_path, WIRED, running).hosts
    assert host.change.actions[0].command == ("service", "hostid", "start")


def test_what_needs_the_lab_to_be_down_is_said(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("a")
    text = WIRED.replace("  r:\n", "  r:\n    tree: tree\n")
    running = as_it_runs(tmp_path, text, "a", "b")
    (tree / "file").write_text("b")
    text = text.replace("tree: tree", "tree: tree\n    userland: minimal")
    (tmp_path / "vjail.yml").write_text("freebsd: 14\n" + text)
    found = plan(folder.load(tmp_path), running, release=Release.parse("13"))
    lines = [line.strip() for line in found.as_text().splitlines() if "not while" in line]
    assert lines == [
        "not while the lab is up: freebsd: 13 -> 14",
        "not while the lab is up: userland: machine -> minimal",
        "not while the lab is up: files of its tree differ, which is laid over a host when that is made",
    ]


def test_a_host_that_is_new_in_a_lab_that_is_up(tmp_path: Path) -> None:
    running = as_it_runs(tmp_path, WIRED, "a", "b")
    said = folder.load(tmp_path).settings()
    new = WIRED.replace("v: {cut: yes}", "u: {nic: eth9}") + "  s: {nics: {em0: u}, addresses: {em0: 192.0.2.9/24}}\n"
    found = made(tmp_path, new, running, said)
    assert [(host.name, host.state) for host in found.hosts] == [("r", "up"), ("s", "new")]
    assert [each.told() for each in found.wires] == ["wire u: new; nic: none -> eth9", "wire v: removed"]
    assert "/sbin/ifconfig em0 inet 192.0.2.9/24 up" in [step.command for step in found.hosts[1].boot]
