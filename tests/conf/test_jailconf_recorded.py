"""What FreeBSD's own parsers made of files: 600 random ones, those of the documents, the worked examples; and what a
FreeBSD 13.2 machine said of the files typed there.

`{"crash": …}` marks inputs at which FreeBSD's parser died; here they only must not raise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vjail.conf.jailconf import (
    FileSystem,
    NoFiles,
    Reader,
    check_types,
    command_line,
    list_jails,
    load,
    show_json,
)
from vjail.conf.position import Source
from vjail.release import Release

DATA = Path(__file__).parent.parent / "data"
RELEASES = {"13": Release.V13, "15": Release.V15}


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


class _Files:
    """A reader of the files that a worked example includes."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path].encode()

    def glob(self, pattern: str) -> list[str]:
        prefix, suffix = pattern.split("*")
        return sorted(path for path in self.files if path.startswith(prefix) and path.endswith(suffix))


def _compare(source: Source, recorded: dict[str, Any], version: str, reader: Reader) -> None:
    shown = show_json(load(source, RELEASES[version], reader))
    expected = recorded[version]
    if "crash" in expected:
        return
    assert shown == expected


@pytest.mark.parametrize("version", RELEASES)
def test_random_files(version: str) -> None:
    cases = _lines("jailconf-cases.jsonl")
    assert len(cases) == 600
    for case in cases:
        _compare(Source.of_text("jail.conf", case["text"]), case, version, NoFiles())


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("recorded", _lines("documents/parsed.jsonl"), ids=lambda recorded: str(recorded["document"]))
def test_files_of_the_documents(recorded: dict[str, Any], version: str) -> None:
    path = DATA / "documents" / recorded["document"]
    _compare(Source(path.name, path.read_bytes()), recorded, version, FileSystem())


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("example", _lines("jailconf-worked-examples.jsonl"), ids=lambda example: str(example["id"]))
def test_worked_examples(example: dict[str, Any], version: str) -> None:
    reader = _Files(example.get("files", {}))
    _compare(Source.of_text("f.conf", example["text"]), example, version, reader)


OBSERVED = DATA / "freebsd-13.2" / "observed"
_SAID_AT_LOAD = re.compile(
    r"syntax error$|unexpected EOF$|: unterminated |: variable |: array cannot |: cannot redefine parameter "
)
_SAID_AT_CHECK = re.compile(
    r": unknown parameter: |: unknown (boolean|jailsys) value |: non-integer value |: not an IPv[46] address: "
)


_TYPED = re.compile(r"# (jail (?:-v )?-f (/\S+) (?:-e '[^']*'|[^\n;>']*))\n")


def _observed(name: str) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """(file name, its text, words of a `jail -f` command on it, its lines on standard error) of a session."""
    files: dict[str, str] = {}
    text = (OBSERVED / name).read_text()
    for part in re.split(r"\n(?=--- \S+ ---\n|# )", text):
        if written := re.match(r"--- (?P<name>\S+) ---\n(?P<text>.*?)--- end of (?P=name) ---", part, re.DOTALL):
            files[written["name"]] = written["text"]
        elif (typed := _TYPED.match(part)) and typed[2] in files:
            errors = [line[3:] for line in part.splitlines() if line.startswith("2> ")]
            yield typed[2], files[typed[2]], typed[1].split(), errors


@pytest.mark.parametrize(
    "name",
    [
        "b3_jail_v_order.txt",
        "c2_jail_conf_errors.txt",
        "c3_exec_failures_depend_wildcards.txt",
        "c4_wildcards_confd_quoting.txt",
    ],
)
def test_messages_of_a_freebsd_machine(name: str) -> None:
    commands = list(_observed(name))
    assert commands
    for path, text, words, errors in commands:
        configuration = load(Source.of_text(path, text), Release.V13, NoFiles())
        said = [message.line for message in configuration.messages]
        assert said == [line for line in errors if _SAID_AT_LOAD.search(line)], text

        jail = configuration.jail(words[-1])
        if jail is not None and words[-2] == "-c" and not jail.failed:
            checked = check_types(jail, Release.V13)
            said = [message.line for message in checked.messages]
            assert said == [line for line in errors if _SAID_AT_CHECK.search(line)], text


@pytest.mark.parametrize("name", ["b3_jail_v_order.txt", "c4_wildcards_confd_quoting.txt"])
def test_jail_e_of_a_freebsd_machine(name: str) -> None:
    text = (OBSERVED / name).read_text()
    compared = 0
    for path, content, words, _ in _observed(name):
        if words[-2] == "-e":
            separator = words[-1].strip("'")
            printed = re.search(rf"\n# {re.escape(' '.join(words))}\n((?:name=.*\n)*)", text)
            assert printed is not None
            configuration = load(Source.of_text(path, content), Release.V13, NoFiles())
            assert list_jails(configuration.jails, separator) == printed[1]
            compared += 1
    assert compared


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["name=x", "banana=1", "persist"], "unknown parameter: banana"),
        (["name=x", "ip4.addr=10.0.0.999", "persist"], "ip4.addr: not an IPv4 address: 10.0.0.999"),
        (["name=x", "securelevel=banana", "path=/", "persist"], 'securelevel: non-integer value "banana"'),
        (["name=x", "noallow.raw_sockets", "path=/", "persist"], "unknown parameter: noallow.raw_sockets"),
        (["novnet", "name=n4", "path=/", "persist"], "unknown parameter: novnet"),
        (["name=x", "allow.raw_sockets=2", "path=/", "persist"], None),
        (["name=x", "allow.noraw_sockets", "path=/", "persist"], None),
    ],
)
def test_command_lines_typed_on_a_freebsd_machine(arguments: list[str], said: str | None) -> None:
    (jail,) = command_line(arguments, Release.V13).jails
    messages = [message.line for message in check_types(jail, Release.V13).messages]
    assert messages == ([] if said is None else [f"jail: {said}"])
