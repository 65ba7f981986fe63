"""`vjail draw`: where pictures go, in which format, and what is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from vjail.cli import main

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def draw(name: str, *words: str) -> int:
    return main(["draw", str(EXAMPLES / name), *words])


@pytest.mark.parametrize(
    ("ending", "begins"),
    [
        ("svg", "<svg "),
        ("mmd", "---\ntitle: A1-two-jails\n---\nflowchart TB\n"),
        ("dot", 'graph "A1-two-jails" {\n'),
        ("drawio", "<mxfile "),
        ("txt", "A1-two-jails: 1 host, 2 jails\n"),
    ],
)
def test_the_format_is_that_of_the_name(ending: str, begins: str, tmp_path: Path) -> None:
    file = tmp_path / f"lab.{ending}"
    assert draw("A1-two-jails", "-o", str(file)) == 0
    assert file.read_text().startswith(begins)


def test_an_option_is_stronger_than_the_name(tmp_path: Path) -> None:
    assert draw("A1-two-jails", "-o", str(tmp_path / "lab.svg"), "--format", "dot") == 0
    assert (tmp_path / "lab.svg").read_text().startswith("graph ")


def test_standard_output_gets_svg(capsys: pytest.CaptureFixture[str]) -> None:
    assert draw("A1-two-jails", "-o", "-") == 0
    assert capsys.readouterr().out.startswith("<svg ")


def test_what_a_router_does_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert draw("C4-nat-and-rdr", "-o", "-", "--format", "text") == 0
    shown = capsys.readouterr().out
    assert "    ─ web  (epair0b – epair0a)\n" in shown
    assert "    ┄ em0  (NAT)\n" in shown
    assert "NAT 10.0.0.0/24" in shown
    assert "rdr 80 → 10.0.0.2:8080" in shown
    assert "rdr 80 → [fd00:10::2]:8080" in shown


def test_networks_of_a_lab_file_have_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = "networks: {lan: {subnet: 10.0.0.0/24, uplink: em0, vlan: 5}}\njails: {web: {lan: .7}, db: {lan: .8}}\n"
    (tmp_path / "vjail.yml").write_text(lab)
    assert main(["draw", str(tmp_path), "-o", "-", "--format", "text"]) == 0
    shown = capsys.readouterr().out
    assert " · lan · 10.0.0.0/24\n" in shown
    assert "em0.5" in shown
    assert not (tmp_path / "vjail.lock").exists()


def test_a_jail_that_does_not_start_is_told_and_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert draw("D2-interfaces-in-one-string", "-o", "-", "--format", "text") == 0
    shown = capsys.readouterr()
    assert "  mweb01-php  not running\n" in shown.out
    assert shown.err == (
        "vjail: fbsd: mweb01-php: vnet.interface: ifconfig: interface epair11b epair12b does not exist "
        "(/sbin/ifconfig epair11b epair12b vnet mweb01-php: failed); it is drawn as not running\n"
    )


def test_what_a_missing_rc_conf_makes_is_taken_for_granted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prestart = 'exec.prestart = "ifconfig epair1 create", "ifconfig bridge0 addm epair1a"'
    (tmp_path / "jail.conf").write_text(f"web {{ vnet; persist; path = /; {prestart}; vnet.interface = epair1b; }}\n")
    assert main(["draw", str(tmp_path), "-o", "-", "--format", "text"]) == 0
    shown = capsys.readouterr()
    assert "  bridge0\n    ─ web  (epair1b – epair1a (down))\n" in shown.out
    assert shown.err == (
        "vjail: fbsd: bridge0 is made by no jail; taken for granted, as the host's rc.conf is not here\n"
    )
    (tmp_path / "rc.conf").write_text("")
    assert main(["draw", str(tmp_path), "-o", "-", "--format", "text"]) == 0
    assert "web: exec.prestart: ifconfig: interface bridge0 does not exist" in capsys.readouterr().err


def test_programs_that_are_not_known_are_taken_to_succeed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "jail.conf").write_text('web { vnet; persist; path = /web; exec.start = "/usr/local/sbin/nginx"; }\n')
    assert main(["draw", str(tmp_path), "-o", "-", "--format", "text"]) == 0
    shown = capsys.readouterr()
    assert "  web\n" in shown.out
    assert shown.err == (
        "vjail: the program /usr/local/sbin/nginx is not known in memory: "
        "it is taken to succeed and to change no network\n"
    )


def test_a_jail_conf_that_cannot_be_read_is_not_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "jail.conf").write_text("web { vnet; persist\n")
    assert main(["draw", str(tmp_path), "-o", "-"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"vjail: {tmp_path}/jail.conf:")


def test_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw("A1-two-jails", "-o", "lab.xyz") == 1
    assert draw("A1-two-jails", "-o", str(tmp_path / "no" / "lab.svg")) == 1
    assert main(["draw", str(tmp_path), "-o", "-"]) == 1
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == ("vjail: lab.xyz: which format? end its name in .svg, .mmd, .dot, .drawio or .txt, or say --format")
    assert second == f"vjail: {tmp_path}/no/lab.svg: no such file or directory"
    assert third.startswith(f"vjail: {tmp_path}: there is neither a jail.conf nor a vjail.yml in it")
