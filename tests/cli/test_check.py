"""`vjail check` with several hosts' folders at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from vjail.cli import main

UUID = "2f6ea4b1-5b9d-11ee-9c2a-0800270d1e5c\n"
JAIL = 'a { path = "/jails/a"; vnet; persist; }\n'


def hosts(folder: Path, *hostids: str) -> list[str]:
    made: list[str] = []
    for number, hostid in enumerate(hostids, 1):
        place = folder / f"jl{number}"
        place.mkdir()
        (place / "jail.conf").write_text(JAIL)
        (place / "hostid").write_text(hostid)
        made.append(str(place))
    return made


def test_two_hosts_of_one_image_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = hosts(tmp_path, UUID, UUID)
    assert main(["check", "--short", one, two]) == 1
    assert f"{two}/hostid:1:1: error VJ801: the hosts of {one} and {two} have one" in capsys.readouterr().out


def test_two_hosts_with_their_own_are_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *hosts(tmp_path, UUID, UUID.replace("2f", "3f"))]) == 0
    assert "VJ801" not in capsys.readouterr().out
