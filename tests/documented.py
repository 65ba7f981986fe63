"""The command lines that the documents print, with what FreeBSD 13.2 answers: reads tests/data/documents/lines.yml.

What its fields mean stands at its head. Knows nothing of labs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from comparable import comparable
from transcripts import read

TABLE = Path(__file__).parent / "data" / "documents" / "lines.yml"
_SHORT = 60
"""How much of a recorded line is told."""
DOCUMENTS = {1: "1-vimage-setup", 2: "2-jail-setup", 3: "3-vimage-jail-workshop", 5: "5-vimage-on-8.0"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `code` None where it is not known (of a line typed into another program's shell)."""

    out: str
    err: str
    code: int | None

    def compared(self, command: str) -> Answer:
        """This answer without what differs from machine to machine."""
        return Answer(comparable(command, self.out), comparable(command, self.err), self.code)

    def agrees(self, other: Answer, command: str) -> bool:
        """Whether two answers to a command line are the same."""
        mine, theirs = self.compared(command), other.compared(command)
        codes = {mine.code, theirs.code} - {None}
        return (mine.out, mine.err) == (theirs.out, theirs.err) and len(codes) <= 1


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a document, or of ours (`document` None). `inside` None: it starts no shell.

    `recorded`: the recorded machine was given this very line; otherwise its answer follows from `source`.
    """

    row: str
    document: int | None
    at: int | None
    line: str
    typed: str
    printed: str
    freebsd: Answer
    recorded: bool
    source: str
    differs: str
    note: str
    interrupt: str
    inside: tuple[Line, ...] | None
    meanwhile: tuple[Line, ...]

    @property
    def needs_terminal(self) -> bool:
        """Whether somebody must sit at a terminal: a shell begins, or ^C ends it."""
        return self.inside is not None or bool(self.interrupt)


@dataclass(frozen=True, slots=True)
class Session:
    """Lines typed one after the other at the host of a lab, a folder of examples/; `up` are options of `vjail up`.

    `host` is which of its hosts, empty where it has one.
    """

    lab: str
    host: str
    up: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def at(self) -> tuple[str, ...]:
        """The lab, and the host where it must be named, as `vjail shell -p` takes them."""
        return (self.lab, self.host) if self.host else (self.lab,)


@dataclass(frozen=True, slots=True)
class NotTyped:
    """Lines of a document that are not typed, and why."""

    document: int
    at: str
    line: str
    why: str


def sessions() -> tuple[Session, ...]:
    """All sessions of the table, in its order."""
    return tuple(
        Session(
            each["lab"], each.get("host", ""), tuple(each.get("up", ())), tuple(_line(line) for line in each["lines"])
        )
        for each in _table()["sessions"]
    )


def not_typed() -> tuple[NotTyped, ...]:
    """What of the documents is left out."""
    return tuple(NotTyped(**each) for each in _table()["not_typed"])


def _table() -> Any:
    return yaml.safe_load(TABLE.read_text())


def _line(data: Mapping[str, Any]) -> Line:
    inside: Sequence[Mapping[str, Any]] | None = data.get("inside")
    answer, source = _freebsd(data["freebsd"])
    return Line(
        row=data["row"],
        document=data.get("document"),
        at=data.get("at"),
        line=data["line"],
        typed=data.get("typed", data["line"]),
        printed=data.get("printed", ""),
        freebsd=answer,
        recorded=_command(data["freebsd"].get("recorded", "")) == data.get("typed", data["line"]),
        source=source,
        differs=data.get("differs", ""),
        note=data.get("note", ""),
        interrupt=data.get("interrupt", ""),
        inside=None if inside is None else tuple(_line(each) for each in inside),
        meanwhile=tuple(_line(each) for each in data.get("meanwhile", ())),
    )


def _freebsd(data: Mapping[str, Any]) -> tuple[Answer, str]:
    """FreeBSD's answer, and where it is known from."""
    if "recorded" not in data:
        return Answer(data.get("out", ""), data.get("err", ""), data.get("code", 0)), data["by"]
    found = recorded(data["recorded"])
    out, err = found.out, found.err
    for old, new in data.get("with", {}).items():
        assert old in out + err, f"{data['recorded']}: no {old!r} in it"
        out, err = out.replace(old, new), err.replace(old, new)
    command = _command(data["recorded"])
    short = command if len(command) <= _SHORT else command[: _SHORT - 1] + "…"
    return Answer(out, err, data.get("code", found.code)), f"{data['recorded'].partition(': ')[0]}: `{short}`"


def recorded(place: str) -> Answer:
    """The answer at "FILE: LINE" of the recordings; "FILE: LINE #N" for the Nth such line."""
    command, number = _command(place), 1
    if place != f"{place.partition(': ')[0]}: {command}":
        number = int(place.rpartition(" #")[2])
    found = [line for line in read(place.partition(": ")[0]) if line.command == command]
    line = found[number - 1]
    return Answer(line.stdout, line.stderr, line.code)


def _command(place: str) -> str:
    """The line of "FILE: LINE" or "FILE: LINE #N"."""
    return re.sub(r" #\d+$", "", place.partition(": ")[2])
