"""Results as tables: for people on the terminal, for programs as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; `data` is what the rows were made from, every single measurement."""

    title: str
    headings: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    data: list[dict[str, object]] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The title and the data."""
        return {"title": self.title, "data": self.data}


def show(table: Table) -> None:
    """Print a table."""
    lines = [table.headings, *table.rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(table.headings))]
    print(table.title)
    for line in lines:
        first, *others = (f"{cell:{'>' if at else '<'}{widths[at]}}" for at, cell in enumerate(line))
        print("  " + "  ".join((first, *others)).rstrip())
    print(flush=True)


def spread(values: Sequence[float], unit: str = "", digits: int = 2) -> str:
    """The smallest and the median of several values."""
    return f"{min(values):.{digits}f} / {statistics.median(values):.{digits}f}{unit}"
