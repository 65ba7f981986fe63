"""vjail.lock: the addresses and numbers that a lab's `auto` and its interfaces were given, so that they stay.

JSON beside the lab file, meant to be committed. Whoever is taken out of the lab file loses its place; whoever is put in
gets a free one; all others keep theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vjail.lab.model import LabError, Problem

NAME = "vjail.lock"
_VERSION = 1


@dataclass(slots=True)
class Lock:
    """What was given: addresses and numbers by what they belong to (`host/jail/network/4`)."""

    addresses: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """The file."""
        content = {"version": _VERSION, "addresses": self.addresses, "numbers": self.numbers}
        return json.dumps(content, indent=1, sort_keys=True) + "\n"


def path(lab_file: Path) -> Path:
    """Where the lock of a lab file is: vjail.lock, or NAME.lock beside NAME.yml."""
    return lab_file.with_name(NAME if lab_file.stem == "vjail" else f"{lab_file.stem}.lock")


def read(lab_file: Path) -> Lock:
    """The lock beside a lab file, an empty one where there is none. Raises LabError."""
    place = path(lab_file)
    try:
        content = json.loads(place.read_text())
        addresses, numbers = content["addresses"], content["numbers"]
        if content["version"] == _VERSION and _texts(addresses) and all(isinstance(n, int) for n in numbers.values()):
            return Lock(dict(addresses), dict(numbers))
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        raise LabError(Problem(str(place), (error.strerror or "cannot be read").lower())) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise LabError(
        Problem(str(place), "is no lock file of vjail's", hint="restore it, or delete it: `auto` begins anew")
    )


def _texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())


def write(lab_file: Path, lock: Lock) -> bool:
    """Keep a lock where it says something new; whether that was written. Raises OSError."""
    place, text = path(lab_file), lock.text()
    known = place.read_text() if place.exists() else ""
    if text == known or (not known and not lock.addresses and not lock.numbers):
        return False
    beside = place.with_name(f".{place.name}.new")
    beside.write_text(text)
    beside.replace(place)
    return True
