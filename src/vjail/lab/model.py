"""What a lab is: hosts, the wires that join their NICs, and each host's files, as text with the place it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vjail.kernel.conditions import Conditions
from vjail.release import DEFAULT, Release

CONFIGURATION = ("rc.conf", "jail.conf", "devfs.rules", "pf.conf", "hostid", "hosts")
"""The files beside a jail.conf that its host has in /etc."""


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file of a host's /etc: where on this machine it came from, and what it holds."""

    origin: Path
    content: bytes


@dataclass(frozen=True, slots=True)
class LabHostSpec:
    """A host: its NICs with the wire each is on, its files in /etc by name, and a tree that is laid over it."""

    name: str
    nics: Mapping[str, str]
    files: Mapping[str, HostFile] = field(default_factory=dict)
    tree: Path | None = None
    userland: str = "machine"
    """`machine`, `minimal`, or the path of a tree to take /usr from."""


@dataclass(frozen=True, slots=True)
class WireSettings:
    """What is said of a wire: compared as one value, and given to a wire by one operation."""

    nic: str | None = None
    """The card of this machine that it goes on through."""
    cut: bool = False
    """Whether it begins cut."""
    conditions: Conditions = Conditions()
    """What frames meet on it."""

    def as_record(self) -> dict[str, object]:
        """It as JSON has it."""
        return {"nic": self.nic, "cut": self.cut, "conditions": self.conditions.as_record()}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> WireSettings:
        """The opposite."""
        return cls(record["nic"], record["cut"], Conditions.of_record(record["conditions"]))


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab: hosts by name, in the order written, and the names of its wires."""

    name: str
    origin: Path
    hosts: Mapping[str, LabHostSpec]
    wires: tuple[str, ...] = ()
    release: Release = DEFAULT
    uplinks: Mapping[str, str] = field(default_factory=dict)
    """The NICs of this machine that are lent to the lab, by the wire each is on."""
    cut: frozenset[str] = frozenset()
    """The wires that begin cut."""
    conditions: Mapping[str, Conditions] = field(default_factory=dict)
    """What frames meet on those wires that do more than carry them."""

    def settings(self) -> dict[str, WireSettings]:
        """What is said of each wire."""
        return {
            wire: WireSettings(self.uplinks.get(wire), wire in self.cut, self.conditions.get(wire, Conditions()))
            for wire in self.wires
        }


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with what was given: where (line and column from 1, 0 where unknown), what, and the mend."""

    path: str
    text: str
    line: int = 0
    column: int = 0
    hint: str = ""

    def __str__(self) -> str:
        place = self.path + (f":{self.line}:{self.column}" if self.line else "")
        return f"{place}: {self.text}" + (f"; {self.hint}" if self.hint else "")


class LabError(Exception):
    """A lab that cannot be brought up as it is written; all that is wrong with it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
