"""Groups of jails that differ in names and numbers only: what one of them does, the others do.

A thousand jails are mostly one text with other numbers. A group's texts are written with stand-ins for what may differ
without changing an outcome: names of its jails, units of interfaces that its jails make, networks and hosts of /24 and
/64 addresses, each by where it first stands. Groups with the same result behave alike, and what was found in one is
told of the others with their own words. What is not sure to be without effect is left as it is; then two groups are
looked at both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from types import CodeType, FunctionType

from vjail.check.finding import Finding
from vjail.check.run import explain, state
from vjail.check.subject import JailSubject
from vjail.conf.position import Span
from vjail.jail import explain as said

_UNIT = re.compile(r"\b(bridge|epair|lo|tap|tun|vlan|vxlan)(\d+)([ab]?)\b")
_INET = re.compile(r"(?<![\d.])(\d+\.\d+\.\d+)\.(\d+)(?![\d.])")
_INET6 = re.compile(r"(?<![\w:])((?:[0-9a-f]{1,4}:){1,4}):([0-9a-f]{1,4})(?=/64)")
_LENGTH = re.compile(r"(?<=\d)/(\d+)\b")
_MASK = re.compile(r"\bnetmask\s+(?!255\.255\.255\.0\b|255\.255\.255\.255\b|0xffffff00\b)")
_SAME = frozenset(("24", "32"))
_WORD = re.compile(r"\w+(?:[.:-]+\w+)*")
_SPECIAL = frozenset(("0", "255"))


def form(group: Sequence[JailSubject], standing: Collection[str]) -> tuple[str, ...]:
    """A group's texts with stand-ins; `standing`: interfaces that are there before its jails, whose units matter."""
    writer = _Writer([jail.name for jail in group], standing)
    key: list[str] = []
    for jail in group:
        key.append(f"jail {writer.name(jail.name)}")
        for parameter in jail.jail.parameters:
            key.append(f"parameter {parameter.name}")
            key += (writer.write(text) for text in parameter.texts)
        key += (writer.write(text) for text in jail.checked.fstab)
    return tuple(key)


class _Writer:
    """Writes texts with stand-ins."""

    def __init__(self, names: Sequence[str], standing: Collection[str]) -> None:
        self._places: dict[tuple[str, str], int] = {}
        self._standing = standing
        ordered = sorted(names, key=len, reverse=True)
        self._names = re.compile("|".join(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])" for name in ordered))

    def name(self, name: str) -> str:
        return self._stand_in("name", name)

    def write(self, text: str) -> str:
        text = self._names.sub(lambda found: self.name(found[0]), text)
        text = _UNIT.sub(self._unit, text)
        lengths = set(_LENGTH.findall(text))
        if not lengths - _SAME and not _MASK.search(text):
            text = _INET.sub(self._inet, text)
        return _INET6.sub(lambda found: f"{self._stand_in('net6', found[1])}:{self._stand_in('host6', found[2])}", text)

    def _unit(self, found: re.Match[str]) -> str:
        clone = f"{found[1]}{found[2]}"
        if clone in self._standing or found[0] in self._standing or f"{clone}a" in self._standing:
            return found[0]
        return f"{found[1]}{self._stand_in(found[1], found[2])}{found[3]}"

    def _inet(self, found: re.Match[str]) -> str:
        if found[1].startswith(("127.", "169.254", "224.", "255.")):
            return found[0]
        net = self._stand_in("net", found[1])
        return f"{net}.{found[2] if found[2] in _SPECIAL else self._stand_in(f'host of {net}', found[2])}"

    def _stand_in(self, kind: str, word: str) -> str:
        place = self._places.setdefault((kind, word), len(self._places))
        return f"«{kind.partition(' ')[0]} {place}»"


def _prose(function: FunctionType) -> Iterator[str]:
    """The words of the texts in a function."""
    constants = list(function.__code__.co_consts)
    while constants:
        each = constants.pop()
        if isinstance(each, str):
            yield from _WORD.findall(each)
        elif isinstance(each, CodeType):
            constants += each.co_consts


_PROSE = frozenset(
    word
    for module in (explain, state, said)
    for function in vars(module).values()
    if isinstance(function, FunctionType)
    for word in _prose(function)
)
"""The words that findings are told with."""


def is_tellable(known: Sequence[JailSubject], own: Sequence[JailSubject]) -> bool:
    """Whether no name that is to be put in another's place is a word of the telling (a jail called `start`, or `a`)."""
    pairs = zip(known, own, strict=True)
    return not any(one.name != other.name and one.name in _PROSE for one, other in pairs)


def retold(findings: Sequence[Finding], known: Sequence[JailSubject], own: Sequence[JailSubject]) -> list[Finding]:
    """What was found in the group `known`, told of the group `own`, which is alike."""
    if not findings:
        return []
    names = {one.name: other.name for one, other in zip(known, own, strict=True)}
    spans, words = _spans(known, own), _translation(known, own)
    return [
        replace(
            finding,
            span=_moved(finding.span, finding.jails, spans),
            text=words(finding.text),
            why=words(finding.why),
            mend=words(finding.mend),
            related=tuple((_moved(span, (), spans) or span, words(text)) for span, text in finding.related),
            jails=tuple(names.get(name, name) for name in finding.jails),
        )
        for finding in findings
    ]


def _translation(known: Sequence[JailSubject], own: Sequence[JailSubject]) -> Callable[[str], str]:
    """Turns texts about one group into texts about the other."""
    pairs: dict[str, str] = {}
    for one, other in zip(known, own, strict=True):
        for mine, theirs in zip(_words(one), _words(other), strict=True):
            pairs.setdefault(mine, theirs)
    return lambda text: _WORD.sub(lambda found: pairs.get(found[0], found[0]), text)


def _words(jail: JailSubject) -> list[str]:
    """The words of a jail's texts, in order, names first; interfaces also without their end."""
    words = [jail.name]
    for parameter in jail.jail.parameters:
        for text in parameter.texts:
            for word in _WORD.findall(text):
                words.append(word)
                unit = _UNIT.fullmatch(word)
                if unit is not None:
                    words += (f"{unit[1]}{unit[2]}{end}" for end in ("", "a", "b"))
    return words


_Key = tuple[str, int, int, int]


def _spans(known: Sequence[JailSubject], own: Sequence[JailSubject]) -> dict[_Key, Span]:
    """Where each value of one group's jails stands, and where that of the other's does."""
    found: dict[_Key, Span] = {}
    for one, other in zip(known, own, strict=True):
        places = [(one.jail.source, other.jail.source)]
        for mine, theirs in zip(one.jail.parameters, other.jail.parameters, strict=True):
            places.append((mine.span, theirs.span))
            places += ((a.span, b.span) for a, b in zip(mine.values, theirs.values, strict=True))
        for span, moved in places:
            found.setdefault((one.name, id(span.source), span.start, span.end), moved)
    return found


def _moved(span: Span | None, jails: Sequence[str], spans: dict[_Key, Span]) -> Span | None:
    if span is None:
        return None
    best: tuple[int, Span] | None = None
    for (name, source, start, end), moved in spans.items():
        inside = source == id(span.source) and start <= span.start and span.end <= end
        if inside and (not jails or name in jails) and (best is None or end - start < best[0]):
            best = end - start, moved
    return best[1] if best is not None else span
