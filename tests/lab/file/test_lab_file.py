"""Lab files, right and wrong: the files each compiles to, and the words for each mistake with its place.

wrong/NAME has a lab file and what is said of it, right/NAME one and its hosts' files. UPDATE_GOLDENS=1 writes them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings

from random_labs import lab_files
from vjail.check import Severity, find, read
from vjail.lab import folder
from vjail.lab.file import lock
from vjail.lab.file.lab import topology
from vjail.lab.model import LabError

HERE = Path(__file__).parent
UPDATE = bool(os.environ.get("UPDATE_GOLDENS"))


def cases(kind: str) -> list[Path]:
    return sorted(path for path in (HERE / kind).iterdir() if path.is_dir())


@pytest.mark.parametrize("case", cases("wrong"), ids=lambda case: case.name)
def test_mistakes_are_told_all_at_once_with_place_and_mend(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case)
    with pytest.raises(LabError) as caught:
        folder.load(Path("vjail.yml"))
    told = f"{caught.value}\n"
    if UPDATE:
        (case / "expected").write_text(told)
    assert told == (case / "expected").read_text()


@pytest.mark.parametrize("case", cases("right"), ids=lambda case: case.name)
def test_what_it_compiles_to(case: Path) -> None:
    lab = folder.load(case)
    made = {f"{host.name}/{name}": file.content for host in lab.hosts.values() for name, file in host.files.items()}
    expected = case / "expected"
    if UPDATE:
        for name, content in made.items():
            (expected / name).parent.mkdir(parents=True, exist_ok=True)
            (expected / name).write_bytes(content)
    assert made == {
        str(path.relative_to(expected)): path.read_bytes() for path in expected.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("case", cases("right"), ids=lambda case: case.name)
def test_check_finds_nothing_wrong_in_what_it_compiles_to(case: Path) -> None:
    lab = folder.load(case)
    assert [each for each in find(read(lab, lab.release)) if each.rule.severity is not Severity.NOTE] == []


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    case = HERE / "right" / "networks"
    first, second = folder.load(case), folder.load(case)
    assert [host.files for host in first.hosts.values()] == [host.files for host in second.hosts.values()]


class TestLock:
    TEXT = "networks: {lan: {subnet: 10.0.0.0/24}}\njails:\n  a: {lan: auto}\n  b: {lan: auto}\n"

    def addresses(self, file: Path) -> dict[str, str]:
        found, kept = topology(file, Path.read_bytes)
        lock.write(file, kept)
        return {jail.name: str(jail.addresses[0].ip) for jail in found.hosts[0].jails}

    def test_who_has_an_address_keeps_it(self, tmp_path: Path) -> None:
        file = tmp_path / "vjail.yml"
        file.write_text(self.TEXT)
        assert self.addresses(file) == {"a": "10.0.0.2", "b": "10.0.0.3"}
        file.write_text(self.TEXT.replace("  a: {lan: auto}\n", "  c: {lan: auto}\n"))
        assert self.addresses(file) == {"c": "10.0.0.4", "b": "10.0.0.3"}
        file.write_text(self.TEXT.replace("  a: {lan: auto}\n", "  c: {lan: auto}\n  d: {lan: auto}\n"))
        assert self.addresses(file) == {"c": "10.0.0.4", "d": "10.0.0.2", "b": "10.0.0.3"}

    def test_nobody_is_given_what_another_host_has_on_the_wire(self, tmp_path: Path) -> None:
        file = tmp_path / "vjail.yml"
        network = "networks: {lan: {subnet: 10.0.0.0/24, uplink: em0}}"
        host = f"{{nics: {{em0: w}}, {network}, jails: {{a: {{lan: WAY}}, b: {{lan: auto}}}}}}"
        one, other = host.replace("WAY", "auto"), host.replace("WAY", ".3")
        file.write_text(f"wires: {{w: {{}}}}\nhosts:\n  h: {one}\n  i: {other}\n")
        found, _ = topology(file, Path.read_bytes)
        given = [str(jail.addresses[0].ip) for each in found.hosts for jail in each.jails]
        assert given == ["10.0.0.2", "10.0.0.4", "10.0.0.3", "10.0.0.5"]

    def test_numbers_of_interfaces_stay(self, tmp_path: Path) -> None:
        file = tmp_path / "vjail.yml"
        file.write_text(self.TEXT)
        before, kept = topology(file, Path.read_bytes)
        lock.write(file, kept)
        file.write_text(self.TEXT.replace("jails:\n", "jails:\n  new: {lan: auto}\n"))
        after, _ = topology(file, Path.read_bytes)
        units = {jail.name: jail.ports[0].unit for jail in before.hosts[0].jails}
        assert {jail.name: jail.ports[0].unit for jail in after.hosts[0].jails}.items() >= units.items()

    def test_what_is_no_lock_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "vjail.yml").write_text(self.TEXT)
        (tmp_path / "vjail.lock").write_text("{}")
        with pytest.raises(LabError, match="no lock file"):
            folder.load(tmp_path)

    def test_nothing_is_written_where_nothing_changes(self, tmp_path: Path) -> None:
        file = tmp_path / "vjail.yml"
        file.write_text("jails: {a: {}}\n")
        _, kept = topology(file, Path.read_bytes)
        assert not lock.write(file, kept)
        assert list(tmp_path.iterdir()) == [file]


class TestNumbersByHand:
    """A number that is made up is none that the file gives a bridge or an epair itself."""

    def interfaces(self, file: Path, text: str) -> set[str]:
        """The bridges and epairs of the networks `one` and `two`, and what the lock remembers from then on."""
        file.write_text(text)
        found, kept = topology(file, Path.read_bytes)
        lock.write(file, kept)
        host = found.hosts[0]
        ports = {f"epair{port.unit}" for jail in host.jails for port in jail.ports}
        return ports | {bridge.name for bridge in host.bridges if bridge.network != "own"}

    @pytest.mark.parametrize(
        "by_hand",
        [
            "hosts: {h: {networks: {one: {}, two: {}, own: {bridge: BRIDGE}}, jails: {a: {one: []}, b: {two: []}}}}",
            "hosts: {h: {rc: {cloned_interfaces: lo1 BRIDGE EPAIR}, networks: {one: {}, two: {}},"
            " jails: {a: {one: []}, b: {two: []}}}}",
            "defaults: {parameters: {exec.prestart: [ifconfig BRIDGE create up, /sbin/ifconfig EPAIR create]}}\n"
            "hosts: {h: {networks: {one: {}, two: {}}, jails: {a: {one: []}, b: {two: []}}}}",
        ],
        ids=["bridge", "rc", "exec"],
    )
    def test_they_are_left_out_also_where_the_lock_has_them(self, tmp_path: Path, by_hand: str) -> None:
        file = tmp_path / "vjail.yml"
        plain = "hosts: {h: {networks: {one: {}, two: {}}, jails: {a: {one: []}, b: {two: []}}}}\n"
        before = self.interfaces(file, plain)
        bridge, epair = (min(name for name in before if name.startswith(kind)) for kind in ("bridge", "epair"))
        text = by_hand.replace("BRIDGE", bridge).replace("EPAIR", epair)
        after = self.interfaces(file, text)
        lost = {name for name in (bridge, epair) if name in text}
        assert len(after) == 4
        assert before - after == lost
        assert self.interfaces(file, text) == after


@settings(max_examples=25, deadline=None)
@given(lab_files())
def test_check_finds_nothing_in_what_random_lab_files_compile_to(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("lab") / "vjail.yml"
    path.write_text(text)
    lab = folder.load(path)
    found = [each for each in find(read(lab, lab.release)) if each.rule.severity is not Severity.NOTE]
    assert found == [], text
