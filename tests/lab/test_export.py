"""vjail export: the files of each host, and steps that name what the host must have."""

from __future__ import annotations

from pathlib import Path

import pytest

from vjail.check import find, read
from vjail.lab import folder
from vjail.lab.export import export

RIGHT = Path(__file__).parent / "file" / "right"


@pytest.mark.parametrize("case", sorted(RIGHT.iterdir()), ids=lambda case: case.name)
def test_each_host_gets_the_bytes_that_up_runs(case: Path, tmp_path: Path) -> None:
    lab = folder.load(case)
    export(lab, tmp_path)
    for name, spec in lab.hosts.items():
        place = tmp_path if len(lab.hosts) == 1 else tmp_path / name
        assert {path.name for path in place.iterdir() if path.is_file()} == {*spec.files, "README.md"}
        for file, content in spec.files.items():
            assert (place / file).read_bytes() == content.content


def test_steps_name_bases_and_mount_points(tmp_path: Path) -> None:
    export(folder.load(RIGHT / "jails"), tmp_path)
    steps = (tmp_path / "README.md").read_text()
    assert "tar -xf base.txz -C /jails/base" in steps
    assert "mkdir -p /jails/a/bin" in steps
    assert "service devfs restart" in steps


def test_what_frames_meet_on_a_wire_is_said_to_be_the_labs(tmp_path: Path) -> None:
    export(folder.load(RIGHT / "hosts"), tmp_path)
    said = (
        "What frames meet in the lab on w (20 ms, 0.5 % loss), out (10 Mbit/s) is the lab's: a real wire has its own."
    )
    assert said in (tmp_path / "gw" / "README.md").read_text()
    assert "out (" not in (tmp_path / "h1" / "README.md").read_text()


def test_an_export_is_a_lab_itself_and_check_finds_nothing(tmp_path: Path) -> None:
    export(folder.load(RIGHT / "networks"), tmp_path)
    lab = folder.load(tmp_path)
    assert find(read(lab, lab.release)) == []


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(FileExistsError):
        export(folder.load(RIGHT / "networks"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_export_is_renewed(tmp_path: Path) -> None:
    for _ in range(2):
        export(folder.load(RIGHT / "networks"), tmp_path)
    assert (tmp_path / "jail.conf").exists()
