"""From a rule with lists to rules without: one for each combination that makes sense.

Source: expand_rule() and the functions it calls in sbin/pfctl/parse.y, 13.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from vjail.conf.pf.hosts import Host
from vjail.conf.pf.parts import FromTo, IcmpItem, Interface
from vjail.conf.pf.printer import address_text
from vjail.conf.pf.rules import (
    Action,
    Answer,
    AnyAddress,
    Family,
    InterfaceAddress,
    Keep,
    NetAddress,
    Peer,
    PortOp,
    Ports,
    Rule,
)
from vjail.conf.pf.words import ICMP, ICMP6, TCP, WITH_PORTS

Complain = Callable[[str], None]
_FILTERING = (Action.PASS, Action.BLOCK, Action.SCRUB, Action.NO_SCRUB)


@dataclass(frozen=True, slots=True)
class Lists:
    """What a rule is multiplied by; None is one time nothing."""

    interfaces: list[Interface] | None = None
    protocols: list[int] | None = None
    icmp: list[IcmpItem] | None = None
    from_to: FromTo = FromTo()


def expand(rule: Rule, lists: Lists, complain: Complain, protocol_name: Callable[[int], str]) -> list[Rule]:
    """The rules that `rule` with its lists stands for, in pfctl's order. What is wrong with one is complained about."""
    made: list[Rule] = []
    for one in _combinations(rule, lists):
        if _has_problem(one, complain) or _mismatched(one, complain):
            complain("skipping rule due to errors")
        else:
            made.append(_with_labels(one, len(made), protocol_name))
    if not made:
        complain("rule expands to no valid combination")
    return made


def _combinations(rule: Rule, lists: Lists) -> Iterator[Rule]:
    source, destination = lists.from_to.source, lists.from_to.destination
    protocols: list[int | None] = [*(lists.protocols or (None,))]
    icmp_items: list[IcmpItem | None] = [*(lists.icmp or (None,))]
    source_ports: list[Ports | None] = [*(source.ports or (None,))]
    destination_ports: list[Ports | None] = [*(destination.ports or (None,))]
    for interface, proto, icmp, src, sport, dst, dport in product(
        lists.interfaces or [Interface("")],
        protocols,
        icmp_items,
        source.hosts or [Host(AnyAddress())],
        source_ports,
        destination.hosts or [Host(AnyAddress())],
        destination_ports,
    ):
        zones = {zone for zone in (src.zone, dst.zone, interface.name if src.zone or dst.zone else "") if zone}
        families = {family for family in (rule.family, src.family, dst.family) if family is not None}
        if len(families) > 1 or len(zones) > 1:
            continue
        keep = rule.keep
        if keep is Keep.MODULATE and proto not in (None, TCP):
            keep = Keep.STATE
        yield replace(
            rule,
            family=next(iter(families), None),
            interface=interface.name or next(iter(zones), ""),
            interface_not=interface.negated,
            proto=proto,
            source=Peer(src.address, src.negated, sport),
            destination=Peer(dst.address, dst.negated, dport),
            tcp_flags=rule.tcp_flags if proto in (None, TCP) else None,
            icmp=icmp.icmp if icmp is not None else None,
            keep=keep,
        )


def _mismatched(rule: Rule, complain: Complain) -> bool:
    for peer in (rule.source, rule.destination):
        address = peer.address
        if (
            isinstance(address, InterfaceAddress)
            and rule.family is Family.INET
            and address.prefixlen is not None
            and address.prefixlen > 32
        ):
            complain(f"netmask {address.prefixlen} invalid for IPv4 address")
            return True
    return False


def _has_problem(rule: Rule, complain: Complain) -> bool:
    """Whether the parts of a rule contradict each other; says each contradiction."""
    problems = list(_filter_problems(rule) if rule.action in _FILTERING else _rdr_problems(rule))
    for problem in problems:
        complain(problem)
    return bool(problems)


def _filter_problems(rule: Rule) -> Iterator[str]:
    ports = rule.source.ports or rule.destination.ports
    if rule.icmp is not None and rule.proto not in (ICMP, ICMP6):
        yield "icmp-type mismatch"
    if ports and rule.proto not in WITH_PORTS:
        yield "port only applies to tcp/udp"
    if rule.icmp is not None and rule.proto not in (ICMP, ICMP6):
        yield "icmp-type/code only applies to icmp"
    if rule.icmp is not None and rule.family is None:
        yield "must indicate address family with icmp-type/code"
    for proto, name, family in ((ICMP, "icmp", Family.INET6), (ICMP6, "icmp6", Family.INET)):
        if rule.proto == proto and rule.family is family:
            yield f"proto {name} doesn't match address family inet{'6' if family is Family.INET6 else ''}"
    counted = rule.state_options
    if counted.overload and not counted.max_src_conn and not counted.max_src_conn_rate[0]:
        yield "'overload' requires 'max-src-conn' or 'max-src-conn-rate'"
    if rule.allow_opts and rule.action is not Action.PASS:
        yield "allow-opts can only be specified for pass rules"
    if rule.answer is Answer.RETURN_RST and rule.proto != TCP:
        yield "return-rst can only be applied to TCP rules"
    if rule.action is Action.BLOCK and rule.keep is not Keep.NO:
        yield "keep state on block rules doesn't make sense"


def _rdr_problems(rule: Rule) -> Iterator[str]:
    if rule.action not in (Action.RDR, Action.NO_RDR):
        return
    if rule.proto not in WITH_PORTS:
        if rule.source.ports:
            yield "src port only applies to tcp/udp"
        if rule.destination.ports:
            yield "dst port only applies to tcp/udp"
        if rule.pool is not None and rule.pool.ports[0]:
            yield "rpool port only applies to tcp/udp"
    ports = rule.destination.ports
    if ports is not None and ports.op not in (PortOp.EQ, PortOp.RANGE):
        yield "invalid port operator for rdr destination port"


# --- what labels and tags may hold ---


def _with_labels(rule: Rule, number: int, protocol_name: Callable[[int], str]) -> Rule:
    texts = (rule.label, rule.tag, rule.tagged)
    if not any("$" in text for text in texts):
        return rule
    values = {
        "$if": rule.interface or "any",
        "$srcaddr": _host_text(rule.source, rule.family),
        "$dstaddr": _host_text(rule.destination, rule.family),
        "$srcport": _ports_text(rule.source.ports),
        "$dstport": _ports_text(rule.destination.ports),
        "$proto": protocol_name(rule.proto or 0),
        "$nr": str(number),
    }
    label, tag, tagged = (_filled_in(text, values) for text in texts)
    return replace(rule, label=label, tag=tag, tagged=tagged)


def _filled_in(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _host_text(peer: Peer, family: Family | None) -> str:
    if isinstance(peer.address, NetAddress) and family is None:
        return "any"
    return f"{'! ' if peer.negated else ''}{address_text(peer.address, family)}"


def _ports_text(ports: Ports | None) -> str:
    if ports is None:
        return ""
    match ports.op:
        case PortOp.BETWEEN | PortOp.OUTSIDE | PortOp.RANGE:
            return f"{ports.first}{ports.op.value}{ports.second}"
        case PortOp.EQ:
            return str(ports.first)
        case _:
            return f"{ports.op.value}{ports.first}"
