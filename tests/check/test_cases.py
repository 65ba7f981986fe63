"""Each folder in cases/ is a host with a mistake: what check finds in it, word for word, and the file after --fix.

`expected` holds check's output; `fixed/` what --fix makes of a file that it changes. UPDATE_GOLDENS=1 writes them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from vjail.check import Finding, Severity, find, read
from vjail.check.fix import mended
from vjail.check.report import text
from vjail.check.script import bare, find_in_script
from vjail.cli import main
from vjail.conf.position import Source
from vjail.lab import folder
from vjail.release import DEFAULT, Release

HERE = Path(__file__).parent
CASES = sorted(path for path in (HERE / "cases").iterdir() if path.is_dir())
PAGES = HERE.parent.parent / "docs" / "checks"
UPDATE = bool(os.environ.get("UPDATE_GOLDENS"))


def findings(case: Path) -> list[Finding]:
    typed = case / "commands"
    if typed.exists():
        source = Source(str(typed), typed.read_bytes())
        return find_in_script(source, bare(typed, typed.read_text()), DEFAULT)
    lab = folder.etc(case)
    first = (case / "jail.conf").read_text().partition("\n")[0] if (case / "jail.conf").exists() else ""
    release = re.match(r"# FreeBSD (\d+)", first)
    return find(read(lab, Release.parse(release[1]) if release else lab.release))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_found(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.parent)
    found = findings(Path(case.name))
    told = "\n".join(text(finding) for finding in found)
    if UPDATE:
        (case / "expected").write_text(told)
    assert told == (case / "expected").read_text()
    code = case.name.partition("-")[0]
    assert [finding for finding in found if finding.rule.code == code] or code == "ok"
    if code == "ok":
        assert found == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_mended(case: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(case.parent)
    files, done = mended(findings(Path(case.name)))
    fixed = case / "fixed"
    if UPDATE and files:
        fixed.mkdir(exist_ok=True)
        for name, data in files.items():
            (fixed / Path(name).name).write_bytes(data)
    expected = {path.name: path.read_bytes() for path in fixed.iterdir()} if fixed.is_dir() else {}
    assert {Path(name).name: data for name, data in files.items()} == expected
    if not done:
        return
    for path in case.iterdir():
        if path.is_file() and path.name != "expected":
            (tmp_path / path.name).write_bytes(expected.get(path.name, path.read_bytes()))
    codes = {finding.rule.code for finding in done}
    assert [finding for finding in findings(tmp_path) if finding.rule.code in codes] == []


def rules() -> dict[str, str]:
    """Every rule there is: code and title."""
    from vjail.check.rules import ALL

    return {rule.code: rule.title for rule in ALL}


def test_every_rule_has_a_case_and_a_page() -> None:
    codes = set(rules())
    assert codes - {case.name.partition("-")[0] for case in CASES} == set()
    assert {path.stem for path in PAGES.glob("VJ*.md")} == codes


@pytest.mark.parametrize("page", sorted(PAGES.glob("VJ*.md")), ids=lambda page: page.stem)
def test_a_page_tells_what_a_rule_is(page: Path) -> None:
    content = page.read_text()
    assert content.startswith(f"# {page.stem}: {rules()[page.stem]}\n")
    for heading in ("## What happens", "## The mend", "## Since"):
        assert heading in content


EXAMPLES = HERE.parent.parent / "examples"
SLIPS = {
    "A3-epair-by-hand": [],
    "B1-shared-base": ["22 VJ317"],  # a write to what is mounted read-only, which the row shows
    "B2-jail-by-hand": [],
    "B3-devfs-rules": [],
    "B4-ports-tree": ["6 VJ317", "10 VJ317"],
    "C3-bridge-by-hand": [],
    "E1-bridge-as-printed": ["17 VJ311", "24 VJ312", "25 VJ312", "26 VJ312"],
    "E1-bridge-with-ups": [],
    "E2-vlans-as-printed": ["14 VJ317", "11 VJ316"],
    "E2-vlans-mended": [],
}
"""The lines of the documents' typed commands in which something is found."""


@pytest.mark.parametrize("name", SLIPS)
def test_slips_in_what_the_documents_type(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["check", "--short", str(EXAMPLES / name / "commands")])
    told = re.findall(r"commands:(\d+):\d+: error (VJ\d+):", capsys.readouterr().out)
    assert [" ".join(each) for each in told] == SLIPS[name]
    assert code == bool(SLIPS[name])


def test_the_table_names_every_rule() -> None:
    content = (PAGES / "README.md").read_text()
    assert [code for code in rules() if code not in content] == []
    assert set(re.findall(r"VJ\d{3}", content)) <= set(rules())


SLIPS_OF_EXAMPLES = {
    "C3-rc-conf-as-printed": {"VJ701"},
    "D2-interfaces-in-one-string": {"VJ101"},
    "D3-blackhole-in-start": {"VJ221"},
    "D4-delete-for-deletem": {"VJ104"},
    "D5-one-hostid": {"VJ801"},
}
"""The errors in the documents' own files; the others work."""


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_only_the_documents_slips_are_errors(name: str) -> None:
    lab = folder.load(EXAMPLES / name)
    found = find(read(lab, lab.release))
    wrong = {finding.rule.code for finding in found if finding.rule.severity is Severity.ERROR}
    assert wrong == SLIPS_OF_EXAMPLES.get(name, set())
