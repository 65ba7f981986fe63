"""fstab(5): lines that say what is mounted where, with their places; also jail.conf's mount lines.

Pure. The first two fields are decoded as strunvis(3) does (`\\040` is a blank). Sources: fstab(5), getfsent(3),
jail(8) `mount`, spec host-files §4, jail-conf §8.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from vjail.conf.position import Source, Span

_SIMPLE_ESCAPES = {
    "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "s": " ", "t": "\t", "v": "\v",
}  # fmt: skip
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)


class FstabType(enum.Enum):
    """What the options say a line is for; the first of these words counts."""

    RW = "rw"
    RQ = "rq"
    RO = "ro"
    SW = "sw"
    XX = "xx"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: what is mounted (`spec`), where (`file`), as which file system, with which options."""

    spec: str
    file: str
    vfstype: str
    options: tuple[str, ...]
    type: FstabType
    freq: int
    passno: int
    span: Span

    def has(self, option: str) -> bool:
        """Whether an option is given; of `auto` and `noauto` the last one counts."""
        opposite = option.removeprefix("no") if option.startswith("no") else f"no{option}"
        given = [word for word in self.options if word in (option, opposite)]
        return bool(given) and given[-1] == option


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line getfsent(3) skips with `fstab: FILE:LINE: Inappropriate file type or format`."""

    span: Span

    def __str__(self) -> str:
        place = self.span
        return f"fstab: {place.source.name}:{place.position.line}: Inappropriate file type or format"


@dataclass(frozen=True, slots=True)
class Fstab:
    """A file: its entries in order, without those marked `xx`, and the lines that are none."""

    entries: tuple[Entry, ...]
    bad: tuple[BadLine, ...]


@dataclass(frozen=True, slots=True)
class MountLine:
    """What jail(8) takes from a line of `mount` or of a mount.fstab file; further fields are ignored."""

    spec: str
    file: str
    vfstype: str
    options: str | None


def unvis(text: str) -> str:
    """A field as strunvis(3) decodes it: `\\ooo`, `\\xhh`, C's letters; a backslash before another character goes."""

    def character(found: re.Match[str]) -> str:
        if found.group(1):
            return chr(int(found.group(1), 8) & 0xFF)
        if found.group(2):
            return chr(int(found.group(2), 16))
        return _SIMPLE_ESCAPES.get(found.group(3), found.group(3))

    return _ESCAPE.sub(character, text)


def parse(source: Source) -> Fstab:
    """Read a file as getfsent(3) does."""
    entries: list[Entry] = []
    bad: list[BadLine] = []
    for number in range(1, source.line_count + 1):
        span = source.line_span(number)
        fields = span.text.split()
        if not fields or fields[0].startswith("#"):
            continue
        entry = _entry(fields, span)
        if entry is None:
            bad.append(BadLine(span))
        elif entry.type is not FstabType.XX:
            entries.append(entry)
    return Fstab(tuple(entries), tuple(bad))


def _entry(fields: list[str], span: Span) -> Entry | None:
    if len(fields) < 4:
        return None
    options = tuple(word for word in fields[3].split(",") if word)
    kinds = {kind.value: kind for kind in FstabType}
    kind = next((kinds[word] for word in options if word in kinds), None)
    numbers = [int(field) if re.fullmatch(r"[0-9]+", field) else None for field in fields[4:6]]
    if kind is None or None in numbers:
        return None
    freq, passno = [*(number or 0 for number in numbers), 0, 0][:2]
    return Entry(unvis(fields[0]), unvis(fields[1]), fields[2], options, kind, freq, passno, span)


def mount_line(text: str) -> MountLine | None:
    """A line as jail(8) reads it: three fields at least, else None; whether the options are good mount(8) says."""
    fields = text.split()
    if len(fields) < 3:
        return None
    return MountLine(unvis(fields[0]), unvis(fields[1]), fields[2], fields[3] if len(fields) > 3 else None)
