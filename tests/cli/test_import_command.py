"""`vjail import`: where the text goes, what is said, and what is left alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from vjail.cli import main

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
A1 = str(EXAMPLES / "A1-two-jails")


def test_standard_output_is_the_lab_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", A1]) == 0
    said = capsys.readouterr()
    assert said.out.endswith("links: [{jail_01: 10.0.0.1/24, jail_02: 10.0.0.2/24}]\n")
    assert said.err == (
        "vjail: epairs are numbered anew; with -o FILE a lock file keeps their numbers\n"
        "vjail: compared in memory: 4 pings, addresses, routes, mounts and permissions are the same\n"
    )


def test_a_file_gets_a_lock_beside_it_and_is_not_written_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "vjail.yml"
    assert main(["import", A1, "-o", str(file)]) == 0
    assert json.loads((tmp_path / "vjail.lock").read_text())["numbers"] == {"fbsd/jail_01-jail_02": 1}
    text = file.read_text()
    assert main(["import", A1, "-o", str(file)]) == 1
    assert f"{file}: is there already" in capsys.readouterr().err
    assert file.read_text() == text


def test_the_release_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", A1, "--freebsd", "15"]) == 0
    assert "freebsd: 15\n" in capsys.readouterr().out


def test_what_is_lost_is_told_and_the_exit_code_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("jail.conf").write_text('a { path = "/"; vnet; persist; vnet.interface = epair1b; }\n')
    Path("rc.conf").write_text("")
    assert main(["import", "jail.conf", "--json"]) == 1
    said = capsys.readouterr()
    lost = "jail.conf:1: jail a does not start, so its network is not known: /sbin/ifconfig epair1b vnet a: failed"
    assert json.loads(said.out)["lost"] == [lost]
    assert f"vjail: {lost}\n" in said.err


def test_what_a_missing_rc_conf_makes_is_taken_for_granted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = (
        f"{name} {{ vnet; persist; path = /; vnet.interface = epair{number}b;"
        f' exec.prestart = "ifconfig epair{number} create up", "ifconfig bridge0 addm epair{number}a";'
        f' exec.start = "ifconfig epair{number}b 10.0.0.{number}/24 up"; }}\n'
        for number, name in enumerate(("one", "two"), 1)
    )
    Path("jail.conf").write_text("".join(lines))
    assert main(["import", "jail.conf"]) == 0
    said = capsys.readouterr()
    told = "fbsd: bridge0 is made by no jail; taken for granted, as the host's rc.conf is not here"
    assert f"# {told}\n" in said.out
    assert "inside: {subnet: 10.0.0.0/24, bridge: bridge0}\n" in said.out
    assert f"vjail: {told}\n" in said.err


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(tmp_path)]) == 1
    assert "neither a jail.conf nor a vjail.yml" in capsys.readouterr().err
    (tmp_path / "jail.conf").write_text("a { path = ")
    assert main(["import", str(tmp_path)]) == 1
    assert "jail.conf:1:" in capsys.readouterr().err


def test_a_terminal_shows_how_far_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("vjail.progress._PAUSE", -1.0)  # everything is shown
    assert main(["import", A1]) == 0
    said = capsys.readouterr().err
    assert "\r\x1b[K1/2 jail_01: started in memory" in said
    assert "jail_02: stopped in memory" in said
    assert "\r\x1b[Kjail_02: started in memory from the lab file" in said
    assert "jail_02 pings 10.0.0.1 in both" in said
    assert said.endswith(
        "\r\x1b[Kvjail: epairs are numbered anew; with -o FILE a lock file keeps their numbers\n"
        "vjail: compared in memory: 4 pings, addresses, routes, mounts and permissions are the same\n"
    )
