"""`vjail show`: what it prints where, for people and as data."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vjail.cli import main

MISSPELT = """\
* {
	vnet;
	vnet.interfce = "$if";
}
a { $if = em0; }
b { $if = em1; securelevel = high; }
"""
TOLD = """\
vjail: jail.conf:3:2: a, b: unknown parameter: vnet.interfce
        vnet.interfce = "$if";
        ^^^^^^^^^^^^^
  did you mean 'vnet.interface'?
"""
NO_NUMBER = """\
vjail: jail.conf:6:30: b: securelevel: non-integer value "high"
b { $if = em1; securelevel = high; }
                             ^^^^
"""
SHOWN = """\
a {
	vnet;
	vnet.interfce = em0;
}

b {
	vnet;
	vnet.interfce = em1;
	securelevel = high;
}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_jail_says_only_later_is_told_at_its_place(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "jail.conf").write_text(MISSPELT)
    assert main(["show", "jail.conf"]) == 0
    out, err = capfd.readouterr()
    assert out == SHOWN
    assert err == TOLD + NO_NUMBER


def test_json_has_the_recorded_shape_and_no_more(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "jail.conf").write_text(MISSPELT)
    assert main(["show", "--json", "jail.conf"]) == 0
    out, err = capfd.readouterr()
    shown = json.loads(out)
    assert set(shown) == {"exit", "jails", "stderr"}
    assert [jail["jail"] for jail in shown["jails"]] == ["a", "b"]
    assert (shown["exit"], shown["stderr"], err) == (0, [], "")


def test_a_syntax_error_has_a_caret_and_exit_code_1(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "jail.conf").write_text("j {\n\tpath = /j\n}\n")
    assert main(["show", "jail.conf"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    told = (
        "vjail: jail.conf:2:11: }: syntax error\n        path = /j\n                 ^\n  ';' is missing before '}'\n"
    )
    assert err == told
    assert main(["show", "--json", "jail.conf"]) == 1
    out, err = capfd.readouterr()
    assert json.loads(out) == {"exit": 1, "jails": None, "stderr": ["jail: jail.conf line 3: }: syntax error"]}
    assert err == "jail: jail.conf line 3: }: syntax error\n"


def test_standard_input(here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"j { path = /j; }\n")))
    assert main(["show", "-"]) == 0
    assert capfd.readouterr() == ("j {\n\tpath = /j;\n}\n", "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone", "gone: No such file or directory; give a jail.conf, or - for standard input"),
        ("lab", "lab: Is a directory; is it lab/jail.conf?"),
        ("empty", "empty: Is a directory; give a jail.conf, or - for standard input"),
    ],
)
def test_a_file_that_cannot_be_read(here: Path, capfd: pytest.CaptureFixture[str], name: str, said: str) -> None:
    (here / "lab").mkdir()
    (here / "lab/jail.conf").touch()
    (here / "empty").mkdir()
    assert main(["show", name]) == 1
    assert capfd.readouterr() == ("", f"vjail: {said}\n")


def test_many_jails_are_counted(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "jail.conf").write_text("* { foo; }\n" + "".join(f"j{n} {{ path = /; }}\n" for n in range(9)))
    assert main(["show", "jail.conf"]) == 0
    assert capfd.readouterr().err.startswith("vjail: jail.conf:1:5: 9 jails: unknown parameter: foo\n")
