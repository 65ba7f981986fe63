"""Rules, addresses and tables as pfctl(8) prints them.

Source: print_rule(), print_pool() of sbin/pfctl/pfctl_parser.c, print_addr() of pf_print_state.c, 13.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vjail.conf.pf.rules import (
    NAT_PORTS,
    Action,
    Answer,
    AnyAddress,
    Family,
    InterfaceAddress,
    Keep,
    NetAddress,
    Part,
    Peer,
    Pool,
    PoolType,
    PortOp,
    Ports,
    RangeAddress,
    Rule,
    RuleAddress,
    StateOptions,
    TableAddress,
    UnreachedAddress,
)
from vjail.conf.pf.words import TCP, flags_text, icmp_code_name, icmp_type_name

_ANCHORS = {
    Action.PASS: "anchor",
    Action.NAT: "nat-anchor",
    Action.BINAT: "binat-anchor",
    Action.RDR: "rdr-anchor",
}
_UNREACH, _UNREACH6 = 3, 1


class Names:
    """The names of protocols and services. `numeric` prints ports as numbers (`-P`)."""

    def __init__(
        self,
        protocol: Callable[[int], str | None],
        service: Callable[[int, str], str | None],
        *,
        numeric: bool = False,
    ) -> None:
        self.protocol = protocol
        self._service = service
        self._numeric = numeric

    def service(self, port: int, proto: int | None) -> str | None:
        """The name of a port."""
        return None if self._numeric else self._service(port, "tcp" if proto == TCP else "udp")


def rule_text(rule: Rule, names: Names, *, called: str | None = None, number: int | None = None) -> str:
    """A rule without its newline. `called` is what an anchor is printed as, `number` its place (`-vv`)."""
    anchor = rule.called if called is None else called
    return "".join(_parts(rule, names, anchor if rule.anchor else "", number))


def _parts(rule: Rule, names: Names, anchor: str, number: int | None) -> Iterator[str]:
    if number is not None:
        yield f"@{number} "
    yield from _head(rule, anchor)
    if rule.direction is not None:
        yield f" {rule.direction.value}"
    if rule.log is not None:
        yield f" log ({', '.join(rule.log)})" if rule.log else " log"
    if rule.quick:
        yield " quick"
    if rule.interface:
        yield f" on {'! ' if rule.interface_not else ''}{rule.interface}"
    if rule.detour is not None:
        yield f" {rule.detour.turn.value} ({rule.detour.interface} {rule.detour.gateway})"
    if rule.family is not None:
        yield " inet" if rule.family is Family.INET else " inet6"
    if rule.proto is not None:
        yield f" proto {names.protocol(rule.proto) or rule.proto}"
    yield from _from_to(rule, names)
    yield from _conditions(rule, anchor)
    yield from _effects(rule, anchor)
    if rule.pool is not None and not anchor:
        yield f" -> {_pool(rule.pool, rule)}"


def _head(rule: Rule, anchor: str) -> Iterator[str]:
    if rule.anchor:
        yield _ANCHORS[rule.action]
        if not anchor.rpartition("/")[2].startswith("_"):
            yield f' "{anchor}"'
    else:
        yield rule.action.value
        if rule.translation_pass:
            yield " pass"
    if rule.action is not Action.BLOCK:
        return
    match rule.answer:
        case Answer.RETURN_ICMP:
            yield f" return-icmp{_icmp_codes(rule)}"
        case answer:
            yield f" {answer.value}"


def _icmp_codes(rule: Rule) -> str:
    code = icmp_code_name(rule.return_icmp, _UNREACH, Family.INET) or str(rule.return_icmp)
    code6 = icmp_code_name(rule.return_icmp6, _UNREACH6, Family.INET6) or str(rule.return_icmp6)
    match rule.family:
        case Family.INET:
            return f"({code})"
        case Family.INET6:
            return f"6({code6})"
        case None:
            return f"({code}, {code6})"


def _from_to(rule: Rule, names: Names) -> Iterator[str]:
    if rule.source == Peer() and rule.destination == Peer():
        yield " all"
        return
    yield f" from {_peer(rule.source, rule, names)} to {_peer(rule.destination, rule, names)}"


def _peer(peer: Peer, rule: Rule, names: Names) -> str:
    text = f"{'! ' if peer.negated else ''}{address_text(peer.address, rule.family)}"
    return f"{text} port {_ports(peer.ports, rule.proto, names)}" if peer.ports is not None else text


def _ports(ports: Ports, proto: int | None, names: Names) -> str:
    match ports.op:
        case PortOp.RANGE:
            return f"{ports.first}:{ports.second}"
        case PortOp.BETWEEN | PortOp.OUTSIDE:
            return f"{ports.first} {ports.op.value} {ports.second}"
        case PortOp.EQ | PortOp.NE:
            return f"{ports.op.value} {names.service(ports.first, proto) or ports.first}"
        case _:
            return f"{ports.op.value} {ports.first}"


def _conditions(rule: Rule, anchor: str) -> Iterator[str]:
    if rule.tcp_flags is not None:
        yield f" flags {flags_text(rule.tcp_flags.set)}/{flags_text(rule.tcp_flags.of)}"
    elif rule.action is Action.PASS and rule.proto in (None, TCP) and not anchor and rule.keep is not Keep.NO:
        yield " flags any"
    if rule.icmp is not None:
        family = rule.family or Family.INET
        word = "icmp6-type" if family is Family.INET6 else "icmp-type"
        yield f" {word} {icmp_type_name(rule.icmp.type, family) or rule.icmp.type}"
        if rule.icmp.code is not None:
            yield f" code {icmp_code_name(rule.icmp.code, rule.icmp.type, family) or rule.icmp.code}"
    if rule.tos is not None:
        yield f" tos 0x{rule.tos:02x}"


def _effects(rule: Rule, anchor: str) -> Iterator[str]:
    if rule.keep is not Keep.NO or (rule.action is Action.PASS and not anchor):
        yield f" {rule.keep.value}"
    if rule.probability is not None:
        yield f" probability {f'{rule.probability * 100:f}'.rstrip('0').rstrip('.')}%"
    if rule.state_options != StateOptions():
        yield f" ({', '.join(_state_options(rule.state_options))})"
    if rule.no_df:
        yield " no-df"
    if rule.random_id:
        yield " random-id"
    if rule.min_ttl:
        yield f" min-ttl {rule.min_ttl}"
    if rule.max_mss:
        yield f" max-mss {rule.max_mss}"
    if rule.allow_opts:
        yield " allow-opts"
    if rule.action is Action.SCRUB:
        yield " fragment reassemble"
    if rule.label:
        yield f' label "{rule.label}"'
    if rule.tag:
        yield f" tag {rule.tag}"
    if rule.tagged:
        yield f"{' !' if rule.tagged_not else ''} tagged {rule.tagged}"


def _state_options(options: StateOptions) -> Iterator[str]:
    if options.max:
        yield f"max {options.max}"
    if options.no_sync:
        yield "no-sync"
    if options.track:
        yield f"source-track {options.track}"
    if options.max_src_states:
        yield f"max-src-states {options.max_src_states}"
    if options.max_src_conn:
        yield f"max-src-conn {options.max_src_conn}"
    if options.max_src_conn_rate[0]:
        yield "max-src-conn-rate {}/{}".format(*options.max_src_conn_rate)
    if options.max_src_nodes:
        yield f"max-src-nodes {options.max_src_nodes}"
    if options.overload:
        yield f"overload <{options.overload}>{f' {options.flush}' if options.flush else ''}"
    if options.sloppy:
        yield "sloppy"
    for name, value in options.timeouts:
        yield f"{name} {value}"


def _pool(pool: Pool, rule: Rule) -> str:
    addresses = [address_text(address, rule.family) for address in pool.addresses]
    text = f"{{ {', '.join(addresses)} }}" if len(addresses) > 1 else addresses[0]
    first, last = pool.ports
    if rule.action is Action.NAT and pool.ports not in (NAT_PORTS, (0, 0)):
        text += f" port {first}" if first == last else f" port {first}:{last}"
    if rule.action is Action.RDR and first:
        text += f" port {first}:{last}" if last and last != first else f" port {first}"
    if pool.type is PoolType.SOURCE_HASH:
        text += f" source-hash {pool.key}"
    elif pool.type is not PoolType.NONE:
        text += f" {pool.type.value}"
    if pool.sticky:
        text += " sticky-address"
    if rule.action is Action.NAT and pool.ports == (0, 0):
        text += " static-port"
    return text


def address_text(address: RuleAddress, family: Family | None) -> str:
    """An address as a rule of that family has it."""
    match address:
        case AnyAddress():
            return "any"
        case NetAddress(network):
            if network.prefixlen == 0 and not int(network.network_address):
                return "any"
            if network.prefixlen == network.max_prefixlen:
                return str(network.network_address)
            return str(network)
        case RangeAddress(first, last):
            return f"{first} - {last}"
        case TableAddress(name):
            return f"<{name}>"
        case UnreachedAddress(reach):
            return reach.value
        case InterfaceAddress(name, part, first_only, prefixlen):
            text = f"({name}{f':{part.value}' if part is not Part.OWN else ''}{':0' if first_only else ''})"
            full = 128 if family is Family.INET6 else 32
            return f"{text}/{prefixlen}" if family and prefixlen is not None and prefixlen < full else text
