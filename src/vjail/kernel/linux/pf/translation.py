"""nat, rdr and binat as nftables rules: where and to what a rule translates, first match wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from itertools import islice

from vjail.conf.pf.hosts import family_of
from vjail.conf.pf.rules import (
    NAT_PORTS,
    Action,
    Family,
    InterfaceAddress,
    NetAddress,
    Peer,
    PoolType,
    Rule,
    RuleAddress,
    TableAddress,
)
from vjail.conf.pf.words import WITH_PORTS
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.pf.match import Alternative, Matcher, line
from vjail.kernel.linux.pf.names import PASSED, TAG_MASK, Names, Network, family_word, hexadecimal

_MOST_ADDRESSES = 4096
_NEVER = (Action.NO_NAT, Action.NO_RDR, Action.NO_BINAT)
LOOPBACK = IPv4Network("127.0.0.0/8")


@dataclass(frozen=True, slots=True)
class Hit:
    """What one rule does to packets of one kind: a condition, what is noted of them, and the translation.

    `translation` is empty where the rule exempts from translation, or has no address to translate to now.
    """

    condition: str
    note: str
    translation: str


class Translation:
    """Writes the hits of translation rules that stand in `anchor`."""

    def __init__(self, names: Names, matcher: Matcher, anchor: str) -> None:
        self._names = names
        self._matcher = matcher
        self._anchor = anchor

    def outgoing(self, rule: Rule) -> list[Hit]:
        """A nat or binat rule, for packets on their way out."""
        return self._hits(
            rule, self._matcher.alternatives(rule), self._nat if rule.action is Action.NAT else self._binat
        )

    def incoming(self, rule: Rule) -> list[Hit]:
        """An rdr rule, for packets on their way in."""
        return self._hits(rule, self._matcher.alternatives(rule), self._rdr)

    def incoming_binat(self, rule: Rule) -> list[Hit]:
        """A binat rule for packets on their way in: what is sent to its external address goes to its internal one."""
        if rule.pool is None:
            # `no binat` has no external address, so nothing is exempted on the way in.
            return []
        source, destination = rule.destination, Peer(rule.pool.addresses[0])
        alternatives = self._matcher.alternatives(rule, source=source, destination=destination)
        return self._hits(rule, alternatives, self._binat_back)

    def _hits(
        self,
        rule: Rule,
        alternatives: Sequence[Alternative],
        translate: Callable[[Rule, Family], list[tuple[str, str]]],
    ) -> list[Hit]:
        found: list[Hit] = []
        for alternative in alternatives:
            if rule.action in _NEVER:
                found.append(Hit(alternative.text, "", ""))
                continue
            for family in [alternative.family] if alternative.family else list(Family):
                about = "" if alternative.family else f"meta nfproto {'ipv4' if family is Family.INET else 'ipv6'}"
                for condition, statement in translate(rule, family):
                    hit = line(alternative.text, about, condition)
                    found.append(Hit(hit, self._note(rule) if statement else "", statement))
        return found

    def _note(self, rule: Rule) -> str:
        bits = (self._names.tag(rule.tag) if rule.tag else 0) | (PASSED if rule.translation_pass else 0)
        if not bits:
            return ""
        kept = ~TAG_MASK & 0xFFFFFFFF if rule.tag else 0xFFFFFFFF
        return f"meta mark set meta mark & {hexadecimal(kept)} | {hexadecimal(bits)}"

    # --- what to ---

    def _nat(self, rule: Rule, family: Family) -> list[tuple[str, str]]:
        target = self._target(rule, family, "saddr")
        word = family_word(family)
        if not target:
            return [("", "")]
        assert rule.pool is not None
        first, last = rule.pool.ports
        plain = ("", f"snat {word} {target}")
        if not first or (rule.proto is not None and rule.proto not in WITH_PORTS):
            return [plain]
        # pf takes a port of this range at random.
        ports = f"{first}-{last}" if first != last else str(first)
        chosen = f"snat {word} {target} : {ports}{' random' if rule.pool.ports == NAT_PORTS else ''}"
        return [("meta l4proto { 6, 17 }", chosen), *([] if rule.proto is not None else [plain])]

    def _rdr(self, rule: Rule, family: Family) -> list[tuple[str, str]]:
        target = self._target(rule, family, "daddr")
        if not target:
            return [("", "")]
        assert rule.pool is not None
        first, last = rule.pool.ports
        wanted = rule.destination.ports
        if not first:
            return [("", f"dnat {family_word(family)} {target}")]
        if not last or wanted is None or not wanted.second:
            return [("", f"dnat {family_word(family)} {target} : {first}")]
        size = last - first + 1
        pairs = ", ".join(
            f"{port} : {(port - wanted.first) % size + first}" for port in range(wanted.first, wanted.second + 1)
        )
        return [("", f"dnat {family_word(family)} {target} : th dport map {{ {pairs} }}")]

    def _binat(self, rule: Rule, family: Family) -> list[tuple[str, str]]:
        outside = self._networks(rule.pool.addresses[0], family) if rule.pool else []
        return [("", _one_to_one("snat", family, outside[:1]))]

    def _binat_back(self, rule: Rule, family: Family) -> list[tuple[str, str]]:
        return [("", _one_to_one("dnat", family, self._networks(rule.source.address, family)[:1]))]

    def _target(self, rule: Rule, family: Family, word: str) -> str:
        """`to …`, without a port: how the address is chosen; empty where there is none."""
        assert rule.pool is not None
        networks = [network for address in rule.pool.addresses for network in self._networks(address, family)]
        if not networks:
            return ""
        if rule.pool.type is PoolType.BITMASK:
            network = networks[0]
            return f"prefix to {network}" if network.prefixlen < network.max_prefixlen else f"to {network[0]}"
        if rule.pool.type is PoolType.NONE:
            return f"to {networks[0].network_address}"
        addresses = _addresses(networks)
        if len(addresses) == 1:
            return f"to {addresses[0]}"
        count, side = len(addresses), f"{family_word(family)} saddr"
        chooser = {
            PoolType.ROUND_ROBIN: f"numgen inc mod {count}",
            PoolType.RANDOM: f"numgen random mod {count}",
            PoolType.SOURCE_HASH: f"jhash {side} mod {count} seed {rule.pool.key[:10] or '0x0'}",
        }[PoolType.SOURCE_HASH if rule.pool.sticky else rule.pool.type]
        listed = ", ".join(f"{number} : {address}" for number, address in enumerate(addresses))
        return f"to {chooser} map {{ {listed} }}"

    def _networks(self, address: RuleAddress, family: Family) -> list[Network]:
        match address:
            case NetAddress(network):
                return [network] if family_of(network) is family else []
            case InterfaceAddress():
                return self._names.networks(address, family)
            case TableAddress(name):
                return self._names.table_entries(self._anchor, name, family)
            case _:
                raise KernelError(Errno.EINVAL, "a range of addresses cannot be translated to")


def _one_to_one(word: str, family: Family, networks: Sequence[Network]) -> str:
    if not networks:
        return ""
    network = networks[0]
    if network.prefixlen == network.max_prefixlen:
        return f"{word} {family_word(family)} to {network.network_address}"
    return f"{word} {family_word(family)} prefix to {network}"


def _addresses(networks: Sequence[Network]) -> list[IPv4Address | IPv6Address]:
    """All addresses of a pool."""
    found: dict[IPv4Address | IPv6Address, None] = {}
    for network in networks:
        found.update(dict.fromkeys(islice(network, _MOST_ADDRESSES + 1)))
        if len(found) > _MOST_ADDRESSES:
            raise KernelError(Errno.EBUSY, f"a pool of more than {_MOST_ADDRESSES} addresses")
    return list(found)


def reaches_loopback(rules: Sequence[Rule]) -> bool:
    """Whether one of these rules sends packets from outside to 127.0.0.0/8."""
    return any(
        isinstance(address, NetAddress)
        and isinstance(address.network, IPv4Network)
        and address.network.overlaps(LOOPBACK)
        for rule in rules
        if rule.action is Action.RDR and rule.pool is not None
        for address in rule.pool.addresses
    )
