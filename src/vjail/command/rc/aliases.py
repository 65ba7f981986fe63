"""Further addresses of an interface: ifconfig_IF_aliasN, ifconfig_IF_aliases, ipv4_addrs_IF, and ranges in them.

Pure but for warnings: makes the words that ifconfig(8) gets. Source: libexec/rc/network.subr of 13.2 (ifalias*).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from vjail.command.rc.interfaces import evaluated
from vjail.command.rc.subr import Rc
from vjail.conf.rcconf import variable_name

_FAMILIES = ("inet", "inet6", "link", "ether")
_HAS_RANGE = re.compile(r"[0-9a-fA-F]-")
_INET_RANGE = re.compile(r"[0-9]-[0-9]")
_INET6_RANGE = re.compile(r"[0-9a-zA-Z]-[0-9a-zA-Z]")


def aliases(rc: Rc, interface: str, family: str, action: str) -> Iterator[Sequence[str]]:
    """For each address of `family` the words after `ifconfig IF`; `action` is `alias` or `-alias`."""
    if action == "-alias" and family in ("link", "ether"):
        return
    words = rc.conf.of_interface(interface, "ifconfig_IF_aliases").split()
    words += _numbered(rc, interface, family, action)
    for address in rc.conf.of_interface(interface, "ipv4_addrs_IF").split():
        words += ["inet", address]
    for group in _groups(words, _FAMILIES):
        if group[0] == family and len(group) > 1:
            for single in _groups(evaluated(rc, group), (family,)):
                yield from _expanded(rc, single, family, action)


def _numbered(rc: Rc, interface: str, family: str, action: str) -> list[str]:
    """The words of the aliasN variables, by number; an empty one ends the list, a gap does not."""
    prefix = f"ifconfig_{variable_name(interface)}_alias"
    words: list[str] = []
    for name in sorted(rc.conf.matching(f"{prefix}[0-9]*"), key=lambda name: _leading_number(name[len(prefix) :])):
        value = rc.conf.get(name)
        first = value.split(" ", 1)[0] if " " in value else ""
        if first in _FAMILIES:
            words += value.split() if first == family else []
        elif not value:
            break
        elif family == "inet" and action == "alias":
            words += ["inet", *value.split()]
            rc.warn(f'${name} needs leading "inet" keyword for an IPv4 address.')
    return words


def _leading_number(text: str) -> int:
    digits = re.match(r"[0-9]*", text)
    return int(digits.group() or 0) if digits else 0


def _groups(words: Sequence[str], heads: Sequence[str]) -> Iterator[list[str]]:
    """The words in groups, each beginning at one of `heads`; words before the first are dropped."""
    group: list[str] = []
    for word in words:
        if word in heads:
            if group:
                yield group
            group = [word]
        elif group:
            group.append(word)
    if group:
        yield group


def _expanded(rc: Rc, group: Sequence[str], family: str, action: str) -> Iterator[Sequence[str]]:
    """One address, or every address of a range."""
    if len(group) < 2:
        return
    if _HAS_RANGE.search(" ".join(group[1:])) is None or family not in ("inet", "inet6"):
        yield (*group, action)
        return
    _, address, *options = group
    expand = _inet_range if family == "inet" else _inet6_range
    length_option = "netmask" if family == "inet" else "prefixlen"
    for single in expand(rc, address, action):
        plain = single.split("/")[0] if length_option in options else single
        yield (family, plain, *options, action)


def _inet_range(rc: Rc, address: str, action: str) -> Iterator[str]:
    """`10.0.0.5-9/24`: the first with its length, the others with /32."""
    if "--" in address:
        return
    if _INET_RANGE.search(address) is None:
        yield address
        return
    numbers, _, length = address.partition("/")
    parts = numbers.split(".")
    at = next(place for place, part in enumerate(parts) if "-" in part)
    low, _, high = parts[at].partition("-")
    suffix = "" if action == "-alias" else f"/{length or 32}"

    def write(number: int) -> str:
        return ".".join([*parts[:at], str(number), *parts[at + 1 :]])

    for number in _bounded(rc, int(low), int(high), write):
        yield write(number) + suffix
        suffix = "/32"


def _inet6_range(rc: Rc, address: str, action: str) -> Iterator[str]:
    """`fd00::1-3/64`: hexadecimal, each written with four digits; /64 where no length is given."""
    if "--" in address:
        return
    if _INET6_RANGE.search(address) is None:
        yield address
        return
    plain, slash, length = address.partition("/")
    suffix = "" if action == "-alias" else f"/{length if slash else 64}"
    left, _, right = plain.partition("-")
    head, _, low = left.rpartition(":")
    high, colon, tail = right.partition(":")
    tail = f":{tail}" if colon else ""
    for number in _bounded(rc, int(low, 16), int(high, 16), lambda number: f"{head}:{number:x}{tail}"):
        yield f"{head}:{number:04x}{tail}{suffix}"


def _bounded(rc: Rc, low: int, high: int, write: Callable[[int], str]) -> Iterator[int]:
    """The numbers of a range, at most netif_ipexpand_max + 2 of them; a warning where it holds more."""
    most = int(rc.conf.get("netif_ipexpand_max", "2048"))
    for number in range(low, high + 1):
        yield number
        if number > low + most:
            rc.warn(
                f"Range specification is too large ({write(low)}-{write(high)}).  "
                f"{write(low)}-{write(number)} was processed.  Increase $netif_ipexpand_max in rc.conf."
            )
            return
