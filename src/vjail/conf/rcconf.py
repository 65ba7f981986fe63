"""rc.conf(5): assignments as sh(1) reads them, with their places; editing them in place; `checkyesno`.

Text in, data and text out. Only plain assignments are read (also after `export`); everything else, and a value that
would need a running shell, becomes a `Problem` with its place. Several files are evaluated in order, later ones win:
/etc/defaults/rc.conf, /etc/rc.conf, /etc/rc.conf.local, /etc/rc.conf.d/SERVICE. Knows no variable's meaning.
Sources: rc.conf(5), sh(1), rc.subr(8), sysrc(8), spec host-files §1.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from vjail.conf.position import Source, Span, decode, encode
from vjail.conf.sh import ShellSyntaxError
from vjail.conf.sh.commands import skip_command
from vjail.conf.sh.plain import expand, read_word, skip_blanks
from vjail.conf.sh.syntax import Part

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_DECLARATION = re.compile(r"(export|readonly)(?=[ \t])")
NOT_PLAIN = "not a plain assignment"
"""The reason of a problem that is a whole command."""
_NAME_ONLY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?=[ \t\n;]|\Z)")


@dataclass(frozen=True, slots=True)
class Assignment:
    """`NAME=VALUE` as it stands in a file: `span` covers all of it, `value_span` the value with its quotes."""

    name: str
    parts: tuple[Part, ...]
    span: Span
    value_span: Span


@dataclass(frozen=True, slots=True)
class Problem:
    """A piece of a file that is no plain assignment, and why."""

    span: Span
    reason: str


@dataclass(frozen=True, slots=True)
class RcFile:
    """One file: its assignments in order, and what was not understood."""

    source: Source
    assignments: tuple[Assignment, ...]
    problems: tuple[Problem, ...]


class RcConf:
    """The variables several files leave behind, and where each was set last."""

    def __init__(self, values: Mapping[str, str], origins: Mapping[str, Assignment]) -> None:
        self._values = dict(values)
        self._origins = dict(origins)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    @property
    def values(self) -> Mapping[str, str]:
        """Every variable with its value, in the order in which they were first set."""
        return self._values

    def get(self, name: str, default: str = "") -> str:
        """A variable's value, `default` where it is not set."""
        return self._values.get(name, default)

    def words(self, name: str) -> list[str]:
        """A variable's value cut at blanks."""
        return self.get(name).split()

    def origin(self, name: str) -> Assignment | None:
        """The assignment a variable's value comes from."""
        return self._origins.get(name)

    def matching(self, pattern: str) -> list[str]:
        """The names that match a shell pattern, in the order of rc.subr's list_vars (by character)."""
        return sorted(name for name in self._values if fnmatchcase(name, pattern))

    def of_interface(self, interface: str, variable: str, default: str = "") -> str:
        """The value of `variable` with `IF` in it replaced by the interface's name (`ifconfig_IF_alias0`)."""
        return self.get(variable.replace("IF", variable_name(interface), 1), default)

    def with_values(self, values: Mapping[str, str]) -> RcConf:
        """The same with some variables set otherwise, as a script's own assignments do."""
        return RcConf({**self._values, **values}, self._origins)


class Answer(enum.Enum):
    """What checkyesno makes of a value; NEITHER counts as no and brings a warning (see `not_set_properly`)."""

    YES = "yes"
    NO = "no"
    NEITHER = "neither"


def check_yes_no(value: str) -> Answer:
    """Yes for yes, true, on and 1, no for no, false, off and 0, in any case."""
    match value.lower():
        case "yes" | "true" | "on" | "1":
            return Answer.YES
        case "no" | "false" | "off" | "0":
            return Answer.NO
        case _:
            return Answer.NEITHER


def not_set_properly(name: str) -> str:
    """The warning of checkyesno for a value that is neither."""
    return f"${name} is not set properly - see rc.conf(5)."


def variable_name(interface: str) -> str:
    """An interface's name as it stands inside variable names: `em0.100` becomes `em0_100`."""
    return re.sub(r"[./+-]", "_", interface)


def parse(source: Source) -> RcFile:
    """Read one file. Never fails: what is not understood is in `problems`."""
    return _Parser(source).run()


def evaluate(files: Iterable[RcFile], variables: Mapping[str, str] | None = None) -> RcConf:
    """What the files set, one after the other, in a shell that has `variables` already."""
    raw = {name: _bytes_as_characters(value) for name, value in (variables or {}).items()}
    origins: dict[str, Assignment] = {}
    for file in files:
        for assignment in file.assignments:
            raw[assignment.name] = expand(assignment.parts, raw)
            origins[assignment.name] = assignment
    return RcConf({name: decode(value.encode("latin-1")) for name, value in raw.items()}, origins)


def with_value(file: RcFile, name: str, value: str) -> bytes:
    """The file with `name` set to `value`: in its last assignment, with the quotes that stand there, else at the end.

    As sysrc(8), `value` is written as it is; a last assignment that begins with `$`, a backslash or a backquote is
    kept and overridden by a line at the end.
    """
    data = file.source.data
    assignment = _last(file, name)
    written = assignment.value_span.text if assignment else ""
    if assignment is None or written[:1] in ("$", "\\", "`"):
        separator = b"" if not data or data.endswith(b"\n") else b"\n"
        return data + separator + encode(f'{name}="{value}"\n')
    quote = "'" if written[:1] == "'" else '"'
    span = assignment.value_span
    return data[: span.start] + encode(f"{quote}{value}{quote}") + data[span.end :]


def without(file: RcFile, name: str) -> bytes | None:
    """The file without any assignment to `name`; None where it holds none. A line left empty goes with it."""
    spans = [assignment.span for assignment in file.assignments if assignment.name == name]
    if not spans:
        return None
    data = file.source.data
    for span in reversed(spans):
        line_start = data.rfind(b"\n", 0, span.start) + 1
        line_end = data.find(b"\n", span.end)
        line_end = len(data) if line_end < 0 else line_end + 1
        before = data[line_start : span.start].strip()
        behind = data[span.end : line_end].strip()
        continues = data[:line_start].endswith(b"\\\n")
        if before in (b"", b"export") and (not behind or behind.startswith(b"#") or behind == b";") and not continues:
            data = data[:line_start] + data[line_end:]
        else:
            rest = re.match(rb"[ \t]*;?[ \t]*", data[span.end :])
            data = data[: span.start] + data[span.end + (rest.end() if rest else 0) :]
    return data


def _last(file: RcFile, name: str) -> Assignment | None:
    return next((a for a in reversed(file.assignments) if a.name == name), None)


def _bytes_as_characters(text: str) -> str:
    """Text in which each character is one byte of the file; the syntax is ASCII, so offsets are those of bytes."""
    return encode(text).decode("latin-1")


class _Parser:
    """One walk over a file, command by command."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._text = source.data.decode("latin-1")
        self._assignments: list[Assignment] = []
        self._problems: list[Problem] = []

    def run(self) -> RcFile:
        offset = 0
        while True:
            offset = skip_blanks(self._text, offset)
            if offset >= len(self._text):
                break
            if self._text[offset] in "\n;":
                offset += 1
                continue
            offset = self._command(offset)
        return RcFile(self._source, tuple(self._assignments), tuple(self._problems))

    def _command(self, start: int) -> int:
        """Read one command; the offset behind it."""
        try:
            found, end = self._plain(start)
        except ShellSyntaxError as error:
            return self._pass_over(start, error.offset, error.reason)
        if found is None:
            return self._pass_over(start, start, NOT_PLAIN)
        self._assignments += found
        return end

    def _plain(self, start: int) -> tuple[list[Assignment] | None, int]:
        """The assignments of a command that holds nothing else, and where it ends; None where it holds more."""
        declaration = _DECLARATION.match(self._text, start)
        offset = skip_blanks(self._text, declaration.end()) if declaration else start
        found: list[Assignment] = []
        while offset < len(self._text) and self._text[offset] not in "\n;":
            head = _ASSIGNMENT.match(self._text, offset)
            if head is None:
                bare = _NAME_ONLY.match(self._text, offset) if declaration else None
                if bare is None:
                    return None, offset
                offset = skip_blanks(self._text, bare.end())
                continue
            value = read_word(self._text, head.end())
            end = value.end if value else head.end()
            parts = value.parts if value else ()
            span = Span(self._source, offset, end)
            found.append(Assignment(head.group(1), parts, span, Span(self._source, head.end(), end)))
            offset = skip_blanks(self._text, end)
            if offset < len(self._text) and self._text[offset] in "&|<>()":
                return None, offset
        return found, offset

    def _pass_over(self, start: int, where: int, reason: str) -> int:
        """Note a problem at `where` and go behind the command it is in."""
        end = skip_command(self._text, start)
        line_end = self._text.find("\n", where)
        stop = min(end, line_end if line_end >= 0 else len(self._text))
        self._problems.append(Problem(Span(self._source, where, max(stop, where)), reason))
        return max(end, start + 1)
