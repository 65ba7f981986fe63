"""docs/commands.md names every command and option that there is, and none that there is not; help fits a terminal."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from vjail.cli import arguments
from vjail.command.registry import PATHS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "commands.md").read_text()
SECTIONS = dict(re.findall(r"^### vjail (\w+)[^\n]*\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL))
PARSER, COMMANDS = arguments._parser()


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings} - {"-h", "--help"}


def described(text: str) -> set[str]:
    """The options in the first column of a section's table."""
    cells = re.findall(r"^\| ([^|]*`-[^|]*)\|", text, re.MULTILINE)
    return {option for cell in cells for option in re.findall(r"`(--?[a-z-]+)", cell)}


def test_every_command_has_a_section_and_an_example() -> None:
    assert set(SECTIONS) == set(COMMANDS)
    for name, text in SECTIONS.items():
        assert re.search(rf"^    \$ .*vjail {name}", text, re.MULTILINE), name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described(name: str) -> None:
    assert described(SECTIONS[name]) == options(COMMANDS[name])


def test_the_options_of_vjail_itself_are_described() -> None:
    assert described(PAGE.partition("### vjail")[0]) == options(PARSER) | {"-h", "--help"}


def test_every_command_of_freebsd_is_listed() -> None:
    rows = re.findall(r"^\| (`/[^|]*)\|", PAGE, re.MULTILINE)
    listed = {path for row in rows for path in re.findall(r"`([^`]*)`", row)}
    scripts = re.search(r"^\| `/etc/rc.d/` \| (.*) \|$", PAGE, re.MULTILINE)
    assert scripts is not None
    listed |= {f"/etc/rc.d/{name}" for name in re.findall(r"`([^`]*)`", scripts[1])}
    assert listed - {"/etc/rc.d/"} == set(PATHS)


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_80_columns_and_ends_with_examples(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = (COMMANDS[name] if name is not None else PARSER).format_help()
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert re.search(r"^examples:\n  (.* \| )?vjail ", text, re.MULTILINE)
