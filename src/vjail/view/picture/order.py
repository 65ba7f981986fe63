"""In which order boxes stand beside each other: what is linked is adjacent, what is in one bridge is together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vjail.view.picture.model import Box, BoxKind, Net, NetKind

_ROUNDS = 4


def ordered(boxes: Sequence[Box], nets: Sequence[Net]) -> list[Box]:
    """The boxes in their order from left to right; where nothing speaks for another, that in which they are written."""
    place = {box.key: number for number, box in enumerate(boxes)}
    members = [[key for key in dict.fromkeys(end.box for end in net.ends) if key in place] for net in nets]
    chains = _chains([box.key for box in boxes], [keys for net, keys in zip(nets, members, strict=True) if _joins(net)])
    loose = {box.key for box in boxes if box.kind in (BoxKind.SHARED, BoxKind.STOPPED)}
    position = {key: float(number) for number, key in enumerate(key for chain in chains for key in chain)}
    for _ in range(_ROUNDS):
        centers = [sum(position[key] for key in keys) / len(keys) for keys in members if keys]
        pulls: dict[str, list[float]] = {}
        for center, keys in zip(centers, [keys for keys in members if keys], strict=True):
            for key in keys:
                pulls.setdefault(key, []).append(center)
        chains.sort(key=lambda chain: (chain[0] in loose, _mean(chain, pulls, position), place[chain[0]]))
        chains = [_turned(chain, pulls, position) for chain in chains]
        position = {key: float(number) for number, key in enumerate(key for chain in chains for key in chain)}
    by_key = {box.key: box for box in boxes}
    return [by_key[key] for chain in chains for key in chain]


def _joins(net: Net) -> bool:
    """Whether a net is a reason to stand side by side: a link, or a bridge of two."""
    return net.kind is NetKind.LINK and len({end.box for end in net.ends}) == 2


def _mean(chain: Sequence[str], pulls: Mapping[str, list[float]], position: Mapping[str, float]) -> float:
    found = [value for key in chain for value in pulls.get(key, (position[key],))]
    return sum(found) / len(found)


def _turned(chain: list[str], pulls: Mapping[str, list[float]], position: Mapping[str, float]) -> list[str]:
    """A chain the way round in which its ends are nearer to where they are pulled."""
    if len(chain) < 2:
        return chain
    first, last = (_mean([key], pulls, position) for key in (chain[0], chain[-1]))
    return chain[::-1] if first > last else chain


def _chains(keys: Sequence[str], links: Sequence[Sequence[str]]) -> list[list[str]]:
    """The boxes in chains along their links, each begun at the box that has fewest of them."""
    beside: dict[str, list[str]] = {key: [] for key in keys}
    for link in links:
        if len(link) == 2:
            beside[link[0]].append(link[1])
            beside[link[1]].append(link[0])
    chains: list[list[str]] = []
    seen: set[str] = set()
    for key in sorted(keys, key=lambda key: len(beside[key]) == 0 or len(beside[key])):
        if key in seen:
            continue
        chain, waiting = [], [key]
        while waiting:
            here = waiting.pop()
            if here not in seen:
                seen.add(here)
                chain.append(here)
                waiting += sorted((each for each in beside[here] if each not in seen), key=lambda k: -len(beside[k]))
        chains.append(chain)
    place = {key: number for number, key in enumerate(keys)}
    return sorted(chains, key=lambda chain: min(place[key] for key in chain))
