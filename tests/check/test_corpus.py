"""Files as people publish them: what works on FreeBSD has no finding of severity error; a mistake is found.

A folder called ok-… works; one called VJnnn-… has the mistake of that code, and no other. `expected` holds check's
output; UPDATE_GOLDENS=1 writes it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from test_cases import findings

from vjail.check import Severity
from vjail.check.report import text

CORPUS = sorted(path for path in (Path(__file__).parent / "corpus").iterdir() if path.is_dir())


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_what_people_write(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.parent)
    found = findings(Path(case.name))
    told = "\n".join(text(finding) for finding in found)
    if os.environ.get("UPDATE_GOLDENS"):
        (case / "expected").write_text(told)
    assert told == (case / "expected").read_text()
    code = case.name.partition("-")[0]
    wrong = {finding.rule.code for finding in found if finding.rule.severity is Severity.ERROR}
    assert wrong == (set() if code == "ok" else {code} & wrong)
    assert code == "ok" or code in {finding.rule.code for finding in found}


def test_there_are_enough() -> None:
    mistakes = [case for case in CORPUS if not case.name.startswith("ok-")]
    assert len(CORPUS) >= 40
    assert len(mistakes) >= len(CORPUS) / 4
