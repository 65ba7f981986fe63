"""vjail export: the files of each host, and steps that name what the host must have."""

from __future__ import annotations

from pathlib import Path

import pytest

from vjail.check import find, read
from vjail.lab import folder
from vjail.lab.export import export
from vjail.lab.exported import RECORD
from vjail.lab.model import Lab, LabError

RIGHT = Path(__file__).parent / "file" / "right"


@pytest.mark.parametrize("case", sorted(RIGHT.iterdir()), ids=lambda case: case.name)
def test_each_host_gets_the_bytes_that_up_runs(case: Path, tmp_path: Path) -> None:
    lab = folder.load(case)
    export(lab, tmp_path)
    for name, spec in lab.hosts.items():
        place = tmp_path if len(lab.hosts) == 1 else tmp_path / name
        record = {RECORD} if place == tmp_path else set()
        assert {path.name for path in place.iterdir() if path.is_file()} == {*spec.files, "README.md", *record}
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


class TestFolder:
    """A folder holds one lab's files: those of before go, what is not its is never written over."""

    TEXT = "networks: {lan: {subnet: 10.0.0.0/24, nat: em0}}\njails: {a: {lan: auto}}\n"

    def lab(self, tmp_path: Path, name: str = "one", text: str = TEXT) -> Lab:
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        (place / "vjail.yml").write_text(text)
        return folder.load(place)

    def refused(self, lab: Lab, out: Path) -> str:
        before = held(out)
        with pytest.raises(LabError) as caught:
            export(lab, out)
        assert held(out) == before
        return str(caught.value)

    def test_of_somebody_elses_is_left_alone(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        (out / "mine").write_text("")
        said = self.refused(self.lab(tmp_path), out)
        assert said == f"{out}: is there already and was not made by an export; name another folder"

    def test_of_what_is_no_folder_is_refused(self, tmp_path: Path) -> None:
        lab = self.lab(tmp_path)
        with pytest.raises(LabError, match=r"is no folder; name a folder"):
            export(lab, tmp_path / "one" / "vjail.yml")

    def test_of_another_lab_is_left_alone(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        export(self.lab(tmp_path), out)
        said = self.refused(self.lab(tmp_path, "two"), out)
        first = tmp_path / "one" / "vjail.yml"
        assert said == f"{out}: holds what was exported of {first}; name another folder, or delete this one first"

    def test_of_a_host_of_the_lab_is_left_alone(self, tmp_path: Path) -> None:
        """Where the lab had one host, and what lies in the way of several is somebody else's."""
        out = tmp_path / "out"
        export(self.lab(tmp_path), out)
        (out / "h").write_text("mine")
        several = "wires: {w: {}}\nhosts: {h: {nics: {em0: w}}, i: {nics: {em0: w}}}\n"
        assert "is no folder, and h/rc.conf is to be in it" in self.refused(self.lab(tmp_path, text=several), out)

    def test_a_file_beside_the_labs_own_stays_and_is_not_written_over(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        export(self.lab(tmp_path, text=self.TEXT.replace(", nat: em0", "")), out)
        (out / "notes").write_text("mine")
        (out / "pf.conf").write_text("mine")
        assert "pf.conf: is there already, and was not made" in self.refused(self.lab(tmp_path), out)
        (out / "pf.conf").unlink()
        export(self.lab(tmp_path), out)
        assert (out / "notes").read_text() == "mine"

    def test_what_the_lab_has_no_more_goes(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        tree = tmp_path / "one" / "tree"
        (tree / "etc" / "deep").mkdir(parents=True)
        (tree / "etc" / "deep" / "file").write_text("old")
        (tree / "link").symlink_to(tmp_path / "elsewhere")
        hosts = "wires: {w: {}}\nhosts:\n  h: {nics: {em0: w}, tree: tree}\n"
        export(self.lab(tmp_path, text=f"{hosts}  i: {{nics: {{em0: w}}, jails: {{a: {{}}}}}}\n"), out)
        assert (out / "h" / "files" / "link").is_symlink()
        (tree / "etc" / "deep" / "file").unlink()
        (tree / "link").unlink()
        (tree / "link").write_text("a file now")
        export(self.lab(tmp_path, text=f"{hosts}  k: {{nics: {{em0: w}}}}\n"), out)
        assert held(out) == {
            RECORD, "h", "h/README.md", "h/rc.conf", "h/files", "h/files/link", "h/files/etc", "h/files/etc/deep",
            "k", "k/README.md", "k/rc.conf",
        }  # fmt: skip
        export(self.lab(tmp_path, text="jails: {a: {}}\n"), out)
        assert held(out) == {RECORD, "README.md", "rc.conf", "jail.conf"}
        assert not (tmp_path / "elsewhere").exists()

    def test_a_folder_and_its_lab_can_move_together(self, tmp_path: Path) -> None:
        (tmp_path / "here").mkdir()
        export(self.lab(tmp_path / "here"), tmp_path / "here" / "out")
        (tmp_path / "here").rename(tmp_path / "there")
        export(folder.load(tmp_path / "there" / "one"), tmp_path / "there" / "out")

    def test_a_record_that_is_none_is_told_and_names_nothing_outside(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        lab = self.lab(tmp_path)
        export(lab, out)
        for content in ("", "[]", '{"version": 1, "lab": "../one/vjail.yml", "paths": ["../one/vjail.yml"]}'):
            (out / RECORD).write_text(content)
            assert "is no record of an export's" in self.refused(lab, out)


def held(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}
