"""The users and groups of the caller's /etc/passwd and /etc/group: names to numbers and back."""

from __future__ import annotations

import enum

from vjail.kernel.errno import KernelError
from vjail.session import Files


class Database(enum.Enum):
    """Which file is asked; both keep the name first and the number third."""

    USERS = "/etc/passwd"
    GROUPS = "/etc/group"


def number_of(files: Files, database: Database, name: str) -> int | None:
    """The number of a user or group, None where there is none of that name."""
    return next((number for known, number in _entries(files, database) if known == name), None)


def name_of(files: Files, database: Database, number: int) -> str | None:
    """The first name that has this number, None where none has."""
    return next((known for known, taken in _entries(files, database) if taken == number), None)


def _entries(files: Files, database: Database) -> list[tuple[str, int]]:
    try:
        text = files.read(database.value).decode(errors="replace")
    except KernelError:
        return []
    fields = [line.split(":") for line in text.splitlines() if line and not line.startswith("#")]
    return [(field[0], int(field[2])) for field in fields if len(field) > 2 and field[2].isdecimal()]
