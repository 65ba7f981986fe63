"""A rule's conditions as nftables expressions: several alternatives, of which a packet fulfils one or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from vjail.conf.pf.rules import (
    AnyAddress,
    Direction,
    Family,
    InterfaceAddress,
    NetAddress,
    Peer,
    PortOp,
    Ports,
    RangeAddress,
    Reach,
    Rule,
    RuleAddress,
    TableAddress,
    UnreachedAddress,
)
from vjail.conf.pf.words import ICMP6, TCP
from vjail.kernel.linux.pf.names import (
    TAG_MASK,
    Names,
    elements_text,
    family_word,
    hexadecimal,
    network_text,
    united,
)

_APART = "meta length > 0"
"""Always so. nft makes one comparison of two that are beside each other, also of two with `!=`, where that is wrong."""
_FAMILY = {Family.INET: "ipv4", Family.INET6: "ipv6"}


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to fulfil a rule's conditions: the expression, and the family it is about (None: either)."""

    text: str
    family: Family | None


class Matcher:
    """Writes the conditions of rules that stand in `anchor` and look at packets in one direction."""

    def __init__(self, names: Names, direction: Direction, anchor: str = "") -> None:
        self._names = names
        self._interface = "iifname" if direction is Direction.IN else "oifname"
        self._incoming = direction is Direction.IN
        self._anchor = anchor

    def alternatives(
        self, rule: Rule, *, source: Peer | None = None, destination: Peer | None = None
    ) -> list[Alternative]:
        """The alternatives of a rule; its sides may be given instead. No packet fulfils a rule without any."""
        source, destination = source or rule.source, destination or rule.destination
        families: Sequence[Family | None] = [rule.family]
        if rule.family is None and (_needs_family(source) or _needs_family(destination) or rule.tos is not None):
            families = list(Family)
        found: list[Alternative] = []
        for family in families:
            sides = self._side(source, "saddr", family), self._side(destination, "daddr", family)
            for sent_by, sent_to in product(*sides):
                parts = [
                    self._on(rule),
                    f"meta nfproto {_FAMILY[family]}" if family is not None else "",
                    sent_by,
                    _ports(source.ports, "sport"),
                    _APART if _is_condition(source) and _is_condition(destination) else "",
                    sent_to,
                    _ports(destination.ports, "dport"),
                    _icmp(rule),
                    _tos(rule, family),
                    self._tagged(rule),
                    _chance(rule),
                ]
                # Protocol and flags first, ports need them.
                for protocol in _protocols(rule, has_ports=bool(source.ports or destination.ports)):
                    words = [part for part in (parts[0], protocol, *parts[1:]) if part]
                    found.append(Alternative(" ".join(words), family))
        return found

    def _on(self, rule: Rule) -> str:
        if not rule.interface:
            return ""
        return f"{self._interface} {'!= ' if rule.interface_not else ''}{self._names.interfaces([rule.interface])}"

    def _side(self, peer: Peer, word: str, family: Family | None) -> list[str]:
        """Conditions on an address of which one must be fulfilled. An empty one always is; without any it is never."""
        if family is None:
            return [] if peer.negated and isinstance(peer.address, AnyAddress) else [""]
        if isinstance(peer.address, UnreachedAddress):
            return self._unreached(peer.address, word, negated=peer.negated)
        chosen, place = self._chosen(peer.address, family), f"{family_word(family)} {word}"
        if not peer.negated:
            return [f"{place} {each}" if each else "" for each in chosen]
        return [] if "" in chosen else [f" {_APART} ".join(f"{place} != {each}" for each in chosen)]

    def _unreached(self, address: UnreachedAddress, word: str, *, negated: bool) -> list[str]:
        if not self._incoming:
            # Linux looks up no routes for what is on its way out, and it has one.
            return [""] if negated else []
        by = " . iif" if address.reach is Reach.URPF_FAILED else ""
        return [f"fib {word}{by} oif {'exists' if negated else 'missing'}"]

    def _chosen(self, address: RuleAddress, family: Family) -> list[str]:
        """What holds the addresses that fulfil the condition, in one place or several; empty: all of the family."""
        match address:
            case AnyAddress():
                return [""]
            case NetAddress(network):
                if network.version != family.value:
                    return []
                return [network_text(network) if network.prefixlen else ""]
            case RangeAddress(first, last):
                return [f"{first}-{last}"] if first.version == family.value else []
            case TableAddress(name):
                return self._names.table(self._anchor, name, family)
            case UnreachedAddress():
                raise AssertionError(address)
            case InterfaceAddress():
                networks = united(self._names.networks(address, family))
                return [elements_text(networks)] if networks else []

    def _tagged(self, rule: Rule) -> str:
        if not rule.tagged:
            return ""
        sign = "!=" if rule.tagged_not else "=="
        return f"meta mark & {hexadecimal(TAG_MASK)} {sign} {hexadecimal(self._names.tag(rule.tagged))}"


def _is_condition(peer: Peer) -> bool:
    return peer != Peer()


def _needs_family(peer: Peer) -> bool:
    return not isinstance(peer.address, AnyAddress)


def _protocols(rule: Rule, *, has_ports: bool) -> list[str]:
    if rule.proto is not None:
        return [f"meta l4proto {rule.proto}{_flags(rule) if rule.proto == TCP else ''}"]
    if rule.tcp_flags is not None:
        other = "meta l4proto 17" if has_ports else f"meta l4proto != {TCP}"
        return [f"meta l4proto {TCP}{_flags(rule)}", other]
    return ["meta l4proto { 6, 17 }"] if has_ports else [""]


def _flags(rule: Rule) -> str:
    if rule.tcp_flags is None:
        return ""
    return f" tcp flags & 0x{rule.tcp_flags.of:02x} == 0x{rule.tcp_flags.set:02x}"


def _ports(ports: Ports | None, word: str) -> str:
    if ports is None:
        return ""
    match ports.op:
        case PortOp.EQ:
            return f"th {word} {ports.first}"
        case PortOp.RANGE:
            return f"th {word} {ports.first}-{ports.second}" if ports.first <= ports.second else f"th {word} < 0"
        case PortOp.BETWEEN:
            return f"th {word} > {ports.first} th {word} < {ports.second}"
        case PortOp.OUTSIDE:
            return f"th {word} != {ports.first}-{ports.second}"
        case operator:
            return f"th {word} {operator.value} {ports.first}"


def _icmp(rule: Rule) -> str:
    if rule.icmp is None:
        return ""
    word = "icmpv6" if rule.proto == ICMP6 else "icmp"
    code = f" {word} code {rule.icmp.code}" if rule.icmp.code is not None else ""
    return f"{word} type {rule.icmp.type}{code}"


def _tos(rule: Rule, family: Family | None) -> str:
    if rule.tos is None:
        return ""
    return f"@nh,{4 if family is Family.INET6 else 8},8 {rule.tos}"


_CHANCES = 1_000_000


def _chance(rule: Rule) -> str:
    if rule.probability is None:
        return ""
    return f"numgen random mod {_CHANCES} < {max(1, round(rule.probability * _CHANCES))}"


def line(*parts: str) -> str:
    """A rule from its parts."""
    return " ".join(part for part in parts if part)


def lines(alternatives: Sequence[Alternative], *statements: str) -> list[str]:
    """Rules that do the same for each alternative."""
    return [line(alternative.text, statement) for alternative, statement in product(alternatives, statements)]
