"""Networks of one stack that overlap: a routing table has each network once, so the second would be out of reach.

Two networks of a lab may have one subnet, as long as nobody is in both: neither a jail nor, by an address, the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vjail.lab.file.nodes import Place, Problems
from vjail.lab.file.topology import Interface, Network


@dataclass(frozen=True, slots=True)
class Attachment:
    """An interface of a stack as the file has it: what it is called there, where, and its addresses."""

    what: str
    place: Place
    addresses: tuple[Interface, ...]


def check_overlaps(who: str, attachments: Iterable[Attachment], problems: Problems) -> None:
    """Tell of each network of a host or a jail that overlaps one which it has on another interface."""
    known: list[tuple[Network, Attachment]] = []
    for each in attachments:
        for network in _networks(each.addresses):
            for other, first in known:
                if first is not each and network.version == other.version and network.overlaps(other):
                    where = f"line {first.place.line}" if first.place.path == each.place.path else _shown(first.place)
                    also = "the same" if network == other else str(other)
                    problems.say(
                        each.place,
                        f"{who} has {network} on {each.what}, and {also} on {first.what} ({where})",
                        "networks that do not overlap, or one of the two only",
                    )
                    break
        known += [(network, each) for network in _networks(each.addresses)]


def _networks(addresses: Iterable[Interface]) -> Iterator[Network]:
    """The networks that addresses are in; not those of one address, and none of link-local ones: each has its own."""
    for network in dict.fromkeys(address.network for address in addresses):
        if network.prefixlen < network.max_prefixlen and not network.is_link_local:
            yield network


def _shown(place: Place) -> str:
    return f"{place.path}:{place.line}:{place.column}"
