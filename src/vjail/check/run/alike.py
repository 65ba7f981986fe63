"""Groups of jails that differ in names and numbers only: what one of them does, the others do.

A thousand jails are mostly one text with other numbers. A group's texts are written with stand-ins for what may differ
without changing an outcome: names of its jails, units of interfaces that its jails make, MAC addresses, addresses, each
by where it first stands; besides, which addresses are in one network. Groups with the same result behave alike, and
what was found in one is told of the others with their own words. What is not sure to be without effect is left as it
is; then two groups are looked at both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface
from types import CodeType, FunctionType

from vjail.check.finding import Finding
from vjail.check.run import explain, state
from vjail.check.run.stage import Standing
from vjail.check.subject import JailSubject
from vjail.conf.position import Span
from vjail.jail import explain as said

_UNIT = re.compile(r"\b(bridge|epair|lo|tap|tun|vlan|vxlan)(\d+)([ab]?)\b")
_ETHER = re.compile(r"(?<![\w:])[0-9a-f][02468ace](?::[0-9a-f]{2}){5}(?![\w:])")
_INET = re.compile(r"(?<![\d.])(\d+(?:\.\d+){3})(?![\d.])(?:/(\d+)| netmask (\S+))?")
_INET6 = re.compile(r"(?<![\w:.])([0-9a-fA-F]*:[0-9a-fA-F:]*)(?![\w:.%])(?:/(\d+)| prefixlen (\d+))?")
_WORD = re.compile(r"\w+(?:[.:-]+\w+)*")


def form(group: Sequence[JailSubject], standing: Standing) -> tuple[str, ...]:
    """A group's texts with stand-ins."""
    writer = _Writer([jail.name for jail in group], standing)
    key: list[str] = []
    for jail in group:
        key.append(f"jail {writer.name(jail.name)}")
        for parameter in jail.jail.parameters:
            key.append(f"parameter {parameter.name}")
            key += (writer.write(text) for text in parameter.texts)
        key += (writer.write(text) for text in jail.checked.fstab)
    return *key, *writer.addresses.relations()


def is_alone(jail: JailSubject) -> bool:
    """Whether starting it starts no other: then it behaves as any jail of its form does."""
    return not jail.checked.pseudo.depend and "." not in jail.name


class _Writer:
    """Writes texts with stand-ins."""

    def __init__(self, names: Sequence[str], standing: Standing) -> None:
        self.addresses = _Addresses(standing.addresses)
        self._places: dict[tuple[str, str], int] = {}
        self._standing = standing.interfaces
        ordered = sorted(names, key=len, reverse=True)
        self._names = re.compile("|".join(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])" for name in ordered))

    def name(self, name: str) -> str:
        return self._stand_in("name", name)

    def write(self, text: str) -> str:
        text = self._names.sub(lambda found: self.name(found[0]), text)
        text = _UNIT.sub(self._unit, text)
        text = _ETHER.sub(lambda found: self._stand_in("ether", found[0]), text)
        text = _INET.sub(self.addresses.write, text)
        return _INET6.sub(self.addresses.write, text)

    def _unit(self, found: re.Match[str]) -> str:
        clone = f"{found[1]}{found[2]}"
        if clone in self._standing or found[0] in self._standing or f"{clone}a" in self._standing:
            return found[0]
        return f"{found[1]}{self._stand_in(found[1], found[2])}{found[3]}"

    def _stand_in(self, kind: str, word: str) -> str:
        place = self._places.setdefault((kind, word), len(self._places))
        return f"«{kind} {place}»"


class _Addresses:
    """The addresses in texts, numbered by where each first stands."""

    def __init__(self, standing: Sequence[IPv4Interface | IPv6Interface]) -> None:
        self._standing = standing
        self._places: dict[IPv4Address | IPv6Address, int] = {}
        self._lengths: dict[tuple[int, int], None] = {}
        """Where an address has a length: its number, and that."""

    def write(self, found: re.Match[str]) -> str:
        """A stand-in for an address with its length, the length left; what is no address of a host's as it is."""
        try:
            address = ip_address(found[1])
            length = _length(address, found[2] or found[3])
        except ValueError:
            return found[0]
        # Reserved are also what masks look like.
        nobodys = address.is_loopback or address.is_link_local or address.is_multicast or address.is_reserved
        if nobodys or int(address) < 1 << 24:
            return found[0]
        place = self._places.setdefault(address, len(self._places))
        self._lengths[place, length] = None
        return f"«inet {place}»{found[0][len(found[1]) :]}"

    def relations(self) -> Iterator[str]:
        """Which of them are in one network, of each length there is, or in one of the host's; which are no host's."""
        for version in (4, 6):
            own = [address for address in self._places if address.version == version]
            numbers = {self._places[address] for address in own}
            for length in sorted({length for place, length in self._lengths if place in numbers}):
                first: dict[int, int] = {}
                rest = (32 if version == 4 else 128) - length
                networks = [first.setdefault(int(address) >> rest, self._places[address]) for address in own]
                ends = {0, (1 << rest) - 1}
                special = [self._places[each] for each in own if rest > 1 and int(each) & (1 << rest) - 1 in ends]
                yield f"inet{version}/{length}: {networks}, not a host's: {special}"
        for number, each in enumerate(self._standing):
            inside = [place for address, place in self._places.items() if address in each.network]
            if inside:
                yield f"in the host's network {number}: {inside}, its address: {self._places.get(each.ip)}"


def _length(address: IPv4Address | IPv6Address, text: str | None) -> int:
    """The length of an address's network, from what stands behind it. Raises ValueError."""
    if text is None:
        return 64 if address.version == 6 else 8 if address.packed[0] < 128 else 16 if address.packed[0] < 192 else 24
    if text.isdigit():
        return ip_interface(f"{address}/{text}").network.prefixlen
    mask = str(IPv4Address(int(text, 16))) if text.startswith("0x") else text
    return ip_interface(f"{address}/{mask}").network.prefixlen


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


class Told:
    """What was found in groups, told again of those that are alike."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._known: dict[tuple[str, ...], tuple[Sequence[JailSubject], list[Finding]]] = {}

    def of(self, group: Sequence[JailSubject], look: Callable[[], Iterable[Finding]]) -> list[Finding]:
        """What there is to find in a group; `look` finds it out where no group before was alike."""
        key = form(group, self._standing)
        if key in self._known and is_tellable(self._known[key][0], group):
            known, findings = self._known[key]
            return retold(findings, known, group)
        found = list(look())
        self._known.setdefault(key, (group, found))
        return found


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
