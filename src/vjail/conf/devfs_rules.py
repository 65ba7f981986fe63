"""devfs.rules(5) and the rules of devfs(8): the file as sections with places, a rule's words as data and back.

Also the sets that every FreeBSD has (/etc/defaults/devfs.rules of 13.2, observed/f_devfs.txt). Pure; what a rule does
to a device is kernel/core/devfs.py's business. Sources: devfs(8), devfs.rules(5), spec host-files §3.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vjail.conf.position import Source, Span

_HEADER = re.compile(r"\[(.*)=([0-9]*)\]")
_NUMBER = re.compile(r"[+]?[0-9]+\Z")
_MAX_NUMBER = 0xFFFF


class DeviceClass(enum.Enum):
    """What `type` asks for."""

    DISK = "disk"
    MEM = "mem"
    TAPE = "tape"
    TTY = "tty"


class Visibility(enum.Enum):
    """The action that shows or hides a node."""

    HIDE = "hide"
    UNHIDE = "unhide"


class RuleError(Exception):
    """A rule devfs(8) refuses; the text is its message without `devfs rule: `."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its conditions, all of which must hold, and its actions. `mode` holds permission bits.

    `user` and `group` are names or numbers as they were given.
    """

    types: frozenset[DeviceClass] = frozenset()
    path: str | None = None
    visibility: Visibility | None = None
    user: str | None = None
    group: str | None = None
    mode: int | None = None
    include: int | None = None

    def __str__(self) -> str:
        """The rule as `devfs rule show` prints it."""
        return " ".join(self.words())

    def words(self) -> tuple[str, ...]:
        """The rule as words that `parse_rule` reads again."""
        words = [word for kind in DeviceClass if kind in self.types for word in ("type", kind.value)]
        if self.path is not None:
            words += ("path", self.path)
        if self.visibility is not None:
            words.append(self.visibility.value)
        if self.user is not None:
            words += ("user", self.user)
        if self.group is not None:
            words += ("group", self.group)
        if self.mode is not None:
            words += ("mode", f"{self.mode:o}")
        if self.include is not None:
            words += ("include", str(self.include))
        return tuple(words)


def parse_number(text: str) -> int | None:
    """A ruleset's or rule's number, 0 to 65535; None where the text is none."""
    return int(text) if _NUMBER.match(text) and int(text) <= _MAX_NUMBER else None


def parse_rule(words: Sequence[str]) -> tuple[int | None, Rule]:
    """`[NUM] CONDITION… ACTION…` as the rule's number, None for the next free one, and the rule. Raises RuleError."""
    if not words:
        raise RuleError("unexpected end of rulespec")
    number = parse_number(words[0])
    rest = list(words if number is None else words[1:])
    rule = Rule()
    while rest and rest[0] in ("type", "path"):
        rule = _with_condition(rule, rest[0], _argument(rest))
        del rest[:2]
    while rest:
        if rest[0] in ("hide", "unhide"):
            rule = replace(rule, visibility=Visibility(rest[0]))
            del rest[:1]
        elif rest[0] in ("user", "group", "mode", "include"):
            rule = _with_action(rule, rest[0], _argument(rest))
            del rest[:2]
        else:
            raise RuleError(f"unknown argument: {rest[0]}")
    return number or None, rule


def _argument(rest: Sequence[str]) -> str:
    if len(rest) < 2:
        raise RuleError(f"expecting argument for {rest[0]}")
    return rest[1]


def _with_condition(rule: Rule, keyword: str, argument: str) -> Rule:
    if keyword == "path":
        return replace(rule, path=argument)
    for kind in DeviceClass:
        if kind.value == argument:
            return replace(rule, types=rule.types | {kind})
    raise RuleError(f"unknown type: {argument}")


def _with_action(rule: Rule, keyword: str, argument: str) -> Rule:
    match keyword:
        case "user":
            return replace(rule, user=argument)
        case "group":
            return replace(rule, group=argument)
        case "mode":
            return replace(rule, mode=_mode(argument))
        case _:
            number = parse_number(argument)
            if number is None:
                raise RuleError(f"error converting to number: {argument}")
            return replace(rule, include=number)


def _mode(text: str) -> int:
    """setmode(3)'s octal and symbolic modes, starting from no bit at all."""
    if re.fullmatch(r"[0-7]{1,4}", text):
        return int(text, 8)
    mode = 0
    for clause in text.split(","):
        parsed = re.fullmatch(r"([ugoa]*)([-+=])([rwx]*)", clause)
        if parsed is None:
            raise RuleError(f"invalid mode: {text}")
        who, operator, letters = parsed.groups()
        bits = sum({"r": 4, "w": 2, "x": 1}[letter] for letter in set(letters))
        for shift in (shift for name, shift in (("u", 6), ("g", 3), ("o", 0)) if not who or name in who or "a" in who):
            if operator == "=":
                mode &= ~(7 << shift)
            mode = mode & ~(bits << shift) if operator == "-" else mode | (bits << shift)
    return mode


# --- the file --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Header:
    """`[NAME=NUM]`."""

    name: str
    number: int
    span: Span


@dataclass(frozen=True, slots=True)
class BadHeader:
    """A line in brackets without a number or a name; reading the file stops there. `complaint` is rc's warning."""

    complaint: str
    span: Span


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A line that is run as `devfs rule -s NUM LINE`, cut at the first `#`, blanks around it taken away."""

    text: str
    span: Span


Line = Header | BadHeader | RuleLine


@dataclass(frozen=True, slots=True)
class RulesFile:
    """A devfs.rules file, line by line; comments and empty lines are left out."""

    source: Source
    lines: tuple[Line, ...]


def parse(source: Source) -> RulesFile:
    """Read a file as rc.subr's devfs_rulesets_from_file does; what a rule's words mean is left to `parse_rule`."""
    lines: list[Line] = []
    for number in range(1, source.line_count + 1):
        span = source.line_span(number)
        text = span.text.strip(" \t")
        line = _line(text, _stripped(span)) if text and not text.startswith("#") else None
        if line is not None:
            lines.append(line)
    return RulesFile(source, tuple(lines))


def _line(text: str, span: Span) -> Line | None:
    if text.startswith("[") and "]" in text:
        header = _HEADER.match(text)
        if header is None or not header.group(2):
            return BadHeader(f"cannot extract rule number ({text})", span)
        if not header.group(1):
            return BadHeader(f"cannot extract rule name ({text})", span)
        return Header(header.group(1), int(header.group(2)), span)
    words = " ".join(text.split("#", 1)[0].split())
    return RuleLine(words, span) if words else None


def _stripped(span: Span) -> Span:
    data = span.source.data[span.start : span.end]
    return Span(span.source, span.start + len(data) - len(data.lstrip(b" \t")), span.start + len(data.rstrip(b" \t")))


# --- what every FreeBSD has ------------------------------------------------------------------------------------------

_LETTERS = "pqrsPQRSlmnoLMNO"

DEFAULT_SETS: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("devfsrules_hide_all", 1, ("hide",)),
    (
        "devfsrules_unhide_basic",
        2,
        tuple(f"path {name} unhide" for name in ("null", "zero", "crypto", "random", "urandom")),
    ),
    (
        "devfsrules_unhide_login",
        3,
        (
            *(f"path '{kind}{letter}*' unhide" for kind in ("pty", "tty") for letter in _LETTERS),
            *(
                f"path {name} unhide"
                for name in ("ptmx", "pts", "'pts/*'", "fd", "'fd/*'", "stdin", "stdout", "stderr")
            ),
        ),
    ),
    (
        "devfsrules_jail",
        4,
        (
            "include $devfsrules_hide_all",
            "include $devfsrules_unhide_basic",
            "include $devfsrules_unhide_login",
            "path fuse unhide",
            "path zfs unhide",
        ),
    ),
    (
        "devfsrules_jail_vnet",
        5,
        (
            "include $devfsrules_hide_all",
            "include $devfsrules_unhide_basic",
            "include $devfsrules_unhide_login",
            "include $devfsrules_jail",
            "path pf unhide",
        ),
    ),
)
"""Name, number and rules of the sets in /etc/defaults/devfs.rules of 13.2, as that file writes them behind `add`."""


def default_rules() -> str:
    """The text of /etc/defaults/devfs.rules."""
    sections = (
        f"[{name}={number}]\n" + "".join(f"add {rule}\n" for rule in rules) for name, number, rules in DEFAULT_SETS
    )
    return "# The rulesets every host has. Own ones go into /etc/devfs.rules; see devfs.rules(5).\n\n" + "\n".join(
        sections
    )
